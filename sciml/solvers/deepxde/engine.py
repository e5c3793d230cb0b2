"""Train a network with DeepXDE: Adam, then L-BFGS, in chunks that can be watched, stopped and resumed.

The schedule. Training runs in chunks of ``options.chunk`` iterations, each one call of
``deepxde.Model.train``. All Adam iterations come first, then L-BFGS starts. With the sampler "rar", a
round of refinement comes after every ``rar_every`` iterations, over both phases: Adam goes on with the
moments that it has; L-BFGS starts afresh, since its history belongs to the old loss. Where L-BFGS has
converged or stagnated and there is room for more points, the next round comes at once.

Chunks end at rounds and at the ends of phases, so where they end follows from the options alone. Limits,
``stop``, checkpoints and the history of losses are looked after between two chunks. Hence a training
that was stopped and resumed goes through the same states, to the last bit, as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from sciml.errors import OptionError, OutputError
from sciml.solvers.deepxde.collocation import add_worst_points
from sciml.solvers.deepxde.isolation import isolated
from sciml.solvers.deepxde.ledger import Ledger
from sciml.solvers.deepxde.optimisation import NonFiniteLossError, Optimisation
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.process import termination_raises
from sciml.solvers.deepxde.records import Phase, Progress, Status, Training, TrainingResult
from sciml.solvers.deepxde.state import fingerprint
from sciml.training.checkpoint import checkpoint_folder, load_checkpoint, save_checkpoint

__all__ = ["train"]

_SECONDS_BETWEEN_REPORTS = 0.2
_REFINEMENT = 1  # names the random stream of the candidates, apart from DeepXDE's own


def train(
    training: Training,
    options: TrainingOptions,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    resume: bool = False,
) -> TrainingResult:
    """Train a network until it has converged or a limit is reached.

    Parameters
    ----------
    training : Training
        Residuals, conditions and points.
    options : TrainingOptions
        Network, optimisers, sampler, limits.
    progress : callable, optional
        Gets a `Progress` at most five times a second, and one at the end.
    stop : callable, optional
        Asked after every chunk; training ends when it returns true.
    resume : bool
        Go on from the newest intact checkpoint of ``options.checkpoint``. Options other than the limits
        `lbfgs` and `cpu_seconds` must be those of the first part. With the same limits, number of
        threads and versions, the outcome on a CPU is the one without interruption, bit by bit.

    Returns
    -------
    TrainingResult
        Also for a training that diverged.

    Raises
    ------
    OptionError
        If options don't fit the training, or differ from those of the checkpoint.
    OutputError
        If the checkpoint folder cannot be written, has no usable checkpoint to resume, or already has
        one and `resume` is false.
    DeclarationError
        If residuals or candidates have the wrong shape.

    Notes
    -----
    With a checkpoint folder, an exception (also ``KeyboardInterrupt``, and SIGTERM in the main thread)
    leaves the state at the end of the last chunk there, and is raised again.
    """
    folder = checkpoint_folder(options.checkpoint, resume)
    if options.rar_max_points is not None and options.rar_max_points < len(training.interior):
        raise OptionError(
            f"rar_max_points = {options.rar_max_points} is below the {len(training.interior)} initial "
            "collocation points; give at least as many."
        )
    with (
        termination_raises(folder is not None),
        isolated(dtype=options.dtype, device=options.device, seed=options.seed) as deepxde,
    ):
        run = _Run(deepxde, training, options, progress, stop, folder)
        return run.result(*run.to_the_end(folder if resume else None))


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        deepxde: ModuleType,
        training: Training,
        options: TrainingOptions,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
        folder: Path | None,
    ) -> None:
        self.cpu_start, self.wall_start = time.process_time(), time.perf_counter()
        self.training, self.options, self.folder = training, options, folder
        self.progress, self.stop = progress, stop
        self.ledger = Ledger()
        self.optimisation = Optimisation(deepxde, training, options, self.report)
        self.fingerprint = fingerprint(training, options, self.optimisation.net)
        self.stopped, self.reported, self.saved_at = False, -np.inf, 0.0
        self.max_points = options.rar_max_points or 2 * len(training.interior)

    def to_the_end(self, resumed: Path | None) -> tuple[Status, str]:
        """Make chunk after chunk, from the start or from where a folder's checkpoint is."""
        if resumed is not None:
            self.restore(resumed)
        self.keep()
        try:
            if resumed is None:
                self.ledger.record(self.optimisation.evaluate())
                self.keep()
                self.save()
            while (ended := self.ledger.ending(self.options, self.stopped)) is None:
                self.step()
            self.keep()
            self.save()
        except NonFiniteLossError as error:
            self.optimisation.restore_network(self.kept[0])
            self.save()
            first = "at the initial weights" if not self.ledger.losses else None
            ended = "diverged", f"{error} {first or f'in the chunk after {self.ledger}'}"
        except BaseException as error:
            self.rescue(error)
            raise
        return ended

    def step(self) -> None:
        """Make one chunk, and look after everything that is due at its end."""
        ledger, options, before = self.ledger, self.options, self.ledger.loss
        if self.room() and ledger.since_round >= options.rar_every:
            self.refine()
            before = np.inf
        phase, length = ledger.next_chunk(options, self.room())
        if self.optimisation.phase != phase:
            self.optimisation.compile(phase)
        done, exhausted = self.optimisation.advance(length)
        losses = self.optimisation.losses()
        ledger.count(phase, done)
        ledger.record(losses)
        if phase == "lbfgs":
            ledger.judge(options, before, done, early=done < length and not exhausted, room=self.room())
        self.keep()
        due = ledger.cpu_seconds - self.saved_at >= options.checkpoint_every
        if due or ledger.remaining(options, phase) <= 0:
            self.save()
        self.stopped = self.stop is not None and bool(self.stop())

    def room(self) -> int:
        """How many collocation points may still be added."""
        if self.options.sampler == "fixed":
            return 0
        return max(0, self.max_points - len(self.optimisation.data.train_x_all))

    def refine(self) -> None:
        """Add the points with the largest residuals among fresh ones."""
        options, ledger = self.options, self.ledger
        # A stream for every round: nothing of a generator has to be stored to resume.
        seeds = np.random.SeedSequence(options.seed, spawn_key=(_REFINEMENT, ledger.rounds))
        generator, add = np.random.default_rng(seeds), min(options.rar_add, self.room())
        if not add_worst_points(self.optimisation.model, self.training, generator, options.rar_candidates, add):
            raise NonFiniteLossError("the residual became NaN or infinite on all candidates")
        ledger.rounds, ledger.since_round = ledger.rounds + 1, 0
        if self.optimisation.phase == "lbfgs":
            self.optimisation.phase = None

    def clock(self) -> None:
        """Book the time since the last look at the clocks."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.ledger.cpu_seconds += cpu - self.cpu_start
        self.ledger.wall_seconds += wall - self.wall_start
        self.cpu_start, self.wall_start = cpu, wall

    def keep(self) -> None:
        """Remember the present state as the one to save, or to fall back to."""
        self.clock()
        self.kept = self.optimisation.snapshot(), self.ledger.values()

    def save(self) -> None:
        """Write the remembered state."""
        if self.folder is None:
            return
        (tensors, values), ledger = self.kept
        versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        content = {
            "fingerprint": self.fingerprint,
            "versions": versions,
            "ledger": ledger,
            "optimisation": values,
        }
        save_checkpoint(self.folder, tensors, content)
        self.saved_at = ledger["cpu_seconds"]

    def rescue(self, error: BaseException) -> None:
        """Write the remembered state on the way out; the error goes on, also if that fails."""
        try:
            self.save()
        except OutputError as failure:
            error.add_note(f"The state of the training could not be saved. {failure}")

    def restore(self, folder: Path) -> None:
        """Go back to where the checkpoint was written."""
        tensors, content = load_checkpoint(folder)
        if content["fingerprint"] != self.fingerprint:
            raise OptionError(
                f"The checkpoint in {str(folder)!r} belongs to a training with other points, weights or options; "
                "resume with the same ones (`lbfgs` and `cpu_seconds` may differ), or start in another folder."
            )
        self.optimisation.restore((tensors, content["optimisation"]))
        self.ledger = Ledger(**content["ledger"])
        self.saved_at = self.ledger.cpu_seconds

    def report(self, last: bool = False) -> None:
        """Tell the caller how far the training is, once there is a loss to tell, and not too often."""
        now = time.monotonic()
        early = not self.ledger.losses or now - self.reported < _SECONDS_BETWEEN_REPORTS
        if self.progress is None or (early and not last):
            return
        self.reported = now
        running = 0 if last else self.optimisation.done()
        cpu = self.ledger.cpu_seconds + time.process_time() - self.cpu_start
        total = self.options.adam + self.options.lbfgs
        phase: Phase = self.optimisation.phase or ("adam" if self.options.adam else "lbfgs")
        self.progress(Progress(phase, self.ledger.iterations + running, total, self.ledger.loss, cpu))

    def result(self, status: Status, reason: str) -> TrainingResult:
        """Collect what there is to say."""
        ledger, optimisation, names = self.ledger, self.optimisation, self.training.term_names
        self.report(last=True)
        self.clock()
        optimisation.net.zero_grad(set_to_none=True)
        return TrainingResult(
            status=status,
            reason=reason,
            network=optimisation.net.eval(),
            iterations={"adam": ledger.adam, "lbfgs": ledger.lbfgs},
            term_names=names,
            history=ledger.full_history(),
            losses=dict(zip(names, ledger.losses or [np.nan] * len(names), strict=True)),
            points=optimisation.data.train_x_all.copy(),
            parameters=sum(p.numel() for p in optimisation.net.parameters() if p.requires_grad),
            rounds=ledger.rounds,
            cpu_seconds=ledger.cpu_seconds,
            wall_seconds=ledger.wall_seconds,
        )
