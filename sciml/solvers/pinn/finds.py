"""A mixture of small normal laws around places where a large residual was found."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = ["Finds"]


class Finds:
    """Normal laws about points of the unit box, cut off at its walls, all with the same chance.

    Attributes
    ----------
    centres : (k, dim) array
    widths : (k,) array
        Standard deviations, the same along each axis.
    """

    def __init__(self, centres: np.ndarray, widths: np.ndarray) -> None:
        self.centres, self.widths = centres, widths

    @classmethod
    def around(cls, centres: np.ndarray, spacing: float, generator: np.random.Generator) -> Finds:
        """With widths from a quarter of `spacing` to twice of it, since the width of a peak is not known."""
        return cls(centres, spacing * 2 ** generator.uniform(-2, 1, len(centres)))

    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `n` points, as evenly from all laws as can be: ``(n, dim)``."""
        which = generator.permutation(np.arange(n) % len(self.centres))
        centres, widths = self.centres[which], self.widths[which][:, None]
        below, above = ndtr(-centres / widths), ndtr((1 - centres) / widths)
        places = below + (above - below) * generator.random(centres.shape)
        return np.clip(centres + widths * ndtri(places), 0.0, 1.0)

    def density(self, unit: np.ndarray) -> np.ndarray:
        """Density at points of the unit box: ``(n,)``."""
        widths = self.widths[:, None]
        masses = np.sqrt(2 * np.pi) * widths * (ndtr((1 - self.centres) / widths) - ndtr(-self.centres / widths))
        squares = (unit**2).sum(axis=1)[:, None] + (self.centres**2).sum(axis=1) - 2 * unit @ self.centres.T
        exponents = -0.5 * squares / self.widths**2 - np.log(masses).sum(axis=1)
        return np.exp(exponents).mean(axis=1)
