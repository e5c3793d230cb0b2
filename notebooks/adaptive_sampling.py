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
# # Where should a network look? Sampling against an adversary
#
# A physics-informed network makes the residual of an equation small *at points*. Where the solution has a narrow
# peak, evenly spread points hardly meet it: the network may fit all of them and still miss the peak. This notebook
# draws what `sampler=aas` of the solver `pinn` does about it, and holds it against three other ways to choose points:
#
# 1. where the points and the density they are drawn from go, for one peak and for two;
# 2. the error against steps and against CPU time, for evenly spread points, RAR, RAD and the adversary;
# 3. how the residual flattens along a line through the peak.
#
# All curves come from the runs in this notebook. `make notebooks` runs it anew.
#
# **The game.** Let $r(x; \theta)$ be the residual of the network with the weights $\theta$. The weights make a
# weighted mean of $r^2$ small, and an adversary chooses the weight, a probability density $p$ on the domain $\Omega$:
#
# $$\min_\theta \max_p \int_\Omega r^2 p \,dx \;-\; \beta \int_\Omega |\nabla p|^2 \,dx, \qquad
# p \ge 0,\quad \int_\Omega p \,dx = 1 .$$
#
# Without the second integral $p$ would shrink to the worst point. With it, $p$ is a smoothed picture of $r^2$,
# uniform when $r^2$ is constant. So there is a reason to stop: once the residual is equally large everywhere, the
# adversary has nothing left to point at. $p$ is a normalising flow on the box, which can be both evaluated and drawn
# from.
#
# Source of the method: K. Tang, J. Zhai, X. Wan, C. Yang, *Adversarial adaptive sampling*, ICLR 2024, arXiv
# 2305.18702. The optimiser here is not that of the paper (Gauss–Newton in place of Adam), and points are added
# instead of replaced, half of them evenly spread. `docs/pinn.md` says what else differs.

# %%
import os
import platform
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LogNorm

import sciml
from sciml.benchmark.machine import cpu_model
from sciml.sampling import ORIGINS
from sciml.solution import ExactField, NetworkField
from sciml.solvers.pinn import PinnOptions
from sciml.solvers.pinn.training import PinnTraining

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "axes.grid": False, "font.size": 10}

# %% [markdown]
# ## Sizes
#
# Everything that costs time is here; the tests run the notebook with the small values. All methods share the network,
# its first layer, the optimiser and the budget of points. CPU seconds are those of one thread of the machine that is
# printed.

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
SEED = 0
MAP_STEPS = 8 if QUICK else 40  # steps before the points of the first figure are drawn
SECONDS = 4.0 if QUICK else 35.0  # of CPU for each sampler
MEASURE_EVERY = 2 if QUICK else 5  # steps between two looks at the error
PROFILES = (0, 4, 12) if QUICK else (0, 10, 30, 60, 100, 150)  # steps at which the third figure looks
SIZES = {
    "width": 10 if QUICK else 20,
    "depth": 2,
    "points": 300 if QUICK else 1000,
    "add": 100 if QUICK else 300,
    "budget": 800 if QUICK else 4000,
    "every": 4 if QUICK else 10,
    "candidates": 4000 if QUICK else 20_000,
}
PER_AXIS = 101 if QUICK else 201  # of the maps

print(f"{cpu_model()}, {os.cpu_count()} cores, one thread used; Python {platform.python_version()}, ", end="")
print(f"torch {torch.__version__}, {'quick' if QUICK else 'full'} sizes")
print(", ".join(f"{name}={value}" for name, value in SIZES.items()))

# %% [markdown]
# ## 1. Where points go
#
# The solution is $e^{-1000\,|x - c|^2}$ on $(-1, 1)^2$, once with the centre $c = (½, ½)$ and once with a second peak
# at $(-½, -½)$. Training begins by placing the bends of the first layer and letting the flow work for some steps, at
# the residual of the untrained network (left). The density that it finds (middle) is 1 where it is as large as the
# uniform one. On the right are the points after some steps of Gauss–Newton.


# %%
def begin(problem, sampler):
    """A training that has its first points and has made no step."""
    options = PinnOptions(sampler=sampler, steps=10**6, **SIZES)
    return PinnTraining(problem, options, seed=SEED, device="cpu")


def advance(training):
    """One step; whether another one makes sense."""
    report = training.step()
    training.course.record(report.loss)
    return report.ended is None


def residual(training, points):
    """|r| at points, in multiples of its typical size."""
    return np.sqrt(training.collocation.squared(training.theta, points))


axis = np.linspace(-1, 1, PER_AXIS)
grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def near(points, centre, radius=0.1):
    """Which points lie within a radius."""
    return np.linalg.norm(points - np.asarray(centre), axis=1) < radius


maps = {}
for name in ("poisson/peak", "poisson/two_peaks"):
    problem = sciml.load_problem(name)
    training = begin(problem, "aas")
    before = residual(training, grid), training.sampler.adversary.relative_density(grid)
    for _ in range(MAP_STEPS):
        advance(training)
    maps[name] = (*before, training.points)

# %%
figure, rows = plt.subplots(2, 3, figsize=(12, 7.4), sharex=True, sharey=True)
for (size, density, points), row in zip(maps.values(), rows, strict=True):
    for panel, values, colours in zip(row[:2], (size, density), ("magma", "viridis"), strict=True):
        lowest = max(values.min(), 1e-4 * values.max())
        image = panel.pcolormesh(
            axis,
            axis,
            values.reshape(PER_AXIS, -1).T,
            cmap=colours,
            norm=LogNorm(lowest, values.max()),
            rasterized=True,
        )
        figure.colorbar(image, ax=panel, shrink=0.9)
    for origin, colour in (("uniform", "#9a9a9a"), ("adaptive", "#D55E00")):
        some = points.points[points.has(origin)]
        row[2].plot(*some.T, ".", ms=2.5, color=colour, label=f"{len(some)} {origin}")
    row[2].legend(loc="lower right", markerscale=4, framealpha=0.95)
    row[0].set_ylabel("$x_2$")
    for panel in row:
        panel.set_aspect("equal")
rows[0, 0].set_title("|residual| of the untrained network,\nin multiples of its typical size")
rows[0, 1].set_title("density of the flow after its first steps,\n1 is uniform")
rows[0, 2].set_title(f"points after {MAP_STEPS} steps of Gauss–Newton")
for panel in rows[1]:
    panel.set_xlabel("$x_1$")
plt.show()

# %% [markdown]
# How much of the density lies within 0.1 of each peak, in multiples of what the uniform density has there:

# %%
for name, centres in (("poisson/peak", [(0.5, 0.5)]), ("poisson/two_peaks", [(0.5, 0.5), (-0.5, -0.5)])):
    _, density, points = maps[name]
    adaptive = points.points[points.has("adaptive")]
    print(f"{name}: mean of the relative density over the domain {density.mean():.3f}")
    for centre in centres:
        inside = near(grid, centre)
        share = near(adaptive, centre).mean()
        print(f"  within 0.1 of {centre}: density {density[inside].mean():.1f}, share of adaptive points {share:.3f}")

# %% [markdown]
# ## 2. The same steps on other points
#
# Four trainings that differ in nothing but where new points come from:
#
# - **uniform**: anywhere;
# - **RAR**: the candidates with the largest residual (Lu et al. 2021);
# - **RAD**: drawn from candidates with a density that grows with $|r|$ (Wu et al. 2023);
# - **AAS**: drawn from the adversary's flow.
#
# Half of each set is evenly spread. What a sampler needs (residuals at candidates, steps of the flow) is part of its
# CPU time; measuring the error is not. A relative error of 1 is that of the zero function. The loss itself says
# nothing here: each method measures it at its own points.

# %%
problem = sciml.load_problem("poisson/peak")
rule_points, rule_weights = problem.domain.quadrature(65_536)
exact = ExactField(problem).evaluate(rule_points)
line = np.column_stack([np.linspace(-1, 1, 801), np.full(801, 0.5)])


def relative_error(training):
    """‖u − u*‖ / ‖u*‖ in L2."""
    training.collocation.load(training.theta)
    wrong = NetworkField(problem, training.model).evaluate(rule_points) - exact
    return np.sqrt(rule_weights @ wrong**2 / (rule_weights @ exact**2))


def profile(training):
    """|r| and, of the adversary, the density along the line."""
    adversary = getattr(training.sampler, "adversary", None)
    return residual(training, line), None if adversary is None else adversary.relative_density(line)


def run(sampler):
    """Train for the CPU seconds; steps, seconds and errors along the way, and profiles."""
    start = time.process_time()
    training = begin(problem, sampler)
    spent = time.process_time() - start
    history, profiles, going = [(0, spent, relative_error(training))], {0: profile(training)}, True
    while going and spent < SECONDS:
        start = time.process_time()
        going = advance(training)
        spent += time.process_time() - start
        steps = training.course.steps
        if steps % MEASURE_EVERY == 0:
            history.append((steps, spent, relative_error(training)))
        if steps in PROFILES:
            profiles[steps] = profile(training)
    profiles[training.course.steps] = profile(training)
    history.append((training.course.steps, spent, relative_error(training)))
    return np.array(history), profiles, training


NAMES = {"uniform": "uniform", "rar": "RAR", "rad": "RAD", "aas": "AAS"}
runs = {sampler: run(sampler) for sampler in NAMES}

# %%
STYLES = {"uniform": ("#000000", "s"), "rar": ("#E69F00", "^"), "rad": ("#56B4E9", "D"), "aas": ("#D55E00", "o")}
figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
for sampler, (history, _, _) in runs.items():
    colour, marker = STYLES[sampler]
    for panel, column in zip(panels, (0, 1), strict=True):
        panel.semilogy(
            history[:, column], history[:, 2], color=colour, marker=marker, ms=4, markevery=4, label=NAMES[sampler]
        )
for panel, label in zip(panels, ("steps of Gauss–Newton", "CPU seconds, points and flow included"), strict=True):
    panel.axhline(1, color="0.6", lw=0.8, ls=":")
    panel.set_xlabel(label)
    panel.grid(alpha=0.3)
panels[0].set_ylabel("relative error in L2")
panels[1].legend()
figure.suptitle("poisson/peak: the dotted line is the error of the zero function")
plt.show()

# %%
print(f"{'':8}  steps  CPU s  points  error at the end  error at the points (loss, not comparable)")
for sampler, (history, _, training) in runs.items():
    steps, seconds, error = history[-1]
    loss = np.sqrt(2 * training.course.loss)
    print(f"{NAMES[sampler]:8}  {steps:5.0f}  {seconds:5.1f}  {len(training.points):6}  {error:16.3e}  {loss:.2e}")
print("points by origin:", {NAMES[s]: t.points.counts() for s, (_, _, t) in runs.items()}, "of", ORIGINS)

# %% [markdown]
# ## 3. The residual flattens
#
# The adversary and the network pull in opposite directions: the density rises where the residual is high, more points
# come there, the residual falls, the density with it. Along $x_2 = ½$, through the peak, the hump of $|r|$ sinks
# towards the level of the surroundings. Beside it, dotted, is where evenly spread points end: small at most places,
# and large at the peak.

# %%
figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
profiles = runs["aas"][1]
shades = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(profiles)))
for (steps, (size, density)), colour in zip(profiles.items(), shades, strict=True):
    panels[0].semilogy(line[:, 0], size, color=colour, lw=1.2, label=f"{steps} steps")
    panels[1].semilogy(line[:, 0], density, color=colour, lw=1.2, label=f"{steps} steps")
even = runs["uniform"][1]
panels[0].semilogy(line[:, 0], even[max(even)][0], "k:", lw=1.2, label=f"uniform points, {max(even)} steps")
panels[0].set_ylabel("|residual|, in multiples of its typical size")
panels[1].set_ylabel("density of the flow, 1 is uniform")
highest = max(size.max() for size, _ in profiles.values())
panels[0].set_ylim(1e-5 * highest, 2 * highest)
for panel in panels:
    panel.set_xlabel("$x_1$ on the line $x_2 = ½$")
    panel.grid(alpha=0.3)
panels[0].legend(fontsize=8)
plt.show()

# %%
print("steps  |r| within 0.1 of the peak  |r| elsewhere on the line  their ratio  density within 0.1")
middle = np.abs(line[:, 0] - 0.5) < 0.1
for steps, (size, density) in profiles.items():
    hump, rest = (np.sqrt(np.mean(size[where] ** 2)) for where in (middle, ~middle))
    print(f"{steps:5}  {hump:26.2e}  {rest:25.2e}  {hump / rest:11.2f}  {density[middle].mean():18.1f}")
hump, rest = (np.sqrt(np.mean(even[max(even)][0][where] ** 2)) for where in (middle, ~middle))
print(
    f"uniform points after {max(even)} steps: {hump:.2e} near the peak, {rest:.2e} elsewhere, ratio {hump / rest:.2f}"
)
