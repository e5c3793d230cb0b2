"""A solution in time: its states at some instants, and between them by interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from dolfinx import fem

from sciml.errors import OptionError
from sciml.fem.adaptive import Control, march_adaptively
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.discretisation import Discretisation
from sciml.fem.functions import FEFunction, FEFunctions, together
from sciml.fem.grids import ON_GRIDS, unknown_grid
from sciml.fem.meshes import FEMesh
from sciml.fem.statics import Report, StaticReport
from sciml.fem.stepping import System, march, stable_step, surely_stable_step
from sciml.forms import Analysis
from sciml.forms.balance import components_without_start
from sciml.forms.schemes import choose_scheme
from sciml.problem.evolution import interpolation_weights

__all__ = ["Trajectory", "common_instants", "solve_evolution"]

_EIGHTHS = 8
_SAME = 1e-12
"""Of the whole time: so near to an instant that is kept, nothing is interpolated."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Finite element states at instants.

    Attributes
    ----------
    mesh : FEMesh
    spaces : tuple of dolfinx.fem.FunctionSpace
        Of each field.
    times : (m,) array
        Ascending; the first is the start, the last the end.
    states : tuple of (m, n) arrays
        Degrees of freedom of each field.
    interpolated : bool
        Whether the times are the same for all steps: states between steps were interpolated.
    """

    mesh: FEMesh
    spaces: tuple[Any, ...]
    times: np.ndarray
    states: tuple[np.ndarray, ...]
    interpolated: bool = False

    def at(self, instant: float) -> FEFunction | FEFunctions:
        """The state at any time of the interval, by cubic interpolation between the four nearest instants."""
        nearest = int(np.argmin(np.abs(self.times - instant)))
        if abs(self.times[nearest] - instant) <= _SAME * (self.times[-1] - self.times[0]):
            return self._function([states[nearest] for states in self.states])
        first = int(np.clip(np.searchsorted(self.times, instant) - 2, 0, max(0, len(self.times) - 4)))
        nodes = slice(first, first + 4)
        weights = interpolation_weights(self.times[nodes], instant)
        return self._function([weights @ states[nodes] for states in self.states])

    def _function(self, values: list[np.ndarray]) -> FEFunction | FEFunctions:
        parts = []
        for space, own in zip(self.spaces, values, strict=True):
            function = fem.Function(space)
            function.x.array[:] = own
            parts.append(FEFunction(self.mesh, function))
        return together(parts)


def solve_evolution(
    disc: Discretisation,
    analysis: Analysis,
    options: Any,
    steps: int | None,
    report: Report,
    control: Control | None = None,
) -> tuple[Trajectory, StaticReport, int]:
    """Run through the problem's time.

    Parameters
    ----------
    disc : Discretisation
    analysis : Analysis
    options
        With ``scheme, theta, rho_infinity, snapshots, linear_solver, tolerance``.
    steps : int or None
        Number of steps; None takes steps that are surely stable (scheme=explicit), a multiple of the
        intervals between the states kept.
    report : callable
        Takes a line of text.
    control : Control, optional
        Takes steps as long as their local error allows, in place of equal ones.

    Returns
    -------
    Trajectory, StaticReport, int
        The last is the number of steps.
    """
    problem = disc.problem
    scheme = choose_scheme(problem, options.scheme, options.theta, options.rho_infinity)
    # Explicit steps solve no system: nothing about it needs to be known.
    implicit = scheme.name != "explicit"
    choice = choose_linear_solver(
        options.linear_solver,
        symmetric=implicit and bool(analysis.symmetric),
        definite=implicit and bool(analysis.monotone),
        dim=problem.dim,
        n_dofs=disc.n_dofs,
        fields=len(problem.layout),
        lattice=implicit and _takes_a_lattice(options.linear_solver, analysis) and disc.lattice is not None,
        grid=implicit
        and options.linear_solver in ON_GRIDS
        and not analysis.pure_neumann
        and unknown_grid(disc) is not None,
        processes=disc.comm.size,
    )
    scaled = choice.name == "fast_diagonalisation" and analysis.smooth_coefficients
    system = System(disc, choice, linear=bool(analysis.linear), tolerance=options.tolerance, scaled=scaled)
    if control is not None:
        return _solve_adaptively(system, control, options.snapshots, report)
    if not implicit:
        steps = _stable_steps(system, steps, options.snapshots - 1)
    assert steps is not None
    kept = set(np.unique(np.round(np.linspace(0, steps, min(options.snapshots, steps + 1))).astype(int)))
    if steps % _EIGHTHS == 0:
        kept |= set(range(0, steps + 1, steps // _EIGHTHS))
    times, states, first = [], [], []
    without_start = components_without_start(problem)
    for k, state in enumerate(march(system, scheme, steps)):
        if without_start and k <= 2:
            first.append(state.u.copy())
        if k in kept:
            times.append(state.t)
            states.append(system.snapshot(state.u))
        if k % max(1, steps // 50) == 0:
            report(f"step {k} of {steps}, t = {state.t:.4g}")
    if without_start:
        states[0] = system.snapshot(_begun(system, first, without_start))
    words = str(system.solver_used) if scheme.name != "explicit" else "none (lumped mass)"
    outcome = StaticReport(system.counts.newton, system.counts.linear, 0.0, words, f"{scheme.name}, {steps} steps")
    return _trajectory(np.array(times), states), outcome, steps


def _trajectory(times: np.ndarray, states: list[FEFunction | FEFunctions], *, interpolated: bool = False) -> Trajectory:
    last = states[-1]
    spaces = tuple(part.function.function_space for part in last.parts)
    arrays = tuple(np.array([state.parts[k].function.x.array for state in states]) for k in range(len(spaces)))
    return Trajectory(last.mesh, spaces, times, arrays, interpolated)


def _begun(system: System, first: list[Any], components: list[int]) -> Any:
    """The state at the start, with constrained fields extended from the first steps in a straight line."""
    own = np.isin(system.independent.values(system.disc.unknowns.component), components)
    begun, *later = first
    line = 2.0 * later[0] - later[1] if len(later) > 1 else later[0]
    begun.array[own] = line.array_r[own]
    return begun


def _takes_a_lattice(requested: str, analysis: Analysis) -> bool:
    """Whether to look for a grid: a matrix that is factorised once is cheaper unless an iteration or two do."""
    return requested == "fast_diagonalisation" or bool(analysis.linear and analysis.constant_coefficients)


def _solve_adaptively(
    system: System, control: Control, snapshots: int, report: Report
) -> tuple[Trajectory, StaticReport, int]:
    """States at equal instants and at the eighths of the time, interpolated inside of the steps."""
    time = system.problem.time
    shares = np.union1d(np.linspace(0, 1, snapshots), np.arange(_EIGHTHS + 1) / _EIGHTHS)
    wanted = time.start + time.duration * shares
    states: list[FEFunction | FEFunctions] = []
    for step in march_adaptively(system, control):
        until = len(wanted) if step.end >= time.end else int(np.searchsorted(wanted, step.end, side="right"))
        states += [system.snapshot(step.at(t)) for t in wanted[len(states) : until]]
        report(f"step {len(control.taken)}, t = {step.end:.4g}, length {step.end - step.start:.2g}")
    taken = control.taken
    start = f"tr-bdf2, {len(taken)} steps from {min(taken):.3g} to {max(taken):.3g} long"
    outcome = StaticReport(
        system.counts.newton, system.counts.linear, 0.0, str(system.solver_used), start, control.rejected
    )
    return _trajectory(wanted, states, interpolated=True), outcome, len(taken)


def _stable_steps(system: System, steps: int | None, intervals: int) -> int:
    """The number given if it is stable; else the least that is, a multiple of the intervals between kept states."""
    duration, sure = system.problem.time.duration, surely_stable_step(system)
    if steps is None:
        return intervals * max(1, int(np.ceil(duration / sure / intervals)))
    if duration / steps <= sure:
        return steps
    limit = stable_step(system)
    if duration / steps > limit:
        raise OptionError(
            f"A step of {duration / steps:.4g} is beyond the stability limit {limit:.4g} of scheme=explicit on this "
            f"mesh; take at least {int(np.ceil(duration / limit))} steps or an implicit scheme."
        )
    return steps


def common_instants(a: Trajectory, b: Trajectory) -> np.ndarray:
    """Eight equidistant instants after the start where both keep them, else the end.

    All but the start where both are interpolated: what adaptive steps follow may be over within an eighth.
    """
    if a.interpolated and b.interpolated and np.array_equal(a.times, b.times):
        return a.times[1:]
    eighths = a.times[0] + (a.times[-1] - a.times[0]) * np.arange(1, _EIGHTHS + 1) / _EIGHTHS
    for times in (a.times, b.times):
        if np.abs(times[:, None] - eighths).min(axis=0).max() > 1e-9 * (times[-1] - times[0]):
            return eighths[-1:]
    return eighths
