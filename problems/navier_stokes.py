"""Viscous incompressible flow: the Navier–Stokes equations in velocity and pressure."""

import numpy as np
from ufl import Identity, as_vector, cos, div, dot, exp, grad, inner, pi, sin, sqrt

from sciml import (
    Box,
    Dirichlet,
    Mean,
    MeshData,
    MeshDomain,
    Neumann,
    PointValue,
    Problem,
    Uniform,
    ds,
    dx,
    parameter,
    scalar,
    vector,
)


class _NavierStokes(Problem):
    """(∂v/∂t) + (∇v) v − div(viscosity ∇v − p I) = 0, div v = 0, in Taylor–Hood elements; density 1."""

    fields = {"velocity": vector, "pressure": scalar.element(lower=1)}

    def flux(self, velocity, pressure):
        return {"velocity": self.viscosity * grad(velocity) - pressure * Identity(2)}

    def reaction(self, velocity):
        return {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)}

    def quantities(self, velocity):
        return {"kinetic_energy": 0.5 * inner(velocity, velocity) * dx}


class Kovasznay(_NavierStokes):
    """The wake behind a row of bars.

    ::

        (∇v) v − div(∇v/reynolds − p I) = 0,  div v = 0 in (−½, 1) × (−½, 3/2)
        v = (1 − e^(λx₀) cos 2πx₁, λ/(2π) e^(λx₀) sin 2πx₁),   p = ½ (1 − e^(2λx₀)),
        λ = reynolds/2 − √(reynolds²/4 + 4π²)

    An exact solution of the full equations: two vortices a period behind the bars, which die out downstream. Velocity
    is prescribed except on the right, where flux·n is.

    Parameters
    ----------
    reynolds : from 5 to 200

    Notes
    -----
    Good values: reynolds 40; λ is −0.96 there.

    When it breaks: for large numbers the wake hardly decays within the domain and Newton's method may need steps.

    Classical baseline: Taylor–Hood elements and Newton's method, four iterations.

    Source: L. I. G. Kovasznay, Proc. Camb. Phil. Soc. 44 (1948) 58.
    """

    domain = Box((-0.5, -0.5), (1.0, 1.5))
    reynolds = parameter(40.0, above=0, draw=(5.0, 200.0), log=True, doc="Reynolds number")
    conditions = (
        Dirichlet(on=["left", "bottom", "top"], field="velocity"),
        Neumann(on="right", field="velocity"),
    )

    @property
    def viscosity(self):
        return 1 / self.reynolds

    def exact(self, x):
        decay = self.reynolds / 2 - sqrt(self.reynolds**2 / 4 + 4 * pi**2)
        wake = exp(decay * x[0])
        return {
            "velocity": as_vector([1 - wake * cos(2 * pi * x[1]), decay / (2 * pi) * wake * sin(2 * pi * x[1])]),
            "pressure": 0.5 * (1 - wake**2),
        }


class Cavity(_NavierStokes):
    """A box whose lid is drawn along, with inertia.

    ::

        (∇v) v − div(∇v/reynolds − p I) = 0,  div v = 0 in (0, 1)²,   mean of p = 0
        v = (16 x₀² (1 − x₀)², 0) on the lid x₁ = 1,   v = 0 on the other sides

    The eddy of `stokes/cavity`, carried towards the side that the lid moves to, and to the middle of the box as the
    number grows.

    Parameters
    ----------
    reynolds : from 1 to 400

    Notes
    -----
    Good values: reynolds 100.

    When it breaks: from some hundreds on Newton's method needs load steps (`load_steps`), which raise the speed of the
    lid; from several thousand on the flow is unsteady.

    Classical baseline: Taylor–Hood elements on 64 × 64 cells with Newton's method, a few seconds.

    Source: The regularised cavity of O. Botella and R. Peyret, Computers & Fluids 27 (1998) 421, where the classical
    one, with a jump at the corners, is treated.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    reynolds = parameter(100.0, above=0, draw=(1.0, 400.0), log=True, doc="Reynolds number")

    @property
    def viscosity(self):
        return 1 / self.reynolds

    def conditions(self, x):
        lid = as_vector([16 * x[0] ** 2 * (1 - x[0]) ** 2, 0.0])
        return [
            Dirichlet((0.0, 0.0), on=["left", "right", "bottom"], field="velocity"),
            Dirichlet(lid, on="top", field="velocity"),
            Mean(0.0, field="pressure"),
        ]

    def quantities(self, velocity):
        return super().quantities(velocity) | {"speed_centre": PointValue(velocity[0], at=(0.5, 0.5))}


class TaylorGreen(_NavierStokes):
    """Vortices that decay without changing their shape.

    ::

        ∂v/∂t + (∇v) v − div(viscosity ∇v − p I) = 0,  div v = 0 in (0, 1)² × (0, duration),   mean of p = 0
        v = d (sin πx₀ cos πx₁, −cos πx₀ sin πx₁),   p = ¼ d² (cos 2πx₀ + cos 2πx₁),   d = e^(−2π² viscosity t)

    Inertia is balanced by the pressure, so that only diffusion acts. v is prescribed on the boundary.

    Parameters
    ----------
    viscosity : from 0.001 to 1, length²/time
    duration : time

    Notes
    -----
    Good values: the defaults; the speed falls to 0.61.

    When it breaks: for small viscosity the flow is unstable, and rounding ends the symmetry in the long run.

    Classical baseline: Taylor–Hood elements with BDF2.

    Source: G. I. Taylor, Phil. Mag. 46 (1923) 671; G. I. Taylor and A. E. Green, Proc. R. Soc. A 158 (1937) 499.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    viscosity = parameter(0.05, above=0, draw=(0.001, 1.0), log=True, unit="length²/time", doc="kinematic viscosity")
    duration = parameter(0.5, above=0, unit="time", doc="end of the time")
    damping = {"velocity": 1.0}
    conditions = (Dirichlet(on="boundary", field="velocity"), Mean(0.0, field="pressure"))

    def time(self):
        return self.parameters["duration"]

    def exact(self, x, t):
        decay = exp(-2 * pi**2 * self.viscosity * t)
        a, b = pi * x[0], pi * x[1]
        return {
            "velocity": decay * as_vector([sin(a) * cos(b), -cos(a) * sin(b)]),
            "pressure": 0.25 * decay**2 * (cos(2 * a) + cos(2 * b)),
        }


class Pipe(_NavierStokes):
    """Flow through a winding pipe.

    ::

        (∇v) v − div(viscosity ∇v − p I) = 0,  div v = 0,   |x₁ − c(x₀)| < ½, 0 < x₀ < 10
        v = (4 speed s (1 − s), 0) at the inlet, with s from 0 to 1 across it,   v = 0 on the walls,
        flux·n = 0 at the outlet

    The centre line c is a cubic Hermite curve on four pieces, with `heights` and `slopes` at its five nodes x₀ = 0,
    2.5, 5, 7.5, 10. The fluid runs faster where the pipe is steep, since it is as wide as before when measured upright.
    Each member of the family has a pipe of its own: an operator learns v₀ from the places of the mesh's nodes.

    Parameters
    ----------
    viscosity : 0.005, length²/time
    speed : from 0.1 to 1, length/time
        In the middle of the inlet; the discharge is 2 speed/3.
    heights : five numbers from −2 to 2, length
    slopes : five numbers from −1 to 1
    cells : from 4 to 256
        Cells along and across the pipe.

    Notes
    -----
    Good values: cells 64 for the data sets of operator learning, which keep 129 × 129 nodes; speed 0.25.

    When it breaks: the cells are sheared parallelograms: where the slope is beyond 1 between the nodes, they are thin.

    Classical baseline: Taylor–Hood elements of degree 2 on quadrilaterals and Newton's method: five iterations.

    Source: The pipe of Li, Huang, Liu and Anandkumar, Fourier Neural Operator with Learned Deformations, JMLR 24 (2023)
    388. The laws of heights and slopes, and the speed of its data, are recalled here, not verified.
    """

    viscosity = parameter(0.005, above=0, unit="length²/time", doc="kinematic viscosity")
    speed = parameter(0.25, above=0, at_most=1.0, unit="length/time", doc="speed in the middle of the inlet")
    heights = parameter(
        (0.0, 0.5, -0.5, 0.5, 0.0), between=(-2, 2), draw=Uniform(-2.0, 2.0), unit="length", doc="centre line's nodes"
    )
    slopes = parameter(
        (0.0, 0.0, 0.0, 0.0, 0.0), between=(-1, 1), draw=Uniform(-1.0, 1.0), doc="centre line's slopes at the nodes"
    )
    cells = parameter(16, integer=True, between=(4, 256), doc="cells along and across")

    def domain(self):
        straight = Box((0.0, -0.5), (10.0, 0.5)).mesh(int(self.parameters["cells"]), "tensor")
        points = straight.points.copy()
        points[:, 1] += _hermite(
            points[:, 0] / 2.5, self.parameters["heights"], 2.5 * np.array(self.parameters["slopes"])
        )
        sides = straight.facet_groups
        walls = np.concatenate([sides["x1-"], sides["x1+"]])
        groups = {"inlet": sides["x0-"], "outlet": sides["x0+"], "walls": walls}
        return MeshDomain(MeshData(points, straight.cells, straight.cell_type, straight.degree, groups))

    def conditions(self, x):
        across = x[1] - self.heights[0]
        return [
            Dirichlet(as_vector([self.speed * (1 - 4 * across**2), 0.0]), on="inlet", field="velocity"),
            Dirichlet((0.0, 0.0), on="walls", field="velocity"),
        ]

    def quantities(self, velocity, pressure, n):
        return super().quantities(velocity) | {
            "discharge": inner(velocity, n) * ds("outlet"),
            "pressure_inlet": pressure * ds("inlet"),
        }


def _hermite(s, values, slopes):
    """The cubic Hermite curve through `values` with `slopes` at s = 0, 1, 2, …"""
    piece = np.clip(s.astype(int), 0, len(values) - 2)
    r = s - piece
    values, slopes = np.asarray(values), np.asarray(slopes)
    return (
        values[piece] * (1 + 2 * r) * (1 - r) ** 2
        + slopes[piece] * r * (1 - r) ** 2
        + values[piece + 1] * r**2 * (3 - 2 * r)
        + slopes[piece + 1] * r**2 * (r - 1)
    )
