"""Fast diagonalisation as a linear solver: where it applies, that it agrees, how many iterations it takes."""

import numpy as np
import pytest
from ufl import conditional, cos, exp, grad, lt, sin

from sciml import Box, Dirichlet, Mean, Neumann, Problem, Robin, load_problem, solve
from sciml.errors import OptionError
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.discretisation import Discretisation

CONDITIONS = {
    "Dirichlet": [Dirichlet(on="boundary")],
    "one side": [Dirichlet(on="left"), Neumann(on=["right", "bottom", "top"])],
    "opposite sides": [Dirichlet(on=["bottom", "top"]), Neumann(on=["left", "right"])],
    "Robin": [Robin(alpha=2.0, on="left"), Neumann(on=["right", "bottom", "top"])],
}


def exact(x):
    return sin(x[0] + 0.3) * exp(x[1])


def both(problem, **options):
    """Solutions by fast diagonalisation and by a direct solver."""
    options = {"cell_type": "tensor", "measure_error": False} | options
    return [solve(problem, "fenics", linear_solver=name, **options) for name in ("fast_diagonalisation", "direct")]


def assert_agree(one, other, tolerance=1e-9):
    points = one.problem.domain.sample(50, np.random.default_rng(0))
    values = [s.evaluate(points, *([s.problem.time.end] if s.problem.evolves else [])) for s in (one, other)]
    assert np.abs(values[0] - values[1]).max() < tolerance * np.abs(values[1]).max()


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("name", CONDITIONS)
def test_constant_coefficients_take_one_iteration_or_two(poisson, name, degree):
    """Robin's term is not of the separable kind, and takes some more."""
    problem = poisson(exact=exact, conditions=CONDITIONS[name], domain=Box((0, 0), (2.0, 1.0)))
    fast, direct = both(problem, degree=degree, cells=9)
    assert_agree(fast, direct)
    assert fast.details["linear_solver"] == "fast diagonalisation-cg (symmetric positive law; as asked)"
    assert fast.details["linear_iterations"] <= (20 if name == "Robin" else 2)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_smooth_coefficients_in_all_dimensions(poisson, dim):
    problem = poisson(
        dim,
        exact=lambda x: sin(x[0]) * exp(x[dim - 1]),
        flux=lambda u, x: exp(3 * cos(2 * x[0])) * grad(u),
        reaction=lambda u: 5 * u,
    )
    fast, direct = both(problem, degree=1, cells=12)
    assert_agree(fast, direct)
    assert fast.details["linear_iterations"] < 25


def test_iterations_do_not_grow_with_the_mesh_nor_with_a_smooth_contrast():
    """Scaled where the coefficient is smooth (contrast about 70 and 5000), plain where it jumps by 4."""
    for name, parameters, most in (
        ("darcy/two_phase", {}, 30),
        ("darcy/log_normal", {}, 30),
        ("darcy/log_normal", {"deviation": 2.0}, 45),
    ):
        problem = load_problem(name, **parameters).with_member(0, 1)
        counts = []
        for cells in (32, 96):
            fast, _ = both(problem, degree=1, cells=cells)
            counts.append(fast.details["linear_iterations"])
        assert max(counts) < most
        assert abs(counts[1] - counts[0]) <= 4


def test_a_nonlinear_law_takes_it_where_asked(poisson):
    problem = poisson(exact=exact, flux=lambda u: (1 + u**2) * grad(u), reaction=lambda u: u**3)
    # Not symmetric: refused. Its energy's gradient is.
    with pytest.raises(OptionError, match="symmetric positive law"):
        both(problem, cells=4)
    convex = poisson(exact=exact, flux=lambda u: grad(u), reaction=lambda u: u**3)
    fast, direct = both(convex, degree=2, cells=8)
    assert_agree(fast, direct)


def test_steps_in_time_take_it():
    problem = load_problem("heat/sine")
    options = {"degree": 2, "cells": 10, "steps": 6}
    fast, direct = both(problem, **options)
    assert_agree(fast, direct)
    assert "fast diagonalisation" in fast.details["linear_solver"]


JUMP = {"flux": lambda u, x: conditional(lt(x[0] + x[1], 0.9), 1e5, 1.0) * grad(u)}


def test_too_many_iterations_hand_over_to_what_would_have_been_chosen_else(poisson):
    problem = poisson(**JUMP)
    chosen = solve(problem, degree=1, cells=80, cell_type="tensor", measure_error=False)
    assert chosen.details["linear_solver"] == (
        "MUMPS cholesky (symmetric positive law; 6561 unknowns, ≤ 400000 in 2-D; fast diagonalisation did not converge "
        "in 60 iterations)"
    )
    direct = solve(problem, degree=1, cells=80, cell_type="tensor", measure_error=False, linear_solver="direct")
    assert_agree(chosen, direct, 1e-12)
    asked = solve(
        problem, degree=1, cells=24, cell_type="tensor", measure_error=False, linear_solver="fast_diagonalisation"
    )
    assert asked.details["linear_iterations"] > 60


def test_it_is_chosen_from_the_mesh_and_the_law(poisson):
    def chosen(problem, **options):
        return solve(problem, degree=1, measure_error=False, **options).details["linear_solver"]

    assert "6561 unknowns on a grid" in chosen(poisson(), cells=80, cell_type="tensor")
    assert "MUMPS" in chosen(poisson(), cells=16, cell_type="tensor")
    assert "MUMPS" in chosen(poisson(), cells=80)
    assert "MUMPS" in chosen(poisson(reaction=lambda u: u.dx(0)), cells=80, cell_type="tensor")
    floating = poisson(load=lambda x: x[0] - 0.5, conditions=[Mean(0.0)])
    assert "MUMPS" in chosen(floating, cells=80, cell_type="tensor")
    nonlinear = poisson(reaction=lambda u: u**3)
    assert "MUMPS" in chosen(nonlinear, cells=80, cell_type="tensor")
    law = {"symmetric": True, "definite": True, "dim": 3, "n_dofs": 10**6}
    assert choose_linear_solver("auto", **law, lattice=True).instead.name == "gamg"


def test_where_it_does_not_apply_it_is_refused(poisson, bent_box):
    asked = {"linear_solver": "fast_diagonalisation", "measure_error": False}
    for problem, options in (
        (poisson(), {"cells": 4}),
        (poisson(reaction=lambda u: u.dx(0)), {"cells": 4, "cell_type": "tensor"}),
        (poisson(load=lambda x: x[0] - 0.5, conditions=[Mean(0.0)]), {"cells": 4, "cell_type": "tensor"}),
        (poisson(domain=bent_box(2, "tensor", 1)), {}),
    ):
        with pytest.raises(OptionError, match="linear_solver=fast_diagonalisation needs a scalar unknown"):
            solve(problem, **options, **asked)


def test_the_grid_knows_which_sides_are_held(poisson):
    def lattice(conditions, cells=(3, 4), degree=1, dim=2):
        problem = poisson(dim, conditions=conditions, exact=exact)
        return Discretisation(problem, problem.domain.mesh(cells, "tensor"), degree).lattice

    assert lattice(CONDITIONS["Dirichlet"]).shape == (2, 3)
    assert lattice(CONDITIONS["one side"]).shape == (3, 5)
    assert lattice(CONDITIONS["opposite sides"], degree=2).shape == (7, 7)
    assert lattice(CONDITIONS["Robin"]).shape == (4, 5)
    # One cell with all nodes held leaves nothing to solve.
    assert lattice(CONDITIONS["Dirichlet"], cells=(1, 4)) is None


def test_a_part_of_a_side_is_no_side(two_materials):
    """Data on some nodes of a side only."""
    problem = Problem(
        domain=two_materials(4, "tensor"), flux=lambda u: grad(u), load=1.0, conditions=[Dirichlet(0.0, on="x0-")]
    )
    assert Discretisation(problem, problem.domain.mesh(), 1).lattice is None
