"""The adversary of adaptive sampling: a density that goes where the residual is, as smoothly as it is told.

With ξ the place in the bounding box of the domain Ω (in space and time) scaled to the unit box, and π = |Ω| p the
density in multiples of the uniform one, the adversary maximises over a flow

    J(p) = ∫ r² p dx − Σ_i β_i ∫ (∂p/∂x_i)² dx = mean(r² π) − Σ_i c_i mean((∂π/∂ξ_i)²),   c_i = β_i / (|Ω| L_i²),

where means are over Ω and L_i are the lengths of the box. The maximiser fulfils 2 Σ c_i ∂²π/∂ξ_i² + r² = λ where π > 0.

The strength of the penalty is given by one number β, read in one of two ways:

``beta_scale="residual"``
    c_i = (2/d) β mean(r²) in d dimensions, so β_i = (2/d) β mean(r²) |Ω| L_i²: the maximiser does not change with the
    units of lengths, times or residuals, and the adversary stays as sharp while the residual becomes small. In two
    dimensions the peak that a small blob of residual is answered with has a height of about π = ln(1/size) / (4π β).
    The 2/d keeps the volume over which a blob is smeared from growing with the dimension: for the logarithm below, the
    answer to a normal r² of variance v along each axis of the unit box has the variance v + 2 (2/d) β.
``beta_scale="raw"``
    β_i = β for all axes, as in the paper: it has units, is compared with r² itself, and the adversary fades to the
    uniform density as the residual becomes small. On (−1, 1)², raw β = 16 mean(r²) times the relative one.

Source: K. Tang, J. Zhai, X. Wan and C. Yang, Adversarial adaptive sampling, ICLR 2024, arXiv 2305.18702. Other than
there:

- Residuals are looked at on points of which a third is uniform, a third comes from the flow and a third lies around the
  largest residuals so far, with exact weights: a flow that sees its own samples alone never finds what they miss.
- ∫ r² p is a mean over points drawn from these by their share of it, ∫ |∇p|² one over fresh points of the flow.
- The first steps maximise mean(r² (π^s − 1)/s) − Σ_i c_i mean(π^(s−1) (∂π/∂ξ_i)²) with s from 0 to 1. At s = 0, the
  logarithm, the pull on a place does not grow with the density there, so that several peaks are found together. In
  more than three dimensions, where the density of a peak spans many decades, the logarithm stays: at s = 1 few samples
  carry ∫ |∇p|², and the flow runs away to the walls.
- Where few points carry the residual, as in many dimensions, a power |r|^2τ with τ < 1 is followed until the flow has
  come nearer; with τ ≤ ½ the logarithm stays, and nothing is summed that spans many decades.
- What is sampled is a running average of the flow's weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DomainError, OptionError
from sciml.nn.flow import BoxFlow
from sciml.problem import Box, Domain, Problem
from sciml.problem.domain import sobol
from sciml.sampling import own_generator
from sciml.solvers.pinn.finds import Finds

__all__ = ["LEAST_ACCEPTANCE", "Adversary", "AdversaryOptions"]

LEAST_ACCEPTANCE = 0.05
"""Least part of its bounding box that a domain must fill."""

_ROUNDS = 200
"""How often samples that fall outside of the domain are drawn again before giving up."""

_MEASURED = 4096
"""Samples that tell which part of the flow's mass lies in the domain."""

_CENTRES = 64
"""Places around which the residual is looked at more closely; half of them are remembered from the last refresh."""

_EXPLORATIONS = 1
"""Further pools that are evaluated before the first step; a flow that has left a place comes back slowly."""

_EFFECTIVE = 100
"""Points of a pool that must carry the residual; if fewer do, a power of it below 1 is followed."""

_WARM_UP = 100
"""Steps over which the logarithm of the density gives way to the density itself."""

_FEW_DIMENSIONS = 3
"""Up to which the density itself takes the place of its logarithm."""

_MEMORY = 0.95
"""Of the running average of the flow's weights, which is what is sampled; steps by themselves are noisy."""


@dataclass(frozen=True, kw_only=True)
class AdversaryOptions:
    """How strong the adversary is, and how much it works.

    Parameters
    ----------
    beta : float
        Strength of the penalty. Good values for "residual": 0.002 to 0.02; larger is closer to uniform.
    beta_scale : {"residual", "raw"}
        How `beta` is read: in multiples of (2/d) mean(r²) |Ω| L², or as it is.
    couplings, width : int
        Of the flow, see :class:`~sciml.nn.flow.BoxFlow`. With 4 couplings and a learning rate of 0.02 a step costs a
        quarter less.
    learning_rate : float
        Of Adam, for the flow. Good values: 0.01, and 0.02 with few couplings or large batches; at 0.04 it diverges.
    pool : int
        Points per refresh at which the residual is evaluated.
    batch : int
        Points per step of the flow, for either term. Good values: 200 to follow a residual that changes, 600 to come
        within 10 % of the best density for one that does not.
    steps : int
        Of the flow for each refresh. Good values: 2 where points are refreshed every 8 steps of Adam, more where those
        steps cost more.
    first_steps : int
        Of the flow for the first refresh, in portions of 25 with a pool of residuals each. Good values: 50 to 150,
        300 in ten dimensions.

    Raises
    ------
    OptionError
        A number that is not positive or not whole, or an unknown scale.
    """

    beta: float = 0.005
    beta_scale: Literal["residual", "raw"] = "residual"
    couplings: int = 6
    width: int = 24
    learning_rate: float = 1e-2
    pool: int = 3000
    batch: int = 200
    steps: int = 2
    first_steps: int = 100

    def __post_init__(self) -> None:
        if self.beta_scale not in ("residual", "raw"):
            raise OptionError(f"beta_scale={self.beta_scale!r}; allowed are 'residual' and 'raw'.")
        for name in ("beta", "learning_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise OptionError(f"{name}={value!r}; the adversary needs a positive number.")
        least = {"couplings": 1, "width": 1, "pool": 30, "batch": 2, "steps": 1, "first_steps": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise OptionError(f"{name}={value!r}; the adversary needs a whole number from {lowest}.")


class Adversary:
    """A flow that is trained to put its mass where the squared residual is large.

    Parameters
    ----------
    domain : Domain
        A box is covered exactly. On another domain the flow lives on the bounding box; what it puts outside is cut
        off, and densities are divided by the part that lies inside, which is measured.
    interval : (float, float), optional
        Start and end of the time, which is then the last coordinate.
    options : AdversaryOptions, optional
    generator : numpy Generator, optional
        For the initial weights of the flow; seed 0 by default.
    device : str
        Of the flow; points are arrays on the host.

    Attributes
    ----------
    flow : BoxFlow
        What is sampled.
    steps : int
        Steps of the flow so far.

    Raises
    ------
    DomainError
        A domain that is flat, or fills less than :data:`LEAST_ACCEPTANCE` of its bounding box.

    Notes
    -----
    The residual counts as frozen during :meth:`improve`. Everything is in float64, and the same bits follow from the
    same generators on a CPU.
    """

    def __init__(
        self,
        domain: Domain,
        interval: tuple[float, float] | None = None,
        options: AdversaryOptions | None = None,
        *,
        generator: np.random.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.domain, self.interval = domain, interval
        self.options = options or AdversaryOptions()
        self._covered = domain.volume / _box_volume(domain)
        seed = 0 if generator is None else int(generator.integers(2**63))
        start, end = ([], []) if interval is None else ([interval[0]], [interval[1]])
        self._trained = BoxFlow(
            [*domain.lower.tolist(), *start],
            [*domain.upper.tolist(), *end],
            self.options.couplings,
            self.options.width,
            generator=torch.Generator().manual_seed(seed),
        ).to(device)
        self.flow = copy.deepcopy(self._trained).requires_grad_(False)
        self._weights = list(self._trained.parameters())
        self._adam = torch.optim.Adam(self._weights, lr=self.options.learning_rate, fused=True)
        self.steps = 0
        self._finds = np.zeros((0, self.flow.dim))
        self._inside = self._covered

    @classmethod
    def of_problem(
        cls, problem: Problem, options: AdversaryOptions | None = None, *, generator: np.random.Generator | None = None
    ) -> Adversary:
        """For the domain of a problem, and its time if it has one."""
        interval = (problem.time.start, problem.time.end) if problem.evolves else None
        return cls(problem.domain, interval, options, generator=generator)

    def improve(
        self, squared: Callable[[np.ndarray], np.ndarray], steps: int, generator: np.random.Generator
    ) -> dict[str, float]:
        """Take some steps of ascent for a frozen residual, which is evaluated at `pool` points (twice at the start).

        Parameters
        ----------
        squared : callable
            r² at points ``(n, dim)``, time last: ``(n,)``.
        steps : int
            Of Adam.
        generator : numpy Generator
            For everything that is drawn.

        Returns
        -------
        dict
            ``mean_squared``: estimate of the mean of r² over the domain; ``effective``: how many points of the pool
            carry what is followed; ``power``: its power τ of r²; ``inside``: the part of the flow's mass that lies in
            the domain; and averaged over the steps ``concentration``: of mean(r² π) / mean(r²), and ``objective``: of
            J, in the units of r², both for what is followed.

        Raises
        ------
        OptionError
            A residual that is negative, of another shape, or finite nowhere; single values that are not finite count
            as zero.
        """
        for _ in range(0 if self.steps else _EXPLORATIONS):
            self._evaluated(squared, generator)
        points, values, density = self._evaluated(squared, generator)
        mean = float((values / density).sum())
        chances, power = _tempered(values, density)
        weight, penalties = self._weighting(mean)
        sums = np.zeros(2)
        for _ in range(steps):
            chosen = points[generator.choice(len(points), size=self.options.batch, p=chances)]
            sums += self._ascend(chosen, weight, penalties, self._exponent(power), generator)
        self._measure_inside(generator)
        gain, penalty = sums / max(steps, 1)
        return {
            "mean_squared": mean,
            "effective": 1 / float((chances**2).sum()),
            "power": power,
            "concentration": gain,
            "objective": mean * gain - (mean / weight if weight else self._stiffest()) * penalty,
            "inside": self._inside,
        }

    def _evaluated(
        self, squared: Callable[[np.ndarray], np.ndarray], generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points, r² there, and how many points there are in a part of the domain over the size of the part.

        A third of the points lies around the largest residuals found so far, so that a peak that only a few points had
        met is known as well as those that the flow covers.
        """
        n_near = self.options.pool // 3
        points = self._proposals(self.flow, self.options.pool - n_near, generator)
        values = _checked(squared(points), points)
        density = (len(points) / 2) * (1 + self.relative_density(points))
        places = np.concatenate([self._finds, self._picked(points, values / density, generator)])
        if len(places):
            finds = Finds.around(places, self.options.pool ** (-1 / points.shape[1]), generator)
            near = self._from_unit(finds.sample(n_near, generator))
            near = near[self._contains(near)]
            values = np.concatenate([values, _checked(squared(near), near)])
            density = np.concatenate([density, (len(points) / 2) * (1 + self.relative_density(near))])
            points = np.concatenate([points, near])
            density += n_near * self._covered * finds.density(self._to_unit(points))
        self._finds = self._picked(points, values / density, generator)
        return points, values, density

    def _picked(self, points: np.ndarray, shares: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Some points by the roots of their shares, in the unit box; none where there is no residual."""
        chances = np.sqrt(shares)
        if not chances.any():
            return np.zeros((0, points.shape[1]))
        picked = generator.choice(len(points), size=_CENTRES // 2, p=chances / chances.sum())
        return self._to_unit(points[picked])

    def _to_unit(self, points: np.ndarray) -> np.ndarray:
        return (points - self.flow.lower.cpu().numpy()) / self.flow.extent.cpu().numpy()

    def _from_unit(self, unit: np.ndarray) -> np.ndarray:
        lower, extent = self.flow.lower.cpu().numpy(), self.flow.extent.cpu().numpy()
        return np.clip(lower + extent * unit, lower, lower + extent)

    def _exponent(self, power: float) -> float:
        """The s of J_s: from 0 to 1 over the first steps; 0 in many dimensions, or with a residual tempered to |r|."""
        if self.flow.dim > _FEW_DIMENSIONS:
            return 0.0
        return min(1.0, self.steps / _WARM_UP) * max(0.0, 2 * power - 1)

    def _weighting(self, mean: float) -> tuple[float, Tensor]:
        """The weight of mean(r² π) / mean(r²), and the c_i, scaled so that neither is large."""
        extent, beta = self.flow.extent, self.options.beta
        if self.options.beta_scale == "residual":
            return 1.0, torch.full_like(extent, 2 * beta / self.flow.dim)
        largest = self._stiffest()
        return mean / (mean + largest), largest / (mean + largest) * (extent.min() / extent) ** 2

    def _stiffest(self) -> float:
        """The largest c_i for the scale "raw"."""
        volume = float(self.flow.extent.prod()) * self._covered
        return self.options.beta / (volume * float(self.flow.extent.min()) ** 2)

    def _ascend(
        self, chosen: np.ndarray, weight: float, penalties: Tensor, power: float, generator: np.random.Generator
    ) -> np.ndarray:
        """One step of Adam; mean(r² π) / mean(r²) and the penalty of J before it."""
        others = self._tensor(self._proposals(self._trained, self.options.batch, generator)).requires_grad_(True)
        log_density = self._log_relative(self._trained, torch.cat([self._tensor(chosen), others]))
        log_chosen, log_others = log_density[: len(chosen)], log_density[len(chosen) :]
        (slope,) = torch.autograd.grad(log_others.sum(), others, create_graph=True)
        steepness = ((slope * self.flow.extent) ** 2 * penalties).sum(dim=1)
        # Half of the points come from the flow, so that they are as dense as (1 + π) / 2.
        rarity = math.log(2) - torch.nn.functional.softplus(log_others.detach())
        roughness = (torch.exp((1 + power) * log_others + rarity) * steepness).mean()
        self._adam.zero_grad(set_to_none=True)
        (roughness - weight * _box_cox(log_chosen, power).mean()).backward()
        self._adam.step()
        memory = min(_MEMORY, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for average, present in zip(self.flow.parameters(), self._weights):
                average.lerp_(present, 1 - memory)
        self.steps += 1
        with torch.no_grad():
            gain = log_chosen.exp().mean()
            penalty = (torch.exp(2 * log_others + rarity) * steepness).mean()
        return np.array([float(gain), float(penalty)])

    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `n` points of the domain from p: ``(n, dim)``, time last.

        Raises
        ------
        DomainError
            The flow's mass has left the domain.
        """
        return self._sample(self.flow, n, generator)

    def density(self, points: np.ndarray) -> np.ndarray:
        """The density p at points of the domain: ``(n,)``, with ∫ p = 1 over the domain, and its time, if any."""
        volume = float(self.flow.extent.prod()) * self._covered
        return self.relative_density(points) / volume

    def relative_density(self, points: np.ndarray) -> np.ndarray:
        """The density in multiples of the uniform one, π = |Ω| p, at points of the domain: ``(n,)``."""
        with torch.no_grad():
            return self._log_relative(self.flow, self._tensor(points)).exp().cpu().numpy()

    def tensors(self) -> dict[str, Tensor]:
        """Weights of the flow, their average and the moments of Adam, for a checkpoint."""
        out = {f"flow.{name}": value for name, value in self.flow.state_dict().items()}
        out |= {f"trained.{name}": value for name, value in self._trained.state_dict().items()}
        for k, weight in enumerate(self._weights):
            out |= {f"adam.{k}.{name}": value for name, value in self._adam.state.get(weight, {}).items()}
        out["finds"] = torch.from_numpy(self._finds)
        return {name: value.detach().clone() for name, value in out.items()}

    def values(self) -> dict[str, Any]:
        """The rest of the state, for JSON."""
        return {"steps": self.steps, "inside": self._inside}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on where the adversary that the state was taken of would have, bit by bit."""
        self.flow.load_state_dict(_part(tensors, "flow."))
        self._trained.load_state_dict(_part(tensors, "trained."))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "adam.").items():
            number, entry = name.split(".")
            state.setdefault(int(number), {})[entry] = value.clone()
        self._adam.load_state_dict({"state": state, "param_groups": self._adam.state_dict()["param_groups"]})
        self._finds = np.array(tensors["finds"].cpu().numpy())
        self.steps, self._inside = values["steps"], values["inside"]

    def _log_relative(self, flow: BoxFlow, x: Tensor) -> Tensor:
        """The logarithm of π: a flow relative to its box, over the parts of box and mass that lie inside."""
        return flow.log_relative_density(x) + math.log(self._covered / self._inside)

    def _proposals(self, flow: BoxFlow, n: int, generator: np.random.Generator) -> np.ndarray:
        """Points of the domain from (p + uniform) / 2."""
        half = n // 2
        return np.concatenate([self._uniform(n - half, generator), self._sample(flow, half, generator)])

    def _sample(self, flow: BoxFlow, n: int, generator: np.random.Generator) -> np.ndarray:
        """Low-discrepancy points of a flow, those outside of the domain drawn again."""
        found, missing, drawn = [np.zeros((0, flow.dim))], n, 0
        for _ in range(_ROUNDS):
            if missing <= 0:
                break
            points = self._flow_points(flow, math.ceil(missing / self._inside), generator)
            drawn += len(points)
            found.append(points[self._contains(points)])
            missing -= len(found[-1])
        if missing > 0:
            raise DomainError(
                f"Of {drawn} points of the adversary only {n - missing} lie in the domain; raise beta or start anew."
            )
        return np.concatenate(found)[:n]

    def _measure_inside(self, generator: np.random.Generator) -> None:
        """Which part of the flow's mass lies in the domain."""
        if not isinstance(self.domain, Box):
            inside = self._contains(self._flow_points(self.flow, _MEASURED, generator))
            self._inside = max(float(inside.mean()), 1 / _MEASURED)

    def _uniform(self, n: int, generator: np.random.Generator) -> np.ndarray:
        points = self.domain.quasi_random(n, own_generator(generator))
        if self.interval is None:
            return points
        start, end = self.interval
        times = (generator.permutation(n) + generator.random(n)) / n
        return np.column_stack([points, start + (end - start) * times])

    def _flow_points(self, flow: BoxFlow, n: int, generator: np.random.Generator) -> np.ndarray:
        """Points of the bounding box from a flow."""
        unit = self._tensor(sobol(n, self.flow.dim, own_generator(generator)))
        with torch.no_grad():
            return flow.inverse(unit)[0].cpu().numpy()

    def _contains(self, points: np.ndarray) -> np.ndarray:
        if isinstance(self.domain, Box):
            return np.ones(len(points), dtype=bool)
        return self.domain.contains(points[:, : self.domain.dim])

    def _tensor(self, points: np.ndarray) -> Tensor:
        return torch.as_tensor(points, dtype=self.flow.extent.dtype, device=self.flow.extent.device)


def _tempered(values: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, float]:
    """Chances ∝ |r|^2τ / density that are carried by enough points, and τ, which is 1 where that allows it."""
    largest = values.max()
    if not largest > 0:
        return (1 / density) / (1 / density).sum(), 0.0
    enough = min(_EFFECTIVE, len(values) / 10)
    power, chances = 1.0, np.zeros(0)
    while power > 1e-2:
        chances = (values / largest) ** power / density
        chances = chances / chances.sum()
        if 1 / (chances**2).sum() >= enough:
            break
        power *= 0.9
    return chances, power


def _box_cox(log_value: Tensor, power: float) -> Tensor:
    """(v^s − 1) / s, which goes from log v at s = 0 to v − 1 at s = 1."""
    return torch.expm1(power * log_value) / power if power else log_value


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries whose name starts with a prefix, under the rest of their name."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _box_volume(domain: Domain) -> float:
    """The volume of the bounding box, if the domain fills enough of it."""
    extent = domain.upper - domain.lower
    if domain.dim < 1 or not np.all(extent > 0):
        raise DomainError(f"The adversary needs a domain with a volume; this one has the extents {extent.tolist()}.")
    volume = float(np.prod(extent))
    if domain.volume < LEAST_ACCEPTANCE * volume:
        raise DomainError(
            f"The domain fills {domain.volume / volume:.2g} of its bounding box, and the adversary needs "
            f"{LEAST_ACCEPTANCE:g}; choose another sampler."
        )
    return volume


def _checked(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.shape != (len(points),):
        raise OptionError(f"Squared residuals of the shape {values.shape}; the adversary needs ({len(points)},).")
    finite = np.isfinite(values)
    if len(values) and not finite.any():
        raise OptionError(f"None of {len(values)} squared residuals is finite; the adversary needs some that are.")
    if np.any(values[finite] < 0):
        raise OptionError(f"A squared residual is {values[finite].min():.3g}; the adversary needs squares.")
    return np.where(finite, values, 0.0)
