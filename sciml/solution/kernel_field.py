"""Sums of kernels at the nodes of a grid as a field: the posterior mean of a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.linear.kernels import Gaussian, Matern, SpectralMixture
from sciml.problem import Points, Problem
from sciml.solution.field import Field, Rule

if TYPE_CHECKING:
    import h5py

__all__ = ["KernelField"]

_CHUNK = 1 << 20


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
        if lattice is not None:
            bases = [self._bases(axis, line, derivatives) for axis, line in enumerate(lattice.lines)]
            for column, axes in enumerate(derivatives):
                total = self.coefficients
                for axis, basis in enumerate(bases):
                    total = np.moveaxis(np.tensordot(basis[axes.count(axis)], total, (1, axis)), 0, axis)
                out[inside, column] = total[lattice.index]
            return out
        size = max(1, _CHUNK // self.coefficients.size)
        for rows in np.array_split(np.arange(len(inside)), -(-len(inside) // size) or 1):
            bases = [self._bases(axis, x, derivatives) for axis, x in enumerate(places.array[rows].T)]
            for column, axes in enumerate(derivatives):
                total = np.tensordot(bases[0][axes.count(0)], self.coefficients, (1, 0))
                for axis in range(1, self.problem.dim):
                    total = np.einsum("pi...,pi->p...", total, bases[axis][axes.count(axis)])
                out[inside[rows], column] = total
        return out

    def _bases(self, axis: int, x: np.ndarray, derivatives: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Kernels at the nodes of an axis, at coordinates ``(m,)``, with derivatives: ``(order + 1, m, n)``."""
        order = max((axes.count(axis) for axes in derivatives), default=0)
        size = max(1, _CHUNK // len(self.lines[axis]))
        nodes = torch.tensor(self.lines[axis])
        parts = [
            self.kernels[axis].between(torch.tensor(x[start : start + size]), nodes, order).numpy()
            for start in range(0, max(1, len(x)), size)
        ]
        return np.concatenate(parts, axis=1)

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
