"""Points, residuals and conditions in the form that DeepXDE takes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DeclarationError
from sciml.solvers.deepxde.records import BoundaryTerm, Training, check_points

__all__ = ["add_worst_points", "collocation_data"]


def collocation_data(deepxde: ModuleType, training: Training, observe: Callable[[list[Tensor]], None]) -> Any:
    """Make a ``deepxde.data.PDE`` over the given points.

    The collocation points are the anchors of ``PDE`` and every boundary term is a
    ``PointSetOperatorBC``. Three things differ from a plain ``PDE``:

    - `observe` gets the unweighted terms of the loss at every evaluation, and may raise.
    - The points are handed out as one tensor on the device. From an array, DeepXDE makes a tensor in
      every iteration (a copy to the device); and the alignment of NumPy's memory, which differs from
      run to run, can change the last bit of a matrix product.
    - There is no test set. DeepXDE evaluates it as often as the training loss, and by default on the
      same points.

    Parameters
    ----------
    deepxde : module
        Inside `isolated`.
    training : Training
        Points, residuals and weights.
    observe : callable
        Called with the list of terms (scalar tensors).
    """

    class PointGeometry(deepxde.geometry.geometry.Geometry):
        """A domain known by its points: ``PDE`` asks it for nothing but the dimension."""

        def _unknown(self, *arguments, **keywords):
            raise NotImplementedError("A set of points knows no domain; points are given, never drawn.")

        inside = on_boundary = random_points = random_boundary_points = _unknown

    class PointCondition(deepxde.icbc.PointSetOperatorBC):
        """A boundary term, evaluated on its own rows only (DeepXDE's evaluates all, then drops)."""

        def __init__(self, term: BoundaryTerm) -> None:
            super().__init__(term.points, 0.0, term.residual)
            self.term = term

        def error(self, X, inputs, outputs, beg, end, aux_var=None):
            residual = self.term.residual(inputs, outputs, slice(beg, end))
            return _checked_residual(f"The residual of {self.term.name!r}", residual, end - beg)

    class PointData(deepxde.data.PDE):
        """The loss, with the three differences."""

        tensor: Any = None
        source: Any = None

        def losses(self, targets, outputs, loss_fn, inputs, model, aux=None):
            terms = super().losses(targets, outputs, loss_fn, inputs, model, aux)
            observe(terms)
            return terms

        def losses_test(self, targets, outputs, loss_fn, inputs, model, aux=None):
            return [outputs.detach().new_zeros(()) for _ in training.weights]

        def train_next_batch(self, batch_size=None):
            super().train_next_batch(batch_size)
            if self.source is not self.train_x:
                self.source, self.tensor = self.train_x, torch.tensor(self.train_x)
            return self.tensor.detach(), None, None

        def test(self):
            return self.train_x[:1], None, None

    everything = np.vstack([training.interior, *(term.points for term in training.boundary)])
    box = (everything.min(axis=0), everything.max(axis=0))
    conditions = [PointCondition(term) for term in training.boundary]
    geometry = PointGeometry(training.dim, box, np.inf)
    return PointData(geometry, _residuals(training), conditions, anchors=np.asarray(training.interior))


def _residuals(training: Training) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Check what the residual returns: a wrong shape would broadcast without a word."""
    count = len(training.residual_weights)

    def pde(x: Tensor, y: Tensor) -> list[Tensor]:
        residuals = list(training.residual(x, y))
        if len(residuals) != count:
            raise DeclarationError(f"There are {len(residuals)} residuals and {count} residual_weights; give one each.")
        return [_checked_residual(f"residual[{k}]", r, len(x)) for k, r in enumerate(residuals)]

    return pde


def _checked_residual(name: str, residual: Tensor, rows: int) -> Tensor:
    if tuple(residual.shape) != (rows,):
        raise DeclarationError(f"{name} has the shape {tuple(residual.shape)}; it must be {(rows,)}.")
    return residual


def add_worst_points(model: Any, training: Training, generator: np.random.Generator, draw: int, add: int) -> int:
    """Add the candidates with the largest residual Σₖ wₖ rₖ² to the collocation points.

    Parameters
    ----------
    model : deepxde.Model
        With data of `collocation_data`.
    training : Training
        Draws the candidates.
    generator : np.random.Generator
        Handed to ``training.candidates``.
    draw, add : int
        Candidates to look at, and how many of them to add.

    Returns
    -------
    int
        Number of points added: fewer than `add` if the residual is not finite on the others.
    """
    candidates = np.asarray(training.candidates(draw, generator))
    check_points("candidates", candidates, training.dim, count=draw)
    residuals = model.predict(candidates, operator=_residuals(training))
    size = sum(weight * np.square(r) for weight, r in zip(training.residual_weights, residuals, strict=True))
    size = np.where(np.isfinite(size), size, -1.0)
    worst = np.argsort(-size, kind="stable")[:add]
    worst = worst[size[worst] >= 0]
    model.data.add_anchors(candidates[worst])
    return len(worst)
