"""Time integrators: orders, exactness, energy, stability, damping, absorbing boundaries."""

import numpy as np
import pytest
from ufl import as_vector, cos, exp, grad, pi, sin

from sciml import Absorbing, Box, Dirichlet, Neumann, Problem, Robin, load_problem, vector
from sciml.errors import DivergenceError, OptionError
from sciml.fem import FEFunction
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.discretisation import Discretisation
from sciml.fem.stepping import System, march, stable_step
from sciml.fem.trajectory import solve_evolution
from sciml.forms import analyse
from sciml.forms.schemes import Scheme
from sciml.solution import ExactField, FEField, measure_errors
from sciml.solvers.fenics import FenicsOptions

IMPLICIT = {1: [Scheme("theta"), Scheme("bdf2")], 2: [Scheme("newmark"), Scheme("generalised_alpha")]}
CASES = [(order, scheme) for order, schemes in IMPLICIT.items() for scheme in schemes]
IDS = [scheme.name for _, scheme in CASES]


def build(problem, cells=4, degree=2, cell_type="simplex"):
    disc = Discretisation(problem, problem.domain.mesh(cells, cell_type), degree)
    choice = choose_linear_solver("direct", symmetric=True, definite=True, dim=problem.dim, n_dofs=disc.n_dofs)
    return System(disc, choice, linear=bool(analyse(problem).linear))


def final(system, scheme, steps):
    """The last state as a field, and the problem at its time."""
    for state in march(system, scheme, steps):  # noqa: B007
        pass
    field = system.snapshot(state.u)
    problem = system.problem.at_time(state.t)
    assert state.t == pytest.approx(problem.time.end, abs=1e-12)
    return FEField(problem, field), problem


def error(system, scheme, steps):
    field, problem = final(system, scheme, steps)
    return measure_errors(field, ExactField(problem)).l2


def evolving(order, *, shape=lambda x: 1 + x[0] * x[1] + x[0] ** 2, factor=lambda t: cos(3 * t), **law):
    """A problem whose data all change in time; quadratic in space, so that P2 leaves the error of time alone."""
    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "time": (0.5, 1.5),
        "damping": lambda x: 1 + x[0],
        "flux": lambda u, t: (1 + 0.5 * t) * grad(u),
        "exact": lambda x, t: factor(t) * shape(x),
        "conditions": [Dirichlet(on=["left", "bottom"]), Robin(alpha=2.0, on="right"), Neumann(on="top")],
    }
    if order == 2:
        parts |= {"mass": lambda x: 2 - x[1]}
    return Problem(**(parts | law))


@pytest.mark.parametrize("law", ["linear", "nonlinear"])
@pytest.mark.parametrize(("order", "scheme"), CASES, ids=IDS)
def test_order_in_time(order, scheme, law):
    nonlinear = {"flux": lambda u: (1 + u**2) * grad(u)} if law == "nonlinear" else {}
    system = build(evolving(order, **nonlinear))
    coarse, fine = (error(system, scheme, steps) for steps in (40, 80))
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.15)
    assert fine < 2e-3


def test_backward_euler_is_of_first_order():
    system = build(evolving(1))
    coarse, fine = (error(system, Scheme("theta", theta=1.0), steps) for steps in (40, 80))
    assert np.log2(coarse / fine) == pytest.approx(1, abs=0.15)
    assert Scheme("theta", theta=1.0).order == 1


@pytest.mark.parametrize(("order", "scheme"), CASES, ids=IDS)
def test_what_is_linear_in_time_is_exact(order, scheme):
    """Three steps suffice, whatever the data."""
    system = build(evolving(order, factor=lambda t: 2 - t))
    assert error(system, scheme, 3) < 1e-11


def standing(periods=10.0, **changes):
    return load_problem("wave/standing", modes=1, periods=periods, **changes)


def test_newmark_keeps_the_energy():
    system = build(standing(), cells=16, degree=1)
    work = system.vector()

    def energy(state):
        system.mass.mult(state.v, work)
        kinetic = 0.5 * state.v.dot(work)
        system.stiffness(state.u, 0.0).mult(state.u, work)
        return kinetic + 0.5 * state.u.dot(work)

    energies = [energy(state) for state in march(system, Scheme("newmark"), 400)]
    assert np.ptp(energies) < 1e-8 * energies[0]


def test_central_differences_keep_their_staggered_energy():
    system = build(standing(), cells=16, degree=1)
    steps = int(np.ceil(system.problem.time.duration / (0.9 * stable_step(system))))
    step = system.problem.time.duration / steps
    mass, work, energies, before = system.lumped(system.mass), system.vector(), [], None
    for state in march(system, Scheme("explicit"), steps):
        if before is not None:
            rate = (state.u.array - before.array) / step
            system.stiffness(state.u, 0.0).mult(before, work)
            energies.append(0.5 * mass @ rate**2 + 0.5 * state.u.dot(work))
        before = state.u
    assert np.ptp(energies) < 1e-8 * energies[0]


@pytest.mark.parametrize("dim", [1, 2])
def test_lumped_waves_are_of_second_order(dim):
    problem = standing(0.4, dim=dim)
    errors = []
    for cells in (16, 32):
        system = build(problem, cells, 1)
        errors.append(error(system, Scheme("explicit"), 3 * cells))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)
    assert errors[1] < 3e-3


@pytest.mark.parametrize(("cell_type", "degree"), [("simplex", 1), ("tensor", 1)])
def test_the_stability_limit(cell_type, degree):
    """2/√λ of the dense eigenvalue problem; one per cent more blows up."""
    system = build(standing(6.0), 8, degree, cell_type)
    limit = stable_step(system)
    stiffness = system.stiffness(system.vector(), 0.0)
    free = np.setdiff1d(np.arange(stiffness.size[0]), system.constrained)
    dense = stiffness[:, :][np.ix_(free, free)] / system.lumped(system.mass)[free][:, None]
    assert limit == pytest.approx(2 / np.sqrt(np.linalg.eigvals(dense).real.max()), rel=5e-3)
    duration = system.problem.time.duration
    stable = final(system, Scheme("explicit"), int(np.ceil(duration / (0.99 * limit))))[0]
    assert np.abs(stable.function.function.x.array).max() < 2
    with pytest.raises(DivergenceError, match="no longer finite"):
        final(
            build(standing(200.0), 8, degree, cell_type), Scheme("explicit"), int(200 / 6 * duration / (1.05 * limit))
        )


def test_steps_beyond_the_limit_are_refused():
    problem = standing(1.0)
    disc = Discretisation(problem, problem.domain.mesh(16, "simplex"), 1)
    options = FenicsOptions(scheme="explicit", degree=1)
    with pytest.raises(OptionError, match=r"beyond the stability limit 0\.0\d+ .* at least \d+ steps") as refusal:
        solve_evolution(disc, analyse(problem), options, 10, lambda text: None)
    needed = int(str(refusal.value).split("at least ")[1].split()[0])
    solve_evolution(disc, analyse(problem), options, needed, lambda text: None)
    _, _, chosen = solve_evolution(disc, analyse(problem), options, None, lambda text: None)
    intervals = options.snapshots - 1
    assert chosen % intervals == 0
    assert needed <= chosen < 1.2 * needed + intervals


def test_explicit_steps_need_positive_lumped_masses():
    problem = standing(1.0)
    with pytest.raises(OptionError, match="degree=1"):
        final(build(problem, 4, 2), Scheme("explicit"), 1000)


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_generalised_alpha_damps_high_frequencies(rho):
    """ü + ω² u = 0 with ω Δ = 10⁴: the size falls by the factor rho_infinity a step."""
    steps, omega = 8, 1e5
    problem = Problem(
        domain=Box(0, 1), time=0.8, mass=1.0, flux=lambda u: 1e-6 * grad(u), reaction=lambda u: omega**2 * u,
        load=0.0, initial=1.0, initial_velocity=0.0,
    )  # fmt: skip
    sizes = [np.abs(s.u.array).max() for s in march(build(problem, 1, 1), Scheme("generalised_alpha", 0.5, rho), steps)]
    # The matrix of the method has a double eigenvalue −rho, hence the factor of growth at first.
    assert sizes[-1] <= max(10 * steps * rho**steps, 1e-12)
    if rho:
        assert sizes[-1] >= 0.5 * rho**steps


def test_waves_leave_through_absorbing_sides():
    """Energy left one time unit after the source has ended, against the largest."""
    frequency = 4.0
    problem = load_problem("wave/open_square", frequency=frequency, duration=2.2 / frequency + 1.0)
    system = build(problem, 48, 1)
    steps = int(np.ceil(problem.time.duration / (0.9 * stable_step(system))))
    work, energies, before = system.vector(), [], None
    step, mass = problem.time.duration / steps, system.lumped(system.mass)
    for state in march(system, Scheme("explicit"), steps):
        if before is not None:
            rate = (state.u.array - before.array) / step
            system.stiffness(state.u, 0.0).mult(before, work)
            energies.append(0.5 * mass @ rate**2 + 0.5 * state.u.dot(work))
        before = state.u
    assert energies[-1] <= 0.01 * max(energies)


def test_an_absorbing_end_lets_a_wave_pass_without_echo():
    """In one dimension the condition is exact: d'Alembert's pulse moves on."""
    problem = Problem(
        domain=Box(0.0, 1.0), time=0.6, mass=1.0, flux=lambda u: grad(u), load=0.0,
        initial=lambda x: exp(-200 * (x[0] - 0.5) ** 2), initial_velocity=0.0,
        conditions=[Absorbing(impedance=1.0, on="boundary")],
    )  # fmt: skip
    field, _ = final(build(problem, 128, 2), Scheme("newmark"), 512)
    x = np.linspace(0, 1, 50)[:, None]
    exact = sum(0.5 * np.exp(-200 * (x[:, 0] - 0.5 + sign * 0.6) ** 2) for sign in (-1, 1))
    assert np.abs(field.evaluate(x) - exact).max() < 2e-3


def test_a_bar_cools_as_in_the_books():
    """The product of two slabs (Carslaw, Jaeger): series in the roots of β tan β = Biot number."""
    problem = load_problem("heat/quench")
    values = problem.parameters
    half, k = 0.05, values["conductivity"]
    biot, fourier = values["exchange"] * half / k, k / values["capacity"] * values["duration"] / half**2
    roots = []
    for n in range(60):
        low, high = n * np.pi, n * np.pi + np.pi / 2 - 1e-12
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if middle * np.tan(middle) < biot else (low, middle)
        roots.append(low)
    beta = np.array(roots)
    weights = 4 * np.sin(beta) / (2 * beta + np.sin(2 * beta)) * np.exp(-(beta**2) * fourier)
    centre, surface = weights.sum(), (weights * np.cos(beta)).sum()
    field, _ = final(build(problem, 16, 2), Scheme("bdf2"), 200)
    got = field.evaluate(np.array([[0.05, 0.05], [0.0, 0.0], [0.05, 0.0]])) / values["hot"]
    assert got == pytest.approx([centre**2, surface**2, centre * surface], rel=2e-4)


def test_vectors_wave_too():
    """Two components with a wave each: elastic shear in one, at rest in the other."""
    problem = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)), fields={"displacement": vector}, time=0.5, mass=1.0,
        flux=lambda u: grad(u), load=(0.0, 0.0), conditions=[Dirichlet((0.0, 0.0), on="boundary")],
        initial=lambda x: as_vector([sin(pi * x[0]) * sin(pi * x[1]), 0 * x[0]]), initial_velocity=(0.0, 0.0),
    )  # fmt: skip
    field, _ = final(build(problem, 12, 2), Scheme("newmark"), 100)
    centre = field.evaluate(np.array([[0.5, 0.5]]))[0]
    assert centre == pytest.approx([np.cos(np.sqrt(2) * np.pi * 0.5), 0.0], abs=2e-3)
    assert isinstance(field.function, FEFunction)
