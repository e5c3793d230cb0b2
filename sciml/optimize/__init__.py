"""Optimisers of a sum of squares over a flat vector of parameters."""
