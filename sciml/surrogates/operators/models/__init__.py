"""The kinds of networks, one a file; whatever module of this folder has a ``MODEL`` adds it to :data:`MODELS`."""

import importlib
import pkgutil

from sciml.surrogates.operators.base import ModelKind

__all__ = ["MODELS"]

_modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
MODELS: dict[str, ModelKind] = {module.MODEL.name: module.MODEL for module in _modules if hasattr(module, "MODEL")}
"""Name → kind."""
