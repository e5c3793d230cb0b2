"""The command line: `sciml list`, `show`, `solve`, `compare`, `resume`, `doctor`."""

from sciml.cli.app import main

__all__ = ["main"]
