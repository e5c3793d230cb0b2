"""Linear elasticity with an isotropic material, plane and solid."""

from math import cos as cosine
from math import pi

from ufl import Identity, as_matrix, as_vector, atan2, cos, div, grad, inner, sin, sqrt, sym, tr

from sciml import (
    Box,
    Dirichlet,
    Mean,
    MeshFile,
    Neumann,
    Periodic,
    PointValue,
    Problem,
    ds,
    dx,
    parameter,
    scalar,
    vector,
)


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
        c, s = x[0] / r, x[1] / r
        c3, s3 = 4 * c**3 - 3 * c, 3 * s - 4 * s**3
        nu = self.poisson_ratio
        kappa = (3 - nu) / (1 + nu) if self.state == "plane_stress" else 3 - 4 * nu
        along = (kappa + 1) * x[0] + 2 / r * ((1 + kappa) * c + c3) - 2 / r**3 * c3
        across = (kappa - 3) * x[1] + 2 / r * ((1 - kappa) * s + s3) - 2 / r**3 * s3
        return self.tension / (8 * self.shear_modulus()) * as_vector([along, across])

    def quantities(self, u):
        return {
            "stress_top": PointValue(self.normal_stress(u, 0), at=(0.0, 1.0)),
            "stress_side": PointValue(self.normal_stress(u, 1), at=(1.0, 0.0)),
            "strain_energy": self.energy(u) * dx,
        }


class LShapedPanel(_PlaneElasticity):
    """An L-shaped panel: the stress at a re-entrant corner, with the exact solution.

    ::

        −div σ(u) = 0 in (−1, 1)² without its lower right quadrant,   σ = λ tr(ε) I + 2 μ ε
        σ n = 0 on both edges of the corner,   u = u* on the outer sides

    The opening mode of a free corner with an interior angle of 270°. With the angle θ from the bisector, in
    polar coordinates,

    ::

        u*_r = intensity r^α/(2μ) [−(α + 1) cos((α + 1)θ) + (c₂ − α − 1) c₁ cos((α − 1)θ)]
        u*_θ = intensity r^α/(2μ) [(α + 1) sin((α + 1)θ) + (c₂ + α − 1) c₁ sin((α − 1)θ)]
        c₁ = −cos((α + 1)ω)/cos((α − 1)ω),   c₂ = 2 (λ + 2μ)/(λ + μ),   ω = 3π/4

    where α = 0.544 483 736 782 464 solves α sin 2ω + sin 2ωα = 0: stronger than the r^(2/3) of
    `poisson/l_shape`.

    Parameters
    ----------
    intensity : from 0.1 to 10, MPa
        Factor of the solution.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: Refine the shipped mesh uniformly to see the rate: h^0.54 in H1, h^1.09 in L2. For the defaults the
    strain energy is 16.5624 in plane stress.

    When it breaks: The stress is infinite at the corner: nothing that needs it may be evaluated there.

    Classical baseline: Meshes graded to the corner.

    Source: Williams (1952), J. Appl. Mech. 19, for the singularity; the formula as in Alberty, Carstensen,
    Funken and Klose (2002), Computing 69.
    """

    domain = MeshFile("../data/meshes/l_shape.msh", dim=2)
    intensity = parameter(1.0, above=0, draw=(0.1, 10.0), unit="MPa", doc="factor of the solution")
    conditions = (Dirichlet(on="outer"),)

    def exact(self, x):
        # Along the bisector of the corner, whose direction is (−1, 1)/√2: the cut of atan2 lies outside.
        r = sqrt(inner(x, x))
        theta = atan2(-x[0] - x[1], x[1] - x[0])
        a, omega = 0.544483736782463929, 3 * pi / 4
        mu, lam = self.shear_modulus(), self.first_lame()
        c1 = -cosine((a + 1) * omega) / cosine((a - 1) * omega)
        c2 = 2 * (lam + 2 * mu) / (lam + mu)
        radial = -(a + 1) * cos((a + 1) * theta) + (c2 - a - 1) * c1 * cos((a - 1) * theta)
        angular = (a + 1) * sin((a + 1) * theta) + (c2 + a - 1) * c1 * sin((a - 1) * theta)
        along, across = as_vector([-1.0, 1.0]) / sqrt(2), as_vector([-1.0, -1.0]) / sqrt(2)
        e_r = cos(theta) * along + sin(theta) * across
        e_theta = -sin(theta) * along + cos(theta) * across
        return self.intensity * r**a / (2 * mu) * (radial * e_r + angular * e_theta)

    def quantities(self, u):
        return {"strain_energy": self.energy(u) * dx, "edge_shift": PointValue(u[1], at=(0.5, 0.0))}


class PressurisedCylinder(_PlaneElasticity):
    """A thick-walled cylinder under internal pressure, against Lamé's solution.

    ::

        −div σ(u) = 0 in the quarter of the ring 1 < r < 2,   σ = λ tr(ε) I + 2 μ ε
        σ n = −pressure n inside,   σ n = 0 outside,   u_x = 0 on the left, u_y = 0 on the bottom (symmetry)
        u* = (A r + B/r) e_r,   A = pressure/(6 (λ + μ)),   B = 2 pressure/(3 μ)

    The hoop stress is (pressure/3)(1 + 4/r²), the radial one (pressure/3)(1 − 4/r²), whatever the material:
    5/3 of the pressure at the bore, 2/3 at the outside. Lengths are in units of the inner radius.

    Parameters
    ----------
    pressure : from 0.1 to 10, MPa
        Pressure in the bore.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: Elements of degree 2 on the shipped mesh: the hoop stress at the bore is right within 0.1 %.

    When it breaks: ν towards 0.5 in plane strain locks elements of degree 1.

    Classical baseline: The formula.

    Source: Lamé (1852); Timoshenko and Goodier, Theory of Elasticity, thick-walled cylinders.
    """

    domain = MeshFile("../data/meshes/quarter_ring.msh", dim=2)
    pressure = parameter(1.0, above=0, draw=(0.1, 10.0), unit="MPa", doc="pressure in the bore")

    def conditions(self, n):
        return [
            Neumann(-self.pressure * n, on="inner"),
            Dirichlet(0.0, on="left", component=0),
            Dirichlet(0.0, on="bottom", component=1),
        ]

    def exact(self, x):
        lam, mu = self.first_lame(), self.shear_modulus()
        return self.pressure / 3 * (1 / (2 * (lam + mu)) + 2 / (mu * inner(x, x))) * x

    def quantities(self, u):
        return {
            "hoop_stress_bore": PointValue(self.normal_stress(u, 1), at=(1.0, 0.0)),
            "hoop_stress_outside": PointValue(self.normal_stress(u, 1), at=(2.0, 0.0)),
            "bore_displacement": PointValue(u[0], at=(1.0, 0.0)),
            "strain_energy": self.energy(u) * dx,
        }


class CellWithVoid(_PlaneElasticity):
    """A unit cell with a round void that is clamped at the bottom and pulled at the top.

    ::

        −div σ(u) = 0 in (0, 1)² without the disc of radius ¼ round (½, ½),   σ = λ tr(ε) I + 2 μ ε
        u = 0 on the bottom,   σ n = (0, tension) on the top,   σ n = 0 on the void and on both sides

    The ligaments beside the void carry the load: the stress along y is greatest at the void's sides. The
    displacement is linear in tension/young_modulus.

    Parameters
    ----------
    tension : from 0.1 to 10, MPa
        Traction on the top.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: The defaults, in plane stress, for which the mean lift of the top is 1.9420 and the stress at the
    void's side 4.89.

    When it breaks: The stress is singular in the clamped corners.

    Classical baseline: Elements of degree 2 on the shipped mesh.

    Source: The setting of the elasticity benchmark of operator learning, as recalled (Li et al., Geo-FNO, arXiv
    2207.05209): a cell with a void of random shape, hyperelastic, at strains of 1e-4, where it is linear. The
    round void and the values are from here, computed with elements of degree 4; errors are not comparable.
    """

    domain = MeshFile("../data/meshes/periodic_cell.msh", dim=2)
    tension = parameter(1.0, above=0, draw=(0.1, 10.0), unit="MPa", doc="traction on the top")

    def conditions(self):
        return [Dirichlet(0.0, on="bottom"), Neumann(as_vector([0.0, self.tension]), on="top")]

    def quantities(self, u):
        return {
            "lift": u[1] * ds("top"),
            "stress_side": PointValue(self.normal_stress(u, 1), at=(0.25, 0.5)),
            "strain_energy": self.energy(u) * dx,
        }


class PeriodicVoids(_PlaneElasticity):
    """A sheet with a square lattice of round voids under a mean strain: its effective stiffness.

    ::

        −div σ(e + sym ∇w) = 0 in (0, 1)² without the disc of radius ¼ round (½, ½),   σ(ε) = λ tr(ε) I + 2 μ ε
        w periodic,   σ n = 0 on the void,   mean of w = 0,   e = mean strain

    The displacement is a mean strain plus a fluctuation w that every cell repeats. The quantities are the mean stresses
    of the cell, voids included, divided by Young's modulus: for a unit strain along x the first column of the
    effective stiffness.

    Parameters
    ----------
    strain : three numbers
        Mean strains ε_xx, ε_yy and 2 ε_xy.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: the defaults, in plane stress, with which the mean stresses over E are 0.66398 along x and 0.17695
    along y; for the strains (0, 0, 1) the shear stress over E is 0.18561.

    When it breaks: it does not; of a thick body with ν towards 0.5 elements of degree 1 lock.

    Classical baseline: Elements of degree 2 on the shipped mesh, whose opposite sides match.

    Source: P. M. Suquet, Elements of homogenization for inelastic solid mechanics (1987), for the periodic cell; the
    values were computed here with elements of degree 4.
    """

    domain = MeshFile("../data/meshes/periodic_cell.msh", dim=2)
    strain = parameter((1.0, 0.0, 0.0), draw=(-1.0, 1.0), doc="mean strains xx, yy and twice xy")
    conditions = (Periodic("left", "right"), Periodic("bottom", "top"), Mean(0.0))

    def total_strain(self, u):
        xx, yy, xy = (self.strain[k] for k in range(3))
        return as_matrix([[xx, xy / 2], [xy / 2, yy]]) + sym(grad(u))

    def energy(self, u):
        strain = self.total_strain(u)
        return 0.5 * self.first_lame() * tr(strain) ** 2 + self.shear_modulus() * inner(strain, strain)

    def quantities(self, u):
        strain = self.total_strain(u)
        stress = self.first_lame() * tr(strain) * Identity(2) + 2 * self.shear_modulus() * strain
        parts = {"stress_xx": stress[0, 0], "stress_yy": stress[1, 1], "stress_xy": stress[0, 1]}
        return {name: value / self.young_modulus * dx for name, value in parts.items()}


class Cantilever(_PlaneElasticity):
    """A cantilever beam under an end load, against Timoshenko's solution.

    ::

        −div σ(u) = 0 in (0, length) × (−½, ½),   σ = λ tr(ε) I + 2 μ ε
        u = u* on the left,   σ n = (0, 6 force (¼ − y²)) on the right,   σ n = 0 on bottom and top
        E' u*_x = −2 force y [(6 length − 3x) x + (2 + ν') (y² − ¼)]
        E' u*_y = 2 force [3 ν' y² (length − x) + (1 + 5ν'/4) x + (3 length − x) x²]

    with E' = E and ν' = ν in plane stress, E/(1 − ν²) and ν/(1 − ν) in plane strain. The load is a parabola of
    shear, as the theory wants it, so there is no edge effect: σ_xx = −12 force (length − x) y. The middle of the
    right end moves by 2 force (2 length³ + (1 + 5ν'/4) length)/E'. Lengths are in units of the height.

    Parameters
    ----------
    length : from 2 to 20
        Length over height.
    force : from 0.001 to 0.1, MPa
        Force at the end per unit of height and thickness, upwards.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.
    state : "plane_stress" or "plane_strain"
        Thin sheet or thick body.

    Notes
    -----
    Good values: length 5. The solution is cubic: elements of degree 3 find it to rounding.

    When it breaks: Elements of degree 1 are too stiff in bending unless cells are much smaller than the
    height; long beams are badly conditioned.

    Classical baseline: The formula; Euler and Bernoulli's 4 force length³/E' without the shear.

    Source: Timoshenko and Goodier, Theory of Elasticity, bending of a cantilever loaded at the end.
    """

    length = parameter(5.0, above=0, draw=(2.0, 20.0), doc="length over height")
    force = parameter(0.01, above=0, draw=(1e-3, 0.1), log=True, unit="MPa", doc="force at the end, upwards")

    def domain(self):
        return Box((0.0, -0.5), (self.parameters["length"], 0.5))

    def conditions(self, x):
        shear = 6 * self.force * (0.25 - x[1] ** 2)
        return [Dirichlet(on="left"), Neumann(as_vector([0.0, shear]), on="right")]

    def exact(self, x):
        e, nu, length = self.young_modulus, self.poisson_ratio, self.length
        if self.state == "plane_strain":
            e, nu = e / (1 - nu**2), nu / (1 - nu)
        along = -x[1] * ((6 * length - 3 * x[0]) * x[0] + (2 + nu) * (x[1] ** 2 - 0.25))
        across = 3 * nu * x[1] ** 2 * (length - x[0]) + (1 + 1.25 * nu) * x[0] + (3 * length - x[0]) * x[0] ** 2
        return 2 * self.force / e * as_vector([along, across])

    def quantities(self, u):
        return {
            "tip": PointValue(u[1], at=(self.parameters["length"], 0.0)),
            "stress_clamp": PointValue(self.normal_stress(u, 0), at=(0.0, -0.5)),
            "strain_energy": self.energy(u) * dx,
        }


class HangingBar(Problem):
    """A bar that hangs by its upper end and is stretched by its own weight, in three dimensions.

    ::

        −div σ(u) = (0, 0, −weight) in (−½, ½)² × (0, 4),   σ = λ tr(ε) I + 2 μ ε
        u = u* on the upper end,   σ n = 0 elsewhere
        E u* = weight (−ν x z, −ν y z, ½ (z² − 16 + ν (x² + y²)))

    The stress is uniaxial, σ_zz = weight z. The bar gets longer by 8 weight/E; its cross-sections do not stay
    plane, so the upper end is held in the shape of a shallow bowl. The strain energy is 32 weight²/(3 E).
    Lengths are in units of the width.

    Parameters
    ----------
    weight : from 0.001 to 0.1, MPa
        Weight per volume times the width of the bar.
    young_modulus : positive, MPa
        Young's modulus E.
    poisson_ratio : from 0 to below 0.5
        Poisson's ratio ν.

    Notes
    -----
    Good values: The solution is quadratic: elements of degree 2 find it to rounding.

    When it breaks: ν towards 0.5 locks elements of degree 1.

    Classical baseline: The formula.

    Source: Timoshenko and Goodier, Theory of Elasticity, stretching of a prismatical bar by its own weight.
    """

    domain = Box((-0.5, -0.5, 0.0), (0.5, 0.5, 4.0))
    fields = {"displacement": vector}
    weight = parameter(0.01, above=0, draw=(1e-3, 0.1), log=True, unit="MPa", doc="weight per volume times width")
    young_modulus = parameter(1.0, above=0, unit="MPa", doc="Young's modulus")
    poisson_ratio = parameter(0.3, at_least=0.0, below=0.5, doc="Poisson's ratio")
    conditions = (Dirichlet(on="x2+"),)

    def energy(self, u):
        e, nu = self.young_modulus, self.poisson_ratio
        strain = sym(grad(u))
        first_lame, shear_modulus = e * nu / ((1 + nu) * (1 - 2 * nu)), e / (2 * (1 + nu))
        return 0.5 * first_lame * tr(strain) ** 2 + shear_modulus * inner(strain, strain)

    def load(self):
        return as_vector([0.0, 0.0, -self.weight])

    def exact(self, x):
        nu = self.poisson_ratio
        lift = 0.5 * (x[2] ** 2 - 16 + nu * (x[0] ** 2 + x[1] ** 2))
        return self.weight / self.young_modulus * as_vector([-nu * x[0] * x[2], -nu * x[1] * x[2], lift])

    def quantities(self, u):
        return {"end": PointValue(u[2], at=(0.0, 0.0, 0.0)), "strain_energy": self.energy(u) * dx}


class NearlyIncompressible(Problem):
    """A block of rubber-like material in plane strain, in displacement and pressure.

    ::

        −div(2 μ sym ∇u − p I) = f,   −div u − p/λ = g in (0, 1)²
        μ = young_modulus/(2 (1 + poisson_ratio)),
        λ = young_modulus poisson_ratio/((1 + poisson_ratio) (1 − 2 poisson_ratio))
        u = (∂ψ/∂x₁, −∂ψ/∂x₀) with ψ = sin x₀ sin x₁,   p = young_modulus sin(x₀ x₁)
        u given on left and bottom, flux·n on right and top

    As poisson_ratio → ½ the material keeps its volume, λ → ∞, and the law in the displacement alone locks: elements of
    degree 1 hardly move. With the pressure as a field of its own the system has a limit, Stokes' equations, and the
    elements that are stable there are stable here.

    Parameters
    ----------
    young_modulus : from 0.01 to 1000, MPa
        Young's modulus.
    poisson_ratio : from 0.3 to 0.49999
        Poisson's ratio.

    Notes
    -----
    Good values: poisson_ratio 0.4999; any, to see that the error hardly depends on it.

    When it breaks: at ½ itself the pressure's constant would be free if the displacement were given on the whole
    boundary.

    Classical baseline: Taylor–Hood elements of degree 2 with a direct solver.

    Source: manufactured; F. Brezzi, M. Fortin, Mixed and Hybrid Finite Element Methods (1991), chapter VI.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    fields = {"displacement": vector, "pressure": scalar.element(lower=1)}
    young_modulus = parameter(1.0, above=0, draw=(0.01, 1000.0), log=True, unit="MPa", doc="Young's modulus")
    poisson_ratio = parameter(0.4999, above=0, below=0.5, draw=(0.3, 0.49999), doc="Poisson's ratio")
    conditions = (
        Dirichlet(on=["left", "bottom"], field="displacement"),
        Neumann(on=["right", "top"], field="displacement"),
    )

    def flux(self, displacement, pressure):
        return {
            "displacement": self.young_modulus / (1 + self.poisson_ratio) * sym(grad(displacement))
            - pressure * Identity(2),
        }

    def reaction(self, displacement, pressure):
        compressibility = (
            (1 + self.poisson_ratio) * (1 - 2 * self.poisson_ratio) / (self.young_modulus * self.poisson_ratio)
        )
        return {"pressure": -div(displacement) - compressibility * pressure}

    def exact(self, x):
        stream = sin(x[0]) * sin(x[1])
        return {
            "displacement": as_vector([stream.dx(1), -stream.dx(0)]),
            "pressure": self.young_modulus * sin(x[0] * x[1]),
        }

    def quantities(self, displacement):
        return {"volume_change": div(displacement) * dx}
