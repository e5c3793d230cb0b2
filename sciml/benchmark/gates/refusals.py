"""What can be said against a suite before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sciml.benchmark.gates.facts import (
    MIN_BASELINE_POINTS,
    MIN_LEARNED_POINTS,
    MIN_REPEATS,
    MIN_SEEDS,
    full_parameters,
    is_family,
    is_stochastic,
    is_untuned,
    same_options,
)
from sciml.benchmark.suite import Method, ProblemEntry, Suite, TruthSettings

__all__ = ["refusals"]


def refusals(suite: Suite | Mapping[str, Any]) -> list[str]:
    """Why a suite cannot rank methods fairly, a sentence each; none where it can.

    Parameters
    ----------
    suite : Suite, or its content as in `suite.json`
        Whether it ranks at all is not asked.
    """
    if not isinstance(suite, Suite):
        suite = Suite.model_validate(suite)
    if not suite.problems:
        return []
    found = [*_statistics(suite), *_tuning(suite)]
    for entry in suite.problems:
        found += [*_baselines(suite, entry), *_members(suite, entry), *_tasks_apart(suite, entry)]
    return list(dict.fromkeys(found))


def _statistics(suite: Suite) -> Iterator[str]:
    random = sorted({m.name for m in suite.methods if is_stochastic(m.solver) is not False})
    seeds, repeats = len(suite.statistics.seeds), suite.statistics.repeats
    if random and seeds < MIN_SEEDS:
        yield (
            f"statistics.seeds has {seeds} seed{'s' if seeds > 1 else ''}, and a ranking of {', '.join(random)} needs "
            f"{MIN_SEEDS}: chance decides the winner else; state {MIN_SEEDS} or more."
        )
    if repeats < MIN_REPEATS:
        yield f"statistics.repeats = {repeats}, and a ranking needs {MIN_REPEATS} timed repeats or more."
    for method in suite.methods:
        if is_stochastic(method.solver) is not False and len(method.points) < MIN_LEARNED_POINTS:
            yield (
                f"Method {method.name!r} has {len(method.points)} point in its sweep, and a curve needs "
                f"{MIN_LEARNED_POINTS}: sweep over points, width, steps or budget."
            )


def _tuning(suite: Suite) -> Iterator[str]:
    for name in suite.method_names:
        solver = next(method.solver for method in suite.methods if method.name == name)
        if is_untuned(suite, name):
            yield (
                f"Method {name!r} is not tuned although others are and its solver {solver!r} has options "
                f"that its users would try; leave out `space = {{}}`, or say `why_untuned`."
            )


def _baselines(suite: Suite, entry: ProblemEntry) -> Iterator[str]:
    if not entry.baselines:
        yield (
            f"Problem {entry.name!r} has no classical baseline; name a method that is efficient for it in `baselines`, "
            f"and why it is."
        )
    for baseline in entry.baselines:
        methods = [m for m in suite.methods if m.name == baseline.method and m.runs_on(entry.name)]
        points = sum(len(method.points) for method in methods)
        if not methods:
            yield f"The baseline {baseline.method!r} of {entry.name!r} does not run on it: its `problems` leave it out."
        elif is_stochastic(methods[0].solver):
            yield (
                f"The baseline {baseline.method!r} of {entry.name!r} is learned (solver {methods[0].solver!r}); a "
                f"baseline is a classical method."
            )
        elif points < MIN_BASELINE_POINTS:
            yield (
                f"The baseline {baseline.method!r} of {entry.name!r} is swept over {points} resolution"
                f"{'s' if points > 1 else ''}; an error–cost curve needs {MIN_BASELINE_POINTS}."
            )
        for method in methods:
            yield from _timed_truth(method, entry, entry.truth or suite.truth)


def _timed_truth(method: Method, entry: ProblemEntry, truth: TruthSettings) -> Iterator[str]:
    """A baseline that is as fine as the truth shows how dear the truth is, not how dear the baseline's errors are."""
    if method.solver != truth.solver or not truth.options:
        return
    for point in method.points:
        given = dict(method.options) | point
        if same_options(method.solver, given, truth.options):
            stated = ", ".join(f"{key} = {value}" for key, value in point.items()) or "its options"
            yield (
                f"The baseline {method.name!r} of {entry.name!r} is the truth's own run at {stated}: it would compete "
                f"against itself; take that point out of the sweep."
            )


def _members(suite: Suite, entry: ProblemEntry) -> Iterator[str]:
    hidden = suite.statistics.hidden if entry.hidden is None else entry.hidden
    if not hidden and is_family(entry.name):
        yield (
            f"Problem {entry.name!r} is a family, and no hidden members are drawn (hidden = 0): methods could be made "
            f"for the named one."
        )


def _tasks_apart(suite: Suite, entry: ProblemEntry) -> Iterator[str]:
    if suite.tuning is None:
        return
    tested = [full_parameters(entry.name, given) for given in (*entry.settings, *entry.out_of_range)]
    for given in entry.tuning or ():
        if full_parameters(entry.name, given) in tested:
            yield (
                f"Problem {entry.name!r} is tuned on {given or 'its default parameters'}, which is also a test; tune "
                f"on other parameters."
            )
    hidden = suite.statistics.hidden if entry.hidden is None else entry.hidden
    if hidden and entry.tuning is None and suite.tuning.seed == suite.statistics.hidden_seed and is_family(entry.name):
        yield (
            f"tuning.seed = statistics.hidden_seed = {suite.tuning.seed}, so methods are tuned on the hidden members "
            f"of {entry.name!r} that they are tested on; state another seed."
        )
