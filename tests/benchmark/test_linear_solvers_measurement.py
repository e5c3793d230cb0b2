"""The measurements of linear solvers at small sizes: their figures exist and hang together."""

from sciml.benchmark.measurements import linear_solvers


def test_baselines():
    found = linear_solvers.linear_baselines(cells=12, turns=1)
    assert found["gmg"] < found["icc"] < found["cg"]
    assert found["largest residual"] <= 1e-6
    assert all(found[f"{name} solve s"] >= 0 for name in ("cg", "icc", "gamg", "pyamg_sa", "pyamg_rs", "gmg"))


def test_directions():
    box = linear_solvers.dcdm_box(cells=32)
    assert 0 < box["dcdm 1e-4"] <= box["dcdm 1e-6"] < box["cg 1e-6"]
    assert box["weights"] == 32_657
    obstacles = linear_solvers.dcdm_obstacles(cells=32, geometries=2)
    assert obstacles["worst"] <= 1.1
    assert 0 < obstacles["ratio"] <= obstacles["worst"]
    history = linear_solvers.dcdm_history(cells=32)
    assert history["k 10"] <= history["k 2"] < history["k 0"]
