"""What `analyse` says of laws about which everything is known."""

import numpy as np
import pytest
from ufl import (
    Identity,
    as_matrix,
    as_vector,
    conditional,
    div,
    dot,
    ds,
    dx,
    exp,
    grad,
    gt,
    inner,
    lt,
    max_value,
    sin,
    sqrt,
    sym,
)

from sciml import Box, Dirichlet, Mean, Neumann, Robin, coefficient, vector
from sciml.forms import analyse


def hooke(u):
    return 2 * sym(grad(u)) + div(u) * Identity(2)


def square(u):
    return inner(grad(u), grad(u))


# name: (declaration, linear, symmetric, monotone, constant coefficients, separable, order)
LAWS = {
    "Poisson": ({}, True, True, True, True, True, 2),
    "Poisson by energy": ({"energy": lambda u: square(u) / 2}, True, True, True, True, True, 2),
    "anisotropic": ({"flux": lambda u: as_vector([2 * u.dx(0), 3 * u.dx(1)])}, True, True, True, True, True, 2),
    "skewed": ({"flux": lambda u: dot(as_matrix([[2, 1], [1, 2]]), grad(u))}, True, True, True, True, False, 2),
    "unsymmetric": ({"flux": lambda u: dot(as_matrix([[2, 1], [-1, 2]]), grad(u))}, True, False, True, True, False, 2),
    "indefinite": ({"flux": lambda u: dot(as_matrix([[1, 2], [2, 1]]), grad(u))}, True, True, False, True, False, 2),
    "varying": ({"flux": lambda u, x: (1 + x[0]) * grad(u)}, True, True, True, False, False, 2),
    "varying along its axis": (
        {"flux": lambda u, x: as_vector([(1 + x[0]) * u.dx(0), exp(x[1]) * u.dx(1)])},
        True,
        True,
        True,
        False,
        True,
        2,
    ),
    "with reaction": ({"reaction": lambda u: 3 * u}, True, True, True, True, True, 2),
    "varying reaction": ({"reaction": lambda u, x: (1 + x[0]) * u}, True, True, True, False, False, 2),
    "Helmholtz": ({"reaction": lambda u: -9 * u}, True, True, False, True, True, 2),
    "advection": ({"reaction": lambda u: 2 * u.dx(0)}, True, False, False, True, True, 2),
    "advection in the flux": ({"flux": lambda u: grad(u) - u * as_vector([1, 0])}, True, False, False, True, True, 2),
    "no diffusion": ({"flux": lambda u: as_vector([u, 2 * u])}, True, False, False, True, True, 1),
    "quadratic diffusion": ({"flux": lambda u: (1 + u**2) * grad(u)}, False, False, False, False, False, 2),
    "cubic reaction": ({"reaction": lambda u: u**3}, False, True, True, False, False, 2),
    "backward cubic reaction": ({"reaction": lambda u: -(u**3)}, False, True, False, False, False, 2),
    "p-Laplace": ({"energy": lambda u: (0.1 + square(u)) ** 1.5}, False, True, True, False, False, 2),
    "minimal surface": ({"energy": lambda u: sqrt(1 + square(u))}, False, True, True, False, False, 2),
    "double well": ({"energy": lambda u: square(u) + (u**2 - 1) ** 2}, False, True, False, False, False, 2),
    "elasticity": ({"fields": {"d": vector}, "load": 0.0, "flux": hooke}, True, True, True, True, False, 2),
    "auxetic": (
        {"fields": {"d": vector}, "load": 0.0, "flux": lambda u: sym(grad(u)) - 2 * div(u) * Identity(2)},
        True,
        True,
        False,
        True,
        False,
        2,
    ),
    "rotating frame": (
        {"fields": {"d": vector}, "load": 0.0, "reaction": lambda u: as_vector([u[1], -u[0]])},
        True,
        False,
        True,
        True,
        False,
        2,
    ),
    "by parameter": (
        {"parameters": {"k": 2.0}, "flux": lambda u, p: p.k * grad(u)},
        True,
        True,
        True,
        True,
        True,
        2,
    ),
    "weak only": ({"weak": lambda u, v: inner(grad(u), grad(v)) * dx}, True, None, None, None, None, 2),
    "weak and nonlinear": (
        {"weak": lambda u, v: inner((1 + u**2) * grad(u), grad(v)) * dx},
        False,
        None,
        None,
        None,
        None,
        2,
    ),
}


@pytest.mark.parametrize(
    ("declared", "linear", "symmetric", "monotone", "constant", "separable", "order"), LAWS.values(), ids=LAWS
)
def test_laws(poisson, declared, linear, symmetric, monotone, constant, separable, order):
    facts = analyse(poisson(**declared)).as_dict()
    found = [facts[k] for k in ("linear", "symmetric", "monotone", "constant_coefficients", "separable", "order")]
    assert found == [linear, symmetric, monotone, constant, separable, order]
    assert facts["has_energy"] == ("energy" in declared)
    assert facts["has_strong_form"] == ("weak" not in declared)
    assert not facts["history"]
    assert not facts["has_exact"]


@pytest.mark.parametrize("dim", [1, 3, 10])
def test_poisson_in_any_dimension(poisson, dim):
    facts = analyse(poisson(dim)).facts()
    assert (facts.dim, facts.components, facts.order) == (dim, 1, 2)
    assert (facts.linear, facts.symmetric, facts.monotone, facts.constant_coefficients, facts.separable) == (True,) * 5


def test_a_mesh_has_no_separable_operator(poisson, bent_box):
    assert analyse(poisson(domain=bent_box(2))).separable is False


@pytest.mark.parametrize(
    ("conditions", "linear"),
    [
        (lambda u: [Robin(1.0, alpha=2.0, on="boundary")], True),
        (lambda u: [Robin(1.0, alpha=2 + u**2, on="boundary")], False),
        (lambda u: [Dirichlet(0.0, on="left"), Neumann(1 - u**4, on="right")], False),
        (lambda u: [Dirichlet(0.0, on="left"), Neumann(1 - u, on="right")], True),
    ],
)
def test_conditions_take_part_in_linearity(poisson, conditions, linear):
    assert analyse(poisson(conditions=conditions)).linear is linear


def test_boundary_terms_take_part_in_symmetry(poisson):
    def conditions(u):
        return [Dirichlet(0.0, on="bottom"), Neumann(as_vector([u[1], -2 * u[0]]), on="top")]

    assert analyse(poisson(fields={"d": vector}, load=0.0, conditions=conditions)).symmetric is False


@pytest.mark.parametrize("outflow", [lambda u: Robin(0.0, alpha=-3.0, on="top"), lambda u: Neumann(3 * u, on="top")])
def test_boundary_terms_take_part_in_monotonicity(poisson, outflow):
    conditions = lambda u: [Dirichlet(0.0, on="bottom"), outflow(u)]  # noqa: E731
    assert analyse(poisson(conditions=conditions)).monotone is False


FLUXES = {
    "smooth": (lambda u, x: (1 + sin(x[0])) * grad(u), True),
    "jump in x": (lambda u, x: conditional(lt(x[0], 0.3), 1.0, 2.0) * grad(u), False),
    "jump in a disc": (lambda u, x: conditional(lt(dot(x, x), 0.3), 1.0, 2.0) * grad(u), False),
    "kink in x": (lambda u, x: conditional(lt(x[0], 0.3), x[0], 0.6 - x[0]) * grad(u), True),
    "jump in u": (lambda u: conditional(gt(u, 0.1), 1.0, 2.0) * grad(u), False),
    "kink in u": (lambda u: conditional(gt(u, 0.1), u, 0.1) * grad(u), True),
    "jump in the slope": (lambda u: conditional(gt(u.dx(0), 0.1), 1.0, 2.0) * grad(u), False),
    "maximum": (lambda u: max_value(u, 0.1) * grad(u), True),
    "absolute value": (lambda u, x: abs(x[0] - 0.5) * grad(u), True),
    "always the same branch": (lambda u, x: conditional(lt(x[0], 7.0), 1.0, 2.0) * grad(u), True),
}


@pytest.mark.parametrize(("flux", "smooth"), FLUXES.values(), ids=FLUXES)
def test_conditionals_that_jump_and_that_do_not(poisson, flux, smooth):
    analysis = analyse(poisson(flux=flux))
    assert analysis.smooth_coefficients is smooth
    assert (analysis.strong_form_obstacle is None) is smooth
    if not smooth:
        assert "its flux is discontinuous (a conditional)" in analysis.strong_form_obstacle


def test_a_small_inclusion_jumps_too(poisson):
    def flux(u, x):
        return conditional(lt((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2, 0.01**2), 10.0, 1.0) * grad(u)

    assert analyse(poisson(flux=flux)).smooth_coefficients is False


def test_discontinuous_coefficients_are_named(poisson, two_materials):
    jumps = poisson(
        domain=two_materials(),
        coefficients={"conductivity": coefficient({"steel": 1.0, "wood": 2.0}), "heat": coefficient(lambda x: x[:, 0])},
        flux=lambda u, p: p.conductivity * grad(u),
        load=lambda p: p.heat,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    assert analyse(jumps).discontinuities == ["coefficient 'conductivity'"]
    assert "coefficient 'conductivity'" in analyse(jumps).strong_form_obstacle
    smooth = coefficient(lambda x: x[:, 0], gradient=lambda x: 0 * x + [1, 0])
    assert analyse(poisson(coefficients={"k": smooth}, flux=lambda u, p: (1 + p.k) * grad(u))).smooth_coefficients


def free(poisson, conditions, **changes):
    return analyse(poisson(conditions=conditions, **({"load": 0.0} | changes))).free_modes


@pytest.mark.parametrize(
    ("conditions", "changes", "modes"),
    [
        ([], {}, 1),
        ([Neumann(1.0, on="boundary")], {}, 1),
        ([Neumann(1.0, on="left"), Mean(0.0)], {}, 1),
        ([Dirichlet(1.0, on="left")], {}, 0),
        ([Robin(1.0, alpha=2.0, on="top")], {}, 0),
        ([Robin(1.0, alpha=0.0, on="top")], {}, 1),
        ([], {"reaction": lambda u: u}, 0),
        ([], {"reaction": lambda u: u.dx(0)}, 1),
        ([], {"reaction": lambda u: 1e-6 * u}, 0),
    ],
)
def test_what_holds_a_scalar(poisson, conditions, changes, modes):
    assert free(poisson, conditions, **changes) == ["the constant"] * modes


BODY = {"fields": {"d": vector}, "flux": hooke}


@pytest.mark.parametrize(
    ("conditions", "modes"),
    [
        ([], {"translation of component 0", "translation of component 1", "rotation in the x0-x1 plane"}),
        ([Dirichlet(0.0, on="left")], set()),
        ([Dirichlet(0.0, on="left", component=0)], {"translation of component 1"}),
        ([Dirichlet(0.0, on="left", component=0), Dirichlet(0.0, on="bottom", component=1)], set()),
        ([Dirichlet(0.0, on="boundary", component=0)], {"translation of component 1"}),
        ([Robin((0.0, 0.0), alpha=1.0, on="left")], set()),
    ],
)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_what_holds_a_body(poisson, conditions, modes, size):
    domain = Box((size, size), (2 * size, 2 * size))
    assert set(free(poisson, conditions, domain=domain, **BODY)) == modes


@pytest.mark.parametrize(
    "size",
    [
        1.0,
        1e6,
    ],
)
def test_a_body_held_across_one_side_still_turns(poisson, size):
    """u_y = 0 on the left leaves the shift along x and the rotation round a point of that side."""
    modes = free(poisson, [Dirichlet(0.0, on="left", component=1)], domain=Box((0, 0), (size, size)), **BODY)
    assert set(modes) == {"translation of component 0", "rotation in the x0-x1 plane"}


def test_a_clamped_body_of_a_nanometre_is_held(poisson):
    assert free(poisson, [Dirichlet(0.0, on="left")], domain=Box((0, 0), (1e-9, 1e-9)), **BODY) == []


def test_rotations_in_three_dimensions(poisson):
    body = {"fields": {"d": vector}, "flux": lambda u: sym(grad(u)), "domain": Box((0,) * 3, (1,) * 3)}
    assert len(free(poisson, [], **body)) == 6
    sliding = [Dirichlet(0.0, on=side, component=axis) for axis, side in enumerate(("left", "bottom", "front"))]
    assert free(poisson, sliding, **body) == []
    assert free(poisson, sliding[:2], **body) == ["translation of component 2"]


def test_a_flux_that_depends_on_the_unknown_holds_it(poisson):
    assert free(poisson, lambda u: [Neumann(1 - u**4, on="boundary")]) == []


def test_a_law_that_is_finite_nowhere_is_refused(poisson):
    with pytest.raises(ValueError, match="not finite"):
        analyse(poisson(flux=lambda u: sqrt(-1 - u**2) * grad(u))).monotone  # noqa: B018


def test_findings_are_cached_and_plain(poisson):
    problem = poisson()
    assert analyse(problem) is analyse(problem)
    assert all(value is None or isinstance(value, (bool, int)) for value in analyse(problem).as_dict().values())
    assert not any(isinstance(value, np.generic) for value in analyse(problem).as_dict().values())


def test_a_copy_is_analysed_for_its_own_values(poisson):
    problem = poisson(parameters={"k": 1.0}, reaction=lambda u, p: p.k * u)
    assert analyse(problem).monotone
    assert not analyse(problem.with_parameters(k=-1.0)).monotone
    assert analyse(problem).monotone


def test_boundary_quantities_do_not_matter(poisson):
    assert analyse(poisson(quantities=lambda u, n: {"flux": dot(grad(u), n) ** 2 * ds})).linear
