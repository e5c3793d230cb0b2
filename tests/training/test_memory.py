"""What fits into memory is known before work starts, and what failed says what would have fitted."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import re
import resource
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch

from sciml.errors import MemoryShortageError, ScimlError
from sciml.training import memory
from sciml.training.memory import (
    available_bytes,
    check_fits,
    chunk_size,
    gauss_newton_bytes,
    jet_bytes,
    largest_fitting,
    shortage_named,
)


def jacobian(points: int) -> int:
    return gauss_newton_bytes(points, 1000)


def test_what_is_left_is_less_than_the_machine_has():
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 1e6 < available_bytes() <= whole


def limited(room: int) -> None:
    """Let this process take so many more bytes of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, resource.RLIM_INFINITY))


def share_left(told: Connection, room: int) -> None:
    limited(room)
    told.send(available_bytes() / room)


def short_of_memory(told: Connection) -> None:
    """A Jacobian that does not fit, refused before work and failing in the middle of it."""
    limited(400_000_000)
    cost = partial(gauss_newton_bytes, parameters=10_000)
    for step in (lambda: check_fits(20_000, cost, what="the Jacobian"), lambda: torch.zeros(20_000, 10_000)):
        try:
            with shortage_named(20_000, cost, what="the Jacobian"):
                step()
        except MemoryShortageError as error:
            told.send(str(error))


def told_by(work: Callable, *arguments: object) -> list:
    """What a process of its own sends."""
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    heard = []
    with contextlib.suppress(EOFError):
        while True:
            heard.append(here.recv())
    process.join()
    return heard


def test_the_limit_of_the_process_counts():
    (left,) = told_by(share_left, 300_000_000)
    assert 0.5 < left <= 1.0


def test_the_limits_of_control_groups_count(tmp_path, monkeypatch):
    """The tightest of nested groups; files that were only read are no use of memory."""
    for name, limit, used, files in (("a", "5000", 1000, 0), ("a/b", "4000", 3000, 500), ("a/b/c", "max", 9000, 0)):
        group = tmp_path / name
        group.mkdir()
        (group / "memory.max").write_text(limit)
        (group / "memory.current").write_text(str(used))
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {files}\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    assert [memory._room_of(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [4000, 1500, math.inf]
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n0::/a/b/c\n")
    monkeypatch.setattr(memory, "_OWN_CGROUP", own)
    assert memory._group_room() == 1500


@pytest.mark.parametrize("points", [1, 7, 1000, 999_983])
def test_chunks(points):
    size = chunk_size(points, 100.0, room=1e5)
    chunks = math.ceil(points / size)
    assert size * 100 <= 0.8e5
    assert chunks == math.ceil(points / 800)
    assert points - (chunks - 1) * size > 0
    assert chunk_size(points, 100.0, room=math.inf) == points


def test_a_chunk_that_does_not_fit():
    with pytest.raises(MemoryShortageError, match="64 points at once need 6.25 KiB and 1e"):
        chunk_size(100, 100.0, room=1000, fewest=64)


def test_the_largest_that_fits():
    for room in (0, 1, 99, 100, 101, 12_345):
        assert largest_fitting(lambda n: n * n, room, 80) == min(80, math.isqrt(room))


def test_a_step_of_gauss_newton_takes_what_is_said():
    """Counted on the tensors that there are: J, the product of the smaller side and its factor."""
    for n, p in ((300, 40), (40, 300)):
        rows = torch.randn(n, p, dtype=torch.float64)
        product = rows @ rows.T if n < p else rows.T @ rows
        factor = torch.linalg.cholesky(product + torch.eye(len(product)))
        assert gauss_newton_bytes(n, p) == sum(t.numel() * t.element_size() for t in (rows, product, factor))
    assert jet_bytes(10, 6, 100) == 10 * jet_bytes(1, 6, 100)


def test_refused_before_work_starts():
    room = jacobian(5000) + 1.0
    check_fits(5000, jacobian, what="the Jacobian", room=room)
    with pytest.raises(MemoryShortageError) as caught:
        check_fits(6000, jacobian, what="the Jacobian", room=room, advice="take the matrix-free solver")
    message = str(caught.value)
    assert message.startswith("The Jacobian of 6000 points needs ")
    assert "5000 points fit, or take the matrix-free solver." in message
    assert isinstance(caught.value, ScimlError)
    with pytest.raises(MemoryShortageError, match="not even one point fits"):
        check_fits(6000, jacobian, what="the Jacobian", room=10.0)


def failures():
    huge = 1 << 60
    yield "Python", partial(bytearray, 1 << 62)
    yield "NumPy", partial(np.empty, huge, dtype=np.uint8)
    yield "torch", partial(torch.empty, huge, dtype=torch.uint8)
    yield "GPU", partial(_raise, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(("name", "fails"), failures())
def test_a_failed_allocation_names_what_fits(name, fails):
    with pytest.raises(MemoryShortageError) as caught, shortage_named(400, jacobian, what="the Jacobian"):
        fails()
    fit = int(re.search(r"(\d+) points fit", str(caught.value))[1])
    assert fit == 200
    assert caught.value.__cause__ is not None


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes") as caught, shortage_named(400, jacobian, what="the Jacobian"):
        raise RuntimeError("shapes do not fit")
    assert not isinstance(caught.value, MemoryShortageError)
    with pytest.raises(MemoryShortageError, match="first"), shortage_named(400, jacobian, what="the Jacobian"):
        raise MemoryShortageError("first")


def test_a_process_that_is_short_of_memory_says_so():
    told = told_by(short_of_memory)
    assert len(told) == 2
    for line in told:
        fit = int(re.search(r"(\d+) points fit", line)[1])
        assert 1000 < fit < 6000
