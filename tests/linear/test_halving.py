"""Two levels for elements of the second degree: what they promise of any cycle below, and the shipped ones."""

import numpy as np
import pytest
import scipy.sparse

from sciml.errors import UnsupportedError
from sciml.linear import linear_solver, solve
from sciml.linear.halving import EverySecond
from sciml.linear.krylov import LinearSolver, Prepared
from sciml.linear.learned import LearnedMultigrid
from sciml.linear.systems import LinearSystem, from_matrix


def line(cells):
    """Stiffness and mass of quadratic elements on (0, 1) without its ends, and the way from the vertices inside."""
    stiff, mass = (np.zeros((2 * cells + 1,) * 2) for _ in range(2))
    for k in range(cells):
        own = np.ix_(*[range(2 * k, 2 * k + 3)] * 2)
        stiff[own] += cells / 3 * np.array([[7, -8, 1], [-8, 16, -8], [1, -8, 7]])
        mass[own] += 1 / (30 * cells) * np.array([[4, 2, -1], [2, 16, 2], [-1, 2, 4]])
    way = np.zeros((2 * cells + 1, cells + 1))
    way[::2] = np.eye(cells + 1)
    way[1::2] = (way[:-1:2] + way[2::2]) / 2
    return stiff[1:-1, 1:-1], mass[1:-1, 1:-1], scipy.sparse.csr_array(way[1:-1, 1:-1])


def quadratic(nx, ny):
    (kx, mx, px), (ky, my, py) = line(nx), line(ny)
    matrix = scipy.sparse.csr_array(np.kron(kx, my) + np.kron(mx, ky))
    return from_matrix(matrix, np.random.default_rng(0).normal(size=matrix.shape[0])), [px, py]


def matrix_of(prepared, n):
    return np.stack([prepared.apply(e) for e in np.eye(n)], axis=1)


def test_the_cycle_is_symmetric_definite_and_contracts():
    system, ways = quadratic(8, 6)
    prepared = EverySecond(linear_solver("learned_mg", precision="float64"), ways).setup(system)
    B, A = matrix_of(prepared, system.size), system.matrix.toarray()
    assert np.abs(B - B.T).max() < 1e-9 * np.abs(B).max()
    root = np.linalg.cholesky(A)
    values = np.linalg.eigvalsh(root.T @ ((B + B.T) / 2) @ root)
    assert values[0] > 0.3
    assert values[-1] < 1 + 1e-9


@pytest.mark.parametrize("network", ["learned_mg_2d", "untrained"])
def test_iterations_hardly_grow_with_the_grid(network):
    counts = []
    for n in (12, 48):
        system, ways = quadratic(n, n)
        found = solve(system, EverySecond(LearnedMultigrid(network=network), ways), tolerance=1e-8)
        assert found.converged
        assert np.linalg.norm(system.rhs - system.matrix @ found.x) <= 1.001e-8 * np.linalg.norm(system.rhs)
        counts.append(found.iterations)
    assert counts[1] <= counts[0] + 4
    assert counts[1] <= 14


class _Turned(LinearSolver):
    """Exact directions of a wrong and changing length."""

    name, title = "turned", "exact directions of a wrong length"

    def setup(self, system: LinearSystem) -> Prepared:
        inverse = np.linalg.inv(system.matrix.toarray())

        class Directions(Prepared):
            symmetric, flexible = False, True

            def apply(self, r):
                return inverse @ r * (37.0 / np.linalg.norm(r))

        return Directions()


def test_a_solver_that_gives_directions_alone_counts_by_its_directions():
    system, ways = quadratic(8, 6)
    exact = EverySecond(linear_solver("learned_mg", precision="float64"), ways).setup(system)
    turned = EverySecond(_Turned(), ways).setup(system)
    r = np.random.default_rng(1).normal(size=system.size)
    # Eight by six cells are solved exactly below by the first.
    np.testing.assert_allclose(turned.apply(r), exact.apply(r), rtol=1e-9, atol=1e-12)


def test_it_takes_no_network_of_another_dimension():
    system, ways = quadratic(8, 6)
    with pytest.raises(UnsupportedError, match="trained for 3 axes"):
        EverySecond(LearnedMultigrid(network="learned_mg_3d"), ways).setup(system)
