"""The DOLFINx kernel: meshes, spaces, assembled forms, solves and evaluation."""

from sciml.environment import require

require()

from sciml.fem.discretisation import Discretisation  # noqa: E402
from sciml.fem.functions import FEFunction, FEFunctions  # noqa: E402
from sciml.fem.meshes import FEMesh  # noqa: E402
from sciml.fem.shared import Shared  # noqa: E402
from sciml.fem.trajectory import Trajectory  # noqa: E402

__all__ = ["Discretisation", "FEFunction", "FEFunctions", "FEMesh", "Shared", "Trajectory", "require"]
