"""Running one recorded cell again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciml.benchmark.ledger import read_ledger
from sciml.benchmark.placing import cell_limits
from sciml.benchmark.process import run_limited
from sciml.benchmark.run import CELL, cell_payload, truth_key
from sciml.errors import OptionError, unknown_name

__all__ = ["Rerun", "rerun"]

_AGREEMENT = 1e-6


@dataclass(frozen=True)
class Rerun:
    """A recorded attempt beside a new one.

    Attributes
    ----------
    label : str
    before, now : dict
        ``reason``, ``message``, ``errors`` and the seconds and memory of each.
    """

    label: str
    before: dict[str, Any]
    now: dict[str, Any]

    @property
    def agrees(self) -> bool:
        """Whether both have the same errors, to six digits, or failed for the same reason."""
        if self.before["reason"] != self.now["reason"]:
            return False
        pairs = [(value, self.now["errors"].get(name)) for name, value in self.before["errors"].items()]
        return all(a == b or (a and b and abs(a - b) <= _AGREEMENT * abs(a)) for a, b in pairs)

    def rows(self) -> dict[str, tuple[Any, Any]]:
        """Both, number by number."""
        plain = ("reason", "cpu_seconds", "wall_seconds", "peak_memory")
        rows = {name: (self.before[name], self.now[name]) for name in plain}
        errors = dict.fromkeys([*self.before["errors"], *self.now["errors"]])
        return rows | {name: (self.before["errors"].get(name), self.now["errors"].get(name)) for name in errors}


def rerun(folder: Path, key: str, *, factor: float = 1.0) -> Rerun:
    """Run the cell of that key again, in a process of its own; the ledger stays as it is.

    Parameters
    ----------
    folder : Path
        Of a run.
    key : str
        Of a cell, as the report and the ledger give it; its beginning is enough.
    factor : float
        How much slower than a core of 49 GFLOP/s this machine is.

    Raises
    ------
    UnknownNameError
        No cell of the run has that key.
    OptionError
        Several have.
    """
    lines = {line["key"]: line for line in read_ledger(folder) if line["kind"] == "attempt"}
    cells = {name: line for name, line in lines.items() if line["stage"] != "truth"}
    matching = [name for name in cells if name.startswith(key)]
    if not matching:
        raise unknown_name("cell with the key", key, cells)
    if len(matching) > 1:
        raise OptionError(f"{len(matching)} cells have keys that begin with {key!r}; give more of it.")
    line = cells[matching[0]]
    request = line["request"]
    limits = cell_limits(request["cpu_seconds"], request["memory"], factor, line["placement"])
    payload = cell_payload(line | request, folder, lines[truth_key(line["task"])]["result"], limits)
    outcome = run_limited(CELL, payload, limits)
    label = f"{line['method']} on {line['task']['label']}, {line['point']}, seed {line['seed']}"
    return Rerun(label, _facts(line), _facts(asdict(outcome)))


def _facts(line: dict[str, Any]) -> dict[str, Any]:
    result = line["result"] or {}
    costs = {name: result.get(name, line[name]) for name in ("cpu_seconds", "wall_seconds", "peak_memory")}
    return {"reason": line["reason"], "message": line["message"], "errors": result.get("errors", {})} | costs
