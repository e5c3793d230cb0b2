"""Slow viscous flow: Stokes' equations in velocity and pressure."""

from ufl import Identity, as_vector, cos, div, grad, inner, pi, sin

from sciml import Box, Dirichlet, Mean, PointValue, Problem, ds, dx, parameter, scalar, vector


class _Stokes(Problem):
    """−div(viscosity ∇v − p I) = f, div v = 0, in Taylor–Hood elements."""

    fields = {"velocity": vector, "pressure": scalar.element(lower=1)}
    viscosity = parameter(1.0, above=0, draw=(0.01, 100.0), log=True, unit="Pa s", doc="viscosity")

    def flux(self, velocity, pressure):
        return {"velocity": self.viscosity * grad(velocity) - pressure * Identity(2)}

    def reaction(self, velocity):
        return {"pressure": div(velocity)}

    def quantities(self, velocity):
        return {"dissipation": self.viscosity * inner(grad(velocity), grad(velocity)) * dx}


class Vortex(_Stokes):
    """A smooth vortex in a closed box.

    ::

        −div(viscosity ∇v − p I) = f,  div v = 0 in (0, 1)²,   v = 0 on the boundary,   mean of p = 0
        v = (∂ψ/∂x₁, −∂ψ/∂x₀),  ψ = sin²(π x₀) sin²(π x₁),   p = cos(π x₀) sin(2 π x₁)

    One eddy fills the box. No boundary lets fluid out, so that the pressure is determined up to a constant, which its
    mean fixes.

    Parameters
    ----------
    viscosity : from 0.01 to 100, Pa s

    Notes
    -----
    Good values: viscosity 1, Taylor–Hood elements of degree 2: velocity of order 3, pressure of order 2 in L2.

    When it breaks: for small viscosity the pressure's error enters the velocity as error/viscosity: these elements
    conserve mass only on average (V. John et al., SIAM Review 59 (2017) 492).

    Classical baseline: Taylor–Hood elements with a direct solver in 2-D.

    Source: manufactured.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    conditions = (Dirichlet((0.0, 0.0), on="boundary", field="velocity"), Mean(0.0, field="pressure"))

    def exact(self, x):
        stream = sin(pi * x[0]) ** 2 * sin(pi * x[1]) ** 2
        return {
            "velocity": as_vector([stream.dx(1), -stream.dx(0)]),
            "pressure": cos(pi * x[0]) * sin(2 * pi * x[1]),
        }


class Cavity(_Stokes):
    """A box whose lid is drawn along.

    ::

        −div(viscosity ∇v − p I) = 0,  div v = 0 in (0, 1)²,   mean of p = 0
        v = (16 x₀² (1 − x₀)², 0) on the lid x₁ = 1,   v = 0 on the other sides

    One large eddy below the lid, with a chain of ever weaker ones in each lower corner. The speed of the lid falls to
    zero with its slope at the ends, so that the data are continuous and the solution is smoother than that of the
    classical cavity.

    Parameters
    ----------
    viscosity : from 0.01 to 100, Pa s
        It scales the pressure and leaves the velocity.

    Notes
    -----
    Good values: any viscosity.

    When it breaks: pointwise pressures at the lid's ends converge slowly.

    Classical baseline: Taylor–Hood elements on 64 × 64 cells, a second.

    Source: The regularised cavity of O. Botella and R. Peyret, Computers & Fluids 27 (1998) 421, where the classical
    one, with a jump at the corners, is treated.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self, x):
        lid = as_vector([16 * x[0] ** 2 * (1 - x[0]) ** 2, 0.0])
        return [
            Dirichlet((0.0, 0.0), on=["left", "right", "bottom"], field="velocity"),
            Dirichlet(lid, on="top", field="velocity"),
            Mean(0.0, field="pressure"),
        ]

    def quantities(self, velocity):
        return super().quantities(velocity) | {"speed_centre": PointValue(velocity[0], at=(0.5, 0.5))}


class Channel(_Stokes):
    """Flow between two plates.

    ::

        −div(viscosity ∇v − p I) = 0,  div v = 0 in (0, 4) × (0, 1)
        v = (4 speed x₁ (1 − x₁), 0) at the inlet on the left,   v = 0 on the plates,   flux·n = 0 at the outlet

    The parabola goes through unchanged: v = (4 speed x₁ (1 − x₁), 0), p = 8 viscosity speed (4 − x₀). The discharge is
    2 speed/3.

    Parameters
    ----------
    viscosity : from 0.01 to 100, Pa s
    speed : from 0.1 to 10, m/s
        In the middle.

    Notes
    -----
    Good values: any. Elements of degree 2 give the solution to rounding on every mesh.

    When it breaks: it does not; it shows that a solver's boundary conditions are right. With the symmetric gradient in
    place of ∇v the parabola would not go through the open end.

    Classical baseline: a formula.

    Source: Hagen 1839, Poiseuille 1840; any textbook.
    """

    domain = Box((0.0, 0.0), (4.0, 1.0))
    speed = parameter(1.0, above=0, draw=(0.1, 10.0), log=True, unit="m/s", doc="speed in the middle")

    def exact(self, x):
        return {
            "velocity": as_vector([4 * self.speed * x[1] * (1 - x[1]), 0.0]),
            "pressure": 8 * self.viscosity * self.speed * (4 - x[0]),
        }

    def conditions(self):
        return [
            Dirichlet(on="left", field="velocity"),
            Dirichlet((0.0, 0.0), on=["bottom", "top"], field="velocity"),
        ]

    def quantities(self, velocity, n):
        return super().quantities(velocity) | {"discharge": inner(velocity, n) * ds("right")}
