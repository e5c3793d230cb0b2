"""Matrices and vectors of files: MatrixMarket, PETSc's binary format, text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse

from sciml.errors import OptionError

__all__ = ["read_matrix", "read_vector"]

_MATRIX, _VECTOR = 1211216, 1211214
"""What PETSc begins a binary matrix and a binary vector with."""


def read_matrix(path: Path) -> scipy.sparse.csr_array:
    """A matrix of a MatrixMarket file (``.mtx``, ``.mtx.gz``) or a binary file of PETSc (any other name).

    Raises
    ------
    OptionError
        The file is not there, or holds no matrix.
    """
    _check_there(path)
    try:
        if _is_market(path):
            return scipy.sparse.csr_array(scipy.io.mmread(path, spmatrix=False))
        return _petsc_matrix(path.read_bytes())
    except (ValueError, OSError, IndexError, TypeError) as error:
        raise OptionError(
            f"{path} holds no matrix that can be read ({error}); give MatrixMarket or PETSc binary."
        ) from error


def read_vector(path: Path) -> np.ndarray:
    """A vector ``(n,)`` of a MatrixMarket file, a binary file of PETSc, or text (``.txt``, ``.csv``) of numbers.

    Raises
    ------
    OptionError
        The file is not there, or holds no vector.
    """
    _check_there(path)
    try:
        if _is_market(path):
            values = scipy.io.mmread(path, spmatrix=False)
            values = values.toarray() if scipy.sparse.issparse(values) else values
            return np.asarray(values, dtype=np.float64).ravel()
        if path.suffix in (".txt", ".csv"):
            return np.loadtxt(path, dtype=np.float64, ndmin=1).ravel()
        return _petsc_vector(path.read_bytes())
    except (ValueError, OSError, IndexError, TypeError) as error:
        raise OptionError(
            f"{path} holds no vector that can be read ({error}); give MatrixMarket, text or PETSc."
        ) from error


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise OptionError(f"There is no file {str(path)!r}; give the path of a matrix or vector.")


def _is_market(path: Path) -> bool:
    return path.name.endswith((".mtx", ".mtx.gz"))


def _petsc_matrix(content: bytes) -> scipy.sparse.csr_array:
    """Big-endian: class, rows, columns, entries; entries of each row, columns, values."""
    head = np.frombuffer(content, ">i4", 4)
    if head[0] != _MATRIX:
        raise ValueError(f"it begins with {int(head[0])}, a PETSc matrix with {_MATRIX}")
    rows, columns, entries = (int(n) for n in head[1:])
    if entries < 0:
        raise ValueError("it is dense, and a sparse one is needed")
    lengths = np.frombuffer(content, ">i4", rows, 16)
    places = np.frombuffer(content, ">i4", entries, 16 + 4 * rows)
    values = np.frombuffer(content, ">f8", entries, 16 + 4 * (rows + entries))
    pointers = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return scipy.sparse.csr_array((values.astype(float), places.astype(np.int64), pointers), shape=(rows, columns))


def _petsc_vector(content: bytes) -> np.ndarray:
    head = np.frombuffer(content, ">i4", 2)
    if head[0] != _VECTOR:
        raise ValueError(f"it begins with {int(head[0])}, a PETSc vector with {_VECTOR}")
    return np.frombuffer(content, ">f8", int(head[1]), 8).astype(float)
