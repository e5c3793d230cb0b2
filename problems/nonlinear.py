"""Nonlinear scalar equations: diffusion that depends on u or ∇u, reactions, minimal surfaces."""

from math import inf, pi

from ufl import conditional as choose
from ufl import cosh, exp, ge, grad, inner, sin, sqrt

from sciml import Box, Dirichlet, Problem, dx, parameter


def _wave(x):
    return 0.5 * sin(2 * pi * x[0]) * exp(x[1]) + x[0] * x[1]


def _square(u):
    return inner(grad(u), grad(u))


class QuadraticDiffusion(Problem):
    """Diffusion whose coefficient grows with the square of the solution.

    ::

        −div((1 + strength u²) ∇u) = f in (0, 1)²,   u = u* on the boundary,   u* = ½ sin(2πx) e^y + x y

    Monotone in w = u + strength u³/3, for which −Δw = f; in u itself the law is not the derivative of an
    energy. Newton's method from the harmonic extension of the boundary values needs about five steps.

    Parameters
    ----------
    strength : from 0 to 10, 1/(unit of u)²
        Weight of the nonlinear term; 0 is Poisson's equation.

    Notes
    -----
    Convexity: None to speak of; the law is not the derivative of an energy in u. In w it is that of ½ |∇w|².

    Good values: strength 1.

    When it breaks: The Jacobian is not symmetric: conjugate gradients do not apply.

    Source: Manufactured; the transformation is Kirchhoff's.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    strength = parameter(1.0, at_least=0, draw=(0.0, 10.0), doc="weight of the nonlinear term")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _wave(x)

    def flux(self, u):
        return (1 + self.strength * u**2) * grad(u)

    def quantities(self, u):
        return {"integral": u * dx, "dissipation": (1 + self.strength * u**2) * _square(u) * dx}


class CubicReaction(Problem):
    """Diffusion with a cubic reaction.

    ::

        −Δu + u³ = f in (0, 1)²,   u = u* on the boundary,   u* = ½ sin(2πx) e^y + x y
        energy ½ |∇u|² + ¼ u⁴

    The energy is strictly convex, so there is one solution and every descent method finds it.

    Notes
    -----
    Convexity: The Hessian in ∇u is 1, in u 3 u²: lower bound 1, no upper bound. While |u| ≤ R the upper bound is
    the larger of 1 and 3 R². Quadratic growth in ∇u, quartic in u.

    Good values: Newton's method from the harmonic extension needs three steps.

    When it breaks: The energy has no bounded second derivative in u: bounds that need one hold only for |u|
    below a constant.

    Source: Manufactured; the equation is a standard semilinear example.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _wave(x)

    def energy(self, u):
        return 0.5 * _square(u) + 0.25 * u**4

    convexity = (1.0, inf)

    def quantities(self, u):
        return {"energy": self.energy(u) * dx}


class PLaplace(Problem):
    """The regularised p-Laplace equation.

    ::

        −div((ε + |∇u|²)^((p − 2)/2) ∇u) = f in (0, 1)²,   u = u* on the boundary,   u* = ½ sin(2πx) e^y + x y
        energy (ε + |∇u|²)^(p/2) / p

    A power law for the flux: flow of glaciers and polymers (p < 2), turbulent filtration (p > 2). The energy
    is strictly convex for p > 1.

    Parameters
    ----------
    exponent : from 1.5 to 4
        p; 2 is Poisson's equation.
    epsilon : from 0.001 to 1, (unit of ∇u)²
        ε, which keeps the coefficient finite and positive where the gradient vanishes.

    Notes
    -----
    Convexity: The Hessian in ∇u has the eigenvalues s^(p − 2) and s^(p − 4) (ε + (p − 1) |∇u|²) with
    s² = ε + |∇u|². For p ≥ 2 the lower bound is ε^((p − 2)/2) and there is no upper one; while |∇u| ≤ G it is
    (p − 1) (ε + G²)^((p − 2)/2). For p < 2 these two change places, and the lower bound without G is 0. Growth
    of power p.

    Good values: exponent 3 or 1.5, with epsilon 0.1.

    When it breaks: The gradient of u* vanishes at (0.737, 0.391). There the coefficient is ε^((p − 2)/2), and
    it varies over a length of √ε/|D²u*|, a hundredth of the square at ε = 0.1: cells must resolve it.
    Newton's method from the harmonic extension takes about ten steps at p = 3, thirty at p = 4, more on finer
    meshes, and fails beyond.

    Source: Manufactured; see Barrett and Liu (1993), Math. Comp. 61, for the finite element analysis.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    exponent = parameter(3.0, above=1, draw=(1.5, 4.0), doc="p, the power of the gradient in the energy")
    epsilon = parameter(0.1, above=0, draw=(1e-3, 1.0), log=True, doc="ε, the regularisation")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _wave(x)

    def energy(self, u):
        return (self.epsilon + _square(u)) ** (self.exponent / 2) / self.exponent

    def convexity(self):
        bound = self.epsilon ** (self.exponent / 2 - 1)
        steep = ge(self.exponent, 2.0)
        return choose(steep, bound, 0.0), choose(steep, inf, bound)

    def quantities(self, u):
        return {"energy": self.energy(u) * dx}


class MinimalSurface(Problem):
    """A graph of prescribed mean curvature.

    ::

        −div(∇u / √(1 + |∇u|²)) = f in (0, 1)²,   u = u* on the boundary,   u* = ½ sin(2πx) e^y + x y
        energy √(1 + |∇u|²), the area of the graph

    The load is the mean curvature (times two) that u* has. The energy is convex, but its curvature falls like
    (1 + |∇u|²)^(−3/2), so steep parts are nearly flat directions for a minimiser.

    Notes
    -----
    Convexity: The Hessian in ∇u has the eigenvalues (1 + |∇u|²)^(−1/2) and (1 + |∇u|²)^(−3/2): upper bound 1,
    lower bound 0, or (1 + G²)^(−3/2) while |∇u| ≤ G. Linear growth.

    Good values: Newton's method from the harmonic extension needs six or seven steps.

    When it breaks: The energy grows only linearly: for loads that are too large no solution exists.

    Source: Manufactured; Lagrange's equation of minimal surfaces.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _wave(x)

    def energy(self, u):
        return sqrt(1 + _square(u))

    convexity = (0.0, 1.0)

    def quantities(self, u):
        return {"area": self.energy(u) * dx}


class Catenoid(Problem):
    """The minimal surface between two rings: a catenoid.

    ::

        −div(∇u / √(1 + |∇u|²)) = 0 in (−1, 1) × (−½, ½),   u = u* on the boundary
        u* = √(neck² cosh²(x/neck) − y²)
        energy √(1 + |∇u|²), the area of the graph

    The upper part of a catenoid whose axis is the x-axis: a surface of zero mean curvature that is a graph
    over this rectangle. Nothing is manufactured, so it checks energy, differentiation and solver at once.

    Parameters
    ----------
    neck : from 0.6 to 2, length
        Smallest radius of the catenoid.

    Notes
    -----
    Convexity: As `nonlinear/minimal_surface`.

    Good values: neck 1.

    When it breaks: Towards neck ½ the graph becomes vertical at the middle of the long sides.

    Source: Euler (1744); the equation of minimal graphs is Lagrange's.
    """

    domain = Box((-1.0, -0.5), (1.0, 0.5))
    neck = parameter(1.0, between=(0.6, 2.0), unit="length", doc="smallest radius of the catenoid")
    load = 0.0
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return sqrt((self.neck * cosh(x[0] / self.neck)) ** 2 - x[1] ** 2)

    def energy(self, u):
        return sqrt(1 + _square(u))

    convexity = (0.0, 1.0)

    def quantities(self, u):
        return {"area": self.energy(u) * dx}


class TenDimensional(Problem):
    """A cubic reaction in ten dimensions with a Gaussian.

    ::

        −Δu + u − u³ = f in (−1, 1)^10,   u = u* on the boundary,   u* = exp(−sharpness |x|²)

    With s = sharpness the load is f = (20 s − 4 s² |x|²) u* + u* − u*³. The reaction falls for |u| > 1/√3,
    but the first Dirichlet eigenvalue of −Δ on this box, 10 π²/4 ≈ 24.7, outweighs that while |u| stays below
    1: the linearised law is positive there.

    Parameters
    ----------
    sharpness : from 0.1 to 10, 1/length²
        Inverse squared width of the bump.

    Notes
    -----
    Good values: sharpness 10 is the published case as recalled; 0.5 is gentle enough for a first try.

    When it breaks: As `poisson/ten_dimensional`: at sharpness 10 errors measured on uniform points are random
    numbers, and the boundary values are not zero.

    Source: The ten-dimensional nonlinear problem of Tang, Zhai, Wan and Yang, ICLR 2024 (arXiv 2305.18702),
    as recalled: the paper's own table could not be read, so no published figure is given here. The load is
    derived here.
    """

    domain = Box((-1.0,) * 10, (1.0,) * 10)
    sharpness = parameter(10.0, above=0, draw=(0.1, 10.0), log=True, unit="1/length²", doc="inverse squared width")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return exp(-self.sharpness * inner(x, x))

    def flux(self, u):
        return grad(u)

    def reaction(self, u):
        return u - u**3
