"""Periodic cells of composites: stiff inclusions in a polymer, under a macroscopic strain."""

from sciml import MeshFile, parameter, shapes
from sciml.laws import Cell, LinearElastic, Matrix


class _Composite(Cell):
    """Glass in the polymer of the literature, whose shear stress saturates."""

    laws = {
        "matrix": Matrix(bulk_modulus=4.78e3, saturation=50.0, softening=0.06),
        "inclusion": LinearElastic(bulk_modulus=4.34523810e4, shear_modulus=2.99180328e4),
    }


class Disc(_Composite):
    """A cell with one round inclusion.

    ::

        div σ(E + sym ∇w) = 0 in (−½, ½)²,   w periodic,   ∫ w = 0
        σ(ε) = K tr(ε) I + g(|e|) e,   e = ε − tr(ε)/3 I (3-D, plane strain)
        g = 50/(0.06 + |e|) MPa, K = 4780 MPa outside of the disc |x| < 0.35;   g = 2 · 29918 MPa, K = 43452 MPa in it

    The fluctuation w of the displacement round a centred disc of 38 % of the area under a macroscopic strain E. What
    counts is the mean stress and its derivative by E, which take the place of a material law on the larger scale.

    Parameters
    ----------
    strain : three numbers
        E_xx, E_yy and γ_xy = 2 E_xy; members are drawn from (−0.04, 0.04)³.

    Notes
    -----
    Good values: strains up to 0.04. The shipped mesh of 430 triangles has 1826 unknowns at degree 2; its straight
    sides leave the inclusion 38.2 % of the area in place of 38.5 %.

    When it breaks: the shear modulus of the matrix falls from 417 MPa to a few as strains grow, while its bulk modulus
    stays: elements of degree 1 lock.

    Source: Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026): the laws, with the norm
    of the whole deviator; the disc is simpler than its cells.
    """

    domain = MeshFile("../data/meshes/rve_disc.msh", dim=2)


class Rve1(_Composite):
    """A cell with discs in its middle and its corners: more than half of it is stiff.

    ::

        div σ(E + sym ∇w) = 0 in (−½, ½)²,   w periodic,   ∫ w = 0,   σ as for `rve/disc`
        inclusions: |x − c| < √(0.55/(2π)) round c = (0, 0) and the four corners

    Two equal discs a cell in a face-centred arrangement, 55 % of the area.

    Parameters
    ----------
    strain : three numbers
        E_xx, E_yy and γ_xy = 2 E_xy; members are drawn from (−0.04, 0.04)³.

    Notes
    -----
    Good values: strains up to 0.04. The shipped mesh has 20386 unknowns at degree 2; the published one has 21122 in
    quadrilaterals of eight nodes.

    When it breaks: as for `rve/disc`; the matrix between the discs is thin and sees several times the strain.

    Source: Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026), RVE 1; measures from the
    meshes beside its code.
    """

    domain = MeshFile("../data/meshes/rve_1.msh", dim=2)


class Rve2(_Composite):
    """A cell with one ellipse that stands at an angle: the composite is not orthotropic.

    ::

        div σ(E + sym ∇w) = 0 in (−½, ½)²,   w periodic,   ∫ w = 0,   σ as for `rve/disc`
        inclusion: the ellipse round 0 of semi-axes a = 0.35 and b = 0.17525, turned by 30°

    Normal strains along the axes cause shear stress, and shear strains normal stress. The ellipse fills 19 % of the
    area.

    Parameters
    ----------
    strain : three numbers
        E_xx, E_yy and γ_xy = 2 E_xy; members are drawn from (−0.04, 0.04)³.

    Notes
    -----
    Good values: strains up to 0.04. The shipped mesh has 12610 unknowns at degree 2.

    When it breaks: as for `rve/disc`.

    Source: Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026), RVE 2; measures from the
    meshes beside its code.
    """

    domain = MeshFile("../data/meshes/rve_2.msh", dim=2)


class Rve3(_Composite):
    """A cell with three discs of two sizes, without symmetry.

    ::

        div σ(E + sym ∇w) = 0 in (−½, ½)²,   w periodic,   ∫ w = 0,   σ as for `rve/disc`
        inclusions: |x − c| < r for (c, r) = ((−¼, ¼), 0.1), ((0, −¼), 0.1), ((0.25, 0.15), 0.15)

    The discs fill 13 % of the area.

    Parameters
    ----------
    strain : three numbers
        E_xx, E_yy and γ_xy = 2 E_xy; members are drawn from (−0.04, 0.04)³.

    Notes
    -----
    Good values: strains up to 0.04. The shipped mesh has 11066 unknowns at degree 2.

    When it breaks: as for `rve/disc`.

    Source: Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026), RVE 3; measures from the
    meshes beside its code.
    """

    domain = MeshFile("../data/meshes/rve_3.msh", dim=2)


class Fibres(_Composite):
    """A cell with fibres at random places that do not touch.

    ::

        div σ(E + sym ∇w) = 0 in (0, 1)²,   w periodic,   ∫ w = 0,   σ as for `rve/disc`
        inclusions: discs at random places, of radius = uniform in (0.07, 0.1), until they fill the fraction

    Fibres lie inside of the cell, with a gap between each other and the sides. The arrangement that is shipped needs no
    mesher; others are meshed by gmsh.

    Parameters
    ----------
    strain : three numbers
        E_xx, E_yy and γ_xy = 2 E_xy; members are drawn from (−0.04, 0.04)³.
    fraction : between 0.05 and 0.5
        Part of the area that the fibres fill; it is exceeded by less than the last one.
    arrangement : from 0 to 1 000 000
        Which random arrangement; the same number gives the same fibres on every machine.

    Notes
    -----
    Good values: the defaults; a mean over several arrangements shows what a larger cell would give.

    When it breaks: beyond a fraction of 0.5 there is no room. Fibres that nearly touch concentrate the strain.

    Source: the law is that of Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026);
    random arrangements of this kind are usual in micromechanics.
    """

    fraction = parameter(0.4, between=(0.05, 0.5), doc="part of the area that the fibres fill")
    arrangement = parameter(0, between=(0, 1_000_000), integer=True, doc="which random arrangement")

    def domain(self):
        fraction, arrangement = self.parameters["fraction"], self.parameters["arrangement"]
        if (fraction, arrangement) == (0.4, 0):
            return MeshFile("../data/meshes/rve_fibres.vtu", dim=2)
        return shapes.rectangle_with_inclusions(fraction=fraction, radii=(0.07, 0.1), seed=arrangement, size=0.08)
