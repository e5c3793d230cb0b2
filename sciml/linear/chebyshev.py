"""Polynomials on Chebyshev's points: nodes, interpolation, differentiation matrices, integration, coefficients.

Everything is for the interval [−1, 1] and the n extreme points x_j = −cos(j π/(n − 1)), in ascending order.

L. N. Trefethen, Spectral Methods in MATLAB (2000), chapters 6 and 12.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dct

__all__ = [
    "chebyshev_basis",
    "chebyshev_coefficients",
    "chebyshev_nodes",
    "clenshaw_curtis_weights",
    "coefficients_of_derivative",
    "differentiation_matrix",
    "interpolation_matrix",
]


def chebyshev_nodes(n: int) -> np.ndarray:
    """The n ≥ 2 extreme points of the Chebyshev polynomial of degree n − 1, ascending and symmetric: ``(n,)``."""
    if n < 2:
        raise ValueError(f"{n} node(s) were asked for; an interval has at least its two ends.")
    # The sine is symmetric to the last bit and accurate near the middle.
    return np.sin(np.pi * np.arange(1 - n, n, 2) / (2 * (n - 1)))


def _weights(n: int) -> np.ndarray:
    """Barycentric weights (H. E. Salzer, Comput. J. 15 (1972) 156)."""
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] *= 0.5
    return weights


def interpolation_matrix(n: int, points: np.ndarray) -> np.ndarray:
    """Values at nodes to values of the interpolant at points, by the barycentric formula: ``(len(points), n)``.

    J.-P. Berrut, L. N. Trefethen, SIAM Rev. 46 (2004) 501, equation 4.2.
    """
    gaps = np.subtract.outer(np.asarray(points, dtype=float), chebyshev_nodes(n))
    hit = gaps == 0
    terms = _weights(n) / np.where(hit, 1.0, gaps)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    on_node = hit.any(axis=1)
    matrix[on_node] = hit[on_node]
    return matrix


def differentiation_matrix(n: int, order: int = 1) -> np.ndarray:
    """Values at the nodes to values of the derivative of an order there: ``(n, n)``.

    Off the diagonal by B. D. Welfert's recursion, SIAM J. Numer. Anal. 34 (1997) 1640, with differences of nodes as
    products of sines; on it by the negative sum of the row, so that the derivative of a constant is zero (R.
    Baltensperger, M. R. Trummer, SIAM J. Sci. Comput. 24 (2003) 1465).
    """
    matrix = np.eye(n)
    gaps = _gaps(n)
    ratios = np.divide.outer(1 / _weights(n), 1 / _weights(n))
    for k in range(1, order + 1):
        matrix = k * (ratios * np.diag(matrix)[:, None] - matrix) / gaps
        np.fill_diagonal(matrix, 0.0)
        np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def _gaps(n: int) -> np.ndarray:
    """x_i − x_j = 2 sin((i + j) h) sin((i − j) h), h = π/(2(n − 1)), without cancellation; 1 on the diagonal."""
    i, j = np.ogrid[:n, :n]
    # Of i + j and its mirror image the smaller one: the sine of an angle near π is not accurate.
    total = np.minimum(i + j, 2 * (n - 1) - i - j)
    step = np.pi / (2 * (n - 1))
    gaps = 2 * np.sin(total * step) * np.sin((i - j) * step)
    np.fill_diagonal(gaps, 1.0)
    return gaps


def clenshaw_curtis_weights(n: int) -> np.ndarray:
    """Weights of the quadrature rule on the nodes, exact for degrees below n: ``(n,)``, of sum 2."""
    # The rule integrates the interpolant: moments 2/(1 − k²) of the even polynomials, through the transform.
    k = np.arange(n)
    moments = np.where(k % 2 == 0, 2.0 / (1.0 - np.where(k == 1, 0, k) ** 2.0), 0.0)
    moments[-1] *= 0.5
    moments[0] *= 0.5
    values = np.cos(np.outer(np.arange(n), k) * (np.pi / (n - 1))) @ moments
    weights = 2 * values / (n - 1)
    weights[[0, -1]] *= 0.5
    return weights


def chebyshev_coefficients(values: np.ndarray, axis: int) -> np.ndarray:
    """Values at nodes along one axis to coefficients c of Σ c_k T_k, by a fast transform."""
    n = values.shape[axis]
    # The nodes ascend, cosines of ascending angles descend.
    coefficients = np.moveaxis(dct(np.flip(values, axis), type=1, axis=axis), axis, 0) / (n - 1)
    coefficients[[0, -1]] *= 0.5
    return np.moveaxis(coefficients, 0, axis)


def coefficients_of_derivative(coefficients: np.ndarray, axis: int) -> np.ndarray:
    """Coefficients of the derivative along one axis, of the same shape."""
    c = np.moveaxis(coefficients, axis, 0)
    out = np.zeros_like(c)
    n = len(c)
    terms = 2 * np.arange(n).reshape(-1, *(1,) * (c.ndim - 1)) * c
    # c′_{k−1} = c′_{k+1} + 2 k c_k: running sums from the end, of the odd and of the even terms.
    for parity in (0, 1):
        sums = np.cumsum(terms[parity::2][::-1], axis=0)[::-1]
        if parity == 0:
            out[1::2][: len(sums) - 1] = sums[1:]
        else:
            out[0::2][: len(sums)] = sums
    out[0] *= 0.5
    return np.moveaxis(out, 0, axis)


def chebyshev_basis(n: int, points: np.ndarray) -> np.ndarray:
    """T_0 … T_{n−1} at points of [−1, 1]: ``(len(points), n)``."""
    angles = np.arccos(np.clip(np.asarray(points, dtype=float), -1.0, 1.0))
    return np.cos(np.multiply.outer(angles, np.arange(n)))
