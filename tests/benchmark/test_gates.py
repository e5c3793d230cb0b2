"""Gates of fairness: a sound run is ranked; rigged ones are refused before they start or unranked, with the reason."""

from __future__ import annotations

import copy

import pytest
from synthetic_runs import LAWS, PEAK, SUITE, WAVE, Law, SyntheticRun, key_of

from sciml.benchmark.gates import GATES, judge, refusals, unranked_reason, unranked_rows
from sciml.benchmark.reading import read_run
from sciml.benchmark.suite import load_suite, suite_names
from sciml.registry import load_solver


@pytest.fixture
def judged(tmp_path):
    """The run and the findings of a synthetic run."""

    def look(synthetic):
        run = read_run(synthetic.write(tmp_path))
        return run, judge(run)

    return look


def of(findings, gate, outcome="broken"):
    return [finding for finding in findings if finding.gate == gate and finding.outcome == outcome]


def reasons(run, findings, method, problem=None):
    """Why a method is unranked, on each task of a problem."""
    tasks = [task for task in run.tasks if problem in (None, task.problem)]
    return [unranked_reason(findings, run, task, method) for task in tasks]


def test_a_sound_run_breaks_no_gate(judged):
    run, findings = judged(SyntheticRun().make())
    assert [finding for finding in findings if finding.outcome == "broken"] == []
    assert len({finding.gate for finding in findings}) == len(GATES)
    for method in ("FEM", "PINN", "Operator"):
        assert set(reasons(run, findings, method)) == {None}


# -- rigged suites -----------------------------------------------------------------------------------------------------


def test_over_resolved_baseline(judged):
    """A baseline that is run only far finer than the network needs would be made to look slow."""
    synthetic = SyntheticRun()
    synthetic.suite["methods"][0]["sweep"] = {"cells": [2048, 2304, 2560, 3072, 4096]}
    run, findings = judged(synthetic.make())
    found = of(findings, "no over-resolved baseline")
    assert "FEM is over-resolved: its coarsest point" in found[0].reason
    assert "no ratio can be formed" in found[0].reason
    assert all("over-resolved" in reason for reason in reasons(run, findings, "PINN"))


def test_a_baseline_that_is_better_and_cheaper_needs_no_coarser_points(judged):
    synthetic = SyntheticRun()
    synthetic.suite["methods"][0]["sweep"] = {"cells": [128, 160, 192, 224, 256]}
    run, findings = judged(synthetic.make())
    assert not [reason for reason in reasons(run, findings, "PINN") if reason and "over-resolved" in reason]


def test_the_truth_timed_as_the_baseline(judged):
    synthetic = SyntheticRun()
    synthetic.suite["methods"][0] |= {"options": {"degree": 3}, "sweep": {"cells": [4, 8, 16, 32, 1024]}}
    _, findings = judged(synthetic.make())
    found = of(findings, "the truth does not compete")
    assert found[0].reason == "poisson/peak, sharpness = 20: FEM at cells = 1024 is the truth's own run."
    assert len(unranked_rows(found)) == 7
    said = refusals(synthetic.suite)
    assert [text for text in said if "is the truth's own run at cells = 1024" in text]


def test_the_truths_options_count_with_their_defaults():
    """Options that are not stated are the defaults, so a default that is stated changes nothing."""
    default = load_solver("fenics").Options().model_dump()["degree"]
    suite = copy.deepcopy(SUITE)
    suite["truth"]["options"] = {"cells": 64, "degree": default}
    assert "is the truth's own run at cells = 64" in " ".join(refusals(suite))
    suite["truth"]["options"] = {"cells": 64, "degree": default + 1}
    assert "is the truth's own run" not in " ".join(refusals(suite))


def test_one_seed(judged):
    synthetic = SyntheticRun()
    synthetic.suite["statistics"]["seeds"] = [11]
    run, findings = judged(synthetic.make())
    assert "PINN has 1 seed on 7 tasks; a ranking needs 5." in [f.reason for f in of(findings, "enough repeats")]
    assert all("1 seed" in reason for reason in reasons(run, findings, "PINN"))
    assert set(reasons(run, findings, "FEM")) == {None}
    assert "statistics.seeds has 1 seed, and a ranking of Operator, PINN needs 5" in refusals(synthetic.suite)[0]


def test_tuned_on_the_test_set(judged):
    synthetic = SyntheticRun().make()
    assert synthetic.tuning is not None
    synthetic.tuning["PINN"]["tasks"].append(synthetic.tasks[1]["key"])
    run, findings = judged(synthetic)
    assert of(findings, "tuning apart from tests")[0].reason == (
        "PINN was tuned on poisson/peak, sharpness = 100, which is a test."
    )
    assert None not in reasons(run, findings, "PINN")
    synthetic.suite["problems"][0]["tuning"] = [{"sharpness": 100.0}]
    assert "tuned on {'sharpness': 100.0}, which is also a test" in " ".join(refusals(synthetic.suite))


def test_defaults_do_not_hide_a_test_in_the_tuning_set():
    """A test that states a default and a tuning task that does not are the same task."""
    suite = copy.deepcopy(SUITE)
    suite["problems"][1] |= {"parameters": {}, "tuning": [{"speed": 1.0}]}
    from sciml import load_problem

    default = load_problem(WAVE).parameters.plain()["speed"]
    assert ("which is also a test" in " ".join(refusals(suite))) == (default == 1.0)
    suite["problems"][1]["tuning"] = [{"speed": float(default)}]
    assert "which is also a test" in " ".join(refusals(suite))


def test_hidden_members_and_tuning_members_need_different_seeds():
    suite = copy.deepcopy(SUITE)
    del suite["problems"][0]["tuning"]
    suite["tuning"]["seed"] = suite["statistics"]["hidden_seed"]
    assert "methods are tuned on the hidden members" in " ".join(refusals(suite))


def test_untuned_opponent(judged):
    synthetic = SyntheticRun().make()
    assert synthetic.tuning is not None
    synthetic.tuning["FEM"]["trials"] = []
    run, findings = judged(synthetic)
    assert of(findings, "equal tuning")[0].reason == "FEM had 0 tuning trials, its opponents 4."
    assert None not in reasons(run, findings, "FEM")
    # Without a baseline that is ranked, nobody is.
    assert all(reason.startswith("no baseline is ranked here: FEM had 0") for reason in reasons(run, findings, "PINN"))


def test_an_opponent_is_left_untuned_by_the_suite(judged, monkeypatch):
    monkeypatch.setattr(type(load_solver("fenics")), "tuning_space", {"degree": [1, 2, 3]})
    synthetic = SyntheticRun()
    synthetic.suite["methods"][0]["space"] = {}
    _, findings = judged(synthetic.make())
    assert of(findings, "equal tuning")[0].reason == "FEM was not tuned although its opponents were."
    assert "'FEM' is not tuned although others are" in " ".join(refusals(synthetic.suite))
    synthetic.suite["methods"][0]["why_untuned"] = "The degree is what the comparison is about."
    assert "not tuned although others" not in " ".join(refusals(synthetic.suite))


def test_more_trials_than_others(judged):
    synthetic = SyntheticRun().make()
    assert synthetic.tuning is not None
    synthetic.tuning["PINN"]["trials"] *= 5
    _, findings = judged(synthetic)
    assert of(findings, "equal tuning")[0].reason == "PINN had 20 tuning trials, its opponents 4."


# -- one gate after the other ------------------------------------------------------------------------------------------


def spoil(key, value=None, method=None, part=None):
    """Change what some attempts measured."""

    def change(synthetic):
        for line in synthetic.attempts(lambda a: method in (None, a["method"])):
            target = line["result"] if part is None else line["result"][part]
            target[key] = value

    return change


def trivial_answers_are_missing(synthetic):
    for line in synthetic.lines:
        if line.get("stage") == "truth" and line["kind"] == "attempt":
            line["result"]["trivial"] = {}


def truth_does_not_know_its_error(synthetic):
    for line in synthetic.lines:
        if line.get("stage") == "truth" and line["kind"] == "attempt":
            line["result"]["error"] = None


def another_suite(synthetic):
    synthetic.lines[0]["digest"] = "another"


def an_open_start(synthetic):
    synthetic.lines.append({"kind": "start", "key": key_of("open"), "session": 1, "attempt": 1})


def a_cell_is_missing(synthetic):
    synthetic.lines = synthetic.lines[:-2]


def two_machines(synthetic):
    second = synthetic.lines[1] | {"session": 2, "machine": {"cpu": "Another CPU"}}
    synthetic.lines.append(second)
    for line in synthetic.attempts(lambda a: a["method"] == "PINN"):
        line["session"] = 2


def no_versions(synthetic):
    synthetic.lines[1]["versions"] = {}


def foreign_seeds(synthetic):
    for line in synthetic.attempts(lambda a: a["method"] == "PINN" and a["seed"] == 11):
        line["seed"] = 99


def few_points(synthetic):
    synthetic.fail("memory", lambda a: a["method"] == "FEM" and a["point"]["cells"] > 16)


def no_hidden(synthetic):
    synthetic.lines = [line for line in synthetic.lines if line.get("task", {}).get("role") != "hidden"]
    keys = {line["key"] for line in synthetic.lines if line["kind"] == "attempt"}
    synthetic.lines = [line for line in synthetic.lines if line["kind"] != "start" or line["key"] in keys]


def no_out_of_range(synthetic):
    for line in synthetic.attempts(lambda a: a["task"]["role"] == "out_of_range"):
        line["task"]["role"] = "named"


CASES = [
    (another_suite, "tasks are fixed", {"FEM", "PINN", "Operator"}),
    (truth_does_not_know_its_error, "the truth is ten times better", {"FEM", "PINN", "Operator"}),
    (trivial_answers_are_missing, "trivial answers ran", {"FEM", "PINN", "Operator"}),
    (few_points, "curves, not points", {"FEM", "PINN", "Operator"}),
    (spoil("timings", [], "PINN"), "phases apart", set()),
    (spoil("threads", 8, "PINN"), "equal means", set()),
    (two_machines, "equal means", {"FEM", "PINN", "Operator"}),
    (spoil("n_points", 7, "PINN", "errors"), "same evaluation", set()),
    (spoil("warm_up", None, "FEM"), "warm-up excluded", set()),
    (foreign_seeds, "seeds fixed before", {"PINN"}),
    (spoil("max_error", None, "PINN", "errors"), "two norms", set()),
    (spoil("relative_h1", None, "PINN", "errors"), "two norms", set()),
    (spoil("rollout", None, "PINN"), "two norms", set()),
    (no_hidden, "hidden members", {"FEM", "PINN", "Operator"}),
    (no_out_of_range, "out of range", {"Operator"}),
    (an_open_start, "every attempt recorded", {"FEM", "PINN", "Operator"}),
    (a_cell_is_missing, "every attempt recorded", {"FEM", "PINN", "Operator"}),
    (no_versions, "provenance", {"FEM", "PINN", "Operator"}),
]


@pytest.mark.parametrize(("change", "gate", "unranked"), CASES)
def test_what_breaks_a_gate(judged, change, gate, unranked):
    synthetic = SyntheticRun().make()
    if gate == "same evaluation":
        spoil("n_points", 1000, None, "errors")(synthetic)
    change(synthetic)
    run, findings = judged(synthetic)
    found = of(findings, gate)
    assert found
    assert all(finding.reason.endswith(".") for finding in found)
    if unranked:
        assert {m for m in ("FEM", "PINN", "Operator") if all(reasons(run, findings, m, PEAK))} == unranked
    else:
        assert unranked_rows(found) or any(u.task for f in found for u in f.unranks)


def test_reference_limited_rows_are_said_and_stay_ranked(judged):
    run, findings = judged(SyntheticRun(truth_error=1e-4).make())
    found = of(findings, "the truth is ten times better")
    assert "of FEM reference-limited; the truth's own error is 1.0e-04" in found[0].reason
    assert set(reasons(run, findings, "FEM")) == {None}


def test_a_baseline_that_trains_is_none(judged):
    laws = LAWS | {"FEM": Law(size=12.0, order=3, unit=6e-5, growth=2, parameters=5)}
    run, findings = judged(SyntheticRun(laws=laws).make())
    assert "trains, so it is no classical method" in of(findings, "a classical baseline")[0].reason
    assert None not in reasons(run, findings, "PINN")


def test_worse_than_trivial_is_said(judged):
    laws = LAWS | {"PINN": Law(size=9e3, order=1, unit=4e-3, growth=1, parameters=5)}
    _, findings = judged(SyntheticRun(laws=laws).make())
    assert "PINN" in " ".join(f.reason for f in of(findings, "trivial answers ran", "kept"))
    assert "no better than the trivial answer 'mean' (0.8)" in of(findings, "trivial answers ran", "kept")[-1].reason


def test_failures_are_counted_and_error_bars_too(judged):
    synthetic = SyntheticRun().make()
    failed = synthetic.fail("time", lambda a: a["method"] == "PINN" and a["seed"] == 12)
    for line in synthetic.attempts(lambda a: a["method"] == "FEM" and a["point"]["cells"] == 4):
        line["result"]["covered"] = False
    _, findings = judged(synthetic)
    assert of(findings, "failures count", "kept")[0].reason.startswith(f"{failed} failed cells of 245")
    assert of(findings, "error bars are checked", "kept")[0].reason.startswith("28 of 35 error bars of FEM hold")


# -- suites ------------------------------------------------------------------------------------------------------------


def test_refusals_of_a_sound_suite():
    assert refusals(SUITE) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["problems"][0].pop("baselines"), "'poisson/peak' has no classical baseline"),
        (lambda s: s["methods"][0].update(sweep={"cells": [4, 8]}), "is swept over 2 resolutions"),
        (lambda s: s["methods"][0].update(problems=[WAVE]), "does not run on it"),
        (lambda s: s["problems"][0]["baselines"][0].update(method="PINN"), "is learned (solver 'deepxde')"),
        (lambda s: s["methods"][1].update(sweep={"adam": [5]}), "a curve needs 3"),
        (lambda s: s["statistics"].update(repeats=2), "statistics.repeats = 2"),
        (lambda s: s["statistics"].update(hidden=0), "is a family, and no hidden members are drawn"),
    ],
)
def test_refusals(change, said):
    suite = copy.deepcopy(SUITE)
    change(suite)
    assert said in " ".join(refusals(suite))


def test_shipped_suites_that_rank_are_sound():
    """Which problems have hidden members is the suite's choice to state, and the gate's to judge."""
    for name in suite_names():
        suite = load_suite(name)
        found = [said for said in refusals(suite) if "no hidden members are drawn" not in said]
        assert found == [] or not suite.ranking, name
