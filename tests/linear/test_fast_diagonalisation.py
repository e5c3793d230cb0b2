"""Fast diagonalisation against dense Kronecker products: exact, for all conditions, in one to three dimensions."""

from functools import reduce
from itertools import product

import numpy as np
import pytest

from sciml.linear import EvenAxis, FastDiagonalisation, GeneralAxis, element_matrices, nearest_coefficients

HELD = list(product((False, True), repeat=2))
NODES = {1: [0.0, 1.0], 2: [0.0, 0.5, 1.0], 3: [0.0, 0.5 - 0.05**0.5, 0.5 + 0.05**0.5, 1.0]}


def line(cells, length, held, degree=1):
    """K and M without the ends that are held."""
    free = slice(held[0], None if not held[1] else -1)
    return [matrix[free, free] for matrix in element_matrices(cells, length, np.array(NODES[degree]))]


def dense(lines, stiffness, mass):
    """Σ aᵢ Kᵢ ⊗ M + c M ⊗ M as one matrix."""
    masses = [m for _, m in lines]
    out = mass * reduce(np.kron, masses)
    for i, a in enumerate(stiffness):
        out = out + a * reduce(np.kron, [*masses[:i], lines[i][0], *masses[i + 1 :]])
    return out


def problem(dim, held, kind, seed=0):
    """Axes with their matrices; sizes and lengths differ between them."""
    sizes = [(5, 1.0), (4, 0.3), (3, 2.0)][:dim]
    lines = [line(n, length, held) for n, length in sizes]
    axes = [EvenAxis(n, length, held) for n, length in sizes] if kind == "even" else [GeneralAxis(*m) for m in lines]
    return axes, lines, np.random.default_rng(seed)


@pytest.mark.parametrize("kind", ["even", "general"])
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_inverse_is_that_of_the_dense_matrix(dim, held, kind):
    axes, lines, generator = problem(dim, held, kind)
    a, c = (2.0, 0.7, 5.0)[:dim], 1.3
    fast, matrix = FastDiagonalisation(axes, a, c), dense(lines, a, c)
    b = generator.standard_normal(fast.shape)
    x = np.linalg.solve(matrix, b.ravel())
    np.testing.assert_allclose(fast.solve(b).ravel(), x, rtol=0, atol=1e-12 * np.abs(x).max())
    np.testing.assert_allclose(fast.diagonal.ravel(), np.diag(matrix), rtol=1e-13)


@pytest.mark.parametrize("kind", ["even", "general"])
@pytest.mark.parametrize("held", HELD)
def test_an_axis_diagonalises_stiffness_and_mass_together(held, kind):
    (axis,), ((stiffness, mass),), _ = problem(1, held, kind)
    vectors = axis.synthesise(np.eye(len(axis)), 0)
    np.testing.assert_allclose(vectors.T @ mass @ vectors, np.eye(len(axis)), atol=1e-13)
    np.testing.assert_allclose(
        vectors.T @ stiffness @ vectors, np.diag(axis.eigenvalues), atol=1e-12 * axis.eigenvalues.max()
    )
    np.testing.assert_allclose(axis.analyse(np.eye(len(axis)), 0), vectors.T, atol=1e-13)
    np.testing.assert_allclose(axis.mode(1), vectors[:, 1], atol=1e-15)
    assert (np.diff(axis.eigenvalues) > 0).all()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_element_matrices_integrate_polynomials_exactly(degree):
    """∫ f g and ∫ f′ g′ over (0, 2) for f = x^p, g = x."""
    nodes = np.array(NODES[degree])
    stiffness, mass = element_matrices(3, 2.0, nodes)
    cell = np.arange(3)[:, None] + nodes
    x = np.append(cell[:, :-1].ravel(), 3.0) * 2 / 3
    p = degree
    np.testing.assert_allclose(x**p @ mass @ x, 2.0 ** (p + 2) / (p + 2), rtol=1e-13)
    np.testing.assert_allclose(x**p @ stiffness @ x, 2.0**p, rtol=1e-13)


@pytest.mark.parametrize(("held", "mass"), [(h, m) for h in HELD for m in (0.0, 40.0) if any(h) or m])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_constant_coefficients_are_found_from_products_with_the_matrix(dim, held, mass):
    axes, lines, _ = problem(dim, held, "even")
    a = (2.0, 0.7, 5.0)[:dim]
    matrix = dense(lines, a, mass)
    found, c = nearest_coefficients(axes, lambda x: (matrix @ x.ravel()).reshape(x.shape))
    np.testing.assert_allclose([*found, c], [*a, mass], rtol=1e-9, atol=1e-9)


def test_one_unknown_along_an_axis_still_gives_a_preconditioner():
    axes = [EvenAxis(2, 1.0, (True, True)), EvenAxis(9, 1.0, (True, True))]
    lines = [line(2, 1.0, (True, True)), line(9, 1.0, (True, True))]
    matrix = dense(lines, (3.0, 2.0), 0.0)
    a, c = nearest_coefficients(axes, lambda x: (matrix @ x.ravel()).reshape(x.shape))
    fast = FastDiagonalisation(axes, a, c)
    b = np.random.default_rng(0).standard_normal(fast.shape)
    np.testing.assert_allclose(fast.solve(b).ravel(), np.linalg.solve(matrix, b.ravel()), rtol=1e-10)


def test_a_singular_matrix_and_an_axis_without_unknowns_are_refused():
    natural = [EvenAxis(4, 1.0, (False, False))] * 2
    with pytest.raises(ValueError, match="not positive definite"):
        FastDiagonalisation(natural, (1.0, 1.0))
    with pytest.raises(ValueError, match="no unknown"):
        EvenAxis(1, 1.0, (True, True))
