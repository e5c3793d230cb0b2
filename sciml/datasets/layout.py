"""What a family's data set keeps of each member: which arrays are inputs, which are outputs, where and when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sciml.datasets.grids import BoxGrid, Grid, kept_grid
from sciml.errors import OptionError, UnsupportedError, unknown_name
from sciml.forms.lowering import lower, nodes
from sciml.problem import Box, Problem
from sciml.problem.points import Points
from sciml.solution import Evolution, Field, Solution
from sciml.solution.field import Rule
from sciml.solution.functionals import evaluate_expression

__all__ = ["Layout", "Output"]

_OUTPUT = re.compile(r"(\w+)(?:\[(\d+)\])?")


class Output:
    """One of the quantities that are learned.

    Parameters
    ----------
    problem : Problem
    text : str
        A field's name, one of its components as ``"velocity[0]"``, or the name of a method of the fields.

    Raises
    ------
    UnknownNameError
        The problem has no such field or method.
    OptionError
        A component that there is not.
    """

    def __init__(self, problem: Problem, text: str) -> None:
        match = _OUTPUT.fullmatch(text)
        self.text, self.name = text, match[1] if match else text
        slots = {slot.name: slot for slot in problem.layout}
        self.is_field = self.name in slots
        own = getattr(type(problem), self.name, None)
        if match is None or not (self.is_field or callable(own)) or (not self.is_field and hasattr(Problem, self.name)):
            raise unknown_name("field or method to learn", self.name, slots)
        self.shape = slots[self.name].shape if self.is_field else tuple(_expression(problem, self.name).ufl_shape)
        self.component = None if match[2] is None else int(match[2])
        if self.component is not None:
            if len(self.shape) != 1 or self.component >= self.shape[0]:
                raise OptionError(f"{text!r} was asked for, but {self.name!r} has the shape {self.shape}.")
            self.shape = ()
        if len(self.shape) > 1:
            raise OptionError(f"{text!r} has the shape {self.shape}; scalars and vectors can be learned.")

    @property
    def channels(self) -> list[str]:
        """A name for each number."""
        return [self.text] if not self.shape else [f"{self.text}[{k}]" for k in range(self.shape[0])]

    def at(self, field: Field, rule: Rule) -> np.ndarray:
        """Values ``(n, c)``."""
        if self.is_field:
            values = field.part(self.name).at(rule)
        else:
            values = evaluate_expression(field.problem, field, _expression(field.problem, self.name), rule)
        values = np.asarray(values, dtype=float).reshape(len(rule.points), -1)
        return values if self.component is None else values[:, self.component : self.component + 1]


def _expression(problem: Problem, name: str) -> Any:
    return problem.derived(("learned", name), lambda: problem.evaluated(name))


class Layout:
    """Inputs and outputs of a family on a grid.

    Inputs are, in this order: the places of the nodes, where the domain is made of drawn parameters; random fields
    that enter the law; drawn parameters that the domain is not made of, as constants. Of what runs in time come first
    these, then frames.

    Parameters
    ----------
    problem : Problem
        The family.
    shape : sequence of int, optional
        Nodes of the grid, on a box.
    frames : int, optional
        Even instants after the start, of what runs in time.
    outputs : sequence of str, optional
        In place of what the declaration's `learned` says.

    Attributes
    ----------
    grid : Grid
    times : (T,) array or None
    outputs : list of Output
    fields : list of str
        Random fields among the inputs.
    constants : dict of int
        Drawn parameters among the inputs, with their numbers of entries.

    Raises
    ------
    UnsupportedError
        The problem is no family, or members differ in a way that no grid of inputs shows.
    OptionError
        A resolution or number of frames that does not fit.
    """

    def __init__(
        self,
        problem: Problem,
        shape: Sequence[int] | None,
        *,
        frames: int | None = None,
        outputs: Sequence[str] | None = None,
    ) -> None:
        laws = problem.family.laws
        if not laws:
            problem.draw(0)  # says why not
        self.problem = problem
        assert problem.declaration is not None
        drawn = {name for name in laws if name in problem.declared_parameters}
        on_mesh = not isinstance(problem.domain, Box)
        # What the domain has been made of is what it has read; on a box that does not move, it was read for the time.
        self.shaping = {name for name in drawn & problem.parameters.read if on_mesh}
        self._refuse_moving_boxes(drawn)
        self._refuse_other_times(drawn)
        self.grid: Grid = kept_grid(problem, shape, varying=bool(self.shaping))
        declared = problem.declared_parameters
        self.constants = {name: declared[name].length or 1 for name in sorted(drawn - self.shaping)}
        for name in self.constants:
            if not isinstance(declared[name].default, (float, int, tuple)):
                raise UnsupportedError(
                    f"{name!r} is drawn from words, which are no input; give it a value by -p {name}=…."
                )
        self.fields = [name for name in laws if name not in drawn and self._acts(name)]
        self.times = self._instants(frames)
        learned = outputs or problem.learned or [slot.name for slot in problem.layout]
        self.outputs = [Output(problem, text) for text in ([learned] if isinstance(learned, str) else learned)]

    def _refuse_moving_boxes(self, drawn: set[str]) -> None:
        if not isinstance(self.problem.domain, Box) or not drawn & self.problem.parameters.read:
            return
        member, own = self.problem.draw(0).domain, self.problem.domain
        if member.dim != own.dim or (member.lower != own.lower).any() or (member.upper != own.upper).any():
            names = ", ".join(sorted(drawn & self.problem.parameters.read))
            raise UnsupportedError(f"The box of {self.problem!r} changes with {names}; give it one value by -p.")

    def _refuse_other_times(self, drawn: set[str]) -> None:
        if not self.problem.evolves:
            return
        own, member = self.problem.time, self.problem.draw(0).time
        if (member.start, member.end) != (own.start, own.end):
            names = ", ".join(sorted(drawn))
            raise UnsupportedError(
                f"How long {self.problem!r} runs follows from what is drawn ({names}), and frames are kept at the same "
                f"instants of all members; give what it follows from one value by -p."
            )

    def _acts(self, name: str) -> bool:
        """Whether a random field enters the law, rather than the initial state alone."""
        declared, (symbol, _) = self.problem.declaration, self.problem.coefficient_fields[name]
        law = [declared.flux, declared.reaction, declared.load, declared.energy, declared.mass, declared.damping]
        law += [value for c in declared.conditions for value in (c.value, getattr(c, "alpha", None))]
        if declared.weak is not None:
            return True
        return any(symbol in set(nodes(lower(part))) for part in law if part is not None and not np.isscalar(part))

    def _instants(self, frames: int | None) -> np.ndarray | None:
        if not self.problem.evolves:
            if frames is not None:
                raise OptionError(f"`frames` is for problems that run in time; {self.problem!r} does not.")
            return None
        if frames is None or frames < 2:
            raise OptionError(f"{self.problem!r} runs in time; say by `frames` how many instants are kept, 2 or more.")
        time = self.problem.time
        return time.start + time.duration * np.arange(1, frames + 1) / frames

    @cached_property
    def input_names(self) -> list[str]:
        """A name for each input channel; of what runs in time without the frames."""
        places = [f"place[{axis}]" for axis in range(self.problem.dim)] if self.grid.varying else []
        constants = [
            name if size == 1 and self.problem.declared_parameters[name].length is None else f"{name}[{k}]"
            for name, size in self.constants.items()
            for k in range(size)
        ]
        return [*places, *self.fields, *constants]

    @property
    def output_names(self) -> list[str]:
        """A name for each output channel."""
        return [channel for output in self.outputs for channel in output.channels]

    def field_values(self, member: Problem, name: str) -> np.ndarray:
        """A random field at the nodes, ``shape``."""
        _, provider = member.coefficient_fields[name]
        points = self.grid.places(member).reshape(-1, member.dim)
        values = provider.on_points(Points(points), member.domain, member.parameters.plain())
        return np.asarray(values, dtype=float).reshape(self.grid.shape)

    def inputs(self, member: Problem) -> np.ndarray:
        """Inputs of one member without frames, ``(*shape, c)``."""
        shape = self.grid.shape
        columns = [self.field_values(member, name)[..., None] for name in self.fields]
        values = member.parameters.plain()
        for name in self.constants:
            own = np.atleast_1d(np.asarray(values[name], dtype=float))
            columns.append(np.broadcast_to(own, (*shape, len(own))))
        if self.grid.varying:
            columns.insert(0, self.grid.places(member))
        return np.concatenate(columns, axis=-1) if columns else np.zeros((*shape, 0))

    def kept(self, solution: Solution) -> np.ndarray:
        """Outputs of one solution, ``(*shape, c)``, or ``(T, *shape, c)`` of what runs in time.

        Raises
        ------
        UndefinedFieldError
            A value that is not finite.
        """
        field = solution.field
        if self.times is None:
            assert isinstance(field, Field)
            return self.grid.values(field, self._values)
        assert isinstance(field, Evolution)
        return np.stack([self.grid.values(field.at(float(t)), self._values) for t in self.times])

    def _values(self, field: Field, rule: Rule) -> np.ndarray:
        return np.concatenate([output.at(field, rule) for output in self.outputs], axis=1)

    def lines(self) -> list[np.ndarray]:
        """Coordinates along each axis: of a box its own, else from 0 to 1."""
        if isinstance(self.grid, BoxGrid):
            return self.grid.lines(self.problem)
        return [np.arange(n) / (n - (not p)) for n, p in zip(self.grid.shape, self.grid.periodic)]

    @property
    def discontinuous(self) -> bool:
        """Whether a coefficient of the law jumps."""
        return any(c.piecewise_constant for _, c in self.problem.coefficient_fields.values())
