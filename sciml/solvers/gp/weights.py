"""Learned weights of the grid spectral mixture: frequencies and widths stay on their grid, weights are not negative.

With values U of the solution on a uniform grid, K_i = Σ_q w_iq G_iq + εI along axis i, and N = Π n_i nodes, the part of
the joint log density that knows the weights is

    J = −½ Σ_i N/n_i log |K_i| − ½ Uᵀ (K_0 ⊗ K_1 ⊗ …)⁻¹ U.

For one axis, the others whitened away, that is −m/2 log |K| − ½ tr K⁻¹ V Vᵀ: the first term is convex in the weights
and the second concave. With log |K| replaced by its tangent and the other term by its bound in 1/w, the maximum is at

    w_q ← w_q (tr (G_q K⁻¹VVᵀK⁻¹) / (m tr (G_q K⁻¹)))^½,

so that J never falls. Weights that are of no use shrink geometrically, and are set to zero once they are nothing. All
G_q are Toeplitz: a trace is a sum over lags.

The linear kernel of fixed frequencies and its programme are those of Y. Suwandi, Z. Lin, F. Yin, Z. Wang, S.
Theodoridis, Sparsity-Aware Distributed Learning for Gaussian Processes with Linear Multiple Kernel, arXiv 2309.08201;
majorising by tangents is D. R. Hunter, K. Lange, The American Statistician 58 (2004) 30.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from sciml.solvers.gp.features import Mixture

__all__ = ["density", "learned_weights"]

_LEAST_NOISE = 1e-5
_NOTHING, _SETTLED = 1e-6, 1e-3
_ROUNDS, _STEPS = 3, 150


def learned_weights(values: np.ndarray, families: Sequence[Mixture], noise: float = 0.0) -> list[np.ndarray]:
    """Weights of the frequencies of each axis for which values on a grid are most probable; most are exactly zero.

    Parameters
    ----------
    values : (n₀, …) array
        On uniform grids over the intervals of the families, ends included.
    families : sequence of Mixture
    noise : float
        √ε relative to the root mean square of the values; what they are known to, and at least what rounding needs.

    Returns
    -------
    list of (Q,) arrays
        Not negative; each adds up to 1, since products of kernels have one scale between them.
    """
    size = float(np.sqrt(np.mean(values**2)))
    scaled = values / (size or 1.0)
    lags = [_lags(family, n) for family, n in zip(families, values.shape, strict=True)]
    weights, variance = [np.full(len(rows), 1 / len(rows)) for rows in lags], max(noise, _LEAST_NOISE) ** 2
    for _ in range(_ROUNDS if len(families) > 1 else 1):
        for axis in range(len(families)):
            weights[axis] = _maximised(
                weights[axis], lags[axis], _whitened(scaled, weights, lags, axis, variance), variance
            )
    return [own / own.sum() for own in weights]


def density(values: np.ndarray, families: Sequence[Mixture], weights: Sequence[np.ndarray], noise: float) -> float:
    """J for weights of each axis, with ε the square of the noise."""
    lags = [_lags(family, n) for family, n in zip(families, values.shape, strict=True)]
    white = _whitened(values, weights, lags, 0, noise**2)
    own = _covariance(weights[0], lags[0], noise**2)
    total = -0.5 * float(np.sum(white * scipy.linalg.solve(own, white, assume_a="pos")))
    for rows, w, n in zip(lags, weights, values.shape, strict=True):
        total -= 0.5 * values.size / n * float(np.linalg.slogdet(_covariance(w, rows, noise**2))[1])
    return total


def _lags(family: Mixture, n: int) -> np.ndarray:
    """The kernel of each frequency at the distances of a grid ``(Q, n)``."""
    d = np.linspace(0.0, family.length, n)
    bell = np.exp(-((family.width / family.length * d) ** 2) / 2)
    return bell * np.cos(2 * np.pi * np.multiply.outer(family.frequencies, d))


def _covariance(weights: np.ndarray, lags: np.ndarray, variance: float) -> np.ndarray:
    return scipy.linalg.toeplitz(weights @ lags) + variance * np.eye(lags.shape[1])


def _whitened(
    values: np.ndarray, weights: Sequence[np.ndarray], lags: Sequence[np.ndarray], axis: int, variance: float
) -> np.ndarray:
    """Values with the covariance of all axes but one taken out, as columns along that one."""
    for other in range(values.ndim):
        if other != axis:
            root = scipy.linalg.cholesky(_covariance(weights[other], lags[other], variance), lower=True)
            rows = np.moveaxis(values, other, 0)
            flat = scipy.linalg.solve_triangular(root, rows.reshape(len(rows), -1), lower=True)
            values = np.moveaxis(flat.reshape(rows.shape), 0, other)
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _maximised(weights: np.ndarray, lags: np.ndarray, white: np.ndarray, variance: float) -> np.ndarray:
    for _ in range(_STEPS):
        moved = _moved(weights, lags, white, variance)
        moved[moved <= _NOTHING * moved.max()] = 0.0
        change = np.abs(moved - weights).max() / moved.max()
        weights = moved
        if change <= _SETTLED:
            break
    return weights


def _moved(weights: np.ndarray, lags: np.ndarray, white: np.ndarray, variance: float) -> np.ndarray:
    """One step of the iteration."""
    n, columns = white.shape
    inverse = scipy.linalg.inv(_covariance(weights, lags, variance), check_finite=False)
    turned = inverse @ white
    spectrum = np.fft.rfft(turned, 2 * n, axis=0)
    together = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1), 2 * n)[:n]
    apart = np.bincount(np.add.outer(np.arange(n), -np.arange(n)).ravel() + n - 1, inverse.ravel(), 2 * n - 1)
    apart = apart[n - 1 :]
    twice = np.where(np.arange(n) > 0, 2.0, 1.0)
    gained, lost = lags @ (twice * together), columns * (lags @ (twice * apart))
    return weights * np.sqrt(np.maximum(gained, 0.0) / np.maximum(lost, 1e-300))
