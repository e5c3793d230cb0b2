"""Line search, updates of the inverse Hessian, and what the methods built on them reach."""

import math

import pytest
import torch

from sciml.errors import DivergenceError, OptionError
from sciml.optimize import LBFGS, SelfScaledBFGS
from sciml.optimize.line_search import Point, strong_wolfe
from sciml.optimize.quasi_newton import Change

METHODS = {
    "broyden": lambda **o: SelfScaledBFGS(variant="broyden", **o),
    "bfgs": lambda **o: SelfScaledBFGS(variant="bfgs", **o),
    "limited": lambda **o: LBFGS(**o),
}


@pytest.mark.parametrize("first", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("curvature", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
        (lambda t: math.cosh(t - 5), lambda t: math.sinh(t - 5)),
        (lambda t: (t - 2) ** 2 - 0.3 * math.cos(9 * t), lambda t: 2 * (t - 2) + 2.7 * math.sin(9 * t)),
        (
            lambda t: -math.log(2 - t) - 4 * t if t < 2 else math.nan,
            lambda t: 1 / (2 - t) - 4 if t < 2 else math.nan,
        ),
    ],
)
def test_the_search_fulfils_both_conditions(value, slope, curvature, first):
    start = Point(0.0, value(0), slope(0))
    found = strong_wolfe(lambda t: (value(t), slope(t)), start, first, curvature=curvature)
    assert found == (found.length, value(found.length), slope(found.length))
    assert found.value <= start.value + 1e-4 * found.length * start.slope
    assert abs(found.slope) <= curvature * abs(start.slope)


def test_a_search_that_cannot_go_down_finds_nothing():
    assert strong_wolfe(lambda t: (1 + t, 1.0), Point(0.0, 1.0, -1.0), 1.0) is None


@pytest.mark.parametrize("variant", ["bfgs", "broyden"])
def test_updates_keep_the_secant_equation_and_stay_positive(variant, generator):
    """H y = s after every update, positive eigenvalues, and H is the inverse of the update written for B."""
    method = SelfScaledBFGS(variant=variant)
    curvature = torch.diag(torch.logspace(-3, 3, 6, dtype=torch.float64))
    for k in range(40):
        s = torch.randn(6, dtype=torch.float64, generator=generator)
        y = curvature @ s + 0.1 * float(k % 3) * s
        old = method.tensors().get("inverse")
        if old is None:
            old = float(s @ y / (y @ y)) * torch.eye(6, dtype=torch.float64)
        hessian = torch.linalg.inv(old)
        b, h, ys = float(s @ hessian @ s / (s @ y)), float(y @ old @ y / (s @ y)), float(s @ y)
        method._learn(Change(s, y, ys, b * ys))
        new = method.tensors()["inverse"]
        torch.testing.assert_close(new @ y, s, rtol=1e-7, atol=1e-8)
        assert float(torch.linalg.eigvalsh(0.5 * (new + new.mT)).min()) > 0
        # θ and τ from φ = (1 − θ) / (1 + a θ) and the formula for B.
        phi, tau = method._coefficients(b, h, 6)
        a = b * h - 1
        theta = (1 - phi) / (1 + a * phi)
        image = hessian @ s
        w = y / ys - image / (b * ys)
        bent = hessian - torch.outer(image, image) / (b * ys) + theta * b * ys * torch.outer(w, w)
        expected = tau * bent + torch.outer(y, y) / ys
        torch.testing.assert_close(torch.linalg.inv(new), expected, rtol=1e-5, atol=1e-5 * float(expected.norm()))


@pytest.mark.parametrize("method", METHODS)
def test_quadratics_end_after_as_many_steps_as_dimensions(method, linear):
    """With an exact search, conjugate directions: n steps, and one or two for rounding."""
    system, matrix, right = linear(12, 8, spread=0.5)
    best = torch.linalg.lstsq(matrix, right[:, None]).solution[:, 0]
    optimizer, theta = METHODS[method](curvature=1e-6), torch.zeros(8, dtype=torch.float64)
    distances = []
    for _ in range(11):
        theta = optimizer.step(system, theta).theta
        distances.append(float(torch.linalg.norm(theta - best) / torch.linalg.norm(best)))
    assert distances[4] > 1e-4
    assert distances[-1] < 1e-7


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrock_is_solved_far_below_absolute_thresholds(method, rosenbrock):
    """yᵀs is below 1e-10 long before the end; the curvature must be learned all the same."""
    system, theta = rosenbrock
    optimizer = METHODS[method]()
    for _ in range(150):
        step = optimizer.step(system, theta)
        theta = step.theta
        if not step.accepted or step.loss < 1e-24:
            break
    assert step.loss < 1e-24
    torch.testing.assert_close(theta, torch.ones(4, dtype=torch.float64), rtol=1e-10, atol=1e-10)


def test_limited_memory_is_the_dense_formula(generator):
    """The direction by pairs is −H g, with H from the dense BFGS updates of (yᵀs / yᵀy) · 1."""
    method = LBFGS(history=4)
    pairs = []
    for _ in range(6):
        s = torch.randn(7, dtype=torch.float64, generator=generator)
        y = torch.linspace(1, 9, 7, dtype=torch.float64) * s
        pairs.append((s, y))
        method._learn(Change(s, y, float(s @ y), 1.0))
    s, y = pairs[-1]
    identity = torch.eye(7, dtype=torch.float64)
    inverse = s @ y / (y @ y) * identity
    for s, y in pairs[-4:]:
        left = identity - torch.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.mT + torch.outer(s, s) / (s @ y)
    gradient = torch.randn(7, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(method._direction(gradient), -inverse @ gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("variant", "bound"), [("broyden", 1e-7), ("bfgs", 1e-7)])
def test_a_badly_conditioned_network_is_fitted(variant, bound, network):
    system, theta = network
    optimizer = SelfScaledBFGS(variant=variant)
    for _ in range(600):
        theta = optimizer.step(system, theta).theta
    assert optimizer.step(system, theta).loss < bound


@pytest.mark.parametrize("method", METHODS)
def test_one_evaluation_serves_the_end_and_the_next_start(method, rosenbrock):
    system, theta = rosenbrock
    optimizer, told = METHODS[method](), 0.0
    for _ in range(10):
        step = optimizer.step(system, theta)
        theta, told = step.theta, told + step.details["evaluations"]
    assert system.gradients == told


@pytest.mark.parametrize("method", METHODS)
def test_curvature_of_other_residuals_is_forgotten(method, rosenbrock, differentiated):
    """After `restart` the first step is the one of a new optimiser."""
    system, start = rosenbrock
    used, new = METHODS[method](), METHODS[method]()
    for _ in range(5):
        used.step(system, start)
    used.restart()
    assert used.tensors() == {}
    other = differentiated(lambda theta: system.function(theta + 0.3), 4)
    assert torch.equal(used.step(other, start).theta, new.step(other, start).theta)


@pytest.mark.parametrize("method", METHODS)
def test_a_misled_direction_is_replaced_by_steepest_descent(method, rosenbrock):
    system, start = rosenbrock
    used, new = METHODS[method](), METHODS[method]()
    bad = -torch.eye(4, dtype=torch.float64)
    used.restore({"inverse": bad} if method != "limited" else {"steps": bad[:1], "changes": -bad[:1]}, {})
    assert torch.equal(used.step(system, start).theta, new.step(system, start).theta)


@pytest.mark.parametrize("method", METHODS)
def test_no_step_is_made_from_the_minimum(method, linear):
    system, matrix, right = linear(20, 5, spread=0.0)
    theta = torch.linalg.lstsq(matrix, right[:, None]).solution[:, 0]
    optimizer = METHODS[method]()
    for _ in range(10):
        step = optimizer.step(system, theta)
        if not step.accepted:
            break
        theta = step.theta
    assert not step.accepted
    assert torch.equal(step.theta, theta)


def test_losses_and_options_are_checked(differentiated):
    system = differentiated(lambda theta: torch.log(theta), 1)
    for method in METHODS.values():
        with pytest.raises(DivergenceError, match="must be finite; start from other weights"):
            method().step(system, -torch.ones(1, dtype=torch.float64))
        with pytest.raises(OptionError, match="'curvature' of .* is 2.0, but must be between 1e-8 and 0.99"):
            method(curvature=2.0)
    with pytest.raises(OptionError, match="'variant' of 'self_scaled_bfgs' is 'dfp', but must be one of bfgs, broyden"):
        SelfScaledBFGS(variant="dfp")
    with pytest.raises(OptionError, match="'history' of 'lbfgs' is 0, but must be a whole number of at least 1"):
        LBFGS(history=0)


def test_a_matrix_that_does_not_fit_is_refused(rosenbrock):
    with pytest.raises(OptionError, match="needs 1.28e-07 GB for 4 parameters, but 'memory' is 1e-07 GB; .*'lbfgs'"):
        SelfScaledBFGS(memory=100).step(*rosenbrock)
