"""Checking an installation."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sciml.benchmark.machine import PACKAGES, matmul_rate
from sciml.cli.console import console
from sciml.errors import ScimlError
from sciml.solvers.base import package_versions

__all__ = ["examine", "print_report"]


def examine() -> dict[str, Any]:
    """Look at everything a solve needs.

    Returns
    -------
    dict
        ``versions``, ``python``, ``compiler``, ``python_headers``, ``mpi``, ``devices``, ``threads``, ``solve`` (a
        small problem against its exact solution), ``matmul_gflops`` (float64, one thread), what is ``wrong``, and
        ``healthy``.
    """
    findings: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.platform(),
        "versions": package_versions(*PACKAGES),
        "compiler": _guarded(_compiler),
        "python_headers": (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
        "mpi": _guarded(_mpi),
        "devices": _guarded(_devices),
        "threads": _guarded(_threads),
        "cores": os.cpu_count(),
        "matmul_gflops": round(matmul_rate(), 1),
        "solve": _guarded(_small_solve),
    }
    findings["wrong"] = _wrong(findings)
    findings["healthy"] = not findings["wrong"]
    return findings


def _guarded(look: Callable[[], Any]) -> Any:
    """What a look finds, or the error in words."""
    try:
        return look()
    except (ScimlError, ImportError, OSError, RuntimeError) as error:
        return f"failed: {error}"


def _compiler() -> str:
    """The C compiler that the form compiler calls."""
    command = (os.environ.get("CC") or "cc").split()[0]
    path = shutil.which(command)
    if path is None:
        return f"failed: there is no C compiler {command!r}; install gcc or clang, or set CC"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return version.split("\n")[0]


def _mpi() -> str:
    from sciml.environment import require

    require()
    from mpi4py import MPI

    return f"{MPI.Get_library_version().split(chr(10))[0].strip()}, {MPI.COMM_WORLD.size} rank(s)"


def _devices() -> list[str]:
    import torch

    return ["cpu", *(f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count()))]


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _small_solve() -> str:
    """Poisson's equation with a known solution."""
    from ufl import grad, pi, sin

    from sciml.problem import Box, Dirichlet, Problem
    from sciml.solvers.run import solve

    start = time.perf_counter()
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: grad(u),
        exact=lambda x: sin(pi * x[0]) * sin(pi * x[1]),
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    error = solve(problem, "fenics", degree=2, cells=16).error().relative_l2
    if not error < 1e-3:
        return f"failed: relative L2 error {error:.1e}, expected below 1e-3"
    return f"Poisson, P2, 16²: relative L2 error {error:.1e} in {time.perf_counter() - start:.1f} s"


def _wrong(findings: dict[str, Any]) -> list[str]:
    wrong = [f"{key}: {value}" for key, value in findings.items() if str(value).startswith("failed")]
    if not findings["python_headers"]:
        wrong.append("python_headers: Python.h is missing, so forms cannot be compiled; install python3-dev")
    return wrong


def print_report(findings: dict[str, Any]) -> None:
    """Print the findings for people."""
    for key, value in findings.items():
        if key in ("wrong", "healthy"):
            continue
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        console.print(f"{key:15} {text}", highlight=False, markup=False)
    for line in findings["wrong"]:
        console.print(f"[red]wrong[/red] {line}", highlight=False)
    console.print("all is well" if findings["healthy"] else "see the lines marked as wrong")
