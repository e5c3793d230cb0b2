"""Functions of the prior: kernels, derivatives, orthonormality, principal functions of a band."""

import numpy as np
import pytest
import torch

from sciml.linear.kernels import Matern, SpectralMixture
from sciml.solvers.gp.features import Axis, Band, Mixture
from sciml.solvers.gp.student import StudentMixture

FAMILIES = [
    Mixture(-1.0, 2.0, (0.0, 1.7, 4.0), 10, 2.0),
    Band.of(-1.0, 2.0, 4.0, 60),
    StudentMixture(-1.0, 2.0, (0.0, 1.7, 4.0), 40, 3.0),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_are_limits_of_differences(family, order):
    x = np.linspace(-0.9, 1.9, 17)
    exact = family.at(x, order)
    errors = []
    for h in (2e-3, 1e-3):
        difference = (family.at(x + h, order - 1) - family.at(x - h, order - 1)) / (2 * h)
        errors.append(np.abs(difference - exact).max() / np.abs(exact).max())
    assert errors[0] < 2e-2
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


def test_weights_with_the_prior_give_the_kernel():
    """Σ over the features is exp(−r² d²/2) Σ cos 2πfd, to rounding, where the terms are enough."""
    family = Mixture(0.0, 2.0, (0.0, 3.0), 18, 1.5)
    x = np.linspace(0, 2, 9)
    values = family.at(x, 0)
    d = np.subtract.outer(x, x)
    kernel = np.exp(-((1.5 / 2 * d) ** 2) / 2) * (1 + np.cos(2 * np.pi * 3 * d))
    assert np.abs(values @ family.covariance @ values.T - kernel).max() < 1e-13


def test_principal_functions_of_a_band_are_those_of_its_kernel():
    """∫ sin c(t − s)/(π(t − s)) ψ(s) ds = λ ψ(t), with λ from 1 down to nothing after 2 waves' worth of functions."""
    family = Band.of(-1.0, 1.0, 4.0, 60)
    nodes, weights = np.polynomial.legendre.leggauss(120)
    values, c = family.at(nodes, 0), np.pi * 4.0 * 2
    kernel = np.sinc(c / np.pi * np.subtract.outer(nodes, nodes)) * c / np.pi
    sizes = np.diag(family.covariance)
    assert np.abs(values.T @ (weights[:, None] * values) - np.eye(family.size)).max() < 1e-12
    assert np.abs(kernel @ (weights[:, None] * values) - values * sizes).max() < 1e-12
    assert sizes[0] == pytest.approx(1, abs=1e-12)
    assert (sizes > 0.5).sum() == pytest.approx(2 * 4.0 * 2, abs=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_axis_is_orthonormal_and_keeps_the_prior(family):
    axis = Axis.of(family, 120)
    values = axis.at(axis.grid, 0)
    assert np.abs(values.T @ values - np.eye(axis.rank)).max() < 1e-4
    x = np.linspace(-1, 2, 11)
    own = axis.at(x, 0) @ axis.covariance @ axis.at(x, 0).T
    whole = family.at(x, 0) @ family.covariance @ family.at(x, 0).T
    assert np.abs(own - whole).max() < 1e-8 * np.abs(whole).max()


def test_axis_has_fewer_functions_than_points():
    assert Axis.of(Mixture(0.0, 1.0, tuple(range(20)), 8, 6.0), 40).rank <= 30


@pytest.mark.parametrize("smoothness", [2.5, 3.2])
def test_sections_of_a_kernel_have_its_covariance(smoothness):
    """At the nodes the prior of their combinations is Matérn's kernel times cosines, and each is a section elsewhere."""
    family = StudentMixture(0.0, 2.0, (0.0, 3.0), 12, 4.0, smoothness)
    nodes, x = np.linspace(0, 2, 12), np.linspace(0, 2, 7) + 0.01
    frequencies = torch.tensor([0.0, 3.0], dtype=torch.float64)
    mixture = SpectralMixture(Matern(smoothness), 0 * frequencies + 0.5, frequencies, 0 * frequencies + 2.0)
    for order in (0, 1, 2):
        wanted = mixture.between(torch.tensor(x), torch.tensor(nodes), order)[order].numpy()
        assert np.abs(family.kernel(x, nodes, order) - wanted).max() < 1e-9 * np.abs(wanted).max()
    whole = mixture.between(torch.tensor(nodes), torch.tensor(nodes))[0].numpy()
    values = family.at(nodes, 0)
    assert np.abs(values @ family.covariance @ values.T - whole).max() < 1e-12


def test_weights_scale_the_prior():
    """Of a mixture with weights the covariance is the sum of those of its frequencies, weighted."""
    x = np.linspace(0, 1, 9)

    def covariance(frequencies, weights=None):
        family = Mixture(0.0, 1.0, frequencies, 8, 2.0, weights)
        return family.at(x, 0) @ family.covariance @ family.at(x, 0).T

    whole = covariance((1.0, 3.0), (0.2, 5.0))
    assert np.abs(whole - 0.2 * covariance((1.0,)) - 5.0 * covariance((3.0,))).max() < 1e-13
