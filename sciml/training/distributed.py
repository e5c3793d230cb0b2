"""A sum of squares whose points are shared between processes, all of which take the same steps.

Start them with ``torchrun --nproc-per-node N script.py``. Every process builds the same problem, network and points
(same seeds), keeps its share of the points in the domain (:func:`share`), and wraps its system in :class:`Distributed`.
Points of conditions, which are few, stay with all. One process alone goes through the same code unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from sciml.errors import OptionError

__all__ = ["Distributed", "evaluate_shared", "is_first", "largest", "process_group", "share"]


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` has started, by gloo on CPUs and NCCL on GPUs; nothing for one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return _rank() == 0


def largest(value: float) -> float:
    """The largest of a number on all processes."""
    if _size() == 1:
        return float(value)
    number = torch.tensor(float(value), dtype=torch.float64, device=_device())
    dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return float(number)


def share(points: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """The points of this process, and weights that keep the loss the mean over the points of all.

    With K processes, n points in all and n_k here, the mean over all is the mean over processes of
    (1/n_k) Σ w_i r_i² with w_i = K n_k / n, times the weight that a point had before.

    Parameters
    ----------
    points : (n, d) array
        The same on all processes. Process k takes the k-th block of them.
    weights : (n,) array, optional
        Weights in the mean; 1 by default.

    Returns
    -------
    points, weights : (n_k, d), (n_k,) arrays
        With one process what was given.

    Raises
    ------
    OptionError
        There are fewer points than processes.
    """
    processes, n = _size(), len(points)
    if processes == 1:
        return points, weights
    own = _block(n)
    given = np.ones(n) if weights is None else weights
    return points[own], given[own] * (processes * (own.stop - own.start) / n)


def evaluate_shared(function: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Values of a function at points, ``(n, …)``, each computed by one process and known to all.

    With it a sampler takes the same decisions everywhere, provided that its generator has the same seed. There must be
    as many points as processes, at least.
    """
    if _size() == 1:
        return function(points)
    values = torch.as_tensor(function(points[_block(len(points))])).to(_device())
    return _gathered(values.contiguous()).cpu().numpy()


class Distributed:
    """The least squares system of all processes together, out of the part that each has.

    ::

        E(θ) = (1/K) Σ_k E_k(θ)

    Rows of shared points are put one after the other, in the order of the points; all others are taken once. An
    optimiser sees the rows of all processes and takes the same step on each, to the last bit.

    Parameters
    ----------
    system : LeastSquares
        Of this process, on the points and weights that :func:`share` gave it.
    shared : callable, optional
        Returns the slices of rows that belong to points of this process, in ascending order; asked again whenever
        rows are needed, since points may be exchanged. All other rows are the same on all processes. By default all
        rows are shared.

    Notes
    -----
    Every process must call the same methods in the same order. A Jacobian of all rows stands on every process.

    Examples
    --------
    >>> with process_group():
    ...     collocation.set_points(*share(points, weights))
    ...     terms = lambda: [term.rows for term in collocation.terms if term.kind == "equation"]
    ...     optimizer.step(Distributed(collocation, terms), theta)
    """

    def __init__(self, system: Any, shared: Callable[[], Sequence[slice]] | None = None) -> None:
        self.system = system
        self._shared = shared or (lambda: [slice(0, system.n_residuals)])

    @property
    def n_residuals(self) -> int:
        """Rows of all processes."""
        if _size() == 1:
            return self.system.n_residuals
        return sum(sum(piece.counts) if piece.shared else piece.counts[0] for piece in self._pieces())

    def residual(self, theta: Tensor) -> Tensor:
        """r(θ) of all processes, ``(N,)``."""
        return self._joined(self.system.residual(theta))

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Rows r and ∂r/∂θ of all processes, ``(N,)`` and ``(N, P)``."""
        residual, jacobian = self.system.jacobian(theta)
        return self._joined(residual), self._joined(jacobian)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """E and ∂E/∂θ, a number and ``(P,)``."""
        value, gradient = self.system.value_and_gradient(theta)
        if _size() == 1:
            return value, gradient
        both = torch.cat([value.reshape(1), gradient])
        dist.all_reduce(both)
        both /= _size()
        return both[0], both[1:]

    def linear_operator(self, theta: Tensor) -> Any:
        """The linearised residual of all processes, matrix-free."""
        local = self.system.linear_operator(theta)
        return local if _size() == 1 else _Operator(self, local)

    def _joined(self, rows: Tensor) -> Tensor:
        """Rows of all processes out of those of this one."""
        processes = _size()
        if processes == 1:
            return rows
        parts = []
        for piece in self._pieces():
            own = rows[piece.rows].clone()
            if piece.shared:
                parts.append(_gathered(own, piece.counts) / processes**0.5)
            else:
                # Computed alike everywhere, but maybe not to the last bit on unlike machines.
                dist.broadcast(own, 0)
                parts.append(own)
        return torch.cat(parts)

    def own_rows(self, rows: Tensor) -> Tensor:
        """Turn rows of all processes into those of this one: the transpose of putting them together, up to a sum."""
        processes, parts, start = _size(), [], 0
        for piece in self._pieces():
            if piece.shared:
                first = start + sum(piece.counts[: _rank()])
                parts.append(rows[first : first + piece.counts[_rank()]] / processes**0.5)
                start += sum(piece.counts)
            else:
                parts.append(rows[start : start + piece.counts[0]] / processes)
                start += piece.counts[0]
        return torch.cat(parts)

    def _pieces(self) -> list[_Piece]:
        """All rows of this process in order, as stretches that are shared or not."""
        found: list[tuple[slice, bool]] = []
        at = 0
        for rows in self._shared():
            if rows.start > at:
                found.append((slice(at, rows.start), False))
            found.append((rows, True))
            at = rows.stop
        if at < self.system.n_residuals:
            found.append((slice(at, self.system.n_residuals), False))
        counts = _counts([rows.stop - rows.start for rows, _ in found])
        return [_Piece(rows, shared, [c[i] for c in counts]) for i, (rows, shared) in enumerate(found)]


@dataclass(frozen=True)
class _Piece:
    """A stretch of rows: where it is here, whether it is shared, and how long it is on each process."""

    rows: slice
    shared: bool
    counts: list[int]


class _Operator:
    """A linearised residual whose rows are shared."""

    def __init__(self, owner: Distributed, local: Any) -> None:
        self._owner, self._local = owner, local
        self.residual: Tensor = owner._joined(local.residual)

    def product(self, direction: Tensor) -> Tensor:
        """J v, ``(N,)`` or ``(N, m)``."""
        return self._owner._joined(self._local.product(direction))

    def transposed(self, rows: Tensor) -> Tensor:
        """Jᵀ w, ``(P,)`` or ``(P, m)``."""
        total = self._local.transposed(self._owner.own_rows(rows)).contiguous()
        dist.all_reduce(total)
        return total


def _size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _device() -> torch.device:
    """Where the present group of processes talks."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", local) if dist.get_backend() == "nccl" else torch.device("cpu")


def _block(n: int) -> slice:
    """The part of n things that is this process's."""
    processes, rank = _size(), _rank()
    if n < processes:
        raise OptionError(f"{n} points cannot be shared between {processes} processes; give more, or start fewer.")
    return slice(rank * n // processes, (rank + 1) * n // processes)


def _counts(own: list[int]) -> list[list[int]]:
    """Numbers of rows of all processes."""
    mine = torch.tensor(own, dtype=torch.int64, device=_device())
    found = [torch.empty_like(mine) for _ in range(_size())]
    dist.all_gather(found, mine)
    return [counts.tolist() for counts in found]


def _gathered(rows: Tensor, counts: list[int] | None = None) -> Tensor:
    """Rows of all processes, one after the other."""
    if counts is None:
        counts = [count for (count,) in _counts([len(rows)])]
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    found = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(found, padded)
    return torch.cat([part[:count] for part, count in zip(found, counts, strict=True)])
