"""The catalogue, and one problem in detail."""

from __future__ import annotations

import inspect
import math
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from sciml.cli.console import console
from sciml.errors import ScimlError
from sciml.forms import analyse, convexity_bounds
from sciml.problem import Problem
from sciml.registry import load_problem, load_solver, problem_classes, solver_names

__all__ = ["catalogue_rows", "print_catalogue", "print_problem", "problem_facts"]


def _support(problem: Problem) -> dict[str, str | None]:
    """Solver → None, or the reason why not."""
    out: dict[str, str | None] = {}
    for name in solver_names():
        try:
            out[name] = load_solver(name).supports(problem)
        except ScimlError as error:
            out[name] = str(error)
    return out


def catalogue_rows() -> list[dict[str, Any]]:
    """One object per problem: name, title, solvers that can do it, and the reasons of those that cannot."""
    rows = []
    for name in problem_classes():
        problem = load_problem(name)
        support = _support(problem)
        able = [solver for solver, reason in support.items() if reason is None]
        refused = {solver: reason for solver, reason in support.items() if reason is not None}
        rows.append({"problem": name, "title": problem.title, "solvers": able, "refused": refused})
    return rows


def print_catalogue() -> None:
    """Print the catalogue as a table."""
    rows = catalogue_rows()
    # Names are typed again, so a narrow terminal must not cut them.
    name = Column("problem", min_width=max(len(row["problem"]) for row in rows))
    table = Table(name, "", "solvers", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["problem"], escape(row["title"]), ", ".join(row["solvers"]))
    console.print(table)


def problem_facts(problem: Problem) -> dict[str, Any]:
    """Everything `show` says, as plain values."""
    parameters = {
        name: {
            "value": problem.parameters.plain()[name],
            "default": p.default,
            "allowed": p.range_text,
            "unit": p.unit,
            "doc": p.doc,
        }
        for name, p in problem.declared_parameters.items()
    }
    return {
        "problem": problem.name,
        "also_named": list(vars(type(problem)).get("also_named", ())),
        "title": problem.title,
        "description": inspect.getdoc(type(problem)) or "",
        "domain": repr(problem.domain),
        "boundaries": list(problem.domain.boundary_names),
        "regions": sorted(problem.domain.region_groups),
        "time": _time(problem),
        "unknown": {slot.name: list(slot.shape) for slot in problem.layout},
        "parameters": parameters,
        "family": {name: str(law) for name, law in problem.family.laws.items()},
        "conditions": [str(c) for c in problem.declaration.conditions]
        + [str(mean) for mean in problem.declaration.means],
        "quantities": sorted(problem.declaration.quantities),
        "analysis": analyse(problem).as_dict(),
        "convexity": _finite(convexity_bounds(problem)),
        "solvers": _support(problem),
    }


def _time(problem: Problem) -> dict[str, Any] | None:
    if not problem.evolves:
        return None
    order = 2 if problem.declaration.mass is not None else 1
    return {"start": problem.time.start, "end": problem.time.end, "order": order}


def print_problem(problem: Problem, with_options: bool) -> None:
    """Print one problem for people."""
    facts = problem_facts(problem)
    others = f", also {', '.join(facts['also_named'])}" if facts["also_named"] else ""
    console.print(f"[bold]{facts['problem']}[/bold]{others}")
    console.print(escape(facts["description"]), highlight=False)
    console.print()
    _print_parameters(facts["parameters"])
    lines = Table(box=None, pad_edge=False, show_header=False)
    lines.add_row("domain", escape(facts["domain"]))
    if facts["time"] is not None:
        order = {1: "first", 2: "second"}[facts["time"]["order"]]
        lines.add_row("time", f"{facts['time']['start']:g} to {facts['time']['end']:g}, {order} order")
    lines.add_row("boundaries", escape(", ".join(facts["boundaries"]) or "–"))
    if facts["regions"]:
        lines.add_row("regions", escape(", ".join(facts["regions"])))
    lines.add_row("conditions", escape("; ".join(facts["conditions"]) or "none: natural everywhere"))
    lines.add_row("quantities", escape(", ".join(facts["quantities"]) or "–"))
    lines.add_row("analysis", escape(_in_words(facts["analysis"])))
    if facts["convexity"] is not None:
        lines.add_row("convexity", _hessian(*facts["convexity"]))
    lines.add_row("family", escape("; ".join(f"{name} ~ {law}" for name, law in facts["family"].items()) or "–"))
    for name, reason in facts["solvers"].items():
        lines.add_row(name, "can solve it" if reason is None else f"cannot: {escape(reason)}")
    console.print(lines, highlight=False)
    if with_options:
        _print_options(facts["solvers"])


def _print_parameters(parameters: dict[str, Any]) -> None:
    if not parameters:
        return
    table = Table("parameter", "value", "allowed", "unit", "", box=None, pad_edge=False)
    for name, p in parameters.items():
        table.add_row(name, str(p["value"]), escape(p["allowed"]), escape(p["unit"]), escape(p["doc"]))
    console.print(table, highlight=False)
    console.print()


def _in_words(analysis: dict[str, Any]) -> str:
    said = {True: "", False: "not ", None: None}
    words = []
    for key in ("linear", "symmetric", "monotone", "constant_coefficients", "separable", "smooth_coefficients"):
        prefix = said[analysis[key]]
        if prefix is not None:
            words.append(prefix + key.replace("_", " "))
    words.append(f"order {analysis['order']}")
    words.append("energy declared" if analysis["has_energy"] else "no energy declared")
    words.append("exact solution known" if analysis["has_exact"] else "no exact solution")
    if analysis["pure_neumann"]:
        words.append("free up to constants")
    return ", ".join(words)


def _finite(bounds: tuple[float, float] | None) -> list[float | None] | None:
    """Infinite bounds are None: JSON has no infinity."""
    return None if bounds is None else [bound if math.isfinite(bound) else None for bound in bounds]


def _hessian(lower: float, upper: float | None) -> str:
    below = f"∂²W/∂∇u² ≥ {lower:g}" if lower > 0 else "∂²W/∂∇u² ≥ 0, not bounded away from it"
    return f"{below};  ∂²W/∂(∇u, u)² " + ("is not bounded" if upper is None else f"≤ {upper:g}")


def _print_options(solvers: dict[str, Any]) -> None:
    for name in solvers:
        solver = load_solver(name)
        console.print(f"\n[bold]{name}[/bold]: {escape(solver.title)}")
        table = Table("option", "default", "", box=None, pad_edge=False)
        for key, field in solver.Options.model_fields.items():
            default = "" if field.is_required() else str(field.get_default(call_default_factory=True))
            table.add_row(key, escape(default), escape(field.description or ""))
        console.print(table, highlight=False)
