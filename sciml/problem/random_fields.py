"""Random coefficient fields: declared once by their law, realised by the members of a family."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sciml.errors import DeclarationError
from sciml.problem.coefficients import Coefficient
from sciml.problem.covariances import Covariance
from sciml.problem.domain import Box, Domain
from sciml.problem.points import Lattice, Points
from sciml.problem.series import EIGENFUNCTIONS, GaussianSeries

__all__ = ["RandomField", "Realisation", "Threshold", "member_generator", "random_field", "threshold"]

Transform = Callable[[np.ndarray], np.ndarray]


def member_generator(member: tuple[int, int], name: str) -> np.random.Generator:
    """The random numbers of one parameter or field of one member, (seed, index).

    They depend on nothing else: not on the other members, nor on what else the problem declares.
    """
    return np.random.default_rng([*member, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Threshold:
    """A field of two values, see :func:`threshold`."""

    low: float
    high: float
    at: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return np.where(values >= self.at, self.high, self.low)


def threshold(low: float, high: float, at: float = 0.0) -> Threshold:
    """Make a field piecewise constant: `high` where the Gaussian field is at least `at`, `low` elsewhere.

    Examples
    --------
    >>> permeability = random_field(Spectral(tau=3.0, alpha=2.0), transform=threshold(3.0, 12.0))
    """
    return Threshold(float(low), float(high), float(at))


@lru_cache(maxsize=16)
def _series(covariance: Covariance, *law: Any) -> GaussianSeries:
    """Members share their series: only the coefficients differ."""
    return GaussianSeries(covariance, *law)


class RandomField(Coefficient):
    """A scalar random field, realised for one member of a family; see :func:`random_field`.

    Attributes
    ----------
    covariance : Covariance
    member : (int, int)
        Seed and index of the member.
    """

    def __init__(
        self,
        covariance: Covariance,
        *,
        eigenfunctions: str,
        modes: int,
        mean: float,
        fixed_mean: bool,
        box: Box | None,
        transform: Transform | None,
        slope: Transform | None,
    ) -> None:
        if not isinstance(covariance, Covariance):
            raise DeclarationError(f"A random field was given {covariance!r}; it takes Matern, Spectral, ….")
        if eigenfunctions not in EIGENFUNCTIONS:
            known = ", ".join(EIGENFUNCTIONS)
            raise DeclarationError(f"A random field was given eigenfunctions={eigenfunctions!r}; it takes {known}.")
        if box is not None and not isinstance(box, Box):
            raise DeclarationError(f"A random field was given box={box!r}; it takes a Box.")
        if fixed_mean and eigenfunctions == "dirichlet":
            raise DeclarationError("Dirichlet eigenfunctions have no constant part that `fixed_mean` could leave out.")
        if slope is not None and transform is None:
            raise DeclarationError(
                "A random field was given a `slope` without the `transform` that it is the slope of."
            )
        if not isinstance(modes, int) or modes < 1 or not np.isfinite(mean):
            raise DeclarationError(f"A random field takes whole modes ≥ 1 and a finite mean, not {modes} and {mean}.")
        self.covariance, self.eigenfunctions, self.modes = covariance, eigenfunctions, modes
        self.mean, self.fixed_mean, self.box = float(mean), bool(fixed_mean), box
        self.transform, self.slope = transform, np.exp if transform is np.exp else slope
        self.smooth = transform is None or self.slope is not None
        self.piecewise_constant = isinstance(transform, Threshold)
        self.member = (0, 0)
        self._realised: Realisation | None = None

    def __str__(self) -> str:
        mean = f"mean {self.mean:g}{' over the box' if self.fixed_mean else ''}"
        said = [str(self.covariance), mean, f"{self.eigenfunctions}, {self.modes} waves"]
        if self.transform is not None:
            said.append(f"through {getattr(self.transform, '__name__', self.transform)}")
        return ", ".join(said)

    def of_member(self, member: tuple[int, int]) -> RandomField:
        other = copy.copy(self)
        other.member, other._realised = member, None
        return other

    def realisation(self, domain: Domain) -> Realisation:
        """The member's field on a domain.

        Raises
        ------
        DeclarationError
            The law does not exist in the domain's dimension.
        """
        if self._realised is None or self._realised.domain is not domain:
            self._realised = Realisation(self, self._law_on(domain), domain)
        return self._realised

    def _law_on(self, domain: Domain) -> GaussianSeries:
        box = self.box or domain
        if domain.dim > 3 or len(box.lower) != domain.dim:
            raise DeclarationError(
                f"Random field {self.name!r} is given on a box of dimension {len(box.lower)}, the problem has "
                f"dimension {domain.dim}; both must be the same, and at most 3."
            )
        corners = tuple(map(float, box.lower)), tuple(map(float, box.upper))
        return _series(self.covariance, *corners, self.eigenfunctions, self.modes, self.fixed_mean)

    def evaluate(
        self, points: np.ndarray, derivative: tuple[int, ...], domain: Domain, values: Mapping[str, Any]
    ) -> np.ndarray:
        return self.realisation(domain)(points, derivative)

    def on_points(self, points: Points, domain: Domain, values: Mapping[str, Any]) -> np.ndarray:
        realised = self.realisation(domain)
        return realised(points.array) if points.lattice is None else realised.on_lattice(points.lattice)

    def _refuse(self, derivative: tuple[int, ...]) -> None:
        """Refuse derivatives of higher order than the transform has."""
        if self.transform is not None and len(derivative) > (self.slope is not None):
            known = "no `slope`" if self.slope is None else "its first derivative only"
            raise DeclarationError(
                f"Coefficient {self.name!r} has no derivative by the axes {derivative}: its transform comes with "
                f"{known}."
            )


class Realisation:
    """A random field of one member: evaluate it at points, on grids, and its gradient.

    The field is transform(mean + Σ_k √λ_k ξ_k φ_k(x)). The sum is finite and is never interpolated, so that points and
    grids of any resolution see one function.

    Attributes
    ----------
    series : GaussianSeries
        The law: its eigenvalues and its covariance.
    coefficients : (m, …) array
        √λ_k ξ_k.
    domain : Domain
    """

    def __init__(self, field: RandomField, series: GaussianSeries, domain: Domain) -> None:
        self._field, self.series, self.domain = field, series, domain
        self.coefficients = series.draw(member_generator(field.member, field.name))

    def __call__(self, points: Any, derivative: tuple[int, ...] = ()) -> np.ndarray:
        """Values, or a partial derivative by the axes named, at points ``(n, dim)`` → ``(n,)``.

        Raises
        ------
        DeclarationError
            The field has no such derivative, or a value that is not finite.
        """
        self._field._refuse(derivative)
        points = np.asarray(points, dtype=float)
        values = self.series.at(self.coefficients, points, derivative)
        if not derivative:
            values = self._transformed(values)
        elif self._field.slope is not None:
            values *= self._field.slope(self._field.mean + self.series.at(self.coefficients, points))
        self._field.require_finite(values, lambda entry: points[entry].tolist())
        return values

    def on_lattice(self, lattice: Lattice) -> np.ndarray:
        """Values at points of a grid, summed along one axis after the other → ``(n,)``.

        Raises
        ------
        DeclarationError
            A value that is not finite.
        """
        values = self._transformed(self.series.on_lines(self.coefficients, lattice.lines)[lattice.index])
        self._field.require_finite(
            values, lambda entry: [float(x[i[entry]]) for x, i in zip(lattice.lines, lattice.index)]
        )
        return values

    def gradient(self, points: Any) -> np.ndarray:
        """Gradients at points ``(n, dim)`` → ``(n, dim)``.

        Raises
        ------
        DeclarationError
            The field is not smooth.
        """
        return np.stack([self(points, (axis,)) for axis in range(self.series.dim)], axis=1)

    def on_grid(self, cells: int | Sequence[int]) -> tuple[list[np.ndarray], np.ndarray]:
        """Values on an even grid over the domain's bounding box, both ends included.

        Parameters
        ----------
        cells : int or sequence of int
            Intervals, along each axis.

        Returns
        -------
        axes : list of (cellsᵢ + 1,) arrays
        values : (cells₀ + 1, cells₁ + 1, …) array
        """
        numbers = np.broadcast_to(cells, self.series.dim).tolist()
        ends = list(zip(self.domain.lower, self.domain.upper))
        lines = [np.linspace(low, high, n + 1) for (low, high), n in zip(ends, numbers)]
        if ends == list(zip(self.series.lower, self.series.upper)):
            values = self.series.on_nodes(self.coefficients, numbers)
        else:
            values = self.series.on_lines(self.coefficients, lines)
        values = self._transformed(values)
        self._field.require_finite(
            values, lambda entry: [float(x[i]) for x, i in zip(lines, np.unravel_index(entry, values.shape))]
        )
        return lines, values

    def _transformed(self, centred: np.ndarray) -> np.ndarray:
        gaussian = self._field.mean + centred
        if self._field.transform is None:
            return gaussian
        values = np.asarray(self._field.transform(gaussian), dtype=float)
        if values.shape != gaussian.shape:
            raise DeclarationError(
                f"The transform of random field {self._field.name!r} made shape {values.shape} of {gaussian.shape}; it "
                f"takes arrays entry by entry."
            )
        return values


def random_field(
    covariance: Covariance,
    *,
    eigenfunctions: str = "neumann",
    modes: int = 64,
    mean: float = 0.0,
    fixed_mean: bool = False,
    box: Box | None = None,
    transform: Transform | None = None,
    slope: Transform | None = None,
) -> Any:
    """Declare a random coefficient field, in one to three dimensions.

    ::

        field(x) = transform(mean + Σ_k √λ_k ξ_k φ_k(x)),   ξ_k independent standard normal,

    with the eigenfunctions φ_k of −Δ on a box and λ_k from the covariance. Each member of the problem's family has its
    own ξ_k; a problem that was not drawn shows member 0 of seed 0.

    Parameters
    ----------
    covariance : Covariance
        :class:`Matern`, :class:`SquaredExponential` or :class:`Spectral`.
    eigenfunctions : {"neumann", "dirichlet", "periodic"}
        Conditions that the φ_k fulfil on the box: products of cosines, of sines, of both.
    modes : int
        The highest wave number along each axis. Raising it refines the same realisation.
    mean : float
        Mean of the Gaussian field.
    fixed_mean : bool
        Leave out the constant φ_k, so that every realisation has exactly this mean over the box.
    box : Box, optional
        The box of the φ_k; the domain's bounding box by default.
    transform : function of arrays, optional
        ``numpy.exp`` (log-normal), :func:`threshold` (piecewise constant), or any other.
    slope : function of arrays, optional
        The transform's derivative. Without it (``numpy.exp`` needs none) a transformed field counts as one that is not
        smooth, so that a flux that contains it has no strong form.

    Raises
    ------
    DeclarationError
        Arguments that make no law.

    Notes
    -----
    On the box itself the covariance is that of the law plus mirror images: near a Neumann side the variance doubles,
    at a Dirichlet side it vanishes. A box that is larger than the domain by a few correlation lengths, with periodic
    eigenfunctions, leaves the law as it is within the domain.

    Good values: modes of at least 4 box lengths per correlation length for a smooth law; a rough one (Matern with
    nu ≤ 1, Spectral with alpha ≤ d/2 + 1) shows its truncation in any case.

    Examples
    --------
    >>> log_permeability = random_field(Matern(nu=1.5, length=0.2, variance=0.5))
    """
    return RandomField(
        covariance,
        eigenfunctions=eigenfunctions,
        modes=modes,
        mean=mean,
        fixed_mean=fixed_mean,
        box=box,
        transform=transform,
        slope=slope,
    )
