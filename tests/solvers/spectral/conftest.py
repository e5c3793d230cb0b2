"""Periodic problems that the tests of this folder share."""

import pytest
from ufl import as_vector, cos, dot, grad, pi, sin

from sciml import Box, Mean, Periodic, Problem, scalar


def declare_burgers(**changes):
    """Viscous Burgers on the circle: conservative, with an initial wave."""
    parts = {
        "domain": Box(0.0, 1.0),
        "time": 0.5,
        "damping": 1.0,
        "parameters": {"viscosity": 0.02},
        "flux": lambda u, p: p.viscosity * grad(u) - 0.5 * as_vector([u**2]),
        "load": 0.0,
        "initial": lambda x: 0.5 + 0.4 * sin(2 * pi * x[0]),
        "conditions": [Periodic("boundary")],
    }
    return Problem(**(parts | changes))


def declare_flow(viscosity=0.01, **changes):
    """The vorticity of a flow on the torus from a few smooth waves; without viscosity for None."""

    def flux(vorticity, stream):
        own = {} if viscosity is None else {"vorticity": viscosity * grad(vorticity)}
        return own | {"stream": grad(stream)}

    def reaction(vorticity, stream):
        velocity = as_vector([stream.dx(1), -stream.dx(0)])
        return {"vorticity": dot(velocity, grad(vorticity)), "stream": -vorticity}

    def initial(x):
        a, b = 2 * pi * x[0], 2 * pi * x[1]
        return {"vorticity": 4 * cos(a) * sin(b) + 2 * sin(2 * a + b) + cos(3 * b - a)}

    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "time": 0.5,
        "fields": {"vorticity": scalar, "stream": scalar},
        "damping": {"vorticity": 1.0},
        "flux": flux,
        "reaction": reaction,
        "initial": initial,
        "load": {},
        "conditions": [Periodic("boundary"), Mean(0.0, field="stream")],
    }
    return Problem(**(parts | changes))


@pytest.fixture(scope="module")
def burgers():
    return declare_burgers


@pytest.fixture
def flow():
    return declare_flow
