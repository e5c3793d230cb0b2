"""Sums of kernels at the nodes of a grid as a field: the posterior mean of a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.linear import chebyshev_nodes, interpolation_matrix
from sciml.linear.kernels import Gaussian, Matern, SpectralMixture
from sciml.problem import Points, Problem
from sciml.solution.field import Field, Rule

if TYPE_CHECKING:
    import h5py

__all__ = ["KernelField"]

_CHUNK = 1 << 22
_BLOCK = 1 << 16
_PER_CELL = 20
"""Points that interpolate a wave as long as the cell, or an envelope as wide, to rounding."""


class KernelField(Field):
    """u(x) = Σ_n c_n Π_i k_i(x_i − x_{n,i}) over the nodes of a grid, a kernel for each axis.

    Derivatives are those of the kernels, in closed form. NaN outside of the box.

    Parameters
    ----------
    problem : Problem
        Scalar, on a box.
    kernels : sequence of SpectralMixture
        In the order of the axes.
    lines : sequence of arrays
        Coordinates of the nodes along each axis.
    coefficients : (n₀, …) array

    Examples
    --------
    >>> field = KernelField(problem, [rbf(torch.ones(1), torch.ones(1))], [nodes], coefficients)
    """

    kind = "kernel"

    def __init__(
        self,
        problem: Problem,
        kernels: Sequence[SpectralMixture],
        lines: Sequence[np.ndarray],
        coefficients: np.ndarray,
    ) -> None:
        self.problem, self.shape = problem, problem.shape
        self.kernels = [
            SpectralMixture(k.envelope, *(v.detach().cpu() for v in (k.weights, k.frequencies, k.scales)))
            for k in kernels
        ]
        self.lines = [np.asarray(line, dtype=float) for line in lines]
        self.coefficients = np.asarray(coefficients, dtype=float)

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return self._columns(points, [()])[:, 0]

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self._columns(points, [(axis,) for axis in range(self.problem.dim)])

    def jet(self, rule: Rule, keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
        columns = self._columns(rule.points, [key.axes for key in keys])
        return {key: torch.tensor(column, dtype=torch.float64) for key, column in zip(keys, columns.T)}

    def _columns(self, points: np.ndarray, derivatives: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Derivatives, each given by its axes: ``(n, len(derivatives))``."""
        points = np.asarray(points, dtype=float).reshape(-1, self.problem.dim)
        out = np.full((len(points), len(derivatives)), np.nan)
        inside = np.flatnonzero(self.problem.domain.contains(points))
        places = Points(self.problem.domain.snapped(points[inside]))
        lattice = places.lattice
        for column, axes in enumerate(derivatives):
            if lattice is None:
                out[inside, column] = self._scattered(places.array, axes)
                continue
            total = self.coefficients
            for axis, line in enumerate(lattice.lines):
                total = np.moveaxis(self._along(axis, line, np.moveaxis(total, axis, 0), axes.count(axis)), 0, axis)
            out[inside, column] = total[lattice.index]
        return out

    def _scattered(self, points: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """One derivative at points without any order."""
        size = max(1, _CHUNK // self.coefficients.size)
        parts = [np.zeros(0)]
        for start in range(0, len(points), size):
            some = points[start : start + size].T
            total = self._along(0, some[0], self.coefficients, axes.count(0))
            for axis in range(1, self.problem.dim):
                total = np.einsum("pi...,pi->p...", total, self._basis(axis, some[axis], axes.count(axis)))
            parts.append(total)
        return np.concatenate(parts)

    def _along(self, axis: int, x: np.ndarray, coefficients: np.ndarray, order: int) -> np.ndarray:
        """Sums over the nodes of an axis, at coordinates ``(m,)`` on it: ``(n, …)`` → ``(m, …)``.

        For many coordinates by interpolation in each cell between nodes, where the sum is smooth.
        """
        line, kernel = self.lines[axis], self.kernels[axis]
        spacing = (line[-1] - line[0]) / (len(line) - 1)
        waves = spacing * max(float(kernel.frequencies.abs().max()), float(kernel.envelope.rate(kernel.scales).max()))
        if len(x) <= _PER_CELL * len(line) or waves > 1:
            return np.tensordot(self._basis(axis, x, order), coefficients, (1, 0))
        steps = 0.5 + 0.5 * chebyshev_nodes(_PER_CELL)
        finer = (line[:-1, None] + np.diff(line)[:, None] * steps).ravel()
        known = np.tensordot(self._basis(axis, finer, order), coefficients, (1, 0))
        cells = np.clip(np.searchsorted(line, x, side="right") - 1, 0, len(line) - 2)
        out = np.empty((len(x), *coefficients.shape[1:]))
        by_cell = np.argsort(cells, kind="stable")
        for rows in np.split(by_cell, np.flatnonzero(np.diff(cells[by_cell])) + 1):
            cell = cells[rows[0]]
            places = 2 * (x[rows] - line[cell]) / (line[cell + 1] - line[cell]) - 1
            own = known[cell * _PER_CELL : (cell + 1) * _PER_CELL]
            out[rows] = np.tensordot(interpolation_matrix(_PER_CELL, places), own, (1, 0))
        return out

    def _basis(self, axis: int, x: np.ndarray, order: int) -> np.ndarray:
        """Kernels at the nodes of an axis, or a derivative of them, at coordinates ``(m,)``: ``(m, n)``."""
        kernel, nodes = self.kernels[axis], torch.tensor(self.lines[axis])
        # Small enough for the processor's cache, with all components of the kernel.
        size = max(1, _BLOCK // (len(nodes) * len(kernel.weights)))
        parts = [kernel.between(some, nodes, order)[order] for some in torch.tensor(x).split(size)]
        return torch.cat(parts).numpy()

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("coefficients", data=self.coefficients)
        for axis, (kernel, line) in enumerate(zip(self.kernels, self.lines)):
            own = group.create_group(f"axis{axis}")
            own.create_dataset("nodes", data=line)
            for name in ("weights", "frequencies", "scales"):
                own.create_dataset(name, data=getattr(kernel, name).numpy())
            if isinstance(kernel.envelope, Matern):
                own.attrs["nu"] = kernel.envelope.nu

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> KernelField:
        coefficients, kernels, lines = group["coefficients"][()], [], []
        if coefficients.ndim != problem.dim:
            raise OutputError(
                f"The stored field has {coefficients.ndim} axes and the problem {problem.dim}; the file is damaged."
            )
        for axis in range(problem.dim):
            own = group[f"axis{axis}"]
            envelope = Matern(float(own.attrs["nu"])) if "nu" in own.attrs else Gaussian()
            values = [torch.tensor(own[name][()]) for name in ("weights", "frequencies", "scales")]
            kernels.append(SpectralMixture(envelope, *values))
            lines.append(own["nodes"][()])
        return cls(problem, kernels, lines, coefficients)
