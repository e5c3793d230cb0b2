"""Solvers that learn nothing: conjugate gradients by themselves and with what is usually put around them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Literal

import numpy as np
import scipy.sparse
import torch

from sciml.environment import require
from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.linear.axes import Axis, EvenAxis, GeneralAxis
from sciml.linear.cells import DIRICHLET, SOLID, Cells
from sciml.linear.fast_diagonalisation import FastDiagonalisation
from sciml.linear.krylov import LinearSolver, Prepared
from sciml.linear.multigrid import Multigrid
from sciml.linear.systems import LinearSystem

__all__ = [
    "ConjugateGradients",
    "Gamg",
    "GeometricMultigrid",
    "IncompleteCholesky",
    "RugeStueben",
    "SineTransform",
    "SmoothedAggregation",
]

_counter = itertools.count()


class ConjugateGradients(LinearSolver):
    """Conjugate gradients without a preconditioner."""

    name, title = "cg", "conjugate gradients"

    def setup(self, system: LinearSystem) -> Prepared:
        """Nothing."""
        return _Identity()


class _Identity(Prepared):
    def apply(self, r: np.ndarray) -> np.ndarray:
        return r.copy()


# -- PETSc -----------------------------------------------------------------------------------------------------


class IncompleteCholesky(LinearSolver):
    """Incomplete Cholesky factors by PETSc.

    Parameters
    ----------
    levels : int
        Of fill-in.
    """

    name, title = "icc", "incomplete Cholesky factorisation (PETSc)"

    def __init__(self, *, levels: int = 0) -> None:
        if levels < 0:
            raise OptionError(f"levels = {levels} is not possible; it is a number from 0.")
        require()
        self.levels = levels

    def setup(self, system: LinearSystem) -> Prepared:
        """The factor; a positive shift of the diagonal where it breaks down."""
        options = {"pc_factor_levels": self.levels, "pc_factor_shift_type": "positive_definite"}
        return _Petsc(system, "icc", options)


class Gamg(LinearSolver):
    """PETSc's algebraic multigrid by smoothed aggregation.

    Parameters
    ----------
    threshold : float, optional
        Below which couplings are dropped from the graph, relative; PETSc's default without.
    aggressive : bool
        Whether the first coarsening squares the graph.
    """

    name, title = "gamg", "algebraic multigrid GAMG (PETSc)"

    def __init__(self, *, threshold: float | None = None, aggressive: bool = True) -> None:
        require()
        self.threshold, self.aggressive = threshold, aggressive

    def setup(self, system: LinearSystem) -> Prepared:
        """The hierarchy."""
        options: dict[str, Any] = {} if self.threshold is None else {"pc_gamg_threshold": self.threshold}
        if not self.aggressive:
            options["pc_gamg_aggressive_coarsening"] = 0
        return _Petsc(system, "gamg", options)


class _Petsc(Prepared):
    """A preconditioner of PETSc on the matrix."""

    def __init__(self, system: LinearSystem, kind: str, options: Mapping[str, Any]) -> None:
        # Its stubs know neither its arrays nor its enumerations.
        PETSc: Any = import_module("petsc4py.PETSc")
        A = _with_lone_unknowns(system)
        arrays = A.indptr.astype(np.int32), A.indices.astype(np.int32), A.data
        self._matrix = PETSc.Mat().createAIJ(A.shape, csr=arrays, comm=PETSc.COMM_SELF)
        self._matrix.setOption(PETSc.Mat.Option.SPD, True)
        if system.null_space:
            vectors = [self._vector(PETSc, v) for v in system.null_space]
            kernel = PETSc.NullSpace().create(vectors=vectors, comm=PETSc.COMM_SELF)
            self._matrix.setNullSpace(kernel)
        self._r, self._z = self._matrix.createVecs()
        self._pc = PETSc.PC().create(PETSc.COMM_SELF)
        prefix = f"linear_{next(_counter)}_"
        self._pc.setOptionsPrefix(prefix)
        self._pc.setOperators(self._matrix)
        self._pc.setType(kind)
        database = PETSc.Options(prefix)
        for key, value in options.items():
            database[key] = value
        try:
            self._pc.setFromOptions()
            self._pc.setUp()
        except PETSc.Error as error:
            raise DivergenceError(f"PETSc could not set up {kind} for this matrix ({error}); take another.") from error
        finally:
            for key in options:
                database.delValue(key)

    @staticmethod
    def _vector(PETSc: Any, values: np.ndarray) -> Any:
        return PETSc.Vec().createWithArray(values.copy(), comm=PETSc.COMM_SELF)

    def apply(self, r: np.ndarray) -> np.ndarray:
        self._r.array[:] = r
        self._pc.apply(self._r, self._z)
        return self._z.array_r.copy()

    def destroy(self) -> None:
        for made in (self._pc, self._matrix, self._r, self._z):
            made.destroy()


# -- PyAMG -------------------------------------------------------------------------------------------------------


class SmoothedAggregation(LinearSolver):
    """PyAMG's smoothed aggregation, one V-cycle.

    Parameters
    ----------
    strength : {"symmetric", "evolution"}
        What counts as a strong coupling; evolution costs more set-up and follows anisotropy.
    theta : float
        Threshold of the symmetric measure.
    """

    name, title = "pyamg_sa", "algebraic multigrid by smoothed aggregation (PyAMG)"

    def __init__(self, *, strength: Literal["symmetric", "evolution"] = "symmetric", theta: float = 0.0) -> None:
        if strength not in ("symmetric", "evolution"):
            raise OptionError(f"strength = {strength!r} is not possible; allowed are symmetric and evolution.")
        import_module("pyamg")
        self.strength = ("symmetric", {"theta": theta}) if strength == "symmetric" else ("evolution", {})

    def setup(self, system: LinearSystem) -> Prepared:
        """The hierarchy."""
        import pyamg

        with _own_generator():
            return _PyAmg(pyamg.smoothed_aggregation_solver(_as_matrix(system), strength=self.strength))


class RugeStueben(LinearSolver):
    """PyAMG's classical multigrid by Ruge and Stüben, one V-cycle.

    Parameters
    ----------
    theta : float
        Threshold of strong couplings.
    """

    name, title = "pyamg_rs", "classical algebraic multigrid of Ruge and Stüben (PyAMG)"

    def __init__(self, *, theta: float = 0.25) -> None:
        import_module("pyamg")
        self.theta = theta

    def setup(self, system: LinearSystem) -> Prepared:
        """The hierarchy."""
        import pyamg

        strength = ("classical", {"theta": self.theta})
        with _own_generator():
            return _PyAmg(pyamg.ruge_stuben_solver(_as_matrix(system), strength=strength))


def _as_matrix(system: LinearSystem) -> scipy.sparse.csr_matrix:
    """PyAMG counts in 32 bits."""
    A = scipy.sparse.csr_matrix(_with_lone_unknowns(system))
    A.indptr, A.indices = A.indptr.astype(np.int32), A.indices.astype(np.int32)
    return A


def _with_lone_unknowns(system: LinearSystem) -> scipy.sparse.csr_array:
    """The matrix, with a diagonal for unknowns that are coupled to nothing: a part of the null space, projected off."""
    diagonal = system.matrix.diagonal()
    lone = diagonal == 0
    if not lone.any():
        return system.matrix
    size = diagonal.max() if diagonal.any() else 1.0
    return scipy.sparse.csr_array(system.matrix + scipy.sparse.diags_array(np.where(lone, size, 0.0)))


@contextlib.contextmanager
def _own_generator() -> Iterator[None]:
    """PyAMG starts its estimates of eigenvalues at random, from the generator that all of NumPy shares."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


class _PyAmg(Prepared):
    def __init__(self, hierarchy: Any) -> None:
        self._cycle = hierarchy.aspreconditioner(cycle="V")

    def apply(self, r: np.ndarray) -> np.ndarray:
        return np.asarray(self._cycle @ r, dtype=np.float64)


# -- grids -----------------------------------------------------------------------------------------------------


class GeometricMultigrid(LinearSolver):
    """The V-cycle of :class:`~sciml.linear.Multigrid` with red-black Gauss–Seidel, on labelled cells.

    Parameters
    ----------
    sweeps : int
        Before and after each coarse correction.
    precision : {"float32", "float64"}
        Of the cycle.
    """

    name, title = "gmg", "geometric multigrid on labelled cells, matrix-free"

    def __init__(self, *, sweeps: int = 2, precision: Literal["float32", "float64"] = "float32") -> None:
        if precision not in ("float32", "float64"):
            raise OptionError(f"precision = {precision!r} is not possible; allowed are float32 and float64.")
        self.sweeps, self.precision = sweeps, getattr(torch, precision)

    def setup(self, system: LinearSystem) -> Prepared:
        """Coarser cells, from the labels alone."""
        cells = cells_of(system, self.name)
        # Cells keep what they have computed; the set-up is to be that of a stranger.
        fresh = Cells(cells.labels, cells.weights, cells.reaction, cells.held)
        return _Cycle(system, Multigrid(fresh, precision=self.precision, sweeps=self.sweeps))


class _Cycle(Prepared):
    def __init__(self, system: LinearSystem, multigrid: Multigrid) -> None:
        assert system.grid is not None
        self._grid, self._multigrid = system.grid, multigrid

    def apply(self, r: np.ndarray) -> np.ndarray:
        cycle = self._multigrid.precondition(self._grid.spread(r))
        return self._grid.gather(cycle.numpy()).astype(np.float64)


def cells_of(system: LinearSystem, solver: str) -> Cells:
    """The labelled cells of a system.

    Raises
    ------
    UnsupportedError
        It has none.
    """
    if system.grid is None or system.grid.cells is None:
        raise UnsupportedError(
            f"{solver} needs labelled cells with constant coefficients, and the system {system.name} has none; take "
            f"gamg, pyamg_sa or icc."
        )
    return system.grid.cells


class SineTransform(LinearSolver):
    """The direct solver of boxes without obstacles: sine transforms along axes that are held at both ends.

    Along other axes, whose closed ends lie half a cell beyond the last centre, by dense eigenvectors. It is used as a
    preconditioner that is the inverse, so that one or two iterations are left of conjugate gradients.
    """

    name, title = "dst", "fast diagonalisation by sine transforms, direct, on boxes without obstacles"

    def setup(self, system: LinearSystem) -> Prepared:
        """The eigenvalues."""
        cells = cells_of(system, self.name)
        sides = [(_label_of_side(cells, axis, 0), _label_of_side(cells, axis, -1)) for axis in range(cells.dim)]
        plain = cells.fluid.all() and cells.reaction is None and cells.held is None
        if not plain or any(None in pair for pair in sides):
            raise UnsupportedError(
                f"dst needs a box without obstacles, each side of which is held or closed as a whole, and the system "
                f"{system.name} is none; take gmg."
            )
        axes = [_axis(n, pair) for n, pair in zip(cells.shape, sides, strict=True)]
        singular = not any(DIRICHLET in pair for pair in sides)
        return _Transforms(system, FastDiagonalisation(axes, cells.weights, singular=singular))


class _Transforms(Prepared):
    def __init__(self, system: LinearSystem, inverse: FastDiagonalisation) -> None:
        assert system.grid is not None
        self._grid, self._inverse = system.grid, inverse

    def apply(self, r: np.ndarray) -> np.ndarray:
        return self._grid.gather(self._inverse.solve(self._grid.spread(r)))


def _label_of_side(cells: Cells, axis: int, end: int) -> int | None:
    """The one label of a side, or None."""
    inner: list[Any] = [slice(1, -1)] * cells.dim
    inner[axis] = end
    labels = np.unique(cells.labels[tuple(inner)])
    return int(labels[0]) if len(labels) == 1 else None


def _axis(n: int, sides: tuple[int | None, int | None]) -> Axis:
    """The differences (−1, 2, −1) of n cells, without the part beyond a closed end."""
    if sides == (DIRICHLET, DIRICHLET):
        return EvenAxis(n + 1, n + 1, (True, True), share=0.0)
    K = np.diag(np.full(n, 2.0)) - np.eye(n, k=1) - np.eye(n, k=-1)
    for end, label in zip((0, -1), sides, strict=True):
        K[end, end] -= label == SOLID
    return GeneralAxis(K, np.eye(n))
