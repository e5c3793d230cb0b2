"""Solving: options, refusals, timings, reports."""

import time
from typing import ClassVar

import numpy as np
import pytest
from pydantic import Field
from ufl import exp, inner, sin

import sciml
from sciml import Dirichlet, Solution, registry, solve
from sciml.errors import (
    DivergenceError,
    DomainError,
    OptionError,
    ScimlError,
    UnknownNameError,
    UnsupportedError,
)
from sciml.solution import ExactField, Seconds
from sciml.solvers.base import Progress, Solver, SolverOptions, read_options


class EchoOptions(SolverOptions):
    """Options of the solver below."""

    status: str = Field("converged", description="what to return")
    wait: float = Field(0.0, ge=0, description="seconds to sleep")


class Echo(Solver):
    """Returns the exact solution, with the status asked for."""

    name: ClassVar[str] = "echo"
    title: ClassVar[str] = "the exact solution"
    Options: ClassVar[type[SolverOptions]] = EchoOptions

    def supports(self, problem):
        return None if problem.declaration.exact is not None else "it has no exact solution"

    def solve(self, problem, options, context):
        context.report(Progress("echo", 1, 2, "half"))
        time.sleep(options.wait)
        return Solution(
            problem=problem,
            field=ExactField(problem),
            solver="echo",
            options=options.model_dump(),
            status=options.status,
            message="as asked",
            seconds=Seconds(solve=options.wait),
            cpu_seconds=context.cpu_seconds,
            iterations=1,
            seed=context.seed,
            device=context.device,
        )


@pytest.fixture
def echo(monkeypatch):
    """Two solvers only: the reference, and one that is made here."""

    class Point:
        name = "echo"

        @staticmethod
        def load():
            return Echo

    monkeypatch.setattr(registry, "_solver_modules", lambda: {"fenics": "sciml.solvers.fenics"})
    monkeypatch.setattr(registry, "_solver_points", lambda: {"echo": Point})


def test_a_problem_by_name_and_in_memory(poisson):
    by_name = solve("poisson/sine", cells=8)
    in_memory = solve(sciml.load_problem("poisson/sine"), "fenics", cells=8)
    assert by_name.error().relative_l2 == pytest.approx(in_memory.error().relative_l2)
    assert by_name.solver == "fenics"
    assert by_name.status == "converged"


def test_what_is_recorded(poisson):
    start, cpu = time.perf_counter(), time.process_time()
    solution = solve(poisson(exact=lambda x: sin(x[0])), cells=8, seed=3)
    wall = time.perf_counter() - start
    seconds = solution.seconds
    parts = [seconds.setup, seconds.train, seconds.solve, seconds.post]
    assert min(parts) >= 0
    assert seconds.train == 0
    assert seconds.solve > 0
    assert sum(parts) <= wall * 1.001
    assert 0 < solution.cpu_seconds <= time.process_time() - cpu
    assert (solution.seed, solution.device, solution.trainable_parameters) == (3, "cpu", 0)
    assert solution.iterations == 1
    assert solution.options["cells"] == 8
    assert solution.options["degree"] == 2
    assert solution.details["unknowns"] == 17**2
    assert solution.details["cells"] == 128


def test_the_same_call_gives_the_same_bits(poisson):
    problem = poisson(exact=lambda x: exp(x[0] * x[1]), reaction=lambda u: u**3)
    points = problem.domain.sample(50, np.random.default_rng(0))
    one, other = (solve(problem, cells=8, measure_error=False).evaluate(points) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degre": 2}, "'fenics' has no option 'degre'; did you mean 'degree'"),
        ({"meshsize": 2}, "'fenics' has no option 'meshsize'; "),
        ({"zzz": 2}, "has no option 'zzz'; it has accuracy, "),
        ({"degree": 0}, r"degree=0 of solver 'fenics': .*greater than or equal to 1 .*polynomial degree"),
        ({"degree": 5}, "degree=5 .* less than or equal to 4"),
        ({"degree": "two"}, "degree='two' .* valid integer"),
        ({"degree": 2.5}, r"degree=2\.5"),
        ({"cells": 0}, "cells=0"),
        ({"accuracy": -1.0}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy=nan"),
        ({"cell_type": "hexagon"}, "cell_type='hexagon' .*'simplex' or 'tensor'"),
        ({"linear_solver": "magic"}, "linear_solver='magic'"),
        ({"load_steps": 0}, "load_steps=0"),
    ],
)
def test_options_that_do_not_exist_or_fit(poisson, options, message):
    with pytest.raises(OptionError, match=message) as caught:
        solve(poisson(), "fenics", **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_options_are_read_from_text():
    options = read_options(
        registry.load_solver("fenics"), {"degree": "3", "accuracy": "1e-3", "measure_error": "false"}
    )
    assert (options.degree, options.accuracy, options.measure_error, options.cells) == (3, 1e-3, False, None)
    with pytest.raises(ValueError, match="frozen"):
        options.degree = 1


def test_options_are_checked_before_the_problem(poisson):
    with pytest.raises(OptionError):
        solve(poisson(conditions=[Dirichlet(0.0, on="lid")]), degre=2)


def test_cells_and_refine_go_with_their_domains(poisson, bent_box):
    with pytest.raises(DomainError, match="`refine` is for mesh files; give a box its number of `cells`"):
        solve(poisson(), refine=1)
    with pytest.raises(DomainError, match="`cells` is for boxes"):
        solve(poisson(domain=bent_box(2)), cells=4)


def test_unknown_solvers_get_the_nearest_name(poisson):
    with pytest.raises(UnknownNameError, match="no solver named 'fenix'; did you mean 'fenics'"):
        solve(poisson(), "fenix")


def test_an_unsupported_problem_names_who_can(poisson, echo):
    ten = poisson(10, exact=lambda x: exp(-inner(x, x)))
    with pytest.raises(UnsupportedError, match="'fenics' cannot do .* at most 3 dimensions, .* has 10; echo can"):
        solve(ten)
    with pytest.raises(UnsupportedError, match="'echo' cannot do .*: it has no exact solution; fenics .*can"):
        solve(poisson(), "echo")
    assert solve(ten, "echo").error().relative_l2 == 0


def test_ten_dimensions_can_be_done_by_others(poisson):
    with pytest.raises(UnsupportedError, match="deepxde.* can"):
        solve(poisson(10, exact=lambda x: exp(-inner(x, x))))


def test_a_problem_that_nobody_can_do(poisson, echo):
    with pytest.raises(UnsupportedError, match="no solver here can"):
        solve(poisson(10), "fenics")


@pytest.mark.parametrize("status", ["diverged", "outside_range"])
def test_two_statuses_raise_with_the_solution_attached(poisson, echo, status):
    problem = poisson(exact=lambda x: sin(x[0]))
    with pytest.raises(DivergenceError, match=f"echo on .*: {status}: as asked") as caught:
        solve(problem, "echo", status=status)
    assert caught.value.solution.status == status
    assert solve(problem, "echo", status=status, throw=False).status == status


@pytest.mark.parametrize("status", ["converged", "budget_reached", "stagnated"])
def test_the_others_do_not(poisson, echo, status):
    assert solve(poisson(exact=lambda x: sin(x[0])), "echo", status=status).status == status


def test_time_that_no_phase_claims_is_preparation(poisson, echo):
    start = time.perf_counter()
    solution = solve(poisson(exact=lambda x: sin(x[0])), "echo", wait=0.2)
    wall = time.perf_counter() - start
    assert solution.seconds.solve == pytest.approx(0.2)
    assert 0 <= solution.seconds.setup < wall - 0.19
    assert solution.cpu_seconds < wall


def test_progress_is_reported(poisson, echo):
    seen = []
    solve(poisson(exact=lambda x: sin(x[0])), "echo", report=seen.append)
    assert seen == [Progress("echo", 1, 2, "half")]
    solve(poisson(), cells=4, report=seen.append, measure_error=False)
    assert "32 cells, 81 unknowns: linear solve: 1 iterations" in seen[-1].text


def test_a_library_does_not_print(poisson, capfd):
    solve(poisson(exact=lambda x: exp(x[0])), cells=4)
    assert capfd.readouterr() == ("", "")


def test_bad_problems_are_refused_before_work(poisson):
    for changes in ({"conditions": [Dirichlet(0.0, on="lid")]}, {"flux": lambda u: u}, {"conditions": []}):
        start = time.perf_counter()
        with pytest.raises(ScimlError):
            solve(poisson(load=0.0, **changes))
        assert time.perf_counter() - start < 20
