"""Networks that DeepXDE trains, and their layers as plain tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sciml.errors import OptionError
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import Training

__all__ = ["PlainNetwork", "UserNetwork", "build_network", "plain_network"]

Layers = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True)
class PlainNetwork:
    """Layers of a fully connected network, or of several that run in parallel.

    A sub-network is z₀ = x, zᵢ = activation(Wᵢ zᵢ₋₁ + bᵢ), without the activation in its last layer; the
    outputs of the sub-networks stand side by side.

    Attributes
    ----------
    activation : str
        Name of the activation as in `TrainingOptions` (``"silu"`` also for its other name "swish").
    subnetworks : tuple
        For every sub-network its ``(weight (out, in), bias (out,))`` pairs, first layer first.
    """

    activation: str
    subnetworks: tuple[Layers, ...]


class UserNetwork(torch.nn.Module):
    """A user's module with what DeepXDE expects of a network.

    DeepXDE switches the gradients of *all* parameters on after every evaluation of the loss, which would
    thaw what the user froze; here frozen parameters stay frozen.
    """

    regularizer = None
    auxiliary_vars = None

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module
        self._trainable = [p for p in module.parameters() if p.requires_grad]
        self._feature_transform: Callable[[Tensor], Tensor] | None = None
        self._output_transform: Callable[[Tensor, Tensor], Tensor] | None = None

    def apply_feature_transform(self, transform: Callable[[Tensor], Tensor]) -> None:
        """Put ``features = transform(x)`` in front of the module."""
        self._feature_transform = transform

    def apply_output_transform(self, transform: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Put ``transform(x, y)`` behind the module."""
        self._output_transform = transform

    def requires_grad_(self, requires_grad: bool = True) -> UserNetwork:
        """Switch the gradients of the parameters that the user left trainable."""
        for parameter in self._trainable:
            parameter.requires_grad_(requires_grad)
        return self

    def forward(self, x: Tensor) -> Tensor:
        features = x if self._feature_transform is None else self._feature_transform(x)
        y = self.module(features)
        return y if self._output_transform is None else self._output_transform(x, y)


def build_network(deepxde: ModuleType, training: Training, options: TrainingOptions) -> torch.nn.Module:
    """Make the network of `options` with the transforms of `training`, on the default device and dtype.

    Raises
    ------
    OptionError
        If a user's module has nothing to train or does not give `outputs` columns.
    """
    sample = torch.as_tensor(training.interior[:2], dtype=options.dtype, device=options.device)
    net: Any
    if isinstance(options.network, torch.nn.Module):
        net = _copied(options.network, options)
    else:
        features = sample if training.feature_transform is None else training.feature_transform(sample)
        net = _fully_connected(deepxde, features.shape[-1], training.outputs, options)
    if training.feature_transform is not None:
        net.apply_feature_transform(training.feature_transform)
    if training.output_transform is not None:
        net.apply_output_transform(training.output_transform)
    net.eval()  # a look at the shapes must not train a normalisation
    with torch.no_grad():
        shape = tuple(net(sample).shape)
    net.train()
    if shape != (len(sample), training.outputs):
        raise OptionError(
            f"The network maps {tuple(sample.shape)} to {shape}; this problem needs {(len(sample), training.outputs)}."
        )
    return net


def _copied(module: torch.nn.Module, options: TrainingOptions) -> UserNetwork:
    if not any(p.requires_grad for p in module.parameters()):
        raise OptionError("The given network has no trainable parameter; give a module with at least one.")
    return UserNetwork(copy.deepcopy(module).to(dtype=options.dtype, device=options.device))


def _fully_connected(deepxde: ModuleType, features: int, outputs: int, options: TrainingOptions) -> torch.nn.Module:
    if options.network == "pfnn":
        hidden = [[options.width] * outputs] * options.depth
        return deepxde.nn.PFNN([features, *hidden, outputs], options.activation, options.initializer)
    sizes = [features, *[options.width] * options.depth, outputs]
    return deepxde.nn.FNN(sizes, options.activation, options.initializer)


def plain_network(net: torch.nn.Module) -> PlainNetwork:
    """Read the layers of a trained DeepXDE ``FNN`` or ``PFNN``, without its transforms.

    Parameters
    ----------
    net : deepxde.nn.FNN or deepxde.nn.PFNN
        With one activation; the sub-networks of a ``PFNN`` must share nothing but the input.

    Returns
    -------
    PlainNetwork
        Copies of weights and biases.

    Raises
    ------
    OptionError
        If `net` is another module or one of the exceptions above.
    """
    activation = getattr(net, "activation", None)
    if not callable(activation) or not hasattr(activation, "__name__"):
        raise OptionError(f"{type(net).__name__} is no DeepXDE network with one named activation; give an FNN or PFNN.")
    if hasattr(net, "linears"):
        return PlainNetwork(activation.__name__, (_layers(net.linears),))
    layers = list(getattr(net, "layers", ()))
    parallel = [layer for layer in layers if isinstance(layer, torch.nn.ModuleList)]
    if not parallel or len(parallel) != len(layers):
        raise OptionError(
            f"{type(net).__name__} has layers that its sub-networks share; give an FNN or a PFNN without any."
        )
    return PlainNetwork(activation.__name__, tuple(_layers(chain) for chain in zip(*parallel, strict=True)))


def _layers(linears: Any) -> Layers:
    return tuple((linear.weight.detach().clone(), linear.bias.detach().clone()) for linear in linears)
