"""Coefficient fields: known functions that enter a declaration (conductivity, stiffness by material).

A coefficient is one symbol in the declaration and one *provider* that can be evaluated at points. How a
solver represents it (a value per cell, an interpolant, a tensor at collocation points) is the solver's
business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.errors import DeclarationError, DomainError
from sciml.problem.parameters import Parameter
from sciml.problem.points import Points

if TYPE_CHECKING:
    from sciml.problem.domain import Domain

__all__ = ["Coefficient", "GridCoefficient", "PointCoefficient", "RegionCoefficient", "coefficient"]


class Coefficient(ABC):
    """A known field of value shape `shape`.

    Attributes
    ----------
    shape : tuple of int
        Value shape.
    smooth : bool
        Whether it has the derivatives that a strong form asks for. A flux that contains a
        coefficient that is not smooth has no strong form.
    piecewise_constant : bool
        Whether it only takes constant values with jumps between them, so that one value per cell is the
        best a mesh can hold: a polynomial through a jump would overshoot.
    """

    shape: tuple[int, ...] = ()
    smooth: bool = False
    piecewise_constant: bool = False
    name: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """On a problem, the ``ufl.Coefficient``; on the class, this object."""
        return self if instance is None else instance._coefficient_symbol(self.name)

    @abstractmethod
    def evaluate(
        self, points: np.ndarray, derivative: tuple[int, ...], domain: Domain, values: Mapping[str, Any]
    ) -> np.ndarray:
        """Value or partial derivative at points.

        Parameters
        ----------
        points : (n, dim) array
            Points of the domain.
        derivative : tuple of int
            Axes to differentiate by; ``()`` for the value itself.
        domain : Domain
            The problem's domain (knows the regions).
        values : mapping
            The problem's parameter values.

        Returns
        -------
        (n, *shape) array

        Raises
        ------
        DeclarationError
            The derivative does not exist.
        """

    def on_points(self, points: Points, domain: Domain, values: Mapping[str, Any]) -> np.ndarray:
        """Values ``(n, *shape)`` at points that know of the grid they may lie on; as :meth:`evaluate`."""
        return self.evaluate(points.array, (), domain, values)

    @property
    def reads_parameters(self) -> bool:
        """Whether the problem's parameter values enter the field."""
        return False

    def of_member(self, member: tuple[int, int]) -> Coefficient:
        """The field of one member of a family, (seed, index); the same in all of them unless it is random."""
        return self

    def require_finite(self, values: np.ndarray, place: Callable[[int], Any]) -> None:
        """Refuse values that are not finite; `place` gives the point of the i-th value.

        Raises
        ------
        DeclarationError
        """
        if not np.all(np.isfinite(values)):
            bad = place(int(np.argmax(~np.isfinite(values))))
            raise DeclarationError(f"Coefficient {self.name!r} is not finite at {bad}.")

    def _refuse(self, derivative: tuple[int, ...]) -> None:
        if derivative:
            raise DeclarationError(
                f"Coefficient {self.name!r} has no derivative, which the strong form needs; "
                f"give it as a UFL expression, with `gradient=`, or as a grid with `order=3`."
            )


class RegionCoefficient(Coefficient):
    """One constant value per named region of a mesh; see :func:`coefficient`."""

    piecewise_constant = True

    def __init__(self, values: Mapping[str, Any], default: Any = None) -> None:
        self.values = dict(values)
        self.default = default
        if not self.values:
            raise DeclarationError("A coefficient by region needs at least one region.")
        first = next(iter(self.values.values()))
        raw = first.default if isinstance(first, Parameter) else first
        self.shape = np.shape(raw)

    @property
    def reads_parameters(self) -> bool:
        return any(isinstance(entry, Parameter) for entry in (*self.values.values(), self.default))

    def value_of(self, entry: Any, values: Mapping[str, Any]) -> np.ndarray:
        """The numbers behind one entry, which may be a parameter of the problem."""
        number = values[entry.name] if isinstance(entry, Parameter) else entry
        array = np.asarray(number, dtype=float)
        if array.shape != self.shape or not np.all(np.isfinite(array)):
            raise DeclarationError(
                f"Coefficient {self.name!r} has the value {number!r} in one region; "
                f"all regions need finite values of shape {self.shape}."
            )
        return array

    def per_cell(self, n_cells: int, groups: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> np.ndarray:
        """Values per cell ``(n_cells, *shape)`` from the cells of each region.

        Where regions overlap, the one declared last holds.
        """
        unknown = sorted(set(self.values) - set(groups))
        if unknown:
            known = ", ".join(sorted(groups)) or "none"
            raise DomainError(f"Coefficient {self.name!r} names the region {unknown[0]!r}; the mesh has: {known}.")
        out = np.full((n_cells, *self.shape), np.nan)
        if self.default is not None:
            out[:] = self.value_of(self.default, values)
        for name, entry in self.values.items():
            out[groups[name]] = self.value_of(entry, values)
        missing = int(np.isnan(out.reshape(n_cells, -1)).any(axis=1).sum())
        if missing:
            raise DomainError(
                f"Coefficient {self.name!r} has no value in {missing} of {n_cells} cells, which lie in none of "
                f"the regions {', '.join(self.values)}; give them a region or set `default=`."
            )
        return out

    def evaluate(
        self, points: np.ndarray, derivative: tuple[int, ...], domain: Domain, values: Mapping[str, Any]
    ) -> np.ndarray:
        self._refuse(derivative)
        cells = domain.locate(points)
        return self.per_cell(domain.n_cells, domain.region_groups, values)[cells]


class PointCoefficient(Coefficient):
    """A function of points; see :func:`coefficient`."""

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        gradient: Callable[[np.ndarray], np.ndarray] | None,
        shape: tuple[int, ...],
    ) -> None:
        self.function, self.gradient, self.shape = function, gradient, shape
        self.smooth = gradient is not None

    def evaluate(
        self, points: np.ndarray, derivative: tuple[int, ...], domain: Domain, values: Mapping[str, Any]
    ) -> np.ndarray:
        if len(derivative) == 1 and self.gradient is not None:
            return self._checked(self.gradient, points, (*self.shape, points.shape[1]))[..., derivative[0]]
        self._refuse(derivative)
        return self._checked(self.function, points, self.shape)

    def _checked(self, function: Callable, points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        out = np.asarray(function(points), dtype=float)
        if out.shape != (len(points), *shape):
            raise DeclarationError(
                f"Coefficient {self.name!r} returned shape {out.shape} for points of shape {points.shape}; "
                f"it must return {(len(points), *shape)}."
            )
        self.require_finite(out, lambda entry: points[entry * len(points) // out.size].tolist())
        return out


class GridCoefficient(Coefficient):
    """Values on a regular grid, interpolated; see :func:`coefficient`."""

    def __init__(self, values: np.ndarray, axes: Sequence[np.ndarray], order: int) -> None:
        self.axes = [np.asarray(axis, dtype=float) for axis in axes]
        self.values = np.asarray(values, dtype=float)
        self.order = order
        if self.values.shape != tuple(map(len, self.axes)) or order not in (1, 3):
            raise DeclarationError(
                f"A coefficient on a grid needs values of shape {tuple(map(len, self.axes))} (its axes) and order "
                f"1 or 3; given were {self.values.shape} and {order}."
            )
        if not np.all(np.isfinite(self.values)):
            bad = np.argwhere(~np.isfinite(self.values))[0]
            place = [float(axis[i]) for axis, i in zip(self.axes, bad)]
            raise DeclarationError(f"A coefficient on a grid is not finite at {place}.")
        if any(len(axis) <= order or not np.all(np.diff(axis) > 0) for axis in self.axes):
            raise DeclarationError(
                f"The axes of a grid must increase and have at least {order + 1} points each for order {order}."
            )
        self.smooth = order == 3
        if self.smooth:
            self._splines: dict[tuple[int, ...], Any] = {}

    def evaluate(
        self, points: np.ndarray, derivative: tuple[int, ...], domain: Domain, values: Mapping[str, Any]
    ) -> np.ndarray:
        if len(self.axes) != points.shape[1]:
            raise DeclarationError(
                f"Coefficient {self.name!r} is given on a grid of dimension {len(self.axes)}, the problem has "
                f"dimension {points.shape[1]}."
            )
        inside = np.clip(points, [axis[0] for axis in self.axes], [axis[-1] for axis in self.axes])
        if self.order == 1:
            self._refuse(derivative)
            from scipy.interpolate import RegularGridInterpolator  # slow to import, as all of scipy.interpolate

            return RegularGridInterpolator(self.axes, self.values)(inside)
        return self._spline()(inside, nu=[derivative.count(axis) for axis in range(points.shape[1])])

    def _spline(self) -> Any:
        """Tensor-product cubic spline through the values, built once."""
        from scipy.interpolate import NdBSpline, make_interp_spline

        if () not in self._splines:
            coefficients, knots = self.values, []
            for axis, nodes in enumerate(self.axes):
                spline = make_interp_spline(nodes, np.moveaxis(coefficients, axis, 0), k=3)
                knots.append(spline.t)
                coefficients = np.moveaxis(spline.c, 0, axis)
            self._splines[()] = NdBSpline(tuple(knots), coefficients, 3)
        return self._splines[()]


def coefficient(
    source: Any,
    *,
    default: Any = None,
    gradient: Any = None,
    axes: Sequence[np.ndarray] | None = None,
    order: int = 1,
    shape: tuple[int, ...] = (),
) -> Any:
    """Declare a known field that is not a formula.

    Parameters
    ----------
    source : mapping, array or callable
        ``{region: value}`` gives one constant per named region of the mesh, where a value may be a
        parameter of the problem; an array holds values on a regular grid with the given `axes`; a
        callable maps points ``(n, dim)`` to values ``(n, *shape)``.
    default : optional
        Value outside the regions named (first form only).
    gradient : callable, optional
        Maps points to ``(n, *shape, dim)``. With it, the field counts as smooth and strong-form solvers
        accept it in a flux (third form only).
    axes : sequence of arrays, optional
        Grid lines per axis (second form only). Outside of the grid the value at its edge holds.
    order : {1, 3}
        Multilinear, or a cubic spline, which counts as smooth (second form only).
    shape : tuple of int
        Value shape (third form only).

    Notes
    -----
    A formula is better written in UFL inside `flux`, `load` …: it is then differentiated exactly.

    Examples
    --------
    >>> conductivity = coefficient({"steel": 50.0, "insulation": 0.04})
    """
    if isinstance(source, Mapping):
        return RegionCoefficient(source, default)
    if callable(source):
        function: Any = source
        return PointCoefficient(function, gradient, shape)
    if axes is None:
        raise DeclarationError("A coefficient given as an array needs the `axes` of its grid.")
    return GridCoefficient(source, axes, order)
