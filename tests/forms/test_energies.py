"""Flux and reaction of an energy against automatic differentiation of the compiled energy."""

import numpy as np
import pytest
import torch
import ufl
from ufl import Identity, as_vector, conditional, cos, det, div, dot, dx, exp, grad, gt, inner, ln, sin, sqrt, sym, tr
from ufl.algorithms import expand_derivatives

from sciml import vector
from sciml.errors import DeclarationError, UnsupportedError
from sciml.forms import Derivative, balance, energy, exact_jet, pointwise, strong_residual, weak_form


def strain_energy(u):
    return inner(sym(grad(u)), sym(grad(u))) + 0.5 * div(u) ** 2


def neo_hooke(u):
    deformation = Identity(2) + grad(u)
    return 0.5 * (inner(deformation, deformation) - 2 - 2 * ln(det(deformation))) + ln(det(deformation)) ** 2


def saint_venant(u):
    stretch = grad(u) + grad(u).T + dot(grad(u).T, grad(u))
    return inner(stretch, stretch) / 4 + tr(stretch) ** 2


ENERGIES = {
    "Dirichlet": ((), lambda u: 0.5 * inner(grad(u), grad(u))),
    "p-Laplace": ((), lambda u: (0.1 + inner(grad(u), grad(u))) ** 1.5 / 3),
    "minimal surface": ((), lambda u: sqrt(1 + inner(grad(u), grad(u)))),
    "double well": ((), lambda u, x: exp(x[0]) * inner(grad(u), grad(u)) + (u**2 - 1) ** 2 * x[1]),
    "coupled": ((), lambda u, x: (1 + u**2) * inner(grad(u), grad(u)) + u * u.dx(0) + sin(u)),
    "contact": ((), lambda u: inner(grad(u), grad(u)) + conditional(gt(u, 0), u**2, 0)),
    "Hooke": ((2,), strain_energy),
    "neo-Hooke": ((2,), neo_hooke),
    "Saint-Venant": ((2,), saint_venant),
    "director": ((2,), lambda u, x: inner(grad(u), grad(u)) * (1 + dot(u, u)) + u[0] * u[1] * x[0]),
}


def declare(poisson, name, **changes):
    shape, law = ENERGIES[name]
    fields = {"fields": {"w": vector}} if shape else {}
    return poisson(energy=law, **fields, **({"load": 0.0} | changes))


@pytest.mark.parametrize("name", ENERGIES)
def test_flux_and_reaction_are_derivatives_of_the_energy(poisson, name):
    problem = declare(poisson, name)
    law, k, generator = balance(problem), problem.n_components, np.random.default_rng(0)
    operators = {part: pointwise(problem, getattr(law, part)) for part in ("flux", "reaction")}
    density = energy(problem)
    keys = [Derivative(c, a) for c in range(k) for a in ((), (0,), (1,))]
    x = torch.tensor(generator.random((50, 2)))
    jet = {key: torch.tensor(generator.uniform(-0.4, 0.4, 50), requires_grad=True) for key in keys}
    slopes = torch.autograd.grad(density(x, jet).sum(), list(jet.values()), allow_unused=True, materialize_grads=True)
    slope = dict(zip(keys, slopes, strict=True))
    flux = operators["flux"](x, jet).reshape(50, k, 2)
    reaction = operators["reaction"](x, jet).reshape(50, k)
    for c in range(k):
        torch.testing.assert_close(reaction[:, c], slope[Derivative(c)], rtol=1e-12, atol=1e-13)
        for axis in (0, 1):
            torch.testing.assert_close(flux[:, c, axis], slope[Derivative(c, (axis,))], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ENERGIES)
def test_the_weak_form_of_an_energy_is_that_of_its_flux(poisson, name):
    """The residual ∂E/∂u tested with v, as integrand, against flux : ∇v + reaction · v at random states."""
    problem = declare(poisson, name)
    law, v = balance(problem), problem.declaration.v
    phi = as_vector([sin(problem.declaration.x[0]), cos(problem.declaration.x[1])]) if problem.shape else None
    phi = sin(problem.declaration.x[0] * problem.declaration.x[1]) if phi is None else phi
    (integral,) = expand_derivatives(weak_form(problem).residual).integrals()
    tested = ufl.replace(integral.integrand(), {v: phi})
    direct = inner(law.flux, grad(phi)) + inner(law.reaction, phi)
    points, generator = np.random.default_rng(1).random((20, 2)), np.random.default_rng(2)
    operators = [pointwise(problem, e) for e in (tested, direct)]
    jet = {key: torch.tensor(generator.uniform(-0.4, 0.4, 20)) for key in {*operators[0].keys, *operators[1].keys}}
    first, second = (operator(torch.tensor(points), jet) for operator in operators)
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-13)


def test_an_energy_and_its_flux_declare_the_same_problem(poisson):
    def exact(x):
        return sin(x[0]) * x[1]

    one = poisson(energy=lambda u: sqrt(1 + inner(grad(u), grad(u))) + u**4 / 4, exact=exact)
    two = poisson(flux=lambda u: grad(u) / sqrt(1 + inner(grad(u), grad(u))), reaction=lambda u: u**3, exact=exact)
    points = torch.tensor(np.random.default_rng(0).random((30, 2)))
    values = []
    for problem in (one, two):
        residual = strong_residual(problem)
        jet = {key: torch.tensor(op.at(points.numpy())) + 0.1 for key, op in exact_jet(one, residual.keys).items()}
        values.append(residual(points, jet))
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-13)


def test_the_compiled_energy_contains_the_load(poisson):
    problem = poisson(energy=lambda u: u**2, load=lambda x: x[0])
    x, u = torch.tensor([[0.5, 0.1], [2.0, 0.0]]), torch.tensor([1.0, 3.0])
    assert energy(problem)(x, {Derivative(0): u}).tolist() == pytest.approx([1 - 0.5, 9 - 6.0])


def test_second_derivatives_in_an_energy_are_refused(poisson):
    with pytest.raises(DeclarationError, match="u and ∇u only; a second derivative"):
        balance(poisson(energy=lambda u: div(grad(u)) ** 2))


def test_laws_without_strong_form_or_energy_say_so(poisson):
    weak = poisson(weak=lambda u, v: inner(grad(u), grad(v)) * dx)
    with pytest.raises(UnsupportedError, match="declares only its weak form"):
        strong_residual(weak)
    with pytest.raises(UnsupportedError, match="declares no energy"):
        energy(poisson())
