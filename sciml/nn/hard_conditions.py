"""Dirichlet conditions built into a network on a box: u = lift + distance · network.

On the sides where component c is prescribed the distance vanishes and the lift takes the prescribed values.
The lift is Gordon's transfinite interpolation of the values on those sides (W. J. Gordon and C. A. Hall,
Numerische Mathematik 21, 1973): with P_i the linear interpolation between the prescribed sides of axis i, it is
(1 − Π_i (1 − P_i)) g, written out as a sum over sets of axes. It reads g on the boundary only. The P_i commute, and
the lift takes the values of every side, only if sides that meet prescribe the same values where they meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import ufl
from ufl.constantvalue import ConstantValue
from ufl.domain import extract_domains

from sciml.errors import UnsupportedError
from sciml.forms import Jet, condition_data, condition_value, contradictions, pointwise, reverse_jet
from sciml.forms.discontinuities import has_kinks
from sciml.forms.lowering import Derivative, nodes
from sciml.forms.pointwise import PointwiseOperator
from sciml.problem import Box, Dirichlet, Periodic, Problem

__all__ = ["ConditionJets", "HardConditions", "conditions_built_in", "hard_conditions_obstacle"]


def hard_conditions_obstacle(problem: Problem) -> str | None:
    """Why Dirichlet conditions cannot be built in, or None."""
    if problem.evolves:
        return "the problem runs in time"
    if not isinstance(problem.domain, Box):
        return "the domain is not a box"
    data = [ufl.as_ufl(condition_data(problem, c)) for c in problem.dirichlet]
    if any(isinstance(node, ufl.Coefficient) for expression in data for node in nodes(expression)):
        return "boundary values are given by a coefficient field, which has no derivative along the boundary"
    if problem.dim > 3 and not all(_is_constant(problem, c) for c in problem.dirichlet):
        return f"boundary values that vary over the sides of a box in {problem.dim} dimensions have no cheap lift"
    if problem.dim > 3 and any(_different_constants(problem, c) for c in range(problem.n_components)):
        return f"different constants on the sides of a box in {problem.dim} dimensions have no cheap lift"
    if any(has_kinks(problem, expression) for expression in data):
        return "boundary values have a jump or a kink, which a lift would carry into the domain"
    if any(_bends_at_the_seam(problem, condition, c) for condition in problem.periodic for c in problem.dirichlet):
        return "boundary values have another slope on either side of a periodic pair, which a lift would carry inside"
    return next((str(contradiction) for contradiction in contradictions(problem)), None)


def conditions_built_in(problem: Problem, wanted: Literal["auto", "hard", "soft"]) -> tuple[bool, str]:
    """Whether Dirichlet conditions are built into a network, and why (not).

    Raises
    ------
    UnsupportedError
        "hard" is wanted and not possible.
    """
    if wanted == "soft":
        return False, "as asked"
    obstacle = hard_conditions_obstacle(problem)
    if wanted == "hard" and obstacle is not None:
        raise UnsupportedError(f"conditions=hard is not possible: {obstacle}; use conditions=soft.")
    if obstacle is not None:
        return False, obstacle
    return True, "as asked" if wanted == "hard" else "nothing speaks against it"


def _bends_at_the_seam(problem: Problem, periodic: Periodic, condition: Dirichlet) -> bool:
    """Whether the derivative of Dirichlet data along a periodic axis differs between its two ends."""
    data: Any = ufl.as_ufl(condition_data(problem, condition))
    if not extract_domains(data):
        return False
    axis = int(np.argmax(np.abs(periodic.translation)))
    side, _ = problem.domain.part(condition.on).sample(32, np.random.default_rng(0))
    ends = [
        np.where(np.arange(problem.dim) == axis, bound, side) for bound in (problem.domain.lower, problem.domain.upper)
    ]
    slopes = [pointwise(problem, data.dx(axis)).at(points) for points in ends]
    return not np.allclose(*slopes, rtol=1e-8, atol=1e-8 * max(float(np.abs(slopes).max()), 1e-300))


def _is_constant(problem: Problem, condition: Dirichlet) -> bool:
    data = ufl.as_ufl(condition_data(problem, condition))
    return isinstance(data, (ConstantValue, ufl.Constant))


@dataclass(frozen=True)
class _Term:
    """One term of a lift: coordinates fixed to sides, a product of blending functions, a sign."""

    fixed: tuple[tuple[int, int], ...]
    sign: float
    values: PointwiseOperator


@dataclass(frozen=True)
class ConditionJets:
    """Derivatives of lift and distance at some points, which no network changes.

    Attributes
    ----------
    keys : tuple of Derivative
        Of the unknown, that can be made from these.
    inner : tuple of Derivative
        Of the network's output, that they are made from.
    lift, distance : Jet
        Of the prescribed components.
    """

    keys: tuple[Derivative, ...]
    inner: tuple[Derivative, ...]
    lift: Jet
    distance: Jet

    def apply(self, inner: Jet) -> Jet:
        """The product rule: ∂_S (lift + d y) = ∂_S lift + Σ_{A ⊆ S} ∂_A d ∂_{S∖A} y."""
        return {key: self._product(key, inner) if key in self.lift else inner[key] for key in self.keys}

    def _product(self, key: Derivative, inner: Jet) -> torch.Tensor:
        out = self.lift[key]
        for taken, left in _shares(key):
            if taken in self.distance:
                out = torch.addcmul(out, self.distance[taken], inner[left])
        return out


def _shares(key: Derivative) -> list[tuple[Derivative, Derivative]]:
    """All ways to deal the axes of a derivative to two factors."""
    places = range(len(key.axes))
    chosen = [set(some) for size in range(len(places) + 1) for some in itertools.combinations(places, size)]
    return [
        (
            Derivative(key.component, tuple(axis for k, axis in enumerate(key.axes) if k in some)),
            Derivative(key.component, tuple(axis for k, axis in enumerate(key.axes) if k not in some)),
        )
        for some in chosen
    ]


class HardConditions(torch.nn.Module):
    """The map (x, y) ↦ lift(x) + distance(x) · y.

    Parameters
    ----------
    problem : Problem
        On a box; all its Dirichlet conditions are built in, whole side by whole side.

    Raises
    ------
    ValueError
        See :func:`hard_conditions_obstacle`.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        obstacle = hard_conditions_obstacle(problem)
        if obstacle is not None:
            raise ValueError(f"Boundary conditions cannot be built into the network: {obstacle}.")
        self._box = problem.domain
        self._sides = [_prescribed(problem, c) for c in range(problem.n_components)]
        self._terms = [
            _constant_terms(problem, sides, c) if problem.dim > 3 else _terms(problem, sides, c)
            for c, sides in enumerate(self._sides)
        ]

    @property
    def prescribed(self) -> list[bool]:
        """Whether a component is prescribed on any side; the others pass unchanged."""
        return [bool(sides) for sides in self._sides]

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``(n, dim)`` and ``(n, k)`` to ``(n, k)``."""
        return self._lifts(x) + self._distances(x) * y

    def _lifts(self, x: torch.Tensor) -> torch.Tensor:
        t = self._relative(x)
        return torch.stack([self._lift(x, t, component) for component in range(len(self._sides))], dim=1)

    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        t = self._relative(x)
        return torch.stack([self._distance(t, component) for component in range(len(self._sides))], dim=1)

    def _relative(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates from 0 to 1."""
        lower = torch.as_tensor(self._box.lower, dtype=x.dtype, device=x.device)
        return (x - lower) / torch.as_tensor(self._box.extent, dtype=x.dtype, device=x.device)

    def jets(self, x: torch.Tensor, keys: Iterable[Derivative]) -> ConditionJets:
        """What derivatives of the unknown need of lift and distance, for reuse while the points stay the same.

        Parameters
        ----------
        x : (n, dim) tensor
            Points.
        keys : iterable of Derivative
            Of the unknown, of any order.
        """
        keys = tuple(keys)
        held = [key for key in keys if self._sides[key.component]]
        shares = {key: _shares(key) for key in held}
        factors = {taken for key in held for taken, _ in shares[key] if self._bends(taken)}
        inner = {left for key in held for taken, left in shares[key] if taken in factors}
        lift = reverse_jet(self._lifts, x, held)
        distance = reverse_jet(self._distances, x, sorted(factors))
        return ConditionJets(
            keys,
            tuple(sorted(inner | {key for key in keys if key not in shares})),
            {key: value.detach() for key, value in lift.items()},
            {key: value.detach() for key, value in distance.items()},
        )

    def _bends(self, key: Derivative) -> bool:
        """Whether a derivative of the distance can differ from zero: it is a product of factors of single axes."""
        by_axis = _by_axis(self._sides[key.component])
        return all(key.axes.count(axis) <= len(by_axis.get(axis, [])) for axis in set(key.axes))

    def _distance(self, t: torch.Tensor, component: int) -> torch.Tensor:
        """Product of relative distances to the prescribed sides, at most 1."""
        out = torch.ones_like(t[:, 0])
        for axis, signs in _by_axis(self._sides[component]).items():
            s = t[:, axis]
            out = out * (4 * s * (1 - s) if len(signs) == 2 else 1 - s if signs == [1] else s)
        return out

    def _lift(self, x: torch.Tensor, t: torch.Tensor, component: int) -> torch.Tensor:
        by_axis = _by_axis(self._sides[component])
        out = torch.zeros_like(t[:, 0])
        for term in self._terms[component]:
            columns = list(x.unbind(dim=1))
            blend: torch.Tensor | float = term.sign
            for axis, upper in term.fixed:
                corner = (self._box.upper if upper else self._box.lower)[axis]
                columns[axis] = torch.full_like(columns[axis], float(corner))
                if len(by_axis[axis]) == 2:
                    blend = blend * (t[:, axis] if upper else 1 - t[:, axis])
            out = out + blend * term.values(torch.stack(columns, dim=1), {})
        return out


def _prescribed(problem: Problem, component: int) -> dict[int, Dirichlet]:
    """Side number → Dirichlet condition for one component."""
    return {
        int(side): condition
        for piece in problem.boundary_pieces
        for side in piece.part.elements
        if isinstance(condition := piece.conditions[component], Dirichlet)
    }


def _by_axis(sides: dict[int, Dirichlet]) -> dict[int, list[int]]:
    """Axis → prescribed ends (0 lower, 1 upper)."""
    out: dict[int, list[int]] = {}
    for side in sorted(sides):
        out.setdefault(side // 2, []).append(side % 2)
    return out


def _terms(problem: Problem, sides: dict[int, Dirichlet], component: int) -> list[_Term]:
    by_axis = _by_axis(sides)
    terms = []
    for size in range(1, len(by_axis) + 1):
        for axes in itertools.combinations(by_axis, size):
            for ends in itertools.product(*(by_axis[axis] for axis in axes)):
                fixed = tuple(zip(axes, ends))
                condition = sides[2 * fixed[0][0] + fixed[0][1]]
                terms.append(_Term(fixed, (-1.0) ** (size + 1), condition_value(problem, condition, component)))
    return terms


def _constant_terms(problem: Problem, sides: dict[int, Dirichlet], component: int) -> list[_Term]:
    """In many dimensions all sides must carry one constant, which is then the lift."""
    return [_Term((), 1.0, condition_value(problem, condition, component)) for condition in sides.values()][:1]


def _different_constants(problem: Problem, component: int) -> bool:
    sides = _prescribed(problem, component).values()
    values = [float(condition_value(problem, c, component).at(problem.domain.lower[None, :])[0]) for c in sides]
    return not np.allclose(values, values[:1], rtol=1e-14, atol=0)
