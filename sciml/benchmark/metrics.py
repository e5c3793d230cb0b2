"""How far a solution is from the truth: norms, quantities, parts of the error by frequency, error at instants.

All candidates of a task are measured at the same points and instants, which the domain and the time decide, in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.fft import dctn

from sciml.problem import Box, Interval, grid_points
from sciml.solution import Errors, Evolution, Field, NetworkEvolution, NetworkField, measure_errors

__all__ = ["BANDS", "band_errors", "compare_quantities", "in_float64", "measure", "rollout"]

N_POINTS = 65_536
BANDS = {"low": (0, 8), "middle": (9, 24), "high": (25, None)}
"""Half-waves along the axis that has most of them, first and last of each band."""
_GRID = {1: 512, 2: 128, 3: 48}


def measure(
    field: Field | Evolution,
    truth: Field | Evolution,
    *,
    instants: int,
    quantities: Mapping[str, float],
    true_quantities: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that is measured of one solution.

    Parameters
    ----------
    field, truth : Field or Evolution
    instants : int
        Of a problem that runs in time, equal ones after the start at which errors are told one by one.
    quantities, true_quantities : mapping
        Quantities of interest of both.

    Returns
    -------
    dict
        ``errors``: ``relative_l2``, ``relative_h1``, ``max_error``, ``relative_max`` (of several fields, of the worst),
        ``integration_error``, ``n_points``; ``fields``: the same of each of several; ``quantities``; ``bands`` with
        ``bands_reason`` where there are none; ``rollout``.

    Raises
    ------
    UndefinedFieldError
        A value of the solution is not finite.
    """
    field = in_float64(field)
    errors = measure_errors(field, truth, n_target=N_POINTS, same_points=True)
    bands, reason = band_errors(field, truth, instants)
    return {
        "errors": _summary(errors) | {"integration_error": errors.integration_error, "n_points": errors.n_points},
        "fields": {name: _summary(own) for name, own in errors.fields.items()},
        "quantities": compare_quantities(quantities, true_quantities),
        "bands": bands,
        "bands_reason": reason,
        "rollout": rollout(field, truth, instants),
    }


def _summary(errors: Errors) -> dict[str, float]:
    return {name: getattr(errors, name) for name in ("relative_l2", "relative_h1", "max_error", "relative_max")}


def in_float64(field: Field | Evolution) -> Field | Evolution:
    """The same function evaluated in float64 on the CPU, where it is a network of other precision or place."""
    kinds = {NetworkField: NetworkField, NetworkEvolution: NetworkEvolution}
    kind = kinds.get(type(field))
    if kind is None:
        return field
    module: torch.nn.Module = field.module  # type: ignore[union-attr]
    tensors = [*module.parameters(), *module.buffers()]
    if all(t.device.type == "cpu" and t.dtype != torch.float32 for t in tensors):
        return field
    return kind(field.problem, copy.deepcopy(module).to("cpu", torch.float64))


def compare_quantities(own: Mapping[str, float], true: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    """Values beside the truth's; there is no relative error where the truth's is zero."""
    out = {}
    for name, value in own.items():
        error = abs(value - true[name])
        relative = error / abs(true[name]) if true[name] else None
        out[name] = {"value": value, "truth": true[name], "absolute_error": error, "relative_error": relative}
    return out


def rollout(field: Field | Evolution, truth: Field | Evolution, instants: int) -> dict[str, list[float]] | None:
    """Relative L2 errors at equal instants after the start, each relative to the truth at that instant.

    Returns
    -------
    dict or None
        ``t`` and ``relative_l2``; None for a problem that does not run in time.
    """
    if not (isinstance(field, Evolution) and isinstance(truth, Evolution)):
        return None
    times = _after_start(truth.problem.time, instants)
    errors = [
        measure_errors(field.at(t), truth.at(t), n_target=N_POINTS // 4, same_points=True).relative_l2 for t in times
    ]
    return {"t": times, "relative_l2": errors}


def _after_start(time: Interval, n: int) -> list[float]:
    return [float(t) for t in np.linspace(time.start, time.end, n + 1)[1:]]


def band_errors(
    field: Field | Evolution, truth: Field | Evolution, instants: int
) -> tuple[dict[str, float] | None, str]:
    """The parts of the relative L2 error that lie in three bands of frequencies.

    On a box, the error e on a grid of cell centres (512, 128² or 48³) is e = Σ_k e_k Π_j cos(π k_j s_j), with the
    share s_j of axis j in (0, 1). Its part in a band are the terms with max_j k_j from 0 to 8 (low), 9 to 24 (middle)
    or from 25 on (high); on a periodic box these are the waves 0–4, 5–12 and from 13 on. The squares of the three
    numbers sum to that of the relative error on the grid. In time they are taken over the instants of :func:`rollout`;
    of several fields they are those of the one with the largest error.

    Returns
    -------
    dict or None, str
        ``low``, ``middle``, ``high``; None elsewhere than on boxes of at most three dimensions, with the reason.

    Notes
    -----
    A cosine series takes no periodicity for granted. Where the slope of the error is not zero at the boundary its terms
    fall as k⁻² only, so that a smooth error has a small part in the high band too. Frequencies above those of the grid
    are counted as the ones that they look like there.
    """
    domain = truth.problem.domain
    if not isinstance(domain, Box):
        return None, "frequencies are told apart on boxes only"
    if domain.dim > 3:
        return None, "frequencies are told apart in up to three dimensions"
    lines = [a + (b - a) * (np.arange(_GRID[domain.dim]) + 0.5) / _GRID[domain.dim] for a, b in _ends(domain)]
    points = grid_points(lines)
    blocks = (truth if isinstance(truth, Field) else truth.final).blocks
    sums = np.zeros((len(blocks), len(BANDS) + 1))
    for own, true in _states(field, truth, instants):
        reference = true.evaluate(points).reshape(len(points), -1)
        error = own.evaluate(points).reshape(len(points), -1) - reference
        sums += [[*_parts(error[:, c], domain.dim), (reference[:, c] ** 2).sum()] for _, c in blocks]
    sums[:, :-1] /= np.where(sums[:, -1:] > 0, sums[:, -1:], 1.0)
    worst = max(sums[:, :-1], key=np.sum)
    return {name: float(np.sqrt(part)) for name, part in zip(BANDS, worst, strict=True)}, ""


def _ends(box: Box) -> list[tuple[float, float]]:
    return list(zip(box.lower, box.upper, strict=True))


def _states(field: Field | Evolution, truth: Field | Evolution, instants: int) -> list[tuple[Field, Field]]:
    if isinstance(field, Evolution) and isinstance(truth, Evolution):
        return [(field.at(t), truth.at(t)) for t in _after_start(truth.problem.time, instants)]
    assert isinstance(field, Field) and isinstance(truth, Field)
    return [(field, truth)]


def _parts(error: np.ndarray, dim: int) -> list[float]:
    """Sums of squares of the terms of each band; `error` is ``(n^dim, components)``."""
    n = _GRID[dim]
    terms = dctn(error.reshape(*(n,) * dim, -1), type=2, norm="ortho", axes=range(dim))
    squares = (terms**2).sum(axis=-1)
    waves = np.max(np.meshgrid(*[np.arange(n)] * dim, indexing="ij"), axis=0)
    return [
        float(squares[(waves >= first) & (waves <= (n if last is None else last))].sum())
        for first, last in BANDS.values()
    ]
