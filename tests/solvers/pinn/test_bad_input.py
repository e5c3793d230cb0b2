"""What cannot be done is refused with one sentence, before anything is built."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
import torch
from ufl import conditional, dx, grad, gt, inner

from sciml import Box, Dirichlet, MeshDomain, Problem, load_problem
from sciml.errors import DomainError, OptionError, ScimlError, UnsupportedError
from sciml.problem import box_mesh


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """Any training that is begun fails the test."""

    def begun(*arguments, **keywords):
        raise AssertionError("work was started")

    monkeypatch.setattr("sciml.solvers.pinn.PinnTraining", begun)


def refused(kind, problem=None, **options):
    with pytest.raises(kind) as error:
        small.trained(problem, **options)
    assert isinstance(error.value, ScimlError)
    message = str(error.value)
    assert message.endswith((".", "?"))
    assert "\n" not in message
    return message


OUTSIDE = np.array([[0.0, 0.0], [0.5, 1.5]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"beta": 0}, ["beta=0", "greater than 0"]),
        ({"beta": -1.0}, ["beta=-1"]),
        ({"beta": float("nan")}, ["beta=nan"]),
        ({"flow_learning_rate": float("inf")}, ["learning_rate=inf"]),
        ({"points": 300}, ["budget of 250", "300 points"]),
        ({"budget": 150}, ["budget of 150", "no room", "sampler=aas", "add=0"]),
        ({"budget": None, "sampler": "rad"}, ["no room", "sampler=rad"]),
        ({"batch": 50}, ["batch=50", "optimizer=adam", "gauss_newton"]),
        ({"batch": 251, "optimizer": "adam"}, ["batch=251", "budget of 250"]),
        ({"sampler": "random"}, ["sampler='random'", "quasi_random", "user"]),
        ({"optimizer": "sgd"}, ["optimizer='sgd'", "gauss_newton"]),
        ({"sampler": "user"}, ["no points", "array", "function"]),
        ({"sampler": "user", "user_points": OUTSIDE}, ["1 of 2 points", "outside", "[0.5, 1.5]"]),
        ({"sampler": "user", "user_points": np.zeros((4, 3))}, ["(4, 3)", "(n, 2)"]),
        ({"sampler": "user", "user_points": np.zeros((300, 2))}, ["budget of 250", "300 of the user"]),
        ({"user_points": OUTSIDE}, ["sampler=user", "aas"]),
        ({"sampler": "rar", "add": 0}, ["add is 0", "rar"]),
        ({"sampler": "rad", "every": 0}, ["every is 0", "rad"]),
        ({"sampler": "leverage", "uniform_share": 0}, ["uniform_share is 0"]),
        ({"sampler": "rad", "candidates": 10}, ["10 candidates", "25"]),
        ({"momentum": 1}, ["momentum=1"]),
        ({"network": "transformer"}, ["network='transformer'", "torch.nn.Module"]),
        ({"network": torch.nn.Linear(2, 1), "features": "fourier"}, ["features=fourier", "network=mlp"]),
        ({"width": 0}, ["width=0"]),
        ({"threads": 0}, ["threads=0"]),
        ({"cpu_seconds": 0}, ["cpu_seconds=0"]),
        ({"stepss": 3}, ["stepss", "steps"]),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_options(options, expected):
    message = refused(OptionError, **options)
    assert all(part in message for part in expected), message


def test_conditions_on_a_mesh():
    message = refused(UnsupportedError, load_problem("poisson/l_shape"), conditions="hard")
    assert "conditions=hard" in message
    assert "not a box" in message


def test_a_discontinuous_flux():
    """Without a strong form there is no residual."""
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u, x: conditional(gt(x[0], 0.5), 10.0, 1.0) * grad(u),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    assert "'pinn' cannot do" in refused(UnsupportedError, problem)


def test_a_weak_form():
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        weak=lambda u, v: inner(grad(u), grad(v)) * dx,
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    assert "'pinn' cannot do" in refused(UnsupportedError, problem)


def test_a_domain_that_the_flow_cannot_cover():
    """A strip along the diagonal fills too little of its bounding box."""
    flat = box_mesh([0, 0], [1, 0.02], [20, 2])
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    strip = Problem(
        domain=MeshDomain(replace(flat, points=flat.points @ turn)),
        flux=lambda u: grad(u),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    message = refused(DomainError, strip)
    assert "bounding box" in message
    assert "another sampler" in message


def test_a_device_that_is_not_there():
    message = refused(OptionError, device="toaster")
    assert "toaster" in message
