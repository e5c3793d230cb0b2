"""The compiled laws against formulas derived by hand and written in torch or NumPy, without UFL.

Each hand-written residual is a list of the terms that are added up; the compiled one must agree within
1e-12 of the largest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from by_hand import BOUND, N_POINTS, agree, derivatives, exact_values, gradient, network, points_of, trace

from sciml import load_problem
from sciml.forms import (
    balance,
    boundary_residual,
    energy,
    pointwise,
    reverse_jet,
    strong_residual,
    taylor_jet,
)

Tensor = torch.Tensor


# -- loads ---------------------------------------------------------------------------------------------------


def near(centres: Sequence[Sequence[float]], width: float, n: int = N_POINTS) -> np.ndarray:
    """Points within a few widths of some centres."""
    generator = np.random.default_rng(2)
    return np.concatenate([np.asarray(c) + width * generator.standard_normal((n, len(c))) for c in centres])


def gaussian_load(x: np.ndarray, centre: Sequence[float], k: float) -> list[np.ndarray]:
    """−Δ exp(−k|x − c|²) = (2 d k − 4 k² |x − c|²) exp(−k|x − c|²)."""
    square = ((x - np.asarray(centre)) ** 2).sum(axis=1)
    bump = np.exp(-k * square)
    return [2 * x.shape[1] * k * bump, -4 * k**2 * square * bump]


def drift_load(x: np.ndarray, centre: Sequence[float], k: float) -> list[np.ndarray]:
    """Minus [4k²|x − c|² − 4k + 4k x·(x − c) − 4] exp(−k|x − c|²), in two dimensions."""
    offset = x - np.asarray(centre)
    square = (offset**2).sum(axis=1)
    bump = np.exp(-k * square)
    inner = (x * offset).sum(axis=1)
    return [-4 * k**2 * square * bump, 4 * k * bump, -4 * k * inner * bump, 4 * bump]


HALF, MINUS = (0.5, 0.5), (-0.5, -0.5)
LOADS = [
    ("poisson/peak", {}, [HALF], lambda x: gaussian_load(x, HALF, 1000.0)),
    (
        "poisson/peak",
        {"sharpness": 30.0, "centre": (-0.2, 0.3)},
        [(-0.2, 0.3)],
        lambda x: gaussian_load(x, (-0.2, 0.3), 30.0),
    ),
    (
        "poisson/two_peaks",
        {},
        [HALF, MINUS],
        lambda x: gaussian_load(x, HALF, 1000.0) + gaussian_load(x, MINUS, 1000.0),
    ),
    (
        "advection_diffusion/two_peaks",
        {},
        [HALF, MINUS],
        lambda x: drift_load(x, HALF, 1000.0) + drift_load(x, MINUS, 1000.0),
    ),
    ("poisson/ten_dimensional", {}, [(0.0,) * 10], lambda x: gaussian_load(x, (0.0,) * 10, 10.0)),
    (
        "nonlinear/ten_dimensional",
        {},
        [(0.0,) * 10],
        lambda x: [
            *gaussian_load(x, (0.0,) * 10, 10.0),
            np.exp(-10 * (x**2).sum(axis=1)),
            -np.exp(-30 * (x**2).sum(axis=1)),
        ],
    ),
    (
        "poisson/sine",
        {"dim": 1, "frequency": 3},
        [(0.5,)],
        lambda x: [9 * np.pi**2 * np.sin(3 * np.pi * x[:, 0])],
    ),
    (
        "poisson/sine",
        {"dim": 3, "frequency": 2},
        [(0.5,) * 3],
        lambda x: [12 * np.pi**2 * np.sin(2 * np.pi * x).prod(axis=1)],
    ),
]


@pytest.mark.parametrize(("name", "parameters", "centres", "by_hand"), LOADS)
def test_loads(name, parameters, centres, by_hand):
    problem = load_problem(name, **parameters)
    points = near(centres, parameters.get("sharpness", 1000.0 if "peak" in name else 10.0) ** -0.5)
    load = pointwise(problem, balance(problem).load).at(points)
    agree(torch.tensor(load), [torch.tensor(term) for term in by_hand(points)])


# -- scalar residuals ----------------------------------------------------------------------------------------


def wave(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """½ sin(2πx) e^y + x y with its gradient and Hessian, by hand."""
    s, c, e = torch.sin(2 * np.pi * x[:, 0]), torch.cos(2 * np.pi * x[:, 0]), torch.exp(x[:, 1])
    value = s * e / 2 + x[:, 0] * x[:, 1]
    first = torch.stack([np.pi * c * e + x[:, 1], s * e / 2 + x[:, 0]], dim=1)
    mixed = np.pi * c * e + 1
    rows = [torch.stack([-2 * np.pi**2 * s * e, mixed], dim=1), torch.stack([mixed, s * e / 2], dim=1)]
    return value, first, torch.stack(rows, dim=1)


def bending(g: Tensor, h: Tensor) -> Tensor:
    """∇uᵀ (∇∇u) ∇u."""
    return torch.einsum("ni,nij,nj->n", g, h, g)


def quadratic_diffusion(u, g, h, k=0.7):
    return [-trace(h), -k * u**2 * trace(h), -2 * k * u * (g**2).sum(1)]


def cubic_reaction(u, g, h):
    return [-trace(h), u**3]


def p_laplace(u, g, h, p=3.3, eps=0.2):
    a = eps + (g**2).sum(1)
    return [-(a ** ((p - 2) / 2)) * trace(h), -(p - 2) * a ** ((p - 4) / 2) * bending(g, h)]


def mean_curvature(u, g, h):
    a = 1 + (g**2).sum(1)
    return [-trace(h) / a**0.5, bending(g, h) / a**1.5]


MANUFACTURED = [
    ("nonlinear/quadratic_diffusion", {"strength": 0.7}, quadratic_diffusion),
    ("nonlinear/cubic_reaction", {}, cubic_reaction),
    ("nonlinear/p_laplace", {"exponent": 3.3, "epsilon": 0.2}, p_laplace),
    ("nonlinear/minimal_surface", {}, mean_curvature),
]


@pytest.mark.parametrize("jet", [reverse_jet, taylor_jet])
@pytest.mark.parametrize(("name", "parameters", "operator"), MANUFACTURED)
def test_manufactured_nonlinear(name, parameters, operator: Callable, jet):
    """N(u) − N(u*) for a random network u, both expanded by hand."""
    problem, u = load_problem(name, **parameters), network(2)
    residual, x = strong_residual(problem), points_of(problem)
    values = u(x)[:, 0]
    terms = operator(values, *derivatives(values, x)) + [-term for term in operator(*wave(x))]
    agree(residual(x, jet(u, x, residual.keys)), terms)


def test_catenoid_residual():
    """The law has no load, and the catenoid's mean curvature is zero."""
    problem, u = load_problem("nonlinear/catenoid", neck=0.8), network(2)
    residual, x = strong_residual(problem), points_of(problem)
    values = u(x)[:, 0]
    agree(residual(x, reverse_jet(u, x, residual.keys)), mean_curvature(values, *derivatives(values, x)))
    surface = ((0.8 * torch.cosh(x[:, 0] / 0.8)) ** 2 - x[:, 1] ** 2).sqrt()
    terms = mean_curvature(surface, *derivatives(surface, x))
    agree(torch.zeros(len(x)), terms)
    jet = exact_values(problem, residual, x.detach().numpy())
    scale = max(float(term.detach().abs().max()) for term in terms)
    assert float(residual(x, jet).abs().max()) <= 1e-14 * scale


@pytest.mark.parametrize("jet", [reverse_jet, taylor_jet])
def test_drift(jet):
    """−Δu + 2 x·∇u + 4 u + s."""
    problem, u = load_problem("advection_diffusion/two_peaks", sharpness=20.0), network(2)
    residual, x = strong_residual(problem), points_of(problem)
    values = u(x)[:, 0]
    g, h = derivatives(values, x)
    loads = drift_load(x.detach().numpy(), HALF, 20.0) + drift_load(x.detach().numpy(), MINUS, 20.0)
    terms = [-trace(h), 2 * (x * g).sum(1), 4 * values, *(-torch.tensor(load) for load in loads)]
    agree(residual(x, jet(u, x, residual.keys)), terms)


@pytest.mark.parametrize("jet", [reverse_jet, taylor_jet])
def test_ten_dimensions(jet):
    problem, u = load_problem("nonlinear/ten_dimensional", sharpness=0.5), network(10, seed=3)
    residual, x = strong_residual(problem), points_of(problem, 100)
    assert len(residual.keys) == 11
    values = u(x)[:, 0]
    _, h = derivatives(values, x)
    exact = torch.exp(-0.5 * (x**2).sum(1))
    load = [(10 - (x**2).sum(1)) * exact, exact, -(exact**3)]
    agree(residual(x, jet(u, x, residual.keys)), [-trace(h), values, -(values**3), *(-term for term in load)])


ENERGIES = [
    ("nonlinear/cubic_reaction", {}, lambda u, g: (g**2).sum(1) / 2 + u**4 / 4, cubic_reaction),
    (
        "nonlinear/p_laplace",
        {"exponent": 3.3, "epsilon": 0.2},
        lambda u, g: (0.2 + (g**2).sum(1)) ** 1.65 / 3.3,
        p_laplace,
    ),
    ("nonlinear/minimal_surface", {}, lambda u, g: (1 + (g**2).sum(1)).sqrt(), mean_curvature),
]


@pytest.mark.parametrize(("name", "parameters", "density", "operator"), ENERGIES)
def test_energies(name, parameters, density: Callable, operator: Callable):
    """W(u, ∇u) − load · u."""
    problem, u = load_problem(name, **parameters), network(2)
    compiled, x = energy(problem), points_of(problem)
    values = u(x)[:, 0]
    work = [-term * values for term in operator(*wave(x))]
    agree(compiled(x, reverse_jet(u, x, compiled.keys)), [density(values, gradient(values, x)), *work])


# -- conditions ----------------------------------------------------------------------------------------------

SIDES = {"left": (0, 0.0, -1.0), "right": (0, 1.0, 1.0), "bottom": (1, 0.0, -1.0), "top": (1, 1.0, 1.0)}


@pytest.mark.parametrize("side", SIDES)
def test_signs_of_conditions(side):
    """Dirichlet, Neumann and Robin of a random network: signs, normals and data by hand."""
    problem, u = load_problem("poisson/mixed_conditions", exchange=3.0), network(2)
    axis, place, sign = SIDES[side]
    x = points_of(problem).detach()
    x[:, axis] = place
    x.requires_grad_(True)
    normal = torch.zeros_like(x)
    normal[:, axis] = sign
    condition = next(c for c in problem.declaration.conditions if side in c.on)
    residual = boundary_residual(problem, condition, 0)
    values = u(x)[:, 0]
    slope, (exact, exact_gradient, _) = sign * gradient(values, x)[:, axis], wave(x)
    exact_slope = sign * exact_gradient[:, axis]
    terms = {
        "left": [values, -exact],
        "right": [slope, -exact_slope],
        "bottom": [slope, -exact_slope],
        "top": [slope, 3 * values, -3 * exact, -exact_slope],
    }[side]
    agree(residual(x, reverse_jet(u, x, residual.keys), normal=normal), terms)


def test_conductivity_by_region():
    """The flux of the composite is k ∇T with k read off the place."""
    problem, u = load_problem("thermal/fibre_composite", matrix=2.0, fibre=30.0), network(2)
    flux, x = pointwise(problem, balance(problem).flux), points_of(problem, 2000)
    radius = ((x - 0.5) ** 2).sum(1).sqrt()
    x = x[(radius - 0.3).abs() > 1e-3].detach().requires_grad_(True)
    inside = ((x - 0.5) ** 2).sum(1).sqrt() < 0.3
    expected = torch.where(inside, 30.0, 2.0)[:, None] * gradient(u(x)[:, 0], x)
    agree(flux(x, reverse_jet(u, x, flux.keys)), [expected])


def test_corner_solution():
    """The corner solution is r^(2/3) sin(2θ/3) with θ from 0 to 3π/2, and harmonic."""
    problem = load_problem("poisson/l_shape")
    x = problem.domain.sample(N_POINTS, np.random.default_rng(3))
    angle = np.arctan2(x[:, 1], x[:, 0]) % (2 * np.pi)
    radius = np.hypot(x[:, 0], x[:, 1])
    compiled = pointwise(problem, problem.declaration.exact).at(x)
    agree(torch.tensor(compiled), [torch.tensor(radius ** (2 / 3) * np.sin(2 * angle / 3))])
    residual = strong_residual(problem)
    jet = exact_values(problem, residual, x)
    scale = max(float(second.abs().max()) for second in jet.values())
    assert float(residual(torch.tensor(x), jet).abs().max()) <= BOUND * scale
