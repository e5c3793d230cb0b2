"""Simulators of waves: their data, roll-outs in three formats at the same cost, and the corrected coarse stencil."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import basix
import numpy as np
import torch

from sciml import load_problem, solve
from sciml.benchmark.measurements._kept import kept_data
from sciml.benchmark.measurements.flux_stencil import FluxStencil, hat_integrals, ricker
from sciml.datasets import generate, open_dataset
from sciml.datasets.request import make_request
from sciml.datasets.solving import solve_chunk
from sciml.problem import Problem
from sciml.solvers.members import solve_members
from sciml.surrogates.wave_cnn import WaveRun, evaluate_waves
from sciml.surrogates.wave_cnn.conditioning import conditioned
from sciml.surrogates.wave_cnn.fitting import WaveFit

_FAMILY = "wave/membrane"
_COARSE = 49


def _file(name: str, **asked: Any) -> Path:
    """A data set that is made once on a machine."""
    path = kept_data() / name
    generate(_FAMILY, path, **asked)
    return path


def wave_data(members: int = 40) -> dict[str, float]:
    """What the data of simulators cost, and how good they are.

    Returns
    -------
    dict
        ``seconds``: CPU seconds of 200 members on 64 × 64 nodes, from some of them after a first one that compiles.
        ``stencil``: relative difference of a member, on 64 cells after 200 steps, to a stencil of fluxes that knows no
        finite elements. ``frames``: that are kept by default.
    """
    request = make_request(_FAMILY, split=(members + 1, 1, 1), resolution=64)
    content, seed = request.as_json(), request.stream("train")
    solve_chunk(content, "train", seed, members, members + 1)
    start = time.process_time()
    rows = solve_chunk(content, "train", seed, 0, members)
    seconds = (time.process_time() - start) / members * 200
    figures = {"seconds": seconds, "frames": float(rows["outputs"].shape[1])}
    return figures | {"stencil": _against_a_stencil()}


def _against_a_stencil(cells: int = 64, steps: int = 200) -> float:
    problem = load_problem(_FAMILY, duration=1.2).draw(3)
    values = problem.parameters.plain()
    place, width = values["place"], values["width"]

    def source(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        away = (x - place[0]) ** 2 + (y - place[1]) ** 2
        return np.exp(-away / (2 * width**2)) / (2 * np.pi * width**2)

    load = hat_integrals(source, cells)
    twin = FluxStencil(*_means_in_triangles(problem, cells), load, ricker(values["frequency"]))
    expected = twin.march(problem.time.end, steps)
    line = np.linspace(0, 1, cells + 1)
    nodes = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    found = solve(problem, scheme="explicit", degree=1, cells=cells, steps=steps, measure_error=False)
    gap = found.evaluate(nodes, problem.time.end).reshape(expected.shape) - expected
    return float(np.linalg.norm(gap) / np.linalg.norm(expected))


def _means_in_triangles(problem: Problem, n: int) -> list[np.ndarray]:
    """Means of c² in the lower and upper triangles of cut squares, as the reference sees it.

    That is: the smooth medium by quadratic polynomials, the jump as it is, and a rule of degree 6.
    """
    fine = np.arange(2 * n + 1) / (2 * n)
    nodes = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1)
    medium = problem.realisation("medium")(nodes.reshape(-1, 2)).reshape(2 * n + 1, 2 * n + 1)
    points, weights = basix.make_quadrature(basix.CellType.triangle, 6)
    r, s = points.T
    t = 1 - r - s
    values, corner, found = problem.parameters.plain(), np.arange(n), []
    for second, third in (((1, 0), (1, 1)), ((0, 1), (1, 1))):
        # Barycentric coordinates t, r, s belong to the corner (0, 0) and the two named.
        corners = [np.array(c) for c in ((0, 0), second, third)]
        local = np.stack([r * second[k] + s * third[k] for k in range(2)], axis=1)
        x = (corner[:, None, None, None] * np.array([1, 0]) + corner[:, None, None] * np.array([0, 1]) + local) / n
        shapes = [(t, t), (r, r), (s, s), (t, r), (r, s), (t, s)]
        pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)]
        smooth = np.zeros((n, n, len(weights)))
        for (a, b), (i, j) in zip(shapes, pairs):
            basis = a * (2 * a - 1) if i == j else 4 * a * b
            at = corners[i] + corners[j]
            own = medium[2 * corner[:, None] + at[0], 2 * corner[None] + at[1]]
            smooth += own[..., None] * basis
        across = (x[..., 0] - 0.5) * np.cos(values["angle"]) + (x[..., 1] - 0.5) * np.sin(values["angle"])
        speed = smooth * np.where(across < values["offset"], 1.0, values["contrast"])
        found.append((speed**2 * weights).sum(-1) / weights.sum())
    return found


def wave_rollouts(seed: int = 0, steps: int = 300) -> dict[str, float]:
    """Simulators with chains, dense convolutions, and thin dense ones of as many weights, trained equally long.

    Parameters
    ----------
    seed : int
        Of weights, windows and noise.
    steps : int
        Of the chain's training; the others make as many as take the same time, by a comparison side by side.

    Returns
    -------
    dict
        For each of ``chain``, ``dense``, ``thin``: ``NAME_frame_K``, mean relative L2 error of 44 unseen members K
        frames after two true ones; ``NAME_first_over``, the first frame over 20 %; ``NAME_energy``, the largest factor
        of the energy; ``NAME_from_start``, the error of the last frame from the start; ``NAME_parameters``,
        ``NAME_bytes``; ``NAME_steps``, ``NAME_seconds`` of the training; ``NAME_frame_seconds``, CPU seconds of a
        frame of a member. ``chain_over_dense_frame_10``, ``thin_over_chain_frame_10``; ``parameters_ratio`` and
        ``bytes_ratio`` of chain and dense.
    """
    path = _file("wave_membrane_64.h5", count=220, resolution=64)
    chain: dict[str, Any] = {"format": "chain"}
    wanted = _parameters(path, chain)
    width = max(w for w in range(2, 17) if _parameters(path, {"format": "dense", "width": w}) <= wanted)
    cases = {"chain": chain, "dense": {"format": "dense"}, "thin": {"format": "dense", "width": width}}
    figures: dict[str, float] = {}
    seconds = _step_seconds(path, cases)
    for name, options in cases.items():
        share = seconds["chain"] / seconds[name]
        run = WaveFit(_FAMILY, path, options | {"steps": max(1, round(steps * share))}, seed=seed).run()
        found = _evaluated(run, path)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    figures["chain_over_dense_frame_10"] = figures["chain_frame_10"] / figures["dense_frame_10"]
    figures["thin_over_chain_frame_10"] = figures["thin_frame_10"] / figures["chain_frame_10"]
    for what in ("parameters", "bytes"):
        figures[f"{what}_ratio"] = figures[f"chain_{what}"] / figures[f"dense_{what}"]
    return figures


def _parameters(path: Path, options: dict[str, Any]) -> int:
    return WaveFit(_FAMILY, path, options | {"samples": 2}).training.simulator.trainable_parameters


def _step_seconds(path: Path, cases: dict[str, dict[str, Any]], rounds: int = 6) -> dict[str, float]:
    """Mean CPU seconds of a step of each, weighted by the numbers of frames as in a training, in turns.

    Means, since what is bound by memory suffers more from what else runs on a machine than its fastest step shows.
    """
    trainings = {name: WaveFit(_FAMILY, path, options | {"samples": 8}).training for name, options in cases.items()}
    seconds = dict.fromkeys(cases, 0.0)
    for number in range(rounds + 1):
        for share, unroll in ((0.4, 1), (0.35, 2), (0.25, 4)):
            for name, training in trainings.items():
                start = time.thread_time()
                training.loss(number, unroll).backward()
                # The first round warms up.
                seconds[name] += share * (time.thread_time() - start) * (number > 0)
    return {name: total / rounds for name, total in seconds.items()}


def _evaluated(run: WaveRun, path: Path) -> dict[str, float]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder))
        found = evaluate_waves(run, open_dataset(path), "test", folder=Path(folder))
    frames = len(found["error_per_frame"]) + len(found["from_start"])
    shown = {key: float(value) for key, value in found.items() if key.startswith("frame_")}
    return shown | {
        "first_over": float(found["first_frame_over_20_percent"]),
        "energy": found["energy_ratio"],
        "from_start": found["from_start_last"],
        "parameters": float(found["trainable_parameters"]),
        "bytes": float(found["checkpoint_bytes"]),
        "steps": float(run["options"]["steps"]),
        "seconds": float(run["cpu_seconds"]),
        "frame_seconds": found["evaluation_cpu_seconds"] / (found["samples"] * frames),
    }


def corrected_coarse(seed: int = 0, steps: int = 300, members: int = 6) -> dict[str, float]:
    """Error against cost: linear elements on coarser and finer grids, and a corrected stencil on a coarse one.

    The simulator is trained on 49 × 49 nodes of members solved on three times as many cells; all are held against 240
    cells, on members that nothing was trained on, over all frames from rest. What a member costs is the time of its
    solve, with all that is read off its declaration; training and what members share are not counted, but said.

    Returns
    -------
    dict
        ``cells_N_error``, ``cells_N_seconds`` of the reference; ``plain_error``, ``plain_seconds`` of the stencil
        without correction in the same code; ``corrected_error``, ``corrected_seconds``, ``training_seconds``;
        ``reference_error_at_cost`` and ``advantage``: the reference's error at the same cost, by a straight line in
        logarithms, and how many times larger it is.
    """
    path = _file("wave_membrane_49.h5", count=110, resolution=_COARSE, refine=3, check=0)
    options = {"simulator": "corrected", "width": 8, "substeps": 4, "steps": steps}
    run = WaveFit(_FAMILY, path, options, seed=seed).run()
    family, times = open_dataset(path).problem, None
    assert family.time is not None
    times = family.time.start + run["step"] * np.arange(1, run["frames"] + 1)
    line = np.linspace(0, 1, _COARSE)
    nodes = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    truth = np.array(_reference(family, 240, nodes, times, members)[0])
    figures: dict[str, float] = {"training_seconds": float(run["cpu_seconds"])}
    curve = []
    for cells in (32, 48, 64, 96, 144):
        values, seconds = _reference(family, cells, nodes, times, members)
        error = _mean_error(np.array(values), truth)
        figures |= {f"cells_{cells}_error": error, f"cells_{cells}_seconds": seconds}
        curve.append((seconds, error))
    figures["corrected_error"], figures["corrected_seconds"] = _of_a_simulator(run, family, times, truth, members)
    with torch.no_grad():
        run.simulator.stiffness.last.factors[0].zero_()
        run.simulator.stiffness.last.bias.zero_()
    figures["plain_error"], figures["plain_seconds"] = _of_a_simulator(run, family, times, truth, members)
    cost, error = np.log(np.array(curve)).T
    figures["reference_error_at_cost"] = float(np.exp(np.interp(np.log(figures["corrected_seconds"]), cost, error)))
    figures["advantage"] = figures["reference_error_at_cost"] / figures["corrected_error"]
    return figures


def _reference(
    family: Problem, cells: int, nodes: np.ndarray, times: np.ndarray, members: int
) -> tuple[list[np.ndarray], float]:
    """Frames of members, and the CPU seconds of one after the first, which compiles."""
    options = {"cells": cells, "degree": 1, "scheme": "explicit", "snapshots": len(times) + 1}
    values, seconds = [], []
    start = time.process_time()
    for solution in solve_members(family, members + 1, seed=0, **options):
        seconds.append(time.process_time() - start)
        values.append(solution.evaluate(nodes, list(times)))
        start = time.process_time()
    return values[1:], float(np.mean(seconds[1:]))


def _of_a_simulator(
    run: WaveRun, family: Problem, times: np.ndarray, truth: np.ndarray, members: int
) -> tuple[float, float]:
    made, seconds = [], []
    for index in range(members + 1):
        start = time.process_time()
        medium = conditioned(family.draw(index, 0), run["grid"], times)
        made.append(run.roll(medium, len(times))[0].double().numpy().reshape(len(times), -1))
        seconds.append(time.process_time() - start)
    return _mean_error(np.array(made[1:]), truth), float(np.mean(seconds[1:]))


def _mean_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over members of the relative L2 difference over all frames."""
    gap, size = (np.linalg.norm(values.reshape(len(values), -1), axis=1) for values in (found - truth, truth))
    return float((gap / size).mean())
