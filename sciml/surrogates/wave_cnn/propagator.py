"""Networks that make the next frame of a wave.

The frames of a linear wave without losses fulfil, whatever the step Δ between them,

    u(t + Δ) + u(t − Δ) = 2 cos(Δ √L) u(t),   L = −div(c² ∇·),

and steps by central differences of any length obey the same law with another function of L. So the network is a
symmetric operator M in place of (Δ/m)² L, by m substeps of central differences,

    u⁺ + u⁻ = 2 T_m(I − M/2) (u + f/12) + 5/6 f,   M = S s⁻¹ Bᵀ B s S + (I − S)⁴,   f = Δ² · source,

with the Chebyshev polynomial T_m and s² the nodes' shares of mass. B is a chain of convolutions without bias, the
first dense, the others in the format asked for; after each the channels are multiplied by gates, which a small network
makes of speed and sides, once for a trajectory. S is the mean with weights ¼, ½, ¼ along each axis: of waves of two or
three nodes data know nothing, so they are kept from the network, and oscillate by the last term, which longer ones do
not see. The map is linear in state and source, reversible, and conserves a discrete energy as long as M has no
eigenvalue beyond 4. f/12 and 5/6 f are what makes the rule exact to fourth order in the step (B. Numerov, 1924).

Absorbing sides add −s⁻¹ Dᵀ D s (u − u⁻) with another gated chain D that acts near them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sciml.surrogates.wave_cnn.conditioning import Medium, Sides
from sciml.surrogates.wave_cnn.layers import convolution, plain_convolution
from sciml.surrogates.wave_cnn.options import WaveOptions

__all__ = ["GatedChain", "Propagator", "Told"]

_HIDDEN = 8
_CONDITIONS = 3
_QUIET, _GENTLE = 0.1, 0.1
_ROUGH = 4


class GatedChain(nn.Module):
    """Convolutions without bias, each followed by gates: linear in what goes in.

    Parameters
    ----------
    channels : sequence of int
        Before the first, and after each convolution.
    options : WaveOptions
    dim : int
    periodic : bool
    generator : torch.Generator
    quiet : bool
        Whether the last gates start small (at zero Bᵀ B would have no slope to follow).
    """

    def __init__(
        self,
        channels: Sequence[int],
        options: WaveOptions,
        dim: int,
        *,
        periodic: bool,
        generator: torch.Generator,
        quiet: bool = False,
    ) -> None:
        super().__init__()
        mode = "periodic" if periodic else "zeros"
        pairs = list(itertools.pairwise(channels))
        self.convolutions = nn.ModuleList(convolution(options, dim, a, b, mode, generator) for a, b in pairs)
        self.sizes = list(channels[1:])
        # What a gate is made of has to reach over a jump of the speed, no further.
        self.first = plain_convolution(dim, _CONDITIONS, _HIDDEN, 3, mode, generator)
        self.last = plain_convolution(dim, _HIDDEN, sum(self.sizes), 1, mode, generator)
        with torch.no_grad():
            weight, bias = self.last.factors[0], self.last.bias
            assert bias is not None
            weight.mul_(_GENTLE)
            bias.fill_(1.0)
            if quiet:
                weight[-self.sizes[-1] :] *= _QUIET
                bias[-self.sizes[-1] :] *= _QUIET

    def gates(self, conditions: Tensor) -> list[Tensor]:
        """Those of each convolution ``(n, channels, *grid)``."""
        return list(self.last(nn.functional.gelu(self.first(conditions))).split(self.sizes, dim=1))

    def forward(self, u: Tensor, gates: Sequence[Tensor]) -> Tensor:
        for layer, gate in zip(self.convolutions, gates, strict=True):
            u = layer(u) * gate
        return u


class Told:
    """What a propagator makes of a medium, once for a trajectory."""

    def __init__(self, gates: list[Tensor], damping: list[Tensor], courant: Tensor) -> None:
        self.gates, self.damping, self.courant = gates, damping, courant
        self.edges: list[Tensor] = []


class Propagator(nn.Module):
    """Frame after frame, all learned.

    Parameters
    ----------
    options : WaveOptions
    sides : Sides
    step : float
        Time between frames.
    spacing : float
        Of the nodes.
    speed : (mean, deviation)
        Of the training members.
    generator : torch.Generator
        For the first weights.
    """

    quiet = False
    free: Tensor
    weight: Tensor
    absorbing: Tensor

    def __init__(
        self,
        options: WaveOptions,
        sides: Sides,
        step: float,
        spacing: float,
        speed: tuple[float, float],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.step, self.spacing, self.speed = options, step, spacing, speed
        self.dim, self.periodic, self.absorb = sides.free.ndim, sides.periodic, sides.absorb
        for name in ("free", "weight", "absorbing"):
            self.register_buffer(name, getattr(sides, name).float()[None, None], persistent=False)
        for axis in range(self.dim):
            matrix = smoothing(sides.free.float().movedim(axis, 0).flatten(1).amax(1), periodic=self.periodic)
            self.register_buffer(f"smoothing_{axis}", matrix.T.contiguous(), persistent=False)
        channels = [1] + [options.width] * options.layers
        same = {"periodic": sides.periodic, "generator": generator}
        self.stiffness = GatedChain(channels, options, self.dim, **same, quiet=self.quiet)
        self.damping = (
            GatedChain([1, max(1, options.width // 2)], options, self.dim, **same, quiet=True) if self.absorb else None
        )

    @property
    def trainable_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(weight.numel() for weight in self.parameters())

    def tell(self, medium: Medium) -> Told:
        """Gates of the convolutions for some members."""
        speed = medium.speed[:, None]
        mean, deviation = self.speed
        courant = speed * (self.step / self.options.substeps / self.spacing)
        rest = [field.expand_as(speed) for field in (self.free, self.absorbing)]
        conditions = torch.cat([(speed - mean) / deviation, *rest], dim=1)
        gates = self.stiffness.gates(conditions)
        gates[0] = gates[0] * courant
        damping = []
        if self.damping is not None:
            damping = self.damping.gates(conditions)
            damping[0] = damping[0] * self.absorbing * courant
        return Told(gates, damping, courant)

    # -- the operators -----------------------------------------------------------------------------------

    def _square(self, chain: GatedChain, u: Tensor, gates: Sequence[Tensor], smoothed: bool) -> Tensor:
        """S s⁻¹ Bᵀ B s S u; Bᵀ B v is the derivative of ½ |B v|²."""
        root, training = self.weight.sqrt(), torch.is_grad_enabled()
        with torch.enable_grad():
            v = root * (self.smooth(u) if smoothed else self.free * u)
            v = v if v.requires_grad else v.detach().requires_grad_(True)
            out = chain(v, gates)
            (back,) = torch.autograd.grad(out, v, self._signed(out), create_graph=training)
        back = back if training else back.detach()
        return self.smooth(back / root) if smoothed else self.free * back / root

    def _signed(self, out: Tensor) -> Tensor:
        return out

    def smooth(self, u: Tensor) -> Tensor:
        """S u: means with weights ¼, ½, ¼ along each axis, mirrored at open sides and zero where it is held."""
        for axis in range(self.dim):
            # Held sides are whole ones, so the mask is a product over the axes as well.
            u = (u.movedim(axis + 2, -1) @ getattr(self, f"smoothing_{axis}")).movedim(-1, axis + 2)
        return u

    def operator(self, u: Tensor, told: Told) -> Tensor:
        """M u."""
        rough = self.free * u
        for _ in range(_ROUGH):
            rough = rough - self.smooth(rough)
        return self._square(self.stiffness, u, told.gates, smoothed=True) + rough

    # -- frames ------------------------------------------------------------------------------------------

    def next(self, before: Tensor, now: Tensor, source: Tensor, told: Told) -> Tensor:
        """The frame after `now` ``(n, 1, *grid)``, which comes after `before`."""
        out = self._sum(now, source, told) - before
        if self.damping is not None:
            out = out - self._square(self.damping, now - before, told.damping, smoothed=False)
        return self.free * out

    def first(self, medium: Medium, told: Told) -> tuple[Tensor, Tensor]:
        """Frames 0 and 1 of what starts from the medium's state."""
        start = self.free * medium.start[:, None]
        ahead = 0.5 * self._sum(start, medium.source(0), told) + self.step * medium.velocity[:, None]
        return start, self.free * ahead

    def _sum(self, now: Tensor, source: Tensor, told: Told) -> Tensor:
        """u⁺ + u⁻."""
        pushed = self.step**2 * source
        before = self.free * (now + pushed / 12)
        after = before - 0.5 * self.operator(before, told)
        for _ in range(self.options.substeps - 1):
            before, after = after, 2 * after - before - self.operator(after, told)
        return 2 * after + (5 / 6) * pushed

    def roll(
        self, medium: Medium, frames: int, start: tuple[Tensor, Tensor] | None = None, at: int | Tensor = 1
    ) -> Tensor:
        """Frames one after the other.

        Parameters
        ----------
        medium : Medium
        frames : int
            How many are made.
        start : two ``(n, *grid)`` tensors, optional
            Frames `at` − 1 and `at`; from the medium's start by default, whose frame 1 then is the first one made.
        at : int or (n,) tensor
            Number of the second frame given.

        Returns
        -------
        ``(n, frames, *grid)`` tensor
        """
        with torch.no_grad():
            told = self.tell(medium)
            made = []
            if start is None:
                before, now = self.first(medium, told)
                made.append(now)
            else:
                before, now = (frame[:, None] for frame in start)
            while len(made) < frames:
                number = at + len(made) - int(start is None)
                before, now = now, self.next(before, now, medium.source(number), told)
                made.append(now)
            return torch.cat(made, dim=1)


def smoothing(free: Tensor, *, periodic: bool) -> Tensor:
    """Means with weights ¼, ½, ¼ along a line as a matrix ``(n, n)``: mirrored at its ends, zero where it is held."""
    n = len(free)
    matrix = 0.5 * torch.eye(n) + 0.25 * (torch.diag(torch.ones(n - 1), 1) + torch.diag(torch.ones(n - 1), -1))
    if periodic:
        matrix[0, -1] = matrix[-1, 0] = 0.25
    else:
        matrix[0, 1] = matrix[-1, -2] = 0.5
    return free[:, None] * matrix * free
