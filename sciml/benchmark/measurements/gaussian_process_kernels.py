"""Kernels of Gaussian processes and the published estimator: how exact, and in how much CPU time."""

from __future__ import annotations

import math
import time
from functools import reduce

import mpmath
import numpy as np
import torch
from torch import Tensor

from sciml import load_problem
from sciml.linear.bessel import log_bessel_k
from sciml.linear.kernels import Envelope, Gaussian, Matern, ProductKernel, SpectralMixture
from sciml.linear.kronecker import KroneckerCovariance
from sciml.solvers.gp.published import PublishedEstimator, PublishedOptions

__all__ = ["kernel_derivatives", "kronecker_prior", "log_bessel", "published_estimator"]

_ORDERS = {"half": 0.5, "three_halves": 1.5, "five_halves": 2.5, "7.3": 7.3}


def log_bessel() -> dict[str, float]:
    """The Bessel function K_ν and the Matérn kernel from its logarithm against mpmath, for arguments 1e-6 to 1e3.

    Returns
    -------
    dict
        ``bessel_NU`` and ``matern_NU`` for ν = 1/2, 3/2, 5/2 and 7.3: largest relative error of K_ν(x), and of
        2^{1−ν}/Γ(ν) x^ν K_ν(x), which falls to 1e-434 and is compared by its logarithm.
    """
    x, found = np.logspace(-6, 3, 200), {}
    with mpmath.workdps(40):
        for name, nu in _ORDERS.items():
            own = log_bessel_k(nu, torch.tensor(x)).numpy()
            constant = (1 - nu) * math.log(2) - math.lgamma(nu)
            exact = [mpmath.log(mpmath.besselk(nu, mpmath.mpf(value))) for value in x]
            scale = [
                (1 - mpmath.mpf(nu)) * mpmath.log(2) - mpmath.loggamma(nu) + nu * mpmath.log(mpmath.mpf(value))
                for value in x
            ]
            kernel = constant + nu * np.log(x) + own
            found[f"bessel_{name}"] = max(abs(float(mpmath.mpf(a) - b)) for a, b in zip(own, exact))
            found[f"matern_{name}"] = max(abs(float(mpmath.mpf(a) - b - c)) for a, b, c in zip(kernel, exact, scale))
    return found


def kernel_derivatives(seed: int = 0) -> dict[str, float]:
    """Closed-form derivatives of mixtures to the fourth order against central differences of the order below.

    Returns
    -------
    dict
        ``gaussian``, ``five_halves`` and ``7.3`` (Matérn): largest difference at 200 distances from 0.05 to 2 of both
        signs, relative to the largest value of that derivative.
    """
    envelopes: dict[str, Envelope] = {"gaussian": Gaussian(), "five_halves": Matern(2.5), "7.3": Matern(7.3)}
    return {name: _largest_gap(_mixture(envelope, 5, seed)) for name, envelope in envelopes.items()}


def _largest_gap(kernel: SpectralMixture) -> float:
    half = torch.linspace(0.05, 2, 100, dtype=torch.float64)
    distance, h = torch.cat([-half, half]), 1e-3
    found = kernel.at(distance, 4)[1:]
    one, two = (kernel.at(distance + k * h, 3) - kernel.at(distance - k * h, 3) for k in (1, 2))
    difference = (8 * one - two) / (12 * h)
    return float(((found - difference).abs().amax(dim=1) / found.abs().amax(dim=1)).max())


def _mixture(envelope: Envelope, components: int, seed: int) -> SpectralMixture:
    generator = torch.Generator().manual_seed(seed)
    weights, frequencies, scales = torch.rand(3, components, generator=generator, dtype=torch.float64)
    return SpectralMixture(envelope, weights, 3 * frequencies, 0.3 + 2 * scales)


def kronecker_prior(seed: int = 0, shape: tuple[int, int] = (8, 9), jitter: float = 1e-6) -> dict[str, float]:
    """Log density of the prior on a grid of the unit square: by the matrices of the axes, and by one of all nodes.

    Returns
    -------
    dict
        ``gap`` of the values relative to the dense one; ``gradient_gap`` of the gradient by the values at the nodes.
    """
    kernel = ProductKernel([_mixture(Matern(2.5), 5, seed), _mixture(Matern(2.5), 5, seed + 1)])
    spacings = [1 / (n - 1) for n in shape]
    factors = [own[0] + jitter * torch.eye(len(own[0])).double() for own in kernel.on_grid(shape, spacings)]
    dense = reduce(torch.kron, factors)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
    covariance = KroneckerCovariance(factors)
    own = -0.5 * covariance.log_determinant() - 0.5 * (values * covariance.solve(values)).sum()
    flat = values.reshape(-1)
    whole = -0.5 * torch.linalg.slogdet(dense)[1] - 0.5 * flat @ torch.linalg.solve(dense, flat)
    slopes = [torch.autograd.grad(value, values, retain_graph=True)[0] for value in (own, whole)]
    return {"gap": _relative(own, whole), "gradient_gap": _relative(*slopes)}


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).detach().norm() / wanted.detach().norm())


def published_estimator(steps: int = 100, points: int = 400, top_frequency: float = 20.0) -> dict[str, float]:
    """The estimator of the paper on −u″ = f, u = sin 100x on (0, 2π), with Student's t, on one thread.

    The authors' log has 0.276 at step 95. The exact solution is looked at after the last step only.

    Returns
    -------
    dict
        ``relative_l2``: at 300 uniform points, as in the paper. ``milliseconds``: CPU time of a step.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        options = PublishedOptions(points_per_axis=points, top_frequency=top_frequency, steps=steps)
        estimator = PublishedEstimator(load_problem("multiscale/sine"), options)
        estimator.step()
        start = time.process_time()
        for _ in range(steps - 1):
            estimator.step()
        seconds = time.process_time() - start
        x = np.linspace(0, 2 * np.pi, 300)
        gap = estimator.field().evaluate(x[:, None]) - np.sin(100 * x)
        return {
            "relative_l2": float(np.linalg.norm(gap) / np.linalg.norm(np.sin(100 * x))),
            "milliseconds": 1e3 * seconds / (steps - 1),
        }
    finally:
        torch.set_num_threads(threads)
