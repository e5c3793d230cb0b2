"""Data sets of periodic cells: what is written, and going on after an end on the way."""

import pytest

from sciml import load_problem
from sciml.datasets import generate_cell
from sciml.errors import OutputError
from sciml.laws import CellModel


class _Ended(Exception):
    """The process goes away here."""


def test_generating_goes_on_after_an_end_on_the_way(tmp_path, monkeypatch):
    cell, solved, own = load_problem("rve/disc"), [], CellModel.solve

    def counted(model, strain, *args, **kwargs):
        solved.append(len(strain))
        return own(model, strain, *args, **kwargs)

    def end(progress):
        raise _Ended

    monkeypatch.setattr(CellModel, "solve", counted)
    whole = generate_cell(cell, tmp_path / "whole.h5", count=12)
    assert solved == [10, 2]
    with pytest.raises(_Ended):
        generate_cell(cell, tmp_path / "ended.h5", count=12, report=end)
    assert not (tmp_path / "ended.h5").exists()
    found = generate_cell(cell, tmp_path / "ended.h5", count=12)
    assert solved == [10, 2, 10, 2]
    assert found.checksum == whole.checksum
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["ended.h5", "whole.h5"]


def test_pieces_of_another_request_are_not_taken(tmp_path):
    cell, path = load_problem("rve/disc"), tmp_path / "d.h5"

    def end(progress):
        raise _Ended

    with pytest.raises(_Ended):
        generate_cell(cell, path, count=12, report=end)
    with pytest.raises(OutputError, match="pieces of another request"):
        generate_cell(cell, path, count=11)
    assert len(generate_cell(cell, path, count=2, force=True)) == 2
