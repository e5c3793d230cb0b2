"""All frames of a wave at once: from speed and source to u(t, x, y), by convolutions over time and space."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from sciml.errors import OptionError, UnsupportedError
from sciml.nn.compressed import Convolution, make_convolution
from sciml.surrogates.wave_cnn.conditioning import Medium, Sides
from sciml.surrogates.wave_cnn.options import WaveOptions
from sciml.surrogates.wave_cnn.waves import Waves

__all__ = ["SpaceTime", "rays"]

_LEVELS = 3
_SAMPLES = 12
_CONDITIONS = 3


class SpaceTime(nn.Module):
    """A network from fields over time and space to the wave, in one pass.

    What goes in are speed, held and absorbing sides, the same at all instants, and what :func:`rays` says of the
    source. Three convolutions of stride 2 halve time and space, `layers` more see all of it, and three transposed ones
    bring the resolution back, each beside what had that resolution on the way down. A last convolution makes u of the
    finest channels and of what went in. All are in the format of the options, each with a bias and, but the last, a
    GELU.

    Parameters
    ----------
    options : WaveOptions
    sides : Sides
    step, spacing : float
        Between frames, and between nodes.
    speed : (mean, deviation)
        Of the training members.
    generator : torch.Generator
        For the first weights.

    Raises
    ------
    UnsupportedError
        Space of three dimensions, or periodic.

    Notes
    -----
    It takes no frames: what is asked for from two true frames on is answered by the same frames as from the start. It
    is linear in the amplitude of the source, and knows no start but rest.

    Source: own design, after the replacement of three-way kernels by M. Boukraichi et al., arXiv 2304.04964.
    """

    free: Tensor
    absorbing: Tensor
    gain: Tensor

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
        space = sides.free.ndim
        if space > 2 or sides.periodic:
            raise UnsupportedError(
                "simulator=space_time takes space of one or two dimensions with sides, as time is one more for its "
                "convolutions; take simulator=autoregressive."
            )
        self.options, self.step, self.spacing, self.speed = options, step, spacing, speed
        self.dim, self.periodic, self.absorb = space, sides.periodic, sides.absorb
        for name in ("free", "absorbing"):
            self.register_buffer(name, getattr(sides, name).float(), persistent=False)
        self.register_buffer("gain", torch.ones(()))
        width, told = options.width, _CONDITIONS + 2 * space + 1
        widths = [told, width, *[2 * width] * (_LEVELS - 1)]

        def layer(inputs: int, outputs: int, stride: int = 1, transposed: bool = False) -> Convolution:
            rank = options.rank if inputs == outputs == 2 * width else None
            return make_convolution(
                options.format, space + 1, inputs, outputs, options.kernel, rank, stride=stride, transposed=transposed,
                generator=generator,
            )  # fmt: skip

        self.down = nn.ModuleList(layer(a, b, 2) for a, b in itertools.pairwise(widths))
        self.middle = nn.ModuleList(layer(widths[-1], widths[-1]) for _ in range(options.layers))
        finer = [max(1, width // 2), *widths[1:-1]]
        coarser = [2 * c for c in widths[1:-1]] + [2 * widths[-1]]
        self.up = nn.ModuleList(layer(a, b, 2, True) for a, b in reversed(list(zip(coarser, finer, strict=True))))
        self.last = layer(finer[0] + told, 1)

    @property
    def trainable_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(weight.numel() for weight in self.parameters())

    @torch.no_grad()
    def scale(self, waves: Waves) -> None:
        """Take the size of the waves for an amplitude of 1 from the training members.

        Raises
        ------
        UnsupportedError
            Members that do not start from rest, or have no source.
        """
        medium = waves.medium
        if bool((medium.start != 0).any() or (medium.velocity != 0).any()) or not bool((medium.pulses != 0).any()):
            raise UnsupportedError(
                "simulator=space_time knows waves that a source makes from rest; take simulator=autoregressive."
            )
        _, amplitude = rays(medium, self.step, self.spacing)
        size = waves.frames[:, 1:].flatten(1).square().mean(1).sqrt()
        self.gain.copy_((size / amplitude).mean())

    def forward(self, medium: Medium) -> Tensor:
        """Frames 1 … T of some members, ``(n, T, *grid)``."""
        told, amplitude = self.tell(medium)
        shape = told.shape[2:]
        unit = 2**_LEVELS
        amounts = [amount for size in reversed(shape) for amount in (0, -size % unit)]
        levels = [nn.functional.pad(told, amounts)]
        for convolution in self.down:
            levels.append(nn.functional.gelu(convolution(levels[-1])))
        x = levels[-1]
        for convolution in self.middle:
            x = x + nn.functional.gelu(convolution(x))
        for convolution, beside in zip(self.up, reversed(levels), strict=False):
            x = nn.functional.gelu(convolution(torch.cat([x, beside], dim=1)))
        x = self.last(torch.cat([x, levels[0]], dim=1))[:, 0]
        for axis, size in enumerate(shape, start=1):
            x = x.narrow(axis, 0, size)
        return self.gain * amplitude.reshape(-1, *[1] * (x.ndim - 1)) * self.free * x

    def tell(self, medium: Medium) -> tuple[Tensor, Tensor]:
        """Channels ``(n, c, T, *grid)`` for some members, and the amplitudes of their sources ``(n,)``."""
        arrivals, amplitude = rays(medium, self.step, self.spacing)
        mean, deviation = self.speed
        speed = (medium.speed - mean) / deviation
        fields = torch.stack([speed, *(f.expand_as(speed) for f in (self.free, self.absorbing))], dim=1)
        still = fields.unsqueeze(2).expand(-1, -1, arrivals.shape[2], *[-1] * self.dim)
        return torch.cat([still, arrivals], dim=1), amplitude

    def roll(
        self, medium: Medium, frames: int, start: tuple[Tensor, Tensor] | None = None, at: int | Tensor = 1
    ) -> Tensor:
        """As :meth:`~sciml.surrogates.wave_cnn.propagator.Propagator.roll`; the frames given do not matter.

        Raises
        ------
        OptionError
            More frames than the medium has instants.
        """
        first = 1 if start is None else 1 + torch.as_tensor(at, device=medium.speed.device)
        numbers = torch.as_tensor(first).reshape(-1, 1) + torch.arange(frames, device=medium.speed.device)
        last = medium.pulses.shape[1] - 1
        if int(numbers.max()) > last:
            raise OptionError(f"Frame {int(numbers.max())} was asked for; a space-time simulator makes {last} at once.")
        with torch.no_grad():
            made = self(medium)
        rows = torch.arange(len(medium), device=made.device)[:, None]
        return made[rows, numbers.expand(len(medium), -1) - 1]


def rays(medium: Medium, step: float, spacing: float) -> tuple[Tensor, Tensor]:
    """What arrives along straight lines from the source, and from its images behind each side.

    In two dimensions and a uniform medium u(r, t) → (8π² c³ r)^(−½) ∫ g(s) (t − r/c − s)^(−½) ds as r grows, so that
    what arrives at a place is the half-integral of the pulse, delayed by the time of travel ∫ ds/c, here along a
    straight line, over the root of the distance. Lines from images are folded back into the box.

    Parameters
    ----------
    medium : Medium
        On T + 1 frames.
    step, spacing : float
        Between frames, and between nodes.

    Returns
    -------
    arrivals : ``(n, 1 + 2 dim, T, *grid)`` tensor
        Of the source and of its images behind the lower and the upper side of each axis, of sizes near 1.
    amplitude : ``(n,)`` tensor
        By which they were divided; the wave is proportional to it.
    """
    grid = medium.speed.shape[1:]
    strength = medium.places.flatten(2).sum(2)
    pulse = torch.einsum("ntk,nk->nt", medium.pulses, strength)
    amplitude = pulse.abs().amax(1).clamp(min=torch.finfo(pulse.dtype).tiny)
    pulse = _half_integral(pulse / amplitude[:, None])
    centre, axes = _centre(medium), [torch.arange(n, device=pulse.device, dtype=pulse.dtype) for n in grid]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    images = [centre]
    for axis, n in enumerate(grid):
        for wall in (0, n - 1):
            image = centre.clone()
            image[:, axis] = 2 * wall - image[:, axis]
            images.append(image)
    found = [_arrival(medium.speed, pulse, image, nodes, step, spacing) for image in images]
    return torch.stack(found, dim=1), amplitude


def _half_integral(pulse: Tensor) -> Tensor:
    """Σ_s pulse(s) (t − s + ½)^(−½), divided by its largest value."""
    lags = torch.arange(pulse.shape[1], device=pulse.device, dtype=pulse.dtype)
    delay = lags[:, None] - lags
    weight = torch.where(delay >= 0, (delay.clamp(min=0) + 0.5) ** -0.5, torch.zeros_like(delay))
    out = pulse @ weight.T
    return out / out.abs().amax(1, keepdim=True).clamp(min=torch.finfo(out.dtype).tiny)


def _centre(medium: Medium) -> Tensor:
    """Of the source, in nodes, ``(n, dim)``."""
    size = medium.pulses.abs().sum(1)
    density = torch.einsum("nk,nk...->n...", size, medium.places.abs())
    total = density.flatten(1).sum(1).clamp(min=torch.finfo(density.dtype).tiny)
    centres = []
    for axis in range(1, density.ndim):
        places = torch.arange(density.shape[axis], device=density.device, dtype=density.dtype)
        along = density.movedim(axis, 1).reshape(len(density), len(places), -1).sum(2)
        centres.append((along * places).sum(1) / total)
    return torch.stack(centres, dim=1)


def _arrival(speed: Tensor, pulse: Tensor, centre: Tensor, nodes: Tensor, step: float, spacing: float) -> Tensor:
    """The delayed pulse over the root of the distance, ``(n, T, *grid)``; a distance of one node counts as four."""
    n, dim = centre.shape
    start = centre.reshape(n, *[1] * dim, dim)
    way = nodes - start
    slowness = torch.zeros_like(speed)
    for k in range(_SAMPLES):
        slowness = slowness + 1 / _nearest(speed, start + way * ((k + 0.5) / _SAMPLES)) / _SAMPLES
    distance = way.norm(dim=-1)
    delay = distance * spacing * slowness / step
    last = pulse.shape[1] - 1
    times = (
        torch.arange(1, last + 1, device=pulse.device, dtype=pulse.dtype).reshape(1, -1, *[1] * dim) - delay[:, None]
    )
    below = times.floor().clamp(0, last - 1)
    share = (times - below).clamp(0, 1)
    index = below.long().flatten(1)
    low, high = (pulse.gather(1, index + k).reshape(below.shape) for k in (0, 1))
    value = torch.where(times >= 0, low + share * (high - low), torch.zeros_like(low))
    return value / (0.25 * distance + 1).sqrt()[:, None]


def _nearest(field: Tensor, places: Tensor) -> Tensor:
    """Values ``(n, *grid)`` at the nearest nodes to places ``(n, *grid, dim)``, which are folded back into the box."""
    index = torch.zeros(places.shape[:-1], dtype=torch.long, device=places.device)
    for axis, size in enumerate(field.shape[1:]):
        folded = (places[..., axis].round().long()).remainder(2 * (size - 1))
        index = index * size + torch.minimum(folded, 2 * (size - 1) - folded)
    return field.flatten(1).gather(1, index.flatten(1)).reshape(index.shape)
