"""The plain PINN that users know, trained by DeepXDE on the compiled residual."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from sciml.errors import OptionError, unknown_name
from sciml.forms import analyse
from sciml.nn import MLP, PhysicalNetwork, conditions_built_in, periodic_inputs_obstacle, problem_scales
from sciml.problem import Problem
from sciml.solution import ADVICE, NetworkEvolution, NetworkField, Seconds, Solution
from sciml.solvers.base import Context, Progress, Range, Solver, SolverOptions, checked_device, package_versions
from sciml.solvers.deepxde import records
from sciml.solvers.deepxde.isolation import isolated
from sciml.solvers.deepxde.networks import plain_network
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.training import build_training
from sciml.training.threads import torch_threads

__all__ = ["SOLVER", "DeepxdeOptions", "DeepxdeSolver"]


class DeepxdeOptions(SolverOptions):
    """Options of the plain PINN."""

    network: Any = Field("fnn", description="fnn, pfnn (one network per component), or a torch.nn.Module")
    width: int = Field(40, ge=1, description="neurons per hidden layer")
    depth: int = Field(3, ge=1, description="hidden layers")
    activation: Literal["tanh", "sin", "silu", "sigmoid"] = Field("tanh", description="activation function")
    adam: int = Field(500, ge=0, description="Adam iterations")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam")
    lbfgs: int = Field(2000, ge=0, description="L-BFGS iterations after Adam")
    points: int = Field(1000, ge=1, description="collocation points in the domain")
    boundary_points: int = Field(240, ge=1, description="points on the boundary (and at the start of the time)")
    conditions: Literal["auto", "hard", "soft"] = Field(
        "auto", description="Dirichlet conditions built in (boxes), as loss terms, or built in where possible"
    )
    boundary_weight: float = Field(
        100.0, gt=0, description="weight of Dirichlet terms in the loss (the equation has 1)"
    )
    flux_weight: float = Field(10.0, gt=0, description="weight of Neumann, Robin and natural terms in the loss")
    unknown_scale: float | dict[str, float] | None = Field(
        None, description="typical size of the unknown, or of each of several fields by name; estimated by default"
    )
    sampler: Literal["fixed", "rar"] = Field("fixed", description="fixed points, or residual-based refinement")
    rar_every: int = Field(500, ge=1, description="iterations between two refinements")
    rar_candidates: int = Field(10_000, ge=1, description="fresh points that a refinement looks at")
    rar_add: int = Field(50, ge=1, description="points that a refinement adds")
    rar_max_points: int | None = Field(None, ge=1, description="stop adding at this many; twice `points` by default")
    dtype: Literal["float64", "float32"] = Field("float64", description="of all numbers")
    threads: int | None = Field(1, ge=1, description="threads for torch (small networks want one); none keeps torch's")
    checkpoint_every: float = Field(30.0, ge=0, description="CPU seconds between checkpoints")

    @field_validator("network")
    @classmethod
    def _network(cls, value: Any) -> Any:
        if value not in ("fnn", "pfnn") and not isinstance(value, torch.nn.Module):
            raise ValueError("allowed are fnn, pfnn and a torch.nn.Module")
        return value

    @field_validator("unknown_scale")
    @classmethod
    def _unknown_scale(cls, value: Any) -> Any:
        sizes = value.values() if isinstance(value, dict) else [] if value is None else [value]
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            raise ValueError("a size is above 0")
        return value


class DeepxdeSolver(Solver):
    """A physics-informed neural network (M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378, 2019)
    through DeepXDE (L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, SIAM Review 63, 2021).

    The loss is the mean squared strong residual at collocation points plus weighted boundary terms, each in multiples
    of its typical size (see :class:`sciml.nn.Scales`), so that the same settings serve problems in any units. On boxes,
    Dirichlet conditions are built into the network unless their values have a kink or contradict each other where
    sides meet; elsewhere they are loss terms. Periodic conditions, on boxes only, are built into its inputs. Of a
    problem that runs in time the time is one more input, and the state at the start a loss term. Several fields are
    outputs of one network (or of one each: `network=pfnn`) with sizes of their own; the mean value of one that is
    determined up to a constant is a loss term. The network learns the deviation from the scales' offset. Adam comes
    first, then L-BFGS.

    Good for smooth solutions in any dimension; not for sharp features, which the points miss: use `sampler=rar` or an
    adaptive solver.
    """

    name = "deepxde"
    title = "plain PINN (DeepXDE): Adam, then L-BFGS, with optional residual-based refinement"
    Options = DeepxdeOptions
    resolution = "lbfgs"
    tuning_space = {
        "width": (20, 40, 64, 100),
        "depth": (2, 3, 4, 5),
        "activation": ("tanh", "sin", "silu"),
        "adam": (200, 500, 2000),
        "learning_rate": Range(5e-4, 1e-2, log=True),
        "points": (500, 1000, 2000, 4000),
        "boundary_weight": Range(1.0, 1000.0, log=True),
        "flux_weight": Range(1.0, 100.0, log=True),
        "sampler": ("fixed", "rar"),
    }

    def supports(self, problem: Problem) -> str | None:
        return analyse(problem).strong_form_obstacle or periodic_inputs_obstacle(problem)

    def check(self, problem: Problem, options: DeepxdeOptions, device: str) -> None:
        if options.adam + options.lbfgs == 0:
            raise OptionError("adam = 0 and lbfgs = 0 leave nothing to do; give one of them a number of iterations.")
        checked_device(device)
        conditions_built_in(problem, options.conditions)
        _unknown_scale(problem, options, (1.0,) * problem.n_components)

    def load(self) -> None:
        with isolated(dtype=torch.float64, seed=0):
            pass

    def solve(self, problem: Problem, options: DeepxdeOptions, context: Context) -> Solution:
        from sciml.solvers.deepxde.engine import train

        hard, reason = conditions_built_in(problem, options.conditions)
        scales = problem_scales(problem)
        around = {
            "unknown_scale": _unknown_scale(problem, options, scales.unknowns),
            "hard": hard,
            "offset": scales.offset,
        }
        user = options.network if isinstance(options.network, torch.nn.Module) else None
        shell = PhysicalNetwork(user or torch.nn.Identity(), problem, **around)
        training = build_training(
            problem,
            shell,
            scales,
            hard=hard,
            points=options.points,
            boundary_points=options.boundary_points,
            boundary_weight=options.boundary_weight,
            flux_weight=options.flux_weight,
            generator=np.random.default_rng([context.seed, 0]),
        )
        start = time.perf_counter()
        with torch_threads(options.threads):
            result = train(
                training,
                self._training_options(options, context),
                progress=lambda p: context.report(
                    Progress({"adam": "Adam", "lbfgs": "L-BFGS"}[p.phase], p.iteration, p.total, f"loss {p.loss:.2e}")
                ),
                resume=context.resume,
            )
        seconds = Seconds(train=time.perf_counter() - start)
        network = result.network.module if user is not None else as_mlp(result.network)  # type: ignore[attr-defined]
        model = PhysicalNetwork(network, problem, **around)  # type: ignore[arg-type]
        return self._solution(problem, options, context, model, result, seconds, scales.as_dict(), reason)

    @staticmethod
    def _training_options(options: DeepxdeOptions, context: Context) -> TrainingOptions:
        same = ("network", "width", "depth", "activation", "adam", "learning_rate", "lbfgs", "sampler", "cpu_seconds")
        same += ("rar_every", "rar_candidates", "rar_add", "rar_max_points", "checkpoint_every")
        return TrainingOptions(
            **{name: getattr(options, name) for name in same},
            seed=context.seed,
            checkpoint=None if context.folder is None else context.folder / "checkpoint",
            dtype=getattr(torch, options.dtype),
            device=context.device,
        )

    def _solution(
        self,
        problem: Problem,
        options: DeepxdeOptions,
        context: Context,
        model: PhysicalNetwork,
        result: records.TrainingResult,
        seconds: Seconds,
        scales: dict[str, Any],
        reason: str,
    ) -> Solution:
        kept = options.model_dump()
        kept["network"] = options.network if isinstance(options.network, str) else type(options.network).__name__
        iterations = np.array([step for step, _ in result.history])
        losses = np.array([terms for _, terms in result.history])
        return Solution(
            problem=problem,
            field=NetworkEvolution(problem, model) if problem.evolves else NetworkField(problem, model),
            solver=self.name,
            options=kept,
            status=result.status,
            message=f"{result.reason}; {ADVICE[result.status]}",
            seconds=seconds,
            cpu_seconds=max(context.cpu_seconds, result.cpu_seconds),
            iterations=sum(result.iterations.values()),
            residual=result.loss,
            trainable_parameters=result.parameters,
            seed=context.seed,
            device=context.device,
            versions=package_versions("deepxde", "torch", "numpy"),
            details={
                "iterations": result.iterations,
                "conditions": f"{'soft' if model.conditions is None else 'hard'} ({reason})",
                "loss_terms": result.losses,
                "points": result.n_points,
                "refinements": result.rounds,
                "scales": scales,
                "threads": options.threads or torch.get_num_threads(),
            },
            history={"iteration": iterations, "loss": losses.sum(axis=1), "terms": losses},
        )


def _unknown_scale(problem: Problem, options: DeepxdeOptions, estimated: tuple[float, ...]) -> tuple[float, ...]:
    """The size of each component: as given, or as estimated."""
    given = options.unknown_scale
    if given is None:
        return estimated
    if not isinstance(given, dict):
        if len(problem.layout) > 1:
            raise OptionError(
                f"unknown_scale={given!r} is one size for several fields, which have units of their own; give a "
                f"dictionary for some of {', '.join(problem.fields)}."
            )
        return (given,) * problem.n_components
    for name in given:
        if name not in problem.fields:
            raise unknown_name("field", name, problem.fields)
    return tuple(given.get(slot.name, estimated[c]) for slot in problem.layout for c in slot.components)


def as_mlp(network: torch.nn.Module) -> MLP:
    """The layers of a trained DeepXDE network as an :class:`~sciml.nn.MLP`."""
    plain = plain_network(network)
    widths = [[layers[0][0].shape[1], *(weight.shape[0] for weight, _ in layers)] for layers in plain.subnetworks]
    weight = plain.subnetworks[0][0][0]
    mlp = MLP(widths, plain.activation, dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        for branch, layers in zip(mlp.branches, plain.subnetworks, strict=True):
            for linear, (w, b) in zip(branch, layers, strict=True):  # type: ignore[arg-type]
                linear.weight.copy_(w)
                linear.bias.copy_(b)
    return mlp


SOLVER = DeepxdeSolver()
