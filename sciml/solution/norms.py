"""Errors of one field against another, in L2, H1 and the maximum norm."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from dataclasses import field as member
from typing import Any

import numpy as np

from sciml.errors import UndefinedFieldError, UnsupportedError
from sciml.problem import Box, MeshData, Problem
from sciml.problem.evolution import Interval
from sciml.solution.evolution import Evolution
from sciml.solution.field import Field, Rule, refuse_mismatch
from sciml.solution.importance import fit_mixture, importance_rule

__all__ = ["Errors", "measure_errors"]

_REPLICATES = 4
_INSTANTS = 17
_LEAST_A_CELL = 4


@dataclass(frozen=True)
class Errors:
    """e = u − truth; of several fields the values are those of the worst one, and `fields` has those of each.

    Attributes
    ----------
    relative_l2 : float
        ‖e‖ / ‖truth‖ in L2.
    relative_h1 : float
        (‖e‖² + L²‖∇e‖²)^½ / (‖truth‖² + L²‖∇truth‖²)^½ with the size L of the domain.
    max_error : float
        max |e| over the quadrature points (Euclidean norm for vectors).
    truth_max : float
        max |truth| over them.
    l2, truth_l2 : float
        ‖e‖ and ‖truth‖.
    integration_error : float
        Relative spread of `relative_l2` between independent point sets; 0 where a quadrature rule was used.
    n_points : int
    """

    relative_l2: float
    relative_h1: float
    max_error: float
    l2: float
    truth_l2: float
    integration_error: float
    n_points: int
    fields: dict[str, Errors] = member(default_factory=dict)
    truth_max: float = 0.0

    @property
    def relative_max(self) -> float:
        """Max |e| / max |truth|, of the worst field; absolute where the truth vanishes."""
        own = (errors.max_error / (errors.truth_max or 1.0) for errors in self.fields.values() or [self])
        return max(own)

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


def measure_errors(
    field: Field | Evolution,
    truth: Field | Evolution,
    *,
    n_target: int = 65_536,
    seed: int = 0,
    same_points: bool = False,
) -> Errors:
    """Compare two fields on the same domain, or two evolutions over the same time.

    In time by the trapezoidal rule over at most 17 of the instants that `field` keeps.

    Up to three dimensions by quadrature: on the truth's mesh, or on the field's, or on the domain. Above, by
    quasi-Monte-Carlo with points that follow the truth (see :mod:`sciml.solution.importance`).

    Parameters
    ----------
    field, truth : Field
    n_target : int
        About how many points.
    seed : int
        Of the point sets in many dimensions.
    same_points : bool
        Compare at points and instants that neither field decides, so that several fields are compared at the same ones:
        quadrature of the domain (of its mesh, refined, where it has one), and 17 equal instants of the problem's time.

    Raises
    ------
    UnsupportedError
        The fields have different dimensions or shapes.
    UndefinedFieldError
        They do not share a domain, or `field` is not finite.
    """
    if isinstance(field, Evolution) or isinstance(truth, Evolution):
        return _in_time(field, truth, n_target, same_points)
    refuse_mismatch(field, truth)
    if field.problem.dim > 3:
        return _by_importance(field, truth, n_target, seed)
    return _errors(field, truth, [_rule(field, truth, n_target, same_points)])


def _rule(field: Field, truth: Field, n_target: int, same_points: bool) -> Rule:
    if same_points:
        return _domain_rule(truth.problem, n_target)
    return (truth if truth.mesh is not None or field.mesh is None else field).rule(n_target)


def _domain_rule(problem: Problem, n_target: int) -> Rule:
    """Of about `n_target` points; a mesh is divided until its cells are small enough for them."""
    domain = problem.domain
    if isinstance(domain, Box):
        return Rule(*domain.quadrature(n_target))
    return problem.derived(("points to compare at", n_target), lambda: _fine_rule(domain.mesh(), n_target))


def _fine_rule(mesh: MeshData, n_target: int) -> Rule:
    while _LEAST_A_CELL * 2**mesh.dim * len(mesh.cells) <= n_target:
        mesh = mesh.refine()
    per_axis = max(1.0, n_target / len(mesh.cells)) ** (1 / mesh.dim)
    points, weights, _ = mesh.quadrature(int(np.clip(2 * np.ceil(per_axis) - 1, 3, 9)))
    return Rule(points, weights)


def _by_importance(field: Field, truth: Field, n_target: int, seed: int) -> Errors:
    box = truth.problem.domain
    if not isinstance(box, Box):
        raise UnsupportedError(f"Norms in {box.dim} dimensions are measured on boxes only.")
    generator = np.random.default_rng(seed)

    def log_square(points: np.ndarray) -> np.ndarray:
        values = truth.evaluate(points).reshape(len(points), -1)
        with np.errstate(divide="ignore"):
            return np.log((values**2).sum(axis=1))

    mixture = fit_mixture(log_square, box, generator)
    rules = [Rule(*importance_rule(mixture, n_target // _REPLICATES, generator)) for _ in range(_REPLICATES)]
    return _errors(field, truth, rules)


def _in_time(field: Field | Evolution, truth: Field | Evolution, n_target: int, same_points: bool) -> Errors:
    if not (isinstance(field, Evolution) and isinstance(truth, Evolution)):
        raise UnsupportedError("One of the two runs in time and the other does not; compare states by `.at(t)`.")
    times = _instants(truth.problem.time if same_points else None, field.times)
    weights = np.convolve(np.diff(times), [0.5, 0.5]) if len(times) > 1 else np.ones(1)
    sums, n_points = np.zeros((len(truth.final.blocks), 6)), 0
    for instant, weight in zip(times, weights, strict=True):
        own, true = field.at(float(instant)), truth.at(float(instant))
        # A quarter of the points does at each of several instants.
        rule = _rule(own, true, n_target // 4, same_points)
        here = _sums(own, true, rule)
        sums[:, :4] += weight * here[:, :4]
        sums[:, 4:] = np.maximum(sums[:, 4:], here[:, 4:])
        n_points += len(rule.weights)
    return _summaries(sums[None], truth.final, n_points)


def _instants(time: Interval | None, kept: np.ndarray) -> np.ndarray:
    """Equal instants of a time, or at most 17 of those that are kept."""
    if time is not None:
        return np.linspace(time.start, time.end, _INSTANTS)
    return kept[np.unique(np.round(np.linspace(0, len(kept) - 1, min(len(kept), _INSTANTS))).astype(int))]


def _errors(field: Field, truth: Field, rules: list[Rule]) -> Errors:
    sums = np.array([_sums(field, truth, rule) for rule in rules])
    return _summaries(sums, truth, sum(len(rule.weights) for rule in rules))


def _summaries(sums: np.ndarray, truth: Field, n_points: int) -> Errors:
    """Of each field, and of the worst; `sums` has axes (point set, field, integral)."""
    length = truth.problem.domain.size
    each = {name: _summary(sums[:, k], length, n_points) for k, (name, _) in enumerate(truth.blocks)}
    worst = max(each.values(), key=lambda errors: errors.relative_l2)
    if len(each) == 1:
        return worst
    return replace(worst, relative_h1=max(errors.relative_h1 for errors in each.values()), fields=each)


def _summary(sums: np.ndarray, length: float, n_points: int) -> Errors:
    """Errors from ∫|e|², ∫|∇e|², ∫|u|², ∫|∇u|², max |e|, max |u| of independent point sets."""
    ratios = np.sqrt(sums[:, 0] / np.maximum(sums[:, 2], 1e-300))
    # Slopes count in multiples of 1/L, so that the sum has one unit.
    e0, e1, u0, u1 = sums[:, :4].mean(axis=0) * [1, length**2, 1, length**2]
    largest, truth_max = sums[:, 4:].max(axis=0)
    return Errors(
        relative_l2=_ratio(e0, u0),
        relative_h1=_ratio(e0 + e1, u0 + u1),
        max_error=float(largest),
        l2=float(np.sqrt(e0)),
        truth_l2=float(np.sqrt(u0)),
        integration_error=float(ratios.std() / max(ratios.mean(), 1e-300)) if len(sums) > 1 else 0.0,
        n_points=n_points,
        truth_max=float(truth_max),
    )


def _ratio(squared_error: float, squared_norm: float) -> float:
    """Relative to the truth; absolute where the truth vanishes."""
    return float(np.sqrt(squared_error / squared_norm)) if squared_norm > 0 else float(np.sqrt(squared_error))


def _sums(field: Field, truth: Field, rule: Rule) -> np.ndarray:
    """∫|e|², ∫|∇e|², ∫|u|², ∫|∇u|², max |e|, max |u| of each field: ``(n_fields, 6)``."""
    n, k = len(rule.weights), int(np.prod(truth.shape, dtype=int))
    own = Rule(rule.points, rule.weights, None)
    reference = truth.at(rule if truth.mesh is not None else own).reshape(n, -1)
    slope = truth.gradient_at(rule if truth.mesh is not None else own).reshape(n, -1)
    same_mesh = field.mesh is not None and (truth.mesh is None or field.mesh is truth.mesh)
    error = field.at(rule if same_mesh else own).reshape(n, -1) - reference
    slope_error = field.gradient_at(rule if same_mesh else own).reshape(n, -1) - slope
    if not np.isfinite(error).all():
        raise UndefinedFieldError(
            f"The field is not defined at {int((~np.isfinite(error)).any(axis=1).sum())} of the {n} points compared; "
            f"the two fields do not share a domain."
        )
    slope, slope_error = slope.reshape(n, k, -1), slope_error.reshape(n, k, -1)
    out = []
    for _, own in truth.blocks:
        squares = (error[:, own] ** 2).sum(axis=1)
        true = _squares(reference[:, own])
        integrals = [squares, _squares(slope_error[:, own]), true, _squares(slope[:, own])]
        largest = [float(np.sqrt(values.max())) for values in (squares, true)]
        out.append([*(float(rule.weights @ values) for values in integrals), *largest])
    return np.array(out)


def _squares(values: np.ndarray) -> np.ndarray:
    """Sum of squares at each point."""
    return (values.reshape(len(values), -1) ** 2).sum(axis=1)
