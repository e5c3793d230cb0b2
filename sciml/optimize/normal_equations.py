"""(JᵀJ + λ S⁻²) d = Jᵀ r for many λ and right sides: in the space of the samples or of the parameters, or by products.

With J̃ = J S, where the diagonal S holds one over the scale of each parameter,

    d = S (J̃ᵀJ̃ + λ)⁻¹ J̃ᵀ r = S J̃ᵀ (J̃J̃ᵀ + λ)⁻¹ r,

so that either the matrix of the parameters (P, P) or that of the samples (N, N) is inverted, whichever is smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from sciml.optimize.least_squares import LinearisedResidual

__all__ = ["Inverse", "KrylovEquations", "NormalEquations", "PrimalEquations", "SampleEquations", "squared_columns"]

Inverse = Callable[[Tensor], Tensor]

# Vectors that products with J are asked for at once; each takes a few copies of the parameters.
BLOCK = 16


class NormalEquations(Protocol):
    """The damped normal equations at one θ.

    Attributes
    ----------
    residual : Tensor
        r, shape ``(N,)``.
    """

    residual: Tensor

    def inverse(self, damping: float) -> Inverse | None:
        """Make the map r ↦ d, ``(N,)`` to ``(P,)``; None if the damped matrix is not positive in floating point."""
        ...

    def product(self, direction: Tensor) -> Tensor:
        """J d, ``(P,)`` to ``(N,)``."""
        ...

    def spectrum(self) -> Tensor:
        """Eigenvalues of J̃J̃ᵀ, ascending; those that are known to be zero are left out."""
        ...

    def leverage(self, damping: float) -> Tensor:
        """Diagonal of J̃J̃ᵀ (J̃J̃ᵀ + λ)⁻¹, shape ``(N,)``."""
        ...


class _Dense:
    """What both dense forms share: J, the scale, one matrix and its eigenvectors where somebody asks for them."""

    def __init__(self, residual: Tensor, jacobian: Tensor, scale: Tensor) -> None:
        self.residual, self._jacobian, self._scale = residual, jacobian, scale
        self._matrix = self._assemble()
        self._eigen: tuple[Tensor, Tensor] | None = None

    def _assemble(self) -> Tensor:
        raise NotImplementedError

    def _decomposed(self) -> tuple[Tensor, Tensor]:
        if self._eigen is None:
            values, vectors = torch.linalg.eigh(self._matrix)
            self._eigen = values.clamp(min=0.0), vectors
        return self._eigen

    def _factor(self, damping: float) -> Tensor | None:
        # A Cholesky factor for each λ, not one decomposition for all: at 700 to 1200 unknowns three factors take a
        # fifth of the time of the eigenvectors. QR and SVD of J̃, which square no condition number, take five times
        # that of the matrix and its factors, and 400 steps on Poisson's equation ended at the same loss by either.
        matrix = self._matrix.clone()
        matrix.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        return None if failed else factor

    def product(self, direction: Tensor) -> Tensor:
        return self._jacobian @ direction

    def spectrum(self) -> Tensor:
        return self._decomposed()[0]


class SampleEquations(_Dense):
    """Inverts J̃J̃ᵀ + λ, shape ``(N, N)``: the cheaper form where there are fewer residuals than parameters.

    Parameters
    ----------
    residual : Tensor
        r, shape ``(N,)``.
    jacobian : Tensor
        J, shape ``(N, P)``; kept, not written to.
    scale : Tensor
        Diagonal of S, shape ``(P,)``.
    """

    def _assemble(self) -> Tensor:
        scaled = self._jacobian * self._scale
        return scaled @ scaled.mT

    def inverse(self, damping: float) -> Inverse | None:
        factor = self._factor(damping)
        if factor is None:
            return None

        def apply(residual: Tensor) -> Tensor:
            rows = torch.cholesky_solve(residual[:, None], factor)[:, 0]
            return self._scale**2 * (self._jacobian.mT @ rows)

        return apply

    def leverage(self, damping: float) -> Tensor:
        values, vectors = self._decomposed()
        return vectors.square() @ (values / (values + damping))


class PrimalEquations(_Dense):
    """Inverts J̃ᵀJ̃ + λ, shape ``(P, P)``: the cheaper form where there are fewer parameters than residuals.

    Parameters
    ----------
    residual, jacobian, scale : Tensor
        As for `SampleEquations`.
    """

    def _assemble(self) -> Tensor:
        return self._scale[:, None] * (self._jacobian.mT @ self._jacobian) * self._scale

    def inverse(self, damping: float) -> Inverse | None:
        factor = self._factor(damping)
        if factor is None:
            return None

        def apply(residual: Tensor) -> Tensor:
            right = self._scale * (self._jacobian.mT @ residual)
            return self._scale * torch.cholesky_solve(right[:, None], factor)[:, 0]

        return apply

    def leverage(self, damping: float) -> Tensor:
        values, vectors = self._decomposed()
        return (self._jacobian @ (self._scale[:, None] * vectors)).square() @ (1.0 / (values + damping))


class KrylovEquations:
    """Solves by products with J and Jᵀ alone: conjugate gradients with a randomised Nyström preconditioner.

    The matrix A (J̃J̃ᵀ or J̃ᵀJ̃, the smaller one, n unknowns) is approximated by U Λ Uᵀ from its products with `rank`
    random vectors; once for all λ. The preconditioner of A + λ is then (λ_rank + λ) U (Λ + λ)⁻¹ Uᵀ + 1 − U Uᵀ, with a
    condition number of about 1 + λ_rank / λ.

    Parameters
    ----------
    operator : LinearisedResidual
        Products with J.
    scale : Tensor
        Diagonal of S, shape ``(P,)``.
    rank : int
        Random vectors; all eigenvalues above the damping should fit in.
    tolerance : float
        Residual of the linear system over its right side, at which iterations end.
    iterations : int
        Most iterations for one right side. What is reached by then is used: a direction of descent all the same.
    generator : torch.Generator
        Of the random vectors, on the CPU, so that they do not depend on the device.

    References
    ----------
    Frangella, Tropp & Udell, Randomized Nyström preconditioning, SIAM J. Matrix Anal. Appl. 44 (2023), Algorithm 2.1.
    """

    def __init__(
        self,
        operator: LinearisedResidual,
        scale: Tensor,
        *,
        rank: int,
        tolerance: float,
        iterations: int,
        generator: torch.Generator,
    ) -> None:
        self.residual, self._operator, self._scale = operator.residual, operator, scale
        self._in_samples = len(self.residual) <= len(scale)
        self._tolerance, self._iterations = tolerance, iterations
        self._values, self._vectors = self._nystrom(rank, generator)
        self._start: Tensor | None = None
        self.iterations = 0

    def product(self, direction: Tensor) -> Tensor:
        return self._operator.product(direction)

    def inverse(self, damping: float) -> Inverse | None:
        def apply(residual: Tensor) -> Tensor:
            if self._in_samples:
                return self._scale * self._to_parameters(self._conjugate_gradients(residual, damping))
            return self._scale * self._conjugate_gradients(self._to_parameters(residual), damping)

        return apply

    def spectrum(self) -> Tensor:
        """Eigenvalues of the approximation, ascending: the largest ones of J̃J̃ᵀ."""
        return self._values.flip(0)

    def leverage(self, damping: float) -> Tensor:
        """Diagonal of the approximation: from below, by what its rank leaves out."""
        if self._in_samples:
            return self._vectors.square() @ (self._values / (self._values + damping))
        return self._to_samples(self._vectors).square() @ (1.0 / (self._values + damping))

    def _to_samples(self, directions: Tensor) -> Tensor:
        scale = self._scale if directions.ndim == 1 else self._scale[:, None]
        return self._operator.product(scale * directions)

    def _to_parameters(self, rows: Tensor) -> Tensor:
        scale = self._scale if rows.ndim == 1 else self._scale[:, None]
        return scale * self._operator.transposed(rows)

    def _matrix(self, vectors: Tensor) -> Tensor:
        if vectors.ndim == 2 and vectors.shape[1] > BLOCK:
            return torch.cat([self._matrix(block) for block in vectors.split(BLOCK, 1)], 1)
        if self._in_samples:
            return self._to_samples(self._to_parameters(vectors))
        return self._to_parameters(self._to_samples(vectors))

    def _nystrom(self, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Approximate A by U Λ Uᵀ: Λ descending, shape ``(rank,)``, and U, shape ``(n, rank)``."""
        size = len(self.residual) if self._in_samples else len(self._scale)
        random = torch.randn(size, min(rank, size), generator=generator, dtype=self._scale.dtype)
        test = torch.linalg.qr(random.to(self._scale.device))[0]
        image = self._matrix(test)
        # The shift keeps the small matrix positive in floating point and is taken off again.
        shift, failed = torch.finfo(image.dtype).eps * size**0.5 * float(torch.linalg.norm(image)) + 1e-300, True
        while failed:
            shifted = image + shift * test
            small = test.mT @ shifted
            factor, failed = torch.linalg.cholesky_ex(0.5 * (small + small.mT))
            shift *= 10.0 if failed else 1.0
        half = torch.linalg.solve_triangular(factor.mT, shifted, upper=True, left=False)
        vectors, values, _ = torch.linalg.svd(half, full_matrices=False)
        return (values.square() - shift).clamp(min=0.0), vectors

    def _precondition(self, vector: Tensor, damping: float) -> Tensor:
        inside = self._vectors.mT @ vector
        weights = (self._values[-1] + damping) / (self._values + damping)
        return vector + self._vectors @ ((weights - 1.0) * inside)

    def _conjugate_gradients(self, right: Tensor, damping: float) -> Tensor:
        goal = self._tolerance * float(torch.linalg.norm(right))
        solution = torch.zeros_like(right)
        rest = right
        search = preconditioned = self._precondition(rest, damping)
        product = rest @ preconditioned
        for _ in range(self._iterations):
            if float(torch.linalg.norm(rest)) <= goal:
                break
            image = self._matrix(search) + damping * search
            length = product / (search @ image)
            solution, rest = solution + length * search, rest - length * image
            preconditioned = self._precondition(rest, damping)
            product, old = rest @ preconditioned, product
            search = preconditioned + (product / old) * search
            self.iterations += 1
        return solution


def squared_columns(operator: LinearisedResidual, probes: int, generator: torch.Generator) -> Tensor:
    """Σₙ Jₙₚ² for each parameter, shape ``(P,)``, by products with Jᵀ alone.

    The mean of (Jᵀ z)² over random signs z is the sum wanted; its standard deviation is at most √(2 / probes) of it.
    With as many probes as residuals the unit vectors are used instead, and the result is exact.

    Parameters
    ----------
    operator : LinearisedResidual
        Products with J.
    probes : int
        Products to spend.
    generator : torch.Generator
        Of the signs.
    """
    residual = operator.residual
    n_residuals = len(residual)
    if probes >= n_residuals:
        rows = torch.eye(n_residuals, dtype=residual.dtype, device=residual.device)
        return _sum_of_squares(operator, rows)
    signs = torch.randint(0, 2, (n_residuals, probes), generator=generator).to(residual) * 2 - 1
    return _sum_of_squares(operator, signs) / probes


def _sum_of_squares(operator: LinearisedResidual, rows: Tensor) -> Tensor:
    parts = [operator.transposed(block).square().sum(1) for block in rows.split(BLOCK, 1)]
    return torch.stack(parts).sum(0)
