"""Plane linear elasticity with an isotropic material."""

from ufl import as_vector, grad, inner, sqrt, sym, tr

from sciml import Dirichlet, MeshFile, Neumann, PointValue, Problem, dx, parameter, vector


class _PlaneElasticity(Problem):
    """Energy ½ λ (tr ε)² + μ ε:ε with ε = sym ∇u and plane stress or plane strain."""

    fields = {"displacement": vector}
    young_modulus = parameter(1.0, above=0, unit="MPa", doc="Young's modulus")
    poisson_ratio = parameter(0.3, at_least=0.0, below=0.5, doc="Poisson's ratio")
    state = parameter("plane_stress", choices=("plane_stress", "plane_strain"), doc="thin sheet or thick body")
    load = 0.0

    def shear_modulus(self):
        """μ = E/(2 (1 + ν))."""
        return self.young_modulus / (2 * (1 + self.poisson_ratio))

    def first_lame(self):
        """λ of plane strain, or its reduction 2λμ/(λ + 2μ) for plane stress."""
        e, nu = self.young_modulus, self.poisson_ratio
        if self.state == "plane_stress":
            return e * nu / (1 - nu**2)
        return e * nu / ((1 + nu) * (1 - 2 * nu))

    def energy(self, u):
        strain = sym(grad(u))
        return 0.5 * self.first_lame() * tr(strain) ** 2 + self.shear_modulus() * inner(strain, strain)

    def normal_stress(self, u, axis):
        """σ_ii = λ tr ε + 2 μ ε_ii."""
        strain = sym(grad(u))
        return self.first_lame() * tr(strain) + 2 * self.shear_modulus() * strain[axis, axis]


class Cook(_PlaneElasticity):
    """Cook's membrane: a tapered panel that bends and shears.

    ::

        −div σ(u) = 0 in the trapezium (0, 0), (48, 44), (48, 60), (0, 44),   σ = λ tr(ε) I + 2 μ ε
        u = 0 on the left ("clamped"),   σ n = (0, force/16) on the right ("loaded"),   σ n = 0 elsewhere

    The panel is clamped on its long side and sheared upwards on its short one. Elements that are too stiff in
    bending, or lock where the material is nearly incompressible, show it in the displacement of the right
    side. The stress is singular in the upper left corner, where the interior angle is 108°.

    Parameters
    ----------
    young_modulus : positive, MPa
        Young's modulus E; displacements are proportional to force/E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.
    force : positive, N/mm
        Shear force on the right side per unit thickness; lengths are in mm.

    Notes
    -----
    Good values: E = 1, ν = 1/3, force 1 in plane stress is the classical case. There the vertical
    displacement is 23.968 at (48, 52) and 25.19 at (48, 60). E = 70, ν = 0.4999, force 100 in plane strain is
    the nearly incompressible case: 26.45 at (48, 52) and 27.76 at (48, 60).

    When it breaks: ν towards 0.5 in plane strain: elements of degree 1 lock, and the system is badly
    conditioned. On uniform meshes of any degree the displacement gains little more than one order.

    Source: Cook (1974), J. Struct. Div. ASCE 100, for shape and load. The displacements were computed here
    with elements of degree 4 on meshes graded to the corners and on uniform ones, extrapolated; all digits
    agree.
    """

    domain = MeshFile("../data/meshes/cook.msh", dim=2)
    poisson_ratio = parameter(1 / 3, at_least=0.0, below=0.5, doc="Poisson's ratio")
    force = parameter(1.0, above=0, unit="N/mm", doc="shear force on the right side per unit thickness")

    def conditions(self):
        traction = as_vector([0.0, self.force / 16])
        return [Dirichlet(0.0, on="clamped"), Neumann(traction, on="loaded")]

    def quantities(self, u):
        return {
            "tip": PointValue(u[1], at=(48.0, 52.0)),
            "corner": PointValue(u[1], at=(48.0, 60.0)),
            "strain_energy": self.energy(u) * dx,
        }


class PlateWithHole(_PlaneElasticity):
    """A plate with a circular hole under tension, against Kirsch's solution.

    ::

        −div σ(u) = 0 in (0, 4)² without the disc of radius 1 round the origin,   σ = λ tr(ε) I + 2 μ ε
        u_x = 0 on the left,   u_y = 0 on the bottom (symmetry),   σ n = 0 on the hole,
        σ n = that of the infinite plate on the right and the top

    A quarter of a plate that is pulled along x. The hole concentrates the stress: σ_xx = 3 tension at its
    top, σ_yy = −tension at its side, whatever the material. In polar coordinates, with κ = (3 − ν)/(1 + ν) in
    plane stress and 3 − 4ν in plane strain, the displacement of the infinite plate is

    ::

        u_x = tension/(8μ) [(κ + 1) r cos θ + 2/r ((1 + κ) cos θ + cos 3θ) − 2/r³ cos 3θ]
        u_y = tension/(8μ) [(κ − 3) r sin θ + 2/r ((1 − κ) sin θ + sin 3θ) − 2/r³ sin 3θ]

    Parameters
    ----------
    tension : from 0.1 to 10, MPa
        Stress σ_xx far away.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: The defaults. The cells of the shipped mesh are quadratic, so that the shape of
    the hole costs little accuracy: with elements of degree 2, on it and its refinements, the stress at the
    top of the hole is right within 0.2 %.

    When it breaks: Straight cells on the hole limit the displacement to second order. Refined meshes keep the
    shape of the shipped cells, which bounds the relative error from below at about 3e-8.

    Source: Kirsch (1898), Z. Ver. Dtsch. Ing. 42, for the stress; the displacement follows by Hooke's law.
    """

    domain = MeshFile("../data/meshes/plate_with_hole.msh", dim=2)
    tension = parameter(1.0, above=0, draw=(0.1, 10.0), unit="MPa", doc="stress far away")
    conditions = (
        Dirichlet(0.0, on="left", component=0),
        Dirichlet(0.0, on="bottom", component=1),
        Neumann(on=["right", "top"]),
    )

    def exact(self, x):
        r = sqrt(inner(x, x))
        cos, sin = x[0] / r, x[1] / r
        cos3, sin3 = 4 * cos**3 - 3 * cos, 3 * sin - 4 * sin**3
        nu = self.poisson_ratio
        kappa = (3 - nu) / (1 + nu) if self.state == "plane_stress" else 3 - 4 * nu
        along = (kappa + 1) * x[0] + 2 / r * ((1 + kappa) * cos + cos3) - 2 / r**3 * cos3
        across = (kappa - 3) * x[1] + 2 / r * ((1 - kappa) * sin + sin3) - 2 / r**3 * sin3
        return self.tension / (8 * self.shear_modulus()) * as_vector([along, across])

    def quantities(self, u):
        return {
            "stress_top": PointValue(self.normal_stress(u, 0), at=(0.0, 1.0)),
            "stress_side": PointValue(self.normal_stress(u, 1), at=(1.0, 0.0)),
            "strain_energy": self.energy(u) * dx,
        }
