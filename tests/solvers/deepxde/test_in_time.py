"""The plain PINN on problems in time: small trainings with a fixed seed, held to an error bound."""

import numpy as np
import pytest
from ufl import exp, grad

import sciml
from sciml import Absorbing, Box, Problem, load_problem, load_solution, solve
from sciml.nn import problem_scales

SMALL = {"adam": 150, "lbfgs": 300, "width": 16, "points": 400, "boundary_points": 80}


@pytest.mark.parametrize(
    ("name", "parameters", "lbfgs", "bound"),
    [
        ("heat/sine", {"dim": 1}, 300, 1e-2),
        ("phase_field/front", {}, 300, 5e-3),
        ("wave/standing", {"dim": 1, "modes": 1, "periods": 0.5}, 600, 2e-2),
    ],
)
def test_learned_in_space_and_time(name, parameters, lbfgs, bound):
    solution = solve(load_problem(name, **parameters), "deepxde", **SMALL | {"lbfgs": lbfgs})
    assert solution.error().relative_l2 < bound
    assert solution.details["conditions"].startswith("soft")
    assert "runs in time" in solution.details["conditions"]


def test_saved_and_loaded(tmp_path):
    problem = load_problem("heat/sine", dim=1)
    solution = solve(problem, "deepxde", **SMALL | {"adam": 5, "lbfgs": 5})
    loaded = load_solution(solution.save(tmp_path / "s.h5"))
    points = np.linspace(0, 1, 7)[:, None]
    assert np.array_equal(loaded(points, t=[0.0, 0.05, 0.1]), solution(points, t=[0.0, 0.05, 0.1]))
    assert loaded.gradient(points, t=0.05).shape == (7, 1)
    assert solution.plot().axes
    with pytest.raises(sciml.ScimlError, match="outside of the problem's time"):
        solution(points, t=0.2)


def test_the_same_seed_gives_the_same_bits():
    problem = load_problem("wave/standing", dim=1)
    first, second = (solve(problem, "deepxde", seed=4, **SMALL | {"adam": 10, "lbfgs": 10}) for _ in range(2))
    points = np.linspace(0, 1, 9)[:, None]
    assert np.array_equal(first(points, t=0.3), second(points, t=0.3))


def test_a_pulse_leaves_through_absorbing_ends():
    """d'Alembert: half of it each way, nothing comes back."""
    problem = Problem(
        domain=Box(0.0, 1.0), time=0.8, mass=1.0, flux=lambda u: grad(u), load=0.0,
        initial=lambda x: exp(-30 * (x[0] - 0.5) ** 2), initial_velocity=0.0,
        conditions=[Absorbing(impedance=1.0, on="boundary")],
    )  # fmt: skip
    solution = solve(problem, "deepxde", **SMALL | {"lbfgs": 600, "width": 24})
    x = np.linspace(0, 1, 50)
    for t in (0.2, 0.5, 0.8):
        exact = sum(0.5 * np.exp(-30 * (x - 0.5 + sign * t) ** 2) for sign in (-1, 1))
        assert np.abs(solution(x[:, None], t=t) - exact).max() < 0.05


def test_scales_know_the_terms_in_time():
    """A short time makes them large: damping/T and mass/T²."""
    quick = problem_scales(load_problem("heat/sine", duration=1e-3))
    assert quick.rate == pytest.approx(1e3)
    assert quick.residual == pytest.approx(1e3 * quick.unknown)
    wave = load_problem("wave/standing")
    assert problem_scales(wave).rate == pytest.approx(1 / wave.time.duration**2)
    assert problem_scales(load_problem("poisson/sine")).rate == 0
    assert problem_scales(load_problem("heat/quench")).unknown == pytest.approx(800, rel=0.5)


def test_residual_based_refinement_draws_times_too():
    options = SMALL | {"adam": 40, "lbfgs": 0, "sampler": "rar", "rar_every": 10, "rar_candidates": 100, "rar_add": 5}
    solution = solve(load_problem("heat/moving_source"), "deepxde", **options)
    assert solution.details["points"] > 400
