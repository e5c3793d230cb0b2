"""The finite element model of a periodic cell: macroscopic stress and consistent tangent from the microstructure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml.errors import DeclarationError, DivergenceError, MeshError
from sciml.laws.base import Law, LawResult, State, checked_strains
from sciml.laws.elements import Factor, StrainElements
from sciml.problem import MeshData
from sciml.problem.mesh import matches

__all__ = ["CellModel", "CellResult", "identify_nodes"]

_MATCH = 1e-6


@dataclass
class CellResult:
    """Solutions of a cell for m macroscopic strains.

    Attributes
    ----------
    stress : (m, 3) array
        Mean stress.
    tangent : (m, 3, 3) array
        Its derivative by the macroscopic strain, by static condensation.
    fluctuation : (m, n_dofs) array
        Independent components of the periodic fluctuation.
    local_stress : (m, n_points, 3) array
    state : dict of arrays
        See :meth:`CellModel.initial_state`.
    iterations : (m,) array
        Newton iterations.
    residual : (m,) array
        Largest unbalanced force beside the largest force of a cell.
    """

    stress: np.ndarray
    tangent: np.ndarray
    fluctuation: np.ndarray
    local_stress: np.ndarray
    state: dict[str, np.ndarray]
    iterations: np.ndarray
    residual: np.ndarray


class CellModel(Law):
    """A periodic cell in plane strain, solved by quadratic finite elements.

    ::

        div σ(E + ε(w); x) = 0 in the cell,   w periodic,   S = ⟨σ⟩,   C = dS/dE

    Nodes on opposite sides are one unknown; one node is held. Newton's method finds the fluctuation w; the tangent is
    C = (∫ D − Lᵀ K⁻¹ L)/|V| with L = ∫ Bᵀ D, from the last factorisation of K = ∫ Bᵀ D B.

    Parameters
    ----------
    mesh : MeshData
        A mesh of a rectangle whose opposite sides have the same nodes; what is not meshed is void.
    laws : mapping from str to Law
        The law of each phase, which is a region of the mesh.
    tolerance : float
        Of the balance of forces, beside the largest force of one cell.
    max_iterations : int
        Newton iterations for one strain.
    degree : int
        Of the quadrature in each element.

    Raises
    ------
    MeshError
        The mesh is not periodic (the message names nodes), or not of the plane.
    DeclarationError
        A phase without a law, a law without a phase, cells in no phase or in two.

    Attributes
    ----------
    elements : StrainElements
    numbered : Numbered
        The elements with the independent components as unknowns.
    phases : dict from str to array
        Numbers of each phase's quadrature points.
    weights : (n_points,) array
        Quadrature weights.
    volume : float
        Of the cell, voids included.

    Notes
    -----
    Good values: the defaults. A strain that is far from the last one may need smaller steps; a cell whose law has a
    past continues from the state that it is handed.

    Examples
    --------
    >>> model = load_problem("rve/disc").model()
    >>> result = model.solve(np.array([[0.01, -0.005, 0.02]]))
    """

    def __init__(
        self,
        mesh: MeshData,
        laws: Mapping[str, Law],
        *,
        tolerance: float = 1e-10,
        max_iterations: int = 30,
        degree: int = 2,
    ) -> None:
        self.mesh, self.laws = mesh, dict(laws)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.elements = StrainElements(mesh, degree)
        self.weights = self.elements.weights
        self.phases = _phases(mesh, self.laws, self.elements.points_per_cell)
        lower, upper = self.elements.nodes.min(axis=0), self.elements.nodes.max(axis=0)
        self.lower, self.upper = lower, upper
        self.volume = float(np.prod(upper - lower))
        self.node_classes = identify_nodes(self.elements.nodes)
        held = self.node_classes[np.argmin(((self.elements.nodes - lower) ** 2).sum(axis=1))]
        free = np.where(self.node_classes == held, -1, self.node_classes - (self.node_classes > held))
        self.unknowns = np.where(free[:, None] < 0, -1, 2 * free[:, None] + np.arange(2))
        self.numbered = self.elements.numbered(self.unknowns.ravel())
        self.history = tuple(f"{name}/{key}" for name, law in self.laws.items() for key in law.history)

    def __repr__(self) -> str:
        laws = ", ".join(f"{name}: {law!r}" for name, law in self.laws.items())
        return f"CellModel({self.n_dofs} unknowns, {self.n_points} quadrature points, {laws})"

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that differ where mesh, phases or laws differ."""
        content = hashlib.sha256(self.mesh.points.tobytes() + self.mesh.cells.tobytes())
        for name, law in sorted(self.laws.items()):
            content.update(f"{name} {law!r}".encode() + self.phases[name].tobytes())
        return content.hexdigest()[:16]

    @property
    def n_dofs(self) -> int:
        """Number of independent components of the fluctuation."""
        return self.numbered.size

    @property
    def n_points(self) -> int:
        """Number of quadrature points."""
        return self.elements.n_points

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        """The unloaded state: ``fluctuation`` (n, n_dofs), where Newton's method starts, and the phases' pasts."""
        state = {"fluctuation": np.zeros((n, self.n_dofs))}
        for name, law in self.laws.items():
            points = len(self.phases[name])
            for key, values in law.initial_state(n * points).items():
                state[f"{name}/{key}"] = values.reshape(n, points, *values.shape[1:])
        return state

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        result = self.solve(strain, state, dt=dt, local=False)
        return LawResult(result.stress, result.tangent, result.state)

    def solve(
        self, strain: np.ndarray, state: State | None = None, *, dt: float = 0.0, local: bool = True
    ) -> CellResult:
        """Solve the cell for each macroscopic strain.

        Parameters
        ----------
        strain : (m, 3) array
            (E_xx, E_yy, γ_xy).
        state : mapping of arrays, optional
            As :meth:`initial_state` has it; its ``fluctuation`` is where Newton's method starts.
        dt : float
            Length of the step in time.
        local : bool
            Whether the stresses at all quadrature points are kept; they are as many as m · n_points.

        Raises
        ------
        DivergenceError
            Newton's method does not converge (the message holds its residuals), or the stiffness is indefinite.
        """
        strain = checked_strains(strain)
        state = self.initial_state(len(strain)) if state is None else state
        solved = [
            self._solve_one(own, {key: values[number] for key, values in state.items()}, dt)
            for number, own in enumerate(strain)
        ]
        keep = slice(None) if local else slice(0)
        empty = self.initial_state(0)
        return CellResult(
            stress=_stacked([one.stress for one in solved], (3,)),
            tangent=_stacked([one.tangent for one in solved], (3, 3)),
            fluctuation=_stacked([one.state["fluctuation"] for one in solved], (self.n_dofs,)),
            local_stress=_stacked([one.local_stress[keep] for one in solved], (self.n_points if local else 0, 3)),
            state={key: _stacked([one.state[key] for one in solved], empty[key].shape[1:]) for key in empty},
            iterations=np.array([one.iterations for one in solved], dtype=int),
            residual=np.array([one.residual for one in solved]),
        )

    def local_stress(self, strain: np.ndarray, state: Mapping[str, np.ndarray], dt: float = 0.0) -> _Local:
        """Stresses, tangents and new states at the quadrature points (n_points, 3) with the local strain given."""
        stress, tangent = np.empty((self.n_points, 3)), np.empty((self.n_points, 3, 3))
        after: dict[str, np.ndarray] = {}
        for name, law in self.laws.items():
            points = self.phases[name]
            own = {key: state[f"{name}/{key}"] for key in law.initial_state(0)}
            result = law.evaluate(strain[points], own, dt)
            stress[points], tangent[points] = result.stress, result.tangent
            after |= {f"{name}/{key}": values for key, values in result.state.items()}
        return _Local(stress, tangent, after)

    def mean(self, local: np.ndarray) -> np.ndarray:
        """⟨·⟩ of values (n_points, …) at the quadrature points."""
        return np.tensordot(self.weights, local, axes=1) / self.volume

    def equilibrium_residual(self, stress: np.ndarray) -> float:
        """The unbalanced forces of stresses (n_points, 3), in the Euclidean norm, beside the forces of all cells."""
        scale = float(np.linalg.norm(self.numbered.force_sums(stress)))
        return float(np.linalg.norm(self.numbered.forces(stress))) / max(scale, 1e-300)

    def fluctuation_at_nodes(self, fluctuation: np.ndarray) -> np.ndarray:
        """The fluctuation (…, n_nodes, 2) at all nodes, of its independent components (…, n_dofs)."""
        padded = np.concatenate([fluctuation, np.zeros((*fluctuation.shape[:-1], 1))], axis=-1)
        return padded[..., self.unknowns]

    def displacement(self, strain: np.ndarray, fluctuation: np.ndarray) -> np.ndarray:
        """E · x + w at all nodes: (…, n_nodes, 2), of strains (…, 3) and fluctuations (…, n_dofs)."""
        xx, yy, shear = (strain[..., k, None] for k in range(3))
        x, y = self.elements.nodes.T
        affine = np.stack([xx * x + shear * y / 2, shear * x / 2 + yy * y], axis=-1)
        return affine + self.fluctuation_at_nodes(fluctuation)

    def _solve_one(self, strain: np.ndarray, state: Mapping[str, np.ndarray], dt: float) -> _One:
        fluctuation, residuals = np.array(state["fluctuation"]), []
        while True:
            local = self.local_stress(strain + self.numbered.strains(fluctuation), state, dt)
            forces = self.numbered.forces(local.stress)
            scale = self.numbered.force_scale(local.stress)
            residuals.append(float(np.abs(forces).max() / scale) if scale > 0 and forces.size else 0.0)
            converged = residuals[-1] <= self.tolerance
            if not np.isfinite(residuals[-1]) or (not converged and len(residuals) > self.max_iterations):
                raise DivergenceError(self._diverged(strain, residuals))
            factor = Factor.of(self.numbered.stiffness(local.tangent), f"The cell's tangent at strain {_shown(strain)}")
            if converged:
                break
            fluctuation -= factor.solve(forces)
        stress, tangent = self._condensed(local, factor)
        after = {"fluctuation": fluctuation, **local.state}
        return _One(stress, tangent, after, local.stress, len(residuals) - 1, residuals[-1])

    def _condensed(self, local: _Local, factor: Factor) -> tuple[np.ndarray, np.ndarray]:
        """Mean stress and the tangent that is left when the fluctuation follows the strain."""
        coupling = self.numbered.many_forces(local.tangent)
        # A tangent that is not symmetric couples the other way round by its transpose.
        back = self.numbered.many_forces(local.tangent.transpose(0, 2, 1))
        return self.mean(local.stress), self.mean(local.tangent) - back.T @ factor.solve(coupling) / self.volume

    def _diverged(self, strain: np.ndarray, residuals: list[float]) -> str:
        line = " → ".join(f"{value:.1e}" for value in residuals[:4] + residuals[-2:])
        return (
            f"The cell at strain {_shown(strain)} is not in balance after {len(residuals) - 1} Newton iterations "
            f"(residuals {line}); take smaller load steps or a milder strain."
        )


@dataclass
class _Local:
    """What the phases' laws return at all quadrature points."""

    stress: np.ndarray
    tangent: np.ndarray
    state: dict[str, np.ndarray]


@dataclass
class _One:
    """The cell's solution for one strain."""

    stress: np.ndarray
    tangent: np.ndarray
    state: dict[str, np.ndarray]
    local_stress: np.ndarray
    iterations: int
    residual: float


def _stacked(parts: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(parts) if parts else np.zeros((0, *shape))


def _shown(strain: np.ndarray) -> str:
    return f"({', '.join(f'{value:.4g}' for value in strain)})"


def _phases(mesh: MeshData, laws: Mapping[str, Law], per_cell: int) -> dict[str, np.ndarray]:
    """Quadrature points of each phase."""
    regions = mesh.region_groups
    unknown = sorted(set(laws) - set(regions))
    if unknown:
        raise DeclarationError(
            f"There is a law for the phase {unknown[0]!r}; the mesh has the regions {', '.join(regions) or 'none'}."
        )
    count = np.zeros(len(mesh.cells), dtype=int)
    for name in laws:
        count[regions[name]] += 1
    without = [name for name, cells in regions.items() if name not in laws and (count[cells] == 0).any()]
    if without:
        raise DeclarationError(f"The phase {without[0]!r} has no law; the laws are for {', '.join(laws) or 'none'}.")
    if (count != 1).any():
        kind = "none" if (count == 0).any() else "several"
        raise DeclarationError(
            f"{int((count != 1).sum())} of {len(count)} cells of the mesh lie in {kind} of the phases "
            f"{', '.join(laws) or 'none'}; every cell belongs to one."
        )
    points = np.arange(len(mesh.cells) * per_cell).reshape(-1, per_cell)
    return {name: points[regions[name]].ravel() for name in laws}


def identify_nodes(nodes: np.ndarray) -> np.ndarray:
    """Number the nodes (n, 2) of a rectangle so that those on opposite sides are one: (n,), from 0 without gaps.

    Raises
    ------
    MeshError
        Nodes on one side without a partner on the other.
    """
    lower, upper = nodes.min(axis=0), nodes.max(axis=0)
    tolerance = _MATCH * float(np.max(upper - lower))
    partner = np.tile(np.arange(len(nodes)), (2, 1))
    for axis, sides in enumerate((("left", "right"), ("bottom", "top"))):
        minus = np.flatnonzero(np.abs(nodes[:, axis] - lower[axis]) < tolerance)
        plus = np.flatnonzero(np.abs(nodes[:, axis] - upper[axis]) < tolerance)
        step = np.where(np.arange(2) == axis, upper - lower, 0.0)
        there, back = (
            matches(nodes[plus] - step, nodes[minus], tolerance),
            matches(nodes[minus] + step, nodes[plus], tolerance),
        )
        lonely = np.concatenate([plus[there < 0], minus[back < 0]])
        if len(lonely):
            shown = ", ".join(f"({nodes[k, 0]:.6g}, {nodes[k, 1]:.6g})" for k in lonely[:3])
            raise MeshError(
                f"The mesh is not periodic: {len(lonely)} nodes on its {sides[0]} and {sides[1]} sides have no partner "
                f"on the other, the first at {shown}; mesh opposite sides alike."
            )
        partner[axis, plus] = minus[there]
    return np.unique(partner[1, partner[0]], return_inverse=True)[1]
