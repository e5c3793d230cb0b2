"""One step after the other, within a budget, with checkpoints: what all trainings share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sciml.errors import Interrupted, OptionError
from sciml.training.course import Course, Verdict
from sciml.training.interrupt import Interrupts
from sciml.training.state import TrainingState

__all__ = ["Ending", "Report", "train"]

_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Report:
    """What a step says when it is done.

    Attributes
    ----------
    loss : float
        After the step.
    phase, text : str
        For people: what is being done ("Gauss–Newton"), and what there is to say besides the loss.
    ended : (status, reason) or None
        "converged" or "stagnated", and half a sentence, if no further step makes sense.
    """

    loss: float
    phase: str = "training"
    text: str = ""
    ended: tuple[Verdict, str] | None = None


@dataclass(frozen=True)
class Ending:
    """How a training ended.

    Attributes
    ----------
    status : {"converged", "budget_reached", "stagnated", "diverged"}
    reason : str
        Half a sentence.
    """

    status: Verdict
    reason: str


def train(
    step: Callable[[], Report],
    state: TrainingState,
    *,
    steps: int,
    cpu_seconds: float | None = None,
    checkpoint_every: float = 30.0,
    folder: Path | None = None,
    report: Callable[[Course, Report], None] | None = None,
    interrupts: Interrupts | None = None,
    agree: Callable[[float], float] = float,
) -> Ending:
    """Make steps until there is nothing more to do or the budget is used.

    A training that goes on from a checkpoint (``state.load(folder)`` before) counts on: steps, CPU seconds and the
    history are those of the whole. It takes the same steps as one that was not interrupted if `step` depends on the
    parts of the state and on ``state.course.steps`` alone. Nothing in it may depend on time: CPU seconds decide when
    a checkpoint is written and whether there is a next step, and nothing else.

    Parameters
    ----------
    step : callable
        Changes the parts of `state` and reports.
    state : TrainingState
    steps : int
        In all, those before a checkpoint too.
    cpu_seconds : float, optional
        In all; the step in which they are used up is finished.
    checkpoint_every : float
        CPU seconds between two checkpoints. There is one at the end too.
    folder : Path, optional
        Of the checkpoints. Without it none are written.
    report : callable, optional
        Takes the course and the report of a step, at most five times a second and after the last one.
    interrupts : Interrupts, optional
        Entered by the caller.
    agree : callable
        With several processes: the largest of a number on all of them, so that all stop after the same step
        (:func:`~sciml.training.distributed.largest`). Only one of them should have a folder.

    Returns
    -------
    Ending
        "diverged" if a loss was not finite: then no checkpoint is written, the one before it stays.

    Raises
    ------
    OptionError
        A budget that is not positive.
    Interrupted
        After SIGTERM or Ctrl-C, when the step is finished and the checkpoint written.
    OutputError
        The folder cannot be written.
    """
    if steps < 1 or not (cpu_seconds is None or cpu_seconds > 0) or not checkpoint_every >= 0:
        raise OptionError(
            f"steps={steps}, cpu_seconds={cpu_seconds} and checkpoint_every={checkpoint_every} are no budget; give at "
            f"least one step, CPU seconds above 0 or None, and a span between checkpoints that is not negative."
        )
    run = _Run(step, state, folder, report, interrupts, agree)
    while (ending := run.ending(steps, cpu_seconds)) is None:
        run.advance()
        run.leave_if_asked()
        run.save_if_due(checkpoint_every)
    run.finish(ending)
    return ending


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        step: Callable[[], Report],
        state: TrainingState,
        folder: Path | None,
        report: Callable[[Course, Report], None] | None,
        interrupts: Interrupts | None,
        agree: Callable[[float], float],
    ) -> None:
        self.step, self.state, self.folder, self.report = step, state, folder, report
        self.interrupts, self.agree = interrupts, agree
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        self.saved_at, self.saved_steps = state.course.cpu_seconds, state.course.steps
        self.reported = -math.inf
        self.last: Report | None = None

    def advance(self) -> None:
        """Make one step and book it."""
        course = self.state.course
        self.last = self.step()
        if not math.isfinite(self.last.loss):
            course.verdict = ["diverged", f"the loss became {self.last.loss} in the step after {course}"]
        else:
            course.record(float(self.last.loss))
            if self.last.ended is not None:
                course.verdict = list(self.last.ended)
        self._clock()
        if self.report is not None and time.monotonic() - self.reported >= _SECONDS_BETWEEN_REPORTS:
            self.reported = time.monotonic()
            self.report(course, self.last)

    def ending(self, steps: int, cpu_seconds: float | None) -> Ending | None:
        """Status and reason, once there is one."""
        course = self.state.course
        if course.verdict is not None:
            status, reason = course.verdict
            return Ending(status, reason)  # type: ignore[arg-type]
        if course.steps >= steps:
            return Ending("budget_reached", f"all {course} made")
        if cpu_seconds is not None and course.cpu_seconds >= cpu_seconds:
            return Ending(
                "budget_reached", f"{course.cpu_seconds:.3g} of {cpu_seconds:g} CPU seconds used after {course}"
            )
        return None

    def leave_if_asked(self) -> None:
        """Save and raise, if a signal has arrived in any of the processes."""
        received = None if self.interrupts is None else self.interrupts.received
        number = int(self.agree(float(received or 0)))
        if not number:
            return
        self._save()
        place = f"{str(self.folder)!r} holds the state; resume = True with the same folder goes on from there."
        advice = place if self.folder is not None else "nothing was kept, since no folder was given."
        raise Interrupted(f"The training was interrupted after {self.state.course}; {advice}", number)

    def save_if_due(self, every: float) -> None:
        """Write a checkpoint if the last one is long ago."""
        if self.state.course.cpu_seconds - self.saved_at >= every:
            self._save()

    def finish(self, ending: Ending) -> None:
        """Save what is there, and report it."""
        self._save()
        if self.report is not None and self.last is not None:
            self.report(self.state.course, self.last)

    def _save(self) -> None:
        course = self.state.course
        diverged = course.verdict is not None and course.verdict[0] == "diverged"
        if self.folder is None or diverged or self.saved_steps == course.steps:
            return
        self.state.save(self.folder)
        self.saved_at, self.saved_steps = course.cpu_seconds, course.steps

    def _clock(self) -> None:
        """Book the time since the last look at the clocks; of several processes the slowest counts."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.state.course.cpu_seconds += self.agree(cpu - self.cpu)
        self.state.course.wall_seconds += wall - self.wall
        self.cpu, self.wall = cpu, wall
