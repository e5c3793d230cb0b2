"""Linear diffusion −div(K ∇u) = f: variable, anisotropic and discontinuous coefficients, and a cooling fin."""

from math import pi

from ufl import And, Or, as_matrix, cos, cosh, dot, exp, grad, gt, inner, lt, max_value, sin, sinh
from ufl import conditional as choose

from sciml import Box, Dirichlet, Neumann, Problem, Robin, ds, dx, parameter


class VariableCoefficient(Problem):
    """Diffusion with a coefficient that oscillates smoothly.

    ::

        −div(k ∇u) = f in (0, 1)²,   k = exp(contrast sin(2πx) sin(2πy)),   u* = ½ sin(2πx) e^y + x y
        u = u* on the left and the bottom,   k ∂u/∂n = k ∂u*/∂n on the right and the top

    The coefficient runs from exp(−contrast) to exp(contrast). The load contains ∇k · ∇u, so an error in the
    derivative of the coefficient shows.

    Parameters
    ----------
    contrast : from 0 to 3
        Logarithm of the largest coefficient; 0 is Poisson's equation.

    Notes
    -----
    Good values: contrast 1; at 3 the coefficient varies by a factor of 400.

    When it breaks: With large contrasts residuals where the coefficient is small hardly count in a sum of
    squares.

    Classical baseline: Elements of degree 2 with conjugate gradients.

    Source: Manufactured here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    contrast = parameter(1.0, at_least=0, draw=(0.0, 3.0), doc="logarithm of the largest coefficient")
    conditions = (Dirichlet(on=["left", "bottom"]), Neumann(on=["right", "top"]))

    def exact(self, x):
        return 0.5 * sin(2 * pi * x[0]) * exp(x[1]) + x[0] * x[1]

    def flux(self, u, x):
        return exp(self.contrast * sin(2 * pi * x[0]) * sin(2 * pi * x[1])) * grad(u)

    def quantities(self, u, x, n):
        return {
            "energy": 0.5 * inner(self.flux(u, x), grad(u)) * dx,
            "flux_right": dot(self.flux(u, x), n) * ds("right"),
        }


class Anisotropic(Problem):
    """Strongly anisotropic diffusion, turned against the axes.

    ::

        −div(K ∇u) = f in (0, 1)²,   u = 0 on the boundary,   u* = sin(πx) sin(πy)
        K = a aᵀ + ratio b bᵀ,   a = (cos angle, sin angle),   b = (−sin angle, cos angle)

    Heat runs along a and hardly across it, as in magnetised plasmas, wood or laminates. Since u* does not depend
    on K, its errors can be compared between ratios. The energy is π² (1 + ratio)/8 for every angle.

    Parameters
    ----------
    ratio : from 1e-6 to 1
        Conductivity across the fibres over that along them.
    angle : from 0 to 1.57, radians
        Direction of the fibres.

    Notes
    -----
    Convexity: The Hessian is K, with eigenvalues ratio and 1.

    Good values: ratio 1e-3 at angle 0.5.

    When it breaks: For this smooth solution elements do not lose accuracy, down to ratio 1e-6. Multigrid that
    does not follow the fibres needs many iterations, and what happens across them hardly shows in a residual
    or an energy.

    Classical baseline: Elements of degree 2 and a direct solver, or multigrid with line smoothing.

    Source: Manufactured here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    ratio = parameter(1e-3, above=0, at_most=1, draw=(1e-6, 1.0), log=True, doc="conductivity across over along")
    angle = parameter(0.5, draw=(0.0, pi / 2), unit="rad", doc="direction of the fibres")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def exact(self, x):
        return sin(pi * x[0]) * sin(pi * x[1])

    def energy(self, u):
        c, s, r = cos(self.angle), sin(self.angle), self.ratio
        tensor = as_matrix([[c**2 + r * s**2, (1 - r) * c * s], [(1 - r) * c * s, s**2 + r * c**2]])
        return 0.5 * inner(tensor * grad(u), grad(u))

    def convexity(self):
        return self.ratio, 1.0

    def quantities(self, u):
        return {"energy": self.energy(u) * dx, "integral": u * dx}


class Checkerboard(Problem):
    """Heat flow through a checkerboard of two materials.

    ::

        −div(k ∇u) = 0 in (0, 1)²,   k = contrast on two opposite quarters, 1 on the others
        u = 1 on the left,   u = 0 on the right,   k ∂u/∂n = 0 on bottom and top
        energy ½ k |∇u|²

    The good conductor fills (0, ½)² and (½, 1)², so all heat squeezes through the point in the middle, where
    u behaves like r^λ with λ = (4/π) arctan(contrast^(−½)): λ is 1 without contrast, 0.39 at contrast 10 and
    0.13 at contrast 100. The flow, equal to ∫ k |∇u|², is √contrast exactly: turning the square by a right
    angle exchanges the materials.

    Parameters
    ----------
    contrast : from 1 to 100
        Conductivity of the good material; the other has 1.

    Notes
    -----
    Convexity: The Hessian is k, between 1 and contrast.

    Good values: contrast 10.

    When it breaks: The energy converges like h^(2λ) on uniform meshes of any degree: at contrast 10 it is
    0.6 % too large on 128 × 128 cells of degree 2, at contrast 100 more than a third. The flux jumps, so there
    is no strong form. Cells must not be cut by the middle lines: take an even number.

    Classical baseline: Elements on meshes graded geometrically to the middle.

    Source: Keller (1964), J. Math. Phys. 5, and Dykhne (1971), Sov. Phys. JETP 32, for the conductivity of the
    checkerboard; Kellogg (1974), Appl. Anal. 4, for the singularity.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    contrast = parameter(10.0, at_least=1, draw=(1.0, 100.0), log=True, doc="conductivity of the good material")
    load = 0.0
    conditions = (Dirichlet(1.0, on="left"), Dirichlet(0.0, on="right"))

    def energy(self, u, x):
        low = And(lt(x[0], 0.5), lt(x[1], 0.5))
        high = And(gt(x[0], 0.5), gt(x[1], 0.5))
        return 0.5 * choose(Or(low, high), self.contrast, 1.0) * inner(grad(u), grad(u))

    def convexity(self):
        return 1.0, self.contrast

    def quantities(self, u, x):
        return {"heat_flow": 2 * self.energy(u, x) * dx, "integral": u * dx}


class CoolingFin(Problem):
    """A cooling fin: conduction along it, convection from its surface and its tip.

    ::

        −u'' + fin² u = 0 in (0, 1),   u = 1 at 0,   u' = −biot u at 1
        u* = (cosh s + (biot/fin) sinh s)/(cosh fin + (biot/fin) sinh fin),   s = fin (1 − x)

    u is the excess temperature over the surroundings, in units of that of the base; x in units of the fin's
    length. The heat that enters at the base is −u'(0).

    Parameters
    ----------
    fin : from 0.1 to 30
        Fin parameter: length √(exchange perimeter/(conductivity area)).
    biot : from 0.01 to 100
        Biot number of the tip: exchange length/conductivity.

    Notes
    -----
    Convexity: The Hessian is 1 in u' and fin² in u.

    Good values: fin 2 and biot 0.5. With these the heat at the base is 1.956 52.

    When it breaks: For fin above 10 the temperature drops within 1/fin of the base, and the tip does not
    matter.

    Classical baseline: The formula.

    Source: Textbook on heat transfer, for instance Incropera and DeWitt, extended surfaces.
    """

    domain = Box(0.0, 1.0)
    fin = parameter(2.0, above=0, draw=(0.1, 30.0), log=True, doc="fin parameter")
    biot = parameter(0.5, at_least=0, draw=(0.01, 100.0), log=True, doc="Biot number of the tip")
    load = 0.0

    def conditions(self):
        return [Dirichlet(1.0, on="left"), Robin(0.0, alpha=self.biot, on="right")]

    def exact(self, x):
        m, s = self.fin, self.fin * (1 - x[0])
        return (cosh(s) + self.biot / m * sinh(s)) / (cosh(m) + self.biot / m * sinh(m))

    def energy(self, u):
        return 0.5 * inner(grad(u), grad(u)) + 0.5 * self.fin**2 * u**2

    def convexity(self):
        return 1.0, max_value(1.0, self.fin**2)

    def quantities(self, u, n):
        return {"heat_base": dot(grad(u), n) * ds("left"), "mean_temperature": u * dx}
