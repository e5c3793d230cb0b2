"""Families: a problem whose parameters and fields have laws, and the members drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciml.errors import ParameterError, UnsupportedError
from sciml.problem.random_fields import RandomField, member_generator

if TYPE_CHECKING:
    from sciml.problem.problem import Problem

__all__ = ["Family"]


class Family:
    """The random members of a problem.

    Every member is known by a seed and an index: member k of a seed is the same problem however many are drawn, and
    what one parameter or field gets does not depend on the others.

    Attributes
    ----------
    problem : Problem
    laws : dict
        The law of each parameter that has one, and each random field, by name; empty for a problem that is no family.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._parameters = {name: p for name, p in problem.declared_parameters.items() if p.drawable}
        for name in problem.held_parameters:
            self._parameters.pop(name, None)
        fields = {name: c for name, (_, c) in problem.coefficient_fields.items() if isinstance(c, RandomField)}
        self.laws: dict[str, Any] = {name: p.law for name, p in self._parameters.items()} | fields

    def member(self, index: int, seed: int = 0) -> Problem:
        """One member: parameters and fields drawn from their laws, everything else as in the problem.

        Raises
        ------
        UnsupportedError
            Nothing has a law.
        ParameterError
            A seed or index that is not a whole number ≥ 0.
        """
        if not self.laws:
            name = self.problem.name or type(self.problem).__name__
            raise UnsupportedError(
                f"Problem {name!r} is not a family: no parameter has a finite range to draw from, no field is random "
                f"(declare one with draw=(low, high), or a random_field)."
            )
        drawn = self.problem.with_member(seed, index)
        generator = {name: member_generator((seed, index), name) for name in self._parameters}
        return drawn.with_parameters(**{name: p.draw(generator[name]) for name, p in self._parameters.items()})

    def sample(self, n: int, seed: int = 0) -> list[Problem]:
        """Members 0 … n − 1 of a seed.

        Raises
        ------
        UnsupportedError
            Nothing has a law.
        ParameterError
            A seed that is not a whole number ≥ 0.
        """
        return [self.member(index, seed) for index in range(n)]


def checked_member(seed: Any, index: Any) -> tuple[int, int]:
    """Seed and index of a member as plain integers.

    Raises
    ------
    ParameterError
    """
    try:
        member = int(seed), int(index)
    except (TypeError, ValueError):
        member = (-1, -1)
    if member != (seed, index) or min(member) < 0:
        raise ParameterError(
            f"A member is known by a seed and an index, whole numbers ≥ 0; given: {seed!r}, {index!r}."
        )
    return member
