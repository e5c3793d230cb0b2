"""``python -m sciml`` is the ``sciml`` command."""

from sciml.cli import main

main()
