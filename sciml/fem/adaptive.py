"""Steps in time as long as the solution allows, for  C u̇ + F(u, t) = 0:  TR-BDF2 with a PI controller.

With γ = 2 − √2 and d = γ/2 a step of length Δ is one of the trapezoidal rule to t + γΔ and one of BDF2 to t + Δ,

    C (u_γ − u₀) + dΔ (F(u_γ) + F(u₀)) = 0,
    C (u₁ − a u_γ + b u₀) + dΔ F(u₁) = 0,     a = 1/(γ(2 − γ)),  b = a − 1,

with one matrix C + dΔ ∂F/∂u for both; it is of order 2 and L-stable. Its local error is that of the third order,

    2kΔ (u̇₀/γ − u̇_γ/(γ(1 − γ)) + u̇₁/(1 − γ)),     k = (−3γ² + 4γ − 2)/(12(2 − γ)),

multiplied by (C + dΔ ∂F/∂u)⁻¹ C, so that modes which the step damps do not count. A step is accepted if the L2 norm
(weighted by the damping) of its error is at most the tolerance times the largest norm of u so far; the global error is
proportional to the tolerance to the power ⅔.

R. E. Bank et al., IEEE Trans. Electron Devices 32 (1985) 1992; M. E. Hosea, L. F. Shampine, Appl. Numer. Math. 20
(1996) 21; G. Söderlind, Numer. Algorithms 31 (2002) 281 (the controller, PI.4.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciml.errors import DivergenceError
from sciml.fem.stepping import System, initial_state

__all__ = ["LOCAL_ORDER", "Control", "Step", "march_adaptively"]

LOCAL_ORDER = 3
"""The local error falls with this power of the step."""

_GAMMA = 2 - math.sqrt(2)
_D = _GAMMA / 2
_A = 1 / (_GAMMA * (2 - _GAMMA))
_B = _A - 1
_K = (-3 * _GAMMA**2 + 4 * _GAMMA - 2) / (12 * (2 - _GAMMA))
_SAFETY, _LONGER, _SHORTER, _WORTH_A_FACTORISATION = 0.9, 5.0, 0.2, 1.2
_START = 1e-7
"""Length of the first step, by which ∂u/∂t at the start is found, as a share of the whole time."""


@dataclass
class Control:
    """What steps are allowed, and which were taken.

    Attributes
    ----------
    tolerance : float
        Largest local error of a step, relative to the solution.
    shortest, longest : float
        Lengths of steps, in units of time.
    taken : list of float
        Lengths of the steps that were accepted.
    rejected : int
    """

    tolerance: float
    shortest: float
    longest: float
    taken: list[float] = field(default_factory=list)
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class Step:
    """States and their rates at both ends of an accepted step."""

    start: float
    end: float
    u: tuple[Any, Any]
    rates: tuple[Any, Any]

    def at(self, t: float) -> Any:
        """The state at an instant of the step, by cubic Hermite interpolation (of order 4)."""
        length = self.end - self.start
        s = float(t - self.start) / length
        out = (1 + 2 * s) * (1 - s) ** 2 * self.u[0] + s**2 * (3 - 2 * s) * self.u[1]
        out.axpy(length * s * (1 - s) ** 2, self.rates[0])
        out.axpy(length * s**2 * (s - 1), self.rates[1])
        return out


def march_adaptively(system: System, control: Control) -> Iterator[Step]:
    """The accepted steps over the problem's time.

    Raises
    ------
    DivergenceError
        Steps would become shorter than allowed.
    """
    time = system.problem.time
    u = initial_state(system, time.start).u
    rate = _first_rate(system, u, time)
    scale, speed = system.norm(u), system.norm(rate)
    length = control.tolerance ** (1 / LOCAL_ORDER) * (scale / speed if scale and speed else 0.1 * time.duration)
    t, before, fresh = time.start, 1.0, True
    while t < time.end:
        length = _fitted(float(np.clip(length, control.shortest, control.longest)), time.end - t)
        end = time.end if t + length >= time.end - 1e-12 * time.duration else t + length
        step, error = _try(system, t, end, u, rate, fresh=fresh)
        if step is not None:
            scale = max(scale, system.norm(step.u[1]))
        relative = np.inf if step is None else error / scale / control.tolerance if scale else 0.0
        if step is None or relative > 1:
            control.rejected += 1
            if length <= control.shortest * (1 + 1e-9):
                raise DivergenceError(
                    f"Steps shorter than min_step={control.shortest:.3g} would be needed at t = {t:.6g}; take a larger "
                    f"step_tolerance or a smoother start."
                )
            length *= _SHORTER if step is None else max(_SHORTER, _SAFETY * relative ** (-1 / LOCAL_ORDER))
            continue
        control.taken.append(end - t)
        yield step
        t, u, rate, fresh = end, step.u[1], step.rates[1], False
        growth = _growth(relative, before)
        before = max(relative, 1e-4)
        if growth < 1 or growth > _WORTH_A_FACTORISATION:
            length *= growth


def _growth(error: float, before: float) -> float:
    """How much longer the next step may be, from the last two errors in multiples of the tolerance."""
    if error <= 0:
        return _LONGER
    growth = _SAFETY * error ** (-0.6 / LOCAL_ORDER) * before ** (0.2 / LOCAL_ORDER)
    return float(np.clip(growth, _SHORTER, _LONGER))


def _fitted(length: float, left: float) -> float:
    """The length, or what divides the time left so that no tiny step remains."""
    return left if length >= left else left / 2 if 2 * length > left else length


def _first_rate(system: System, u: Any, time: Any) -> Any:
    """∂u/∂t at the start, by one very short step of backward Euler; it exists where data and start contradict too."""
    length = _START * time.duration
    after, force, rate = u.copy(), system.vector(), system.vector()
    system.impose(after, time.start + length)
    system.update_damping(u, time.start)

    def residual(state: Any, out: Any) -> None:
        system.force(state, time.start + length, force)
        system.damping.mult(state - u, rate)
        _combine(out, (1 / length, rate), (1.0, force))

    system.solve(residual, after, time.start + length, (0.0, 1 / length, 1.0))
    return (1 / length) * (after - u)


def _try(system: System, t: float, end: float, u: Any, rate: Any, *, fresh: bool) -> tuple[Step | None, float]:
    """A step with the norm of its error; None where Newton's method fails."""
    length = end - t
    weight = 1 / (_D * length)
    old_force, force, change = system.vector(), system.vector(), system.vector()
    system.force(u, t, old_force)
    try:
        middle = u.copy() if fresh else u + _GAMMA * length * rate
        system.impose(middle, t + _GAMMA * length)
        system.update_damping(0.5 * (u + middle), t + _D * length)

        def trapezoidal(state: Any, out: Any) -> None:
            system.force(state, t + _GAMMA * length, force)
            system.damping.mult(state - u, change)
            _combine(out, (weight, change), (1.0, force), (1.0, old_force))

        system.solve(trapezoidal, middle, t + _GAMMA * length, (0.0, weight, 1.0))
        middle_rate = weight * (middle - u) - rate
        new = middle.copy() if fresh else middle + (1 - _GAMMA) * length * middle_rate
        system.impose(new, end)
        system.update_damping(new, end)

        def backward(state: Any, out: Any) -> None:
            system.force(state, end, force)
            system.damping.mult(state - _A * middle + _B * u, change)
            _combine(out, (weight, change), (1.0, force))

        system.solve(backward, new, end, (0.0, weight, 1.0))
    except DivergenceError:
        return None, np.inf
    new_rate = weight * (new - _A * middle + _B * u)
    error = (1 / _GAMMA) * rate - (1 / (_GAMMA * (1 - _GAMMA))) * middle_rate + (1 / (1 - _GAMMA)) * new_rate
    error.scale(2 * _K * length)
    norm = system.norm(system.damped(error, weight))
    if not np.isfinite(norm):
        return None, np.inf
    return Step(t, end, (u, new), (rate, new_rate)), norm


def _combine(out: Any, *terms: tuple[float, Any]) -> None:
    out.set(0.0)
    for factor, vector in terms:
        out.axpy(factor, vector)
