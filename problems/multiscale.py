"""Several wave lengths at once: Poisson's equation −Δu = f with such solutions, and the cell of a periodic medium."""

from math import pi

from ufl import as_vector, cos, exp, grad, inner, ln, sin

from sciml import Box, Dirichlet, Mean, Periodic, Problem, dx, parameter


class _Poisson(Problem):
    """−Δu = f with u = u* on the boundary of (0, length)^n; f is made from u*."""

    length = parameter(2 * pi, above=0, unit="length", doc="edge of the domain")
    conditions = (Dirichlet(on="boundary"),)

    def domain(self):
        return Box(0.0, self.parameters["length"])

    def flux(self, u):
        return grad(u)

    def quantities(self, u):
        return {"energy": 0.5 * inner(grad(u), grad(u)) * dx, "mean_square": u**2 * dx}


class _Plane(_Poisson):
    """The same on a square."""

    def domain(self):
        edge = self.parameters["length"]
        return Box((0.0, 0.0), (edge, edge))


class Sine(_Poisson):
    """One fast wave in one dimension.

    ::

        −u'' = frequency² sin(frequency x) in (0, length),   u = u* on the boundary,   u* = sin(frequency x)

    A hundred waves side by side. The load is frequency² times larger than the solution, so a residual that
    looks large belongs to a small error. On whole waves the energy ½ ∫ u'² is frequency² length/4 and the
    integral of u² is length/2.

    Parameters
    ----------
    frequency : from 1 to 200, 1/length
        Wave number: frequency/2π waves per unit of length.
    length : positive, length
        Edge of the domain.

    Notes
    -----
    Good values: frequency 100 on (0, 2π), the case of the literature.

    When it breaks: Fewer than two points a wave alias: (0, 2π) needs more than 200, and a finite element of
    degree 2 about 50 nodes a wave for an error of 1e-4. Gradient descent on a plain network stays near zero.

    Classical baseline: Elements of degree 2 on 2048 cells; Chebyshev or sine collocation with some four
    points a wave reaches rounding.

    Source: Fang et al., Solving High Frequency and Multi-Scale PDEs with Gaussian Processes, ICLR 2024 (arXiv
    2311.04465), formulas and intervals from its code, where the equation reads u'' = f.
    """

    frequency = parameter(100.0, above=0, draw=(1.0, 200.0), log=True, unit="1/length", doc="wave number")

    def exact(self, x):
        return sin(self.frequency * x[0])


class Product(_Poisson):
    """A slow wave times a fast one in one dimension.

    ::

        −u'' = f in (0, length),   u = u* on the boundary,   u* = sin(slow x) cos(fast x)

    The same as ½ sin((fast + slow) x) − ½ sin((fast − slow) x): with 6 and 100 two close frequencies, 94 and
    106, that beat. Over (0, 2π), for different whole wave numbers, the integral of u² is π/2 and the energy is
    π (slow² + fast²)/4.

    Parameters
    ----------
    slow, fast : from 1 to 200, 1/length
        Wave numbers.
    length : positive, length
        Edge of the domain.

    Notes
    -----
    Good values: slow 6 and fast 100 on (0, 2π), the case of the literature.

    When it breaks: As `multiscale/sine`: fewer than two points a wave alias. A method that learns one
    frequency stops at half of the solution.

    Classical baseline: As for `multiscale/sine`.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    slow = parameter(6.0, above=0, draw=(1.0, 20.0), unit="1/length", doc="wave number of the envelope")
    fast = parameter(100.0, above=0, draw=(20.0, 200.0), unit="1/length", doc="wave number inside it")

    def exact(self, x):
        return sin(self.slow * x[0]) * cos(self.fast * x[0])


class GrowingWave(_Poisson):
    """A fast wave whose amplitude grows, in one dimension.

    ::

        −u'' = f in (0, length),   u = u* on the boundary,   u* = x sin(frequency x)

    The amplitude runs from 0 to the length of the interval, so no single scale suits both ends. For whole
    wave numbers over (0, 2π) the integral of u² is 4π³/3 − π/(2 frequency²).

    Parameters
    ----------
    frequency : from 1 to 200, 1/length
        Wave number.
    length : positive, length
        Edge of the domain.

    Notes
    -----
    Good values: frequency 200 on (0, 2π), the case of the literature.

    When it breaks: 400 evenly spaced points on (0, 2π) are two a wave and alias; the literature's runs fail
    there and need 900.

    Classical baseline: As for `multiscale/sine`, with 4096 cells.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code, numbers of points
    from its logs.
    """

    frequency = parameter(200.0, above=0, draw=(1.0, 200.0), log=True, unit="1/length", doc="wave number")

    def exact(self, x):
        return x[0] * sin(self.frequency * x[0])


class WaveOnParabola(_Poisson):
    """A very fast wave on a parabola, in one dimension.

    ::

        −u'' = f in (0, length),   u = u* on the boundary,   u* = sin(frequency x) − 2 (x − ½)²

    The load is that of the wave, up to a part in 60 000: the parabola is seen in the boundary values and in the
    mean only.

    Parameters
    ----------
    frequency : from 1 to 500, 1/length
        Wave number.
    length : positive, length
        Edge of the domain.

    Notes
    -----
    Good values: frequency 500 on (0, 1), the case of the literature: eighty waves.

    When it breaks: The parabola is lost if residuals are weighed by their size. A domain of length 2π has 500
    waves and needs thousands of points.

    Classical baseline: As for `multiscale/sine`.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    frequency = parameter(500.0, above=0, draw=(1.0, 500.0), log=True, unit="1/length", doc="wave number")
    length = parameter(1.0, above=0, unit="length", doc="edge of the domain")

    def exact(self, x):
        return sin(self.frequency * x[0]) - 2 * (x[0] - 0.5) ** 2


class ThreeScales(_Poisson):
    """Three waves of very different lengths and sizes, in one dimension.

    ::

        −u'' = f in (0, length),   u = u* on the boundary
        u* = sin x + 0.1 sin 20x + 0.05 w(100x),   w = cos or sin

    The fastest wave is a twentieth of the slowest in the solution, but five hundred times larger in the load:
    who fits the load first finds the waves in the wrong order. For w = sin over (0, 2π) the integral of u² is
    1.0125 π and the energy 30 π/2.

    Parameters
    ----------
    third : "cos" or "sin"
        Shape w of the fastest wave.
    length : positive, length
        Edge of the domain.

    Notes
    -----
    Good values: The defaults. The description that comes with the published code has the cosine, the code
    itself the sine: try both. Its runs use (0, 1) and (0, 2π).

    When it breaks: An error of 5 % in L2 may mean that the fastest wave is missing altogether: look at H1.

    Classical baseline: As for `multiscale/sine`.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    also_named = ("poisson/multiscale_1d",)
    third = parameter("cos", choices=("cos", "sin"), doc="shape of the fastest wave")

    def exact(self, x):
        wave = cos if self.third == "cos" else sin
        return sin(x[0]) + 0.1 * sin(20 * x[0]) + 0.05 * wave(100 * x[0])


class PlaneWaves(_Plane):
    """A product of fast waves in the plane.

    ::

        −Δu = 2 frequency² u* in (0, length)²,   u = u* on the boundary
        u* = sin(frequency x) w(frequency y),   w = sin or cos

    One wave number in each direction, sixteen waves side by side on the unit square. Over whole waves the
    integral of u² is length²/4 and the energy frequency² length²/4.

    Parameters
    ----------
    frequency : from 1 to 100, 1/length
        Wave number in each direction.
    second : "sin" or "cos"
        Shape w of the wave in y.
    length : positive, length
        Edge of the square.

    Notes
    -----
    Good values: frequency 100 on (0, 1)²; the literature has w = sin on (0, 2π)² too, a hundred waves a side.

    When it breaks: On (0, 1)² elements of degree 2 reach an error of 1e-3 with the default limit on unknowns.
    On (0, 2π)² they need more than a million unknowns for one per cent, as does degree 4.

    Classical baseline: Sine or Chebyshev collocation with fast transforms, or elements of degree 4.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    frequency = parameter(100.0, above=0, draw=(1.0, 100.0), log=True, unit="1/length", doc="wave number")
    second = parameter("sin", choices=("sin", "cos"), doc="shape of the wave in y")
    length = parameter(1.0, above=0, unit="length", doc="edge of the square")

    def exact(self, x):
        wave = sin if self.second == "sin" else cos
        return sin(self.frequency * x[0]) * wave(self.frequency * x[1])


class SumOfProducts(_Plane):
    """A sum of beating waves in the plane.

    ::

        −Δu = f in (0, length)²,   u = u* on the boundary,   u* = g(x) + g(y),   g(s) = sin 6s cos 20s

    The same beat along each axis, added: the solution has rank two. Over (0, 2π)² the integral of u² is 2π²
    and the energy 436 π².

    Parameters
    ----------
    length : positive, length
        Edge of the square.

    Notes
    -----
    Good values: (0, 2π)², the case of the literature.

    When it breaks: Elements of degree 2 reach an error of about 1e-3 with the default limit on unknowns.

    Classical baseline: Elements of degree 4 on 64 × 64 cells are as good with a quarter of the unknowns.

    Source: Fang et al., ICLR 2024 (arXiv 2311.04465), formulas and intervals from its code.
    """

    def exact(self, x):
        return sum(sin(6 * x[i]) * cos(20 * x[i]) for i in range(2))


class PeriodicCell(Problem):
    """The cell problem of a periodic medium, with its effective conductivity.

    ::

        −div(k (e + ∇w)) = 0 in (0, 1)²,   w and its flux periodic,   mean of w = 0
        k = contrast^(½ sin 2πx sin 2πy),   e = (cos angle, sin angle)

    The temperature of a medium that repeats itself is a mean gradient e plus a fluctuation w that every cell repeats.
    The mean flux is the effective conductivity times e: on large scales the medium conducts like a homogeneous one.
    Here a shift by half a period turns k into 1/k, so the effective conductivity is 1, the geometric mean, for
    every contrast and angle: the quantity `along` is 1 and `across` is 0.

    Parameters
    ----------
    contrast : from 1 to 1000
        Largest conductivity over smallest.
    angle : from 0 to π
        Direction of the mean gradient.

    Notes
    -----
    Good values: the defaults; both quantities are found to four digits by elements of degree 2 on 16 × 16 cells.

    When it breaks: With the contrast grows the flux through the saddles of k, whose width cells must resolve.

    Classical baseline: Finite elements or spectral methods on the periodic grid.

    Source: J. B. Keller, J. Math. Phys. 5 (1964) 548, and A. M. Dykhne, Sov. Phys. JETP 32 (1971) 63, for media that
    exchange their phases; V. V. Jikov, S. M. Kozlov, O. A. Oleinik, Homogenization of Differential Operators (1994),
    section 1.5.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    contrast = parameter(10.0, at_least=1.0, draw=(1.0, 1000.0), log=True, doc="largest conductivity over smallest")
    angle = parameter(0.5, between=(0.0, pi), unit="rad", doc="direction of the mean gradient")
    load = 0.0
    conditions = (Periodic("boundary"), Mean(0.0))

    def direction(self):
        return as_vector([cos(self.angle), sin(self.angle)])

    def flux(self, u, x):
        conductivity = exp(0.5 * ln(self.contrast) * sin(2 * pi * x[0]) * sin(2 * pi * x[1]))
        return conductivity * (self.direction() + grad(u))

    def quantities(self, u, x):
        flux, e = self.flux(u, x), self.direction()
        return {"along": inner(flux, e) * dx, "across": (flux[1] * e[0] - flux[0] * e[1]) * dx}
