"""What a resumed training must share with the one that was interrupted."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import Training

__all__ = ["fingerprint"]


def fingerprint(training: Training, options: TrainingOptions, net: torch.nn.Module) -> str:
    """Hash of what a resumed training must share: options, points, weights and sizes of the network.

    Functions (residuals, transforms) cannot be hashed; that they are the same is the caller's word.
    """
    sizes = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    text = json.dumps([options.identity(), training.term_names, training.weights, sizes], sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for points in (training.interior, *(term.points for term in training.boundary)):
        digest.update(np.ascontiguousarray(points, dtype=np.float64).tobytes())
    return digest.hexdigest()
