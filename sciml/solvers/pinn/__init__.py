"""A PINN whose points an adversary chooses and whose weights Gauss–Newton trains."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from sciml.errors import OptionError
from sciml.forms import analyse
from sciml.nn import conditions_built_in, periodic_inputs_obstacle
from sciml.problem import Problem
from sciml.sampling import checked_points
from sciml.solution import ADVICE, NetworkEvolution, NetworkField, Seconds, Solution
from sciml.solvers.base import Context, Progress, Range, Solver, checked_device, package_versions
from sciml.solvers.pinn.adversary import Adversary
from sciml.solvers.pinn.building import build_optimizer, build_sampler
from sciml.solvers.pinn.diagnosing import diagnose
from sciml.solvers.pinn.options import PinnOptions
from sciml.solvers.pinn.training import PinnTraining
from sciml.training import Ending, Identity, Interrupts, TrainingState, train
from sciml.training.distributed import is_first, largest, process_group
from sciml.training.threads import torch_threads

__all__ = ["SOLVER", "PinnOptions", "PinnSolver"]

# What may differ between a training and the one that it goes on from.

_LIMITS = ("steps", "tolerance", "threads")
_TITLES = {
    "gauss_newton": "Gauss–Newton",
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "ssbfgs": "self-scaled BFGS",
    "ssbroyden": "self-scaled Broyden",
}


class PinnSolver(Solver):
    """A physics-informed neural network with adversarial adaptive sampling and Gauss–Newton steps.

    The unknown is a network, scaled and on boxes with its Dirichlet conditions built in, and its weights θ minimise

        E(θ) = ½ mean_i w_i (r(x_i; θ)/size)² + ½ Σ_t weight_t mean_j (b_t(x_j; θ)/size_t)²,

    r the strong residual of the declaration, b_t the conditions that are not built in, each in multiples of its typical
    size. The points x_i are half even and half drawn from a density p that an adversary, a normalising flow on the box
    of the domain (and the time), maximises ∫ r² p − β ∫ |∇p|² with (K. Tang, J. Zhai, X. Wan, C. Yang, ICLR 2024,
    arXiv 2305.18702). They are few at the start, and every `every` steps `add` come. Instead of the flow, points can be
    uniform, quasi-random, or chosen by RAR, RAD, R3, leverage scores or the user.

    θ is trained by damped Gauss–Newton steps with exact Jacobians (J. Müller, M. Zeinhofer, ICML 2023, arXiv
    2302.13163), Marquardt scaling and geodesic acceleration; Adam, L-BFGS and self-scaled BFGS and Broyden are there to
    compare with. The first layer bends, with `features=placed`, where the residual of the untrained network is large.

    Good for smooth solutions with few weights, and for peaks and layers that uniform points miss. Gauss–Newton solves
    with a dense matrix as large as the smaller one of points and weights: a few thousand are the practical limit.

    Sources of the samplers and optimisers stand with them, in `sciml.sampling` and `sciml.optimize`.
    """

    name = "pinn"
    title = "PINN: points from an adversary, RAR, RAD or R3, trained by Gauss–Newton, L-BFGS or Adam"
    Options = PinnOptions
    resolution = "steps"
    shared = True
    tuning_space = {
        "width": (12, 16, 24, 32),
        "depth": (2, 3, 4),
        "activation": ("tanh", "sin", "silu"),
        "features": ("placed", "plain", "fourier"),
        "points": (800, 1600, 3000),
        "sampler": ("aas", "rad", "quasi_random"),
        "beta": Range(1e-3, 1e-1, log=True),
        "boundary_weight": Range(1.0, 1000.0, log=True),
        "flux_weight": Range(1.0, 100.0, log=True),
    }

    def supports(self, problem: Problem) -> str | None:
        return analyse(problem).strong_form_obstacle or periodic_inputs_obstacle(problem)

    def check(self, problem: Problem, options: PinnOptions, device: str) -> None:
        checked_device(device)
        conditions_built_in(problem, options.conditions)
        build_sampler(options)
        build_optimizer(options)
        if options.sampler == "aas":
            Adversary.of_problem(problem)
        _check_points(problem, options)
        if options.features != "placed" and options.network != "mlp":
            raise OptionError(f"features={options.features} is for network=mlp; a module of the user's has its own.")

    def solve(self, problem: Problem, options: PinnOptions, context: Context) -> Solution:
        with process_group(), torch_threads(options.threads):
            training = PinnTraining(problem, options, seed=context.seed, device=context.device)
            start = time.perf_counter()
            state, folder = self._state(training, context)
            earlier = state.course.cpu_seconds
            ending = self._train(training, state, folder, context)
            seconds = Seconds(train=time.perf_counter() - start)
            return self._solution(training, ending, context, seconds, earlier)

    def _state(self, training: PinnTraining, context: Context) -> tuple[TrainingState, Path | None]:
        """The parts of a training, as they are in its checkpoint if it goes on, and the folder of that."""
        options = training.options
        kept = options.model_dump()
        if options.optimizer == "adam" and options.schedule == "cosine":
            # The learning rate follows from the number of steps, which is then no mere limit.
            kept["schedule"] = f"cosine over {options.n_steps} steps"
        identity = Identity.of(training.problem, self.name, kept, seed=context.seed, limits=_LIMITS)
        state = TrainingState(identity, weights=training, optimizer=training.optimizer, sampler=training.sampler)
        folder = None if context.folder is None else context.folder / "checkpoint"
        if folder is not None and context.resume:
            state.load(folder)
            training.course = state.course
            training.ask_again()
        training.course = state.course
        return state, folder

    def _train(self, training: PinnTraining, state: TrainingState, folder: Path | None, context: Context) -> Ending:
        options, title = training.options, _TITLES[training.options.optimizer]
        with Interrupts() as interrupts:
            return train(
                training.step,
                state,
                steps=options.n_steps,
                cpu_seconds=options.cpu_seconds,
                checkpoint_every=options.checkpoint_every,
                folder=folder if is_first() else None,
                report=lambda course, report: context.report(
                    Progress(title, course.steps, options.n_steps, report.text)
                ),
                interrupts=interrupts,
                agree=largest,
            )

    def _solution(
        self, training: PinnTraining, ending: Ending, context: Context, seconds: Seconds, earlier: float
    ) -> Solution:
        problem, options, course = training.problem, training.options, training.course
        training.finish()
        start = time.perf_counter()
        diagnosis, arrays = diagnose(training, ending)
        if context.folder is not None and is_first():
            diagnosis.write(context.folder, arrays)
        kept = options.model_dump()
        kept["network"] = "mlp" if options.network == "mlp" else type(options.network).__name__
        kept["user_points"] = None if options.user_points is None else "of the user's own"
        seconds.post = time.perf_counter() - start
        history = np.array(course.history, dtype=float).reshape(-1, 2)
        model = training.model
        return Solution(
            problem=problem,
            field=NetworkEvolution(problem, model) if problem.evolves else NetworkField(problem, model),
            solver=self.name,
            options=kept,
            status=ending.status,
            message=f"{ending.reason}; {ADVICE[ending.status]}",
            seconds=seconds,
            cpu_seconds=earlier + context.cpu_seconds,
            iterations=course.steps,
            residual=course.loss,
            trainable_parameters=training.collocation.n_parameters,
            seed=context.seed,
            device=context.device,
            versions=package_versions("torch", "numpy", "scipy"),
            details=training.details() | {"diagnosis": diagnosis.as_dict()},
            history={"iteration": history[:, 0].astype(int), "loss": history[:, 1]},
        )


def _check_points(problem: Problem, options: PinnOptions) -> None:
    """Refuse points that the sampler, the optimiser or the domain has no use for."""
    budget = options.points if options.budget is None else options.budget
    if options.user_points is not None and options.sampler != "user":
        raise OptionError(f"user_points are for sampler=user; {options.sampler} has its own, so leave one of them out.")
    if options.user_points is not None and not callable(options.user_points):
        given = len(checked_points(problem, options.user_points, "points of the user"))
        if given > budget:
            raise OptionError(
                f"The budget of {budget} points is smaller than the {given} of the user; give a larger one."
            )
    looks = options.sampler not in ("uniform", "quasi_random", "user")
    if looks and options.add and options.full == "stop" and budget <= options.points:
        raise OptionError(
            f"The budget of {budget} points has no room for those that sampler={options.sampler} adds to the "
            f"{options.points} at the start; give a larger budget, or add=0, which replaces points."
        )
    if options.batch is not None and options.optimizer != "adam":
        raise OptionError(
            f"batch={options.batch} is for optimizer=adam; {options.optimizer} takes all points in each step."
        )
    if options.batch is not None and options.batch > budget:
        raise OptionError(
            f"batch={options.batch} is more than the budget of {budget} points; give a smaller one or a larger budget."
        )


SOLVER = PinnSolver()
