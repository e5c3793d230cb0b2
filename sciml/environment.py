"""Finding FEniCSx, and saying how to get it."""

from __future__ import annotations

import contextlib

from sciml.errors import MissingPackageError

__all__ = ["require"]


def require() -> None:
    """Make ``dolfinx`` importable, or raise.

    Raises
    ------
    MissingPackageError
        FEniCSx is not installed.
    """
    with contextlib.suppress(ImportError):  # a conda or system FEniCSx needs no help
        import dolfinx_solver  # noqa: F401  the wheel's libraries must be loaded before dolfinx
    try:
        import petsc4py

        # PETSc would turn a polite SIGTERM into an abort, before anything can be saved.
        petsc4py.init(["sciml", "-no_signal_handler"])
        import dolfinx.fem.petsc  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"FEniCSx is not installed ({error}); on Linux x86-64 `pip install dolfinx-solver-real`, elsewhere "
            f"`conda install -c conda-forge fenics-dolfinx`."
        ) from error
