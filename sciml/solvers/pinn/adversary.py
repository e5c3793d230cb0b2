"""The adversary of adversarial adaptive sampling: a density that goes where the residual is, as smoothly as it is told.

With ξ the place in the bounding box of the domain Ω (in space and time) scaled to the unit box, and π = |Ω| p the density
in multiples of the uniform one, the adversary maximises over a flow

    J(p) = ∫ r² p dx − Σ_i β_i ∫ (∂p/∂x_i)² dx = mean(r² π) − Σ_i c_i mean((∂π/∂ξ_i)²),   c_i = β_i / (|Ω| L_i²),

where means are over Ω and L_i are the lengths of the box. The maximiser fulfils 2 Σ c_i ∂²π/∂ξ_i² + r² = λ where π > 0.

The strength of the penalty is given by one number β, read in one of two ways:

``beta_scale="residual"``
    c_i = β mean(r²), so β_i = β mean(r²) |Ω| L_i²: the maximiser does not change with the units of lengths, times or
    residuals, and the adversary stays as sharp while the residual becomes small. In two dimensions the peak that a
    small blob of residual is answered with has a height of about π = ln(1/size) / (4π β).
``beta_scale="raw"``
    β_i = β for all axes, as in the paper: it has units, is compared with r² itself, and the adversary fades to the
    uniform density as the residual becomes small. On (−1, 1)², raw β = 16 mean(r²) times the relative one.

Source: K. Tang, J. Zhai, X. Wan and C. Yang, Adversarial adaptive sampling, ICLR 2024, arXiv 2305.18702. Other than there,
points that the flow is trained on come half from the flow and half from everywhere, with exact weights, since a flow
that only sees its own samples never finds a peak that they miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DomainError, OptionError
from sciml.nn.flow import BoxFlow
from sciml.problem import Box, Domain, Problem

__all__ = ["LEAST_ACCEPTANCE", "Adversary"]

LEAST_ACCEPTANCE = 0.05
"""Least part of its bounding box that a domain must fill."""

_ROUNDS = 200
"""How often samples that fall outside of the domain are drawn again before giving up."""


class Adversary:
    """A flow that is trained to put its mass where the squared residual is large.

    Parameters
    ----------
    domain : Domain
        A box is covered exactly. On another domain the flow lives on the bounding box; what it puts outside is cut off, and
        densities are divided by the part that lies inside, which is measured.
    interval : (float, float), optional
        Start and end of the time, which is then the last coordinate.
    beta : float
        Strength of the penalty. Good values for "residual": 0.002 to 0.02; larger is closer to uniform.
    beta_scale : {"residual", "raw"}
        See above.
    couplings, width : int
        Of the flow, see :class:`~sciml.nn.flow.BoxFlow`.
    learning_rate : float
        Of Adam, for the flow.
    pool : int
        Points per refresh at which the residual is evaluated; half come from the flow.
    batch : int
        Points per step of the flow, for either term.
    generator : numpy Generator, optional
        For the initial weights of the flow; seed 0 by default.
    device : str
        Of the flow; points are arrays on the host.

    Raises
    ------
    OptionError
        A number that is not positive, or an unknown scale.
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
        *,
        beta: float = 0.005,
        beta_scale: Literal["residual", "raw"] = "residual",
        couplings: int = 6,
        width: int = 24,
        learning_rate: float = 1e-2,
        pool: int = 3000,
        batch: int = 300,
        generator: np.random.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        _check_numbers(beta=beta, learning_rate=learning_rate, pool=pool, batch=batch)
        if beta_scale not in ("residual", "raw"):
            raise OptionError(f"beta_scale={beta_scale!r}; allowed are 'residual' and 'raw'.")
        self.domain, self.interval = domain, interval
        self.beta, self.beta_scale, self.pool, self.batch = beta, beta_scale, pool, batch
        self._covered = domain.volume / _box_volume(domain)
        seed = 0 if generator is None else int(generator.integers(2**63))
        start, end = ([], []) if interval is None else ([interval[0]], [interval[1]])
        self.flow = BoxFlow(
            [*domain.lower.tolist(), *start],
            [*domain.upper.tolist(), *end],
            couplings,
            width,
            generator=torch.Generator().manual_seed(seed),
        ).to(device)
        self._weights = list(self.flow.parameters())
        self._adam = torch.optim.Adam(self._weights, lr=learning_rate)
        self._steps = 0
        self._inside = self._covered

    @classmethod
    def of_problem(cls, problem: Problem, **options: Any) -> Adversary:
        """For the domain of a problem, and its time if it has one; `options` are those of the class."""
        interval = (problem.time.start, problem.time.end) if problem.evolves else None
        return cls(problem.domain, interval, **options)

    @property
    def steps(self) -> int:
        """Steps of the flow so far."""
        return self._steps

    def improve(
        self, squared: Callable[[np.ndarray], np.ndarray], steps: int, generator: np.random.Generator
    ) -> dict[str, float]:
        """Take some steps of ascent for a frozen residual, which is evaluated once, at `pool` points.

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
            ``mean_squared``: estimate of the mean of r² over the domain; ``objective``: of J (of J / mean(r²) for
            the scale "residual") and ``concentration``: of mean(r² π) / mean(r²), both averaged over the steps;
            ``effective``: how many points of the pool carry the residual; ``inside``: the part of the flow's mass that
            lies in the domain.

        Raises
        ------
        OptionError
            A residual that is not finite, negative, or of another shape.
        """
        points, relative = self._proposals(self.pool, generator)
        values = _checked(squared(points), points)
        # Importance weights: the density of the proposals is (1 + π) / 2, so they never exceed 2.
        shares = values * 2 / (1 + relative)
        mean = float(shares.mean())
        if mean == 0:
            shares, mean = 2 / (1 + relative), 0.0
        record = {"mean_squared": mean, "effective": float(shares.sum() ** 2 / (shares**2).sum())}
        chances = np.minimum(shares, shares.mean() * math.sqrt(len(shares)))
        chances = chances / chances.sum()
        sums = np.zeros(2)
        for _ in range(steps):
            chosen = points[generator.choice(len(points), size=self.batch, p=chances)]
            sums += self._ascend(chosen, self._penalties(mean), generator)
        means = sums / max(steps, 1)
        return record | {"objective": means[0], "concentration": means[1], "inside": self._inside}

    def _penalties(self, mean: float) -> Tensor:
        """The c_i in multiples of mean(r²)."""
        extent = self.flow.extent
        if self.beta_scale == "residual":
            return torch.full_like(extent, self.beta)
        volume = float(extent.prod()) * self._covered
        return self.beta / (max(mean, 1e-300) * volume * extent**2)

    def _ascend(self, chosen: np.ndarray, penalties: Tensor, generator: np.random.Generator) -> np.ndarray:
        """One step of Adam; objective and concentration before it."""
        rest = self._tensor(self._proposals(self.batch, generator)[0]).requires_grad_(True)
        log_density = self._log_relative(torch.cat([self._tensor(chosen), rest]))
        gain = log_density[: len(chosen)].exp().mean()
        log_rest = log_density[len(chosen) :]
        (slope,) = torch.autograd.grad(log_rest.sum(), rest, create_graph=True)
        slope = slope * self.flow.extent
        weights = 2 / (1 + log_rest.detach().exp())
        roughness = (weights * (2 * log_rest).exp() * (slope * slope * penalties).sum(dim=1)).mean()
        objective = gain - roughness
        self._adam.zero_grad(set_to_none=True)
        (-objective).backward()
        self._adam.step()
        self._steps += 1
        return np.array([float(objective.detach()), float(gain.detach())])

    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `n` points of the domain from p: ``(n, dim)``, time last.

        Raises
        ------
        DomainError
            The flow's mass has left the domain.
        """
        found, missing, drawn, inside = [], n, 0, 0
        for _ in range(_ROUNDS):
            if missing <= 0:
                break
            points = self._flow_points(math.ceil(1.1 * missing / self._inside) if drawn else missing, generator)
            kept = points[self._contains(points)]
            found.append(kept)
            drawn, inside, missing = drawn + len(points), inside + len(kept), missing - len(kept)
        if missing > 0:
            raise DomainError(
                f"Of {drawn} points of the flow only {inside} lie in the domain; raise beta or start anew."
            )
        return np.concatenate(found)[:n] if found else np.zeros((0, self.flow.dim))

    def density(self, points: np.ndarray) -> np.ndarray:
        """p at points of the domain: ``(n,)``, with ∫ p = 1 over the domain, and its time if there is one."""
        volume = float(self.flow.extent.prod()) * self._covered
        return self.relative_density(points) / volume

    def relative_density(self, points: np.ndarray) -> np.ndarray:
        """π = |Ω| p at points of the domain: ``(n,)``, 1 for the uniform density."""
        with torch.no_grad():
            return self._log_relative(self._tensor(points)).exp().cpu().numpy()

    def tensors(self) -> dict[str, Tensor]:
        """Weights of the flow and the averages of Adam, for a checkpoint."""
        out = {f"flow.{name}": value.detach() for name, value in self.flow.state_dict().items()}
        for k, weight in enumerate(self._weights):
            out |= {f"adam.{k}.{name}": value for name, value in self._adam.state.get(weight, {}).items()}
        return out

    def values(self) -> dict[str, Any]:
        """The rest of the state, for JSON."""
        return {"steps": self._steps, "inside": self._inside}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on where the adversary that the state was taken of would have, bit by bit."""
        weights = {name.removeprefix("flow."): value for name, value in tensors.items() if name.startswith("flow.")}
        self.flow.load_state_dict(weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, number, entry = name.split(".")
                state.setdefault(int(number), {})[entry] = value.clone()
        self._adam.load_state_dict({"state": state, "param_groups": self._adam.state_dict()["param_groups"]})
        self._steps, self._inside = values["steps"], values["inside"]

    def _log_relative(self, x: Tensor) -> Tensor:
        """log π: the flow's density relative to its box, over the parts of box and mass that lie inside."""
        return self.flow.log_relative_density(x) + math.log(self._covered / self._inside)

    def _proposals(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points of the domain from (p + uniform) / 2, and π there."""
        half = n // 2
        points = np.concatenate([self._uniform(n - half, generator), self.sample(half, generator)])
        return points, self.relative_density(points)

    def _uniform(self, n: int, generator: np.random.Generator) -> np.ndarray:
        points = self.domain.sample(n, generator)
        if self.interval is None:
            return points
        start, end = self.interval
        return np.column_stack([points, start + (end - start) * generator.random(n)])

    def _flow_points(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Points of the bounding box from the flow."""
        unit = self._tensor(generator.random((n, self.flow.dim)))
        with torch.no_grad():
            return self.flow.inverse(unit)[0].cpu().numpy()

    def _contains(self, points: np.ndarray) -> np.ndarray:
        if isinstance(self.domain, Box):
            return np.ones(len(points), dtype=bool)
        return self.domain.contains(points[:, : self.domain.dim])

    def _tensor(self, points: np.ndarray) -> Tensor:
        return torch.as_tensor(points, dtype=self.flow.extent.dtype, device=self.flow.extent.device)


def _check_numbers(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise OptionError(f"{name}={value!r}; the adversary needs a positive number.")


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
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise OptionError(
            f"The squared residual at {points[first].tolist()} is {values[first]}; it must be finite and not negative."
        )
    return values
