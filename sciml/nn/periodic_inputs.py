"""Periodicity built into a network: along a periodic axis it sees cos and sin of 2π x/L in place of x.

Whatever the weights, the network and all its derivatives then take the same values on both sides (S. Dong, N. Ni,
J. Comput. Phys. 435, 2021). That makes the flux periodic too if the law takes the same coefficients on both sides.
"""

from __future__ import annotations

import numpy as np
import torch

from sciml.forms import balance, pointwise
from sciml.forms.jets import TaylorSeries
from sciml.problem import Box, Periodic, Problem

__all__ = ["InputMap", "periodic_inputs_obstacle"]


def periodic_inputs_obstacle(problem: Problem) -> str | None:
    """Why periodic conditions cannot be built into a network, or None."""
    if not problem.periodic:
        return None
    if not isinstance(problem.domain, Box):
        return f"{problem.periodic[0]} can be built into a network on a box only"
    for condition in problem.periodic:
        if not _is_whole(problem, condition):
            return f"{condition} holds for some components only, and the network has one input for all"
        if _jumps(problem, condition):
            return f"its flux is not the same on both sides of {condition}"
    return None


def _axis(condition: Periodic) -> int:
    return int(np.argmax(np.abs(condition.translation)))


def _is_whole(problem: Problem, condition: Periodic) -> bool:
    """Whether all components are periodic along the axis of a condition."""
    along = [c for c in problem.periodic if _axis(c) == _axis(condition)]
    return len({k for c in along for k in c.components(problem.n_components)}) == problem.n_components


def _jumps(problem: Problem, condition: Periodic) -> bool:
    """Whether the flux of the same state differs on the two sides."""
    generator = np.random.default_rng(0)
    points = problem.domain.part(condition.minus).sample(64, generator)[0]
    operator = pointwise(problem, balance(problem).flux)
    states = {key: torch.tensor(generator.standard_normal(len(points))) for key in operator.keys}
    with torch.no_grad():
        here, there = (operator(torch.tensor(x), states) for x in (points, points + condition.translation))
    return not torch.allclose(here, there, rtol=1e-8, atol=1e-8 * float(here.abs().max()))


class InputMap:
    """From points to a network's inputs: [−1, 1] along an axis with sides, (cos, sin) along a periodic one.

    Parameters
    ----------
    lower, upper : (d,) arrays
        Bounds of the coordinates, the time included.
    problem : Problem
        Says which axes are periodic.
    """

    def __init__(self, lower: np.ndarray, upper: np.ndarray, problem: Problem) -> None:
        self.periodic = sorted({_axis(c) for c in problem.periodic})
        axes = [axis for axis in range(len(lower)) for _ in range(1 + (axis in self.periodic))]
        second = np.array([k > 0 and axes[k - 1] == axis for k, axis in enumerate(axes)])
        self._axes, self._waves = axes, np.isin(axes, self.periodic)
        # cos a is sin(a + π/2).
        start = np.where(self._waves, np.where(second, 0.0, np.pi / 2), -1.0)
        self._factor = np.where(self._waves, 2 * np.pi, 2.0) / (upper - lower)[axes]
        self._shift = start - lower[axes] * self._factor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, d)`` to ``(n, inputs)``."""
        factor, shift, waves = self._tensors(x)
        if not self.periodic:
            return x * factor + shift
        phase = x[:, self._axes] * factor + shift
        return torch.where(waves, torch.sin(phase), phase)

    def taylor(self, series: TaylorSeries) -> TaylorSeries:
        """The same for a series."""
        factor, shift, waves = self._tensors(series.value)
        if not self.periodic:
            return series.scale(factor, shift)
        phases = series.select(self._axes).scale(factor, shift)
        a = phases.value
        wave, slope = torch.sin(a), torch.cos(a)
        ones = torch.ones_like(a)
        return phases.activation(
            torch.where(waves, wave, a), torch.where(waves, slope, ones), torch.where(waves, -wave, 0 * ones)
        )

    def _tensors(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        kind = {"dtype": x.dtype, "device": x.device}
        return (
            torch.as_tensor(self._factor, **kind),
            torch.as_tensor(self._shift, **kind),
            torch.as_tensor(self._waves, device=x.device),
        )
