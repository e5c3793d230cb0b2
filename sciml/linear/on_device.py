"""Fast diagonalisation in torch: in batches, on any device, differentiable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, PeriodicAxis
from sciml.linear.fast_diagonalisation import FastDiagonalisation

__all__ = ["DeviceDiagonalisation"]

Constant = Callable[[Any], torch.Tensor]


class DeviceDiagonalisation:
    """A⁻¹ of :class:`FastDiagonalisation` for tensors.

    Sums of sines and cosines are parts of Fourier transforms of arrays that are padded with zeros to a whole period.

    Parameters
    ----------
    solver : FastDiagonalisation
    device : str
    dtype : torch.dtype

    Examples
    --------
    >>> poisson = FastPoisson((64, 64), (1.0, 1.0), [("dirichlet", "dirichlet")] * 2, (1.0, 1.0), order=2)
    >>> inverse = DeviceDiagonalisation(poisson.inverse, "cuda", torch.float32)
    >>> u = inverse.solve(right)  # (batch, 63, 63)
    """

    def __init__(
        self, solver: FastDiagonalisation, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64
    ) -> None:
        def constant(values: Any) -> torch.Tensor:
            return torch.as_tensor(values).to(device=device, dtype=dtype)

        self._inverse = constant(solver.inverse_eigenvalues)
        self._axes = [_axis(axis, constant) for axis in solver.axes]

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """A⁻¹ b for tensors ``(…, *shape)`` of the grid's shape."""
        first = right.ndim - len(self._axes)
        for place, axis in enumerate(self._axes, first):
            right = axis.analyse(right.movedim(place, -1)).movedim(-1, place)
        right = right * self._inverse
        for place, axis in enumerate(self._axes, first):
            right = axis.synthesise(right.movedim(place, -1)).movedim(-1, place)
        return right


class _Waves:
    """The sines or cosines of an :class:`EvenAxis`, along the last axis."""

    def __init__(self, axis: EvenAxis, constant: Constant) -> None:
        alike = axis.held[0] == axis.held[1]
        self._period = (2 if alike else 4) * axis.cells
        self._sines, self._scale = axis.held[0], constant(axis.scale)
        n, held = len(axis), int(axis.held[0])
        self._nodes = slice(held, held + n)
        self._numbers = slice(held, held + n) if alike else slice(1, 2 * n, 2)

    def analyse(self, x: torch.Tensor) -> torch.Tensor:
        return self._sums(x, self._nodes, self._numbers) * self._scale

    def synthesise(self, c: torch.Tensor) -> torch.Tensor:
        return self._sums(c * self._scale, self._numbers, self._nodes)

    def _sums(self, x: torch.Tensor, given: slice, wanted: slice) -> torch.Tensor:
        """Σ_j x_j sin or cos(2π j k/period) from places j to places k."""
        padded = x.new_zeros((*x.shape[:-1], self._period))
        padded[..., given] = x
        spectrum = torch.fft.rfft(padded)[..., wanted]
        return -spectrum.imag if self._sines else spectrum.real


class _Ring:
    """The waves of a :class:`PeriodicAxis`, along the last axis."""

    def __init__(self, axis: PeriodicAxis, constant: Constant) -> None:
        self._n, self._cosines = len(axis), axis.cosines
        self._scale, self._back = constant(axis.scale), constant(axis.back)

    def analyse(self, x: torch.Tensor) -> torch.Tensor:
        waves = torch.fft.rfft(x)
        return torch.cat([waves.real, -waves.imag[..., 1 : 1 + self._n - self._cosines]], dim=-1) * self._scale

    def synthesise(self, c: torch.Tensor) -> torch.Tensor:
        scaled = c * self._back
        sines = torch.zeros_like(scaled[..., : self._cosines])
        sines[..., 1 : 1 + self._n - self._cosines] = -scaled[..., self._cosines :]
        return torch.fft.irfft(torch.complex(scaled[..., : self._cosines].contiguous(), sines), n=self._n)


class _Dense:
    """The eigenvectors of a :class:`GeneralAxis`, along the last axis."""

    def __init__(self, axis: GeneralAxis, constant: Constant) -> None:
        self._vectors = constant(axis.vectors)

    def analyse(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self._vectors

    def synthesise(self, c: torch.Tensor) -> torch.Tensor:
        return c @ self._vectors.T


def _axis(axis: Axis, constant: Constant) -> _Waves | _Ring | _Dense:
    if isinstance(axis, EvenAxis):
        return _Waves(axis, constant)
    if isinstance(axis, PeriodicAxis):
        return _Ring(axis, constant)
    assert isinstance(axis, GeneralAxis)
    return _Dense(axis, constant)
