"""A periodic problem wave number by wave number: its linear part as matrices, and the rest on the grid.

With the fields that a time derivative acts on in e and the others (constraints) in c, and the matrices
A(k) = W(k)ᴴ M W(k) of the linear part, where (∇u, u) has the coefficients W û, the law reads

    D dê/dt + A_ee ê + A_ec ĉ + rest_e(e, c, x, t) = 0,
    A_ce ê + A_cc ĉ + rest_c(x, t) = 0.

The second line gives ĉ = T ê + g(t), so that  dê/dt = −L ê − N(ê, t)  with  L = D⁻¹ (A_ee + A_ec T).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import ufl
from ufl import classes

from sciml.errors import UnsupportedError
from sciml.forms import Derivative, PointwiseOperator, initial_value, number
from sciml.forms.balance import constrained_fields
from sciml.forms.sharing import compiled
from sciml.forms.splitting import LinearSplit, linear_split
from sciml.problem import Problem
from sciml.solvers.spectral.grid import Grid

__all__ = ["Semidiscrete", "components_of", "linear_symbol", "undetermined_wave"]

_SINGULAR = 1e-12
_SAMPLES = {1: 1024, 2: 128, 3: 32}
"""Points along an axis, at least, that an initial state is sampled at."""


def components_of(problem: Problem) -> tuple[list[int], list[int]]:
    """The components that a time derivative acts on, and the others."""
    if not problem.evolves:
        return [], list(range(problem.n_components))
    bound = [c for slot in constrained_fields(problem) for c in slot.components]
    return [c for c in range(problem.n_components) if c not in bound], bound


def slopes(wave_vectors: np.ndarray, k: int) -> np.ndarray:
    """W: the coefficients of (∇u, u) from those of u, ``(n_waves, k (d + 1), k)``."""
    n, d = wave_vectors.shape
    out = np.zeros((n, k * (d + 1), k), dtype=complex)
    for c in range(k):
        out[:, c * d : (c + 1) * d, c] = 1j * wave_vectors
        out[:, k * d + c, c] = 1.0
    return out


def linear_symbol(coefficients: np.ndarray, wave_vectors: np.ndarray, k: int) -> np.ndarray:
    """A(k) = Wᴴ M W: the operator −div flux + reaction of the linear part, ``(n_waves, k, k)``."""
    w = slopes(wave_vectors, k)
    return w.conj().transpose(0, 2, 1) @ (coefficients @ w)


def undetermined_wave(problem: Problem, symbol: np.ndarray, waves: np.ndarray) -> str | None:
    """Why equations without a time derivative do not determine their fields, or None.

    Parameters
    ----------
    symbol : (n_waves, m, m) array
        A_cc.
    waves : (n_waves, dim) array
    """
    _, bound = components_of(problem)
    fixed = [bound.index(c) for mean in problem.declaration.means for c in mean.components(problem.n_components)]
    free = [c for c in range(len(bound)) if c not in fixed]
    sizes = np.linalg.svd(symbol, compute_uv=False)
    scale = sizes.max(initial=0.0)
    constant = ~waves.any(axis=1)
    # The constants that mean values fix are no unknowns.
    least = sizes.min(axis=1)
    if free:
        least[constant] = np.linalg.svd(symbol[constant][:, :, free], compute_uv=False).min(axis=1)
    else:
        least[constant] = np.inf
    # A row is singular by its own size: of an order in the wave number.
    own = np.where(constant, scale, np.maximum(sizes.max(axis=1), 1e-300))
    bad = np.flatnonzero(least <= _SINGULAR * own)
    if not len(bad):
        return None
    names = " and ".join(repr(slot.name) for slot in problem.layout if slot.offset in bound)
    wave = tuple(int(n) for n in waves[bad[0]])
    return f"the equations without a time derivative leave the wave {wave} of {names} undetermined"


@dataclass
class _Rows:
    """Expressions at the grid points for all members at once."""

    operators: list[PointwiseOperator]
    x: torch.Tensor
    overrides: dict[str, torch.Tensor]

    def __post_init__(self) -> None:
        first = self.operators[0]
        self.keys, self.n_rows = first.keys, first.shape[0]
        self.moves = any(constant == first.problem.declaration.t for constant, _ in first.program.constants)
        points = self.x[: len(self.x) // len(self.operators)]
        data = [operator.data(points) for operator in self.operators]
        self._data = [torch.cat(columns) for columns in zip(*data, strict=True)]
        self._static = None if self.moves else self._settled(0.0)

    def _constants(self, t: float) -> list[torch.Tensor]:
        return self.operators[0].constants(self.x, self.overrides | {"t": t})

    def _settled(self, t: float) -> tuple[torch.Tensor, ...]:
        return self.operators[0].program.static(self.x, self._constants(t), self._data)

    def __call__(self, jet: dict[Derivative, torch.Tensor], t: float) -> torch.Tensor:
        """Values ``(n_members, n_rows, n_points)``."""
        static = self._settled(t) if self._static is None else self._static
        program = self.operators[0].program
        values = program(self.x, jet, self._constants(t), self._data, None, static)
        return values.reshape(len(self.operators), -1, self.n_rows).transpose(1, 2)


class Semidiscrete:
    """A problem, or several members of a family, on a grid.

    Parameters
    ----------
    problems : sequence of Problem
        Members with one declaration.
    grid : Grid
    device, dtype : of torch

    Attributes
    ----------
    evolving, bound : list of int
        Components that a time derivative acts on, and the others.
    linear : (n_members, n_waves, m, m) array
        L.

    Raises
    ------
    UnsupportedError
        A wave is not determined by the equations of the constrained fields.
    """

    def __init__(
        self, problems: Sequence[Problem], grid: Grid, device: str = "cpu", dtype: torch.dtype = torch.float64
    ) -> None:
        self.problems, self.grid, self.device, self.dtype = list(problems), grid, device, dtype
        self.complex = torch.complex128 if dtype == torch.float64 else torch.complex64
        first = self.problems[0]
        self.split: LinearSplit = linear_split(first)
        self.evolving, self.bound = components_of(first)
        self._points = torch.tensor(grid.points, dtype=dtype).to(device).repeat(len(self.problems), 1)
        self._overrides = _overrides(self.problems, len(grid.points), dtype, device)
        self._start: torch.Tensor | None = None
        self._matrices = np.stack([self.split.coefficients(p) for p in self.problems])
        self._add_mean_diffusion()
        self._eliminate()
        self._compile()

    def constant(self, values: np.ndarray) -> torch.Tensor:
        """An array on the device, in the precision asked for."""
        kind = self.complex if np.iscomplexobj(values) else self.dtype
        return torch.as_tensor(np.ascontiguousarray(values)).to(self.device, kind)

    # -- the linear part ---------------------------------------------------------------------------------

    def _add_mean_diffusion(self) -> None:
        """Coefficients ∂flux/∂∇u that vary are taken at their mean over the start, which the rest gives back."""
        k, d = self.problems[0].n_components, self.grid.dim
        self._moved = np.zeros_like(self._matrices)
        places = [(i, j) for i, j in self.split.varying if i < k * d and j < k * d and self._row(i) in self.evolving]
        if places:
            values = self._entries_at(places, self._initial_jet)
            means = values.mean(dim=-1).cpu().double().numpy()
            for column, (i, j) in enumerate(places):
                self._moved[:, i, j] = np.nan_to_num(means[:, column], posinf=0.0, neginf=0.0)

    def _row(self, i: int) -> int:
        """The component whose equation a row of (flux, reaction) is in."""
        k, d = self.problems[0].n_components, self.grid.dim
        return i // d if i < k * d else i - k * d

    def _symbol(self, matrices: np.ndarray) -> np.ndarray:
        k = self.problems[0].n_components
        return np.stack([linear_symbol(m, self.grid.wave_vectors, k) for m in matrices])

    def _eliminate(self) -> None:
        e, c = self.evolving, self.bound
        symbol = self._symbol(self._matrices + self._moved) * self.grid.kept[None, :, None, None]
        n, first = len(self.grid.waves), self.problems[0]
        self._damping = np.stack([_damping(p)[e] for p in self.problems])
        solve = np.zeros((len(self.problems), n, len(c), len(c)), dtype=complex)
        self._means = np.zeros((len(self.problems), len(c)))
        self._fixed = []
        if c:
            block = symbol[:, :, c][:, :, :, c]
            self._fixed = fixed = [
                c.index(i) for mean in first.declaration.means for i in mean.components(first.n_components)
            ]
            free = [i for i in range(len(c)) if i not in fixed]
            kept = np.flatnonzero(self.grid.kept & self.grid.waves.any(axis=1))
            for member, problem in enumerate(self.problems):
                everywhere = np.concatenate([[0], kept])
                reason = undetermined_wave(problem, block[member, everywhere], self.grid.waves[everywhere])
                if reason is not None:
                    raise UnsupportedError(f"Solver 'spectral' cannot do {problem!r}: {reason}.")
                solve[member, kept] = np.linalg.inv(block[member, kept])
                if free:
                    solve[member, 0, free] = np.linalg.pinv(block[member, 0][:, free])
                for mean in problem.declaration.means:
                    for i in mean.components(problem.n_components):
                        self._means[member, c.index(i)] = float(number(problem, mean.entry(i)))
            self._zero_block = block[:, 0]
        coupling = symbol[:, :, c][:, :, :, e]
        transfer = -solve @ coupling
        onto = symbol[:, :, e][:, :, :, c]
        weights = 1 / self._damping[:, None, :, None] if e else 1.0
        self.linear = weights * (symbol[:, :, e][:, :, :, e] + onto @ transfer)
        self._transfer_sizes = np.abs(transfer)
        self._transfer, self._solve = self.constant(transfer), self.constant(solve)
        self._onto = self.constant(weights * onto)
        self._moves = self.constant(weights * self._symbol(self._moved)[:, :, e][:, :, :, e + c])
        self._zero_coupling = coupling[:, 0]

    # -- the rest ----------------------------------------------------------------------------------------

    def _compile(self) -> None:
        k, zero = self.problems[0].n_components, classes.Zero
        found = [(i, row) for i, row in enumerate(self.split.rows) if not isinstance(row, zero)]
        self._active = [i for i, _ in found if self._row(i) in self.evolving]
        self._given = [i for i, _ in found if self._row(i) in self.bound]
        self._rest = self._compiled(self._active, "evolving")
        self._data = self._compiled(self._given, "bound")
        # −div of a flux and a reaction, as factors of the coefficients.
        left = slopes(self.grid.wave_vectors, k).conj() * self.grid.kept[:, None, None]
        self._left = {i: self.constant(left[:, i, self._row(i)]) for i in self._active + self._given}
        self._settled: dict[str, torch.Tensor] = {}
        rest = self._rest
        self._columns = [] if rest is None else [(key, self._slot(key)) for key in rest.keys]
        self._waves = {key: self._factor(key) for key, _ in self._columns}

    def _compiled(self, rows: list[int], key: str) -> _Rows | None:
        if not rows:
            return None
        first = self.problems[0]
        program = first.derived(
            ("program", "spectral", key),
            lambda: compiled(ufl.as_vector([self.split.rows[i] for i in rows]), first.declaration.u),
        )
        operators = [PointwiseOperator(problem, program) for problem in self.problems]
        return _Rows(operators, self._points, self._overrides)

    def _slot(self, key: Derivative) -> int:
        return (self.evolving + self.bound).index(key.component)

    def _factor(self, key: Derivative) -> torch.Tensor:
        return self.constant(np.prod(1j * self.grid.wave_vectors[:, list(key.axes)], axis=1))

    @property
    def autonomous(self) -> bool:
        """Whether the law does not depend on the time."""
        return not any(rows.moves for rows in (self._rest, self._data) if rows is not None)

    @property
    def affine(self) -> bool:
        """Whether the rest is free of the unknown, so that waves do not interact."""
        return not self._columns and not self._moved.any()

    def constrained(self, state: torch.Tensor, t: float) -> torch.Tensor:
        """ĉ = T ê + g(t), ``(n_members, n_bound, n_waves)``."""
        return self.applied(self._transfer, state) + self._offset(t)

    def _offset(self, t: float) -> torch.Tensor:
        if "offset" in self._settled:
            return self._settled["offset"]
        data = self._data_coefficients(t)
        offset = -self.applied(self._solve, data)
        if self._fixed:
            offset[:, self._fixed, 0] = self.constant(self._means[:, self._fixed]).to(self.complex)
            shift = self.constant(self._zero_block[:, :, self._fixed]) @ offset[:, self._fixed, 0, None]
            free = [i for i in range(len(self.bound)) if i not in self._fixed]
            if free:
                offset[:, free, 0] -= (self._solve[:, 0, free] @ shift)[..., 0]
        if self._data is None or not self._data.moves:
            self._settled["offset"] = offset
        return offset

    def _data_coefficients(self, t: float) -> torch.Tensor:
        shape = (len(self.problems), len(self.bound), len(self.grid.waves))
        out = torch.zeros(shape, dtype=self.complex, device=self.device)
        if self._data is not None:
            spectrum = self.grid.to_coefficients(self._data({}, t))
            for column, i in enumerate(self._given):
                out[:, self.bound.index(self._row(i))] += self._left[i] * spectrum[:, column]
        return out

    def imbalance(self, state: torch.Tensor, t: float) -> float:
        """The mean of the equations of constrained fields, where a constant of the field is free and it should be zero.

        Relative to the largest coefficient in them. They are solved as if it were zero.
        """
        if not self._fixed:
            return 0.0
        whole = self.constrained(state, t)[..., 0].cpu().numpy()
        data = self._data_coefficients(t).cpu().numpy()
        own = state.cpu().numpy()
        terms = [self._zero_coupling * own[:, None, :, 0], self._zero_block * whole[:, None, :]]
        residual = sum(term.sum(axis=-1) for term in terms) + data[..., 0]
        size = max(float(np.abs(part).max(initial=0.0)) for part in (*terms, data, own))
        return float(np.abs(residual).max() / size) if size > 0 else 0.0

    def rate(self, state: torch.Tensor, t: float) -> torch.Tensor:
        """−N(ê, t), what the rest adds to dê/dt: ``(n_members, n_evolving, n_waves)``."""
        if "rate" in self._settled:
            return self._settled["rate"]
        out = torch.zeros_like(state)
        whole = torch.cat([state, self.constrained(state, t)], dim=1) if self.bound else state
        if self._rest is not None:
            spectrum = self.grid.to_coefficients(self._rest(self._jet(whole), t))
            damping = self.constant(self._damping)
            for column, i in enumerate(self._active):
                e = self.evolving.index(self._row(i))
                out[:, e] -= self._left[i] * spectrum[:, column] / damping[:, e, None]
        if self.bound:
            out -= self.applied(self._onto, self._offset(t))
        if self._moved.any():
            out += self.applied(self._moves, whole)
        if not self._columns and not self._moved.any() and self.autonomous:
            self._settled["rate"] = out
        return out

    def _jet(self, whole: torch.Tensor) -> dict[Derivative, torch.Tensor]:
        if not self._columns:
            return {}
        parts = [whole[:, slot] * self._waves[key] if key.axes else whole[:, slot] for key, slot in self._columns]
        values = self.grid.to_values(torch.stack(parts))
        return {key: values[column].flatten() for column, (key, _) in enumerate(self._columns)}

    @staticmethod
    def applied(matrices: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Matrices of each wave ``(n, p, i, j)`` times coefficients ``(n, j, p)``."""
        if matrices.shape[-2:] == (1, 1):
            return matrices[..., 0].transpose(1, 2) * state
        return torch.einsum("npij,njp->nip", matrices, state)

    # -- states ------------------------------------------------------------------------------------------

    def initial(self) -> torch.Tensor:
        """The state at the start, sampled finely enough that its short waves do not pass for long ones."""
        if self._start is None:
            finer = Grid(self.grid.domain, self.grid.modes * -(-_SAMPLES[self.grid.dim] // self.grid.modes), False)
            values = np.zeros((len(self.problems), len(self.evolving), len(finer.points)))
            for member, problem in enumerate(self.problems):
                for row, component in enumerate(self.evolving):
                    values[member, row] = initial_value(problem, component).at(finer.points)
            self._start = self.grid.truncated(finer.to_coefficients(self.constant(values)), finer)
        return self._start

    def whole(self, state: torch.Tensor, t: float) -> np.ndarray:
        """All components in their order ``(n_members, k, n_waves)``, in NumPy."""
        joined = torch.cat([state, self.constrained(state, t)], dim=1) if self.bound else state
        order = np.argsort(self.evolving + self.bound)
        return joined[:, order].cpu().numpy().astype(complex)

    # -- how fast the rest is -----------------------------------------------------------------------------

    def speed(self, state: torch.Tensor, t: float) -> float:
        """A bound on the size of N's Jacobian: what a step in time is measured by.

        Entry (i, j) of ∂(flux, reaction)/∂(∇u, u) counts with the largest factors that the waves kept give it.
        """
        places = [(i, j) for i, j in self.split.varying if self._row(i) in self.evolving]
        if not places:
            return 0.0
        whole = torch.cat([state, self.constrained(state, t)], dim=1) if self.bound else state
        values = self._entries_at(places, self._jet_of(whole), t)
        k, d = self.problems[0].n_components, self.grid.dim
        highest = 2 * np.pi * self.grid.highest / (self.grid.domain.upper - self.grid.domain.lower)
        total = torch.zeros_like(values[:, 0])
        for column, (i, j) in enumerate(places):
            own = values[:, column] - self.constant(self._moved[:, i, j])[:, None]
            left = highest[i % d] if i < k * d else 1.0
            row = self.evolving.index(self._row(i))
            total += own.abs() * left * self._reach(j) / self.constant(self._damping)[:, row, None]
        return float(total.max())

    def _reach(self, j: int) -> float:
        """How large entry j of (∇u, u) can be for an evolving state of size one."""
        k, d = self.problems[0].n_components, self.grid.dim
        component, vectors = self._row(j), np.abs(self.grid.wave_vectors[:, j % d]) if j < k * d else None
        factor = np.ones(len(self.grid.waves)) if vectors is None else vectors
        factor = factor * self.grid.kept
        if component in self.evolving:
            return float(factor.max())
        sizes = self._transfer_sizes[:, :, self.bound.index(component)].max(axis=(0, 2), initial=0.0)
        return float((factor * sizes).max())

    def _entries_at(self, places: list[tuple[int, int]], jet_of: Any, t: float | None = None) -> torch.Tensor:
        """Entries of M at the grid points ``(n_members, n_entries, n_points)``."""
        first = self.problems[0]
        key = ("program", "spectral entries", tuple(places))
        program = first.derived(
            key, lambda: compiled(ufl.as_vector([self.split.entries[p] for p in places]), first.declaration.u)
        )
        operators = [PointwiseOperator(problem, program) for problem in self.problems]
        rows = _Rows(operators, self._points, self._overrides)
        return rows(jet_of(rows.keys), first.time.start if t is None else t)

    def _jet_of(self, whole: torch.Tensor) -> Any:
        def jet(keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
            parts = [whole[:, self._slot(key)] * self._factor(key) for key in keys]
            return {key: self.grid.to_values(part).flatten() for key, part in zip(keys, parts, strict=True)}

        return jet

    def _initial_jet(self, keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
        """Of the evolving components alone: constrained ones are not known before the elimination."""
        state = self.initial()
        zeros = torch.zeros_like(state[:, :1]).expand(-1, len(self.bound), -1)
        return self._jet_of(torch.cat([state, zeros], dim=1))(keys)


def _damping(problem: Problem) -> np.ndarray:
    """The factor of ∂u/∂t in each component's equation."""
    if not problem.evolves:
        return np.zeros(problem.n_components)
    return np.broadcast_to(number(problem, problem.declaration.damping), (problem.n_components,)).astype(float)


def _overrides(problems: Sequence[Problem], n: int, dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    """Parameters that differ between members, as one value for each of their points."""
    out = {}
    for name in problems[0].constants:
        if name == "t":
            continue
        values = np.array([problem.constant_values[name] for problem in problems], dtype=float)
        if (values != values[0]).any():
            out[name] = torch.as_tensor(np.repeat(values, n, axis=0).T).to(device, dtype)
    return out
