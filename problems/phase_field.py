"""Phases and fronts."""

from ufl import cos, grad, pi, sqrt, tanh

from sciml import Box, Dirichlet, Problem, dx, parameter


class Front(Problem):
    """A front that moves: the bistable reaction–diffusion equation.

    ::

        ∂u/∂t − Δu + u (1 − u) (threshold − u) = 0 in (−10, 10) × (0, duration),   u = exact at both ends
        u = ½ (1 − tanh((x − speed t)/(2√2))),   speed = (1 − 2 threshold)/√2

    The state 1 on the left invades the state 0 where the threshold is below one half. The equation is nonlinear and its
    solution known, which makes it a test of time integrators and learned solvers alike.

    Parameters
    ----------
    threshold : between 0 and 1
    duration : time

    Notes
    -----
    Good values: the defaults; the front moves by 3.5.

    When it breaks: near a threshold of 0 or 1 the invaded state loses its stability.

    Classical baseline: BDF2 with Newton's method.

    Source: A. C. Newell, J. A. Whitehead (1969) and J. Nagumo, S. Arimoto, S. Yoshizawa (1962) for the equation; the
    solution is checked by the tests.
    """

    domain = Box(-10.0, 10.0)
    threshold = parameter(0.25, between=(0.0, 1.0), doc="state that separates the two basins")
    duration = parameter(10.0, above=0, unit="time", doc="end of the time")
    damping = 1.0
    load = 0.0
    conditions = (Dirichlet(on="boundary"),)

    def time(self):
        return self.parameters["duration"]

    def flux(self, u):
        return grad(u)

    def reaction(self, u):
        return u * (1 - u) * (self.threshold - u)

    def exact(self, x, t):
        speed = (1 - 2 * self.threshold) / sqrt(2)
        return 0.5 * (1 - tanh((x[0] - speed * t) / (2 * sqrt(2))))

    def quantities(self, u):
        return {"invaded": u * dx}


class AllenCahn(Problem):
    """The Allen–Cahn equation: two phases that separate and coarsen.

    ::

        ∂u/∂t − thickness² Δu + u³ − u = 0 in (−1, 1)^dim × (0, duration),   ∂u/∂n = 0 on the boundary
        u = ½ Π cos(π x_i) + 1/10 at the start

    The state runs to ±1 within a time of order one; between the phases remain layers of the width √2 thickness, which
    move slowly by their curvature. The energy ∫ ½ thickness² |∇u|² + ¼ (1 − u²)² falls all the time.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    thickness : from 0.02 to 0.5, length
    duration : time

    Notes
    -----
    Good values: the defaults; cells smaller than the thickness.

    When it breaks: below a thickness of 0.02 the layers need adapted meshes, and learned solvers stay near 0.

    Classical baseline: BDF2 with Newton's method.

    Source: S. M. Allen, J. W. Cahn, Acta Metall. 27 (1979) 1085.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    thickness = parameter(0.1, above=0, draw=(0.02, 0.5), log=True, unit="length", doc="width of the layers")
    duration = parameter(4.0, above=0, unit="time", doc="end of the time")
    damping = 1.0
    load = 0.0

    def domain(self):
        return Box((-1.0,) * self.dim, (1.0,) * self.dim)

    def time(self):
        return self.parameters["duration"]

    def flux(self, u):
        return self.thickness**2 * grad(u)

    def reaction(self, u):
        return u**3 - u

    def initial(self, x):
        shape = 0.5
        for coordinate in x:
            shape = shape * cos(pi * coordinate)
        return shape + 0.1

    def quantities(self, u):
        slope = grad(u)
        return {"energy": (0.5 * self.thickness**2 * sum(s**2 for s in slope) + 0.25 * (1 - u**2) ** 2) * dx}
