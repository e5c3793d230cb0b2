"""Solving the equations of a :class:`~sciml.solvers.gp.system.System`.

On one axis the linearised equations are a small dense matrix. On several they are, with coefficients averaged across
the other axes, a Kronecker sum A₀ ⊗ I + I ⊗ A₁ + …, which is solved by diagonalising the matrix of each axis (R. E.
Lynch, J. R. Rice, D. H. Thomas, Numer. Math. 6 (1964) 185). An axis whose eigenvectors are far from orthogonal, as
those of advection and of time can be, keeps its Schur form and is solved by back substitution for all eigenvalues of
the others at once. That is exact for constant coefficients; for all others it preconditions GMRES. Newton's method is
around both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, gmres

from sciml.forms import Derivative
from sciml.solvers.gp.system import System, along

__all__ = ["KroneckerInverse", "NewtonError", "Outcome", "newton"]

Slopes = dict[Derivative, np.ndarray]

_ILL, _ZERO = 1e8, 1e-13
_RESTART, _CYCLES = 120, 1
_GMRES, _GMRES_IN_NEWTON, _GOOD_ENOUGH = 1e-11, 1e-5, 1e-3
# What a large system is taken with; the residual between the points tells what is left.
_BETTER_THAN_NOTHING = 0.1
_FIRST_STAGE, _SHORTEST_STAGE, _STAGE_TOLERANCE = 0.25, 1e-3, 1e-4
_SMALLEST_STEP, _ROUNDING = 2.0**-7, 1e-6
_CORRECTIONS, _NOTHING = 3, 1e-15
_LARGEST_DENSE = 700
_LOOK, _NO_TIME = 10, "the CPU time ran out"


class NewtonError(ArithmeticError):
    """Newton's method, or a linear system, came to no result."""


class KroneckerInverse:
    """The inverse of A₀ ⊗ I + I ⊗ A₁ + … of linearised equations averaged across the axes.

    Parameters
    ----------
    system : System
    slopes : mapping
        Derivatives of the equation by the entries of the jet, on the grid.
    diagonal : bool
        Diagonalise all axes, however far from orthogonal their eigenvectors are.

    Attributes
    ----------
    eigenvalues : (m₀, …) array
    vectors, back : list of (m, m) arrays
        Eigenvectors (of a Schur form, Schur vectors) of each axis, and their inverses.
    """

    def __init__(self, system: System, slopes: Slopes, *, diagonal: bool = False) -> None:
        matrices = [_averaged(system, slopes, axis) for axis in range(len(system.axes))]
        pairs = [scipy.linalg.eig(matrix, check_finite=False) for matrix in matrices]
        conditions = [np.linalg.cond(vectors) for _, vectors in pairs]
        self._last = int(np.argmax(conditions))
        self._schur = None
        if conditions[self._last] > _ILL and not diagonal:
            self._schur = scipy.linalg.schur(matrices[self._last], output="complex")
            pairs[self._last] = (np.diag(self._schur[0]), self._schur[1])
        self.vectors = [vectors for _, vectors in pairs]
        self.back = [
            vectors.conj().T if self._schur and a == self._last else np.linalg.inv(vectors)
            for a, (_, vectors) in enumerate(pairs)
        ]
        self.eigenvalues = reduce(np.add.outer, [values for values, _ in pairs])
        size = np.abs(self.eigenvalues).max()
        self.singular = np.abs(self.eigenvalues) <= _ZERO * size

    def __call__(self, right: np.ndarray) -> np.ndarray:
        """Solve; what belongs to an eigenvalue of zero is left out."""
        turned = along(self.back, right)
        if self._schur is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                solved = np.where(self.singular, 0.0, turned / self.eigenvalues)
        else:
            solved = self._substituted(turned)
        return np.real(along(self.vectors, solved))

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
    """Linearised equations and conditions at a state, ready to be solved."""

    def __init__(
        self,
        system: System,
        slopes: Slopes,
        coefficients: np.ndarray,
        tolerance: float,
        within: Callable[[], bool] = lambda: True,
    ) -> None:
        self.system, self.slopes, self._tolerance, self.krylov, self._within = system, slopes, tolerance, 0, within
        if not all(np.isfinite(slope).all() for slope in slopes.values()):
            raise NewtonError("the linearised equation is not finite")
        self._sides = [] if system.exact_conditions else system.side_slopes(coefficients)
        self._dense: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        if len(system.axes) == 1:
            self.kind, direct = "dense factorisation", True
            terms = [
                np.broadcast_to(s, system.shape)[:, None] * system.matrix(0, len(k.axes)) for k, s in slopes.items()
            ]
            factors = scipy.linalg.svd(system.tests[0] @ sum(terms) @ system.free[0], check_finite=False)
            self._inverse: Callable[[np.ndarray], np.ndarray] = lambda right: _least_squares(factors, right)
        else:
            mixed = any(len(set(key.axes)) > 1 for key in slopes)
            direct = all(slope.size == 1 for slope in slopes.values()) and not mixed
            self.kind = "diagonalised axes" if direct else "GMRES, preconditioned by diagonalised axes"
            self._inverse = KroneckerInverse(system, slopes)
        self._direct = direct and system.exact_conditions
        if direct and not self._direct:
            self.kind = f"GMRES, preconditioned by {self.kind}"

    def step(self, values: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """The direction ``(r₀, …)`` in which equation and conditions vanish to first order."""
        system, equation = self.system, self.system.tested(values)
        if system.exact_conditions:
            return -system.expanded(self._inverse(equation) if self._direct else self._solved(equation))
        return -self._solved_with_sides(equation, system.mismatch(coefficients))

    def _solved(self, right: np.ndarray) -> np.ndarray:
        shape = right.shape

        def apply(v: np.ndarray) -> np.ndarray:
            expanded = self.system.expanded(v.reshape(shape))
            return self._inverse(self.system.applied(self.slopes, expanded)).ravel()

        return self._by_gmres(apply, self._inverse(right).ravel()).reshape(shape)

    def _solved_with_sides(self, equation: np.ndarray, sides: list[list[np.ndarray]]) -> np.ndarray:
        """As above, where conditions are not built in: unknown and preconditioner contain a lift."""
        system = self.system

        def precondition(equation: np.ndarray, sides: list[list[np.ndarray]]) -> np.ndarray:
            lift = system.spread(sides)
            return lift + system.expanded(self._inverse(equation - system.applied(self.slopes, lift)))

        wanted = precondition(equation, sides)

        def apply(v: np.ndarray) -> np.ndarray:
            direction = v.reshape(wanted.shape)
            own = system.applied(self.slopes, direction)
            return precondition(own, system.applied_on_sides(self._sides, direction)).ravel()

        return self._by_gmres(apply, wanted.ravel()).reshape(wanted.shape)

    def _by_gmres(self, apply: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray) -> np.ndarray:
        size, target = wanted.size, float(np.linalg.norm(wanted))
        if target == 0.0:
            return np.zeros(size)
        if self._dense is None:

            def counted(v: np.ndarray) -> np.ndarray:
                self.krylov += 1
                if self.krylov % _LOOK == 0 and not self._within():
                    raise NewtonError(_NO_TIME)
                return apply(v)

            operator = LinearOperator((size, size), matvec=counted, dtype=float)  # type: ignore[call-arg]
            found, info = gmres(operator, wanted, rtol=self._tolerance, restart=_RESTART, maxiter=_CYCLES)
            missed = 0.0 if not info else float(np.linalg.norm(apply(found) - wanted)) / target
            if missed <= (_GOOD_ENOUGH if size <= _LARGEST_DENSE else _BETTER_THAN_NOTHING):
                return found
            if size > _LARGEST_DENSE:
                raise NewtonError(f"GMRES did not converge in {_RESTART * _CYCLES} iterations")
            matrix = np.stack([apply(column) for column in np.eye(size)], axis=1)
            self._dense = scipy.linalg.svd(matrix, check_finite=False)
            self.kind = "dense factorisation, since GMRES did not converge"
        assert self._dense is not None
        return _least_squares(self._dense, wanted)


def _least_squares(factors: tuple[np.ndarray, np.ndarray, np.ndarray], right: np.ndarray) -> np.ndarray:
    """Solve with a singular value decomposition; what belongs to a value of zero is left out."""
    left, sizes, vectors = factors
    kept = sizes > _ZERO * sizes[0]
    return vectors[kept].T @ ((left[:, kept].T @ right) / sizes[kept])


def newton(
    system: System,
    *,
    linear: bool,
    start: np.ndarray | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 50,
    within: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Solve the tested equations with the conditions.

    A linear problem takes one step and as many corrections with the same factors as make it more accurate.

    Parameters
    ----------
    system : System
    linear : bool
    start : (r₀, …) array, optional
        Coefficients that need not fulfil the conditions; by default what is harmonic beside the data.
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
    elif not linear and not system.problem.evolves:
        coefficients = _harmonic(system, coefficients)
    if linear:
        return _linear_run(system, coefficients, within)
    try:
        return _newton_run(system, coefficients, tolerance, max_iterations, within)
    except NewtonError:
        if not within():
            raise
        return _continued(system, coefficients, tolerance, max_iterations, within)


def _harmonic(system: System, lifted: np.ndarray) -> np.ndarray:
    slopes = {Derivative(0, (a, a)): -np.ones((1,) * len(system.axes)) for a in range(len(system.axes))}
    return lifted - system.expanded(KroneckerInverse(system, slopes)(system.applied(slopes, lifted)))


def _linear_run(system: System, coefficients: np.ndarray, within: Callable[[], bool]) -> Outcome:
    values, slopes = system.linearised(coefficients)
    jacobian, history = _Linear(system, slopes, coefficients, _GMRES, within), []
    for _ in range(1 + _CORRECTIONS):
        _refuse_infinite(values)
        try:
            step = jacobian.step(values, coefficients)
        except NewtonError:
            if history and not within():
                break
            raise
        size = _relative(step, coefficients)
        # Rounding has the last word: corrections that stop to shrink are noise.
        if history and size >= 0.3 * history[-1]:
            break
        coefficients = coefficients + step
        history.append(size)
        if size <= _NOTHING or not within():
            break
        values = system.residual(coefficients)
    return Outcome(coefficients, len(history), jacobian.krylov, jacobian.kind, slopes, history)


def _continued(
    system: System, coefficients: np.ndarray, tolerance: float, most: int, within: Callable[[], bool]
) -> Outcome:
    """In stages: the equation is solved for (1 − τ) times what it is at the start, τ from 0 to 1.

    Stages get shorter where one fails, longer where one succeeds.
    """
    start, reached, length, iterations, krylov = system.residual(coefficients), 0.0, _FIRST_STAGE, 0, 0
    while True:
        aim = min(1.0, reached + length)
        wanted = tolerance if aim == 1.0 else max(tolerance, _STAGE_TOLERANCE)
        try:
            outcome = _newton_run(system, coefficients, wanted, most, within, (1 - aim) * start)
        except NewtonError:
            if length <= _SHORTEST_STAGE or not within():
                raise
            length /= 4
            continue
        coefficients, reached = outcome.coefficients, aim
        iterations, krylov = iterations + outcome.iterations, krylov + outcome.krylov
        if reached == 1.0:
            return replace(outcome, iterations=iterations, krylov=krylov)
        length *= 2


def _newton_run(
    system: System,
    coefficients: np.ndarray,
    tolerance: float,
    most: int,
    within: Callable[[], bool],
    defect: np.ndarray | float = 0.0,
) -> Outcome:
    """Newton's method for an equation whose values on the grid are a defect in place of zero."""
    history: list[float] = []
    krylov = 0
    for _ in range(most):
        values, slopes = system.linearised(coefficients)
        _refuse_infinite(values)
        jacobian = _Linear(system, slopes, coefficients, _GMRES_IN_NEWTON, within)
        step = jacobian.step(values - defect, coefficients)
        size = _relative(step, coefficients)
        coefficients = _searched(system, jacobian, coefficients, step, defect)
        krylov += jacobian.krylov
        stalled = bool(history) and size < _ROUNDING and size > 0.3 * history[-1]
        history.append(size)
        if size <= tolerance or stalled:
            return Outcome(coefficients, len(history), krylov, jacobian.kind, slopes, history)
        if not within():
            raise NewtonError(_NO_TIME)
    raise NewtonError(f"Newton's method did not converge in {most} iterations")


def _refuse_infinite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise NewtonError("the equation is not finite at the state reached")


def _relative(step: np.ndarray, coefficients: np.ndarray) -> float:
    size = float(np.linalg.norm(step))
    return size / max(float(np.linalg.norm(coefficients)), size, 1e-300)


def _searched(
    system: System, jacobian: _Linear, coefficients: np.ndarray, step: np.ndarray, defect: np.ndarray | float
) -> np.ndarray:
    """The state after a step of a length that shrinks the next correction."""
    size, length = float(np.linalg.norm(step)), 1.0
    if _relative(step, coefficients) <= _ROUNDING:
        return coefficients + step
    while length >= _SMALLEST_STEP:
        trial = coefficients + length * step
        values = system.residual(trial)
        if np.isfinite(values).all():
            rest = jacobian.step(values - defect, trial)
            if float(np.linalg.norm(rest)) <= (1 - length / 4) * size:
                return trial
        length /= 2
    raise NewtonError("no step along Newton's direction brings the state nearer to a solution")
