"""What neither the law nor the conditions hold: constants, translations, rotations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import ufl
from ufl import classes

from sciml.forms.lowering import nodes
from sciml.problem import Condition, Neumann, Periodic, Problem, Robin

__all__ = ["constant_modes", "free_modes"]


def constant_modes(problem: Problem) -> list[str]:
    """Names of the modes that are constant: one for each component."""
    return (
        ["the constant"]
        if problem.shape == ()
        else [f"translation of component {c}" for c in range(problem.n_components)]
    )


def _rigid_modes(problem: Problem) -> list[tuple[str, Callable[[np.ndarray], np.ndarray], np.ndarray]]:
    """Translations and, for displacement-like unknowns, rotations: (name, mode(points) → (n, k), L · gradient).

    All are of size one on a domain of size L.
    """
    k, d, size = problem.n_components, problem.dim, problem.domain.size
    modes = []
    for c, name in enumerate(constant_modes(problem)):
        modes.append((name, lambda x, c=c: np.eye(k)[c] * np.ones((len(x), 1)), np.zeros((k, d))))
    if k == d and d > 1:
        centre = (problem.domain.lower + problem.domain.upper) / 2
        for i in range(d):
            for j in range(i + 1, d):
                spin = np.zeros((d, d))
                spin[i, j], spin[j, i] = -1.0, 1.0
                name = f"rotation in the x{i}-x{j} plane"
                modes.append((name, lambda x, s=spin: (x - centre) @ s.T / size, spin))
    return modes


def free_modes(problem: Problem, blocks: np.ndarray) -> list[str]:
    """Names of the rigid modes that are left undetermined.

    Parameters
    ----------
    problem : Problem
    blocks : (n, m, m) array
        The linearised law at random states, see :func:`~sciml.forms.linearised.jacobian_blocks`.
    """
    names, modes, gradients = zip(*_rigid_modes(problem))
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
