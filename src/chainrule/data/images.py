"""Reading a picture file into an array, whatever its kind and however damaged.

Pillow decodes PNG, JPEG and the like; it is an optional dependency, imported when a picture is
first read. NumPy's own `.npy` files need nothing. Sizes are checked in the header, before a pixel
is decoded: a small file can claim a picture larger than the memory.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ImageError, MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    StrPath = str | os.PathLike[str]

__all__ = ["MAX_PIXELS", "read_image"]

MAX_PIXELS = 64_000_000  # today's largest phone photographs are about 50 million
_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
_NPY_MAGIC = b"\x93NUMPY"


def read_image(path: StrPath, *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read a picture: `[H, W]`, or `[H, W, C]` with C = 2 (grey, alpha), 3 (RGB) or 4 (RGBA).

    PNG, JPEG, PGM/PPM, BMP, GIF (first frame), TIFF and WebP through Pillow, turned upright by
    their EXIF orientation, and `.npy` arrays. 16-bit grey stays uint16; palettes become colours.

    Raises:
        ImageError: the file is missing, empty, damaged, no picture, or larger than `max_pixels`.
        MissingDependencyError: Pillow is needed and not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/digit.npy", np.zeros((28, 20), np.uint8))
    ...     read_image(f"{folder}/digit.npy").shape
    (28, 20)
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            magic = file.read(len(_NPY_MAGIC))
    except OSError as error:
        raise _bad(path, f"can't be read: {error.strerror or error}") from error
    if not magic:
        raise _bad(path, "is empty")
    if magic == _NPY_MAGIC:
        return _read_npy(path, max_pixels)
    return _read_picture(path, max_pixels)


def _read_npy(path: Path, max_pixels: int) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            _check_shape(path, shape, max_pixels)
            if dtype.kind not in "buif":
                raise _bad(path, f"has dtype {dtype}, expected numbers")
            file.seek(0)
            return np.load(file, allow_pickle=False)
    except ImageError:
        raise
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError) as error:
        raise _bad(path, f"is not a sound .npy file: {error}") from error


def _check_shape(path: Path, shape: tuple[int, ...], max_pixels: int) -> None:
    pixels = 1
    for size in shape:
        pixels *= size
    if len(shape) not in (2, 3) or pixels == 0 or (len(shape) == 3 and shape[2] > 4):
        raise _bad(path, f"has shape {shape}, expected a picture [H, W] or [H, W, 1 to 4]")
    if pixels > max_pixels * 4 or shape[0] * shape[1] > max_pixels:
        raise _bad(path, f"has {shape[0]} x {shape[1]} pixels, expected at most {max_pixels}")


def _read_picture(path: Path, max_pixels: int) -> NDArray[Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {path} needs Pillow",
            cure="pip install pillow, or give a .npy file",
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is checked or raised here
            with Image.open(path, formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise _bad(
                        path, f"has {height} x {width} pixels, expected at most {max_pixels}"
                    )
                return _pixels(ImageOps.exif_transpose(picture))
    except ImageError:
        raise
    except Image.UnidentifiedImageError as error:
        raise _bad(path, "is not a picture of a known kind") from error
    except Image.DecompressionBombError as error:
        raise _bad(path, f"has more pixels than {max_pixels}, the most that are read") from error
    except MemoryError as error:
        raise _bad(path, "does not fit in memory") from error
    except Exception as error:
        # Pillow's decoders let almost any exception out when a file is damaged.
        raise _bad(path, f"is damaged: {type(error).__name__}: {error}") from error


def _pixels(picture: Image) -> NDArray[Any]:
    """The pixels in a mode that an array can hold: grey, RGB, with or without alpha."""
    mode = picture.mode
    if mode == "1":
        return np.asarray(picture.convert("L"))
    if mode.startswith("I"):  # 16-bit greys; plain "I" holds them in 32 bits
        return np.asarray(picture).clip(0, 65535).astype(np.uint16)
    if mode in ("L", "F", "RGB", "RGBA", "LA"):
        if mode == "L" and "transparency" in picture.info:
            return np.asarray(picture.convert("LA"))
        return np.asarray(picture)
    return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def _bad(path: Path, problem: str) -> ImageError:
    return ImageError(
        f"{path} {problem}",
        cure="give a PNG, JPEG, PGM or .npy picture of one digit",
        path=str(path),
    )
