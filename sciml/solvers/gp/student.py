"""The prior whose spectrum is a mixture of Student's t, in function space: sections of its kernel at nodes.

The kernel Σ_q g(|x − x′|) cos 2πf_q(x − x′) with Matérn's g has no expansion in few smooth functions. Its sections
k(·, s_j) at equal nodes s_j are combined to U Λ^{−½} by the eigenvectors of the matrix K = U Λ Uᵀ at the nodes: a
function drawn from the process, seen at the nodes, is the sum of these with independent standard normal weights, and
derivatives of it are ∂ⁿK K⁻¹ of its values there. Directions of K below rounding are left out; nothing is added to its
diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from sciml.linear.kernels import Matern
from sciml.solvers.gp.features import Family

__all__ = ["StudentMixture"]

_LEAST_VARIANCE = 1e-14
_ROUNDED = 1e-12


@dataclass(frozen=True)
class StudentMixture(Family):
    """A mixture of Student's t in the spectrum: Matérn's kernel times cosines, of equal weights and widths.

    Attributes
    ----------
    lower, upper : float
    frequencies : tuple of float
        In cycles per length, not negative.
    nodes : int
    width : float
        Inverse length ρ of the envelope times the length of the interval.
    smoothness : float
        ν; the spectrum around each frequency has 2ν degrees of freedom.
    """

    lower: float
    upper: float
    frequencies: tuple[float, ...]
    nodes: int
    width: float
    smoothness: float = 2.5

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        return self.kernel(np.asarray(x, dtype=float), self._places_of_nodes, order) @ self._combined

    def richer(self, most: int) -> StudentMixture:
        return replace(self, nodes=min(math.ceil(1.25 * self.nodes) + 8, max(most, self.nodes)))

    @property
    def covariance(self) -> np.ndarray:
        return np.eye(self._combined.shape[1])

    def kernel(self, x: np.ndarray, others: np.ndarray, order: int = 0) -> np.ndarray:
        """∂ⁿk/∂xⁿ at pairs of points ``(n,)`` and ``(m,)``: ``(n, m)``.

        Envelopes of one width are computed once; a cosine of a difference is two products of waves.
        """
        envelopes = self._envelopes(np.subtract.outer(x, others), order)
        angular = 2 * np.pi * np.array(self.frequencies)
        turned, still = np.multiply.outer(x, angular), np.multiply.outer(others, angular).T
        behind = np.concatenate([np.cos(still), np.sin(still)])
        total = np.zeros((len(x), len(others)))
        for k in range(order + 1):
            # Each derivative of cos(ωd) adds a quarter of a turn.
            ahead = angular**k * np.array([np.cos(turned + k * np.pi / 2), np.sin(turned + k * np.pi / 2)])
            waves = np.concatenate(list(ahead), axis=1) @ behind / len(angular)
            total += math.comb(order, k) * envelopes[order - k] * waves
        return total

    def _envelopes(self, distances: np.ndarray, order: int) -> np.ndarray:
        """Matérn's function and its derivatives: ``(order + 1, n, m)``."""
        form, scale = Matern(self.smoothness), torch.tensor([self.width / self.length], dtype=torch.float64)
        if (2 * self.smoothness) % 2 == 1:
            flat, places = distances.ravel(), None
        else:
            # Bessel functions are dear, and distances of points on one lattice are few.
            lattice, places = np.unique(np.round(distances / (_ROUNDED * self.length)), return_inverse=True)
            flat = lattice * (_ROUNDED * self.length)
        found = form.derivatives(torch.from_numpy(flat), scale, order)[..., 0].numpy()
        found = found if places is None else found[:, places.ravel()]
        return found.reshape(order + 1, *distances.shape)

    @cached_property
    def _places_of_nodes(self) -> np.ndarray:
        return np.linspace(self.lower, self.upper, self.nodes)

    @cached_property
    def _combined(self) -> np.ndarray:
        """U Λ^{−½}: ``(nodes, size)``."""
        sizes, vectors = np.linalg.eigh(self.kernel(self._places_of_nodes, self._places_of_nodes))
        kept = sizes > _LEAST_VARIANCE * sizes[-1]
        return vectors[:, kept] / np.sqrt(sizes[kept])
