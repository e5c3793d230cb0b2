"""Newton's method on the macroscopic scale, with stress and tangent from a law at every quadrature point."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sciml.errors import DivergenceError
from sciml.forms import balance, condition_value, pointwise
from sciml.laws import Law, LawResult, StrainElements
from sciml.laws.elements import Factor, Numbered
from sciml.problem import Dirichlet, MeshData, Neumann, Problem
from sciml.problem.mesh.cells import lagrange
from sciml.problem.mesh.geometry import facet_map, positions
from sciml.problem.mesh.quadrature import reference_rule, volume_elements

__all__ = ["Equilibrium", "MacroSystem", "Micro", "OutsideError", "equilibrate"]

_LOAD_DEGREE = 6


class OutsideError(DivergenceError):
    """Strains that the law was not made for; the message says where."""


class MacroSystem:
    """Quadratic elements on the macroscopic mesh, with the loads and prescribed displacements of a problem.

    Attributes
    ----------
    elements : StrainElements
    numbered : Numbered
        With every component of every node as an unknown.
    held : (k,) array
        Components that are prescribed, and their `values` (k,).
    load : (2 · n_nodes,) array
        Forces of the load and the tractions.
    """

    def __init__(self, problem: Problem, mesh: MeshData) -> None:
        self.problem, self.mesh = problem, mesh
        self.elements = StrainElements(mesh)
        size = 2 * len(self.elements.nodes)
        self.numbered: Numbered = self.elements.numbered(np.arange(size))
        self.load = self._body_forces() + self._tractions()
        prescribed = self._prescribed()
        self.held = np.array(sorted(prescribed), dtype=int)
        self.values = np.array([prescribed[k] for k in self.held])
        self.free = np.setdiff1d(np.arange(size), self.held)

    def _body_forces(self) -> np.ndarray:
        out = np.zeros((len(self.elements.nodes), 2))
        load = pointwise(self.problem, balance(self.problem).load)
        xi, weights = reference_rule(self.mesh.cell_type, _LOAD_DEGREE)
        points = positions(self.mesh, xi)
        values = load.at(points.reshape(-1, 2)).reshape(points.shape)
        if values.any():
            factors = weights * volume_elements(self.mesh, xi)
            shapes = lagrange(self.mesh.cell_type, 2).values(xi)
            np.add.at(out, self.elements.cells, np.einsum("nq,qk,nqi->nki", factors, shapes, values))
        return out.ravel()

    def _facets(self, on: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells, local facets and nodes (corners, then the middle) of a part of the boundary."""
        names = tuple(self.problem.domain.canonical(name) for name in on)
        numbers = np.unique(np.concatenate([self._boundary(name) for name in names]))
        chosen = self.mesh.boundary_facets[numbers]
        cell = self.mesh.cell
        local = np.concatenate([cell.facets, len(cell.corners) + np.arange(len(cell.facets))[:, None]], axis=1)
        return chosen.cells, chosen.local, self.elements.cells[chosen.cells[:, None], local[chosen.local]]

    def _boundary(self, name: str) -> np.ndarray:
        if name == "boundary":
            return np.arange(len(self.mesh.boundary_facets))
        return self.mesh.boundary_facets_of(name)

    def _tractions(self) -> np.ndarray:
        out = np.zeros((len(self.elements.nodes), 2))
        s, weights = reference_rule("interval", _LOAD_DEGREE)
        shapes = lagrange("interval", 2).values(s)
        for condition in self.problem.declaration.conditions:
            if not isinstance(condition, Neumann):
                continue
            cells, local, nodes = self._facets(condition.on)
            points, vectors = facet_map(self.mesh, cells, local, s)
            lengths = np.linalg.norm(vectors, axis=-1)
            normals = (vectors / lengths[..., None]).reshape(-1, 2)
            for component in condition.components(2):
                data = condition_value(self.problem, condition, component)
                values = data.at(points.reshape(-1, 2), normals).reshape(lengths.shape)
                part = np.einsum("nq,q,qk->nk", values * lengths, weights, shapes)
                np.add.at(out[:, component], nodes, part)
        return out.ravel()

    def _prescribed(self) -> dict[int, float]:
        out: dict[int, float] = {}
        for condition in self.problem.declaration.conditions:
            if isinstance(condition, Dirichlet):
                nodes = np.unique(self._facets(condition.on)[2])
                for component in condition.components(2):
                    values = condition_value(self.problem, condition, component).at(self.elements.nodes[nodes])
                    out |= dict(zip((2 * nodes + component).tolist(), np.ravel(values).tolist()))
        return out


@dataclass
class Micro:
    """The law at the macroscopic quadrature points, with what to do where it does not hold.

    Attributes
    ----------
    law : Law
    fallback : Law or None
        Evaluated in place of the law at points that are outside of its range; without one they are an error.
    points : (n, 2) array
        Where the quadrature points lie, for messages.
    state, fallback_state : dict of arrays
        As they are after the last accepted load step; entries that are no history are those of the last call.
    found_outside : (n,) array of bool
        Points that were outside in any iteration.
    outside_now : (n,) array of bool
        Points that were outside in this load step.
    evaluations, fallbacks : int
        How many points were evaluated, and how many of them by the fallback.
    seconds : float
        CPU time of all of it.
    """

    law: Law
    fallback: Law | None
    points: np.ndarray
    state: dict[str, np.ndarray] = field(default_factory=dict)
    fallback_state: dict[str, np.ndarray] = field(default_factory=dict)
    evaluations: int = 0
    fallbacks: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.points)
        self.found_outside = np.zeros(n, dtype=bool)
        self.outside_now = np.zeros(n, dtype=bool)
        self.state = self.law.initial_state(n)
        self.fallback_state = {} if self.fallback is None else self.fallback.initial_state(n)
        self._after: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = self.state, self.fallback_state

    def __call__(self, strain: np.ndarray, dt: float) -> LawResult:
        """Stress and tangent under a trial strain; the past stays what it is until :meth:`accept`.

        Raises
        ------
        OutsideError
            Strains outside of the law's range, where there is no fallback.
        """
        start = time.process_time()
        outside = self.law.outside(strain)
        self.found_outside |= outside
        if outside.any() and self.fallback is None:
            raise OutsideError(self._where(strain, outside))
        # A point stays with the fallback for the rest of a load step: going back and forth between two laws, Newton's
        # method would find no end.
        self.outside_now |= outside
        result = self.law.evaluate(strain, self.state, dt)
        self.state = _started(self.law, self.state, result.state)
        self.evaluations += len(strain)
        other = self.fallback_state
        if self.outside_now.any() and self.fallback is not None:
            chosen = np.flatnonzero(self.outside_now)
            there = self.fallback.evaluate(strain[chosen], {k: v[chosen] for k, v in other.items()}, dt)
            result.stress[chosen], result.tangent[chosen] = there.stress, there.tangent
            other = {key: _placed(values, chosen, there.state[key]) for key, values in other.items()}
            self.fallback_state = _started(self.fallback, self.fallback_state, other)
            self.fallbacks += len(chosen)
        self._after = result.state, other
        self.seconds += time.process_time() - start
        return result

    def accept(self) -> None:
        """Make the state of the last call the past; the next load step begins with the law at all points."""
        self.outside_now[:] = False
        self.state, self.fallback_state = self._after

    def _where(self, strain: np.ndarray, outside: np.ndarray) -> str:
        chosen = np.flatnonzero(outside)
        worst = chosen[np.argmax(np.abs(strain[chosen]).max(axis=1))]
        x, y = self.points[worst]
        values = ", ".join(f"{value:.4g}" for value in strain[worst])
        return (
            f"The strains at {len(chosen)} of {len(strain)} macroscopic points leave the range of the law, the largest "
            f"({values}) at ({x:.5g}, {y:.5g}); lower the load, train on a wider range, or give outside=fe."
        )


def _started(law: Law, past: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The past with new starting values: entries that are no history."""
    return {key: values if key in law.history else after[key] for key, values in past.items()}


def _placed(values: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    out = values.copy()
    out[rows] = new
    return out


@dataclass
class Equilibrium:
    """The end of a run: displacements, strains and stresses at the quadrature points, and how it went.

    Attributes
    ----------
    displacement : (2 · n_nodes,) array
    strain, stress : (n, 3) arrays
    iterations : list of int
        Newton iterations of each load step.
    residuals : list of float
        Largest unbalanced force beside the largest force of an element, at every evaluation.
    steps : int
        Load steps done.
    complete : bool
        Whether all load steps were done, or the time ran out.
    """

    displacement: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    iterations: list[int]
    residuals: list[float]
    steps: int
    complete: bool


def equilibrate(
    system: MacroSystem,
    micro: Micro,
    *,
    load_steps: int,
    tolerance: float,
    max_iterations: int,
    within: Callable[[], bool],
    report: Callable[[str], None],
) -> Equilibrium:
    """Find the displacement in balance with the loads, in equal load steps.

    Raises
    ------
    DivergenceError
        Newton's method does not converge, or a stiffness is indefinite.
    OutsideError
        Strains leave the law's range.
    """
    numbered, free, held = system.numbered, system.free, system.held
    end = Equilibrium(np.zeros(numbered.size), np.zeros((0, 3)), np.zeros((0, 3)), [], [], 0, False)
    for step in range(1, load_steps + 1):
        share, trial = step / load_steps, end.displacement.copy()
        jump, residuals = share * system.values - trial[held], []
        while True:
            strain = numbered.strains(trial)
            result = micro(strain, 1.0 / load_steps)
            unbalanced = numbered.forces(result.stress) - share * system.load
            scale = max(numbered.force_scale(result.stress), float(np.abs(share * system.load).max()))
            moved = bool(jump.any())
            residuals.append(float(np.abs(unbalanced[free]).max(initial=0.0)) / scale if scale > 0 else 0.0)
            end.residuals.append(residuals[-1])
            report(f"load step {step} of {load_steps}, iteration {len(residuals) - 1}: residual {residuals[-1]:.1e}")
            if not moved and residuals[-1] <= tolerance:
                break
            if not np.isfinite(residuals[-1]) or len(residuals) > max_iterations:
                line = " → ".join(f"{value:.1e}" for value in residuals[:3] + residuals[-2:])
                raise DivergenceError(
                    f"The solid is not in balance in load step {step} of {load_steps} after {len(residuals) - 1} "
                    f"Newton iterations (residuals {line}); take more load_steps."
                )
            if not within():
                return end
            stiffness = numbered.stiffness(result.tangent)[free]
            right = unbalanced[free] + stiffness[:, held] @ jump
            trial[free] -= Factor.of(stiffness[:, free].tocsc(), "The macroscopic stiffness").solve(right)
            trial[held] += jump
            jump = np.zeros_like(jump)
        micro.accept()
        end.displacement, end.strain, end.stress = trial, strain, result.stress
        end.iterations.append(len(residuals) - 1)
        end.steps = step
    end.complete = True
    return end
