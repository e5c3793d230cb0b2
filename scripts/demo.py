"""The demonstration behind `make demo`: one problem by a PINN and by finite elements, and the comparison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBLEM = "thermal/convective_plate"
OUT = Path("demo")


def main() -> int:
    """Show the problem, compare the solvers on it, and say where the results are."""
    sciml = [sys.executable, "-m", "sciml"]
    subprocess.run([*sciml, "show", PROBLEM], check=True)
    print(
        f"\nSolving {PROBLEM} by a physics-informed network (about two minutes) and by finite elements …\n", flush=True
    )
    command = [*sciml, "compare", PROBLEM, "--solver", "deepxde", "--out", str(OUT), "--force"]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        print(f"\nThe picture is {OUT / 'figure.png'}; the .vtu files beside it open in ParaView.")
    return code


if __name__ == "__main__":
    sys.exit(main())
