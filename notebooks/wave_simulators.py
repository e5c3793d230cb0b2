# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Wave simulators of convolutions that are compressed before training
#
# A reconstruction from the abstract of M. Boukraichi, N. Akkari, F. Casenave, D. Ryckelynck, arXiv 2304.04964:
# convolutions are put into a compressed form, chains of one-way filters, before any training. This notebook draws
#
# 1. what the formats save in numbers, and what they cost in memory;
# 2. roll-outs of simulators in several formats beside finite elements, with a thin dense network of as many weights as
#    the chain has, trained for the same number of steps;
# 3. simulators that make all frames at once, by convolutions over time and space;
# 4. a coarse stencil with a learned correction beside the explicit solver on coarser and finer grids.
#
# All figures come from the runs in this notebook; one seed each, which is no ranking. Checks with several seeds and
# equal times are in the suite `wave_simulators`.

# %%
import itertools
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from sciml import load_problem, solve
from sciml.datasets import generate, open_dataset
from sciml.nn.compressed import compress
from sciml.surrogates.accounting import account
from sciml.surrogates.wave_cnn import evaluate_waves, train_waves
from sciml.surrogates.wave_cnn.waves import Waves

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
RESOLUTION, SPLIT = (17, (10, 2, 3)) if QUICK else (64, (200, 10, 10))
STEPS, BATCH = (20, 4) if QUICK else (300, 8)
ONE_SHOT, ONE_SHOT_SPLIT, ONE_SHOT_STEPS = (16, (10, 2, 3), 10) if QUICK else (32, (200, 20, 20), 250)
COARSE, COARSE_SPLIT = (17, (8, 2, 2)) if QUICK else (49, (80, 5, 5))
CELLS, TRUTH = ((8, 16, 24), 32) if QUICK else ((32, 48, 64, 96, 144), 240)

# %% [markdown]
# ## What formats save, and what they cost
#
# Five layers from 3 over 16 to 1 channels, kernel 5, on 64 × 64 places in a batch of 8. The chain has fewer numbers
# than the dense network and keeps more maps for the pass back: compression is of weights, not of what training needs.


# %%
def five_layers():
    layers = []
    for a, b in itertools.pairwise((3, 16, 16, 16, 16, 1)):
        layers += [torch.nn.Conv2d(a, b, 5, padding=2, device="meta"), torch.nn.GELU()]
    return torch.nn.Sequential(*layers[:-1])


dense = five_layers()
FORMATS = ("chain", "canonical", "separable", "depthwise", "tucker")
networks = {"dense": dense} | {format: compress(dense, format) for format in FORMATS}
images = torch.empty(8, 3, 64, 64, device="meta")
accounts = {name: account(network, images, timed=False) for name, network in networks.items()}
print(f"{'format':>10} {'numbers':>8} {'bytes':>8} {'multiply-adds':>14} {'kept MB':>8} {'peak MB':>8}")
for name, found in accounts.items():
    memory = f"{found.saved_bytes / 2**20:8.1f} {found.peak_bytes / 2**20:8.1f}"
    print(f"{name:>10} {found.trainable_parameters:8d} {found.checkpoint_bytes:8d} {found.multiply_adds:14d} {memory}")
figure, axis = plt.subplots(figsize=(5, 3.5))
for name, found in accounts.items():
    axis.loglog(found.trainable_parameters, found.saved_bytes / 2**20, "o", label=name)
axis.set(xlabel="numbers", ylabel="kept by a pass forward (2²⁰ bytes)")
axis.legend()
plt.show()

# %% [markdown]
# ## Roll-outs beside finite elements
#
# Members of `wave/membrane` by explicit steps of the reference; simulators make frame after frame from two true ones.

# %%
folder = Path(tempfile.mkdtemp())
family = load_problem("wave/membrane")
generate(family, folder / "waves.h5", split=SPLIT, resolution=RESOLUTION, seed=0, check=0)
dataset = open_dataset(folder / "waves.h5")
shared = {"steps": STEPS, "batch_size": BATCH}
cases = {"chain": {"format": "chain"}, "dense": {"format": "dense"}, "thin dense": {"format": "dense", "width": 10}}
runs, found = {}, {}
for name, options in cases.items():
    runs[name] = train_waves("wave/membrane", folder / "waves.h5", **shared, **options)
    found[name] = evaluate_waves(runs[name], dataset)
    told = f"{runs[name]['trainable_parameters']} numbers, {runs[name]['cpu_seconds']:.1f} CPU seconds"
    print(f"{name}: {told}, error at frame 10 {found[name]['frame_10']:.3g}")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5))
for name, one in found.items():
    left.semilogy(np.arange(1, len(one["error_per_frame"]) + 1), one["error_per_frame"], label=name)
    right.plot(one["trainable_parameters"], one["frame_10"], "o", label=name)
left.set(xlabel="frames after two true ones", ylabel="relative L2 error, test members")
right.set(xlabel="numbers that are trained", ylabel="error at frame 10")
left.legend()
plt.show()

# %%
test = Waves.of(dataset, "test", 1)
first = int(test.quiet_from()[0])
shown = [k for k in (1, 10, 20, 40) if first + k < test.frames.shape[1]]
start = test.frames[:, first - 1], test.frames[:, first]
made = {name: run.roll(test.medium, max(shown), start, first)[0] for name, run in runs.items()}
figure, axes = plt.subplots(1 + len(made), len(shown), figsize=(2.2 * len(shown), 2.1 * (1 + len(made))), squeeze=False)
for column, k in enumerate(shown):
    truth = test.frames[0, first + k]
    size = float(truth.abs().max())
    for row, (name, values) in enumerate({"finite elements": truth, **{n: m[k - 1] for n, m in made.items()}}.items()):
        axes[row, column].imshow(values.T, origin="lower", cmap="RdBu", vmin=-size, vmax=size)
        axes[row, column].set(xticks=[], yticks=[], title=f"{name}, frame {k}")
        axes[row, column].title.set_fontsize(8)
plt.show()

# %% [markdown]
# ## All frames at once
#
# What goes in are speed, sides, and what arrives along straight rays from the source and its images. With kernels of 5
# in three dimensions a chain has an eighth of the numbers of a dense layer between as many channels.

# %%
short = family.fixing(duration=0.96)
generate(short, folder / "short.h5", split=ONE_SHOT_SPLIT, resolution=ONE_SHOT, frames=32, seed=0, check=0)
dataset = open_dataset(folder / "short.h5")
shared = {"simulator": "space_time", "batch_size": 2, "learning_rate": 4e-3, "steps": ONE_SHOT_STEPS}
cases = {"chain": {"format": "chain"}, "dense": {"format": "dense"}, "thin dense": {"format": "dense", "width": 5}}
figure, axis = plt.subplots(figsize=(6, 3.5))
for name, options in cases.items():
    run = train_waves("wave/membrane", folder / "short.h5", **shared, **options)
    unseen = Waves.of(dataset, "test")
    gap = run.roll(unseen.medium, 32) - unseen.frames[:, 1:]
    error = float((gap.flatten(1).norm(dim=1) / unseen.frames[:, 1:].flatten(1).norm(dim=1)).mean())
    told = f"{run['trainable_parameters']} numbers, {run['cpu_seconds']:.1f} CPU seconds"
    print(f"{name}, all at once: {told}, error over all frames {error:.3g}")
    late = (gap.flatten(2).norm(dim=2) / unseen.frames[:, 1:].flatten(2).norm(dim=2).amax(1, keepdim=True)).mean(0)
    axis.plot(np.arange(1, 33), late, label=name)
axis.set(xlabel="frame", ylabel="error over the norm of the largest frame")
axis.legend()
plt.show()

# %% [markdown]
# ## A coarse stencil with a learned correction
#
# The stencil is that of linear elements, which conserves energy; the correction is symmetric, so that the sum does too.
# It stands beside the reference on coarser and finer grids: error over all frames of one unseen member against CPU
# seconds of its solve, what is compiled not counted.

# %%
generate(short, folder / "fine.h5", split=COARSE_SPLIT, resolution=COARSE, frames=32, refine=3, seed=0, check=0)
options = {"simulator": "corrected", "width": 8, "substeps": 4, "steps": STEPS, "batch_size": BATCH}
run = train_waves("wave/membrane", folder / "fine.h5", folder=folder / "run", **options)
member = short.draw(0, 7)
line = np.linspace(0, 1, COARSE)
nodes = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
instants = list(0.03 * np.arange(1, 33))


def reference(cells):
    options = {"cells": cells, "degree": 1, "scheme": "explicit", "snapshots": 33, "measure_error": False}
    solve(member, "fenics", **options)
    begin = time.process_time()
    solution = solve(member, "fenics", **options)
    return solution.evaluate(nodes, instants), time.process_time() - begin


truth, _ = reference(TRUTH)


def error_of(values):
    return float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


curve = [(seconds, error_of(values)) for values, seconds in map(reference, CELLS)]
begin = time.process_time()
solution = solve(member, str(folder / "run"), throw=False)
corrected = time.process_time() - begin, error_of(solution.evaluate(nodes, instants))
for cells, (seconds, error) in zip(CELLS, curve, strict=True):
    print(f"reference, {cells} cells: error {error:.3g}, {seconds:.3g} CPU seconds")
print(f"corrected, {COARSE} nodes: error {corrected[1]:.3g}, {corrected[0]:.3g} CPU seconds")
figure, axis = plt.subplots(figsize=(5, 3.5))
axis.loglog(*zip(*curve, strict=True), "o-", label="explicit linear elements")
axis.loglog(*corrected, "s", label="corrected stencil")
axis.set(xlabel="CPU seconds of a member", ylabel="relative L2 error over all frames")
axis.legend()
plt.show()
