"""A twin of lumped P1 waves that knows no finite elements: a stencil of fluxes through the edges of a square grid.

Each square of the grid is cut along its diagonal from the lower left to the upper right corner; `lower[i, j]` and
`upper[i, j]` are c² in its two triangles. What flows from a node to the next is the mean of c² in the two triangles
that share the edge, times the difference of u: −K_ij of the stiffness matrix. Diagonals carry no flux.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class FluxStencil:
    """u_tt = div(c² ∇u) + place(x) pulse(t) on (0, 1)², central differences from rest.

    Parameters
    ----------
    lower, upper : (n, n) arrays
        c² in the triangles, first axis x.
    load : (n + 1, n + 1) array
        ∫ place φᵢ dx.
    pulse : function
        Of the time.
    held : bool
        u = 0 on the boundary; absorbing sides else.
    impedance : dict of arrays, optional
        c along each side, a value per edge of the grid: left, right, bottom, top.
    """

    def __init__(
        self,
        lower: np.ndarray,
        upper: np.ndarray,
        load: np.ndarray,
        pulse: Callable[[float], float],
        impedance: dict[str, np.ndarray] | None = None,
    ) -> None:
        n = len(lower)
        self.pulse, self.load, self.held = pulse, load, impedance is None
        # Edges along x have a lower triangle above them and an upper one below; edges along y the reverse.
        self.along_x, self.along_y = np.zeros((n, n + 1)), np.zeros((n + 1, n))
        self.along_x[:, :-1] += lower / 2
        self.along_x[:, 1:] += upper / 2
        self.along_y[:-1] += upper / 2
        self.along_y[1:] += lower / 2
        self.mass = np.zeros((n + 1, n + 1))
        for corner in ((0, 0), (1, 0), (1, 1), (0, 0), (0, 1), (1, 1)):
            self.mass[corner[0] : n + corner[0], corner[1] : n + corner[1]] += 1 / (6 * n**2)
        self.damping = np.zeros((n + 1, n + 1))
        sides = {"left": np.s_[0, :], "right": np.s_[-1, :], "bottom": np.s_[:, 0], "top": np.s_[:, -1]}
        for name, values in (impedance or {}).items():
            self.damping[sides[name]][:-1] += values / (2 * n)
            self.damping[sides[name]][1:] += values / (2 * n)

    def divergence(self, u: np.ndarray) -> np.ndarray:
        """What flows into each node."""
        x, y = self.along_x * np.diff(u, axis=0), self.along_y * np.diff(u, axis=1)
        out = np.zeros_like(u)
        out[:-1] += x
        out[1:] -= x
        out[:, :-1] += y
        out[:, 1:] -= y
        return out

    def march(self, duration: float, steps: int) -> np.ndarray:
        """Values of u at the end."""
        dt = duration / steps
        u = np.zeros_like(self.mass)
        before = 0.5 * dt**2 * self.load * self.pulse(0.0) / self.mass
        if self.held:
            before = _without_edge(before)
        for k in range(steps):
            force = self.divergence(u) + self.load * self.pulse(k * dt)
            right = 2 * self.mass / dt**2 * u - (self.mass / dt**2 - self.damping / (2 * dt)) * before + force
            before, u = u, right / (self.mass / dt**2 + self.damping / (2 * dt))
            if self.held:
                u = _without_edge(u)
        return u


def _without_edge(u: np.ndarray) -> np.ndarray:
    return np.pad(u[1:-1, 1:-1], 1)


def hat_integrals(place: Callable[[np.ndarray, np.ndarray], np.ndarray], n: int, order: int = 8) -> np.ndarray:
    """∫ place φᵢ dx for the hat functions φᵢ of the cut squares, by Gauss's rule on collapsed squares."""
    points, weights = np.polynomial.legendre.leggauss(order)
    points, weights = (points + 1) / 2, weights / 2
    r, s = (a.ravel() for a in np.meshgrid(points, points, indexing="ij"))
    # r, r s are the coordinates of a point in the triangle (0, 0), (1, 0), (1, 1); its area element is r.
    weight = np.outer(weights, weights).ravel() * r / n**2
    corners = np.arange(n) / n
    out = np.zeros((n + 1, n + 1))
    for a, b, vertices in ((r, r * s, ((0, 0), (1, 0), (1, 1))), (r * s, r, ((0, 0), (0, 1), (1, 1)))):
        values = place(corners[:, None, None] + a / n, corners[None, :, None] + b / n) * weight
        hats = (1 - r, r * (1 - s), r * s)
        for (i, j), hat in zip(vertices, hats):
            out[i : n + i, j : n + j] += (values * hat).sum(axis=-1)
    return out


def at_centroids(speed_squared: Callable[[np.ndarray], np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """c² at the centres of the lower and upper triangles; `speed_squared` takes points (m, 2)."""
    corner = np.arange(n) / n
    found = []
    for a, b in ((2, 1), (1, 2)):
        x, y = np.meshgrid(corner + a / (3 * n), corner + b / (3 * n), indexing="ij")
        found.append(speed_squared(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(n, n))
    return found[0], found[1]


def ricker(frequency: float) -> Callable[[float], float]:
    """(1 − 2a) e^(−a) with a = (π frequency (t − 1.2/frequency))²."""

    def pulse(t: float) -> float:
        a = (np.pi * frequency * (t - 1.2 / frequency)) ** 2
        return float((1 - 2 * a) * np.exp(-a))

    return pulse
