"""Pure advection: stationary transport without diffusion."""

from ufl import as_vector, dot, grad, sin

from sciml import Box, Dirichlet, Problem, ds, dx, parameter


class FastTransport(Problem):
    """Transport of a wave across the unit square, two hundred times faster along x.

    ::

        speed u_x + u_y = 0 in (0, 1)²,   u = u* on the left and the bottom (inflow),   u* = sin(x − speed y)

    Along y thirty waves fit into the square at speed 200, along x a sixth of one. There is no diffusion: what
    enters is carried along straight lines and leaves unchanged, and data on the outflow sides would be one
    condition too many.

    Parameters
    ----------
    speed : from 1 to 200
        Speed along x; that along y is 1.

    Notes
    -----
    Good values: speed 200 is the case of the literature, which sets u on the whole boundary; 20 is gentle.
    At 200 elements of degree 2 reach an error of 6e-3 with the default limit on unknowns.

    When it breaks: There is no stabilisation: data that are not smooth, or cells longer than a quarter of a
    wave, give oscillations that do not decay. The law is of first order: no energy, no conjugate gradients.

    Classical baseline: The formula along characteristics; discontinuous Galerkin elements with upwinding.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    speed = parameter(200.0, above=0, draw=(1.0, 200.0), log=True, doc="speed along x")
    load = 0.0
    conditions = (Dirichlet(on=["left", "bottom"]),)

    def exact(self, x):
        return sin(x[0] - self.speed * x[1])

    def flux(self, u):
        return 0 * grad(u)

    def reaction(self, u):
        return dot(as_vector([self.speed, 1.0]), grad(u))

    def quantities(self, u):
        return {"mean_square": u**2 * dx, "outflow": u * ds("top")}
