"""Benchmarks: suites of cells, a runner that loses none, gates of fairness, a report."""
