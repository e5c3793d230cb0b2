"""Conduction of heat in time."""

from ufl import as_vector, cos, exp, grad, inner, pi, sin

from sciml import Box, Dirichlet, Neumann, PointValue, Problem, Robin, dx, parameter, scalar


class Sine(Problem):
    """A product of sines that decays.

    ::

        ∂u/∂t − diffusivity Δu = 0 in (0, 1)^dim × (0, duration),   u = 0 on the boundary
        u = exp(−dim π² diffusivity t) Π sin(π x_i)

    The shape stays, the size falls by the factor e in 1/(dim π² diffusivity).

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    diffusivity : from 0.01 to 10, length²/time
    duration : time
        The end of the time; it starts at 0.

    Notes
    -----
    Good values: the defaults, for which the size falls to 0.14 in 2-D.

    When it breaks: for diffusivity · duration beyond 2 the end is smaller than any solver's absolute error.

    Classical baseline: BDF2 or Crank–Nicolson with one factorisation for all steps.

    Source: eigenfunction of the Laplacian.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    diffusivity = parameter(1.0, above=0, draw=(0.01, 10.0), log=True, unit="length²/time", doc="diffusivity")
    duration = parameter(0.1, above=0, unit="time", doc="end of the time")
    damping = 1.0
    load = 0.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def time(self):
        return self.parameters["duration"]

    def flux(self, u):
        return self.diffusivity * grad(u)

    def exact(self, x, t):
        shape = 1.0
        for coordinate in x:
            shape = shape * sin(pi * coordinate)
        return exp(-len(x) * pi**2 * self.diffusivity * t) * shape

    def quantities(self, u):
        return {"heat": u * dx}


class MixedConditions(Problem):
    """Diffusion with a Dirichlet, two Neumann sides and a Robin side whose data change in time.

    ::

        ∂u/∂t − div((1 + x₁) ∇u) = f in (0, 1)² × (0, 1),   u = cos(3 t + x₀) (1 + x₁²)
        u given on the left, flux·n on right and bottom, flux·n = exchange (g − u) on the top

    Load and data are manufactured. All that may depend on time does, which makes it a test of time integrators.

    Parameters
    ----------
    exchange : from 0.1 to 100, length/time
        Coefficient of the Robin condition.

    Notes
    -----
    Good values: the default.

    When it breaks: it does not; large values make the top a Dirichlet side.

    Classical baseline: BDF2 or Crank–Nicolson.

    Source: manufactured here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    time = 1.0
    damping = 1.0
    exchange = parameter(2.0, above=0, draw=(0.1, 100.0), log=True, unit="length/time", doc="Robin coefficient")

    def flux(self, u, x):
        return (1 + x[1]) * grad(u)

    def exact(self, x, t):
        return cos(3 * t + x[0]) * (1 + x[1] ** 2)

    def conditions(self):
        return [Dirichlet(on="left"), Neumann(on=["right", "bottom"]), Robin(alpha=self.exchange, on="top")]

    def quantities(self, u):
        return {"heat": u * dx}


class Quench(Problem):
    """A hot bar that is cooled by a fluid.

    ::

        capacity ∂T/∂t − div(conductivity ∇T) = 0 in (0, 0.1)² × (0, duration),   T = hot at the start
        conductivity ∂T/∂n = exchange (0 − T) on the boundary

    The corners cool first; the temperature at the centre starts to fall when the cooling has diffused inwards. Start
    and boundary do not fit together, so the first instants have steep layers along the boundary.

    Parameters
    ----------
    hot : °C
        Temperature at the start above that of the fluid.
    capacity : from 1e5 to 1e7, J/(m³ K)
        Heat capacity of a unit of volume.
    conductivity : from 1 to 500, W/(m K)
    exchange : from 10 to 1e4, W/(m² K)
        Coefficient of convection.
    duration : s

    Notes
    -----
    Good values: the defaults are steel in oil (Biot number 1 with the half width).

    When it breaks: an integrator that does not damp what the mesh does not resolve (scheme=theta with theta=0.5)
    oscillates at the start for large values of exchange.

    Classical baseline: BDF2 with one factorisation.

    Source: H. S. Carslaw, J. C. Jaeger, Conduction of Heat in Solids (1959), section 3.11, of which this is the product
    of two slabs.
    """

    domain = Box((0.0, 0.0), (0.1, 0.1))
    fields = {"temperature": scalar}
    hot = parameter(800.0, unit="°C", doc="temperature at the start")
    capacity = parameter(3.6e6, above=0, draw=(1e5, 1e7), log=True, unit="J/(m³ K)", doc="capacity of a volume")
    conductivity = parameter(50.0, above=0, draw=(1.0, 500.0), log=True, unit="W/(m K)", doc="of the bar")
    exchange = parameter(1000.0, above=0, draw=(10.0, 1e4), log=True, unit="W/(m² K)", doc="convection")
    duration = parameter(100.0, above=0, unit="s", doc="end of the time")
    load = 0.0

    def time(self):
        return self.parameters["duration"]

    def damping(self):
        return self.capacity

    def flux(self, u):
        return self.conductivity * grad(u)

    def initial(self):
        return self.hot

    def conditions(self):
        return [Robin(0.0, alpha=self.exchange, on="boundary")]

    def quantities(self, u):
        return {
            "centre": PointValue(u, at=(0.05, 0.05)),
            "corner": PointValue(u, at=(0.0, 0.0)),
            "heat": self.capacity * u * dx,
        }


class MovingSource(Problem):
    """A hot spot that runs round in a plate.

    ::

        ∂u/∂t − diffusivity Δu = exp(−|x − c(t)|²/(2 width²)) in (−1, 1)² × (0, 1),   u = 0 at the start and boundary
        c(t) = ½ (cos 2πt, sin 2πt)

    A trail of falling temperature follows the source.

    Parameters
    ----------
    diffusivity : from 0.001 to 1, length²/time
    width : from 0.05 to 0.5, length
        Of the spot.

    Notes
    -----
    Good values: the defaults.

    When it breaks: points or cells that are spread evenly miss spots of less than a few hundredths.

    Classical baseline: BDF2 with one factorisation.

    Source: a standard test of adaptive methods; the figures are chosen here.
    """

    domain = Box((-1.0, -1.0), (1.0, 1.0))
    time = 1.0
    damping = 1.0
    initial = 0.0
    diffusivity = parameter(0.05, above=0, draw=(1e-3, 1.0), log=True, unit="length²/time", doc="diffusivity")
    width = parameter(0.15, above=0, draw=(0.05, 0.5), log=True, unit="length", doc="width of the spot")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return self.diffusivity * grad(u)

    def load(self, x, t):
        away = x - 0.5 * as_vector([cos(2 * pi * t), sin(2 * pi * t)])
        return exp(-inner(away, away) / (2 * self.width**2))

    def quantities(self, u):
        return {"heat": u * dx}
