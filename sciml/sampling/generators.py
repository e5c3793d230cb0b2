"""The state of a NumPy generator as plain values that JSON keeps exactly, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from sciml.errors import OptionError

__all__ = ["generator_from", "generator_values", "own_generator"]

_KINDS = {kind.__name__: kind for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64,
                                           np.random.MT19937)}  # fmt: skip


def own_generator(generator: np.random.Generator) -> np.random.Generator:
    """A generator of its own, seeded by another one, which moves on."""
    return np.random.Generator(np.random.PCG64(generator.integers(2**63, size=4).tolist()))


def generator_values(generator: np.random.Generator) -> dict[str, Any]:
    """The whole state: names, integers of any size and lists of them."""
    return _plain(generator.bit_generator.state)


def generator_from(values: dict[str, Any]) -> np.random.Generator:
    """A generator that goes on where the one that `values` were taken of would have.

    Raises
    ------
    OptionError
        A bit generator that NumPy does not have.
    """
    kind = values["bit_generator"]
    if kind not in _KINDS:
        raise OptionError(f"The state is of a generator {kind!r}; known are {', '.join(sorted(_KINDS))}.")
    bits = _KINDS[kind]()
    bits.state = _arrays(values)
    return np.random.Generator(bits)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arrays(entry) for key, entry in value.items()}
    return np.array(value, dtype=np.uint64) if isinstance(value, list) else value
