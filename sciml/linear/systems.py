"""Linear systems A x = b to try solvers on: Poisson with obstacles, rough and anisotropic diffusion, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse
from scipy.ndimage import gaussian_filter

from sciml.errors import ParameterError
from sciml.linear.cells import DIRICHLET, FLUID, SOLID, Cells
from sciml.linear.stencils import Grid

__all__ = ["LinearSystem", "RightSide", "diffusion", "from_cells", "from_file", "from_matrix", "poisson"]

RightSide = Literal["plume", "noise"]
_PLUMES = 6


@dataclass(eq=False)
class LinearSystem:
    """A symmetric positive (semi)definite system A x = b.

    Attributes
    ----------
    rhs : (n,) array
        b in float64.
    grid : Grid or None
        What the unknowns are on: the cells that are fluid, in row-major order.
    given : csr_array or None
        A where there is no grid.
    null_space : list of (n,) arrays
        Orthonormal vectors with A v = 0; b is projected off them by solvers, and so is the solution.
    name, about : str
    """

    rhs: np.ndarray
    grid: Grid | None = None
    given: scipy.sparse.csr_array | None = None
    null_space: list[np.ndarray] = field(default_factory=list)
    name: str = "system"
    about: str = ""

    def __post_init__(self) -> None:
        if (self.grid is None) == (self.given is None):
            raise ParameterError("A system is made of a grid or of a matrix; give one of them.")
        self.rhs = np.ascontiguousarray(self.rhs, dtype=np.float64)
        size = len(self.grid.places) if self.grid is not None else self.given.shape[0]  # type: ignore[union-attr]
        if self.rhs.shape != (size,):
            raise ParameterError(f"The right side has shape {self.rhs.shape}; the system has {size} unknowns.")
        if not np.isfinite(self.rhs).all():
            count = int((~np.isfinite(self.rhs)).sum())
            raise ParameterError(f"The right side is not a finite number in {count} of {size} places; mend it.")

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.rhs)

    @cached_property
    def matrix(self) -> scipy.sparse.csr_array:
        """A, assembled when it is first asked for."""
        return self.grid.matrix if self.given is None else self.given  # type: ignore[union-attr]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """A x."""
        return self.matrix @ x

    def project(self, x: np.ndarray) -> np.ndarray:
        """X without its part in the null space."""
        for v in self.null_space:
            x = x - (v @ x) * v
        return x


def from_cells(cells: Cells, rhs: np.ndarray, *, name: str = "cells", about: str = "") -> LinearSystem:
    """The system of labelled cells with a right side ``(n₀, …)`` or ``(n,)``; what nothing holds is its null space."""
    grid = Grid.of_cells(cells)
    values = grid.gather(rhs) if rhs.shape == cells.shape else rhs
    return LinearSystem(values, grid, None, _loose_constants(grid), name, about)


def _loose_constants(grid: Grid) -> list[np.ndarray]:
    """A unit vector for each component of cells that nothing holds."""
    assert grid.cells is not None
    cells, component = grid.cells.loose
    unknowns = np.searchsorted(grid.places, cells)
    out = []
    for k in range(int(component.max(initial=-1)) + 1):
        own = unknowns[component == k]
        vector = np.zeros(len(grid.places))
        vector[own] = len(own) ** -0.5
        out.append(vector)
    return out


def poisson(
    shape: Sequence[int],
    *,
    obstacles: int = 0,
    seed: int = 0,
    rhs: RightSide = "plume",
    walls: Literal["open", "closed"] | None = None,
) -> LinearSystem:
    """The pressure Poisson equation on a MAC grid, unscaled 5- or 7-point stencil.

    Without obstacles a box that is held all round; with some, a box with closed walls (no flux) and an open (held) end
    of the last axis, in which balls and boxes stand: two of three without flux, the others held. Pockets that obstacles
    close off have a null space of their own, and the right side is projected off it.

    Parameters
    ----------
    shape : (dim,) sequence of int
        Cells along each axis, 2 or 3 axes.
    obstacles : int
        Balls and boxes at random places.
    seed : int
        Of obstacles and right side.
    rhs : {"plume", "noise"}
        Six dipoles that are slopes of Gaussians, or white noise; of norm 1.
    walls : {"open", "closed"}, optional
        Held all round, or closed but for one end; what was said above by default.

    Raises
    ------
    ParameterError
        A shape or number that is not possible, obstacles that leave no cell.
    """
    shape = _checked_shape(shape)
    if obstacles < 0:
        raise ParameterError(f"obstacles = {obstacles} is not possible; it is a number of balls and boxes from 0.")
    labels = np.full([n + 2 for n in shape], DIRICHLET, dtype=np.int8)
    labels[(slice(1, -1),) * len(shape)] = FLUID
    if walls == "closed" or (walls is None and obstacles):
        for axis in range(len(shape)):
            lines = np.moveaxis(labels, axis, 0)
            lines[0] = SOLID
            lines[-1] = SOLID if axis < len(shape) - 1 else DIRICHLET
    _place(labels, obstacles, np.random.default_rng([seed, 1]))
    cells = Cells(labels)
    generator = np.random.default_rng([seed, 2])
    values = plume(cells, generator) if rhs == "plume" else np.where(cells.fluid, generator.normal(size=shape), 0.0)
    about = f"{'x'.join(map(str, shape))} cells, {obstacles} obstacles, seed {seed}, {rhs}"
    system = from_cells(cells, values, name="poisson", about=about)
    projected = system.project(system.rhs)
    system.rhs = projected / np.linalg.norm(projected)
    return system


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) not in (2, 3) or min(shape) < 4:
        raise ParameterError(
            f"A grid of {'x'.join(map(str, shape))} cells is not possible; give 2 or 3 axes of at least 4 cells."
        )
    return tuple(map(int, shape))


def _place(labels: np.ndarray, count: int, generator: np.random.Generator) -> None:
    """Balls and boxes, two of three solid and the others Dirichlet, in lengths of the shortest edge."""
    shortest = min(labels.shape) - 2
    place = np.stack(np.meshgrid(*[(np.arange(n) - 0.5) / shortest for n in labels.shape], indexing="ij"))
    ends = np.array([(n - 2) / shortest for n in labels.shape])
    column = (labels.ndim, *(1,) * labels.ndim)
    inner = np.zeros(labels.shape, dtype=bool)
    inner[(slice(1, -1),) * labels.ndim] = True
    for _ in range(count):
        away = place - (generator.uniform(0.12, 0.88, labels.ndim) * ends).reshape(column)
        size, ball = generator.uniform(0.04, 0.12), generator.random() < 0.5
        inside = (away**2).sum(axis=0) < size**2 if ball else np.abs(away).max(axis=0) < 0.8 * size
        labels[inside & inner] = DIRICHLET if generator.random() < 1 / 3 else SOLID


def plume(cells: Cells, generator: np.random.Generator) -> np.ndarray:
    """A smooth right side ``(n₀, …)``: six dipoles at random places, each the slope of a Gaussian."""
    shortest = min(cells.shape)
    place = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / shortest for n in cells.shape], indexing="ij"))
    ends = np.array([n / shortest for n in cells.shape])
    out = np.zeros(cells.shape)
    for _ in range(_PLUMES):
        centre, axis = generator.uniform(0.1, 0.9, cells.dim) * ends, int(generator.integers(cells.dim))
        width, sign = generator.uniform(0.03, 0.08), generator.choice([-1, 1])
        away = place - centre.reshape(cells.dim, *(1,) * cells.dim)
        out += sign * away[axis] / width * np.exp(-(away**2).sum(axis=0) / (2 * width**2))
    return np.where(cells.fluid, out, 0.0)


def diffusion(
    shape: Sequence[int],
    *,
    contrast: float = 1.0,
    anisotropy: float = 1.0,
    angle: float = 0.0,
    seed: int = 0,
    rhs: RightSide = "noise",
) -> LinearSystem:
    """−div(K ∇u) = f in a box that is held all round, with rough and anisotropic K.

    K = k(x) R diag(1, 1/anisotropy, …) Rᵀ, where log k is a random field with plateaus, from −½ to ½ log contrast, of a
    correlation length of 1/24 of the longest edge, and R turns the strong direction out of the first axis.

    Finite volumes with harmonic means on faces (5 or 7 points) where K is diagonal, multilinear elements (9 or 27
    points) where it is turned.

    Parameters
    ----------
    shape : (dim,) sequence of int
    contrast : float
        Largest over smallest k, at least 1. Good values: 1 to 1e6.
    anisotropy : float
        Strong over weak coefficient, at least 1. Good values: 1 to 1e3.
    angle : float
        Degrees by which R turns the first axis to the second, and after that the second to the third.
    seed : int
        Of k and right side.
    rhs : {"noise", "plume"}

    Raises
    ------
    ParameterError
    """
    shape = _checked_shape(shape)
    for name, value in (("contrast", contrast), ("anisotropy", anisotropy)):
        if not (np.isfinite(value) and value >= 1):
            raise ParameterError(f"{name} = {value:g} is not possible; it is a ratio of at least 1.")
    if not np.isfinite(angle):
        raise ParameterError(f"angle = {angle} is not possible; give degrees.")
    turned = anisotropy > 1 and angle % 90 != 0
    field_shape = tuple(n + 1 for n in shape) if turned else shape
    k = rough_field(field_shape, contrast, np.random.default_rng([seed, 3]))
    principal = np.diag([1.0] + [1 / anisotropy] * (len(shape) - 1))
    rotation = _rotation(len(shape), np.deg2rad(angle))
    tensor = rotation @ principal @ rotation.T
    if turned:
        tensor = (tensor + tensor.T) / 2
        grid = Grid.of_tensors(tensor.reshape(*tensor.shape, *(1,) * len(shape)) * k)
    else:
        grid = Grid.of_faces([factor * _on_faces(k, axis) for axis, factor in enumerate(np.diag(tensor))])
    generator = np.random.default_rng([seed, 4])
    values = generator.normal(size=shape) if rhs == "noise" else plume(Cells(grid.labels), generator)
    values = values.ravel() / np.linalg.norm(values)
    about = (
        f"{'x'.join(map(str, shape))} cells, contrast {contrast:g}, anisotropy {anisotropy:g} at {angle:g}°, "
        f"seed {seed}, {rhs}"
    )
    return LinearSystem(values, grid, name="diffusion", about=about)


def rough_field(shape: Sequence[int], contrast: float, generator: np.random.Generator) -> np.ndarray:
    """A positive field between contrast^−½ and contrast^½ whose logarithm is random, smooth and clipped."""
    smooth = gaussian_filter(generator.normal(size=shape), max(shape) / 24, mode="wrap")
    return contrast ** (np.clip(smooth / smooth.std(), -1, 1) / 2)


def _on_faces(k: np.ndarray, axis: int) -> np.ndarray:
    """Harmonic means of neighbours on the faces of an axis; of the boundary the cell's own value."""
    lines = np.moveaxis(k, axis, 0)
    wide = np.concatenate([lines[:1], lines, lines[-1:]])
    return np.moveaxis(2 / (1 / wide[1:] + 1 / wide[:-1]), 0, axis)


def _rotation(dim: int, radians: float) -> np.ndarray:
    out = np.eye(dim)
    for first in range(dim - 1):
        turn = np.eye(dim)
        turn[first : first + 2, first : first + 2] = [
            [np.cos(radians), -np.sin(radians)],
            [np.sin(radians), np.cos(radians)],
        ]
        out = turn @ out
    return out


# -- matrices of users ---------------------------------------------------------------------------------------

_ASYMMETRY = 1e-10
_DENSE, _FACTORED = 600, 60_000
"""Unknowns up to which all eigenvalues are looked at, and the smallest ones by a factorisation."""
_ZERO = 1e-12
"""Of an eigenvalue, relative to the largest: what counts as zero."""


def from_matrix(
    matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
    rhs: np.ndarray | None = None,
    *,
    shape: Sequence[int] | None = None,
    name: str = "matrix",
) -> LinearSystem:
    """A system of a user's matrix, looked over before anything is solved.

    Parameters
    ----------
    matrix : (n, n) sparse array
    rhs : (n,) array, optional
        White noise of norm 1 by default.
    shape : (dim,) sequence of int, optional
        The grid that the unknowns are on, in row-major order, for solvers that need one.
    name : str

    Raises
    ------
    ParameterError
        The matrix is not square, not finite, not symmetric, indefinite, singular (the message says which vectors are in
        its null space), or not on the grid; the right side has another length or is not finite.

    Notes
    -----
    Up to 60,000 unknowns the smallest eigenvalues are computed. Above only what can be seen from diagonal, row sums
    and a short Lanczos iteration is; what escapes it ends conjugate gradients with a message.
    """
    A = scipy.sparse.csr_array(matrix, dtype=np.float64)
    A.sum_duplicates()
    if A.shape[0] != A.shape[1] or not A.shape[0]:
        raise ParameterError(f"The matrix is {A.shape[0]} by {A.shape[1]}; a square one is needed.")
    if not np.isfinite(A.data).all():
        raise ParameterError("The matrix has entries that are not finite numbers; mend it.")
    _check_definite(A)
    given = np.random.default_rng(0).normal(size=A.shape[0]) if rhs is None else np.asarray(rhs, dtype=np.float64)
    if rhs is None:
        given /= np.linalg.norm(given)
    about = f"{A.shape[0]} unknowns, {A.nnz} entries"
    if shape is None:
        return LinearSystem(given.ravel(), None, A, name=name, about=about)
    return LinearSystem(given.ravel(), Grid.of_matrix(A, shape), name=name, about=about)


def from_file(path: str | Path, rhs: str | Path | None = None, *, shape: Sequence[int] | None = None) -> LinearSystem:
    """A system of a MatrixMarket file (``.mtx``, ``.mtx.gz``) or a binary file of PETSc (any other name).

    Parameters
    ----------
    path : path
        The matrix.
    rhs : path, optional
        The right side, a vector in either format or text of one number a line. White noise by default.
    shape : (dim,) sequence of int, optional

    Raises
    ------
    OptionError
        A file that is not there or cannot be read.
    ParameterError
        As :func:`from_matrix`.
    """
    from sciml.linear.reading import read_matrix, read_vector

    matrix = read_matrix(Path(path))
    values = None if rhs is None else read_vector(Path(rhs))
    if values is not None and values.shape != (matrix.shape[0],):
        raise ParameterError(f"{rhs} holds {values.size} numbers; {path} has {matrix.shape[0]} rows.")
    return from_matrix(matrix, values, shape=shape, name=Path(path).name)


def _check_definite(A: scipy.sparse.csr_array) -> None:
    """Refuse what conjugate gradients cannot solve."""
    size = np.abs(A.data).max(initial=0.0)
    skew = abs(A - A.T)
    if skew.nnz and skew.data.max() > _ASYMMETRY * size:
        entries = skew.tocoo()
        worst = int(entries.data.argmax())
        row, column = int(entries.row[worst]), int(entries.col[worst])
        raise ParameterError(
            f"The matrix isn't symmetric: entry ({row}, {column}) is {A[row, column]:.6g} and ({column}, {row}) is "
            f"{A[column, row]:.6g}; these solvers are for symmetric positive definite ones."
        )
    diagonal = A.diagonal()
    if (diagonal < 0).any() or not size:
        place = int(diagonal.argmin())
        raise ParameterError(
            f"The matrix is indefinite: entry ({place}, {place}) of its diagonal is {diagonal[place]:.6g}; give a "
            f"symmetric positive definite one."
        )
    if (diagonal == 0).any():
        count = int((diagonal == 0).sum())
        raise ParameterError(
            f"The matrix is singular or indefinite: {count} entries of its diagonal are 0, the first in row "
            f"{int(diagonal.argmin())}; take such rows and columns out."
        )
    _check_constants(A, size)
    _check_eigenvalues(A)


def _check_constants(A: scipy.sparse.csr_array, size: float) -> None:
    """Refuse components of the graph on which constants are in the null space."""
    count, component = scipy.sparse.csgraph.connected_components(A, directed=False)
    sums = np.abs(A @ np.ones(A.shape[0]))
    worst = np.zeros(count)
    np.maximum.at(worst, component, sums)
    free = worst <= _ZERO * size
    if free.any():
        where = "constants are" if count == 1 else f"constants on {int(free.sum())} of its {count} components are"
        raise ParameterError(
            f"The matrix is singular: {where} in its null space; hold one unknown of each, or take it out."
        )


def _check_eigenvalues(A: scipy.sparse.csr_array) -> None:
    """Refuse negative and zero eigenvalues that can be found at a bearable cost."""
    largest = scipy.sparse.linalg.norm(A, np.inf)
    values = _smallest_eigenvalues(A)
    if values.min() < -_ZERO * largest:
        raise ParameterError(
            f"The matrix is indefinite: it has the eigenvalue {values.min():.3g}; give a symmetric positive definite "
            f"one."
        )
    zeros = int((values <= _ZERO * largest).sum())
    if zeros:
        at_least = "at least " if zeros == len(values) < A.shape[0] else ""
        raise ParameterError(
            f"The matrix is singular: its null space has {at_least}{zeros} dimension{'s' * (zeros > 1)}, and constants "
            f"are not in it (rigid motions, if it is elastic); hold as many unknowns."
        )


def _smallest_eigenvalues(A: scipy.sparse.csr_array) -> np.ndarray:
    """Some of the smallest eigenvalues, in size or in sign."""
    n = A.shape[0]
    if n <= _DENSE:
        return np.linalg.eigvalsh(A.toarray())
    start = np.random.default_rng(0).normal(size=n)
    ends = _lanczos_values(A, start, 40)
    if n > _FACTORED or ends.min() < 0:
        return ends[:1]
    largest = scipy.sparse.linalg.norm(A, np.inf)
    # A shift below zero keeps the factorisation of a singular matrix regular.
    shift = -1e-9 * largest
    near = scipy.sparse.linalg.eigsh(A, 7, sigma=shift, v0=start, return_eigenvectors=False)
    # Rayleigh quotients of the shifted inverse lose what is small against the shift.
    return np.where(np.abs(near) <= 1e-5 * abs(shift), 0.0, near)


def _lanczos_values(A: scipy.sparse.csr_array, start: np.ndarray, steps: int) -> np.ndarray:
    """Ritz values of a few Lanczos steps, with full reorthogonalisation."""
    basis = [start / np.linalg.norm(start)]
    alphas, betas = [], []
    for _ in range(min(steps, len(start))):
        w = A @ basis[-1]
        alphas.append(float(w @ basis[-1]))
        V = np.stack(basis)
        for _ in range(2):
            w = w - V.T @ (V @ w)
        betas.append(float(np.linalg.norm(w)))
        if betas[-1] <= 1e-12 * abs(alphas[0]):
            break
        basis.append(w / betas[-1])
    off = betas[: len(alphas) - 1]
    return np.linalg.eigvalsh(np.diag(alphas) + np.diag(off, 1) + np.diag(off, -1))
