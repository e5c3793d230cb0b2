"""The stationary Allen–Cahn equation: fast waves, several scales, and the front between two phases."""

from math import pi

from ufl import cos, grad, inner, sin, sqrt, tanh

from sciml import Box, Dirichlet, Problem, dx, parameter


class _Forced(Problem):
    """−Δu + u − u³ = f with u = u* on the boundary; f is made from u*."""

    conditions = (Dirichlet(on="boundary"),)

    def flux(self, u):
        return grad(u)

    def reaction(self, u):
        return u - u**3

    def quantities(self, u):
        return {"mean_square": u**2 * dx, "dirichlet_energy": 0.5 * inner(grad(u), grad(u)) * dx}


class Sine(_Forced):
    """A fast wave under a cubic reaction, in one dimension.

    ::

        −u'' + u − u³ = f in (0, length),   u = u* on the boundary,   u* = sin(frequency x)

    As `multiscale/sine`, made nonlinear; in the form u'' + u (u² − 1) = −f of the literature. Against the
    load, of size frequency², the reaction is small.

    Parameters
    ----------
    frequency : integer from 20 to 200, 1/length
        Wave number.
    length : positive, length
        Length of the interval.

    Notes
    -----
    Good values: frequency 100 on (0, 2π), the case of the literature.

    When it breaks: The reaction is not monotone. Averaged over a wave the linearised law is −d²/dx² − ½, whose
    first eigenvalue (π/length)² − ½ is negative for lengths above 4.44: on (0, 2π) the solution is a saddle,
    not a minimum, of the energy, and there are others. Newton's method finds this one from the harmonic start,
    which is zero like the solution's mean; with boundary values that are not zero it may find another, and
    descent need not find any.

    Classical baseline: Newton's method on elements of degree 2, 2048 cells, in two steps.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    frequency = parameter(100, integer=True, at_least=1, draw=(20, 200), unit="1/length", doc="wave number")
    length = parameter(2 * pi, above=0, unit="length", doc="length of the interval")

    def domain(self):
        return Box(0.0, self.parameters["length"])

    def exact(self, x):
        return sin(self.frequency * x[0])


class Product(_Forced):
    """A beat of two waves under a cubic reaction, in one dimension.

    ::

        −u'' + u − u³ = f in (0, length),   u = u* on the boundary,   u* = sin(slow x) cos(fast x)

    As `multiscale/product`, made nonlinear.

    Parameters
    ----------
    slow, fast : from 1 to 200, 1/length
        Wave numbers.
    length : positive, length
        Length of the interval.

    Notes
    -----
    Good values: slow 6 and fast 100 on (0, 2π), the case of the literature.

    When it breaks: Not monotone, as `allen_cahn/sine`; averaged over a wave the linearised law is −d²/dx² + ¼,
    which is positive.

    Classical baseline: As for `allen_cahn/sine`.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    slow = parameter(6.0, above=0, draw=(1.0, 20.0), unit="1/length", doc="wave number of the envelope")
    fast = parameter(100.0, above=0, draw=(20.0, 200.0), unit="1/length", doc="wave number inside it")
    length = parameter(2 * pi, above=0, unit="length", doc="length of the interval")

    def domain(self):
        return Box(0.0, self.parameters["length"])

    def exact(self, x):
        return sin(self.slow * x[0]) * cos(self.fast * x[0])


class ThreeScales(_Forced):
    """A product of three-scale waves under a cubic reaction, in the plane.

    ::

        −Δu + u − u³ = f in (0, length)²,   u = u* on the boundary
        u* = g(x) g(y),   g(s) = sin s + 0.1 sin 20s + cos 100s

    The fast wave is as large as the slow one: sixteen waves a side on the unit square.

    Parameters
    ----------
    length : positive, length
        Edge of the square.

    Notes
    -----
    Good values: (0, 1)², the case of the literature.

    When it breaks: Fewer than two points for each length of 2π/100 alias. The reaction is not monotone.

    Classical baseline: Newton's method on elements of degree 4.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    also_named = ("allen_cahn/multiscale_2d",)
    length = parameter(1.0, above=0, unit="length", doc="edge of the square")

    def domain(self):
        edge = self.parameters["length"]
        return Box((0.0, 0.0), (edge, edge))

    def exact(self, x):
        first, second = (sin(s) + 0.1 * sin(20 * s) + cos(100 * s) for s in (x[0], x[1]))
        return first * second


class Front(Problem):
    """The front between two phases.

    ::

        −width² Δu + u³ − u = 0 in (−1, 1)²,   u = u* on the boundary
        u* = tanh(d/(√2 width)),   d = cos(angle) x + sin(angle) y − offset
        energy ½ width² |∇u|² + ¼ (1 − u²)²

    The equation of phase separation: u is near ±1 away from the front, where it changes over a few widths.
    Nothing is manufactured, the load is zero. Each unit of length of a straight front costs an energy of
    (2√2/3) width.

    Parameters
    ----------
    width : from 0.15 to 0.3, length
        Thickness of the front.
    angle : from 0 to 3, radians
        Direction of the front's normal.
    offset : from −0.2 to 0.2, length
        Distance of the front from the origin.

    Notes
    -----
    Good values: width 0.2 through the middle, for which Newton's method from the harmonic extension needs nine
    steps.

    When it breaks: The double well is not convex: for small widths several solutions satisfy the same boundary
    values, and below 0.15 Newton's method often fails from the harmonic extension, on fine meshes too.

    Classical baseline: Newton's method on elements of degree 2, cells of half a width.

    Source: Allen and Cahn (1979), Acta Metall. 27; the profile is theirs.
    """

    domain = Box((-1.0, -1.0), (1.0, 1.0))
    width = parameter(0.2, above=0, draw=(0.15, 0.3), log=True, unit="length", doc="thickness of the front")
    angle = parameter(0.5, draw=(0.0, 3.0), unit="rad", doc="direction of the front's normal")
    offset = parameter(0.0, draw=(-0.2, 0.2), unit="length", doc="distance of the front from the origin")
    load = 0.0
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        distance = cos(self.angle) * x[0] + sin(self.angle) * x[1] - self.offset
        return tanh(distance / (sqrt(2) * self.width))

    def energy(self, u):
        return 0.5 * self.width**2 * inner(grad(u), grad(u)) + 0.25 * (1 - u**2) ** 2

    def quantities(self, u):
        return {"energy": self.energy(u) * dx, "integral": u * dx}
