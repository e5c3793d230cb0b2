"""Viscous incompressible flow: the Navier–Stokes equations in velocity and pressure, or in vorticity on the torus."""

import numpy as np
from ufl import Identity, as_vector, cos, div, dot, exp, grad, inner, pi, sin, sqrt

from sciml import (
    Box,
    Dirichlet,
    Mean,
    MeshData,
    MeshDomain,
    Neumann,
    Periodic,
    PointValue,
    Problem,
    Spectral,
    Uniform,
    ds,
    dx,
    parameter,
    random_field,
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
    speed : 0.25, length/time
        In the middle of the inlet; the discharge is 2 speed/3. The same in all members.
    heights : five numbers from −2 to 2, length
    slopes : five numbers from −1 to 1
    cells : at least 4
        Cells along and across the pipe, the same in all members.

    Notes
    -----
    Good values: cells 64 for the data sets of operator learning, which keep 129 × 129 nodes; speed 0.25.

    When it breaks: the cells are sheared parallelograms: where the slope is beyond 1 between the nodes, they are thin.
    At speeds near 1 (a Reynolds number of 200) Newton's method finds no steady flow through the most crooked pipes.

    Classical baseline: Taylor–Hood elements of degree 2 on quadrilaterals and Newton's method: five iterations.

    Source: The pipe of Li, Huang, Liu and Anandkumar, Fourier Neural Operator with Learned Deformations, JMLR 24 (2023)
    388. The laws of heights and slopes, and the speed of its data, are recalled here, not verified.
    """

    learned = "velocity[0]"
    viscosity = parameter(0.005, above=0, unit="length²/time", doc="kinematic viscosity")
    speed = parameter(0.25, above=0, unit="length/time", doc="speed in the middle of the inlet")
    heights = parameter(
        (0.0, 0.5, -0.5, 0.5, 0.0), between=(-2, 2), draw=Uniform(-2.0, 2.0), unit="length", doc="centre line's nodes"
    )
    slopes = parameter(
        (0.0, 0.0, 0.0, 0.0, 0.0), between=(-1, 1), draw=Uniform(-1.0, 1.0), doc="centre line's slopes at the nodes"
    )
    cells = parameter(16, integer=True, at_least=4, doc="cells along and across")

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


class _OnTheTorus(Problem):
    """∂ω/∂t + v·∇ω − viscosity Δω = load,  −Δψ = ω,  v = (∂ψ/∂y, −∂ψ/∂x) on the unit torus; mean of ψ = 0."""

    domain = Box((0.0, 0.0), (1.0, 1.0))
    fields = {"vorticity": scalar, "stream": scalar}
    learned = "vorticity"
    damping = {"vorticity": 1.0}
    conditions = (Periodic("boundary"), Mean(0.0, field="stream"))

    def time(self):
        return self.parameters["duration"]

    def flux(self, vorticity, stream):
        return {"vorticity": self.viscosity * grad(vorticity), "stream": grad(stream)}

    def reaction(self, vorticity, stream):
        velocity = as_vector([stream.dx(1), -stream.dx(0)])
        return {"vorticity": dot(velocity, grad(vorticity)), "stream": -vorticity}

    def quantities(self, vorticity, stream):
        return {
            "kinetic_energy": 0.5 * inner(grad(stream), grad(stream)) * dx,
            "enstrophy": 0.5 * vorticity**2 * dx,
        }


class Vorticity(_OnTheTorus):
    """Forced flow on the torus from a random vorticity, a classic of operator learning.

    ::

        ∂ω/∂t + v·∇ω = viscosity Δω + 0.1 (sin 2π(x₀ + x₁) + cos 2π(x₀ + x₁)) in (0, 1)² × (0, duration)
        v = (∂ψ/∂x₁, −∂ψ/∂x₀),   −Δψ = ω,   all periodic,   mean of ψ = 0
        ω = amplitude g at the start,   g ~ N(0, 7^(3/2) (−Δ + 49)^(−5/2)) with mean zero

    The force feeds one wave; inertia folds it into filaments, which viscosity smooths. Each member of the family has a
    start of its own: an operator learns ω at later times from it, or from its first ten seconds.

    Parameters
    ----------
    viscosity : from 1e-5 to 1e-2, length²/time
    amplitude : positive
        Of the start. The generator that the authors published draws from 2 · 7³ (−Δ + 49)^(−5/2), which is an amplitude
        of √2 · 7^(3/4) = 6.09.
    duration : time

    Notes
    -----
    Good values: the data sets of operator learning have viscosity 1e-3 with duration 50, 1e-4 with 30, 1e-5 with 20.

    When it breaks: at 1e-5 the filaments are thinner than a grid of 64² shows (solve on 128² and keep every second
    value); finite elements without stabilisation then need cells as small.

    Classical baseline: Fourier modes (the solver `spectral`).

    Source: Z. Li et al., Fourier Neural Operator for Parametric Partial Differential Equations, ICLR 2021, section 5.3.
    The series of g is cut at 32 waves, beyond which 0.6 % of its size lies.
    """

    viscosity = parameter(1e-3, above=0, draw=(1e-5, 1e-2), log=True, unit="length²/time", doc="kinematic viscosity")
    amplitude = parameter(1.0, above=0, doc="factor of the start")
    duration = parameter(1.0, above=0, unit="time", doc="end of the time")
    start = random_field(
        Spectral(sigma=7**0.75, tau=7.0, alpha=2.5), eigenfunctions="periodic", modes=32, fixed_mean=True
    )

    def load(self, x):
        phase = 2 * pi * (x[0] + x[1])
        return {"vorticity": 0.1 * (sin(phase) + cos(phase))}

    def initial(self):
        return {"vorticity": self.amplitude * self.start}


class TaylorGreenVorticity(_OnTheTorus):
    """A lattice of vortices on the torus that decays without changing its shape.

    ::

        ∂ω/∂t + v·∇ω = viscosity Δω in (0, 1)² × (0, duration)
        v = (∂ψ/∂x₁, −∂ψ/∂x₀),   −Δψ = ω,   all periodic,   mean of ψ = 0
        ψ = e^(−2κ² viscosity t) sin κx₀ sin κx₁,   ω = 2κ² ψ,   κ = 2π waves

    Vorticity is constant along stream lines, so that inertia vanishes: an exact solution of the nonlinear equation. A
    spectral method has the errors of its steps in time alone.

    Parameters
    ----------
    viscosity : from 1e-4 to 0.1, length²/time
    waves : integer from 1 to 8
        Pairs of vortices along each axis.
    duration : time

    Notes
    -----
    Good values: the defaults; the vorticity falls to 0.67.

    When it breaks: more waves than one are unstable at small viscosity, and rounding ends their symmetry in the long
    run.

    Classical baseline: Fourier modes (the solver `spectral`), exact here.

    Source: G. I. Taylor, Phil. Mag. 46 (1923) 671.
    """

    viscosity = parameter(0.01, above=0, draw=(1e-4, 0.1), log=True, unit="length²/time", doc="kinematic viscosity")
    waves = parameter(1, integer=True, at_least=1, draw=(1, 8), doc="pairs of vortices along each axis")
    duration = parameter(0.5, above=0, unit="time", doc="end of the time")
    load = {}

    def exact(self, x, t):
        number = 2 * pi * self.waves
        stream = exp(-2 * number**2 * self.viscosity * t) * sin(number * x[0]) * sin(number * x[1])
        return {"vorticity": 2 * number**2 * stream, "stream": stream}
