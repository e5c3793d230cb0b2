"""A trained simulator as a solver of its family's members."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from pydantic import Field

from sciml.datasets import belongs, family_of, outside
from sciml.errors import OptionError
from sciml.problem import Problem
from sciml.solution import ADVICE, GridEvolution, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.surrogates.wave_cnn.conditioning import conditioned
from sciml.surrogates.wave_cnn.run import WaveRun, load_wave_run

__all__ = ["SimulatorOptions", "WaveSolver"]


class SimulatorOptions(SolverOptions):
    """Options of a trained wave simulator."""

    resolution: int | None = Field(None, ge=4, description="nodes along each axis; none but those it was trained on")
    step: float | None = Field(None, gt=0, description="time between frames; none but that it was trained on")


class WaveSolver(Solver):
    """Solves members of the family of waves that a simulator was trained on.

    Speed, source and start are read off the declaration of the member; frame follows frame from the start, the source
    included. The frames are a solution in time, by cubics between them and between the nodes.
    """

    title = "a wave simulator that was trained on the family"
    Options = SimulatorOptions
    stochastic = False
    resolution = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: WaveRun = load_wave_run(folder)
        self.name = str(folder)  # type: ignore[misc]

    def supports(self, problem: Problem) -> str | None:
        family = family_of(self.run["specification"])
        duration = self.run["step"] * self.run["frames"]
        if problem.evolves and abs(problem.time.duration - duration) > 1e-9 * duration:
            return f"it makes {self.run['frames']} frames over a time of {duration:.6g}, as it was trained"
        return belongs(problem, family)

    def check(self, problem: Problem, options: SimulatorOptions, device: str) -> None:
        own = self.run["grid"][0]
        if options.resolution not in (None, own):
            raise OptionError(
                f"resolution={options.resolution} was given; the simulator knows the distance of {own} nodes along an "
                f"axis alone, which it was trained on: leave it out, or train on data of another resolution."
            )
        if options.step is not None and abs(options.step - self.run["step"]) > 1e-9 * self.run["step"]:
            raise OptionError(
                f"step={options.step:g} was given; the simulator makes steps of {self.run['step']:.6g} alone, which it "
                f"was trained on: leave it out, or train on data with other frames."
            )

    def solve(self, problem: Problem, options: SimulatorOptions, context: Context) -> Solution:
        context.report(Progress("rolling out"))
        wall = time.perf_counter()
        start, step, n = problem.time.start, self.run["step"], self.run["frames"]
        medium = conditioned(problem, self.run["grid"], start + step * np.arange(1, n + 1))
        ready = time.perf_counter()
        made = self.run.roll(medium, n, device=context.device)[0].double().numpy()
        first = medium.start[0].numpy()[None]
        solved = time.perf_counter()
        beyond = outside(problem, self.run["ranges"])
        status = "outside_range" if beyond else "converged"
        said = f"{', '.join(beyond)}: {ADVICE[status]}" if beyond else "the frames were made, nothing was iterated"
        times = start + step * np.arange(n + 1)
        return Solution(
            problem=problem,
            field=GridEvolution(problem, times, np.concatenate([first, made]), periodic=self.run.simulator.periodic),
            solver=self.name,
            options=options.model_dump(),
            status=status,
            message=said,
            seconds=Seconds(setup=ready - wall, solve=solved - ready),
            cpu_seconds=context.cpu_seconds,
            iterations=n,
            seed=context.seed,
            device=context.device,
            trainable_parameters=self.run["trainable_parameters"],
            versions=package_versions("sciml", "torch"),
            details={
                "model": self.run["model"],
                "format": self.run["options"]["format"],
                "validation_relative_l2": self.run["validation"],
                "training_cpu_seconds": self.run["cpu_seconds"],
            },
        )
