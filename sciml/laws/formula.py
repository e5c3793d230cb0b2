"""Laws that are any UFL expression of the strain, compiled for batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import ufl
from ufl.corealg.traversal import unique_pre_traversal

from sciml.errors import DeclarationError
from sciml.forms import Derivative, PointwiseOperator, balance, pointwise
from sciml.forms.sharing import compiled
from sciml.laws.base import Law, LawResult, State, checked_strains
from sciml.problem import Problem
from sciml.problem.symbols import symbol

__all__ = ["DeclaredLaw", "UflLaw"]


class _Compiled(Law):
    """A stress that is torch code; its tangent by reverse mode, one pass for each component."""

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        at = torch.tensor(checked_strains(strain), requires_grad=True)
        with torch.enable_grad():
            stress = self.stress_torch(at)
            rows = [self._row(stress[:, k], at) for k in range(3)]
        return LawResult(stress.detach().numpy(), torch.stack(rows, dim=1).numpy())

    @staticmethod
    def _row(component: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        if not component.requires_grad:
            return torch.zeros_like(at)
        (row,) = torch.autograd.grad(component.sum(), at, retain_graph=True, materialize_grads=True)
        return row


class UflLaw(_Compiled):
    """A law given by a UFL expression, of the stress or of its potential.

    Parameters
    ----------
    stress : callable, optional
        Takes the strain (E_xx, E_yy, γ_xy) as a UFL vector and returns (σ_xx, σ_yy, σ_xy); or else
    energy : callable, optional
        takes the same and returns the potential ψ, whose derivative is the stress.
    name : str
        For messages, and to tell laws apart.

    Raises
    ------
    DeclarationError
        Not just one of the two is given, the expression has another shape, or it contains more than the strain.

    Notes
    -----
    When it breaks: roots and norms have no derivative at zero; write sqrt(q + 1e-30).

    Examples
    --------
    >>> UflLaw(energy=lambda e: 500 * (e[0] + e[1])**2 + 100 * exp(e[2]**2), name="stiffening in shear")
    """

    def __init__(
        self,
        *,
        stress: Callable[[Any], Any] | None = None,
        energy: Callable[[Any], Any] | None = None,
        name: str = "formula",
    ) -> None:
        if (stress is None) == (energy is None):
            raise DeclarationError("A UflLaw takes one of `stress` and `energy`.")
        self._stress, self._energy, self.name = stress, energy, name
        self._symbol = symbol(2, (3,))
        expression = self.stress_ufl([self._symbol[k] for k in range(3)])
        self._program = compiled(expression, self._symbol, {})
        places = any(isinstance(node, ufl.SpatialCoordinate) for node in unique_pre_traversal(expression))
        derivatives = any(key.axes for key in self._program.unknown_keys)
        if places or derivatives or self._program.constants or self._program.data_keys:
            raise DeclarationError(f"The law {name!r} contains more than the strain; put numbers in place of symbols.")
        self._text = str(expression)

    def __repr__(self) -> str:
        return f"UflLaw({self.name}: {self._text})"

    def stress_ufl(self, strain: Any) -> Any:
        given = ufl.as_vector([strain[k] for k in range(3)])
        if self._energy is not None:
            at = ufl.variable(given)
            return ufl.diff(ufl.as_ufl(self._energy(at)), at)
        assert self._stress is not None
        components = self._stress(given)
        stress = components if isinstance(components, ufl.core.expr.Expr) else ufl.as_vector(list(components))
        if stress.ufl_shape != (3,):
            raise DeclarationError(
                f"The law {self.name!r} returned shape {stress.ufl_shape}; it returns (σ_xx, σ_yy, σ_xy)."
            )
        return stress

    def stress_torch(self, strain: torch.Tensor) -> torch.Tensor:
        flat = strain.reshape(-1, 3)
        jet = {key: flat[:, key.component] for key in self._program.unknown_keys}
        return self._program(flat[:, :2], jet, [], [], None, None).reshape(strain.shape)


class DeclaredLaw(_Compiled):
    """The flux of a problem in the plane, as a law of the strain.

    Parameters
    ----------
    problem : Problem
        Of one displacement; :meth:`obstacle` says whether its flux is such a law.
    """

    def __init__(self, problem: Problem) -> None:
        self._flux: PointwiseOperator = pointwise(problem, balance(problem).flux)

    def __repr__(self) -> str:
        return f"DeclaredLaw({self._flux.problem!r})"

    @staticmethod
    def obstacle(problem: Problem) -> str | None:
        """None if the flux is a function of the strain alone, else why not, as half a sentence."""
        law = DeclaredLaw(problem)
        if any(len(key.axes) != 1 for key in law._flux.keys) or law._flux.program.data_keys:
            return "its law is no function of the strain alone"
        generator = np.random.default_rng(0)
        gradient = 1e-3 * torch.tensor(generator.normal(size=(8, 2, 2)))
        turned = gradient + 1e-3 * torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
        flux = law._of_gradient(gradient)
        elsewhere = law._of_gradient(turned, torch.tensor(problem.domain.sample(8, generator)))
        scale = float(flux.abs().max())
        if max(float((flux - other).abs().max()) for other in (elsewhere, flux.mT)) > 1e-9 * scale:
            return "its law is no function of the strain alone"
        return None

    def _of_gradient(self, gradient: torch.Tensor, points: torch.Tensor | None = None) -> torch.Tensor:
        jet: Mapping[Derivative, torch.Tensor] = {
            key: gradient[:, key.component, key.axes[0]] for key in self._flux.keys
        }
        return self._flux(torch.zeros_like(gradient[:, 0]) if points is None else points, dict(jet))

    def stress_torch(self, strain: torch.Tensor) -> torch.Tensor:
        flat = strain.reshape(-1, 3)
        shear = flat[:, 2] / 2
        rows = torch.stack([flat[:, 0], shear, shear, flat[:, 1]], dim=1).reshape(-1, 2, 2)
        flux = self._of_gradient(rows)
        return torch.stack([flux[:, 0, 0], flux[:, 1, 1], flux[:, 0, 1]], dim=1).reshape(strain.shape)
