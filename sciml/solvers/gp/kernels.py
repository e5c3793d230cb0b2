"""The kernels of the solver; they live below the solutions, whose fields are made of them."""

from sciml.linear.bessel import log_bessel_k
from sciml.linear.kernels import (
    Envelope,
    Gaussian,
    Matern,
    ProductKernel,
    SpectralMixture,
    grid_mixture,
    lags,
    rbf,
    toeplitz,
)

__all__ = [
    "Envelope",
    "Gaussian",
    "Matern",
    "ProductKernel",
    "SpectralMixture",
    "grid_mixture",
    "lags",
    "log_bessel_k",
    "rbf",
    "toeplitz",
]
