"""What a ledger says, read back: torn lines, lost attempts, folders that are no run."""

from __future__ import annotations

import json
import math

import pytest
from synthetic_runs import PEAK, Law, SyntheticRun

from sciml.benchmark.curves import curve_of, error_floor
from sciml.benchmark.reading import read_run
from sciml.benchmark.records import Candidate
from sciml.errors import OutputError

FEM, PINN = Candidate("FEM", "one thread"), Candidate("PINN", "one thread")


@pytest.fixture
def synthetic():
    return SyntheticRun().make()


def test_rows_are_what_was_written(synthetic, tmp_path):
    run = read_run(synthetic.write(tmp_path))
    assert len(run.rows) == 7 * (5 + 15 + 15)
    assert run.learned == {"PINN", "Operator"}
    assert [task.role for task in run.tasks] == ["named", "named", "hidden", "out_of_range"] + [
        "named", "hidden", "out_of_range",
    ]  # fmt: skip
    assert run.baselines(PEAK) == ["FEM"]
    assert run.clock == "cpu_seconds"
    row = run.rows_of(run.tasks[0].key, candidate=FEM)[0]
    assert (row.point, row.seed, row.measured.threads) == ({"cells": 4}, 11, 1)
    assert row.error("relative_h1") == pytest.approx(4 * row.error("relative_l2"))


def test_a_torn_last_line_is_left_out(synthetic, tmp_path):
    folder = synthetic.write(tmp_path)
    whole = len(read_run(folder).attempts)
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])
    assert len(read_run(folder).attempts) == whole - 1
    ledger.write_bytes(ledger.read_bytes() + b"\xff\xfe{")
    assert len(read_run(folder).attempts) == whole - 1


def test_a_broken_line_in_the_middle_is_named(synthetic, tmp_path):
    folder = synthetic.write(tmp_path)
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    lines[5] = lines[5][:50]
    (folder / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(OutputError, match="line 6 is damaged"):
        read_run(folder)


def test_folders_that_are_no_run(synthetic, tmp_path):
    with pytest.raises(OutputError, match=r"holds no run of a benchmark: there is no ledger\.jsonl"):
        read_run(tmp_path)
    (tmp_path / "ledger.jsonl").write_text('{"kind": "session"}\n')
    with pytest.raises(OutputError, match="does not start with a header"):
        read_run(tmp_path)
    folder = synthetic.write(tmp_path / "run")
    (folder / "suite.json").write_text('{"format": 99}')
    with pytest.raises(OutputError, match="is not a suite that this version reads"):
        read_run(folder)


@pytest.mark.parametrize(("lost", "finished"), [(1, False), (2, False), (3, True)])
def test_lost_attempts_finish_a_cell_the_third_time(synthetic, tmp_path, lost, finished):
    (line,) = synthetic.attempts(lambda a: a["method"] == "FEM" and a["point"]["cells"] == 8)[:1]
    line.update(reason="worker_lost", result=None)
    for number in range(2, lost + 1):
        synthetic.lines.append(line | {"attempt": number})
    rows = {row.key: row for row in read_run(synthetic.write(tmp_path)).rows}
    assert (line["key"] in rows) == finished
    if finished:
        assert rows[line["key"]].reason == "worker_lost"


def test_a_later_success_replaces_a_failure(synthetic, tmp_path):
    line = synthetic.attempts(lambda a: a["method"] == "FEM")[0]
    good = json.loads(json.dumps(line)) | {"attempt": 2}
    line.update(reason="time", result=None)
    synthetic.lines.append(good)
    run = read_run(synthetic.write(tmp_path))
    row = next(row for row in run.rows if row.key == line["key"])
    assert row.reason is None
    assert sum(attempt.key == line["key"] for attempt in run.attempts) == 2


def test_curves_take_medians_over_seeds_or_repeats(synthetic, tmp_path):
    run = read_run(synthetic.write(tmp_path))
    task = run.tasks[0].key
    learned, classical = curve_of(run, task, PINN), curve_of(run, task, FEM)
    assert [len(point.samples) for point in learned.points] == [5, 5, 5]
    assert sorted(learned.points[0].samples) == [11, 12, 13, 14, 15]
    assert [sorted(point.samples) for point in classical.points] == [[0, 1, 2, 3, 4]] * 5
    assert classical.segments == ((0, 1), (1, 2), (2, 3), (3, 4))
    row = next(row for row in run.rows_of(task, candidate=FEM) if row.point == {"cells": 16})
    assert classical.points[2].cost == pytest.approx(row.measured.cpu_seconds)


def test_errors_below_ten_times_the_truths_count_as_that(tmp_path):
    run = read_run(SyntheticRun(truth_error=1e-4).make().write(tmp_path))
    task = run.tasks[0].key
    assert error_floor(run, task) == pytest.approx(1e-3)
    assert min(point.error for point in curve_of(run, task, FEM).points) == pytest.approx(1e-3)
    assert min(point.error for point in curve_of(run, task, FEM, limited=False).points) < 1e-3


def test_a_failed_point_keeps_its_place_in_the_sweep(synthetic, tmp_path):
    synthetic.fail("memory", lambda a: a["method"] == "FEM" and a["point"]["cells"] == 16)
    run = read_run(synthetic.write(tmp_path))
    curve = curve_of(run, run.tasks[0].key, FEM)
    assert [point.works for point in curve.points] == [True, True, False, True, True]
    assert curve.points[2].error == math.inf


def test_sweeps_over_several_options_have_neighbours_in_each(tmp_path):
    synthetic = SyntheticRun(laws={"FEM": Law(size=1.0, order=2, unit=1e-4, growth=2)})
    synthetic.suite["methods"] = [
        {"name": "FEM", "solver": "fenics", "sweep": {"cells": [8, 4], "degree": [1, 2]}, "space": {}}
    ]
    synthetic.suite["problems"] = synthetic.suite["problems"][:1]
    synthetic.make()
    (first,) = synthetic.attempts()[:1]
    for line in synthetic.attempts():
        line["point"] = dict(line["point"])
    # One line per point of the grid, in place of one per value.
    lines = [first | {"key": f"{c}{d}", "point": {"cells": c, "degree": d}} for c in (4, 8) for d in (1, 2)]
    kept = [
        line for line in synthetic.lines if line["kind"] not in ("attempt", "start") or line.get("stage") == "truth"
    ]
    synthetic.lines = kept + lines
    run = read_run(synthetic.write(tmp_path))
    curve = curve_of(run, first["task"]["key"], FEM)
    names = [point.label for point in curve.points]
    pairs = {(names[i], names[j]) for i, j in curve.segments}
    assert pairs == {
        ("cells = 4, degree = 1", "cells = 8, degree = 1"),
        ("cells = 4, degree = 2", "cells = 8, degree = 2"),
        ("cells = 4, degree = 1", "cells = 4, degree = 2"),
        ("cells = 8, degree = 1", "cells = 8, degree = 2"),
    }
