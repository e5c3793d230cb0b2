"""Gauss–Newton steps with a damping that is searched for, scaled parameters and geodesic acceleration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from sciml.optimize.least_squares import LeastSquares, Step, finite_loss, half_square
from sciml.optimize.normal_equations import (
    Inverse,
    KrylovEquations,
    NormalEquations,
    PrimalEquations,
    SampleEquations,
    squared_columns,
)
from sciml.optimize.options import check_choice, check_number, check_whole

__all__ = ["Conditioning", "GaussNewton", "Solve"]

Solve = Literal["auto", "sample", "primal", "matrix_free"]

# Tried at every step, in multiples of the damping of the step before.
FACTORS = (2.0, 1 / 4, 1 / 30)
LEAST_DAMPING, MOST_DAMPING = 1e-17, 1e8
# Of the squared column norms from one step to the next, so that a scale can come down again.
SCALE_MEMORY = 0.9
# Smallest squared scale of a parameter, over the largest: columns that are zero must not blow up.
SMALLEST_SCALE = 1e-6
# Length of the finite difference along a step, over the step.
DIFFERENCE = 0.1


@dataclass(frozen=True)
class Conditioning:
    """What the last Gauss–Newton matrix J̃J̃ᵀ, with scaled columns, looked like.

    Attributes
    ----------
    largest, smallest : float
        Extreme eigenvalues among those above rounding (machine precision times n times the largest).
    rank : int
        How many there are above rounding.
    effective_rank : float
        Σ μ / (μ + λ) over the eigenvalues μ: directions that the damping λ leaves free.
    unknowns : int
        min(N, P), the most that `rank` can be.
    """

    largest: float
    smallest: float
    rank: int
    effective_rank: float
    unknowns: int


@dataclass(frozen=True)
class _Trial:
    """A candidate for the next parameters."""

    theta: Tensor
    loss: float
    damping: float
    accelerated: bool


class GaussNewton:
    """Damped Gauss–Newton (Levenberg–Marquardt): θ ← θ − d with (JᵀJ + λ D) d = Jᵀ r.

    D holds the largest squared norm that each column of J had lately, so that neither the units of the parameters nor
    those of the residuals matter, and λ is a pure number. Every step tries λ times 2, 1/4 and 1/30 and takes the lowest
    loss; where none is lower, λ grows tenfold until one is, or the step is not accepted. For residuals of a linear
    equation this is the natural gradient of the energy.

    Geodesic acceleration adds a = ½ (JᵀJ + λ D)⁻¹ Jᵀ r̈, where r̈ is the second derivative of r along d (by one more
    residual): the same factor serves. It is the largest single gain on collocation residuals of networks.

    Parameters
    ----------
    solve : str
        ``"sample"`` inverts an (N, N) matrix, ``"primal"`` a (P, P) one, ``"matrix_free"`` stores neither J nor a
        matrix; ``"auto"`` takes the smaller one of the first two if both fit into `memory`, else the last one. `chosen`
        says which and why.
    damping : float
        λ at the start. Good values: 1e-3 to 1.
    acceleration : float
        Longest second-order correction that is tried, over the length of d; 0 switches it off. Good value: 0.75.
    momentum : float
        μ of SPRING: what is left of the last step is the start of this one, d = μ d' + (…)⁻¹ Jᵀ(r − μ J d'). Meant for
        points that are drawn anew at every step; 0 (off) is right for points that stay.
    memory : int
        Bytes that J and its matrices may take.
    rank, tolerance, iterations, probes : int, float, int, int
        Of ``"matrix_free"``: see `KrylovEquations` and, for `probes`, `squared_columns`.
    seed : int
        Of the random vectors of ``"matrix_free"``.

    Attributes
    ----------
    chosen : str
        The form of the equations that the last step solved, and why; empty before.

    Raises
    ------
    OptionError
        If an option is out of its range.

    Notes
    -----
    Double precision is needed: the normal equations square the condition number. Where J̃J̃ᵀ + λ is not positive in
    floating point, that λ is passed over, and the search goes on with larger ones.

    References
    ----------
    Marquardt, J. SIAM 11 (1963); Transtrum & Sethna, arXiv:1201.5885, section 3 (geodesic acceleration); Müller &
    Zeinhofer, ICML 2023 (energy natural gradient); Goldshlager, Abrahamsen & Lin, J. Comput. Phys. 516 (2024) (SPRING).
    """

    name = "gauss_newton"

    def __init__(
        self,
        *,
        solve: Solve = "auto",
        damping: float = 1e-2,
        acceleration: float = 0.75,
        momentum: float = 0.0,
        memory: int = 2**31,
        rank: int = 100,
        tolerance: float = 1e-6,
        iterations: int = 200,
        probes: int = 30,
        seed: int = 0,
    ) -> None:
        check_choice(self.name, "solve", solve, get_args(Solve))
        self._solve: Solve = solve
        self._memory = check_whole(self.name, "memory", memory, 1)
        self._first_damping = check_number(self.name, "damping", damping, "between 1e-17 and 1e8", 1e-17, 1e8)
        self._acceleration = check_number(self.name, "acceleration", acceleration, "at least 0 (off)", 0.0)
        self._momentum = check_number(self.name, "momentum", momentum, "at least 0 (off) and below 1", 0.0, 1 - 1e-12)
        self._tolerance = check_number(self.name, "tolerance", tolerance, "positive and below 1", 1e-16, 1 - 1e-12)
        self._rank = check_whole(self.name, "rank", rank, 1)
        self._iterations = check_whole(self.name, "iterations", iterations, 1)
        self._probes = check_whole(self.name, "probes", probes, 1)
        self._seed = check_whole(self.name, "seed", seed, 0)
        self._damping, self._count = self._first_damping, 0
        self._squares: Tensor | None = None
        self._last: Tensor | None = None
        self._equations: NormalEquations | None = None
        self.chosen = ""

    # -- steps ---------------------------------------------------------------------------------------------------------

    def step(self, system: LeastSquares, theta: Tensor) -> Step:
        """Make one step; see `Optimizer.step`.

        `details`: ``damping`` of the candidate that was taken, ``candidates`` that were tried, whether it was
        ``accelerated`` (1 or 0); ``iterations`` of conjugate gradients for ``"matrix_free"``.
        """
        self._equations = None  # frees the last J before the next one is made
        equations = self._equations_at(system, theta)
        previous = finite_loss(half_square(equations.residual), self.name)
        self._equations, self._count = equations, self._count + 1
        best, tried = self._search(system, theta, equations, previous)
        details = {"candidates": float(tried)}
        if isinstance(equations, KrylovEquations):
            details["iterations"] = float(equations.iterations)
        if best is None:
            # What was searched in vain says nothing of the next points; start the search anew there.
            self._damping, self._last = self._first_damping, None
            return Step(theta, previous, previous, False, details)
        self._damping, self._last = best.damping, theta - best.theta
        details |= {"damping": best.damping, "accelerated": float(best.accelerated)}
        return Step(best.theta, best.loss, previous, True, details)

    def _search(
        self, system: LeastSquares, theta: Tensor, equations: NormalEquations, previous: float
    ) -> tuple[_Trial | None, int]:
        """Find the best candidate that lowers the loss, and count those that were tried."""
        best, tried = None, 0
        base = self._momentum * self._last if self._momentum and self._last is not None else None
        dampings = sorted({max(LEAST_DAMPING, self._damping * factor) for factor in FACTORS}, reverse=True)
        while previous > 0:
            for damping in dampings:
                tried += 1
                trial = self._trial(system, theta, equations, damping, base)
                if trial is not None and trial.loss < (best.loss if best else previous):
                    best = trial
            if best is not None:
                break
            if base is not None:
                base = None
                continue
            dampings = [10 * max(dampings)]
            if dampings[0] > MOST_DAMPING:
                break
        return best, tried

    def _trial(
        self, system: LeastSquares, theta: Tensor, equations: NormalEquations, damping: float, base: Tensor | None
    ) -> _Trial | None:
        """Build the better one of the plain and the accelerated step for one damping."""
        inverse = equations.inverse(damping)
        if inverse is None:
            return None
        residual = equations.residual
        if base is None:
            direction = inverse(residual)
        else:
            direction = base + inverse(residual - equations.product(base))
        plain = theta - direction
        best = _Trial(plain, half_square(system.residual(plain)), damping, False)
        correction = self._correction(system, theta, equations, inverse, direction)
        if correction is not None:
            bent = plain - correction
            loss = half_square(system.residual(bent))
            if not best.loss <= loss:
                best = _Trial(bent, loss, damping, True)
        return best

    def _correction(
        self, system: LeastSquares, theta: Tensor, equations: NormalEquations, inverse: Inverse, direction: Tensor
    ) -> Tensor | None:
        """½ (…)⁻¹ Jᵀ r̈ for the curved path θ − t d − t² a, if it is short enough to be trusted."""
        if not self._acceleration:
            return None
        ahead = system.residual(theta - DIFFERENCE * direction)
        bending = (ahead - equations.residual + DIFFERENCE * equations.product(direction)) * (2 / DIFFERENCE**2)
        correction = 0.5 * inverse(bending)
        # NaN beyond the range of the residual compares as False.
        short = torch.linalg.norm(correction) < self._acceleration * torch.linalg.norm(direction)
        return correction if bool(short) else None

    # -- equations -----------------------------------------------------------------------------------------------------

    def _equations_at(self, system: LeastSquares, theta: Tensor) -> NormalEquations:
        kind, why = self._choose(system.n_residuals, len(theta), theta.element_size())
        self.chosen = f"{kind}: {why}"
        if kind == "matrix_free":
            return self._krylov(system, theta)
        residual, jacobian = system.jacobian(theta)
        scale = self._scale(jacobian.square().sum(0))
        form = SampleEquations if kind == "sample" else PrimalEquations
        return form(residual, jacobian, scale)

    def _krylov(self, system: LeastSquares, theta: Tensor) -> KrylovEquations:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * self._count)
        operator = system.linear_operator(theta)
        scale = self._scale(squared_columns(operator, self._probes, generator))
        return KrylovEquations(
            operator,
            scale,
            rank=self._rank,
            tolerance=self._tolerance,
            iterations=self._iterations,
            generator=generator,
        )

    def _choose(self, n_residuals: int, n_parameters: int, item: int) -> tuple[Solve, str]:
        """Decide which form of the equations to solve, and say why."""
        if self._solve != "auto":
            return self._solve, "as asked"
        # J, its scaled copy or product, the matrix and a factor.
        needed = item * (2 * n_residuals * n_parameters + 2 * min(n_residuals, n_parameters) ** 2)
        if needed > self._memory:
            return "matrix_free", f"{needed / 1e9:.3g} GB for the Jacobian are more than {self._memory / 1e9:.3g} GB"
        if n_residuals <= n_parameters:
            return "sample", f"{n_residuals} residuals are not more than {n_parameters} parameters"
        return "primal", f"{n_residuals} residuals are more than {n_parameters} parameters"

    def _scale(self, squares: Tensor) -> Tensor:
        """One over the scale of each parameter, from the squared column norms of now and before."""
        if self._squares is not None:
            squares = torch.maximum(SCALE_MEMORY * self._squares, squares)
        self._squares = squares
        largest = float(squares.max())
        return torch.rsqrt(squares + SMALLEST_SCALE * largest) if largest > 0 else torch.ones_like(squares)

    # -- diagnosis -----------------------------------------------------------------------------------------------------

    def leverage(self) -> np.ndarray | None:
        """Leverage of each residual in the last step, diag(K (K + λ)⁻¹) with K = J̃J̃ᵀ: how much it alone decides.

        Returns
        -------
        numpy.ndarray or None
            Shape ``(N,)``, between 0 and 1, at the parameters where the last step began; None if there was none since
            the start, `restart` or `restore`. Costs one eigendecomposition.
        """
        if self._equations is None:
            return None
        return self._equations.leverage(self._damping).clamp(0.0, 1.0).cpu().numpy()

    def conditioning(self) -> Conditioning | None:
        """Spectrum of the last step's matrix; None if there was none. Costs one eigendecomposition.

        With ``"matrix_free"`` only the largest `rank` eigenvalues are known.
        """
        if self._equations is None:
            return None
        values = self._equations.spectrum()
        largest = float(values.max())
        above = values[values > len(values) * torch.finfo(values.dtype).eps * largest]
        return Conditioning(
            largest=largest,
            smallest=float(above.min()) if len(above) else 0.0,
            rank=len(above),
            effective_rank=float((values / (values + self._damping)).sum()),
            unknowns=min(len(self._equations.residual), self._n_parameters()),
        )

    def _n_parameters(self) -> int:
        return 0 if self._squares is None else len(self._squares)

    # -- state ---------------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Forget the last step and its matrix; damping and scales stay, they fit other points as well."""
        self._last = self._equations = None

    def tensors(self) -> dict[str, Tensor]:
        state = {"squares": self._squares, "last": self._last if self._momentum else None}
        return {name: tensor for name, tensor in state.items() if tensor is not None}

    def values(self) -> dict[str, Any]:
        return {"damping": self._damping, "count": self._count}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._squares, self._last = (tensors[name].clone() if name in tensors else None for name in ("squares", "last"))
        self._damping, self._count = values["damping"], values["count"]
        self._equations = None
