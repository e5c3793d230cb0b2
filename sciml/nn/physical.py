"""A network with the scaling and the conditions around it: a function of physical points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sciml.forms.jets import AffineRecord, Jet, TaylorSeries, has_taylor_rules, jet_of_output, push, reverse_jet
from sciml.forms.lowering import Derivative
from sciml.nn.hard_conditions import ConditionJets, HardConditions
from sciml.nn.mlp import MLP
from sciml.nn.periodic_inputs import InputMap
from sciml.problem import Problem

__all__ = ["PhysicalNetwork", "PreparedPoints"]


@dataclass(frozen=True)
class PreparedPoints:
    """Points with what a :class:`PhysicalNetwork` makes of them before any weight comes in.

    Attributes
    ----------
    x : (n, d) tensor
    keys : tuple of Derivative
        Of the unknown, that are wanted.
    inner : tuple of Derivative
        Of the network, that they are made from.
    series : TaylorSeries or None
        Of the network's input; None where derivatives come by nested reverse mode.
    around : ConditionJets or None
        Of lift and distance, where conditions are built in.
    """

    x: torch.Tensor
    keys: tuple[Derivative, ...]
    inner: tuple[Derivative, ...] = ()
    series: TaylorSeries | None = None
    around: ConditionJets | None = None


class PhysicalNetwork(torch.nn.Module):
    """u(x) = U · network(scaled x) + offset, or lift(x) + distance(x) · (U · network(scaled x) + offset).

    Parameters
    ----------
    network : torch.nn.Module
        Maps ``(n, dim)`` in [−1, 1]^dim to ``(n, k)``; of a problem that runs in time, the time is one more input, and
        along a periodic axis of a box cos and sin of 2π x/L stand in place of x.
    problem : Problem
        Gives the bounding box (and the time), and the conditions if `hard`.
    unknown_scale : float or sequence of float
        U, one for all components or one for each.
    hard : bool
        Whether Dirichlet conditions are built in.
    offset : sequence of float, optional
        What u is near to, for each component; zero by default. Components whose conditions are built in have none:
        the lift is near to u.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        problem: Problem,
        *,
        unknown_scale: float | Sequence[float],
        hard: bool,
        offset: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.unknown_scale = np.full(problem.n_components, unknown_scale, dtype=float)
        span = [[problem.time.start, problem.time.end]] if problem.evolves else []
        bounds = [*zip(problem.domain.lower, problem.domain.upper, strict=True), *span]
        self.lower, self.upper = np.array(bounds, dtype=float).T
        self.scaled = InputMap(self.lower, self.upper, problem)
        self.conditions = HardConditions(problem) if hard else None
        self.offset = np.zeros(problem.n_components) if offset is None else np.array(offset, dtype=float)
        if self.conditions is not None:
            self.offset[self.conditions.prescribed] = 0.0

    def finish(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """From the network's output to the unknown."""
        y = torch.as_tensor(self.unknown_scale, dtype=y.dtype, device=y.device) * y
        if self.offset.any():
            y = y + torch.as_tensor(self.offset, dtype=y.dtype, device=y.device)
        return y if self.conditions is None else self.conditions(x, y)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.finish(x, self.network(self.scaled(x)))

    def jet(self, x: torch.Tensor, keys: Sequence[Derivative]) -> Jet:
        """Derivatives of the unknown: by Taylor series where the network has the rules, up to second order."""
        return self.jet_at(self.prepare(x, keys))

    def prepare(self, x: torch.Tensor, keys: Sequence[Derivative]) -> PreparedPoints:
        """What depends on the points alone, for reuse by :meth:`jet_at` while they stay the same."""
        keys = tuple(keys)
        if not has_taylor_rules(self.network) or any(len(key.axes) > 2 for key in keys):
            return PreparedPoints(x, keys)
        around = None if self.conditions is None else self.conditions.jets(x, keys)
        inner = keys if around is None else around.inner
        with torch.no_grad():
            series = self.scaled.taylor(TaylorSeries.of_points(x, inner))
            if isinstance(self.network, MLP):
                series = self.network.begin(series)
        return PreparedPoints(x, keys, inner, series, around)

    def jet_at(self, points: PreparedPoints, tape: list[AffineRecord] | None = None) -> Jet:
        """The derivatives that points were prepared for.

        Parameters
        ----------
        points : PreparedPoints
            Of this network.
        tape : list, optional
            Where affine layers are noted (:class:`~sciml.forms.jets.AffineRecord`), if `points` has a series.
        """
        if points.series is None:
            return reverse_jet(self, points.x, points.keys)
        begun = points.series.with_tape(tape)
        network = self.network
        series = network.propagate(begun) if isinstance(network, MLP) else push(network, begun)
        jet = {key: float(self.unknown_scale[key.component]) * v for key, v in series.jet(points.inner).items()}
        for key in points.inner:
            if not key.axes and self.offset[key.component]:
                jet[key] = jet[key] + float(self.offset[key.component])
        return jet if points.around is None else points.around.apply(jet)

    def jet_of_output(self, x: torch.Tensor, y: torch.Tensor, keys: list[Derivative]) -> Jet:
        """Derivatives of an output already computed from x."""
        return jet_of_output(y, x, keys)

    def manifest(self) -> dict[str, Any]:
        """What is needed to build the same network again; of one of the user's own, what is around it."""
        return {
            "network": self.network.manifest() if isinstance(self.network, MLP) else None,
            "unknown_scale": self.unknown_scale.tolist(),
            "hard": self.conditions is not None,
            "offset": self.offset.tolist(),
        }

    @classmethod
    def from_manifest(
        cls, problem: Problem, manifest: dict[str, Any], network: torch.nn.Module | None = None
    ) -> PhysicalNetwork:
        """Build a network from :meth:`manifest`; weights come separately, and so does a network of the user's own.

        Older files give no offset, and one scale for all components.
        """
        network = MLP.from_manifest(manifest["network"]) if network is None else network
        kept = {name: manifest[name] for name in ("unknown_scale", "hard")}
        return cls(network, problem, **kept, offset=manifest.get("offset"))
