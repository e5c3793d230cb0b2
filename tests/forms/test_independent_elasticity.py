"""Elasticity as compiled against stresses derived by hand: Hooke, neo-Hooke, Kirsch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import BOUND, N_POINTS, agree, exact_values, gradient, network, points_of

from sciml import load_problem
from sciml.forms import balance, boundary_residual, pointwise, reverse_jet, strong_residual

Tensor = torch.Tensor


def jacobian(u: torch.nn.Module, x: Tensor) -> Tensor:
    """∂u_i/∂x_j: (n, k, d)."""
    values = u(x)
    return torch.stack([gradient(values[:, i], x) for i in range(values.shape[1])], dim=1)


def divergence(stress: Tensor, x: Tensor) -> list[Tensor]:
    """Terms of −∂σ_ij/∂x_j for each j: tensors (n, k)."""
    k, d = stress.shape[1:]
    return [-torch.stack([gradient(stress[:, i, j], x)[:, j] for i in range(k)], dim=1) for j in range(d)]


# -- Hooke ---------------------------------------------------------------------------------------------------


def plane_stress(e: Tensor, young: float, nu: float) -> Tensor:
    """From σ_33 = 0: σ_11 = E/(1 − ν²) (ε_11 + ν ε_22), σ_12 = E/(1 + ν) ε_12."""
    factor = young / (1 - nu**2)
    xx, yy = factor * (e[:, 0, 0] + nu * e[:, 1, 1]), factor * (e[:, 1, 1] + nu * e[:, 0, 0])
    xy = young / (1 + nu) * e[:, 0, 1]
    return torch.stack([torch.stack([xx, xy], 1), torch.stack([xy, yy], 1)], 1)


def plane_strain(e: Tensor, young: float, nu: float) -> Tensor:
    """Plane stress with E/(1 − ν²) and ν/(1 − ν)."""
    return plane_stress(e, young / (1 - nu**2), nu / (1 - nu))


HOOKE = {"plane_stress": plane_stress, "plane_strain": plane_strain}


@pytest.mark.parametrize("state", HOOKE)
def test_hooke(state):
    problem = load_problem("elasticity/cook", state=state, young_modulus=3.0, poisson_ratio=0.35)
    # Points of the size of the network's own scale, so that its derivatives are not lost in saturated tanh.
    u, x = (
        network(2, 2),
        torch.rand(N_POINTS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4)),
    )
    x.requires_grad_(True)
    grad_u = jacobian(u, x)
    stress = HOOKE[state]((grad_u + grad_u.mT) / 2, 3.0, 0.35)
    flux = pointwise(problem, balance(problem).flux)
    agree(flux(x, reverse_jet(u, x, flux.keys)), [stress])
    residual = strong_residual(problem)
    agree(residual(x, reverse_jet(u, x, residual.keys)), divergence(stress, x))


# -- Kirsch --------------------------------------------------------------------------------------------------


def kirsch(points: np.ndarray, tension: float) -> np.ndarray:
    """Kirsch's polar stresses round a hole of radius 1, turned into Cartesian ones: (n, 2, 2)."""
    r, t = np.hypot(points[:, 0], points[:, 1]), np.arctan2(points[:, 1], points[:, 0])
    rr = tension / 2 * ((1 - r**-2) + (1 - 4 * r**-2 + 3 * r**-4) * np.cos(2 * t))
    tt = tension / 2 * ((1 + r**-2) - (1 + 3 * r**-4) * np.cos(2 * t))
    rt = -tension / 2 * (1 + 2 * r**-2 - 3 * r**-4) * np.sin(2 * t)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return np.einsum("ian,abn,jbn->nij", turn, np.array([[rr, rt], [rt, tt]]), turn)


def hole(state: str, nu: float):
    return load_problem("elasticity/plate_with_hole", state=state, poisson_ratio=nu, young_modulus=7.0, tension=2.0)


def exact_flux(problem, points: np.ndarray) -> Tensor:
    flux = pointwise(problem, balance(problem).flux)
    return flux(torch.tensor(points), exact_values(problem, flux, points))


@pytest.mark.parametrize("state", HOOKE)
@pytest.mark.parametrize("nu", [0.0, 0.3, 0.45])
def test_kirsch(state, nu):
    """The declared displacement has Kirsch's stresses, is in equilibrium, and is symmetric."""
    problem = hole(state, nu)
    points = problem.domain.sample(N_POINTS, np.random.default_rng(5))
    agree(exact_flux(problem, points), [torch.tensor(kirsch(points, 2.0))])
    residual = strong_residual(problem)
    jet = exact_values(problem, residual, points)
    scale = 7.0 * max(float(value.abs().max()) for value in jet.values())
    assert float(residual(torch.tensor(points), jet).abs().max()) <= BOUND * scale
    exact = pointwise(problem, problem.declaration.exact)
    axis = np.linspace(1, 4, 50)
    assert np.abs(exact.at(np.stack([0 * axis, axis], 1))[:, 0]).max() <= BOUND
    assert np.abs(exact.at(np.stack([axis, 0 * axis], 1))[:, 1]).max() <= BOUND


@pytest.mark.parametrize("state", HOOKE)
def test_hole_is_free_and_concentrates_stress(state):
    problem = hole(state, 0.3)
    t = np.linspace(0, np.pi / 2, 91)
    rim = np.stack([np.cos(t), np.sin(t)], 1)
    stress = exact_flux(problem, rim)
    traction = torch.einsum("nij,nj->ni", stress, torch.tensor(rim))
    assert float(traction.abs().max()) <= BOUND * 6.0
    free = [boundary_residual(problem, None, k) for k in range(2)]
    jet = exact_values(problem, free[0], rim) | exact_values(problem, free[1], rim)
    for residual in free:
        assert float(residual(torch.tensor(rim), jet, normal=torch.tensor(-rim)).abs().max()) <= BOUND * 6.0
    assert float(stress[-1, 0, 0]) == pytest.approx(3 * 2.0, rel=1e-12)
    assert float(stress[0, 1, 1]) == pytest.approx(-2.0, rel=1e-12)


# -- neo-Hooke -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [2, 3])
def test_neo_hooke(dim):
    """P = μ (F − F⁻ᵀ) + λ ln J F⁻ᵀ and its divergence."""
    mu, lam = 1.7, 4.0
    problem = load_problem("hyperelasticity/block", dim=dim, shear_modulus=mu, first_lame=lam)
    u, x = network(dim, dim, seed=6, size=0.5), points_of(problem, 100)
    deformation = torch.eye(dim, dtype=torch.float64) + jacobian(u, x)
    volume = torch.linalg.det(deformation)
    assert float(volume.detach().min()) > 0.1
    inverse = torch.linalg.inv(deformation).mT
    terms = [mu * deformation, -mu * inverse, lam * torch.log(volume)[:, None, None] * inverse]
    flux = pointwise(problem, balance(problem).flux)
    agree(flux(x, reverse_jet(u, x, flux.keys)), terms)
    residual = strong_residual(problem)
    agree(residual(x, reverse_jet(u, x, residual.keys)), divergence(sum(terms), x))
