"""Regenerate the parts of README.md that follow from the code: the tables of solvers, problems and figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sciml.benchmark.recorded import figures_table, read_record
from sciml.benchmark.suite import load_suite
from sciml.cli.listing import catalogue_rows
from sciml.registry import load_solver, solver_names

ROOT = Path(__file__).resolve().parents[1]
README, RECORD = ROOT / "README.md", ROOT / "data" / "figures.json"
_FEW = 6


def solver_table() -> str:
    """One line per solver."""
    lines = ["| solver | what it is | options (of many) |", "| --- | --- | --- |"]
    for name in solver_names():
        solver = load_solver(name)
        options = ", ".join(f"`{key}`" for key in list(solver.Options.model_fields)[1:8])
        lines.append(f"| `{name}` | {solver.title} | {options} |")
    return "\n".join(lines)


def problem_table() -> str:
    """One line per problem, with a mark for each solver that can do it, and why the others cannot."""
    names, rows = solver_names(), catalogue_rows()
    lines = ["| problem | | " + " | ".join(names) + " |", "| --- | --- |" + " :-: |" * len(names)]
    for row in rows:
        marks = " | ".join("✓" if name in row["solvers"] else "–" for name in names)
        lines.append(f"| `{row['problem']}` | {row['title']} | {marks} |")
    return "\n".join([*lines, "", *refusals(rows)])


def refusals(rows: list[dict[str, Any]]) -> list[str]:
    """One line per solver and reason, with the problems that it keeps the solver from."""
    kept: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for solver, reason in row["refused"].items():
            kept.setdefault((solver, reason), []).append(f"`{row['problem']}`")
    return [f"- `{solver}` cannot solve {_few(kept[solver, why])}: {why}." for solver, why in sorted(kept)]


def _few(names: list[str]) -> str:
    """The names, or how many there are."""
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} of them"


def regenerated(text: str) -> str:
    """The text with its generated parts made anew."""
    figures = figures_table(load_suite("figures").checks, read_record(RECORD))
    for key, table in (("solvers", solver_table()), ("problems", problem_table()), ("figures", figures)):
        pattern = rf"(<!-- begin generated: {key} -->).*?(<!-- end generated: {key} -->)"
        text = re.sub(pattern, lambda m, t=table: f"{m[1]}\n{t}\n{m[2]}", text, flags=re.DOTALL)
    return text


def main() -> int:
    """Write README.md; with --check, only say whether it is up to date."""
    old = README.read_text(encoding="utf-8")
    new = regenerated(old)
    if "--check" in sys.argv:
        print("up to date" if new == old else "README.md is out of date; run `make docs`")
        return int(new != old)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
