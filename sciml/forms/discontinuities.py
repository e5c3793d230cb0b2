"""Whether expressions or their gradients jump, found by looking at both sides of where they may."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import ufl
from ufl import classes
from ufl.domain import extract_domains

from sciml.forms.linearised import N_STATES, random_states
from sciml.forms.lowering import nodes, scalar_components
from sciml.forms.pointwise import PointwiseOperator
from sciml.forms.sharing import compiled
from sciml.problem import Problem

__all__ = ["broken_flux", "has_kinks", "jumps"]

# Segments to look for jumps on, pieces of each, jumps that are looked at closely, and the smallest that counts.
_SEGMENTS, _PIECES, _SUSPECTS, _JUMP = 64, 64, 8, 1e-6


def jumps(problem: Problem, expression: Any) -> bool:
    """Whether a conditional in the expression jumps where its condition changes, found by bisection."""
    lowered = scalar_components(expression)
    conditionals = [node for node in nodes(*lowered) if isinstance(node, classes.Conditional)]
    return any(_conditional_jumps(problem, node) or _jumps_near_root(problem, node) for node in conditionals)


def has_kinks(problem: Problem, expression: Any) -> bool:
    """Whether an expression in x, or its gradient, jumps: at a conditional, a maximum, an absolute value."""
    smooth = not extract_domains(expression) or not jumps(problem, ufl.grad(expression))
    return jumps(problem, expression) or not smooth


def _jumps_near_root(problem: Problem, node: Any) -> bool:
    """As :func:`_conditional_jumps`, at places where a comparison changes, found by Newton's method.

    Regions too small for random states to fall into are found so.
    """
    condition, yes, no = node.ufl_operands
    u, kinds = problem.declaration.u, (classes.LT, classes.GT, classes.LE, classes.GE)
    switch = PointwiseOperator(problem, compiled(ufl.conditional(condition, 1.0, 0.0), u))
    branches = PointwiseOperator(problem, compiled(ufl.as_vector([yes, no]), u))
    for comparison in (n for n in nodes(condition) if isinstance(n, kinds)):
        level = PointwiseOperator(problem, compiled(comparison.ufl_operands[0] - comparison.ufl_operands[1], u))
        keys = sorted({*level.keys, *switch.keys, *branches.keys})
        x, jet = random_states(problem, N_STATES, keys)
        states = torch.cat([x, *[jet[key][:, None] for key in keys]], dim=1).requires_grad_(True)

        def at(operator: PointwiseOperator, s: torch.Tensor, keys: Any = keys) -> torch.Tensor:
            return operator(s[:, : problem.dim], {key: s[:, problem.dim + j] for j, key in enumerate(keys)})

        for _ in range(30):
            value = at(level, states)
            if not value.requires_grad:
                break
            (slope,) = torch.autograd.grad(value.sum(), states)
            step = value.detach()[:, None] * slope / (slope**2).sum(dim=1, keepdim=True).clamp_min(1e-300)
            states = (states.detach() - step).requires_grad_(True)
        else:
            normal = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-300)
            size = 1e-7 * (1 + states.detach().abs().amax(dim=1, keepdim=True))
            low, high = (states.detach() + sign * size * normal for sign in (-1, 1))
            inside = torch.tensor(problem.domain.contains(states.detach()[:, : problem.dim].numpy()))
            crossing = inside & (at(switch, low) != at(switch, high))
            values = at(branches, states.detach())[crossing]
            gap = (values[:, 0] - values[:, 1]).abs()
            if bool((gap > 1e-6 * (1e-12 + values.abs().amax(dim=1))).any()):
                return True
    return False


def _conditional_jumps(problem: Problem, node: Any) -> bool:
    condition, yes, no = node.ufl_operands
    u = problem.declaration.u
    switch = PointwiseOperator(problem, compiled(ufl.conditional(condition, 1.0, 0.0), u))
    branches = PointwiseOperator(problem, compiled(ufl.as_vector([yes, no]), u))
    keys = sorted({*switch.keys, *branches.keys})
    x, jet = random_states(problem, 4 * N_STATES, keys)
    half = len(x) // 2

    def at(operator: PointwiseOperator, weight: torch.Tensor) -> torch.Tensor:
        mixed = {key: (1 - weight) * jet[key][:half] + weight * jet[key][half:] for key in keys}
        return operator((1 - weight[:, None]) * x[:half] + weight[:, None] * x[half:], mixed)

    low, high = torch.zeros(half, dtype=x.dtype), torch.ones(half, dtype=x.dtype)
    first = at(switch, low)
    crossing = first != at(switch, high)
    if not bool(crossing.any()):
        return False
    for _ in range(50):
        middle = (low + high) / 2
        same = at(switch, middle) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    values = at(branches, low)[crossing]
    gap = (values[:, 0] - values[:, 1]).abs()
    return bool((gap > 1e-6 * (1e-12 + values.abs().amax(dim=1))).any())


def broken_flux(problem: Problem, flux: Any) -> np.ndarray | None:
    """A place inside the domain where the normal component of a given flux (free of the unknown) jumps, if any.

    Its divergence then has a part that is concentrated on a surface, which no load can hold. What jumps along the
    surface alone, such as the flux along a layer of another material, does no harm.

    Notes
    -----
    Jumps are found by bisection between neighbours on random segments; one that lies between all of them is missed.
    """
    operator = PointwiseOperator(problem, compiled(ufl.as_vector(scalar_components(flux)), problem.declaration.u))
    generator = np.random.default_rng(0)
    ends = problem.domain.sample(2 * _SEGMENTS, generator)
    fractions = np.linspace(0, 1, _PIECES + 1)[None, :, None]
    grid = ends[:_SEGMENTS, None] * (1 - fractions) + ends[_SEGMENTS:, None] * fractions
    low, high = (part.reshape(-1, problem.dim) for part in (grid[:, :-1], grid[:, 1:]))
    size = np.nanmax(np.abs(operator.at(low)), initial=0.0)
    low, high, gap = _bisected(operator, low, high)
    size = max(size, np.nanmax(np.abs(operator.at(low)), initial=0.0))
    found = np.flatnonzero(np.abs(gap).max(axis=1) > _JUMP * size)
    for k in found[:_SUSPECTS]:
        normal = _normal(operator, low[k], high[k], 1e-4 * problem.domain.size)
        jump = gap[k].reshape(-1, problem.dim) @ normal
        if np.abs(jump).max() > 1e-2 * np.abs(gap[k]).max():
            return low[k]
    return None


def _bisected(
    operator: PointwiseOperator, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Halve segments ``(n, dim)`` towards their largest change; the ends left, and the change between them."""
    start, end = operator.at(low), operator.at(high)
    for _ in range(45):
        middle = (low + high) / 2
        value = operator.at(middle)
        first = np.abs(value - start).max(axis=1) >= np.abs(end - value).max(axis=1)
        low, start = np.where(first[:, None], low, middle), np.where(first[:, None], start, value)
        high, end = np.where(first[:, None], middle, high), np.where(first[:, None], value, end)
    return low, high, np.nan_to_num(end - start)


def _normal(operator: PointwiseOperator, low: np.ndarray, high: np.ndarray, size: float) -> np.ndarray:
    """Unit normal of a surface of discontinuity at a point, from where neighbouring segments cross it."""
    dim = len(low)
    if dim == 1:
        return np.ones(1)
    across = (high - low) / np.linalg.norm(high - low)
    basis = np.linalg.svd(across[None, :])[2][1:] * size
    reach = 20 * size * across
    before, _, gap = _bisected(operator, low + basis - reach, low + basis + reach)
    crossed = np.abs(gap).max(axis=1) > 0
    tangents = (before - low)[crossed]
    return np.linalg.svd(tangents, full_matrices=True)[2][-1] if len(tangents) == dim - 1 else across
