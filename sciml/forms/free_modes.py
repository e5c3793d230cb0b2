"""What neither the law nor the conditions hold: constants, translations, rotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
import ufl
from ufl import classes

from sciml.forms.balance import constrained_fields
from sciml.forms.lowering import nodes
from sciml.problem import Condition, Neumann, Periodic, Problem, Robin, Slot

__all__ = ["constant_modes", "free_modes"]


_ROUNDING = 1e-10

Mode = tuple[str, Callable[[np.ndarray], np.ndarray], np.ndarray]


def constant_modes(problem: Problem) -> dict[str, int]:
    """The modes that are constant by name, one for each component of the unknown."""
    modes = {}
    for slot in problem.layout:
        for i, c in enumerate(slot.components):
            modes[(f"translation of component {i}" if slot.shape else "the constant") + _of(slot, problem)] = c
    return modes


def _of(slot: Slot, problem: Problem) -> str:
    return f" of {slot.name!r}" if len(problem.layout) > 1 else ""


def _rigid_modes(problem: Problem, slots: Sequence[Slot]) -> list[Mode]:
    """Translations and, for displacement-like fields, rotations: (name, mode(points) → (n, k), L · gradient).

    All are of size one on a domain of size L.
    """
    k, d, size = problem.n_components, problem.dim, problem.domain.size
    modes: list[Mode] = []
    names = {c: name for name, c in constant_modes(problem).items()}
    for slot in slots:
        for c in slot.components:
            modes.append((names[c], lambda x, c=c: np.eye(k)[c] * np.ones((len(x), 1)), np.zeros((k, d))))
        if slot.shape == (d,) and d > 1:
            modes += _rotations(problem, slot, size)
    return modes


def _rotations(problem: Problem, slot: Slot, size: float) -> Iterator[Mode]:
    k, d = problem.n_components, problem.dim
    centre = (problem.domain.lower + problem.domain.upper) / 2
    for i, j in combinations(range(d), 2):
        spin = np.zeros((k, d))
        spin[slot.offset + i, j], spin[slot.offset + j, i] = -1.0, 1.0
        yield f"rotation{_of(slot, problem)} in the x{i}-x{j} plane", lambda x, s=spin: (x - centre) @ s.T / size, spin


def free_modes(problem: Problem, blocks: np.ndarray) -> list[str]:
    """Names of the rigid modes that are left undetermined.

    Parameters
    ----------
    problem : Problem
    blocks : (n, m, m) array
        The linearised law at random states, see :func:`~sciml.forms.linearised.jacobian_blocks`.
    """
    if len(problem.layout) > 1:
        return _of_several_fields(problem, blocks)
    names, modes, gradients = zip(*_rigid_modes(problem, problem.layout))
    matrices = _without_units(blocks, problem)
    rows, scale = [], np.abs(matrices).max() or 1.0
    generator = np.random.default_rng(0)
    points = problem.domain.sample(len(matrices), generator)
    strains = [
        np.concatenate([np.tile(g.ravel(), (len(points), 1)), m(points)], axis=1) for m, g in zip(modes, gradients)
    ]
    rows.append(np.stack([np.einsum("nij,nj->ni", matrices, s).ravel() / scale for s in strains], axis=1))
    for piece in problem.boundary_pieces:
        samples, _ = piece.part.sample(16, generator)
        values = np.stack([m(samples) for m in modes], axis=2)
        held = [c for c, condition in enumerate(piece.conditions) if _holds(problem, condition)]
        rows.append(values[:, held].reshape(-1, len(modes)))
    for condition in problem.periodic:
        samples, _ = problem.domain.part(condition.minus).sample(16, generator)
        jumps = np.stack([m(samples + condition.translation) - m(samples) for m in modes], axis=2)
        rows.append(jumps[:, list(condition.components(problem.n_components))].reshape(-1, len(modes)))
    constraint = np.concatenate(rows)
    _, singular, directions = np.linalg.svd(constraint, full_matrices=True)
    rank = int((singular > 1e-9 * max(singular[0], 1e-300)).sum())
    return _names_of(names, directions[rank:])


def _of_several_fields(problem: Problem, blocks: np.ndarray) -> list[str]:
    """As :func:`free_modes`, where a mode may have a flux as long as it is the same everywhere and is not tested.

    Of a flow that no boundary lets out this is the constant of the pressure: its flux −p I is constant.
    """
    slots = constrained_fields(problem) if problem.evolves else problem.layout
    found = _rigid_modes(problem, slots)
    if not found:
        return []
    names, modes, gradients = zip(*found)
    k, d = problem.n_components, problem.dim
    matrices = _without_units(blocks, problem)
    generator = np.random.default_rng(0)
    points = problem.domain.sample(len(matrices), generator)
    columns, sizes = [], []
    for mode, gradient in zip(modes, gradients):
        strains = np.concatenate([np.tile(gradient.ravel(), (len(points), 1)), mode(points)], axis=1)
        response = np.einsum("nij,nj->ni", matrices, strains)
        flux = response[:, : k * d].mean(axis=0)
        rows = [(response[:, : k * d] - flux).ravel(), response[:, k * d :].ravel()]
        for piece in problem.boundary_pieces:
            samples, normals = piece.part.sample(16, np.random.default_rng(1))
            held = np.array([_holds(problem, condition) for condition in piece.conditions])
            tied = np.array([isinstance(condition, Periodic) for condition in piece.conditions])
            rows += [mode(samples)[:, held].ravel(), (normals @ flux.reshape(k, d).T)[:, ~held & ~tied].ravel()]
        for condition in problem.periodic:
            samples, _ = problem.domain.part(condition.minus).sample(16, np.random.default_rng(1))
            jumps = mode(samples + condition.translation) - mode(samples)
            rows.append(jumps[:, list(condition.components(k))].ravel())
        columns.append(np.concatenate(rows))
        sizes.append(max(1.0, np.abs(response).max()))
    constraint = np.stack(columns, axis=1)
    constraint[np.abs(constraint) <= _ROUNDING * np.array(sizes)] = 0.0
    # Fields have units of their own: a mode counts by its shape.
    lengths = np.linalg.norm(constraint, axis=0)
    constraint /= np.where(lengths > 0, lengths, 1.0)
    _, singular, directions = np.linalg.svd(constraint, full_matrices=True)
    rank = int((singular > 1e-9).sum())
    return _names_of(names, directions[rank:])


def _names_of(names: tuple[str, ...], free: np.ndarray) -> list[str]:
    """The modes that span the free ones best, each once, those that are free by themselves first."""
    share = (free**2).sum(axis=0)
    return [names[k] for k in sorted(np.argsort(-share, kind="stable")[: len(free)])]


def _without_units(matrices: np.ndarray, problem: Problem) -> np.ndarray:
    """M for (L ∇u, u) with rows of the reaction times L, so that all entries have one unit."""
    n = problem.n_components * problem.dim
    weights = np.ones(matrices.shape[1])
    weights[n:] = problem.domain.size
    return matrices * weights[:, None] * weights


def _holds(problem: Problem, condition: Condition | None) -> bool:
    if isinstance(condition, Neumann):
        u = problem.declaration.u
        return condition.value is not None and any(node == u for node in nodes(ufl.as_ufl(condition.value)))
    return condition is not None and not isinstance(condition, Periodic) and not _zero_robin(condition)


def _zero_robin(condition: Condition) -> bool:
    return isinstance(condition, Robin) and isinstance(ufl.as_ufl(condition.alpha), classes.Zero)
