"""Tasks: what their key depends on, and that another process makes the same problem of them."""

import json

import numpy as np
import pytest

from sciml import Box, Problem, load_problem
from sciml.benchmark.tasks import load_task, task_of
from sciml.errors import DeclarationError
from sciml.registry import problem_key


def test_a_task_is_plain_and_brings_the_problem_back():
    problem = load_problem("poisson/peak", sharpness=321.5)
    task = json.loads(json.dumps(task_of(problem, "named"), allow_nan=False))
    assert len(task["key"]) == 16
    assert task["label"] == "poisson/peak sharpness=321.5"
    assert (task["role"], task["member"]) == ("named", None)
    again = load_task(task)
    assert again.parameters.plain() == problem.parameters.plain()
    assert problem_key(again) == task["key"]


def test_a_drawn_member_comes_back_with_its_values_and_fields():
    problem = load_problem("darcy/two_phase").draw(3, 17)
    task = json.loads(json.dumps(task_of(problem, "hidden")))
    assert task["member"] == [17, 3]
    assert task["label"].endswith("member 3 of seed 17")
    again = load_task(task)
    points = problem.domain.sample(20, np.random.default_rng(0))
    name = next(iter(problem.family.laws))
    np.testing.assert_array_equal(again.realisation(name)(points), problem.realisation(name)(points))
    others = load_task(task_of(problem.with_member(17, 4), "hidden"))
    assert not np.array_equal(others.realisation(name)(points), problem.realisation(name)(points))


def test_the_key_depends_on_what_decides_the_answer(plate, text):
    """Values, member and the file's text; neither the role nor the place of the file."""
    keys = {
        problem_key(plate()),
        problem_key(plate(power=3.0)),
        problem_key(plate(centre=(0.5, 0.25))),
        problem_key(plate().with_member(0, 1)),
        problem_key(plate().with_member(1, 0)),
        problem_key(plate(text.replace("evenly", "all over"))),
        problem_key(plate(text.replace("(1, 1)", "(1, 2)"))),
    }
    assert len(keys) == 7
    assert problem_key(plate()) == problem_key(plate(name="elsewhere.py")) in keys
    assert task_of(plate(), "named")["key"] == task_of(plate(), "tuning")["key"]


def test_two_problems_of_one_file_have_two_keys(tmp_path, text):
    path = tmp_path / "twins.py"
    path.write_text(text + '\n\nclass Twin(Plate):\n    """The same again."""\n')
    one, other = (load_problem(f"{path}:{name}") for name in ("Plate", "Twin"))
    assert problem_key(one) != problem_key(other)
    assert type(load_task(task_of(other, "named"))).__name__ == "Twin"


def test_a_declaration_that_was_changed_is_refused(plate, text):
    task = task_of(plate(), "named")
    plate(text.replace("grad(u)", "2 * grad(u)"))
    with pytest.raises(DeclarationError, match="was declared differently when this run was planned .* start a new run"):
        load_task(task)


def test_a_problem_made_in_memory_is_refused():
    with pytest.raises(DeclarationError, match="made in memory, where no other process finds it; declare it in a file"):
        task_of(Problem(domain=Box(0, 1), reaction=lambda u: u, load=1.0), "named")
