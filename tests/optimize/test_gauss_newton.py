"""Gauss–Newton: one direction in three ways, what is invariant, what it reaches, what it says of itself."""

import numpy as np
import pytest
import torch

from sciml.errors import DivergenceError, OptionError
from sciml.optimize import DenseLinearisation, GaussNewton
from sciml.optimize.normal_equations import KrylovEquations, PrimalEquations, SampleEquations, squared_columns

SOLVES = ["sample", "primal", "matrix_free"]


def equations(kind, residual, jacobian, scale, generator, **options):
    if kind == "matrix_free":
        options = {"rank": 10, "tolerance": 1e-14, "iterations": 500} | options
        return KrylovEquations(DenseLinearisation(residual, jacobian), scale, generator=generator, **options)
    return (SampleEquations if kind == "sample" else PrimalEquations)(residual, jacobian, scale)


def run(optimizer, system, theta, steps, goal=0.0):
    records = []
    for _ in range(steps):
        records.append(optimizer.step(system, theta))
        theta = records[-1].theta
        if not records[-1].accepted or records[-1].loss < goal:
            break
    return theta, records


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (30, 30)])
@pytest.mark.parametrize("kind", SOLVES)
def test_directions_are_those_of_the_stacked_least_squares_problem(kind, shape, generator):
    """d minimises |r − J d|² + λ |S⁻¹ d|², here by QR of the stacked matrix, which squares no condition number."""
    jacobian = torch.randn(shape, dtype=torch.float64, generator=generator)
    residual = torch.randn(shape[0], dtype=torch.float64, generator=generator)
    scale = torch.rand(shape[1], dtype=torch.float64, generator=generator) + 0.5
    made = equations(kind, residual, jacobian, scale, generator)
    for damping in (1e-4, 1.0):
        stacked = torch.cat([jacobian, damping**0.5 * torch.diag(1 / scale)])
        right = torch.cat([residual, torch.zeros(shape[1], dtype=torch.float64)])
        expected = torch.linalg.lstsq(stacked, right[:, None]).solution[:, 0]
        torch.testing.assert_close(made.inverse(damping)(residual), expected, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(made.product(expected), jacobian @ expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", SOLVES)
@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_leverage_and_conditioning_follow_their_formulas(kind, shape, linear):
    system, matrix, _ = linear(*shape)
    optimizer = GaussNewton(solve=kind, rank=20, probes=100, tolerance=1e-12)
    assert optimizer.leverage() is None
    assert optimizer.conditioning() is None
    damping = optimizer.step(system, torch.zeros(shape[1], dtype=torch.float64)).details["damping"]

    squares = matrix.square().sum(0)
    scaled = matrix / (squares + 1e-6 * squares.max()).sqrt()
    kernel = scaled @ scaled.mT
    hat = kernel @ torch.linalg.inv(kernel + damping * torch.eye(shape[0], dtype=torch.float64))
    np.testing.assert_allclose(optimizer.leverage(), hat.diagonal().numpy(), rtol=1e-7)
    found = optimizer.conditioning()
    singular = torch.linalg.svdvals(scaled).square()
    np.testing.assert_allclose(
        [found.largest, found.smallest, found.effective_rank], [singular[0], singular[-1], hat.trace()], rtol=1e-6
    )
    assert (found.rank, found.unknowns) == (20, 20)


def test_the_effective_rank_of_few_random_vectors_is_found_from_below(linear):
    system, _, _ = linear(60, 80)
    full, few = (GaussNewton(solve="matrix_free", rank=rank, probes=100) for rank in (60, 20))
    for optimizer in (full, few):
        optimizer.step(system, torch.zeros(80, dtype=torch.float64))
    assert few.conditioning().unknowns == 60
    assert few.conditioning().effective_rank < full.conditioning().effective_rank
    assert np.all(few.leverage() <= full.leverage() + 1e-8)


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_all_forms_make_the_same_steps(shape, differentiated, generator):
    """Along a curved residual, so that momentum, acceleration and scales of the past are in it."""
    matrix = torch.randn(shape, dtype=torch.float64, generator=generator)
    system = differentiated(lambda theta: matrix @ theta + 0.3 * torch.sin(matrix @ theta) ** 2 - 1, shape[0])
    start = torch.zeros(shape[1], dtype=torch.float64)
    options = {"momentum": 0.3, "tolerance": 1e-13, "probes": 1000, "rank": 40}
    ends = [run(GaussNewton(solve=solve, **options), system, start, 4) for solve in SOLVES]
    for theta, records in ends[1:]:
        torch.testing.assert_close(theta, ends[0][0], rtol=1e-7, atol=1e-9)
        assert [r.details["damping"] for r in records] == [r.details["damping"] for r in ends[0][1]]


@pytest.mark.parametrize(("acceleration", "order"), [(0.0, 2), (0.75, 3)])
def test_acceleration_raises_the_order_by_one(acceleration, order, differentiated, generator):
    """One step towards a root at distance h ends at distance O(h²), and O(h³) with the bending of the residual."""
    mixing = torch.randn(5, 5, dtype=torch.float64, generator=generator) + 4 * torch.eye(5, dtype=torch.float64)
    system = differentiated(lambda theta: mixing @ theta + 0.5 * (mixing @ theta) ** 2, 5)
    direction = torch.randn(5, dtype=torch.float64, generator=generator)
    direction /= torch.linalg.norm(direction)
    optimizer = GaussNewton(damping=1e-14, acceleration=acceleration)
    ends = [float(torch.linalg.norm(optimizer.step(system, h * direction).theta)) for h in (4e-3, 2e-3, 1e-3)]
    slopes = np.log2(np.array(ends[:-1]) / ends[1:])
    np.testing.assert_allclose(slopes, order, atol=0.15)


def test_units_of_residuals_and_parameters_do_not_matter(network, differentiated):
    """Powers of two change no digit, so the steps agree bit by bit."""
    system, start = network
    other = differentiated(lambda theta: 2.0**30 * system.function(theta / 2.0**-20), 40)
    theta, _ = run(GaussNewton(), system, start, 10)
    scaled, _ = run(GaussNewton(), other, start * 2.0**-20, 10)
    assert torch.equal(scaled, theta * 2.0**-20)


def test_rosenbrock_is_solved(rosenbrock):
    theta, records = run(GaussNewton(), *rosenbrock, 25)
    assert records[-1].loss < 1e-25
    torch.testing.assert_close(theta, torch.ones(4, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    assert all(record.loss < record.previous for record in records if record.accepted)


@pytest.mark.parametrize("solve", SOLVES)
def test_a_badly_conditioned_network_is_fitted(solve, network):
    optimizer = GaussNewton(solve=solve, rank=31, probes=8, iterations=20)
    _, records = run(optimizer, *network, 150, goal=1e-10)
    assert records[-1].loss < 1e-10
    assert optimizer.conditioning().largest / optimizer.conditioning().smallest > 1e8


@pytest.mark.parametrize("solve", SOLVES)
def test_columns_that_depend_on_each_other_do_no_harm(solve, linear, differentiated):
    """Doubled and empty columns make the matrix singular; where λ cannot save the factor, a larger one does."""
    _, matrix, right = linear(30, 6, spread=1.0)
    wide = torch.cat([matrix, matrix, torch.zeros(30, 40, dtype=torch.float64)], 1)
    best = 0.5 * float((matrix @ torch.linalg.lstsq(matrix, right[:, None]).solution[:, 0] - right).square().sum())
    singular = differentiated(lambda theta: wide @ theta - right, 30)
    _, records = run(GaussNewton(solve=solve, damping=1e-16), singular, torch.zeros(52, dtype=torch.float64), 8)
    assert records[-1].loss == pytest.approx(best, rel=1e-6)


def test_no_step_is_made_from_the_minimum(linear):
    system, matrix, right = linear(20, 5, spread=0.0)
    minimum = torch.linalg.lstsq(matrix, right[:, None]).solution[:, 0]
    optimizer = GaussNewton()
    theta, records = run(optimizer, system, minimum, 10)
    assert not records[-1].accepted
    assert records[-1].loss == records[-1].previous
    torch.testing.assert_close(theta, minimum, rtol=1e-12, atol=1e-12)
    assert optimizer.values()["damping"] == 1e-2
    zero = GaussNewton().step(*linear_at_root(linear))
    assert (zero.accepted, zero.loss) == (False, 0.0)


def linear_at_root(linear):
    system, matrix, _ = linear(5, 5, spread=0.0)
    system.function = lambda theta: matrix @ theta
    return system, torch.zeros(5, dtype=torch.float64)


def test_momentum_is_that_of_spring(linear):
    """d = μ d' + S J̃ᵀ(J̃J̃ᵀ + λ)⁻¹ (r − μ J d'), by dense algebra."""
    system, matrix, right = linear(8, 12, spread=0.0)
    optimizer = GaussNewton(momentum=0.5)
    first = optimizer.step(system, torch.zeros(12, dtype=torch.float64))
    second = optimizer.step(system, first.theta)
    squares = matrix.square().sum(0)
    squares = squares + 1e-6 * squares.max()
    base = 0.5 * -first.theta
    residual = matrix @ first.theta - right - matrix @ base
    damped = matrix.mT @ matrix + second.details["damping"] * torch.diag(squares)
    expected = base + torch.linalg.solve(damped, matrix.mT @ residual)
    torch.testing.assert_close(first.theta - second.theta, expected, rtol=1e-8, atol=1e-10)


def test_momentum_that_leads_uphill_is_dropped(rosenbrock):
    system, start = rosenbrock
    plain, optimizer = GaussNewton(), GaussNewton(momentum=0.9)
    optimizer.restore({"last": torch.full((4,), 1e3, dtype=torch.float64)}, optimizer.values())
    assert torch.equal(optimizer.step(system, start).theta, plain.step(system, start).theta)


def test_after_a_restart_the_last_step_is_forgotten(rosenbrock):
    system, start = rosenbrock
    optimizer = GaussNewton(momentum=0.9)
    optimizer.step(system, start)
    assert "last" in optimizer.tensors()
    optimizer.restart()
    assert "last" not in optimizer.tensors()
    assert optimizer.leverage() is None


def test_squared_columns_are_exact_or_unbiased(generator):
    jacobian = torch.randn(50, 7, dtype=torch.float64, generator=generator)
    operator = DenseLinearisation(jacobian[:, 0], jacobian)
    exact = jacobian.square().sum(0)
    torch.testing.assert_close(squared_columns(operator, 50, generator), exact)
    estimates = torch.stack([squared_columns(operator, 8, generator) for _ in range(500)])
    assert torch.all((estimates.std(0) / exact) < (2 / 8) ** 0.5 * 1.15)
    torch.testing.assert_close(estimates.mean(0), exact, rtol=4 * (2 / 8 / 500) ** 0.5, atol=0.0)


def test_the_preconditioner_pays(generator):
    """With all eigenvalues above the damping inside, a handful of iterations does what hundreds do not."""
    jacobian = torch.randn(300, 400, dtype=torch.float64, generator=generator)
    u, _, v = torch.linalg.svd(jacobian, full_matrices=False)
    jacobian = u * torch.logspace(0, -8, 300, dtype=torch.float64) @ v
    residual, scale = torch.ones(300, dtype=torch.float64), torch.ones(400, dtype=torch.float64)
    used = []
    for rank in (1, 150):
        made = equations("matrix_free", residual, jacobian, scale, generator, rank=rank, tolerance=1e-8)
        made.inverse(1e-6)(residual)
        used.append(made.iterations)
    assert used[1] <= 15 < 100 < used[0]


@pytest.mark.parametrize(
    ("shape", "memory", "chosen"),
    [((5, 9), 2**31, "sample: 5"), ((9, 5), 2**31, "primal: 9"), ((9, 5), 1000, "matrix_free: 1.12e-06 GB")],
)
def test_the_form_that_is_chosen_is_said(shape, memory, chosen, linear):
    optimizer = GaussNewton(memory=memory)
    assert optimizer.chosen == ""
    optimizer.step(linear(*shape)[0], torch.zeros(shape[1], dtype=torch.float64))
    assert optimizer.chosen.startswith(chosen)


def test_a_loss_that_is_not_finite_is_refused(differentiated):
    system = differentiated(lambda theta: torch.log(theta), 2)
    with pytest.raises(DivergenceError, match="where a step of 'gauss_newton' begins, and must be finite"):
        GaussNewton().step(system, torch.tensor([-1.0, 1.0], dtype=torch.float64))


def test_steps_out_of_the_domain_are_not_taken(differentiated):
    """√θ is NaN beyond zero, where an undamped step from 1 would land."""
    system = differentiated(lambda theta: torch.sqrt(theta) - 1e-3, 1)
    theta, records = run(GaussNewton(), system, torch.ones(1, dtype=torch.float64), 30)
    assert float(theta) == pytest.approx(1e-6, rel=1e-6)
    assert all(np.isfinite(record.loss) for record in records)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solve": "dual"}, "one of auto, sample, primal, matrix_free"),
        ({"damping": 0.0}, "between 1e-17 and 1e8"),
        ({"damping": float("nan")}, "between 1e-17 and 1e8"),
        ({"momentum": 1.0}, "at least 0 .off. and below 1"),
        ({"acceleration": -1}, "at least 0"),
        ({"rank": 0}, "a whole number of at least 1"),
        ({"iterations": 2.5}, "a whole number of at least 1"),
        ({"memory": True}, "a whole number of at least 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    (name,) = options
    with pytest.raises(OptionError, match=f"Option '{name}' of 'gauss_newton' is .* but must be {message}"):
        GaussNewton(**options)
