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
SHARP = 0.001  # β of the adversary in the second and third figure, beside the default of the solver
MAP_STEPS = 8 if QUICK else 40  # steps before the points of the first figure are drawn
SECONDS = 4.0 if QUICK else 35.0  # of CPU for each sampler
MEASURE_EVERY = 8 if QUICK else 5  # steps between two looks at the error
PROFILES = (0, 4, 12) if QUICK else (0, 10, 30, 60, 100, 150)  # steps at which the third figure looks
SIZES = {
    "width": 10 if QUICK else 20,
    "depth": 2,
    "points": 300 if QUICK else 1000,
    "add": 100 if QUICK else 300,
    "budget": 800 if QUICK else 4000,
    "every": 4 if QUICK else 10,
    "full": "replace",
    "candidates": 4000 if QUICK else 20_000,
    "flow_steps": 10 if QUICK else 20,
    "flow_first_steps": 25 if QUICK else 100,
}
PER_AXIS = 81 if QUICK else 201  # of the maps
RULE = 10_000 if QUICK else 65_536  # points at which errors are measured

print(f"{cpu_model()}, {os.cpu_count()} cores, one thread used; Python {platform.python_version()}, ", end="")
print(f"torch {torch.__version__}, {'quick' if QUICK else 'full'} sizes")
print(", ".join(f"{name}={value}" for name, value in SIZES.items()))

# %% [markdown]
# ## 1. Where points go
#
# The solution is $e^{-1000\,|x - c|^2}$ on $(-1, 1)^2$, once with the centre $c = (½, ½)$ and once with a second peak
# at $(-½, -½)$. On the left is the residual before the first step: the load, since the untrained network is zero. In
# the middle is the density that the flow finds from it, 1 where it is as large as the uniform one; on the right are the
# points after some steps of Gauss–Newton.


# %%
def begin(problem, **chosen):
    """A training that has its first points and has made no step."""
    options = PinnOptions(steps=10**6, **SIZES, **chosen)
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
    training = begin(problem, sampler="aas")
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
    row[0].set_ylabel("$x_1$")
    for panel in row:
        panel.set_aspect("equal")
rows[0, 0].set_title("|residual| of the untrained network,\nin multiples of its typical size")
rows[0, 1].set_title("density of the flow after its first steps,\n1 is uniform")
rows[0, 2].set_title(f"points after {MAP_STEPS} steps of Gauss–Newton")
for panel in rows[1]:
    panel.set_xlabel("$x_0$")
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
# Trainings that differ in nothing but where new points come from:
#
# - **uniform**: anywhere;
# - **RAR**: the candidates with the largest residual (Lu et al. 2021);
# - **RAD**: drawn from candidates with a density that grows with $|r|$ (Wu et al. 2023);
# - **AAS**: drawn from the adversary's flow, with two strengths of the penalty.
#
# Half of each set is evenly spread, and when the budget of points is reached, some are replaced at each refresh. What
# a sampler needs (residuals at candidates, steps of the flow) is part of its CPU time; measuring the error is not. A
# relative error of 1 is that of the zero function. The loss itself says nothing here: each method measures it at its
# own points. The smaller $\beta$ was found by trying it on this very problem, the constants of RAR and RAD are those
# of their papers; one seed is shown. So read the picture as what points do to the error, not as a ranking.

# %%
problem = sciml.load_problem("poisson/peak")
rule_points, rule_weights = problem.domain.quadrature(RULE)
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


def run(**chosen):
    """Train for the CPU seconds; steps, seconds and errors along the way, and profiles."""
    start = time.process_time()
    training = begin(problem, **chosen)
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


METHODS = {
    "uniform": ({"sampler": "uniform"}, "#000000", "s"),
    "RAR": ({"sampler": "rar"}, "#E69F00", "^"),
    "RAD": ({"sampler": "rad"}, "#56B4E9", "D"),
    "AAS, default β": ({"sampler": "aas"}, "#009E73", "v"),
    f"AAS, β = {SHARP}": ({"sampler": "aas", "beta": SHARP}, "#D55E00", "o"),
}
SHARPEST = f"AAS, β = {SHARP}"
runs = {name: run(**chosen) for name, (chosen, _, _) in METHODS.items()}

# %%
figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
for name, (history, _, _) in runs.items():
    _, colour, marker = METHODS[name]
    for panel, column in zip(panels, (0, 1), strict=True):
        panel.semilogy(history[:, column], history[:, 2], color=colour, marker=marker, ms=4, markevery=4, label=name)
for panel, label in zip(panels, ("steps of Gauss–Newton", "CPU seconds, points and flow included"), strict=True):
    panel.axhline(1, color="0.6", lw=0.8, ls=":")
    panel.set_xlabel(label)
    panel.grid(alpha=0.3)
panels[0].set_ylabel("relative error in L2")
panels[1].legend()
figure.suptitle("poisson/peak: the dotted line is the error of the zero function")
plt.show()

# %%
print(f"{'':16}  steps  CPU s  points  adaptive  error at the end  residual at its own points (not comparable)")
for name, (history, _, training) in runs.items():
    steps, seconds, error = history[-1]
    own, points = np.sqrt(2 * training.course.loss), training.points
    adaptive = points.has("adaptive").sum()
    print(f"{name:16}  {steps:5.0f}  {seconds:5.1f}  {len(points):6}  {adaptive:8}  {error:16.3e}  {own:.2e}")

# %% [markdown]
# ## 3. The residual flattens
#
# The adversary raises the density where the residual is high, points come there, and the residual falls. On the left
# is the residual along $x_1 = ½$, through the peak, as a root mean square over a window of one tenth, so that its
# zeros do not hide its size. Dotted: where evenly spread points end. On the right is the density there. The table
# says how much larger the residual near the peak is than on the rest of the line: 1 would be flat.

# %%
WINDOW = 41  # points on the line, a tenth of a unit


def smooth(size):
    """The root mean square over a window that slides along the line."""
    padded = np.pad(size**2, WINDOW // 2, mode="reflect")
    return np.sqrt(np.convolve(padded, np.full(WINDOW, 1 / WINDOW), mode="valid"))


figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
profiles, even = runs[SHARPEST][1], runs["uniform"][1]
shades = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(profiles)))
for (steps, (size, density)), colour in zip(profiles.items(), shades, strict=True):
    panels[0].semilogy(line[:, 0], smooth(size), color=colour, lw=1.5, label=f"{steps} steps")
    panels[1].semilogy(line[:, 0], density, color=colour, lw=1.5, label=f"{steps} steps")
last = max(even)
panels[0].semilogy(line[:, 0], smooth(even[last][0]), "k:", lw=1.5, label=f"uniform points, {last} steps")
panels[0].set_ylabel("|residual|, in multiples of its typical size")
panels[1].set_ylabel("density of the flow, 1 is uniform")
for panel in panels:
    panel.set_xlabel("$x_0$ on the line $x_1 = ½$")
    panel.grid(alpha=0.3)
panels[0].legend(fontsize=8)
plt.show()


# %%
middle = np.abs(line[:, 0] - 0.5) < 0.1


def flatness(size):
    """Root mean squares near the peak and on the rest of the line, and their ratio."""
    hump, rest = (np.sqrt(np.mean(size[where] ** 2)) for where in (middle, ~middle))
    return f"{hump:15.2e}  {rest:19.2e}  {hump / rest:6.1f}"


print("steps  |r| at the peak  on the rest of it  ratio  density at the peak")
for steps, (size, density) in profiles.items():
    print(f"{steps:5}  {flatness(size)}  {density[middle].mean():19.1f}")
print(f"{last:5}  {flatness(even[last][0])}  {1:19.1f}  (uniform points)")
