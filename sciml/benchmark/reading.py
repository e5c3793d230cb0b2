"""Reading a run's folder: the ledger, the suite that was run, and what tuning chose.

Reading changes nothing and needs no lock, so that a run can be looked at while it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sciml.benchmark.ledger import LEDGER, FinishedLines, read_ledger
from sciml.benchmark.records import (
    ROLES,
    Attempt,
    Cannot,
    Measured,
    Row,
    Run,
    Session,
    Task,
    Truth,
    Tuned,
)
from sciml.benchmark.suite import Suite
from sciml.errors import OutputError

__all__ = ["read_run"]


def read_run(folder: str | Path) -> Run:
    """Read a run.

    Parameters
    ----------
    folder : path
        What `sciml benchmark SUITE --out FOLDER` wrote, finished or not.

    Raises
    ------
    OutputError
        The folder is no run, or what it holds cannot be read.
    """
    folder = Path(folder)
    lines = read_ledger(folder)
    if lines[0]["kind"] != "header":
        raise OutputError(f"{folder / LEDGER} does not start with a header, so it is not the ledger of a benchmark.")
    contents = [line for line in lines if line.get("kind") == "attempt"]
    seen = FinishedLines()
    for line in contents:
        seen.note(line)
    finished = list(seen.lines.values())
    return Run(
        folder=folder,
        header=lines[0],
        suite=_suite(folder / "suite.json"),
        sessions=tuple(_session(line) for line in lines if line.get("kind") == "session"),
        attempts=tuple(_attempt(line) for line in contents),
        rows=tuple(_row(line) for line in finished if line.get("stage") == "test"),
        truths={
            line["task"]["key"]: Truth.read(line["result"])
            for line in finished
            if line.get("stage") == "truth" and line.get("result") is not None
        },
        tuned=_tuned(folder / "tuning.json"),
        cannot=_cannot(folder / "cannot.json"),
        started=frozenset(
            (line["key"], int(line["session"]), int(line["attempt"])) for line in lines if line.get("kind") == "start"
        ),
    )


def _suite(path: Path) -> Suite:
    content = _json(path)
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise OutputError(f"{path} is not a suite that this version reads: {where}: {first['msg']}.") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read: {error}.") from error


def _tuned(path: Path) -> dict[str, Tuned]:
    if not path.is_file():
        return {}
    return {
        method: Tuned(
            method=method,
            trials=tuple(content.get("trials") or ()),
            chosen=content.get("chosen"),
            tasks=tuple(content.get("tasks") or ()),
            cpu_seconds=float(content.get("cpu_seconds") or 0.0),
        )
        for method, content in _json(path).items()
    }


def _cannot(path: Path) -> tuple[Cannot, ...]:
    if not path.is_file():
        return ()
    names = ("method", "problem", "placement", "reason")
    return tuple(Cannot(**{name: str(content.get(name, "")) for name in names}) for content in _json(path))


def _task(content: Mapping[str, Any]) -> Task:
    member = content.get("member")
    role = content.get("role", "named")
    return Task(
        key=content["key"],
        problem=content["problem"],
        label=content.get("label") or content["problem"],
        parameters=content.get("parameters") or {},
        member=None if member is None else (int(member[0]), int(member[1])),
        role=role if role in ROLES else "named",
    )


def _common(line: Mapping[str, Any]) -> dict[str, Any]:
    """What attempts and rows have in common."""
    return {
        "key": line["key"],
        "session": int(line.get("session", 0)),
        "method": line.get("method") or "",
        "reason": line.get("reason"),
        "message": line.get("message") or "",
        "wall_seconds": float(line.get("wall_seconds") or 0.0),
        "cpu_seconds": float(line.get("cpu_seconds") or 0.0),
        "peak_memory": int(line.get("peak_memory") or 0),
    }


def _attempt(line: Mapping[str, Any]) -> Attempt:
    point = ", ".join(f"{key} = {value}" for key, value in (line.get("point") or {}).items())
    seed = f"seed {line['seed']}" if "seed" in line else ""
    task = line.get("task")
    return Attempt(
        **_common(line),
        number=int(line.get("attempt", 0)),
        stage=line.get("stage") or "",
        task=None if task is None else _task(task),
        text=", ".join(part for part in (point, seed) if part),
        overhead_seconds=float(line.get("overhead_seconds") or 0.0),
        host=line.get("host") or "",
    )


def _row(line: Mapping[str, Any]) -> Row:
    common, result = _common(line), line.get("result")
    if common["reason"] is None and result is None:
        common["reason"] = "error"
    return Row(
        **common,
        task=_task(line["task"]),
        solver=line.get("solver") or "",
        options=line.get("options") or {},
        point=line.get("point") or {},
        seed=int(line.get("seed", 0)),
        placement=line.get("placement") or {},
        measured=None if common["reason"] is not None or result is None else Measured.read(result),
    )


def _session(line: Mapping[str, Any]) -> Session:
    return Session(
        number=int(line.get("session", 0)),
        time=line.get("time") or "",
        machine=line.get("machine") or {},
        scale=float(line.get("scale") or 1.0),
        rate_gflops=line.get("rate_gflops"),
        commit=line.get("commit"),
        versions=line.get("versions") or {},
        scheduler=line.get("scheduler"),
        command=tuple(line.get("command") or ()),
    )
