"""The periodic grid: points, wave numbers, transforms, and which waves are kept."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from sciml.problem import Domain, grid_points

__all__ = ["Grid"]


class Grid:
    """`modes` points along each axis of a box, and real fields on it by their Fourier coefficients.

    A coefficient multiplies exp(i k·(x − lower)). Of the last axis only waves ≥ 0 are stored, since fields are real.
    Coefficients are flattened: ``(…, n_waves)``; values likewise: ``(…, n_points)``.

    Parameters
    ----------
    domain : Box
    modes : int
        Grid points along each axis.
    dealias : bool
        Keep waves below a third of `modes`, so that products of two fields are free of aliases (the 2/3 rule of
        S. A. Orszag, J. Atmos. Sci. 28 (1971) 1074); else all below a half.
    """

    def __init__(self, domain: Domain, modes: int, dealias: bool) -> None:
        self.domain, self.modes, self.dim, self.dealias = domain, modes, domain.dim, dealias
        self.shape = (modes,) * self.dim
        self._axes = tuple(range(-self.dim, 0))

    @cached_property
    def points(self) -> np.ndarray:
        """``(n_points, dim)``."""
        domain = self.domain
        lines = [
            low + (high - low) * np.arange(self.modes) / self.modes
            for low, high in zip(domain.lower, domain.upper, strict=True)
        ]
        return grid_points(lines)

    @cached_property
    def waves(self) -> np.ndarray:
        """Whole numbers of periods along each axis ``(n_waves, dim)``."""
        whole = np.rint(np.fft.fftfreq(self.modes) * self.modes).astype(int)
        lines = [whole] * (self.dim - 1) + [np.arange(self.modes // 2 + 1)]
        return grid_points(lines)

    @cached_property
    def wave_vectors(self) -> np.ndarray:
        """The k in exp(i k·x) ``(n_waves, dim)``."""
        return 2 * np.pi * self.waves / (self.domain.upper - self.domain.lower)

    @property
    def highest(self) -> int:
        """The highest wave that is kept along an axis; the one of Nyquist, whose slope has no sign, never is."""
        return (self.modes - 1) // (3 if self.dealias else 2)

    @cached_property
    def kept(self) -> np.ndarray:
        """Which waves are kept ``(n_waves,)``."""
        return (np.abs(self.waves) <= self.highest).all(axis=1)

    def to_values(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Values at the points."""
        spectrum = coefficients.unflatten(-1, (*self.shape[:-1], self.modes // 2 + 1))
        return torch.fft.irfftn(spectrum, s=self.shape, dim=self._axes, norm="forward").flatten(-self.dim)

    def to_coefficients(self, values: torch.Tensor) -> torch.Tensor:
        """Coefficients of values at the points; all waves."""
        spectrum = torch.fft.rfftn(values.unflatten(-1, self.shape), dim=self._axes, norm="forward")
        return spectrum.flatten(-self.dim)

    def truncated(self, coefficients: torch.Tensor, finer: Grid) -> torch.Tensor:
        """The waves of this grid, of coefficients on a finer one, with those that are not kept set to zero."""
        last = finer.modes // 2 + 1
        places = np.ravel_multi_index(
            [n % size for n, size in zip(self.waves.T, (*finer.shape[:-1], last), strict=True)],
            (*finer.shape[:-1], last),
        )
        kept = torch.as_tensor(self.kept).to(coefficients.device)
        return coefficients[..., torch.as_tensor(places).to(coefficients.device)] * kept

    def compact(self, coefficients: np.ndarray) -> np.ndarray:
        """The waves that are kept, in ascending order: ``(…, 2 K + 1, …, K + 1)``."""
        lead = coefficients.shape[:-1]
        spectrum = coefficients.reshape(*lead, *self.shape[:-1], self.modes // 2 + 1)
        for axis in range(self.dim - 1):
            spectrum = np.take(spectrum, np.arange(-self.highest, self.highest + 1), axis=len(lead) + axis)
        return np.ascontiguousarray(spectrum[..., : self.highest + 1])
