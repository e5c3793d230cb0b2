"""Convolutions whose kernel is a tensor in a format: what they hold, and how they are applied.

I channels go in, O come out, k₁ … k_d are the sizes of the kernel. A bias is added once, at the end. Factors start
uniformly, with variances whose product gives the materialised kernel the variance 1/(3 I k₁…k_d) of PyTorch's dense
one, so that signals have the same size in every format.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sciml.errors import OptionError
from sciml.nn.compressed.geometry import Geometry

__all__ = ["FORMATS", "Canonical", "Chain", "Convolution", "Dense", "Depthwise", "Separable", "Tucker"]

_GAIN = 1 / 3


class Convolution(nn.Module, ABC):
    """A convolution ``(n, in_channels, *grid)`` to ``(n, out_channels, *grid)``; a grid without n works too.

    Parameters
    ----------
    geometry : Geometry
    in_channels, out_channels : int
    ranks : tuple of int
        As many as :meth:`n_ranks` says.
    bias : bool
    device, dtype
        Of the weights.

    Attributes
    ----------
    factors : torch.nn.ParameterList
        What the kernel is made of.
    bias : torch.nn.Parameter or None
    """

    format: ClassVar[str]
    formula: ClassVar[str]

    def __init__(
        self,
        geometry: Geometry,
        in_channels: int,
        out_channels: int,
        ranks: tuple[int, ...],
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.geometry, self.in_channels, self.out_channels, self.ranks = geometry, in_channels, out_channels, ranks
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        shapes = self.shapes(in_channels, out_channels, geometry.kernel, ranks)
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(shape, **made)) for shape in shapes)
        self.bias = nn.Parameter(torch.empty(out_channels, **made)) if bias else None

    # -- what a format decides ---------------------------------------------------------------------------

    @classmethod
    def n_ranks(cls, dim: int) -> int:
        """How many ranks it has in some number of dimensions."""
        return 0

    @classmethod
    def default_ranks(cls, inputs: int, outputs: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Ranks where none are given; not dearer than the dense kernel where a rank of 1 is not."""
        return ()

    @classmethod
    @abstractmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        """Shapes of the factors."""

    @abstractmethod
    def variances(self) -> list[float]:
        """Of the entries of the factors at the start."""

    @abstractmethod
    def kernel(self) -> Tensor:
        """The dense kernel ``(out_channels, in_channels, *kernel)`` that this convolution is one with."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""

    # -- what all have -----------------------------------------------------------------------------------

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew; without a generator from PyTorch's own."""
        for factor, variance in zip(self.factors, self.variances(), strict=True):
            _draw(factor, math.sqrt(3 * variance), generator)
        if self.bias is not None:
            _draw(self.bias, (self.in_channels * math.prod(self.geometry.taps)) ** -0.5, generator)

    @classmethod
    def weights(cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Numbers in the factors, without the bias."""
        return sum(math.prod(shape) for shape in cls.shapes(inputs, outputs, kernel, ranks))

    def extra_repr(self) -> str:
        kernel = "×".join(map(str, self.geometry.kernel))
        ranks = f", ranks {self.ranks}" if self.ranks else ""
        return f"{self.in_channels} → {self.out_channels}, {kernel}{ranks}"


class Dense(Convolution):
    """y_o = b_o + Σ_i K_oi ∗ u_i with all of K: O I k₁…k_d + O numbers."""

    format, formula = "dense", "O I k^d + O"

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        return [(outputs, inputs, *kernel)]

    def variances(self) -> list[float]:
        return [_GAIN / (self.in_channels * math.prod(self.geometry.taps))]

    def kernel(self) -> Tensor:
        return self.factors[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.geometry.apply(x, self.factors[0], self.bias)


class Chain(Convolution):
    """One filter for each axis, one after the other, all of them mixing channels.

    K[o, i, s₁, …, s_d] = Σ A₁[r₁, i, s₁] A₂[r₂, r₁, s₂] … A_d[o, r_{d−1}, s_d]: a tensor train. It holds
    k₁ I R₁ + k₂ R₁ R₂ + … + k_d R_{d−1} O + O numbers, and as many multiply-adds at each place without stride.

    Notes
    -----
    Good values: as many as channels, which are the default ranks; between different numbers these change in even
    ratios. From min(k₁ I, k₂ O) on every kernel in two dimensions is a chain. Kernels of 5 and more gain time, those of
    3 hardly; training keeps a map for each filter.

    Source: reconstructed from the abstract of M. Boukraichi, N. Akkari, F. Casenave, D. Ryckelynck, arXiv 2304.04964,
    which replaces "3-way" and "2-way" kernels by "one-way" filters before training; ranks and order are own choices.
    """

    format, formula = "chain", "k (I R + (d − 2) R² + R O) + O"

    @classmethod
    def n_ranks(cls, dim: int) -> int:
        return dim - 1

    @classmethod
    def default_ranks(cls, inputs: int, outputs: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        dim = len(kernel)
        # From the channels that go in to those that come out in even ratios, and no more than any kernel needs.
        wanted = [
            min(
                round(inputs ** (1 - j / dim) * outputs ** (j / dim)),
                inputs * math.prod(kernel[:j]),
                outputs * math.prod(kernel[j:]),
            )
            for j in range(1, dim)
        ]

        def ranks(rank: int) -> tuple[int, ...]:
            return tuple(min(rank, most) for most in wanted)

        return ranks(_largest(cls, inputs, outputs, kernel, max(wanted, default=1), ranks))

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        widths = (inputs, *ranks, outputs)
        return [(widths[j + 1], widths[j], *_only(kernel, j)) for j in range(len(kernel))]

    def variances(self) -> list[float]:
        widths = (self.in_channels, *self.ranks)
        found = [1 / (width * taps) for width, taps in zip(widths, self.geometry.taps, strict=True)]
        return [*found[:-1], _GAIN * found[-1]]

    def kernel(self) -> Tensor:
        first, *others = (factor.flatten(2) for factor in self.factors)
        for factor in others:
            first = torch.einsum("srk,ri...->si...k", factor, first)
        return first

    @torch.no_grad()
    def set_kernel(self, kernel: Tensor) -> float:
        """Take the nearest factors to a dense kernel, by singular value decompositions of one unfolding after another.

        Returns
        -------
        float
            ‖K − kernel‖/‖kernel‖; rounding where the ranks are full.
        """
        rest, width = kernel.moveaxis(0, -1), self.in_channels
        for axis, rank in enumerate(self.ranks):
            size = self.geometry.kernel[axis]
            left, values, right = torch.linalg.svd(rest.reshape(width * size, -1), full_matrices=False)
            found = min(rank, len(values))
            factor = kernel.new_zeros(rank, width, size)
            factor[:found] = left[:, :found].T.reshape(found, width, size)
            rest = kernel.new_zeros(rank, right.shape[1])
            rest[:found] = values[:found, None] * right[:found]
            self.factors[axis].copy_(factor.reshape(self.factors[axis].shape))
            width = rank
        last = rest.reshape(width, self.geometry.kernel[-1], self.out_channels).permute(2, 0, 1)
        self.factors[-1].copy_(last.reshape(self.factors[-1].shape))
        return float((self.kernel() - kernel).norm() / kernel.norm())

    def forward(self, x: Tensor) -> Tensor:
        last = self.geometry.dim - 1
        for axis, factor in enumerate(self.factors):
            x = self.geometry.along(axis).apply(x, factor, self.bias if axis == last else None)
        return x


class Canonical(Convolution):
    """A sum of R products of vectors, one for each axis and one for each side's channels.

    K[o, i, s] = Σ_r a[o, r] c[i, r] f₁[s₁, r] … f_d[s_d, r]; a matrix of channels, one filter for each axis and
    channel, a matrix of channels. R (I + O + k₁ + … + k_d) + O numbers.

    Notes
    -----
    Good values: R of the larger number of channels; small simulators lose stability in long roll-outs.

    Source: J. Kossaifi et al., Factorized Higher-Order CNNs, CVPR 2020 (arXiv 1906.06196).
    """

    format, formula = "canonical", "R (I + O + d k) + O"

    @classmethod
    def n_ranks(cls, dim: int) -> int:
        return 1

    @classmethod
    def default_ranks(cls, inputs: int, outputs: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        return (_largest(cls, inputs, outputs, kernel, max(inputs, outputs), lambda rank: (rank,)),)

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        (rank,), one = ranks, (1,) * len(kernel)
        filters = [(rank, 1, *_only(kernel, j)) for j in range(len(kernel))]
        return [(rank, inputs, *one), *filters, (outputs, rank, *one)]

    def variances(self) -> list[float]:
        return [1 / self.in_channels, *(1 / taps for taps in self.geometry.taps), _GAIN / self.ranks[0]]

    def kernel(self) -> Tensor:
        first, *filters, last = (factor.flatten(2) for factor in self.factors)
        terms = first[..., 0]
        for one in filters:
            terms = terms.unsqueeze(-1) * one.reshape(len(one), *[1] * (terms.ndim - 1), -1)
        return torch.einsum("or,r...->o...", last[..., 0], terms)

    def forward(self, x: Tensor) -> Tensor:
        first, *filters, last = self.factors
        x = self.geometry.pointwise(x, first)
        for axis, one in enumerate(filters):
            x = self.geometry.along(axis).apply(x, one, groups=len(one))
        return self.geometry.pointwise(x, last, self.bias)


class Separable(Convolution):
    """For each pair of channels a sum of R products of one filter for each axis; applied as a dense kernel.

    K[o, i, s] = Σ_r f₁[r, o, i, s₁] … f_d[r, o, i, s_d]. R O I (k₁ + … + k_d) + O numbers, and the multiply-adds of the
    dense kernel: it saves storage alone.

    Notes
    -----
    One product, the default, cannot be the five-point Laplacian, which is a sum of two.
    """

    format, formula = "separable", "R O I d k + O"

    @classmethod
    def n_ranks(cls, dim: int) -> int:
        return 1

    @classmethod
    def default_ranks(cls, inputs: int, outputs: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        # Three axes: memory laid out with the channels last is for tensors of as many as the images.
        return [(ranks[0], outputs * inputs, size) for size in kernel]

    def variances(self) -> list[float]:
        geometry = self.geometry
        whole = _GAIN / (self.ranks[0] * self.in_channels * math.prod(geometry.taps))
        return [whole ** (1 / geometry.dim)] * geometry.dim

    def kernel(self) -> Tensor:
        terms = ("qca->ca", "qca,qcb->cab", "qca,qcb,qcd->cabd")[self.geometry.dim - 1]
        return torch.einsum(terms, *self.factors).reshape(self.out_channels, self.in_channels, *self.geometry.kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.geometry.apply(x, self.kernel(), self.bias)


class Depthwise(Convolution):
    """One filter for each channel, then a matrix of channels: K[o, i, s] = P[o, i] D[i, s].

    I k₁…k_d + I O + O numbers.

    Source: F. Chollet, Xception, CVPR 2017 (arXiv 1610.02357).
    """

    format, formula = "depthwise", "I k^d + I O + O"

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        return [(inputs, 1, *kernel), (outputs, inputs, *[1] * len(kernel))]

    def variances(self) -> list[float]:
        return [1 / math.prod(self.geometry.taps), _GAIN / self.in_channels]

    def kernel(self) -> Tensor:
        return self.factors[1] * self.factors[0][:, 0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.geometry.apply(x, self.factors[0], groups=self.in_channels)
        return self.geometry.pointwise(x, self.factors[1], self.bias)


class Tucker(Convolution):
    """A dense kernel between fewer channels: K[o, i, s] = Σ b[o, q] G[q, p, s] a[p, i].

    I R₁ + R₁ R₂ k₁…k_d + R₂ O + O numbers; by default both ranks are half the larger number of channels, but no more
    than there are.

    Source: Y.-D. Kim et al., arXiv 1511.06530.
    """

    format, formula = "tucker", "I R + R² k^d + R O + O"

    @classmethod
    def n_ranks(cls, dim: int) -> int:
        return 2

    @classmethod
    def default_ranks(cls, inputs: int, outputs: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        def ranks(rank: int) -> tuple[int, ...]:
            return min(rank, inputs), min(rank, outputs)

        most = max(max(inputs, outputs) // 2, 1)
        return ranks(_largest(cls, inputs, outputs, kernel, most, ranks))

    @classmethod
    def shapes(
        cls, inputs: int, outputs: int, kernel: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, ...]]:
        (less, more), one = ranks, (1,) * len(kernel)
        return [(less, inputs, *one), (more, less, *kernel), (outputs, more, *one)]

    def variances(self) -> list[float]:
        less, more = self.ranks
        return [1 / self.in_channels, 1 / (less * math.prod(self.geometry.taps)), _GAIN / more]

    def kernel(self) -> Tensor:
        first, core, last = self.factors
        return torch.einsum("oq,qp...,pi->oi...", last.flatten(1), core, first.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        first, core, last = self.factors
        x = self.geometry.apply(self.geometry.pointwise(x, first), core)
        return self.geometry.pointwise(x, last, self.bias)


FORMATS: dict[str, type[Convolution]] = {
    kind.format: kind for kind in (Dense, Chain, Canonical, Separable, Depthwise, Tucker)
}


def _only(kernel: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(size if j == axis else 1 for j, size in enumerate(kernel))


def _largest(cls: type[Convolution], inputs: int, outputs: int, kernel: tuple[int, ...], most: int, ranks: Any) -> int:
    """The largest rank up to some that needs no more numbers than the dense kernel."""
    dense = inputs * outputs * math.prod(kernel)
    while most > 1 and cls.weights(inputs, outputs, kernel, ranks(most)) > dense:
        most -= 1
    return most


def _draw(weight: Tensor, bound: float, generator: torch.Generator | None) -> None:
    """Uniform on (−bound, bound), with the numbers of the generator's own device."""
    if generator is None or weight.device.type == "meta":
        weight.uniform_(-bound, bound)
        return
    drawn = torch.rand(weight.shape, generator=generator, dtype=weight.dtype, device=generator.device)
    weight.copy_((2 * drawn - 1) * bound)


def checked_ranks(
    cls: type[Convolution], rank: Any, inputs: int, outputs: int, kernel: tuple[int, ...]
) -> tuple[int, ...]:
    """Ranks as a format has them, from one number for all, one for each, or None.

    Raises
    ------
    OptionError
    """
    count = cls.n_ranks(len(kernel))
    if rank is None:
        return cls.default_ranks(inputs, outputs, kernel)
    given = (rank,) * count if isinstance(rank, int) else tuple(rank)
    if not count:
        raise OptionError(f"rank={rank} was given; format {cls.format!r} in {len(kernel)} dimensions has none.")
    if len(given) != count or min(given) < 1:
        raise OptionError(
            f"rank={rank} was given; format {cls.format!r} in {len(kernel)} dimensions takes one number or {count}, "
            f"of at least 1."
        )
    return given
