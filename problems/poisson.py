"""Poisson's equation −Δu = f: smooth, peaked, singular, in ten dimensions, with every kind of condition."""

from math import pi

from ufl import as_vector, atan2, cos, dot, exp, grad, inner, sin, sqrt

from sciml import (
    Box,
    Dirichlet,
    Matern,
    Mean,
    MeshFile,
    Neumann,
    Periodic,
    Problem,
    Robin,
    ds,
    dx,
    parameter,
    random_field,
    shapes,
)


def _gaussian(x, centre, sharpness):
    return exp(-sharpness * inner(x - centre, x - centre))


def _wave(x):
    return 0.5 * sin(2 * pi * x[0]) * exp(x[1]) + x[0] * x[1]


def _energy(u):
    return 0.5 * inner(grad(u), grad(u)) * dx


class Sine(Problem):
    """Poisson's equation with a product of sines.

    ::

        −Δu = dim (frequency π)² u* in (0, 1)^dim,   u = 0 on the boundary,   u* = Π_i sin(frequency π x_i)

    The first problem to try: smooth, of size one, the same in every dimension. All errors should fall at the
    optimal rate. The energy ½ ∫|∇u|² is dim (frequency π)² / 2^(dim + 1); the flux through the left side is
    −frequency π (2/(frequency π))^(dim − 1) for odd frequencies.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    frequency : integer from 1 to 16
        Half waves along each axis.

    Notes
    -----
    Good values: frequency 1 for a check of orders, 4 and more to see how slowly plain gradient descent learns
    oscillations.

    When it breaks: A mesh or network that cannot follow frequency/2 waves per unit length returns something
    near zero.

    Source: Textbook; an eigenfunction of the Laplacian.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    frequency = parameter(1, integer=True, at_least=1, draw=(1, 16), doc="half waves along each axis")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def exact(self, x):
        value = sin(self.frequency * pi * x[0])
        for axis in range(1, self.dim):
            value *= sin(self.frequency * pi * x[axis])
        return value

    def flux(self, u):
        return grad(u)

    def load(self, x):
        return self.dim * (self.frequency * pi) ** 2 * self.exact(x)

    def quantities(self, u, n):
        return {"energy": _energy(u), "flux_left": dot(grad(u), n) * ds("left")}


class Peak(Problem):
    """Poisson's equation with one sharp Gaussian peak.

    ::

        −Δu = f in (−1, 1)²,   u = u* on the boundary,   u* = exp(−sharpness |x − centre|²)

    The load is made from u*: f = (4 s − 4 s² q) exp(−s q) with s = sharpness and q = |x − centre|². It
    reaches 4 s within about 1/√s of the centre and vanishes elsewhere, so points spread evenly hardly meet
    it. While the peak is well inside, the integral of u is π/s, its mean square π/(8 s), and its energy π/2.

    Parameters
    ----------
    sharpness : from 1 to 10 000, 1/length²
        Inverse squared width of the peak.
    centre : two numbers from −0.9 to 0.9, length
        Place of the peak.

    Notes
    -----
    Good values: sharpness 1000 and centre (0.5, 0.5) are those of the literature on adaptive sampling; with
    sharpness 10 uniform points do well.

    When it breaks: At sharpness 1000 the zero function has a mean square error of 3.9e-4 only: look at the
    relative error. Cells or point distances above 1/√sharpness miss the peak altogether.

    Source: Tang, Wan and Yang, DAS-PINNs, J. Comput. Phys. 476 (2023), with the values of its code; used
    again by Tang, Zhai, Wan and Yang, ICLR 2024 (arXiv 2305.18702).
    """

    domain = Box((-1.0, -1.0), (1.0, 1.0))
    sharpness = parameter(1000.0, above=0, draw=(1.0, 1e4), log=True, unit="1/length²", doc="inverse squared width")
    centre = parameter((0.5, 0.5), draw=(-0.9, 0.9), unit="length", doc="place of the peak")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _gaussian(x, self.centre, self.sharpness)

    def flux(self, u):
        return grad(u)

    def quantities(self, u):
        return {"energy": _energy(u), "integral": u * dx}


class TwoPeaks(Problem):
    """Poisson's equation with two sharp Gaussian peaks.

    ::

        −Δu = f in (−1, 1)²,   u = u* on the boundary,
        u* = exp(−sharpness |x − first|²) + exp(−sharpness |x − second|²)

    As `poisson/peak`, but whoever adapts to the solution must find both places and share the effort between
    them.

    Parameters
    ----------
    sharpness : from 1 to 10 000, 1/length²
        Inverse squared width of the peaks.
    first, second : two numbers from −0.9 to 0.9, length
        Places of the peaks.

    Notes
    -----
    Good values: sharpness 1000 with peaks at ±(0.5, 0.5).

    When it breaks: As `poisson/peak`. Members drawn at random can have both peaks in one place.

    Source: The solution is that of the two-peak problem of DAS-PINNs (Tang, Wan and Yang 2023), whose
    equation also has a drift: that is `advection_diffusion/two_peaks`. Errors of the two are not comparable.
    """

    domain = Box((-1.0, -1.0), (1.0, 1.0))
    sharpness = parameter(1000.0, above=0, draw=(1.0, 1e4), log=True, unit="1/length²", doc="inverse squared width")
    first = parameter((0.5, 0.5), draw=(-0.9, 0.9), unit="length", doc="place of one peak")
    second = parameter((-0.5, -0.5), draw=(-0.9, 0.9), unit="length", doc="place of the other peak")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return _gaussian(x, self.first, self.sharpness) + _gaussian(x, self.second, self.sharpness)

    def flux(self, u):
        return grad(u)

    def quantities(self, u):
        return {"energy": _energy(u), "integral": u * dx}


class LShape(Problem):
    """Laplace's equation at a re-entrant corner.

    ::

        −Δu = 0 in (−1, 1)² without its lower right quadrant,   u = u* on the boundary,
        u* = r^(2/3) sin(2θ/3),   θ from 0 on the positive x-axis to 3π/2 on the negative y-axis

    u is zero on both edges that meet in the corner, and its gradient is infinite there: u lies in H^s for
    s < 5/3 only. On uniform meshes of any degree the error in H1 falls like h^(2/3) and the error in L2 like
    h^(4/3). The flux through the outer sides is 2, the energy ½ ∫|∇u|² is 0.918 113 3.

    Notes
    -----
    Good values: Refine the shipped mesh uniformly to see the rate.

    When it breaks: The gradient at the corner itself is not finite: nothing that needs it may be evaluated
    there.

    Source: Textbook on singularities in polygons, for instance Grisvard (1985), Elliptic Problems in
    Nonsmooth Domains.
    """

    domain = MeshFile("../data/meshes/l_shape.msh", dim=2)
    load = 0.0
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        # Along the bisector of the corner, so that the cut of atan2 lies in the quadrant that is missing.
        y = as_vector([x[1] - x[0], -x[0] - x[1]])
        angle = 3 * pi / 4 + atan2(y[1], y[0])
        return inner(x, x) ** (1 / 3) * sin(2 / 3 * angle)

    def flux(self, u):
        return grad(u)

    def quantities(self, u, n):
        return {"energy": _energy(u), "flux_outer": dot(grad(u), n) * ds("outer")}


class Obstacles(Problem):
    """The potential of charges on two obstacles in a box, in three dimensions.

    ::

        −Δu = 0 in (0, 2) × (0, 1)² without two balls of radius ¼,   u* = Σ_i charges_i / (4π |x − centre_i|)
        u = u* on the balls,   ∂u/∂n = ∂u*/∂n on the sides of the box

    The balls stand in the middles of the two halves of the box, moved by `shifts`. What flows out of each ball is its
    charge exactly, whatever the mesh makes of its surface, and what flows out through the sides is the sum.

    Parameters
    ----------
    charges : two numbers from −2 to 2
        Of the balls.
    shifts : six numbers from −0.15 to 0.15, length
        How far the first and the second centre are moved from (½, ½, ½) and (1½, ½, ½).

    Notes
    -----
    Good values: charges 1 and −1.

    When it breaks: balls that are moved are meshed by gmsh, which has to be installed; those that are not come with a
    mesh of hexahedra. A ball that is moved by 0.15 leaves a gap of 0.1 to the sides, in which a coarse mesh has one
    cell.

    Classical baseline: Elements of degree 2, with algebraic multigrid.

    Source: Gauss's law for point charges; the figures are chosen here.
    """

    charges = parameter((1.0, -1.0), draw=(-2.0, 2.0), doc="flux out of the first and the second ball")
    shifts = parameter((0.0,) * 6, between=(-0.15, 0.15), unit="length", doc="displacement of the two centres")
    load = 0.0

    def domain(self):
        shifts = self.parameters["shifts"]
        if not any(shifts):
            return MeshFile("../data/meshes/obstacles.msh", dim=3)
        middles = (0.5, 0.5, 0.5, 1.5, 0.5, 0.5)
        moved = [middle + shift for middle, shift in zip(middles, shifts)]
        return shapes.box_with_obstacles((2.0, 1.0, 1.0), [moved[:3], moved[3:]], 0.25, size=0.2)

    def exact(self, x):
        total = 0.0
        for ball, middle in enumerate((0.5, 1.5)):
            shift = as_vector([self.shifts[3 * ball + axis] for axis in range(3)])
            away = x - as_vector([middle, 0.5, 0.5]) - shift
            total += self.charges[ball] / (4 * pi * sqrt(inner(away, away)))
        return total

    def flux(self, u):
        return grad(u)

    def conditions(self):
        sides = ["left", "right", "bottom", "top", "front", "back"]
        return [Dirichlet(on=["obstacle_1", "obstacle_2"]), Neumann(on=sides)]

    def quantities(self, u, n):
        outflow = {f"flux_{ball}": dot(grad(u), n) * ds(f"obstacle_{ball}") for ball in (1, 2)}
        return {"energy": _energy(u)} | outflow


class TenDimensional(Problem):
    """Poisson's equation in ten dimensions with a Gaussian.

    ::

        −Δu = f in (−1, 1)^10,   u = u* on the boundary,   u* = exp(−sharpness |x|²)

    With s = sharpness the load is f = (20 s − 4 s² |x|²) u*. Nearly all of the box is empty: u* is felt
    within a ball that holds a tiny share of the volume. No mesh reaches ten dimensions; only solvers that
    work on points can try.

    Parameters
    ----------
    sharpness : from 0.1 to 10, 1/length²
        Inverse squared width of the bump.

    Notes
    -----
    Good values: sharpness 10 is the published case; 0.5 is gentle enough for a first try.

    When it breaks: At sharpness 10 the mean square of u* over the box is 9.3e-8: errors measured on points
    spread uniformly are random numbers, so measure with importance points. On the faces u* reaches
    e^(−sharpness), which is not zero.

    Source: Tang, Wan and Yang, DAS-PINNs, J. Comput. Phys. 476 (2023), with the value of its code.
    """

    domain = Box((-1.0,) * 10, (1.0,) * 10)
    sharpness = parameter(10.0, above=0, draw=(0.1, 10.0), log=True, unit="1/length²", doc="inverse squared width")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        return exp(-self.sharpness * inner(x, x))

    def flux(self, u):
        return grad(u)


class MixedConditions(Problem):
    """Poisson's equation with a Dirichlet, two Neumann sides and a Robin side.

    ::

        −Δu = f in (0, 1)²,   u* = ½ sin(2πx) e^y + x y,
        u = u* on the left,   ∂u/∂n = ∂u*/∂n on the right and the bottom,
        ∂u/∂n = exchange (g − u) on the top, with g such that u* fulfils it

    Smooth, of size one, with data that vary along every side: a sign error in any of them shows at once.

    Parameters
    ----------
    exchange : from 0.1 to 100, 1/length
        Coefficient of the Robin condition.

    Notes
    -----
    Good values: exchange 2; towards 100 the top behaves as a Dirichlet side.

    When it breaks: A large exchange makes soft penalties on the top dominate a learned solver's loss.

    Source: Manufactured here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    exchange = parameter(2.0, above=0, draw=(0.1, 100.0), log=True, unit="1/length", doc="Robin coefficient")

    def exact(self, x):
        return _wave(x)

    def flux(self, u):
        return grad(u)

    def conditions(self):
        return [
            Dirichlet(on="left"),
            Neumann(on=["right", "bottom"]),
            Robin(alpha=self.exchange, on="top"),
        ]

    def quantities(self, u, n):
        return {"energy": _energy(u), "outflow_top": dot(grad(u), n) * ds("top")}


class PureNeumann(Problem):
    """Poisson's equation with Neumann conditions only, fixed by its mean.

    ::

        −Δu = f in (0, 1)²,   ∂u/∂n = ∂u*/∂n on the boundary,   mean of u = ¼,   u* = ½ sin(2πx) e^y + x y

    Load and boundary data balance, so a solution exists; without the mean value it is free up to a constant.

    Notes
    -----
    Good values: Any solver that handles the constant reaches its usual order.

    When it breaks: A solver that integrates load and boundary data with different accuracy sees data that do
    not quite balance; a singular matrix then amplifies the difference.

    Source: Manufactured here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    conditions = (Neumann(on="boundary"), Mean(0.25))

    def exact(self, x):
        return _wave(x)

    def flux(self, u):
        return grad(u)

    def quantities(self, u):
        return {"energy": _energy(u), "integral": u * dx}


class Torus(Problem):
    """Poisson's equation on a torus.

    ::

        −Δu = f in (0, 1)^dim,   u and ∂u/∂n periodic,   mean of u = 0
        u* = sin(2π waves Σ_i x_i + 1) + ½ Π_i cos(2π x_i)

    Opposite sides are one, so there is no boundary at all: the load has the mean zero, and the mean of u is given.
    The plane wave runs along the diagonal and nothing vanishes on a side, so a method that only prescribes values
    there cannot find it. For two waves and more the energy ½ ∫|∇u|² is dim π² (waves² + 2^(−dim − 1)).

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    waves : integer from 1 to 8
        Periods of the plane wave along each axis.

    Notes
    -----
    Good values: one wave for a check of orders; four and more for a hard test of learned solvers.

    When it breaks: In 3-D more than two waves need finer meshes than the default limit on unknowns allows.

    Classical baseline: The fast Fourier transform, exact here.

    Source: Manufactured here.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    waves = parameter(1, integer=True, at_least=1, draw=(1, 8), doc="periods along each axis")
    conditions = (Periodic("boundary"), Mean(0.0))

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def flux(self, u):
        return grad(u)

    def exact(self, x):
        plane = sin(2 * pi * self.waves * sum(x[axis] for axis in range(self.dim)) + 1)
        product = 0.5
        for axis in range(self.dim):
            product *= cos(2 * pi * x[axis])
        return plane + product

    def quantities(self, u):
        return {"energy": _energy(u), "integral": u * dx}


class RandomLoad(Problem):
    """Poisson's equation with a random load.

    ::

        −Δu = f in (0, 1)²,   u = 0 on the boundary
        f Gaussian with mean 0, variance 1 and Matérn's covariance (ν = 5/2, length 1/5)

    The simplest family of operator learning: u is linear in the load, and much smoother. Each member of the family has
    a load of its own, with about five hills and hollows along a side. The energy ½ ∫ |∇u|² is half the integral of
    f u.

    Notes
    -----
    Good values: elements of degree 2, on a mesh a few times finer than what is kept.

    When it breaks: nothing does; a learned solver that misses the smallest waves of the load hardly sees it in u, so
    compare gradients too.

    Classical baseline: fast Poisson solvers (`fast_poisson`), milliseconds a member.

    Source: Standard; the values are chosen here. The periodic box is twice as long as the domain, so that Matérn's
    covariance holds within it up to 0.001.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    source_density = random_field(
        Matern(nu=2.5, length=0.2), eigenfunctions="periodic", modes=32, box=Box((-0.5, -0.5), (1.5, 1.5))
    )
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return grad(u)

    def load(self):
        return self.source_density

    def quantities(self, u):
        return {"energy": _energy(u), "integral": u * dx, "work": self.source_density * u * dx}
