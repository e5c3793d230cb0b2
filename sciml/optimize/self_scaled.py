"""Self-scaled quasi-Newton methods with a dense inverse Hessian: BFGS and a member of Broyden's family."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sciml.errors import OptionError
from sciml.optimize.options import check_choice, check_whole
from sciml.optimize.quasi_newton import Change, QuasiNewton

__all__ = ["SelfScaledBFGS", "Variant"]

Variant = Literal["bfgs", "broyden"]


class SelfScaledBFGS(QuasiNewton):
    """Quasi-Newton steps whose inverse Hessian H is scaled anew by every update.

    With s the step, y the change of the gradient, B = H⁻¹ and v = s / yᵀs − H y / yᵀHy:

        H ← (H − H y yᵀH / yᵀHy + φ yᵀHy v vᵀ) / τ + s sᵀ / yᵀs.

    ``"bfgs"`` has φ = 1 and τ = min(1, yᵀs / sᵀBs). ``"broyden"`` chooses both, between BFGS and a little beyond DFP on
    either side, so that the eigenvalues of H stay together (`_switched`). Both keep H positive.

    Parameters
    ----------
    variant : str
        ``"broyden"`` or ``"bfgs"``.
    curvature : float
        See `QuasiNewton`.
    memory : int
        Bytes that H may take: 8 P².

    Raises
    ------
    OptionError
        If an option is out of its range, or, at a step, if H does not fit into `memory`.

    References
    ----------
    Al-Baali & Khalfan, Wide interval for efficient self-scaling quasi-Newton algorithms, Optim. Methods Softw. 20
    (2005); Urbán, Stefanou & Pons, J. Comput. Phys. 523 (2025), arXiv:2405.04230.
    """

    name = "self_scaled_bfgs"

    def __init__(self, *, variant: Variant = "broyden", curvature: float = 0.9, memory: int = 2**31) -> None:
        super().__init__(curvature=curvature)
        self._variant = check_choice(self.name, "variant", variant, get_args(Variant))
        self._memory = check_whole(self.name, "memory", memory, 1)
        self._inverse: Tensor | None = None

    def _direction(self, gradient: Tensor) -> Tensor | None:
        size = gradient.element_size() * len(gradient) ** 2
        if size > self._memory:
            raise OptionError(
                f"Optimiser {self.name!r} needs {size / 1e9:.3g} GB for {len(gradient)} parameters, but 'memory' is "
                f"{self._memory / 1e9:.3g} GB; allow more, take a smaller network or the optimiser 'lbfgs'."
            )
        return None if self._inverse is None else -(self._inverse @ gradient)

    def _learn(self, change: Change) -> None:
        s, y, product, model = change.step, change.gradient, change.product, change.model
        inverse = self._inverse
        if inverse is None:
            # The first matrix takes the scale of the curvature just seen, which Bs = −t ∇E does not know yet.
            first = product / float(y @ y)
            inverse = first * torch.eye(len(s), dtype=s.dtype, device=s.device)
            model = float(s @ s) / first
        image = inverse @ y
        quadratic = float(y @ image)
        phi, tau = self._coefficients(model / product, quadratic / product, len(s))
        v = s / product - image / quadratic
        left = torch.stack([-image / (quadratic * tau), (phi * quadratic / tau) * v, s / product], 1)
        self._inverse = (inverse / tau).addmm_(left, torch.stack([image, v, s]))

    def _coefficients(self, b: float, h: float, size: int) -> tuple[float, float]:
        """φ and τ from b = sᵀBs / yᵀs and h = yᵀHy / yᵀs."""
        return (1.0, min(1.0, 1.0 / b)) if self._variant == "bfgs" else _switched(b, h, size)

    def _forget(self) -> None:
        self._inverse = None

    def tensors(self) -> dict[str, Tensor]:
        return {} if self._inverse is None else {"inverse": self._inverse}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._inverse = tensors["inverse"].clone() if "inverse" in tensors else None
        self._last.forget()


def _switched(b: float, h: float, size: int) -> tuple[float, float]:
    """φ and τ of the self-scaled Broyden method.

    θ is the share of DFP in the update of B (0: BFGS, 1: DFP), a = b h − 1 ≥ 0 tells how far y is from B s, and

        ρ = min(1, h (1 − √(a / (1 + a)))),   θ = max((ρ − 1) / a, min(1 / ρ, (1 − b) / b)),
        σ = 1 + θ a,   τ = min(1, 1 / b) · min(σ^{1 / (1 − n)}, 1 / θ)      for θ > 0,
                       τ = min(min(1, 1 / b) · σ^{1 / (1 − n)}, σ)          for θ ≤ 0,

    in n dimensions. σ ≥ ρ > 0 keeps the matrix positive.

    Parameters
    ----------
    b, h : float
        sᵀBs / yᵀs and yᵀHy / yᵀs.
    size : int
        n.

    Returns
    -------
    phi, tau : float
        φ = (1 − θ) / σ, the share of BFGS in the update of H, and τ.
    """
    # b h ≥ 1 by Cauchy and Schwarz; rounding may miss it where y is parallel to B s, where θ does not matter.
    a = max(b * h - 1.0, 1e-14)
    rho = min(1.0, h * (1.0 - math.sqrt(a / (1.0 + a))))
    theta = max((rho - 1.0) / a, min(1.0 / rho, (1.0 - b) / b))
    sigma = 1.0 + theta * a
    largest = min(1.0, 1.0 / b)
    spread = sigma ** (1.0 / (1 - size)) if size > 1 else 1.0
    tau = largest * min(spread, 1.0 / theta) if theta > 0 else min(largest * spread, sigma)
    return (1.0 - theta) / sigma, tau
