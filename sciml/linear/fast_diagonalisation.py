"""Fast diagonalisation: direct solution of separable systems on a box, axis by axis.

R. E. Lynch, J. R. Rice, D. H. Thomas, Numer. Math. 6 (1964). As a preconditioner for coefficients that vary:
P. Concus, G. H. Golub, SIAM J. Numer. Anal. 10 (1973).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from scipy.optimize import nnls

from sciml.linear.axes import Axis

__all__ = ["FastDiagonalisation", "nearest_coefficients"]


class FastDiagonalisation:
    """The matrix A = Σᵢ aᵢ M ⊗ … Kᵢ … ⊗ M + c M ⊗ … ⊗ M of −Σ aᵢ ∂²u/∂xᵢ² + c u, and its inverse.

    With VᵢᵀMᵢVᵢ = 1 and VᵢᵀKᵢVᵢ = Λᵢ along each axis, A⁻¹ = V (Σ aᵢ Λᵢ + c)⁻¹ Vᵀ with V = V₀ ⊗ V₁ ⊗ ….

    Parameters
    ----------
    axes : sequence of Axis
        Its expensive part, which matrices with other coefficients share.
    stiffness : (dim,) sequence of float
        aᵢ ≥ 0.
    mass : float
        c ≥ 0.
    singular : bool
        Whether A has a kernel of one dimension, the constants: solutions are then orthogonal to them, in the sense of
        the mass matrix, and so is what is taken of right-hand sides.

    Raises
    ------
    ValueError
        The matrix is not positive definite (but for the constants, if it is said to be singular).
    """

    def __init__(
        self, axes: Sequence[Axis], stiffness: Sequence[float], mass: float = 0.0, *, singular: bool = False
    ) -> None:
        self.axes, self.stiffness, self.mass = tuple(axes), tuple(stiffness), float(mass)
        terms = [a * axis.eigenvalues for a, axis in zip(stiffness, axes, strict=True)]
        eigenvalues = reduce(np.add.outer, terms) + mass
        if singular:
            eigenvalues.flat[np.argmin(eigenvalues)] = np.inf
        if not eigenvalues.min() > 1e-14 * eigenvalues.max(initial=0.0, where=np.isfinite(eigenvalues)):
            raise ValueError(f"The matrix with stiffness {self.stiffness} and mass {mass:g} is not positive definite.")
        self.inverse_eigenvalues = 1 / eigenvalues

    @property
    def shape(self) -> tuple[int, ...]:
        """Unknowns along each axis."""
        return tuple(map(len, self.axes))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """A⁻¹ b for arrays of the shape of the grid."""
        for i, axis in enumerate(self.axes):
            right = axis.analyse(right, i)
        right = right * self.inverse_eigenvalues
        for i, axis in enumerate(self.axes):
            right = axis.synthesise(right, i)
        return right

    @property
    def diagonal(self) -> np.ndarray:
        """The diagonal of A."""
        masses = [axis.mass_diagonal for axis in self.axes]
        out = self.mass * reduce(np.multiply.outer, masses)
        for i, (a, axis) in enumerate(zip(self.stiffness, self.axes)):
            out = out + a * reduce(np.multiply.outer, [*masses[:i], axis.stiffness_diagonal, *masses[i + 1 :]])
        return out


def nearest_coefficients(
    axes: Sequence[Axis], multiply: Callable[[np.ndarray], np.ndarray]
) -> tuple[tuple[float, ...], float]:
    """The coefficients (a, c) for which :class:`FastDiagonalisation` is near to a symmetric positive matrix B.

    For eigenvectors v of the separable matrix, vᵀA v = Σ aᵢ λᵢ + c. Those of the lowest frequency, and of a third of
    the highest along each axis in turn, weigh all parts of the box; a and c are what gives vᵀB v for them. Exact for
    constant coefficients.

    Parameters
    ----------
    axes : sequence of Axis
    multiply : function
        B times an array of the shape of the grid.

    Returns
    -------
    (dim,) tuple of float, float
        Not negative.
    """
    rows, values = [], []
    for raised in [None, *range(len(axes))]:
        index = [min(max(1, len(axis) // 3), len(axis) - 1) if i == raised else 0 for i, axis in enumerate(axes)]
        rows.append(index)
        mode = reduce(np.multiply.outer, [axis.mode(k) for axis, k in zip(axes, index)])
        values.append(float(np.vdot(mode, multiply(mode))))
    system = np.array([[*(axis.eigenvalues[k] for axis, k in zip(axes, index)), 1.0] for index in rows])
    # All rows count alike, however large their eigenvalues are, and so do all unknowns.
    size = np.abs(values) + np.finfo(float).tiny
    system, right = system / size[:, None], np.array(values) / size
    weight = 1 / np.maximum(system.max(axis=0), np.finfo(float).tiny)
    found = nnls(system * weight, right)[0] * weight
    return tuple(float(a) for a in found[:-1]), float(found[-1])
