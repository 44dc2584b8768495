"""A checkpoint is what was written, or an error that names the file; it appears whole or not."""

import json

import numpy as np
import pytest

from chainrule.errors import CheckpointError, StorageError
from chainrule.train import checkpoint as module
from chainrule.train.checkpoint import (
    Checkpoint,
    find_checkpoints,
    folder_of,
    keep_only,
    read_checkpoint,
    write_checkpoint,
)

FILES = ["model.safetensors", "optimizer.safetensors", "state.json"]


def made(step: int = 5) -> Checkpoint:
    rng = np.random.default_rng(step)
    model = {
        "fc.weight": rng.standard_normal((3, 4)).astype(np.float32),
        "fc.bias": np.zeros(3, np.float32),
        "empty": np.zeros((0, 2), np.float32),
    }
    optimizer = {"0.step": np.array(7.0), "0.exp_avg": rng.standard_normal((3, 4))}
    return Checkpoint(step, model, optimizer, {"position": {"best_step": 5}, "lr": 0.1})


def test_what_is_read_is_what_was_written(tmp_path):
    original = made()
    write_checkpoint(tmp_path, original)
    found = read_checkpoint(tmp_path, 5)
    for before, after in ((original.model, found.model), (original.optimizer, found.optimizer)):
        assert sorted(before) == sorted(after)
        for name, array in before.items():
            assert after[name].dtype == array.dtype
            assert after[name].shape == array.shape
            np.testing.assert_array_equal(after[name], array)
    assert found.state["lr"] == 0.1
    assert read_checkpoint(tmp_path, 5, optimizer=False).optimizer == {}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_cut_or_foreign_is_named(tmp_path, name):
    write_checkpoint(tmp_path, made())
    path = folder_of(tmp_path, 5) / name
    whole = path.read_bytes()
    spoilt = [None, b"", whole[:4], whole[: len(whole) // 2], whole[:-2], whole + b"x"]
    spoilt += [b"\xff" * len(whole), bytes(len(whole)), b"PK\x03\x04" + whole[4:], b"[]", b"{}"]
    for content in spoilt:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match=name) as caught:
            read_checkpoint(tmp_path, 5)
        assert caught.value.cure
    path.write_bytes(whole)
    read_checkpoint(tmp_path, 5)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_noticed(tmp_path, name):
    write_checkpoint(tmp_path, made())
    path = folder_of(tmp_path, 5) / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    value = json.loads(whole) if name == "state.json" else None
    for position in rng.integers(0, len(whole), 150):
        changed = bytearray(whole)
        changed[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            found = read_checkpoint(tmp_path, 5)
        except CheckpointError:
            continue
        # white space between JSON's values may change with no harm
        assert value is not None
        assert {**found.state, "sha256": value["sha256"]} == value


def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path):
    write_checkpoint(tmp_path, made())
    path = folder_of(tmp_path, 5) / "model.safetensors"
    size = path.stat().st_size
    for claim in (1 << 62, size, 1 << 33):
        path.write_bytes(claim.to_bytes(8, "little") + bytes(size - 8))
        with pytest.raises(CheckpointError, match="header"):
            read_checkpoint(tmp_path, 5)
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    ).encode()
    content = len(header).to_bytes(8, "little") + header
    path.write_bytes(content.ljust(size, b" ")[:size])
    with pytest.raises(CheckpointError, match="names"):
        read_checkpoint(tmp_path, 5)


def test_another_format_is_told_from_damage(tmp_path):
    write_checkpoint(tmp_path, made())
    path = folder_of(tmp_path, 5) / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "format": "chainrule checkpoint 9"}))
    with pytest.raises(CheckpointError, match="checkpoint 9") as caught:
        read_checkpoint(tmp_path, 5)
    assert "version" in caught.value.cure


@pytest.mark.parametrize("failing", FILES)
def test_writing_that_fails_leaves_the_one_before(tmp_path, monkeypatch, failing):
    write_checkpoint(tmp_path, made(1))
    write = module.write_file

    def full(path, data):
        if path.name == failing:
            path.write_bytes(data[:10])
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(module, "write_file", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_checkpoint(tmp_path, made(2))
    assert "free some space" in caught.value.cure
    assert [each.name for each in tmp_path.iterdir()] == ["step-00000001"]
    read_checkpoint(tmp_path, 1)


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    write_checkpoint(tmp_path, made())
    write_checkpoint(tmp_path, Checkpoint(5, made(9).model, {}, {"lr": 0.2}))
    assert read_checkpoint(tmp_path, 5).state["lr"] == 0.2
    keep_only(tmp_path, {5})
    assert [each.name for each in tmp_path.iterdir()] == ["step-00000005"]


def test_only_those_named_are_kept(tmp_path):
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, made(step))
    (tmp_path / ".writing-left").mkdir()
    (tmp_path / "step-mine").mkdir()
    keep_only(tmp_path, {1, 3})
    assert find_checkpoints(tmp_path) == [1, 3]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "step-00000001",
        "step-00000003",
        "step-mine",
    ]
    assert find_checkpoints(tmp_path / "nowhere") == []
