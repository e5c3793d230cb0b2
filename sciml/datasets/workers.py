"""Chunks solved by other processes of this machine, or by the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from sciml.datasets.request import Chunk
from sciml.datasets.solving import die_with_parent, solve_chunk
from sciml.errors import SchedulerError, ScimlError
from sciml.launching import dask_client

__all__ = ["Ways", "run_elsewhere"]


@dataclass(frozen=True)
class Ways:
    """Where chunks are solved.

    Attributes
    ----------
    workers : int
        Processes on this machine; one stands for this process itself.
    scheduler : str or None
        Address of a Dask scheduler, in place of them.
    """

    workers: int = 1
    scheduler: str | None = None

    @property
    def here(self) -> bool:
        """Whether this process solves all of them itself."""
        return self.scheduler is None and self.workers == 1


def run_elsewhere(
    ways: Ways, content: dict[str, Any], chunks: Sequence[Chunk]
) -> Generator[tuple[Chunk, dict[str, np.ndarray]]]:
    """Solve chunks, in whatever order they end.

    Raises
    ------
    SchedulerError
        The scheduler cannot be reached or was lost, or a process was killed.
    MissingPackageError
        ``distributed`` is not installed.
    """
    if ways.scheduler is None:
        return _on_this_machine(ways.workers, content, chunks)
    return _on_dask(ways.scheduler, content, chunks)


def _arguments(content: dict[str, Any], chunk: Chunk) -> tuple[Any, ...]:
    return content, chunk.split, chunk.seed, chunk.first, chunk.last


def _on_this_machine(
    workers: int, content: dict[str, Any], chunks: Sequence[Chunk]
) -> Generator[tuple[Chunk, dict[str, np.ndarray]]]:
    # Forked processes would share MPI's and torch's state.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=die_with_parent)
    try:
        futures = {pool.submit(solve_chunk, *_arguments(content, chunk)): chunk for chunk in chunks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise SchedulerError(
            "A process that solves members was killed, perhaps for want of memory; what is done is kept, and the same "
            "command goes on from there."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _on_dask(
    address: str, content: dict[str, Any], chunks: Sequence[Chunk]
) -> Generator[tuple[Chunk, dict[str, np.ndarray]]]:
    client = dask_client(address, "members")
    from distributed import as_completed as ended

    try:
        futures = {client.submit(solve_chunk, *_arguments(content, c), pure=False, retries=2): c for c in chunks}
        for future in ended(list(futures), loop=client.loop):
            yield futures[future], future.result()
            future.release()
    except ScimlError:
        raise
    except Exception as error:
        raise SchedulerError(
            f"The workers of {address} cannot solve members ({type(error).__name__}: {error}); give them the same "
            f"environment as this one. What is done is kept."
        ) from error
    finally:
        client.close()
