"""Orders of convergence on smooth problems: p + 1 in L2 and p in H1."""

import numpy as np
import pytest
from ufl import Identity, as_vector, cos, exp, grad, inner, sin, sqrt, sym, tr

from sciml import Dirichlet, Neumann, Robin, solve, vector

# (dim, degree) → cells per axis of the two meshes, and the largest relative L2 error allowed on the second.
MESHES = {
    (1, 1): (16, 32, 2e-3),
    (1, 2): (8, 16, 5e-5),
    (1, 3): (8, 16, 1e-6),
    (2, 1): (16, 32, 2e-3),
    (2, 2): (8, 16, 1e-4),
    (2, 3): (6, 12, 5e-6),
    (3, 1): (10, 16, 1e-2),
    (3, 2): (5, 8, 2e-3),
    (3, 3): (3, 5, 5e-4),
}


def rates(problem, degree, cells, cell_type="simplex", **options):
    """Observed orders in L2 and H1 between two meshes, and the relative L2 error on the finer one."""
    errors = [
        solve(problem, degree=degree, cells=n, cell_type=cell_type, measure_error=False, **options).error()
        for n in cells
    ]
    coarse, fine = (np.array([e.relative_l2, e.relative_h1]) for e in errors)
    return np.log(coarse / fine) / np.log(cells[1] / cells[0]), fine[0]


def check(problem, degree, cell_type="simplex", meshes=None, **options):
    *cells, bound = meshes or MESHES[problem.dim, degree]
    observed, error = rates(problem, degree, cells, cell_type, **options)
    np.testing.assert_allclose(observed, [degree + 1, degree], atol=0.15)
    assert error < bound


def smooth(x):
    """A smooth function of size one without symmetry."""
    return sin(1.5 * x[0] + 0.4) * (exp(0.5 * x[1]) if len(x) > 1 else 1.0) * (cos(x[2]) if len(x) > 2 else 1.0)


def smooth_vector(x):
    return as_vector([sin(x[0] + 2 * x[1]), exp(0.5 * x[0]) * cos(x[1]), *([x[0] * sin(x[2])] if len(x) > 2 else [])])


def hooke(u):
    strain = sym(grad(u))
    return 2 * strain + 1.5 * tr(strain) * Identity(u.ufl_shape[0])


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize(
    ("dim", "degree"), [pytest.param(d, p, marks=pytest.mark.slow) if d == 3 and p > 1 else (d, p) for d, p in MESHES]
)
def test_poisson(poisson, dim, degree, cell_type):
    check(poisson(dim, exact=smooth), degree, cell_type)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_mixed_conditions(poisson, degree):
    """Dirichlet, Neumann and Robin data that vary along the sides, a coefficient and a reaction."""
    kinds = [Dirichlet(on="left"), Neumann(on=["right", "bottom"]), Robin(alpha=lambda x: 1 + x[0], on="top")]
    problem = poisson(
        exact=smooth, flux=lambda u, x: exp(x[0] * x[1]) * grad(u), reaction=lambda u, x: x[1] * u, conditions=kinds
    )
    check(problem, degree)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_advection(poisson, degree):
    problem = poisson(exact=smooth, flux=lambda u: 0.5 * grad(u) - u * as_vector([1.0, 0.5]))
    check(problem, degree)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_quadratic_diffusion(poisson, degree, cell_type):
    check(poisson(exact=smooth, flux=lambda u: (1 + u**2) * grad(u)), degree, cell_type)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_minimal_surface(poisson, degree):
    check(poisson(exact=smooth, energy=lambda u: sqrt(1 + inner(grad(u), grad(u)))), degree)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_elasticity(poisson, degree, cell_type):
    conditions = [Dirichlet(on=["left", "bottom"]), Neumann(on=["right", "top"])]
    problem = poisson(fields={"d": vector}, flux=hooke, exact=smooth_vector, conditions=conditions)
    check(problem, degree, cell_type)


@pytest.mark.slow
@pytest.mark.parametrize("degree", [1, 2])
def test_elasticity_in_three_dimensions(poisson, degree):
    check(poisson(3, fields={"d": vector}, flux=hooke, exact=smooth_vector), degree)


def test_degree_four(poisson):
    check(poisson(exact=smooth), 4, meshes=(4, 8, 5e-7))


@pytest.mark.slow
def test_degree_four_on_bricks(poisson):
    check(poisson(3, exact=smooth), 4, "tensor", meshes=(2, 4, 2e-5))
