"""A solution: the field, and what happened on the way to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from sciml.errors import OptionError, OutputError, ParameterError, UnsupportedError
from sciml.files import hdf5_file, plain, write_json
from sciml.problem import Problem
from sciml.solution.cell_field import CellField
from sciml.solution.chebyshev_field import ChebyshevEvolution, ChebyshevField
from sciml.solution.evolution import Evolution, ExactEvolution, FEEvolution, NetworkEvolution, exact_solution
from sciml.solution.export import write_pvd, write_vtu, write_xdmf
from sciml.solution.fe_field import FEField
from sciml.solution.field import ExactField, Field, NetworkField
from sciml.solution.fourier_field import FourierEvolution, FourierField
from sciml.solution.functionals import evaluate_quantities
from sciml.solution.gaussian_process_field import GaussianProcessEvolution, GaussianProcessField
from sciml.solution.grid_field import GridEvolution, GridField
from sciml.solution.kernel_field import KernelField
from sciml.solution.norms import Errors, measure_errors
from sciml.solution.vtkhdf import write_vtkhdf

__all__ = ["ADVICE", "ErrorEstimate", "Seconds", "Solution", "Status", "load_solution"]

Status = Literal["converged", "budget_reached", "stagnated", "diverged", "outside_range"]

ADVICE: dict[str, str] = {
    "converged": "the solver's own criterion was met",
    "budget_reached": "iterations or time ran out; give more of them, or accept the error reported",
    "stagnated": "no more progress was made; change the network, the points or the optimiser",
    "diverged": "the iteration produced no finite result; lower the learning rate, or load in steps",
    "outside_range": "the problem lies outside of what the surrogate was trained on; train on a wider range",
}
RAISING = ("diverged", "outside_range")
FORMAT = 2
_KINDS = (
    *(FEField, NetworkField, FourierField, GridField, CellField, ExactField),
    *(FEEvolution, NetworkEvolution, FourierEvolution, GridEvolution, ExactEvolution),
    *(ChebyshevField, ChebyshevEvolution, KernelField),
    *(GaussianProcessField, GaussianProcessEvolution),
)
_FIELDS: dict[str, type[Field] | type[Evolution]] = {kind.kind: kind for kind in _KINDS}


@dataclass
class Seconds:
    """Wall seconds by phase.

    Attributes
    ----------
    setup, train, solve, post : float
        Preparation (meshes, compilation, sampling), training, solving, and what came after (norms, files).
    """

    setup: float = 0.0
    train: float = 0.0
    solve: float = 0.0
    post: float = 0.0


@dataclass(frozen=True)
class ErrorEstimate:
    """A solver's measurement of its own error.

    Attributes
    ----------
    relative_l2, relative_h1 : float
        Estimated relative errors of the solution delivered.
    rate_l2, rate_h1 : float
        Observed orders of convergence.
    method : str
        How they were measured.
    fields : dict
        Of several fields, the errors and rates of each by its name; those above are of the worst.
    """

    relative_l2: float
    relative_h1: float
    rate_l2: float
    rate_h1: float
    method: str
    fields: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)


@dataclass
class Solution:
    """What a solver returns.

    Attributes
    ----------
    problem : Problem
    field : Field or Evolution
        Evaluate it anywhere; see :meth:`evaluate`, :meth:`gradient`. An Evolution where the problem runs in time.
    solver : str
    options : dict
        All options, defaults included.
    status : str
        converged, budget_reached, stagnated, diverged or outside_range.
    message : str
        What the status means here, and what to do.
    seconds : Seconds
    cpu_seconds : float
        Of all threads, over all phases.
    iterations : int
    residual : float or None
        Final norm of the solver's own residual (relative for the reference, the loss for a network).
    trainable_parameters : int
        0 for a solver that does not train.
    seed, device : int, str
    versions : dict
    details : dict
        What was chosen and why (linear solver, points, scales …).
    history : dict of arrays
        Curves over the iterations.
    error_estimate : ErrorEstimate or None
        The solver's measurement of its own error.
    """

    problem: Problem
    field: Field | Evolution
    solver: str
    options: dict[str, Any]
    status: Status
    message: str
    seconds: Seconds
    cpu_seconds: float
    iterations: int
    residual: float | None = None
    trainable_parameters: int = 0
    seed: int = 0
    device: str = "cpu"
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    history: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    error_estimate: ErrorEstimate | None = None

    def __repr__(self) -> str:
        return f"<Solution of {self.problem!r} by {self.solver}: {self.status}>"

    def evaluate(self, points: Any, t: Any = None) -> np.ndarray:
        """Values at points ``(n, dim)`` → ``(n,)`` or ``(n, k)``; NaN outside of the domain's mesh.

        Where the problem runs in time, `t` is an instant, or ``(m,)`` of them → ``(m, n)`` or ``(m, n, k)``.
        """
        return self._of("evaluate", points, t)

    __call__ = evaluate

    def gradient(self, points: Any, t: Any = None) -> np.ndarray:
        """Gradients in space at points ``(n, dim)`` → ``(n, dim)`` or ``(n, k, dim)``; `t` as for :meth:`evaluate`."""
        return self._of("gradient", points, t)

    def at(self, t: float) -> Field:
        """The field at an instant, of a problem that runs in time."""
        if not isinstance(self.field, Evolution):
            raise UnsupportedError(f"{self.problem!r} does not run in time; its solution has no instants.")
        return self.field.at(t)

    def _of(self, what: str, points: Any, t: Any) -> np.ndarray:
        points = self._points(points)
        if isinstance(self.field, Evolution):
            if t is None:
                raise ParameterError(f"{self.problem!r} runs in time; give the time t of the values wanted.")
            return getattr(self.field, what)(points, t)
        if t is not None:
            raise ParameterError(f"{self.problem!r} does not run in time; leave out t.")
        return getattr(self.field, what)(points)

    def _points(self, points: Any) -> np.ndarray:
        array = np.asarray(points, dtype=float)
        if array.ndim != 2 or array.shape[1] != self.problem.dim:
            raise ValueError(f"points have shape {array.shape}; needed is (n, {self.problem.dim}), one row a point.")
        return array

    def error(self, truth: Solution | Field | Evolution | None = None, *, n_points: int = 65_536) -> Errors:
        """Errors against another solution, or against the exact one.

        Parameters
        ----------
        truth : Solution, Field or Evolution, optional
            The problem's exact solution by default.
        n_points : int
            About how many quadrature points.

        Raises
        ------
        UnsupportedError
            No truth was given and the problem has no exact solution.
        """
        if truth is None:
            truth = exact_solution(self.problem) or ExactField(self.problem)
        return measure_errors(self.field, truth.field if isinstance(truth, Solution) else truth, n_target=n_points)

    def quantities(self) -> dict[str, float]:
        """The problem's quantities of interest (at the end, of a problem that runs in time)."""
        field = self.final
        return evaluate_quantities(field.problem, field)

    def quantities_over_time(self) -> dict[str, np.ndarray]:
        """The quantities of interest at the instants ``times`` of a problem that runs in time."""
        times = self.times
        rows = [evaluate_quantities(f.problem, f) for f in map(self.at, times)]
        return {"t": times} | {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @property
    def times(self) -> np.ndarray:
        """The instants that are kept, of a problem that runs in time."""
        return self.field.times if isinstance(self.field, Evolution) else np.zeros(0)

    @property
    def final(self) -> Field:
        """The field; at the end, for a problem that runs in time."""
        return self.field.final if isinstance(self.field, Evolution) else self.field

    # -- files -------------------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """What happened, as plain values (without curves)."""
        return {
            "problem": self.problem.name or self.problem.source or "in memory",
            "source": self.problem.source,
            "dimension": self.problem.dim,
            "shape": list(self.problem.shape),
            "parameters": self.problem.parameters.plain(),
            "member": None if self.problem.member is None else list(self.problem.member),
            "solver": self.solver,
            "options": plain(self.options),
            "status": self.status,
            "message": self.message,
            "seconds": asdict(self.seconds),
            "cpu_seconds": self.cpu_seconds,
            "iterations": self.iterations,
            "residual": self.residual,
            "trainable_parameters": self.trainable_parameters,
            "seed": self.seed,
            "device": self.device,
            "versions": self.versions,
            "details": plain(self.details),
            "error_estimate": None if self.error_estimate is None else asdict(self.error_estimate),
        }

    def save(self, path: str | Path) -> Path:
        """Write field, record and curves to one HDF5 file, which :func:`load_solution` reads."""
        with hdf5_file(path) as file:
            file.attrs["format"] = FORMAT
            file.attrs["record"] = json.dumps(self.record())
            group = file.create_group("field")
            group.attrs["kind"] = self.field.kind
            self.field.store(group)
            for name, values in self.history.items():
                file[f"history/{name}"] = values
        return Path(path)

    def write_record(self, path: str | Path) -> Path:
        """Write the record as JSON."""
        write_json(path, plain(self.record()))
        return Path(path)

    def write_vtu(self, path: str | Path) -> Path:
        """Write the field (at the end, if it runs in time) for ParaView, pyvista and meshio as VTU."""
        return write_vtu(self.final, path)

    def write_pvd(self, path: str | Path) -> Path:
        """Write all instants that are kept for ParaView: one VTU file each, and a ``.pvd`` file that lists them."""
        if not isinstance(self.field, Evolution):
            raise UnsupportedError(f"{self.problem!r} does not run in time; write its solution by write_vtu.")
        return write_pvd(self.field, path)

    def write_vtkhdf(self, path: str | Path) -> Path:
        """Write the field, or all instants that are kept, for ParaView, VTK and pyvista as one VTKHDF file."""
        return write_vtkhdf(self.field, path)

    def write_xdmf(self, path: str | Path) -> Path:
        """Write the field (at the end, if it runs in time) for ParaView and pyvista as XDMF, arrays in HDF5 beside it.

        It is a time series of one step, which ``meshio.xdmf.TimeSeriesReader`` reads and ``meshio.read`` does not.
        """
        return write_xdmf(self.final, path)

    def plot(self, path: str | Path | None = None, truth: Solution | Field | Evolution | None = None) -> Any:
        """Draw the solution, the truth and the error side by side; several instants of one that runs in time.

        Parameters
        ----------
        path : path, optional
            Write a picture file in place of returning the figure.
        truth : Solution, Field or Evolution, optional
            The exact solution by default, if there is one.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            A truth stands in the place of the path.
        """
        from sciml.solution.plot import plot_solution

        if isinstance(path, (Solution, Field, Evolution)):
            raise OptionError(
                "The first argument of `plot` is a path; hand a truth in by name, as in plot(truth=other)."
            )
        return plot_solution(self, path, truth.field if isinstance(truth, Solution) else truth)


def load_solution(path: str | Path, problem: Problem | None = None, *, module: Any = None) -> Solution:
    """Read a solution that :meth:`Solution.save` wrote.

    Parameters
    ----------
    path : path
    problem : Problem, optional
        Needed for a problem that was made in memory; otherwise it is found by its name or file.
    module : torch.nn.Module, optional
        The user's own network, for a solution that has one.

    Raises
    ------
    OutputError
        The file is missing, damaged, of another format, or holds the solution of a problem with another dimension,
        shape or other parameter values.
    """
    from sciml.registry import load_problem

    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise OutputError(f"{path} is not a solution file of format {FORMAT}.")
            record = json.loads(file.attrs["record"])
            if problem is None:
                if record["source"] is None:
                    raise OutputError(f"{path} holds the solution of a problem made in memory; pass it as `problem=`.")
                problem = load_problem(record["source"], member=record.get("member"), **record["parameters"])
            _refuse_another(path, record, problem)
            group = file["field"]
            kind = _FIELDS[str(group.attrs["kind"])]
            extra = {"module": module} if kind in (NetworkField, NetworkEvolution) else {}
            restored = kind.restore(group, problem, **extra)
            history = {name: item[()] for name, item in file.get("history", {}).items()}
    except (OSError, KeyError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path} cannot be read as a solution ({error}).") from error
    estimate = record["error_estimate"]
    return Solution(
        problem=problem,
        field=restored,
        history=history,
        seconds=Seconds(**record["seconds"]),
        error_estimate=None if estimate is None else ErrorEstimate(**estimate),
        **{key: record[key] for key in _COPIED},
    )


def _refuse_another(path: str | Path, record: Mapping[str, Any], problem: Problem) -> None:
    """Refuse a problem that the stored solution cannot be one of."""
    given = {
        "dimension": problem.dim,
        "shape": list(problem.shape),
        "parameters": plain(problem.parameters.plain()),
    }
    for what, value in given.items():
        # Older files tell less.
        if what in record and record[what] != value:
            raise OutputError(
                f"{path} holds the solution of a problem with {what} {record[what]}, the problem given has {value}; "
                f"pass the one that was solved as `problem=`."
            )


_COPIED = (
    "solver",
    "options",
    "status",
    "message",
    "cpu_seconds",
    "iterations",
    "residual",
    "trainable_parameters",
    "seed",
    "device",
    "versions",
    "details",
)
