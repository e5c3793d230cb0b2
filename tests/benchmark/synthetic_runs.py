"""Folders of runs that never ran: a suite, and a ledger whose errors and times follow stated laws."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sciml.benchmark.suite import Suite

PEAK, WAVE = "poisson/peak", "wave/standing"

SUITE: dict[str, Any] = {
    "format": 1,
    "name": "synthetic",
    "title": "Finite elements, multigrid and networks",
    "about": "Runs that never ran: their errors and times follow stated laws.",
    "cpu_hours": 0.5,
    "ranking": True,
    "statistics": {"seeds": [11, 12, 13, 14, 15], "repeats": 5, "hidden": 1, "hidden_seed": 2026},
    "accuracy": {"errors": [1e-1, 1e-2, 1e-3], "cpu_seconds": [0.1, 1.0, 10.0]},
    "tuning": {"trials": 4, "objective": "time", "error": 1e-2, "seed": 7},
    "truth": {"solver": "fenics", "options": {"cells": 1024, "degree": 3}},
    "problems": [
        {
            "name": PEAK,
            "parameters": {"sharpness": [20.0, 100.0]},
            "tuning": [{"sharpness": 50.0}],
            "out_of_range": [{"sharpness": 400.0}],
            "baselines": [{"method": "FEM", "why": "Quadratic elements and multigrid: third order at linear cost."}],
        },
        {
            "name": WAVE,
            "parameters": {},
            "tuning": [{"speed": 1.7}],
            "out_of_range": [{"speed": 8.0}],
            "baselines": [{"method": "FEM", "why": "Implicit steps of second order on a fixed matrix are cheap here."}],
        },
    ],
    "methods": [
        {"name": "FEM", "solver": "fenics", "sweep": {"cells": [4, 8, 16, 32, 64]}, "space": {"degree": [1, 2]}},
        {
            "name": "PINN",
            "solver": "deepxde",
            "sweep": {"adam": [500, 2000, 8000]},
            "space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        },
        {
            "name": "Operator",
            "solver": "surrogate",
            "sweep": {"width": [16, 32, 64]},
            "space": {"depth": [2, 3, 4, 5, 6]},
        },
    ],
}


@dataclass(frozen=True)
class Law:
    """Error and cost at a point of a sweep: error = size · x^−order + floor, cost = base + unit · x^growth."""

    size: float
    order: float
    unit: float
    growth: float
    base: float = 0.001
    floor: float = 0.0
    noise: float = 0.0
    parameters: int = 0
    one_off: float = 0.0


LAWS = {
    "FEM": Law(size=12.0, order=3, unit=6e-5, growth=2, base=0.003),
    "PINN": Law(size=60.0, order=1, unit=4e-3, growth=1, floor=1e-3, noise=0.3, parameters=2000),
    "Operator": Law(
        size=2.0, order=1, unit=1e-5, growth=1, base=8e-4, floor=4e-3, noise=0.15, parameters=40_000, one_off=240.0
    ),
}


def key_of(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def task(problem: str, role: str = "named", member: Any = None, **parameters: float) -> dict[str, Any]:
    said = ", ".join(f"{name} = {value:g}" for name, value in parameters.items())
    label = f"{problem}, {said}" if said else problem
    return {
        "key": key_of(problem, parameters, member),
        "problem": problem,
        "label": f"{label}, member {member[1]}" if member else label,
        "parameters": parameters,
        "member": member,
        "role": role,
    }


TASKS = [
    task(PEAK, sharpness=20.0),
    task(PEAK, sharpness=100.0),
    task(PEAK, "hidden", [2026, 0], sharpness=61.3),
    task(PEAK, "out_of_range", sharpness=400.0),
    task(WAVE, speed=1.0),
    task(WAVE, "hidden", [2026, 0], speed=1.31),
    task(WAVE, "out_of_range", speed=8.0),
]


def hardness(task: dict[str, Any]) -> float:
    """A factor on the error."""
    (value,) = task["parameters"].values()
    return (value / 50) ** 0.5 if task["problem"] == PEAK else value**1.5


@dataclass
class SyntheticRun:
    """A run to be spoilt and written.

    `laws` and `suite` may be changed before lines are made, `lines` after; `write` gives the folder.
    """

    suite: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SUITE))
    laws: dict[str, Law] = field(default_factory=lambda: dict(LAWS))
    tasks: list[dict[str, Any]] = field(default_factory=lambda: copy.deepcopy(TASKS))
    truth_error: float = 1e-6
    truth_kind: str = "fenics"
    truth_options: dict[str, Any] | None = None
    tuning: dict[str, Any] | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)

    def make(self) -> SyntheticRun:
        """The lines of a run in which all went well."""
        model = Suite.model_validate(self.suite)
        self.lines = [
            {"kind": "header", "format": 1, "suite": model.name, "digest": model.digest, "version": "0.1.0"},
            {
                "kind": "session",
                "session": 1,
                "time": "2026-11-20T10:12:00+00:00",
                "machine": {"cpu": "Example CPU @ 2.4 GHz", "cores": 4, "memory": "16 GiB", "platform": "Linux"},
                "rate_gflops": 35.0,
                "scale": 1.4,
                "commit": "0123456789abcdef",
                "versions": {"sciml": "0.1.0", "torch": "2.14.1", "dolfinx": "0.11.0"},
                "jobs": 0,
                "scheduler": None,
                "command": ["benchmark", "synthetic"],
            },
        ]
        for each in self.tasks:
            self.lines += list(self.attempt({"stage": "truth", "task": each, "method": ""}, self.truth(each)))
        for each in self.tasks:
            for method in self.suite["methods"]:
                if model.methods and any(
                    m.name == method["name"] and m.runs_on(each["problem"]) for m in model.methods
                ):
                    self.lines += list(self.cells(each, method))
        self.lines[1]["jobs"] = sum(line["kind"] == "start" for line in self.lines)
        if self.tuning is None:
            self.tuning = {
                method["name"]: self.trials(method, index) for index, method in enumerate(self.suite["methods"])
            }
        return self

    def truth(self, task: dict[str, Any]) -> dict[str, Any]:
        evolves = task["problem"] == WAVE
        trivial = {"zero": {"relative_l2": 1.0, "max_error": 1.0}, "mean": {"relative_l2": 0.8, "max_error": 0.9}}
        return {
            "kind": self.truth_kind,
            "file": f"truths/{task['key']}.h5",
            "error": self.truth_error,
            "error_h1": 10 * self.truth_error,
            "method": "three levels",
            "options": self.truth_options or self.suite["truth"]["options"],
            "cpu_seconds": 12.0,
            "evolves": evolves,
            "dim": 2,
            "elliptic": not evolves,
            "trivial": trivial | ({"persistence": {"relative_l2": 1.3, "max_error": 1.8}} if evolves else {}),
            "norms": {"l2": 1.0, "max": 1.0},
            "quantities": {"energy": 1.2345},
        }

    def cells(self, task: dict[str, Any], method: dict[str, Any]) -> Iterator[dict[str, Any]]:
        law = self.laws[method["name"]]
        seeds = self.suite["statistics"]["seeds"] if law.parameters else self.suite["statistics"]["seeds"][:1]
        for name, values in method["sweep"].items():
            for value in values:
                for seed in seeds:
                    about = {
                        "stage": "test",
                        "task": task,
                        "method": method["name"],
                        "solver": method["solver"],
                        "options": method.get("options", {}) | {name: value},
                        "point": {name: value},
                        "trial": None,
                        "seed": seed,
                        "placement": {
                            "name": "one thread", "device": "cpu", "threads": 1, "processes": 1, "precision": "float64",
                        },
                    }  # fmt: skip
                    yield from self.attempt(about, self.result(task, law, value, seed))

    def result(self, task: dict[str, Any], law: Law, x: float, seed: int) -> dict[str, Any]:
        draw = np.random.default_rng([seed, int(x), int(task["key"][:8], 16)])
        bad = math.exp(law.noise * draw.standard_normal())
        error = (hardness(task) * law.size * x**-law.order + law.floor) * bad
        cost = law.base + law.unit * x**law.growth
        repeats = 1 if law.parameters else self.suite["statistics"]["repeats"]
        costs = [cost * math.exp(0.05 * draw.standard_normal()) for _ in range(repeats)]
        evolves = task["problem"] == WAVE
        t = [0.25, 0.5, 0.75, 1.0]
        return {
            "status": "converged",
            "message": "",
            "errors": {
                "relative_l2": error,
                "relative_h1": None if evolves else 4 * error,
                "max_error": 2 * error,
                "relative_max": 2 * error,
            },
            "fields": {},
            "quantities": {"energy": {"value": 1.2345 * (1 + error), "truth": 1.2345, "relative_error": error}},
            "bands": {"low": 0.6 * error, "middle": 0.7 * error, "high": 3 * error},
            "rollout": {"t": t, "relative_l2": [error * (0.3 + s) for s in t]} if evolves else None,
            "timings": [
                {"setup": 0.2 * c, "train": 0.0, "solve": 0.7 * c, "post": 0.1 * c, "wall": 1.1 * c, "cpu": c}
                for c in costs
            ],
            "warm_up": {"kind": "load" if law.parameters else "solve", "cpu_seconds": 0.5},
            "cpu_seconds": float(np.median(costs)),
            "wall_seconds": 1.1 * float(np.median(costs)),
            "one_off_cpu_seconds": law.one_off,
            "peak_memory": 400 * 2**20,
            "device_memory": None,
            "device": "cpu",
            "device_name": "Example CPU",
            "threads": 1,
            "precision": "float64",
            "tf32": False,
            "iterations": 100,
            "unknowns": None,
            "trainable_parameters": law.parameters,
            "error_estimate": None if law.parameters else {"relative_l2": 1.1 * error},
            "covered": None if law.parameters else True,
            "details": {},
            "versions": {},
        }

    def attempt(self, about: dict[str, Any], result: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kept = {key: value for key, value in about.items() if key not in ("options",)}
        key = key_of(kept["stage"], about["task"]["key"], about["method"], about.get("point"), about.get("seed"))
        yield {"kind": "start", "key": key, "session": 1, "attempt": 1}
        yield {
            "kind": "attempt", "key": key, "session": 1, "attempt": 1, "reason": None, "message": "", "result": result,
            "wall_seconds": 2.0 + result["cpu_seconds"], "cpu_seconds": 1.5 + result["cpu_seconds"],
            "peak_memory": 450 * 2**20, "overhead_seconds": 0.2, "host": "example", **about,
        }  # fmt: skip

    def trials(self, method: dict[str, Any], index: int) -> dict[str, Any]:
        space = method.get("space") or {}
        whole = math.prod(len(values) if isinstance(values, list) else 10**6 for values in space.values())
        count = min(self.suite["tuning"]["trials"], whole) if self.suite.get("tuning") and space else 0
        trials = [{"options": dict.fromkeys(space, k), "score": 0.5 + k} for k in range(count)]
        tuned_on = [key_of("tuning", entry["name"]) for entry in self.suite["problems"]]
        chosen = trials[0]["options"] if trials else {}
        return {"trials": trials, "chosen": chosen, "tasks": tuned_on, "cpu_seconds": 3.0 * count * (1 + 9 * index)}

    # -- spoiling ------------------------------------------------------------------------------------------------

    def attempts(self, choose: Callable[[dict[str, Any]], bool] = lambda line: True) -> list[dict[str, Any]]:
        """Attempts at tests that a function chooses."""
        found = [line for line in self.lines if line["kind"] == "attempt" and line["stage"] == "test"]
        return [line for line in found if choose(line)]

    def fail(self, reason: str, choose: Callable[[dict[str, Any]], bool]) -> int:
        """Let some cells fail; how many."""
        chosen = self.attempts(choose)
        for line in chosen:
            line.update(reason=reason, result=None, message=f"This cell failed: {reason}.")
        return len(chosen)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        (folder / "ledger.jsonl").write_text(text, encoding="utf-8")
        model = Suite.model_validate(self.suite)
        (folder / "suite.json").write_text(json.dumps(model.model_dump(mode="json")), encoding="utf-8")
        if self.tuning:
            (folder / "tuning.json").write_text(json.dumps(self.tuning), encoding="utf-8")
        return folder
