"""Stationary advection and diffusion."""

from ufl import as_vector, dot, exp, grad, inner

from sciml import Box, Dirichlet, Problem, ds, dx, parameter


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


def _layer(s, peclet):
    """The solution of −X''/peclet + X' = 1 that vanishes at 0 and 1."""
    return s - (exp(peclet * (s - 1)) - exp(-peclet)) / (1 - exp(-peclet))


class BoundaryLayer(Problem):
    """Advection against a wall, with a boundary layer, in one dimension.

    ::

        −u''/peclet + u' = 1 in (0, 1),   u = 0 at both ends
        u* = x − (e^(peclet (x − 1)) − e^(−peclet))/(1 − e^(−peclet))

    u climbs with slope one and falls back to zero within about 1/peclet of the right end. Its integral is
    ½ − 1/peclet + 1/(e^peclet − 1), its slope at the right end −peclet up to a constant.

    Parameters
    ----------
    peclet : from 1 to 200
        Péclet number: speed length/diffusivity.

    Notes
    -----
    Good values: peclet 50. The integral is 0.48 then.

    When it breaks: On cells longer than about 2/peclet (degree 1) the Galerkin solution oscillates along the
    whole interval. Streamline upwinding, which the reference then adds, keeps it within some per cent outside of
    the last two cells; but the layer is as wide as a cell, and the slope at the right end is wrong. Halving
    resolves the layer up to peclet of some hundreds; beyond, graded meshes are needed.

    Classical baseline: Elements of degree 2 on 128 cells at peclet 50; Shishkin meshes for large numbers.

    Source: Textbook; Roos, Stynes and Tobiska (2008), Robust Numerical Methods for Singularly Perturbed
    Differential Equations.
    """

    domain = Box(0.0, 1.0)
    peclet = parameter(50.0, above=0, draw=(1.0, 200.0), log=True, doc="Péclet number")
    load = 1.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def exact(self, x):
        return _layer(x[0], self.peclet)

    def flux(self, u):
        return grad(u) / self.peclet - as_vector([u])

    def quantities(self, u, n):
        return {"integral": u * dx, "slope_right": dot(grad(u), n) * ds("right")}


class CornerLayers(Problem):
    """Advection into a corner, with two boundary layers that meet.

    ::

        −Δu/peclet + u_x + u_y = X(x) + X(y) in (0, 1)²,   u = 0 on the boundary,   u* = X(x) X(y)
        X(s) = s − (e^(peclet (s − 1)) − e^(−peclet))/(1 − e^(−peclet))

    The product of two one-dimensional layers (`advection_diffusion/boundary_layer`): the wind (1, 1) blows into
    the upper right corner, and u falls to zero within about 1/peclet of the top and of the right side. Its
    integral is (½ − 1/peclet + 1/(e^peclet − 1))².

    Parameters
    ----------
    peclet : from 1 to 100
        Péclet number: speed length/diffusivity, each component.

    Notes
    -----
    Good values: peclet 30.

    When it breaks: On cells longer than 2/peclet the Galerkin solution oscillates in the whole square.
    Streamline upwinding, which the reference then adds, leaves some per cent outside of the layers, which are as
    wide as a cell. The law is not symmetric: no energy, no conjugate gradients.

    Classical baseline: Elements of degree 2 on 128 × 128 cells at peclet 30; Shishkin meshes for large numbers.

    Source: Textbook; Roos, Stynes and Tobiska (2008), Robust Numerical Methods for Singularly Perturbed
    Differential Equations.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    peclet = parameter(30.0, above=0, draw=(1.0, 100.0), log=True, doc="Péclet number")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def exact(self, x):
        return _layer(x[0], self.peclet) * _layer(x[1], self.peclet)

    def load(self, x):
        return _layer(x[0], self.peclet) + _layer(x[1], self.peclet)

    def flux(self, u):
        return grad(u) / self.peclet - u * as_vector([1.0, 1.0])

    def quantities(self, u):
        return {"integral": u * dx, "energy": 0.5 * inner(grad(u), grad(u)) * dx}
