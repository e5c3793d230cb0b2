"""Where the filter of a convolution is put: kernel, stride, padding and dilation along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from sciml.errors import OptionError, unknown_name

__all__ = ["Geometry", "per_axis"]

_CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
_MODES = {mode: mode for mode in ("zeros", "reflect", "replicate", "circular")} | {"periodic": "circular"}


def per_axis(value: int | Sequence[int], dim: int, name: str, least: int) -> tuple[int, ...]:
    """One whole number for each axis.

    Raises
    ------
    OptionError
        Another number of them, or one that is too small.
    """
    values = (int(value),) * dim if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != dim or min(values) < least:
        raise OptionError(
            f"{name}={value} was given; a convolution in {dim} dimensions takes {dim} of at least {least}."
        )
    return values


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, padding and dilation along each axis, and what stands beyond the border.

    Attributes
    ----------
    kernel, stride, padding, dilation, output_padding : tuple of int
        As PyTorch has them; `output_padding` counts where the convolution is transposed.
    mode : {"zeros", "reflect", "replicate", "circular"}
        What stands beyond the border.
    transposed : bool
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    mode: str = "zeros"
    transposed: bool = False

    @classmethod
    def of(
        cls,
        dim: int,
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = "same",
        dilation: int | Sequence[int] = 1,
        output_padding: int | Sequence[int] | None = None,
        mode: str = "zeros",
        transposed: bool = False,
    ) -> Geometry:
        """Of what a user gives; see :func:`~sciml.nn.compressed.make_convolution`.

        Raises
        ------
        OptionError
            Sizes that contradict each other.
        UnknownNameError
            Another padding mode.
        """
        if dim not in (1, 2, 3):
            raise OptionError(f"dim={dim} was given; convolutions exist in 1, 2 and 3 dimensions.")
        if mode not in _MODES:
            raise unknown_name("padding mode", mode, _MODES)
        if transposed and mode != "zeros":
            raise OptionError(f"padding_mode={mode!r} was given; transposed convolutions take 'zeros' alone.")
        sizes = per_axis(kernel, dim, "kernel", 1)
        steps, spacing = per_axis(stride, dim, "stride", 1), per_axis(dilation, dim, "dilation", 1)
        if isinstance(padding, str):
            around = _symmetric_padding(padding, sizes, spacing)
            extra = tuple(s - 1 for s in steps) if transposed and padding == "same" else (0,) * dim
        else:
            around, extra = per_axis(padding, dim, "padding", 0), (0,) * dim
        if output_padding is not None:
            extra = per_axis(output_padding, dim, "output_padding", 0)
        if any(extra) and not transposed:
            raise OptionError(f"output_padding={output_padding} was given; only transposed convolutions take one.")
        return cls(sizes, steps, around, spacing, extra, _MODES[mode], transposed)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.kernel)

    @property
    def taps(self) -> tuple[float, ...]:
        """Along each axis, how many values of the input a value of the output sees, on average."""
        if not self.transposed:
            return tuple(map(float, self.kernel))
        return tuple(max(k / s, 1.0) for k, s in zip(self.kernel, self.stride))

    def along(self, *axes: int) -> Geometry:
        """The same along some axes, and a filter of one place along the others."""

        def pick(values: tuple[int, ...], otherwise: int) -> tuple[int, ...]:
            return tuple(v if axis in axes else otherwise for axis, v in enumerate(values))

        return Geometry(
            pick(self.kernel, 1),
            pick(self.stride, 1),
            pick(self.padding, 0),
            pick(self.dilation, 1),
            pick(self.output_padding, 0),
            self.mode,
            self.transposed,
        )

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
        """The convolution with a weight ``(out, in / groups, *kernel)``, also where it is transposed.

        With groups, there are as many as channels that go in and come out.
        """
        if self.transposed:
            weight = weight.transpose(0, 1) if groups == 1 else weight
            return _TRANSPOSED[self.dim - 1](
                x, weight, bias, self.stride, self.padding, self.output_padding, groups, self.dilation
            )
        padding = self.padding
        if self.mode != "zeros" and any(padding):
            amounts = [amount for one in reversed(padding) for amount in (one, one)]
            x, padding = functional.pad(x, amounts, mode=self.mode), (0,) * self.dim
        return _CONVOLUTIONS[self.dim - 1](x, weight, bias, self.stride, padding, self.dilation, groups)

    def pointwise(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """A matrix of channels at each place, its weight ``(out, in, 1, …)``."""
        return _CONVOLUTIONS[self.dim - 1](x, weight, bias)


def _symmetric_padding(padding: str, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    if padding == "valid":
        return (0,) * len(kernel)
    if padding != "same":
        raise unknown_name("padding", padding, ("same", "valid"))
    if any(k % 2 == 0 for k in kernel):
        raise OptionError(
            f"A kernel of {kernel} was given with padding='same', which is the same on both sides for odd sizes alone; "
            f"take odd sizes, or give the padding as numbers."
        )
    return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation))
