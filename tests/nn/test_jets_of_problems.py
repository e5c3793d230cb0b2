"""Jets of networks around which conditions, scales and periodic inputs stand: Taylor series and nested reverse mode."""

import numpy as np
import pytest
import torch
from ufl import as_vector, exp, sin

from sciml import Box, Dirichlet, load_problem, vector
from sciml.forms import Derivative, boundary_residual, reverse_jet, strong_residual
from sciml.nn import MLP, HardConditions, PhysicalNetwork, hard_conditions_obstacle, problem_scales
from sciml.nn.row_derivatives import notes_all_layers

CATALOGUE = [
    "poisson/sine",
    "poisson/mixed_conditions",
    "poisson/ten_dimensional",
    "poisson/torus",
    "nonlinear/quadratic_diffusion",
    "diffusion/variable_coefficient",
    "elasticity/cantilever",
    "stokes/vortex",
    "stokes/channel",
    "navier_stokes/taylor_green",
    "heat/mixed_conditions",
    "wave/travelling",
    "multiscale/periodic_cell",
]


def model_of(problem, *, hard, biases=1.0):
    scales = problem_scales(problem)
    around = {"unknown_scale": scales.unknowns, "hard": hard, "offset": scales.offset}
    dim = problem.dim + problem.evolves
    shell = PhysicalNetwork(torch.nn.Identity(), problem, **around)
    inputs = shell.scaled(torch.zeros(1, dim, dtype=torch.float64)).shape[1]
    generator = torch.Generator().manual_seed(0)
    return PhysicalNetwork(
        MLP([inputs, 9, 8, problem.n_components], biases=biases, generator=generator), problem, **around
    )


def points_of(problem, n=15):
    generator = np.random.default_rng(0)
    x = problem.domain.sample(n, generator)
    if problem.evolves:
        x = np.column_stack([x, generator.uniform(problem.time.start, problem.time.end, n)])
    return torch.tensor(x)


def assert_same(own, wanted, tolerance=1e-13):
    """Relative to the largest derivative of the same order, as a sum of products has the error of its largest term."""
    sizes = {}
    for key, value in wanted.items():
        sizes[len(key.axes)] = max(sizes.get(len(key.axes), 0.0), float(value.detach().abs().max()))
    for key, value in wanted.items():
        difference = float((own[key] - value).detach().abs().max())
        assert difference <= tolerance * sizes[len(key.axes)], (key, difference)


@pytest.mark.parametrize("name", CATALOGUE)
def test_jets_against_nested_reverse_mode(name):
    problem = load_problem(name)
    hard = hard_conditions_obstacle(problem) is None and bool(problem.dirichlet)
    model, x = model_of(problem, hard=hard), points_of(problem)
    operators = [strong_residual(problem)]
    operators += [
        boundary_residual(problem, condition, component)
        for piece in problem.boundary_pieces
        for component, condition in enumerate(piece.conditions)
        if condition not in problem.periodic
    ]
    keys = list(dict.fromkeys(key for operator in operators for key in operator.keys))
    assert model.prepare(x, keys).series is not None
    assert_same(model.jet(x, keys), reverse_jet(model, x, keys))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("sides", ["boundary", ["x0-"], ["x0-", "x0+"]])
def test_the_product_rule_with_lifts_of_every_kind(poisson, dim, sides):
    """Values along curves on some sides; all derivatives up to the second."""
    problem = poisson(
        dim,
        domain=Box((-1.0,) * dim, tuple(1.0 + k for k in range(dim))),
        exact=lambda x: sin(2 * x[0]) * exp(x[dim - 1]) + 3,
        conditions=[Dirichlet(on=sides)],
    )
    model, x = model_of(problem, hard=True), points_of(problem)
    axes = [(), *[(i,) for i in range(dim)], *[(i, j) for i in range(dim) for j in range(i, dim)]]
    keys = [Derivative(0, a) for a in axes]
    assert_same(model.jet(x, keys), reverse_jet(model, x, keys))


def test_components_with_and_without_conditions(poisson):
    problem = poisson(
        fields={"d": vector},
        exact=lambda x: as_vector([sin(x[0]), x[0] * x[1]]),
        conditions=[Dirichlet(on="left", component=0)],
    )
    model, x = model_of(problem, hard=True), points_of(problem)
    keys = [Derivative(c, a) for c in (0, 1) for a in ((), (0,), (1, 1), (0, 1))]
    assert_same(model.jet(x, keys), reverse_jet(model, x, keys))


def test_derivatives_above_the_second_come_by_reverse_mode(poisson):
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]))
    model, x = model_of(problem, hard=True), points_of(problem)
    keys = [Derivative(0, (0, 0, 1)), Derivative(0, (1,))]
    assert model.prepare(x, keys).series is None
    assert_same(model.jet(x, keys), reverse_jet(model, x, keys))


def test_the_product_rule_of_any_order(poisson):
    """From derivatives of lift, distance and network, those of their combination, up to the fourth."""
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]))
    conditions, x = HardConditions(problem), points_of(problem)
    keys = [Derivative(0, a) for a in ((), (0,), (0, 1), (0, 0, 1), (0, 0, 1, 1), (1, 1, 1, 1))]
    network = MLP([2, 8, 1], biases=1.0)
    jets = conditions.jets(x, keys)
    own = jets.apply(reverse_jet(network, x, jets.inner))
    assert_same(own, reverse_jet(lambda z: conditions(z, network(z)), x, keys), 1e-12)


def test_what_points_decide_is_computed_once(poisson):
    """Prepared points serve other weights."""
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]))
    model, x = model_of(problem, hard=True), points_of(problem)
    keys = [Derivative(0, (0, 0)), Derivative(0, ())]
    prepared = model.prepare(x, keys)
    assert not any(v.requires_grad for jet in (prepared.around.lift, prepared.around.distance) for v in jet.values())
    with torch.no_grad():
        model.network.branches[0][0].weight.mul_(1.7)
    assert_same(model.jet_at(prepared), reverse_jet(model, x, keys))


def test_layers_of_torch_have_taylor_series_too(poisson):
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]))
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 6), torch.nn.SiLU(), torch.nn.Linear(6, 6), torch.nn.Sigmoid(), torch.nn.Linear(6, 1)
    ).double()
    model, x = PhysicalNetwork(network, problem, unknown_scale=2.0, hard=True), points_of(problem)
    keys = [Derivative(0, (0, 0)), Derivative(0, (0, 1)), Derivative(0, ())]
    assert model.prepare(x, keys).series is not None
    assert_same(model.jet(x, keys), reverse_jet(model, x, keys))


def test_which_networks_are_noted_as_a_whole():
    linear = torch.nn.Linear(2, 3)
    assert notes_all_layers(MLP([2, 3, 1]))
    assert notes_all_layers(torch.nn.Sequential(linear, torch.nn.Tanh(), torch.nn.Sequential(torch.nn.Linear(3, 1))))
    assert not notes_all_layers(torch.nn.Sequential(linear, torch.nn.LayerNorm(3)))
    assert not notes_all_layers(torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(linear)))


def test_single_precision_and_other_devices(poisson):
    problem = poisson(exact=lambda x: sin(x[0]) * exp(x[1]))
    keys = [Derivative(0, (0, 0)), Derivative(0, ())]
    model = model_of(problem, hard=True).float()
    assert {value.dtype for value in model.jet(points_of(problem).float(), keys).values()} == {torch.float32}
    model = model_of(problem, hard=True).to("meta")
    jet = model.jet(torch.empty(4, 2, dtype=torch.float64, device="meta"), keys)
    sum(value.sum() for value in jet.values()).backward()
    assert {p.grad.device.type for p in model.parameters()} == {"meta"}
