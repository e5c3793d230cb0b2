"""The linearised law and its boundary terms at random states, and what can be read off their matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import ufl

from sciml.errors import DeclarationError
from sciml.forms.balance import balance, separate
from sciml.forms.lowering import Derivative, depends_on, lower, scalar_components
from sciml.forms.pointwise import PointwiseOperator
from sciml.forms.sharing import compiled
from sciml.problem import Condition, Dirichlet, Neumann, Part, Problem, Robin, symbol

__all__ = [
    "N_STATES",
    "boundary_blocks",
    "is_symmetric",
    "jacobian_blocks",
    "jacobian_entries",
    "random_states",
    "separated_law",
    "smallest_eigenvalue",
]

N_STATES = 64


def separated_law(problem: Problem) -> tuple[list[Any], Any, Any]:
    """Rows of (flux, reaction), row-major, as functions of two independent symbols that stand for ∇u and u."""
    u = problem.declaration.u
    law = balance(problem)
    gradient, value = symbol(problem.dim, ufl.grad(u).ufl_shape), symbol(problem.dim, u.ufl_shape)
    rows = [row for part in (law.flux, law.reaction) for row in _flat(separate(part, u, value, gradient))]
    return rows, gradient, value


def jacobian_entries(problem: Problem) -> list[Any]:
    """Entries of M = ∂(flux, reaction)/∂(∇u, u) as lowered UFL, row-major."""
    return problem.derived("jacobian entries", lambda: entries_of(*separated_law(problem)))


def entries_of(rows: list[Any], gradient: Any, value: Any) -> list[Any]:
    variables: dict[Any, Any] = {gradient: ufl.variable(gradient), value: ufl.variable(value)}
    rows = [ufl.replace(row, variables) for row in rows]
    return [entry for row in rows for v in variables.values() for entry in scalar_components(ufl.diff(row, v))]


def _flat(expression: Any) -> list[Any]:
    indices = np.ndindex(*expression.ufl_shape)
    return [expression[index] if index else expression for index in indices]


def random_states(
    problem: Problem, n: int, keys: Any, seed: int = 0
) -> tuple[torch.Tensor, dict[Derivative, torch.Tensor]]:
    """Random points of the domain with random jets: values and derivatives of mixed size and sign."""
    generator = np.random.default_rng(seed)
    x = torch.tensor(problem.domain.sample(n, generator), dtype=torch.float64)
    size = 10.0 ** generator.uniform(-2, 0.5, (n, 1))
    states = generator.standard_normal((n, max(len(keys), 1))) * size
    return x, {key: torch.as_tensor(states[:, k]) for k, key in enumerate(keys)}


def _jet_keys(problem: Problem) -> list[Derivative]:
    """The entries of (∇u, u), row-major."""
    k, d = problem.n_components, problem.dim
    return [Derivative(c, (a,)) for c in range(k) for a in range(d)] + [Derivative(c) for c in range(k)]


def jacobian_blocks(problem: Problem, sizes: np.ndarray | None = None) -> np.ndarray:
    """Numerical M: derivatives of flux and reaction at random states.

    Values and slopes of the states are of order one, or, with `sizes` ``(k,)``, of those of the components and of
    size/L.
    """
    law = balance(problem)
    u = problem.declaration.u
    rows = ufl.as_vector(_flat(lower(law.flux)) + _flat(lower(law.reaction)))
    operator = PointwiseOperator(problem, compiled(rows, u))
    keys = _jet_keys(problem)
    if set(operator.keys) - set(keys):
        raise DeclarationError("The flux contains second derivatives of the unknown, which this law may not.")
    x, jet = random_states(problem, N_STATES, keys)
    units = [1.0] * len(keys) if sizes is None else _units(problem, keys, sizes)
    states = torch.stack([unit * jet[key] for unit, key in zip(units, keys, strict=True)], dim=1).requires_grad_(True)
    values = operator(x, {key: states[:, j] for j, key in enumerate(keys)})
    gradients = [
        torch.autograd.grad(row.sum(), states, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
        if row.requires_grad
        else torch.zeros_like(states)
        for row in values.unbind(dim=1)
    ]
    matrices = torch.stack(gradients, dim=1).numpy()
    finite = matrices[np.isfinite(matrices).all(axis=(1, 2))]
    if not len(finite):
        raise DeclarationError(f"The flux of {problem!r} is not finite at any state tried; check the law.")
    return finite


def _units(problem: Problem, keys: list[Derivative], sizes: np.ndarray) -> list[float]:
    return [float(sizes[key.component]) / problem.domain.size ** len(key.axes) for key in keys]


def boundary_blocks(problem: Problem) -> np.ndarray:
    """−∂(flux·n)/∂(∇u, u) of Neumann and Robin conditions at random states: ``(n, m, m)``."""
    k, d, u = problem.n_components, problem.dim, problem.declaration.u
    generator, found = np.random.default_rng(0), [np.zeros((0, k * (d + 1), k * (d + 1)))]
    for piece in problem.boundary_pieces:
        rows = [_inflow(problem, condition, c) for c, condition in enumerate(piece.conditions)]
        if any(depends_on(lower(row), u) for row in rows):
            block = _boundary_block(problem, ufl.as_vector(rows), piece.part, generator)
            held = [k * d + c for c, condition in enumerate(piece.conditions) if isinstance(condition, Dirichlet)]
            block[:, held] = block[:, :, held] = 0.0
            found.append(block[np.isfinite(block).all(axis=(1, 2))])
    return np.concatenate(found)


def _boundary_block(problem: Problem, rows: Any, part: Part, generator: np.random.Generator) -> np.ndarray:
    """Derivatives of the rows, which stand where u is tested; ∇u is not tested on the boundary."""
    keys = _jet_keys(problem)
    operator = PointwiseOperator(problem, compiled(rows, problem.declaration.u))
    points, normals = part.sample(N_STATES, generator)
    states = torch.tensor(generator.standard_normal((N_STATES, len(keys)))).requires_grad_(True)
    jet = {key: states[:, j] for j, key in enumerate(keys)}
    values = operator(torch.tensor(points), jet, normal=torch.tensor(normals))
    block = np.zeros((N_STATES, len(keys), len(keys)))
    for position, row in enumerate(values.unbind(dim=1), start=len(keys) - problem.n_components):
        if row.requires_grad:
            block[:, position] = -torch.autograd.grad(row.sum(), states, retain_graph=True)[0].numpy()
    return block


def _inflow(problem: Problem, condition: Condition | None, component: int) -> Any:
    if not isinstance(condition, (Neumann, Robin)) or (condition.value is None and isinstance(condition, Neumann)):
        return ufl.as_ufl(0.0)
    u = problem.declaration.u
    own = u if u.ufl_shape == () else u[component]
    if isinstance(condition, Robin):
        value = own * 0 if condition.value is None else condition.entry(ufl.as_ufl(condition.value), component)
        return condition.alpha * (value - own)
    return condition.entry(ufl.as_ufl(condition.value), component)


def is_symmetric(matrices: np.ndarray) -> bool:
    """Whether all matrices are symmetric, relative to the largest entry of all."""
    scale = np.abs(matrices).max() or 1.0
    return bool(np.abs(matrices - matrices.transpose(0, 2, 1)).max() <= 1e-10 * scale)


def smallest_eigenvalue(matrices: np.ndarray) -> float:
    """Smallest eigenvalue of the symmetric parts, relative to their magnitude."""
    eigenvalues = np.linalg.eigvalsh((matrices + matrices.transpose(0, 2, 1)) / 2)
    return float((eigenvalues[:, 0] / np.maximum(np.abs(eigenvalues).max(axis=1), 1e-300)).min())
