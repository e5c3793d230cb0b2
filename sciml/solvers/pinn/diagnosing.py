"""What limits a training: where its residual is, which term holds it back, what its equations look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.optimize import GaussNewton
from sciml.problem import Box, Problem
from sciml.problem.points import grid_points
from sciml.sampling import n_coordinates, uniform_points
from sciml.solution.diagnosis import Diagnosis, DiagnosisArrays
from sciml.solvers.pinn.options import PinnOptions
from sciml.training import Ending

if TYPE_CHECKING:
    from sciml.solvers.pinn.training import PinnTraining

__all__ = ["diagnose"]

_FRESH = 4000
_PER_AXIS = 81
# Beyond these a finding is worth a sentence.
_BETWEEN_POINTS = 3.0
_CONCENTRATED = 0.5
_OF_THE_LOSS = 0.5
_FALLING = 0.9
_ALL_DIRECTIONS = 0.9


@dataclass(frozen=True)
class _Findings:
    """What was measured; the sentences are made of it.

    Attributes
    ----------
    rms, fresh : float
        Of the residual of the equations at the points of the training (with their weights) and at fresh, even ones.
    worst : float
        Share of the squared residual that one per cent of the domain holds.
    where : (d,) array
        The mean place of that one per cent, weighted with the squared residual.
    falling : float or None
        Loss now over that when four fifths of the steps were made; None where there were too few.
    terms : list of dict
    conditioning : dict
    """

    rms: float
    fresh: float
    worst: float
    where: np.ndarray
    falling: float | None
    terms: list[dict[str, Any]]
    conditioning: dict[str, float]


def diagnose(training: PinnTraining, ending: Ending) -> tuple[Diagnosis, DiagnosisArrays]:
    """Say what limits a training now, and what to change, with the arrays to draw.

    The residual at even, fresh points is compared with that at the points of the training (larger between them: too few
    points), and looked at for concentration. The terms of the loss come with the norms of their gradients, Gauss–Newton
    equations with their rank: where all directions are used and the loss does not fall, the network is too small.
    """
    fresh = uniform_points(training.problem, _FRESH, np.random.default_rng(0))
    squared = training.collocation.squared(training.theta, fresh)
    findings = _findings(training, fresh, squared)
    advice = _advice(training, findings, ending)
    first = advice[0] if advice else "Nothing stands out."
    verdict = f"{ending.status.replace('_', ' ').capitalize()}: {ending.reason}. {first}"
    diagnosis = Diagnosis(verdict, advice, findings.terms, findings.conditioning)
    return diagnosis, _arrays(training, fresh, squared)


def _findings(training: PinnTraining, fresh: np.ndarray, squared: np.ndarray) -> _Findings:
    collocation, theta = training.collocation, training.theta
    squared = np.where(np.isfinite(squared), squared, 0.0)
    values = collocation.term_values(theta)
    equations = [term.name for term in collocation.terms if term.kind == "equation"]
    order = np.argsort(squared)[::-1][: max(1, len(squared) // 100)]
    total = float(squared.sum()) or 1.0
    weights = squared[order] / (float(squared[order].sum()) or 1.0)
    history = training.course.history
    early = [loss for step, loss in history if step <= 0.8 * training.course.steps]
    return _Findings(
        rms=math.sqrt(2 * sum(values[name] for name in equations)),
        fresh=math.sqrt(float(squared.mean())),
        worst=float(squared[order].sum()) / total,
        where=weights @ fresh[order],
        falling=history[-1][1] / early[-1] if early and early[-1] > 0 else None,
        terms=_terms(training, values),
        conditioning=_conditioning(training),
    )


def _terms(training: PinnTraining, values: dict[str, float]) -> list[dict[str, Any]]:
    gradients = training.collocation.term_gradients(training.theta)
    norms = {name: float(gradient.norm()) for name, gradient in gradients.items()}
    total = math.fsum(norms.values()) or 1.0
    return [
        {"name": name, "loss": values[name], "gradient_norm": norms[name], "share": norms[name] / total}
        for name in values
    ]


def _conditioning(training: PinnTraining) -> dict[str, float]:
    optimizer = training.optimizer
    found = optimizer.conditioning() if isinstance(optimizer, GaussNewton) else None
    if found is None:
        return {}
    span = found.largest / found.smallest if found.smallest > 0 else math.inf
    return {
        "largest_eigenvalue": found.largest,
        "eigenvalue_span": span,
        "rank": float(found.rank),
        "effective_rank": found.effective_rank,
        "unknowns": float(found.unknowns),
    }


def _advice(training: PinnTraining, findings: _Findings, ending: Ending) -> list[str]:
    """Sentences, the most useful one first."""
    options, out = training.options, []
    if ending.status == "diverged":
        return ["The loss is not finite: lower the learning rate, or look for where the law itself is not finite."]
    loss = math.fsum(term["loss"] for term in findings.terms)
    conditions = [t for t in findings.terms if t["loss"] > _OF_THE_LOSS * loss and not _is_equation(training, t)]
    out += [
        f"{term['name']!r} holds {term['loss'] / loss:.0%} of the loss: raise its points (boundary_points), change its "
        f"weight, or build conditions in where the domain is a box."
        for term in conditions
    ]
    if findings.rms > 0 and findings.fresh > _BETWEEN_POINTS * findings.rms:
        out.append(
            f"Between the points the residual is {findings.fresh / findings.rms:.2g} times as large as at them: give "
            f"more points (budget={2 * len(training.points)}) or a smaller network."
        )
    if findings.falling is None and ending.status == "budget_reached":
        out.append("The steps are too few to see where the loss goes: give more steps.")
    elif findings.falling is not None and findings.falling < _FALLING and ending.status == "budget_reached":
        out.append(
            f"The loss was still falling, to {findings.falling:.2g} of what it was after four fifths of the steps: "
            f"give more steps."
        )
    if findings.worst > _CONCENTRATED:
        place = ", ".join(f"{x:.3g}" for x in findings.where)
        even = options.sampler in ("uniform", "quasi_random", "user")
        remedy = "sampler=aas follows it" if even else "give a larger budget, or with sampler=aas more flow_steps"
        out.append(f"One per cent of the domain, near ({place}), holds {findings.worst:.0%} of the residual: {remedy}.")
    stays = findings.falling is not None and findings.falling >= _FALLING
    used = findings.conditioning.get("effective_rank", 0) / findings.conditioning.get("unknowns", 1)
    if used > _ALL_DIRECTIONS and stays:
        out.append(f"{used:.0%} of the network's directions are in use and the loss stays: give more width or depth.")
    if not out and stays and ending.status != "converged":
        out.append(_last_resort(options))
    return out


def _last_resort(options: PinnOptions) -> str:
    """What to try where points and terms are in order and the loss stays."""
    if options.optimizer == "gauss_newton":
        return "The loss stays though points, terms and rank are in order: try another seed or another activation."
    rate = ", or another learning_rate" if options.optimizer == "adam" else ""
    return f"The loss stays though points and terms are in order: use optimizer=gauss_newton, or more steps{rate}."


def _is_equation(training: PinnTraining, term: dict[str, Any]) -> bool:
    return any(own.name == term["name"] and own.kind == "equation" for own in training.collocation.terms)


def _arrays(training: PinnTraining, fresh: np.ndarray, squared: np.ndarray) -> DiagnosisArrays:
    grid = _grid(training.problem)
    if grid is not None:
        fresh, squared = grid, training.collocation.squared(training.theta, grid)
    adversary = getattr(training.sampler, "adversary", None)
    names = None
    if training.problem.evolves:
        names = [*(f"x{axis}" for axis in range(training.problem.dim)), "t"]
    return DiagnosisArrays(
        points=training.points.points,
        residual_points=fresh,
        residual=np.sqrt(squared),
        density_points=None if adversary is None else fresh,
        density=None if adversary is None else adversary.relative_density(fresh),
        names=names,
    )


def _grid(problem: Problem) -> np.ndarray | None:
    """Points of a grid over a box in one or two coordinates."""
    if n_coordinates(problem) > 2 or not isinstance(problem.domain, Box):
        return None
    ends = [*zip(problem.domain.lower, problem.domain.upper, strict=True)]
    if problem.evolves:
        ends.append((problem.time.start, problem.time.end))
    return grid_points([np.linspace(*end, _PER_AXIS) for end in ends])
