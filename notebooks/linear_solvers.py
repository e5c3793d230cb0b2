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
# 3. how iterations grow with the grid, in a box and with obstacles that the networks have never seen;
# 4. what the smoother of learned multigrid has learned, where the strong direction lies beside an axis.
#
# Deep conjugate directions: A. Kaneda et al., *A deep conjugate direction method for iteratively solving linear
# systems*, ICML 2023. Learned multigrid is a cycle of this package, described in `docs/learned_multigrid.md`.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from sciml.linear import diffusion, linear_solver, poisson, solve
from sciml.linear.learned import Hierarchy, Layout, load_cycle_network, stencil_of

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
CELLS = 32 if QUICK else 64
SIZES = (24, 32) if QUICK else (32, 64, 128, 256)
SOLVERS = ("cg", "icc", "dcdm", "gamg", "gmg", "learned_mg")

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
figure.legend(*axes[2].get_legend_handles_labels(), loc="outside right upper")
plt.show()

# %% [markdown]
# ## What is left of each eigenvector
#
# A preconditioner B with B A = 1 leaves nothing. For eigenvectors v with A v = λ v the picture shows ‖v − α A B v‖
# with the best α, which is what the loss of deep conjugate directions asks for. Plain conjugate gradients are not in
# it: one step along a single eigenvector leaves nothing, mixtures are what they are slow on. Networks and cycles
# leave little of long waves, at low eigenvalues, where a factorisation leaves most; of the longest wave the network
# leaves all.

# %%
small = poisson((40, 40) if not QUICK else (16, 16), walls="closed")
values, vectors = np.linalg.eigh(small.matrix.toarray())
figure, axis = plt.subplots(figsize=(6, 3.6))
for solver in ("icc", "dcdm", "gmg", "learned_mg"):
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
# The network of directions was trained in a box of 64² cells. Dashed: with seven obstacles. Where it stagnates,
# conjugate gradients take over, so that it is never much worse than these. Cycles see all lengths.

# %%
figure, axis = plt.subplots(figsize=(6, 3.6))
for k, solver in enumerate(("cg", "dcdm", "gmg", "learned_mg")):
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

# %% [markdown]
# ## What the smoother has learned
#
# Diffusion a thousand times as strong along 10° as across. One sweep of the smoother should take what the coarser grid
# cannot see: waves that are short along an axis that is halved. The picture shows what one sweep leaves of the energy
# norm of the wave sin(p π x) sin(q π y), without the network and with it, and the entries of the factor T in the middle
# of the grid. Waves that vary across the strong direction alone have next to no energy; no smoother sees these, and
# interpolation has to.

# %%
CUT = 28 if QUICK else 64
turned = diffusion((CUT, CUT), anisotropy=1000, angle=10)
layout = Layout(turned.grid.shape)
stencil = stencil_of(turned.grid, layout, torch.float64, "cpu")
numbers = np.arange(1, CUT + 1, 2 if QUICK else 3)
places = np.pi * (np.arange(CUT) + 1) / (CUT + 1)
waves = {p: np.sin(p * places) for p in numbers}
networks = {"untrained": None, "trained": load_cycle_network("learned_mg_2d")}
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8))
for axis, (name, network) in zip(axes, networks.items(), strict=False):
    with torch.no_grad():
        level = Hierarchy(stencil, layout, network).levels[0]
        image = np.zeros((len(numbers), len(numbers)))
        for i, p in enumerate(numbers):
            fields = np.stack([np.outer(waves[p], waves[q]) for q in numbers])
            e = layout.pack(torch.as_tensor(fields)) * level.rise
            left = e - torch.stack([level.smooth(level.multiply(own)) for own in e])
            sizes = [torch.stack([own @ level.multiply(own) for own in found]) for found in (left, e)]
            image[i] = (sizes[0] / sizes[1]).sqrt().numpy()
    shown = axis.imshow(image.T, origin="lower", vmin=0, vmax=1, extent=[1, CUT, 1, CUT], cmap="magma")
    axis.set(title=f"{name}: left after one sweep", xlabel="half waves along x", ylabel="along y")
    upper = image[numbers > CUT / 2]
    print(f"{name}: of waves short along x, one sweep leaves {upper.mean():.2f} on average, {upper.max():.2f} at most")
    middle = layout.unpack(level.lower)[:, CUT // 2, CUT // 2] / layout.unpack(level.diagonal)[CUT // 2, CUT // 2]
    names = [str(offset) for offset in layout.offsets[: layout.centre]]
    axes[2].plot(names, middle.numpy(), "o-", label=name)
figure.colorbar(shown, ax=axes[:2])
axes[2].set(title="entries of T over its diagonal", xlabel="neighbour")
axes[2].legend()
plt.show()
for name in ("untrained", "learned_mg_2d"):
    found = solve(turned, "learned_mg", network=name, tolerance=1e-8)
    print(f"{name}: {found.iterations} iterations to 1e-8")
