"""Finding problems and solvers: scanned, from files, from other packages."""

import sys
import types

import pytest

import sciml
from sciml import Problem, load_problem, registry
from sciml.errors import DeclarationError, OptionError, ParameterError, UnknownNameError, UnsupportedError
from sciml.solvers.base import Range, Solver

ONE = '''
"""A problem of a user's own."""
from ufl import grad
from sciml import Box, Dirichlet, Problem, parameter


class HotPlate(Problem):
    """A hot plate."""

    domain = Box((0, 0), (1, 1))
    power = parameter(2.0, above=0)
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return grad(u)

    def load(self):
        return self.power
'''
TWO = ONE + '\n\nclass ColdPlate(HotPlate):\n    """A cold plate."""\n'
INSTANCE = (
    "from ufl import grad\nfrom sciml import Box, Problem\n\n"
    "plate = Problem(domain=Box(0, 1), flux=lambda u: grad(u), parameters={'k': 2.0})\n"
)


@pytest.fixture
def file(tmp_path):
    def write(text, name="plates.py"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_the_catalogue_is_scanned():
    classes = registry.problem_classes()
    assert {"poisson/sine", "poisson/peak", "poisson/two_peaks", "advection_diffusion/two_peaks"} <= set(classes)
    assert list(classes) == sorted(classes)
    assert all(issubclass(cls, Problem) and not cls.__name__.startswith("_") for cls in classes.values())
    assert not any("problem" in name.split("/") for name in classes)


def test_solvers_are_scanned():
    assert {"fenics", "deepxde"} <= set(registry.solver_names())
    assert not {"base", "run", "members", "compare"} & set(registry.solver_names())
    for name in registry.solver_names():
        solver = registry.load_solver(name)
        assert isinstance(solver, Solver)
        assert solver.name == name


@pytest.mark.parametrize(
    ("name", "snake"),
    [("TwoPeaks", "two_peaks"), ("LShape", "l_shape"), ("PLaplace", "p_laplace"), ("T4Plate", "t4_plate")],
)
def test_names_of_classes(name, snake):
    assert registry._snake(name) == snake


def test_a_problem_by_another_name():
    problem = load_problem("poisson/multiscale_1d", third="sin")
    assert problem.name == problem.source == "multiscale/three_scales"
    assert problem.parameters.plain()["third"] == "sin"
    assert "poisson/multiscale_1d" not in registry.problem_classes()


def test_two_problems_of_one_further_name(monkeypatch):
    class Twin(Problem):
        also_named = ("poisson/multiscale_1d",)

    classes = {"multiscale/three_scales": type(load_problem("multiscale/three_scales")), "own/twin": Twin}
    monkeypatch.setattr(registry, "problem_classes", lambda: classes)
    with pytest.raises(DeclarationError, match="also named 'poisson/multiscale_1d', which is another"):
        registry.other_names.__wrapped__()


def test_a_problem_by_name():
    problem = load_problem("poisson/peak", sharpness=500)
    assert (problem.name, problem.source, problem.parameters["sharpness"]) == ("poisson/peak", "poisson/peak", 500.0)
    with pytest.raises(ParameterError, match="'sharpness' was given -1"):
        load_problem("poisson/peak", sharpness=-1)
    with pytest.raises(UnknownNameError, match="'sharpness'"):
        load_problem("poisson/peak", sharpnes=1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("poisson/peek", "no problem named 'poisson/peek'; did you mean 'poisson/peak'"),
        ("xyz", "no problem named 'xyz'; .*`sciml list` shows all"),
        ("poisson", "no problem named 'poisson'"),
    ],
)
def test_unknown_names_get_the_nearest_one(name, words):
    with pytest.raises(UnknownNameError, match=words) as caught:
        load_problem(name)
    assert isinstance(caught.value, LookupError)


def test_a_file_with_one_problem(file):
    path = file(ONE)
    problem = load_problem(path, power=3.0)
    assert problem.parameters["power"] == 3.0
    assert (problem.name, problem.title) == ("plates", "A hot plate")
    assert problem.source == f"{path}:HotPlate"
    assert load_problem(problem.source, power=4.0).parameters["power"] == 4.0
    assert sciml.solve(path, cells=2, measure_error=False).status == "converged"


def test_a_file_with_several_problems(file):
    path = file(TWO)
    with pytest.raises(
        UnknownNameError, match=r"several problems: HotPlate, ColdPlate; .* pick one with .*plates\.py:NAME"
    ):
        load_problem(path)
    assert load_problem(f"{path}:ColdPlate").title == "A cold plate"
    with pytest.raises(UnknownNameError, match="'ColdPlate'"):
        load_problem(f"{path}:ColdPlat")


def test_a_file_with_an_instance(file):
    path = file(INSTANCE)
    problem = load_problem(path, k=5.0)
    assert problem.parameters["k"] == 5.0
    assert load_problem(path).parameters["k"] == 2.0
    assert problem.source == f"{path}:plate"


def test_a_file_that_has_changed_is_read_again(file):
    path = file(ONE)
    assert type(load_problem(path)) is type(load_problem(path))
    file(ONE.replace("parameter(2.0", "parameter(7.0"))
    assert load_problem(path).parameters["power"] == 7.0


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("x = 1", UnknownNameError, "declares no problem"),
        ("def broken(:", DeclarationError, "cannot be imported: SyntaxError"),
        ("import nothing_of_that_name", DeclarationError, "cannot be imported: ModuleNotFoundError"),
        (ONE + "1 / 0", DeclarationError, "cannot be imported: ZeroDivisionError"),
    ],
)
def test_files_without_a_problem(file, text, error, words):
    modules = set(sys.modules)
    with pytest.raises(error, match=words):
        load_problem(file(text))
    assert not [
        name for name in set(sys.modules) - modules if name.startswith("_sciml_file") and error is DeclarationError
    ]


@pytest.mark.parametrize("path", ["./missing.py", "missing.py", "/nowhere/at/all.py:Plate", "./folder"])
def test_a_missing_file(path):
    with pytest.raises(UnknownNameError, match="no problem file"):
        load_problem(path)


def test_a_file_may_import_its_neighbours(file):
    file("POWER = 11.0\n", "plate_data.py")
    path = file(
        ONE.replace("from ufl", "from plate_data import POWER\nfrom ufl").replace("parameter(2.0", "parameter(POWER")
    )
    before = list(sys.path)
    assert load_problem(path).parameters["power"] == 11.0
    assert sys.path == before
    sys.modules.pop("plate_data")


@pytest.fixture
def elsewhere(monkeypatch):
    """A package that adds a problem and a solver by entry points."""

    def install(**members):
        module = types.ModuleType("their_package.plates")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)

        class Point:
            def __init__(self, name, target):
                self.name, self._target = name, target

            def load(self):
                return self._target

        points = {"sciml.problems": [Point("plates", module)], "sciml.solvers": [Point("magic", members.get("Magic"))]}
        monkeypatch.setattr(registry, "entry_points", lambda group: points[group])
        for cached in (registry.problem_classes, registry._solver_points):
            cached.cache_clear()
        return module

    yield install
    monkeypatch.undo()
    for cached in (registry.problem_classes, registry._solver_points):
        cached.cache_clear()


def theirs(**parts):
    """A class as another package's module would hold it."""
    namespace = {}
    exec(
        "from sciml import Box, Problem\nclass TheirPlate(Problem):\n    domain = Box(0, 1)\n    flux = 'grad'\n",
        namespace,
    )
    cls = namespace["TheirPlate"]
    cls.__module__ = "their_package.plates"
    for key, value in parts.items():
        setattr(cls, key, value)
    return cls


def test_problems_of_other_packages(elsewhere, monkeypatch):
    monkeypatch.setattr(registry.inspect, "getsourcelines", lambda cls: ([], 1))
    elsewhere(TheirPlate=theirs())
    assert "plates/their_plate" in registry.problem_classes()
    assert load_problem("plates/their_plate").name == "plates/their_plate"


def test_two_problems_of_one_name_are_refused(elsewhere, monkeypatch):
    monkeypatch.setattr(registry.inspect, "getsourcelines", lambda cls: ([], 1))
    elsewhere(TheirPlate=theirs(name="poisson/sine"))
    with pytest.raises(DeclarationError, match="Two problems are named 'poisson/sine'"):
        registry.problem_classes()


def test_classes_made_by_code(elsewhere):
    elsewhere(TheirPlate=theirs())
    assert "plates/their_plate" in registry.problem_classes()


def test_solvers_of_other_packages(elsewhere):
    class Magic(Solver):
        name = "magic"
        title = "of another package"

        def supports(self, problem):
            return "it is not written yet"

        def solve(self, problem, options, context):
            raise NotImplementedError

    elsewhere(Magic=Magic)
    assert "magic" in registry.solver_names()
    assert isinstance(registry.load_solver("magic"), Magic)
    with pytest.raises(UnknownNameError, match="did you mean 'magic'"):
        registry.load_solver("magik")


OWN_SOLVER = """
from sciml.solution import ADVICE, ExactField, Seconds, Solution
from sciml.solvers.base import Solver, SolverOptions


class Oracle(Solver):
    name, title, Options = "oracle", "knows the answer", SolverOptions
    stochastic = False

    def supports(self, problem):
        return None if problem.declaration.exact is not None else "nobody told it the answer"

    def solve(self, problem, options, context):
        return Solution(
            problem=problem, field=ExactField(problem), solver=self.name, options=options.model_dump(),
            status="converged", message=ADVICE["converged"], seconds=Seconds(), cpu_seconds=context.cpu_seconds,
            iterations=0, seed=context.seed, versions={"sciml": "0"},
        )


SOLVER = Oracle()
"""


def test_a_solver_of_ones_own_stands_wherever_a_name_does(file, tmp_path, monkeypatch):
    from sciml.benchmark.tasks import task_of
    from sciml.benchmark.worker import run_cell, run_truth

    path = file(OWN_SOLVER, "my_solver.py")
    monkeypatch.chdir(tmp_path)
    problem = load_problem("poisson/sine")
    solver = registry.load_solver("./my_solver.py")
    assert solver is registry.load_solver(path)
    assert sciml.solve(problem, "./my_solver.py").error().relative_l2 == 0
    rows = sciml.compare(problem, path, ("fenics", {"cells": 4})).as_dicts()
    assert [row["solver"] for row in rows] == ["oracle", "fenics"]
    assert rows[0]["relative_l2"] == 0
    with pytest.raises(UnsupportedError, match="'./my_solver.py' cannot do .* nobody told it the answer"):
        sciml.solve("elasticity/cook", "./my_solver.py")
    task = task_of(problem, "named")
    truth = run_truth({"task": task, "truth": {}, "file": str(tmp_path / "truths" / "t.h5")})
    payload = {"task": task, "solver": path, "options": {}, "seed": 0, "placement": {"device": "cpu"}, "truth": truth}
    result = run_cell(payload | {"folder": str(tmp_path), "repeats": 3})
    assert (result["errors"]["relative_l2"], len(result["timings"])) == (0, 3)
    assert "oracle" not in registry.solver_names()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, UnknownNameError, "There is no solver file"),
        ("x = 1", DeclarationError, "sets SOLVER to nothing; it takes an object of a subclass of .*SOLVER = MySolver"),
        ("SOLVER = 3", DeclarationError, "sets SOLVER to 3; it takes an object"),
        (OWN_SOLVER.replace("Oracle()", "Oracle"), DeclarationError, "sets SOLVER to <class .*; it takes an object"),
        (OWN_SOLVER.replace("name, title, Options", "name, title, _"), DeclarationError, "has no Options; set it in"),
        (OWN_SOLVER.replace("def solve", "def solved"), DeclarationError, "cannot be imported: TypeError: .*abstract"),
        ("1 / 0", DeclarationError, "cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_solver_file_with_a_mistake(file, tmp_path, text, error, message):
    path = str(tmp_path / "none.py") if text is None else file(text, "my_solver.py")
    with pytest.raises(error, match=message) as caught:
        sciml.solve("poisson/sine", path)
    assert "\n" not in str(caught.value)


def test_a_range_of_values():
    assert [Range(1.0, 3.0).at(share) for share in (0, 0.5, 1)] == [1, 2, 3]
    assert [Range(1e-4, 1e-2, log=True).at(share) for share in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-3, 1e-2])
    with pytest.raises(OptionError, match=r"was given 2 to 1; it takes finite ends, low < high"):
        Range(2, 1)
    with pytest.raises(OptionError, match=r"log=True was given 0 as its low end; it takes one above 0"):
        Range(0, 1, log=True)


def test_importing_the_package_stays_light(file):
    """Declaring and listing problems needs neither torch nor DOLFINx."""
    import os
    import subprocess

    code = (
        "import sciml, sys; sciml.load_problem; print([m for m in ('torch', 'dolfinx', 'deepxde') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
