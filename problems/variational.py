"""Convex energies ∫ W(u, ∇u, x) dx whose bounds are known, from linear to saturating flux."""

from math import pi

from ufl import as_matrix, cosh, exp, grad, inner, ln, max_value, sin, sqrt

from sciml import Box, Dirichlet, Problem, dx, parameter


def _square(u):
    return inner(grad(u), grad(u))


def _bubble(x, dim):
    value = 2 * sin(pi * x[0])
    for axis in range(1, dim):
        value *= sin(pi * x[axis])
    return value


class Quadratic(Problem):
    """A quadratic energy with a coefficient matrix and an absorption.

    ::

        −div(A ∇u) + absorption u = f in (0, 1)²,   u = 0 on the boundary,   u* = 2 sin(πx) sin(πy)
        energy ½ ∇u · A ∇u + ½ absorption u²,   A = [[2, ½], [½, 1]] e^(tilt (x − ½))

    The linear member of the class: preconditioned gradient descent in H¹ contracts at a rate that depends on
    the bounds below and not on the mesh.

    Parameters
    ----------
    absorption : from 0 to 10, 1/length²
        Coefficient of u².
    tilt : from 0 to 2, 1/length
        Growth of the coefficient along x.

    Notes
    -----
    Convexity: The Hessian in ∇u is A, with eigenvalues (3 ± √2)/2 times e^(±tilt/2) at the sides: between
    0.793 e^(−tilt/2) and 2.207 e^(tilt/2). In u it is the absorption. Quadratic growth.

    Good values: absorption 1, tilt 1.

    When it breaks: The bounds drift apart like e^tilt.

    Classical baseline: Elements of degree 2 with conjugate gradients.

    Source: The first Lagrangian that the theory of Marwah, Lipton, Lu and Risteski, ICML 2023 (arXiv
    2210.12101), covers; coefficients and bounds from here.
    """

    domain = Box((0.0, 0.0), (1.0, 1.0))
    absorption = parameter(1.0, at_least=0, draw=(0.0, 10.0), unit="1/length²", doc="coefficient of u²")
    tilt = parameter(1.0, at_least=0, draw=(0.0, 2.0), unit="1/length", doc="growth of the coefficient along x")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def exact(self, x):
        return _bubble(x, 2)

    def energy(self, u, x):
        matrix = exp(self.tilt * (x[0] - 0.5)) * as_matrix([[2.0, 0.5], [0.5, 1.0]])
        return 0.5 * inner(matrix * grad(u), grad(u)) + 0.5 * self.absorption * u**2

    def convexity(self):
        spread = exp(0.5 * self.tilt)
        return (3 - 2**0.5) / 2 / spread, max_value((3 + 2**0.5) / 2 * spread, self.absorption)

    def quantities(self, u, x):
        return {"energy": self.energy(u, x) * dx}


class LogCosh(Problem):
    """A reaction that saturates: quadratic for small solutions, linear for large ones.

    ::

        −Δu + steepness tanh(steepness u) = f in (0, 1)^dim,   u = 0 on the boundary,   u* = 2 Π_i sin(πx_i)
        energy ½ |∇u|² + ln cosh(steepness u)

    Semilinear and strictly convex. The reaction is between −steepness and steepness however large u is.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.
    steepness : from 0.5 to 10
        Slope of the reaction's tanh, and its size.

    Notes
    -----
    Convexity: The Hessian in ∇u is 1; in u it is steepness² / cosh²(steepness u), between 0 and steepness².
    Lower bound 1, upper bound the larger of 1 and steepness². Quadratic growth in ∇u, linear in u.

    Good values: steepness 3. Preconditioned descent in H¹ with the step 1/9 needs some eighty steps to 1e-9 of
    the energy; Newton's method four.

    When it breaks: For large steepness the reaction is almost a jump at u = 0.

    Classical baseline: Newton's method on elements of degree 2.

    Source: A semilinear member of the class of Marwah, Lipton, Lu and Risteski, ICML 2023 (arXiv 2210.12101);
    the example and its bounds are from here.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    steepness = parameter(3.0, above=0, draw=(0.5, 10.0), doc="slope of the reaction's tanh")
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def exact(self, x):
        return _bubble(x, self.dim)

    def energy(self, u):
        return 0.5 * _square(u) + ln(cosh(self.steepness * u))

    def convexity(self):
        return 1.0, max_value(1.0, self.steepness**2)

    def quantities(self, u):
        return {"energy": self.energy(u) * dx}


class DirichletAndArea(Problem):
    """Diffusion that is twice as strong where the solution is flat: energy plus area.

    ::

        −div((1 + 1/√(1 + |∇u|²)) ∇u) = f in (0, 1)^dim,   u = 0 on the boundary,   u* = 2 Π_i sin(πx_i)
        energy ½ |∇u|² + √(1 + |∇u|²)

    Quasilinear, and as good as a nonlinear law can be: the energy's curvature stays between two constants
    everywhere.

    Parameters
    ----------
    dim : 1, 2 or 3
        Number of space dimensions.

    Notes
    -----
    Convexity: The Hessian in ∇u has the eigenvalues 1 + (1 + |∇u|²)^(−1/2) and 1 + (1 + |∇u|²)^(−3/2): between 1
    and 2. Quadratic growth.

    Good values: Preconditioned descent in H¹ with the step ½ needs about sixteen steps to 1e-9 of the energy;
    Newton's method four.

    When it breaks: It should not; a method that fails here is wrong.

    Classical baseline: Newton's method on elements of degree 2.

    Source: A quasilinear member of the class of Marwah, Lipton, Lu and Risteski, ICML 2023 (arXiv 2210.12101);
    the example and its bounds are from here.
    """

    dim = parameter(2, choices=(1, 2, 3), doc="number of space dimensions")
    conditions = (Dirichlet(0.0, on="boundary"),)
    convexity = (1.0, 2.0)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def exact(self, x):
        return _bubble(x, self.dim)

    def energy(self, u):
        return 0.5 * _square(u) + sqrt(1 + _square(u))

    def quantities(self, u):
        return {"energy": self.energy(u) * dx}
