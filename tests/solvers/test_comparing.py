"""Comparing solvers: whose truth, which rows, what verdict."""

import json

import pytest
from ufl import grad, sin

from sciml import Dirichlet, compare, dx, solve
from sciml.errors import OptionError, UnknownNameError, UnsupportedError
from sciml.solution import Errors
from sciml.solvers.compare import REFERENCE, Comparison, Row, row_of

KEYS = {
    "problem",
    "parameters",
    "solver",
    "status",
    "truth",
    "relative_l2",
    "relative_h1",
    "max_error",
    "truth_error",
    "seconds",
    "cpu_seconds",
    "iterations",
    "trainable_parameters",
    "seed",
    "device",
}


def test_against_an_exact_solution(poisson):
    problem = poisson(exact=lambda x: sin(3 * x[0]) * x[1], quantities=lambda u: {"slope": u.dx(0) ** 2 * dx})
    comparison = compare(problem, ("fenics", {"cells": 4, "degree": 1}), ("fenics", {"cells": 8}))
    assert comparison.truth_name == "exact"
    assert [row.label for row in comparison.rows] == ["fenics cells=4 degree=1", "fenics cells=8"]
    assert [row.truth for row in comparison.rows] == ["exact", "exact"]
    first, second = comparison.rows
    assert first.truth_error == 0
    assert first.relative_l2 == pytest.approx(first.solution.error().relative_l2)
    assert second.relative_l2 < first.relative_l2 / 10
    for row in comparison.as_dicts():
        assert set(row) >= KEYS
        assert row["quantities"]["slope"] > 0
        json.dumps(row, allow_nan=False)


def test_the_reference_always_runs(poisson):
    comparison = compare(poisson(exact=lambda x: sin(x[0])))
    assert [row.solver for row in comparison.rows] == [REFERENCE]
    assert comparison.reference is comparison.rows[0]


def test_against_the_reference(poisson):
    comparison = compare(poisson(), ("fenics", {"cells": 4, "degree": 1}))
    truth, row = comparison.rows
    assert comparison.truth_name == REFERENCE
    assert truth.label == "fenics (truth)"
    assert (truth.truth, row.truth) == ("refinement", REFERENCE)
    assert truth.relative_l2 == truth.solution.error_estimate.relative_l2 <= 1e-6
    assert row.truth_error == truth.relative_l2
    assert not row.reference_limited
    own = solve(poisson(), cells=4, degree=1)
    assert row.relative_l2 == pytest.approx(own.error_estimate.relative_l2, rel=0.5)


def test_a_result_as_good_as_the_truth_is_reference_limited(poisson, bent_box):
    """On a mesh the truth is twice refined; one refinement is eight times less accurate, none sixty-four times."""
    comparison = compare(poisson(domain=bent_box(2, cells=4)), ("fenics", {"refine": 1}), ("fenics", {"refine": 0}))
    truth, close, far = comparison.rows
    assert truth.solution.options["refine"] == 2
    assert close.reference_limited
    assert not far.reference_limited


def test_bad_requests_are_refused_before_any_solver_runs(poisson, monkeypatch):
    from sciml.solvers import compare as module

    monkeypatch.setattr(module, "solve", lambda *_, **__: pytest.fail("a solver ran"))
    with pytest.raises(OptionError, match="'degree'"):
        compare(poisson(), "fenics", ("fenics", {"degre": 1}))
    with pytest.raises(UnknownNameError, match="'fenics'"):
        compare(poisson(), "fenix")
    with pytest.raises(UnsupportedError, match="at most 3 dimensions.* deepxde .*can"):
        compare(poisson(5), "fenics")


def test_a_failed_solver_is_a_row(poisson):
    problem = poisson(exact=lambda x: 3 * sin(3 * x[0]), flux=lambda u: (1 + u**2) * grad(u))
    comparison = compare(problem, ("fenics", {"cells": 4, "max_iterations": 1}), ("fenics", {"cells": 4}))
    failed, good = comparison.rows
    assert (failed.status, failed.solution, failed.relative_l2) == ("diverged", None, None)
    assert "iteration limit" in failed.message
    assert good.status == "converged"
    assert comparison.as_dicts()[0]["seconds"] is None


def row(poisson, solver, error, cpu, truth_error=0.0, truth="exact"):
    """A row with made-up figures."""
    solution = solve(poisson(), degree=1, cells=2, measure_error=False)
    solution.cpu_seconds = cpu
    errors = Errors(error, error, error, error, 1.0, 0.0, 1)
    return Row(solver, solver, solution, "converged", "", truth, errors, truth_error)


@pytest.mark.parametrize(
    ("reference", "other", "words"),
    [
        ((1e-4, 1.0), (1e-2, 10.0), "The reference is the better buy: fenics has 100× the accuracy of net at 1/10"),
        ((1e-2, 10.0), (1e-4, 1.0), "net is the better buy here"),
        ((1e-4, 10.0), (1e-2, 1.0), "net took 0.1× the CPU time of fenics for 100× its error; neither"),
        ((1e-2, 1.0), (1e-4, 10.0), "net took 10× the CPU time of fenics for 0.01× its error; neither"),
    ],
)
def test_verdicts(poisson, reference, other, words):
    rows = [row(poisson, "fenics", *reference), row(poisson, "net", *other)]
    (verdict,) = Comparison(poisson(), None, "exact", rows).verdicts()
    assert words in verdict


def test_verdicts_on_what_cannot_be_compared(poisson):
    limited = row(poisson, "net", 1e-3, 1.0, truth_error=5e-4, truth="fenics")
    failed = Row("net", "net", None, "diverged", "it diverged.")
    rows = [row(poisson, "fenics", 1e-4, 1.0), limited, failed]
    verdicts = Comparison(poisson(), None, "fenics", rows).verdicts()
    assert "reference-limited" in verdicts[0]
    assert verdicts[1] == "net failed: it diverged."
    assert "no reference" in Comparison(poisson(), None, "exact", [row(poisson, "net", 1e-3, 1.0)]).verdicts()[0]


def test_a_row_without_truth_uses_the_solvers_own_measurement(poisson):
    solution = solve(poisson(), cells=8)
    made = row_of(solution, "fenics", None, None, None)
    assert made.truth == "refinement"
    assert made.relative_l2 == made.truth_error == solution.error_estimate.relative_l2


def test_options_of_the_reference_replace_the_default_one(poisson):
    problem = poisson(exact=lambda x: sin(x[0]), conditions=[Dirichlet(on="boundary")])
    assert len(compare(problem, ("fenics", {"cells": 2})).rows) == 1
