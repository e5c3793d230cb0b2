"""Options of a training over a family."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainingOptions"]


class TrainingOptions(BaseModel):
    """How a network is trained on a data file; those of the network itself are the model's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(10, ge=1, description="passes over the training samples")
    batch_size: int = Field(20, ge=1, description="samples in a step")
    learning_rate: float | None = Field(None, gt=0, description="the highest of the schedule; the model's own if None")
    schedule: Literal["onecycle", "cosine", "step", "constant"] = Field(
        "onecycle", description="of the learning rate; step halves it every 100 epochs"
    )
    weight_decay: float = Field(1e-4, ge=0, description="of AdamW; with optimizer=adam it is added to the gradient")
    optimizer: Literal["adamw", "adam"] = Field(
        "adamw", description="AdamW, or Adam with an L2 term as first published"
    )
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient; none if None")
    patience: int | None = Field(
        None, ge=1, description="end when the validation error has not fallen for so many epochs; never if None"
    )
    scaling: Literal["auto", "pixel", "channel", "none"] = Field(
        "auto", description="of inputs and outputs: for each node, each channel, or not at all; auto takes nodes that "
        "all samples share for pixel, and channel otherwise"
    )  # fmt: skip
    layout: Literal["grid", "points"] = Field(
        "grid", description="points forgets the grid and takes the nodes as a cloud"
    )
    frames_in: int | None = Field(None, ge=1, description="frames of a trajectory that are given; half of them if None")
    frames_out: int | None = Field(None, ge=1, description="frames that follow; all others if None")
    samples: int | None = Field(None, ge=1, description="training samples to use; all if None")
    coverage: float = Field(0.9, gt=0, lt=1, description="share of the outputs that the error band is to cover")
    cpu_seconds: float | None = Field(None, gt=0, description="stop after this much CPU time, with what there is")
    checkpoint_every: float = Field(30.0, ge=0, description="CPU seconds between two checkpoints")
