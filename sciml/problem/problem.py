"""The problem: one declaration from which every solver is derived."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import ufl
from ufl.core.expr import Expr

from sciml.errors import ConditionError, DeclarationError, ScimlError, unknown_name
from sciml.problem.coefficients import Coefficient
from sciml.problem.conditions import Absorbing, Condition, Dirichlet, Mean, Periodic, as_expression
from sciml.problem.domain import Domain, Part
from sciml.problem.evolution import as_interval
from sciml.problem.families import Family, checked_member
from sciml.problem.measures import NamedMeasure
from sciml.problem.parameters import Parameter, ParameterValues, parameter
from sciml.problem.quantities import Quantity, as_quantity, check_parts
from sciml.problem.random_fields import RandomField, Realisation
from sciml.problem.symbols import FieldKind, Slot, abstract_mesh, has_normal, scalar, symbol

__all__ = ["BoundaryPiece", "Declaration", "Problem"]

T = TypeVar("T")
_LAWS = ("flux", "reaction", "load", "energy", "weak", "exact")
_EVOLUTION = ("time", "mass", "damping", "initial", "initial_velocity")
_DECLARABLE = ("name", "title", "domain", "fields", "conditions", "quantities", "convexity", "learned")
_DECLARABLE += (*_LAWS, *_EVOLUTION)


@dataclass(frozen=True, eq=False)
class Declaration:
    """What a problem says, evaluated on its symbols.

    Attributes
    ----------
    u, x, n : UFL
        The unknown (of several fields: all components one after the other), the coordinate and the outward unit normal.
    v : UFL
        The test function that `weak` is written with.
    flux, reaction, energy, weak, exact : UFL or None
        The parts of the law, as declared.
    load : UFL or None
        The load; ``None`` where it is to be manufactured from `exact`.
    conditions : tuple of Condition
        Boundary conditions with UFL data (``None`` where it comes from `exact`).
    means : tuple of Mean
        The mean values that fix constants.
    quantities : dict
        Quantities of interest.
    t : ufl.Constant or None
        The time, for a problem that evolves.
    mass, damping : UFL or None
        Coefficients of ∂²u/∂t² and ∂u/∂t; a vector of one for each component, where there are several fields.
    initial, initial_velocity : UFL or None
        u and ∂u/∂t at the start; ``None`` where they come from `exact`.
    rates : (UFL, UFL) or ()
        The symbols of ∂u/∂t and ∂²u/∂t².
    """

    u: Any
    x: Any
    n: Any
    v: Any
    flux: Any
    reaction: Any
    load: Any
    energy: Any
    weak: Any
    exact: Any
    conditions: tuple[Condition, ...]
    means: tuple[Mean, ...]
    quantities: dict[str, Quantity]
    t: Any = None
    mass: Any = None
    damping: Any = None
    initial: Any = None
    initial_velocity: Any = None
    rates: tuple[Any, ...] = ()


@dataclass(frozen=True)
class BoundaryPiece:
    """A part of the boundary on which every component has one condition, or none (natural)."""

    part: Part
    conditions: tuple[Condition | None, ...]


class Problem:
    """A PDE problem, declared once as a balance law.

    ::

        −div flux(u, ∇u, x) + reaction(u, ∇u, x) = load(x)   in the domain

    with conditions on named parts of the boundary, or, for a problem that declares a `time`,

    ::

        mass ∂²u/∂t² + damping ∂u/∂t − div flux(u, ∇u, x, t) + reaction(u, ∇u, x, t) = load(x, t).

    Declare it as a class, or in one call with functions
    in place of methods. Each function takes as many of the arguments listed as it wants, by name, or in
    this order if it calls them differently; `p` is the problem itself, for functions that are not methods.

    =====================================  ==============  ====================================================
    declared                               arguments       meaning
    =====================================  ==============  ====================================================
    ``domain``                             (none)          :class:`Box`, :class:`MeshFile`, … or a method
    ``fields``                                             ``{"u": scalar}`` (default), ``{"displacement": vector}``
    ``flux``                               u, x, p         shape of ∇u; with ``reaction`` (shape of u), which may stand
                                                           alone: there is no flux then
    ``energy``                             u, x, p         density W(u, ∇u, x) in place of flux and reaction
    ``weak``                               u, v, x, p      UFL form in place of both; there is no strong form then
                                                           (of several fields, `v` is a dict of test functions)
    ``load``                               x, p            shape of u; zero, or manufactured from ``exact``, if absent
    ``exact``                              x, p            the solution, if it is known
    ``conditions``                         x, n, u, p      list of :class:`Dirichlet`, :class:`Neumann`,
                                                           :class:`Robin`, :class:`Periodic`, :class:`Mean`
    ``quantities``                         u, x, n, p      dict of functionals (``… * dx``, ``… * ds("left")``) or
                                                           :class:`PointValue`
    ``convexity``                          (none)          bounds (λ, Λ) of the energy's second derivatives
    ``time``                               (none)          the end, ``(start, end)``, or a method; there is a `t` then,
                                                           which every function above may take too
    ``mass``, ``damping``                  x, p            coefficients of ∂²u/∂t² and ∂u/∂t (scalars)
    ``initial``, ``initial_velocity``      x, p            u and ∂u/∂t at the start; from ``exact`` if absent
    ``learned``                                            what data sets keep: a field's name, ``"velocity[0]"``, or
                                                           the name of a method of the fields; all fields if absent
    =====================================  ==============  ====================================================

    Several fields have a balance law each. Functions then take the fields by name in place of u, and return a
    dictionary by field; a law that is left out is zero, and so are `mass` and `damping` of a field that no time
    derivative acts on (a constraint). Conditions, and a mean value, name their `field`. The unknown as a whole is the
    vector of all components in the order of `fields`. ::

        fields = {"velocity": vector, "pressure": scalar.element(lower=1)}

        def flux(self, velocity, pressure):
            return {"velocity": grad(velocity) - pressure * Identity(2)}

        def reaction(self, velocity):
            return {"pressure": div(velocity)}

        conditions = (Dirichlet((0.0, 0.0), field="velocity", on="boundary"), Mean(0.0, field="pressure"))

    Parameters
    ----------
    parameters : mapping, optional
        More parameters, ``{"k": parameter(2.0, above=0)}`` or plain numbers (for declarations in one call).
    coefficients : mapping, optional
        More coefficient fields, made by :func:`coefficient` or :func:`random_field`.
    **given
        Any of the declared parts above, or values of parameters.

    Raises
    ------
    ParameterError
        A value that is not finite or out of range.
    DeclarationError
        A law that is missing, doubled or of the wrong shape; raised when the declaration is first used.

    Examples
    --------
    >>> square = Problem(
    ...     domain=Box((0, 0), (1, 1)),
    ...     parameters={"k": parameter(2.0, above=0)},
    ...     flux=lambda u, p: p.k * grad(u),
    ...     load=1.0,
    ...     conditions=[Dirichlet(0.0, on="boundary")],
    ... )
    """

    name: str = ""
    also_named: ClassVar[tuple[str, ...]] = ()
    title: str = ""
    domain: Any = None
    fields: Mapping[str, FieldKind] = {"u": scalar}
    flux: Any = None
    reaction: Any = None
    load: Any = None
    energy: Any = None
    weak: Any = None
    exact: Any = None
    conditions: Any = ()
    quantities: Any = None
    time: Any = None
    mass: Any = None
    damping: Any = None
    initial: Any = None
    initial_velocity: Any = None
    learned: str | Sequence[str] | None = None
    """What surrogates learn in place of all fields: fields, components (``"velocity[0]"``), methods of the fields."""
    cell: ClassVar[str | None] = None
    """Name or file of the periodic cell whose mean stress is the law; the flux is an estimate of it then."""
    reference: ClassVar[tuple[str, Mapping[str, Any]]] = ("fenics", {})
    """The solver, and the options, that others are held against where the solution is not known."""
    generated: ClassVar[Mapping[str, Any]] = {}
    """How data sets are made unless said otherwise: `frames`, `refine`, and options of the reference."""
    convexity: Any = None
    """Bounds of the second derivatives of `energy`, see :func:`sciml.forms.convexity_bounds`: (λ, Λ), or a method."""
    source: str | None = None
    """Catalogue name or ``file.py:Class`` by which another process finds the problem; None for one made in memory."""
    member: tuple[int, int] | None = None
    """Seed and index of a member of a family; None for a problem that was not drawn: its fields are those of (0, 0)."""
    held_parameters: frozenset[str] = frozenset()
    """Parameters that keep their values in all members, see :meth:`fixing`."""

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any] | None = None,
        coefficients: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        self._declared = _class_members(type(self), Parameter) | _as_parameters(parameters or {})
        self._coefficients = _class_members(type(self), Coefficient) | _named(coefficients or {})
        _check_names([*self._declared, *self._coefficients])
        values = {}
        for key, value in given.items():
            if key in _DECLARABLE:
                setattr(self, key, value)
            else:
                values[key] = value
        for key in values:
            if key not in self._declared:
                raise unknown_name("parameter", key, [*self._declared, *_DECLARABLE])
        self.parameters = ParameterValues(self._declared, values)
        self._shared: dict[Any, Any] = {}
        if not self.title:
            documented = type(self).__doc__ if type(self) is not Problem else None
            self.title = inspect.cleandoc(documented or "").split("\n")[0].rstrip(".")
        self._settle_domain()
        self._settle_time()

    def __repr__(self) -> str:
        said = self.parameters.plain() | ({} if self.member is None else {"member": self.member})
        values = ", ".join(f"{key}={value!r}" for key, value in said.items())
        return f"<{self.name or type(self).__name__}{' ' if values else ''}{values}>"

    def __getattr__(self, key: str) -> Any:
        # Reached for names that are no attribute: parameters and coefficients given in the call.
        if key.startswith("_"):
            raise AttributeError(key)
        if hasattr(type(self), key):
            # Also reached if a property fails in this way: computed again, it says why.
            return object.__getattribute__(self, key)
        if key in self._declared:
            return self._parameter_symbol(key)
        if key in self._coefficients:
            return self._coefficient_symbol(key)
        raise AttributeError(f"Problem {self.name or type(self).__name__!r} has no attribute {key!r}")

    # -- symbols -----------------------------------------------------------------------------------------

    def derived(self, key: Any, build: Callable[[], T]) -> T:
        """What `build` returns, computed once and shared with all copies that differ in real parameters only."""
        if key not in self._shared:
            self._shared[key] = build()
        return self._shared[key]

    @property
    def dim(self) -> int:
        """Number of space dimensions."""
        return self.domain.dim

    @property
    def field_name(self) -> str:
        """Name of the unknown field; of several, all their names."""
        return ", ".join(self.fields)

    @cached_property
    def layout(self) -> tuple[Slot, ...]:
        """The fields, and where each stands among the components of the unknown."""
        slots, offset = [], 0
        for name, kind in self.fields.items():
            slots.append(Slot(name, kind, kind.shape(self.dim), offset))
            offset += slots[-1].size
        return tuple(slots)

    @property
    def shape(self) -> tuple[int, ...]:
        """Value shape of the unknown: ``()`` or ``(k,)``; of several fields the number of all their components."""
        return self.layout[0].shape if len(self.layout) == 1 else (sum(slot.size for slot in self.layout),)

    @property
    def n_components(self) -> int:
        """Number of components of the unknown."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def abstract_mesh(self) -> ufl.Mesh:
        """The UFL mesh that the declaration is written on."""
        return abstract_mesh(self.dim)

    @property
    def dx(self) -> NamedMeasure:
        """Integral over the domain, also for integrands without unknown or coordinate."""
        return NamedMeasure("dx", domain=self.abstract_mesh)

    @property
    def ds(self) -> NamedMeasure:
        """Integral over the boundary, also for integrands without unknown or coordinate."""
        return NamedMeasure("ds", domain=self.abstract_mesh)

    @property
    def constants(self) -> dict[str, ufl.Constant]:
        """The symbol of each real parameter, and of the time."""
        real = {key: p for key, p in self._declared.items() if not p.structural}
        shapes = {key: () if p.length is None else (p.length,) for key, p in real.items()}
        if self.evolves:
            shapes["t"] = ()
        return self.derived(
            "constants", lambda: {key: ufl.Constant(self.abstract_mesh, shape) for key, shape in shapes.items()}
        )

    @property
    def constant_values(self) -> dict[str, Any]:
        """The present values of :attr:`constants` by name (and of all other parameters)."""
        return self.parameters.plain() | ({"t": self.instant} if self.evolves else {})

    @property
    def evolves(self) -> bool:
        """Whether the problem declares a time."""
        return self.time is not None

    @property
    def t(self) -> Any:
        """The symbol of time."""
        if not self.evolves:
            raise DeclarationError(f"Problem {self.name or type(self).__name__!r} declares no `time`, so it has no t.")
        return self.constants["t"]

    def at_time(self, instant: float) -> Problem:
        """The same problem with all that depends on time taken at an instant."""
        other = copy.copy(self)
        other.instant = float(instant)
        return other

    @property
    def coefficient_fields(self) -> dict[str, tuple[ufl.Coefficient, Coefficient]]:
        """The symbol and the provider of each coefficient field."""
        symbols = self.derived(
            "coefficients", lambda: {key: symbol(self.dim, c.shape) for key, c in self._coefficients.items()}
        )
        return {key: (symbols[key], c) for key, c in self._coefficients.items()}

    @property
    def declared_parameters(self) -> dict[str, Parameter]:
        """The parameters with their ranges and units."""
        return dict(self._declared)

    def _parameter_symbol(self, key: str) -> Any:
        if self._declared[key].structural:
            return self.parameters[key]
        if not isinstance(self.domain, Domain):
            raise DeclarationError(f"A domain needs numbers; write self.parameters[{key!r}] in place of self.{key}.")
        return self.constants[key]

    def _coefficient_symbol(self, key: str) -> Any:
        return self.coefficient_fields[key][0]

    # -- copies ------------------------------------------------------------------------------------------

    def shares_structure(self, other: Problem) -> bool:
        """Whether both have one declaration and one domain, and differ in real parameters and random fields only."""
        return self._shared is other._shared and self.domain is other.domain

    def with_parameters(self, **values: Any) -> Problem:
        """The same problem with other parameter values.

        Real values share everything that was derived from the declaration (compiled forms, programs); a
        new integer or choice, or a value whose number the declaration has read, declares anew.
        """
        other = copy.copy(self)
        other.parameters = ParameterValues(self._declared, self.parameters.plain() | values)
        changed = {k for k, v in other.parameters.plain().items() if v != self.parameters.plain()[k]}
        structural = {k for k, p in self._declared.items() if p.structural}
        # The declaration has to be known before it is shared: what it reads may be among what changed.
        if changed and (not self._can_be_declared or changed & (self.parameters.read | structural)):
            other._shared = {}
            for stale in ("declaration", "boundary_pieces", "layout"):
                other.__dict__.pop(stale, None)
            other._settle_domain()
            other._settle_time()
        other.parameters.read |= self.parameters.read
        return other

    @property
    def _can_be_declared(self) -> bool:
        try:
            return self.declaration is not None
        except ScimlError:
            return False

    # -- the family --------------------------------------------------------------------------------------

    def fixing(self, **values: Any) -> Problem:
        """The family with values for parameters that its members then have in common, rather than draw them."""
        other = self.with_parameters(**values)
        other.held_parameters = self.held_parameters | set(values)
        return other

    @property
    def family(self) -> Family:
        """The random members of the problem."""
        return Family(self)

    def draw(self, index: int, seed: int = 0) -> Problem:
        """Member `index` of the family: every parameter and field that has a law is drawn from it.

        Raises
        ------
        UnsupportedError
            Nothing has a law.
        """
        return self.family.member(index, seed)

    def with_member(self, seed: int, index: int) -> Problem:
        """The same problem, parameters included, with the random fields of another member.

        Together with the parameters this is all that another process needs to rebuild a member.
        """
        other = copy.copy(self)
        other.member = checked_member(seed, index)
        other._coefficients = {key: c.of_member(other.member) for key, c in self._coefficients.items()}
        return other

    def realisation(self, name: str) -> Realisation:
        """A random field of this member: evaluate it at points, on grids, and its gradient.

        Raises
        ------
        UnknownNameError
            No random field has that name.
        """
        fields = {key: c for key, c in self._coefficients.items() if isinstance(c, RandomField)}
        if name not in fields:
            raise unknown_name("random field", name, fields)
        return fields[name].realisation(self.domain)

    # -- the declaration ---------------------------------------------------------------------------------

    @cached_property
    def declaration(self) -> Declaration:
        """The declaration on symbols, checked; evaluated once and shared between copies."""
        return self.derived("declaration", self._declare)

    def _settle_domain(self) -> None:
        declared = self.__dict__.setdefault("_given_domain", self.__dict__.get("domain"))
        if declared is None:
            # Bound to this problem: a copy would else ask the one it was made from.
            attribute = inspect.getattr_static(type(self), "domain")
            declared = attribute.__get__(self) if hasattr(attribute, "__get__") else attribute
        domain = self._call("domain", declared, {})
        if not isinstance(domain, Domain):
            given = "no domain" if domain is None else repr(domain)
            raise DeclarationError(f"A problem needs a domain (Box, MeshFile, DolfinxMesh); given was {given}.")
        self.domain = domain.fresh()
        if isinstance(self.fields, FieldKind):
            self.fields = {"u": self.fields}
        if not self.fields or not all(isinstance(kind, FieldKind) for kind in self.fields.values()):
            raise DeclarationError(
                f"`fields` was given {self.fields!r}; it takes names with kinds, as in {{'displacement': vector}}."
            )
        for name in self.fields if len(self.fields) > 1 else ():
            if name in ("u", "v", "x", "n", "p", "t") or not name.isidentifier():
                raise DeclarationError(
                    f"A field is called {name!r}; where there are several, a name is a word of its own (not u, v, x, "
                    f"n, p or t), by which functions ask for it."
                )

    def _settle_time(self) -> None:
        declared = self.__dict__.setdefault("_given_time", self.__dict__.get("time"))
        if declared is None:
            attribute = inspect.getattr_static(type(self), "time")
            declared = attribute.__get__(self) if hasattr(attribute, "__get__") else attribute
        declared = declared() if callable(declared) else declared
        self.time = None if declared is None else as_interval(declared)
        self.instant = 0.0 if self.time is None else self.time.start

    def _declare(self) -> Declaration:
        u = symbol(self.dim, self.shape)
        v = ufl.TestFunction(u.ufl_function_space())
        x, n = ufl.SpatialCoordinate(self.abstract_mesh), ufl.FacetNormal(self.abstract_mesh)
        t = self.constants["t"] if self.evolves else None
        now: dict[str, Any] = {"t": t} if self.evolves else {}
        fields = {"u": u} if len(self.layout) == 1 else {slot.name: slot.of(u) for slot in self.layout}
        tests = v if len(self.layout) == 1 else {slot.name: slot.of(v) for slot in self.layout}
        state = {**fields, "x": x, "p": self} | now
        shape, flux_shape = self.shape, (*self.shape, self.dim)
        rate_shape = () if len(self.layout) == 1 else shape
        conditions, means = self._conditions({"x": x, "n": n, **fields, "p": self} | now)
        self._check_law()
        self._check_evolution()
        declaration = Declaration(
            u=u,
            x=x,
            n=n,
            v=v,
            flux=self._expression("flux", state, flux_shape),
            reaction=self._expression("reaction", state, shape),
            load=self._expression("load", {"x": x, "p": self} | now, shape),
            energy=self._expression("energy", state, ()),
            weak=self._weak({**fields, "v": tests, "x": x, "p": self} | now),
            exact=self._expression("exact", {"x": x, "p": self} | now, shape),
            conditions=conditions,
            means=means,
            quantities=self._quantities({**fields, "x": x, "n": n, "p": self} | now),
            t=t,
            rates=tuple(symbol(self.dim, shape) for _ in range(2)) if self.evolves else (),
            mass=self._expression("mass", {"x": x, "p": self}, rate_shape),
            damping=self._expression("damping", {"x": x, "p": self}, rate_shape),
            initial=self._expression("initial", {"x": x, "p": self}, shape),
            initial_velocity=self._expression("initial_velocity", {"x": x, "p": self}, shape),
        )
        absorbing = [c for c in declaration.conditions if isinstance(c, Absorbing)]
        if absorbing and not self.evolves:
            raise ConditionError(f"{absorbing[0]} needs a problem that runs in time; this one declares no `time`.")
        missing = [c for c in declaration.conditions if c.value is None]
        if missing and declaration.exact is None:
            raise ConditionError(f"{missing[0]} has no value, and the problem has no `exact` to take it from.")
        return declaration

    def _check_law(self) -> None:
        laws = [key for key in ("flux", "energy", "weak") if getattr(self, key) is not None]
        if len(laws) > 1 or not (laws or self.reaction is not None):
            given = " and ".join(laws) if laws else "none of them"
            raise DeclarationError(
                f"A problem declares one of flux, energy and weak, or a reaction alone; given was {given}."
            )
        if self.reaction is not None and laws not in ([], ["flux"]):
            raise DeclarationError(f"`reaction` goes with `flux`; put its term into `{laws[0]}` instead.")

    def _check_evolution(self) -> None:
        given = [key for key in _EVOLUTION[1:] if getattr(self, key) is not None]
        if not self.evolves:
            if given:
                raise DeclarationError(f"`{given[0]}` goes with `time`; give the time that the problem runs for.")
            return
        needed = {"mass": ("initial", "initial_velocity"), "damping": ("initial",)}
        kind = "mass" if self.mass is not None else "damping" if self.damping is not None else None
        if kind is None:
            raise DeclarationError("A problem with a `time` needs `mass` (of ∂²u/∂t²) or `damping` (of ∂u/∂t) or both.")
        missing = [key for key in needed[kind] if getattr(self, key) is None]
        if missing and self.exact is None:
            raise DeclarationError(f"A problem with `{kind}` needs `{missing[0]}`, its state at the start.")
        if kind == "damping" and self.initial_velocity is not None:
            raise DeclarationError("`initial_velocity` goes with `mass`; the law alone gives ∂u/∂t here.")

    def evaluated(self, name: str) -> Any:
        """UFL of one of the problem's methods that take fields, the coordinate, …, as `flux` does.

        Raises
        ------
        DeclarationError
            It fails, or takes what there is not.
        """
        u, x = self.declaration.u, self.declaration.x
        fields = {"u": u} if len(self.layout) == 1 else {slot.name: slot.of(u) for slot in self.layout}
        now = {"t": self.declaration.t} if self.evolves else {}
        return self._call(name, getattr(self, name), {**fields, "x": x, "p": self} | now)

    def _call(self, what: str, function: Any, available: Mapping[str, Any]) -> Any:
        if isinstance(function, (Expr, ufl.Form)) or not callable(function):
            return function
        try:
            return function(**_arguments(function, available))
        except ScimlError:
            raise
        except Exception as error:
            reason, hint = f"{type(error).__name__}: {error}", ""
            if "subdomain_id" in reason:
                hint = "; named parts need `dx` and `ds` of sciml, imported after those of ufl"
            raise DeclarationError(f"`{what}` of {self!r} failed: {reason.rstrip('.')}{hint}.") from error

    def _expression(self, what: str, available: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        declared = getattr(self, what)
        if declared is None:
            return None
        value = self._call(what, declared, available)
        try:
            if len(self.layout) > 1 and shape != ():
                expression = self._joined(what, value, shape[1:])
            else:
                expression = as_expression(value, shape, f"`{what}`")
        except ConditionError as error:
            context = f"for the unknown {self.field_name!r} of shape {self.shape} in {self.dim} dimensions"
            raise DeclarationError(f"{str(error).rstrip('.')}, {context}.") from None
        if has_normal(expression):
            raise DeclarationError(
                f"`{what}` contains the normal, which exists on the boundary only; use it in conditions."
            )
        return expression

    def _joined(self, what: str, value: Any, inner: tuple[int, ...]) -> Any:
        """One expression of all components from a dictionary by field; `inner` is (dim,) for a flux."""
        if not isinstance(value, Mapping) or not set(value) <= set(self.fields):
            given = f"a dictionary for {', '.join(map(str, value))}" if isinstance(value, Mapping) else f"{value!r}"
            raise DeclarationError(
                f"`{what}` gave {given}; of several fields it is a dictionary for some of {', '.join(self.fields)}."
            )
        entries = []
        for slot in self.layout:
            shape = () if what in ("mass", "damping") else (*slot.shape, *inner)
            part = as_expression(value.get(slot.name, 0.0), shape, f"`{what}` of {slot.name!r}")
            for row in np.ndindex(slot.size):
                own = () if shape[: len(shape) - len(inner)] == () else row
                indices = [(*own, *column) for column in np.ndindex(*inner)]
                values = [part[index] if index else part for index in indices]
                entries.append(values if inner else values[0])
        return ufl.as_tensor(entries)

    def _weak(self, available: Mapping[str, Any]) -> Any:
        if self.weak is None:
            return None
        form: Any = self._call("weak", self.weak, available)
        if not isinstance(form, ufl.Form) or [a.number() for a in form.arguments() or ()] != [0]:
            raise DeclarationError("`weak` must return a UFL form that is linear in the test function v (… * dx).")
        check_parts("weak", form, self.domain)
        return form

    def _conditions(self, available: Mapping[str, Any]) -> tuple[tuple[Condition, ...], tuple[Mean, ...]]:
        declared = self._call("conditions", self.conditions, available)
        if isinstance(declared, (Condition, Mean)):
            declared = [declared]
        if not isinstance(declared, Sequence) or not all(isinstance(c, (Condition, Mean)) for c in declared):
            raise ConditionError(f"`conditions` was given {declared!r}; it takes a list of conditions.")
        fixed = [(c.field, c.component) for c in declared if isinstance(c, Mean)]
        if len(fixed) > len(set(fixed)):
            raise ConditionError("Two mean values are given; one fixes the solution.")
        declared = [part for c in declared for part in (c.pairs(self.domain) if isinstance(c, Periodic) else [c])]
        periodic = any(isinstance(c, Periodic) for c in declared)
        resolved, means = [], []
        for c in declared:
            slot = self._slot_of(c)
            placed = c if len(self.layout) == 1 else replace(c, slot=slot)
            shape = self.shape if slot is None else slot.shape
            if isinstance(placed, Mean):
                if shape != () and not periodic:
                    raise ConditionError(
                        f"Mean fixes the constant of a scalar unknown; {c.field or self.field_name!r} has {shape[0]} "
                        f"components: add Dirichlet or Robin conditions that hold it."
                    )
                means.append(placed.resolved(shape))
                continue
            self.domain.elements(c.on)
            settled = placed.resolved(shape, lambda value: self._call("conditions", value, available))
            resolved.append(settled.between(self.domain) if isinstance(settled, Periodic) else settled)
        return tuple(resolved), tuple(means)

    def _slot_of(self, condition: Condition | Mean) -> Slot | None:
        """The field that a condition is about; None for periodicity of all of several fields."""
        if condition.field is None and len(self.layout) == 1:
            return self.layout[0]
        for slot in self.layout:
            if slot.name == condition.field:
                return slot
        if condition.field is not None:
            raise unknown_name("field", condition.field, self.fields)
        if isinstance(condition, Periodic):
            return None
        raise ConditionError(
            f"{condition} names no field; the problem has several: add field= one of {', '.join(self.fields)}."
        )

    def _quantities(self, available: Mapping[str, Any]) -> dict[str, Quantity]:
        declared = self._call("quantities", self.quantities, available) or {}
        return {key: as_quantity(key, value, self.domain) for key, value in declared.items()}

    # -- the boundary ------------------------------------------------------------------------------------

    @cached_property
    def boundary_pieces(self) -> tuple[BoundaryPiece, ...]:
        """The boundary cut into parts with one condition (or none) per component.

        Raises
        ------
        ConditionError
            Two conditions claim the same component on the same part.
        """
        conditions = self.declaration.conditions
        pieces = []
        for part, holds in self.domain.pieces([self.domain.elements(c.on) for c in conditions]):
            slots: list[Condition | None] = [None] * self.n_components
            for condition in (c for c, here in zip(conditions, holds) if here):
                for component in condition.components(self.n_components):
                    if slots[component] is not None:
                        raise ConditionError(
                            f"Two conditions hold on the same {len(part.elements)} boundary element(s): "
                            f"{slots[component]}; {condition}. Keep one of them."
                        )
                    slots[component] = condition
            pieces.append(BoundaryPiece(part, tuple(slots)))
        return tuple(pieces)

    @property
    def dirichlet(self) -> tuple[Dirichlet, ...]:
        """The Dirichlet conditions."""
        return tuple(c for c in self.declaration.conditions if isinstance(c, Dirichlet))

    @property
    def periodic(self) -> tuple[Periodic, ...]:
        """The periodic conditions, each with its translation."""
        return tuple(c for c in self.declaration.conditions if isinstance(c, Periodic))


def _class_members[M](cls: type, kind: type[M]) -> dict[str, M]:
    """Class attributes of type `kind`, base classes first."""
    found: dict[str, M] = {}
    for base in reversed(cls.__mro__):
        for key, value in vars(base).items():
            if isinstance(value, kind):
                found[key] = value
            else:
                found.pop(key, None)
    return found


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that mean something else on a problem (`dim` may be a parameter: it is the dimension)."""
    for name in names:
        if name == "t":
            raise DeclarationError("'t' is the time and cannot name a parameter or coefficient.")
        if name != "dim" and (hasattr(Problem, name) or name == "parameters"):
            raise DeclarationError(f"{name!r} is part of every problem and cannot name a parameter or coefficient.")


def _as_parameters(given: Mapping[str, Any]) -> dict[str, Parameter]:
    return _named({key: p if isinstance(p, Parameter) else parameter(p) for key, p in given.items()})


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    for key, member in given.items():
        member.name = key
    return dict(given)


def _arguments(function: Callable, available: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments for a declared function: by name, or by position if it has names of its own."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if len(names) != len(parameters) or len(names) > len(available):
        raise DeclarationError(
            f"{getattr(function, '__name__', function)!r} takes {len(parameters)} arguments; available are "
            f"{', '.join(available) or 'none'}."
        )
    if set(names) <= set(available):
        return {name: available[name] for name in names}
    return dict(zip(names, available.values()))
