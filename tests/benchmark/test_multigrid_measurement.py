"""The measurement of multigrid against algebraic multigrid, on a small grid."""

import pytest

from sciml.benchmark.measurements.multigrid import multigrid_against_gamg

pytest.importorskip("petsc4py", exc_type=ImportError)


def test_both_solve_the_same_system():
    found = multigrid_against_gamg(16, turns=1)
    assert max(found["multigrid_residual"], found["gamg_residual"]) <= 1e-8
    assert found["difference"] < 1e-6
    assert found["ratio"] == found["multigrid_seconds"] / found["gamg_seconds"]
    assert found["gamg_seconds"] == min(found["gamg_default_seconds"], found["gamg_threshold_seconds"])
    assert 0.9 * 16**3 < found["unknowns"] < 16**3
