"""Krylov loops and the solvers that learn nothing: against direct solutions, one stopping rule, what breaks down."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from sciml.errors import DivergenceError, OptionError, ParameterError, UnknownNameError, UnsupportedError
from sciml.linear import SOLID, SOLVERS, Cells, LinearSystem, diffusion, from_cells, linear_solver, poisson, solve
from sciml.linear.krylov import flexible_cg, pcg

PLAIN = ["cg", "icc", "gamg", "pyamg_sa", "pyamg_rs"]
ON_CELLS = [*PLAIN, "gmg"]


def direct(system):
    return scipy.sparse.linalg.spsolve(system.matrix.tocsc(), system.rhs)


@pytest.mark.parametrize("name", ON_CELLS)
@pytest.mark.parametrize("shape", [(18, 16), (8, 9, 7)])
def test_solvers_find_the_solution(name, shape):
    system = poisson(shape, obstacles=3, seed=1)
    found = solve(system, name, tolerance=1e-11)
    assert found.converged
    assert found.residual == pytest.approx(np.linalg.norm(system.rhs - system.apply(found.x)), rel=1e-6)
    assert found.residual <= 1e-11
    assert np.allclose(found.x, direct(system), rtol=0, atol=1e-8 * np.abs(found.x).max())
    assert len(found.history) == found.iterations + 1
    assert found.solver == name


@pytest.mark.parametrize("name", PLAIN)
def test_rough_coefficients(name):
    system = diffusion((14, 15), contrast=1e3, anisotropy=20, angle=25)
    found = solve(system, name, tolerance=1e-10)
    assert found.converged
    assert np.allclose(found.x, direct(system), atol=1e-6 * np.abs(found.x).max())


@pytest.mark.parametrize("walls", ["open", "closed"])
@pytest.mark.parametrize("shape", [(9, 12), (6, 5, 7)])
def test_transforms_are_direct(walls, shape):
    found = solve(poisson(shape, walls=walls), "dst", tolerance=1e-12)
    assert found.iterations == 1
    assert found.residual < 1e-13


@pytest.mark.parametrize("name", ["cg", "icc", "gamg", "pyamg_sa", "pyamg_rs", "gmg", "dcdm", "learned_mg"])
def test_a_cell_that_stands_alone_is_projected_off(name):
    """One with solid cells all round has a row of zeros, which factorisations do not take as it is."""
    labels = poisson((28, 28), walls="closed").grid.labels.copy()
    labels[8:11, 8:11] = SOLID
    labels[9, 9] = labels[12, 12]
    system = from_cells(Cells(labels), np.random.default_rng(0).normal(size=(28, 28)))
    assert len(system.null_space) == 1
    assert (system.matrix.diagonal() == 0).sum() == 1
    found = solve(system, name, tolerance=1e-8)
    assert found.converged
    assert found.iterations < 200
    alone = np.flatnonzero(system.matrix.diagonal() == 0)[0]
    assert abs(found.x[alone]) < 1e-12


@pytest.mark.parametrize("name", [*ON_CELLS, "dst"])
def test_null_spaces_are_projected_off(name):
    labels = np.full((14, 12), SOLID)
    labels[1:-1, 1:-1] = 1
    system = from_cells(Cells(labels), np.random.default_rng(0).normal(size=(12, 10)) + 5.0)
    found = solve(system, name, tolerance=1e-9)
    assert found.converged
    assert abs(found.x.sum()) < 1e-10
    b = system.rhs - system.rhs.mean()
    assert np.linalg.norm(b - system.apply(found.x)) <= 1e-9 * np.linalg.norm(b) * 1.001


def test_scaling_the_right_side_scales_the_solution():
    system = poisson((12, 12), obstacles=2)
    found = solve(system, "icc")
    scaled = solve(LinearSystem(1e-30 * system.rhs, system.grid), "icc")
    assert scaled.iterations == found.iterations
    assert np.allclose(1e30 * scaled.x, found.x, rtol=1e-9)
    zero = solve(LinearSystem(0 * system.rhs, system.grid), "icc")
    assert (zero.iterations, zero.converged, np.abs(zero.x).max()) == (0, True, 0)


def test_conjugate_gradients_are_those_of_scipy():
    system = poisson((20, 20), obstacles=3)
    seen = []
    scipy.sparse.linalg.cg(system.matrix, system.rhs, rtol=1e-8, atol=0, callback=seen.append)
    assert abs(solve(system, "cg", tolerance=1e-8).iterations - len(seen)) <= 1


@pytest.mark.parametrize("k", [1, 2, 5])
def test_flexible_is_plain_for_a_symmetric_preconditioner(k):
    system = poisson((16, 15), obstacles=2)
    D = 1 / system.matrix.diagonal()
    loops = [
        pcg(system, system.rhs, lambda r: D * r, tolerance=1e-6, max_iterations=500),
        flexible_cg(system, system.rhs, lambda r: D * r, directions=k, tolerance=1e-6, max_iterations=500),
    ]
    assert loops[0].iterations == loops[1].iterations
    assert np.allclose(loops[0].history[:30], loops[1].history[:30], rtol=1e-6)


def test_directions_are_conjugate_and_steps_lower_the_energy():
    """With any map, if only it is not orthogonal to the residual."""
    system = poisson((10, 9))
    generator = np.random.default_rng(0)
    energies, applied = [], []
    x_exact = direct(system)

    def apply(r):
        applied.append(r)
        return r + 0.5 * np.linalg.norm(r) * generator.normal(size=len(r)) / np.sqrt(len(r))

    for n in range(1, 12):
        generator = np.random.default_rng(0)
        found = flexible_cg(system, system.rhs, apply, directions=2, tolerance=1e-12, max_iterations=n)
        e = x_exact - found.x
        energies.append(e @ system.apply(e))
    assert all(after < before for before, after in pairwise(energies))
    exact = flexible_cg(system, system.rhs, apply, directions=90, tolerance=1e-10, max_iterations=90)
    assert exact.converged


def test_a_direction_without_progress_is_replaced():
    system = poisson((8, 8))
    found = flexible_cg(system, system.rhs, np.zeros_like, tolerance=1e-6, max_iterations=100)
    assert found.iterations == solve(system, "cg").iterations


def test_single_precision_reaches_the_true_residual():
    found = solve(poisson((40, 40), obstacles=3, seed=2), "gmg", tolerance=1e-13)
    assert found.converged
    assert found.iterations < 40


def test_limits():
    system = poisson((16, 16))
    found = solve(system, "cg", tolerance=1e-10, max_iterations=5)
    assert (found.iterations, found.converged) == (5, False)
    assert "after 5 iterations, not within 1e-10" in found.status
    stalled = solve(system, "cg", tolerance=1e-18)
    assert not stalled.converged
    assert "Rounding" in stalled.status
    for wrong in (0.0, 1.0, -1e-3):
        with pytest.raises(ParameterError, match="lies between 0 and 1"):
            solve(system, "cg", tolerance=wrong)
    with pytest.raises(ParameterError, match="at least 1"):
        solve(system, "cg", max_iterations=0)


def test_an_indefinite_matrix_ends_with_a_sentence():
    A = scipy.sparse.diags_array(np.r_[np.ones(20), -1.0]).tocsr()
    system = LinearSystem(np.ones(21), None, A)
    with pytest.raises(DivergenceError, match="the matrix is indefinite"):
        solve(system, "cg", max_iterations=50)


def test_names_and_options():
    assert all(linear_solver(name).name == name for name in SOLVERS if name in [*ON_CELLS, "dst"])
    with pytest.raises(UnknownNameError, match="did you mean 'gamg'"):
        linear_solver("gam")
    with pytest.raises(OptionError, match="has no option 'sweep'; it has sweeps, precision"):
        linear_solver("gmg", sweep=1)
    with pytest.raises(OptionError, match="sweeps = 'many' of the linear solver gmg"):
        linear_solver("gmg", sweeps="many")
    assert linear_solver("gmg", sweeps="3").sweeps == 3
    with pytest.raises(OptionError, match="when making it"):
        solve(poisson((8, 8)), linear_solver("cg"), sweeps=2)


@pytest.mark.parametrize("name", ["gmg", "dst"])
def test_grids_without_cells_are_refused(name):
    with pytest.raises(UnsupportedError, match=f"{name} needs labelled cells"):
        solve(diffusion((8, 8), contrast=10), name)


def test_transforms_refuse_obstacles():
    with pytest.raises(UnsupportedError, match="dst needs a box without obstacles"):
        solve(poisson((32, 32), obstacles=3), "dst")


def test_nothing_global_changes():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    for name in ON_CELLS:
        solve(poisson((10, 10)), name)
    assert np.array_equal(np.random.get_state()[1], before)
