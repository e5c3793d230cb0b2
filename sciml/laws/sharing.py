"""Macroscopic points divided between MPI processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from sciml.errors import DivergenceError
from sciml.launching import n_processes
from sciml.laws.base import Law, LawResult, State, checked_strains

__all__ = ["Shared", "shared"]


class Shared(Law):
    """A law whose points are divided evenly between the processes of a communicator; all know all results.

    Parameters
    ----------
    law : Law
    comm : mpi4py communicator

    Raises
    ------
    DivergenceError
        On every process, if it was raised on any.
    """

    def __init__(self, law: Law, comm: Any) -> None:
        self.law, self.comm = law, comm
        self.history, self.cell = law.history, law.cell

    def __repr__(self) -> str:
        return f"Shared({self.law!r}, {self.comm.size} processes)"

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        return self.law.initial_state(n)

    def outside(self, strain: np.ndarray) -> np.ndarray:
        return self.law.outside(strain)

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        strain = checked_strains(strain)
        state = self.initial_state(len(strain)) if state is None else state
        # Every n-th point: neighbours, which are alike, do not all fall to one process.
        own = np.arange(self.comm.rank, len(strain), self.comm.size)
        try:
            done: Any = self.law.evaluate(strain[own], {key: values[own] for key, values in state.items()}, dt)
        except DivergenceError as error:
            done = error
        parts = self.comm.allgather(done)
        failed = next((part for part in parts if isinstance(part, Exception)), None)
        if failed is not None:
            raise failed
        order = np.argsort(np.concatenate([np.arange(r, len(strain), self.comm.size) for r in range(self.comm.size)]))
        stress, tangent = (
            np.concatenate([getattr(part, name) for part in parts])[order] for name in ("stress", "tangent")
        )
        states = {key: np.concatenate([part.state[key] for part in parts])[order] for key in done.state}
        return LawResult(stress, tangent, states)


def shared(law: Law) -> Law:
    """The law, its points divided between the processes that were launched together; itself if there is one."""
    if n_processes() == 1:
        return law
    from sciml.fem import require

    require()
    from mpi4py import MPI

    return Shared(law, MPI.COMM_WORLD) if MPI.COMM_WORLD.size > 1 else law
