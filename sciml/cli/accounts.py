"""A trained network on the command line: what it costs, as `sciml show ./DIR` tells it."""

from __future__ import annotations

import json
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sciml.cli.console import console, significant
from sciml.surrogates.accounting import Account, account_in

__all__ = ["show_account"]


def show_account(folder: Path, *, as_json: bool) -> None:
    """Print the account of the network in a folder.

    Raises
    ------
    OutputError
        The folder holds none, or a damaged one.
    """
    model, found = account_in(folder)
    if as_json:
        print(json.dumps({"run": str(folder), "model": model} | found.as_dict(), allow_nan=False))
        return
    console.print(f"{model} in {folder}, for one sample:", highlight=False)
    console.print(_totals(found), highlight=False)
    console.print()
    console.print(_layers(found), highlight=False)


def _totals(found: Account) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("trainable parameters", f"{found.trainable_parameters:,}")
    table.add_row("multiply-adds", f"{found.multiply_adds:,}")
    table.add_row("checkpoint", f"{found.checkpoint_bytes:,} bytes")
    table.add_row("kept by a pass forward for the one back", f"{found.saved_bytes:,} bytes")
    table.add_row("most at a time forward and back", f"{found.peak_bytes:,} bytes")
    table.add_row("a pass forward", f"{significant(found.forward_ms)} ms (CPU)")
    table.add_row("a pass forward and back", f"{significant(found.training_ms)} ms (CPU)")
    return table


def _layers(found: Account) -> Table:
    table = Table("layer", "kind", box=None, pad_edge=False)
    for name in ("parameters", "multiply-adds"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in found.layers:
        table.add_row(escape(layer.name), layer.kind, f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
    return table
