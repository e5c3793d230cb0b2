"""The estimator of the paper: grid values and hyper-parameters by Adam on the joint log density.

S. Fang, M. Cooley, D. Long, S. Li, R. Kirby, S. Zhe, Solving High Frequency and Multi-Scale PDEs with Gaussian
Processes, ICLR 2024 (arXiv 2311.04465), with the constants of its code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.forms import Derivative, PointwiseOperator, boundary_residual, rows_with_flux, strong_residual
from sciml.linear.kernels import Envelope, Gaussian, Matern, ProductKernel, SpectralMixture
from sciml.linear.kronecker import KroneckerCovariance, along
from sciml.optimize.torch_state import pack_optimizer, unpack_optimizer
from sciml.problem import Box, Dirichlet, Periodic, Problem, grid_points
from sciml.solution import ADVICE, KernelField, Seconds, Solution
from sciml.solvers.base import Context, Progress, SolverOptions, package_versions
from sciml.training import Attributes, Identity, Interrupts, Report, TrainingState, train

__all__ = ["PublishedEstimator", "PublishedOptions", "check_published", "solve_published"]

JITTER = 1e-6
"""Added to the diagonal of the covariance of each axis."""
_POINTS = {1: 400, 2: 200, 3: 50}


class PublishedOptions(SolverOptions):
    """Options of the estimator."""

    components: int = Field(30, ge=1, description="of the kernel's spectrum along each axis")
    top_frequency: float | None = Field(
        None,
        gt=0,
        description="largest at the start, in cycles per length; by default 2/3 of what the grid carries",
    )
    envelope: Literal["student_t", "gaussian"] = Field("student_t", description="shape of each part of the spectrum")
    smoothness: float = Field(2.5, gt=0, description="ν of the Student t spectrum, which has 2ν degrees of freedom")
    likelihood_weight: float = Field(200.0, gt=0, description="of the log likelihood of the boundary data")
    learning_rate: float = Field(0.01, gt=0, description="of Adam")
    steps: int = Field(100_000, ge=1, description="of Adam")
    points_per_axis: int | None = Field(None, ge=4, description="of the grid; 400, 200 or 50 by default in 1, 2 or 3 D")
    checkpoint_every: float = Field(30.0, ge=0, description="CPU seconds between two checkpoints")


def check_published(problem: Problem, options: Any) -> None:
    """Refuse what the estimator cannot do, before work starts.

    Raises
    ------
    UnsupportedError
        No scalar unknown on a box of at most three dimensions without time, a periodic side, an equation of higher
        order than a process with the kernel has derivatives, or a load that is not finite on the grid.
    OptionError
        Frequencies that the grid does not carry.
    """
    if not isinstance(problem.domain, Box) or problem.dim > 3 or problem.shape != () or problem.evolves:
        raise UnsupportedError(
            f"{problem!r} is no stationary problem with one scalar unknown on a box of at most 3 dimensions, which the "
            f"published estimator needs; take estimator=fast or another solver."
        )
    if any(isinstance(c, Periodic) for piece in problem.boundary_pieces for c in piece.conditions):
        raise UnsupportedError(
            f"{problem!r} has periodic sides, which the published estimator has no data for; take estimator=fast."
        )
    residual = strong_residual(problem)
    order = max((key.axes.count(axis) for key in residual.keys for axis in key.axes), default=0)
    _envelope(options).check_operator(order)
    carried = (_shape(problem, options)[0] - 1) / (2 * problem.domain.extent)
    if options.top_frequency is not None and options.top_frequency > carried.min():
        needed = math.ceil(2 * options.top_frequency * problem.domain.extent.max()) + 1
        raise OptionError(
            f"top_frequency={options.top_frequency:g} is above the {carried.min():.4g} cycles per length that the grid "
            f"carries; give points_per_axis={needed} or a lower frequency."
        )
    load = residual.at(grid_points(_lines(problem, options)))
    if not np.isfinite(load).all():
        raise UnsupportedError(
            f"The load of {problem!r} is not finite at {int((~np.isfinite(load)).sum())} of {load.size} points of the "
            f"grid; declare one that is."
        )


def solve_published(problem: Problem, options: Any, context: Context) -> Solution:
    """Train the estimator on the shared training state, and hand back its posterior mean.

    Parameters
    ----------
    problem : Problem
    options : PublishedOptions
        Or any options with these fields.
    context : Context
        With a folder checkpoints are written there, and `resume` goes on from them to the same bits.

    Raises
    ------
    UnsupportedError, OptionError
        As :func:`check_published`.
    Interrupted
        After SIGTERM or Ctrl-C; the state is in the folder.
    """
    check_published(problem, options)
    start = time.perf_counter()
    estimator = PublishedEstimator(problem, options, device=context.device)
    identity = Identity.of(problem, "gp", options.model_dump(), seed=context.seed, limits=("steps",))
    state = TrainingState(identity, unknowns=Attributes(estimator, "theta"), optimizer=estimator.adam)
    folder = None if context.folder is None else context.folder / "checkpoint"
    if folder is not None and context.resume:
        state.load(folder)
    earlier = state.course.cpu_seconds
    with Interrupts() as interrupts:
        ending = train(
            estimator.step,
            state,
            steps=options.steps,
            cpu_seconds=options.cpu_seconds,
            checkpoint_every=options.checkpoint_every,
            folder=folder,
            report=lambda course, report: context.report(Progress("Adam", course.steps, options.steps, report.text)),
            interrupts=interrupts,
        )
    course = state.course
    history = np.array(course.history, dtype=float).reshape(-1, 2)
    return Solution(
        problem=problem,
        field=estimator.field(),
        solver="gp",
        options=options.model_dump(),
        status=ending.status,
        message=f"{ending.reason}; {ADVICE[ending.status]}",
        seconds=Seconds(train=time.perf_counter() - start),
        cpu_seconds=earlier + context.cpu_seconds,
        iterations=course.steps,
        residual=None if ending.status == "diverged" else estimator.residual(),
        trainable_parameters=len(estimator.theta),
        seed=context.seed,
        device=context.device,
        versions=package_versions("torch", "fenics-ufl", "numpy"),
        details=estimator.details(),
        history={"iteration": history[:, 0].astype(int), "loss": history[:, 1]},
    )


@dataclass
class _Boundary:
    """What one side says of the nodes on it."""

    operator: PointwiseOperator
    nodes: Tensor
    points: Tensor
    normal: Tensor
    static: tuple[Tensor, ...]


class PublishedEstimator:
    """The joint log density of grid values and hyper-parameters, and Adam on it.

    With U the values on a uniform grid of N = Π n_i nodes, K = ⊗ K_i, residuals r of the equation at all nodes and b of
    the conditions at the nodes of their sides (corners once for each side),

        J = −½ log |K| − ½ Uᵀ K⁻¹ U + λ (N_b/2 log τ − τ/2 |b|²) + N/2 log v − v/2 |r|².

    Derivatives along an axis are K_i⁽ᵏ⁾ K_i⁻¹ U. Unknowns are U, log τ, log v, and for each axis log w, log ρ and f of
    the kernel Σ w g(d; ρ) cos(2π f d). No term stands for the prior of the weights: density flat in log w is p(w) ∝ 1/w
    (Jeffreys), under which most weights vanish.

    They start from U = 0, τ = v = 1, w = 1/Q, ρ = 1, and f even from 0 to the top frequency.

    Parameters
    ----------
    problem : Problem
        One that :func:`check_published` lets pass.
    options : PublishedOptions
    device : str

    Attributes
    ----------
    theta : Tensor
        All unknowns, flat: U row-major, log τ, log v, then log w, log ρ and f of each axis.
    """

    def __init__(self, problem: Problem, options: Any, *, device: str = "cpu") -> None:
        self.problem, self.options, self.device = problem, options, device
        self.envelope = _envelope(options)
        self.shape = _shape(problem, options)
        self.lines = _lines(problem, options)
        self.spacings = [float(line[1] - line[0]) for line in self.lines]
        self.size = math.prod(self.shape)
        self._points = torch.tensor(grid_points(self.lines), device=device)
        self._residual = strong_residual(problem)
        with torch.no_grad():
            self._static = self._residual.static(self._points)
            self._boundary = list(self._sides())
        self._keys = {key for op in (self._residual, *(b.operator for b in self._boundary)) for key in op.keys}
        self.order = max((key.axes.count(axis) for key in self._keys for axis in key.axes), default=0)
        self.theta = self._before = self._start()
        self.adam = _Adam(options.learning_rate)

    # -- the density -------------------------------------------------------------------------------------

    def log_density(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """J, and the residuals of the equation ``(N,)``."""
        values, log_tau, log_v, kernel = self.unpacked(theta)
        matrices = kernel.on_grid(self.shape, self.spacings, self.order)
        covariance = KroneckerCovariance([_with_jitter(own[0]) for own in matrices])
        jet = _GridJet(values, covariance, matrices)
        residual = self._residual(self._points, jet.at(self._residual.keys), static=self._static)
        misfit = torch.cat([self._misfit(side, jet) for side in self._boundary])
        prior = -0.5 * covariance.log_determinant() - 0.5 * jet.quadratic()
        boundary = 0.5 * len(misfit) * log_tau - 0.5 * torch.exp(log_tau) * (misfit @ misfit)
        equation = 0.5 * self.size * log_v - 0.5 * torch.exp(log_v) * (residual @ residual)
        return prior + self.options.likelihood_weight * boundary + equation, residual

    def _misfit(self, side: _Boundary, jet: _GridJet) -> Tensor:
        own = {key: value[side.nodes] for key, value in jet.at(side.operator.keys).items()}
        return side.operator(side.points, own, normal=side.normal, static=side.static)

    def unpacked(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor, ProductKernel]:
        """Values on the grid, log τ, log v, and the kernel."""
        q = self.options.components
        values, noise, *hyper = theta.split([self.size, 2, *[q] * (3 * len(self.shape))])
        factors = [
            SpectralMixture(self.envelope, torch.exp(log_w), frequencies, torch.exp(log_rho))
            for log_w, log_rho, frequencies in zip(*[iter(hyper)] * 3)
        ]
        return values.reshape(self.shape), noise[0], noise[1], ProductKernel(factors)

    # -- training ----------------------------------------------------------------------------------------

    def step(self) -> Report:
        """One step of Adam on −J; where J is not finite any more, the unknowns before the last step come back."""
        theta = self.theta.detach().requires_grad_()
        try:
            density, residual = self.log_density(theta)
        except DivergenceError:
            density = residual = torch.full((), math.nan)
        value, rms = float(density.detach()), _root_mean_square(residual)
        if math.isfinite(value):
            (gradient,) = torch.autograd.grad(-density, theta)
            self._before, self.theta = self.theta, self.adam.moved(self.theta, gradient)
        else:
            self.theta = self._before
        return Report(-value, "Adam", f"log density {value:.4g}, residual {rms:.2e}")

    def residual(self) -> float:
        """Root mean square of the equation's residual at the nodes, as the unknowns are now."""
        with torch.no_grad():
            return _root_mean_square(self.log_density(self.theta)[1])

    def field(self) -> KernelField:
        """The posterior mean, K_* K⁻¹ U."""
        with torch.no_grad():
            values, _, _, kernel = self.unpacked(self.theta)
            matrices = kernel.on_grid(self.shape, self.spacings)
            coefficients = KroneckerCovariance([_with_jitter(own[0]) for own in matrices]).solve(values)
        return KernelField(self.problem, kernel.factors, self.lines, coefficients.cpu().numpy())

    def details(self) -> dict[str, Any]:
        """What was found: the spectrum along each axis, largest weight first, and the noise."""
        _, log_tau, log_v, kernel = self.unpacked(self.theta.detach())
        spectrum = []
        for factor in kernel.factors:
            rank = torch.argsort(factor.weights, descending=True)
            spectrum.append(
                {name: getattr(factor, name)[rank].tolist() for name in ("weights", "frequencies", "scales")}
            )
        return {
            "estimator": "published",
            "points_per_axis": list(self.shape),
            "envelope": str(self.envelope),
            "spectrum": spectrum,
            "log_precision": {"boundary": float(log_tau), "equation": float(log_v)},
        }

    def _start(self) -> Tensor:
        q, zeros = self.options.components, torch.zeros(self.size + 2, dtype=torch.float64)
        parts = [zeros]
        for n, extent in zip(self.shape, self.problem.domain.extent):
            top = self.options.top_frequency or 2 / 3 * (n - 1) / (2 * extent)
            log_w = torch.full((q,), -math.log(q), dtype=torch.float64)
            parts += [log_w, torch.zeros(q, dtype=torch.float64), torch.linspace(0, top, q, dtype=torch.float64)]
        return torch.cat(parts).to(self.device)

    # -- conditions --------------------------------------------------------------------------------------

    def _sides(self) -> Iterator[_Boundary]:
        places = np.stack(np.unravel_index(np.arange(self.size), self.shape), axis=1)
        with_flux = rows_with_flux(self.problem)[0]
        for piece in self.problem.boundary_pieces:
            condition = piece.conditions[0]
            if not (isinstance(condition, Dirichlet) or with_flux):
                continue
            operator = boundary_residual(self.problem, condition, 0)
            for side in map(int, piece.part.elements):
                axis, upper = divmod(side, 2)
                nodes = torch.tensor(np.flatnonzero(places[:, axis] == (self.shape[axis] - 1 if upper else 0)))
                points = self._points[nodes.to(self.device)]
                normal = torch.zeros_like(points)
                normal[:, axis] = 2.0 * upper - 1.0
                yield _Boundary(operator, nodes.to(self.device), points, normal, operator.static(points, normal=normal))


class _GridJet:
    """Derivatives of the process at the nodes, from its values: K⁽ᵏ⁾ K⁻¹ along each axis."""

    def __init__(self, values: Tensor, covariance: KroneckerCovariance, matrices: Sequence[Tensor]) -> None:
        self._covariance, self._matrices = covariance, matrices
        self._known: dict[tuple[int, ...], Tensor] = {(): values}
        self._solved: dict[tuple[tuple[int, ...], int], Tensor] = {}

    def at(self, keys: Sequence[Derivative]) -> dict[Derivative, Tensor]:
        """The jet that compiled operators ask for."""
        return {key: self._derivative(key.axes).reshape(-1) for key in keys}

    def quadratic(self) -> Tensor:
        """Uᵀ K⁻¹ U, with the solves that derivatives have made already."""
        rest = self._known[()]
        for axis in range(1, len(self._matrices)):
            rest = self._solve((), axis) if axis == 1 else self._covariance.solve_along(rest, axis)
        return (self._solve((), 0) * rest).sum()

    def _derivative(self, axes: tuple[int, ...]) -> Tensor:
        if axes not in self._known:
            axis = axes[0]
            rest = tuple(other for other in axes if other != axis)
            self._known[axes] = along(self._matrices[axis][axes.count(axis)], self._solve(rest, axis), axis)
        return self._known[axes]

    def _solve(self, axes: tuple[int, ...], axis: int) -> Tensor:
        """K_i⁻¹ along an axis of a derivative."""
        if (axes, axis) not in self._solved:
            self._solved[axes, axis] = self._covariance.solve_along(self._derivative(axes), axis)
        return self._solved[axes, axis]


class _Adam:
    """Adam with a constant learning rate on one flat vector, as a part of a training."""

    def __init__(self, learning_rate: float) -> None:
        self._rate = learning_rate
        # Made at the first step, when the device of the unknowns is known.
        self._optimizer: torch.optim.Adam | None = None
        self._restored: tuple[dict[str, Tensor], dict[str, Any]] = {}, {"lists": {}}

    def moved(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """The vector after a step."""
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam([theta.detach().clone().requires_grad_()], lr=self._rate)
            unpack_optimizer(self._optimizer, *self._restored)
        parameter = self._optimizer.param_groups[0]["params"][0]
        with torch.no_grad():
            parameter.copy_(theta)
        parameter.grad = gradient
        self._optimizer.step()
        return parameter.detach().clone()

    def tensors(self) -> dict[str, Tensor]:
        return self._packed()[0]

    def values(self) -> dict[str, Any]:
        return self._packed()[1]

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._optimizer, self._restored = None, (dict(tensors), values)

    def _packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self._restored if self._optimizer is None else pack_optimizer(self._optimizer)


def _root_mean_square(values: Tensor) -> float:
    return float(values.detach().square().mean().sqrt())


def _with_jitter(matrix: Tensor) -> Tensor:
    return matrix + JITTER * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def _envelope(options: Any) -> Envelope:
    return Gaussian() if options.envelope == "gaussian" else Matern(options.smoothness)


def _shape(problem: Problem, options: Any) -> tuple[int, ...]:
    return (options.points_per_axis or _POINTS[problem.dim],) * problem.dim


def _lines(problem: Problem, options: Any) -> list[np.ndarray]:
    """Coordinates of the nodes along each axis, both ends included."""
    shape = _shape(problem, options)
    return [np.linspace(a, b, n) for a, b, n in zip(problem.domain.lower, problem.domain.upper, shape)]
