"""A collocated problem as a least-squares problem: its rows, its exact Jacobian, and all that is made of both."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev
from ufl import div, grad

from sciml import Box, Dirichlet, Problem, load_problem
from sciml.errors import OptionError
from sciml.forms import Derivative, reverse_jet
from sciml.nn import MLP, PhysicalNetwork, RandomFourierFeatures, Scales, hard_conditions_obstacle, problem_scales
from sciml.training import Collocation

CASES = [
    ("poisson/sine", True),
    ("poisson/sine", False),
    ("poisson/pure_neumann", False),
    ("poisson/torus", False),
    ("nonlinear/quadratic_diffusion", True),
    ("nonlinear/quadratic_diffusion", False),
    ("heat/sine", False),
    ("wave/standing", False),
    ("wave/open_square", False),
    ("elasticity/cantilever", True),
    ("stokes/vortex", True),
    ("stokes/vortex", False),
    ("navier_stokes/taylor_green", False),
]
NAMES = [f"{name}-{'hard' if hard else 'soft'}" for name, hard in CASES]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def plain(d, k, **options):
    return MLP([d, 7, 6, k], biases=1.0, generator=seeded(), **options)


def points_of(problem, n, seed=1):
    generator = np.random.default_rng(seed)
    space = problem.domain.sample(n, generator)
    if not problem.evolves:
        return space
    return np.column_stack([space, generator.uniform(problem.time.start, problem.time.end, n)])


@cache
def loaded(name):
    """Programs are compiled once for all tests."""
    problem = load_problem(name)
    return problem, problem_scales(problem)


def physical(problem, scales, *, hard, network=plain):
    """The network sees as many inputs as the scaled points have columns."""
    around = {"unknown_scale": scales.unknowns, "hard": hard, "offset": scales.offset}
    shell = PhysicalNetwork(torch.nn.Identity(), problem, **around)
    inputs = shell.scaled(torch.tensor(points_of(problem, 1))).shape[1]
    return PhysicalNetwork(network(inputs, problem.n_components), problem, **around)


def build(name, *, hard=None, n=23, network=plain, chunk=None, weights=None, boundary_points=17):
    problem, scales = loaded(name) if isinstance(name, str) else name
    hard = hard_conditions_obstacle(problem) is None if hard is None else hard
    model = physical(problem, scales, hard=hard, network=network)
    system = Collocation(
        problem,
        model,
        scales,
        boundary_points=boundary_points,
        boundary_weight=100.0,
        flux_weight=10.0,
        generator=np.random.default_rng(0),
        chunk=chunk,
    )
    system.set_points(points_of(problem, n), weights)
    return system


def tensor(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)


def rows_by_hand(system, jet, weights=None):
    """The weighted rows as the docstring of `Collocation` says them, from any provider of jets."""
    rows = []
    for number, term in enumerate(system.terms):
        values = jet(number, tensor(term.points), term.keys)
        if term.average is not None:
            u = values[Derivative(term.component)].reshape(term.average.instants, -1)
            residual = u @ tensor(term.average.weights) - term.average.wanted
        else:
            normal = None if term.normals is None else tensor(term.normals)
            residual = term.operator(tensor(term.points), values, normal=normal)
            residual = residual.reshape(len(residual), -1)[:, term.component if term.kind == "equation" else 0]
        importance = (
            tensor(weights) if term.kind == "equation" and weights is not None else tensor(np.ones(len(residual)))
        )
        rows.append(residual / term.size * torch.sqrt(term.weight * importance / len(residual)))
    return torch.cat(rows)


class Rows(torch.nn.Module):
    """Rows with jets at prepared points, so that torch.func can differentiate by the weights."""

    def __init__(self, system):
        super().__init__()
        self.model = system.model
        self.at = lambda jet: rows_by_hand(system, jet)
        self.prepared = [self.model.prepare(tensor(term.points), term.keys) for term in system.terms]

    def forward(self):
        return self.at(lambda number, x, keys: self.model.jet_at(self.prepared[number]))


def jacobian_by_torch(system):
    """By torch.func.jacrev, ``(N, P)``."""
    rows = Rows(system)
    names = [name for name, p in rows.named_parameters() if p.requires_grad]
    shapes = [dict(rows.named_parameters())[name].shape for name in names]

    def function(theta):
        parts = theta.split([shape.numel() for shape in shapes])
        return functional_call(rows, {name: p.view(s) for name, p, s in zip(names, parts, shapes, strict=True)}, ())

    return jacrev(function)(system.theta())


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize(("name", "hard"), CASES, ids=NAMES)
def test_rows_are_those_of_the_declaration(name, hard):
    """Against nested reverse mode on the whole network, term by term, with importance weights."""
    weights = np.random.default_rng(3).uniform(0.5, 2.0, 23)
    system = build(name, hard=hard, weights=weights)
    expected = rows_by_hand(system, lambda _, x, keys: reverse_jet(system.model, x, keys), weights).detach()
    residual = system.residual(system.theta())
    assert residual.shape == (system.n_residuals,)
    assert relative(residual, expected) < 1e-12
    assert not residual.requires_grad


@pytest.mark.parametrize(("name", "hard"), CASES, ids=NAMES)
def test_the_jacobian_is_exact(name, hard):
    system = build(name, hard=hard)
    theta = system.theta()
    residual, matrix = system.jacobian(theta)
    wanted = jacobian_by_torch(system)
    assert relative(matrix, wanted) < 1e-14
    assert torch.equal(residual, system.residual(theta))
    assert not matrix.requires_grad


@pytest.mark.parametrize(("name", "hard"), CASES, ids=NAMES)
def test_gradient_and_linear_operator_are_those_of_the_jacobian(name, hard):
    system = build(name, hard=hard)
    theta = system.theta()
    residual, matrix = system.jacobian(theta)
    value, gradient = system.value_and_gradient(theta)
    assert float(value) == pytest.approx(0.5 * float(residual @ residual), rel=1e-14)
    assert relative(gradient, matrix.T @ residual) < 1e-13
    operator = system.linear_operator(theta)
    assert torch.equal(operator.residual, residual)
    for shape in ((), (3,)):
        v = torch.randn(system.n_parameters, *shape, generator=seeded(), dtype=torch.float64)
        w = torch.randn(system.n_residuals, *shape, generator=seeded(), dtype=torch.float64)
        assert operator.product(v).shape == w.shape
        assert operator.transposed(w).shape == v.shape
        assert relative(operator.product(v), matrix @ v) < 1e-13
        assert relative(operator.transposed(w), matrix.T @ w) < 1e-13


def test_the_linearisation_errs_by_the_square_of_the_step():
    system = build("nonlinear/quadratic_diffusion")
    theta = system.theta()
    residual, matrix = system.jacobian(theta)
    direction = torch.randn(system.n_parameters, generator=seeded(), dtype=torch.float64)
    errors = [
        float((system.residual(theta + h * direction) - residual - h * matrix @ direction).norm()) for h in (1e-3, 1e-4)
    ]
    assert np.log10(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", ["nonlinear/quadratic_diffusion", "navier_stokes/taylor_green"])
def test_results_do_not_depend_on_the_size_of_the_blocks(name):
    systems = [build(name, chunk=chunk) for chunk in (None, 7, 1)]
    theta = systems[0].theta()
    first = systems[0]
    for other in systems[1:]:
        assert relative(other.residual(theta), first.residual(theta)) < 1e-14
        assert relative(other.jacobian(theta)[1], first.jacobian(theta)[1]) < 1e-14
        assert relative(other.value_and_gradient(theta)[1], first.value_and_gradient(theta)[1]) < 1e-13
        points = points_of(first.problem, 12)
        np.testing.assert_allclose(other.squared(theta, points), first.squared(theta, points), rtol=1e-12)


# -- other networks -----------------------------------------------------------------------------------------


def branches(d, k):
    """One network for each component."""
    return MLP([[d, 6, 1]] * k, "sin", biases=1.0, generator=seeded())


def waves(d, k):
    return MLP([d, 9, k], "silu", features=RandomFourierFeatures(d, 5, sigma=0.4, generator=seeded()))


def layers(d, k):
    """Layers of torch, with one of them used twice and one that is not trained."""
    inner, frozen = torch.nn.Linear(5, 5), torch.nn.Linear(d, 5)
    frozen.weight.requires_grad_(False)
    net = torch.nn.Sequential(
        frozen, torch.nn.Tanh(), inner, torch.nn.Sigmoid(), inner, torch.nn.SiLU(), torch.nn.Linear(5, k)
    ).double()
    return refilled(net)


class Own(torch.nn.Module):
    """Something without rules for Taylor series."""

    def __init__(self, d, k):
        super().__init__()
        self.frequencies = torch.nn.Parameter(torch.ones(d, 4))
        self.out = torch.nn.Linear(4, k, bias=False)

    def forward(self, x):
        return self.out(
            torch.sin(x @ self.frequencies) ** 2 + torch.nn.functional.layer_norm(x @ self.frequencies, (4,))
        )


def own(d, k):
    return refilled(Own(d, k).double())


def refilled(network):
    """Weights that no global generator decides."""
    generator = seeded(5)
    with torch.no_grad():
        for p in network.parameters():
            p.normal_(generator=generator)
    return network


@pytest.mark.parametrize("network", [branches, waves, layers, own])
@pytest.mark.parametrize("name", ["poisson/sine", "stokes/vortex", "heat/mixed_conditions", "poisson/torus"])
def test_other_networks(name, network):
    system = build(name, network=network, n=7, boundary_points=3)
    theta = system.theta()
    residual, matrix = system.jacobian(theta)
    expected = rows_by_hand(system, lambda _, x, keys: reverse_jet(system.model, x, keys))
    trained = [p for p in system.model.parameters() if p.requires_grad]
    by_rows = torch.stack([
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(
            row, trained, retain_graph=True, allow_unused=True, materialize_grads=True
        )])
        for row in expected
    ])  # fmt: skip
    assert relative(residual, expected.detach()) < 1e-12
    assert relative(matrix, by_rows) < 1e-12
    operator = system.linear_operator(theta)
    v = torch.randn(system.n_parameters, 2, generator=seeded(), dtype=torch.float64)
    w = torch.randn(system.n_residuals, 2, generator=seeded(), dtype=torch.float64)
    assert relative(operator.product(v), matrix @ v) < 1e-12
    assert relative(operator.transposed(w), matrix.T @ w) < 1e-12
    assert relative(system.value_and_gradient(theta)[1], matrix.T @ residual) < 1e-12


def test_derivatives_above_the_second():
    """They have no Taylor rule, so each row has a reverse pass of its own."""
    problem = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        flux=lambda u: grad(u),
        reaction=lambda u: u + div(grad(u)).dx(0),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    scales = Scales(length=1.0, unknowns=(0.1,), fluxes=(1.0,), residuals=(1.0,), offset=(0.0,))
    system = build((problem, scales), n=9)
    assert max(len(key.axes) for key in system.terms[0].keys) == 3
    theta = system.theta()
    residual, matrix = system.jacobian(theta)
    direction = torch.randn(system.n_parameters, generator=seeded(), dtype=torch.float64)
    slope = (system.residual(theta + 1e-5 * direction) - system.residual(theta - 1e-5 * direction)) / 2e-5
    assert relative(matrix @ direction, slope) < 1e-7
    assert relative(system.linear_operator(theta).product(direction), matrix @ direction) < 1e-12
    assert relative(system.value_and_gradient(theta)[1], matrix.T @ residual) < 1e-12


# -- points, weights, terms ---------------------------------------------------------------------------------


def test_terms_say_what_stands_where():
    system = build("heat/mixed_conditions", n=20)
    rows = [(term.rows.start, term.rows.stop) for term in system.terms]
    assert [a for a, _ in rows] == [0, *(b for _, b in rows[:-1])]
    assert rows[-1][1] == system.n_residuals
    assert system.terms[0].kind == "equation"
    assert {term.kind for term in system.terms} == {"equation", "dirichlet", "flux", "initial"}
    assert {term.weight for term in system.terms if term.kind in ("dirichlet", "initial")} == {100.0}
    assert {term.weight for term in system.terms if term.kind == "flux"} == {10.0}
    assert len({term.name for term in system.terms}) == len(system.terms)


def test_built_in_conditions_are_no_terms():
    assert {term.kind for term in build("poisson/sine", hard=True).terms} == {"equation"}
    assert {term.kind for term in build("poisson/sine", hard=False).terms} == {"equation", "dirichlet"}


@pytest.mark.parametrize("name", ["stokes/vortex", "heat/mixed_conditions"])
def test_values_and_gradients_of_terms_sum_to_those_of_all(name):
    system = build(name, hard=False)
    theta = system.theta()
    value, gradient = system.value_and_gradient(theta)
    values, gradients = system.term_values(theta), system.term_gradients(theta)
    assert list(values) == list(gradients) == [term.name for term in system.terms]
    assert sum(values.values()) == pytest.approx(float(value), rel=1e-13)
    assert relative(sum(gradients.values()), gradient) < 1e-13
    residual, matrix = system.jacobian(theta)
    for term in system.terms:
        own = matrix[term.rows].T @ residual[term.rows]
        assert float((gradients[term.name] - own).abs().max()) <= 1e-12 * float(gradient.abs().max())


@pytest.mark.parametrize("name", ["stokes/vortex", "heat/sine"])
def test_squares_are_in_multiples_of_the_typical_size(name):
    """At the collocation points they are the equations' rows without the mean."""
    system = build(name, n=30)
    theta = system.theta()
    rows = sum(system.residual(theta)[term.rows] ** 2 for term in system.terms if term.kind == "equation")
    np.testing.assert_allclose(system.squared(theta, system.points), 30 * rows.numpy(), rtol=1e-12)


def test_weights_are_an_importance_in_the_mean():
    """A point of weight 2 counts as two points, if n is that of all."""
    system = build("nonlinear/quadratic_diffusion", hard=True, n=8)
    theta, points = system.theta(), system.points
    system.set_points(np.concatenate([points, points[:2]]))
    twice = float(system.value_and_gradient(theta)[0])
    system.set_points(points, np.where(np.arange(8) < 2, 2.0, 1.0))
    assert float(system.value_and_gradient(theta)[0]) * 8 == pytest.approx(twice * 10, rel=1e-13)


def test_new_points_leave_the_conditions_where_they_are():
    system = build("poisson/sine", hard=False, n=10)
    theta = system.theta()
    before = system.residual(theta)[10:]
    system.set_points(points_of(system.problem, 25, seed=9))
    assert system.n_residuals == 25 + len(before)
    assert torch.equal(system.residual(theta)[25:], before)
    assert system.jacobian(theta)[1].shape == (system.n_residuals, system.n_parameters)


def test_weights_go_into_the_network_and_back():
    system = build("poisson/sine")
    theta = system.theta()
    other = theta + 1.0
    expected = system.residual(other)
    assert torch.equal(system.theta(), theta)
    system.load(other)
    assert torch.equal(system.theta(), other)
    assert torch.equal(system.residual(system.theta()), expected)
    last = system.model.network.branches[0][-1].bias
    assert torch.equal(last.detach(), other[-len(last) :])


def test_what_is_evaluated_leaves_the_network_alone():
    system = build("poisson/sine")
    before = copy.deepcopy(system.model.state_dict())
    theta = system.theta() * 2
    system.jacobian(theta), system.value_and_gradient(theta), system.linear_operator(theta)
    assert all(torch.equal(value, before[name]) for name, value in system.model.state_dict().items())
    assert all(p.grad is None for p in system.model.parameters())


# -- numbers and devices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poisson/sine", "stokes/vortex", "heat/sine"])
def test_single_precision(name):
    double, single = build(name), build(name, network=lambda d, k: plain(d, k).float())
    theta = single.theta()
    assert theta.dtype == torch.float32
    residual, matrix = single.jacobian(theta)
    wanted, exact = double.jacobian(theta.double())
    assert residual.dtype == matrix.dtype == torch.float32
    assert relative(residual.double(), wanted) < 1e-4
    assert relative(matrix.double(), exact) < 1e-4
    operator = single.linear_operator(theta)
    assert relative(operator.transposed(residual), matrix.T @ residual) < 1e-4
    assert single.value_and_gradient(theta)[1].dtype == torch.float32
    assert single.squared(theta, single.points).dtype == np.float64


@pytest.mark.parametrize("network", [lambda d, k: plain(d, k, device="meta"), lambda d, k: branches(d, k).to("meta")])
@pytest.mark.parametrize(("name", "hard"), CASES, ids=NAMES)
def test_nothing_is_left_behind_on_another_device(name, hard, network):
    system = build(name, hard=hard, network=network)
    theta = torch.empty(system.n_parameters, dtype=torch.float64, device="meta")
    residual, matrix = system.jacobian(theta)
    value, gradient = system.value_and_gradient(theta)
    operator = system.linear_operator(theta)
    found = [residual, matrix, value, gradient, operator.product(theta), operator.transposed(residual)]
    found += [system.residual(theta), system.theta(), *system.term_gradients(theta).values()]
    assert {one.device.type for one in found} == {"meta"}
    assert matrix.shape == (system.n_residuals, system.n_parameters)


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "weights", "words"),
    [
        (np.zeros((3, 3)), None, r"points has the shape \(3, 3\); finite points of the shape \(n, 2\) are needed"),
        (np.full((3, 2), np.nan), None, "finite points"),
        (np.zeros((0, 2)), None, "finite points"),
        (np.zeros((3, 2)), np.ones(2), r"weights has the shape \(2,\); 3 finite weights"),
        (np.zeros((3, 2)), -np.ones(3), "3 finite weights of at least 0"),
    ],
)
def test_points_that_do_not_fit_are_refused(points, weights, words):
    system = build("poisson/sine")
    with pytest.raises(OptionError, match=words):
        system.set_points(points, weights)


def test_points_are_needed_first():
    problem, scales = loaded("poisson/sine")
    model = physical(problem, scales, hard=True)
    options = {"boundary_points": 8, "boundary_weight": 1.0, "flux_weight": 1.0, "generator": np.random.default_rng(0)}
    system = Collocation(problem, model, scales, **options)
    with pytest.raises(OptionError, match="no collocation points yet; give them by set_points first"):
        system.residual(system.theta())
    with pytest.raises(OptionError, match=r"boundary_weight=-1.0; a finite number of at least 0"):
        Collocation(problem, model, scales, **options | {"boundary_weight": -1.0})
    with pytest.raises(OptionError, match="chunk=0; at least 1"):
        Collocation(problem, model, scales, **options, chunk=0)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match=r"The network maps \(2, 2\) to \(2, 2\); this problem needs \(2, 1\)"):
        build("poisson/sine", network=lambda d, k: plain(d, 2))
    with pytest.raises(OptionError, match="no trainable weight"):
        build("poisson/sine", network=lambda d, k: plain(d, k).requires_grad_(False))
    system = build("poisson/sine")
    with pytest.raises(OptionError, match=r"theta has the shape \(3,\); "):
        system.residual(torch.zeros(3))
