"""What limits a training: a verdict, advice, the terms of its loss, and arrays to draw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import OutputError
from sciml.files import atomic_path, plain, write_json

__all__ = ["Diagnosis", "DiagnosisArrays"]

_FILE, _ARRAYS = "diagnosis.json", "diagnosis.npz"
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Diagnosis:
    """What a solver says about a training.

    Attributes
    ----------
    verdict : str
        One sentence: what limits the error now.
    advice : list of str
        Sentences on what to do, the most useful one first.
    terms : list of dict
        Of each term of the loss ``name``, ``loss`` (weighted), ``gradient_norm`` and ``share`` (of the sum of all
        gradients' norms, between 0 and 1).
    conditioning : dict
        Numbers by name, such as the span of eigenvalues or the effective rank of the Jacobian.
    figures : list of Path
        Pictures that were drawn of it.
    """

    verdict: str
    advice: list[str] = field(default_factory=list)
    terms: list[dict[str, Any]] = field(default_factory=list)
    conditioning: dict[str, float] = field(default_factory=dict)
    figures: list[Path] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it; numbers that are not finite become null."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Diagnosis:
        """The inverse of :meth:`as_dict`.

        Raises
        ------
        ValueError
            The content is not that of a diagnosis.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(content, Mapping) or "verdict" not in content or set(content) - names:
            raise ValueError(f"a diagnosis has {', '.join(sorted(names))}, and a verdict at least")
        if not all(isinstance(term, Mapping) and "name" in term for term in content.get("terms", ())):
            raise ValueError("each term has a name")
        return cls(**{**content, "figures": [Path(path) for path in content.get("figures", ())]})

    def with_figures(self, figures: Sequence[Path]) -> Diagnosis:
        """The same with other pictures."""
        return replace(self, figures=list(figures))

    def write(self, folder: Path, arrays: DiagnosisArrays | None = None) -> None:
        """Write ``diagnosis.json``, and ``diagnosis.npz`` where there is something to draw, into a folder.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        if arrays is not None:
            arrays.write(folder)
        write_json(folder / _FILE, self.as_dict())

    @classmethod
    def read(cls, folder: Path) -> Diagnosis | None:
        """The diagnosis in a folder; None if there is none.

        Raises
        ------
        OutputError
            It is damaged.
        """
        path = folder / _FILE
        if not path.is_file():
            return None
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise OutputError(f"{path} is damaged ({error}); run the training again.") from error


@dataclass(frozen=True, eq=False)
class DiagnosisArrays:
    """What the pictures of a diagnosis are drawn from.

    Attributes
    ----------
    points : (n, d) array
        Where the training looks now; of a problem that runs in time, time is the last coordinate.
    residual_points, residual : (m, d), (m,) arrays
        |r| in multiples of its typical size, at points of the domain: on a grid in up to two dimensions if possible,
        which is drawn as a map; anything else as dots.
    density_points, density : (k, d), (k,) arrays, optional
        Density from which points are drawn, relative to the even one.
    names : sequence of str, optional
        Of the coordinates; x₀, x₁, … by default.
    """

    points: np.ndarray
    residual_points: np.ndarray
    residual: np.ndarray
    density_points: np.ndarray | None = None
    density: np.ndarray | None = None
    names: Sequence[str] | None = None

    @property
    def coordinates(self) -> list[str]:
        """Names of the coordinates."""
        return [f"x{i}".translate(_LOW) for i in range(self.dim)] if self.names is None else list(self.names)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.residual_points.shape[1]

    def write(self, folder: Path) -> None:
        """Write them into a folder.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        kept: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items() if value is not None}
        with atomic_path(folder / _ARRAYS) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **kept)

    @classmethod
    def read(cls, folder: Path) -> DiagnosisArrays | None:
        """The arrays in a folder; None if there are none.

        Raises
        ------
        OutputError
            They are damaged.
        """
        path = folder / _ARRAYS
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            names = [str(name) for name in found.pop("names", ())] or None
            return cls(**found, names=names)
        except Exception as error:
            raise OutputError(f"{path} is damaged ({error}); run the training again.") from error
