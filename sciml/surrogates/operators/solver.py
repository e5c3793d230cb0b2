"""A trained network as a solver of its family's members."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sciml.datasets import belongs, family_of, inputs_of, outside
from sciml.datasets.layout import Layout
from sciml.errors import OptionError
from sciml.problem import Box, Problem
from sciml.solution import ADVICE, GridField, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.surrogates.operators.run import OperatorRun, check_samples, load_run
from sciml.surrogates.operators.samples import Batch

__all__ = ["OperatorOptions", "OperatorSolver"]


class OperatorOptions(SolverOptions):
    """Options of a trained network."""

    resolution: int | None = Field(
        None, ge=4, description="nodes along each axis, if the network takes any; as it was trained if None"
    )


class OperatorSolver(Solver):
    """Solves members of the family that a network was trained on.

    The inputs are read off the declaration of the member at the nodes of the grid, the outputs are a field of piecewise
    cubics through the nodes. Nothing is iterated, so the status is "converged" where the member lies in the range that
    was trained on, and "outside_range" otherwise. The band around the outputs is in the details.
    """

    title = "a network that was trained on the family"
    Options = OperatorOptions
    stochastic = False
    resolution = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: OperatorRun = load_run(folder)
        self.name = str(folder)  # type: ignore[misc]

    def supports(self, problem: Problem) -> str | None:
        family = family_of(self.run["specification"])
        reason = belongs(problem, family)
        if reason is not None:
            return reason
        if self.run["frames"] > 1 or problem.evolves:
            return "it goes on with trajectories whose first frames are given; ask it by OperatorRun.predict"
        names, fields = self.run["names"]["outputs"], [slot.name for slot in problem.layout]
        unknown = (
            Layout(family, self.run["grid"], outputs=fields).output_names if isinstance(problem.domain, Box) else []
        )
        if len(fields) > 1 or names != unknown:
            return f"it makes {', '.join(names)} at the nodes of the family's mesh, and not the unknown as a field"
        return None

    def check(self, problem: Problem, options: OperatorOptions, device: str) -> None:
        own = self.run["grid"][0]
        if options.resolution not in (None, own) and not self.run["any_resolution"]:
            raise OptionError(
                f"resolution={options.resolution} was given; model {self.run['model']!r} takes no other grid than that "
                f"of {own} nodes along an axis that it was trained on."
            )

    def solve(self, problem: Problem, options: OperatorOptions, context: Context) -> Solution:
        context.report(Progress("evaluating the network"))
        grid = tuple(self.run["grid"]) if options.resolution is None else (options.resolution,) * problem.dim
        wall = time.perf_counter()
        inputs = self._inputs(problem, grid)
        values, width = self._outputs(inputs, grid, context.device)
        solved = time.perf_counter() - wall
        beyond = list(dict.fromkeys([*outside(problem, self.run["ranges"]), *self.run.strange_inputs(inputs)]))
        status = "outside_range" if beyond else "converged"
        said = f"{', '.join(beyond)}: {ADVICE[status]}" if beyond else "the network was evaluated, nothing was iterated"
        return Solution(
            problem=problem,
            field=GridField(problem, values.reshape(*grid, *problem.shape)),
            solver=self.name,
            options=options.model_dump(),
            status=status,
            message=said,
            seconds=Seconds(solve=solved),
            cpu_seconds=context.cpu_seconds,
            iterations=0,
            seed=context.seed,
            device=context.device,
            trainable_parameters=self.run["trainable_parameters"],
            versions=package_versions("sciml", "torch"),
            details=self._details(values, width),
        )

    def _inputs(self, problem: Problem, grid: tuple[int, ...]) -> Tensor:
        inputs = inputs_of(problem, family_of(self.run["specification"]), grid)
        return torch.tensor(inputs, dtype=torch.float32)[None]

    def _outputs(self, inputs: Tensor, grid: tuple[int, ...], device: str) -> tuple[np.ndarray, np.ndarray]:
        nothing: Tensor = inputs.new_zeros(1, *grid, len(self.run["names"]["outputs"]))
        outputs = check_samples(self.run.predict(Batch(inputs, nothing, None), device=device))[0]
        return outputs.double().numpy(), self.run.width(grid).double().numpy()

    def _details(self, values: np.ndarray, width: np.ndarray) -> dict[str, Any]:
        """What the calibration says of the outputs."""
        size = float(np.sqrt(np.mean(values**2)))
        return {
            "model": self.run["model"],
            "validation_relative_l2": self.run["validation"],
            "band_coverage": self.run.band.nominal,
            "band_relative_width": float(np.sqrt(np.mean(width**2))) / size if size else None,
            "training_cpu_seconds": self.run["cpu_seconds"],
        }
