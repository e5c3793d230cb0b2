"""The parts of the spectral solver: what it refuses, φ functions, the split of a law, devices, failures."""

import re

import numpy as np
import pytest
import torch
from ufl import as_vector, cos, grad, inner, pi, sin

from sciml import Box, Dirichlet, Periodic, Problem, coefficient, load_problem, scalar, solve
from sciml.errors import ConditionError, DivergenceError, OptionError, ParameterError, UnsupportedError
from sciml.forms import balance, pointwise
from sciml.forms.splitting import linear_split
from sciml.problem import dx
from sciml.registry import load_solver
from sciml.solution import FourierField
from sciml.solvers.spectral import solve_batch
from sciml.solvers.spectral.grid import Grid
from sciml.solvers.spectral.schemes import SCHEMES, phi_functions
from sciml.solvers.spectral.semidiscrete import Semidiscrete

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
HEAT = {"time": 1.0, "damping": 1.0, "initial": 0.0, "flux": lambda u: grad(u)}


def periodic(**parts):
    return Problem(**({"domain": SQUARE, "load": 0.0, "conditions": [Periodic("boundary")]} | parts))


REFUSED = {
    "of at most 3 dimensions": lambda: load_problem("poisson/ten_dimensional"),
    "a box": lambda: load_problem("elasticity/periodic_voids"),
    "every side of the box periodic": lambda: periodic(
        **HEAT, conditions=[Periodic("left", "right"), Dirichlet(0.0, on=["bottom", "top"])]
    ),
    "for all components": lambda: load_problem("poisson/sine"),
    "weak form": lambda: periodic(
        time=1.0, damping=1.0, initial=0.0, weak=lambda u, v: inner(grad(u), grad(v)) * dx, load=None
    ),
    "∂²u/∂t²": lambda: load_problem("wave/travelling"),
    "`damping` depends on the place": lambda: periodic(**HEAT | {"damping": lambda x: 2 + sin(2 * pi * x[0])}),
    "positive `damping`": lambda: periodic(**HEAT | {"damping": -1.0}),
    "a stationary law must be linear": lambda: periodic(flux=lambda u: grad(u), reaction=lambda u: u + u**3),
    "constant coefficients": lambda: load_problem("multiscale/periodic_cell"),
    "discontinuous": lambda: periodic(
        **HEAT | {"flux": lambda u, p: p.k * grad(u)}, coefficients={"k": coefficient(lambda x: 1 + (x[:, 0] > 0.5))}
    ),
    "the law of 'b' must be linear": lambda: periodic(
        fields={"a": scalar, "b": scalar}, time=1.0, damping={"a": 1.0}, initial={}, load={},
        flux=lambda a, b: {"a": grad(a), "b": grad(b)}, reaction=lambda a, b: {"b": b + a**2},
    ),
    r"leave the wave \(.*\) of 'q' undetermined": lambda: periodic(
        fields={"w": scalar, "q": scalar}, time=1.0, damping={"w": 1.0}, initial={}, load={},
        flux=lambda w, q: {"w": grad(w)}, reaction=lambda w, q: {"w": q, "q": w},
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(reason):
    said = load_solver("spectral").supports(REFUSED[reason]())
    assert said is not None
    assert re.search(reason, said)


def test_resonance_is_refused_where_it_lies():
    """−Δu = (2π 5)² u has the fifth wave as a free solution, which no low wave shows."""
    problem = periodic(domain=Box(0.0, 1.0), flux=lambda u: grad(u), reaction=lambda u: -((10 * pi) ** 2) * u, load=1.0)
    assert load_solver("spectral").supports(problem) is None
    with pytest.raises(UnsupportedError, match=r"the wave \(-?5\w*,\) of 'u' undetermined"):
        solve(problem, "spectral", modes=16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modes": 2}, "modes=2"),
        ({"steps": 4}, "`steps` needs `modes`"),
        ({"modes": 8, "steps": 4, "step": 0.1}, "both given"),
        ({"modes": 8, "step": 0.3}, "does not divide"),
        ({"measure_error": False}, "needs `modes`"),
        ({"modes": 8, "scheme": "euler"}, "scheme"),
    ],
)
def test_options(options, message):
    with pytest.raises(OptionError, match=message):
        solve(periodic(**HEAT), "spectral", **options)


def test_steps_of_a_stationary_problem():
    with pytest.raises(OptionError, match="run in time"):
        solve("poisson/torus", "spectral", modes=8, steps=4)
    with pytest.raises(OptionError, match="device"):
        solve("poisson/torus", "spectral", device="tpu")


def test_a_constraint_without_a_periodic_solution(flow):
    problem = flow(initial=lambda x: {"vorticity": 1 + cos(2 * pi * x[0])})
    with pytest.raises(ConditionError, match="'stream' has a mean"):
        solve(problem, "spectral", modes=16, steps=4)


def test_divergence_is_raised_with_the_last_state():
    problem = periodic(**HEAT | {"domain": Box(0.0, 1.0), "initial": 1.0, "time": 2.0}, reaction=lambda u: -(u**2))
    with pytest.raises(DivergenceError, match="ceased to be finite") as caught:
        solve(problem, "spectral", modes=8, steps=40)
    assert caught.value.solution.status == "diverged"
    assert 1 <= caught.value.solution.field.evaluate(np.array([[0.5]]))[0] < np.inf
    solution = solve(problem, "spectral", modes=8, steps=40, throw=False)
    assert solution.status == "diverged"
    with pytest.raises(DivergenceError):
        solve(problem, "spectral", modes=8)


def test_batches_are_of_one_family():
    with pytest.raises(ParameterError, match="members of one family"):
        solve_batch([periodic(**HEAT), periodic(**HEAT)], modes=8)
    with pytest.raises(ParameterError, match="members of one family"):
        solve_batch([], modes=8)
    with pytest.raises(OptionError, match="does not measure"):
        solve_batch([periodic(**HEAT)], modes=8, measure_error=True)
    with pytest.raises(UnsupportedError, match="every side"):
        solve_batch([load_problem("poisson/sine")], modes=8)


# -- φ functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [0.0, 1e-9, -0.3 + 0.2j, 0.999j, -1.001, 5j, -40.0, -3 + 30j])
def test_phi_functions(z):
    """φ_j(z) = ∫₀¹ e^((1−s) z) s^(j−1)/(j−1)! ds, by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    s, weights = (nodes + 1) / 2, weights / 2
    found = phi_functions(np.array(z, dtype=complex).reshape(1, 1, 1))
    assert found[0][0, 0, 0] == pytest.approx(np.exp(z), rel=1e-14)
    for j, factorial in ((1, 1), (2, 1), (3, 2)):
        wanted = weights @ (np.exp((1 - s) * z) * s ** (j - 1) / factorial)
        assert found[j][0, 0, 0] == pytest.approx(wanted, rel=1e-12)


def test_phi_functions_of_matrices():
    """Of similar matrices: V diag V⁻¹, with large entries too."""
    generator = np.random.default_rng(0)
    basis = generator.standard_normal((3, 3)) + 3 * np.eye(3)
    numbers = np.array([[[0.2 + 1j, -5.0, -300.0]]])
    matrix = (basis * numbers[..., None, :]) @ np.linalg.inv(basis)
    for own, wanted in zip(phi_functions(matrix), phi_functions(numbers), strict=True):
        assert np.abs(own - (basis * wanted[..., None, :]) @ np.linalg.inv(basis)).max() < 1e-12


# -- the split ---------------------------------------------------------------------------------------------------------


def test_the_two_parts_add_up_to_the_law(with_function):
    problem = Problem(
        domain=SQUARE, time=1.0, damping=1.0, parameters={"k": 2.0}, load=lambda x, t: t * x[0],
        flux=lambda u, x, p: p.k * grad(u) + as_vector([u**2, x[1] * u]) + u * as_vector([0.0, 3.0]),
        reaction=lambda u, t, p: p.k * u + t * u + grad(u)[0] * u + 4 * grad(u)[1],
        initial=0.0, conditions=[Periodic("boundary")],
    ).at_time(0.7)  # fmt: skip
    split = linear_split(problem)
    law, points = balance(problem), SQUARE.sample(30, np.random.default_rng(0))

    def function(x):
        return torch.sin(2 * x[:, 0]) * torch.exp(x[:, 1])

    whole = np.column_stack(
        [
            with_function(pointwise(problem, row), function, points)
            for row in (law.flux[0], law.flux[1], law.reaction - law.load)
        ]
    )
    rest = np.column_stack([with_function(pointwise(problem, row), function, points) for row in split.rows])
    x = torch.tensor(points, requires_grad=True)
    value = function(x)
    slope = torch.autograd.grad(value.sum(), x)[0]
    states = np.column_stack([slope.numpy(), value.detach().numpy()])
    assert rest + states @ split.coefficients(problem).T == pytest.approx(whole, abs=1e-13)
    expected = np.array([[2.0, 0, 0], [0, 2, 0], [0, 4, 0]])
    assert split.coefficients(problem) == pytest.approx(expected)
    assert split.varying == [(0, 2), (1, 2), (2, 0), (2, 2)]
    assert split.coefficients(problem.with_parameters(k=5.0))[0, 0] == 5.0


def test_the_mean_of_a_conductivity_is_linear():
    problem = periodic(**HEAT | {"flux": lambda u: (2 + u**2) * grad(u), "initial": lambda x: 2 * sin(2 * pi * x[0])})
    grid = Grid(SQUARE, 12, True)
    system = Semidiscrete([problem], grid)
    squares = (grid.wave_vectors**2).sum(axis=1)[grid.kept]
    assert system.linear[0, grid.kept, 0, 0] == pytest.approx(4 * squares)


# -- devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_on_the_meta_device(flow, scheme, dtype):
    system = Semidiscrete([flow()], Grid(SQUARE, 12, True), "meta", dtype)
    state = system.initial()
    ahead = SCHEMES[scheme](system, 0.1)(state, 0.0)
    assert (ahead.device.type, ahead.shape, ahead.dtype) == ("meta", state.shape, system.complex)
    assert system.constrained(ahead, 0.1).device.type == "meta"


# -- the field ---------------------------------------------------------------------------------------------------------


def random_field(dim, highest=3, size=1):
    generator = np.random.default_rng(dim)
    problem = periodic(domain=Box((-1.0,) * dim, (1.0, 2.0, 0.5)[:dim]), **HEAT)
    shape = (size, *(2 * highest + 1,) * (dim - 1), highest + 1)
    return FourierField(problem, generator.standard_normal(shape) + 1j * generator.standard_normal(shape))


def by_definition(field, points):
    domain, dim = field.problem.domain, field.problem.dim
    highest = field.coefficients.shape[-1] - 1
    total = np.zeros(len(points))
    for index in np.ndindex(*field.coefficients.shape[1:]):
        waves = np.array([n - highest for n in index[:-1]] + [index[-1]])
        angle = 2 * np.pi * ((points - domain.lower) / (domain.upper - domain.lower)) @ waves
        term = field.coefficients[(0, *index)] * np.exp(1j * angle)
        total += term.real * (2 if index[-1] else 1)
    assert dim == len(waves)
    return total


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_field_is_its_sum(dim):
    field = random_field(dim)
    domain = field.problem.domain
    scattered = domain.sample(50, np.random.default_rng(0))
    grid, _ = domain.quadrature(200)
    for points in (scattered, grid, scattered[:0]):
        assert field.evaluate(points) == pytest.approx(by_definition(field, points), abs=1e-11)
    step = 1e-6
    for axis in range(dim):
        shift = step * np.eye(dim)[axis]
        slope = (field.evaluate(scattered + shift) - field.evaluate(scattered - shift)) / (2 * step)
        assert field.gradient(scattered)[:, axis] == pytest.approx(slope, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("n", [3, 8, 12])
def test_field_on_its_grid(dim, n):
    """By transforms as by the sum, on grids that are too coarse for the waves as well."""
    field = random_field(dim)
    domain = field.problem.domain
    lines = [a + (b - a) * np.arange(n) / n for a, b in zip(domain.lower, domain.upper)]
    points = np.stack([g.ravel() for g in np.meshgrid(*lines, indexing="ij")], axis=1)
    real = random_field(dim)
    # Waves on the plane that is stored in full are conjugates of each other in a real field.
    plane = real.coefficients[..., 0]
    real.coefficients[..., 0] = (plane + np.flip(plane, tuple(range(1, dim))).conj()) / 2
    assert real.on_grid(n).ravel() == pytest.approx(real.evaluate(points), abs=1e-11)


def test_rule_integrates_squares():
    field = random_field(2)
    fine, coarse = (field.rule(n) for n in (40_000, 1))
    squares = [rule.weights @ field.at(rule) ** 2 for rule in (fine, coarse)]
    assert squares[0] == pytest.approx(squares[1], rel=1e-12)


def test_between_the_instants():
    problem = periodic(**HEAT | {"domain": Box(0.0, 1.0), "initial": lambda x: cos(2 * pi * x[0]), "time": 0.05})
    solution = solve(problem, "spectral", modes=8)
    points = np.array([[0.0], [0.3]])
    for t in (0.0, 0.0123, 0.05):
        wanted = np.exp(-4 * np.pi**2 * t) * np.cos(2 * np.pi * points[:, 0])
        assert solution.evaluate(points, t) == pytest.approx(wanted, rel=1e-8)


def test_files_for_others(tmp_path):
    solution = solve("navier_stokes/taylor_green_vorticity", "spectral", modes=12, steps=40, snapshots=3)
    assert solution.write_vtu(tmp_path / "flow.vtu").stat().st_size > 0
    assert solution.write_pvd(tmp_path / "flow.pvd").exists()
    solution.plot(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 0
    assert solution.quantities()["enstrophy"] > 0
