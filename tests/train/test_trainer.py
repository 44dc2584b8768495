"""A run: what it leaves, that it repeats, that it goes on after any death, how it stops."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from tests.train.drawn_runs import Crash, CrashAt, small_config, trainer_in, weights

from chainrule.errors import CheckpointError, ConfigError, NumericalError, StorageError
from chainrule.nn import CrossEntropyLoss
from chainrule.train import Interrupted, RunFolder, Trainer, build_engine, build_model
from chainrule.train import checkpoint as checkpoint_module
from chainrule.train.checkpoint import find_checkpoints
from chainrule.train.metrics import read_metrics
from chainrule.train.progress import SilentReporter

KEYS = [
    "dataset",
    "model",
    "engine",
    "epochs",
    "seed",
    "test_accuracy",
    "seconds_train",
    "seconds_total",
    "parameters",
]


# ---- what a run leaves -----------------------------------------------------------------------


def test_a_run_leaves_settings_metrics_and_a_summary(tmp_path):
    config = small_config(limit=1200, epochs=3)
    trainer = trainer_in(tmp_path / "run", config)
    summary = trainer.run()
    folder = RunFolder.open(tmp_path / "run")
    assert folder.config == config
    assert folder.summary == summary
    assert [key for key in summary if key in KEYS] == KEYS
    assert summary["test_accuracy"] > 0.7
    assert summary["parameters"] == 784 * 128 + 128 + 1280 + 10
    assert 0 < summary["seconds_train"] <= summary["seconds_total"]
    lines = read_metrics(folder.metrics)
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    steps = [line["step"] for line in lines if line["kind"] == "step"]
    assert steps == list(range(3, trainer.steps + 1, 3))


def test_the_last_checkpoint_and_the_best_are_kept(tmp_path):
    trainer = trainer_in(tmp_path / "run", small_config(epochs=4, checkpoint_every=2))
    trainer.run()
    kept = find_checkpoints(tmp_path / "run" / "checkpoints")
    assert kept == sorted({trainer.position.step, trainer.position.best_step})
    epochs = [line for line in read_metrics(tmp_path / "run/metrics.jsonl") if "seconds" in line]
    best = max(epochs, key=lambda line: line["validation_accuracy"])
    assert RunFolder.open(tmp_path / "run").checkpoint("best").step == best["step"]


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_engines_and_repeats_give_the_same_bits(tmp_path, model):
    settings: dict[str, Any] = {"model": model, "limit": 48, "batch_size": 8, "epochs": 1}
    found = []
    for number, engine in enumerate(["tape", "layers", "tape"]):
        trainer = trainer_in(tmp_path / str(number), small_config(engine=engine, **settings))
        trainer.run()
        found.append(weights(trainer))
    assert found[0] == found[1] == found[2]
    other = trainer_in(tmp_path / "other", small_config(seed=1, **settings))
    other.run()
    assert weights(other) != found[0]


def test_an_unknown_engine_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match="'warp'") as caught:
        build_engine("warp", build_model("mlp"), CrossEntropyLoss(), [])
    assert "tape, layers, compiled" in caught.value.cure


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon"]
)
def test_every_optimizer_trains_and_resumes(tmp_path, optimizer):
    config = small_config(optimizer=optimizer, limit=600, checkpoint_every=7, epochs=3)
    whole = trainer_in(tmp_path / "whole", config)
    summary = whole.run()
    assert summary["test_accuracy"] > 0.4
    cut = trainer_in(tmp_path / "cut", config, CrashAt(20))
    with pytest.raises(Crash):
        cut.run()
    resumed = trainer_in(tmp_path / "cut", config, anew=False)
    resumed.run(resume=True)
    assert weights(resumed) == weights(whole)


# ---- dying and going on ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["tape", "layers"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_run_that_died_at_any_step_ends_with_the_same_bits(tmp_path, engine, model):
    """The network with dropout too: its random numbers go on where they were."""
    config = small_config(
        model=model, engine=engine, limit=60, batch_size=10, epochs=2, checkpoint_every=2
    )
    whole = trainer_in(tmp_path / "whole", config)
    summary = whole.run()
    for step in (1, 3, 5, 8, 10) if model == "mlp" else (8,):
        folder = tmp_path / f"cut-{step}"
        with pytest.raises(Crash):
            trainer_in(folder, config, CrashAt(step)).run()
        resumed = trainer_in(folder, config, anew=False)
        again = resumed.run(resume=True)
        assert weights(resumed) == weights(whole), step
        assert again["test_accuracy"] == summary["test_accuracy"]
        assert _without_times(folder) == _without_times(tmp_path / "whole")


def _without_times(folder):
    lines = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


def _command(folder, *more: str) -> list[str]:
    words = "train drawn --limit 48 --batch-size 4 --checkpoint-every 2"
    return [sys.executable, "-m", "chainrule", *words.split(), "--out", str(folder), *more]


def _wait_for_step(process, folder, step: int) -> None:
    deadline = time.monotonic() + 60
    while max(find_checkpoints(folder / "checkpoints"), default=0) < step:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _final_weights(folder) -> bytes:
    root = folder / "checkpoints"
    last = find_checkpoints(root)[-1]
    assert last == 10 * json.loads((folder / "summary.json").read_text())["epochs"]
    return (checkpoint_module.folder_of(root, last) / "model.safetensors").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("engine", "model", "epochs"), [("tape", "cnn", "2"), ("compiled", "small", "20")]
)
def test_kill_9_and_ctrl_c_then_resume_give_the_bits_of_a_whole_run(
    tmp_path, engine, model, epochs
):
    """The quicker engine has more to do: it must not end before it is stopped."""
    if engine == "compiled":
        pytest.importorskip("llvmlite")
    kind = ("--engine", engine, "--model", model, "--epochs", epochs)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(_command(whole, *kind), check=True, capture_output=True)
    begin = _command(cut, *kind)
    process = subprocess.Popen(begin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _wait_for_step(process, cut, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    process = subprocess.Popen(
        _command(cut, "--resume"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    _wait_for_step(process, cut, 12)  # in the second epoch
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate()
    assert process.returncode == 130, told
    assert "--resume --out" in told
    assert "Traceback" not in told
    assert not (cut / "summary.json").exists()
    subprocess.run(_command(cut, "--resume"), check=True, capture_output=True)
    assert _final_weights(cut) == _final_weights(whole)


class StopAt(SilentReporter):
    """Presses Ctrl-C at a step, some times in a row."""

    def __init__(self, step: int, times: int = 1) -> None:
        self.stop, self.times = step, times
        self.notes: list[str] = []

    def step(self, report: Any) -> None:
        if report.step == self.stop:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_ctrl_c_ends_the_step_and_saves(tmp_path):
    config = small_config()
    report = StopAt(3)
    trainer = trainer_in(tmp_path / "run", config, report)
    with pytest.raises(Interrupted) as caught:
        trainer.run()
    assert caught.value.step == 3
    assert len(report.notes) == 1
    assert find_checkpoints(tmp_path / "run/checkpoints")[-1] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = trainer_in(tmp_path / "run", config, anew=False)
    resumed.run(resume=True)
    whole = trainer_in(tmp_path / "whole", config)
    whole.run()
    assert weights(resumed) == weights(whole)


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    trainer = trainer_in(tmp_path / "run", small_config(), StopAt(3, times=2))
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.run()
    assert not isinstance(caught.value, Interrupted)
    assert find_checkpoints(tmp_path / "run/checkpoints") == [0]


# ---- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["tape", "layers"])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, engine):
    config = small_config(optimizer="sgd", lr=1e30, schedule="constant", engine=engine)
    trainer = trainer_in(tmp_path / "run", config)
    with pytest.raises(NumericalError, match=r"step \d+ .* learning rate") as caught:
        trainer.run()
    assert "--lr" in caught.value.cure
    assert "last good checkpoint" in caught.value.cure
    for array in RunFolder.open(tmp_path / "run").checkpoint().model.values():
        assert np.isfinite(array).all()


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    trainer = trainer_in(tmp_path / "run", small_config())
    trainer.save()
    trainer.position.step = 7
    next(iter(trainer.model.parameters())).detach().fill_(float("nan"))
    with pytest.raises(NumericalError, match=r"fc1\.weight"):
        trainer.save()
    assert find_checkpoints(tmp_path / "run/checkpoints") == [0]


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    config = small_config(checkpoint_every=2)
    write = checkpoint_module.write_file

    def full(path, data):
        if trainer.position.step >= 4 and path.name == "optimizer.safetensors":
            raise StorageError("No space left on device", cure="free some space")
        write(path, data)

    monkeypatch.setattr(checkpoint_module, "write_file", full)
    trainer = trainer_in(tmp_path / "run", config)
    with pytest.raises(StorageError) as caught:
        trainer.run()
    assert "last good checkpoint, of step 2" in caught.value.cure
    root = tmp_path / "run/checkpoints"
    assert [each.name for each in root.iterdir()] == ["step-00000002"]
    monkeypatch.undo()
    resumed = trainer_in(tmp_path / "run", config, anew=False)
    resumed.run(resume=True)
    whole = trainer_in(tmp_path / "whole", config)
    whole.run()
    assert weights(resumed) == weights(whole)


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="can't be written"):
        trainer_in(tmp_path / "file" / "run", small_config())


def test_another_run_is_not_overwritten_unless_asked(tmp_path):
    config = small_config(epochs=1)
    folder = tmp_path / "run"
    trainer_in(folder, config).save()
    with pytest.raises(ConfigError, match="an unfinished run") as caught:
        RunFolder.create(folder, config, overwrite=False)
    assert "--resume" in caught.value.cure
    trainer = trainer_in(folder, config, anew=False)
    trainer.run(resume=True)
    with pytest.raises(ConfigError, match="a finished run"):
        RunFolder.create(folder, config, overwrite=False)
    (folder / "notes.txt").write_text("mine")
    RunFolder.create(folder, config, overwrite=True)
    assert sorted(each.name for each in folder.iterdir()) == [
        "checkpoints",
        "config.json",
        "notes.txt",
    ]


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="thesis"):
            RunFolder.create(tmp_path, small_config(), overwrite)
    assert (tmp_path / "thesis.tex").exists()


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    """A second opening of the folder stands for another process: locks are by opening."""
    config, run = small_config(), RunFolder(tmp_path / "run")
    with run.claimed():
        run.begin(config, overwrite=False)
        with (
            pytest.raises(ConfigError, match="another process is training"),
            RunFolder.open(run.path).claimed(),
        ):
            pass
        with run.claimed():  # it is ours
            pass
    with RunFolder.open(run.path).claimed():
        assert sorted(each.name for each in run.path.iterdir()) == ["checkpoints", "config.json"]


def test_a_run_begun_by_another_process_since_it_was_planned_is_left_alone(tmp_path):
    config = small_config()
    late = RunFolder.plan(tmp_path / "run", config, overwrite=False)
    RunFolder.create(tmp_path / "run", config, overwrite=False)
    with pytest.raises(ConfigError, match="an unfinished run"):
        late.begin(config, overwrite=False)


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    config = small_config()
    trainer_in(tmp_path / "run", config).save()
    fewer = small_config(limit=200)
    with pytest.raises(CheckpointError, match="other data"):
        trainer_in(tmp_path / "run", fewer, anew=False).run(resume=True)


def test_validation_can_be_left_out_but_training_can_not(tmp_path):
    trainer = trainer_in(tmp_path / "run", small_config(validation=0, epochs=1))
    trainer.run()
    assert "validation_loss" not in read_metrics(tmp_path / "run/metrics.jsonl")[-1]
    with pytest.raises(ConfigError, match="none are left"):
        trainer_in(tmp_path / "other", small_config(validation=240))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "epochs", "least"), [("mlp", 5, 0.977), ("lenet", 3, 0.989)])
def test_real_mnist_reaches_the_promised_accuracy(tmp_path, data_dir, model, epochs, least):
    from chainrule.train import TrainConfig, load_pictures

    config = TrainConfig.of("mnist", model)
    assert config.epochs == epochs
    run = RunFolder.create(tmp_path / "run", config, overwrite=False)
    summary = Trainer(config, load_pictures(config, str(data_dir)), run).run()
    assert summary["test_accuracy"] >= least
    assert json.loads((tmp_path / "run/summary.json").read_text()) == summary
