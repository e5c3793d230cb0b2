"""What was asked for when a data set is generated: plain data that another process makes the same members of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from sciml.datasets.grids import BoxGrid
from sciml.datasets.layout import Layout
from sciml.errors import OptionError
from sciml.files import plain
from sciml.problem import Problem
from sciml.registry import load_problem, load_solver
from sciml.solvers.run import check_request

__all__ = ["SPLITS", "Chunk", "Request", "make_request", "split_sizes"]

SPLITS = ("train", "validation", "test")
_SHARES = (0.72, 0.08)
_FINER = 3
# The error of a jump falls with the cells, however many nodes are kept.
_CELLS_WHERE_IT_JUMPS = 248
_MEMBERS_ON_A_BOX, _MEMBERS_ON_MESHES = 20, 5


@dataclass(frozen=True)
class Chunk:
    """Members of one split that are solved one after the other.

    Attributes
    ----------
    split : str
    seed : int
        Of the stream of members.
    first, last : int
        Indices of the members, without the last.
    """

    split: str
    seed: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """Of the file that keeps it meanwhile."""
        return f"{self.split}-{self.first:06d}-{self.last:06d}"


@dataclass(frozen=True)
class Request:
    """A data set that is to be made; JSON can hold it.

    Attributes
    ----------
    source : str
        Catalogue name or file of the family.
    parameters : dict
        All values of the base problem.
    fixed : tuple of str
        Those of them that members do not draw.
    seed : int
        Of the data set.
    sizes : dict of int
        Members of each split.
    shape : tuple of int or None
        Kept nodes along each axis of a box.
    frames : int or None
    outputs : tuple of str or None
    solver : str
    options : dict
        Of the solver.
    chunk : int
        Members that are solved one after the other.
    check : int
        Members whose error is measured.
    """

    source: str
    parameters: dict[str, Any]
    fixed: tuple[str, ...]
    seed: int
    sizes: dict[str, int]
    shape: tuple[int, ...] | None
    frames: int | None
    outputs: tuple[str, ...] | None
    solver: str
    options: dict[str, Any]
    chunk: int
    check: int

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Request:
        """From what :meth:`as_json` made."""
        names = ("fixed", "shape", "outputs")
        tuples: dict[str, Any] = {key: None if content[key] is None else tuple(content[key]) for key in names}
        return cls(**content | tuples)

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return plain(asdict(self))

    @property
    def digest(self) -> str:
        """Of all that decides the data."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def problem(self) -> Problem:
        """The family."""
        base = load_problem(self.source, **self.parameters)
        return base.fixing(**{name: self.parameters[name] for name in self.fixed})

    @cached_property
    def layout(self) -> Layout:
        """What is kept of each member."""
        return Layout(self.problem, self.shape, frames=self.frames, outputs=self.outputs)

    def stream(self, split: str) -> int:
        """Seed of the members of a split: streams of different splits and data sets are disjoint, and none is seed 0.

        Members of seed 0 are what `compare` and `--draw K` take where no seed is given: nothing was trained on them.
        """
        return len(SPLITS) * self.seed + SPLITS.index(split) + 1

    def chunks(self) -> Iterator[Chunk]:
        """The pieces of work, in the order in which they stand in the file."""
        for split in SPLITS:
            for first in range(0, self.sizes[split], self.chunk):
                yield Chunk(split, self.stream(split), first, min(first + self.chunk, self.sizes[split]))


def split_sizes(count: int | None, split: Sequence[int] | None) -> dict[str, int]:
    """Members of each split: 72, 8 and 20 of a hundred, or as given.

    Raises
    ------
    OptionError
        Neither is given, they contradict each other, or a split is empty.
    """
    if split is None:
        if count is None or count < 5:
            raise OptionError(f"count={count} was given; give 5 or more members, or `split` as in 360/40/100.")
        train = round(_SHARES[0] * count)
        validation = max(1, round(_SHARES[1] * count))
        split = (train, validation, count - train - validation)
    if len(split) != len(SPLITS) or min(split) < 1 or (count is not None and sum(split) != count):
        said = "" if count is None else f" of count={count}"
        raise OptionError(
            f"The split {'/'.join(map(str, split))}{said} was given; it takes three numbers ≥ 1 for train, validation "
            f"and test, which add up to the count, as in 360/40/100."
        )
    return dict(zip(SPLITS, map(int, split)))


def make_request(
    problem: Problem | str,
    *,
    count: int | None = None,
    split: Sequence[int] | None = None,
    seed: int = 0,
    resolution: int | Sequence[int] | None = None,
    frames: int | None = None,
    output: str | Sequence[str] | None = None,
    solver: str | None = None,
    refine: int | None = None,
    chunk: int | None = None,
    check: int | None = None,
    **options: Any,
) -> Request:
    """Settle what is left open, and refuse what cannot be done, before any work starts.

    Raises
    ------
    OptionError, UnsupportedError, ParameterError, …
        As :func:`sciml.datasets.generate`.
    """
    base = load_problem(problem) if isinstance(problem, str) else problem
    if base.source is None:
        raise OptionError(
            f"{base!r} is made in memory, where other processes do not find it; declare it in a file and give its path."
        )
    sizes = split_sizes(count, split)
    if seed < 0:
        raise OptionError(f"seed={seed} was given; it takes a whole number ≥ 0.")
    shape = None
    if resolution is not None:
        given = (resolution,) * base.dim if isinstance(resolution, int) else tuple(resolution)
        shape = tuple(int(n) for n in given)
    outputs = None if output is None else (output,) if isinstance(output, str) else tuple(output)
    declared = dict(base.generated)
    declared_frames, declared_refine = declared.pop("frames", None), declared.pop("refine", None)
    frames = declared_frames if frames is None else frames
    if solver in (None, "fenics"):
        options = declared | options
        if refine is None and "cells" not in options:
            refine = declared_refine
    layout = Layout(base, shape, frames=frames, outputs=outputs)
    name = solver or _solver_for(base, layout)
    settled = _resolution_options(layout, name, refine, options)
    on_a_box = isinstance(layout.grid, BoxGrid)
    check = (2 if base.evolves else 8) if check is None else check
    chunk = (_MEMBERS_ON_A_BOX if on_a_box and not base.evolves else _MEMBERS_ON_MESHES) if chunk is None else chunk
    if chunk < 1 or check < 0:
        raise OptionError(f"chunk={chunk} and check={check} were given; they take whole numbers ≥ 1 and ≥ 0.")
    request = Request(
        source=base.source,
        parameters=plain(base.parameters.plain()),
        fixed=tuple(sorted(base.held_parameters)),
        seed=seed,
        sizes=sizes,
        shape=shape,
        frames=frames,
        outputs=outputs,
        solver=name,
        options=plain(settled),
        chunk=chunk,
        check=min(check, sizes["train"]),
    )
    check_request(request.problem.draw(0, request.stream("train")), name, settled)
    return request


def _solver_for(problem: Problem, layout: Layout) -> str:
    """The reference; Fourier modes where everything is periodic."""
    whole = isinstance(layout.grid, BoxGrid) and all(layout.grid.periodic)
    return "spectral" if whole and load_solver("spectral").supports(problem) is None else "fenics"


def _resolution_options(layout: Layout, solver: str, refine: int | None, given: dict[str, Any]) -> dict[str, Any]:
    """The solver's options with those that its resolution follows from."""
    if refine is not None and refine < (1 if isinstance(layout.grid, BoxGrid) else 0):
        raise OptionError(f"refine={refine} was given; it takes how many times finer than kept is solved, 1 or more.")
    options: dict[str, Any] = {**load_solver(solver).member_defaults}
    key = load_solver(solver).resolution
    if isinstance(layout.grid, BoxGrid):
        intervals = layout.grid.intervals
        if key in given and refine is not None:
            raise OptionError(f"refine={refine} and {key}={given[key]} are both given; one decides the other.")
        if key is not None and key not in given:
            if len(set(intervals)) > 1:
                raise OptionError(
                    f"The kept grid has {' × '.join(map(str, intervals))} intervals; with unequal ones give the "
                    f"solver's `{key}` by -o."
                )
            # Fourier modes are exact where they are fine enough, and a quarter of them is filtered.
            usual = 2 if solver == "spectral" else _FINER
            if solver != "spectral" and layout.discontinuous:
                usual = min(max(4, -(-_CELLS_WHERE_IT_JUMPS // intervals[0])), 8)
            options[key] = (refine or usual) * intervals[0]
    elif refine:
        options["refine"] = refine
    if solver == "fenics":
        options |= _of_the_reference(layout, options | given)
    if solver == "spectral":
        options["measure_error"] = False
    if layout.times is not None and solver in ("fenics", "spectral"):
        options["snapshots"] = len(layout.times) + 1
    return {**options, **given}


def _of_the_reference(layout: Layout, options: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if isinstance(layout.grid, BoxGrid):
        out = {"cell_type": "tensor", "degree": 1 if layout.discontinuous else 2}
    explicit = options.get("scheme") == "explicit"  # which takes steps as long as are stable
    if layout.times is not None and not explicit and not {"steps", "step", "step_tolerance"} & set(options):
        # Two steps while a wave of speed one crosses a cell, and each frame at the end of one.
        frames = len(layout.times)
        out["steps"] = frames * -(-2 * int(options.get("cells", 64)) // frames)
    return out
