"""Options of the solver `pinn`."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, field_validator

from sciml.solvers.base import SolverOptions

__all__ = ["ROUNDS", "STEPS", "PinnOptions"]

OptimizerName = Literal["gauss_newton", "adam", "lbfgs", "ssbfgs", "ssbroyden"]
SamplerName = Literal["aas", "uniform", "quasi_random", "rar", "rad", "r3", "leverage", "user"]

# What a step costs differs by factors of ten to a hundred between them.
STEPS: dict[str, int] = {"gauss_newton": 300, "adam": 20_000, "lbfgs": 4_000, "ssbfgs": 4_000, "ssbroyden": 4_000}
ROUNDS: dict[str, int] = {"gauss_newton": 10, "adam": 500, "lbfgs": 200, "ssbfgs": 200, "ssbroyden": 200}


class PinnOptions(SolverOptions):
    """Options of the PINN with Gauss–Newton steps and adversarial sampling."""

    model_config = ConfigDict(allow_inf_nan=False)

    network: Any = Field("mlp", description="mlp, or a torch.nn.Module")
    width: int = Field(16, ge=1, description="neurons per hidden layer")
    depth: int = Field(3, ge=1, description="hidden layers")
    activation: Literal["tanh", "sin", "silu", "sigmoid"] = Field("tanh", description="activation function")
    features: Literal["placed", "plain", "fourier"] = Field(
        "placed", description="first layer: placed where the untrained residual is large, Glorot, or random Fourier"
    )
    fourier_features: int = Field(32, ge=1, description="rows of random Fourier features")
    fourier_sigma: float = Field(1.0, gt=0, description="their standard deviation, in waves per half of the domain")
    optimizer: OptimizerName = Field("gauss_newton", description="of the weights")
    steps: int | None = Field(
        None, ge=1, description="of the optimiser; by default 300 for gauss_newton, 20000 for adam, 4000 for others"
    )
    tolerance: float = Field(
        1e-10, ge=0, description="stop where the weighted residual, in multiples of its typical size, is below"
    )
    solve: Literal["auto", "sample", "primal", "matrix_free"] = Field(
        "auto", description="gauss_newton: the equations in sample space, in the weights, without a matrix, or by size"
    )
    acceleration: float = Field(0.75, ge=0, description="gauss_newton: bound on geodesic acceleration; 0 for none")
    momentum: float = Field(0.0, ge=0, lt=1, description="gauss_newton: of SPRING, for points replaced at every step")
    learning_rate: float = Field(1e-3, gt=0, description="adam: learning rate at the start")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="adam: of the learning rate")
    batch: int | None = Field(None, ge=1, description="adam: points per step; none takes all of them")
    sampler: SamplerName = Field("aas", description="of collocation points")
    points: int = Field(1600, ge=1, description="collocation points at the start")
    budget: int | None = Field(6000, ge=1, description="most collocation points; none: as many as at the start")
    every: int | None = Field(
        None, ge=0, description="steps between two refreshes; 0 for none; by default 10, 500 for adam, 200 for others"
    )
    add: int = Field(400, ge=0, description="points that a refresh adds; 0: the set is replaced")
    uniform_share: float = Field(0.5, ge=0, le=1, description="least share of points that cover the domain")
    candidates: int = Field(20_000, ge=1, description="fresh points that a residual-based refresh looks at")
    full: Literal["stop", "replace"] = Field("stop", description="at the budget: add no more, or replace points")
    look_first: bool = Field(True, description="whether points are refreshed once before the first step")
    user_points: Any = Field(None, description="sampler=user: an array (n, dim), or a function of (n, context)")
    beta: float = Field(0.005, gt=0, description="aas: penalty on the density's gradient; larger is more uniform")
    beta_scale: Literal["residual", "raw"] = Field(
        "residual", description="aas: beta in multiples of the mean squared residual, or as it is"
    )
    flow_couplings: int = Field(6, ge=1, description="aas: coupling layers of the flow")
    flow_width: int = Field(24, ge=1, description="aas: neurons of their networks")
    flow_learning_rate: float = Field(1e-2, gt=0, description="aas: of Adam for the flow")
    flow_steps: int = Field(20, ge=1, description="aas: steps of the flow for each refresh")
    flow_first_steps: int = Field(100, ge=1, description="aas: steps of the flow before the first points are drawn")
    boundary_points: int = Field(240, ge=1, description="points on the boundary (and at the start of the time)")
    conditions: Literal["auto", "hard", "soft"] = Field(
        "auto", description="Dirichlet conditions built in (boxes), as loss terms, or built in where possible"
    )
    boundary_weight: float = Field(
        100.0, gt=0, description="weight of Dirichlet terms in the loss (the equation has 1)"
    )
    flux_weight: float = Field(10.0, gt=0, description="weight of Neumann, Robin and natural terms in the loss")
    chunk: int | None = Field(None, ge=1, description="points that go through the network at a time")
    dtype: Literal["float64", "float32"] = Field("float64", description="of all numbers")
    threads: int | None = Field(1, ge=1, description="threads for torch (small networks want one); none keeps torch's")
    checkpoint_every: float = Field(30.0, ge=0, description="CPU seconds between checkpoints")

    @field_validator("network")
    @classmethod
    def _network(cls, value: Any) -> Any:
        if value != "mlp" and not isinstance(value, torch.nn.Module):
            raise ValueError("allowed are mlp and a torch.nn.Module")
        return value

    @property
    def n_steps(self) -> int:
        """Steps of the optimiser."""
        return STEPS[self.optimizer] if self.steps is None else self.steps

    @property
    def refresh_every(self) -> int:
        """Steps between two refreshes of the points."""
        return ROUNDS[self.optimizer] if self.every is None else self.every
