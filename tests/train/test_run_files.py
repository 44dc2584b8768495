"""The files of a run and its small parts: what is damaged or can't be written is told by name."""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.train.drawn_runs import small_config, trainer_in

import chainrule
from chainrule.data.files import atomic_file
from chainrule.errors import ChainruleError, CheckpointError, ConfigError, StorageError
from chainrule.optim import SGD
from chainrule.train import RunFolder, build_model
from chainrule.train import checkpoint as checkpoint_module
from chainrule.train import run as run_module
from chainrule.train.checkpoint import Checkpoint, folder_of, read_checkpoint, write_checkpoint
from chainrule.train.metrics import MetricsFile, read_metrics
from chainrule.train.optimizer_state import pack_optimizers, unpack_optimizers
from chainrule.train.optimizers import build_optimizers
from chainrule.train.position import Position
from chainrule.train.progress import LineReporter, StepReport
from chainrule.train.schedule import learning_rate
from chainrule.train.tensor_files import encode, read_tensors, write_file

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---- a run's folder --------------------------------------------------------------------------


def test_the_newest_unfinished_run_is_resumed(tmp_path: Path) -> None:
    for stamp, finished in (("1", False), ("2", False), ("3", True)):
        folder = tmp_path / f"drawn-mlp-{stamp}"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        if finished:
            (folder / "summary.json").write_text("{}")
    assert RunFolder.latest("drawn", "mlp", tmp_path).path.name == "drawn-mlp-2"
    with pytest.raises(CheckpointError, match="no unfinished run of lenet on drawn") as raised:
        RunFolder.latest("drawn", "lenet", tmp_path)
    assert "--out" in raised.value.cure


def test_settings_that_are_no_settings_are_told_by_their_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    config = small_config().to_dict()
    for content, match in (
        (json.dumps({**config, "model": "vgg"}), "vgg"),
        ("[1, 2]", "holds no object"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=match) as raised:
            _ = run.config
        assert "config.json" in raised.value.problem
        assert raised.value.cure
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CheckpointError, match="can't be read"):
        run.read_json("config.json")


def test_a_run_stopped_before_its_first_checkpoint_has_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint") as raised:
        RunFolder(tmp_path).checkpoint()
    assert "train anew" in raised.value.cure


def test_the_best_checkpoint_is_another_than_the_last(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for step, best in ((3, 3), (5, 3)):
        state = {"position": {"best_step": best}}
        array = np.full(2, step, np.float32)
        write_checkpoint(run.checkpoints, Checkpoint(step, {"w": array}, {}, state))
    assert [run.checkpoint(which).step for which in ("last", "best")] == [5, 3]


def test_a_folder_that_may_not_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module.os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="is read-only"):
        RunFolder.create(tmp_path / "run", small_config(), overwrite=False)
    assert not (tmp_path / "run").exists()


def test_a_file_system_without_locks_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", full)
    with RunFolder(tmp_path / "run").claimed():
        assert (tmp_path / "run").is_dir()


# ---- checkpoints -----------------------------------------------------------------------------


def checkpoint(step: int = 5) -> Checkpoint:
    return Checkpoint(step, {"w": np.ones(2, np.float32)}, {}, {"lr": 0.1})


def test_no_room_for_a_folder_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module.tempfile, "mkdtemp", full)
    with pytest.raises(StorageError, match="No space left"):
        write_checkpoint(tmp_path, checkpoint())
    assert list(tmp_path.iterdir()) == []


def test_being_stopped_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_module, "write_file", stop)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, checkpoint())
    assert list(tmp_path.iterdir()) == []


def _restate(folder: Path, **changed: Any) -> None:
    """Change a checkpoint's state, and its digest with it: it is then whole, but wrong."""
    path = folder / "state.json"
    state = json.loads(path.read_text())
    kept = {key: value for key, value in {**state, **changed}.items() if value is not None}
    kept.pop("sha256")
    made = Checkpoint(kept.pop("step", 5), {}, {}, kept)
    path.write_bytes(checkpoint_module._encode_state(made, {}))


def test_a_checkpoint_in_the_folder_of_another_step_is_told(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(5))
    folder_of(tmp_path, 5).rename(folder_of(tmp_path, 6))
    with pytest.raises(CheckpointError, match=r"step-00000006.*is of step 5"):
        read_checkpoint(tmp_path, 6)


def test_a_state_that_does_not_know_its_files_is_told(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(5))
    _restate(folder_of(tmp_path, 5))
    with pytest.raises(CheckpointError, match=r"says nothing of model\.safetensors"):
        read_checkpoint(tmp_path, 5)


@needs_full
def test_a_full_disk_is_told_by_each_writer(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"/dev/full.*No space left") as raised:
        write_file(FULL, b"x" * 100)
    assert "free some space" in raised.value.cure
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.close()
    for use in (lambda: metrics.write(step=1), metrics.flushed):
        metrics._file = FULL.open("ab")
        if use != metrics.write:
            metrics._file.write(b"x")
        with pytest.raises(StorageError, match=r"metrics\.jsonl.*No space left"):
            use()
        metrics.close()  # says nothing: there is nothing left to lose


def test_metrics_go_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    metrics = MetricsFile(path)
    metrics.write(step=1, loss=1 / 3)
    kept = metrics.flushed()
    metrics.write(step=2, loss=0.25)
    metrics.close()
    again = MetricsFile(path, keep=kept)
    again.write(step=2, loss=0.125)
    again.close()
    assert read_metrics(path) == [{"step": 1, "loss": 0.333333}, {"step": 2, "loss": 0.125}]
    path.write_bytes(path.read_bytes()[:-5])  # the process died while it wrote
    assert read_metrics(path) == [{"step": 1, "loss": 0.333333}]
    with pytest.raises(StorageError, match="can't be written"):
        MetricsFile(tmp_path)


def test_tensors_that_are_none_are_told_though_their_digest_is_right(tmp_path: Path) -> None:
    import hashlib

    data = bytearray(encode({"w": np.ones(2, np.float32)}))
    start = data.index(b'"dtype":"F32"') + len(b'"dtype":"')
    data[start : start + 3] = b"Q99"
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match="x"):
        read_tensors(tmp_path / "x", len(data), hashlib.sha256(data).hexdigest())


def _write_half(path: Path, error: BaseException) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        raise error


def test_a_whole_file_or_none(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"before")
    for error, seen in (
        (OSError(errno.EIO, "Input/output error"), StorageError),
        (StorageError("full", cure="free"), StorageError),
        (ZeroDivisionError(), ZeroDivisionError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        with pytest.raises(seen):
            _write_half(path, error)
        assert path.read_bytes() == b"before"
        assert [each.name for each in tmp_path.iterdir()] == ["x.bin"]
    with pytest.raises(StorageError, match="can't be written"), atomic_file(tmp_path / ("n" * 300)):
        pass


# ---- the parts of a run ----------------------------------------------------------------------


def test_names_that_there_are_not_are_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="'vgg'") as raised:
        build_model("vgg")
    assert "mlp" in raised.value.cure
    with pytest.raises(ConfigError, match="'warp'") as raised:
        build_optimizers("warp", build_model("mlp"), 0.1, 0.0)
    assert "sgd" in raised.value.cure
    with pytest.raises(ConfigError, match="'steep'"):
        learning_rate("steep", 0.1, 1, 10)


def test_the_schedules_are_their_formulas() -> None:
    steps = 101
    assert {learning_rate("constant", 0.3, step, steps) for step in range(steps)} == {0.3}
    for step in range(steps):
        cosine = 0.3 * (1 + np.cos(np.pi * step / steps)) / 2
        assert learning_rate("cosine", 0.3, step, steps) == pytest.approx(cosine, abs=1e-15)
    rates = [learning_rate("one-cycle", 0.3, step, steps) for step in range(steps)]
    assert rates[0] == pytest.approx(0.3 / 25)
    assert max(rates) == rates[25] == pytest.approx(0.3)
    assert rates[-1] == pytest.approx(0.3 / 25 / 1e4)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_another_number_of_optimizers_is_told() -> None:
    made = [SGD([chainrule.zeros(2, requires_grad=True)], lr=0.1) for _ in range(2)]
    tensors, groups = pack_optimizers(made)
    with pytest.raises(CheckpointError, match="2"):
        unpack_optimizers(made[:1], tensors, groups)


@pytest.mark.parametrize("saved", [{"nothing": 1}, {"train": 3}, {"train": {"loss": "x", "y": 1}}])
def test_a_position_that_is_none_is_told(saved: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        Position.from_dict(saved)


def test_a_run_whose_checkpoint_lacks_something_does_not_go_on(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path / "run", small_config(epochs=1))
    trainer.run()
    path = tmp_path / "run" / "checkpoints"
    step = trainer.run_folder.checkpoint().step
    whole = read_checkpoint(path, step)
    for name in ("loader", "random", "position", "metrics_bytes"):
        state = {key: value for key, value in whole.state.items() if key != name}
        for ours in ("format", "step", "files", "sha256"):
            state.pop(ours, None)
        write_checkpoint(path, Checkpoint(step, whole.model, whole.optimizer, state))
        with pytest.raises(CheckpointError) as raised:
            trainer.restore()
        assert raised.value.cure


def test_lines_come_now_and_then_and_one_for_each_epoch() -> None:
    from rich.console import Console

    screen = Console(file=io.StringIO(), width=60)
    report = LineReporter(screen, every=0.0)
    report.step(StepReport(3, 30, 1, 2, 0.5, 0.75, 1234.5))
    report.note("[note]")
    line = {"epoch": 1, "train_loss": 0.25, "train_accuracy": 0.5, "seconds": 1.0}
    report.epoch({**line, "images_per_second": 10.0})
    report.close()
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "epoch 1/2  step 3/30  loss 0.5000  accuracy 75.00%" in text
    assert "[note]" in text
    assert "train loss 0.2500 accuracy 50.00%" in text
    quiet = LineReporter(Console(file=io.StringIO()), every=1e9)
    quiet.step(StepReport(3, 30, 1, 2, 0.5, 0.75, 1234.5))
    assert quiet.console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_errors_survive_pickling_with_all_they_say() -> None:
    import pickle

    error = ChainruleError("wrong", cure="right", location="x.py:3", given=7)
    again = pickle.loads(pickle.dumps(error))
    assert (again.problem, again.cure, again.location) == ("wrong", "right", "x.py:3")
    assert again.facts == {"given": 7}
    assert str(again) == str(error)
