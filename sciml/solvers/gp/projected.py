"""Hyper-parameters of the published model by variable projection.

The joint log density J(U, θ) of :class:`~sciml.solvers.gp.published.PublishedEstimator` is quadratic in the values U
where the law is linear. So U is eliminated: U*(θ) maximises J for hyper-parameters θ by one least-squares problem, and
by the envelope theorem the gradient of J(U*(θ), θ) is that of J at fixed U. What is left are the hyper-parameters
alone, log w, log ρ and f of each axis, log τ and log v, which L-BFGS maximises over.

With K_i = R_i R_iᵀ and U = (R_0 ⊗ R_1 ⊗ …) z the least-squares problem is

    |z|² + λτ |b₀ + B R z|² + v |r₀ + A R z|²,

whose columns are products of small matrices of the axes. J has no largest value where the equation can be fulfilled at
all nodes, since log v grows without end; the noise is held above a share of the load and of the solution, a smaller one
in each of three stages.

G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from sciml.errors import UnsupportedError
from sciml.forms import Derivative, PointwiseOperator, analyse
from sciml.linear.kronecker import along
from sciml.problem import Problem, grid_points
from sciml.solution import ADVICE, KernelField, Seconds, Solution
from sciml.solvers.base import Context, Progress, package_versions
from sciml.solvers.gp.published import JITTER, PublishedEstimator, check_published

__all__ = ["ProjectedDensity", "check_projected", "solve_projected"]

_POINTS = {1: 400, 2: 32, 3: 11}
_MOST_NODES = 2000
_LEAST_NOISES = (1e-2, 1e-4, 1e-6)
_LOG_WEIGHTS = (-30.0, 5.0)
_LEAST_SCALE = 0.1
_OFF_POINTS = {1: 4000, 2: 100, 3: 30}


def check_projected(problem: Problem, options: Any) -> None:
    """Refuse what variable projection cannot do, before work starts.

    Raises
    ------
    UnsupportedError
        As :func:`~sciml.solvers.gp.published.check_published`; a nonlinear law; more nodes than a dense problem is
        solved for.
    OptionError
    """
    options = _with_points(problem, options)
    check_published(problem, options)
    nodes = options.points_per_axis**problem.dim
    if not analyse(problem).linear:
        raise UnsupportedError(
            f"{problem!r} is nonlinear, and variable projection solves for the values exactly; take estimator=fast or "
            f"estimator=published."
        )
    if nodes > _MOST_NODES:
        raise UnsupportedError(
            f"{problem!r} was given {nodes} nodes, and variable projection solves dense problems of at most "
            f"{_MOST_NODES}; give points_per_axis={int(_MOST_NODES ** (1 / problem.dim))} or fewer."
        )


class ProjectedDensity:
    """J as a function of the hyper-parameters alone.

    Parameters
    ----------
    estimator : PublishedEstimator
        Of a linear law.

    Attributes
    ----------
    evaluations : int
    """

    def __init__(self, estimator: PublishedEstimator) -> None:
        self.estimator, self.evaluations = estimator, 0
        sides = [(s.operator, s.nodes, s.points, {"normal": s.normal, "static": s.static}) for s in estimator._boundary]
        everywhere = torch.arange(estimator.size)
        own = (estimator._residual, everywhere, estimator._points, {"static": estimator._static})
        self._equation = [_rows(*own)]
        self._boundary = [_rows(*side) for side in sides]

    @property
    def start(self) -> np.ndarray:
        """The hyper-parameters that Adam starts from."""
        return self.estimator.theta[self.estimator.size :].numpy().copy()

    @property
    def load(self) -> float:
        """Root mean square of the equation where the unknown is zero."""
        return float(self._equation[0][1].square().mean().sqrt())

    def values(self, hyper: np.ndarray) -> Tensor:
        """U*(θ) ``(N,)``."""
        estimator = self.estimator
        theta = torch.cat([torch.zeros(estimator.size, dtype=torch.float64), torch.from_numpy(hyper)])
        _, log_tau, log_v, kernel = estimator.unpacked(theta)
        axes = []
        for own in kernel.on_grid(estimator.shape, estimator.spacings, estimator.order):
            root = torch.linalg.cholesky(own[0] + JITTER * torch.eye(len(own[0]), dtype=torch.float64))
            right = [torch.linalg.solve_triangular(root, part.mT, upper=False).mT.contiguous() for part in own[1:]]
            axes.append([root.contiguous(), *right])
        weight = math.sqrt(estimator.options.likelihood_weight) * math.exp(float(log_tau) / 2)
        parts = [(weight, rows) for rows in self._boundary]
        parts += [(math.exp(float(log_v) / 2), rows) for rows in self._equation]
        known: dict[tuple[int, ...], Tensor] = {}

        def columns(axes_of: tuple[int, ...]) -> Tensor:
            if axes_of not in known:
                known[axes_of] = reduce(torch.kron, [own[axes_of.count(a)] for a, own in enumerate(axes)])
            return known[axes_of]

        matrices, rights = [torch.eye(estimator.size, dtype=torch.float64)], [torch.zeros(estimator.size).double()]
        for size, (nodes, constant, slopes) in parts:
            total = sum(slope[:, None] * columns(key.axes)[nodes] for key, slope in slopes.items())
            matrices.append(size * total)  # type: ignore[arg-type]
            rights.append(-size * constant)
        together = torch.cat([torch.cat(matrices), torch.cat(rights)[:, None]], dim=1)
        triangle = torch.linalg.qr(together, mode="r")[1][:-1]
        z = torch.linalg.solve_triangular(triangle[:, :-1], triangle[:, -1:], upper=True)[:, 0]
        return columns(()) @ z

    def __call__(self, hyper: np.ndarray) -> tuple[float, np.ndarray]:
        """J(U*(θ), θ) and its gradient."""
        self.evaluations += 1
        values = self.values(hyper)
        own = torch.from_numpy(hyper.copy()).requires_grad_()
        density = self.estimator.log_density(torch.cat([values, own]))[0]
        (gradient,) = torch.autograd.grad(density, own)
        return float(density.detach()), gradient.numpy()

    def bounds(self, values: Tensor, noise: float) -> np.ndarray:
        """Of each hyper-parameter ``(n, 2)``; noise is at least this share of the load and of the solution."""
        estimator, q = self.estimator, self.estimator.options.components
        sizes = [float(values.square().mean().sqrt()), self.load]
        out = [(-10.0, max(0.0, -2 * math.log(noise * (size or 1.0)))) for size in sizes]
        for n, extent in zip(estimator.shape, estimator.problem.domain.extent.tolist(), strict=True):
            carried = (n - 1) / (2 * extent)
            out += [_LOG_WEIGHTS] * q + [(math.log(_LEAST_SCALE / extent), math.log(n / extent))] * q
            out += [(-carried, carried)] * q
        return np.array(out)

    @property
    def units(self) -> np.ndarray:
        """What counts as one step of each hyper-parameter; of a frequency, a cycle over the whole length."""
        q, out = self.estimator.options.components, [np.ones(2)]
        for extent in self.estimator.problem.domain.extent.tolist():
            out += [np.ones(2 * q), np.full(q, 1 / extent)]
        return np.concatenate(out)


Rows = tuple[Tensor, Tensor, dict[Derivative, Tensor]]


def _rows(operator: PointwiseOperator, nodes: Tensor, points: Tensor, given: dict[str, Any]) -> Rows:
    """Nodes, what a linear operator is for the function zero, and its slopes by the entries of the jet."""
    jet = {key: torch.zeros(len(points), dtype=torch.float64, requires_grad=True) for key in operator.keys}
    values = operator(points, jet, **given).reshape(len(points))
    slopes = torch.autograd.grad(values.sum(), list(jet.values()), allow_unused=True)
    return nodes, values.detach(), {key: s for key, s in zip(jet, slopes, strict=True) if s is not None}


def solve_projected(problem: Problem, options: Any, context: Context) -> Solution:
    """Maximise over the hyper-parameters, and hand back the posterior mean.

    Parameters
    ----------
    problem : Problem
    options : GpOptions
    context : Context

    Raises
    ------
    UnsupportedError, OptionError
        As :func:`check_projected`.
    """
    check_projected(problem, options)
    start, given = time.perf_counter(), _with_points(problem, options)
    estimator = PublishedEstimator(problem, given)
    density = ProjectedDensity(estimator)
    hyper, history, reason = _maximised(density, given, lambda: context.within(options), context.report)
    estimator.theta = torch.cat([density.values(hyper), torch.from_numpy(hyper)])
    field = estimator.field()
    off_grid = _off_grid(estimator, field) / (density.load or 1.0)
    on_sides = _on_sides(estimator, field)
    status = "converged" if max(off_grid, on_sides) <= options.accuracy else "budget_reached"
    return Solution(
        problem=problem,
        field=field,
        solver="gp",
        options=options.model_dump(),
        status=status,
        message=f"{reason}; the residual between the points is {off_grid:.1e} of the load, and the conditions are "
        f"missed by {on_sides:.1e}; {ADVICE[status]}",
        seconds=Seconds(solve=time.perf_counter() - start),
        cpu_seconds=context.cpu_seconds,
        iterations=len(history) - 1,
        residual=off_grid,
        trainable_parameters=len(hyper),
        seed=context.seed,
        device=context.device,
        versions=package_versions("torch", "fenics-ufl", "numpy", "scipy"),
        details=estimator.details()
        | {
            "estimator": "hyper-parameters of largest joint density, by variable projection",
            "evaluations": density.evaluations,
            "off_grid_residual": off_grid,
            "off_grid_boundary": on_sides,
        },
        history={"iteration": np.arange(len(history)), "loss": -np.array(history)},
    )


def _maximised(
    density: ProjectedDensity, options: Any, within: Callable[[], bool], report: Callable[[Progress], None]
) -> tuple[np.ndarray, list[float], str]:
    """Hyper-parameters by L-BFGS within bounds, J of each iteration, and why it stopped.

    The noise may get smaller in stages: with little of it, J has a maximum near every frequency.
    """
    best, units = density.start, density.units
    history, size, reason = [density(best)[0]], density.values(best), ""

    def descent(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(x * units)
        return -value, -gradient * units

    def each(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal best
        history.append(-float(intermediate_result.fun))
        best = intermediate_result.x * units
        report(Progress("L-BFGS", len(history) - 1, options.max_iterations, f"log density {history[-1]:.4g}"))
        if not within():
            raise StopIteration

    for stage, noise in enumerate(_LEAST_NOISES):
        left = options.max_iterations - len(history) + 1
        if left <= 0 or not within():
            break
        steps = math.ceil(left / (len(_LEAST_NOISES) - stage))
        result = scipy.optimize.minimize(
            descent, best / units, jac=True, method="L-BFGS-B", bounds=density.bounds(size, noise) / units[:, None],
            callback=each, options={"maxiter": steps, "maxcor": 30, "maxfun": 4 * steps, "ftol": 1e-12},
        )  # fmt: skip
        reason = "the log density has no direction up any more" if result.success else "iterations or time ran out"
    return best, history, reason


def _off_grid(estimator: PublishedEstimator, field: KernelField) -> float:
    """Root mean square of the equation between the nodes."""
    lines = []
    for line in estimator.lines:
        middles = (line[1:] + line[:-1]) / 2
        lines.append(middles[:: max(1, len(middles) // _OFF_POINTS[len(estimator.lines)])])
    with torch.no_grad():
        found = estimator._residual(torch.tensor(grid_points(lines)), _jet(field, lines, estimator._residual.keys))
    return float(found.square().mean().sqrt())


def _on_sides(estimator: PublishedEstimator, field: KernelField) -> float:
    """Root mean square of what the field misses of the conditions, relative to its values on the grid."""
    missed = []
    for side in estimator._boundary:
        jet = {key: values[side.nodes] for key, values in _jet(field, estimator.lines, side.operator.keys).items()}
        with torch.no_grad():
            missed.append(side.operator(side.points, jet, normal=side.normal, static=side.static).reshape(-1))
    values = _jet(field, estimator.lines, [Derivative(0)])[Derivative(0)]
    return float(torch.cat(missed).square().mean().sqrt() / (values.square().mean().sqrt() or 1.0))


def _jet(field: KernelField, lines: Sequence[np.ndarray], keys: Sequence[Derivative]) -> dict[Derivative, Tensor]:
    """Derivatives of the field on a grid, flat."""
    out = {}
    for key in keys:
        total = torch.from_numpy(field.coefficients)
        for axis, (kernel, x, line) in enumerate(zip(field.kernels, lines, field.lines, strict=True)):
            order = key.axes.count(axis)
            total = along(kernel.between(torch.from_numpy(x), torch.from_numpy(line), order)[order], total, axis)
        out[key] = total.reshape(-1)
    return out


def _with_points(problem: Problem, options: Any) -> Any:
    if options.points_per_axis is not None:
        return options
    return options.model_copy(update={"points_per_axis": _POINTS[min(problem.dim, 3)]})
