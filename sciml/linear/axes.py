"""One axis of a box: its stiffness K and mass M, diagonalised together: VᵀM V = 1, VᵀK V = Λ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.fft import dct, dst
from scipy.linalg import eigh

__all__ = ["Axis", "EvenAxis", "GeneralAxis", "element_matrices"]


class Axis(ABC):
    """K = (∫ φᵢ′ φⱼ′ dx) and M = (∫ φᵢ φⱼ dx) on an interval, without the functions of ends that are held.

    Attributes
    ----------
    eigenvalues : (n,) array
        Λ, ascending.
    stiffness_diagonal, mass_diagonal : (n,) arrays
        Of K and M.
    """

    eigenvalues: np.ndarray
    stiffness_diagonal: np.ndarray
    mass_diagonal: np.ndarray

    def __len__(self) -> int:
        return len(self.eigenvalues)

    @abstractmethod
    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        """Vᵀx along one axis of an array."""

    @abstractmethod
    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        """V c along one axis of an array."""

    def mode(self, k: int) -> np.ndarray:
        """The eigenvector of the k-th eigenvalue: ``(n,)``, of M-norm 1."""
        return self.synthesise(np.eye(len(self))[k], 0)


class EvenAxis(Axis):
    """Linear elements on equal cells: the eigenvectors are sines and cosines, by fast transforms.

    With θ_k = k π/n on n cells of length h, k from 1 where an end is held, halfway between where one of both is,

        Λ_k = (6/h²) (1 − cos θ_k)/(2 + cos θ_k).

    Parameters
    ----------
    cells : int
    length : float
        Of the interval.
    held : (bool, bool)
        Whether the lower and the upper end have Dirichlet conditions; natural ones else.
    """

    def __init__(self, cells: int, length: float, held: tuple[bool, bool]) -> None:
        h, n = length / cells, cells + 1 - sum(held)
        if n < 1:
            raise ValueError(f"{cells} cell(s) with both ends held leave no unknown.")
        first = 0.5 * sum(held)
        angle = (first + np.arange(n)) * (np.pi / cells)
        stiffness, mass = 2 / h * (1 - np.cos(angle)), h / 3 * (2 + np.cos(angle))
        self.eigenvalues = stiffness / mass
        squares = np.full(n, cells / 2)
        ends = np.array([], dtype=int)
        if not any(held):
            squares[[0, -1]], ends = cells, np.array([0, n - 1])
        elif not all(held):
            ends = np.array([n - 1 if held[0] else 0])
        self._ends, self._held = ends, held
        self._scale = 1 / np.sqrt(squares * mass)
        self.stiffness_diagonal, self.mass_diagonal = np.full(n, 2 / h), np.full(n, 2 * h / 3)
        self.stiffness_diagonal[ends] /= 2
        self.mass_diagonal[ends] /= 2

    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        transform: Callable = dst if self._held[0] else dct
        kind = 1 if self._held[0] == self._held[1] else 3
        # SciPy counts values at natural ends half.
        doubled = self._with_ends_doubled(x, axis)
        return 0.5 * transform(doubled, type=kind, axis=axis) * _along(self._scale, axis, x.ndim)

    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        transform: Callable = dst if self._held[0] else dct
        scaled = c * _along(self._scale, axis, c.ndim)
        if self._held[0] != self._held[1]:
            return 0.5 * transform(scaled, type=2, axis=axis)
        return 0.5 * transform(self._with_ends_doubled(scaled, axis), type=1, axis=axis)

    def _with_ends_doubled(self, x: np.ndarray, axis: int) -> np.ndarray:
        if not len(self._ends):
            return x
        out = np.array(x)
        np.moveaxis(out, axis, 0)[self._ends] *= 2
        return out


class GeneralAxis(Axis):
    """Any symmetric K and positive M, by dense matrices.

    Parameters
    ----------
    stiffness, mass : (n, n) arrays
    """

    def __init__(self, stiffness: np.ndarray, mass: np.ndarray) -> None:
        self.eigenvalues, self._vectors = eigh(stiffness, mass)
        # The constant has the eigenvalue zero, which rounding leaves on either side of it.
        self.eigenvalues = np.maximum(self.eigenvalues, 0.0)
        self.stiffness_diagonal, self.mass_diagonal = np.diag(stiffness).copy(), np.diag(mass).copy()

    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.moveaxis(np.tensordot(self._vectors, x, (0, axis)), 0, axis)

    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        return np.moveaxis(np.tensordot(self._vectors, c, (1, axis)), 0, axis)


def element_matrices(cells: int, length: float, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K and M of Lagrange elements on equal cells of an interval.

    Parameters
    ----------
    cells : int
    length : float
    nodes : (p + 1,) array
        Of the element of degree p, ascending from 0 to 1.

    Returns
    -------
    (cells p + 1, cells p + 1) arrays
        Unknowns in order of place.
    """
    degree, h = len(nodes) - 1, length / cells
    points, weights = np.polynomial.legendre.leggauss(degree + 1)
    points, weights = 0.5 * (points + 1), 0.5 * weights
    coefficients = np.linalg.inv(np.vander(nodes, increasing=True))
    powers = np.arange(degree + 1)
    values = np.power.outer(points, powers) @ coefficients
    slopes = (powers[1:] * np.power.outer(points, powers[:-1])) @ coefficients[1:]
    stiffness, mass = (np.zeros((cells * degree + 1,) * 2) for _ in range(2))
    for cell in range(cells):
        part = slice(cell * degree, (cell + 1) * degree + 1)
        stiffness[part, part] += (slopes.T * weights) @ slopes / h
        mass[part, part] += (values.T * weights) @ values * h
    return stiffness, mass


def _along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return values.reshape([-1 if k == axis else 1 for k in range(ndim)])
