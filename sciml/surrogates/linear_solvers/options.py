"""Options of trainings of linear solvers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["DirectionOptions"]


class DirectionOptions(BaseModel):
    """Of the network of deep conjugate directions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cells: tuple[int, ...] = Field((64, 64), description="cells along each axis of the grids to train on")
    structure: Literal["from64", "from128"] = Field("from64", description="depth of the network")
    geometries: int = Field(
        1, ge=1, description="a box, and such with obstacles; the network sees no geometry, and is the better for one"
    )
    obstacles: int = Field(9, ge=0, description="at most, of one geometry")
    box_share: float = Field(0.5, ge=0, le=1, description="of the right sides that are of the box, if there are others")
    vectors: int = Field(600, ge=2, description="Lanczos steps, and so Ritz vectors, of each geometry")
    low: float = Field(0.55, ge=0, le=1, description="share of the Ritz vectors, from the lowest, that are weighted")
    low_weight: float = Field(9.0, gt=0, description="their weight")
    steps: int = Field(3300, ge=1, description="of Adam")
    batch: int = Field(8, ge=1, description="right sides in a step")
    first_weights: Literal["glorot", "small"] = Field(
        "small", description="uniform with variance 2/(inputs + outputs) as published, or 1/(3 inputs), biases too"
    )
    learning_rate: float = Field(3e-3, gt=0, description="at its highest; the authors have a constant 1e-4")
    warm_up: int = Field(100, ge=0, description="steps in which the learning rate rises")
    cool_down: int = Field(2400, ge=0, description="last steps in which it falls to zero")
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
        if len(value) not in (2, 3) or min(value) < 4:
            raise ValueError("2 or 3 axes of at least 4 cells are needed")
        return value
