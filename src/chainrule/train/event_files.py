"""Event files, as TensorBoard reads them: the numbers of a run while it goes on.

An event file is a row of TFRecords (length, its checksum, bytes, their checksum); each holds one
`Event` in the wire format of protocol buffers, of which the few fields that scalars need are
written here. So the extra `tensorboard` is needed to look, not to write: loading a library for it
would take longer than many a run. The formats: tensorflow/core/util/event.proto, framework/
summary.proto, and lib/io/record_writer.h; CRC-32C: RFC 3720, appendix B.4.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chainrule.data.files import make_folder, storage_error

__all__ = ["EventFile", "can_be_shown", "scalars_of"]


def can_be_shown() -> bool:
    """Whether TensorBoard is installed; it is not loaded for that.

    >>> can_be_shown() in (True, False)
    True
    """
    return find_spec("tensorboard") is not None


class EventFile:
    """One session's events.

    Args:
        folder: where; TensorBoard reads all files in it.
        step: where the session begins: what another one wrote of later steps counts no more.

    Raises:
        StorageError: the disk refuses.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     events = EventFile(Path(folder))
    ...     events.write(1, {"train/loss": 2.5})
    ...     events.close()
    ...     b"train/loss" in events.path.read_bytes()
    True
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        make_folder(folder)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        try:
            self._file = self.path.open("xb")
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._append(_text(3, "brain.Event:2"))
        self._append(_whole(2, step) + _message(7, _whole(1, 1)))  # SessionLog.START

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step, by tag."""
        values = b"".join(
            _message(1, _text(1, tag) + b"\x15" + struct.pack("<f", value))
            for tag, value in scalars.items()
        )
        self._append(_whole(2, step) + _message(5, values))
        try:
            self._file.flush()
        except OSError as error:
            raise storage_error(self.path, error) from error

    def close(self) -> None:
        """Let go of the file; what could not be written was reported before."""
        try:
            self._file.close()
        except OSError:
            pass

    def _append(self, event: bytes) -> None:
        data = b"\x09" + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(data))
        try:
            self._file.write(length + _checksum(length) + data + _checksum(data))
        except OSError as error:
            raise storage_error(self.path, error) from error


def scalars_of(line: Mapping[str, Any]) -> dict[str, float]:
    """What there is to plot in a line of the metrics or the observations, by tag.

    >>> scalars_of({"kind": "step", "step": 5, "loss": 0.5, "lr": 0.1})
    {'train/loss': 0.5, 'learning_rate': 0.1}
    """
    scalars = {tag: line[key] for key, tag in _TAGS.get(line["kind"], {}).items() if key in line}
    for name, norms in line.get("parameters", {}).items():
        weight, gradient, update = norms["weight"], norms["gradient"], norms["update"]
        scalars |= {f"weight_norm/{name}": weight, f"gradient_norm/{name}": gradient}
        if weight and update is not None:
            scalars[f"update_ratio/{name}"] = update / weight
    for name, (dead, _) in line.get("dead", {}).items():
        scalars[f"dead_units/{name}"] = dead
    return {tag: value for tag, value in scalars.items() if _is_finite(value)}


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


_TAGS = {
    "step": {
        "loss": "train/loss",
        "accuracy": "train/accuracy",
        "lr": "learning_rate",
        "images_per_second": "images_per_second",
    },
    "epoch": {
        "train_loss": "epoch/train_loss",
        "train_accuracy": "epoch/train_accuracy",
        "validation_loss": "epoch/validation_loss",
        "validation_accuracy": "epoch/validation_accuracy",
    },
}


# -- the wire format -----------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more come."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _whole(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _checksum(data: bytes) -> bytes:
    """CRC-32C, masked as TFRecords have it: rotated by 15 bits, and a constant added."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _crc_table() -> tuple[int, ...]:
    """What each byte does to the checksum: the polynomial 0x1EDC6F41, its bits reversed."""
    table: list[int] = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)
