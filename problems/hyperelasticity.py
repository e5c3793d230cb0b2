"""Elasticity at large strain."""

import numpy as np
from ufl import Identity, as_vector, det, diff, dot, grad, inner, ln, sqrt, tr, variable

from sciml import Box, Dirichlet, Neumann, Problem, TruncatedNormal, ds, dx, parameter, shapes, vector


class Block(Problem):
    """A block of rubber pressed between two rough plates.

    ::

        −div P(F) = 0 in (0, 1)^dim,   F = I + ∇u,   J = det F,   P = ∂W/∂F = μ (F − F⁻ᵀ) + λ ln J F⁻ᵀ
        W = μ/2 (F:F − dim − 2 ln J) + λ/2 (ln J)²
        u = 0 on the left,   u = (−compression, 0, …) on the right,   P n = 0 elsewhere

    A compressible neo-Hookean solid. The plates do not let the block slide, so its free sides bulge, and the
    stress is singular where they meet the plates. For dim = 2 the state is plane strain. Lengths are in units
    of the edge.

    Parameters
    ----------
    dim : 2 or 3
        Number of space dimensions.
    shear_modulus : positive, MPa
        μ at small strain.
    first_lame : from 0 to 10, MPa
        λ at small strain; 9 with μ = 1 is Poisson's ratio 0.45.
    compression : from −0.3 to 0.3
        How far the right plate moves towards the left one; negative values pull.

    Notes
    -----
    Good values: μ = 1, λ = 1.5 (Poisson's ratio 0.3), compression 0.2.

    When it breaks: W is not defined for J ≤ 0: a guess that turns cells inside out gives NaN, so large
    compressions need steps. Large λ/μ locks elements of degree 1.

    Source: Ogden (1984), Non-Linear Elastic Deformations, for compressible neo-Hookean energies.
    """

    fields = {"displacement": vector}
    dim = parameter(2, choices=(2, 3), doc="number of space dimensions")
    shear_modulus = parameter(1.0, above=0, unit="MPa", doc="μ")
    first_lame = parameter(1.5, at_least=0, draw=(0.0, 10.0), unit="MPa", doc="λ")
    compression = parameter(0.2, below=1, draw=(-0.3, 0.3), doc="displacement of the right plate towards the left")
    load = 0.0

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def density(self, deformation):
        """W as a function of F."""
        log_j = ln(det(deformation))
        isochoric = inner(deformation, deformation) - self.dim - 2 * log_j
        return 0.5 * self.shear_modulus * isochoric + 0.5 * self.first_lame * log_j**2

    def energy(self, u):
        return self.density(Identity(self.dim) + grad(u))

    def conditions(self):
        pressed = as_vector([-self.compression] + [0.0] * (self.dim - 1))
        return [Dirichlet(0.0, on="left"), Dirichlet(pressed, on="right")]

    def quantities(self, u, n):
        deformation = variable(Identity(self.dim) + grad(u))
        stress = diff(self.density(deformation), deformation)
        return {"energy": self.energy(u) * dx, "plate_force": dot(stress, n)[0] * ds("right")}


class Void(Problem):
    """A sheet of rubber with a random void, clamped at the bottom and pulled at the top.

    ::

        −div P(F) = 0 in (0, 1)² without the void,   F = I + ∇u,   C = FᵀF,   P = ∂W/∂F
        W = first (I₁ − 3) + second (I₂ − 3),   I₁ = tr C + 1/det C,   I₂ = det C + tr C/det C
        u = 0 on the bottom,   P n = (0, traction) on the top,   P n = 0 elsewhere
        void: |x − (½, ½)| < r(θ) = 0.2 + 0.2/(1 + exp g(θ)),   g ~ N(0, 16 (−Δ + 9)⁻¹) on the circle

    An incompressible Mooney–Rivlin (Rivlin–Saunders) solid in plane stress: incompressibility gives the stretch
    across the sheet, C₃₃ = 1/det C, so that there is no pressure to solve for. g is the sum of its constant and its
    first five waves; the numbers in `amplitudes` are independent and standard normal in a member, and r lies between
    0.2 and 0.4. Every member has the same grid of rings and rays, so nodes of two members correspond.

    Parameters
    ----------
    amplitudes : eleven numbers
        Of the constant, cos θ, sin θ, cos 2θ, … sin 5θ, in standard deviations; all 0 is a round void of radius 0.3.
    first, second : positive and at least 0, Pa
        Constants of the material; 2 (first + second) is the shear modulus at small strain.
    traction : Pa
        On the top, along y.

    Notes
    -----
    Good values: the defaults. Strains are about 1e-4 there, so that the problem is all but linear; traction 2e5 lifts
    the top by 0.47.

    When it breaks: The stress is singular in the clamped corners, so its maximum has no limit under refinement:
    compare means. A sheet that is pressed buckles: Newton's method fails for traction −5e4.

    Source: The elasticity data of Li et al., Fourier Neural Operator with Learned Deformations for PDEs on General
    Geometries (2023), also used for latent spectral models (Wu et al., ICML 2023). Constants, traction and law of g are
    recalled from there, the cut after five waves follows the ten numbers per sample of the published files; none of
    it was checked against the data.
    """

    fields = {"displacement": vector}
    learned = "mises"
    amplitudes = parameter((0.0,) * 11, draw=TruncatedNormal(0.0, 1.0), doc="random shape of the void")
    first = parameter(1.863e5, above=0, unit="Pa", doc="constant of I₁")
    second = parameter(9.79e3, at_least=0, unit="Pa", doc="constant of I₂")
    traction = parameter(100.0, unit="Pa", doc="on the top")
    load = 0.0

    def domain(self):
        amplitudes = self.parameters["amplitudes"]
        return shapes.cell_with_void(lambda angle: 0.2 + 0.2 / (1 + np.exp(_waves(amplitudes, angle))))

    def density(self, deformation):
        """W as a function of F."""
        strain = deformation.T * deformation
        squeezed = 1 / det(strain)
        return self.first * (tr(strain) + squeezed - 3) + self.second * (det(strain) + squeezed * tr(strain) - 3)

    def energy(self, u):
        return self.density(Identity(2) + grad(u))

    def conditions(self):
        return [Dirichlet(0.0, on="bottom"), Neumann(as_vector([0.0, self.traction]), on="top")]

    def mises(self, u):
        """Von Mises' equivalent of the true stress P Fᵀ; the volume does not change, nor is there stress across."""
        deformation = variable(Identity(2) + grad(u))
        stress = diff(self.density(deformation), deformation) * deformation.T
        return sqrt(stress[0, 0] ** 2 - stress[0, 0] * stress[1, 1] + stress[1, 1] ** 2 + 3 * stress[0, 1] ** 2)

    def quantities(self, u):
        return {"energy": self.energy(u) * dx, "mean_rise": u[1] * ds("top"), "mises": self.mises(u) * dx}


def _waves(amplitudes, angle):
    """Values of g at angles, from a number for each wave in standard deviations."""
    value = 4 / 3 * amplitudes[0] / np.sqrt(2 * np.pi) * np.ones_like(angle)
    for wave, (even, odd) in enumerate(zip(amplitudes[1::2], amplitudes[2::2]), start=1):
        deviation = 4 / np.sqrt((wave**2 + 9) * np.pi)
        value += deviation * (even * np.cos(wave * angle) + odd * np.sin(wave * angle))
    return value
