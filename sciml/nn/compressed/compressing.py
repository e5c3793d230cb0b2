"""Networks of dense convolutions as networks of compressed ones, before they are trained."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sciml.errors import OptionError, ScimlWarning, unknown_name
from sciml.nn.compressed.building import build_convolution, dearer_than_dense
from sciml.nn.compressed.formats import FORMATS, Convolution
from sciml.nn.compressed.geometry import Geometry

__all__ = ["Change", "compress"]

_DIMENSIONS = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}
_ONE_WAY = ("chain", "separable")
type _Dense = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


@dataclass(frozen=True)
class Change:
    """What became of a convolution.

    Attributes
    ----------
    name : str
        In the network, with dots.
    before, after : int
        Its numbers.
    reason : str
        Why it was left alone; empty where it was not.
    """

    name: str
    before: int
    after: int
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.name}: left alone with {self.before} numbers, {self.reason}"
        return f"{self.name}: {self.before} → {self.after} numbers"


def compress(
    model: nn.Module,
    format: str,
    rank: int | Sequence[int] | None = None,
    *,
    generator: torch.Generator | None = None,
    report: Callable[[Change], None] = lambda change: None,
) -> nn.Module:
    """A network with its convolutions in a compressed format, to be trained in place of it.

    Weights of compressed layers are drawn anew; nothing of the dense ones is kept. All else (other layers with their
    weights, mode of training, device and dtype) is copied; the network that was given is not touched.

    Parameters
    ----------
    model : torch.nn.Module
        With convolutions of PyTorch, transposed ones too. Those of one place, of several groups, and of classes derived
        from PyTorch's are left alone; so are those along one axis by formats of one filter for each axis, and, without
        a rank, those that do not become smaller.
    format : {"chain", "canonical", "separable", "depthwise", "tucker"}
    rank : int or several, optional
        For all layers; by default it follows from the channels of each.
    generator : torch.Generator, optional
        Of the new weights.
    report : callable
        Takes a :class:`Change` for each convolution.

    Returns
    -------
    torch.nn.Module
        Of the same interface.

    Raises
    ------
    UnknownNameError
        Another format.
    OptionError
        A network without anything to compress; an even kernel that is padded to the "same" size.

    Warns
    -----
    ScimlWarning
        A rank for which layers become slower or larger than the dense ones, with their names.

    Examples
    --------
    >>> thin = compress(network, "chain", report=print)
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    made: dict[int, nn.Module] = {}
    changes, dearer = [], []
    for name, module in model.named_modules():
        if not _is_convolution(module):
            continue
        reason = _reason_to_leave(module, format)
        if reason:
            changes.append(Change(name, _size(module), _size(module), reason))
            continue
        layer = _compressed(module, format, rank, generator)
        said = dearer_than_dense(layer)
        if said is not None and rank is None:
            changes.append(Change(name, _size(module), _size(module), f"which format {format!r} does not make smaller"))
            continue
        dearer += [] if said is None else [f"{name or 'the layer'}: {said}"]
        changes.append(Change(name, _size(module), _size(layer)))
        made[id(module)] = layer
    if not made:
        raise OptionError(
            f"A network without anything to compress was given to format {format!r}; it takes convolutions of PyTorch "
            f"of more than one place."
        )
    if dearer:
        warnings.warn(f"rank={rank} was given; {'; '.join(dearer)}.", ScimlWarning, stacklevel=2)
    for change in changes:
        report(change)
    return copy.deepcopy(model, dict(made))


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, (*_DIMENSIONS,))


def _reason_to_leave(module: nn.Module, format: str) -> str:
    if type(module) not in _DIMENSIONS:
        return f"which is of the class {type(module).__name__}"
    axes = sum(size > 1 for size in module.kernel_size)  # type: ignore[union-attr, arg-type]
    if axes == 0:
        return "of one place"
    if module.groups != 1:  # type: ignore[union-attr]
        return f"of {module.groups} groups"
    if axes == 1 and format in _ONE_WAY:
        return "along one axis"
    return ""


def _compressed(
    module: nn.Module, format: str, rank: int | Sequence[int] | None, generator: torch.Generator | None
) -> Convolution:
    dense: _Dense = module  # type: ignore[assignment]
    geometry = Geometry.of(
        _DIMENSIONS[type(dense)],
        dense.kernel_size,
        stride=dense.stride,
        padding=dense.padding,
        dilation=dense.dilation,
        output_padding=dense.output_padding if dense.transposed else None,
        mode=dense.padding_mode,
        transposed=dense.transposed,
    )
    layer = build_convolution(
        format, geometry, dense.in_channels, dense.out_channels, rank, bias=dense.bias is not None,
        device=dense.weight.device, dtype=dense.weight.dtype, generator=generator,
    )  # fmt: skip
    return layer.train(dense.training)


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
