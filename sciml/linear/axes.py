"""One axis of a box: its stiffness K and mass M, diagonalised together: VᵀM V = 1, VᵀK V = Λ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.fft import dct, dst, irfft, rfft
from scipy.linalg import eigh

__all__ = ["Axis", "EvenAxis", "GeneralAxis", "PeriodicAxis", "element_matrices"]


class Axis(ABC):
    """K = (∫ φᵢ′ φⱼ′ dx) and M = (∫ φᵢ φⱼ dx) on an interval, without the functions of ends that are held.

    Attributes
    ----------
    eigenvalues : (n,) array
        Λ, ascending (of a periodic axis, in the order of its waves).
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
    """Three-point formulas on equal cells: the eigenvectors are sines and cosines, by fast transforms.

    With K = (1/h) (−1, 2, −1), M = h (s, 1 − 2 s, s), and θ_k = k π/n on n cells of length h, k from 1 where an end is
    held, halfway between where one of both is,

        Λ_k = (2/h²) (1 − cos θ_k)/(1 − 2 s + 2 s cos θ_k).

    Linear finite elements have s = 1/6, central differences s = 0. With s = 1/12, −K u = M u″ to the fourth order
    ("Mehrstellenverfahren", L. Collatz, The Numerical Treatment of Differential Equations, 1960, chapter III).

    Parameters
    ----------
    cells : int
    length : float
        Of the interval.
    held : (bool, bool)
        Whether the lower and the upper end have Dirichlet conditions; natural ones else.
    share : float
        The share s < 1/4 of the mass between neighbours.
    """

    def __init__(self, cells: int, length: float, held: tuple[bool, bool], share: float = 1 / 6) -> None:
        h, n = length / cells, cells + 1 - sum(held)
        if n < 1:
            raise ValueError(f"{cells} cell(s) with both ends held leave no unknown.")
        first = 0.5 * sum(held)
        angle = (first + np.arange(n)) * (np.pi / cells)
        stiffness, mass = _symbols(angle, h, share)
        self.eigenvalues = stiffness / mass
        squares = np.full(n, cells / 2)
        ends = np.array([], dtype=int)
        if not any(held):
            squares[[0, -1]], ends = cells, np.array([0, n - 1])
        elif not all(held):
            ends = np.array([n - 1 if held[0] else 0])
        self._ends, self.held, self.cells = ends, held, cells
        self.scale = 1 / np.sqrt(squares * mass)
        self.stiffness_diagonal, self.mass_diagonal = np.full(n, 2 / h), np.full(n, h * (1 - 2 * share))
        self.stiffness_diagonal[ends] /= 2
        self.mass_diagonal[ends] /= 2

    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        transform: Callable = dst if self.held[0] else dct
        kind = 1 if self.held[0] == self.held[1] else 3
        # SciPy counts values at natural ends half.
        doubled = self._with_ends_doubled(x, axis)
        return 0.5 * transform(doubled, type=kind, axis=axis) * _along(self.scale, axis, x.ndim)

    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        transform: Callable = dst if self.held[0] else dct
        scaled = c * _along(self.scale, axis, c.ndim)
        if self.held[0] != self.held[1]:
            return 0.5 * transform(scaled, type=2, axis=axis)
        return 0.5 * transform(self._with_ends_doubled(scaled, axis), type=1, axis=axis)

    def _with_ends_doubled(self, x: np.ndarray, axis: int) -> np.ndarray:
        if not len(self._ends):
            return x
        out = np.array(x)
        np.moveaxis(out, axis, 0)[self._ends] *= 2
        return out


class PeriodicAxis(Axis):
    """The same formulas round a circle: the eigenvectors are waves, by real Fourier transforms.

    Coefficients are those of the cosines of 0 … ⌊n/2⌋ waves, then those of the sines of 1 … ⌈n/2⌉ − 1 waves.

    Parameters
    ----------
    cells : int
        At least 3; as many nodes.
    length : float
        Once round.
    share : float
        See :class:`EvenAxis`.
    """

    def __init__(self, cells: int, length: float, share: float = 1 / 6) -> None:
        if cells < 3:
            raise ValueError(f"A periodic axis needs at least 3 cells, not {cells}.")
        h = length / cells
        self.cosines = cells // 2 + 1
        waves = np.append(np.arange(self.cosines), np.arange(1, (cells + 1) // 2))
        stiffness, mass = _symbols(2 * np.pi * waves / cells, h, share)
        self.eigenvalues = stiffness / mass
        constant = (2 * waves) % cells == 0
        self.scale = 1 / np.sqrt(np.where(constant, cells, cells / 2) * mass)
        # A transform back counts waves and their conjugates, each 1/n.
        self.back = self.scale * np.where(constant, cells, cells / 2)
        self.stiffness_diagonal, self.mass_diagonal = np.full(cells, 2 / h), np.full(cells, h * (1 - 2 * share))

    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        waves = np.moveaxis(rfft(x, axis=axis), axis, -1)  # type: ignore[arg-type]
        sines = -waves.imag[..., 1 : 1 + len(self) - self.cosines]
        return np.moveaxis(np.concatenate([waves.real, sines], axis=-1) * self.scale, -1, axis)

    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        scaled = np.moveaxis(c, axis, -1) * self.back
        waves = scaled[..., : self.cosines].astype(complex)
        waves.imag[..., 1 : 1 + len(self) - self.cosines] = -scaled[..., self.cosines :]
        return np.moveaxis(irfft(waves, n=len(self), axis=-1), -1, axis)  # type: ignore[arg-type]


class GeneralAxis(Axis):
    """Any symmetric K and positive M, by dense matrices.

    Parameters
    ----------
    stiffness, mass : (n, n) arrays
    """

    def __init__(self, stiffness: np.ndarray, mass: np.ndarray) -> None:
        self.eigenvalues, self.vectors = eigh(stiffness, mass)
        # The constant has the eigenvalue zero, which rounding leaves on either side of it.
        self.eigenvalues = np.maximum(self.eigenvalues, 0.0)
        self.stiffness_diagonal, self.mass_diagonal = np.diag(stiffness).copy(), np.diag(mass).copy()

    def analyse(self, x: np.ndarray, axis: int) -> np.ndarray:
        return np.moveaxis(np.tensordot(self.vectors, x, (0, axis)), 0, axis)

    def synthesise(self, c: np.ndarray, axis: int) -> np.ndarray:
        return np.moveaxis(np.tensordot(self.vectors, c, (1, axis)), 0, axis)


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


def _symbols(angle: np.ndarray, h: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    """What K and M multiply waves by that turn by an angle from node to node."""
    bend = 1 - np.cos(angle)
    return 2 / h * bend, h * (1 - 2 * share * bend)


def _along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return values.reshape([-1 if k == axis else 1 for k in range(ndim)])
