"""Learned multigrid: layout, transfers and Galerkin matrices against dense twins, construction, solver, PETSc, SciPy."""

import json

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from sciml.errors import OptionError, OutputError, ParameterError, UnsupportedError
from sciml.linear import diffusion, from_matrix, linear_solver, poisson, solve
from sciml.linear.learned import (
    Cycle,
    CycleNetwork,
    Hierarchy,
    Layout,
    LearnedCycle,
    LearnedMultigrid,
    NetworkShape,
    Transfer,
    choose_halved,
    load_cycle_network,
    stencil_of,
)
from sciml.linear.trained import shipped_networks, write_network

SYSTEMS = {
    "obstacles": lambda: poisson((19, 26), obstacles=3, seed=1),
    "rough": lambda: diffusion((24, 17), contrast=1e3, anisotropy=50, angle=30),
    "aligned": lambda: diffusion((16, 32), anisotropy=100),
    "space": lambda: diffusion((7, 8, 6), contrast=100, anisotropy=20, angle=30),
    "obstacles in space": lambda: poisson((6, 8, 7), obstacles=2, seed=1),
}


@pytest.fixture(params=SYSTEMS)
def system(request):
    return SYSTEMS[request.param]()


@pytest.fixture
def several_levels(monkeypatch):
    """Small systems are solved directly else."""
    monkeypatch.setattr("sciml.linear.learned.hierarchy.DIRECT", 12)


def lines(system):
    layout = Layout(system.grid.shape)
    return layout, stencil_of(system.grid, layout, torch.float64, "cpu")


def dense(layout, stencil):
    wide = layout.widen(torch.eye(layout.length, dtype=torch.float64))
    rows = zip(stencil, layout.offsets, strict=True)
    return sum(a * layout.shifted(wide, offset) for a, offset in rows).T


def random_network(dim, seed=0, size=1.0):
    """Weights that no training would find: what the cycle promises holds for them too."""
    network = CycleNetwork(NetworkShape(dim, 8))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(size * torch.randn(weight.shape, generator=generator) / max(1, weight.shape[-1]) ** 0.5)
    return network


def matrix_of(prepared, n):
    return np.stack([prepared.apply(e) for e in np.eye(n)], axis=1)


def test_a_line_and_back():
    layout = Layout((3, 5))
    values = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layout.unpack(layout.pack(values)), values)
    wide = layout.widen(layout.pack(values))
    moved = layout.unpack(layout.shifted(wide, (1, -1)))
    expected = torch.zeros_like(values)
    expected[:, :-1, 1:] = values[:, 1:, :-1]
    assert torch.equal(moved, expected)


def test_a_stencil_is_the_matrix(system):
    layout, stencil = lines(system)
    places = layout.unpack(torch.arange(layout.length)).reshape(-1).numpy()[system.grid.places]
    A = dense(layout, stencil).numpy()
    np.testing.assert_array_equal(A[np.ix_(places, places)], system.matrix.toarray())


@pytest.mark.parametrize("first_only", [False, True])
def test_transfers_and_the_coarse_matrix_against_dense_ones(system, first_only):
    layout, stencil = lines(system)
    halved = (True, *(not first_only,) * (layout.dim - 1))
    generator = torch.Generator().manual_seed(0)
    tilt = 0.5 * torch.randn(layout.dim, layout.length, dtype=torch.float64, generator=generator)
    transfer = Transfer(stencil, layout, halved, tilt)
    P = transfer.prolong(torch.eye(transfer.coarse.length, dtype=torch.float64)).T
    R = transfer.restrict(torch.eye(layout.length, dtype=torch.float64)).T
    assert torch.equal(R, P.T)
    coarse = dense(transfer.coarse, transfer.galerkin())
    expected = P.T @ dense(layout, stencil) @ P
    assert torch.equal(coarse, coarse.T)
    assert (coarse - expected).abs().max() < 1e-13 * expected.abs().max()


def test_interpolation_keeps_what_the_operator_keeps():
    """Inside of a medium of any contrast constants are interpolated to themselves."""
    layout, stencil = lines(diffusion((31, 31), contrast=1e4))
    transfer = Transfer(stencil, layout, (True, True))
    ones = layout.unpack(transfer.prolong(transfer.coarse.pack(torch.ones(transfer.coarse.shape, dtype=torch.float64))))
    assert (ones[2:-2, 2:-2] - 1).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("coefficients", "halved"),
    [({}, (True, True)), ({"anisotropy": 100}, (True, False)), ({"anisotropy": 100, "angle": 90}, (False, True))],
)
def test_axes_that_couple_weakly_are_not_halved(coefficients, halved):
    layout, stencil = lines(diffusion((16, 16), **coefficients))
    assert choose_halved(stencil, layout) == halved


@pytest.mark.parametrize("visits", [1, 2])
@pytest.mark.parametrize("sweeps", [1, 2])
def test_the_cycle_in_place_is_the_differentiable_one(system, several_levels, sweeps, visits):
    layout, stencil = lines(system)
    with torch.no_grad():
        hierarchy = Hierarchy(stencil, layout, random_network(layout.dim, size=0.1), sweeps=sweeps, visits=visits)
        assert len(hierarchy.levels) >= 2
        b = layout.pack(torch.as_tensor(system.grid.spread(np.random.default_rng(0).normal(size=system.size))))
        expected = hierarchy.apply(b)
        found = Cycle(hierarchy, torch.float64).run(b)
    assert (found - expected).norm() < 1e-6 * expected.norm()


@pytest.mark.parametrize("size", [0.1, 1.0])
def test_any_weights_give_a_symmetric_definite_cycle_that_contracts(system, several_levels, size):
    """Eigenvalues of B A lie within 0 and 2, so those of I − B A within −1 and 1, whatever the network says."""
    prepared = LearnedCycle(system.grid, random_network(system.grid.dim, size=size), dtype=torch.float64)
    B = matrix_of(prepared, system.size)
    assert np.abs(B - B.T).max() < 1e-6 * np.abs(B).max()
    root = np.linalg.cholesky(system.matrix.toarray())
    values = np.linalg.eigvalsh(root.T @ ((B + B.T) / 2) @ root)
    assert values[0] > 0
    assert values[-1] < 2


def test_an_untrained_network_changes_nothing(system, several_levels):
    r = np.random.default_rng(0).normal(size=system.size)
    new = LearnedCycle(system.grid, CycleNetwork(NetworkShape(system.grid.dim)), dtype=torch.float64).apply(r)
    without = LearnedCycle(system.grid, None, dtype=torch.float64).apply(r)
    np.testing.assert_allclose(new, without, rtol=1e-6, atol=1e-9 * np.abs(without).max())


def test_small_systems_are_solved_directly():
    found = solve(diffusion((16, 16), contrast=1e3), "learned_mg", precision="float64", tolerance=1e-10)
    assert found.iterations == 1


@pytest.mark.parametrize("seed", range(2))
def test_shipped_networks_solve_in_few_iterations(seed):
    for system, most in (
        (poisson((64, 64), obstacles=7, seed=seed), 9),
        (diffusion((63, 64), contrast=1e4, seed=seed), 9),
        (diffusion((64, 64), anisotropy=1000, angle=10, seed=seed), 14),
        (diffusion((16, 18, 17), anisotropy=100, angle=30, seed=seed), 20),
    ):
        found = solve(system, "learned_mg", tolerance=1e-8)
        assert found.converged
        assert found.residual <= 1e-8 * (1 + 1e-6)
        assert found.iterations <= most
        plain = solve(system, "learned_mg", network="untrained", tolerance=1e-8)
        assert found.iterations <= plain.iterations


def test_closed_pockets_are_solved_off_their_null_space():
    system = poisson((24, 24), obstacles=0, walls="closed")
    labels = system.grid.labels.copy()
    labels[:, -1] = 0
    from sciml.linear import Cells, from_cells

    closed = from_cells(Cells(labels), np.random.default_rng(0).normal(size=(24, 24)))
    assert len(closed.null_space) == 1
    found = solve(closed, "learned_mg", tolerance=1e-8)
    assert found.converged
    assert found.iterations < 15


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_petsc_takes_as_many_iterations(precision):
    pytest.importorskip("petsc4py")
    from sciml.linear.petsc import solve_by_petsc

    system = diffusion((33, 40), contrast=100, anisotropy=30, angle=20)
    solver = LearnedMultigrid(precision=precision)
    ours, theirs = solve(system, solver, tolerance=1e-8), solve_by_petsc(system, solver, tolerance=1e-8)
    assert abs(ours.iterations - theirs.iterations) <= 1
    assert theirs.residual <= 1.01e-8
    np.testing.assert_allclose(theirs.x, ours.x, atol=1e-6 * np.abs(ours.x).max())


def test_petsc_reads_the_system_off_its_matrix_and_says_what_is_wrong():
    pytest.importorskip("petsc4py")
    from petsc4py import PETSc

    from sciml.linear.petsc import PythonPreconditioner, attach

    A = diffusion((12, 9), anisotropy=10, angle=40).matrix
    matrix = PETSc.Mat().createAIJ(A.shape, csr=(A.indptr.astype("i4"), A.indices.astype("i4"), A.data))
    x, b = matrix.createVecs()
    b.set(1.0)
    ksp = PETSc.KSP().create()
    ksp.setOperators(matrix)
    attach(ksp, PythonPreconditioner(LearnedMultigrid(), (12, 9)))
    ksp.setTolerances(rtol=1e-10)
    ksp.solve(b, x)
    assert ksp.getType() == "cg"
    np.testing.assert_allclose(A @ x.array, np.ones(108), atol=1e-8)
    wrong = PETSc.KSP().create()
    wrong.setOperators(matrix)
    with pytest.raises(ParameterError, match="no neighbours on a grid of 9x12"):
        attach(wrong, PythonPreconditioner(LearnedMultigrid(), (9, 12)))


def test_scipy_takes_it_and_refuses_what_is_no_matrix():
    from sciml.linear.petsc import linear_operator

    system = diffusion((20, 20), contrast=100)
    M = linear_operator(system, LearnedMultigrid())
    x, failed = scipy.sparse.linalg.cg(system.matrix, system.rhs, M=M, rtol=1e-10)
    assert not failed
    np.testing.assert_allclose(system.matrix @ x, system.rhs, atol=1e-9)
    from sciml.linear.dcdm import DeepConjugateDirections, DirectionNetwork

    with pytest.raises(UnsupportedError, match="dcdm is no symmetric matrix"):
        linear_operator(system, DeepConjugateDirections(network=DirectionNetwork(2, "from64")))


def test_the_network_and_the_hierarchy_run_on_meta():
    layout = Layout((12, 12))
    network = CycleNetwork(NetworkShape(2)).to("meta")
    advice = network(torch.zeros(9, layout.length, device="meta"), layout)
    assert [tuple(a.shape) for a in advice] == [(4, 169), (169,), (2, 169), ()]
    transfer = Transfer(torch.zeros(9, layout.length, device="meta"), layout, (True, False))
    assert transfer.prolong(torch.zeros(3, transfer.coarse.length, device="meta")).shape == (3, layout.length)


def test_what_is_refused(tmp_path):
    flat = diffusion((16, 16))
    with pytest.raises(UnsupportedError, match="learned_mg needs a system on a grid"):
        solve(from_matrix(flat.matrix), "learned_mg")
    with pytest.raises(UnsupportedError, match="trained for 3 axes, and the grid has 2"):
        solve(flat, "learned_mg", network=random_network(3))
    with pytest.raises(OptionError, match="sweeps = 0 is not possible"):
        linear_solver("learned_mg", sweeps=0)
    with pytest.raises(OptionError, match="cycle = 'F'"):
        linear_solver("learned_mg", cycle="F")
    with pytest.raises(OptionError, match="dim = 4"):
        NetworkShape(4)
    files = write_network(tmp_path / "own", "learned_mg", {"request": {}, "dim": 2, "width": 9}, {"w": torch.ones(1)})
    with pytest.raises(OutputError, match="damaged network"):
        load_cycle_network(files[0])


@pytest.mark.parametrize("name", ["learned_mg_2d", "learned_mg_3d"])
def test_shipped_networks_say_what_made_them(name):
    manifest = json.loads(shipped_networks()[name].with_suffix(".json").read_text())
    assert manifest["command"].startswith("sciml train-linear learned_mg")
    assert len(manifest["weights_digest"]) == 64
    assert load_cycle_network(name).shape.dim == manifest["dim"]
