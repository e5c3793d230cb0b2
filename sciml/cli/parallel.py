"""Running under MPI: every process does the same, the first one speaks and writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from sciml.errors import MissingPackageError, OptionError

__all__ = ["abort", "is_first", "launch", "n_processes", "quiet_others", "wait_for_all"]

# As launchers of MPICH (also Intel's), Open MPI and Slurm tell their processes.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
_PATIENCE = 0.5


def _told(names: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)


def n_processes() -> int:
    """How many processes were launched together."""
    return _told(_SIZES, 1)


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return n_processes() == 1 or _told(_RANKS, 0) == 0


def wait_for_all() -> None:
    """Go on when all processes are here."""
    if n_processes() > 1:
        _world().Barrier()


def quiet_others() -> None:
    """Leave printing to the first process.

    Raises
    ------
    OptionError
        The launcher belongs to another MPI, so that every process would solve the whole problem.
    """
    if n_processes() == 1:
        return
    if _world().size != n_processes():
        raise OptionError(
            f"The launcher started {n_processes()} processes, but this environment's MPI sees {_world().size}; use "
            f"`sciml mpi -n {n_processes()} …`, which finds the mpiexec that fits."
        )
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
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise MissingPackageError("There is no mpiexec beside this Python or on the path; it comes with FEniCSx.")
    environment = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
    command = [found, "-n", str(n), sys.executable, "-m", "sciml", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def _world() -> Any:
    from mpi4py import MPI

    return MPI.COMM_WORLD
