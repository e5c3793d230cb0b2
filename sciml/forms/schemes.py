"""Which time integrator suits which law."""

from __future__ import annotations

from dataclasses import dataclass

from sciml.errors import OptionError
from sciml.forms.balance import constrained_fields
from sciml.problem import Problem

__all__ = ["SCHEMES", "Scheme", "choose_scheme"]

SCHEMES = {1: ("theta", "bdf2"), 2: ("newmark", "generalised_alpha", "explicit")}


@dataclass(frozen=True)
class Scheme:
    """A time integrator with its parameters.

    Attributes
    ----------
    name : str
        One of :data:`SCHEMES`, by the law's order in time.
    theta : float
        Of the θ-method.
    rho_infinity : float
        Of generalised-α: 1 keeps all frequencies, 0 removes the highest in one step.
    """

    name: str
    theta: float = 0.5
    rho_infinity: float = 0.8

    @property
    def order(self) -> int:
        """Order of convergence in the step."""
        return 1 if self.name == "theta" and self.theta != 0.5 else 2


def choose_scheme(problem: Problem, name: str = "auto", theta: float = 0.5, rho_infinity: float = 0.8) -> Scheme:
    """The scheme asked for; by default BDF2 for laws with ∂u/∂t alone (damps what it does not resolve), else Newmark.

    Raises
    ------
    OptionError
        The scheme is for laws of another order in time.
    """
    order = 2 if problem.declaration.mass is not None else 1
    if name == "auto":
        name = {1: "bdf2", 2: "newmark"}[order]
    constrained = constrained_fields(problem)
    if constrained and name in SCHEMES[order] and not (name == "bdf2" or (name == "theta" and theta == 1)):
        raise OptionError(
            f"scheme={name} needs a start of {constrained[0].name!r}, which no time derivative acts on: take bdf2 or "
            f"theta with theta=1, and laws with ∂u/∂t alone."
        )
    if name not in SCHEMES[order]:
        law = {1: "∂u/∂t alone", 2: "∂²u/∂t²"}[order]
        raise OptionError(f"scheme={name} does not fit a law with {law}; allowed are {', '.join(SCHEMES[order])}.")
    return Scheme(name, theta, rho_infinity)
