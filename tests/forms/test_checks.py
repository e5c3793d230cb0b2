"""What is refused, or warned of, before any work starts."""

import math

import pytest
import ufl
from ufl import cos, exp, grad, inner, ln, pi, sin, sqrt, sym, tr

from sciml import Dirichlet, Mean, Neumann, PointValue, Robin, coefficient, ds, dx, vector
from sciml.errors import ConditionError, DeclarationError, DomainError, ScimlError, ScimlWarning
from sciml.forms import ContradictionWarning, check_problem

BODY = {"fields": {"d": vector}, "energy": lambda u: inner(sym(grad(u)), sym(grad(u))) + tr(grad(u)) ** 2, "load": 0.0}


def refuse(problem, message):
    with pytest.raises(ScimlError, match=message) as caught:
        check_problem(problem)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_sound_problem_passes_without_warnings(poisson, bent_box):
    assert check_problem(poisson()).linear
    check_problem(poisson(domain=bent_box(2), exact=lambda x: sin(x[0]) * x[1]))
    check_problem(poisson(10, exact=lambda x: exp(-inner(x, x))))


# -- conditions that leave the solution undetermined -----------------------------------------------------


@pytest.mark.parametrize("conditions", [[], [Neumann(0.0, on="left")]])
def test_pure_neumann_problems_need_a_mean_value(poisson, conditions):
    refuse(poisson(load=0.0, conditions=conditions), r"up to a constant; add Mean\(0\.0\) or a Dirichlet or Robin")
    assert check_problem(poisson(load=0.0, conditions=[*conditions, Mean(0.0)])).pure_neumann


@pytest.mark.parametrize("conditions", [[Dirichlet(0.0, on="left")], [Robin(0.0, alpha=1.0, on="top")]])
def test_a_mean_value_of_a_determined_problem_is_refused(poisson, conditions):
    refuse(poisson(conditions=[*conditions, Mean(0.0)]), "determined without it; remove Mean")


@pytest.mark.parametrize(
    "conditions",
    [[], [Neumann((0.0, 1.0), on="top")], [Dirichlet(0.0, on="left", component=0)]],
)
def test_bodies_that_float_are_refused(poisson, conditions):
    refuse(
        poisson(conditions=conditions, **BODY), "leave .*(translation|rotation).* undetermined; add Dirichlet or Robin"
    )


@pytest.mark.parametrize("value", [0.0, (1.0, 2.0)])
def test_a_mean_value_of_a_vector_is_refused(poisson, value):
    refuse(
        poisson(conditions=[Mean(value)], **BODY), "Mean fixes .* a scalar unknown; 'd' has 2 components: add Dirich"
    )


def test_a_load_in_balance_with_the_boundary_is_accepted(poisson):
    """∫ f = 1, and an outflow of ¼ on each side takes it away."""
    check_problem(poisson(load=1.0, conditions=[Neumann(-0.25, on="boundary"), Mean(0.0)]))
    check_problem(poisson(load=lambda x: cos(pi * x[0]), conditions=[Mean(0.0)]))
    check_problem(poisson(exact=lambda x: sin(x[0]) * x[1], conditions=[Neumann(on="boundary"), Mean(0.0)]))


@pytest.mark.parametrize(
    ("load", "conditions"),
    [(1.0, []), (1.0, [Neumann(-0.24, on="boundary")]), (0.0, [Neumann(1.0, on="left"), Neumann(-0.9, on="right")])],
)
def test_an_imbalance_is_refused(poisson, load, conditions):
    refuse(poisson(load=load, conditions=[*conditions, Mean(0.0)]), "must balance; their sum is")


def test_advection_takes_part_in_the_balance(poisson):
    """−Δu + ∂u/∂x = f with Neumann data of an exact solution."""
    check_problem(
        poisson(
            exact=lambda x: sin(x[0]) + x[1],
            reaction=lambda u: u.dx(0),
            conditions=[Neumann(on="boundary"), Mean(0.0)],
        )
    )


def test_radiation_needs_no_mean_value(poisson):
    check_problem(poisson(conditions=lambda u: [Neumann(1 - u**4, on="boundary")]))


# -- data that are not finite ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": lambda x: [Dirichlet(ln(x[0] - 2), on="top")]}, "Dirichlet on top: the value is not finite at"),
        ({"conditions": lambda x: [Dirichlet(0.0, on="left"), Neumann(1 / (x[0] - x[0]), on="top")]}, "Neumann on top"),
        ({"load": lambda x: sqrt(x[0] - 0.9)}, "load of .* is not finite inside the domain"),
        ({"flux": lambda u: sqrt(-1 - u**2) * grad(u)}, "flux of .* is not finite at any state"),
    ],
)
def test_data_that_are_not_finite_are_refused(poisson, changes, message):
    refuse(poisson(**changes), message)


def test_an_exchange_coefficient_that_is_not_finite_is_refused(poisson):
    conditions = lambda x: [Robin(0.0, alpha=ln(x[0] - 2), on="top")]  # noqa: E731
    refuse(poisson(conditions=conditions), "Robin on top.* not finite")


@pytest.mark.parametrize(("value", "word"), [(lambda u, n: u**2, "unknown"), (lambda u, n: n[0], "normal")])
def test_boundary_values_are_functions_of_the_place(poisson, value, word):
    refuse(poisson(conditions=lambda u, n: [Dirichlet(value(u, n), on="boundary")]), f"Dirichlet .* {word}")


def test_a_mean_value_does_not_depend_on_the_place(poisson):
    refuse(poisson(load=0.0, conditions=lambda x: [Mean(x[0])]), "mean")
    refuse(poisson(load=0.0, conditions=lambda n: [Mean(n[0])]), "mean")


# -- corners ---------------------------------------------------------------------------------------------


def test_contradictions_in_corners_warn_and_do_not_raise(poisson):
    problem = poisson(conditions=[Dirichlet(0.0, on="left"), Dirichlet(1.0, on=["top", "bottom"])])
    with pytest.warns(
        ContradictionWarning, match=r"Dirichlet on left and Dirichlet on top, bottom contradict"
    ) as caught:
        check_problem(problem)
    assert len(caught) == 1
    assert "(0 and 1); the one declared last holds there" in str(caught[0].message)
    assert issubclass(ContradictionWarning, ScimlWarning)


def test_contradictions_are_looked_for_component_by_component(poisson):
    apart = [Dirichlet(0.0, on="left", component=0), Dirichlet(1.0, on="top", component=1)]
    check_problem(poisson(conditions=[*apart, Dirichlet(0.0, on="right", component=0)], **BODY))
    with pytest.warns(ContradictionWarning, match="component 0 .* contradict"):
        check_problem(poisson(conditions=[*apart, Dirichlet((1.0, 1.0), on="bottom")], **BODY))


def test_values_that_agree_in_the_corner_do_not_warn(poisson):
    check_problem(poisson(conditions=lambda x: [Dirichlet(x[1], on="left"), Dirichlet(1 + x[0], on="top")]))
    check_problem(poisson(conditions=[Dirichlet(0.0, on="left"), Neumann(1.0, on="top")]))


def test_zero_up_to_rounding_is_zero(poisson):
    """sin π is 1.2e-16 in floating point."""
    check_problem(
        poisson(conditions=lambda x: [Dirichlet(sin(pi * x[0]), on="bottom"), Dirichlet(0.0, on=["left", "right"])])
    )


def test_contradictions_between_the_corners_of_an_edge(poisson):
    conditions = lambda x: [Dirichlet(sin(2 * pi * x[2]), on="left"), Dirichlet(0.0, on="top")]  # noqa: E731
    with pytest.warns(ContradictionWarning, match="left and Dirichlet on top"):
        check_problem(poisson(3, conditions=conditions))


@pytest.mark.parametrize(
    "size",
    [
        1.0,
        1e6,
        1e-9,
    ],
)
def test_contradictions_in_any_unit(poisson, size):
    """A displacement of a nanometre in metres contradicts zero as much as one in nanometres does."""
    problem = poisson(load=0.0, conditions=[Dirichlet(size, on="left"), Dirichlet(0.0, on="top")])
    with pytest.warns(ContradictionWarning):
        check_problem(problem)


def test_contradictions_on_a_mesh(poisson, two_materials):
    problem = poisson(domain=two_materials(), conditions=[Dirichlet(0.0, on="x0-"), Dirichlet(1.0, on="x1+")])
    with pytest.warns(ContradictionWarning, match=r"at \[0\.0, 1\.0\]"):
        check_problem(problem)


# -- quantities of interest ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        (lambda u: {"q": u * dx("steel")}, "'q' there is the region 'steel'; this domain has: none"),
        (lambda u: {"q": u * ds("lid")}, "no boundary named 'lid'; this domain has: boundary, x0-"),
        (lambda u: {"q": u * ufl.ds(3)}, "part 3; parts go by name"),
        (lambda u: {"tip": PointValue(u, at=(3.0, 0.5))}, r"'tip' asks for the point \[3\.0, 0\.5\], outside"),
        (lambda u: {"tip": PointValue(u, at=(math.nan, 0.5))}, "'tip'"),
    ],
)
def test_quantities_of_what_does_not_exist_are_refused(poisson, quantities, message):
    refuse(poisson(quantities=quantities), message)


@pytest.mark.parametrize("part", ["flux", "reaction", "load", "energy", "exact", "weak", "integral", "point"])
def test_the_normal_inside_of_the_domain_is_refused(poisson, part):
    """It is an argument of conditions and quantities, and can be had from UFL anywhere."""
    normal = ufl.FacetNormal(poisson().abstract_mesh)
    changes = {
        "flux": {"flux": lambda u: u * normal},
        "reaction": {"reaction": lambda u: u * normal[0]},
        "load": {"load": normal[0]},
        "energy": {"energy": lambda u: u**2 * normal[0]},
        "exact": {"exact": normal[0]},
        "weak": {"weak": lambda u, v: inner(ufl.dot(grad(u), normal), v) * dx},
        "integral": {"quantities": lambda u, n: {"q": ufl.dot(grad(u), n) * dx}},
        "point": {"quantities": lambda u, n: {"q": PointValue(ufl.dot(grad(u), n), at=(0.5, 1.0))}},
    }
    refuse(poisson(**changes[part]), "normal")


def test_interior_facets_are_refused(poisson):
    refuse(poisson(quantities=lambda u: {"q": u("+") * ufl.dS}), "interior")


# -- laws ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energy": lambda u: grad(u)}, r"`energy`.*shape \(2,\), needed is \(\)"),
        ({"flux": lambda u: u}, r"`flux`.*shape \(\), needed is \(2,\)"),
        ({"conditions": [Dirichlet(0.0, on="lid")]}, "no boundary named 'lid'; this domain has: boundary, x0-, x0"),
        ({"conditions": [Dirichlet(0.0, on="left"), Dirichlet(1.0, on="x0-")]}, "Two conditions hold on the same"),
        ({"flux": lambda u: grad(inner(grad(u), grad(u)))}, "second derivatives"),
        ({"reaction": lambda u: ufl.bessel_J(0, u)}, "BesselJ"),
    ],
)
def test_laws_and_names(poisson, changes, message):
    refuse(poisson(**changes), message)


@pytest.mark.parametrize(
    "law",
    [
        {"flux": lambda u: 0 * grad(u)},
        {"flux": lambda x: grad(x[0] ** 2)},
        {"energy": lambda u, x: x[0] * u},
        {"weak": lambda v, x: x[0] * v * dx},
    ],
)
def test_a_law_without_the_unknown_is_refused(poisson, law):
    refuse(poisson(**law), "law of <Problem> does not contain the unknown 'u'")


@pytest.mark.parametrize("error", [ConditionError, DeclarationError, DomainError])
def test_errors_are_value_errors_too(error):
    assert issubclass(error, ValueError)
    assert issubclass(error, ScimlError)


def test_a_weak_form_is_checked_as_far_as_it_can_be(poisson):
    weak = lambda u, v: inner(grad(u), grad(v)) * dx  # noqa: E731
    assert check_problem(poisson(weak=weak)).weak_only
    with pytest.warns(ContradictionWarning):
        check_problem(poisson(weak=weak, conditions=[Dirichlet(0.0, on="left"), Dirichlet(1.0, on="top")]))
    refuse(poisson(weak=weak, conditions=lambda x: [Dirichlet(ln(x[0] - 2), on="top")]), "not finite")
    refuse(poisson(weak=lambda u, v: inner(grad(u), grad(v)) * dx("steel")), "weak there is the region 'steel'")


def test_coefficients_that_do_not_fit_are_refused(poisson, two_materials):
    law = lambda u, p: p.k * grad(u)  # noqa: E731
    refuse(
        poisson(domain=two_materials(), coefficients={"k": coefficient({"brass": 1.0})}, flux=law),
        "names the region 'brass'",
    )
    refuse(poisson(coefficients={"k": coefficient({"steel": 1.0})}, flux=law), "box has no regions")


def test_a_box_in_ten_dimensions_is_checked_quickly(poisson):
    analysis = check_problem(poisson(10, exact=lambda x: exp(-10 * inner(x, x))))
    assert analysis.order == 2
    assert not analysis.free_modes


# -- manufactured loads that are no functions -------------------------------------------------------------


def layers(place):
    """Conductivity 1 on one side of a surface and 10 on the other."""
    return {"flux": lambda u, x: ufl.conditional(ufl.lt(place(x), 0), 1.0, 10.0) * grad(u)}


def plane(x):
    return x[0] - 0.5


def circle(x):
    return (x[0] + 1) ** 2 + (x[1] + 1) ** 2 - 4


@pytest.mark.parametrize(
    ("dim", "exact", "law"),
    [
        (1, lambda x: ufl.min_value(x[0], 0.3), {}),
        (2, lambda x: abs(x[0] - 0.5), {}),
        (3, lambda x: abs(x[0] + x[1] - x[2] - 0.3), {}),
        (2, lambda x: x[0] ** 2, layers(plane)),
        (2, lambda x: sqrt((x[0] + 1) ** 2 + (x[1] + 1) ** 2), layers(circle)),
    ],
)
def test_an_exact_solution_whose_flux_jumps(poisson, dim, exact, law):
    refuse(poisson(dim, exact=exact, **law), "flux of `exact` jumps at .* declare the load")


@pytest.mark.parametrize(
    ("exact", "law"),
    [
        (lambda x: abs(x[0] - 0.5) ** 3, {}),
        (lambda x: ufl.tanh(100 * plane(x)), {}),
        (lambda x: exp(-1e5 * plane(x) ** 2), {}),
        (lambda x: ufl.conditional(ufl.lt(plane(x), 0), 10 * x[0], 4.5 + x[0]), layers(plane)),
        (lambda x: x[1], layers(plane)),
        (lambda x: ufl.atan2(x[1] + 1, x[0] + 1), layers(circle)),
    ],
)
def test_an_exact_solution_whose_normal_flux_is_continuous(poisson, exact, law):
    check_problem(poisson(exact=exact, **law))
