"""Multigrid on labelled cells against dense twins: the matrix, the cycle as a matrix, what nothing holds, devices."""

from itertools import product

import numpy as np
import pytest
import torch

from sciml.errors import ParameterError
from sciml.linear import DIRICHLET, FLUID, SOLID, Cells, Multigrid, checkerboard

SHAPES = [(9,), (8, 8), (13, 6), (1, 7), (6, 6, 6), (5, 9, 4), (3, 1, 11)]


def mixed(shape, seed=0, solid=0.12, held=0.06):
    """Random labels: walls of all kinds around, single cells and a block inside."""
    generator = np.random.default_rng(seed)
    full = [n + 2 for n in shape]
    labels = generator.choice([SOLID, FLUID, DIRICHLET], size=full, p=[solid, 1 - solid - held, held])
    for axis in range(len(shape)):
        for end in (0, -1):
            layer = [slice(None)] * len(shape)
            layer[axis] = end
            labels[tuple(layer)] = generator.choice([SOLID, DIRICHLET])
    labels[(1,) * len(shape)] = FLUID
    return labels


def obstacles(n, dim):
    """No flux through the walls but one that is held; a ball without flux and one that is held."""
    labels = np.full((n + 2,) * dim, SOLID)
    labels[(slice(1, -1),) * dim] = FLUID
    labels[..., -1] = DIRICHLET
    place = np.stack(np.meshgrid(*[(np.arange(n + 2) - 0.5) / n] * dim, indexing="ij"))
    for centre, radius, kind in ((0.4, 0.15, SOLID), (0.75, 0.1, DIRICHLET)):
        labels[((place - centre) ** 2).sum(axis=0) < radius**2] = kind
    return Cells(labels)


def data(cells_of, seed=0):
    """Reaction and held parts of random size for labels."""
    generator = np.random.default_rng(seed)
    shape = tuple(n - 2 for n in cells_of.shape)
    weights = generator.uniform(0.5, 3.0, len(shape))
    return {
        "weights": weights,
        "reaction": generator.uniform(0, 1, shape) * (generator.random(shape) < 0.3),
        "held": generator.uniform(0, 4, (len(shape), *shape)) * (generator.random((len(shape), *shape)) < 0.1),
    }


def by_hand(labels, weights=None, reaction=None, held=None):
    """The matrix of the fluid cells, one entry after the other."""
    dim = labels.ndim
    weights = np.ones(dim) if weights is None else weights
    index = {tuple(place): k for k, place in enumerate(np.argwhere(labels == FLUID))}
    matrix = np.zeros((len(index), len(index)))
    for place, row in index.items():
        inner = tuple(p - 1 for p in place)
        for axis, step in product(range(dim), (-1, 1)):
            other = tuple(p + step * (a == axis) for a, p in enumerate(place))
            if labels[other] != SOLID:
                matrix[row, row] += weights[axis]
            if other in index:
                matrix[row, index[other]] -= weights[axis]
        matrix[row, row] += 0 if reaction is None else reaction[inner]
        matrix[row, row] += 0 if held is None else held[(slice(None), *inner)].sum()
    return matrix


def on_grid(cells, values):
    """Values of fluid cells as an array."""
    out = np.zeros(cells.shape)
    out[cells.fluid] = values
    return out


def as_matrix(cells, function):
    """A linear map of the fluid cells as a matrix."""
    columns = [function(on_grid(cells, unit)).numpy()[cells.fluid] for unit in np.eye(int(cells.fluid.sum()))]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("piece", [4, 1 << 15])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_matrix(shape, plain, piece, monkeypatch):
    """As sparse matrix and matrix-free, the latter cell for cell and in pieces of any length."""
    monkeypatch.setattr(checkerboard, "_CHUNK", piece)
    labels = mixed(shape)
    parts = {} if plain else data(labels)
    cells = Cells(labels, **parts)
    twin = by_hand(labels, **parts)
    np.testing.assert_allclose(cells.matrix.toarray(), twin, atol=1e-14)
    np.testing.assert_allclose(as_matrix(cells, Multigrid(cells).apply), twin, atol=1e-13)


@pytest.mark.parametrize("sweeps", [1, 2])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("shape", [*SHAPES, (22, 17), (9, 8, 10)])
def test_cycle_is_symmetric_and_positive(shape, plain, sweeps):
    """And near to the inverse: no eigenvalue of B A above 2."""
    labels = mixed(shape, seed=3)
    cells = Cells(labels, **({} if plain else data(labels)))
    multigrid = Multigrid(cells, precision=torch.float64, sweeps=sweeps)
    cycle, matrix = as_matrix(cells, multigrid.precondition), cells.matrix.toarray()
    alone = np.diag(matrix) == 0
    cycle, matrix = cycle[~alone][:, ~alone], matrix[~alone][:, ~alone]
    np.testing.assert_allclose(cycle, cycle.T, atol=1e-13 * np.abs(cycle).max())
    assert np.linalg.eigvalsh((cycle + cycle.T) / 2).min() > 0
    assert np.linalg.eigvals(cycle @ matrix).real.max() < 2


@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(40,), (31, 50), (64, 5), (14, 9, 21)])
def test_solution(shape, precision):
    """A direct solver's, on cells of unequal weights."""
    labels = mixed(shape, held=0.1)
    cells = Cells(labels, **(data(labels) | {"reaction": np.full(shape, 0.01)}))
    generator = np.random.default_rng(1)
    right = generator.standard_normal(cells.shape)
    found = Multigrid(cells, precision=precision).solve(right, tolerance=1e-12)
    truth = np.linalg.solve(cells.matrix.toarray(), right[cells.fluid])
    assert found.converged
    assert found.values.dtype == torch.float64
    np.testing.assert_allclose(found.values.numpy()[cells.fluid], truth, rtol=1e-9, atol=1e-9 * np.abs(truth).max())
    assert not found.values.numpy()[~cells.fluid].any()


@pytest.mark.parametrize(("dim", "sizes"), [(2, (32, 64, 128, 256)), (3, (16, 32, 64))])
def test_iterations_hardly_depend_on_the_size(dim, sizes):
    counts = []
    for n in sizes:
        cells = obstacles(n, dim)
        right = np.random.default_rng(0).standard_normal(cells.shape)
        counts.append(Multigrid(cells).solve(right, tolerance=1e-8).iterations)
    assert max(counts) <= 16
    assert counts[-1] <= counts[0] + 4


@pytest.mark.parametrize("shape", [(100, 12), (37, 150), (33, 20, 9)])
def test_iterations_on_odd_and_long_grids(shape):
    labels = np.full([n + 2 for n in shape], SOLID)
    labels[(slice(1, -1),) * len(shape)] = FLUID
    labels[0] = DIRICHLET
    right = np.random.default_rng(0).standard_normal(shape)
    for weights in (np.ones(len(shape)), np.array([40.0, 1.0, 3.0])[: len(shape)]):
        found = Multigrid(Cells(labels, weights)).solve(right)
        assert found.converged
        assert found.iterations <= 25


def test_single_precision_cycle_reaches_double_precision():
    cells = obstacles(48, 3)
    right = np.random.default_rng(0).standard_normal(cells.shape)
    found = Multigrid(cells, precision=torch.float32).solve(right, tolerance=1e-12)
    b = np.where(cells.fluid, right, 0.0)[cells.fluid]
    residual = np.linalg.norm(b - cells.matrix @ found.values.numpy()[cells.fluid]) / np.linalg.norm(b)
    assert residual < 1e-12
    assert residual == pytest.approx(found.residual, rel=0.1)
    assert found.history[0] == 1
    assert len(found.history) == found.iterations + 1


def test_tolerance_out_of_reach():
    """Rounding ends the iteration, which says so."""
    cells = obstacles(32, 2)
    found = Multigrid(cells).solve(np.ones(cells.shape), tolerance=1e-18)
    assert not found.converged
    assert found.iterations < 150
    assert 1e-18 < found.residual < 1e-12


def test_budget():
    cells = obstacles(32, 2)
    found = Multigrid(cells).solve(np.ones(cells.shape), max_iterations=3)
    assert (found.converged, found.iterations) == (False, 3)
    assert found.residual == pytest.approx(found.history[-1], rel=1e-6)
    assert Multigrid(cells).solve(np.ones(cells.shape), within=lambda: False).iterations == 1


@pytest.mark.parametrize("dim", [2, 3])
def test_pockets_that_nothing_holds(dim):
    """Constants are free there: the right side loses its mean, the solution has the mean 0, the rest is unharmed."""
    n = {2: 16, 3: 10}[dim]
    labels = obstacles(n, dim).labels.copy()
    block = (slice(n - 4, n - 1),) * dim
    labels[(slice(n - 5, n),) * dim] = SOLID
    labels[block] = FLUID
    labels[(3,) * dim] = FLUID
    labels[tuple(np.moveaxis(3 + np.concatenate([np.eye(dim, dtype=int), -np.eye(dim, dtype=int)]), 1, 0))] = SOLID
    cells = Cells(labels)
    right = np.random.default_rng(0).standard_normal(cells.shape) + 1
    found = Multigrid(cells).solve(right, tolerance=1e-11)
    assert (found.converged, found.loose_components) == (True, 2)
    b, values = right[cells.fluid], found.values.numpy()[cells.fluid]
    truth = np.linalg.lstsq(by_hand(labels), b)[0]
    np.testing.assert_allclose(values, truth, atol=1e-8 * np.abs(truth).max())
    pocket = found.values.numpy()[tuple(slice(s.start - 1, s.stop - 1) for s in block)]
    assert abs(pocket.mean()) < 1e-13
    assert np.abs(pocket).max() > 0.1
    gap = np.linalg.norm(b - by_hand(labels) @ truth) / np.linalg.norm(b)
    assert found.removed == pytest.approx(gap, rel=1e-6)


def test_no_flux_anywhere():
    """Of a consistent right side nothing is removed; of a constant nothing is left."""
    labels = np.full((12, 22), SOLID)
    labels[1:-1, 1:-1] = FLUID
    multigrid = Multigrid(Cells(labels))
    truth = np.random.default_rng(0).standard_normal((10, 20))
    found = multigrid.solve(multigrid.apply(truth), tolerance=1e-12)
    assert found.removed < 1e-14
    np.testing.assert_allclose(found.values.numpy(), truth - truth.mean(), atol=1e-10)
    nothing = multigrid.solve(np.full((10, 20), 3.0))
    assert nothing.removed == pytest.approx(1.0)
    assert nothing.converged
    assert not nothing.values.any()


@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_meta_device(shape, precision):
    """Cycle and matrix create nothing on the CPU."""
    multigrid = Multigrid(Cells(mixed(shape)), precision=precision, device="meta")
    right = torch.ones(shape, dtype=torch.float64, device="meta")
    for made, kind in ((multigrid.precondition(right), precision), (multigrid.apply(right), torch.float64)):
        assert (made.shape, made.dtype, made.device.type) == (shape, kind, "meta")


def test_zero_right_side():
    cells = obstacles(8, 2)
    found = Multigrid(cells).solve(np.zeros(cells.shape))
    assert (found.converged, found.iterations, float(found.values.abs().max())) == (True, 0, 0.0)


GRID = np.pad(np.ones((4, 4), dtype=int), 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": np.ones((2, 2))}, "one layer around"),
        ({"labels": np.ones((3,) * 4)}, "1 to 3 axes"),
        ({"labels": GRID + 2}, "allowed are 0 solid, 1 fluid, 2 Dirichlet"),
        ({"labels": np.ones((4, 4), dtype=int)}, "outermost layer"),
        ({"labels": np.zeros((4, 4), dtype=int)}, "stands in no cell"),
        ({"weights": (1.0,)}, "one for each axis"),
        ({"weights": (1.0, -1.0)}, "positive numbers"),
        ({"reaction": np.ones((6, 6))}, r"reaction has shape \(6, 6\)"),
        ({"reaction": -np.ones((4, 4))}, "must not be negative"),
        ({"held": np.full((2, 4, 4), np.nan)}, "not finite"),
        ({"held": np.full((2, 4, 4), -0.5)}, "indefinite"),
    ],
)
def test_bad_cells(parts, message):
    with pytest.raises(ParameterError, match=message):
        Cells(**({"labels": GRID} | parts))


def test_bad_requests():
    multigrid = Multigrid(Cells(GRID))
    with pytest.raises(ParameterError, match=r"shape \(5, 4\); the cells have \(4, 4\)"):
        multigrid.solve(np.ones((5, 4)))
    with pytest.raises(ParameterError, match="not finite"):
        multigrid.solve(np.full((4, 4), np.inf))
    with pytest.raises(ParameterError, match="must be positive"):
        multigrid.solve(np.ones((4, 4)), tolerance=0.0)
    with pytest.raises(ParameterError, match="use torch.float64 or torch.float32"):
        Multigrid(Cells(GRID), precision=torch.float16)
    with pytest.raises(ParameterError, match="at least 1"):
        Multigrid(Cells(GRID), sweeps=0)
