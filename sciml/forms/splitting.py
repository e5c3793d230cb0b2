"""The law as a linear part with constant coefficients and the rest.

With w = (∇u, u) every row of (flux, reaction) is  Σ_j M_j w_j + rest(w, x, t), where the sum runs over the entries of w
that the row is affine in with a coefficient that depends neither on u, nor on the place, nor on the time. The rest is
the row with these entries set to zero: nothing is subtracted, so the two parts add up to the law to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import ufl
from ufl import classes

from sciml.forms.balance import balance
from sciml.forms.linearised import entries_of, separated_law
from sciml.forms.lowering import nodes, scalar_components
from sciml.forms.pointwise import PointwiseOperator
from sciml.forms.sharing import compiled
from sciml.problem import Problem

__all__ = ["LinearSplit", "linear_split", "varies"]


def varies(problem: Problem, expression: Any) -> bool:
    """Whether a lowered expression depends on the place, on a field or on the time."""
    t = problem.declaration.t
    return any(isinstance(n, (classes.SpatialCoordinate, classes.Coefficient)) or n == t for n in nodes(expression))


@dataclass(frozen=True, eq=False)
class LinearSplit:
    """A law's linear part with constant coefficients, and the rest; see :func:`linear_split`.

    Attributes
    ----------
    problem : Problem
    rows : list of UFL
        The rest of each row of (flux, reaction), with the load taken off the reaction; row-major.
    entries : (m, m) array of UFL
        M = ∂(flux, reaction)/∂(∇u, u).
    constant : (m, m) array of bool
        The entries that vary with nothing, zeros among them.
    """

    problem: Problem
    rows: list[Any]
    entries: np.ndarray
    constant: np.ndarray

    @cached_property
    def varying(self) -> list[tuple[int, int]]:
        """Positions of the entries that vary."""
        return [(int(i), int(j)) for i, j in np.argwhere(~self.constant)]

    def coefficients(self, problem: Problem) -> np.ndarray:
        """The constant entries of M with the parameter values of a problem, zero elsewhere."""
        values = self._constants(problem).at(problem.domain.lower[None, :])
        return np.where(self.constant, values.reshape(self.constant.shape), 0.0)

    def _constants(self, problem: Problem) -> PointwiseOperator:
        kept = [e if c else ufl.as_ufl(0.0) for e, c in zip(self.entries.flat, self.constant.flat, strict=True)]
        program = problem.derived(("program", "constant entries"), lambda: compiled(ufl.as_vector(kept)))
        return PointwiseOperator(problem, program)


def linear_split(problem: Problem) -> LinearSplit:
    """Split the law of a problem; shared between copies that differ in real parameters.

    Raises
    ------
    UnsupportedError
        The problem declares only its weak form.
    """
    return problem.derived("linear split", lambda: _split(problem))


def _split(problem: Problem) -> LinearSplit:
    u, k, d = problem.declaration.u, problem.n_components, problem.dim
    rows, gradient, value = separated_law(problem)
    slope: Any = ufl.grad(u)
    back: dict[Any, Any] = {gradient: slope, value: u}
    size = k * (d + 1)
    entries = np.empty((size, size), dtype=object)
    entries.flat[:] = [ufl.replace(entry, back) for entry in entries_of(rows, gradient, value)]
    constant = np.array([[not varies(problem, entry) for entry in row] for row in entries])
    flat = [slope[index] for index in np.ndindex(*slope.ufl_shape)]
    flat += [u[index] if index else u for index in np.ndindex(*u.ufl_shape)]
    load = scalar_components(balance(problem).load)
    rest = []
    for i, row in enumerate(rows):
        kept = [ufl.as_ufl(0.0) if known else w for w, known in zip(flat, constant[i], strict=True)]
        tensors: dict[Any, Any] = {
            gradient: _shaped(kept[: k * d], slope.ufl_shape),
            value: _shaped(kept[k * d :], u.ufl_shape),
        }
        own = scalar_components(ufl.replace(row, tensors))[0]
        rest.append(own if i < k * d else own - load[i - k * d])
    return LinearSplit(problem, rest, entries, constant)


def _shaped(values: list[Any], shape: tuple[int, ...]) -> Any:
    """A tensor of scalar expressions in row-major order."""
    if shape == ():
        return values[0]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return ufl.as_tensor(array.reshape(shape).tolist())
