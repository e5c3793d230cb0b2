"""The report of a run: one page of HTML that needs nothing else, and Markdown with the same content."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sciml.benchmark.reading import read_run
from sciml.benchmark.records import Run
from sciml.benchmark.report.blocks import Section
from sciml.benchmark.report.conduct import cannot, compared, failures, gates, provenance, tuning, unfinished
from sciml.benchmark.report.details import bands, error_bars, members, quantities
from sciml.benchmark.report.figures import error_cost, rollouts
from sciml.benchmark.report.results import costs, error_in_time, headline, losses, ranking, time_to_errors
from sciml.benchmark.report.view import View
from sciml.files import atomic_path

__all__ = ["build_report", "render_html", "render_markdown", "write_report"]

_SECTIONS = (
    compared,
    headline,
    error_cost,
    time_to_errors,
    error_in_time,
    costs,
    ranking,
    rollouts,
    bands,
    quantities,
    losses,
    members,
    error_bars,
    gates,
    failures,
    cannot,
    tuning,
    provenance,
)


def write_report(folder: str | Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.md` into the folder of a run, finished or not.

    Parameters
    ----------
    folder : path
        What `sciml benchmark SUITE --out FOLDER` wrote.

    Returns
    -------
    html, markdown : Path

    Raises
    ------
    OutputError
        The folder is no run, or cannot be written to.
    """
    view = View(read_run(folder))
    sections = build_report(view)
    pages = {"report.html": render_html(view, sections), "report.md": render_markdown(view, sections)}
    for name, content in pages.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    html, markdown = (Path(folder) / name for name in pages)
    return html, markdown


def build_report(view: View) -> list[Section]:
    """All sections, in their order."""
    return [section(view) for section in _SECTIONS]


def render_html(view: View, sections: list[Section]) -> str:
    """The page, with its styles and figures in it."""
    return _render("report.html.j2", view, sections)


def render_markdown(view: View, sections: list[Section]) -> str:
    """The same text and tables; a figure is the table of its numbers."""
    return _render("report.md.j2", view, sections)


def _render(template: str, view: View, sections: list[Section]) -> str:
    environment = Environment(
        loader=PackageLoader("sciml.benchmark.report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _markdown_cell
    environment.filters["swatch"] = lambda text: _swatch(view, text)
    return environment.get_template(template).render(
        title=_title(view.run), run=view.run, sections=sections, warnings=unfinished(view)
    )


def _title(run: Run) -> str:
    return run.suite.title or str(run.header.get("title") or run.suite.name)


def _swatch(view: View, text: str) -> str | None:
    """The colour of the candidate that a cell names."""
    return view.colours.get(text.rstrip("◆† "))


def _markdown_cell(text: str) -> str:
    """A text inside of a Markdown table or sentence."""
    for sign in ("\\", "|", "*", "_", "<", "`", "["):
        text = text.replace(sign, f"\\{sign}")
    return text.replace(os.linesep, " ").replace("\n", " ")
