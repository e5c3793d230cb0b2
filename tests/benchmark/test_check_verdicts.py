"""What is said of outcomes that are made by hand."""

import io
import json

import pytest
from rich.console import Console

from sciml.benchmark.checks import Check, all_hold, check_rows, judge, print_checks, run_checks
from sciml.benchmark.process import Outcome


def outcome(reason=None, message="", **figures):
    return Outcome(figures if reason is None else None, reason, message, 2.0, 1.5, 10**8, 0.1)


def check(**figures):
    parts = {"name": "made", "title": "made by hand", "measure": "vorticity_sample", "cpu_seconds": 10}
    return Check.model_validate(parts | {"figures": figures})


def verdict(bound, *values, scale=1.0):
    result = judge(check(x=bound), {seed: outcome(x=value) for seed, value in enumerate(values)}, scale)
    return result, result.figures[0]


@pytest.mark.parametrize(
    ("bound", "values", "expected"),
    [
        ({"at_most": 2}, [1.0, 1.5, 2.0], "holds"),
        ({"at_most": 2}, [1.0, 2.1, 1.0], "falls short"),
        ({"at_least": 2}, [2.0], "holds"),
        ({"at_least": 2}, [1.99], "falls short"),
        ({"between": [1, 2]}, [1.0, 2.0], "holds"),
        ({"between": [1, 2]}, [1.5, 0.9], "falls short"),
        ({"between": [3, 3]}, [3.0], "holds"),
    ],
)
def test_every_seed_must_keep_the_bound(bound, values, expected):
    result, figure = verdict(bound, *values)
    assert figure.verdict == expected
    assert result.holds == all_hold([result]) == (expected == "holds")


def test_the_seed_that_falls_short_is_named_and_median_and_worst_are_said():
    _, figure = verdict({"at_most": 2}, 1.0, 2.5, 1.2)
    assert "x of seed 1 is 2.5" in figure.reason
    assert figure.median == 1.2
    assert figure.worst == ("x", 2.5)
    assert verdict({"at_least": 1}, 3.0, 2.0, 4.0)[1].worst == ("x", 2.0)
    assert verdict({"between": [0, 10]}, 2.0, 9.0)[1].worst == ("x", 9.0)


@pytest.mark.parametrize(
    ("bound", "value", "scale", "holds"),
    [
        ({"at_most": 10, "scaled": True}, 15.0, 2.0, True),
        ({"at_most": 10, "scaled": True}, 9.0, 0.5, False),
        ({"at_most": 10}, 15.0, 2.0, False),
        ({"at_least": 4, "scaled": True}, 2.5, 2.0, True),
        ({"at_least": 4, "scaled": True}, 5.0, 0.5, False),
        ({"at_least": 4}, 2.5, 2.0, False),
    ],
)
def test_bounds_in_seconds_follow_the_machine(bound, value, scale, holds):
    assert verdict(bound, value, scale=scale)[0].holds == holds


def test_aims_are_said_and_not_enforced():
    missed, figure = verdict({"aim_at_most": 1}, 2.0)
    assert (missed.holds, figure.verdict, figure.aim) == (True, None, "aim missed")
    assert verdict({"aim_at_most": 1}, 0.5)[1].aim == "aim reached"
    both, figure = verdict({"at_most": 3, "aim_at_most": 1}, 2.0)
    assert (both.holds, figure.verdict, figure.aim) == (True, "holds", "aim missed")
    assert not verdict({"at_most": 3, "aim_at_most": 1}, 4.0)[0].holds
    assert verdict({"aim_at_least": 4, "scaled": True}, 2.5, scale=2.0)[1].aim == "aim reached"


@pytest.mark.parametrize("bound", [{"at_most": 2}, {"aim_at_most": 2}])
def test_a_failure_falls_short_whatever_the_other_seeds_say(bound):
    outcomes = {0: outcome(x=1.0), 1: outcome("time", "stopped after 10 CPU s"), 2: outcome(x=1.0)}
    result = judge(check(x=bound), outcomes, 1.0)
    (figure,) = result.figures
    assert not result.holds
    assert (figure.verdict, figure.aim) == ("failed", None)
    assert figure.reason == "seed 1: time: stopped after 10 CPU s"


@pytest.mark.parametrize("bound", [{"at_most": 2}, {"aim_at_most": 2}])
def test_a_figure_that_is_not_measured_falls_short(bound):
    result = judge(check(y=bound), {0: outcome(x=1.0)}, 1.0)
    assert not result.holds
    assert result.figures[0].reason == "no figure 'y' was measured; there are x"
    now_and_then = judge(check(y=bound), {0: outcome(x=1.0, y=1.0), 1: outcome(x=1.0)}, 1.0)
    assert not now_and_then.holds
    assert now_and_then.figures[0].reason == "no figure 'y' was measured with seed 1; there are x"


def test_a_pattern_bounds_all_that_it_matches():
    found = outcome(l2_p1=2.0, l2_p2=3.0, h1_p1=9.0)
    result = judge(check(**{"l2_*": {"at_most": 3}, "h1_*": {"at_most": 3}}), {0: found}, 1.0)
    in_l2, in_h1 = result.figures
    assert in_l2.values == {"l2_p1": [2.0], "l2_p2": [3.0]}
    assert in_l2.worst == ("l2_p2", 3.0)
    assert (in_l2.verdict, in_h1.verdict) == ("holds", "falls short")


def test_rows_are_json_and_the_table_says_it_all():
    outcomes = {0: outcome(x=1.0, y=5.0), 1: outcome(x=3.0, y=5.0)}
    short = judge(check(x={"at_most": 2, "unit": "CPU s"}, y={"aim_at_most": 1}), outcomes, 1.0)
    failed = judge(check(x={"at_least": 2}), {0: outcome("memory", "took 9 GiB of 8")}, 1.0)
    rows = [json.loads(json.dumps(row, allow_nan=False)) for row in check_rows([short, failed])]
    assert [row["verdict"] for row in rows] == ["falls short", None, "failed"]
    assert rows[0]["values"] == {"x": [1.0, 3.0]}
    assert (rows[0]["median"], rows[0]["worst"], rows[0]["bound"]) == (2.0, 3.0, [None, 2.0])
    assert (rows[1]["aim"], rows[1]["aim_bound"]) == ("aim missed", [None, 1.0])
    assert (rows[0]["cpu_seconds"], rows[0]["seeds"]) == (3.0, [0, 1])
    console = Console(record=True, width=140, file=io.StringIO())
    print_checks([short, failed], console)
    text = console.export_text()
    for said in (
        "≤ 2 CPU s",
        "x of seed 1 is 3",
        "(aim ≤ 1)",
        "aim missed",
        "memory: took 9 GiB of 8",
        "0 of 2 checks",
    ):
        assert said in text


def test_seeds_and_limits_of_the_runs():
    asked = []

    def run(function, payload, limits):
        asked.append((function, payload["seed"], limits.cpu_seconds, limits.memory))
        return outcome(x=1.0)

    done = []
    seeded = check(x={"at_most": 2})
    results = run_checks([seeded], run=run, scale=2.0, report=done.append)
    assert asked == [("sciml.benchmark.measurements:run_measurement", seed, 20.0, 8.0) for seed in (0, 1, 2)]
    assert done == results
    asked.clear()
    run_checks([seeded.model_copy(update={"seeds": 2})], run=run)
    run_checks([seeded], run=run, seeds=1)
    run_checks([seeded.model_copy(update={"measure": "stencil"})], run=run, seeds=5)
    assert [seed for _, seed, _, _ in asked] == [0, 1, 0, 0]
