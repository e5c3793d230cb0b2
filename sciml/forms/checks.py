"""Checks of a declaration that need no solver: made before any work starts."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import ufl

from sciml.errors import ConditionError, DeclarationError, OptionError, ScimlWarning
from sciml.forms.advection import entering_without_data, leaving_with_data
from sciml.forms.analyse import Analysis, analyse
from sciml.forms.balance import balance, rows_with_flux
from sciml.forms.contradictions import contradictions
from sciml.forms.discontinuities import broken_flux
from sciml.forms.free_modes import constant_modes
from sciml.forms.linearised import random_states
from sciml.forms.lowering import depends_on, lower, nodes
from sciml.forms.pointwise import condition_value, number, pointwise
from sciml.problem import Condition, Dirichlet, Neumann, Periodic, PointValue, Problem, Robin

__all__ = ["ContradictionWarning", "OutflowWarning", "check_degree", "check_problem"]

_IMBALANCE = 1e-3


class ContradictionWarning(ScimlWarning):
    """Boundary data that contradict each other where two parts meet."""


class OutflowWarning(ScimlWarning):
    """Boundary data where a law without diffusion lets the solution out: one condition too many."""


def check_degree(problem: Problem, degree: int) -> None:
    """Refuse a degree that leaves a field without one.

    Raises
    ------
    OptionError
    """
    for slot in problem.layout:
        least = 0 if slot.kind.family == "DG" else 1
        if degree - slot.kind.lower < least:
            raise OptionError(
                f"degree={degree} leaves {slot.name!r} ({slot.kind.family} elements, {slot.kind.lower} lower) a degree "
                f"of {degree - slot.kind.lower}; take degree={least + slot.kind.lower} or more."
            )


def check_problem(problem: Problem) -> Analysis:
    """Check everything that can be checked without solving.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Analysis

    Raises
    ------
    ConditionError
        Conditions that leave the solution undetermined or determine it twice, data that are not finite, a pure
        Neumann problem whose load and boundary fluxes do not balance, a first-order law without data at its inflow.
    DeclarationError
        A law that does not fit together.

    Warns
    -----
    ContradictionWarning
        Two Dirichlet conditions with different values in a shared corner.
    OutflowWarning
        Dirichlet data, other than those of `exact`, where a law without diffusion carries the solution out.
    """
    problem.declaration  # noqa: B018  evaluates and checks shapes
    problem.boundary_pieces  # noqa: B018
    _check_law_contains_unknown(problem)
    analysis = analyse(problem)
    _check_data(problem)
    _check_fluxes(problem, analysis)
    _check_law_is_finite(problem, analysis)
    _check_manufactured_load(problem, analysis)
    _check_determined(problem, analysis)
    _check_inflow(problem)
    _check_points(problem)
    _warn_of_contradictions(problem)
    _warn_of_outflow(problem)
    return analysis


def _check_data(problem: Problem) -> None:
    generator = np.random.default_rng(0)
    for piece in problem.boundary_pieces:
        points, normals = piece.part.sample(32, generator)
        for component, condition in enumerate(piece.conditions):
            if (
                condition is None
                or isinstance(condition, Periodic)
                or (problem.declaration.weak is not None and condition.value is None)
            ):
                continue
            if isinstance(condition, Robin) and not _depends_on_u(problem, condition.alpha):
                _finite(condition, "coefficient", pointwise(problem, condition.alpha).at(points, normals), points)
            if _depends_on_u(problem, condition.value):
                if isinstance(condition, Dirichlet):
                    raise ConditionError(f"{condition}: the value contains the unknown; give it as a function of x.")
                continue
            data = condition_value(problem, condition, component)
            if isinstance(condition, Dirichlet) and data.program.uses_normal:
                raise ConditionError(f"{condition}: the value contains the normal; give it as a function of x.")
            _finite(condition, "value", data.at(points, normals), points)


def _check_fluxes(problem: Problem, analysis: Analysis) -> None:
    """What prescribes a flux needs a field whose law has one."""
    if analysis.weak_only or len(problem.layout) == 1:
        return
    with_flux = rows_with_flux(problem)
    for condition in problem.declaration.conditions:
        own = condition.components(problem.n_components)
        if not isinstance(condition, Dirichlet) and not any(with_flux[c] for c in own):
            raise ConditionError(
                f"{condition} prescribes a flux, and the law of {condition.field!r} has none; leave the condition out, "
                f"or name the field whose flux it is."
            )


def _finite(condition: Condition, what: str, values: np.ndarray, points: np.ndarray) -> None:
    if not np.isfinite(values).all():
        bad = points[int(np.argmax(~np.isfinite(values)))]
        raise ConditionError(f"{condition}: the {what} is not finite at {bad.tolist()}.")


def _depends_on_u(problem: Problem, value: object) -> bool:
    return value is not None and depends_on(ufl.as_ufl(value), problem.declaration.u)


def _check_law_contains_unknown(problem: Problem) -> None:
    declared = problem.declaration
    if declared.weak is not None:
        parts = [integral.integrand() for integral in declared.weak.integrals()]
    else:
        parts = [balance(problem).flux, balance(problem).reaction]
    if not any(depends_on(lower(part), declared.u) for part in parts):
        raise DeclarationError(
            f"The law of {problem!r} does not contain the unknown {problem.field_name!r}, so there is nothing to solve "
            f"for; check what flux and reaction (or energy, or weak) return."
        )


def _check_law_is_finite(problem: Problem, analysis: Analysis) -> None:
    if analysis.weak_only:
        return
    law = balance(problem)
    generator = np.random.default_rng(0)
    load = pointwise(problem, law.load, key="load")
    values = load.at(problem.domain.sample(256, generator))
    if not np.isfinite(values).all():
        raise ConditionError(f"The load of {problem!r} is not finite inside the domain.")
    flux = pointwise(problem, law.flux, key="flux")
    x, jet = random_states(problem, 16, flux.keys)
    with torch.no_grad():
        if not bool(torch.isfinite(flux(x, jet)).any()):
            raise ConditionError(f"The flux of {problem!r} is not finite at any state tried; check the law.")


def _check_manufactured_load(problem: Problem, analysis: Analysis) -> None:
    """The load −div flux(exact) + reaction must be a function."""
    declared = problem.declaration
    if analysis.weak_only or not balance(problem).manufactured:
        return
    place = problem.derived(
        "broken flux", lambda: broken_flux(problem, ufl.replace(balance(problem).flux, {declared.u: declared.exact}))
    )
    if place is not None:
        raise DeclarationError(
            f"The flux of `exact` jumps at {np.round(place, 6).tolist()}, so that no load gives this solution; declare "
            f"the load and the conditions yourself, or an `exact` whose flux is continuous."
        )


def _check_determined(problem: Problem, analysis: Analysis) -> None:
    if analysis.weak_only:
        return
    means, free, constants = problem.declaration.means, analysis.free_modes, analysis.free_constants
    fixed = {c for mean in means for c in mean.components(problem.n_components)}
    if constants:
        free = [name for name, component in constant_modes(problem).items() if component in set(constants) - fixed]
    if free and (not constants or problem.shape != ()):
        could = "Mean(0.0, field=…) of that field or " if constants and len(problem.layout) > 1 else ""
        if constants and problem.periodic and not could:
            could = "Mean(0.0) or "
        raise ConditionError(
            f"The conditions leave {', '.join(free)} undetermined; add {could}Dirichlet or Robin conditions that hold "
            f"it."
        )
    if set(constants) - fixed:
        prescribed = "fluxes and periodicity are" if problem.periodic else "fluxes are"
        raise ConditionError(
            f"Only {prescribed} prescribed, so the solution is determined up to a constant; add Mean(0.0) or a "
            f"Dirichlet or Robin condition."
        )
    if fixed - set(constants):
        part = " in part (give it for one component, by component=)" if fixed & set(constants) else ""
        raise ConditionError(f"A mean value is given for a problem that is determined without it{part}; remove Mean.")
    if any(depends_on_place(mean.value) for mean in means):
        raise ConditionError("The mean value depends on the place; it takes a number or a parameter.")
    if constants and analysis.conserves and len(problem.layout) == 1:
        _check_balance(problem)


def _check_balance(problem: Problem) -> None:
    """∫ load dx + ∫ flux·n ds must vanish."""
    points, weights = problem.domain.quadrature(65_536)
    load = weights[:, None] * pointwise(problem, balance(problem).load).at(points).reshape(len(points), -1)
    totals, sizes = load.sum(axis=0), np.abs(load).sum(axis=0)
    for piece in problem.boundary_pieces:
        points, normals, weights = piece.part.quadrature(8192)
        for component, condition in enumerate(piece.conditions):
            if isinstance(condition, Neumann):
                inflow = weights * condition_value(problem, condition, component).at(points, normals)
                totals[component] += inflow.sum()
                sizes[component] += np.abs(inflow).sum()
    worst = int(np.argmax(np.abs(totals) - _IMBALANCE * sizes))
    total = totals[worst]
    if abs(total) > _IMBALANCE * sizes[worst]:
        raise ConditionError(
            f"Load and boundary fluxes of a {'periodic' if problem.periodic else 'pure Neumann'} problem must balance; "
            f"their sum is {total:.6g}, so there is no stationary solution."
        )


def _check_inflow(problem: Problem) -> None:
    for point in entering_without_data(problem)[:1]:
        raise ConditionError(
            f"The law has no flux, so its solution is carried in from the boundary, and nothing is prescribed at "
            f"{np.round(point, 6).tolist()}; add a Dirichlet condition on the inflow."
        )


def _check_points(problem: Problem) -> None:
    """Points of quantities of interest must lie in the domain."""
    for name, quantity in problem.declaration.quantities.items():
        if isinstance(quantity, PointValue):
            point = number(problem, quantity.at)
            if not problem.domain.contains(point[None, :])[0]:
                raise ConditionError(f"Quantity {name!r} asks for the point {point.tolist()}, outside of the domain.")


def _warn_of_contradictions(problem: Problem) -> None:
    for contradiction in contradictions(problem):
        warnings.warn(f"{contradiction}; {contradiction.holds}.", ContradictionWarning, stacklevel=3)


def _warn_of_outflow(problem: Problem) -> None:
    for condition in leaving_with_data(problem):
        if not _agrees_with_exact(problem, condition):
            warnings.warn(
                f"{condition}: without diffusion the solution leaves there with what it brings along, so data are one "
                f"condition too many; prescribe the inflow alone.",
                OutflowWarning,
                stacklevel=3,
            )


def _agrees_with_exact(problem: Problem, condition: Dirichlet) -> bool:
    if condition.value is None or problem.declaration.exact is None:
        return condition.value is None
    points, _ = problem.domain.part(condition.on).sample(32, np.random.default_rng(0))
    exact = pointwise(problem, problem.declaration.exact).at(points).reshape(len(points), -1)
    for component in condition.components(problem.n_components):
        gap = np.abs(condition_value(problem, condition, component).at(points) - exact[:, component])
        if gap.max() > 1e-8 * np.abs(exact).max():
            return False
    return True


def depends_on_place(value: object) -> bool:
    """Whether an expression contains the coordinate, the normal or a field."""
    return any(isinstance(n, (ufl.classes.GeometricQuantity, ufl.Coefficient)) for n in nodes(ufl.as_ufl(value)))
