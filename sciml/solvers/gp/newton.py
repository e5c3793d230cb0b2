"""Solving the equations of a :class:`~sciml.solvers.gp.system.System`.

On one axis the linearised equations are a small dense matrix. On several they are, with coefficients averaged across the
other axes, a Kronecker sum A₀ ⊗ I + I ⊗ A₁ + …, which is solved by diagonalising the matrix of each axis (R. E. Lynch, J. R.
Rice, D. H. Thomas, Numer. Math. 6 (1964) 185). An axis whose eigenvectors are far from orthogonal, as those of advection
and of time, keeps its Schur form and is solved by back substitution for all eigenvalues of the others at once. That is
exact for constant coefficients; for all others it preconditions GMRES. Newton's method is around both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, gmres

from sciml.forms import Derivative
from sciml.solvers.gp.system import System, along

__all__ = ["KroneckerInverse", "NewtonError", "Outcome", "newton"]

Slopes = dict[Derivative, np.ndarray]

_ILL, _ZERO = 1e5, 1e-13
_RESTART, _CYCLES = 80, 3
_GMRES, _GMRES_IN_NEWTON, _GOOD_ENOUGH = 1e-11, 1e-6, 1e-3
_SMALLEST_STEP, _ROUNDING = 2.0**-7, 1e-6
_CORRECTIONS = 3


class NewtonError(ArithmeticError):
    """Newton's method, or a linear system, came to no result."""


class KroneckerInverse:
    """The inverse of A₀ ⊗ I + I ⊗ A₁ + … of linearised equations averaged across the axes.

    Parameters
    ----------
    system : System
    slopes : mapping
        Derivatives of the equation by the entries of the jet, on the grid.
    """

    def __init__(self, system: System, slopes: Slopes) -> None:
        matrices = [_averaged(system, slopes, axis) for axis in range(len(system.axes))]
        pairs = [scipy.linalg.eig(matrix, check_finite=False) for matrix in matrices]
        conditions = [np.linalg.cond(vectors) for _, vectors in pairs]
        self._last = int(np.argmax(conditions))
        self._schur = None
        if conditions[self._last] > _ILL:
            self._schur = scipy.linalg.schur(matrices[self._last], output="complex")
            pairs[self._last] = (np.diag(self._schur[0]), self._schur[1])
        self._out = [vectors for _, vectors in pairs]
        self._in = [
            vectors.conj().T if self._schur and a == self._last else np.linalg.inv(vectors)
            for a, (_, vectors) in enumerate(pairs)
        ]
        self.eigenvalues = reduce(np.add.outer, [values for values, _ in pairs])
        size = np.abs(self.eigenvalues).max()
        self.singular = np.abs(self.eigenvalues) <= _ZERO * size

    def __call__(self, right: np.ndarray) -> np.ndarray:
        """Solve; what belongs to an eigenvalue of zero is left out."""
        turned = along(self._in, right)
        if self._schur is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                solved = np.where(self.singular, 0.0, turned / self.eigenvalues)
        else:
            solved = self._substituted(turned)
        return np.real(along(self._out, solved))

    def _substituted(self, right: np.ndarray) -> np.ndarray:
        assert self._schur is not None
        triangle = self._schur[0]
        rows = np.moveaxis(right, self._last, 0).astype(complex)
        diagonal = np.moveaxis(np.where(self.singular, np.inf, self.eigenvalues), self._last, 0)
        for i in range(len(rows) - 1, -1, -1):
            rows[i] = (rows[i] - np.tensordot(triangle[i, i + 1 :], rows[i + 1 :], (0, 0))) / diagonal[i]
        return np.moveaxis(rows, 0, self._last)


def _averaged(system: System, slopes: Slopes, axis: int) -> np.ndarray:
    """The tested operator of one axis, with coefficients averaged across the others."""
    d, others = len(system.axes), tuple(a for a in range(len(system.axes)) if a != axis)
    n = system.shape[axis]
    total = np.zeros((n, system.axes[axis].rank))
    for key, slope in slopes.items():
        if set(key.axes) <= {axis}:
            mean = np.broadcast_to(slope.mean(axis=others), (n,))
            if not key.axes:
                mean = mean - (d - 1) / d * slope.mean()
            total += mean[:, None] * system.matrix(axis, len(key.axes))
    return system.tests[axis] @ total @ system.free[axis]


@dataclass
class Outcome:
    """What Newton's method came to.

    Attributes
    ----------
    coefficients : (r₀, …) array
    iterations : int
    krylov : int
        Iterations of GMRES, in all steps.
    kind : str
        How linear systems were solved.
    slopes : mapping
        Derivatives of the equation at the last linearisation.
    history : list of float
        Relative corrections.
    """

    coefficients: np.ndarray
    iterations: int
    krylov: int
    kind: str
    slopes: Slopes
    history: list[float] = field(default_factory=list)


class _Linear:
    """Linearised equations at a state, ready to be solved."""

    def __init__(self, system: System, slopes: Slopes, tolerance: float) -> None:
        self.system, self.slopes, self._tolerance, self.krylov = system, slopes, tolerance, 0
        if not all(np.isfinite(slope).all() for slope in slopes.values()):
            raise NewtonError("the linearised equation is not finite")
        if len(system.axes) == 1:
            self.kind = "dense factorisation"
            matrix = sum(
                np.broadcast_to(slope, system.shape)[:, None] * system.matrix(0, len(key.axes))
                for key, slope in slopes.items()
            )
            self._dense = system.tests[0] @ matrix @ system.free[0]
            self._exact: Callable[[np.ndarray], np.ndarray] = self._by_least_squares
            self._factors = scipy.linalg.svd(self._dense, check_finite=False)
            return
        self._inverse = KroneckerInverse(system, slopes)
        mixed = any(len(set(key.axes)) > 1 for key in slopes)
        constant = all(slope.size == 1 for slope in slopes.values())
        self.kind = "diagonalised axes" if constant and not mixed else "GMRES, preconditioned by diagonalised axes"
        self._exact = self._inverse if constant and not mixed else self._by_gmres

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The free part that the equations map to the right-hand side."""
        return self._exact(right)

    def _by_least_squares(self, right: np.ndarray) -> np.ndarray:
        left, sizes, vectors = self._factors
        kept = sizes > _ZERO * sizes[0]
        return vectors[kept].T @ ((left[:, kept].T @ right) / sizes[kept])

    def _by_gmres(self, right: np.ndarray) -> np.ndarray:
        shape, size = right.shape, right.size
        wanted = self._inverse(right).ravel()
        target = float(np.linalg.norm(wanted))
        if target == 0.0:
            return np.zeros(shape)

        def apply(v: np.ndarray) -> np.ndarray:
            self.krylov += 1
            return self._inverse(self.system.applied(self.slopes, v.reshape(shape))).ravel()

        operator = LinearOperator((size, size), matvec=apply, dtype=float)  # type: ignore[call-arg]
        found, info = gmres(operator, wanted, rtol=self._tolerance, restart=_RESTART, maxiter=_CYCLES)
        if info and np.linalg.norm(apply(found) - wanted) > _GOOD_ENOUGH * target:
            raise NewtonError(f"GMRES did not converge in {_RESTART * _CYCLES} iterations")
        return found.reshape(shape)


def newton(
    system: System,
    *,
    linear: bool,
    start: np.ndarray | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 50,
    within: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Solve the tested equations, with the conditions built in.

    A linear problem takes one step and as many corrections with the same factors as make it more accurate.

    Parameters
    ----------
    system : System
    linear : bool
    start : (r₀, …) array, optional
        Coefficients that need not fulfil the conditions.
    tolerance : float
        Relative correction to stop at.

    Raises
    ------
    NewtonError
        No decrease, nothing finite, or too many iterations.
    """
    coefficients = system.lifted()
    if start is not None:
        # What of the start has homogeneous conditions, beside the lift.
        coefficients = coefficients + system.expanded(along([f.T for f in system.free], start - coefficients))
    history: list[float] = []
    krylov, jacobian = 0, None
    for iteration in range(1, max_iterations + 1):
        if jacobian is None or not linear:
            values, slopes = system.linearised(coefficients)
            jacobian = _Linear(system, slopes, _GMRES if linear else _GMRES_IN_NEWTON)
        else:
            values = system.residual(coefficients)
        if not np.isfinite(values).all():
            raise NewtonError("the equation is not finite at the state reached")
        step = -jacobian.solve(system.tested(values))
        size = float(np.linalg.norm(step)) / max(_norm(coefficients, step), 1e-300)
        if linear:
            # Rounding has the last word: corrections that stop to shrink are noise.
            if history and size >= 0.3 * history[-1]:
                break
            coefficients = coefficients + system.expanded(step)
            history.append(size)
            if size <= 1e-15 or iteration > _CORRECTIONS:
                break
            continue
        coefficients = _searched(system, jacobian, coefficients, step)
        krylov += jacobian.krylov
        stalled = bool(history) and size < _ROUNDING and size > 0.3 * history[-1]
        history.append(size)
        if size <= tolerance or stalled:
            break
        if not within():
            raise NewtonError("the CPU time ran out")
    else:
        if not linear:
            raise NewtonError(f"Newton's method did not converge in {max_iterations} iterations")
    assert jacobian is not None
    return Outcome(
        coefficients, len(history), krylov + linear * jacobian.krylov, jacobian.kind, jacobian.slopes, history
    )


def _norm(coefficients: np.ndarray, step: np.ndarray) -> float:
    return max(float(np.linalg.norm(coefficients)), float(np.linalg.norm(step)))


def _searched(system: System, jacobian: _Linear, coefficients: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The state after a step of a length that shrinks the next correction."""
    direction, size, length = system.expanded(step), float(np.linalg.norm(step)), 1.0
    if size <= _ROUNDING * _norm(coefficients, step):
        return coefficients + direction
    while length >= _SMALLEST_STEP:
        trial = coefficients + length * direction
        values = system.residual(trial)
        if np.isfinite(values).all():
            rest = jacobian.solve(system.tested(values))
            if float(np.linalg.norm(rest)) <= (1 - length / 4) * size:
                return trial
        length /= 2
    raise NewtonError("no step along Newton's direction brings the state nearer to a solution")
