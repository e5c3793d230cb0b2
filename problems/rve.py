"""Periodic cells of composites: stiff inclusions in a polymer, under a macroscopic strain."""

from sciml import MeshFile
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
