"""Advection: transport with little diffusion or none, from the inflow on."""

from ufl import as_vector, cos, dot, exp, grad, pi, sin, tanh

from sciml import Box, Dirichlet, Neumann, Problem, ds, dx, parameter


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
    Good values: speed 200 is the case of the literature, which sets u on the whole boundary
    (`advection/four_sides`); 20 is gentle. At 200 elements of degree 2 reach an error of 6e-3 with the default
    limit on unknowns.

    When it breaks: Cells longer than a quarter of a wave cannot follow it. The law is of first order: no energy,
    no conjugate gradients.

    Classical baseline: The formula along characteristics; elements with streamline upwinding, discontinuous
    Galerkin elements.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    speed = parameter(200.0, above=0, draw=(1.0, 200.0), log=True, doc="speed along x")
    load = 0.0
    conditions = (Dirichlet(on=["left", "bottom"]),)

    def exact(self, x):
        return sin(x[0] - self.speed * x[1])

    def reaction(self, u):
        return dot(as_vector([self.speed, 1.0]), grad(u))

    def quantities(self, u):
        return {"mean_square": u**2 * dx, "outflow": u * ds("top")}


class FourSides(FastTransport):
    """Transport of a wave across the unit square, with data on all four sides.

    ::

        speed u_x + u_y = 0 in (0, 1)²,   u = u* on the boundary,   u* = sin(x − speed y)

    The case of the literature as it stands: y is a time, and the state at the end is given along with that at the
    start. The data agree with the solution, so that there is one, but they determine it twice.

    Parameters
    ----------
    speed : from 1 to 200
        Speed along x; that along y is 1.

    Notes
    -----
    Good values: speed 200.

    When it breaks: A method with as many equations as unknowns cannot take the data on the right and on the top;
    least squares (collocation, Gaussian processes) can. Data that are wrong by δ spoil the solution by about δ
    everywhere along the wind. For finite elements take `advection/fast_transport`.

    Classical baseline: The formula along characteristics.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code; relative L2 errors of
    its logs are 1.4e-4 to 1.4e-3.
    """

    conditions = (Dirichlet(on="boundary"),)


class Inflow(Problem):
    """A wave that enters an interval and is carried through it.

    ::

        ∂u/∂t + speed ∂u/∂x = 0 in (0, 1) × (0, duration)
        u = u* at the left end (inflow) and at the start,   u* = sin(x − speed t)

    Thirty waves pass at speed 200, each six times longer than the interval. At the right end nothing is prescribed:
    what arrives leaves.

    Parameters
    ----------
    speed : from 1 to 200, length/time
    duration : time
        The end of the time; it starts at 0.

    Notes
    -----
    Good values: speed 200 and duration 1 are those of the literature; speed 1 is a sixth of a wave.

    When it breaks: Steps longer than a tenth of a period, 0.6/speed, damp the wave and delay it.

    Classical baseline: The formula along characteristics; Lax–Wendroff with steps of 1/speed cells is exact.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), read as a problem in time; `advection/four_sides` is its own
    form, in which the time is an axis of space.
    """

    domain = Box(0.0, 1.0)
    speed = parameter(200.0, above=0, draw=(1.0, 200.0), log=True, unit="length/time", doc="speed")
    duration = parameter(1.0, above=0, unit="time", doc="end of the time")
    damping = 1.0
    load = 0.0
    conditions = (Dirichlet(on="left"),)

    def time(self):
        return self.parameters["duration"]

    def exact(self, x, t):
        return sin(x[0] - self.speed * t)

    def reaction(self, u):
        return self.speed * u.dx(0)

    def quantities(self, u):
        return {"mean_square": u**2 * dx, "outflow": u * ds("right")}


class QuarterTurn(Problem):
    """A smooth profile that a rotating wind carries round a corner.

    ::

        y u_x − x u_y = 0 in (0, 1)²,   u = u* on the left and the top (inflow)
        u* = exp(−sharpness (x² + y² − ½)²)

    The wind (y, −x) turns about the lower left corner and stands still in it. What enters on the left leaves at the
    bottom, what enters at the top leaves on the right; u is constant along circles.

    Parameters
    ----------
    sharpness : from 1 to 1000, 1/length⁴
        The ridge is about 0.7/√sharpness wide.

    Notes
    -----
    Good values: sharpness 20.

    When it breaks: Cells wider than the ridge leave ripples along it. Without upwinding elements of degree 2
    lose one order.

    Classical baseline: The formula along characteristics; elements with streamline upwinding, of order
    degree + ½ at least.

    Source: Textbook; Johnson (1987), Numerical Solution of Partial Differential Equations by the Finite Element
    Method, chapter 9.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    sharpness = parameter(20.0, above=0, draw=(1.0, 1000.0), log=True, unit="1/length⁴", doc="how narrow the ridge is")
    load = 0.0
    conditions = (Dirichlet(on=["left", "top"]),)

    def exact(self, x):
        return exp(-self.sharpness * (dot(x, x) - 0.5) ** 2)

    def reaction(self, u, x):
        return dot(as_vector([x[1], -x[0]]), grad(u))

    def quantities(self, u):
        return {"mean_square": u**2 * dx, "outflow": u * ds("bottom")}


class SkewLayer(Problem):
    """A steep internal layer along a wind that is skew to the mesh, with hardly any diffusion.

    ::

        −Δu/peclet + b·∇u = s in (0, 1)²,   b = (cos a, sin a),   a = angle in degrees
        u = u* on the left and the bottom (inflow),   ∂u/∂n = ∂u*/∂n on the right and the top
        u* = ½ + ½ tanh((b × x − ⅕ cos a)/width),   b × x = y cos a − x sin a

    A front enters at the height ⅕ of the left side and crosses the square along the wind; s is the little that
    diffusion would change.

    Parameters
    ----------
    peclet : from 1e3 to 1e8
        Péclet number: speed length/diffusivity.
    angle : from 10 to 60, degrees
        Of the wind against the x axis.
    width : from 0.01 to 0.5, length
        Half the width of the layer.

    Notes
    -----
    Good values: peclet 1e6 with an angle of 45 degrees and width 0.05; the width of the textbooks is zero.

    When it breaks: Cells longer than the width. Streamline upwinding then keeps the rest of the square clean, but
    does not prevent over- and undershoots of some 10 % along the layer: it is not monotone. Without it they spread
    over the whole square.

    Classical baseline: Elements with streamline upwinding; shock capturing or limiters where bounds matter.

    Source: Brooks and Hughes, Comput. Methods Appl. Mech. Eng. 32 (1982) 199, advection skew to the mesh, with a
    layer of finite width so that the solution is known.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    peclet = parameter(1e6, above=0, draw=(1e3, 1e8), log=True, doc="Péclet number")
    angle = parameter(45.0, between=(1.0, 89.0), draw=(10.0, 60.0), unit="degrees", doc="direction of the wind")
    width = parameter(
        0.05, between=(0.01, 1.0), draw=(0.01, 0.5), log=True, unit="length", doc="half the width of the layer"
    )
    conditions = (Dirichlet(on=["left", "bottom"]), Neumann(on=["right", "top"]))

    @property
    def _wind(self):
        radians = pi * self.angle / 180
        return as_vector([cos(radians), sin(radians)])

    def exact(self, x):
        b = self._wind
        return (1 + tanh((b[0] * x[1] - b[1] * x[0] - 0.2 * b[0]) / self.width)) / 2

    def flux(self, u):
        return grad(u) / self.peclet

    def reaction(self, u):
        return dot(self._wind, grad(u))

    def quantities(self, u):
        return {"integral": u * dx, "outflow": u * ds("top")}
