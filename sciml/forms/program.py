"""Compile a UFL expression to straight-line torch code over a batch of points.

The expression is lowered until every node is a scalar whose only leaves are coordinates, constants,
normals, and partial derivatives of fields. Each node becomes one line of Python, shared subexpressions one
line in all. What depends on the points alone is kept apart from what depends on the unknown, so that it can
be computed once for a fixed set of points.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import ufl
from ufl import classes
from ufl.domain import extract_unique_domain

from sciml.errors import UnsupportedExpressionError
from sciml.forms.lowering import Derivative, field_derivative, scalar_components

__all__ = ["DataKey", "Program"]

DataKey = tuple[Any, Derivative]
"""A known field (its UFL symbol) and which of its derivatives is needed."""

_FUNCTIONS = {
    "sqrt": ("sqrt", math.sqrt),
    "exp": ("exp", math.exp),
    "ln": ("log", math.log),
    "cos": ("cos", math.cos),
    "sin": ("sin", math.sin),
    "tan": ("tan", math.tan),
    "cosh": ("cosh", math.cosh),
    "sinh": ("sinh", math.sinh),
    "tanh": ("tanh", math.tanh),
    "acos": ("acos", math.acos),
    "asin": ("asin", math.asin),
    "atan": ("atan", math.atan),
    "erf": ("erf", math.erf),
    "abs": ("abs", abs),
}
_COMPARISONS: dict[type, tuple[str, Callable[[float, float], bool]]] = {
    classes.LT: ("<", operator.lt),
    classes.GT: (">", operator.gt),
    classes.LE: ("<=", operator.le),
    classes.GE: (">=", operator.ge),
    classes.EQ: ("==", operator.eq),
    classes.NE: ("!=", operator.ne),
}


@dataclass(frozen=True)
class _Value:
    """How a node is written: source text, whether it varies with the unknown, and its number if literal."""

    code: str
    dynamic: bool = False
    number: float | None = None


def _literal(number: float) -> _Value:
    number = float(number)
    return _Value(repr(number) if math.isfinite(number) else f"float('{number}')", number=number)


@dataclass
class _Tables:
    """Positions that leaves got in the arrays handed to the generated code."""

    unknown: dict[Derivative, int] = field(default_factory=dict)
    data: dict[DataKey, int] = field(default_factory=dict)
    constants: dict[tuple[Any, tuple[int, ...]], int] = field(default_factory=dict)
    normal: bool = False


class Program:
    """A UFL expression as a torch function of points and of the derivatives of the unknown there.

    Parameters
    ----------
    expression : UFL expression
        Any shape; in coordinates, ``ufl.Constant``s, the facet normal, the unknown and other coefficients,
        with their derivatives to any order.
    unknown : ufl.Coefficient or None
        The field whose derivatives are given per call as a jet.
    rates : mapping from ufl.Coefficient to int, optional
        Symbols of ∂u/∂t, ∂²u/∂t² with their order: they are derivatives by one more axis after those of space.

    Attributes
    ----------
    shape : tuple of int
        Value shape of the expression.
    unknown_keys : tuple of Derivative
        The derivatives of the unknown that occur: a Laplacian in d dimensions asks for d of them, not d².
    data_keys : tuple of DataKey
        The derivatives of other coefficients that occur.
    constants : tuple of (ufl.Constant, index)
        The constants that occur.
    uses_normal : bool
        Whether the facet normal occurs.
    source : str
        The generated code.

    Raises
    ------
    UnsupportedExpressionError
        A UFL node without a rule; the message names it.

    Notes
    -----
    Where a branch of a conditional is not finite, its gradient is NaN even if the other branch is taken: keep
    both branches finite (``sqrt(eps + …)``).
    """

    def __init__(self, expression: Any, unknown: Any = None, rates: Mapping[Any, int] | None = None) -> None:
        components = scalar_components(expression)
        self._rates = dict(rates or {})
        self.shape: tuple[int, ...] = expression.ufl_shape
        self._unknown = unknown
        self._tables = _Tables()
        self._lines: dict[bool, list[str]] = {False: [], True: []}
        self._values: dict[Any, _Value] = {}
        self._crossing: dict[str, None] = {}
        for component in components:
            self._visit_all(component)
        self._write([self._values[component] for component in components])
        self.unknown_keys = tuple(self._tables.unknown)
        self.data_keys = tuple(self._tables.data)
        self.constants = tuple(self._tables.constants)
        self.uses_normal = self._tables.normal
        self.n_operations = sum(map(len, self._lines.values()))
        del self._values, self._lines, self._crossing, self._tables, self._unknown, self._rates

    # -- running -----------------------------------------------------------------------------------------

    def static(
        self,
        x: torch.Tensor,
        constants: Sequence[torch.Tensor],
        data: Sequence[torch.Tensor] = (),
        normal: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Everything that does not depend on the unknown, for reuse over a fixed set of points."""
        return self._static(torch, x, constants, data, normal)

    def __call__(
        self,
        x: torch.Tensor,
        jet: Mapping[Derivative, torch.Tensor],
        constants: Sequence[torch.Tensor],
        data: Sequence[torch.Tensor] = (),
        normal: torch.Tensor | None = None,
        static: tuple[torch.Tensor, ...] | None = None,
    ) -> torch.Tensor:
        """Evaluate.

        Parameters
        ----------
        x : (n, dim) tensor
            Points.
        jet : mapping from Derivative to (n,) tensors
            At least :attr:`unknown_keys`.
        constants : sequence of 0-d tensors
            In the order of :attr:`constants`.
        data : sequence of (n,) tensors
            In the order of :attr:`data_keys`.
        normal : (n, dim) tensor, optional
            Outward unit normals, if :attr:`uses_normal`.
        static : tuple, optional
            What :meth:`static` returned for these points and constants.

        Returns
        -------
        (n, *shape) tensor
        """
        if static is None:
            static = self.static(x, constants, data, normal)
        values = self._dynamic(torch, x, constants, static, [jet[key] for key in self.unknown_keys])
        columns = [_column(value, x) for value in values]
        if self.shape == ():
            return columns[0]
        return torch.stack(columns, dim=-1).reshape(x.shape[0], *self.shape)

    # -- writing -----------------------------------------------------------------------------------------

    def _visit_all(self, root: Any) -> None:
        """Visit operands before the nodes that use them; an indexed tensor is a leaf, read as a whole."""
        stack = [root]
        while stack:
            node = stack[-1]
            leaf = isinstance(node, (classes.Indexed, classes.Terminal))
            waiting = [] if leaf else [o for o in node.ufl_operands if o not in self._values]
            if not waiting:
                self._visit(stack.pop())
            stack += waiting

    def _visit(self, node: Any) -> None:
        if node in self._values:
            return
        value = self._leaf(node) or self._operation(node)
        if value.number is None and not value.code.isidentifier():
            name = f"t{len(self._values)}"
            self._lines[value.dynamic].append(f"{name} = {value.code}")
            value = _Value(name, value.dynamic)
        self._values[node] = value

    def _leaf(self, node: Any) -> _Value | None:
        if isinstance(node, classes.Zero):
            return _literal(0.0)
        if isinstance(node, classes.ScalarValue):
            return _literal(float(node))
        if isinstance(node, classes.Indexed):
            tensor: Any = node.ufl_operands[0]
            index: Any = node.ufl_operands[1]
            return self._indexed(tensor, tuple(map(int, index)))
        if isinstance(node, (classes.Constant, classes.Coefficient)):
            return self._indexed(node, ())
        return None

    def _indexed(self, tensor: Any, index: tuple[int, ...]) -> _Value:
        tables = self._tables
        if isinstance(tensor, classes.SpatialCoordinate):
            return _Value(f"x[:, {index[0]}]")
        if isinstance(tensor, classes.FacetNormal):
            tables.normal = True
            return _Value(f"normal[:, {index[0]}]")
        if isinstance(tensor, classes.Constant):
            position = tables.constants.setdefault((tensor, index), len(tables.constants))
            return _Value(f"constants[{position}]")
        found = field_derivative(tensor, index)
        if found is None:
            raise _unsupported(tensor)
        symbol, derivative = found
        if symbol in self._rates:
            time = (len(ufl.SpatialCoordinate(extract_unique_domain(symbol))),) * self._rates[symbol]
            symbol, derivative = self._unknown, Derivative(derivative.component, derivative.axes + time)
        if symbol == self._unknown:
            return _Value(f"jet[{tables.unknown.setdefault(derivative, len(tables.unknown))}]", dynamic=True)
        return _Value(f"data[{tables.data.setdefault(found, len(tables.data))}]")

    def _operation(self, node: Any) -> _Value:
        if isinstance(node, classes.Conditional):
            return self._conditional(node)
        operands = [self._values[operand] for operand in node.ufl_operands]
        rule = _RULES.get(type(node)) or _function_rule(node)
        if rule is None or node.ufl_shape:
            raise _unsupported(node)
        return self._combine(rule, operands)

    def _conditional(self, node: Any) -> _Value:
        condition, yes, no = (self._values[operand] for operand in node.ufl_operands)
        if condition.number is not None:
            return yes if condition.number else no
        return self._combine(_where, [condition, yes, no])

    def _combine(self, rule: Callable[..., str | float], operands: list[_Value]) -> _Value:
        dynamic = any(operand.dynamic for operand in operands)
        if dynamic:
            for operand in operands:
                if not operand.dynamic and operand.number is None:
                    self._crossing.setdefault(operand.code)
        result = rule(*operands)
        return _Value(result, dynamic) if isinstance(result, str) else _literal(result)

    def _write(self, results: list[_Value]) -> None:
        for result in results:
            if not result.dynamic and result.number is None:
                self._crossing.setdefault(result.code)
        crossing = "".join(f"{name}, " for name in self._crossing)
        returned = "".join(f"{result.code}, " for result in results)
        unpack = [f"({crossing}) = static"] if crossing else []
        self.source = (
            _function("static", "torch, x, constants, data, normal", self._lines[False], crossing)
            + "\n\n"
            + _function("dynamic", "torch, x, constants, static, jet", unpack + self._lines[True], returned)
        )
        scope: dict[str, Any] = {"as_column": _column}
        exec(compile(self.source, "<compiled UFL>", "exec"), scope)
        self._static = scope["static"]
        self._dynamic = scope["dynamic"]


def _function(name: str, arguments: str, lines: list[str], returned: str) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"def {name}({arguments}):\n{body}    return ({returned})\n"


def _column(value: Any, x: torch.Tensor) -> torch.Tensor:
    """A number or 0-d tensor as one value per point."""
    if not torch.is_tensor(value):
        return torch.full_like(x[:, 0], value)
    return value if value.dim() else value.to(x.dtype).expand(x.shape[0])


def _unsupported(node: Any) -> UnsupportedExpressionError:
    return UnsupportedExpressionError(
        f"The UFL node {type(node).__name__} ({str(node)[:60]}) has no rule for pointwise evaluation in torch; "
        f"rewrite the expression without it, or use the fenics solver."
    )


# -- rules: one per node type, from operands to source text, or to a number where all operands are literal ----


def _sum(a: _Value, b: _Value) -> str | float:
    if a.number is not None and b.number is not None:
        return a.number + b.number
    if b.number is not None and b.number < 0:
        return f"{a.code} - {-b.number!r}"
    return f"{a.code} + {b.code}"


def _product(a: _Value, b: _Value) -> str | float:
    if a.number is not None and b.number is not None:
        return a.number * b.number
    if -1.0 in (a.number, b.number):
        return f"-{b.code if a.number == -1.0 else a.code}"
    return f"{a.code} * {b.code}"


def _division(a: _Value, b: _Value) -> str | float:
    if a.number is not None and b.number is not None:
        return a.number / b.number
    return f"{a.code} / {b.code}"


def _power(base: _Value, exponent: _Value) -> str | float:
    n = exponent.number
    if base.number is not None and n is not None:
        return base.number**n
    if n in (1.0, 2.0, 3.0):
        return " * ".join([base.code] * int(n))
    if n in (-1.0, -2.0):
        return f"1.0 / ({' * '.join([base.code] * int(-n))})"
    if n == 0.5:
        return f"torch.sqrt({base.code})"
    if n is not None and n == int(n):
        return f"{base.code} ** {int(n)}"
    return f"{base.code if base.number is None else f'({base.code})'} ** {exponent.code}"


def _where(condition: _Value, yes: _Value, no: _Value) -> str:
    return f"torch.where({condition.code}, {_tensor(yes)}, {_tensor(no)})"


def _tensor(value: _Value) -> str:
    return value.code if value.number is None else f"as_column({value.code}, x)"


def _binary(function: str, numeric: Callable[[float, float], float]) -> Callable[..., str | float]:
    def rule(a: _Value, b: _Value) -> str | float:
        if a.number is not None and b.number is not None:
            return numeric(a.number, b.number)
        return f"torch.{function}({_tensor(a)}, {_tensor(b)})"

    return rule


def _comparison(sign: str, numeric: Callable[[float, float], bool]) -> Callable[..., str | float]:
    def rule(a: _Value, b: _Value) -> str | float:
        if a.number is not None and b.number is not None:
            return float(numeric(a.number, b.number))
        return f"{a.code} {sign} {b.code}"

    return rule


def _logical(sign: str, numeric: Callable[[bool, bool], bool]) -> Callable[..., str | float]:
    def rule(a: _Value, b: _Value) -> str | float:
        if a.number is not None and b.number is not None:
            return float(numeric(bool(a.number), bool(b.number)))
        text = [v.code if v.number is None else str(bool(v.number)) for v in (a, b)]
        return f" {sign} ".join(text)

    return rule


def _not(a: _Value) -> str | float:
    return f"~{a.code}" if a.number is None else float(not a.number)


_RULES: dict[type, Callable[..., str | float]] = {
    classes.Sum: _sum,
    classes.Product: _product,
    classes.Division: _division,
    classes.Power: _power,
    classes.MaxValue: _binary("maximum", max),
    classes.MinValue: _binary("minimum", min),
    classes.Atan2: _binary("atan2", math.atan2),
    classes.AndCondition: _logical("&", operator.and_),
    classes.OrCondition: _logical("|", operator.or_),
    classes.NotCondition: _not,
    **{kind: _comparison(*rule) for kind, rule in _COMPARISONS.items()},
}


def _function_rule(node: Any) -> Callable[..., str | float] | None:
    name = getattr(node, "_name", None) or ("abs" if isinstance(node, classes.Abs) else None)
    if name not in _FUNCTIONS or len(node.ufl_operands) != 1:
        return None
    torch_name, numeric = _FUNCTIONS[name]

    def rule(a: _Value) -> str | float:
        return f"torch.{torch_name}({a.code})" if a.number is None else numeric(a.number)

    return rule
