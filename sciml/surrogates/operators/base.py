"""What every learned operator has in common: setting, kind, options, and the module that is trained."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch.utils.flop_counter import FlopCounterMode

from sciml.errors import OptionError
from sciml.solvers.base import Range

__all__ = ["ModelKind", "ModelOptions", "Operator", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What a network is built for.

    Parameters
    ----------
    dim : int
        Of space: 1, 2 or 3.
    grid : tuple of int
        Values along each axis; for unstructured points the one number of them, ``(n,)``.
    points : bool
        Whether the places are unstructured.
    in_channels, out_channels : int
        Fields that go in and come out.
    periodic : tuple of bool
        For each axis, whether it is; none by default.

    Raises
    ------
    OptionError
        Sizes that contradict each other.

    Examples
    --------
    >>> Setting(dim=2, grid=(32, 32), in_channels=1, out_channels=1)
    """

    dim: int
    grid: tuple[int, ...]
    points: bool = False
    in_channels: int = 1
    out_channels: int = 1
    periodic: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(int(n) for n in self.grid))
        object.__setattr__(self, "periodic", tuple(bool(p) for p in self.periodic) or (False,) * self.dim)
        axes = 1 if self.points else self.dim
        if self.dim not in (1, 2, 3):
            raise OptionError(f"A setting was given dim={self.dim}; networks exist in 1, 2 and 3 dimensions.")
        if len(self.grid) != axes or min(self.grid) < 2:
            raise OptionError(f"A setting of grid={self.grid} was given; it takes {axes} sizes of at least 2.")
        if len(self.periodic) != self.dim:
            raise OptionError(f"A setting of periodic={self.periodic} was given; it takes {self.dim} of them.")
        if self.in_channels < 1 or self.out_channels < 1:
            raise OptionError(
                f"A setting of {self.in_channels} channels in and {self.out_channels} out was given; "
                "it takes at least one of each."
            )


class ModelOptions(BaseModel):
    """Options of a model: typed, unknown names refused; None is what the model derives from the setting."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelKind(ABC):
    """A way to build networks.

    Attributes
    ----------
    name : str
        As it is asked for.
    title : str
        One line on what it is.
    Options : type
        Its options.
    discretisation_invariant : bool
        Whether a trained one may be asked on another grid.
    trained : bool
        Whether its weights are trained by gradients; else it has ``fit(inputs, outputs)``.
    tuning_space : mapping
        Options that its users would tune, each with the values that they would try, or a range.
    learning_rate : float
        The highest of a training, by default.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Options: ClassVar[type[ModelOptions]] = ModelOptions
    discretisation_invariant: ClassVar[bool] = False
    trained: ClassVar[bool] = True
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {}
    learning_rate: ClassVar[float] = 1e-3

    def resolve(self, setting: Setting, options: Any) -> Any:
        """The options with everything filled in that the setting decides."""
        return options

    def check(self, setting: Setting, options: Any) -> None:  # noqa: B027
        """Refuse resolved options that do not go together, or not with the setting; nothing by default.

        Raises
        ------
        OptionError
        """

    @abstractmethod
    def network(self, setting: Setting, options: Any) -> torch.nn.Module:
        """The network for resolved options, with weights from the default generator of the CPU.

        Its ``forward(inputs, places)`` is that of :class:`Operator`.
        """


class Operator(torch.nn.Module):
    """A network that maps fields to fields, with what is needed to build it again.

    Maps `inputs` ``(n, *grid, in_channels)``, and `places` ``(*grid, dim)`` or ``(n, *grid, dim)``, to
    ``(n, *grid, out_channels)``. Places matter for unstructured points alone: on a grid networks see the coordinates
    0…1 of the reference grid, and a domain that varies is among the inputs.

    Attributes
    ----------
    model : str
        Name of the kind.
    setting : Setting
    any_grid : bool
        Whether it may be asked on another grid, or for another number of points.
    options : dict
        Resolved, as plain values: ``build(model, setting, seed, **options)`` is the same network.
    """

    def __init__(self, kind: ModelKind, setting: Setting, options: ModelOptions, network: torch.nn.Module) -> None:
        super().__init__()
        self.model = kind.name
        self.trained = kind.trained
        self.any_grid = kind.discretisation_invariant or (kind.trained and setting.points)
        self.setting = setting
        self.options: dict[str, Any] = options.model_dump(mode="json")
        self.network = network

    def forward(self, inputs: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        setting = self.setting
        if inputs.ndim != len(setting.grid) + 2 or inputs.shape[-1] != setting.in_channels:
            raise OptionError(
                f"Inputs of shape {tuple(inputs.shape)} were given; the network takes "
                f"(n, {', '.join(map(str, setting.grid))}, {setting.in_channels})."
            )
        if tuple(inputs.shape[1:-1]) != setting.grid and not self.any_grid:
            raise OptionError(
                f"Inputs on a grid of {tuple(inputs.shape[1:-1])} were given; {self.model!r} was built for "
                f"{setting.grid} and knows no other: resample them, or use a model such as 'fno'."
            )
        if setting.points and places is None:
            raise OptionError("Unstructured points were given without their places; hand them on as `places`.")
        return self.network(inputs, places)

    def fit(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Take over the training set, where no gradients train.

        Raises
        ------
        OptionError
            The model is trained by gradients.
        """
        if self.trained:
            raise OptionError(f"Model {self.model!r} is trained by gradients; only those with trained=False have fit.")
        self.network.fit(inputs, outputs)  # type: ignore[operator]

    @property
    def trainable_parameters(self) -> int:
        """Weights that are trained; a complex one counts once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def real_parameters(self) -> int:
        """Weights that are trained; a complex one counts twice."""
        return sum(p.numel() * (2 if p.is_complex() else 1) for p in self.parameters() if p.requires_grad)

    def flops(self, batch: int = 1) -> int:
        """Floating-point operations of products and convolutions, for one pass forward; transforms are not counted."""
        twin = copy.deepcopy(self).to("meta").eval()
        grid, dim = self.setting.grid, self.setting.dim
        dtype = next((t.dtype for t in twin.parameters() if not t.is_complex()), torch.float32)
        inputs = torch.empty(batch, *grid, self.setting.in_channels, dtype=dtype, device="meta")
        places = torch.empty(*grid, dim, dtype=dtype, device="meta") if self.setting.points else None
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            twin(inputs, places)
        return int(counter.get_total_flops())
