"""The picture of a roll-out's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["error_figure"]


def error_figure(found: Mapping[str, Any]) -> Figure:
    """Relative L2 errors frame by frame, from two true frames and from the start.

    Parameters
    ----------
    found : mapping
        What :func:`~sciml.surrogates.wave_cnn.evaluation.roll_outs` returns.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    for name, label in (("error_per_frame", "from two true frames"), ("from_start", "from the start, with the source")):
        axis.plot(range(1, len(found[name]) + 1), found[name], ".-", label=label)
    axis.axhline(0.2, color="0.6", linestyle=":")
    axis.set(xlabel="frame", ylabel="relative L2 error", yscale="log")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    return figure
