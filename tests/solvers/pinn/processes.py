"""Processes that begin where a test is, without importing or compiling anything anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def start(work: Callable[[], object]) -> int:
    """A copy of this process that does some work; nothing is imported or compiled anew."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def in_a_process(module: str, call: str, folder: Path) -> Any:
    """What a function of a module of these tests returns, in a process with one thread, which may fork."""
    code = (
        f"import json, sys, torch; sys.path.insert(0, {str(Path(__file__).parent)!r}); torch.set_num_threads(1)\n"
        f"import pathlib, {module}\n"
        f"print(json.dumps({module}.{call.format(folder=f'pathlib.Path({str(folder)!r})')}))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
