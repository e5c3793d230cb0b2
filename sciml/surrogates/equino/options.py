"""Options of training a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sciml.errors import unknown_name
from sciml.solvers.base import validated_options

__all__ = ["EquinoOptions", "Recipe", "read_options"]

Recipe = Literal["energy_weighted", "as_published", "supervised", "linear"]


class EquinoOptions(BaseModel):
    """How a cell is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: Recipe = Field(
        "energy_weighted",
        description="energy_weighted: modes and loss weighted by stiffness, linear part, warm start on the snapshots, "
        "then physics; as_published: no weights, physics alone; supervised: the snapshots alone; linear: least squares",
    )
    modes: int = Field(16, ge=1, description="of displacement and of stress")
    width: int = Field(64, ge=1, description="units of a hidden layer")
    depth: int = Field(4, ge=1, description="hidden layers")
    samples: int | None = Field(None, ge=1, description="snapshots to use; all if None")
    collocation: int = Field(200, ge=1, description="strains at which the physics is asked for")
    warm_steps: int = Field(1500, ge=0, description="of L-BFGS on the coefficients of the snapshots")
    adam_steps: int = Field(1000, ge=0, description="of Adam in batches of ten, as_published alone")
    physics_steps: int | None = Field(
        None, ge=0, description="of L-BFGS on the constitutive mismatch; 2000, as_published 5000 if None"
    )
    decay: float = Field(1e-6, ge=0, description="of the weights in the warm start")
    cpu_seconds: float | None = Field(180.0, gt=0, description="stop after this much CPU time, with what there is")
    checkpoint_every: float = Field(30.0, ge=0, description="CPU seconds between two checkpoints")

    @property
    def descent(self) -> int:
        """Steps on the physics."""
        by_recipe = 5000 if self.recipe == "as_published" else 2000
        return by_recipe if self.physics_steps is None else self.physics_steps

    @property
    def weighted(self) -> bool:
        """Whether modes and loss are weighted by stiffness, and there is a linear part."""
        return self.recipe != "as_published"


def read_options(given: Mapping[str, Any]) -> EquinoOptions:
    """Options from Python, or as text from a command line.

    Raises
    ------
    UnknownNameError, OptionError
        An option that there is not, or a value that is not allowed.
    """
    for name in given:
        if name not in EquinoOptions.model_fields:
            raise unknown_name("option of model 'equino'", name, EquinoOptions.model_fields)
    return validated_options(EquinoOptions, given)
