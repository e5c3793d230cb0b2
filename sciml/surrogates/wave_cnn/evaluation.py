"""What a trained simulator is worth on trajectories that it has not seen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.datasets import Dataset
from sciml.errors import OptionError
from sciml.surrogates.wave_cnn.corrected import edge_stiffness, stencil
from sciml.surrogates.wave_cnn.run import WaveRun
from sciml.surrogates.wave_cnn.waves import Waves

__all__ = ["evaluate_waves", "refuse_other_waves", "roll_outs"]

_TOLERATED = 0.2
_SHOWN = (1, 5, 10, 20, 40)


def evaluate_waves(
    run: WaveRun, dataset: Dataset, split: str = "test", *, device: str = "cpu", folder: Path | None = None
) -> dict[str, Any]:
    """Hold a trained simulator against a split of a data file.

    Parameters
    ----------
    run : WaveRun
    dataset : Dataset
        Of the family, grid and frames that it was trained on.
    split : {"train", "validation", "test"}
    device : str
    folder : Path, optional
        Of the run, for the size of its weights on disk.

    Returns
    -------
    dict
        As :func:`roll_outs`, with parameters, bytes of the weights, costs.

    Raises
    ------
    OptionError
        Data of another family, grid, step or duration.
    """
    refuse_other_waves(run, dataset)
    if not dataset.sizes[split]:
        raise OptionError(f"{dataset.path} has no samples to {split}: it has {dataset.sizes}.")
    waves = Waves.of(dataset, split)
    cpu = time.process_time()
    found = roll_outs(run, waves, device=device)
    found["evaluation_cpu_seconds"] = time.process_time() - cpu
    found["trainable_parameters"] = run["trainable_parameters"]
    if folder is not None:
        found["checkpoint_bytes"] = (folder / "weights.safetensors").stat().st_size
    return found | {"cpu_seconds": run["cpu_seconds"], "samples": len(waves)}


def refuse_other_waves(run: WaveRun, dataset: Dataset) -> None:
    """Refuse data that the simulator was not made for.

    Raises
    ------
    OptionError
    """
    if dataset.family != run["family"] or dataset.specification != run["specification"]:
        raise OptionError(
            f"{dataset.path} is of family {dataset.family!r} with {dataset.specification['parameters']}; the simulator "
            f"was trained on {run['family']!r} with {run['specification']['parameters']}."
        )
    if list(dataset.grid) != run["grid"]:
        raise OptionError(
            f"{dataset.path} has {_times(dataset.grid)} nodes; the simulator knows the distance of "
            f"{_times(run['grid'])} alone, which it was trained on."
        )
    times = dataset.times
    step = float("nan") if times is None else float(np.diff(times).mean())
    if not abs(step - run["step"]) <= 1e-4 * run["step"]:
        raise OptionError(
            f"{dataset.path} has frames {step:.6g} apart; the simulator makes steps of {run['step']:.6g}, which it was "
            f"trained on: generate data with as many frames."
        )


def _times(grid: Any) -> str:
    return " × ".join(map(str, grid))


def roll_outs(run: WaveRun, waves: Waves, *, device: str = "cpu") -> dict[str, Any]:
    """Errors of roll-outs from two true frames after the source, and from the start with the source.

    Returns
    -------
    dict
        ``error_per_frame``: mean over members of the relative L2 error, frame by frame, from two true frames after
        which no source acts; ``frame_1`` … ``frame_40`` of these as far as there are so many;
        ``first_frame_over_20_percent``, one more than there are if none is; ``relative_l2``, their mean;
        ``energy_ratio``: largest factor by which the mean discrete energy differs from that of the true frames, over or
        under; ``from_start``: the same errors from the start, where no true frame is given, and
        ``from_start_last``, that of the last frame; ``persistence_10``: that of the frame it starts from.
    """
    total = waves.frames.shape[1]
    first = np.maximum(1, waves.quiet_from())
    count = int(total - 1 - first.max())
    if count < 1:
        # No member is ever quiet: start from its first frames.
        first, count = np.ones_like(first), total - 2
    at, rows = torch.tensor(first), torch.arange(len(waves))
    frames = waves.frames
    start = frames[rows, at - 1], frames[rows, at]
    made = run.roll(waves.medium, count, start, at, device=device)
    truth = torch.stack([frames[rows, at + k] for k in range(1, count + 1)], dim=1)
    errors = _relative(made, truth)
    found: dict[str, Any] = {"error_per_frame": errors.tolist(), "relative_l2": float(errors.mean())}
    found |= {f"frame_{k}": float(errors[k - 1]) for k in _SHOWN if k <= count}
    over = np.flatnonzero(errors > _TOLERATED)
    found["first_frame_over_20_percent"] = int(over[0]) + 1 if len(over) else count + 1
    ratio = _energy(made, waves, run) / _energy(truth, waves, run)
    found["energy_ratio"] = float(np.maximum(ratio, 1 / ratio).max())
    if count >= 10:
        found["persistence_10"] = float(_relative(start[1][:, None], truth[:, 9:10])[0])
    alone = _relative(run.roll(waves.medium, total - 1, device=device), frames[:, 1:])
    return found | {"from_start": alone.tolist(), "from_start_last": float(alone[-1])}


def _relative(made: Tensor, truth: Tensor) -> np.ndarray:
    """Mean over members of the relative error, frame by frame; where nothing has happened yet, none counts."""
    gap, size = ((a.double().flatten(2).norm(dim=2)) for a in (made - truth, truth))
    return (gap / size.clamp(min=1e-30) * (size > 1e-12 * size.max())).mean(0).numpy()


def _energy(frames: Tensor, waves: Waves, run: WaveRun) -> np.ndarray:
    """½ |Δu/Δ|²_M + ½ uᵀ K u at the middle of each pair of frames, its mean over members."""
    weight = waves.sides.weight
    ratio = waves.medium.speed.double()[:, None] / waves.spacing
    edges = edge_stiffness(ratio, weight[None, None], waves.sides.periodic)
    u = frames.double()
    rate = (u[:, 1:] - u[:, :-1]) / waves.step
    middle = 0.5 * (u[:, 1:] + u[:, :-1])
    bent = torch.stack([stencil(m[:, None], edges, waves.sides.periodic)[:, 0] for m in middle.unbind(1)], 1)
    return (0.5 * (rate.square() * weight + middle * bent).flatten(2).sum(2)).mean(0).numpy()
