"""What is kept of a run's inside: right by other means, and without a trace in what is trained."""

import json

import numpy as np
import pytest
from tests.train.drawn_runs import Crash, CrashAt, small_config, trainer_in, weights

from chainrule.nn.functional import cross_entropy
from chainrule.ops.from_data import from_numpy
from chainrule.train import RunFolder, Trainer, load_pictures
from chainrule.train.engines import can_compile
from chainrule.train.event_files import EventFile, scalars_of
from chainrule.train.metrics import read_metrics

ENGINES = ["tape", "layers", *["compiled"] * can_compile()]


def run_in(folder, config, **settings):
    run = RunFolder.create(folder, config, overwrite=False)
    trainer = Trainer(config, load_pictures(config), run, None, "drawn digits", **settings)
    trainer.run()
    return trainer


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["mlp", "cnn", "small"])
def test_the_same_bits_with_and_without_being_observed(tmp_path, engine, model):
    settings = {"engine": engine, "model": model, "limit": 64, "batch_size": 16, "epochs": 2}
    config = small_config(**settings)
    seen = run_in(tmp_path / "seen", config, observe=True, events=True)
    unseen = run_in(tmp_path / "unseen", config, observe=False)
    assert weights(seen) == weights(unseen)
    assert (tmp_path / "seen/observations.jsonl").exists()
    assert not (tmp_path / "unseen/observations.jsonl").exists()


def test_norms_are_those_of_the_network_and_of_its_gradient(tmp_path):
    config = small_config(engine="tape", epochs=1)
    trainer = run_in(tmp_path / "run", config)
    lines = read_metrics(tmp_path / "run/observations.jsonl")
    last = [line for line in lines if line["kind"] == "inside"][-1]
    assert last["step"] == trainer.steps
    images, labels = trainer.pictures.train.gather(np.arange(64))
    trainer.model.zero_grad()
    cross_entropy(trainer.model(from_numpy(images)), from_numpy(labels)).backward()
    for name, parameter in trainer.model.named_parameters():
        told = last["parameters"][name]
        own = {"weight": parameter.detach().numpy(), "gradient": parameter.grad.numpy()}
        for kind, values in own.items():
            # BLAS may add up in another order for arrays that lie elsewhere.
            assert told[kind] == pytest.approx(np.linalg.norm(values), rel=1e-4)
    hidden = trainer.model[1](trainer.model[0](from_numpy(images))).detach().numpy()
    assert last["dead"] == {"relu": [int((hidden.max(0) <= 0).sum()), 128]}


def test_a_run_that_died_goes_on_with_the_observations_of_its_checkpoint(tmp_path):
    config = small_config(checkpoint_every=4, epochs=2)
    trainer = trainer_in(tmp_path / "run", config, CrashAt(11))
    with pytest.raises(Crash):
        trainer.run()
    trainer_in(tmp_path / "run", config, anew=False).run(resume=True)
    lines = read_metrics(tmp_path / "run/observations.jsonl")
    steps = [line["step"] for line in lines if line["kind"] == "inside"]
    assert steps == sorted(set(steps))
    assert [line["epoch"] for line in lines if line["kind"] == "phases"] == [1, 2]


def test_tensorboard_reads_what_the_metrics_say(tmp_path):
    reason = "the extra `tensorboard` is not installed"
    name = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(name, reason=reason)
    run_in(tmp_path / "run", small_config(), events=True)
    read = reader.EventAccumulator(str(tmp_path / "run/events")).Reload()
    lines = read_metrics(tmp_path / "run/metrics.jsonl")
    for tag, kind, key in (
        ("train/loss", "step", "loss"),
        ("train/accuracy", "step", "accuracy"),
        ("learning_rate", "step", "lr"),
        ("epoch/validation_loss", "epoch", "validation_loss"),
    ):
        told = [(line["step"], line[key]) for line in lines if line["kind"] == kind]
        found = read.Scalars(tag)
        assert [each.step for each in found] == [step for step, _ in told]
        assert [each.value for each in found] == pytest.approx([y for _, y in told], abs=1e-6)
    assert {"gradient_norm/fc1.weight", "update_ratio/fc2.bias"} <= set(read.Tags()["scalars"])


def test_checksums_are_crc_32c(tmp_path):
    events = EventFile(tmp_path)
    events.close()
    data = events.path.read_bytes()
    assert b"brain.Event:2" in data
    from chainrule.train import event_files

    table, crc = event_files._crc_table(), 0xFFFFFFFF
    for byte in b"123456789":
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    assert crc ^ 0xFFFFFFFF == 0xE3069283  # RFC 3720's check value


def test_what_is_not_finite_is_no_scalar():
    line = {"kind": "step", "loss": float("nan"), "lr": 0.1}
    assert scalars_of(line) == {"learning_rate": 0.1}
    json.dumps(scalars_of(line), allow_nan=False)
