"""Collocation points drawn from the adversary's density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from sciml.errors import OptionError
from sciml.problem import Problem
from sciml.sampling import AdaptiveSampler, PointSet, SamplingContext, SamplingOptions, own_generator
from sciml.solvers.pinn.adversary import Adversary

__all__ = ["AdversarialSampler", "AdversaryOptions"]


@dataclass(frozen=True, kw_only=True)
class AdversaryOptions:
    """How strong the adversary is, and how much it works.

    Parameters
    ----------
    beta, beta_scale, couplings, width, learning_rate, pool, batch
        See :class:`~sciml.solvers.pinn.adversary.Adversary`, which checks them.
    steps : int
        Of the flow for each refresh. Good values: 2 to 5 where points are refreshed every 8 steps of Adam.
    first_steps : int
        Of the flow for the first refresh, in portions of 25 with a pool of residuals each. Good values: 50 to 100.

    Raises
    ------
    OptionError
        Steps that are not positive whole numbers.
    """

    beta: float = 0.005
    beta_scale: Literal["residual", "raw"] = "residual"
    couplings: int = 6
    width: int = 24
    learning_rate: float = 1e-2
    pool: int = 3000
    batch: int = 300
    steps: int = 3
    first_steps: int = 75

    def __post_init__(self) -> None:
        for name in ("steps", "first_steps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} is {value!r}; allowed are whole numbers from 1.")

    def adversary(self, problem: Problem, generator: np.random.Generator | None = None) -> Adversary:
        """A fresh adversary for a problem."""
        return Adversary.of_problem(
            problem,
            beta=self.beta,
            beta_scale=self.beta_scale,
            couplings=self.couplings,
            width=self.width,
            learning_rate=self.learning_rate,
            pool=self.pool,
            batch=self.batch,
            generator=generator,
        )


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
        self.adversary = self.adversary_options.adversary(context.problem, self._own(context).generator)
        return points

    def _adaptive(self, n: int, context: SamplingContext) -> np.ndarray:
        adversary = self._adversary_for(context.problem)
        # Sobol points are scrambled by children of a generator's seed, which a restored generator does not know of.
        generator = own_generator(context.generator)
        missing = self.adversary_options.steps if adversary.steps else self.adversary_options.first_steps
        for _ in range(math.ceil(missing / 25)):
            steps = min(missing, 25)
            self.record = adversary.improve(context.squared, steps, generator)
            missing -= steps
        return adversary.sample(n, generator)

    def _adversary_for(self, problem: Problem) -> Adversary:
        """The present adversary, built when it is first needed after a restart."""
        if self.adversary is None:
            self.adversary = self.adversary_options.adversary(problem)
            if self._restored is not None:
                self.adversary.restore(*self._restored)
        return self.adversary

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
