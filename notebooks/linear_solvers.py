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
# # Linear solvers, learned and not
#
# A pressure equation on a grid with obstacles, and who solves it:
#
# 1. the residual over the iterations, of deep conjugate directions and of solvers that learn nothing;
# 2. what a network does to each eigenvector of the matrix, before any Krylov method;
# 3. how iterations grow with the grid, in a box and with obstacles that the network has never seen.
#
# Method: A. Kaneda et al., *A deep conjugate direction method for iteratively solving linear systems*, ICML 2023.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from sciml.linear import linear_solver, poisson, solve

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
CELLS = 32 if QUICK else 64
SIZES = (24, 32) if QUICK else (32, 64, 128, 256)
SOLVERS = ("cg", "icc", "dcdm", "gamg", "gmg")

# %% [markdown]
# ## Histories of the residual
#
# All of them begin at x = 0, and stop by the true residual. Iterations say little about seconds: one application of the
# network costs as much as a hundred products with the matrix.

# %%
systems = {"box": poisson((CELLS, CELLS), walls="closed"), "obstacles": poisson((CELLS, CELLS), obstacles=7, seed=3)}
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
axes[0].imshow(systems["obstacles"].grid.labels.T, origin="lower", cmap="viridis")
axes[0].set_title("solid, fluid, held")
axes[0].set_axis_off()
for axis, (name, system) in zip(axes[1:], systems.items(), strict=True):
    for solver in SOLVERS:
        found = solve(system, solver, tolerance=1e-8)
        seconds = found.setup_cpu_seconds + found.solve_cpu_seconds
        print(f"{name}, {solver}: {found.iterations} iterations, {1e3 * seconds:.1f} CPU ms, {found.residual:.1e}")
        axis.loglog(np.arange(len(found.history)) + 1, found.history, label=solver)
    axis.set(title=name, xlabel="iteration + 1", ylabel="relative residual")
axes[2].legend()
plt.show()

# %% [markdown]
# ## What is left of each eigenvector
#
# A preconditioner B with B A = 1 leaves nothing. For eigenvectors v with A v = λ v the picture shows
# ‖v − α A B v‖ with the best α, which is what the loss of the training asks for. Conjugate gradients need all of it;
# the
# network, like multigrid, deals with the low end of the spectrum, where conjugate gradients are slow.

# %%
small = poisson((32, 32) if not QUICK else (16, 16), walls="closed")
values, vectors = np.linalg.eigh(small.matrix.toarray())
figure, axis = plt.subplots(figsize=(6, 3.6))
for solver in ("cg", "icc", "dcdm", "gmg"):
    prepared = linear_solver(solver).setup(small)
    left = []
    for v in vectors.T[:: max(1, len(values) // 200)]:
        Aq = small.apply(prepared.apply(v))
        left.append(np.linalg.norm(v - (v @ Aq) / (Aq @ Aq) * Aq))
    axis.loglog(values[:: max(1, len(values) // 200)], np.maximum(left, 1e-6), ".", ms=3, label=solver)
axis.set(xlabel="eigenvalue", ylabel="share that is left")
axis.legend()
plt.show()

# %% [markdown]
# ## Larger grids, new obstacles
#
# The network was trained in a box of 64² cells. Dashed: with seven obstacles. Where it stagnates, conjugate gradients
# take
# over, so that it is never much worse than these.

# %%
figure, axis = plt.subplots(figsize=(6, 3.6))
for k, solver in enumerate(("cg", "dcdm", "gmg")):
    for obstacles, line in ((0, "-"), (7, "--")):
        counts = []
        for n in SIZES:
            found = solve(poisson((n, n), obstacles=obstacles, walls="closed", seed=3), solver)
            counts.append(found.iterations)
            print(f"{solver}, {n}², {obstacles} obstacles: {found.iterations} iterations. {found.status}")
        axis.loglog(SIZES, counts, line, marker="o", color=f"C{k}", label=solver if not obstacles else None)
axis.set(xlabel="cells along an axis", ylabel="iterations to 1e-6")
axis.legend()
plt.show()
