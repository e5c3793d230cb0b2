"""Stationary conduction of heat."""

from ufl import dot, grad, inner

from sciml import Box, Dirichlet, MeshFile, PointValue, Problem, Robin, coefficient, ds, dx, parameter, scalar


class FibreComposite(Problem):
    """Heat flow across a matrix with one fibre: conductivity jumps between materials.

    ::

        −div(k ∇T) = 0 in (0, 1)²,   k = fibre in the disc of radius 0.3 round (½, ½), k = matrix outside
        T = 1 on the left,   T = 0 on the right,   k ∂T/∂n = 0 on bottom and top
        energy ½ k |∇T|²

    By symmetry this is a cell of an endless square array of fibres, and the heat flow (equal to ∫ k |∇T|²) is
    the array's effective conductivity k_e. The temperature is continuous, its gradient jumps at the fibre. A
    check that needs no reference: exchanging the conductivities gives k_e' with k_e k_e' = matrix · fibre.

    Parameters
    ----------
    matrix, fibre : from 0.01 to 100, W/(m K)
        Conductivities. Temperatures are in K, the edge is 1 m.

    Notes
    -----
    Good values: matrix 1 and fibre 10, for which k_e = 1.602 94.

    When it breaks: The flux is discontinuous, so there is no strong form: collocation is refused, the energy
    and the weak form hold. Large contrasts are hard for iterative solvers that do not see the materials.

    Source: Rayleigh (1892), Phil. Mag. 34, for the array; Keller (1964), J. Math. Phys. 5, for the exchange
    of phases. The figure was computed here with elements of degree 3.
    """

    domain = MeshFile("../data/meshes/fibre.msh", dim=2)
    fields = {"temperature": scalar}
    matrix = parameter(1.0, above=0, draw=(0.01, 100.0), log=True, unit="W/(m K)", doc="conductivity of the matrix")
    fibre = parameter(10.0, above=0, draw=(0.01, 100.0), log=True, unit="W/(m K)", doc="conductivity of the fibre")
    conductivity = coefficient({"matrix": matrix, "fibre": fibre})
    conditions = (Dirichlet(1.0, on="left"), Dirichlet(0.0, on="right"))

    def energy(self, u):
        return 0.5 * self.conductivity * inner(grad(u), grad(u))

    def quantities(self, u, n):
        return {
            "effective_conductivity": 2 * self.energy(u) * dx,
            "heat_flow": -dot(self.conductivity * grad(u), n) * ds("right"),
        }


class ConvectivePlate(Problem):
    """A hot side, an insulated side, and two sides cooled by convection (NAFEMS T4).

    ::

        −div(conductivity ∇T) = 0 in (0, 0.6) × (0, 1),   T = hot on the bottom,
        conductivity ∂T/∂n = 0 on the left,   conductivity ∂T/∂n = exchange (ambient − T) on right and top

    Where the hot bottom meets the cooled right side the two conditions do not fit together: the gradient
    grows there like a logarithm. That spoils the order of convergence, not the temperature away from the
    corner.

    Parameters
    ----------
    hot : °C
        Temperature of the bottom.
    ambient : °C
        Temperature of the surroundings.
    conductivity : from 1 to 500, W/(m K)
        Conductivity of the plate.
    exchange : from 1 to 2000, W/(m² K)
        Coefficient of convection.

    Notes
    -----
    Good values: The defaults are the benchmark's. For them the temperature at (0.6, 0.2), which it asks for,
    is 18.253 76 °C, and the heat flow 10 288 W per metre of thickness.

    When it breaks: The heat flow gains only two orders on uniform meshes, whatever the degree.

    Source: NAFEMS benchmark T4, two-dimensional heat transfer with convection. The figures were computed here
    with elements of degree 4.
    """

    domain = Box((0.0, 0.0), (0.6, 1.0))
    fields = {"temperature": scalar}
    hot = parameter(100.0, unit="°C", doc="temperature of the bottom")
    ambient = parameter(0.0, unit="°C", doc="temperature of the surroundings")
    conductivity = parameter(52.0, above=0, draw=(1.0, 500.0), log=True, unit="W/(m K)", doc="of the plate")
    exchange = parameter(750.0, above=0, draw=(1.0, 2000.0), log=True, unit="W/(m² K)", doc="coefficient of convection")

    def energy(self, u):
        return 0.5 * self.conductivity * inner(grad(u), grad(u))

    def conditions(self):
        return [
            Dirichlet(self.hot, on="bottom"),
            Robin(self.ambient, alpha=self.exchange, on=["right", "top"]),
        ]

    def quantities(self, u):
        return {
            "temperature_e": PointValue(u, at=(0.6, 0.2)),
            "heat_flow": self.exchange * (u - self.ambient) * ds(("right", "top")),
        }
