"""The flow on a box: a density that integrates to one, starts uniform, is finite up to the walls, and can be sampled."""

import numpy as np
import pytest
import torch

from sciml.errors import OptionError
from sciml.nn import BoxFlow


def moved_flow(dim, size=0.3, seed=0, **options):
    """A flow whose weights are moved by normal numbers, so that nothing is at its start any more."""
    generator = torch.Generator().manual_seed(seed)
    lower, upper = [-1.0, 2.0, 0.0, -3.0, 0.5][:dim], [1.0, 2.5, 7.0, -1.0, 1.0][:dim]
    flow = BoxFlow(lower, upper, generator=generator, **options)
    with torch.no_grad():
        for weight in flow.parameters():
            weight += size * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return flow


def uniform(flow, n, seed=1):
    unit = torch.rand(n, flow.dim, generator=torch.Generator().manual_seed(seed), dtype=flow.lower.dtype)
    return flow.lower + flow.extent * unit


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_the_start_is_uniform_for_any_weights(dim):
    flow = BoxFlow([-2.0] * dim, [1.0] * dim, generator=torch.Generator().manual_seed(3))
    assert flow.log_relative_density(uniform(flow, 500)).abs().max() < 1e-13
    assert torch.allclose(flow.log_density(uniform(flow, 5)), torch.full((5,), -dim * np.log(3.0)).double(), atol=1e-12)


@pytest.mark.parametrize(("dim", "bins"), [(1, None), (2, None), (3, None), (4, None), (5, None), (2, 16)])
def test_the_inverse_undoes_the_map_and_its_determinant(dim, bins):
    flow = moved_flow(dim, bins=bins)
    x = uniform(flow, 2000)
    unit, forward = flow(x)
    back, inverse = flow.inverse(unit)
    assert ((back - x) / flow.extent).abs().max() < 1e-10
    assert (forward + inverse).abs().max() < 1e-9
    assert forward.exp().std() > 0.3, "the flow has not been moved"


@pytest.mark.parametrize(("dim", "bins"), [(1, None), (2, None), (3, None), (4, None), (2, 16)])
def test_the_determinant_is_that_of_the_jacobian(dim, bins):
    flow = moved_flow(dim, bins=bins)
    x = uniform(flow, 20)
    full = torch.autograd.functional.jacobian(lambda points: flow(points)[0].sum(dim=0), x)
    jacobian = full.transpose(0, 1) * flow.extent
    assert torch.allclose(torch.linalg.slogdet(jacobian)[1], flow(x)[1], atol=1e-10)
    assert torch.allclose(flow(x)[1], flow.log_relative_density(x), atol=1e-14)


@pytest.mark.parametrize(("dim", "n"), [(1, 4000), (2, 300), (3, 60)])
def test_the_density_integrates_to_one(dim, n):
    flow = moved_flow(dim, size=0.3 / dim)
    axes = [lower + extent * (torch.arange(n).double() + 0.5) / n for lower, extent in zip(flow.lower, flow.extent)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, dim)
    with torch.no_grad():
        mass = flow.log_density(grid).exp().mean() * flow.extent.prod()
    assert float(mass) == pytest.approx(1.0, abs=1e-3)


def test_samples_have_the_density():
    """Means of functions over samples are integrals against the density."""
    flow = moved_flow(2)
    samples = flow.sample(200_000, torch.Generator().manual_seed(0))
    points = uniform(flow, 200_000)
    with torch.no_grad():
        weights = flow.log_relative_density(points).exp()
    for function in (lambda x: x, lambda x: x**2, torch.sin):
        sampled, integrated = function(samples).mean(dim=0), (weights[:, None] * function(points)).mean(dim=0)
        assert torch.allclose(sampled, integrated, atol=0.01 * float(function(points).abs().max()))


def test_density_and_slope_are_finite_up_to_the_walls():
    """No power law towards a wall: the logarithm has a limit and its normal derivative too."""
    flow = moved_flow(2)
    distance = torch.tensor([1e-3, 1e-5, 1e-7], dtype=torch.float64)
    x = torch.stack([flow.lower[0] + flow.extent[0] * distance, torch.full_like(distance, 2.2)], dim=1)
    x.requires_grad_(True)
    value = flow.log_density(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    gaps = value.detach().diff().abs()
    assert 0 < gaps[1] < 2e-2 * gaps[0]
    assert torch.isfinite(slope).all()
    assert torch.allclose(slope[2], slope[1], atol=1e-3)
    wall = flow.log_density(torch.stack([flow.lower, flow.lower + flow.extent]))
    assert torch.isfinite(wall).all()


def test_the_slope_is_the_derivative():
    """Taylor's remainder falls with the square of the step."""
    flow = moved_flow(3, size=0.15)
    x = uniform(flow, 50).requires_grad_(True)
    value = flow.log_density(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    direction = flow.extent * torch.tensor([1.0, -0.5, 0.7], dtype=torch.float64)
    steps = [1e-4, 5e-5]
    rest = [
        float((flow.log_density(x + h * direction) - value - h * slope @ direction).abs().max().detach()) for h in steps
    ]
    assert np.log2(rest[0] / rest[1]) == pytest.approx(2.0, abs=0.15)


def test_in_one_dimension_two_peaks_can_be_learned():
    """No coupling helps there: the coordinate's own maps have to do it."""
    flow = BoxFlow([0.0], [1.0])
    grid = ((torch.arange(400).double() + 0.5) / 400)[:, None]
    target = sum(torch.exp(-0.5 * ((grid[:, 0] - c) / 0.04) ** 2) for c in (0.2, 0.7))
    target = target / target.mean()
    adam = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(150):
        loss = -(target * flow.log_relative_density(grid)).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    entropy = float((target * target.clamp_min(1e-300).log()).mean())
    assert float(loss.detach()) + entropy < 0.15


def test_the_same_flow_from_its_manifest_and_weights():
    flow = moved_flow(3, couplings=4, width=8)
    again = BoxFlow(**flow.manifest())
    again.load_state_dict(flow.state_dict())
    x = uniform(flow, 30)
    assert torch.equal(flow.log_density(x), again.log_density(x))


def test_generators_decide_and_the_global_one_is_not_used():
    state = torch.get_rng_state()
    flow = BoxFlow([0.0, 0.0], [1.0, 1.0])
    first, second = (flow.sample(5, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_single_precision():
    flow = moved_flow(2, dtype=torch.float32)
    x = uniform(flow, 1000)
    back, _ = flow.inverse(flow(x)[0])
    assert ((back - x) / flow.extent).abs().max() < 1e-3


def test_shapes_can_be_followed_without_memory():
    flow = BoxFlow([0.0] * 3, [1.0] * 3, device="meta")
    x = torch.empty(7, 3, dtype=torch.float64, device="meta", requires_grad=True)
    value = flow.log_density(x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (slope**2).sum().backward()
    assert value.shape == (7,)
    assert slope.is_meta


@pytest.mark.parametrize(
    ("lower", "upper", "options", "words"),
    [
        ([0.0], [0.0], {}, "empty or infinite"),
        ([0.0], [float("inf")], {}, "empty or infinite"),
        ([], [], {}, "same number of coordinates"),
        ([0.0, 0.0], [1.0], {}, "same number of coordinates"),
        ([0.0], [1.0], {"couplings": 0}, "must be positive"),
        ([0.0], [1.0], {"width": 0}, "must be positive"),
        ([0.0], [1.0], {"stretch": 0.0}, "must be positive"),
    ],
)
def test_what_cannot_be_a_flow_is_refused(lower, upper, options, words):
    with pytest.raises(OptionError, match=words):
        BoxFlow(lower, upper, **options)
