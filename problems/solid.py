"""Solids on two scales: the law at each point is the mean stress of a periodic cell."""

from ufl import as_vector

from sciml import Dirichlet, MeshFile, Neumann, PointValue, parameter
from sciml.laws import TwoScale


class CookTwoScale(TwoScale):
    """Cook's membrane of a composite: a tapered panel whose material is a cell.

    ::

        −div S(sym ∇u) = 0 in the trapezium (0, 0), (48, 44), (48, 60), (0, 44) mm,   S from the cell `rve/disc`
        u = 0 on the left ("clamped"),   S n = (0, traction) on the right ("loaded"),   S n = 0 elsewhere

    The panel bends and shears, in plane strain. Strains are largest in the upper left corner, which is singular.

    Parameters
    ----------
    traction : positive, MPa
        Shear traction on the right side.

    Notes
    -----
    Good values: traction 8 MPa on the shipped mesh of 4 × 4 × 2 triangles, where strains stay below 0.03, in one load
    step.

    When it breaks: finer meshes resolve the singular corner, whose strains grow without bound; cells that were trained
    for strains up to 0.04 are outside of their range there.

    Source: Cook (1974), J. Struct. Div. ASCE 100, for the shape; Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO",
    J. Comput. Phys. 114745 (2026), for the two scales.
    """

    domain = MeshFile("../data/meshes/cook_triangles.msh", dim=2)
    cell = "rve/disc"
    traction = parameter(8.0, above=0, draw=(2.0, 8.0), unit="MPa", doc="shear traction on the right side")

    def conditions(self):
        return [Dirichlet(0.0, on="clamped"), Neumann(as_vector([0.0, self.traction]), on="loaded")]

    def quantities(self, u):
        return {"tip": PointValue(u[1], at=(48.0, 60.0)), "middle": PointValue(u[1], at=(48.0, 52.0))}


class LPanelTwoScale(TwoScale):
    """An L-shaped panel of a composite: the strains at a re-entrant corner.

    ::

        −div S(sym ∇u) = 0 in (0, 500)² mm without its lower right quadrant,   S from the cell `rve/disc`
        u = 0 on the bottom,   u_y = lift on the right,   S n = 0 elsewhere (and S_xy = 0 on the right)

    The free side of the horizontal arm is lifted. The strains at the re-entrant corner are singular.

    Parameters
    ----------
    lift : positive, mm
        Displacement u_y of the right side.

    Notes
    -----
    Good values: lift 15 mm on the shipped mesh of 54 triangles.

    When it breaks: as for `solid/cook_two_scale`; the corner sees the largest strains.

    Source: a common test of damage and of two-scale methods (Winkler, 2001, for the shape); load and size of the cells
    are chosen here.
    """

    domain = MeshFile("../data/meshes/l_panel.msh", dim=2)
    cell = "rve/disc"
    lift = parameter(15.0, above=0, draw=(4.0, 15.0), unit="mm", doc="displacement u_y of the right side")

    def conditions(self):
        return [Dirichlet(0.0, on="bottom"), Dirichlet(self.lift, on="right", component=1)]

    def quantities(self, u):
        return {"sway": PointValue(u[0], at=(500.0, 500.0)), "corner": PointValue(u[1], at=(250.0, 250.0))}


class PlateTwoScale(TwoScale):
    """A plate with a circular hole of a composite: tension that concentrates at the hole.

    ::

        −div S(sym ∇u) = 0 in (0, 4)² mm without the disc of radius 1 round the origin,   S from the cell `rve/disc`
        u_x = 0 on the left,   u_y = 0 on the bottom (symmetry),   S n = (tension, 0) on the right,   S n = 0 elsewhere

    A quarter of a plate in plane strain that is pulled along x. The strain is largest at the top of the hole.

    Parameters
    ----------
    tension : positive, MPa
        Traction on the right side.

    Notes
    -----
    Good values: tension 15 MPa on the shipped mesh of 80 quadratic triangles.

    When it breaks: far larger tension saturates the matrix at the top of the hole, and asks for several load steps.

    Source: Kirsch (1898), Z. Ver. Dtsch. Ing. 42, for the shape; load and size of the cells are chosen here.
    """

    domain = MeshFile("../data/meshes/plate_with_hole_coarse.msh", dim=2)
    cell = "rve/disc"
    tension = parameter(15.0, above=0, draw=(5.0, 15.0), unit="MPa", doc="traction on the right side")

    def conditions(self):
        return [
            Dirichlet(0.0, on="left", component=0),
            Dirichlet(0.0, on="bottom", component=1),
            Neumann(as_vector([self.tension, 0.0]), on="right"),
        ]

    def quantities(self, u):
        return {"stretch": PointValue(u[0], at=(4.0, 0.0)), "hole": PointValue(u[0], at=(1.0, 0.0))}
