"""All FFCx compilation goes through here: cached in memory and on disk, safe against killed compiles."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ufl
from dolfinx import fem
from mpi4py import MPI

__all__ = ["cache_folder", "compile_form", "compile_seconds"]

_TIMEOUT = 60
_compiled: dict[str, fem.forms.CompiledForm] = {}
_spent = 0.0


def cache_folder() -> Path:
    """Where compiled forms are kept: ``$XDG_CACHE_HOME/sciml/forms``, or below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sciml" / "forms"


def compile_seconds() -> float:
    """Seconds that this process has spent in compiling (or loading) forms so far."""
    return _spent


def compile_form(form: ufl.Form, comm: MPI.Intracomm) -> fem.forms.CompiledForm:
    """Compile a form that is not bound to data yet.

    Forms that differ only in which symbols they use share one compilation: the result carries the
    symbols of the form given.
    """
    global _spent
    signature = str(form.signature())
    if signature not in _compiled:
        start = time.perf_counter()
        try:
            with _compiling(comm, alone=False):
                _compiled[signature] = _compile(form, comm)
        except TimeoutError:
            # Somebody else's compile was killed while this one waited for it.
            with _compiling(comm, alone=True):
                _compiled[signature] = _compile(form, comm)
        _spent += time.perf_counter() - start
    known = _compiled[signature]
    return fem.forms.CompiledForm(form, known.ufcx_form, known.module, known.code, known.dtype)


def _compile(form: ufl.Form, comm: MPI.Intracomm) -> fem.forms.CompiledForm:
    return fem.forms.compile_form(
        comm,
        form,
        form_compiler_options={"scalar_type": "float64"},
        jit_options={"cache_dir": str(cache_folder()), "timeout": _TIMEOUT},
    )


@contextmanager
def _compiling(comm: MPI.Intracomm, *, alone: bool) -> Iterator[None]:
    """Say that this process compiles, and clear what killed compiles left behind.

    FFCx marks a form as being compiled by a ``.c`` file and as ready by a ``.c.cached`` file. A killed
    compile leaves the first without the second, and every later run waits for it in vain. Compiling processes share a
    lock; who can have it alone knows that nobody compiles, so that such files are stale.
    """
    if comm.rank != 0:
        yield
        return
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            for source in folder.glob("*.c"):
                if not source.with_suffix(".c.cached").exists():
                    source.unlink(missing_ok=True)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
