"""Observed orders of the time integrators."""

from __future__ import annotations

from ufl import cos, grad

from sciml import Box, Dirichlet, Problem, load_problem
from sciml.benchmark.measurements._systems import final_error, make_system, observed_order
from sciml.forms.schemes import SCHEMES, Scheme


def time_orders(steps: int = 40) -> dict[str, float]:
    """Orders of the integrators on a problem whose data all change in time, quadratic in space, so that P2 is exact.

    Parameters
    ----------
    steps : int
        The longer steps; the order is that between them and steps half as long.

    Returns
    -------
    dict
        ``theta`` (Crank–Nicolson), ``bdf2``, ``newmark``, ``generalised_alpha``; ``explicit``: of lumped P1 waves, with
        steps and cells (32² and 64²) refined together.
    """
    figures = {}
    for order, names in SCHEMES.items():
        problem = _changing(order)
        for name in names:
            if name != "explicit":
                coarse, fine = (final_error(make_system(problem, 4, 2), Scheme(name), n) for n in (steps, 2 * steps))
                figures[name] = observed_order(coarse, fine)
    wave = load_problem("wave/standing", periods=0.4, modes=1)
    coarse, fine = (final_error(make_system(wave, n, 1), Scheme("explicit"), 3 * n) for n in (32, 64))
    return figures | {"explicit": observed_order(coarse, fine)}


def _changing(order: int) -> Problem:
    """Of the given order in time, with a mass, damping, conductivity, load and data that vary."""
    extra = {"mass": lambda x: 2 - x[1]} if order == 2 else {}
    return Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        time=1.0,
        damping=lambda x: 1 + x[0],
        flux=lambda u, t: (1 + 0.5 * t) * grad(u),
        exact=lambda x, t: cos(3 * t) * (1 + x[0] * x[1] + x[0] ** 2),
        conditions=[Dirichlet(on="boundary")],
        **extra,
    )
