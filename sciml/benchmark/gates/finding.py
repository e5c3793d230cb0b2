"""What a gate finds, and how a gate is made of its objections."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from sciml.benchmark.records import Run

__all__ = ["Finding", "Gate", "Unranked", "broken", "gate", "kept", "several", "unchecked"]


@dataclass(frozen=True)
class Unranked:
    """What is not ranked: all that matches the fields that are given (a task's key, a method, a row's key)."""

    task: str | None = None
    method: str | None = None
    row: str | None = None

    def matches(self, task: str, method: str, row: str | None) -> bool:
        """Whether a method on a task (or one row of it) falls under this."""
        return (
            self.task in (None, task)
            and self.method in (None, method)
            and (self.row is None or (row is not None and self.row == row))
        )


@dataclass(frozen=True)
class Finding:
    """What a gate found.

    Attributes
    ----------
    gate : str
    outcome : {"kept", "broken", "not checked"}
    reason : str
        One sentence.
    unranks : tuple of Unranked
    """

    gate: str
    outcome: Literal["kept", "broken", "not checked"]
    reason: str
    unranks: tuple[Unranked, ...] = ()


Gate = Callable[[Run], list[Finding]]


def gate(name: str, kept: str) -> Callable[[Callable[[Run], Iterator[Finding]]], Gate]:
    """Make a gate of a generator of objections: without any, it is kept."""

    def wrap(check: Callable[[Run], Iterator[Finding]]) -> Gate:
        @functools.wraps(check)
        def gate(run: Run) -> list[Finding]:
            found = [replace(finding, gate=name) for finding in check(run)]
            return found or [Finding(name, "kept", kept)]

        return gate

    return wrap


def broken(reason: str, *unranks: Unranked) -> Finding:
    """An objection, and what it leaves unranked."""
    return Finding("", "broken", reason, unranks)


def kept(reason: str) -> Finding:
    """Something to say about a gate that is kept."""
    return Finding("", "kept", reason)


def unchecked(reason: str) -> Finding:
    """Why a gate could not be checked."""
    return Finding("", "not checked", reason)


def several(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
