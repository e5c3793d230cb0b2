"""Darcy flow −div(a ∇u) = f through random media of two phases or log-normal, and in flux and potential."""

from ufl import Identity, div, dot, exp, grad, inner, pi, sin

from sciml import (
    Box,
    Dirichlet,
    Matern,
    Neumann,
    Problem,
    Spectral,
    ds,
    dx,
    parameter,
    random_field,
    scalar,
    threshold,
    vector,
)


class TwoPhase(Problem):
    """Darcy flow through a random medium of two phases.

    ::

        −div(a ∇u) = 1 in (0, 1)²,   u = 0 on the boundary,
        a = 12 where g ≥ 0, 3 where g < 0,   g ~ N(0, (−Δ + 9)^(−2)) with ∂g/∂n = 0

    The benchmark of operator learning: each member has its own map of the two phases, half and half on
    average, with smooth blobs about a third of the side long. u is one hill, 0.011 to 0.015 high, with
    kinks where the permeability jumps. What flows out is what the load puts in: the outflow is 1.

    Notes
    -----
    Good values: Elements of degree 1 on 128 × 128 cells and more; higher degrees gain little, because the
    phases cut through cells. The public data sets keep every fifth node of a grid of 421 × 421.

    When it breaks: The permeability jumps, so there is no strong form: collocation cannot see the jump
    conditions. The error of a mesh falls like h to h^1.5 only, since each cell takes the phase of its
    midpoint: compare solutions on one mesh, or solve on one at least three times finer than what is kept.

    Classical baseline: Conjugate gradients with fast diagonalisation, 5 members a second and more on
    252 × 252 tensor cells and one core (`solve_members`). A learned operator has to be held against that, at
    equal error.

    Source: Li et al., Fourier Neural Operator, ICLR 2021 (arXiv 2010.08895), Darcy flow. As in its public
    data, g has no constant part; it keeps 128 waves along each axis.
    """

    also_named = ("darcy/threshold",)
    domain = Box((0.0, 0.0), (1.0, 1.0))
    permeability = random_field(
        Spectral(tau=3.0, alpha=2.0), modes=128, fixed_mean=True, transform=threshold(low=3.0, high=12.0)
    )
    load = 1.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return self.permeability * grad(u)

    def quantities(self, u, n):
        return {"integral": u * dx, "outflow": -dot(self.flux(u), n) * ds("boundary")}


class LogNormal(Problem):
    """Darcy flow through a smooth log-normal random medium.

    ::

        −div(a ∇u) = 1 in (0, 1)²,   u = 0 on the boundary,
        a = exp(deviation g),   g Gaussian with mean 0, variance 1 and Matérn's covariance (ν = 5/2, length 1/5)

    The standard problem of uncertainty quantification. The permeability is smooth, so collocation, energies
    and finite elements of any degree apply. With deviation 1 it varies by a factor of about 60
    within a member, of 20 to 1000 among fifty of them. The energy ½ ∫ a |∇u|² is half the integral of u.

    Parameters
    ----------
    deviation : at least 0
        Standard deviation of the logarithm of the permeability; 0 gives a = 1.

    Notes
    -----
    Good values: deviation 1, elements of degree 2.

    When it breaks: The contrast grows like exp(4 deviation); at 3 it is a hundred thousand, and a learned
    solver that has one scale for the residual sees only the most permeable spots.

    Classical baseline: Conjugate gradients with algebraic multigrid, as for `darcy/two_phase`.

    Source: Standard; for instance Lord, Powell and Shardlow (2014), An Introduction to Computational
    Stochastic PDEs, chapter 9. The values are chosen here. The periodic box is twice as long as the domain,
    so that Matérn's covariance holds within it up to 0.001.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    deviation = parameter(1.0, at_least=0, doc="standard deviation of the logarithm of the permeability")
    log_permeability = random_field(
        Matern(nu=2.5, length=0.2), eigenfunctions="periodic", modes=32, box=Box((-0.5, -0.5), (1.5, 1.5))
    )
    load = 1.0
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return exp(self.deviation * self.log_permeability) * grad(u)

    def quantities(self, u, n):
        return {
            "integral": u * dx,
            "energy": 0.5 * inner(self.flux(u), grad(u)) * dx,
            "outflow": -dot(self.flux(u), n) * ds("boundary"),
        }


class Mixed(Problem):
    """Darcy flow in flux and potential, which conserves mass cell by cell.

    ::

        q/permeability − ∇u = 0,   −div q = f in (0, 1)²,   u = u* on the boundary
        u* = sin(π x₀) e^(x₁),   permeability k = 1 + contrast x₀ x₁

    The same law as −div(k ∇u) = f, with the flux q = k ∇u (against the direction of the flow, as elsewhere here) as a
    field of its own. In Raviart–Thomas elements its normal component is continuous, and every cell gives off what its
    load puts in; the potential may jump. What the boundary prescribes of u is a natural condition here.

    Parameters
    ----------
    contrast : from 0 to 100

    Notes
    -----
    Good values: contrast 4. With `degree` p both fields converge with order p in L2, and the flux is as good as the
    potential.

    When it breaks: the matrix is indefinite, so conjugate gradients and plain multigrid do not apply.

    Classical baseline: `degree` 2 with a direct solver in 2-D; −div(k ∇u) = f where the flux needs no conservation.

    Source: P.-A. Raviart, J.-M. Thomas, Lecture Notes in Mathematics 606 (1977) 292. The solution is manufactured.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    fields = {"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)}
    contrast = parameter(
        4.0, at_least=0, draw=(0.0, 100.0), doc="growth of the permeability into the upper right corner"
    )
    conditions = (Neumann(on="boundary", field="flow"),)

    def permeability(self, x):
        return 1 + self.contrast * x[0] * x[1]

    def flux(self, potential):
        return {"flow": potential * Identity(2)}

    def reaction(self, flow, x):
        return {"flow": flow / self.permeability(x), "potential": -div(flow)}

    def exact(self, x):
        potential = sin(pi * x[0]) * exp(x[1])
        return {"potential": potential, "flow": self.permeability(x) * grad(potential)}

    def quantities(self, flow, n):
        return {"outflow": -dot(flow, n) * ds("boundary")}
