"""Geometric multigrid on labelled cells, matrix-free in torch: a symmetric V-cycle, and conjugate gradients with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from sciml.errors import ParameterError
from sciml.linear.cells import Cells
from sciml.linear.checkerboard import Checkerboard, NeighbourSum
from sciml.linear.vcycle import VCycle

__all__ = ["Multigrid", "MultigridResult"]

_STALLED = 3
"""Attempts from the true residual that do not halve it, after which rounding is the limit."""


@dataclass
class MultigridResult:
    """What :meth:`Multigrid.solve` found.

    Attributes
    ----------
    values : (n₀, …) tensor
        float64; zero outside of the fluid.
    residual : float
        ‖b − A u‖/‖b‖, computed from u, with b after the projection.
    iterations : int
    converged : bool
        Whether the residual is within the tolerance.
    history : list of float
        Relative residuals of the recursion, the first 1.
    loose_components : int
        Connected components that nothing holds; on them u has the mean 0.
    removed : float
        Norm of what was taken off the right side there, relative to it: 0 for a consistent one.
    """

    values: torch.Tensor
    residual: float
    iterations: int
    converged: bool
    history: list[float] = field(default_factory=list)
    loose_components: int = 0
    removed: float = 0.0


class Multigrid:
    """Solves A u = b on labelled cells by conjugate gradients in float64, preconditioned by one V-cycle.

    The cycle sweeps red-black Gauss–Seidel, in the opposite order after the coarse correction, so that it is a
    symmetric positive definite matrix. After a black half-sweep the residual is zero on black cells, and what comes
    first after the correction overwrites them: only red residuals are restricted, only red cells corrected. Coarser
    matrices are those of coarser cells; values are interpolated linearly between centres (weights 3/4 and 1/4 along
    each axis) and divided by the weight of what is not solid; the restriction is the transpose. The coarsest system,
    of a few hundred cells at most, is solved directly by its pseudo-inverse.

    On each connected component that nothing holds the mean of the right side is removed, and the solution has the
    mean 0.

    Parameters
    ----------
    cells : Cells
    precision : {torch.float64, torch.float32}
        Of the cycle. Single precision costs less and changes the iterations hardly; the outer loop is in double
        precision in any case, so that the residual that can be reached is the same.
    sweeps : int
        Before and after each coarse correction.
    device : torch.device or str

    Raises
    ------
    ParameterError

    Notes
    -----
    Good values: 2 sweeps in float32. Iterations to 1e-8 are 8 to 15, whatever the size, also with obstacles.

    When it breaks: walls or gaps of one cell are lost on coarser grids, which costs iterations. Everything is in place
    on buffers of the object, which therefore serves one thread and is not differentiable.

    Source: A. McAdams, E. Sifakis, J. Teran, A parallel multigrid Poisson solver for fluids simulation on large grids,
    SCA 2010, for multigrid as a preconditioner on labelled cells; U. Trottenberg, C. Oosterlee, A. Schüller, Multigrid,
    2001, for red-black sweeps and cell-centred interpolation.
    """

    def __init__(
        self,
        cells: Cells,
        *,
        precision: torch.dtype = torch.float32,
        sweeps: int = 2,
        device: torch.device | str = "cpu",
    ) -> None:
        if precision not in (torch.float32, torch.float64):
            raise ParameterError(f"precision = {precision} is not possible; use torch.float64 or torch.float32.")
        if sweeps < 1:
            raise ParameterError(f"sweeps = {sweeps} is not possible; at least 1 is needed.")
        self.cells, self.precision = cells, precision
        finest = cells.padded()
        self._whole = finest.shape
        self._cycle = VCycle(finest, precision, sweeps, device)
        self._operator = _Operator(finest, device)
        own, component = finest.loose
        self._loose = torch.as_tensor(own, device=device), torch.as_tensor(component, device=device)
        self.loose_components = int(component.max()) + 1 if len(component) else 0

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Cells of each level."""
        return self._cycle.shapes

    def precondition(self, right: torch.Tensor | np.ndarray) -> torch.Tensor:
        """One V-cycle from zero for a right side ``(n₀, …)``, in the precision of the cycle."""
        cycle = self._cycle
        cycle.b.copy_(cycle.board.pack(self._widened(right)))
        cycle.run()
        return self._narrowed(cycle.board.unpack(cycle.x))

    def apply(self, u: torch.Tensor) -> torch.Tensor:
        """A u in float64 for values ``(n₀, …)`` that are zero outside of the fluid."""
        operator = self._operator
        operator.p.copy_(operator.board.pack(self._widened(u)))
        operator.multiply()
        return self._narrowed(operator.board.unpack(operator.Ap))

    def _widened(self, values: torch.Tensor | np.ndarray) -> torch.Tensor:
        values = torch.as_tensor(values)
        if tuple(values.shape) != self.cells.shape:
            raise ParameterError(f"The right side has shape {tuple(values.shape)}; the cells have {self.cells.shape}.")
        if self._whole == self.cells.shape:
            return values
        wide = torch.zeros(self._whole, dtype=values.dtype, device=values.device)
        wide[tuple(slice(n) for n in values.shape)] = values
        return wide

    def _narrowed(self, values: torch.Tensor) -> torch.Tensor:
        return values[tuple(slice(n) for n in self.cells.shape)]

    def _project(self, values: torch.Tensor) -> float:
        """Take the mean off each loose component of values ``(n₀, …)``, in place; the norm of what was taken."""
        own, component = self._loose
        if not self.loose_components:
            return 0.0
        flat = values.view(-1)
        sums = torch.zeros(self.loose_components, dtype=values.dtype, device=values.device)
        means = sums.index_add(0, component, flat[own]) / torch.bincount(component)
        flat[own] -= means[component]
        return float(means[component].norm())

    def solve(
        self,
        right: torch.Tensor | np.ndarray,
        *,
        tolerance: float = 1e-8,
        max_iterations: int = 200,
        within: Callable[[], bool] = lambda: True,
    ) -> MultigridResult:
        """Solve A u = b.

        Parameters
        ----------
        right : (n₀, …) tensor or array
            b; values outside of the fluid do not count.
        tolerance : float
            For ‖b − A u‖/‖b‖, by the residual itself and not by its recursion. Down to about 1e-13.
        max_iterations : int
        within : callable
            Asked before each iteration whether to go on.

        Returns
        -------
        MultigridResult

        Raises
        ------
        ParameterError
            A right side of another shape, or not finite; a tolerance that is not positive.
        """
        if not tolerance > 0:
            raise ParameterError(f"tolerance = {tolerance} is not possible; it must be positive.")
        operator = self._operator
        b = operator.masked(self._widened(right))
        before = float(b.norm())
        if not np.isfinite(before):
            raise ParameterError("The right side is not finite.")
        taken = self._project(b)
        size = float(b.norm())
        removed = taken / before if before else 0.0
        found = MultigridResult(torch.zeros_like(b), 0.0, 0, True, [1.0], self.loose_components, removed)
        if size > 1e-14 * before:
            self._iterate(operator.board.pack(b / size), found, tolerance, max_iterations, within)
            found.values = operator.board.unpack(operator.x) * size
            self._project(found.values)
        found.values = self._narrowed(found.values)
        return found

    def _iterate(
        self,
        b: torch.Tensor,
        found: MultigridResult,
        tolerance: float,
        max_iterations: int,
        within: Callable[[], bool],
    ) -> None:
        """Conjugate gradients for a right side of norm 1; begun anew where recursion and residual differ."""
        operator, cycle = self._operator, self._cycle
        x, r, p, Ap = operator.x, operator.r, operator.p, operator.Ap
        x.zero_()
        r.copy_(b)
        z = operator.room if self.precision != torch.float64 else cycle.x
        rz, attempts, best = 0.0, 0, 1.0
        found.residual = 1.0
        while True:
            cycle.b.copy_(r)
            cycle.run()
            if z is not cycle.x:
                z.copy_(cycle.x)
            rz, previous = float(_dot(r, z)), rz
            p.mul_(rz / previous if previous else 0.0).add_(z)
            operator.multiply()
            step = rz / float(_dot(p, Ap))
            x.add_(p, alpha=step)
            r.add_(Ap, alpha=-step)
            found.iterations += 1
            found.history.append(float(r.norm()))
            out = found.iterations >= max_iterations or not within()
            if found.history[-1] > tolerance and not out:
                continue
            p.copy_(x)
            operator.multiply()
            torch.sub(b, Ap, out=r)
            found.residual = float(r.norm())
            found.converged = found.residual <= tolerance
            attempts = attempts + 1 if found.residual > 0.5 * best else 0
            best = min(best, found.residual)
            if found.converged or out or attempts >= _STALLED:
                return
            rz = 0.0
            p.zero_()


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.view(-1), b.view(-1))


class _Operator:
    """A in float64 on the finest cells, and the vectors of the iteration."""

    def __init__(self, cells: Cells, device: torch.device | str) -> None:
        self.board = board = Checkerboard(cells.shape, torch.float64, device)
        self.x, self.r, self.p, self.Ap, self.room = (board.zeros() for _ in range(5))
        diagonal = cells.diagonal
        self._fluid = torch.as_tensor(cells.fluid, device=device)
        ratio = np.divide(-cells.weights[-1], diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
        self._sums = NeighbourSum(board, self.p, cells.weights)
        # (A p)_c = d (p − (w/d) Σ p), which is zero where d is.
        diagonals, ratios = board.pack(diagonal), board.pack(ratio)
        self._plans = [
            (c, k, self.p[c, piece], ratios[c, piece], diagonals[c, piece], self.Ap[c, piece])
            for c in (0, 1)
            for k, piece in enumerate(self._sums.pieces)
        ]

    def multiply(self) -> None:
        """Ap from p."""
        for colour, piece, p, ratio, diagonal, Ap in self._plans:
            torch.addcmul(p, self._sums(colour, piece), ratio, out=Ap)
            Ap.mul_(diagonal)

    def masked(self, values: torch.Tensor) -> torch.Tensor:
        """A copy in float64 that is zero outside of the fluid."""
        wanted = values.to(self.board.device, torch.float64)
        return torch.where(self._fluid, wanted, 0.0)
