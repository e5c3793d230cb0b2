"""Measurements of stated figures, one subject a file."""
