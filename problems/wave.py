"""Waves."""

import numpy as np
from ufl import as_vector, conditional, cos, exp, grad, inner, lt, pi, sin, sqrt

from sciml import Absorbing, Box, Dirichlet, Periodic, Problem, SquaredExponential, dx, parameter, random_field


class Standing(Problem):
    """A standing wave.

    ::

        ∂²u/∂t² − speed² Δu = 0 in (0, 1)^dim × (0, periods),   u = 0 on the boundary
        u = cos(ω t) Π sin(modes π x_i),   ω = speed modes π √dim

    The energy ½ ∫ (∂u/∂t)² + speed² |∇u|² is constant.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    modes : 1, 2, 3, 4, 6 or 8
        Half waves along each edge.
    speed : from 0.1 to 10, length/time
    periods : number of periods 2π/ω that the time covers

    Notes
    -----
    Good values: 3 modes and 1 period.

    When it breaks: an error in the phase grows with the number of periods, whatever the method; ten periods are a
    hard test for learned solvers.

    Classical baseline: central differences with lumped mass, one product with a sparse matrix a step.

    Source: eigenfunction of the Laplacian.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    modes = parameter(2, choices=(1, 2, 3, 4, 6, 8), doc="half waves along each edge")
    speed = parameter(1.0, above=0, draw=(0.1, 10.0), log=True, unit="length/time", doc="speed of the wave")
    periods = parameter(1.0, above=0, doc="periods that the time covers")
    mass = 1.0
    load = 0.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def time(self):
        values = self.parameters
        return values["periods"] * 2 / (values["speed"] * self.modes * self.dim**0.5)

    def flux(self, u):
        return self.speed**2 * grad(u)

    def exact(self, x, t):
        shape = 1.0
        for coordinate in x:
            shape = shape * sin(self.modes * pi * coordinate)
        return cos(self.speed * self.modes * pi * sqrt(len(x)) * t) * shape

    def quantities(self, u):
        return {"strain_energy": 0.5 * self.speed**2 * inner(grad(u), grad(u)) * dx}


class Travelling(Problem):
    """A plane wave that travels round a torus.

    ::

        ∂²u/∂t² − speed² Δu = 0 in (0, 1)^dim × (0, turns/ω),   u and its flux periodic
        u = cos 2π (Σ_i x_i − ω t),   ω = speed √dim

    What leaves on one side comes back on the other: after one turn the start is there again. All that a method adds to
    it, a wrong speed or a loss of height, stays and adds up.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    speed : from 0.1 to 10, length/time
    turns : periods 1/ω that the time covers

    Notes
    -----
    Good values: 1 turn; ten turns show errors of the phase.

    When it breaks: as for `wave/standing`, the error of the phase grows with the time.

    Classical baseline: central differences with lumped mass; a Fourier method is exact.

    Source: d'Alembert's solution.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    speed = parameter(1.0, above=0, draw=(0.1, 10.0), log=True, unit="length/time", doc="speed of the wave")
    turns = parameter(1.0, above=0, doc="periods that the time covers")
    mass = 1.0
    load = 0.0
    conditions = (Periodic("boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def time(self):
        return self.parameters["turns"] / (self.parameters["speed"] * self.dim**0.5)

    def flux(self, u):
        return self.speed**2 * grad(u)

    def exact(self, x, t):
        return cos(2 * pi * (sum(x[axis] for axis in range(self.dim)) - self.speed * sqrt(self.dim) * t))

    def quantities(self, u):
        return {"strain_energy": 0.5 * self.speed**2 * inner(grad(u), grad(u)) * dx}


def _ricker(t, frequency):
    """A pulse of one oscillation, (1 − 2a) e^(−a) with a = (π frequency (t − 1.2/frequency))²."""
    a = (pi * frequency * (t - 1.2 / frequency)) ** 2
    return (1 - 2 * a) * exp(-a)


class OpenSquare(Problem):
    """A pulse that leaves a square through absorbing sides.

    ::

        ∂²u/∂t² − speed² Δu = s(x) g(t) in (0, 1)² × (0, duration),   u = ∂u/∂t = 0 at the start
        speed² ∂u/∂n = −speed ∂u/∂t on the boundary
        s a Gaussian of integral 1 at the centre, g a Ricker pulse

    A ring runs outwards and leaves; what comes back is the error of the absorbing condition, which is exact for waves
    that meet a side at a right angle only.

    Parameters
    ----------
    speed : from 0.2 to 5, length/time
    frequency : from 1 to 10, 1/time
        Of the pulse.
    width : from 0.01 to 0.1, length
        Standard deviation of the source.
    duration : time

    Notes
    -----
    Good values: the defaults; 40 cells or more along an edge.

    When it breaks: fewer than ten points per shortest wave, speed/(2.5 frequency), give a wave that is too slow.

    Classical baseline: central differences with lumped mass.

    Source: B. Engquist, A. Majda, Math. Comp. 31 (1977) 629, for the boundary; the pulse of N. Ricker (1953).
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    speed = parameter(1.0, above=0, draw=(0.2, 5.0), log=True, unit="length/time", doc="speed of the wave")
    frequency = parameter(4.0, above=0, draw=(1.0, 10.0), log=True, unit="1/time", doc="frequency of the pulse")
    width = parameter(0.03, above=0, draw=(0.01, 0.1), log=True, unit="length", doc="width of the source")
    duration = parameter(1.0, above=0, unit="time", doc="end of the time")
    mass = 1.0
    initial = 0.0
    initial_velocity = 0.0

    def time(self):
        return self.parameters["duration"]

    def flux(self, u):
        return self.speed**2 * grad(u)

    def load(self, x, t):
        away = x - as_vector([0.5, 0.5])
        place = exp(-inner(away, away) / (2 * self.width**2)) / (2 * pi * self.width**2)
        return place * _ricker(t, self.frequency)

    def conditions(self):
        return [Absorbing(impedance=self.speed, on="boundary")]

    def quantities(self, u):
        return {"strain_energy": 0.5 * self.speed**2 * inner(grad(u), grad(u)) * dx}


class TwoMaterials(Problem):
    """A membrane of two materials with a fixed edge, struck by a pulse.

    ::

        ∂²u/∂t² − div(c² ∇u) = s(x) g(t) in (0, 1)² × (0, duration),   u = 0 on the boundary
        c = slow where x₁ < ½ + slope (x₀ − ½), c = fast elsewhere;   u = ∂u/∂t = 0 at the start

    Part of the pulse is reflected where the speed changes, part goes on with another wave length.

    Parameters
    ----------
    slow, fast : from 0.3 to 3, length/time
        Speeds of the wave.
    slope : from −1 to 1
        Of the line between the materials.
    frequency : from 1 to 6, 1/time
        Of the pulse.
    duration : time

    Notes
    -----
    Good values: the defaults; 50 cells or more along an edge.

    When it breaks: the flux is discontinuous, so there is no strong form and collocation is refused. Cells that do not
    follow the line give first order.

    Classical baseline: central differences with lumped mass.

    Source: the set-up of learned wave simulators; the figures are chosen here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    slow = parameter(0.6, above=0, draw=(0.3, 1.0), unit="length/time", doc="speed below the line")
    fast = parameter(1.5, above=0, draw=(1.0, 3.0), unit="length/time", doc="speed above the line")
    slope = parameter(0.3, between=(-1.0, 1.0), doc="slope of the line")
    frequency = parameter(3.0, above=0, draw=(1.0, 6.0), log=True, unit="1/time", doc="frequency of the pulse")
    duration = parameter(1.0, above=0, unit="time", doc="end of the time")
    mass = 1.0
    initial = 0.0
    initial_velocity = 0.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def time(self):
        return self.parameters["duration"]

    def flux(self, u, x):
        below = lt(x[1], 0.5 + self.slope * (x[0] - 0.5))
        return conditional(below, self.slow, self.fast) ** 2 * grad(u)

    def load(self, x, t):
        away = x - as_vector([0.5, 0.25])
        return exp(-inner(away, away) / (2 * 0.05**2)) / (2 * pi * 0.05**2) * _ricker(t, self.frequency)

    def quantities(self, u):
        return {"mean_square": u**2 * dx}


def _between(values):
    """From 0.6 to 1, with 0.8 where the field is 0."""
    return 0.8 + 0.2 * np.tanh(values)


def _between_slope(values):
    return 0.2 / np.cosh(values) ** 2


class Membrane(Problem):
    """A membrane of a random medium with a fault, struck by a pulse.

    ::

        ∂²u/∂t² − div(c² ∇u) = s(x) g(t) in (0, 1)² × (0, duration),   u = ∂u/∂t = 0 at the start
        c = smooth(x) on one side of a line, contrast · smooth(x) on the other,   smooth = 0.8 + 0.2 tanh γ(x)
        u = 0 (reflecting) or c² ∂u/∂n = −c ∂u/∂t (absorbing) on the boundary
        s a Gaussian of integral 1 at the source, g a Ricker pulse, γ a Gaussian random field

    Every member has another γ, line, source and frequency. The speed lies between 0.6 and 0.6 + 0.4 contrast with
    a factor of `contrast` across the line.

    Parameters
    ----------
    sides : "reflecting" or "absorbing"
    contrast : from 1 to 1.5
        Of the speeds on the two sides of the line.
    angle : from 0 to π
        Of the line's normal, which points to the faster side, against the x-axis.
    offset : from −0.25 to 0.25, length
        How far along its normal the line is from the centre.
    place : two numbers from 0.2 to 0.8, length
        Of the source.
    frequency : from 2.5 to 4, 1/time
        Of the pulse, which is over after 2.2/frequency.
    width : length
        Standard deviation of the source.
    duration : time
        Of which data sets keep 72 frames, 0.03 apart by default; the last 42 come after all pulses.

    Notes
    -----
    Good values: the defaults; 50 cells or more along an edge. Data sets are solved on as many cells as they keep, by
    lumped linear elements in explicit steps: the error of these labels against finer cells stands in the file.

    When it breaks: the flux is discontinuous, so there is no strong form and collocation is refused. Cells that do not
    follow the line give first order in the gradient. Absorbing sides reflect a little where waves meet them
    aslant.

    Classical baseline: central differences with lumped mass.

    Source: the set-up of learned wave simulators (smooth random speed, one oblique jump); the figures are chosen here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    medium = random_field(
        SquaredExponential(length=0.15),
        eigenfunctions="periodic",
        modes=16,
        box=Box((-0.3, -0.3), (1.3, 1.3)),
        transform=_between,
        slope=_between_slope,
    )
    sides = parameter("reflecting", choices=("reflecting", "absorbing"), doc="what waves meet at the boundary")
    contrast = parameter(1.5, between=(1.0, 1.5), doc="ratio of the speeds across the line")
    angle = parameter(1.1, draw=(0.0, np.pi), unit="rad", doc="direction of the line's normal")
    offset = parameter(0.1, draw=(-0.25, 0.25), unit="length", doc="distance of the line from the centre")
    place = parameter((0.4, 0.3), draw=(0.2, 0.8), unit="length", doc="place of the source")
    frequency = parameter(3.0, above=0, draw=(2.5, 4.0), log=True, unit="1/time", doc="frequency of the pulse")
    width = parameter(0.05, above=0, unit="length", doc="width of the source")
    duration = parameter(2.16, above=0, unit="time", doc="end of the time")
    reference = ("fenics", {"degree": 1, "scheme": "explicit", "cells": 252})
    generated = {"frames": 72, "refine": 1, "degree": 1, "cell_type": "simplex", "scheme": "explicit"}
    mass = 1.0
    initial = 0.0
    initial_velocity = 0.0

    def time(self):
        return self.parameters["duration"]

    def speed(self, x):
        """The speed c at a place."""
        across = (x[0] - 0.5) * cos(self.angle) + (x[1] - 0.5) * sin(self.angle)
        return self.medium * conditional(lt(across, self.offset), 1.0, self.contrast)

    def flux(self, u, x):
        return self.speed(x) ** 2 * grad(u)

    def load(self, x, t):
        away = x - self.place
        spread = exp(-inner(away, away) / (2 * self.width**2)) / (2 * pi * self.width**2)
        return spread * _ricker(t, self.frequency)

    def conditions(self, x):
        if self.sides == "reflecting":
            return [Dirichlet(0.0, on="boundary")]
        return [Absorbing(impedance=self.speed(x), on="boundary")]

    def quantities(self, u, x):
        return {"mean_square": u**2 * dx, "strain_energy": 0.5 * self.speed(x) ** 2 * inner(grad(u), grad(u)) * dx}
