"""What a run was made on: the machine and its speed, the commit, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from sciml.solvers.base import package_versions

__all__ = ["NOMINAL_GFLOPS", "PACKAGES", "cpu_model", "matmul_rate", "provenance", "scale"]

NOMINAL_GFLOPS = 49.0
"""Bounds in CPU seconds are meant for a core with this float64 matrix product."""

PACKAGES = (
    "torch",
    "deepxde",
    "neuraloperator",
    "fenics-ufl",
    "dolfinx-solver-real",
    "fenics-dolfinx",
    "mpi4py",
    "meshio",
    "h5py",
    "numpy",
    "scipy",
    "gmsh",
    "pyvista",
    "pyamg",
    "distributed",
)
"""Whose versions are recorded."""


def matmul_rate(size: int = 1024, seconds: float = 1.0) -> float:
    """GFLOP/s of a float64 matrix product on one thread: the best of the repetitions that fit into `seconds`."""
    from threadpoolctl import threadpool_limits

    a = np.random.default_rng(0).random((size, size))
    best = np.inf
    with threadpool_limits(1):
        np.matmul(a, a)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            np.matmul(a, a)
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def scale(rate: float) -> float:
    """By how much bounds in CPU seconds are stretched on a machine with this :func:`matmul_rate`."""
    return NOMINAL_GFLOPS / rate


def provenance() -> dict[str, Any]:
    """What to write beside results.

    Returns
    -------
    dict
        ``machine`` (``cpu``, ``cores``, ``memory`` in bytes, ``platform``, ``python``, ``gpus``, ``load`` over 1, 5 and
        15 minutes), ``commit`` of the package's checkout, with ``-dirty`` where files differ from it, None where it is
        none, and ``versions`` of packages.
    """
    return {"machine": _machine(), "commit": _commit(), "versions": package_versions(*PACKAGES)}


def _machine() -> dict[str, Any]:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "gpus": _gpus(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]


def _commit() -> str | None:
    folder = Path(__file__).resolve().parents[2]
    # Not the repository that an installed package happens to lie in.
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("-dirty" if _git(folder, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
