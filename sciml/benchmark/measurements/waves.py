"""Energy and cost of waves by finite elements."""

from __future__ import annotations

import time

import numpy as np

from sciml import load_problem
from sciml.benchmark.measurements._systems import make_system
from sciml.fem.stepping import System, march, stable_step
from sciml.forms.schemes import Scheme


def wave_energy() -> dict[str, float]:
    """What becomes of the energy of a standing wave over ten periods, P1 on 32² cells, steps of 0.9 the longest stable.

    Returns
    -------
    dict
        ``newmark``, ``explicit``: largest less smallest energy, relative to that at the start.
    """
    figures = {}
    for name in ("newmark", "explicit"):
        system = make_system(load_problem("wave/standing", modes=1, periods=10.0), 32, 1)
        energies = _energies(system, Scheme(name))
        figures[name] = float(np.ptp(energies) / energies[0])
    return figures


def absorbing_sides(frequency: float = 4.0) -> dict[str, float]:
    """How much of a pulse is left in a square with absorbing sides, P1 on 64² cells.

    Returns
    -------
    dict
        ``energy_left``: one second after the source has ended, relative to the largest energy.
    """
    problem = load_problem("wave/open_square", frequency=frequency, duration=2.2 / frequency + 1.0)
    energies = _energies(make_system(problem, 64, 1), Scheme("explicit"))
    return {"energy_left": float(energies[-1] / max(energies))}


def wave_steps(cells: int = 128, steps: int = 200) -> dict[str, float]:
    """The cost of explicit steps of a lumped P1 wave in a square, after a first run of the same.

    Returns
    -------
    dict
        ``seconds``: CPU seconds.
    """
    system = make_system(load_problem("wave/standing", modes=1, periods=0.3), cells, 1)
    list(march(system, Scheme("explicit"), steps))
    start = time.process_time()
    for _ in march(system, Scheme("explicit"), steps):
        pass
    return {"seconds": time.process_time() - start}


def _energies(system: System, scheme: Scheme) -> list[float]:
    """Kinetic and strain energy after each step; in the staggered form for the explicit scheme."""
    mass, work, before, energies = system.lumped(system.mass), system.vector(), None, []
    steps = int(np.ceil(system.problem.time.duration / (0.9 * stable_step(system))))
    step = system.problem.time.duration / steps
    for state in march(system, scheme, steps):
        if scheme.name == "explicit":
            if before is not None:
                rate = (state.u.array - before.array) / step
                system.stiffness(state.u, 0.0).mult(before, work)
                energies.append(float(0.5 * mass @ rate**2 + 0.5 * state.u.dot(work)))
            before = state.u
        else:
            system.mass.mult(state.v, work)
            kinetic = 0.5 * state.v.dot(work)
            system.stiffness(state.u, 0.0).mult(state.u, work)
            energies.append(float(kinetic + 0.5 * state.u.dot(work)))
    return energies
