"""Fields in time: what is known of a solution at any instant of a problem's interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from sciml.errors import ParameterError
from sciml.problem import MeshData, Problem
from sciml.solution.fe_field import FEField
from sciml.solution.field import ExactField, Field, NetworkField

if TYPE_CHECKING:
    import h5py

    from sciml.fem import Trajectory

__all__ = ["Evolution", "ExactEvolution", "FEEvolution", "NetworkEvolution", "exact_solution"]

_INSTANTS = 17


class Evolution(ABC):
    """A function of place and time.

    Attributes
    ----------
    problem : Problem
    times : (m,) array
        Instants from start to end at which it is best known, for norms, files and pictures.
    """

    kind: ClassVar[str]
    problem: Problem
    times: np.ndarray

    @abstractmethod
    def field_at(self, instant: float) -> Field:
        """The field at an instant of the interval."""

    @property
    def mesh(self) -> MeshData | None:
        """The mesh it lives on, if it has one."""
        return None

    def at(self, instant: float) -> Field:
        """The field at an instant.

        Raises
        ------
        ParameterError
            The instant lies outside of the problem's time.
        """
        time = self.problem.time
        if not np.isfinite(instant) or not time.contains(np.array(instant)):
            raise ParameterError(f"t = {instant!r} lies outside of the problem's time, {time.start:g} to {time.end:g}.")
        return self.field_at(float(instant))

    @property
    def final(self) -> Field:
        """The field at the end."""
        return self.field_at(float(self.times[-1]))

    def evaluate(self, points: np.ndarray, instants: Any) -> np.ndarray:
        """Values at points and one instant ``(n, *shape)``, or several ``(m, n, *shape)``."""
        return self._each(instants, lambda field: field.evaluate(points))

    def gradient(self, points: np.ndarray, instants: Any) -> np.ndarray:
        """Gradients in space, as :meth:`evaluate`."""
        return self._each(instants, lambda field: field.gradient(points))

    def _each(self, instants: Any, values: Any) -> np.ndarray:
        several = np.atleast_1d(np.asarray(instants, dtype=float))
        out = np.stack([values(self.at(float(instant))) for instant in several])
        return out if np.ndim(instants) else out[0]

    @abstractmethod
    def store(self, group: h5py.Group) -> None:
        """Write what :meth:`restore` needs into an HDF5 group."""

    @classmethod
    @abstractmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> Evolution:
        """Read it back."""


class ExactEvolution(Evolution):
    """The exact solution that a problem declares."""

    kind = "exact in time"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.times = np.linspace(problem.time.start, problem.time.end, _INSTANTS)
        ExactField(problem)

    def field_at(self, instant: float) -> Field:
        return ExactField(self.problem.at_time(instant))

    def store(self, group: h5py.Group) -> None:
        """Nothing: the declaration holds it."""

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> Evolution:
        return cls(problem)


class FEEvolution(Evolution):
    """Finite element states in time.

    Parameters
    ----------
    problem : Problem
    trajectory : Trajectory
    """

    kind = "finite element in time"

    def __init__(self, problem: Problem, trajectory: Trajectory) -> None:
        self.problem = problem
        self.trajectory = trajectory
        self.times = trajectory.times

    @property
    def mesh(self) -> MeshData:
        return self.trajectory.mesh.data

    def field_at(self, instant: float) -> FEField:
        return FEField(self.problem.at_time(instant), self.trajectory.at(instant))

    def store(self, group: h5py.Group) -> None:
        self.field_at(float(self.times[-1])).store(group)
        group.create_dataset("times", data=self.times)
        for k, states in enumerate(self.trajectory.states):
            group.create_dataset(f"states/{k}", data=states)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> FEEvolution:
        from sciml.fem import Trajectory

        last, orders = FEField.restored(group, problem)
        states = []
        for k, order in enumerate(orders):
            stored = group[f"states/{k}"][()]
            states.append(stored.reshape(len(stored), len(order), -1)[:, order].reshape(len(stored), -1))
        spaces = tuple(part.function.function_space for part in last.function.parts)
        return cls(problem, Trajectory(last.function.mesh, spaces, group["times"][()], tuple(states)))


class _AtTime(torch.nn.Module):
    """A network of space and time as one of space."""

    def __init__(self, module: torch.nn.Module, instant: float) -> None:
        super().__init__()
        self.module, self.instant = module, instant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(torch.cat([x, torch.full_like(x[:, :1], self.instant)], dim=1))


class NetworkEvolution(Evolution):
    """A trained network as a function of place and time.

    Parameters
    ----------
    problem : Problem
    module : torch.nn.Module
        Maps ``(n, dim + 1)``, the time last, to ``(n, k)``, row by row.
    """

    kind = "network in time"

    def __init__(self, problem: Problem, module: torch.nn.Module) -> None:
        self.problem = problem
        self.module = module.eval()
        self.times = np.linspace(problem.time.start, problem.time.end, _INSTANTS)

    def field_at(self, instant: float) -> NetworkField:
        return NetworkField(self.problem.at_time(instant), _AtTime(self.module, instant))

    def store(self, group: h5py.Group) -> None:
        NetworkField(self.problem, self.module).store(group)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem, module: torch.nn.Module | None = None) -> NetworkEvolution:
        return cls(problem, NetworkField.restore(group, problem, module).module)


def exact_solution(problem: Problem) -> Field | Evolution | None:
    """The exact solution, if the problem declares one."""
    if problem.declaration.exact is None:
        return None
    return ExactEvolution(problem) if problem.evolves else ExactField(problem)
