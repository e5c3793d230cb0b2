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
# # Networks over a family: two-phase Darcy flow
#
# A permeability of two phases goes in, a potential comes out. This notebook generates members with the reference,
# trains a latent spectral model, a Fourier operator and a U-Net on them, and draws
#
# 1. the best, the median and the worst test sample, with the error;
# 2. the error against the number of training samples;
# 3. the error against the number of weights.
#
# All curves come from the runs in this notebook. Model: H. Wu et al., *Solving High-Dimensional PDEs with Latent
# Spectral Models*, ICML 2023, arXiv 2301.12664.

# %%
import io
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from IPython.display import Image, display

from sciml.datasets import generate, open_dataset
from sciml.surrogates.operators.evaluation import evaluate
from sciml.surrogates.operators.fitting import train_operator

torch.set_num_threads(1)
plt.rcParams |= {"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3, "font.size": 10}

# %% tags=["parameters"]
QUICK = os.environ.get("SCIML_NOTEBOOK_QUICK") == "1"
RESOLUTION, SPLIT = (12, (24, 6, 10)) if QUICK else (32, (360, 40, 100))
EPOCHS = 2 if QUICK else 14
SAMPLES = (12, 24) if QUICK else (45, 90, 180, 360)
WIDTHS = {"lsm": (8, 16) if QUICK else (8, 16, 24), "fno": (8, 16) if QUICK else (12, 20, 32)}
WIDTHS["unet"] = WIDTHS["lsm"]

# %%
data = Path(tempfile.mkdtemp()) / "darcy.h5"
generation = generate("darcy/threshold", data, split=SPLIT, resolution=RESOLUTION, seed=0, check=2)
dataset = open_dataset(data)
print(f"{dataset}, error of the labels {dataset.label_error['mean']:.2g}")


# %% [markdown]
# ## Predictions and errors
#
# From left to right: the permeability, the reference, what the network says, and where it is wrong.


# %%
def show(figure):
    """A picture that was made without pyplot."""
    image = io.BytesIO()
    figure.savefig(image, dpi=100)
    display(Image(image.getvalue()))


def trained(model, **options):
    """A network and its figures on the test samples."""
    run = train_operator("darcy/threshold", data, model, epochs=EPOCHS, batch_size=10, learning_rate=2e-3, **options)
    return run, evaluate(run, dataset)


run, found = trained("lsm")
print(
    f"lsm: relative L2 error {found.figures['relative_l2']:.3g} after {run['cpu_seconds']:.0f} CPU seconds; "
    f"mean field {found.figures['mean_field']:.3g}, nearest sample {found.figures['nearest_sample']:.3g}; "
    f"the 90 % band covers {found.figures['coverage']:.1%}"
)
show(found.pictures(("permeability", "u")))

# %% [markdown]
# ## How the errors are spread

# %%
show(found.histogram())

# %% [markdown]
# ## Error against training samples and against weights
#
# Passes over the data stay the same, so that fewer samples also mean fewer steps.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
for model in WIDTHS:
    errors = [trained(model, samples=count)[1].figures["relative_l2"] for count in SAMPLES]
    left.loglog(SAMPLES, errors, "o-", label=model)
    runs = [trained(model, width=width) for width in WIDTHS[model]]
    weights, reached = [r["real_parameters"] for r, _ in runs], [e.figures["relative_l2"] for _, e in runs]
    right.loglog(weights, reached, "o-", label=model)
    print(f"{model}: {', '.join(f'{count} samples {error:.3g}' for count, error in zip(SAMPLES, errors, strict=True))}")
left.set(xlabel="training samples", ylabel="relative L2 error, test samples")
right.set(xlabel="weights (complex ones twice)")
left.legend()
plt.show()
