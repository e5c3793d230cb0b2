"""Linear systems of the collocation, and Newton's method on them.

Three ways to solve a linear system, chosen by what it is (:func:`factorised`):

- in the plane, with one component prescribed on all sides, a law −a(x₀) ∂²u/∂x₀² + … whose coefficients belong to one
  axis each is the equation of Sylvester A₀ U + U A₁ᵀ = F for the values U inside, solved directly from the Schur forms
  of A₀ and A₁ (R. H. Bartels, G. W. Stewart, Comm. ACM 15 (1972) 820). Diagonalising both, as D. B. Haidvogel and T.
  Zang do (J. Comput. Phys. 30 (1979) 167), is as fast, but the eigenvectors of advection are far from orthogonal;
- any other law of that kind by GMRES, preconditioned by the one whose coefficients are averages across the axis;
- everything else by a dense factorisation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, gmres

from sciml.forms import Derivative
from sciml.solvers.chebyshev.collocation import Collocation, Linearised

__all__ = ["DENSE", "Factorised", "NewtonError", "Outcome", "continued", "factorised", "newton"]

DENSE = 2000
"""Unknowns up to which a dense factorisation is taken whatever the law is: it takes less than a second."""

_SEPARABLE = 1e-12
_RESTART, _CYCLES, _GMRES, _GOOD_ENOUGH = 100, 1, 1e-12, 1e-6
_SMALLEST_STEP = 2.0**-7
_ROUNDING = 1e-7
_FIRST_STAGE, _SHORTEST_STAGE, _STAGE_TOLERANCE = 0.25, 1e-2, 1e-3


class NewtonError(ArithmeticError):
    """Newton's method, or a linear system, came to no result."""


class Factorised(ABC):
    """A Jacobian that systems can be solved with.

    Attributes
    ----------
    kind, why : str
        What is done, and why.
    """

    kind: str
    why: str

    @abstractmethod
    def solve(self, right: np.ndarray) -> np.ndarray:
        """The vector that the Jacobian maps to the right-hand side."""


class _Dense(Factorised):
    def __init__(self, linearised: Linearised, why: str) -> None:
        self.kind, self.why = "dense factorisation", why
        matrix = linearised.dense()
        # Rows of derivatives are larger by powers of the number of nodes than those of values.
        self._scale = 1 / np.maximum(np.abs(matrix).max(axis=1), np.finfo(float).tiny)
        matrix *= self._scale[:, None]
        if not np.isfinite(matrix).all():
            raise NewtonError("the linearised law is not finite")
        self._factors = scipy.linalg.lu_factor(matrix, overwrite_a=True, check_finite=False)
        diagonal = np.abs(np.diag(self._factors[0]))
        if not diagonal.min() > 0:
            raise NewtonError("the linearised equations are singular")

    def solve(self, right: np.ndarray) -> np.ndarray:
        return scipy.linalg.lu_solve(self._factors, self._scale * right, check_finite=False)


class _Sylvester(Factorised):
    """A₀ U + U A₁ᵀ = F inside; values on the sides are prescribed."""

    def __init__(self, linearised: Linearised, coefficients: dict[Derivative, np.ndarray], why: str) -> None:
        self.kind, self.why = "Schur forms of both axes", why
        self._linearised, self._inner = linearised, linearised.system.interior
        self._shape = tuple(n - 2 for n in linearised.system.grid.shape)
        self._forms = [scipy.linalg.schur(m) for m in _line_matrices(linearised.system, coefficients)]

    def inside(self, right: np.ndarray) -> np.ndarray:
        """Solve for values inside, zero on the sides."""
        (first, q), (second, p) = self._forms
        rotated = q.T @ right.reshape(self._shape) @ p
        trsyl = scipy.linalg.get_lapack_funcs("trsyl", (first,))
        solved, scale, info = trsyl(first, second, rotated, tranb="T")
        if info < 0 or not scale > 0:
            raise NewtonError("the linearised equations are singular")
        return (q @ (solved / scale) @ p.T).ravel()

    def solve(self, right: np.ndarray) -> np.ndarray:
        direction = np.where(self._inner, 0.0, right)
        rest = (right - self._linearised.times(direction))[self._inner]
        direction[self._inner] = self._solve_inside(rest)
        return direction

    def _solve_inside(self, right: np.ndarray) -> np.ndarray:
        return self.inside(right)


class _Preconditioned(_Sylvester):
    """GMRES; a dense factorisation takes over where it does not converge and may."""

    def __init__(
        self, linearised: Linearised, coefficients: dict[Derivative, np.ndarray], why: str, limit: int
    ) -> None:
        super().__init__(linearised, coefficients, why)
        self.kind, self._limit = "GMRES with the law averaged across the axes", limit
        self._dense: _Dense | None = None

    def solve(self, right: np.ndarray) -> np.ndarray:
        if self._dense is None:
            try:
                return super().solve(right)
            except NewtonError as error:
                if len(right) > self._limit:
                    raise
                self._dense = _Dense(self._linearised, f"{error}")
                self.kind, self.why = self._dense.kind, self._dense.why
        return self._dense.solve(right)

    def _solve_inside(self, right: np.ndarray) -> np.ndarray:
        whole = np.zeros(len(self._inner))

        def apply(v: np.ndarray) -> np.ndarray:
            whole[self._inner] = v
            return self.inside(self._linearised.times(whole)[self._inner])

        n, wanted = len(right), self.inside(right)
        operator = LinearOperator((n, n), matvec=apply, dtype=float)  # type: ignore[call-arg]
        found, info = gmres(operator, wanted, rtol=_GMRES, restart=_RESTART, maxiter=_CYCLES)
        if info and np.linalg.norm(apply(found) - wanted) > _GOOD_ENOUGH * np.linalg.norm(wanted):
            raise NewtonError(f"GMRES did not converge in {_RESTART * _CYCLES} iterations")
        return found


def _line_matrices(system: Collocation, coefficients: dict[Derivative, np.ndarray]) -> list[np.ndarray]:
    """A₀ and A₁ on the inner nodes, of coefficients averaged across the other axis."""
    out = []
    constant = coefficients.get(Derivative(0), np.zeros((1, 1)))
    for axis in range(2):
        n = system.grid.shape[axis] - 2
        matrix = np.diag(np.broadcast_to(constant.mean(axis=1 - axis) - constant.mean() / 2, n))
        for key, values in coefficients.items():
            if key.axes and set(key.axes) == {axis}:
                inner = system.grid.matrix(axis, len(key.axes))[1:-1, 1:-1]
                matrix = matrix + values.mean(axis=1 - axis)[:, None] * inner
        out.append(matrix)
    return out


def _is_separable(coefficients: dict[Derivative, np.ndarray]) -> bool:
    """Whether each coefficient belongs to one axis, and that of the value is a sum of two that do."""
    for key, values in coefficients.items():
        size = _SEPARABLE * max(np.abs(values).max(), np.finfo(float).tiny)
        across = values - values.mean(axis=0, keepdims=True), values - values.mean(axis=1, keepdims=True)
        if len(set(key.axes)) > 1:
            if np.abs(values).max() > 0:
                return False
        elif key.axes:
            if np.abs(across[1 - key.axes[0]]).max() > size:
                return False
        elif np.abs(across[0] - across[0].mean(axis=1, keepdims=True)).max() > size:
            return False
    return True


def factorised(linearised: Linearised, limit: int) -> Factorised:
    """Prepare to solve with a Jacobian in the way that suits it.

    Parameters
    ----------
    linearised : Linearised
    limit : int
        Unknowns up to which a dense factorisation may be tried.

    Raises
    ------
    NewtonError
        The equations are singular or not finite.
    """
    system = linearised.system
    if system.held_all_round:
        shape = tuple(n - 2 for n in system.grid.shape)
        coefficients = {key: values.reshape(shape) for key, values in linearised.slopes[system.law].items()}
        if not all(np.isfinite(values).all() for values in coefficients.values()):
            raise NewtonError("the linearised law is not finite")
        if _is_separable(coefficients):
            return _Sylvester(linearised, coefficients, "the law is a sum of one for each axis, with values all round")
        if system.n_unknowns > DENSE:
            return _Preconditioned(linearised, coefficients, "too large for a dense factorisation in a second", limit)
        return _Dense(linearised, "small")
    if system.n_unknowns > limit:
        raise NewtonError(f"a dense factorisation of {system.n_unknowns} unknowns exceeds the limit of {limit}")
    return _Dense(linearised, "no structure that a faster way could use")


@dataclass
class Outcome:
    """What Newton's method came to.

    Attributes
    ----------
    z : (n_unknowns,) array
    iterations : int
    correction : float
        Size of the last correction relative to the state.
    residual : float
        Largest row at the state.
    system : Factorised
        How the last linear system was solved.
    history : list of float
        Relative corrections.
    """

    z: np.ndarray
    iterations: int
    correction: float
    residual: float
    system: Factorised
    history: list[float] = field(default_factory=list)


def newton(
    system: Collocation,
    z: np.ndarray,
    *,
    linear: bool,
    tolerance: float = 1e-11,
    max_iterations: int = 50,
    limit: int = 5000,
    within: Callable[[], bool] = lambda: True,
    defect: np.ndarray | float = 0.0,
) -> Outcome:
    """Solve the rows for zero, or for a defect ``(n_unknowns,)``, from a state.

    Steps are shortened until the correction that the same Jacobian gives afterwards is smaller (the natural
    monotonicity test of P. Deuflhard, Newton Methods for Nonlinear Problems (2004), section 3.3), which does not see in
    which units the rows are. A linear problem takes one step.

    Raises
    ------
    NewtonError
        No decrease, no finite state, or too many iterations.
    """
    history: list[float] = []
    iterations = 0
    while iterations < (1 if linear else max_iterations):
        iterations += 1
        at = system.linearised(z)
        if not np.isfinite(at.residual).all():
            raise NewtonError("the law is not finite at the state reached")
        jacobian = factorised(at, limit)
        step = -jacobian.solve(at.residual - defect)
        scale = _sizes(system, z + step)
        history.append(_norm(system, step, scale))
        if linear:
            z = z + step
            # Once more with the same factors: what rounding and GMRES have left is taken off.
            z = z - jacobian.solve(system.residual(z) - defect)
            break
        z, length, rest = _search(system, jacobian, z, step, scale, defect)
        left = _norm(system, rest, scale)
        if length == 1.0 and (left <= tolerance or (history[-1] <= _ROUNDING and left >= 0.1 * history[-1])):
            history.append(left)
            z = z + rest if left <= tolerance else z
            break
        if not within():
            raise NewtonError("the CPU time ran out")
    else:
        raise NewtonError(f"Newton's method did not converge in {max_iterations} iterations")
    residual = system.residual(z) - defect
    if not np.isfinite(residual).all():
        raise NewtonError("the solution is not finite")
    return Outcome(z, iterations, history[-1], float(np.abs(residual).max()), jacobian, history)


def continued(system: Collocation, z: np.ndarray, **options: Any) -> tuple[Outcome, int]:
    """As :func:`newton`, in stages: the rows are solved for (1 − τ) times those of the start, τ from 0 to 1.

    Stages get shorter where one fails, longer where one succeeds.

    Returns
    -------
    Outcome
        Of the last stage, with the iterations of all.
    int
        Stages.

    Raises
    ------
    NewtonError
    """
    start = system.residual(z)
    reached, length, stages, iterations = 0.0, _FIRST_STAGE, 0, 0
    while True:
        aim = min(1.0, reached + length)
        own: dict[str, Any] = options if aim == 1.0 else {**options, "tolerance": _STAGE_TOLERANCE}
        try:
            outcome = newton(system, z, defect=(1 - aim) * start, **own)
        except NewtonError:
            if length <= _SHORTEST_STAGE:
                raise
            length /= 4
            continue
        z, reached, stages, iterations = outcome.z, aim, stages + 1, iterations + outcome.iterations
        if reached == 1.0:
            return replace(outcome, iterations=iterations), stages
        length *= 2


def _search(
    system: Collocation,
    jacobian: Factorised,
    z: np.ndarray,
    step: np.ndarray,
    scale: np.ndarray,
    defect: np.ndarray | float,
) -> tuple[np.ndarray, float, np.ndarray]:
    """The state after a step of a length that shrinks the next correction; the length and that correction."""
    length, size = 1.0, _norm(system, step, scale)
    while length >= _SMALLEST_STEP:
        trial = z + length * step
        residual = system.residual(trial) - defect
        if np.isfinite(residual).all():
            rest = -jacobian.solve(residual)
            if _norm(system, rest, scale) <= (1 - length / 4) * size or size <= _ROUNDING:
                return trial, length, rest
        length /= 2
    raise NewtonError("no step along Newton's direction brings the state nearer to a solution")


def _sizes(system: Collocation, z: np.ndarray) -> np.ndarray:
    """Largest value of each component; of one that is zero, the largest of all."""
    sizes = np.abs(system.split(z)[0]).max(axis=1)
    return np.where(sizes > 0, sizes, sizes.max() or 1.0)


def _norm(system: Collocation, direction: np.ndarray, scale: np.ndarray) -> float:
    """Root mean square of the values, each component relative to its size."""
    return float(np.sqrt(np.mean((system.split(direction)[0] / scale[:, None]) ** 2)))
