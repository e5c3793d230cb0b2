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
# # High frequencies with a Gaussian process
#
# A prior whose spectrum has its mass where the load has needs few functions for many waves. This notebook draws, for a
# sum of three waves, for a hundred waves under a cubic reaction, and for beats in the plane,
#
# 1. the solution, its error, and the error bar that comes with it;
# 2. the spectrum of the load, and the frequencies that the solver took from it;
# 3. the error against the number of points, beside Chebyshev collocation, and the residual between the points, which
#    tells the error without knowing the truth.
#
# All curves come from the runs in this notebook. Model: S. Fang et al., *Solving High Frequency and Multi-Scale PDEs
# with Gaussian Processes*, ICLR 2024, arXiv 2311.04465. The estimator is another one: `docs/gp.md` says how it differs.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

import sciml
from sciml.errors import ScimlError
from sciml.forms import strong_residual
from sciml.solution import ExactField

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
POINTS = (220, 300) if QUICK else (210, 220, 240, 260, 300, 340, 380, 420, 460)  # on an interval
PLANE = (60, 100) if QUICK else (48, 56, 64, 80, 100, 140, 200)  # along each axis of the square

# %% [markdown]
# ## Solutions and error bars
#
# The band is 1.96 standard deviations of the posterior, whose noise is what the equation misses between the points.

# %%
NAMES = ("multiscale/three_scales", "allen_cahn/sine")
fig, axes = plt.subplots(2, len(NAMES), figsize=(11, 5.5), sharex="col")
for (top, bottom), name in zip(axes.T, NAMES, strict=True):
    problem = sciml.load_problem(name)
    solution = sciml.solve(problem, "gp")
    x = np.linspace(problem.domain.lower[0], problem.domain.upper[0], 2001)
    mean, exact = solution.evaluate(x[:, None]), ExactField(problem).evaluate(x[:, None])
    band = 1.96 * solution.field.standard_deviation(x[:, None])
    top.plot(x, mean, lw=0.8)
    top.set(title=f"{name}: {solution.details['points'][0]} points")
    bottom.semilogy(x, np.abs(mean - exact) + 1e-18, lw=0.6, label="error")
    bottom.semilogy(x, band, lw=0.8, label="95 % band")
    bottom.set(xlabel="x")
    bottom.legend(loc="lower right")
    print(f"{name}: relative L2 error {solution.error().relative_l2:.1e}, measured by itself "
          f"{solution.error_estimate.relative_l2:.1e}, {solution.cpu_seconds:.2f} CPU s")  # fmt: skip
plt.show()

# %% [markdown]
# ## The spectrum that was found
#
# Bars are the amplitudes of the load's waves, marks the frequencies of the prior. The wave with the smallest amplitude
# in the solution is the largest in the load.

# %%
problem = sciml.load_problem("multiscale/three_scales")
solution = sciml.solve(problem, "gp")
length = problem.domain.upper[0] - problem.domain.lower[0]
x = problem.domain.lower[0] + length * np.arange(4096) / 4096
load = strong_residual(problem).at(x[:, None]).ravel()
amplitude = 2 * np.abs(np.fft.rfft(load)) / len(x)
frequency = np.arange(len(amplitude)) / length
fig, ax = plt.subplots(figsize=(7, 3.2))
shown = frequency < 20
ax.vlines(frequency[shown], 1e-4, np.maximum(amplitude[shown], 1e-4), lw=2, label="load")
found = np.array(solution.details["frequencies"][0])
ax.plot(found, np.full(len(found), 3e-4), "^", color="#D55E00", label="frequencies of the prior")
ax.set(yscale="log", xlabel="cycles per length", ylabel="amplitude", ylim=(1e-4, 2e4))
ax.legend(loc="upper left")
print("waves of the load:", ", ".join(f"{k / (2 * np.pi):.3f}" for k in (1, 20, 100)))
print("frequencies of the prior:", ", ".join(f"{f:.3f}" for f in found), f"({solution.details['frequencies_from']})")
plt.show()

# %% [markdown]
# ## The error against the size of the grid
#
# Two points for each wave are needed at the very least; a smaller grid is refused, since on it the load looks like
# another one.


# %%
def swept(name, solver, option, sizes):
    """Size, error, CPU seconds and residual between the points, where the solver takes the size."""
    rows = []
    for size in sizes:
        start = time.process_time()
        try:
            solution = sciml.solve(name, solver, throw=False, measure_error=False, **{option: size})
        except ScimlError as error:
            print(f"{solver} with {size} points along each axis: {error}")
            continue
        seconds = time.process_time() - start
        rows.append((size, solution.error().relative_l2, seconds, solution.details.get("off_grid_residual", np.nan)))
    return np.array(rows)


CASES = (("multiscale/sine", (150, *POINTS)), ("multiscale/sum_of_products", PLANE))
fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
for ax, (name, sizes) in zip(axes, CASES, strict=True):
    own = swept(name, "gp", "points_per_axis", sizes)
    other = swept(name, "chebyshev", "nodes", sizes)
    ax.semilogy(own[:, 0], own[:, 1], "o-", color="#0072B2", label="Gaussian process")
    ax.semilogy(own[:, 0], own[:, 3], ":", color="#0072B2", label="its residual between the points")
    ax.semilogy(other[:, 0], other[:, 1], "s-", color="#009E73", label="Chebyshev collocation")
    ax.set(title=name, xlabel="points along each axis", ylabel="relative L2 error")
    ax.legend()
    for label, rows in (("gp", own), ("chebyshev", other)):
        print(f"{name}, {label}: " + ", ".join(f"{int(n)}: {e:.1e} in {s:.2f} CPU s" for n, e, s, _ in rows))
plt.show()
