"""The compiled engine: what the tape finds, in one program; the same bits however it was run."""

import os
import signal
import sys
from typing import Any

import numpy as np
import pytest
from tests.train.drawn_runs import Crash, CrashAt, small_config, trainer_in, weights

from chainrule import nn, optim
from chainrule.data import TensorDataset, drawn_digits
from chainrule.errors import ChainruleError, MissingDependencyError, NumericalError
from chainrule.ops.generator import manual_seed
from chainrule.train import (
    Interrupted,
    RunFolder,
    Trainer,
    build_engine,
    build_learner,
    build_model,
    evaluate,
    load_and_prepare,
)
from chainrule.train import engines as engines_module
from chainrule.train.checkpoint import find_checkpoints
from chainrule.train.compiled_engine import CompiledEngine, CompiledScoring
from chainrule.train.pictures import Normaliser
from chainrule.train.progress import SilentReporter

pytest.importorskip("llvmlite", reason="compiling needs llvmlite")

RAGGED: dict[str, Any] = {"limit": 120, "batch_size": 32, "engine": "compiled", "validation": 20}
"""Three whole batches in an epoch, and four samples more."""


def compiled_step(trainer: Any) -> Any:
    assert isinstance(trainer.engine, CompiledEngine)
    return trainer.engine.compiled


# ---- what it computes ------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mlp", "cnn", "small"])
def test_an_epoch_ends_where_the_tape_does_but_for_rounding(tmp_path, model):
    """With dropout and batch norm too: the same masks, the same running means."""
    settings = RAGGED | {"model": model, "epochs": 1, "optimizer": "sgd", "lr": 0.01}
    found: list[Any] = []
    for engine in ("tape", "compiled"):
        trainer = trainer_in(tmp_path / engine, small_config(**settings | {"engine": engine}))
        summary = trainer.run()
        state = {name: each.numpy() for name, each in trainer.model.state_dict().items()}
        found.append((state, summary))
    (expected, told), (state, summary) = found
    for name, value in expected.items():
        np.testing.assert_allclose(state[name], value, rtol=2e-3, atol=2e-4, err_msg=name)
    assert summary["engine"] == "compiled"
    assert abs(summary["test_accuracy"] - told["test_accuracy"]) <= 0.02
    assert summary["test_loss"] == pytest.approx(told["test_loss"], rel=1e-3)


def test_metrics_are_those_of_the_tape(tmp_path):
    from chainrule.train.metrics import read_metrics

    lines = []
    for engine in ("tape", "compiled"):
        config = small_config(limit=240, epochs=2, lr=1e-3, engine=engine)
        trainer_in(tmp_path / engine, config).run()
        lines.append(read_metrics(tmp_path / engine / "metrics.jsonl"))
    for expected, found in zip(*lines, strict=True):
        assert expected.keys() == found.keys()
        for key in expected.keys() - {"seconds", "images_per_second", "kind"}:
            assert found[key] == pytest.approx(expected[key], rel=0.02, abs=1e-4), key


def test_a_schedule_and_ragged_batches_are_compiled_once(tmp_path, capfd):
    trainer = trainer_in(tmp_path / "run", small_config(**RAGGED, epochs=10))
    trainer.run()
    assert compiled_step(trainer).count == 1
    assert len(compiled_step(trainer).programs) == 1
    assert compiled_step(trainer).program.ragged is not None
    assert "plain Python" not in compiled_step(trainer).explain()
    assert "compiled again" not in capfd.readouterr().err


def test_a_set_smaller_than_a_batch_is_one_batch(tmp_path):
    trainer = trainer_in(tmp_path / "run", small_config(**RAGGED | {"batch_size": 200}, epochs=3))
    trainer.run()
    assert compiled_step(trainer).count == 1


def test_judging_by_a_program_finds_what_judging_op_by_op_does():
    images, labels = drawn_digits(450)
    manual_seed(3)
    model = build_model("small").train()
    scoring = CompiledScoring(model)
    for mean in (0.1, 0.2):  # another data set, the same program
        data = TensorDataset(images[:, None], labels, transform=Normaliser(mean, 0.3))
        expected, found = evaluate(model, data, 10), scoring(data, 10)
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.confusion.sum() == 450
        assert abs(found.confusion - expected.confusion).sum() <= 4
        assert model.training
    assert scoring.compiled.count == 1


def test_a_data_set_that_is_no_normalised_bytes_is_judged_as_it_comes():
    x = np.random.default_rng(0).random((450, 4), np.float32)
    model = nn.Linear(4, 3)
    data = TensorDataset(x, np.arange(450) % 3)
    expected, found = evaluate(model, data, 3), CompiledScoring(model)(data, 3)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.accuracy == pytest.approx(expected.accuracy, abs=0.01)


# ---- the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_repeats_and_runs_that_died_give_the_same_bits(tmp_path, model):
    """Wherever it dies: before a ragged batch too, and after ten that were met on the way."""
    long = model == "mlp"
    size = {} if long else {"limit": 44, "batch_size": 10, "validation": 10}
    epochs = 10 if long else 2
    config = small_config(**RAGGED | size, model=model, epochs=epochs, checkpoint_every=1)
    whole = trainer_in(tmp_path / "whole", config)
    summary = whole.run()
    for step in (4, 39) if long else (4,):
        folder = tmp_path / f"cut-{step}"
        with pytest.raises(Crash):
            trainer_in(folder, config, CrashAt(step)).run()
        resumed = trainer_in(folder, config, anew=False)
        again = resumed.run(resume=True)
        assert weights(resumed) == weights(whole), step
        assert again["test_loss"] == summary["test_loss"]
    repeated = trainer_in(tmp_path / "again", config)
    repeated.run()
    assert weights(repeated) == weights(whole)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon"]
)
def test_every_optimizer_trains_and_resumes(tmp_path, optimizer):
    config = small_config(
        optimizer=optimizer, limit=600, checkpoint_every=7, epochs=3, engine="compiled"
    )
    whole = trainer_in(tmp_path / "whole", config)
    assert whole.run()["test_accuracy"] > 0.4
    with pytest.raises(Crash):
        trainer_in(tmp_path / "cut", config, CrashAt(20)).run()
    resumed = trainer_in(tmp_path / "cut", config, anew=False)
    resumed.run(resume=True)
    assert weights(resumed) == weights(whole)


def test_what_is_compiled_before_the_data_is_there_is_what_is_run(tmp_path):
    config = small_config(**RAGGED, model="small")
    plain = trainer_in(tmp_path / "plain", config)
    plain.run()
    pictures, learner = load_and_prepare(config)
    assert isinstance(learner.engine, CompiledEngine)
    assert learner.engine.compiled.count == 1
    before = {name: each.numpy().copy() for name, each in learner.model.state_dict().items()}
    run = RunFolder.create(tmp_path / "prepared", config, overwrite=False)
    trainer = Trainer(config, pictures, run, learner=learner)
    assert trainer.model is learner.model
    fresh = build_learner(config, 10).model.state_dict()
    for name, each in fresh.items():  # it was compiled, and not run
        np.testing.assert_array_equal(before[name], each.numpy())
    trainer.run()
    assert compiled_step(trainer).count == 1
    assert weights(trainer) == weights(plain)


def test_a_learner_of_another_size_is_not_taken(tmp_path):
    config = small_config(**RAGGED | {"batch_size": 200, "limit": 200})
    pictures, learner = load_and_prepare(config)
    run = RunFolder.create(tmp_path / "run", config, overwrite=False)
    trainer = Trainer(config, pictures, run, learner=learner)
    assert trainer.model is not learner.model
    trainer.run()
    assert compiled_step(trainer).count == 1


# ---- how it stops ----------------------------------------------------------------------------


class CtrlCAt(SilentReporter):
    def __init__(self, step: int) -> None:
        self.last = step

    def step(self, report: Any) -> None:
        if report.step == self.last:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_ends_the_step_and_saves(tmp_path):
    config = small_config(**RAGGED)
    with pytest.raises(Interrupted) as caught:
        trainer_in(tmp_path / "run", config, CtrlCAt(3)).run()
    assert caught.value.step == 3
    assert find_checkpoints(tmp_path / "run/checkpoints")[-1] == 3
    resumed = trainer_in(tmp_path / "run", config, anew=False)
    resumed.run(resume=True)
    whole = trainer_in(tmp_path / "whole", config)
    whole.run()
    assert weights(resumed) == weights(whole)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    config = small_config(optimizer="sgd", lr=1e30, schedule="constant", engine="compiled")
    trainer = trainer_in(tmp_path / "run", config)
    with pytest.raises(NumericalError, match=r"step \d+ .* learning rate") as caught:
        trainer.run()
    assert "last good checkpoint" in caught.value.cure
    for array in RunFolder.open(tmp_path / "run").checkpoint().model.values():
        assert np.isfinite(array).all()


def test_a_label_that_is_no_class_is_told_and_changes_nothing():
    model = nn.Linear(4, 3)
    rules = [optim.SGD(model.parameters(), lr=0.1)]
    engine = build_engine("compiled", model, nn.CrossEntropyLoss(), rules, 2)
    x = TensorDataset(np.ones((2, 4), np.float32)).tensors[0]
    good, bad = TensorDataset(np.array([0, 2]), np.array([0, 7])).tensors
    engine.step(x, good)
    before = model.weight.tolist()
    with pytest.raises(ChainruleError, match="7"):
        engine.step(x, bad)
    assert model.weight.tolist() == before


def test_without_llvmlite_it_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(engines_module, "find_spec", lambda name: None)
    assert engines_module.default_engine() == "tape"
    model = nn.Linear(4, 3)
    with pytest.raises(MissingDependencyError, match="llvmlite") as caught:
        build_engine("compiled", model, nn.CrossEntropyLoss(), [])
    assert "pip install" in caught.value.cure
    assert "--engine tape" in caught.value.cure
