"""Programs bound to a problem: residual, boundary residuals, energy, exact solution, any expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import ufl
from ufl.domain import extract_domains

from sciml.errors import DeclarationError, UnsupportedError
from sciml.forms.balance import balance, condition_data, initial_data, strong_form
from sciml.forms.jets import Jet
from sciml.forms.lowering import Derivative, time_derivative
from sciml.forms.program import Program
from sciml.forms.sharing import compiled
from sciml.problem import Absorbing, Condition, Dirichlet, Periodic, Problem, Robin

__all__ = [
    "PointwiseOperator",
    "boundary_residual",
    "condition_value",
    "energy",
    "exact_jet",
    "initial_residual",
    "initial_value",
    "number",
    "pointwise",
    "strong_residual",
]


class PointwiseOperator:
    """An expression in a problem's symbols as a function of points, with the problem's parameter values.

    Attributes
    ----------
    problem : Problem
    program : Program
    keys : tuple of Derivative
        The derivatives of the unknown that a jet must contain.
    shape : tuple of int
        Value shape.
    """

    def __init__(self, problem: Problem, program: Program) -> None:
        self.problem = problem
        self.program = program
        self.keys = program.unknown_keys
        self.shape = program.shape

    def constants(
        self, x: torch.Tensor, parameters: Mapping[str, torch.Tensor | float] | None = None
    ) -> list[torch.Tensor]:
        """The constants that the program needs, as 0-d tensors; `parameters` overrides values by name.

        Points with one coordinate more than the problem has dimensions carry their time, a tensor ``(n,)``.

        An override may be a tensor that requires grad: the result is then differentiable with respect to it.
        """
        values = self.problem.constant_values | dict(parameters or {})
        if self.problem.evolves and x.shape[1] > self.problem.dim:
            values = values | {"t": x[:, self.problem.dim]}
        names = {constant: name for name, constant in self.problem.constants.items()}
        foreign = [constant for constant, _ in self.program.constants if constant not in names]
        if foreign:
            raise DeclarationError(f"The constant {foreign[0]} is no parameter of {self.problem!r}; declare it as one.")
        return [_entry(values[names[constant]], index, x) for constant, index in self.program.constants]

    def data(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The coefficient fields that the program needs, at the points `x`."""
        if not self.program.data_keys:
            return []
        names = {s: name for name, (s, _) in self.problem.coefficient_fields.items()}
        points = np.zeros(x.shape) if x.is_meta else x.detach().cpu().numpy().astype(float)
        points = points[:, : self.problem.dim]
        return [self._coefficient(names[s], derivative, points, x) for s, derivative in self.program.data_keys]

    def _coefficient(self, name: str, derivative: Derivative, points: np.ndarray, x: torch.Tensor) -> torch.Tensor:
        provider = self.problem.coefficient_fields[name][1]
        if x.is_meta:
            return torch.empty_like(x[:, 0])
        values = provider.evaluate(points, derivative.axes, self.problem.domain, self.problem.parameters.plain())
        column = values.reshape(len(points), -1)[:, derivative.component]
        return torch.as_tensor(np.ascontiguousarray(column), dtype=x.dtype, device=x.device)

    def static(
        self,
        x: torch.Tensor,
        *,
        normal: torch.Tensor | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """What depends on the points alone (loads, coefficients), for reuse over a fixed set of points."""
        return self.program.static(x, self.constants(x, parameters), self.data(x), normal)

    def __call__(
        self,
        x: torch.Tensor,
        jet: Jet,
        *,
        normal: torch.Tensor | None = None,
        parameters: Mapping[str, Any] | None = None,
        static: tuple[torch.Tensor, ...] | None = None,
    ) -> torch.Tensor:
        """Evaluate at points.

        Parameters
        ----------
        x : (n, dim) tensor
            Points; ``(n, dim + 1)`` with their time last, for a problem that runs in time (else its own instant
            counts).
        jet : mapping from Derivative to (n,) tensors
            The derivatives :attr:`keys` of the unknown at the points.
        normal : (n, dim) tensor, optional
            Outward normals, for boundary expressions.
        parameters : mapping, optional
            Values by parameter name, in place of the problem's own.
        static : tuple, optional
            From :meth:`static`, for these points.

        Returns
        -------
        (n, *shape) tensor
        """
        constants = self.constants(x, parameters)
        data = self.data(x) if static is None else ()
        return self.program(x, jet, constants, data, normal, static)

    def at(self, points: np.ndarray, normal: np.ndarray | None = None) -> np.ndarray:
        """Evaluate at NumPy points in float64, with zero for the unknown where it occurs."""
        # torch.tensor copies: arrays of a mesh are read-only.
        x = torch.tensor(np.asarray(points), dtype=torch.float64)
        n = None if normal is None else torch.tensor(np.asarray(normal), dtype=torch.float64)
        with torch.no_grad():
            return self(x, dict.fromkeys(self.keys, torch.zeros_like(x[:, 0])), normal=n).numpy()


def _entry(value: Any, index: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    if not torch.is_tensor(value):
        value = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    return value[index] if index else value


def pointwise(problem: Problem, expression: Any, key: str | None = None) -> PointwiseOperator:
    """Compile any UFL expression in the problem's symbols; with a key once for all members of a family."""
    if key is None:
        return PointwiseOperator(problem, _program(problem, expression))
    return _cached(problem, ("pointwise", key), lambda: expression)


def _program(problem: Problem, expression: Any) -> Program:
    declared = problem.declaration
    return compiled(expression, declared.u, {rate: order for order, rate in enumerate(declared.rates, 1)})


def number(problem: Problem, expression: Any) -> np.ndarray:
    """The value of an expression in the problem's parameters alone."""
    return pointwise(problem, ufl.as_ufl(expression)).at(problem.domain.lower[None, :])[0]


def _cached(problem: Problem, key: Any, expression: Any) -> PointwiseOperator:
    program = problem.derived(("program", key), lambda: _program(problem, expression()))
    return PointwiseOperator(problem, program)


def strong_residual(problem: Problem) -> PointwiseOperator:
    """−div flux(u) + reaction(u) − load at points of the domain; shape of the unknown.

    With damping ∂u/∂t + mass ∂²u/∂t² for a problem that runs in time, which is one more axis of the jet, after space.

    Raises
    ------
    UnsupportedError
        The problem declares only its weak form.
    """
    return _cached(problem, "strong", lambda: strong_form(problem))


def energy(problem: Problem) -> PointwiseOperator:
    """The density W(u, ∇u) − load · u at points of the domain; a scalar.

    Raises
    ------
    UnsupportedError
        The problem declares no energy.
    """
    declared = problem.declaration
    if declared.energy is None:
        raise UnsupportedError(f"{problem!r} declares no energy; solvers that minimise one cannot do it.")
    return _cached(problem, "energy", lambda: declared.energy - ufl.inner(balance(problem).load, declared.u))


def boundary_residual(problem: Problem, condition: Condition | None, component: int) -> PointwiseOperator:
    """What a condition says of one component: zero where it holds.

    Dirichlet u − value, Neumann flux·n − value, Robin flux·n − alpha (value − u), natural (None) flux·n.

    Parameters
    ----------
    problem : Problem
    condition : Condition or None
        One of the problem's conditions, or None for a natural part.
    component : int
        Flat component of the unknown.

    Raises
    ------
    UnsupportedError
        A periodic condition, which compares two places.
    """
    if isinstance(condition, Periodic):
        raise UnsupportedError(f"{condition} compares two places, so it has no residual at one.")
    number = None if condition is None else problem.declaration.conditions.index(condition)
    return _cached(problem, ("condition", number, component), lambda: _residual(problem, condition, component))


def _residual(problem: Problem, condition: Condition | None, component: int) -> Any:
    declared = problem.declaration
    u = _pick(declared.u, component)
    if isinstance(condition, Dirichlet):
        return u - _data(problem, condition, component)
    normal_flux = _pick(ufl.dot(balance(problem).flux, declared.n), component)
    if condition is None:
        return normal_flux
    if isinstance(condition, Absorbing):
        return normal_flux + condition.impedance * _pick(declared.rates[0], component)
    if isinstance(condition, Robin):
        return normal_flux - condition.alpha * (_data(problem, condition, component) - u)
    return normal_flux - _data(problem, condition, component)


def condition_value(problem: Problem, condition: Condition, component: int) -> PointwiseOperator:
    """The data of a condition for one component of the unknown."""
    number = problem.declaration.conditions.index(condition)
    return _cached(problem, ("data", number, component), lambda: _data(problem, condition, component))


def initial_value(problem: Problem, component: int, *, velocity: bool = False) -> PointwiseOperator:
    """One component of u, or of ∂u/∂t, at the start."""
    key = ("initial", velocity, component)
    return _cached(problem, key, lambda: _pick(initial_data(problem)[velocity], component))


def initial_residual(problem: Problem, component: int, *, velocity: bool = False) -> PointwiseOperator:
    """What the start says of one component: u, or ∂u/∂t, less its value there."""
    declared = problem.declaration
    state = declared.rates[0] if velocity else declared.u
    key = ("initial residual", velocity, component)
    return _cached(problem, key, lambda: _pick(state, component) - _pick(initial_data(problem)[velocity], component))


def _data(problem: Problem, condition: Condition, component: int) -> Any:
    value = condition_data(problem, condition)
    return condition.entry(value, component)


def _pick(expression: Any, component: int) -> Any:
    return expression if expression.ufl_shape == () else expression[component]


def exact_jet(problem: Problem, keys: Iterable[Derivative]) -> dict[Derivative, PointwiseOperator]:
    """The exact solution's derivatives, one operator per key."""
    exact = problem.declaration.exact
    if exact is None:
        raise UnsupportedError(f"{problem!r} has no exact solution.")

    def expression(key: Derivative) -> Any:
        out: Any = _pick(exact, key.component)
        for axis in (axis for axis in key.axes if axis < problem.dim):
            out = out.dx(axis) if extract_domains(out) else ufl.as_ufl(0.0)
        return time_derivative(out, problem.declaration.t, sum(axis == problem.dim for axis in key.axes))

    return {key: _cached(problem, ("exact", key), lambda key=key: expression(key)) for key in keys}
