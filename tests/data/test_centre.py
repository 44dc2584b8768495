"""Pictures of digits, however taken, come out as MNIST's; others as an ImageError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.data import as_mnist, drawn_digits, read_image
from chainrule.errors import ImageError


def scene(digit: Any, rng: np.random.Generator, *, photo: bool) -> Any:
    """The digit dark on bright paper, large, off the middle; photographed: shade and noise."""
    ink = np.zeros((420, 500))
    top, left = rng.integers(10, 120), rng.integers(10, 200)
    ink[top : top + 280, left : left + 280] = np.kron(digit / 255, np.ones((10, 10)))
    if not photo:
        return (255 * (1 - ink)).astype(np.uint8)
    y, x = np.mgrid[0:1:420j, 0:1:500j]
    lit = (0.5 + 0.4 * x - 0.2 * y + 0.1 * x * y) * (1 - 0.7 * ink)
    return (255 * (lit + rng.normal(0, 0.02, lit.shape)).clip(0, 1)).astype(np.uint8)


def agreement(a: Any, b: Any) -> float:
    """Correlation, at the best shift of at most a pixel: centring is by whole pixels."""
    flat = b.reshape(-1).astype(float)
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    moved = (np.roll(a.astype(float), shift, (0, 1)).reshape(-1) for shift in shifts)
    return max(float(np.corrcoef(each, flat)[0, 1]) for each in moved)


@pytest.mark.parametrize("photo", [False, True])
def test_a_photographed_digit_comes_out_as_it_was(photo: bool) -> None:
    rng = np.random.default_rng(0)
    digits, _ = drawn_digits(12, seed=9)
    likeness = [agreement(as_mnist(scene(digit, rng, photo=photo)), digit) for digit in digits]
    assert np.median(likeness) > 0.93
    assert min(likeness) > 0.85


def test_an_mnist_like_digit_hardly_changes() -> None:
    digits, _ = drawn_digits(30, seed=2)
    likeness = [agreement(as_mnist(digit), digit) for digit in digits]
    assert np.median(likeness) > 0.9


def test_size_polarity_dtype_and_channels_do_not_matter() -> None:
    digit = drawn_digits(1, seed=4)[0][0]
    paper = scene(digit, np.random.default_rng(1), photo=False)
    reference = as_mnist(paper)
    rgb = np.repeat(paper[..., None], 3, axis=2)
    alpha = np.dstack([np.zeros_like(rgb), 255 - paper])
    same = {
        "inverted": 255 - paper,
        "float": paper / 255,
        "uint16": paper.astype(np.uint16) * 257,
        "rgb": rgb,
        "one channel": paper[..., None],
        "black ink on transparency": alpha,
        "white ink on transparency": np.dstack([np.full_like(rgb, 255), 255 - paper]),
        "grey and opaque": np.dstack([paper, np.full_like(paper, 255)]),
    }
    for name, picture in same.items():
        assert agreement(as_mnist(picture), reference) > 0.98, name


def test_the_result_is_fitted_and_centred() -> None:
    thin = np.full((300, 200), 240, np.uint8)
    thin[40:260, 99:101] = 10  # a hairline one
    digit = as_mnist(thin)
    assert digit.dtype == np.uint8
    assert digit.shape == (28, 28)
    rows = np.flatnonzero((digit > 64).any(axis=1))
    assert rows[-1] - rows[0] + 1 == 20
    assert digit.max() == 255
    assert abs((digit.sum(axis=0) @ np.arange(28)) / digit.sum() - 14) <= 0.6


def test_specks_and_a_frame_are_left_out() -> None:
    digit = drawn_digits(1, seed=4)[0][0]
    paper = scene(digit, np.random.default_rng(1), photo=False)
    clean = as_mnist(paper)
    paper[:4] = paper[-4:] = paper[:, :4] = paper[:, -4:] = 0
    paper[380:384, 470:474] = 0
    assert agreement(as_mnist(paper), clean) > 0.97


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((28, 28)),
        np.full((50, 50, 3), 200, np.uint8),
        np.zeros((0, 5)),
        np.zeros(10),
        np.zeros((5, 5, 7)),
        np.full((9, 9), np.nan),
        np.zeros((9, 9, 4), np.uint8),
        np.array([["a"]]),
        np.random.default_rng(0).normal(0.5, 0.1, (80, 80)),
    ],
)
def test_what_is_no_digit_is_an_image_error(picture: Any) -> None:
    with pytest.raises(ImageError):
        as_mnist(picture)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays("uint8", hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=12)))
def test_any_small_picture_gives_a_digit_or_an_image_error(picture: Any) -> None:
    try:
        digit = as_mnist(picture)
    except ImageError:
        return
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8


# -- files --------------------------------------------------------------------------------------

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture_is_read(tmp_path: Path, mode: str) -> None:
    digit = drawn_digits(1, seed=4)[0][0]
    picture = Image.fromarray(np.kron(digit, np.ones((4, 4), np.uint8)))
    path = tmp_path / ("picture.tiff" if mode in ("CMYK", "F") else "picture.png")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode, dither=Image.Dither.NONE) if mode != "L" else picture
    picture.save(path)
    assert agreement(as_mnist(read_image(path)), as_mnist(digit)) > 0.8


def test_the_exif_orientation_is_obeyed(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.shape == (40, 20)
    assert upright[:8].min() > 200
    assert upright[14:].max() < 60


def test_bad_files_are_image_errors(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(good)
    cases = {
        "empty.png": b"",
        "random.png": np.random.default_rng(0).bytes(500),
        "cut.png": good.read_bytes()[:900],
        "text.jpg": b"not a picture",
        "cut.npy": b"\x93NUMPY\x01\x00",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)
    for missing in (tmp_path / "nothing.png", tmp_path):
        with pytest.raises(ImageError):
            read_image(missing)
    with pytest.raises(ImageError, match="at most 100"):
        read_image(good, max_pixels=100)


def test_arrays_are_read_without_pickle(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(9))
    assert read_image(tmp_path / "a.npy").tolist() == np.eye(9).tolist()
    np.save(tmp_path / "evil.npy", np.array([[print]], object), allow_pickle=True)
    np.save(tmp_path / "line.npy", np.zeros(9))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 99999999), }"
    claim = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "claim.npy").write_bytes(claim)
    for name in ("evil", "line", "claim"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / f"{name}.npy")


@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_png_is_read_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    Image.fromarray(np.arange(900, dtype=np.uint8).reshape(30, 30)).save(path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(bytes(content))
    try:
        read_image(path)
    except ImageError as error:
        message = str(error)
    else:
        return
    assert str(path) in message
