"""Stationary kernels whose spectrum is a mixture, with closed-form derivatives, on lines and on grids.

A kernel of one coordinate is k(d) = Σ_q w_q g(d; ρ_q) cos(2π f_q d) with the distance d = x − x′; its k-th derivative
is by d, which is by the first point (each derivative by the second point changes the sign). In several dimensions
kernels are products over the axes, so that matrices on a grid are Kronecker products of matrices of the axes, and on
uniform grids those are Toeplitz: one row of lags says all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from sciml.errors import OptionError, UnsupportedError
from sciml.linear.bessel import log_bessel_k

__all__ = [
    "Envelope",
    "Gaussian",
    "Matern",
    "ProductKernel",
    "SpectralMixture",
    "grid_mixture",
    "lags",
    "rbf",
    "toeplitz",
]


class Envelope(ABC):
    """g(d; ρ) with g(0) = 1, as a function F of t = a² d²/2.

    By Faà di Bruno's formula ∂ⁿg = Σ_j n!/((n − 2j)! j! 2ʲ) aⁿ (a d)^{n−2j} F^{(n−j)}(t).

    Attributes
    ----------
    smoothness : float
        The largest k of which the k-th derivative exists at d = 0; infinite for the Gaussian.
    """

    smoothness: float

    @abstractmethod
    def rate(self, scales: Tensor) -> Tensor:
        """a, in 1/length, from ρ; of the same shape."""

    @abstractmethod
    def _term(self, z: Tensor, power: int, order: int) -> Tensor:
        """z^power (−1)^order F^{(order)} at z = a |d| ≥ 0."""

    def derivatives(self, distance: Tensor, scales: Tensor, order: int) -> Tensor:
        """The envelope g and its derivatives by d up to an order.

        Parameters
        ----------
        distance : Tensor
            ``(n,)``, signed.
        scales : Tensor
            ρ ``(Q,)``, positive.
        order : int

        Returns
        -------
        Tensor
            ``(order + 1, n, Q)``; differentiable by the scales, and by distances other than 0.

        Raises
        ------
        UnsupportedError
            A derivative that does not exist at d = 0.
        """
        self.check_order(order)
        a = self.rate(scales)
        z = a * distance.abs()[:, None]
        sign = torch.sign(distance)[:, None]
        return torch.stack([self._derivative(z, sign, a, n) for n in range(order + 1)])

    def _derivative(self, z: Tensor, sign: Tensor, a: Tensor, n: int) -> Tensor:
        total = torch.zeros_like(z)
        for j in range(n // 2 + 1):
            count = math.factorial(n) // (math.factorial(n - 2 * j) * math.factorial(j) * 2**j)
            total = total + (-1) ** (n - j) * count * self._term(z, n - 2 * j, n - j)
        return a**n * total * (sign if n % 2 else 1.0)

    def check_operator(self, order: int) -> None:
        """Refuse an operator whose order is above that of the derivatives which a process with this kernel has.

        They are half as many as the kernel has at d = 0.

        Raises
        ------
        UnsupportedError
        """
        if 2 * order > self.smoothness:
            raise UnsupportedError(
                f"A process with {self} has {self.smoothness // 2:g} derivative(s), and the equation is of order "
                f"{order}; take a larger ν, or the Gaussian envelope."
            )

    def check_order(self, order: int) -> None:
        """Refuse a derivative that does not exist at d = 0."""
        if order > self.smoothness:
            raise UnsupportedError(
                f"{self} has derivatives up to order {self.smoothness:g} at distance 0, and order {order} is needed; "
                f"take a smoother kernel, such as the Gaussian envelope."
            )


class Gaussian(Envelope):
    """g = exp(−ρ d²), ρ in 1/length²: each part of the spectrum is a normal density of variance ρ/(2π²)."""

    smoothness = math.inf

    def __str__(self) -> str:
        return "the Gaussian envelope"

    def rate(self, scales: Tensor) -> Tensor:
        return torch.sqrt(2 * scales)

    def _term(self, z: Tensor, power: int, order: int) -> Tensor:
        return z**power * torch.exp(-0.5 * z * z)


class Matern(Envelope):
    """g = 2^{1−ν}/Γ(ν) z^ν K_ν(z) with z = √(2ν) ρ |d|, ρ in 1/length: parts of the spectrum are Student t densities.

    They have 2ν degrees of freedom and the scale ρ/(2π). With G_ν(z) = z^ν K_ν(z) and t = z²/2, dG_ν/dt = −G_{ν−1}, so
    all derivatives are Bessel functions of other orders; for half-integer ν they are polynomials times e^{−z}.

    Parameters
    ----------
    nu : float
        Smoothness ν > 0; 5/2 in the paper.

    Raises
    ------
    OptionError
        ν is not positive and finite.

    Notes
    -----
    S. Fang et al., ICLR 2024 (arXiv 2311.04465), section 3; C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for
    Machine Learning (2006), equation 4.14.
    """

    def __init__(self, nu: float = 2.5) -> None:
        if not (math.isfinite(nu) and nu > 0):
            raise OptionError(f"A Matérn kernel was given smoothness ν = {nu!r}; it takes a positive finite one.")
        self.nu = float(nu)
        self.smoothness = float(math.ceil(2 * self.nu) - 1)

    def __str__(self) -> str:
        return f"the Matérn envelope of ν = {self.nu:g}"

    def rate(self, scales: Tensor) -> Tensor:
        return math.sqrt(2 * self.nu) * scales

    def _term(self, z: Tensor, power: int, order: int) -> Tensor:
        """Normalised z^power G_{ν−order}, of which z^{power − 2|μ|} G_{|μ|} is left where μ = ν − order is negative."""
        mu = self.nu - order
        power_left = power + min(0.0, 2 * mu)
        normalisation = (1 - self.nu) * math.log(2.0) - math.lgamma(self.nu)
        if (2 * self.nu) % 2 == 1:
            p = round(abs(mu) - 0.5)
            factor = math.exp(normalisation) * math.sqrt(math.pi / 2)
            return factor * z ** round(power_left) * _reverse_bessel(p, z) * torch.exp(-z)
        return _bessel_term(z, power_left, abs(mu), normalisation)


def _reverse_bessel(p: int, z: Tensor) -> Tensor:
    """θ_p(z) = √(2/π) e^z z^{p+½} K_{p+½}(z): 1, z + 1, z² + 3z + 3, …"""
    before, now = torch.ones_like(z), z + 1
    if p == 0:
        return before
    for k in range(2, p + 1):
        before, now = now, (2 * k - 1) * now + z * z * before
    return now


def _bessel_term(z: Tensor, power: float, mu: float, normalisation: float) -> Tensor:
    """exp(normalisation) z^power z^μ K_μ(z), with its limit at z = 0; μ = 0 comes with a positive power."""
    if power == 0:
        limit = math.exp(normalisation + (mu - 1) * math.log(2.0) + math.lgamma(mu))
    else:
        limit = 0.0
    inside = torch.where(z > 0, z, torch.ones_like(z))
    value = torch.exp(normalisation + (power + mu) * torch.log(inside) + log_bessel_k(mu, inside))
    return torch.where(z > 0, value, torch.full_like(z, limit))


class SpectralMixture:
    """k(d) = Σ_q w_q g(d; ρ_q) cos(2π f_q d), a kernel of one coordinate.

    Parameters
    ----------
    envelope : Envelope
    weights : Tensor
        w ``(Q,)``, not negative.
    frequencies : Tensor
        f ``(Q,)``, in cycles per length.
    scales : Tensor
        ρ ``(Q,)``, positive; in 1/length² for the Gaussian, in 1/length for Matérn.

    Raises
    ------
    OptionError
        Shapes that differ.

    Notes
    -----
    The values are not looked at, since an optimiser that made them would wait for the look; :func:`grid_mixture` checks
    what a user gives.
    """

    def __init__(self, envelope: Envelope, weights: Tensor, frequencies: Tensor, scales: Tensor) -> None:
        if not (weights.dim() == 1 and weights.shape == frequencies.shape == scales.shape):
            raise OptionError(
                f"A spectral mixture was given {tuple(weights.shape)} weights, {tuple(frequencies.shape)} frequencies "
                f"and {tuple(scales.shape)} scales; give one-dimensional tensors of one length."
            )
        self.envelope, self.weights, self.frequencies, self.scales = envelope, weights, frequencies, scales

    @property
    def smoothness(self) -> float:
        """The largest k of which the k-th derivative exists at d = 0."""
        return self.envelope.smoothness

    def at(self, distance: Tensor, order: int = 0) -> Tensor:
        """The kernel k and its derivatives by d up to an order.

        Parameters
        ----------
        distance : Tensor
            ``(n,)``, signed.
        order : int

        Returns
        -------
        Tensor
            ``(order + 1, n)``.

        Raises
        ------
        UnsupportedError
            A derivative that does not exist at d = 0.
        """
        envelope = self.envelope.derivatives(distance, self.scales, order)
        angular = 2 * math.pi * self.frequencies
        phase = angular * distance[:, None]
        cosine, sine = torch.cos(phase), torch.sin(phase)
        # cos^(i) = cos, −sin, −cos, sin, …
        waves = [(cosine, -sine, -cosine, sine)[i % 4] * angular**i for i in range(order + 1)]
        derivatives = []
        for n in range(order + 1):
            mixed = sum((math.comb(n, i) * envelope[n - i] * waves[i] for i in range(n + 1)), torch.zeros_like(phase))
            derivatives.append(mixed @ self.weights)
        return torch.stack(derivatives)

    def between(self, points: Tensor, others: Tensor, order: int = 0) -> Tensor:
        """∂ⁿk/∂xⁿ at pairs of points ``(n,)`` and ``(m,)``: ``(order + 1, n, m)``."""
        distance = points[:, None] - others[None, :]
        return self.at(distance.reshape(-1), order).reshape(order + 1, *distance.shape)

    def on_grid(self, n: int, spacing: float, order: int = 0) -> Tensor:
        """∂ⁿk/∂xⁿ at all pairs of a uniform grid, from n lags: ``(order + 1, n, n)``."""
        return toeplitz(self.at(lags(n, spacing, self.weights), order))


def rbf(weights: Tensor, scales: Tensor) -> SpectralMixture:
    """The sum Σ_q w_q exp(−ρ_q d²): the mixture without frequencies (squared exponential)."""
    return SpectralMixture(Gaussian(), weights, torch.zeros_like(scales), scales)


def grid_mixture(
    envelope: Envelope, frequencies: Tensor, scale: float, weights: Tensor | None = None
) -> SpectralMixture:
    """The grid spectral mixture: fixed frequencies and one scale, so that the kernel is linear in its weights.

    Parameters
    ----------
    envelope : Envelope
    frequencies : Tensor
        ``(Q,)``, not negative, in cycles per length; such as ``torch.linspace(0, top, Q)``.
    scale : float
        ρ of all components, positive.
    weights : Tensor, optional
        ``(Q,)``, not negative; 1/Q each by default. Components of weight zero are left out, so that sparse weights make
        small matrices of features.

    Raises
    ------
    OptionError
        A negative or non-finite value, or no positive weight.

    Notes
    -----
    Y. Suwandi et al., arXiv 2309.08201.
    """
    if weights is None:
        weights = torch.full_like(frequencies, 1 / max(1, len(frequencies)))
    for name, values in (("frequencies", frequencies), ("weights", weights)):
        if not bool((torch.isfinite(values) & (values >= 0)).all()):
            raise OptionError(f"The grid spectral mixture was given {name} that are negative or not finite.")
    if not (math.isfinite(scale) and scale > 0) or weights.shape != frequencies.shape or not bool((weights > 0).any()):
        raise OptionError(
            f"The grid spectral mixture was given the scale {scale!r}, {len(weights)} weights and {len(frequencies)} "
            f"frequencies; give a positive scale and one weight for each frequency, at least one above 0."
        )
    kept = weights > 0
    return SpectralMixture(envelope, weights[kept], frequencies[kept], torch.full_like(weights[kept], scale))


class ProductKernel:
    """k(x, x′) = Π_i k_i(x_i − x′_i), one kernel for each axis.

    Parameters
    ----------
    factors : sequence of SpectralMixture
        In the order of the axes.
    """

    def __init__(self, factors: Sequence[SpectralMixture]) -> None:
        if not factors:
            raise OptionError("A product kernel was given no factors; give one kernel for each axis.")
        self.factors = tuple(factors)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.factors)

    def between(self, points: Tensor, others: Tensor, orders: Sequence[int] | None = None) -> Tensor:
        """Values at pairs of points ``(n, dim)`` and ``(m, dim)``, or a derivative by the first point: ``(n, m)``.

        `orders` are those of the derivative along each axis.
        """
        orders = [0] * self.dim if orders is None else list(orders)
        parts = [k.between(points[:, i], others[:, i], n)[n] for i, (k, n) in enumerate(zip(self.factors, orders))]
        return reduce(torch.mul, parts)

    def on_grid(self, shape: Sequence[int], spacings: Sequence[float], order: int = 0) -> list[Tensor]:
        """The matrices of each axis of a uniform grid, ``(order + 1, n_i, n_i)`` each.

        The matrix of all nodes, row-major, is their Kronecker product.
        """
        return [k.on_grid(n, h, order) for k, n, h in zip(self.factors, shape, spacings)]


def lags(n: int, spacing: float, like: Tensor) -> Tensor:
    """The distances 0, h, …, (n − 1) h between nodes of a uniform grid ``(n,)``, with dtype and device of a tensor."""
    return spacing * torch.arange(n, dtype=like.dtype, device=like.device)


def toeplitz(values: Tensor) -> Tensor:
    """Matrices T[k, i, j] = k-th derivative at (i − j) h, from those at the lags 0, h, ….

    Parameters
    ----------
    values : Tensor
        ``(order + 1, n)``; row k is an even function of the distance for even k and odd for odd k.

    Returns
    -------
    Tensor
        ``(order + 1, n, n)``.
    """
    n = values.shape[1]
    parity = torch.tensor([1.0 - 2.0 * (k % 2) for k in range(len(values))], dtype=values.dtype, device=values.device)
    # Distances descend from (n − 1) h to −(n − 1) h; each window of n of them is a row, the last one first.
    descending = torch.cat([values.flip(1), parity[:, None] * values[:, 1:]], dim=1)
    return descending.unfold(1, n, 1).flip(1)
