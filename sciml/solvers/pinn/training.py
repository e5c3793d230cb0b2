"""One training: points that come, steps of the optimiser, and all that a checkpoint needs to keep of them."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.nn import MLP, conditions_built_in, problem_scales
from sciml.optimize import GaussNewton, LeastSquares
from sciml.problem import Problem
from sciml.sampling import PointSet, SamplingContext
from sciml.solvers.pinn.building import build_model, build_optimizer, build_sampler
from sciml.solvers.pinn.leverage import leverage_scores
from sciml.solvers.pinn.options import PinnOptions
from sciml.solvers.pinn.placement import last_layers, place_features
from sciml.training import Collocation, Course, Distributed, Report
from sciml.training.distributed import evaluate_shared, share
from sciml.training.memory import check_fits, gauss_newton_bytes, shortage_named

__all__ = ["PinnTraining"]

# Streams of random numbers that one seed gives: what one part draws does not move the others.
_BOUNDARY, _SAMPLER, _PLACEMENT, _BATCHES = range(4)
# Steps in vain, one after the other, that end a training whose points stay.
_IN_VAIN = 3


class PinnTraining:
    """The parts of a training and how one step uses them; a part of its own checkpoint.

    Parameters
    ----------
    problem : Problem
    options : PinnOptions
    seed : int
    device : str

    Attributes
    ----------
    theta : Tensor
        The weights, (P,).
    points : PointSet
        In the domain.
    course : Course
        Steps so far; the loop that calls :meth:`step` gives it.
    """

    def __init__(self, problem: Problem, options: PinnOptions, *, seed: int, device: str) -> None:
        self.problem, self.options, self.seed = problem, options, seed
        self.hard, self.why = conditions_built_in(problem, options.conditions)
        self.scales = problem_scales(problem)
        self.model = build_model(problem, options, self.scales, self.hard, seed, device)
        self.collocation = Collocation(
            problem,
            self.model,
            self.scales,
            boundary_points=options.boundary_points,
            boundary_weight=options.boundary_weight,
            flux_weight=options.flux_weight,
            generator=self._stream(_BOUNDARY),
            chunk=options.chunk,
        )
        self.system = Distributed(self.collocation, self._shared_rows)
        self.optimizer = build_optimizer(options)
        self.sampler = build_sampler(options)
        self.theta = self.collocation.theta()
        self.course = Course()
        self.rounds, self.refreshed_at, self.in_vain = 0, 0, 0
        self.slopes: dict[str, float] = {}
        self._batches: list[LeastSquares] = []
        self._check_memory()
        self._begin()

    # -- steps -------------------------------------------------------------------------------------------

    def step(self) -> Report:
        """Refresh the points if it is time, and make one step of the optimiser."""
        if self._is_due():
            self._refresh()
        with shortage_named(len(self.points), self._bytes, what="a step", advice="use solve=matrix_free"):
            try:
                step = self.optimizer.step(self._system_of_step(), self.theta)
            except DivergenceError:
                return Report(math.nan, self.options.optimizer)
        self.theta = step.theta
        self.in_vain = 0 if step.accepted else self.in_vain + 1
        rms = math.sqrt(2 * step.loss) if step.loss >= 0 else math.nan
        text = f"residual {rms:.2e}, {len(self.points)} points"
        return Report(step.loss, self.options.optimizer, text, self._ending(rms))

    def ask_again(self) -> None:
        """Forget that a training had converged, if it goes on with a tolerance that it does not meet."""
        course = self.course
        if course.verdict is not None and course.verdict[0] == "converged" and course.loss is not None:
            unmet = math.sqrt(2 * course.loss) > self.options.tolerance
            course.verdict = None if unmet else course.verdict

    def _ending(self, rms: float) -> Any:
        if rms <= self.options.tolerance:
            return "converged", f"the weighted residual is {rms:.2e} of its typical size"
        if self.in_vain >= _IN_VAIN and not self._may_change:
            return "stagnated", f"no step of {self.options.optimizer} lowers the loss any more"
        return None

    @property
    def _may_change(self) -> bool:
        """Whether another refresh can bring other points."""
        options = self.options
        replaced = options.add == 0 or options.full == "replace"
        room = len(self.points) < (options.points if options.budget is None else options.budget)
        fixed = options.sampler == "user" and not callable(options.user_points)
        return options.refresh_every > 0 and (replaced or room) and not fixed

    def _is_due(self) -> bool:
        done = self.course.steps
        if not self._may_change or done == self.refreshed_at:
            return False
        return self.in_vain > 0 or done % self.options.refresh_every == 0

    def _system_of_step(self) -> LeastSquares:
        if not self._batches:
            return self.system
        since = self.course.steps - self.refreshed_at
        epoch, place = divmod(since, len(self._batches))
        order = self._stream(_BATCHES, self.rounds, epoch).permutation(len(self._batches))
        return self._batches[order[place]]

    # -- points ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Let an MLP say nothing at first, so that samplers and placement see what the declaration alone leaves."""
        network = self.model.network
        self.points = self.sampler.start(self.options.points, self._context())
        if isinstance(network, MLP):
            with torch.no_grad():
                for parameter in last_layers(network):
                    parameter.zero_()
            self.theta = self.collocation.theta()
        if self.options.look_first and self._may_change:
            self.points = self.sampler.refresh(self.points, self._context())
            self.rounds += 1
        if self.options.features == "placed" and isinstance(network, MLP):
            self.slopes = place_features(
                self.model, self.problem, self._context().residuals, self.points.points, self._stream(_PLACEMENT)
            )
            self.theta = self.collocation.theta()
        self._use_points()

    def _refresh(self) -> None:
        before, self.refreshed_at = self.points, self.course.steps
        self.points = self.sampler.refresh(self.points, self._context())
        self.rounds += 1
        if self.points is not before:
            self.in_vain = 0
            self._use_points()
            self.optimizer.restart()

    def _use_points(self) -> None:
        self.collocation.set_points(*share(self.points.points, self.points.weights))
        batch, n = self.options.batch, len(self.points)
        self._batches = []
        if batch is None or batch >= n:
            return
        order = self._stream(_BATCHES, self.rounds).permutation(n)
        for part in np.array_split(order, math.ceil(n / batch)):
            some = copy.copy(self.collocation)
            some.set_points(*share(self.points.points[part], self.points.weights[part]))
            self._batches.append(Distributed(some, lambda some=some: _equation_rows(some)))

    def _context(self) -> SamplingContext:
        theta = self.theta
        return SamplingContext(
            problem=self.problem,
            residuals=lambda points: evaluate_shared(lambda some: self.collocation.squared(theta, some), points),
            generator=self._stream(_SAMPLER),
            round=self.rounds,
            leverage=lambda points: leverage_scores(
                self.collocation, theta, points, known=self.points.points, damping=self._damping
            ),
        )

    @property
    def _damping(self) -> float:
        known = self.optimizer.values() if isinstance(self.optimizer, GaussNewton) else {}
        return float(known.get("damping", 1e-6))

    def _shared_rows(self) -> list[slice]:
        return _equation_rows(self.collocation)

    def _stream(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    # -- memory ------------------------------------------------------------------------------------------

    def _bytes(self, points: int) -> float:
        if self.options.optimizer != "gauss_newton" or self.options.solve not in ("sample", "primal"):
            return 0.0
        rows = points * self.problem.n_components + self.options.boundary_points
        return gauss_newton_bytes(rows, self.collocation.n_parameters, self.theta.element_size())

    def _check_memory(self) -> None:
        most = max(self.options.points, self.options.budget or 0)
        check_fits(most, self._bytes, what="the Jacobian", advice="use solve=matrix_free")

    # -- state -------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights and points."""
        return {"theta": self.theta} | {f"points.{name}": t for name, t in self.points.tensors().items()}

    def values(self) -> dict[str, Any]:
        """Counters."""
        return {"rounds": self.rounds, "refreshed_at": self.refreshed_at, "in_vain": self.in_vain}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go back to where the state was taken."""
        self.theta = tensors["theta"].to(self.theta.device)
        kept = {name.removeprefix("points."): t for name, t in tensors.items() if name.startswith("points.")}
        self.points = PointSet.from_tensors(kept)
        self.rounds, self.refreshed_at, self.in_vain = (
            int(values[name]) for name in ("rounds", "refreshed_at", "in_vain")
        )
        self._use_points()

    # -- for the record ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Put the weights into the network, and all points in place of the share of this process."""
        self.collocation.load(self.theta)
        self.collocation.set_points(self.points.points, self.points.weights)

    def details(self) -> dict[str, Any]:
        """What was chosen, and why."""
        chosen = {"equations": self.optimizer.chosen} if isinstance(self.optimizer, GaussNewton) else {}
        return chosen | {
            "conditions": f"{'hard' if self.hard else 'soft'} ({self.why})",
            "loss_terms": self.collocation.term_values(self.theta),
            "points": len(self.points),
            "points_by_origin": self.points.counts(),
            "refreshes": self.rounds,
            "first_layer": self.slopes,
            "adversary": dict(getattr(self.sampler, "record", {})),
            "scales": self.scales.as_dict(),
            "threads": torch.get_num_threads(),
        }


def _equation_rows(collocation: Collocation) -> list[slice]:
    return [term.rows for term in collocation.terms if term.kind == "equation"]
