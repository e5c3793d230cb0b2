"""Trajectories of a data file with what a simulator is told about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.datasets import Dataset
from sciml.errors import OptionError
from sciml.problem import Box
from sciml.surrogates.wave_cnn.conditioning import Medium, Sides, check_times, conditioned, sides_of, together

__all__ = ["Waves", "spacing_of"]


@dataclass(frozen=True, eq=False)
class Waves:
    """Some members of a family.

    Attributes
    ----------
    frames : ``(n, T + 1, *grid)`` tensor
        The start first.
    medium : Medium
    sides : Sides
    step, spacing : float
        Between frames, and between nodes.
    """

    frames: Tensor
    medium: Medium
    sides: Sides
    step: float
    spacing: float

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def of(cls, dataset: Dataset, split: str, samples: int | None = None) -> Waves:
        """A split of a data file.

        Raises
        ------
        OptionError
            Fewer samples than asked for, frames or outputs that no simulator is made for.
        UnsupportedError
            The family is no wave that it can do.
        """
        family, grid = dataset.problem, tuple(dataset.grid)
        sides = sides_of(family, grid)
        step, count = check_times(dataset.times, family.time.start)
        if dataset.output_names != [slot.name for slot in family.layout]:
            raise OptionError(
                f"{dataset.path} keeps {', '.join(dataset.output_names)}; a wave simulator learns the unknown itself."
            )
        times = family.time.start + step * np.arange(1, count + 1)
        spacing = spacing_of(family, grid)
        later = torch.tensor(dataset.trajectories(split, samples)[..., 0])
        members = dataset.members(split)[: len(later)]
        medium = together([conditioned(member, grid, times) for member in members]).to("cpu")
        frames = torch.cat([medium.start[:, None] * sides.free.float(), later], dim=1)
        return cls(frames, medium, sides, step, spacing)

    def quiet_from(self, share: float = 1e-3) -> np.ndarray:
        """The first frame of each member after which no source exceeds a share of its largest value, ``(n,)``."""
        peaks = torch.stack([self.medium.source(k).abs().flatten(1).amax(1) for k in range(self.frames.shape[1])], 1)
        loud = peaks > share * peaks.amax(1, keepdim=True)
        last = torch.where(loud, torch.arange(loud.shape[1]), torch.tensor(-1)).amax(1)
        return (last + 1).numpy()


def spacing_of(problem: object, grid: tuple[int, ...]) -> float:
    """Distance of the nodes of a grid on a box.

    Raises
    ------
    OptionError
        It differs between the axes.
    """
    from sciml.datasets.grids import BoxGrid

    domain = problem.domain  # type: ignore[attr-defined]
    assert isinstance(domain, Box)
    spacings = (domain.upper - domain.lower) / BoxGrid(problem, grid).intervals  # type: ignore[arg-type]
    if np.ptp(spacings) > 1e-9 * spacings.max():
        raise OptionError(
            f"The nodes are {spacings.tolist()} apart along the axes; a wave simulator takes one distance."
        )
    return float(spacings[0])
