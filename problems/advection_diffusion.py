"""Stationary advection and diffusion."""

from ufl import dot, exp, grad, inner

from sciml import Box, Dirichlet, Problem, dx, parameter


class TwoPeaks(Problem):
    """Advection and diffusion with two sharp Gaussian peaks.

    ::

        −div(∇u − u ∇|x|²) = −s in (−1, 1)²,   u = u* on the boundary,
        u* = exp(−sharpness |x − first|²) + exp(−sharpness |x − second|²)

    Expanded, Δu − 2 x·∇u − 4 u = s: a drift 2x carries u outwards, faster the farther out. One bump of centre
    c contributes (4 k² q − 4 k + 4 k x·(x − c) − 4) exp(−k q) to s, with k = sharpness and q = |x − c|². The
    load of this balance law is −s; it is made from u*. Diffusion dominates, the difficulty is to find both
    peaks.

    Parameters
    ----------
    sharpness : from 1 to 10 000, 1/length²
        Inverse squared width of the peaks.
    first, second : two numbers from −0.9 to 0.9, length
        Places of the peaks.

    Notes
    -----
    Good values: sharpness 1000 with peaks at ±(0.5, 0.5) are those of the literature on adaptive sampling.

    When it breaks: As `poisson/peak`: points or cells coarser than 1/√sharpness miss the peaks, and the zero
    function has a mean square error of 7.9e-4 only. The law is not symmetric: no energy, no conjugate
    gradients.

    Source: Tang, Wan and Yang, DAS-PINNs, J. Comput. Phys. 476 (2023), with the values of its code; used
    again by Tang, Zhai, Wan and Yang, ICLR 2024 (arXiv 2305.18702). `poisson/two_peaks` has the same solution
    without the drift; do not mix the numbers.
    """

    domain = Box((-1.0, -1.0), (1.0, 1.0))
    sharpness = parameter(1000.0, above=0, draw=(1.0, 1e4), log=True, unit="1/length²", doc="inverse squared width")
    first = parameter((0.5, 0.5), draw=(-0.9, 0.9), unit="length", doc="place of one peak")
    second = parameter((-0.5, -0.5), draw=(-0.9, 0.9), unit="length", doc="place of the other peak")
    conditions = (Dirichlet(on="boundary"),)

    def exact(self, x):
        distances = (inner(x - c, x - c) for c in (self.first, self.second))
        return sum(exp(-self.sharpness * square) for square in distances)

    def flux(self, u, x):
        return grad(u) - u * grad(dot(x, x))

    def quantities(self, u):
        return {"integral": u * dx, "energy": 0.5 * inner(grad(u), grad(u)) * dx}
