"""Processes that were launched together, and the launcher that fits this environment's MPI."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from sciml.errors import MissingPackageError, SchedulerError

__all__ = ["RANKS", "dask_client", "is_first", "mpiexec", "n_processes", "n_sharing", "unlaunched"]

# As launchers of MPICH (also Intel's), Open MPI and Slurm tell their processes.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
"""Environment variables that hold the number of a process among those launched together."""
_TORCHRUN = ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PREFIXES = ("PMI_", "PMIX_", "OMPI_COMM_", "HYDI_", "HYDRA_")


def _told(names: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)


def n_processes() -> int:
    """How many processes were launched together."""
    return _told(_SIZES, 1)


def n_sharing() -> int:
    """How many processes torchrun has launched to share a training; 1 where it has launched none."""
    return _told(("WORLD_SIZE",), 1) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    if n_sharing() > 1:
        return _told(("RANK",), 0) == 0
    return n_processes() == 1 or _told(RANKS, 0) == 0


def mpiexec() -> str:
    """The ``mpiexec`` beside this Python, or the one on the path.

    Raises
    ------
    MissingPackageError
        There is none.
    """
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise MissingPackageError("There is no mpiexec beside this Python or on the path; it comes with FEniCSx.")
    return found


def dask_client(address: str, what: str, *, patience: float = 5.0) -> Any:
    """A client of a Dask scheduler that is not the default one of this process.

    Parameters
    ----------
    address : str
        ``"tcp://HOST:PORT"``.
    what : str
        What is to be sent there, for the message.
    patience : float
        Seconds until a scheduler that does not answer is given up.

    Raises
    ------
    MissingPackageError
        ``distributed`` is not installed.
    SchedulerError
        No scheduler answers.
    """
    try:
        import distributed
    except ImportError as error:
        raise MissingPackageError(
            f'Sending {what} to a scheduler needs distributed; `pip install "sciml[cluster]"`.'
        ) from error
    try:
        if ":" not in address:  # distributed would start a cluster of its own for an empty one
            raise ValueError("no address")
        return distributed.Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise SchedulerError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`, and give its address as "
            f"tcp://HOST:PORT."
        ) from error


def unlaunched(environment: dict[str, str]) -> dict[str, str]:
    """An environment for a process that is on its own, whatever launched the one that starts it."""
    told = {*_SIZES, *RANKS, *(_TORCHRUN if "TORCHELASTIC_RUN_ID" in environment else ())}
    return {name: value for name, value in environment.items() if name not in told and not name.startswith(_PREFIXES)}
