"""Deep conjugate directions as published, and what takes over where they stagnate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.errors import OptionError, OutputError, UnsupportedError
from sciml.linear.dcdm.network import DirectionNetwork
from sciml.linear.krylov import Iteration, LinearSolver, Prepared, flexible_cg, pcg
from sciml.linear.stencils import Grid
from sciml.linear.systems import LinearSystem
from sciml.linear.trained import read_network

__all__ = ["DeepConjugateDirections", "Directions", "load_directions"]

_SHIPPED = {2: "dcdm_2d", 3: "dcdm_3d"}
_WINDOW = 0.15
"""Of the cells along the longest axis: iterations in which the residual must be halved."""


class DeepConjugateDirections(LinearSolver):
    """Each direction is proposed by a network that sees the residual, and made conjugate to the last ones.

    Parameters
    ----------
    network : str, path or DirectionNetwork
        One that is shipped, by its name, or in a file; that of the system's dimension by default.
    directions : int
        k of the truncated conjugation. The published method has 2.
    fall_back : bool
        Whether conjugate gradients go on from where the network stagnates: where it has not halved the residual in as
        many iterations as 0.15 times the cells along the longest axis, at least 4. Unpreconditioned conjugate
        gradients take about 4 iterations for each cell along an axis, so that what is lost is a few per cent of theirs.
    device : str
        Of the network; the rest is on the CPU in float64.

    Notes
    -----
    The network is float32 and sees residuals of norm 1, since its biases would drown small ones. What it proposes
    outside of the unknowns is dropped. Iterations count applications of the network and, after the fall-back, those of
    conjugate gradients.

    When it breaks: on grids much larger than those of the training, since the network sees 21 cells far.

    Source: A. Kaneda et al., A deep conjugate direction method for iteratively solving linear systems, ICML 2023.
    """

    name, title = "dcdm", "deep conjugate directions: a network proposes each one"

    def __init__(
        self,
        *,
        network: str | Path | DirectionNetwork | None = None,
        directions: int = 2,
        fall_back: bool = True,
        device: str = "cpu",
    ) -> None:
        if directions < 0:
            raise OptionError(f"directions = {directions} is not possible; it is a number from 0.")
        self.network, self.directions, self.fall_back, self.device = network, directions, fall_back, device

    def setup(self, system: LinearSystem) -> Prepared:
        """Load the network."""
        grid = system.grid
        if grid is None:
            raise UnsupportedError(
                f"dcdm needs a system on a grid, and {system.name} has none; say which one its unknowns are on, or "
                f"take gamg, pyamg_sa or icc."
            )
        network = self.network if self.network is not None else _SHIPPED.get(grid.dim, "")
        if not isinstance(network, DirectionNetwork):
            network = load_directions(network)
        if network.dim != grid.dim:
            raise UnsupportedError(
                f"The network was trained for {network.dim} axes, and the system {system.name} is on a grid of "
                f"{grid.dim}; give a network for {grid.dim} axes."
            )
        return Directions(grid, network.to(self.device), self.directions, fall_back=self.fall_back)


def load_directions(name: str | Path) -> DirectionNetwork:
    """A trained network that is shipped, or in a file.

    Raises
    ------
    UnknownNameError, OutputError
    """
    manifest, tensors = read_network(name, "dcdm")
    try:
        network = DirectionNetwork(manifest["dim"], manifest["structure"])
        network.load_state_dict(tensors)
    except (KeyError, RuntimeError, OptionError) as error:
        raise OutputError(f"{name} holds a damaged network ({error}); train anew.") from error
    kind: Any = torch.channels_last if network.dim == 2 else torch.channels_last_3d
    return network.to(memory_format=kind)


class Directions(Prepared):
    """A network on a grid, as a map of residuals that is neither linear nor symmetric.

    Parameters
    ----------
    grid : Grid
    network : DirectionNetwork
    directions : int
    fall_back : bool
    """

    symmetric, flexible = False, True

    def __init__(self, grid: Grid, network: DirectionNetwork, directions: int = 2, *, fall_back: bool = True) -> None:
        self.grid, self.network, self.directions, self.fall_back = grid, network, directions, fall_back
        self._like = next(network.parameters())
        self.window = max(4, math.ceil(_WINDOW * max(grid.shape)))

    def apply(self, r: np.ndarray) -> np.ndarray:
        """What the network makes of r/‖r‖, on the unknowns."""
        image = self.grid.spread(r / np.linalg.norm(r))[None]
        with torch.inference_mode():
            q = self.network(torch.as_tensor(image).to(self._like))[0]
        return self.grid.gather(q.cpu().numpy()).astype(np.float64)

    def stagnates(self, history: list[float]) -> bool:
        """Whether the residual was not halved within the window."""
        return len(history) > self.window and history[-1] > 0.5 * history[-1 - self.window]

    def iterate(self, system: LinearSystem, b: np.ndarray, tolerance: float, max_iterations: int) -> Iteration:
        """The published iteration, and conjugate gradients from where it stagnates."""
        limits: dict[str, Any] = {"tolerance": tolerance, "max_iterations": max_iterations}
        if not self.fall_back:
            return flexible_cg(system, b, self.apply, directions=self.directions, **limits)
        found = flexible_cg(system, b, self.apply, directions=self.directions, leave=self.stagnates, **limits)
        if found.converged or found.iterations >= max_iterations:
            return found
        limits["max_iterations"] = max_iterations - found.iterations
        rest = pcg(system, b, np.copy, start=found.x, **limits)
        rest.status = (
            f"The network stagnated after {found.iterations} iterations at {found.residual:.1e}; conjugate gradients "
            f"made the other {rest.iterations}."
        )
        rest.iterations += found.iterations
        rest.history = found.history + rest.history[1:]
        return rest
