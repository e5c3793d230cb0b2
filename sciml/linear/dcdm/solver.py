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
_WINDOW, _SHORTEST = 0.15, 6
"""Iterations in which the residual must be halved: of the cells along the longest axis, and at least."""
_MORE = 10
"""Directions that are kept in mind where two are too few."""


class DeepConjugateDirections(LinearSolver):
    """Each direction is proposed by a network that sees the residual, and made conjugate to the last ones.

    Parameters
    ----------
    network : str, path or DirectionNetwork
        One that is shipped, by its name, or in a file; that of the system's dimension by default.
    directions : int
        k of the truncated conjugation. The published method has 2.
    fall_back : bool
        Whether something else goes on where the network stagnates. First each direction is made conjugate to the last
        ten; where the residual is then not halved in 0.15 times as many iterations as there are cells along the longest
        axis, at least 6, conjugate gradients go on. Half as many iterations in which it does not fall by √2 are the
        sign for the first. Unpreconditioned conjugate gradients take about 4 iterations for each cell along an axis, so
        that what is lost is a few per cent of theirs. Without it the iteration is the published one.
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
        self.window = max(_SHORTEST, math.ceil(_WINDOW * max(grid.shape)))

    def apply(self, r: np.ndarray) -> np.ndarray:
        """What the network makes of r/‖r‖, on the unknowns."""
        image = self.grid.spread(r / np.linalg.norm(r))[None]
        with torch.inference_mode():
            q = self.network(torch.as_tensor(image).to(self._like))[0]
        return self.grid.gather(q.cpu().numpy()).astype(np.float64)

    def watch(self) -> Watch:
        """When to keep more directions, and when to give up, for one solve."""
        return Watch(self.window, self.directions)

    def iterate(self, system: LinearSystem, b: np.ndarray, tolerance: float, max_iterations: int) -> Iteration:
        """The published iteration; with more directions, and conjugate gradients at last, from where it stagnates."""
        limits: dict[str, Any] = {"tolerance": tolerance, "max_iterations": max_iterations}
        if not self.fall_back:
            return flexible_cg(system, b, self.apply, directions=self.directions, **limits)
        watch = self.watch()
        found = flexible_cg(system, b, self.apply, directions=watch.directions, leave=watch.stagnates, **limits)
        if watch.widened is not None:
            found.status = f"From iteration {watch.widened} on, {_MORE} directions were kept."
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


class Watch:
    """When to keep more directions, and when to give up, by the relative residuals of one solve."""

    def __init__(self, window: int, directions: int) -> None:
        self.window, self._directions = window, directions
        self.widened: int | None = None

    def directions(self, history: list[float]) -> int:
        """As many as asked for until the residual hardly falls, then more."""
        half = self.window // 2
        slow = len(history) > half and history[-1] > 0.5**0.5 * history[-1 - half]
        if self.widened is None and slow:
            self.widened = len(history) - 1
        if self.widened is None:
            return self._directions
        # Those before are not conjugate to each other beyond the last ones: as many again as there are new ones.
        return max(self._directions, min(_MORE, self._directions + len(history) - 1 - self.widened))

    def stagnates(self, history: list[float]) -> bool:
        """Whether more directions did not help either: the residual was not halved within the window."""
        if self.widened is None or len(history) - 1 - self.widened < self.window:
            return False
        return history[-1] > 0.5 * history[-1 - self.window]
