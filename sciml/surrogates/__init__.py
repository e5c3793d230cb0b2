"""Learned stand-ins for solvers."""
