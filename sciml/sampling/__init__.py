"""Collocation points: where a residual is looked at."""
