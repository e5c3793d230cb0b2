"""log K_ν against mpmath, its derivatives against differences, and what lies outside of float64."""

import math

import mpmath
import numpy as np
import pytest
import torch

from sciml.errors import DeclarationError
from sciml.linear.bessel import log_bessel_k

X = np.logspace(-6, 3, 37)


def of_mpmath(order, x):
    with mpmath.workdps(40):
        return [mpmath.log(mpmath.besselk(order, mpmath.mpf(value))) for value in x]


@pytest.mark.parametrize("order", [0, 0.1, 0.5, 1, 1.5, 2.5, 7.3, 13.25, 20])
def test_twelve_digits_of_the_function(order):
    found = log_bessel_k(order, torch.tensor(X)).numpy()
    gaps = [abs(float(mpmath.mpf(own) - exact)) for own, exact in zip(found, of_mpmath(order, X))]
    assert max(gaps) <= 5e-13  # of a logarithm: the relative error of the function


@pytest.mark.parametrize(("order", "x"), [(0.3, 1e-300), (2.5, 1e-300), (2.5, 1e6), (300.0, 1e-3), (300.0, 5.0)])
def test_where_the_function_overflows_or_underflows(order, x):
    found = float(log_bessel_k(order, torch.tensor([x], dtype=torch.float64)))
    np.testing.assert_allclose(found, float(of_mpmath(order, [x])[0]), rtol=1e-14)


def test_half_integers_in_closed_form():
    x = torch.tensor(X)
    np.testing.assert_allclose(log_bessel_k(0.5, x), 0.5 * torch.log(math.pi / (2 * x)) - x, rtol=0, atol=5e-13)


def test_orders_are_even():
    x = torch.tensor(X)
    assert torch.equal(log_bessel_k(-1.3, x), log_bessel_k(1.3, x))


@pytest.mark.parametrize("order", [0.0, 0.7, 3.2])
def test_derivatives(order):
    x = torch.tensor([0.01, 0.3, 2.0, 40.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: log_bessel_k(order, z), x, eps=1e-7, rtol=1e-5)
    assert torch.autograd.gradgradcheck(lambda z: log_bessel_k(order, z), x.detach()[1:].requires_grad_())


def test_shapes_are_kept_and_nothing_is_computed_on_meta():
    assert log_bessel_k(1.5, torch.ones(2, 3, 4, dtype=torch.float64)).shape == (2, 3, 4)
    assert log_bessel_k(1.5, torch.ones(0, dtype=torch.float64)).shape == (0,)
    assert log_bessel_k(1.5, torch.ones(2, 3, device="meta", dtype=torch.float64)).shape == (2, 3)


def test_no_order_at_all():
    with pytest.raises(DeclarationError, match="finite order"):
        log_bessel_k(math.nan, torch.ones(1))
