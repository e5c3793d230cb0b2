"""Steps in time for  M ü + C u̇ + F(u, t) = 0  with the discrete mass M, damping C and spatial residual F.

Where stabilisation adds to C what depends on the state, C is taken at a state extrapolated to second order.

=====================  =============================================================================================
theta                  C (u₁ − u₀)/Δ + θ F(u₁, t₁) + (1 − θ) F(u₀, t₀) = 0; order 2 for θ = ½, else 1
bdf2                   C (3u₁ − 4u₀ + u₋₁)/(2Δ) + F(u₁, t₁) = 0, the first step by backward Euler; order 2
newmark                M a₁ + C v₁ + F(u₁, t₁) = 0 with β = ¼, γ = ½ (average acceleration); order 2, keeps the energy
generalised_alpha      the same at t₁ − α Δ (J. Chung, G. M. Hulbert, J. Appl. Mech. 60, 1993); order 2, damps what
                       the mesh does not resolve by the factor `rho_infinity` a step
explicit               M (u₁ − 2u₀ + u₋₁)/Δ² + C (u₁ − u₋₁)/(2Δ) + F(u₀, t₀) = 0 with lumped M and C; order 2, stable
                       for Δ ≤ 2/√λ with the largest eigenvalue λ of M⁻¹ ∂F/∂u
=====================  =============================================================================================

T. J. R. Hughes, The Finite Element Method (1987), chapters 8 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from mpi4py import MPI
from petsc4py import PETSc

from sciml.errors import DivergenceError, OptionError
from sciml.fem.algebra import LinearChoice, LinearSolver, python_preconditioner
from sciml.fem.constraints import Independent
from sciml.fem.discretisation import Discretisation
from sciml.fem.functions import FEFunction, FEFunctions
from sciml.fem.statics import shift_means
from sciml.forms import analyse, depends_on_time, initial_value, pointwise
from sciml.forms.schemes import Scheme
from sciml.forms.weak import damping_form, mass_form, weak_form

__all__ = ["State", "System", "march", "stable_step", "surely_stable_step"]

_NEWTON_STEPS = 25
_POWER_STEPS = 200
_ROUNDING = 1e-12


@dataclass
class State:
    """Displacement-like unknown with its time derivatives, as owned entries of PETSc vectors."""

    t: float
    u: Any
    v: Any = None
    a: Any = None


@dataclass
class Counts:
    """Work done."""

    newton: int = 0
    linear: int = 0


class System:
    """M, C and F of an evolving problem on one mesh.

    Parameters
    ----------
    discretisation : Discretisation
    choice : LinearChoice
        For the systems of implicit steps.
    linear : bool
        Whether F is affine in u.
    tolerance : float
        Of Newton's method, relative to the first residual of a step.
    scaled : bool
        Whether coefficients are smooth, for fast diagonalisation.
    """

    def __init__(
        self,
        discretisation: Discretisation,
        choice: LinearChoice,
        *,
        linear: bool,
        tolerance: float = 1e-10,
        scaled: bool = False,
    ) -> None:
        self._scaled = scaled
        self.disc, self.choice, self.linear, self.tolerance = discretisation, choice, linear, tolerance
        self.problem = problem = discretisation.problem
        self.counts = Counts()
        self.independent = Independent(discretisation)
        self.mass = self._matrix("mass", mass_form(problem))
        self.damping = self._plain_damping = self._matrix("damping", damping_form(problem))
        form = weak_form(problem)
        self._fixed_stiffness = linear and not depends_on_time(form.jacobian, problem.t)
        self._fixed_load = self._fixed_stiffness and not depends_on_time(form.residual, problem.t)
        self._moving_data = any(depends_on_time(c.value, problem.t) for c in problem.dirichlet if c.value is not None)
        self._moving_data |= any(c.value is None for c in problem.dirichlet)
        self._prescribed = self.independent.prescribed(discretisation.dirichlet)
        # Of a field without a time derivative a constant may be free: hold one degree of freedom, and shift the mean of
        # what is kept.
        self._free_constants = analyse(problem).free_constants
        held = self.independent.one_of_each(self._free_constants)
        self.constrained = np.append(self._prescribed[0], held).astype(np.int32)
        self._stiffness = self.independent.matrix(discretisation.jacobian)
        self._stiffness_known = False
        self._upwind: Any = None
        self._constant_load: Any = None
        self._factored_loads: list[tuple[Any, Any]] | None = None
        self._amplitudes: dict[float, np.ndarray] = {}
        self._step_matrix: Any = None
        self._step_key: Any = None
        self._solver: LinearSolver | None = None

    # -- vectors -------------------------------------------------------------------------------------------------

    def vector(self) -> Any:
        """A new vector of zeros."""
        return self.independent.vector()

    def interpolate(self, component_values: Callable[[int], Any]) -> Any:
        """A vector of nodal values; `component_values(c)` is a pointwise operator."""
        unknowns = self.disc.unknowns
        values = np.zeros(len(unknowns.component))
        for c in range(self.problem.n_components):
            there = unknowns.component == c
            values[there] = component_values(c).at(unknowns.points[there])
        out = self.vector()
        out.array[:] = self.independent.values(values)
        return out

    def snapshot(self, vector: Any) -> FEFunction | FEFunctions:
        """A vector as a function, whole on every process."""
        self.independent.load(vector)
        shift_means(self.disc, self._free_constants)
        return self.disc.snapshot()

    def impose(self, vector: Any, t: float) -> None:
        """Write the Dirichlet values of an instant into a vector."""
        # Finding the nodes of a part is collective: processes without any take part.
        if self.problem.dirichlet:
            dofs, values = self._prescribed
            if self._moving_data:
                dofs, values = self.independent.prescribed(self.disc.dirichlet_of(self.problem.at_time(t)))
            vector.array[dofs] = values

    # -- operators -----------------------------------------------------------------------------------------------

    def _matrix(self, name: str, form: Any) -> Any:
        if form is None:
            return None
        bound = self.disc.kept(name, lambda: self.disc.bilinear(form))
        return self.independent.matrix(bound).assemble()

    def update_damping(self, u: Any, t: float) -> None:
        """Add to C what stabilisation does, at a state and an instant; once for a steady wind."""
        upwind = self.disc.upwind_damping
        if upwind is None or (self.damping is not self._plain_damping and self.disc.steady_upwind):
            return
        self.independent.load(u)
        self.disc.set_time(t)
        if self.damping is self._plain_damping:
            self._upwind, self.damping = self.independent.matrix(upwind), self._plain_damping.copy()
        else:
            self._plain_damping.copy(self.damping, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self.damping.axpy(1.0, self._upwind.assemble(), PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN)
        self._step_key = None

    def force(self, u: Any, t: float, out: Any) -> None:
        """F(u, t) into `out`."""
        if not self._fixed_stiffness:
            self.independent.load(u)
            self._assemble(t, out)
            return
        self.stiffness(u, t).mult(u, out)
        out.axpy(1.0, self._load_at(t))

    def _load_at(self, t: float) -> Any:
        """F(0, t) of a linear law."""
        if self._constant_load is not None and self._fixed_load:
            return self._constant_load
        self._constant_load = self._constant_load or self.vector()
        if self._fixed_load or self.disc.time_factors is None:
            self.disc.u.x.array[:] = 0.0
            self._assemble(t, self._constant_load)
            return self._constant_load
        self._constant_load.set(0.0)
        for amplitude, vector in zip(self._amplitudes_at(t), self._loads(), strict=True):
            self._constant_load.axpy(amplitude, vector)
        return self._constant_load

    def _loads(self) -> list[Any]:
        """The parts of a load that is a sum of products of a function of time and a vector; assembled once."""
        if self._factored_loads is None:
            self._factored_loads = []
            for _, form in self.disc.time_factors or ():
                vector = self.vector()
                self.independent.residual(vector, form)
                self._factored_loads.append(vector)
        return self._factored_loads

    def _amplitudes_at(self, t: float) -> np.ndarray:
        if t not in self._amplitudes:
            self.foresee([t])
        return self._amplitudes[t]

    def foresee(self, instants: list[float]) -> None:
        """Evaluate at once what loads do at some instants, where they are functions of time times vectors."""
        if not self._fixed_stiffness or self._fixed_load or not self.disc.time_factors:
            return
        problem = self.problem
        places = np.broadcast_to(problem.domain.lower, (len(instants), problem.dim))
        points = np.column_stack([places, instants])
        factors = problem.derived(
            "time factors", lambda: ufl.as_vector([factor for factor, _ in self.disc.time_factors or ()])
        )
        rows = pointwise(problem, factors, key="time factors").at(points).reshape(len(instants), -1)
        self._amplitudes |= dict(zip(instants, rows, strict=True))

    def _assemble(self, t: float, out: Any) -> None:
        self.disc.set_time(t)
        self.independent.residual(out)

    def stiffness(self, u: Any, t: float) -> Any:
        """∂F/∂u."""
        if not (self._fixed_stiffness and self._stiffness_known):
            self.independent.load(u)
            self.disc.set_time(t)
            self._stiffness.assemble()
            self._stiffness_known = True
        return self._stiffness.matrix

    def solve(
        self, residual: Callable[[Any, Any], None], u: Any, t: float, weights: tuple[float, float, float]
    ) -> None:
        """Newton's method for residual(u) = 0 with ∂residual/∂u = w₀ M + w₁ C + w₂ ∂F/∂u at (u, t), in place.

        Constrained entries of `u` stay as they are.
        """
        right, step = self.vector(), self.vector()
        first = 0.0
        for iteration in range(1 if self.linear else _NEWTON_STEPS):
            residual(u, right)
            right.array[self.constrained] = 0.0
            norm = right.norm()
            if not np.isfinite(norm):
                raise DivergenceError(f"The state is no longer finite at t = {t:.6g}; take more steps.")
            first = max(first, norm)
            if norm <= self.tolerance * first * (iteration > 0) or norm == 0.0:
                return
            self._prepare(u, t, weights)
            assert self._solver is not None
            self.counts.linear += self._solver.solve(self._step_matrix, right, step)
            self.counts.newton += 1
            u.axpy(-1.0, step)
            if step.norm() <= _ROUNDING * u.norm():
                return
        if not self.linear:
            raise DivergenceError(
                f"Newton's method did not converge in {_NEWTON_STEPS} iterations at t = {t:.6g}; take more steps."
            )

    def _prepare(self, u: Any, t: float, weights: tuple[float, float, float]) -> None:
        """The matrix of a step, factorised once where it does not change."""
        if self._fixed_stiffness and self._step_key == weights:
            return
        stiffness = self.stiffness(u, t)
        if self._step_matrix is None:
            self._step_matrix = stiffness.duplicate(copy=True)
        else:
            stiffness.copy(self._step_matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self._step_matrix.scale(weights[2])
        for weight, matrix in zip(weights, (self.mass, self.damping), strict=False):
            if matrix is not None and weight:
                self._step_matrix.axpy(weight, matrix, PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN)
        self.independent.hold(self._step_matrix, self.constrained)
        self._step_key = weights
        if self._solver is None:
            self._solver = self.solver()

    def solver(self) -> LinearSolver:
        """A new linear solver of the kind chosen."""
        preconditioner = python_preconditioner(self.disc, self.choice, scaled=self._scaled)
        return LinearSolver(self.choice, self.disc.comm, preconditioner=preconditioner)

    @property
    def solver_used(self) -> LinearChoice:
        """The linear solver of the last step; the one chosen, if it was not replaced."""
        return self.choice if self._solver is None else self._solver.choice

    def norm(self, vector: Any) -> float:
        """The L2 norm weighted by the damping, that of C without what stabilisation adds."""
        work = self.vector()
        self._plain_damping.mult(vector, work)
        return float(np.sqrt(max(vector.dot(work), 0.0)))

    def damped(self, vector: Any, weight: float) -> Any:
        """(C + ∂F/∂u / w)⁻¹ C x with the matrix w C + ∂F/∂u of the last step; zero where u is prescribed."""
        right, out = self.vector(), self.vector()
        self.damping.mult(vector, right)
        right.scale(weight)
        right.array[self.constrained] = 0.0
        assert self._solver is not None
        self.counts.linear += self._solver.solve(self._step_matrix, right, out)
        return out

    def lumped_mass(self) -> np.ndarray:
        """Row sums of M.

        Raises
        ------
        OptionError
            They are not all positive, as for quadratic triangles.
        """
        mass = self.lumped(self.mass)
        comm = self.disc.comm
        # A process may own no independent degree of freedom of a coarse mesh.
        smallest, largest = mass.min(initial=np.inf), mass.max(initial=0.0)
        if comm.allreduce(smallest, op=MPI.MIN) <= 1e-10 * comm.allreduce(largest, op=MPI.MAX):
            raise OptionError("scheme=explicit needs a lumped mass matrix that is positive: take degree=1.")
        return mass

    def lumped(self, matrix: Any) -> np.ndarray:
        """Row sums of a matrix (zeros for None)."""
        if matrix is None:
            return np.zeros(self.independent.n_owned)
        ones, out = self.vector(), self.vector()
        ones.set(1.0)
        matrix.mult(ones, out)
        return out.array_r.copy()


def initial_state(system: System, t: float) -> State:
    """u, u̇ and, for laws with mass, ü from the law at the start."""
    problem = system.problem
    state = State(t, system.interpolate(lambda c: initial_value(problem, c)))
    system.impose(state.u, t)
    if problem.declaration.mass is not None:
        state.v = system.interpolate(lambda c: initial_value(problem, c, velocity=True))
    return state


def march(system: System, scheme: Scheme, steps: int) -> Iterator[State]:
    """The states after 0, 1, …, `steps` equal steps over the problem's time.

    Parameters
    ----------
    system : System
    scheme : Scheme
    steps : int
    """
    time = system.problem.time
    state = initial_state(system, time.start)
    step = time.duration / steps
    advance = {"theta": _theta, "bdf2": _bdf2, "newmark": _newmark, "generalised_alpha": _newmark}.get(scheme.name)
    stepper = _Explicit(system, step) if advance is None else advance(system, scheme, step)
    system.foresee([time.start + k * step for k in range(steps + 1)])
    stepper.start(state)
    yield state
    for k in range(1, steps + 1):
        # Counted, not added up: the end is hit exactly.
        state = stepper.advance(state, time.start + k * step)
        if not np.isfinite(state.u.norm()):
            raise DivergenceError(f"The state is no longer finite at t = {state.t:.6g}; take more steps.")
        yield state


class _theta:  # noqa: N801  private, named as the scheme
    def __init__(self, system: System, scheme: Scheme, step: float) -> None:
        self.system, self.theta, self.step = system, scheme.theta, step

    def start(self, state: State) -> None:
        self.before = state.u
        self.old_force = self.system.vector()
        self.system.force(state.u, state.t, self.old_force)

    def advance(self, state: State, t: float) -> State:
        system, theta, step = self.system, self.theta, self.step
        u = state.u.copy()
        system.impose(u, t)
        force, rate = system.vector(), system.vector()
        system.update_damping((1 + theta) * state.u - theta * self.before, state.t + theta * step)

        def residual(u: Any, out: Any) -> None:
            system.force(u, t, force)
            system.damping.mult(u - state.u, rate)
            _combine(out, (1 / step, rate), (theta, force), (1 - theta, self.old_force))

        system.solve(residual, u, t, (0.0, 1 / step, theta))
        system.force(u, t, self.old_force)
        self.before = state.u
        return State(t, u)


class _bdf2:  # noqa: N801
    def __init__(self, system: System, scheme: Scheme, step: float) -> None:
        self.system, self.step = system, step

    def start(self, state: State) -> None:
        self.before: Any = None

    def advance(self, state: State, t: float) -> State:
        system, before = self.system, self.before
        # Backward Euler first: its one error of order 2 leaves the order of the whole.
        lead, history = (1.0, state.u) if before is None else (1.5, 2.0 * state.u - 0.5 * before)
        u = state.u.copy() if before is None else 2.0 * state.u - before
        system.impose(u, t)
        system.update_damping(u, t)
        force, rate = system.vector(), system.vector()

        def residual(u: Any, out: Any) -> None:
            system.force(u, t, force)
            system.damping.mult(lead * u - history, rate)
            _combine(out, (1 / self.step, rate), (1.0, force))

        system.solve(residual, u, t, (0.0, lead / self.step, 1.0))
        self.before = state.u
        return State(t, u)


class _newmark:  # noqa: N801
    """Newmark's method and, with α ≠ 0, generalised-α."""

    def __init__(self, system: System, scheme: Scheme, step: float) -> None:
        self.system, self.step = system, step
        self.shift_mass = self.shift_force = 0.0
        if scheme.name == "generalised_alpha":
            rho = scheme.rho_infinity
            self.shift_mass, self.shift_force = (2 * rho - 1) / (rho + 1), rho / (rho + 1)
        self.gamma = 0.5 - self.shift_mass + self.shift_force
        self.beta = 0.25 * (1 - self.shift_mass + self.shift_force) ** 2

    def start(self, state: State) -> None:
        state.a = _acceleration(self.system, state)

    def advance(self, state: State, t: float) -> State:
        system, step, beta, gamma = self.system, self.step, self.beta, self.gamma
        am, af = self.shift_mass, self.shift_force
        ahead = state.u + step * state.v + step**2 * (0.5 - beta) * state.a
        ahead_v = state.v + step * (1 - gamma) * state.a
        u = ahead + step**2 * beta * state.a
        system.impose(u, t)
        force, inertia, drag = system.vector(), system.vector(), system.vector()
        middle = t - af * step

        def derivatives(u: Any) -> tuple[Any, Any]:
            a = (1 / (beta * step**2)) * (u - ahead)
            return ahead_v + (gamma * step) * a, a

        def residual(u: Any, out: Any) -> None:
            v, a = derivatives(u)
            system.force((1 - af) * u + af * state.u, middle, force)
            system.mass.mult((1 - am) * a + am * state.a, inertia)
            if system.damping is not None:
                system.damping.mult((1 - af) * v + af * state.v, drag)
            _combine(out, (1.0, inertia), (1.0, drag), (1.0, force))

        weights = ((1 - am) / (beta * step**2), (1 - af) * gamma / (beta * step), 1 - af)
        system.solve(residual, u, middle, weights)
        return State(t, u, *derivatives(u))


class _Explicit:
    """Central differences with lumped mass and damping."""

    def __init__(self, system: System, step: float) -> None:
        self.system, self.step = system, step
        mass, damping = system.lumped_mass(), system.lumped(system.damping)
        self.new, self.old = mass / step**2 + damping / (2 * step), mass / step**2 - damping / (2 * step)
        self.mass, self.damping = mass, damping
        self.force = system.vector()

    def start(self, state: State) -> None:
        """u₋₁ such that u̇ and ü are those of the start, to second order."""
        self.system.force(state.u, state.t, self.force)
        a = -(self.force.array_r + self.damping * state.v.array_r) / self.mass
        self.before = state.u.array_r - self.step * state.v.array_r + 0.5 * self.step**2 * a

    def advance(self, state: State, t: float) -> State:
        system, step, mass = self.system, self.step, self.mass
        now = state.u.array_r
        system.force(state.u, state.t, self.force)
        u = system.vector()
        # The sum M (2u₀ − u₋₁)/Δ² + C u₋₁/(2Δ) − F, divided by M/Δ² + C/(2Δ).
        u.array[:] = (2 * mass / step**2 * now - self.old * self.before - self.force.array_r) / self.new
        system.impose(u, t)
        self.before = now.copy()
        return State(t, u)


def _combine(out: Any, *terms: tuple[float, Any]) -> None:
    out.set(0.0)
    for factor, vector in terms:
        out.axpy(factor, vector)


def _acceleration(system: System, state: State) -> Any:
    """M a = −(C v + F(u, t)), with a = 0 where u is given."""
    right, term = system.vector(), system.vector()
    system.force(state.u, state.t, right)
    if system.damping is not None:
        system.damping.mult(state.v, term)
        right.axpy(1.0, term)
    right.scale(-1.0)
    right.array[system.constrained] = 0.0
    matrix = system.mass.copy()
    system.independent.hold(matrix, system.constrained)
    out = system.vector()
    solver = system.solver()
    solver.solve(matrix, right, out)
    solver.destroy()
    matrix.destroy()
    return out


def stable_step(system: System) -> float:
    """The longest stable step 2/√λ of the explicit scheme; λ by power iteration on M⁻¹ ∂F/∂u with lumped M."""
    mass = system.lumped_mass()
    state = initial_state(system, system.problem.time.start)
    stiffness = system.stiffness(state.u, state.t)
    x, y = system.vector(), system.vector()
    # A start that contains all eigenvectors; the same on every run.
    x.array[:] = np.random.default_rng(0).standard_normal(len(mass))
    largest = previous = 0.0
    for _ in range(_POWER_STEPS):
        x.array[system.constrained] = 0.0
        x.normalize()
        stiffness.mult(x, y)
        y.array[:] = y.array_r / mass
        y.array[system.constrained] = 0.0
        largest = y.norm()
        x, y = y, x
        if abs(largest - previous) <= 1e-6 * largest:
            break
        previous = largest
    return float(2 / np.sqrt(largest)) if largest > 0 else np.inf


def surely_stable_step(system: System) -> float:
    """A stable step without iterations: λ is at most the largest row sum of |M⁻¹ ∂F/∂u| with lumped M."""
    mass = system.lumped_mass()
    state = initial_state(system, system.problem.time.start)
    stiffness = system.stiffness(state.u, state.t)
    first, _, values = stiffness.getValuesCSR()
    sums = np.add.reduceat(np.abs(values), first[:-1]) / mass if len(mass) else np.zeros(1)
    sums[system.constrained[system.constrained < len(sums)]] = 0.0
    largest = system.disc.comm.allreduce(float(sums.max(initial=0.0)), op=MPI.MAX)
    return 2 / largest**0.5 if largest > 0 else np.inf
