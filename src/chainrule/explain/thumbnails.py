"""Thumbnails as PNG files: a few hundred bytes each, that a page holds in its text.

A map of numbers is green where they are positive, purple where negative (a pair that colour-blind
eyes tell apart), and transparent where they are zero, so that it suits light paper and dark.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.summary import Thumbnail

__all__ = ["data_uri", "grey", "png_of", "signed"]

POSITIVE = (0x17, 0x95, 0x5E)
NEGATIVE = (0x93, 0x47, 0xC4)
FAINT = 0.75
"""Small magnitudes are drawn stronger than in proportion, by this power: else most of a picture
whose numbers differ much would be blank."""


def grey(image: NDArray[Any]) -> Thumbnail:
    """Bytes as a picture."""
    rows, columns = image.shape
    return Thumbnail(rows, columns, image.astype(np.uint8).tobytes(), 255.0, grey=True)


def signed(values: NDArray[Any], scale: float) -> Thumbnail:
    """Numbers from -scale to scale as a map of positive and negative ones."""
    rows, columns = values.shape
    part_of = np.nan_to_num(values / (scale or 1.0), nan=0.0).clip(-1, 1)
    levels = (128 + np.rint(part_of * 127)).astype(np.uint8)
    return Thumbnail(rows, columns, levels.tobytes(), scale, grey=False)


def png_of(thumbnail: Thumbnail) -> bytes:
    """The picture as a PNG file.

    >>> png_of(Thumbnail(1, 1, bytes([128]), 1.0))[1:4]
    b'PNG'
    """
    rows, columns = thumbnail.rows, thumbnail.columns
    colours, alphas = _palette(thumbnail.grey)
    lines = b"".join(
        b"\0" + thumbnail.levels[row * columns : (row + 1) * columns] for row in range(rows)
    )
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", colours),
            b"" if thumbnail.grey else _chunk(b"tRNS", alphas),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def data_uri(thumbnail: Thumbnail) -> str:
    """The picture as an address that holds all of it."""
    return "data:image/png;base64," + base64.b64encode(png_of(thumbnail)).decode()


@cache
def _palette(grey: bool) -> tuple[bytes, bytes]:
    """256 colours, and how opaque each is."""
    if grey:
        return bytes(level for level in range(256) for _ in range(3)), b""
    signs = [NEGATIVE if level < 128 else POSITIVE for level in range(256)]
    strength = [(min(abs(level - 128), 127) / 127) ** FAINT for level in range(256)]
    return bytes(c for sign in signs for c in sign), bytes(round(255 * s) for s in strength)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
