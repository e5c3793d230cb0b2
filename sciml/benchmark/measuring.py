"""Finding measurements and running one: `run_measurement` is what the process of a check calls."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sciml.errors import DeclarationError, DivergenceError, OptionError, UnknownNameError, unknown_name
from sciml.registry import load_problem
from sciml.solution import Errors
from sciml.solvers.compare import compare
from sciml.solvers.run import solve

__all__ = ["Measurement", "find_measurement", "measurements", "run_measurement"]

_PACKAGE = "sciml.benchmark.measurements"


@dataclass(frozen=True)
class Measurement:
    """A function that returns named figures.

    Attributes
    ----------
    name : str
        As a check asks for it.
    file : Path
        Where it is written.
    doc : str
        What it measures.
    arguments, required : frozenset of str
        What it takes besides `seed`, and what of it has no default.
    seeded : bool
        Whether it takes `seed`, so that its figures depend on random numbers.
    """

    name: str
    file: Path
    doc: str
    arguments: frozenset[str]
    required: frozenset[str]
    seeded: bool

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse arguments that it does not take.

        Raises
        ------
        OptionError
        """
        if "seed" in given:
            raise OptionError(f"Measurement {self.name!r} is given a seed as an argument; state how many by `seeds`.")
        unknown = sorted(set(given) - self.arguments)
        if unknown:
            takes = f"it takes {', '.join(sorted(self.arguments))}" if self.arguments else "it takes none"
            raise OptionError(f"Measurement {self.name!r} has no argument {unknown[0]!r}; {takes}.")
        missing = sorted(self.required - set(given))
        if missing:
            raise OptionError(f"Measurement {self.name!r} needs a value of {missing[0]!r}; give it in `arguments`.")


@cache
def measurements() -> dict[str, Measurement]:
    """All measurements of the package by name; files are read, not imported."""
    package = importlib.util.find_spec(_PACKAGE)
    assert package is not None and package.submodule_search_locations is not None
    found: dict[str, Measurement] = {}
    for folder in package.submodule_search_locations:
        for file in sorted(Path(folder).glob("[!_]*.py")):
            for name, measurement in _declared(file).items():
                if name in found:
                    raise DeclarationError(
                        f"Two measurements are named {name!r}: in {found[name].file} and {file}; rename one."
                    )
                found[name] = measurement
    return found


def find_measurement(name: str) -> Measurement:
    """Get a measurement by its name, or from a user's file as ``"./file.py:function"``.

    Raises
    ------
    UnknownNameError
        There is none; the message offers the nearest name.
    DeclarationError
        The file cannot be read as Python.
    """
    path, function = _split(name)
    if path is None:
        if name not in measurements():
            raise unknown_name("measurement", name, measurements(), "One in your own file is ./file.py:function.")
        return measurements()[name]
    if not path.is_file():
        raise UnknownNameError(f"There is no file {str(path)!r} with a measurement.")
    known = _declared(path)
    if function not in known:
        hint = "A measurement is a function of the module itself that is annotated `-> dict[str, float]`."
        raise unknown_name(f"measurement in {path}", function, known, hint)
    return known[function]


def run_measurement(payload: Mapping[str, Any]) -> dict[str, float]:
    """Measure, in a process of its own.

    Parameters
    ----------
    payload : mapping
        ``measure`` (a name) with ``arguments``, or ``solve`` with ``problem``, ``parameters``, ``solver``, ``options``;
        and ``seed``, None where none matters.

    Returns
    -------
    dict
        Figures by name.

    Raises
    ------
    DeclarationError
        The measurement returns something else.
    """
    seed = payload["seed"]
    if payload.get("solve") is not None:
        return _solved(payload["solve"], seed or 0)
    measurement = find_measurement(payload["measure"])
    measurement.check(payload["arguments"])
    given = dict(payload["arguments"]) | ({"seed": seed or 0} if measurement.seeded else {})
    return _figures(payload["measure"], _function(payload["measure"], measurement)(**given))


def _function(name: str, measurement: Measurement) -> Any:
    path, function = _split(name)
    if path is not None:
        return runpy.run_path(str(path))[function]
    return getattr(importlib.import_module(f"{_PACKAGE}.{measurement.file.stem}"), function)


def _split(name: str) -> tuple[Path | None, str]:
    """File and function; no file for a name of the package."""
    file, _, function = name.rpartition(":")
    return (Path(file), function) if file.endswith(".py") else (None, name)


def _declared(file: Path) -> dict[str, Measurement]:
    """The measurements that a file declares."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, ValueError, OSError) as error:
        raise DeclarationError(f"{file} cannot be read as Python: {error}.") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _measures(node)]
    return {node.name: _measurement(node, file) for node in functions}


def _measures(node: ast.FunctionDef) -> bool:
    returns = "" if node.returns is None else ast.unparse(node.returns).strip("'\"")
    return not node.name.startswith("_") and returns == "dict[str, float]"


def _measurement(node: ast.FunctionDef, file: Path) -> Measurement:
    positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    without = positional[: len(positional) - len(node.args.defaults)]
    without += [a.arg for a, default in zip(node.args.kwonlyargs, node.args.kw_defaults) if default is None]
    names = {*positional, *(a.arg for a in node.args.kwonlyargs)}
    return Measurement(
        name=node.name,
        file=file,
        doc=ast.get_docstring(node) or "",
        arguments=frozenset(names - {"seed"}),
        required=frozenset(set(without) - {"seed"}),
        seeded="seed" in names,
    )


def _figures(name: str, found: Any) -> dict[str, float]:
    if not isinstance(found, Mapping) or not found:
        raise DeclarationError(f"Measurement {name!r} returned {found!r}; it must return figures by name.")
    try:
        return {str(key): float(value) for key, value in found.items()}
    except (TypeError, ValueError):
        wrong = next(key for key, value in found.items() if not isinstance(value, (int, float)))
        raise DeclarationError(
            f"Measurement {name!r} returned {found[wrong]!r} as its figure {wrong!r}; figures are numbers."
        ) from None


def _solved(request: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Errors, cost and quantities of one solve."""
    problem = load_problem(request["problem"], **request["parameters"])
    if problem.declaration.exact is not None:
        solution = solve(problem, request["solver"], seed=seed, **request["options"])
        figures = _errors(solution.error())
    else:
        row = compare(problem, (request["solver"], request["options"]), seed=seed).rows[-1]
        if row.solution is None:
            raise DivergenceError(row.message)
        solution = row.solution
        figures = {} if row.errors is None else _errors(row.errors)
        own = {"relative_l2": row.relative_l2, "relative_h1": row.relative_h1}
        figures |= {name: value for name, value in own.items() if value is not None}
    figures["cpu_seconds"] = solution.cpu_seconds
    return figures | (solution.quantities() if problem.dim <= 3 else {})


def _errors(errors: Errors) -> dict[str, float]:
    """Of the whole, and of each of several fields."""
    figures = {key: getattr(errors, key) for key in ("relative_l2", "relative_h1", "max_error")}
    for name, own in errors.fields.items():
        figures |= {f"{name}_{key}": getattr(own, key) for key in ("relative_l2", "relative_h1", "max_error")}
    return figures
