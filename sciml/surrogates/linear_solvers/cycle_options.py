"""Options of the training of learned multigrid."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sciml.linear.learned.hierarchy import DIRECT

__all__ = ["CycleOptions"]


class CycleOptions(BaseModel):
    """Of the network that advises a cycle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cells: tuple[int, ...] = Field((64, 64), description="cells along each axis at most, and half as many at least")
    width: int = Field(32, ge=1, description="channels of the network")
    poisson: float = Field(0.3, ge=0, le=1, description="share of systems that are Poisson's equation with obstacles")
    obstacles: int = Field(12, ge=0, description="at most")
    contrast: float = Field(1e4, ge=1, description="at most")
    anisotropy: float = Field(1e3, ge=1, description="at most")
    steps: int = Field(1200, ge=1, description="of Adam, one system each")
    batch: int = Field(2, ge=1, description="right sides of a system")
    iterations: int = Field(6, ge=1, description="of conjugate gradients that the loss looks at")
    learning_rate: float = Field(2e-3, gt=0, description="at its highest")
    largest_gradient: float = Field(1.0, gt=0, description="norm to which longer gradients are shortened")
    warm_up: int = Field(50, ge=0, description="steps in which the learning rate rises")
    cool_down: int = Field(900, ge=0, description="last steps in which it falls to zero")
    cpu_seconds: float | None = Field(None, gt=0, description="after which the training ends with what there is")
    checkpoint_every: float = Field(60.0, ge=0, description="CPU seconds between two checkpoints")

    @field_validator("cells", mode="before")
    @classmethod
    def _cells(cls, value: Any) -> Any:
        """Cells as a text of the command line, 64x64."""
        return tuple(value.lower().split("x")) if isinstance(value, str) else value

    @field_validator("cells")
    @classmethod
    def _axes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(value) not in (2, 3) or min(value) < 8:
            raise ValueError("2 or 3 axes of at least 8 cells are needed")
        if math.prod(value) < 2 * DIRECT:
            raise ValueError(
                f"so few cells are solved directly, with nothing to learn; {2 * DIRECT} cells in all are needed"
            )
        return value
