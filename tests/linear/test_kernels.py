"""Kernels of spectral mixtures: derivatives in closed form, their spectra, matrices on grids, bad input."""

import math

import mpmath
import numpy as np
import pytest
import torch

from sciml.errors import OptionError, UnsupportedError
from sciml.linear.kernels import (
    Gaussian,
    Matern,
    ProductKernel,
    SpectralMixture,
    grid_mixture,
    lags,
    rbf,
    toeplitz,
)

DISTANCES = torch.tensor([-1.7, -0.4, -1e-3, 0.02, 0.3, 1.1, 4.0], dtype=torch.float64)
SCALES = torch.tensor([0.5, 2.0, 7.0], dtype=torch.float64)
ENVELOPES = [Gaussian(), Matern(2.5), Matern(1.5), Matern(3.5), Matern(2.0), Matern(3.0), Matern(7.3), Matern(2.6)]


def mixture(envelope, q=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights, frequencies, scales = torch.rand(3, q, generator=generator, dtype=torch.float64)
    return SpectralMixture(envelope, weights, 3 * frequencies, 0.3 + 2 * scales)


def exact(envelope, scale, distance, order):
    """The n-th derivative by mpmath's differences in 60 digits."""

    def function(d):
        if isinstance(envelope, Gaussian):
            return mpmath.exp(-scale * d * d)
        nu = mpmath.mpf(envelope.nu)
        z = mpmath.sqrt(2 * nu) * scale * abs(d)
        return 2 ** (1 - nu) / mpmath.gamma(nu) * z**nu * mpmath.besselk(nu, z)

    with mpmath.workdps(60):
        return float(mpmath.diff(function, mpmath.mpf(float(distance)), order, h=mpmath.mpf(10) ** -10))


@pytest.mark.parametrize("envelope", [e for e in ENVELOPES if getattr(e, "nu", 0.5) % 1], ids=str)
def test_derivatives_are_exact(envelope):
    """Integer ν are left to the two tests after this one, as mpmath takes minutes for them."""
    order, some, scale = int(min(4, envelope.smoothness)), DISTANCES[[1, 2, 4, 5]], 2.0
    found = envelope.derivatives(some, SCALES[1:2], order)[..., 0]
    for n in range(order + 1):
        wanted = [exact(envelope, scale, d, n) for d in some]
        np.testing.assert_allclose(found[n], wanted, rtol=0, atol=1e-12 * float(found[n].abs().max()))


@pytest.mark.parametrize("nu", [2, 3])
def test_integers_lie_between_their_neighbours(nu):
    order, off = 2 * nu - 1, 1e-4
    below, at, above = (Matern(n).derivatives(DISTANCES, SCALES, order) for n in (nu - off, nu, nu + off))
    size = at.abs().amax(dim=1, keepdim=True)
    assert float(((below - at).abs() / size).max()) > 1e-6
    np.testing.assert_allclose((0.5 * (below + above)) / size, at / size, rtol=0, atol=3e-7)


@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
def test_derivatives_at_distance_zero_are_limits(envelope):
    order = int(min(4, envelope.smoothness))
    at_zero = envelope.derivatives(torch.zeros(1, dtype=torch.float64), SCALES, order)[:, 0]
    near = envelope.derivatives(torch.tensor([1e-13], dtype=torch.float64), SCALES, order)[:, 0]
    np.testing.assert_allclose(at_zero[0], 1, rtol=1e-15)
    assert torch.equal(at_zero[1::2], torch.zeros_like(at_zero[1::2]))
    rate = envelope.rate(SCALES)[None, :] ** torch.arange(order + 1)[:, None]
    np.testing.assert_allclose(at_zero / rate, near / rate, rtol=0, atol=1e-9)


def test_five_halves_in_the_words_of_the_paper():
    r, a = DISTANCES.abs(), math.sqrt(5) * SCALES[1]
    decay = torch.exp(-a * r)
    found = Matern(2.5).derivatives(DISTANCES, SCALES[1:2], 4)[..., 0]
    wanted = [
        (1 + a * r + a**2 * r**2 / 3) * decay,
        -(a**2) / 3 * DISTANCES * (1 + a * r) * decay,
        -(a**2) / 3 * (1 + a * r - a**2 * r**2) * decay,
        a**4 / 3 * DISTANCES * (3 - a * r) * decay,
        a**4 / 3 * (3 - 5 * a * r + a**2 * r**2) * decay,
    ]
    np.testing.assert_allclose(found, torch.stack(wanted), rtol=1e-12)


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(2.5), Matern(3.3), Matern(3.0)], ids=str)
def test_closed_forms_are_those_of_autograd(envelope):
    """Autograd divides by the distance, so it loses digits near zero."""
    kernel, some = mixture(envelope), DISTANCES[DISTANCES.abs() > 0.01]
    distance = some.clone().requires_grad_()
    found = kernel.at(some, 3)
    values = kernel.at(distance)[0]
    for n in range(1, 4):
        (values,) = torch.autograd.grad(values.sum(), distance, create_graph=True)
        np.testing.assert_allclose(found[n], values.detach(), rtol=0, atol=1e-9 * float(found[n].abs().max()))


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(2.5), Matern(1.2)], ids=str)
def test_gradients_by_the_hyper_parameters(envelope):
    """At distance zero too, where a power of 0 would give NaN."""
    distance = torch.tensor([0.0, 0.2, -0.7], dtype=torch.float64)
    start = [v.requires_grad_() for v in (SCALES / 2, torch.tensor([0.0, 0.6, 1.5]).double(), SCALES.clone())]

    def values(weights, frequencies, scales):
        return SpectralMixture(envelope, weights, frequencies, scales).at(distance, 2)

    assert torch.autograd.gradcheck(values, start)


@pytest.mark.parametrize("nu", [1.5, 2.5, 3.3])
def test_the_spectrum_is_a_mixture_of_student_t(nu):
    """∫ k(d) cos(2π s d) dd is the density of t with 2ν degrees of freedom and scale ρ/2π, at ±f."""
    frequency, scale = 1.3, 2.0
    one = torch.ones(1, dtype=torch.float64)
    kernel = SpectralMixture(Matern(nu), one, frequency * one, scale * one)
    h = 1e-3
    distance = torch.arange(0, 25_000, dtype=torch.float64) * h
    values = kernel.at(distance)[0]
    for s in (0.0, 0.8, 1.3, 2.2):
        terms = values * torch.cos(2 * math.pi * s * distance)
        found = 2 * h * float(terms.sum() - terms[0] / 2)
        wanted = 0.5 * sum(_student_t(s - f, 2 * nu, scale / (2 * math.pi)) for f in (frequency, -frequency))
        assert found == pytest.approx(wanted, rel=1e-5)


def _student_t(x, degrees, scale):
    constant = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
    return constant / scale * (1 + (x / scale) ** 2 / degrees) ** (-(degrees + 1) / 2)


def test_half_is_the_exponential_and_rbf_has_no_waves():
    half = Matern(0.5).derivatives(DISTANCES, SCALES, 0)[0]
    np.testing.assert_allclose(half, torch.exp(-DISTANCES.abs()[:, None] * SCALES), rtol=1e-13)
    found = rbf(torch.ones(3, dtype=torch.float64), SCALES).at(DISTANCES)[0]
    np.testing.assert_allclose(found, torch.exp(-(DISTANCES[:, None] ** 2) * SCALES).sum(dim=1), rtol=1e-13)


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(2.5)], ids=str)
def test_lags_say_all_on_a_uniform_grid(envelope):
    kernel, x = mixture(envelope), torch.linspace(0.3, 1.7, 9, dtype=torch.float64)
    dense = kernel.between(x, x, 4)
    found = kernel.on_grid(9, float(x[1] - x[0]), 4)
    for n in range(5):
        np.testing.assert_allclose(found[n], dense[n], rtol=0, atol=1e-12 * float(dense[n].abs().max()))


def test_gradients_of_toeplitz_matrices():
    values = torch.rand(3, 5, dtype=torch.float64)
    values[1, 0] = 0  # an odd function
    assert torch.autograd.gradcheck(toeplitz, values.requires_grad_())


def test_products_are_kronecker_products():
    kernel = ProductKernel([mixture(Gaussian(), seed=1), mixture(Matern(2.5), seed=2), mixture(Matern(3.3), seed=3)])
    lines = [torch.linspace(0, length, n, dtype=torch.float64) for n, length in ((4, 1.0), (3, 0.7), (5, 2.0))]
    points = torch.cartesian_prod(*lines)
    factors = kernel.on_grid([4, 3, 5], [float(line[1]) for line in lines], 2)
    for orders in ((0, 0, 0), (2, 0, 1), (1, 1, 0)):
        parts = [own[n] for own, n in zip(factors, orders)]
        whole = torch.kron(torch.kron(parts[0], parts[1]), parts[2])
        np.testing.assert_allclose(whole, kernel.between(points, points, orders), rtol=0, atol=1e-10)


def test_matrices_are_covariances():
    for envelope in (Gaussian(), Matern(2.5), Matern(0.8)):
        matrix = mixture(envelope).on_grid(30, 0.1)[0]
        assert torch.linalg.eigvalsh(matrix).min() > -1e-12 * torch.trace(matrix)


@pytest.mark.parametrize(("nu", "smoothness"), [(0.5, 0), (1.0, 1), (1.5, 2), (2.0, 3), (2.5, 4), (2.6, 5), (3.0, 5)])
def test_smoothness(nu, smoothness):
    assert Matern(nu).smoothness == smoothness
    with pytest.raises(UnsupportedError, match="smoother kernel"):
        Matern(nu).derivatives(DISTANCES, SCALES, smoothness + 1)
    Matern(nu).check_operator(smoothness // 2)
    with pytest.raises(UnsupportedError, match="larger ν"):
        Matern(nu).check_operator(smoothness // 2 + 1)
    Gaussian().check_operator(100)


def test_grid_mixture_is_linear_in_its_weights_and_sparse():
    frequencies = torch.linspace(0, 3, 4, dtype=torch.float64)
    kernels = [grid_mixture(Gaussian(), frequencies, 2.0, row) for row in torch.eye(4, dtype=torch.float64)]
    weights = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    whole = grid_mixture(Gaussian(), frequencies, 2.0, weights)
    assert len(whole.weights) == 3
    parts = torch.stack([k.at(DISTANCES, 2) for k in kernels])
    np.testing.assert_allclose(whole.at(DISTANCES, 2), torch.tensordot(weights, parts, 1), rtol=0, atol=1e-12)
    assert grid_mixture(Gaussian(), frequencies, 2.0).at(torch.zeros(1).double())[0, 0] == pytest.approx(1)


def test_bad_input():
    one = torch.ones(2, dtype=torch.float64)
    with pytest.raises(OptionError, match="positive finite"):
        Matern(0.0)
    with pytest.raises(OptionError, match="one length"):
        SpectralMixture(Gaussian(), one, torch.ones(3), one)
    with pytest.raises(OptionError, match="weights that are negative"):
        grid_mixture(Gaussian(), one, 1.0, -one)
    with pytest.raises(OptionError, match="at least one above 0"):
        grid_mixture(Gaussian(), one, 1.0, 0 * one)
    with pytest.raises(OptionError, match="positive scale"):
        grid_mixture(Gaussian(), one, math.inf)
    with pytest.raises(OptionError, match="one kernel for each axis"):
        ProductKernel([])


def test_lags():
    assert lags(3, 0.5, torch.ones(1)).tolist() == [0.0, 0.5, 1.0]
