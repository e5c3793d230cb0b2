"""Generating a data set: members solved chunk by chunk, each kept at once, so that what was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sciml.datasets.layout import Layout
from sciml.datasets.parts import Parts
from sciml.datasets.request import SPLITS, Request, make_request
from sciml.datasets.solving import measure_error, solve_chunk
from sciml.datasets.store import Content, FieldArray, checked_file, write_file
from sciml.datasets.workers import Ways, run_elsewhere
from sciml.errors import OptionError, OutputError
from sciml.launching import n_processes
from sciml.problem import Problem
from sciml.solvers.base import Progress, package_versions

__all__ = ["Generation", "generate"]

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Generation:
    """What was written.

    Attributes
    ----------
    path : Path
    sizes : dict of int
        Members of each split.
    checksum : str
    label_error : dict or None
        Relative L2 error of the labels, see :func:`generate`.
    cpu_seconds : float
        Of the solves of all members, without the measurement of the error.
    solved : int
        Members solved in this run; the others were there from an earlier one.
    """

    path: Path
    sizes: dict[str, int]
    checksum: str
    label_error: dict[str, Any] | None
    cpu_seconds: float
    solved: int


def generate(
    problem: Problem | str,
    path: str | Path,
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
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    report: Report | None = None,
    **options: Any,
) -> Generation:
    """Solve members of a family and write them as a data set.

    Run again after it was killed, it goes on with the members that are missing and ends with the same file: pieces lie
    in a folder ``FILE.parts`` until all are there.

    Parameters
    ----------
    problem : Problem or str
        The family: a catalogue name, the path of a file, or what :func:`sciml.load_problem` made of one
        (``problem.fixing(viscosity=1e-5)`` has parameters that members do not draw).
    path : path
        The HDF5 file.
    count : int, optional
        Members of all splits.
    split : three int, optional
        Members for training, validation and test; 72, 8 and 20 of a hundred by default.
    seed : int
        Split number s = 1, 2, 3 takes members 0, 1, … of the family's seed 3 seed + s, so that none is of seed 0.
    resolution : int or sequence of int
        Nodes per axis that are kept of a box, both ends included (periodic axes: without the upper one). Elsewhere the
        nodes of the mesh are kept.
    frames : int, optional
        Of what runs in time: how many even instants after the start are kept.
    output : str or sequence of str, optional
        What is kept in place of the declaration's `learned`.
    solver : str, optional
        The reference, or Fourier modes where everything is periodic.
    refine : int, optional
        On a box the mesh has so many cells per kept interval: 3, where a coefficient jumps 4 to 8 so that there are 248
        along an axis, and 2 Fourier modes. On other meshes so many times are all cells divided; 0.
    chunk : int, optional
        Members solved one after the other, and lost if killed; 20 on a box, 5 elsewhere and in time.
    check : int, optional
        Training members whose error is measured against twice the resolution: 8, or 2 in time; 0 measures none.
    workers : int
        Processes on this machine, each with one thread where ``OMP_NUM_THREADS=1``.
    scheduler : str, optional
        Address of a Dask scheduler that gets the chunks, in place of `workers`.
    force : bool
        Replace a file, or pieces, of another request.
    report : callable, optional
        Takes :class:`~sciml.solvers.base.Progress`.
    **options
        The solver's.

    Raises
    ------
    UnsupportedError, OptionError, ParameterError, …
        Bad input, before any work starts.
    OutputError
        The file, or pieces beside it, belong to another request.
    DivergenceError
        A member's solve failed; the message names it. What is done is kept.
    SchedulerError
        The scheduler cannot be reached or was lost.

    Notes
    -----
    Values are rounded to single precision, so errors of labels below 1e-7 cannot be kept.

    Examples
    --------
    >>> generate("darcy/threshold", "darcy32.h5", count=500, resolution=32)
    """
    path = Path(path)
    request = make_request(
        problem, count=count, split=split, seed=seed, resolution=resolution, frames=frames, output=output,
        solver=solver, refine=refine, chunk=chunk, check=check, **options,
    )  # fmt: skip
    if n_processes() > 1:
        raise OptionError(
            "A data set is not generated under mpiexec, whose processes would share each single solve; members are "
            "independent: give --workers N or --scheduler ADDRESS."
        )
    if workers < 1:
        raise OptionError(f"workers={workers} was given; it takes a whole number ≥ 1.")
    found = _finished(path, request, force)
    if found is not None:
        return found
    parts = Parts(path, request.as_json(), force)
    show = report or (lambda progress: None)
    with closing(parts):
        solved = _solve_missing(request, parts, Ways(workers, scheduler), show)
        error = parts.label_error(lambda: _measured(request, show))
        content, cpu_seconds = _gathered(request, parts)
        digest = write_file(path, content, error)
        parts.remove()
    return Generation(path, request.sizes, digest, error, cpu_seconds, solved)


def _finished(path: Path, request: Request, force: bool) -> Generation | None:
    """What an earlier run of the same request has written."""
    if not path.exists() or force:
        return None
    with checked_file(path) as file:
        own = file["sciml"]
        if json.loads(own.attrs["about"]).get("digest") != request.digest:
            raise OutputError(f"{path} exists and was made by another request; choose another file, or give --force.")
        cpu_seconds = float(own["records/cpu_seconds"][()].sum())
        error = json.loads(own.attrs["label_error"])
        return Generation(path, request.sizes, str(own.attrs["checksum"]), error, cpu_seconds, 0)


def _solve_missing(request: Request, parts: Parts, ways: Ways, report: Report) -> int:
    """Solve the chunks that are not there; how many members that were."""
    missing = [chunk for chunk in request.chunks() if not parts.path(chunk.name).is_file()]
    total = sum(request.sizes.values())
    waiting = sum(chunk.last - chunk.first for chunk in missing)
    done = total - waiting
    content = request.as_json()

    def tell(progress: Progress) -> None:
        report(Progress("members", done + progress.done, total, chunk.split))

    if ways.here:
        for chunk in missing:
            parts.keep(chunk.name, solve_chunk(content, chunk.split, chunk.seed, chunk.first, chunk.last, tell))
            done += chunk.last - chunk.first
        return waiting
    with closing(run_elsewhere(ways, content, missing)) as run:
        for chunk, arrays in run:
            parts.keep(chunk.name, arrays)
            done += chunk.last - chunk.first
            tell(Progress("members"))
    return waiting


def _measured(request: Request, report: Report) -> dict[str, Any] | None:
    if request.check == 0:
        return None

    def tell(progress: Progress) -> None:
        report(Progress("error of the labels", progress.done, progress.total, progress.text))

    errors, elsewhere = measure_error(request.as_json(), tell)
    return {
        "mean": errors.mean,
        "max": errors.worst,
        "mean_but_one_percent": elsewhere,
        "rate": errors.rate,
        "extrapolated": errors.extrapolated,
        "members": request.check,
        "method": errors.method,
    }


def _gathered(request: Request, parts: Parts) -> tuple[Content, float]:
    """All chunks as one content, and the CPU seconds of their solves."""
    chunks = list(request.chunks())
    found = [parts.read(chunk.name) for chunk in chunks]
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    seeds = np.concatenate([np.full(chunk.last - chunk.first, chunk.seed) for chunk in chunks])
    layout = request.layout
    arrays = {"members": np.stack([seeds, joined["index"]], axis=1).astype(np.int64)}
    for name in ("iterations", "residual", "wall_seconds", "cpu_seconds"):
        arrays[f"records/{name}"] = joined[name]
    scalars: dict[str, np.ndarray] = {}
    for name in sorted({*layout.constants, *layout.shaping}):
        values = arrays[f"parameters/{name}"] = joined[f"parameter {name}"]
        if values.ndim == 1:
            scalars[name] = values
        else:
            scalars |= {f"{name}_{k}": values[:, k] for k in range(values.shape[1])}
    if layout.grid.varying:
        arrays["places"] = joined["places"]
    fields, inputs, outputs = _fields(layout, joined)
    about = {
        "family": request.problem.name,
        "source": request.source,
        "parameters": request.parameters,
        "fixed": request.fixed,
        "sizes": request.sizes,
        "periodic": layout.grid.periodic,
        "varying": layout.grid.varying,
        "inputs": inputs,
        "outputs": outputs,
        "request": request.as_json(),
        "digest": request.digest,
        "streams": {split: request.stream(split) for split in SPLITS},
        "status": "converged",
        "versions": package_versions("sciml", "numpy", "torch", "fenics-ufl"),
    }
    content = Content(about, layout.lines(), layout.grid.periodic, layout.times, fields, scalars, arrays)
    return content, float(joined["cpu_seconds"].sum())


def _fields(layout: Layout, joined: dict[str, np.ndarray]) -> tuple[list[FieldArray], list[Any], list[Any]]:
    """Arrays of fields, and of each channel in and out where it is found: [name, kind, path, component]."""
    fields, inputs, outputs = [], [], []
    if layout.grid.varying:
        inputs += [[f"place[{k}]", "place", "sciml/places", k] for k in range(layout.problem.dim)]
    for k, name in enumerate(layout.fields):
        fields.append(FieldArray(name, joined["fields"][..., k]))
        inputs.append([name, "field", f"t0_fields/{name}", None])
    for name in layout.constants:
        whole = layout.problem.declared_parameters[name].length is None
        for k in range(layout.constants[name]):
            entry = [name, None] if whole else [f"{name}[{k}]", k]
            inputs.append([entry[0], "parameter", f"sciml/parameters/{name}", entry[1]])
    first = 0
    for output in layout.outputs:
        size = len(output.channels)
        values = joined["outputs"][..., first : first + size]
        first += size
        if output.shape == (layout.problem.dim,):
            fields.append(FieldArray(output.name, values, vector=True))
            outputs += [[c, "field", f"t1_fields/{output.name}", k] for k, c in enumerate(output.channels)]
            continue
        for k, channel in enumerate(output.channels):
            name = channel.replace("[", "_").rstrip("]")
            fields.append(FieldArray(name, np.ascontiguousarray(values[..., k])))
            outputs.append([channel, "field", f"t0_fields/{name}", None])
    return fields, inputs, outputs
