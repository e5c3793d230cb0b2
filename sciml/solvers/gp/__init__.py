"""Gaussian-process solver with Kronecker structure."""
