"""Run the notebooks and write them, with their outputs, as .ipynb and .html.

    python scripts/make_notebooks.py [NAME …] [--out FOLDER]

All of `notebooks/` by default, into `build/notebooks`. With SCIML_NOTEBOOK_QUICK=1 at small sizes. Each runs in a fresh
process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
FOLDER, OUT = ROOT / "notebooks", ROOT / "build" / "notebooks"


def executed(source: Path, *, timeout: float | None = None) -> nbformat.NotebookNode:
    """A notebook with its outputs.

    Parameters
    ----------
    source : Path
        In the percent format.
    timeout : float, optional
        Wall seconds that a cell may take.

    Raises
    ------
    CellExecutionError
        A cell raised; its traceback is the message.
    """
    where = {"metadata": {"path": str(source.parent)}}
    with tempfile.TemporaryDirectory() as sockets:
        # In the file system, so that nobody else on the machine can read or write what goes to and fro.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=str(Path(sockets) / "kernel"))
        return NotebookClient(jupytext.read(source), km=kernel, timeout=timeout, resources=where).execute()


def write(notebook: nbformat.NotebookNode, name: str, folder: Path) -> list[Path]:
    """Write NAME.ipynb and NAME.html; where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.ipynb", folder / f"{name}.html"]
    nbformat.write(notebook, paths[0])
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": name}})
    paths[1].write_text(page, encoding="utf-8")
    return paths


def main() -> int:
    """Run what was asked for; 1 if a notebook fails."""
    parser = argparse.ArgumentParser(description="run notebooks and write .ipynb and .html")
    parser.add_argument("names", nargs="*", help="without .py; all by default")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder (default {OUT.relative_to(ROOT)})")
    asked = parser.parse_args()
    # The package of this working copy, wherever it is installed; small networks want one thread.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = asked.names or sorted(path.stem for path in FOLDER.glob("*.py"))
    for name in names:
        source = FOLDER / f"{name}.py"
        if not source.is_file():
            known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.py")))
            print(f"There is no notebook {name!r}; there are {known}.", file=sys.stderr)
            return 1
        start = time.perf_counter()
        print(f"running {source.relative_to(ROOT)} …", flush=True)
        try:
            notebook = executed(source)
        except CellExecutionError as error:
            print(f"{source.relative_to(ROOT)} failed:\n{error}", file=sys.stderr)
            return 1
        paths = write(notebook, name, asked.out)
        print(f"  {time.perf_counter() - start:.0f} s; wrote {', '.join(map(str, paths))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
