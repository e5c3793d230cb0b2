"""Regenerate the parts of README and docs that follow from the code: the tables of solvers, problems and figures."""

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
README = ROOT / "README.md"
# Page → suite whose checks its table of figures shows; what was measured is in data/SUITE.json.
FIGURES = {
    README: "figures",
    ROOT / "docs" / "pinn.md": "adaptive_sampling",
    ROOT / "docs" / "gp.md": "high_frequency",
    ROOT / "docs" / "operators.md": "operators",
    ROOT / "docs" / "two_scale.md": "two_scale",
    ROOT / "docs" / "linear_solvers.md": "linear_solvers",
    ROOT / "docs" / "wave_simulators.md": "wave_simulators",
}
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


def figures(page: Path) -> str:
    """The table of figures of a page."""
    suite = FIGURES[page]
    return figures_table(load_suite(suite).checks, read_record(ROOT / "data" / f"{suite}.json"))


def regenerated(page: Path) -> str:
    """The text of a page with its generated parts made anew."""
    tables = {"figures": figures(page)}
    if page == README:
        tables |= {"solvers": solver_table(), "problems": problem_table()}
    text = page.read_text(encoding="utf-8")
    for key, table in tables.items():
        pattern = rf"(<!-- begin generated: {key} -->).*?(<!-- end generated: {key} -->)"
        text = re.sub(pattern, lambda m, t=table: f"{m[1]}\n{t}\n{m[2]}", text, flags=re.DOTALL)
    return text


def main() -> int:
    """Write the pages that have changed; with --check, only say which ones would."""
    stale = {page: text for page in FIGURES if (text := regenerated(page)) != page.read_text(encoding="utf-8")}
    if "--check" in sys.argv:
        print(*(f"{page.relative_to(ROOT)} is out of date; run `make docs`" for page in stale), sep="\n")
        return int(bool(stale))
    for page, text in stale.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
