"""What a material law is to its callers: a batched function of strain and state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from sciml.errors import UnsupportedError

__all__ = ["Law", "LawResult", "State", "checked_strains"]

State = Mapping[str, np.ndarray]
"""Arrays by name that start with the number of points."""


@dataclass
class LawResult:
    """What a law returns for n points.

    Attributes
    ----------
    stress : (n, 3) array
        (σ_xx, σ_yy, σ_xy).
    tangent : (n, 3, 3) array
        Derivatives of the stress by (E_xx, E_yy, γ_xy), consistent with the update of the state.
    state : dict of arrays
        The state after this strain; it becomes the past once the step is accepted.
    """

    stress: np.ndarray
    tangent: np.ndarray
    state: dict[str, np.ndarray] = field(default_factory=dict)


class Law(ABC):
    """A material law in plane strain, evaluated at many points at once.

    Strains are (E_xx, E_yy, γ_xy) with the engineering shear γ_xy = 2 E_xy, stresses (σ_xx, σ_yy, σ_xy), so that
    σ · δE is the work per volume.

    Attributes
    ----------
    measure : {"small_strain", "deformation_gradient"}
        What the law is a function of.
    components : int
        Number of components of strain and stress.
    history : tuple of str
        The entries of the state that the law's past consists of. Further entries are mere starting values of its own
        iterations, which may be those of any earlier call.
    """

    measure: ClassVar[Literal["small_strain", "deformation_gradient"]] = "small_strain"
    components: ClassVar[int] = 3
    history: tuple[str, ...] = ()
    linear: ClassVar[bool] = False
    """Whether the stress is linear in the strain, and has no past."""
    cell: str | None = None
    """Digest of the cell that the law was learned from, see :attr:`CellModel.digest`; None for a law of its own."""

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        """The state of n points that were never loaded."""
        return {}

    @abstractmethod
    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        """Stress, consistent tangent and new state.

        Parameters
        ----------
        strain : (n, 3) array
        state : mapping, optional
            As :meth:`initial_state` or an earlier result gave it; that of an unloaded material by default.
        dt : float
            Length of the step in time, for laws that depend on rates.
        """

    def outside(self, strain: np.ndarray) -> np.ndarray:
        """Which of the strains (n, 3) the law is not made for: (n,) of bool."""
        return np.zeros(len(strain), dtype=bool)

    def trust(self, strain: np.ndarray) -> dict[str, np.ndarray]:
        """How far to trust the law at strains (n, 3), without a true solution: indicators (n,) by name, 0 the best.

        Laws that need none, such as formulas and cells by finite elements, have none.
        """
        return {}

    def local_fields(self, strain: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """What a law that was learned from a cell makes of its inside under strains (n, 3).

        Returns
        -------
        fluctuation : (n, n_dofs) array
        stress : (n, n_points, 3) array
            Or None in place of both, of a law that knows of no cell.
        """
        return None

    def stress_torch(self, strain: Any) -> Any:
        """Stress (…, 3) of a torch tensor of strains (…, 3), differentiable.

        Raises
        ------
        UnsupportedError
            The law has no such form.
        """
        raise UnsupportedError(f"{type(self).__name__} cannot be evaluated in torch; use a law that is a formula.")

    def stress_ufl(self, strain: Any) -> Any:
        """Stress (σ_xx, σ_yy, σ_xy) in UFL, of the three components of the strain.

        Raises
        ------
        UnsupportedError
            The law has no such form.
        """
        raise UnsupportedError(f"{type(self).__name__} has no UFL form; use a law that is a formula.")

    @property
    def is_formula(self) -> bool:
        """Whether the law can be written in UFL and in torch."""
        return type(self).stress_ufl is not Law.stress_ufl


def checked_strains(strain: np.ndarray) -> np.ndarray:
    """Strains as float64 of shape (n, 3).

    Raises
    ------
    UnsupportedError
        Another shape, or values that are not finite.
    """
    array = np.asarray(strain, dtype=float)
    if array.ndim != 2 or array.shape[1] != 3:
        raise UnsupportedError(f"Strains of shape {array.shape} were given; a law takes (n, 3): E_xx, E_yy, γ_xy.")
    if not np.isfinite(array).all():
        bad = int(np.argmax(~np.isfinite(array).all(axis=1)))
        raise UnsupportedError(f"The strain of point {bad} is {array[bad].tolist()}; a law takes finite numbers.")
    return array
