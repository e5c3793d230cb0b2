"""Everything that `sciml` raises on purpose.

One root, :class:`ScimlError`; each subclass also inherits the built-in that it refines, so that
``except ValueError`` keeps working. A message is one sentence that says what was given, what is
allowed and what to do.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ConditionError",
    "DeclarationError",
    "DivergenceError",
    "DomainError",
    "Interrupted",
    "MemoryShortageError",
    "MeshError",
    "MissingPackageError",
    "OptionError",
    "OutputError",
    "ParameterError",
    "SchedulerError",
    "ScimlError",
    "ScimlWarning",
    "SuiteError",
    "UndefinedFieldError",
    "UnknownNameError",
    "UnsupportedError",
    "UnsupportedExpressionError",
    "unknown_name",
]


class ScimlError(Exception):
    """Root of all errors that this package raises on purpose."""


class ScimlWarning(UserWarning):
    """Root of all warnings that this package gives."""


class DeclarationError(ScimlError, ValueError):
    """A problem is declared inconsistently (wrong shapes, missing law, two laws)."""


class UnsupportedExpressionError(DeclarationError, NotImplementedError):
    """A UFL node has no rule in the compiler; the message names the node."""


class ConditionError(DeclarationError):
    """Boundary conditions that do not fit the domain or leave the problem singular."""


class ParameterError(ScimlError, ValueError):
    """A parameter value of the wrong type, not finite, or out of its range."""


class OptionError(ScimlError, ValueError):
    """A solver option that does not exist or has a value that is not allowed."""


class DomainError(ScimlError, ValueError):
    """A domain that cannot be used as asked (unknown boundary name, wrong dimension)."""


class MeshError(DomainError):
    """A mesh file or mesh that cannot be used."""


class UnknownNameError(ScimlError, LookupError):
    """A name that no problem, solver or parameter has; the message offers the nearest one."""


class UnsupportedError(ScimlError, ValueError):
    """A solver was asked for a problem that it cannot do; the message says who can."""


class UndefinedFieldError(UnsupportedError):
    """A field has no finite value at some of the points where it is looked at."""


class OutputError(ScimlError, OSError):
    """An output folder or file that must not be overwritten, or cannot be written or read."""


class SuiteError(ScimlError, ValueError):
    """A benchmark suite that cannot be run as it is written; the message names the line where there is one."""


class MissingPackageError(ScimlError, ImportError):
    """An optional part needs a package that is not installed; the message says how to get it."""


class MemoryShortageError(ScimlError, MemoryError):
    """Work that does not fit into the memory that is left; the message names a size that does."""


class SchedulerError(ScimlError, ConnectionError):
    """A scheduler that cannot be reached, was lost, or whose workers cannot run what they are sent."""


class DivergenceError(ScimlError, ArithmeticError):
    """A solve that failed numerically.

    Attributes
    ----------
    solution : Solution or None
        What had been computed until then, where there is something.
    """

    def __init__(self, message: str, solution: object | None = None) -> None:
        super().__init__(message)
        self.solution = solution


class Interrupted(KeyboardInterrupt):
    """A run was asked to end by a signal; the message says how it is continued.

    It is no error: ``except Exception`` lets it pass, as any other Ctrl-C.

    Attributes
    ----------
    number : signal.Signals
        SIGINT or SIGTERM.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the error for an unknown name, with the nearest known one or the whole short list.

    Parameters
    ----------
    kind : str
        What was looked for, as the user would say it ("problem", "solver option").
    name : str
        What was given.
    known : iterable of str
        The names that exist.
    hint : str
        An extra half sentence on where to look.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        advice = f"did you mean {near[0]!r}?"
    elif not names:
        advice = "there are none."
    elif len(names) <= 20:
        advice = "known: " + ", ".join(names) + "."
    else:
        advice = f"there are {len(names)} others."
    return UnknownNameError(f"There is no {kind} named {name!r}; {advice}{' ' + hint if hint else ''}")
