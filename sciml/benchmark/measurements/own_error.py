"""How well the reference measures its own error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sciml import load_problem, solve

Case = tuple[str, dict[str, Any], dict[str, Any]]


def own_error() -> dict[str, float]:
    """The reference's measured error over the true one, on smooth, curved, singular, layered and advected solutions.

    Returns
    -------
    dict
        ``PROBLEM OPTIONS in L2`` and ``… in H1``: the ratio, 1 where the reference knows its error exactly.
    """
    figures = {}
    for name, parameters, options in _cases():
        solution = solve(load_problem(name, **parameters), "fenics", **options)
        true, own = solution.error(), solution.error_estimate
        assert own is not None
        label = " ".join([name, *(f"{key}={value}" for key, value in (parameters | options).items())])
        figures[f"{label} in L2"] = own.relative_l2 / true.relative_l2
        figures[f"{label} in H1"] = own.relative_h1 / true.relative_h1
    return figures


def _cases() -> Iterator[Case]:
    for degree in (1, 2):
        for refine in (0, 2, 3):
            yield "poisson/l_shape", {}, {"degree": degree, "refine": refine}
    for degree in (1, 2, 3):
        for dim in (1, 2):
            yield "poisson/sine", {"dim": dim}, {"degree": degree, "cells": 16}
    for degree in (1, 2):
        yield "nonlinear/minimal_surface", {}, {"degree": degree, "cells": 32}
        yield "elasticity/plate_with_hole", {}, {"degree": degree, "refine": 0}
    yield "poisson/peak", {}, {"degree": 2, "cells": 128}
    yield "advection_diffusion/two_peaks", {}, {"degree": 2, "cells": 128}
    yield "advection_diffusion/boundary_layer", {}, {"degree": 1, "cells": 32}
    yield "advection_diffusion/corner_layers", {}, {"degree": 2, "cells": 32}
    yield "advection/inflow", {}, {"degree": 2, "cells": 32, "steps": 2048}
    for degree in (1, 2, 3):
        for cells in (16, 32):
            yield "advection/quarter_turn", {}, {"degree": degree, "cells": cells}
    for degree, cells in ((1, 64), (2, 32), (3, 32)):
        yield "advection/skew_layer", {}, {"degree": degree, "cells": cells}
