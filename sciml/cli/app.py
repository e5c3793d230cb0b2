"""The commands. With ``--json``, standard output holds JSON Lines and nothing else; people read standard error."""

from __future__ import annotations

import json
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from sciml.cli.arguments import OrderedCommand, grouped_options, parse_options
from sciml.cli.parallel import abort, is_first, n_processes, quiet_others, together
from sciml.errors import Interrupted, OptionError, ScimlError, ScimlWarning

__all__ = ["app", "main"]


class _Commands(typer.core.TyperGroup):
    """Commands that say how they were interrupted and end with 128 + the number of the signal."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Typer itself would end any interrupt with 130 and no word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            interrupted = error if isinstance(error, Interrupted) else Interrupted("Interrupted.")
            if is_first():
                print(interrupted, file=sys.stderr)
            sys.exit(interrupted.exit_code)


app = typer.Typer(
    cls=_Commands,
    help="Declare a PDE once; solve it with finite elements and with machine learning; compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="A catalogue name (`sciml list`), or a Python file that declares a problem.")]
Set = Annotated[
    list[str] | None, typer.Option("-p", "--set", metavar="NAME=VALUE", help="Set a parameter of the problem.")
]
Option = Annotated[
    list[str] | None, typer.Option("-o", "--option", metavar="NAME=VALUE", help="Set an option of the solver.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines on standard output.")]
Seed = Annotated[int, typer.Option(help="Seed of the solver.", min=0)]
Draw = Annotated[int | None, typer.Option(metavar="K", help="Take member K of the problem's family.", min=0)]
DrawSeed = Annotated[
    int, typer.Option("--draw-seed", metavar="N", help="Seed of the family that --draw takes from.", min=0)
]
Device = Annotated[str, typer.Option(help="Where torch computes: cpu, cuda, …")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write results into this folder.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a result that is already in the folder.")]


def _load(name: str, settings: list[str] | None, draw: int | None = None, draw_seed: int = 0) -> Any:
    from sciml.registry import load_problem

    problem = load_problem(name)
    if draw is not None:
        problem = problem.draw(draw, draw_seed)
    elif draw_seed:
        raise OptionError("--draw-seed says which family --draw K takes its member from; give --draw too.")
    given = parse_options(settings or [], "-p")
    declared = problem.declared_parameters
    values = {key: declared[key].parse(text) if key in declared else text for key, text in given.items()}
    return problem.with_parameters(**values) if values else problem


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all problems with the solvers that can do them."""
    from sciml.cli.listing import catalogue_rows, print_catalogue

    if as_json:
        for row in catalogue_rows():
            print(json.dumps(row))
    else:
        print_catalogue()


@app.command()
def show(
    name: Name,
    settings: Set = None,
    options: Annotated[bool, typer.Option("--options", help="List the options of every solver too.")] = False,
    as_json: Json = False,
) -> None:
    """Show a problem: equation, parameters, what the analysis says, who can solve it and who can't and why.

    Of the folder of a trained network: its layers, parameters, multiply-adds, bytes and times.
    """
    from sciml.cli.listing import print_problem, problem_facts

    if Path(name).is_dir():
        from sciml.cli.accounts import show_account

        if settings or options:
            raise OptionError(
                f"{name} is a folder, which has no parameters and no options; leave out -p and --options."
            )
        show_account(Path(name), as_json=as_json)
        return
    problem = _load(name, settings)
    if as_json:
        print(json.dumps(problem_facts(problem)))
    else:
        print_problem(problem, options)


@app.command()
def solve(
    name: Name,
    solver: Annotated[str, typer.Option("--solver", "-s", help="Which solver.")] = "fenics",
    settings: Set = None,
    options: Option = None,
    seed: Seed = 0,
    draw: Draw = None,
    draw_seed: DrawSeed = 0,
    device: Device = "cpu",
    out: Out = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Solve a problem; with --out, write solution.h5, files for ParaView, figure.png and record.json."""
    from sciml.cli.folder import Request
    from sciml.cli.runs import run

    problem = _load(name, settings, draw, draw_seed)
    solvers = [(solver, parse_options(options or [], "-o"))]
    request = Request.of(problem, "solve", solvers, seed, device)
    run(problem, request, out=out, force=force, as_json=as_json)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that was given as --out.")],
    as_json: Json = False,
) -> None:
    """Continue an unfinished run: a training from its last checkpoint, anything else from the start."""
    from sciml.cli.console import console
    from sciml.cli.folder import TrainRequest, finished_rows, read_request
    from sciml.registry import load_problem

    finished = finished_rows(folder)
    if finished is not None:
        for row in finished if as_json else ():
            print(json.dumps(row, allow_nan=False))
        console.print(f"The run in {folder} is finished; there is nothing to resume.", highlight=False, soft_wrap=True)
        return
    request = read_request(folder)
    if isinstance(request, TrainRequest):
        from sciml.cli.surrogates import train as go_on

        go_on(request, out=folder, resume=True, as_json=as_json)
        return
    from sciml.cli.runs import run

    problem = load_problem(request.source, member=request.member, **request.parameters)
    request.check(problem, folder)
    run(problem, request, out=folder, resume=True, as_json=as_json)


@app.command()
def diagnose(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that was given as --out.")],
    as_json: Json = False,
) -> None:
    """Say what limits a training, finished or not: its verdict, advice, the terms of its loss, and pictures."""
    from sciml.cli.diagnosing import find_diagnosis, print_diagnosis

    diagnosis = find_diagnosis(folder)
    if as_json:
        print(json.dumps(diagnosis.as_dict(), allow_nan=False))
    else:
        print_diagnosis(diagnosis)


@app.command(cls=OrderedCommand)
def compare(
    name: Name,
    solver: Annotated[
        list[str] | None, typer.Option("--solver", "-s", help="A solver; the -o that follow belong to it.")
    ] = None,
    settings: Set = None,
    options: Option = None,
    seed: Seed = 0,
    draw: Draw = None,
    draw_seed: DrawSeed = 0,
    device: Device = "cpu",
    out: Out = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Hold solvers against the truth (exact, or the reference with its own measured error) and each other.

    The reference always runs too where it can. An -o belongs to the --solver before it; a solver may appear twice.
    """
    from sciml.cli.folder import Request
    from sciml.cli.runs import run

    problem = _load(name, settings, draw, draw_seed)
    solvers = grouped_options(solver or [], options or [])
    request = Request.of(problem, "compare", solvers, seed, device)
    run(problem, request, out=out, force=force, as_json=as_json)


@app.command()
def train(
    family: Annotated[str, typer.Argument(help="A family (`sciml list`) that the data file has members of.")],
    data: Annotated[Path, typer.Option(help="A file that `sciml generate` or `sciml import` has written.")],
    model: Annotated[
        str, typer.Option(help="lsm, fno, transolver, …, equino for a cell; `sciml models` lists them.")
    ] = "lsm",
    option: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="NAME=VALUE", help="Set an option of the training or of the network."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first weights and of the order of samples.", min=0)] = 0,
    tune: Annotated[
        int, typer.Option(metavar="N", help="Try N settings first; the validation samples choose.", min=0)
    ] = 0,
    split: Annotated[str, typer.Option(help="Samples to train on; only train is possible.")] = "train",
    device: Device = "cpu",
    out: Out = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a network over a family; `sciml compare FAMILY --solver ./DIR` then asks it.

    A cell (--model equino) becomes a law: `sciml solve solid/cook_two_scale -s fe2 -o micro=./DIR`.
    """
    from sciml.cli.folder import TrainRequest
    from sciml.cli.surrogates import train as run_training

    request = TrainRequest(
        family, str(data.resolve()), model, parse_options(option or [], "-o"), seed, device, tune, split
    )
    run_training(request, out=out, force=force, as_json=as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the networks that `sciml train` knows, with their options."""
    from sciml.cli.surrogates import model_rows, print_models

    if as_json:
        for row in model_rows():
            print(json.dumps(row))
    else:
        print_models()


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `sciml train … --out` has written.")],
    data: Annotated[
        Path | None, typer.Option(help="A data file of the same family; a cell is judged on fresh strains, without.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    batch_statistics: Annotated[
        bool, typer.Option("--batch-statistics", help="Let batch normalisation use the batch's own statistics.")
    ] = False,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Draw the errors into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Hold a trained network against a split of a data file: errors, coverage of its band, trivial baselines, costs.

    A trained cell is held against finite elements on fresh strains: mean stress, its shear, tangent, local stress.

    In the JSON, cpu_seconds are those of the training, and evaluation_cpu_seconds those of this evaluation.
    """
    from sciml.cli.surrogates import evaluate_run

    evaluate_run(folder, data, split=split, device=device, batch_statistics=batch_statistics, out=out, as_json=as_json)


@app.command()
def generate(
    family: Annotated[str, typer.Argument(help="A family: a catalogue name, or a Python file that declares one.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.h5", help="The file; run again, it goes on.")],
    count: Annotated[
        int | None,
        typer.Option(metavar="N", help="Members: 72 % to train, 8 % to validate; of a cell strains, all to train."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="A/B/C", help="Members to train, validate and test, in place of --count.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the data set.", min=0)] = 0,
    resolution: Annotated[
        int | None, typer.Option(metavar="R", help="Kept nodes per axis of a box, both ends included.", min=2)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="T", help="Kept instants after the start, of what runs in time.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="What is kept, as in velocity[0]; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("-p", "--set", metavar="NAME=VALUE", help="Give a parameter one value in all members."),
    ] = None,
    solver: Annotated[str | None, typer.Option("--solver", "-s", help="Which solver.")] = None,
    options: Option = None,
    refine: Annotated[
        int | None, typer.Option(metavar="K", help="Cells per kept interval; on a mesh, times to divide cells.")
    ] = None,
    check: Annotated[
        int | None, typer.Option(metavar="M", help="Members whose error is measured at twice the resolution.", min=0)
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Send members to Dask: tcp://HOST:PORT.")
    ] = None,
    chunk: Annotated[
        int | None, typer.Option(metavar="K", help="Members solved, and kept, one after the other.", min=1)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that another request has made.")] = False,
    as_json: Json = False,
) -> None:
    """Solve members of a family and write a data set for operator learning; killed and run again, it goes on.

    Of a periodic cell (rve/disc): strains in its training box, and what finite elements make of them.
    """
    from sciml.cli import datasets
    from sciml.registry import load_problem

    problem = load_problem(family)
    given = parse_options(settings or [], "-p")
    declared = problem.declared_parameters
    values = {key: declared[key].parse(text) if key in declared else text for key, text in given.items()}
    datasets.make(
        problem.fixing(**values), out, as_json,
        count=count, split=datasets.parsed_split(split), seed=seed, resolution=resolution, frames=frames, output=output,
        solver=solver, refine=refine, check=check, workers=workers, scheduler=scheduler, chunk=chunk, force=force,
        **parse_options(options or [], "-o"),
    )  # fmt: skip


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Arrays: .npz, .h5, .mat or .pt.")],
    family: Annotated[str, typer.Option(help="The family that the arrays are of.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.h5", help="The data set.")],
    inputs: Annotated[str, typer.Option("--input", metavar="NAME", help="Array of inputs (n, H, W[, C]).")],
    outputs: Annotated[str, typer.Option("--output", metavar="NAME", help="Array of outputs (n, H, W[, C]).")],
    test_inputs: Annotated[
        str | None, typer.Option("--test-input", metavar="NAME", help="Array of the inputs for the test.")
    ] = None,
    test_outputs: Annotated[
        str | None, typer.Option("--test-output", metavar="NAME", help="Array of the outputs for the test.")
    ] = None,
    settings: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Bring arrays of another file in as a data set."""
    from sciml.cli import datasets

    datasets.bring_in(
        file, out, as_json,
        problem=_load(family, settings), inputs=inputs, outputs=outputs, test_inputs=test_inputs,
        test_outputs=test_outputs, force=force,
    )  # fmt: skip


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check the installation: versions, compiler, MPI, device, a small solve, the machine's matmul rate."""
    from sciml.cli.doctor import examine, print_report

    findings = examine()
    if as_json:
        print(json.dumps(findings))
    else:
        print_report(findings)
    if not findings["healthy"]:
        raise typer.Exit(1)


@app.command()
def benchmark(
    suite: Annotated[str, typer.Argument(help="A suite that is shipped (quick, poisson, …), or a TOML file.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Folder of the run; runs/SUITE.")] = None,
    checks: Annotated[bool, typer.Option("--checks", help="Measure the figures that the suite states.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only checks of this name or pattern.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Put what --checks measures on record, as JSON.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would run, and for how long.")] = False,
    rerun: Annotated[
        str | None, typer.Option("--rerun", metavar="KEY", help="Run one cell again and show both results.")
    ] = None,
    cpu_hours: Annotated[
        float | None, typer.Option("--cpu-hours", metavar="H", help="Start no cell after H CPU hours.", min=0)
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N", help="Cells side by side.", min=1)] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Send cells to Dask: tcp://HOST:PORT.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option("--devices", metavar="A,B", help="Devices in place of those of the suite.")
    ] = None,
    unranked: Annotated[
        bool, typer.Option("--unranked", help="Run a suite that cannot rank fairly, without a ranking.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run cells again that failed.")] = False,
    as_json: Json = False,
) -> None:
    """Run a benchmark suite: every cell in its own process, every attempt recorded; run it again to go on.

    With --checks, measure the figures that a suite states instead; the exit status is 1 where one falls short.
    """
    from sciml.cli import benchmark as commands

    request = commands.Request(suite, out, jobs, scheduler, devices, cpu_hours, unranked, retry_failed)
    _refuse_together(checks=checks, plan=plan, rerun=rerun is not None)
    if (only or record is not None) and not checks:
        raise OptionError("--only and --record are about the figures that --checks measures; give --checks too.")
    done = True
    if checks:
        done = commands.check(suite, only or [], record, as_json)
    elif rerun is not None:
        done = commands.repeat(request, rerun, as_json)
    elif plan:
        commands.plan_of(request, as_json)
    else:
        commands.benchmark(request, as_json)
    if not done:
        raise typer.Exit(1)


def _refuse_together(**asked: bool) -> None:
    both = [f"--{name}" for name, given in asked.items() if given]
    if len(both) > 1:
        raise OptionError(f"{' and '.join(both)} ask for different things; give one of them.")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a benchmark run, finished or not.")],
) -> None:
    """Write report.html (one page, no network) and report.md into the folder of a benchmark run."""
    from sciml.benchmark.report import write_report
    from sciml.cli.console import console

    for path in write_report(run):
        console.print(f"Written: {path}", highlight=False, markup=False, soft_wrap=True)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def mpi(
    context: typer.Context,
    n: Annotated[int, typer.Option("-n", help="Number of processes.", min=1)] = 2,
) -> None:
    """Run another command on N processes: ``sciml mpi -n 4 solve poisson/sine``. The reference divides its work."""
    from sciml.cli.parallel import launch

    if not context.args or context.args[0] == "mpi":
        raise OptionError("`sciml mpi -n N` needs a command to run, as in `sciml mpi -n 4 solve poisson/sine`.")
    raise typer.Exit(launch(n, context.args))


def _show_warning(message: Any, category: type[Warning], *arguments: Any, **keywords: Any) -> None:
    if issubclass(category, ScimlWarning) and is_first():
        print(f"Warning: {message}", file=sys.stderr)


def _terminate(number: int, frame: Any) -> None:
    raise Interrupted("Interrupted by SIGTERM.", number)


def main() -> None:
    """Entry point of the ``sciml`` command."""
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, _terminate)
    try:
        quiet_others()
        with together():
            app()
    except ScimlError as error:
        if n_processes() > 1:
            abort(f"Error: {error}")
        if is_first():
            print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(141)
    except Exception:
        if n_processes() > 1:
            abort(traceback.format_exc())
        raise
