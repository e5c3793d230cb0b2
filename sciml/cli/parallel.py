"""Running under MPI or torchrun: every process does the same, the first one speaks and writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sciml.errors import OptionError
from sciml.launching import is_first, mpiexec, n_processes, n_sharing

__all__ = ["abort", "is_first", "launch", "n_processes", "n_sharing", "quiet_others", "together", "wait_for_all"]

_PATIENCE = 0.5


def wait_for_all() -> None:
    """Go on when all processes are here."""
    if n_sharing() > 1:
        import torch.distributed

        torch.distributed.barrier()
    if n_processes() > 1:
        _world().Barrier()


def quiet_others() -> None:
    """Leave printing to the first process.

    Raises
    ------
    OptionError
        The launcher belongs to another MPI, so that every process would solve the whole problem.
    """
    if n_sharing() > 1:
        _mute()
        return
    if n_processes() == 1:
        return
    if _world().size != n_processes():
        raise OptionError(
            f"The launcher started {n_processes()} processes, but this environment's MPI sees {_world().size}; use "
            f"`sciml mpi -n {n_processes()} …`, which finds the mpiexec that fits."
        )
    _mute()


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun has launched; nothing without it."""
    if n_sharing() == 1:
        yield
        return
    from sciml.training.distributed import process_group

    with process_group():
        yield


def _mute() -> None:
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for the rest of the process


def abort(message: str) -> NoReturn:
    """End all processes with a message: one that fails alone would leave the others waiting."""
    if not is_first():
        # Mostly all fail alike, and the first one has ended everything by then.
        time.sleep(_PATIENCE)
    print(message, file=sys.stderr, flush=True)
    _world().Abort(1)
    sys.exit(1)


def launch(n: int, arguments: list[str]) -> int:
    """Run ``sciml`` with arguments on n processes; the exit code.

    Raises
    ------
    MissingPackageError
        There is no ``mpiexec``.
    """
    environment = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
    command = [mpiexec(), "-n", str(n), sys.executable, "-m", "sciml", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def _world() -> Any:
    from mpi4py import MPI

    return MPI.COMM_WORLD
