"""Taylor's estimate of a cell: every phase has the macroscopic strain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sciml.laws.base import Law, LawResult, State, checked_strains
from sciml.problem import MeshData

__all__ = ["Taylor", "volume_fractions"]


def volume_fractions(mesh: MeshData, phases: Iterable[str]) -> dict[str, float]:
    """The part of the cell's rectangle, voids included, that each phase (a region) fills."""
    whole = float(np.prod(mesh.points.max(axis=0) - mesh.points.min(axis=0)))
    return {name: mesh.region_volume(name) / whole for name in phases}


class Taylor(Law):
    """The mean of the phases' stresses under the same strain, an upper bound of the cell's energy.

    ::

        S(E) = Σ share · σ_phase(E)

    Parameters
    ----------
    laws : mapping from str to Law
    shares : mapping from str to float
        Volume fraction of each phase.

    Notes
    -----
    When it breaks: phases of very different stiffness, where it is far too stiff; it is a bound and a cheap check of
    what surrounds a law, not a model.

    Source: Taylor (1938), J. Inst. Metals 62; Voigt (1889), Ann. Phys. 274, for linear phases.
    """

    def __init__(self, laws: Mapping[str, Law], shares: Mapping[str, float]) -> None:
        self.laws, self.shares = dict(laws), dict(shares)
        self.history = tuple(f"{name}/{key}" for name, law in self.laws.items() for key in law.history)

    def __repr__(self) -> str:
        return f"Taylor({', '.join(f'{share:.4g} {self.laws[name]!r}' for name, share in self.shares.items())})"

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        states = {name: law.initial_state(n) for name, law in self.laws.items()}
        return {f"{name}/{key}": values for name, state in states.items() for key, values in state.items()}

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        strain = checked_strains(strain)
        state = self.initial_state(len(strain)) if state is None else state
        stress, tangent, after = np.zeros((len(strain), 3)), np.zeros((len(strain), 3, 3)), {}
        for name, law in self.laws.items():
            own = {key: state[f"{name}/{key}"] for key in law.initial_state(0)}
            result = law.evaluate(strain, own, dt)
            stress += self.shares[name] * result.stress
            tangent += self.shares[name] * result.tangent
            after |= {f"{name}/{key}": values for key, values in result.state.items()}
        return LawResult(stress, tangent, after)

    def stress_torch(self, strain: Any) -> Any:
        return sum(share * self.laws[name].stress_torch(strain) for name, share in self.shares.items())

    def stress_ufl(self, strain: Any) -> Any:
        return sum(share * self.laws[name].stress_ufl(strain) for name, share in self.shares.items())
