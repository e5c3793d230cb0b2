"""Networks that map the fields of a problem's data to its solution."""

from sciml.surrogates.operators.base import ModelKind, ModelOptions, Operator, Setting
from sciml.surrogates.operators.building import build, load_state, state_for_file
from sciml.surrogates.operators.models import MODELS

__all__ = [
    "MODELS",
    "ModelKind",
    "ModelOptions",
    "Operator",
    "Setting",
    "build",
    "load_state",
    "state_for_file",
]
