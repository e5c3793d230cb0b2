"""Finding problems and solvers: built-in ones by scanning, others by entry points, a user's own by file.

Nothing is listed by hand: a module in ``sciml/problems`` adds its problems, a module or package in ``sciml/solvers``
its solver. Other packages add theirs by the entry-point groups ``sciml.problems`` (a module) and ``sciml.solvers``
(a solver class). A path stands wherever a name does.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sciml.errors import DeclarationError, ScimlError, UnknownNameError, unknown_name
from sciml.files import plain
from sciml.problem import Box, Problem

if TYPE_CHECKING:
    from sciml.laws import Law
    from sciml.solvers.base import Solver

__all__ = [
    "absolute_name",
    "fingerprint",
    "load_law",
    "load_problem",
    "load_solver",
    "other_names",
    "problem_classes",
    "problem_key",
    "solver_names",
]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _classes_of(module: ModuleType) -> list[type[Problem]]:
    """Problem classes that a module defines itself, in order of definition."""
    return [
        member
        for name, member in vars(module).items()
        if inspect.isclass(member)
        and issubclass(member, Problem)
        and member.__module__ == module.__name__
        and not name.startswith("_")
    ]


@cache
def problem_classes() -> dict[str, type[Problem]]:
    """All problems of the catalogue: name → class.

    The name is ``family/member``: the module's name and the class's name in lower case with underscores, unless the
    class sets `name`.
    """
    catalogue = importlib.import_module("sciml.problems")
    modules = [importlib.import_module(f"sciml.problems.{m.name}") for m in pkgutil.iter_modules(catalogue.__path__)]
    modules += [point.load() for point in entry_points(group="sciml.problems")]
    found: dict[str, type[Problem]] = {}
    for module in modules:
        family = module.__name__.rsplit(".", 1)[-1]
        for cls in _classes_of(module):
            name = vars(cls).get("name") or f"{family}/{_snake(cls.__name__)}"
            if name in found:
                raise DeclarationError(f"Two problems are named {name!r}: {found[name]} and {cls}; rename one.")
            found[name] = cls
    return dict(sorted(found.items()))


@cache
def other_names() -> dict[str, str]:
    """Further names of problems, as the class attribute `also_named` of their own gives them: name → catalogue name.

    Raises
    ------
    DeclarationError
        A further name that another problem has.
    """
    classes, found = problem_classes(), {}
    for name, cls in classes.items():
        for other in vars(cls).get("also_named", ()):
            if other in classes or other in found:
                raise DeclarationError(f"{cls} is also named {other!r}, which is another problem; choose another name.")
            found[other] = name
    return found


def load_problem(name: str, *, member: Sequence[int] | None = None, **parameters: Any) -> Problem:
    """Get a problem by its catalogue name or from a user's file.

    Parameters
    ----------
    name : str
        A catalogue name such as ``"poisson/peak"``, or the path of a Python file that declares one problem (a class, or
        a module-level instance); of several, ``"file.py:ClassName"`` picks one.
    member : (int, int), optional
        Seed and index of the member of a family that the random fields are those of. Parameters are not drawn: they
        are what is given, or else the defaults (``load_problem(name).draw(index, seed)`` draws both).
    **parameters
        Parameter values.

    Raises
    ------
    UnknownNameError
        No such problem; the message offers the nearest name.

    Examples
    --------
    >>> load_problem("poisson/peak", sharpness=500)
    """
    problem = _from_file(name, parameters) if _is_path(name) else _from_catalogue(name, parameters)
    return problem if member is None else problem.with_member(*member)


def _from_catalogue(name: str, parameters: dict[str, Any]) -> Problem:
    classes = problem_classes()
    name = other_names().get(name, name)
    if name not in classes:
        raise unknown_name("problem", name, classes, "`sciml list` shows all; a file's path ends in .py.")
    problem = classes[name](**parameters)
    problem.name = problem.source = name
    return problem


def _is_path(name: str) -> bool:
    path = name.rsplit(":", 1)[0] if ".py:" in name else name
    return path.endswith(".py") or name.startswith(("./", "../", "/"))


def absolute_name(name: str, folder: Path) -> str:
    """A name as it is; the path of a file, with what it picks there, made absolute if it is relative to a folder."""
    file, dot, rest = name.partition(".py")
    return f"{(folder / f'{file}.py').resolve()}{rest}" if dot else name


def _from_file(name: str, parameters: dict[str, Any]) -> Problem:
    file, _, wanted = name.partition(".py:")
    path = Path(file if not wanted else file + ".py")
    if not path.is_file():
        raise UnknownNameError(f"There is no problem file {str(path)!r}.")
    module = _import_file(path.resolve())
    classes = {cls.__name__: cls for cls in _classes_of(module)}
    instances = {key: value for key, value in vars(module).items() if isinstance(value, Problem)}
    known: dict[str, Any] = classes | instances
    if wanted:
        if wanted not in known:
            raise unknown_name(f"problem in {path}", wanted, known)
    elif len(known) != 1:
        what = "no problem" if not known else "several problems: " + ", ".join(known)
        raise UnknownNameError(f"{path} declares {what}; declare one, or pick one with {path}:NAME.")
    chosen = wanted or next(iter(known))
    found = known[chosen]
    problem = found.with_parameters(**parameters) if isinstance(found, Problem) else found(**parameters)
    problem.name = problem.name or path.stem
    problem.source = f"{path.resolve()}:{chosen}"
    return problem


def fingerprint(problem: Problem) -> str:
    """A digest of what declares a problem: the text of its module and its mesh.

    Two problems of one source and equal parameters are the same where it agrees (as far as their module alone says).
    """
    source = problem.source or ""
    module = sys.modules.get(type(problem).__module__)
    file = source.rpartition(":")[0] or (module.__file__ if module is not None else None)
    digest = hashlib.sha256(Path(file).read_bytes() if file else b"")
    digest.update(repr(problem.domain).encode())
    if not isinstance(problem.domain, Box):
        mesh = problem.domain.mesh()
        digest.update(mesh.points.tobytes() + mesh.cells.tobytes())
    return digest.hexdigest()


def problem_key(problem: Problem) -> str:
    """16 hexadecimal digits that differ where the declaration, a value, the member, the domain or the time differ.

    A file counts by its text, not by where it lies.
    """
    content = {
        "declaration": fingerprint(problem),
        "class": (problem.source or problem.name).rpartition(":")[2],
        "parameters": plain(problem.parameters.plain()),
        "member": problem.member,
        "time": [problem.time.start, problem.time.end] if problem.evolves else None,
    }
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import_file(path: Path) -> ModuleType:
    """Import a file as a module; again only if its text has changed."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    name = f"_sciml_file_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except ScimlError as error:
        del sys.modules[name]
        raise type(error)(f"In {path}: {error}") from error
    except Exception as error:
        del sys.modules[name]
        raise DeclarationError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


@cache
def _solver_modules() -> dict[str, str]:
    """Solver name → module that defines it, without importing any."""
    package = importlib.util.find_spec("sciml.solvers")
    assert package is not None and package.submodule_search_locations is not None
    names = [m.name for m in pkgutil.iter_modules(list(package.submodule_search_locations))]
    return {name: f"sciml.solvers.{name}" for name in names if name not in ("base", "run", "members", "compare")}


def _solver_from_file(path: Path) -> Solver:
    if not path.is_file():
        raise UnknownNameError(f"There is no solver file {str(path)!r}.")
    found: Any = getattr(_import_file(path.resolve()), "SOLVER", None)
    base = importlib.import_module("sciml.solvers.base")
    if not isinstance(found, base.Solver):
        given = "nothing" if found is None else repr(found)
        raise DeclarationError(
            f"{path} sets SOLVER to {given}; it takes an object of a subclass of sciml.solvers.base.Solver, as in "
            f"SOLVER = MySolver()."
        )
    missing = [key for key in ("name", "title", "Options") if not hasattr(found, key)]
    if missing:
        raise DeclarationError(f"The solver in {path} has no {' and no '.join(missing)}; set it in its class.")
    return found


@cache
def _solver_points() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group="sciml.solvers")}


def solver_names() -> list[str]:
    """Names of all solvers."""
    return sorted({*_solver_modules(), *_solver_points()})


def load_solver(name: str) -> Solver:
    """Get a solver by its name or from a user's file.

    Parameters
    ----------
    name : str
        A name such as ``"fenics"``, the path of a Python file that sets ``SOLVER``, as in ``"./my_solver.py"``, or the
        folder of a trained network, as in ``"./run"``.

    Raises
    ------
    UnknownNameError
        No such solver, or no such file; the message offers the nearest name.
    DeclarationError
        The file cannot be imported, or its ``SOLVER`` is not one.
    """
    if _is_path(name):
        path = Path(name)
        return importlib.import_module("sciml.surrogates").solver_in(path) if path.is_dir() else _solver_from_file(path)
    modules, points = _solver_modules(), _solver_points()
    if name in modules:
        return importlib.import_module(modules[name]).SOLVER
    if name in points:
        return points[name].load()()
    raise unknown_name("solver", name, solver_names())


def load_law(name: str) -> Law:
    """Get a material law from a folder that a cell was trained into, or from a user's file.

    Parameters
    ----------
    name : str
        The folder of a trained cell, as in ``"./run"``, or the path of a Python file that sets ``LAW``.

    Raises
    ------
    UnknownNameError
        There is no such folder or file.
    DeclarationError
        The folder holds no law, or the file's ``LAW`` is none.
    """
    path = Path(name)
    if path.is_dir():
        return importlib.import_module("sciml.surrogates").law_in(path)
    if not path.is_file():
        raise UnknownNameError(f"There is no folder or file {name!r} to take a law from.")
    found: Any = getattr(_import_file(path.resolve()), "LAW", None)
    if not isinstance(found, importlib.import_module("sciml.laws").Law):
        given = "nothing" if found is None else repr(found)
        raise DeclarationError(f"{path} sets LAW to {given}; it takes an object of a subclass of sciml.laws.Law.")
    return found
