"""Finding FEniCSx, and saying how to get it."""

from __future__ import annotations

from sciml.errors import MissingPackageError

__all__ = ["require"]


def require() -> None:
    """Make ``dolfinx`` importable, or raise.

    Raises
    ------
    MissingPackageError
        FEniCSx is not installed.
    """
    try:
        import dolfinx_solver  # noqa: F401  the wheel's libraries must be loaded before dolfinx
    except ImportError:
        pass  # a conda or system FEniCSx needs no help
    try:
        import dolfinx.fem.petsc  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"FEniCSx is not installed ({error}); on Linux x86-64 `pip install dolfinx-solver-real`, elsewhere "
            f"`conda install -c conda-forge fenics-dolfinx`."
        ) from error
