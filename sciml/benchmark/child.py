"""A cell's own process: ``python -P child.py FOLDER PARENT [LAUNCHER …]``.

It reads ``FOLDER/request.json``, calls the function named there, and writes ``FOLDER/outcome.json`` at once and whole.
It is run by its path and imports nothing of the package, so that limits hold before the first import and start-up
costs nothing that the function does not need itself. With a launcher (``mpiexec -n 2``) it binds itself to its parent
and becomes that launcher, which starts it again on every rank; the first outcome of a rank is the one that counts.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

BEGUN, REQUEST, OUTCOME = "begun", "request.json", "outcome.json"
UNWRITABLE = 74
"""Exit code where there is an outcome but no room to write it."""

# Of Linux' prctl(2).
_PARENT_DEATH_SIGNAL, _CHILD_SUBREAPER = 1, 36
_LOOK_FOR_PARENT = 0.5


def main() -> None:
    """Entry point of the process."""
    folder, parent, launcher = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    _die_with(parent or os.getppid())
    if launcher:
        os.execv(launcher[0], [*launcher, sys.executable, "-P", __file__, folder, "0"])
    with open(os.path.join(folder, BEGUN), "w", encoding="utf-8") as file:
        file.write(repr(time.monotonic()))
    with open(os.path.join(folder, REQUEST), encoding="utf-8") as file:
        request = json.load(file)
    outcome = _attempt(request)
    ranks = [os.environ[name] for name in request["ranks"] if name in os.environ]
    if outcome["reason"] is not None or all(rank == "0" for rank in ranks):
        _hand_over(folder, outcome)
    _leave(outcome, launched=bool(ranks))


def _hand_over(folder: str, outcome: dict[str, Any]) -> None:
    """Write the whole file or none, and only if no other rank has."""
    path = os.path.join(folder, OUTCOME)
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(outcome, file, allow_nan=False)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    except OSError as error:
        os.write(2, f"{error}\n".encode())
        os._exit(UNWRITABLE)


def _leave(outcome: dict[str, Any], *, launched: bool) -> None:
    """End the process: on its own without taking the interpreter apart, which can take a second.

    A rank that fails does not wait for others that wait for it: the launcher ends them.
    """
    if outcome["reason"] is None and launched:
        return  # MPI is finalised at the very end
    if not launched:
        atexit._run_exitfuncs()
    os._exit(0 if outcome["reason"] is None else 1)


def _die_with(parent: int) -> None:
    """Be killed when the parent dies, and adopt whatever own children leave behind."""
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT)
    os._exit(1)


def _attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Call the function; what it returned or why it failed, and how long that took."""
    _set_limits(request)
    sys.path[:] = request["path"]
    start = time.monotonic()
    imported = None
    result, reason, message = None, None, ""
    try:
        function = _load(request["function"])
        imported = time.monotonic()
        _pin_torch(request["threads"])
        result = function(request["payload"])
        reason, message = _check(result, request["function"])
    except Exception as error:
        reason, message = classify(error)
    end = time.monotonic()
    return {
        "result": None if reason else result,
        "reason": reason,
        "message": message,
        "import_seconds": (imported or end) - start,
        "function_seconds": end - (imported or end),
        "peak_memory": _peak_memory(),
    }


def _set_limits(request: dict[str, Any]) -> None:
    """Backstops for what the watching parent could see too late: one huge allocation, a parent that is stopped."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, request["cpu_backstop"])
    if request["data_backstop"] is not None:
        _lower(resource.RLIMIT_DATA, request["data_backstop"])


def _lower(kind: int, bound: int) -> None:
    _, hard = resource.getrlimit(kind)
    with contextlib.suppress(ValueError, OSError):  # systems that know no such limit
        resource.setrlimit(kind, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


def _load(name: str) -> Callable[[dict[str, Any]], Any]:
    place, _, attribute = name.rpartition(":")
    if not place.endswith(".py"):
        return getattr(importlib.import_module(place), attribute)
    title = "cell_" + os.path.basename(place)[:-3]
    spec = spec_from_file_location(title, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[title] = module
    spec.loader.exec_module(module)
    return getattr(module, attribute)


def _pin_torch(threads: int) -> None:
    """Torch reads the environment when it is imported; this is for what has changed it since."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _check(result: Any, function: str) -> tuple[str | None, str]:
    """A reason to refuse a result, if there is one."""
    if not isinstance(result, dict):
        return "error", f"{function} returned a {type(result).__name__}, but a cell returns a dictionary."
    try:
        json.dumps(result, allow_nan=False)
    except TypeError as error:
        return "error", f"{function} returned something that is not JSON: {error}."
    except ValueError:
        path, value = next(_not_finite(result), ("a value", "not finite"))
        return "not_finite", f"{path} of the result is {value}."
    return None, ""


def _not_finite(value: Any, path: str = "") -> Any:
    """Key path and value of every number that is none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, value


def classify(error: BaseException) -> tuple[str, str]:
    """The typed reason of an exception, and one sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    if any(map(_is_out_of_memory, _causes(error))):
        return "memory", f"Memory ran out: {text}"
    errors = sys.modules.get("sciml.errors")
    if errors is not None:
        if isinstance(error, errors.DivergenceError):
            return "diverged", text
        if isinstance(error, errors.UnsupportedError):
            return "unsupported", text
    return "error", f"{type(error).__name__}: {text}{_place(error)}"


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__


def _is_out_of_memory(error: BaseException) -> bool:
    petsc_out_of_memory = 55
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator: can't allocate memory" in str(error)
        or (type(error).__module__.startswith("petsc4py") and getattr(error, "ierr", 0) == petsc_out_of_memory)
    )


def _place(error: BaseException) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"


def _peak_memory() -> int:
    """Bytes; not ``ru_maxrss`` where it can be helped, which a new process takes over from the one that started it."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
