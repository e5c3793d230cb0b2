"""Elasticity at large strain."""

from ufl import Identity, as_vector, det, diff, dot, grad, inner, ln, variable

from sciml import Box, Dirichlet, Problem, ds, dx, parameter, vector


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
