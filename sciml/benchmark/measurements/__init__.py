"""Measurements of stated figures, one subject a file.

A measurement is a public function of a module in this folder that is annotated ``-> dict[str, float]``: named figures.
One whose figures depend on random numbers takes `seed`; other arguments have defaults. Nothing is listed by hand.
"""

from sciml.benchmark.measuring import run_measurement

__all__ = ["run_measurement"]
