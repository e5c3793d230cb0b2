"""A problem on a mesh: its forms bound to data, its constrained degrees of freedom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from mpi4py import MPI
from ufl.algorithms import expand_derivatives
from ufl.algorithms.apply_derivatives import apply_derivatives
from ufl.algorithms.estimate_degrees import estimate_total_polynomial_degree
from ufl.corealg.traversal import unique_pre_traversal

from sciml.errors import ConditionError, DeclarationError, OptionError
from sciml.fem.compiling import compile_form
from sciml.fem.functions import FEFunction, FEFunctions, Gathering, together
from sciml.fem.lattice import Lattice, lattice_of
from sciml.fem.meshes import FEMesh, coordinate_element
from sciml.fem.spaces import Splitting, flat, unknown_element
from sciml.forms import check_degree, condition_value, weak_form
from sciml.forms.in_time import separated
from sciml.forms.stabilisation import Stabilisation, stabilisation
from sciml.problem import MeshData, Points, Problem, part_name
from sciml.problem.coefficients import RegionCoefficient

__all__ = ["Discretisation"]

_KINDS = {"cell": fem.IntegralType.cell, "exterior_facet": fem.IntegralType.exterior_facet}
_NOT_POLYNOMIAL = (ufl.mathfunctions.MathFunction, ufl.classes.Conditional, ufl.classes.Abs, ufl.classes.Power)


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Degrees of freedom by place and component.

    Attributes
    ----------
    points : (n, dim) array
    component : (n,) int array
        Of the problem's unknown; −1 for what is no value of one component (Raviart–Thomas elements).
    """

    points: np.ndarray
    component: np.ndarray


@dataclass(frozen=True, eq=False)
class _Symbols:
    """The problem's symbols and what stands for them on a concrete kind of mesh."""

    mesh: ufl.Mesh
    mapping: dict[Any, Any]
    unknown: ufl.Coefficient
    degree: int
    geometry_degree: int

    def move(self, form: ufl.Form, more: dict[Any, Any] | None = None) -> ufl.Form:
        """The form on the concrete mesh, with quadrature degrees set; `more` says what further symbols stand for."""
        moved = []
        for integral in expand_derivatives(form).integrals():
            integrand = apply_derivatives(ufl.replace(integral.integrand(), self.mapping | (more or {})))
            metadata = {"quadrature_degree": self._quadrature_degree(integrand)} | integral.metadata()
            moved.append(integral.reconstruct(integrand=integrand, domain=self.mesh, metadata=metadata))
        return ufl.Form(moved)

    def _quadrature_degree(self, integrand: Any) -> int:
        """UFL's estimate for polynomials of at most twice the element's degree, 2 p + 4 for all else.

        Curved cells add the degree of their Jacobian's cofactors.
        """
        return self._degree_on_straight_cells(integrand) + (self.geometry_degree - 1) * self.mesh.topological_dimension

    def _degree_on_straight_cells(self, integrand: Any) -> int:
        polynomial = not any(isinstance(node, _NOT_POLYNOMIAL) for node in unique_pre_traversal(integrand))
        estimate = estimate_total_polynomial_degree(integrand)
        return int(estimate) if polynomial and estimate <= 2 * self.degree else 2 * self.degree + 4


def symbols_on(problem: Problem, data: MeshData, degree: int) -> _Symbols:
    """Concrete elements for the problem's unknown, constants and coefficients; shared between copies."""
    key = ("symbols", data.cell_type, data.degree, degree)
    return problem.derived(key, lambda: _symbols(problem, data, degree))


def _symbols(problem: Problem, data: MeshData, degree: int) -> _Symbols:
    declared = problem.declaration
    mesh = ufl.Mesh(coordinate_element(data))
    space = ufl.FunctionSpace(mesh, unknown_element(problem, data.cell_type, degree))
    unknown = ufl.Coefficient(space)
    mapping = {
        declared.u: flat(problem, unknown),
        declared.v: flat(problem, ufl.TestFunction(space)),
        declared.x: ufl.SpatialCoordinate(mesh),
        declared.n: ufl.FacetNormal(mesh),
    }
    for constant in [*problem.constants.values(), weak_form(problem).load_factor]:
        mapping[constant] = ufl.Constant(mesh, constant.ufl_shape)
    for symbol, provider in problem.coefficient_fields.values():
        element = coefficient_element(provider, data.cell_type, degree)
        mapping[symbol] = ufl.Coefficient(ufl.FunctionSpace(mesh, element))
    return _Symbols(mesh, mapping, unknown, degree, data.degree)


def coefficient_element(provider: Any, cell_type: str, degree: int) -> Any:
    """A value per cell for materials and phases, continuous for smooth fields, discontinuous for all others."""
    if provider.piecewise_constant:
        return basix.ufl.element("DG", cell_type, 0, shape=provider.shape)
    if provider.smooth:
        return basix.ufl.element("Lagrange", cell_type, degree + 1, shape=provider.shape)
    # With nodes inside the cells: on their faces a field that jumps has no value.
    variant = basix.LagrangeVariant.gl_warped
    return basix.ufl.element(
        basix.ElementFamily.P, cell_type, degree, variant, shape=provider.shape, discontinuous=True
    )


class Discretisation:
    """A problem in Lagrange elements on one mesh.

    Parameters
    ----------
    problem : Problem
    data : MeshData
        The mesh.
    degree : int
        Polynomial degree, 1 to 4.
    comm : MPI communicator
        Defaults to the world.
    stabilised : bool
        Whether streamline upwinding is added, see :mod:`sciml.forms.stabilisation`.

    Attributes
    ----------
    mesh : FEMesh
    u : dolfinx.fem.Function
        The state that the forms are evaluated at.
    residual, jacobian : dolfinx.fem.Form
        F(u; v) and its derivative.

    Notes
    -----
    It can be handed on to other members of the problem's family, see :meth:`rebind`.
    """

    def __init__(
        self,
        problem: Problem,
        data: MeshData,
        degree: int,
        comm: MPI.Intracomm = MPI.COMM_WORLD,
        *,
        stabilised: bool = False,
    ) -> None:
        if not 1 <= degree <= 4:
            raise OptionError(
                f"degree={degree}: the unknown's gradient needs a degree of at least 1, and 4 is the highest offered."
            )
        self.problem, self.degree, self.stabilised = problem, degree, stabilised
        self.mesh = FEMesh(data, problem.domain, comm)
        check_degree(problem, degree)
        self.space = fem.functionspace(self.mesh.mesh, unknown_element(problem, data.cell_type, degree))
        self.u = fem.Function(self.space, name=problem.field_name)
        self._located: dict[tuple[tuple[str, ...], int], np.ndarray] = {}
        self._kept: dict[Any, Any] = {}
        self._places: dict[str, Points] = {}
        self._symbols = symbols_on(problem, data, degree)
        self._constants = self._bind_constants()
        self._functions = self._bind_coefficients()
        forms = problem.derived(("forms", data.cell_type, data.degree, degree, stabilised), self._forms)
        self.residual, self.jacobian = (self.bind(form, [self.space] * (rank + 1)) for rank, form in enumerate(forms))

    @property
    def comm(self) -> MPI.Intracomm:
        """The mesh's communicator."""
        return self.mesh.comm

    @property
    def n_dofs(self) -> int:
        """Number of unknowns, constrained ones included."""
        return int(self.space.dofmap.index_map.size_global * self.space.dofmap.index_map_bs)

    def _forms(self) -> tuple[ufl.Form, ufl.Form]:
        residual = self._symbols.move(weak_form(self.problem).residual)
        if self.stabilised:
            residual += self._symbols.move(self._stabilisation.residual, self._frame)
        direction = ufl.TrialFunction(self._symbols.unknown.ufl_function_space())
        # The quadrature rule of the residual holds for its derivative, so that Newton's method stays exact.
        return residual, expand_derivatives(ufl.derivative(residual, self._symbols.unknown, direction))

    @property
    def _stabilisation(self) -> Stabilisation:
        simplex, factor = self.mesh.data.cell.is_simplex, weak_form(self.problem).load_factor
        return self.problem.derived(
            ("stabilisation", self.degree, simplex), lambda: stabilisation(self.problem, factor, self.degree, simplex)
        )

    @property
    def _frame(self) -> dict[Any, Any]:
        return {self._stabilisation.frame: ufl.JacobianInverse(self._symbols.mesh)}

    @cached_property
    def upwind_damping(self) -> fem.Form | None:
        """What stabilisation adds to the damping matrix, at the present state and time; None if nothing."""
        if not self.stabilised or self._stabilisation.damping is None:
            return None
        direction = ufl.TrialFunction(self._symbols.unknown.ufl_function_space())
        rate = {self.problem.declaration.rates[0]: direction}
        return self.bind(self._symbols.move(self._stabilisation.damping, self._frame | rate), [self.space] * 2)

    @cached_property
    def steady_upwind(self) -> bool:
        """Whether :attr:`upwind_damping` depends neither on the state nor on the time."""
        return self._stabilisation.steady

    def bind(self, form: ufl.Form, spaces: list[fem.FunctionSpace]) -> fem.Form:
        """Compile a form in concrete symbols and attach this mesh's data."""
        compiled = compile_form(form, self.comm)
        return fem.forms.create_form(
            compiled, spaces, self.mesh.mesh, self._subdomains(form), self._functions, self._constants
        )

    def functional(self, form: ufl.Form) -> float:
        """The value of a rank-0 form in the problem's symbols at the present state."""
        bound = self.bind(self._symbols.move(form), [])
        return float(self.comm.allreduce(fem.assemble_scalar(bound), op=MPI.SUM))

    def _subdomains(self, form: ufl.Form) -> dict[fem.IntegralType, list[tuple[int, np.ndarray]]]:
        """Integration entities of every named part that the form uses."""
        used: dict[fem.IntegralType, dict[int, np.ndarray]] = {}
        for integral in form.integrals():
            numbers = integral.subdomain_id()
            for number in numbers if isinstance(numbers, tuple) else (numbers,):
                if number not in ("everywhere", "otherwise"):
                    kind = _KINDS[integral.integral_type()]
                    used.setdefault(kind, {})[number] = self._entities(kind, part_name(number))
        return {kind: sorted(parts.items()) for kind, parts in used.items()}

    def _entities(self, kind: fem.IntegralType, name: str) -> np.ndarray:
        if kind == fem.IntegralType.cell:
            return self.mesh.cells(name)
        return self.mesh.boundary_entities(tuple(name.split("|")))

    # -- data --------------------------------------------------------------------------------------------

    def _bind_constants(self) -> dict[Any, fem.Constant]:
        values = self.problem.constant_values
        bound = {
            self._symbols.mapping[symbol]: fem.Constant(self.mesh.mesh, np.asarray(values[name], dtype=float))
            for name, symbol in self.problem.constants.items()
        }
        if self.problem.evolves:
            self._time = bound[self._symbols.mapping[self.problem.t]]
        self._load_factor = fem.Constant(self.mesh.mesh, 1.0)
        return bound | {self._symbols.mapping[weak_form(self.problem).load_factor]: self._load_factor}

    def _bind_coefficients(self) -> dict[Any, fem.Function]:
        bound = {self._symbols.unknown: self.u}
        for name, (symbol, _) in self.problem.coefficient_fields.items():
            bound[self._symbols.mapping[symbol]] = self.coefficient(name)
        return bound

    def coefficient(self, name: str) -> fem.Function:
        """A coefficient field of the problem on this mesh."""
        provider = self.problem.coefficient_fields[name][1]
        element = coefficient_element(provider, self.mesh.data.cell_type, self.degree)
        function = fem.Function(fem.functionspace(self.mesh.mesh, element), name=name)
        self._evaluate_coefficient(name, function)
        return function

    def _evaluate_coefficient(self, name: str, function: fem.Function) -> None:
        """Write the values of a coefficient field into its function."""
        problem, values = self.problem, self.problem.parameters.plain()
        provider = problem.coefficient_fields[name][1]
        nodes = function.x.array.reshape(-1, int(np.prod(provider.shape, dtype=int)))
        if isinstance(provider, RegionCoefficient):
            groups = self.mesh.domain.region_groups
            per_cell = provider.per_cell(len(self.mesh.data.cells), groups, values)[self.mesh.input_cell]
            nodes[function.function_space.dofmap.list[:, 0]] = per_cell.reshape(len(per_cell), -1)
            return
        if name not in self._places:
            coordinates = function.function_space.tabulate_dof_coordinates()[:, : problem.dim]
            self._places[name] = Points(problem.domain.snapped(np.ascontiguousarray(coordinates)))
        # All elements of coefficients have values at points as their degrees of freedom.
        nodes[:] = provider.on_points(self._places[name], problem.domain, values).reshape(len(nodes), -1)

    def rebind(self, problem: Problem) -> None:
        """Take the data of another member of the family: parameters, coefficient fields, Dirichlet values.

        Mesh, spaces, compiled forms and the places of constrained unknowns stay; only what differs is computed.

        Raises
        ------
        DeclarationError
            The problem comes from another declaration or has another domain.
        """
        if not problem.shares_structure(self.problem):
            raise DeclarationError(
                f"{problem!r} differs from {self.problem!r} in more than real parameters and random fields; it needs a "
                f"discretisation of its own."
            )
        before, self.problem = self.problem, problem
        for name, symbol in problem.constants.items():
            self._constants[self._symbols.mapping[symbol]].value = np.asarray(
                problem.constant_values[name], dtype=float
            )
        self.set_load_factor(1.0)
        changed = problem.parameters.plain() != before.parameters.plain()
        for name, (symbol, provider) in problem.coefficient_fields.items():
            same = provider is before.coefficient_fields[name][1]
            if not same or (changed and provider.reads_parameters):
                self._evaluate_coefficient(name, self._functions[self._symbols.mapping[symbol]])
        self.__dict__.pop("dirichlet", None)

    def set_time(self, instant: float) -> None:
        """Take all that depends on time at an instant."""
        self._time.value = instant

    def bilinear(self, form: ufl.Form) -> fem.Form:
        """The matrix form ∂/∂u of a form that is linear in the problem's u and v."""
        moved = self._symbols.move(form)
        direction = ufl.TrialFunction(self._symbols.unknown.ufl_function_space())
        return self.bind(expand_derivatives(ufl.derivative(moved, self._symbols.unknown, direction)), [self.space] * 2)

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once and kept when the discretisation is handed on: bound forms see new data."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @property
    def time_factors(self) -> list[tuple[Any, fem.Form]] | None:
        """F(0, t) as factors g_k(t), in the problem's symbols, times forms without time; None if it is no such sum."""

        def split() -> list[tuple[Any, fem.Form]] | None:
            problem = self.problem
            if self.stabilised:
                return None
            found = separated(weak_form(problem).residual, problem.t, zero=problem.declaration.u)
            if found is None:
                return None
            return [(factor, self.bind(self._symbols.move(form), [self.space])) for factor, form in found]

        return self.kept("time factors", split)

    def set_load_factor(self, factor: float) -> None:
        """Scale loads and Neumann and Robin data by a factor between 0 and 1."""
        self._load_factor.value = factor

    @cached_property
    def unknowns(self) -> Unknowns:
        """Place and component of every local degree of freedom (unrolled, ghosts included)."""
        points = np.zeros((len(self.u.x.array), self.problem.dim))
        component = np.full(len(points), -1)
        for slot, space, dofs in zip(self.problem.layout, self.splitting.spaces, self.splitting.dofs, strict=True):
            if slot.kind.family == "RT":
                continue
            nodes = self.problem.domain.snapped(space.tabulate_dof_coordinates()[:, : self.problem.dim])
            points[dofs] = np.repeat(nodes, slot.size, axis=0)
            component[dofs] = np.tile(slot.components, len(nodes))
        return Unknowns(points, component)

    def unknowns_on(self, on: str | tuple[str, ...], component: int) -> np.ndarray:
        """Local degrees of freedom (unrolled) of one component on the boundary part(s) named; all processes call it."""
        key = (on,) if isinstance(on, str) else tuple(on), component
        if key not in self._located:
            facets, fdim = self.mesh.facets(on), self.mesh.mesh.topology.dim - 1
            number = next(k for k, slot in enumerate(self.problem.layout) if component in slot.components)
            slot, dofs = self.problem.layout[number], self.splitting.dofs[number]
            nodes = fem.locate_dofs_topological(self.splitting.spaces[number], fdim, facets)
            self._located[key] = dofs[nodes * slot.size + component - slot.offset]
        return self._located[key]

    @cached_property
    def dirichlet(self) -> tuple[np.ndarray, np.ndarray]:
        """Constrained local degrees of freedom (unrolled) and their values (at the start, for what evolves).

        Where two conditions meet in a point, the one declared last holds.
        """
        return self.dirichlet_of(self.problem)

    def dirichlet_of(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """As :attr:`dirichlet`, for a copy of the problem at another time."""
        points = self.unknowns.points
        values = np.full(len(points), np.nan)
        for condition in self.problem.dirichlet:
            for component in condition.components(self.problem.n_components):
                there = self.unknowns_on(condition.on, component)
                data = condition_value(problem, condition, component).at(points[there])
                if not np.isfinite(data).all():
                    bad = points[there][int(np.argmax(~np.isfinite(data)))]
                    raise ConditionError(f"{condition}: the value is not finite at {bad.tolist()}.")
                values[there] = data
        dofs = np.flatnonzero(~np.isnan(values))
        return dofs.astype(np.int32), values[dofs]

    # -- results -----------------------------------------------------------------------------------------

    @cached_property
    def splitting(self) -> Splitting:
        """The fields of the state."""
        return Splitting(self.problem, self.mesh, self.space)

    @cached_property
    def _empty_matrix(self) -> Any:
        return fem.petsc.create_matrix(self.jacobian)

    def matrix(self) -> Any:
        """A new matrix of zeros with the Jacobian's pattern."""
        return self._empty_matrix.duplicate()

    @cached_property
    def lattice(self) -> Lattice | None:
        """The grid that the unknowns lie on, where fast diagonalisation applies; None elsewhere."""
        return lattice_of(self)

    @cached_property
    def _gatherings(self) -> list[Gathering]:
        return [Gathering(self.mesh, part.function_space) for part in self.splitting(self.u)]

    def snapshot(self) -> FEFunction | FEFunctions:
        """A copy of the state, as a whole on every process."""
        parts = self.splitting(self.u)
        if self.comm.size > 1:
            return together([gather(part) for gather, part in zip(self._gatherings, parts, strict=True)])
        return together([FEFunction(self.mesh, part) for part in parts])
