"""Boundary conditions and the mean value that fixes a pure Neumann problem.

With the balance law  −div flux(u) + reaction(u) = load  and the outward normal n:

=============  =========================================
Dirichlet      u = value
Neumann        flux · n = value
Robin          flux · n = alpha (value − u)
Absorbing      flux · n = −impedance ∂u/∂t
Periodic       u and the flux are the same on two parts
Mean           mean of u over the domain = value
=============  =========================================

A part of the boundary without a condition is natural: flux · n = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from dataclasses import field as member
from typing import TYPE_CHECKING, Any

import numpy as np
import ufl
from ufl.constantvalue import ScalarValue, Zero

from sciml.errors import ConditionError, DomainError
from sciml.problem.symbols import Slot

if TYPE_CHECKING:
    from sciml.problem.domain import Domain

__all__ = ["Absorbing", "Condition", "Dirichlet", "Mean", "Neumann", "Periodic", "Robin"]


def _names(on: str | Iterable[str]) -> tuple[str, ...]:
    names = (on,) if isinstance(on, str) or not isinstance(on, Iterable) else tuple(on)
    if not names or not all(isinstance(name, str) for name in names):
        raise ConditionError(f"`on` was given {on!r}; it takes the name of a boundary or a list of names.")
    return names


@dataclass(frozen=True, eq=False)
class Condition:
    """What all boundary conditions share.

    Attributes
    ----------
    value : number, tuple, UFL expression or callable of x, or None
        The data; ``None`` takes it from the problem's exact solution.
    on : str or list of str
        Boundary part(s).
    component : int, optional
        One component of a vector unknown; all of them by default.
    field : str, optional
        The field it is about, where the problem has several.
    slot : Slot, optional
        Where that field stands among the components of the unknown; filled in by the problem.
    """

    value: Any = None
    on: Any = member(default=None, kw_only=True)
    component: int | None = member(default=None, kw_only=True)
    field: str | None = member(default=None, kw_only=True)
    slot: Slot | None = member(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.on is None:
            raise ConditionError(f"A {self.kind} condition needs `on=`, the name of a boundary part.")
        object.__setattr__(self, "on", _names(self.on))

    @property
    def kind(self) -> str:
        """Name of the condition's type."""
        return type(self).__name__

    def __str__(self) -> str:
        component = "" if self.component is None else f", component {self.component}"
        field = "" if self.field is None else f" of {self.field!r}"
        return f"{self.kind}{field} on {', '.join(self.on)}{component}"

    def components(self, size: int) -> tuple[int, ...]:
        """The components it holds for, of an unknown with `size` components."""
        own = range(size) if self.slot is None else self.slot.components
        return tuple(own) if self.component is None else (own[self.component],)

    def of(self, unknown: Any) -> Any:
        """What it is about, of an expression with the shape of the unknown."""
        field = unknown if self.slot is None else self.slot.of(unknown)
        return field if self.component is None else field[self.component]

    def entry(self, value: Any, component: int) -> Any:
        """The part of its data that belongs to one component of the unknown."""
        return value if value.ufl_shape == () else value[component - (0 if self.slot is None else self.slot.offset)]

    def resolved(self, shape: tuple[int, ...], call: Callable[[Any], Any]) -> Condition:
        """The same condition with UFL data of the right shape; `call` applies callables to x, n, u."""
        where = str(self)
        _check_component(self, shape)
        wanted = () if self.component is not None else shape
        value = None if self.value is None else as_expression(call(self.value), wanted, where)
        return replace(self, value=value)


@dataclass(frozen=True, eq=False)
class Dirichlet(Condition):
    """u = value on a part of the boundary, or one component of it.

    Examples
    --------
    >>> Dirichlet(0.0, on="left")
    >>> Dirichlet(0.0, on=["bottom", "top"], component=1)  # sliding along x0
    """


@dataclass(frozen=True, eq=False)
class Neumann(Condition):
    """flux · n = value on a part of the boundary (a traction, a heat flux into the domain).

    Examples
    --------
    >>> Neumann((0.0, -1.0), on="right")
    """


@dataclass(frozen=True, eq=False)
class Robin(Condition):
    """flux · n = alpha (value − u) on a part of the boundary (convection, an elastic bedding).

    Attributes
    ----------
    alpha : number or UFL expression
        Exchange coefficient, positive for a stable problem.

    Examples
    --------
    >>> Robin(20.0, alpha=5.0, on="outside")
    """

    alpha: Any = member(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha is None:
            raise ConditionError("A Robin condition needs `alpha=`: flux · n = alpha (value − u).")

    def resolved(self, shape: tuple[int, ...], call: Callable[[Any], Any]) -> Robin:
        condition = super().resolved(shape, call)
        return replace(condition, alpha=as_expression(call(self.alpha), (), str(self)))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Absorbing(Condition):
    """flux · n = −impedance ∂u/∂t: waves that meet the boundary at a right angle leave (first order).

    For  mass ∂²u/∂t² − div(k ∇u) = load  the impedance of outgoing waves is √(mass · k), with k = 1 that is 1/speed.

    B. Engquist, A. Majda, Math. Comp. 31 (1977) 629.

    Attributes
    ----------
    impedance : number or UFL expression

    Examples
    --------
    >>> Absorbing(impedance=1.0, on="boundary")
    """

    value: Any = 0.0
    impedance: Any = member(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.impedance is None:
            raise ConditionError("An absorbing condition needs `impedance=`: flux · n = −impedance ∂u/∂t.")

    def resolved(self, shape: tuple[int, ...], call: Callable[[Any], Any]) -> Absorbing:
        condition = super().resolved(shape, call)
        return replace(condition, impedance=as_expression(call(self.impedance), (), str(self)))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Periodic(Condition):
    """u(x + translation) = u(x) for x on `minus`, and the flux that leaves through `plus` enters through `minus`.

    The two parts are translates of each other, facet by facet; the translation is found from their positions. On a box
    they are opposite sides, and ``"boundary"`` alone pairs all of them. Finite elements identify the degrees of freedom
    of the two parts; what is left tests with periodic functions only, so that no boundary term appears. Nothing else
    may hold on the parts for the same component.

    Where all that holds a problem is periodicity, its constants stay free: add :class:`Mean`.

    Attributes
    ----------
    minus, plus : str or list of str
        The parts; `plus` is `minus` moved by the translation.
    component : int, optional
        One component of a vector unknown; all of them by default.
    translation : (dim,) array
        Of a problem's own conditions; None for one that no problem has taken yet.

    Raises
    ------
    ConditionError
        Parts that are the same, no translates, or meshed differently; raised when the declaration is first used.

    Examples
    --------
    >>> Periodic("left", "right")
    >>> Periodic("boundary")  # all sides of a box
    """

    value: Any = member(default=0.0, init=False)
    on: Any = member(default=None, init=False)
    minus: Any
    plus: Any = None
    translation: Any = member(default=None, init=False)

    def __post_init__(self) -> None:
        parts = [_names(self.minus), () if self.plus is None else _names(self.plus)]
        if self.plus is None and parts[0] != ("boundary",):
            raise ConditionError(
                f"A periodic condition on {', '.join(parts[0])} needs its other side, as in "
                f"Periodic('left', 'right'); Periodic('boundary') pairs all sides of a box."
            )
        for name, part in zip(("minus", "plus", "on"), (*parts, parts[0] + parts[1]), strict=True):
            object.__setattr__(self, name, part)

    def __str__(self) -> str:
        component = "" if self.component is None else f", component {self.component}"
        names = f"{', '.join(self.minus)} to {', '.join(self.plus)}" if self.plus else self.minus[0]
        moved = "" if self.translation is None else f" by ({', '.join(f'{s:.6g}' for s in self.translation)})"
        return f"Periodic from {names}{moved}{component}"

    def _between(self, minus: Any, plus: Any) -> Periodic:
        return Periodic(minus, plus, component=self.component, field=self.field, slot=self.slot)

    def pairs(self, domain: Domain) -> tuple[Periodic, ...]:
        """The condition itself, or one for each axis of a box where it stands for all sides."""
        if self.plus:
            return (self,)
        if not domain.opposite_sides:
            raise ConditionError(
                f"Periodic('boundary') pairs the sides of a box, and the domain is {domain!r}; name two parts, as in "
                f"Periodic('left', 'right')."
            )
        return tuple(self._between(minus, plus) for minus, plus in domain.opposite_sides)

    def between(self, domain: Domain) -> Periodic:
        """The same with the translation that moves `minus` onto `plus`."""
        other = self._between(self.minus, self.plus)
        minus, plus = (domain.elements(part) for part in (self.minus, self.plus))
        if len(np.intersect1d(minus, plus)):
            raise ConditionError(f"{self}: the two parts share boundary elements; give two different parts.")
        try:
            object.__setattr__(other, "translation", domain.translation(minus, plus))
        except DomainError as error:
            raise ConditionError(f"{self}: {error}") from None
        return other

    def resolved(self, shape: tuple[int, ...], call: Callable[[Any], Any]) -> Periodic:
        _check_component(self, shape)
        return self


@dataclass(frozen=True, eq=False)
class Mean:
    """mean(u) = value over the domain; what makes a problem solvable that holds its unknown up to constants.

    That is a pure Neumann problem of a scalar unknown, or one that is periodic in all directions. Of a vector,
    conditions that only prescribe fluxes may leave rotations free as well, which no mean value fixes; such a problem
    needs Dirichlet or Robin conditions that hold it. Periodicity holds rotations, so there a vector may have a mean.

    Attributes
    ----------
    value : number, tuple or UFL expression of parameters
    field : str, optional
        The field it is about, where the problem has several.
    component : int, optional
        One component of a vector unknown; all of them by default.

    Examples
    --------
    >>> Mean(0.0)
    >>> Mean(0.0, field="pressure")
    """

    value: Any = 0.0
    field: str | None = member(default=None, kw_only=True)
    component: int | None = member(default=None, kw_only=True)
    slot: Slot | None = member(default=None, kw_only=True, repr=False)

    def __str__(self) -> str:
        component = "" if self.component is None else f", component {self.component}"
        return f"mean value {self.value}" + ("" if self.field is None else f" of {self.field!r}") + component

    def resolved(self, shape: tuple[int, ...]) -> Mean:
        """The same with its value as UFL, made of numbers and parameters."""
        _check_component(self, shape)
        wanted = () if self.component is not None else shape
        return replace(self, value=as_expression(self.value, wanted, "The mean value"))

    def entry(self, component: int) -> Any:
        """The mean of one component of the unknown."""
        value: Any = self.value
        return value if value.ufl_shape == () else value[component - (0 if self.slot is None else self.slot.offset)]

    def components(self, size: int) -> tuple[int, ...]:
        """The components whose constants it fixes, of an unknown with `size` components."""
        own = range(size) if self.slot is None else self.slot.components
        return tuple(own) if self.component is None else (own[self.component],)


def _check_component(condition: Condition | Mean, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape, dtype=int))
    if condition.component is not None and not (shape and 0 <= condition.component < size):
        raise ConditionError(f"{condition}: the unknown has {size if shape else 'no'} components.")


def as_expression(value: Any, shape: tuple[int, ...], where: str) -> Any:
    """Turn numbers and tuples into UFL and check the shape."""
    if isinstance(value, (tuple, list, np.ndarray)):
        value = ufl.as_tensor(np.asarray(value, dtype=object).tolist())
    try:
        expression: Any = ufl.as_ufl(value)
    except Exception:
        raise ConditionError(f"{where}: {value!r} is neither a number nor a UFL expression.") from None
    if isinstance(expression, ScalarValue) and not np.isfinite(complex(expression)):
        raise ConditionError(f"{where}: the value {value!r} is not finite.")
    if expression.ufl_shape != shape:
        if isinstance(expression, Zero) or _is_zero(value):
            return Zero(shape)
        needed = "() (a scalar)" if shape == () else str(shape)
        raise ConditionError(f"{where}: the value has shape {expression.ufl_shape}, needed is {needed}.")
    return expression


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0
