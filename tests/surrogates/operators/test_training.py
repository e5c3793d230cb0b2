"""Trainings learn, choose by validation, resume to the last bit, and refuse what cannot be meant."""

import json

import pytest
import torch

from sciml.errors import OptionError, UnknownNameError
from sciml.surrogates.operators import fitting
from sciml.surrogates.operators.fitting import Fit, split_options, train_operator
from sciml.surrogates.operators.run import load_run

SMALL = {"width": 8, "levels": 2, "patch": 4}


def _weights(run):
    return {name: tensor.clone() for name, tensor in run.surrogate.state_dict().items() if torch.is_tensor(tensor)}


def test_a_training_beats_the_mean_field(darcy):
    run = train_operator("darcy/threshold", darcy, "lsm", epochs=12, learning_rate=3e-3, batch_size=6, **SMALL)
    mean = train_operator("darcy/threshold", darcy, "mean")
    assert run["validation"] < 0.7 * mean["validation"]
    assert run["status"] == "budget_reached"


@pytest.mark.parametrize("model", ["lsm", "fno"])
def test_going_on_from_a_checkpoint_gives_the_same_bits(darcy, tmp_path, model):
    options = {"epochs": 3, "batch_size": 10} | (SMALL if model == "lsm" else {"width": 8, "modes": 4, "layers": 2})
    whole = train_operator("darcy/two_phase", darcy, model, seed=3, **options)
    train_operator("darcy/two_phase", darcy, model, seed=3, folder=tmp_path, cpu_seconds=1e-9, **options)
    halted = load_run(tmp_path)
    assert halted["course"]["history"][-1][0] == 1
    resumed = train_operator("darcy/two_phase", darcy, model, seed=3, folder=tmp_path, resume=True, **options)
    ours, theirs = _weights(whole), _weights(resumed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert resumed["course"]["validation"] == whole["course"]["validation"]


def test_a_checkpoint_of_other_options_is_refused(darcy, tmp_path):
    train_operator("darcy/two_phase", darcy, "lsm", folder=tmp_path, cpu_seconds=1e-9, epochs=2, **SMALL)
    with pytest.raises(OptionError, match="epochs=2"):
        train_operator("darcy/two_phase", darcy, "lsm", folder=tmp_path, resume=True, epochs=4, **SMALL)


def test_patience_ends_a_training_and_the_best_weights_are_kept(darcy):
    options = {"epochs": 60, "learning_rate": 0.05, "schedule": "constant", "patience": 2, "batch_size": 12}
    fit = Fit("darcy/two_phase", darcy, "lsm", options | SMALL)
    run = fit.run()
    errors = dict(map(tuple, run["course"]["validation"]))
    assert run["status"] == "converged"
    assert len(errors) < 60
    again = fit.training(fit.options, fit.model_options)
    again.surrogate.load_state_dict(run.surrogate.state_dict())
    assert again.validation_error() == pytest.approx(min(errors.values()), rel=1e-6)


def test_tuning_takes_what_did_best_on_validation(darcy, tmp_path):
    options = {"epochs": 6, "batch_size": 6, "learning_rate": 1e-9, **SMALL}
    run = train_operator("darcy/two_phase", darcy, "lsm", tune=3, folder=tmp_path, **options)
    errors = [trial["validation"] for trial in run["trials"]]
    assert len(errors) == 3
    assert errors[0] > min(errors)
    best = run["trials"][errors.index(min(errors))]
    assert run["options"]["learning_rate"] == best["options"]["learning_rate"]
    assert len((tmp_path / "trials.jsonl").read_text().splitlines()) == 3


def test_trials_that_were_made_are_not_made_again(darcy, tmp_path, monkeypatch):
    options = {"epochs": 1, **SMALL}
    train_operator("darcy/two_phase", darcy, "lsm", tune=2, folder=tmp_path, **options)
    made = []
    monkeypatch.setattr(fitting.Fit, "_drawn", lambda self, number: made.append(number) or {"learning_rate": 1e-3})
    (tmp_path / "trials.jsonl").write_text((tmp_path / "trials.jsonl").read_text() + '{"torn')
    for file in (tmp_path / "checkpoint").iterdir():
        file.unlink()
    run = train_operator("darcy/two_phase", darcy, "lsm", tune=3, folder=tmp_path, resume=True, **options)
    assert made == [2]
    assert len(run["trials"]) == 3


def test_only_training_samples_are_trained_on(darcy):
    fit = Fit("darcy/two_phase", darcy, "lsm", {"samples": 10} | SMALL)
    assert len(fit.data.train) == 10
    with pytest.raises(OptionError, match="samples=25 was given; .* has 24"):
        Fit("darcy/two_phase", darcy, "lsm", {"samples": 25} | SMALL)


@pytest.mark.parametrize(
    ("family", "model", "options", "error", "said"),
    [
        ("poisson/sine", "lsm", {}, OptionError, "is of family 'darcy/two_phase', not 'poisson/sine'"),
        ("darcy/two_phase", "lstm", {}, UnknownNameError, "did you mean 'lsm'"),
        ("darcy/two_phase", "lsm", {"epoch": 3}, OptionError, "did you mean 'epochs'"),
        ("darcy/two_phase", "lsm", {"epochs": 0}, OptionError, "epochs=0"),
        ("darcy/two_phase", "lsm", {"patch": 4, "levels": 2, "padding": 0}, OptionError, "patch"),
    ],
)
def test_what_cannot_be_meant_is_refused(darcy, family, model, options, error, said):
    with pytest.raises(error, match=said):
        Fit(family, darcy, model, options)


def test_options_as_text_are_read():
    training, own = split_options("lsm", {"epochs": "7", "width": "16"})
    assert (training.epochs, own) == (7, {"width": 16})


def test_a_loss_that_explodes_is_an_error_that_says_what_to_do(darcy):
    from sciml.errors import DivergenceError

    with pytest.raises(DivergenceError, match="lower the learning_rate"):
        train_operator(
            "darcy/two_phase",
            darcy,
            "fno",
            epochs=20,
            learning_rate=1e30,
            schedule="constant",
            width=8,
            modes=4,
            layers=2,
        )


def test_the_manifest_is_plain_json_and_says_what_was_done(darcy, tmp_path):
    train_operator("darcy/two_phase", darcy, "lsm", folder=tmp_path, epochs=1, **SMALL)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model_options"]["width"] == 8
    assert manifest["data"]["sizes"] == {"train": 24, "validation": 6, "test": 6}
    assert manifest["trainable_parameters"] > 0
