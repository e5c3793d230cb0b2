"""Options of wave simulators and of their training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["WaveOptions"]


class WaveOptions(BaseModel):
    """What `sciml train … --model wave_cnn -o name=value` takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    simulator: Literal["autoregressive", "corrected", "space_time"] = Field(
        "autoregressive",
        description="autoregressive: frame after frame, all learned; corrected: the energy-conserving stencil of "
        "linear elements with a learned correction; space_time: all frames at once, by convolutions in space and time",
    )
    format: Literal["dense", "chain", "canonical", "separable", "depthwise", "tucker"] = Field(
        "chain", description="of the convolutions, before training"
    )
    rank: int | None = Field(None, ge=1, description="of the format; None is what the format recommends")
    width: int = Field(16, ge=1, description="channels")
    layers: int = Field(2, ge=1, description="convolutions from the state to the channels (and as many back)")
    kernel: int = Field(5, ge=3, description="nodes along an axis that a convolution sees; odd")
    substeps: int = Field(2, ge=1, description="equal steps from one frame to the next, all with the same convolutions")
    steps: int = Field(300, ge=1, description="batches")
    batch_size: int = Field(8, ge=1, description="windows of trajectories in a batch")
    unroll: int = Field(4, ge=1, description="frames made one after the other in the last quarter of the training")
    noise: float = Field(0.01, ge=0, description="on the frames that a window starts from, as a share of their size")
    learning_rate: float = Field(3e-3, gt=0, description="the highest")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    samples: int | None = Field(None, ge=1, description="training members to use; all by default")
    cpu_seconds: float | None = Field(None, gt=0, description="after which the training ends with what there is")
    checkpoint_every: float = Field(60.0, gt=0, description="CPU seconds between two checkpoints")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"an even kernel sees more of one side than of the other; take {kernel + 1}")
        return kernel
