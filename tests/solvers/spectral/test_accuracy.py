"""What the spectral solver finds is the solution: exact ones, dense twins, the reference, conserved quantities."""

import numpy as np
import pytest
import scipy.linalg
from ufl import Identity, as_matrix, as_vector, cos, exp, grad, pi, sin, sym, tr

from sciml import Box, Mean, Periodic, Problem, load_problem, scalar, solve, vector
from sciml.solution import FourierField

QUICK = {"measure_error": False}


@pytest.fixture(scope="module")
def burgers_truth(burgers):
    return solve(burgers(), "spectral", modes=128, steps=1024, **QUICK)


def circle(**parts):
    return Problem(**({"domain": Box(0.0, 1.0), "conditions": [Periodic("boundary")]} | parts))


def coefficients(solution):
    return solution.final.coefficients


# -- space -------------------------------------------------------------------------------------------------------------


def test_errors_fall_faster_than_any_power():
    problem = circle(
        flux=lambda u: grad(u) - u * as_vector([3.0]), reaction=lambda u: u, exact=lambda x: exp(sin(2 * pi * x[0]))
    )
    errors = [solve(problem, "spectral", modes=n, **QUICK).error().relative_l2 for n in (8, 16, 32)]
    assert errors[0] > 1e-4
    assert errors[1] < 1e-2 * errors[0] ** 1.5
    assert errors[2] < 1e-12


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_stationary_up_to_a_constant(dim):
    solution = solve(load_problem("poisson/torus", dim=dim), "spectral", modes=8)
    assert solution.error().relative_l2 < 1e-13
    assert solution.status == "converged"


def test_stationary_elasticity_with_a_mean():
    problem = Problem(
        domain=Box((0.0, -1.0), (1.0, 1.0)),
        fields={"displacement": vector},
        flux=lambda u: 2 * sym(grad(u)) + tr(grad(u)) * Identity(2),
        exact=lambda x: as_vector([sin(2 * pi * x[0]) * cos(pi * x[1]) + 0.3, cos(2 * pi * x[0] + pi * x[1]) - 2]),
        conditions=[Periodic("boundary"), Mean((0.3, -2.0))],
    )
    assert solve(problem, "spectral", modes=9).error().relative_l2 < 1e-13


def test_a_coarse_grid_does_not_take_rough_data_for_unbalanced_ones():
    assert solve(load_problem("poisson/torus", waves=8), "spectral").error().relative_l2 < 1e-12


# -- time --------------------------------------------------------------------------------------------------------------


def test_dense_twin():
    """A coupled linear system against the exponential of its dense matrix."""
    n, diffusion = 15, np.array([[0.02, 0.01], [-0.005, 0.03]])
    problem = circle(
        domain=Box(0.0, 2.0), time=0.7, damping=2.0, fields={"c": vector(2)},
        flux=lambda u: as_matrix(diffusion.tolist()) * grad(u) - as_matrix([[0.5 * u[1]], [0.25 * u[0]]]),
        reaction=lambda u: as_vector([u[0] - 2 * u[1], u[0]]),
        load=(0.3, -0.1),
        initial=lambda x: as_vector([cos(pi * x[0]), sin(3 * pi * x[0]) + 1]),
    )  # fmt: skip
    points = 2.0 * np.arange(n) / n
    waves = np.fft.fftfreq(n, 1 / n)
    transform = np.exp(-2j * np.pi * np.outer(waves, np.arange(n)) / n)
    slope = (transform.conj().T / n @ np.diag(1j * np.pi * waves) @ transform).real
    transport, reaction = np.array([[0, 0.5], [0.25, 0]]), np.array([[1.0, -2.0], [1.0, 0.0]])
    matrix = (np.kron(-diffusion, slope @ slope) + np.kron(transport, slope) + np.kron(reaction, np.eye(n))) / 2
    start = np.concatenate([np.cos(np.pi * points), np.sin(3 * np.pi * points) + 1])
    load = np.repeat([0.3, -0.1], n) / 2
    rest = np.linalg.solve(matrix, load)
    twin = scipy.linalg.expm(-0.7 * matrix) @ (start - rest) + rest
    for scheme, tolerance in (("etdrk4", 1e-12), ("ifrk4", 1e-6), ("cn_heun", 1e-3)):
        solution = solve(problem, "spectral", modes=n, steps=16, scheme=scheme, **QUICK)
        values = solution.evaluate(points[:, None], 0.7).T.ravel()
        assert np.abs(values - twin).max() < tolerance, scheme


def test_fourth_order_law_through_a_constrained_field():
    """∂u/∂t + Δ²u = 0 as ∂u/∂t − Δw = 0 with w = −Δu."""
    problem = Problem(
        domain=Box((0.0, 0.0), (2 * np.pi, 2 * np.pi)), time=0.1, fields={"u_": scalar, "w": scalar},
        damping={"u_": 1.0},
        flux=lambda u_, w: {"u_": grad(w), "w": grad(u_)},
        reaction=lambda u_, w: {"w": -w},
        load={},
        exact=lambda x, t: {
            "u_": exp(-25 * t) * cos(2 * x[0] + x[1]),
            "w": 5 * exp(-25 * t) * cos(2 * x[0] + x[1]),
        },
        conditions=[Periodic("boundary")],
    )  # fmt: skip
    solution = solve(problem, "spectral", modes=8, steps=1, snapshots=2, **QUICK)
    points = problem.domain.sample(20, np.random.default_rng(0))
    wave = np.exp(-2.5) * np.cos(2 * points[:, 0] + points[:, 1])
    assert solution.evaluate(points, 0.1) == pytest.approx(np.stack([wave, 5 * wave], axis=1), abs=1e-13)


@pytest.mark.parametrize(("scheme", "order"), [("etdrk4", 4), ("ifrk4", 4), ("cn_heun", 2)])
def test_order_in_time(burgers, burgers_truth, scheme, order):
    errors = [
        np.abs(
            coefficients(solve(burgers(), "spectral", modes=128, steps=n, scheme=scheme, **QUICK))
            - coefficients(burgers_truth)
        ).max()
        for n in (32, 64, 128)
    ]
    slopes = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert slopes[-1] == pytest.approx(order, abs=0.15)
    assert errors[-1] < 10.0**-order * 1e-2


def test_quasilinear_diffusion_takes_long_steps():
    """The mean of the conductivity is exact, so that steps are far longer than explicit ones could be."""
    problem = circle(
        time=0.5,
        damping=1.0,
        flux=lambda u: (1 + 0.3 * u**2) * grad(u),
        exact=lambda x, t: 2 + cos(t) * sin(2 * pi * x[0]),
    )
    solution = solve(problem, "spectral", modes=48, steps=400, **QUICK)
    explicit = 2.8 / (1 + 0.3 * 9) / (2 * np.pi * 15) ** 2
    assert 10 * explicit < 0.5 / 400
    assert solution.error().relative_l2 < 1e-6


def test_steps_follow_the_speed(burgers):
    """A wave that is ten times as fast takes about ten times as many steps, found without being told."""
    slow, fast = (burgers(initial=lambda x, a=a: a * sin(2 * pi * x[0]), time=0.3 / a) for a in (0.4, 4.0))
    steps = [solve(p, "spectral", modes=64, **QUICK).details["steps"] for p in (slow, fast)]
    assert steps[1] == pytest.approx(steps[0], rel=0.5)
    forced = burgers(initial=lambda x: 0.0 * x[0], load=lambda x: 10 * sin(2 * pi * x[0]), time=0.5)
    solution = solve(forced, "spectral", modes=128)
    assert solution.details["step_range"][0] < 0.5 * solution.details["step_range"][1]
    assert solution.error_estimate.relative_l2 < 1e-2


# -- nonlinear ---------------------------------------------------------------------------------------------------------


def test_agrees_with_the_reference_on_burgers(burgers):
    problem = burgers()
    ours, reference = solve(problem, "spectral"), solve(problem, "fenics", degree=3, cells=64, steps=256)
    assert ours.error_estimate.relative_l2 < 1e-6
    gap = reference.error(ours).relative_l2
    assert gap < 1e-4
    assert gap < 2 * reference.error_estimate.relative_l2


def test_agrees_with_the_reference_on_a_flow(flow):
    problem = flow(time=0.2)
    ours = solve(problem, "spectral", modes=48)
    reference = solve(problem, "fenics", cells=16, steps=32, measure_error=False)
    rule = ours.final.rule(4096)
    truth = ours.final.at(rule)
    gap = np.linalg.norm(reference.final.at(rule) - truth, axis=0) / np.linalg.norm(truth, axis=0)
    assert (gap < 1e-2).all()


def test_without_viscosity_energy_and_enstrophy_are_kept(flow):
    """Of the truncated system, to the error of the steps; with aliases they are not."""

    def drifts(steps, **options):
        solution = solve(flow(None, time=1.0), "spectral", modes=24, steps=steps, snapshots=3, **QUICK, **options)
        states = [solution.at(t).coefficients for t in solution.times]
        weights = np.where(np.arange(states[0].shape[-1]) > 0, 2.0, 1.0)
        enstrophy = [(weights * np.abs(c[0]) ** 2).sum() for c in states]
        energy = [(weights * (c[0].conj() * c[1]).real).sum() for c in states]
        return np.array([abs(q[-1] / q[0] - 1) for q in (energy, enstrophy)])

    coarse, fine = drifts(100), drifts(200)
    assert (coarse < 1e-5).all()
    assert (fine < coarse / 12).all()
    assert (fine < 1e-7).all()
    assert drifts(200, dealias=False)[1] > 1e3 * fine[1]


def test_taylor_green():
    solution = solve("navier_stokes/taylor_green_vorticity", "spectral", modes=16)
    assert solution.error().relative_l2 < 1e-12


# -- the solver's own error --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"modes": 32, "steps": 16}, {"modes": 96, "steps": 32}, {"modes": 32, "steps": 512}, {"modes": 64, "steps": 64, "scheme": "cn_heun"}])  # fmt: skip
def test_error_estimate_is_one_from_above(burgers, burgers_truth, options):
    solution = solve(burgers(), "spectral", **options)
    true = solution.error(burgers_truth)
    for norm in ("relative_l2", "relative_h1"):
        ratio = getattr(solution.error_estimate, norm) / getattr(true, norm)
        assert 0.5 < ratio < 100


def test_automatic_refinement(burgers, burgers_truth):
    solution = solve(burgers(), "spectral", accuracy=1e-7)
    assert solution.error_estimate.relative_l2 <= 1e-7
    assert solution.error(burgers_truth).relative_l2 <= 1e-7
    assert "found by doubling" in solution.details["notes"][-1]
    stopped = solve(burgers(), "spectral", accuracy=1e-14, max_work=10)
    assert "stopped" in stopped.details["notes"][-1]


def test_single_precision(burgers):
    double, single = (
        solve(burgers(), "spectral", modes=64, steps=64, dtype=d, **QUICK) for d in ("float64", "float32")
    )
    assert 0 < single.error(double).relative_l2 < 1e-5


def test_members_at_once_and_one_by_one():
    from sciml.solvers.spectral import solve_batch

    problem = load_problem("navier_stokes/vorticity", duration=0.5, amplitude=10.0)
    members = [problem.draw(k) for k in range(3)]
    options = {"modes": 32, "steps": 20, **QUICK}
    for member, solution in zip(members, solve_batch(members, **options), strict=True):
        alone = solve(member, "spectral", **options)
        assert np.abs(coefficients(solution) - coefficients(alone)).max() < 1e-13
        assert solution.problem.member == member.member
    states = [coefficients(s)[0] for s in solve_batch(members, **options)]
    assert np.abs(states[0] - states[1]).max() > 1e-3
    assert isinstance(solution.final, FourierField)


def test_energies_of_the_catalogue_flow():
    """Energy is half the mean of ω ψ: quantities of interest from the field's own rule."""
    solution = solve("navier_stokes/vorticity", "spectral", modes=48, steps=16, **QUICK)
    field = solution.final
    rule = field.rule()
    vorticity, stream = field.at(rule).T
    assert solution.quantities()["kinetic_energy"] == pytest.approx(
        0.5 * rule.weights @ (vorticity * stream), rel=1e-10
    )
