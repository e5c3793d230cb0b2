"""Solvers: each solves one problem. A module or package here that sets ``SOLVER`` is found by the registry."""
