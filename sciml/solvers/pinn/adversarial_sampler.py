"""Collocation points drawn from the adversary's density."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from sciml.problem import Problem
from sciml.sampling import AdaptiveSampler, PointSet, SamplingContext, SamplingOptions
from sciml.solvers.pinn.adversary import Adversary, AdversaryOptions

__all__ = ["AdversarialSampler"]


class AdversarialSampler(AdaptiveSampler):
    """Points drawn from the adversary's density, which follows the residual; a share stays uniform.

    With `add` = 0 the set is drawn anew at each refresh, as in the paper; with `add` > 0 drawn points are added. Their
    weights are 1: the density of the points is the measure that the loss is taken in.

    Parameters
    ----------
    options : SamplingOptions
    adversary : AdversaryOptions

    References
    ----------
    K. Tang, J. Zhai, X. Wan, C. Yang, Adversarial adaptive sampling, ICLR 2024, arXiv 2305.18702.
    """

    name: ClassVar[str] = "aas"
    title: ClassVar[str] = "points drawn from an adversary's density (AAS)"

    def __init__(self, options: SamplingOptions | None = None, adversary: AdversaryOptions | None = None) -> None:
        super().__init__(options)
        self.adversary_options = adversary or AdversaryOptions()
        self.adversary: Adversary | None = None
        self.record: dict[str, float] = {}
        self._restored: tuple[dict[str, Tensor], dict[str, Any]] | None = None

    def start(self, n: int, context: SamplingContext) -> PointSet:
        """The first `n` points, which cover the domain, and a uniform adversary."""
        points = super().start(n, context)
        self.adversary = self._fresh(context.problem, self._own(context).generator)
        return points

    def _adaptive(self, n: int, context: SamplingContext) -> np.ndarray:
        adversary = self._adversary_for(context.problem)
        missing = self.adversary_options.steps if adversary.steps else self.adversary_options.first_steps
        for _ in range(math.ceil(missing / 25)):
            steps = min(missing, 25)
            self.record = adversary.improve(context.squared, steps, context.generator)
            missing -= steps
        return adversary.sample(n, context.generator)

    def _adversary_for(self, problem: Problem) -> Adversary:
        """The present adversary, built when it is first needed after a restart."""
        if self.adversary is None:
            self.adversary = self._fresh(problem)
            if self._restored is not None:
                self.adversary.restore(*self._restored)
        return self.adversary

    def _fresh(self, problem: Problem, generator: np.random.Generator | None = None) -> Adversary:
        return Adversary.of_problem(problem, self.adversary_options, generator=generator)

    def tensors(self) -> dict[str, Tensor]:
        if self.adversary is None:
            return self._restored[0] if self._restored else {}
        return self.adversary.tensors()

    def values(self) -> dict[str, Any]:
        state = self._restored[1] if self._restored else None
        return super().values() | {"adversary": state if self.adversary is None else self.adversary.values()}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        self.adversary = None
        self._restored = None if values["adversary"] is None else (tensors, values["adversary"])
