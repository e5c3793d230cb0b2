"""What the jobs of these tests do: each function runs in a process of its own, which imports nothing for it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path


def digest(payload):
    """A number that depends on the payload alone, after some time; leaves the process' number behind."""
    if "pids" in payload:
        (Path(payload["pids"]) / str(os.getpid())).touch()
    time.sleep(payload.get("seconds", 0.0))
    value = int(hashlib.sha256(str(payload["x"]).encode()).hexdigest()[:12], 16)
    return {"value": value / 3.0}


def environment(payload):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "PMI_RANK")
    heavy = sorted({"numpy", "torch", "sciml"} & set(sys.modules))
    return {"environment": {name: os.environ.get(name) for name in names}, "heavy": heavy, "session": os.getsid(0)}


def torch_threads(payload):
    import torch

    return {"threads": torch.get_num_threads()}


def noisy(payload):
    print("x" * 1_000_000)
    print("y" * 1_000_000, file=sys.stderr)
    return {}


def hangs(payload):
    time.sleep(600)


def burns(payload):
    while True:
        sum(range(10_000))


def fills_memory(payload):
    kept = []
    while True:
        kept.append(b"x" * 2**22)


def fills_memory_in_a_child(payload):
    code = "import time; kept = b'x' * 2**28; time.sleep(600)"
    subprocess.run([sys.executable, "-c", code], check=False)


def brief_peak(payload):
    """Over the limit and back again, too quickly to be seen from outside."""
    kept = b"x" * payload["bytes"]
    return {"bytes": len(kept)}


def huge_allocation(payload):
    return {"bytes": len(bytearray(10**13))}


def raises(payload):
    raise ValueError("something\nis wrong")


def raises_of_sciml(payload):
    import sciml.errors

    raise getattr(sciml.errors, payload["name"])("in words")


def out_of_memory_elsewhere(payload):
    try:
        raise MemoryError("72 GiB")
    except MemoryError as error:
        raise RuntimeError("assembly failed") from error


def not_finite(payload):
    return {"errors": {"steps": [1.0, float(payload["value"])]}}


def not_json(payload):
    return {"field": {1.0, 2.0}}


def not_a_dictionary(payload):
    return [1.0]


def segmentation_fault(payload):
    ctypes.string_at(0)


def exits(payload):
    print("last words", file=sys.stderr)
    os._exit(3)


def calls_exit(payload):
    sys.exit(4)


def finds_the_disk_full(payload):
    def full(source, target):
        raise OSError(28, "No space left on device")

    os.link = full
    return {"value": 1}


def leaves_children(payload):
    """Two children, one in a session of its own, that would sleep for long."""
    code = "import time; time.sleep(600)"
    own = [subprocess.Popen([sys.executable, "-c", code], start_new_session=new) for new in (False, True)]
    Path(payload["file"]).write_text(" ".join(str(process.pid) for process in own))
    time.sleep(payload["seconds"])
    return {}


def lingers(payload):
    """Returns, but its process does not end by itself."""
    import atexit

    atexit.register(time.sleep, 600)
    return {"value": 1}


def rank_sum(payload):
    import dolfinx_solver  # noqa: F401
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.rank == payload.get("fails"):
        raise ValueError(f"on rank {world.rank}")
    total = world.allreduce(world.rank + 1)
    (Path(payload["pids"]) / str(os.getpid())).touch()
    time.sleep(payload.get("seconds", 0.0))
    return {"sum": total, "size": world.size}
