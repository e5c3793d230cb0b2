"""Conjugate gradients with the learned cycle, for systems on grids."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from sciml.errors import OptionError, OutputError, UnsupportedError
from sciml.linear.krylov import LinearSolver, Prepared
from sciml.linear.learned.cycle import Cycle
from sciml.linear.learned.hierarchy import Hierarchy, stencil_of
from sciml.linear.learned.layout import Layout
from sciml.linear.learned.networks import CycleNetwork, NetworkShape
from sciml.linear.stencils import Grid
from sciml.linear.systems import LinearSystem
from sciml.linear.trained import read_network

__all__ = ["LearnedCycle", "LearnedMultigrid", "load_cycle_network"]

_SHIPPED = {2: "learned_mg_2d", 3: "learned_mg_3d"}
UNTRAINED = "untrained"


class LearnedMultigrid(LinearSolver):
    """One cycle with smoothers and transfers that a small network adapts to the coefficients of each cell.

    The network looks at the stencil of each cell once, in the set-up; what an iteration costs are four products with
    stencils on the finest level. The cycle is symmetric and positive definite by construction, whatever the weights of
    the network, so that plain conjugate gradients are legal: see :class:`~sciml.linear.learned.Hierarchy`.

    Parameters
    ----------
    network : str, path or CycleNetwork, optional
        One that is shipped, by its name, or in a file; that of the system's dimension by default; ``"untrained"`` for
        the cycle as it is without one.
    sweeps : int
        Before and after each coarse correction.
    cycle : {"W", "V"}
        W visits the two levels below the finest twice, which costs little and keeps the iterations from growing
        with the size.
    precision : {"float32", "float64"}
        Of the cycle; the outer loop is in float64 in any case.
    device : str
        Of the cycle.

    Notes
    -----
    Good for symmetric positive (semi)definite matrices whose unknowns couple with neighbours on a grid, corners
    included: labelled cells, rough and anisotropic coefficients, multilinear elements.

    When it breaks: channels of one cell between obstacles are lost on coarser grids, and strong couplings along a
    direction that no axis follows converge the slower the stronger they are; both cost iterations, not correctness.
    """

    name, title = "learned_mg", "learned multigrid: a network adapts smoothers and transfers to each cell"

    def __init__(
        self,
        *,
        network: str | Path | CycleNetwork | None = None,
        sweeps: int = 1,
        cycle: Literal["V", "W"] = "W",
        precision: Literal["float32", "float64"] = "float32",
        device: str = "cpu",
    ) -> None:
        if sweeps < 1:
            raise OptionError(f"sweeps = {sweeps} is not possible; at least 1 is needed.")
        if precision not in ("float32", "float64"):
            raise OptionError(f"precision = {precision!r} is not possible; allowed are float32 and float64.")
        if cycle not in ("V", "W"):
            raise OptionError(f"cycle = {cycle!r} is not possible; allowed are V and W.")
        self.network, self.sweeps, self.device = network, sweeps, device
        self.visits = 1 if cycle == "V" else 2
        self.dtype: torch.dtype = getattr(torch, precision)

    def setup(self, system: LinearSystem) -> LearnedCycle:
        """Ask the network about each level, and make the next coarser one."""
        if system.grid is None:
            raise UnsupportedError(
                f"learned_mg needs a system on a grid, and {system.name} has none; say which one its unknowns are on, "
                f"or take gamg, pyamg_sa or icc."
            )
        network = self._network(system.grid)
        return LearnedCycle(
            system.grid, network, sweeps=self.sweeps, visits=self.visits, dtype=self.dtype, device=self.device
        )

    def _network(self, grid: Grid) -> CycleNetwork | None:
        chosen = self.network if self.network is not None else _SHIPPED.get(grid.dim, UNTRAINED)
        if chosen == UNTRAINED:
            return None
        network = chosen if isinstance(chosen, CycleNetwork) else load_cycle_network(chosen)
        if network.shape.dim != grid.dim:
            raise UnsupportedError(
                f"The network was trained for {network.shape.dim} axes, and the grid has {grid.dim}; give a network "
                f"for {grid.dim} axes."
            )
        return network


def load_cycle_network(name: str | Path) -> CycleNetwork:
    """A trained network that is shipped, or in a file.

    Raises
    ------
    UnknownNameError, OutputError
    """
    manifest, tensors = read_network(name, "learned_mg")
    try:
        network = CycleNetwork(NetworkShape(manifest["dim"], manifest["width"]))
        network.load_state_dict(tensors)
    except (KeyError, RuntimeError, OptionError) as error:
        raise OutputError(f"{name} holds a damaged network ({error}); train anew.") from error
    return network


class LearnedCycle(Prepared):
    """The cycle of one grid as a symmetric positive definite map of residuals.

    It works on memory of its own, and so serves one thread.

    Parameters
    ----------
    grid : Grid
    network : CycleNetwork or None
    sweeps, visits, dtype, device
        As in :class:`LearnedMultigrid` and :class:`Hierarchy`.

    Attributes
    ----------
    hierarchy : Hierarchy
    """

    symmetric, flexible = True, False

    def __init__(
        self,
        grid: Grid,
        network: CycleNetwork | None = None,
        *,
        sweeps: int = 1,
        visits: int = 2,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        layout = Layout(grid.shape)
        with torch.no_grad():
            # Coarser matrices keep their definiteness in float64 where coefficients differ by many orders.
            stencil = stencil_of(grid, layout, torch.float64, device)
            own = None if network is None else network.to(device)
            self.hierarchy = Hierarchy(stencil, layout, own, sweeps=sweeps, visits=visits)
            self._cycle = Cycle(self.hierarchy, dtype)
        self.size, self._shape = len(grid.places), grid.shape
        self._places = torch.as_tensor(_line_places(grid, layout), device=device)
        # Whole grids are copied row by row, which is faster than by places.
        self._whole = self.size == int(np.prod(grid.shape))
        self._line = torch.zeros(layout.length, dtype=dtype, device=device)

    def apply(self, r: np.ndarray) -> np.ndarray:
        """B r in float64 for residuals ``(n,)`` of the unknowns."""
        out = np.empty(self.size)
        self.apply_to(r, out)
        return out

    def apply_to(self, r: np.ndarray, z: np.ndarray) -> None:
        """B r into an array of the caller, with no memory in between."""
        layout, line = self._cycle.layout, self._line
        if line.device.type != "cpu":
            line[self._places] = torch.tensor(r).to(line)
            z[:] = self._cycle.run(line)[self._places].cpu().numpy()
        elif self._whole:
            layout.unpack(line).numpy()[...] = r.reshape(self._shape)
            z.reshape(self._shape)[...] = layout.unpack(self._cycle.run(line)).numpy()
        else:
            places = self._places.numpy()
            line.numpy()[places] = r
            z[:] = self._cycle.run(line).numpy()[places]


def _line_places(grid: Grid, layout: Layout) -> np.ndarray:
    """Where the unknowns are in a line."""
    index = np.unravel_index(grid.places, grid.shape)
    return sum(i * s for i, s in zip(index, layout.strides, strict=True))  # type: ignore[return-value]
