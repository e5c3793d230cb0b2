"""Steps in time of dû/dt = −L û + rate(û, t), with the linear part exact or implicit.

- ``etdrk4``: exponential time differencing Runge–Kutta of order 4 (S. M. Cox, P. C. Matthews, J. Comput. Phys. 176
  (2002) 430, equations 26–29); exact where the rate is constant in time.
- ``ifrk4``: the classical Runge–Kutta method for exp(L t) û (integrating factor).
- ``cn_heun``: Crank–Nicolson for L with Heun's method for the rate, order 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from sciml.solvers.spectral.semidiscrete import Semidiscrete

__all__ = ["SCHEMES", "Stepper", "phi_functions"]

_TERMS = 24


def phi_functions(z: np.ndarray) -> list[np.ndarray]:
    """φ₀ … φ₃ of diagonal entries ``(n, p, m)`` or of matrices ``(n, p, m, m)``.

    φ₀ = e^z and φ_{j+1}(z) = (φ_j(z) − 1/j!)/z. For |z| < 1 by their series, of matrices by the exponential of
    [[z, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], whose first row they are (R. B. Sidje, ACM Trans. Math.
    Softw. 24 (1998) 130, theorem 1).
    """
    return _of_matrices(z) if z.ndim == 4 else _of_numbers(z)


def _of_numbers(z: np.ndarray) -> list[np.ndarray]:
    small = np.abs(z) < 1
    inside, outside = np.where(small, z, 0.0), np.where(small, 1.0, z)
    out, factorial, direct = [np.exp(z)], 1.0, np.exp(outside)
    for order in range(1, 4):
        series, term = np.zeros_like(z), np.ones_like(z)
        for n in range(1, order + 1):
            term = term / n
        for n in range(_TERMS):
            series = series + term
            term = term * inside / (n + order + 1)
        factorial *= max(order - 1, 1)
        direct = (direct - 1 / factorial) / outside
        out.append(np.where(small, series, direct))
    return out


def _of_matrices(z: np.ndarray) -> list[np.ndarray]:
    n, p, m, _ = z.shape
    block = np.zeros((n, p, 4 * m, 4 * m), dtype=complex)
    block[..., :m, :m] = z
    for row in range(3):
        block[..., row * m : (row + 1) * m, (row + 1) * m : (row + 2) * m] = np.eye(m)
    first = torch.linalg.matrix_exp(torch.as_tensor(block))[..., :m, :].numpy()
    return [first[..., j * m : (j + 1) * m] for j in range(4)]


class Stepper(ABC):
    """Steps of one length.

    Parameters
    ----------
    system : Semidiscrete
    step : float
    """

    order: int
    courant: float
    """Step times the size of the rate's Jacobian that the automatic choice of steps aims at."""

    def __init__(self, system: Semidiscrete, step: float) -> None:
        self.system, self.step = system, step
        linear = system.linear
        diagonal = np.diagonal(linear, axis1=2, axis2=3)
        m = linear.shape[-1]
        self.is_diagonal = m == 1 or not linear[..., ~np.eye(m, dtype=bool)].any()
        self._prepare(diagonal if self.is_diagonal else linear)

    def _kept(self, values: np.ndarray) -> torch.Tensor:
        """Factors for all waves on the device: ``(n, m, p)``, or matrices ``(n, p, m, m)``."""
        return self.system.constant(values.transpose(0, 2, 1) if self.is_diagonal else values)

    def _times(self, factors: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return factors * state if self.is_diagonal else self.system.applied(factors, state)

    @abstractmethod
    def _prepare(self, linear: np.ndarray) -> None:
        """Compute what all steps share."""

    @abstractmethod
    def __call__(self, state: torch.Tensor, t: float) -> torch.Tensor:
        """The state at t + step."""


class ETDRK4(Stepper):
    """Exponential time differencing of order 4."""

    order, courant = 4, 1.0

    def _prepare(self, linear: np.ndarray) -> None:
        h = self.step
        half = phi_functions(-h / 2 * linear)
        full = phi_functions(-h * linear)
        self._half, self._full = self._kept(half[0]), self._kept(full[0])
        self._stage = self._kept(h / 2 * half[1])
        self._first = self._kept(h * (full[1] - 3 * full[2] + 4 * full[3]))
        self._middle = self._kept(h * (2 * full[2] - 4 * full[3]))
        self._last = self._kept(h * (4 * full[3] - full[2]))

    def __call__(self, state: torch.Tensor, t: float) -> torch.Tensor:
        h, rate, times = self.step, self.system.rate, self._times
        start = times(self._half, state)
        n0 = rate(state, t)
        a = start + times(self._stage, n0)
        na = rate(a, t + h / 2)
        nb = rate(start + times(self._stage, na), t + h / 2)
        nc = rate(times(self._half, a) + times(self._stage, 2 * nb - n0), t + h)
        return times(self._full, state) + times(self._first, n0) + times(self._middle, na + nb) + times(self._last, nc)


class IFRK4(Stepper):
    """The integrating factor with the classical Runge–Kutta method."""

    order, courant = 4, 1.0

    def _prepare(self, linear: np.ndarray) -> None:
        self._half = self._kept(phi_functions(-self.step / 2 * linear)[0])
        self._full = self._kept(phi_functions(-self.step * linear)[0])

    def __call__(self, state: torch.Tensor, t: float) -> torch.Tensor:
        h, rate, times = self.step, self.system.rate, self._times
        n0 = rate(state, t)
        start = times(self._half, state)
        na = rate(start + h / 2 * times(self._half, n0), t + h / 2)
        nb = rate(start + h / 2 * na, t + h / 2)
        whole = times(self._full, state)
        nc = rate(whole + h * times(self._half, nb), t + h)
        return whole + h / 6 * (times(self._full, n0) + 2 * times(self._half, na + nb) + nc)


class CrankNicolsonHeun(Stepper):
    """Crank–Nicolson for the linear part, Heun's method for the rest."""

    order, courant = 2, 0.2

    def _prepare(self, linear: np.ndarray) -> None:
        h = self.step
        if self.is_diagonal:
            inverse = 1 / (1 + h / 2 * linear)
            forward = inverse * (1 - h / 2 * linear)
        else:
            one = np.eye(linear.shape[-1])
            inverse = np.linalg.inv(one + h / 2 * linear)
            forward = inverse @ (one - h / 2 * linear)
        self._forward, self._inverse = self._kept(forward), self._kept(h * inverse)

    def __call__(self, state: torch.Tensor, t: float) -> torch.Tensor:
        rate, times = self.system.rate, self._times
        start, n0 = times(self._forward, state), rate(state, t)
        predicted = rate(start + times(self._inverse, n0), t + self.step)
        return start + times(self._inverse, 0.5 * (n0 + predicted))


SCHEMES: dict[str, type[Stepper]] = {"etdrk4": ETDRK4, "ifrk4": IFRK4, "cn_heun": CrankNicolsonHeun}
