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
# # Two scales: a cell is trained into a law
#
# The material of Cook's membrane is a periodic cell with one stiff disc. FE² solves the cell at every quadrature point.
# This notebook solves the cell for some strains, takes modes from these snapshots, trains a network for their
# coefficients, and lets it take the cell's place:
#
# 1. the singular values of the snapshots;
# 2. stresses in a cell: finite elements, the trained cell, and the difference;
# 3. the membrane by FE² and with the trained cell, with the indicator that needs no truth, and what both cost.
#
# All figures come from the runs in this notebook. Method: H. Eivazi et al., *EquiNO: A Physics-Informed Neural Operator
# for Multiscale Simulations*, arXiv 2504.07976.

# %%
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.tri import Triangulation

import sciml
from sciml.datasets import generate_cell
from sciml.surrogates.equino import evaluate_cell, train_cell

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
SNAPSHOTS, MODES = (20, 6) if QUICK else (100, 16)
BUDGET = {"warm_steps": 50, "physics_steps": 50} if QUICK else {}

# %% [markdown]
# ## Snapshots and their modes

# %%
folder = Path(tempfile.mkdtemp())
generate_cell(sciml.load_problem("rve/disc"), folder / "rve.h5", count=SNAPSHOTS, seed=0)
run = train_cell("rve/disc", folder / "rve.h5", modes=MODES, folder=folder / "run", **BUDGET)
fig, axis = plt.subplots(figsize=(6, 3.5))
for name, values in run["singular_values"].items():
    axis.semilogy(np.array(values) / values[0], ".-", label=name)
axis.axvline(MODES - 0.5, color="0.6", linestyle=":")
axis.set(xlabel="number of the mode", ylabel="singular value over the largest")
axis.legend()
plt.show()

# %% [markdown]
# ## Errors on fresh strains, and stresses in one cell

# %%
errors = evaluate_cell(run, count=20 if QUICK else 100)
print(
    f"mean stress {errors['homogenised']:.2%}, its shear {errors['shear']:.2%}, tangent {errors['tangent']:.2%}, "
    f"local stress {errors['local']:.2%} after {errors['cpu_seconds']:.0f} CPU seconds"
)
cell = sciml.load_problem("rve/disc").model()
strain = np.array([[0.015, -0.01, 0.03]])
truth, said = cell.solve(strain), run.law.fields(strain)
corners = cell.mesh.points
triangles = Triangulation(corners[:, 0], corners[:, 1], cell.mesh.cells[:, :3])


def element_means(stress):
    """Shear stress of each element, from its quadrature points."""
    weights = cell.weights.reshape(len(triangles.triangles), -1)
    return (weights * stress[0, :, 2].reshape(weights.shape)).sum(1) / weights.sum(1)


maps = {"finite elements": element_means(truth.local_stress), "trained cell": element_means(said.stress)}
maps["difference"] = maps["trained cell"] - maps["finite elements"]
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6))
for axis, (name, values) in zip(axes, maps.items(), strict=True):
    size = np.abs(values).max()
    style = {"cmap": "RdBu_r", "vmin": -size, "vmax": size} if name == "difference" else {"cmap": "viridis"}
    drawn = axis.tripcolor(triangles, facecolors=values, **style)
    fig.colorbar(drawn, ax=axis, shrink=0.8, label="MPa")
    axis.set(aspect="equal", title=f"shear stress, {name}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Cook's membrane: FE² against the trained cell
#
# One thread, every point in one batch. The factor is for this mesh and this cell: it grows with the cell's unknowns.

# %%
solutions, seconds = {}, {}
for label, micro in {"FE²": "fe", "trained cell": str(folder / "run")}.items():
    start = time.process_time()
    solutions[label] = sciml.solve("solid/cook_two_scale", "fe2", micro=micro)
    seconds[label] = time.process_time() - start
tips = {label: solution.evaluate(np.array([[48.0, 60.0]]))[0, 1] for label, solution in solutions.items()}
for label, solution in solutions.items():
    details = solution.details
    print(
        f"{label}: tip {tips[label]:.5f} mm, Newton iterations {details['newton_iterations']}, "
        f"{details['points']} points, {seconds[label]:.2f} CPU seconds, "
        f"of these cells {details['micro_cpu_seconds']:.3f}"
    )
print(f"tip differs by {abs(tips['trained cell'] / tips['FE²'] - 1):.2%}")
print(f"factor of the whole membrane {seconds['FE²'] / seconds['trained cell']:.0f}")

# %% [markdown]
# Where the displacement's branch and the branch of stresses contradict each other, the trained cell is less to be
# trusted; this needs no truth. Beside it the true error of the mean stress at the same points, from FE².

# %%
learned = solutions["trained cell"]
strains = learned.history["strain"]
stress = cell.solve(strains).stress
true_error = np.linalg.norm(learned.history["stress"] - stress, axis=1) / np.linalg.norm(stress, axis=1)
fig, axis = plt.subplots(figsize=(6, 3.8))
axis.loglog(learned.history["trust_mismatch"], true_error, ".")
axis.set(xlabel="mismatch of the two branches", ylabel="relative error of the mean stress")
axis.grid(alpha=0.3)
plt.show()
print(f"largest mismatch {learned.details['trust']['mismatch']['largest']:.2%}")
