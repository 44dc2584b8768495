"""IDX files are read with suspicion: whatever the bytes, a good array or a DataError."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.data import read_idx, read_idx_pair, write_idx
from chainrule.errors import DataError, DTypeError, StorageError

DTYPES = ("uint8", "int8", "int16", "int32", "float32", "float64")
no_reset = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def idx_bytes(sizes: tuple[int, ...], body: bytes, code: int = 8) -> bytes:
    return bytes((0, 0, code, len(sizes))) + struct.pack(f">{len(sizes)}I", *sizes) + body


@no_reset
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0))
    ),
    packed=st.booleans(),
)
def test_what_is_written_is_read_back(tmp_path: Path, array: Any, packed: bool) -> None:
    path = tmp_path / ("a.gz" if packed else "a")
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_the_format_is_the_published_one(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    expected = bytes.fromhex("00000b02 00000001 00000002 0001 fffe")
    assert (tmp_path / "a").read_bytes() == expected


@no_reset
@given(
    data=st.binary(max_size=200), prefix=st.sampled_from([b"", b"\0\0\x08\x01", b"\x1f\x8b\x08"])
)
def test_random_bytes_never_crash(tmp_path: Path, data: bytes, prefix: bytes) -> None:
    path = tmp_path / "noise"
    path.write_bytes(prefix + data)
    try:
        read_idx(path, max_bytes=1 << 16)
    except DataError as error:
        message = str(error)
    else:
        return
    assert str(path) in message


@no_reset
@given(position=st.integers(0, 200), flip=st.integers(1, 255), cut=st.integers(0, 200))
def test_damaged_gzip_is_a_data_error_or_unharmed(
    tmp_path: Path, position: int, flip: int, cut: int
) -> None:
    sound = gzip.compress(idx_bytes((90,), bytes(range(90))), mtime=0)
    damaged = bytearray(sound[: max(3, len(sound) - cut)])
    damaged[position % len(damaged)] ^= flip
    path = tmp_path / "damaged.gz"
    path.write_bytes(bytes(damaged))
    try:
        assert read_idx(path).tolist() == list(range(90))  # a harmless header byte was hit
    except DataError as error:
        message = str(error)
    else:
        return
    assert str(path) in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"\0\0", "magic"),
        (b"PK\x03\x04" + bytes(40), "magic"),
        (idx_bytes((3,), b"abc", code=0x0A), "dtype code"),
        (bytes((0, 0, 8, 0)), "dimensions"),
        (idx_bytes((3, 4), b"")[:9], "truncated"),
        (idx_bytes((3,), b"ab"), "truncated"),
        (idx_bytes((3,), b"abcd"), "too long"),
        (idx_bytes((2**32 - 1,) * 32, b""), "at most"),
        (idx_bytes((1 << 30,), b"abc"), "truncated"),
        (gzip.compress(idx_bytes((3,), b"ab"), mtime=0), "truncated"),
        (gzip.compress(idx_bytes((3,), b"abcd"), mtime=0), "trailing"),
        (gzip.compress(idx_bytes((1 << 30,), b"abc"), mtime=0), "truncated"),
        (gzip.compress(idx_bytes((3,), b"abc"), mtime=0)[:-6], "truncated"),
        (gzip.compress(idx_bytes((3,), b"abc"), mtime=0)[:-8] + bytes(8), "CRC"),
        (b"\x1f\x8b" + bytes(30), "expected"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert caught.value.facts["path"] == str(path)


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "nowhere")


def test_a_decompression_bomb_costs_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_bytes((10,), bytes(60_000_000)), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(DataError, match="trailing"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_claims_beyond_the_limit_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    path.write_bytes(idx_bytes((1 << 31, 1 << 31), b""))
    with pytest.raises(DataError, match="at most 1000 bytes"):
        read_idx(path, max_bytes=1000)


def test_renamed_and_mismatched_files(tmp_path: Path) -> None:
    images, labels, short = tmp_path / "images", tmp_path / "labels", tmp_path / "short"
    write_idx(images, np.zeros((5, 28, 28), np.uint8))
    write_idx(labels, np.array([0, 1, 2, 3, 9], np.uint8))
    write_idx(short, np.zeros(4, np.uint8))
    pictures, names = read_idx_pair(images, labels, classes=10)
    assert pictures.shape == (5, 28, 28)
    assert names.tolist() == [0, 1, 2, 3, 9]
    with pytest.raises(DataError, match="swapped or renamed"):
        read_idx_pair(labels, images)
    with pytest.raises(DataError, match="expected 5 labels"):
        read_idx_pair(images, short)
    with pytest.raises(DataError, match="labels below 9"):
        read_idx_pair(images, labels, classes=9)
    with pytest.raises(DataError, match="int16"):
        read_idx(labels, dtype="int16")
    with pytest.raises(DataError, match="6 items"):
        read_idx(labels, count=6)


def test_writing_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match="int64"):
        write_idx(tmp_path / "a", np.zeros(3, np.int64))
    with pytest.raises(DataError, match="shape"):
        write_idx(tmp_path / "a", np.uint8(3))  # pyright: ignore[reportArgumentType]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_idx(tmp_path / "file" / "a", np.zeros(3, np.uint8))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
