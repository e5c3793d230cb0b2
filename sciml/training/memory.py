"""What fits into memory: chunks of points, Jacobians and kernels, looked at before work starts."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sciml.errors import MemoryShortageError

__all__ = [
    "available_bytes",
    "check_fits",
    "chunk_size",
    "gauss_newton_bytes",
    "jet_bytes",
    "largest_fitting",
    "shortage_named",
]

_SHARE = 0.8
_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_PHRASES = ("can't allocate memory", "not enough memory", "out of memory")


def available_bytes(device: torch.device | str = "cpu") -> float:
    """Bytes that this process can still get.

    On a CPU the least of what the machine has, what the container (control group) of the process may use, and what its
    own limit of address space leaves. On a GPU what CUDA reports, with what PyTorch holds without using it. Infinite
    where nothing can be found out.
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min(_machine_room(), _group_room(), _limit_room())


def gauss_newton_bytes(residuals: int, parameters: int, itemsize: int = 8) -> int:
    """Bytes of a Gauss–Newton step with all of the Jacobian.

    J is (N, P); beside it stand the products J Jᵀ or Jᵀ J, of the smaller side, and their factor.

    Parameters
    ----------
    residuals, parameters : int
        N and P.
    itemsize : int
        Bytes of a number.
    """
    return itemsize * (residuals * parameters + 2 * min(residuals, parameters) ** 2)


def jet_bytes(points: int, derivatives: int, neurons: int, itemsize: int = 8) -> int:
    """Bytes of a jet through a network and back: three numbers a neuron, derivative and point.

    Parameters
    ----------
    points, derivatives : int
        Derivatives that are carried along, the value included (6 for all second ones in two dimensions).
    neurons : int
        Sum of the widths of the layers.
    itemsize : int
        Bytes of a number.
    """
    return 3 * itemsize * points * derivatives * neurons


def chunk_size(points: int, bytes_each: float, *, room: float, fewest: int = 1) -> int:
    """How many points can be worked on at once: as few chunks as possible, all of nearly one size.

    Parameters
    ----------
    points : int
        All of them.
    bytes_each : float
        What one needs while it is worked on.
    room : float
        Bytes; four fifths are used.
    fewest : int
        Points that a chunk must at least have.

    Raises
    ------
    MemoryShortageError
        Not even `fewest` fit.
    """
    fit = int(min(points, _SHARE * room / bytes_each))
    if fit < min(fewest, points):
        raise MemoryShortageError(
            f"{fewest} points at once need {_size(fewest * bytes_each)} and {_size(room)} are left; take a smaller "
            f"network, or free memory."
        )
    return math.ceil(points / math.ceil(points / fit))


def largest_fitting(cost: Callable[[int], float], room: float, most: int) -> int:
    """The largest number up to `most` whose cost, which grows, is within the room; 0 if none is."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= room else (low, middle - 1)
    return low


def check_fits(
    points: int, cost: Callable[[int], float], *, what: str, room: float | None = None, advice: str = ""
) -> None:
    """Refuse, before it is started, work that cannot fit into memory.

    Parameters
    ----------
    points : int
        That are asked for.
    cost : callable
        Points → bytes, growing.
    what : str
        What needs them, as the user would say it ("the Jacobian").
    room : float, optional
        Bytes; by default four fifths of what the CPU has.
    advice : str
        What else can be done, as half a sentence.

    Raises
    ------
    MemoryShortageError
        The message names the number of points that fits.
    """
    room = _SHARE * available_bytes() if room is None else room
    if cost(points) > room:
        raise _shortage(points, cost, what, room, advice)


@contextmanager
def shortage_named(points: int, cost: Callable[[int], float], *, what: str, advice: str = "") -> Iterator[None]:
    """Turn a failed allocation in the block into an error that names a number of points that fits.

    Parameters as for :func:`check_fits`. Since an allocation has failed although it was thought to fit, no more than
    half of the points are advised.

    Raises
    ------
    MemoryShortageError
        In place of ``MemoryError`` and of what PyTorch raises on a CPU or GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryShortageError) or not _is_shortage(error):
            raise
        raise _shortage(points, cost, what, min(_SHARE * available_bytes(), cost(points // 2)), advice) from error


def _is_shortage(error: Exception) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(phrase in str(error).lower() for phrase in _PHRASES)


def _shortage(points: int, cost: Callable[[int], float], what: str, room: float, advice: str) -> MemoryShortageError:
    fit = largest_fitting(cost, room, points)
    remedy = f"{fit} points fit" if fit else "not even one point fits, take a smaller network"
    also = f", or {advice}" if advice else ""
    return MemoryShortageError(
        f"{what[:1].upper()}{what[1:]} of {points} points needs {_size(cost(points))} and {_size(room)} can be used; "
        f"{remedy}{also}."
    )


def _size(number: float) -> str:
    if not math.isfinite(number):
        return "unlimited memory"
    power = min(4, max(0, int(math.log(max(number, 1), 1024))))
    return f"{number / 1024**power:.3g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _machine_room() -> float:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


def _group_room() -> float:
    """What the control groups (version 2) from that of this process upwards leave."""
    try:
        lines = _OWN_CGROUP.read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    place = _CGROUPS / own
    return min(_room_of(folder) for folder in (place, *place.parents) if folder.is_relative_to(_CGROUPS))


def _room_of(group: Path) -> float:
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        kept = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return math.inf
    # Files that were read and are not needed any more are given back.
    return math.inf if limit == "max" else float(limit) - used + int(kept.get("inactive_file", 0))


def _limit_room() -> float:
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        return math.inf
    return math.inf if limit == resource.RLIM_INFINITY else max(0.0, limit - pages * resource.getpagesize())
