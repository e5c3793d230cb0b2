"""Periodicity by node identification: u = P w with the independent degrees of freedom w.

Degrees of freedom that periodic conditions tie together form a class (a corner of a box that is periodic in two
directions: four of them), of which one is independent. Every row of P has a single one, so what is identified is equal
to the last bit. Matrices become Pᵀ A P, residuals Pᵀ r. Without periodic conditions P is never formed, and vectors and
matrices are those of the space itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from dolfinx import fem
from mpi4py import MPI
from petsc4py import PETSc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sciml.errors import ConditionError
from sciml.fem.discretisation import Discretisation
from sciml.problem import Periodic
from sciml.problem.mesh import MATCH

__all__ = ["Independent"]


class Independent:
    """The degrees of freedom that are left to solve for.

    Vectors of them are PETSc vectors whose entries are distributed like the degrees of freedom of the space that they
    stand for.

    Parameters
    ----------
    disc : Discretisation

    Attributes
    ----------
    prolongation : PETSc.Mat or None
        P; None where all degrees of freedom are independent.
    n_owned : int
        Independent degrees of freedom that this process owns.

    Raises
    ------
    ConditionError
        Degrees of freedom of a periodic part without a partner.
    """

    def __init__(self, disc: Discretisation) -> None:
        self.disc = disc
        dofmap = disc.space.dofmap
        self._n_full = dofmap.index_map.size_local * dofmap.index_map_bs
        self._full = fem.petsc.create_vector(disc.space)
        self.n_owned, self.prolongation = self._n_full, None
        if disc.problem.periodic:
            self._identify(_Classes(disc))

    def _identify(self, classes: _Classes) -> None:
        """P, and which owned degrees of freedom are independent."""
        comm, numbers = self.disc.comm, global_numbers(self.disc)[: self._n_full]
        self._classes = classes
        leader = classes.leader_of(numbers)
        self._chosen = np.flatnonzero(leader == numbers)
        self.n_owned = len(self._chosen)
        self._first = comm.scan(self.n_owned) - self.n_owned
        columns = np.full(self._n_full, -1, dtype=np.int64)
        columns[self._chosen] = self._first + np.arange(self.n_owned)
        # Leaders that others follow are told to all processes: a boundary's worth.
        lead = self._chosen[np.isin(numbers[self._chosen], classes.leaders)]
        leaders, places = _gathered(comm, numbers[lead], columns[lead])
        order = np.argsort(leaders)
        follows = columns < 0
        columns[follows] = places[order][np.searchsorted(leaders[order], leader[follows])]
        total = comm.allreduce(self.n_owned)
        self.prolongation = PETSc.Mat().createAIJ(
            ((self._n_full, PETSc.DECIDE), (self.n_owned, total)),
            csr=(
                np.arange(self._n_full + 1, dtype=PETSc.IntType),
                columns.astype(PETSc.IntType),
                np.ones(self._n_full),
            ),
            comm=comm,
        )

    def one_of_each(self, components: Sequence[int]) -> np.ndarray:
        """One independent degree of freedom of each component, on the first process that has any."""
        comm, found = self.disc.comm, []
        own = self.values(self.disc.unknowns.component)
        for component in components:
            mine = np.flatnonzero(own == component)
            first = comm.allreduce(comm.rank if len(mine) else comm.size, op=MPI.MIN)
            found.append(mine[: int(first == comm.rank)])
        return np.concatenate([np.zeros(0, dtype=np.int32), *found]).astype(np.int32)

    # -- vectors -------------------------------------------------------------------------------------------------

    def vector(self) -> PETSc.Vec:
        """A new vector of zeros."""
        out = self._full.duplicate() if self.prolongation is None else self.prolongation.createVecRight()
        out.set(0.0)
        return out

    def values(self, local: np.ndarray) -> np.ndarray:
        """The entries of an array over local degrees of freedom that are independent and owned."""
        return local[: self._n_full] if self.prolongation is None else local[self._chosen]

    def load(self, vector: PETSc.Vec) -> None:
        """Take the state of the discretisation from a vector."""
        if self.prolongation is not None:
            self.prolongation.mult(vector, self._full)
            vector = self._full
        u = self.disc.u.x
        u.array[: self._n_full] = vector.array_r[: self._n_full]
        u.scatter_forward()

    def state(self) -> PETSc.Vec:
        """The state of the discretisation as a new vector."""
        out = self.vector()
        out.array[:] = self.values(self.disc.u.x.array)
        return out

    def residual(self, out: PETSc.Vec, form: fem.Form | None = None) -> None:
        """F at the state of the discretisation, or another linear form, tested with independent functions."""
        full = out if self.prolongation is None else self._full
        with full.localForm() as local:
            local.set(0.0)
        fem.petsc.assemble_vector(full, self.disc.residual if form is None else form)
        full.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        if self.prolongation is not None:
            self.prolongation.multTranspose(full, out)

    def size(self, residual: PETSc.Vec) -> float:
        """Size of the terms of the residual assembled last.

        What was identified is counted before it is added up: the fluxes through opposite sides may cancel altogether.
        """
        return float((residual if self.prolongation is None else self._full).norm())

    # -- matrices ------------------------------------------------------------------------------------------------

    def matrix(self, form: fem.Form) -> Reduced:
        """A matrix of this form; assembled when it is asked for."""
        return Reduced(self, form)

    def hold(self, matrix: PETSc.Mat, rows: np.ndarray) -> None:
        """Make rows and columns of a matrix those of the identity; `rows` are numbered as :meth:`prescribed` does."""
        if self.prolongation is None:
            matrix.zeroRowsColumnsLocal(rows, 1.0)
        else:
            matrix.zeroRowsColumns((self._first + rows).astype(PETSc.IntType), 1.0)

    def prescribed(self, data: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Owned independent degrees of freedom (local numbers) with Dirichlet data, and their values.

        Where some of what is identified has data, all of it has; that of the leading one counts first.

        Parameters
        ----------
        data : (array, array)
            Local degrees of freedom of the space with their values; all processes call it.
        """
        dofs, values = data
        mine = dofs < self._n_full
        dofs, values = dofs[mine], values[mine]
        if self.prolongation is None:
            return dofs, values
        numbers = global_numbers(self.disc)[dofs]
        leader = self._classes.leader_of(numbers)
        tied = np.isin(leader, self._classes.leaders)
        full = np.full(self._n_full, np.nan)
        full[dofs[~tied]] = values[~tied]
        self._spread(full, *_gathered(self.disc.comm, numbers[tied], leader[tied], values[tied]))
        own = self.values(full)
        found = np.flatnonzero(~np.isnan(own)).astype(np.int32)
        return found, own[found]

    def _spread(self, full: np.ndarray, numbers: np.ndarray, leaders: np.ndarray, values: np.ndarray) -> None:
        """Write values of any process into the leaders that this one owns."""
        start = self.disc.space.dofmap.index_map.local_range[0] * self.disc.space.dofmap.index_map_bs
        # Last written stays: own data of a leader after those of its followers.
        order = np.lexsort((-numbers, numbers == leaders))
        place = leaders[order] - start
        here = (place >= 0) & (place < self._n_full)
        for where, value in zip(place[here], values[order][here], strict=True):
            full[where] = value

    def destroy(self) -> None:
        """Free PETSc's memory."""
        self._full.destroy()
        if self.prolongation is not None:
            self.prolongation.destroy()


class Reduced:
    """A matrix over the independent degrees of freedom, assembled any number of times.

    Attributes
    ----------
    matrix : PETSc.Mat
        A, or Pᵀ A P.
    """

    def __init__(self, independent: Independent, form: fem.Form) -> None:
        self._independent, self._form = independent, form
        disc = independent.disc
        self._full = self.matrix = disc.matrix() if form is disc.jacobian else fem.petsc.create_matrix(form)
        if independent.prolongation is not None:
            self._assemble()
            self.matrix = self._full.ptap(independent.prolongation)

    def assemble(self) -> PETSc.Mat:
        """The matrix at the present state."""
        self._full.zeroEntries()
        self._assemble()
        if self._independent.prolongation is not None:
            self._full.ptap(self._independent.prolongation, result=self.matrix)
        return self.matrix

    def _assemble(self) -> None:
        fem.petsc.assemble_matrix(self._full, self._form)
        self._full.assemble()

    def destroy(self) -> None:
        """Free PETSc's memory."""
        self.matrix.destroy()
        if self._full is not self.matrix:
            self._full.destroy()


@dataclass(frozen=True)
class _Boundary:
    """Degrees of freedom of a part, from all processes, each once."""

    numbers: np.ndarray
    points: np.ndarray


class _Classes:
    """Which degrees of freedom (global numbers) are one; the same on every process.

    The leader of a class is one that follows no other: its place lies on minus parts only.
    """

    def __init__(self, disc: Discretisation) -> None:
        pairs = [
            _pairs(disc, condition, component)
            for condition in disc.problem.periodic
            for component in condition.components(disc.problem.n_components)
        ]
        followers, leaders = np.concatenate(pairs).T
        self._members, compact = np.unique(np.concatenate([followers, leaders]), return_inverse=True)
        size, ones = len(self._members), np.ones(len(followers))
        graph = coo_array((ones, (compact[: len(followers)], compact[len(followers) :])), shape=(size, size))
        label = connected_components(graph, directed=False)[1]
        order = np.lexsort((self._members, np.isin(self._members, followers), label))
        first = np.unique(label[order], return_index=True)[1]
        self._leader = self._members[order[first]][label]
        self.leaders = np.unique(self._leader)

    def leader_of(self, numbers: np.ndarray) -> np.ndarray:
        """The leader of each degree of freedom: itself where it is tied to none."""
        place = np.minimum(np.searchsorted(self._members, numbers), len(self._members) - 1)
        return np.where(self._members[place] == numbers, self._leader[place], numbers)


def _pairs(disc: Discretisation, condition: Periodic, component: int) -> np.ndarray:
    """Global numbers of (plus, minus) for each degree of freedom of the plus part: (n, 2)."""
    minus, plus = (_boundary(disc, part, component) for part in (condition.minus, condition.plus))
    moved = minus.points + condition.translation
    distance, nearest = cKDTree(moved).query(plus.points)
    lonely = distance > MATCH * _spacing(disc, plus.points)
    if lonely.any() or len(minus.numbers) != len(plus.numbers):
        first = ", ".join(f"{x:.6g}" for x in plus.points[int(np.argmax(lonely))])
        where = f", the first at ({first})" if lonely.any() else ""
        raise ConditionError(
            f"{condition}: {len(minus.numbers)} degrees of freedom on {', '.join(condition.minus)} and "
            f"{len(plus.numbers)} on {', '.join(condition.plus)} do not match{where}; mesh both parts alike."
        )
    return np.stack([plus.numbers, minus.numbers[nearest]], axis=1)


def _spacing(disc: Discretisation, points: np.ndarray) -> float:
    """Distance of the two points that are closest."""
    if len(points) < 2:
        return disc.mesh.data.diameter
    return float(cKDTree(points).query(points, k=2)[0][:, 1].min())


def _boundary(disc: Discretisation, part: tuple[str, ...], component: int) -> _Boundary:
    dofs = disc.unknowns_on(part, component)
    numbers, points = _gathered(disc.comm, global_numbers(disc)[dofs], disc.unknowns.points[dofs])
    numbers, first = np.unique(numbers, return_index=True)
    return _Boundary(numbers, points[first])


def global_numbers(disc: Discretisation) -> np.ndarray:
    """Global number of every local degree of freedom (unrolled, ghosts included)."""
    index_map, block = disc.space.dofmap.index_map, disc.space.dofmap.index_map_bs
    nodes = index_map.local_to_global(np.arange(index_map.size_local + index_map.num_ghosts, dtype=np.int32))
    return (nodes[:, None] * block + np.arange(block)).ravel()


def _gathered(comm: MPI.Intracomm, *arrays: np.ndarray) -> Iterable[np.ndarray]:
    """Arrays of all processes, joined in the order of their ranks."""
    return [np.concatenate(comm.allgather(array)) for array in arrays]
