"""Networks of learned operators: their sizes, and identities that hold to rounding."""

from __future__ import annotations

from typing import Any

import torch

from sciml.nn.latent_spectral import NeuralSpectralBlock
from sciml.nn.point_cloud import DeformationNet
from sciml.nn.trigonometric import direct_series, trigonometric_series
from sciml.surrogates.operators import Setting, build

_PUBLISHED: dict[str, tuple[Setting, dict[str, Any]]] = {
    "elasticity_points": (
        Setting(dim=2, grid=(972,), points=True, in_channels=2),
        {"width": 32, "latent_grid": 96, "patch": 6},
    ),
    "elasticity_grid": (Setting(dim=2, grid=(41, 41)), {"width": 32, "patch": 3, "padding": 7}),
    "plasticity": (
        Setting(dim=3, grid=(101, 31, 20), out_channels=4),
        {"width": 32, "patch": (7, 2, 2), "padding": (11, 1, 12)},
    ),
    "navier_stokes": (Setting(dim=2, grid=(64, 64), in_channels=10), {"width": 64, "patch": 4}),
    "darcy": (Setting(dim=2, grid=(85, 85)), {"width": 64, "patch": 6, "padding": 11}),
    "airfoil": (
        Setting(dim=2, grid=(221, 51), in_channels=2),
        {"width": 32, "patch": (14, 4), "padding": (3, 13)},
    ),
    "pipe": (Setting(dim=2, grid=(129, 129), in_channels=2), {"width": 48, "patch": 9, "padding": 15}),
}


def latent_spectral_parameters() -> dict[str, float]:
    """Trained weights of latent spectral models in the seven published settings.

    Returns
    -------
    dict
        A number for each benchmark, complex weights counted once; ``elasticity_points`` without the net that moves the
        points, which is ``elasticity_deformation`` (with a code of 42 numbers).
    """
    figures = {}
    for name, (setting, options) in _PUBLISHED.items():
        operator = build("lsm", setting, 0, levels=5, **options)
        moving = sum(p.numel() for k, p in operator.named_parameters() if "deformation." in k)
        figures[name] = operator.trainable_parameters - moving
        if moving:
            figures["elasticity_deformation"] = sum(p.numel() for p in DeformationNet(code=42).parameters())
    return figures


def latent_spectral_identities(seed: int = 0) -> dict[str, float]:
    """What holds of spectral blocks by their formula, in double precision.

    Returns
    -------
    dict
        ``recurrence``, ``recurrence_single``: series of 12 terms by Clenshaw's recurrence against their direct sum,
        relative to the largest value, in double and in single precision. ``decoding``: the block without series
        against identity and decoding, as computed without the block's rearrangements. ``odd_sizes``: a network on
        13 × 11 places against the same one on the zero-padded grid, cut there.
    """
    generator = torch.Generator().manual_seed(seed)
    z, sines, cosines = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((4096,), (12, 1), (12, 1)))
    direct = direct_series(4 * z, sines, cosines)
    single = trigonometric_series(4 * z.float(), sines.float(), cosines.float())
    return {
        "recurrence": _relative(trigonometric_series(4 * z, sines, cosines), direct),
        "recurrence_single": _relative(
            single.double(), direct_series(4 * z.float().double(), sines.float().double(), cosines.float().double())
        ),
        "decoding": _decoding(generator),
        "odd_sizes": _odd_sizes(generator, seed),
    }


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def _decoding(generator: torch.Generator) -> float:
    heads, size, tokens = 8, 2, 4
    block = NeuralSpectralBlock(heads * size, (4, 4), tokens=tokens, heads=heads).double()
    for weight in block.parameters():
        weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    block.sines.zero_(), block.cosines.zero_()
    x = torch.randn(1, heads * size, 4, 4, generator=generator, dtype=torch.float64)
    places = x[0].flatten(1).T
    k, v, q = (layer(places).view(16, heads, size) for layer in (block.keys, block.values, block.places))
    attention = torch.einsum("htd,lhd->htl", block.queries, k).softmax(dim=-1)
    z = block.queries + torch.einsum("htl,lhd->htd", attention, v)
    read = torch.einsum("lht,htd->lhd", torch.einsum("lhd,htd->lht", q, z).softmax(dim=-1), z)
    return _relative(block(x), x + read.flatten(1).T.view_as(x))


@torch.no_grad()
def _odd_sizes(generator: torch.Generator, seed: int) -> float:
    setting = Setting(dim=2, grid=(13, 11))
    operator = build("lsm", setting, seed, dtype=torch.float64, levels=3, patch=2).eval()
    network: Any = operator.network.network
    inputs = torch.randn(2, 13, 11, 3, generator=generator, dtype=torch.float64)
    lifted = torch.zeros(2, 16, 16, operator.options["width"], dtype=torch.float64)
    lifted[:, :13, :11] = network.lift(inputs)
    padded = network.project(network.mix(network.unet(lifted.movedim(-1, 1)).movedim(1, -1)))
    return _relative(network(inputs), padded[:, :13, :11])
