"""Convolutions in compressed formats: identities, sizes, times, and space-time simulators made of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sciml import load_problem
from sciml.benchmark.measurements._kept import kept_data
from sciml.datasets import generate, open_dataset
from sciml.nn.compressed import FORMATS, compress, make_convolution
from sciml.surrogates.accounting import account, checkpoint_bytes, milliseconds
from sciml.surrogates.operators.surrogate import relative_l2
from sciml.surrogates.wave_cnn.fitting import WaveFit
from sciml.surrogates.wave_cnn.waves import Waves

_DENSE = (functional.conv1d, functional.conv2d, functional.conv3d)
_WIDTHS = (3, 16, 16, 16, 16, 1)
_CALLS = 10
_FAMILY = "wave/membrane"
_SPACE_TIME = {"simulator": "space_time", "kernel": 5, "batch_size": 2, "learning_rate": 4e-3}


def compressed_identities(seed: int = 0) -> dict[str, float]:
    """Each format against PyTorch's dense convolution with the kernel that it materialises to, in double precision.

    In one to three dimensions, with zero, mirrored and periodic borders, strides of 1 and 2.

    Returns
    -------
    dict
        For each format ``NAME``, the largest gap of values, and ``NAME_gradients``, of the slopes of a random sum by
        inputs and factors, each relative to the largest entry. ``formulas``: parameters that differ from the formulas.
        ``svd``: a dense kernel against the chain of full rank that singular values make of it.
    """
    generator = torch.Generator().manual_seed(seed)
    figures: dict[str, float] = {}
    for format in FORMATS:
        gaps = [
            _gaps(format, dim, mode, stride, generator)
            for dim, mode, stride in itertools.product((1, 2, 3), ("zeros", "reflect", "circular"), (1, 2))
        ]
        figures[format], figures[f"{format}_gradients"] = (max(column) for column in zip(*gaps, strict=True))
    layer: Any = make_convolution("chain", 3, 6, 5, 3, (18, 15), dtype=torch.float64, generator=generator)
    svd = layer.set_kernel(torch.randn(5, 6, 3, 3, 3, generator=generator, dtype=torch.float64))
    return figures | {"svd": svd, "formulas": float(_wrong_formulas())}


def _gaps(format: str, dim: int, mode: str, stride: int, generator: torch.Generator) -> tuple[float, float]:
    layer = make_convolution(
        format, dim, 3, 4, 5, stride=stride, padding_mode=mode, dtype=torch.float64, generator=generator
    )
    x = torch.randn(2, 3, *(8, 7, 6)[:dim], generator=generator, dtype=torch.float64).requires_grad_()
    padded = functional.pad(x, [2] * (2 * dim), mode="constant" if mode == "zeros" else mode)
    own, expected = layer(x), _DENSE[dim - 1](padded, layer.kernel(), layer.bias, stride)
    seen = torch.randn(own.shape, generator=generator, dtype=torch.float64)
    weights = [x, *layer.parameters()]
    ours, theirs = (torch.autograd.grad((y * seen).sum(), weights) for y in (own, expected))
    slopes = max(_relative(a, b) for a, b in zip(ours, theirs, strict=True))
    return _relative(own, expected), slopes


def _relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


def _wrong_formulas() -> int:
    i, o, r = 6, 8, 5
    formulas: dict[str, Callable[[int, int], int]] = {
        "dense": lambda k, d: o * i * k**d + o,
        "chain": lambda k, d: k * (i * r + (d - 2) * r * r + r * o) + o,
        "canonical": lambda k, d: r * (i + o + d * k) + o,
        "separable": lambda k, d: r * o * i * d * k + o,
        "depthwise": lambda k, d: i * k**d + i * o + o,
        "tucker": lambda k, d: i * r + r * r * k**d + r * o + o,
    }
    wrong = 0
    for (format, formula), k, d in itertools.product(formulas.items(), (3, 5, 7), (2, 3)):
        kind = FORMATS[format]
        held = kind.weights(i, o, (k,) * d, (r,) * kind.n_ranks(d)) + o
        wrong += held != formula(k, d)
    return wrong


def compressed_sizes() -> dict[str, float]:
    """Numbers and bytes of networks in each format over those of the dense one.

    Returns
    -------
    dict
        Of five layers from 3 over 16 to 1 channels, kernel 5, in two dimensions, for a batch of 8 on 64 × 64 places:
        ``FORMAT_parameters``, ``FORMAT_checkpoint``, ``FORMAT_multiply_adds``, ``FORMAT_saved`` (what a pass forward
        keeps), ``FORMAT_peak``. Of one layer of 16 channels in three dimensions ``FORMAT_3d_k3``, ``FORMAT_3d_k5``.
        ``dense_saved_mb``: of the dense network, in 2²⁰ bytes.
    """
    dense = _five_layers()
    x = torch.empty(8, 3, 64, 64, device="meta")
    base = account(dense, x, timed=False)
    figures = {"dense_saved_mb": base.saved_bytes / 2**20}
    for format in FORMATS:
        if format == "dense":
            continue
        small = compress(dense, format)
        found = account(small, x, timed=False)
        figures |= {
            f"{format}_parameters": found.trainable_parameters / base.trainable_parameters,
            f"{format}_checkpoint": checkpoint_bytes(small) / checkpoint_bytes(dense),
            f"{format}_multiply_adds": found.multiply_adds / base.multiply_adds,
            f"{format}_saved": found.saved_bytes / base.saved_bytes,
            f"{format}_peak": found.peak_bytes / base.peak_bytes,
        }
        for k in (3, 5):
            one, other = (make_convolution(f, 3, 16, 16, k, device="meta") for f in (format, "dense"))
            figures[f"{format}_3d_k{k}"] = _numbers(one) / _numbers(other)
    return figures


def _five_layers() -> nn.Module:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(_WIDTHS):
        layers += [nn.Conv2d(a, b, 5, padding=2, device="meta"), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def _numbers(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def compressed_times(channels: int = 32, rounds: int = 5) -> dict[str, float]:
    """CPU time of a dense layer over that of a compressed one, on one thread, measured in turns.

    Parameters
    ----------
    channels : int
    rounds : int
        Turns; the least time of each counts.

    Returns
    -------
    dict
        ``FORMAT_2d``, ``FORMAT_3d``: forward, kernel 5, on 8 × 64² and 2 × 16 × 32² places; ``FORMAT_2d_training``,
        ``FORMAT_3d_training``: forward and back. ``chain_2d_k3``: forward with a kernel of 3.
    """
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for name, batch, grid in (("2d", 8, (64, 64)), ("3d", 2, (16, 32, 32))):
        x = torch.randn(batch, channels, *grid, generator=torch.Generator().manual_seed(0))
        for format in ("chain", "canonical", "tucker"):
            forward, training = _ratios(format, x, 5, rounds)
            figures |= {f"{format}_{name}": forward, f"{format}_{name}_training": training}
        if name == "2d":
            figures["chain_2d_k3"] = _ratios("chain", x, 3, rounds)[0]
    return figures


def _ratios(format: str, x: Tensor, kernel: int, rounds: int) -> tuple[float, float]:
    layers = [make_convolution(f, x.ndim - 2, x.shape[1], x.shape[1], kernel) for f in ("dense", format)]

    def forward(layer: nn.Module) -> None:
        with torch.no_grad():
            layer(x)

    def both(layer: nn.Module) -> None:
        layer(x).sum().backward()

    found = []
    for work in (forward, both):
        turns = [[_seconds(work, layer) for layer in layers] for _ in range(rounds)]
        dense, other = np.min(turns, axis=0)
        found.append(float(dense / other))
    return found[0], found[1]


def _seconds(work: Callable[[nn.Module], None], layer: nn.Module) -> float:
    """CPU time of many calls, since clocks may tick in hundredths of a second."""
    work(layer)
    start = time.process_time()
    for _ in range(_CALLS):
        work(layer)
    return time.process_time() - start


def space_time_simulators(seed: int = 0, cpu_seconds: float = 25.0) -> dict[str, float]:
    """Simulators that make all frames at once: chains, dense ones, thin dense ones of as many weights, equal times.

    The members of `wave/membrane` until t = 0.96, on 32 × 32 nodes, 32 frames, 200 to train on; kernels of 5, batches
    of 2. Each has the number of steps that its CPU time allows by a measurement of a few steps before.

    Parameters
    ----------
    seed : int
        Of weights and batches.
    cpu_seconds : float
        Of each training.

    Returns
    -------
    dict
        For ``chain``, ``dense``, ``thin``: ``NAME_error``, mean relative L2 error of 20 unseen members over all frames
        together; ``NAME_parameters``, ``NAME_steps``, ``NAME_seconds``, ``NAME_saved_mb`` (kept by a pass forward of a
        member), ``NAME_forward_ms`` of a member. ``chain_over_dense``, ``chain_over_thin``: of the errors.
    """
    path = _space_time_data()
    chain: dict[str, Any] = _SPACE_TIME | {"format": "chain"}
    wanted = _fit(path, chain, seed).training.simulator.trainable_parameters
    width = max(w for w in range(2, 17) if _size(path, w) <= wanted)
    dense = _SPACE_TIME | {"format": "dense"}
    figures: dict[str, float] = {}
    for name, options in {"chain": chain, "dense": dense, "thin": dense | {"width": width}}.items():
        found = _trained(path, options, seed, cpu_seconds)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    figures["chain_over_dense"] = figures["chain_error"] / figures["dense_error"]
    figures["chain_over_thin"] = figures["chain_error"] / figures["thin_error"]
    return figures


def _space_time_data() -> Path:
    path = kept_data() / "wave_membrane_32.h5"
    family = load_problem(_FAMILY).fixing(duration=0.96)
    generate(family, path, split=(200, 20, 20), resolution=32, frames=32, seed=0, check=0)
    return path


def _fit(path: Path, options: dict[str, Any], seed: int) -> WaveFit:
    return WaveFit(_FAMILY, path, options, seed=seed)


def _size(path: Path, width: int) -> int:
    options = _SPACE_TIME | {"format": "dense", "width": width, "samples": 1}
    return _fit(path, options, 0).training.simulator.trainable_parameters


def _trained(path: Path, options: dict[str, Any], seed: int, cpu_seconds: float) -> dict[str, float]:
    trial = _fit(path, options, seed).training
    each = 1e-3 * milliseconds(trial.step, 6, 0.0)
    run = _fit(path, options | {"steps": max(1, round(cpu_seconds / each))}, seed).run()
    unseen = Waves.of(open_dataset(path), "test")
    made = run.roll(unseen.medium, run["frames"])
    costs = account(run.simulator, trial.waves.medium.select(slice(0, 1)))
    return {
        "error": float(relative_l2(made, unseen.frames[:, 1:]).mean()),
        "parameters": costs.trainable_parameters,
        "steps": run["options"]["steps"],
        "seconds": run["cpu_seconds"],
        "saved_mb": costs.saved_bytes / 2**20,
        "forward_ms": costs.forward_ms or 0.0,
    }
