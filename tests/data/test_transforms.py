"""Batch-wise transforms, against the formula applied picture by picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.data import (
    Compose,
    Normalize,
    OneHot,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShift,
    ToFloat,
)
from chainrule.errors import ConfigError, DataError, ShapeError

RNG = np.random.default_rng
BATCH = RNG(0).integers(0, 256, (6, 3, 9, 7), np.uint8)


def test_scaling_and_normalising_per_channel() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    got = Compose([ToFloat(), Normalize(mean, std)])(BATCH)
    shape = (3, 1, 1)
    expected = (BATCH / 255 - np.reshape(mean, shape)) / np.reshape(std, shape)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    with pytest.raises(ShapeError, match="3 channels"):
        Normalize(mean, std)(BATCH[:, :2])


def test_crop_and_shift_are_windows_of_the_padded_picture() -> None:
    got = RandomCrop((5, 4), padding=2)(BATCH, RNG(3))
    padded = np.pad(BATCH, ((0, 0), (0, 0), (2, 2), (2, 2)))
    assert got.shape == (6, 3, 5, 4)
    for picture, source in zip(got, padded, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(source, (3, 5, 4))
        assert (windows.reshape(-1, *picture.shape) == picture).all(axis=(1, 2, 3)).any()
    shifted = RandomShift(2)(BATCH, RNG(3))
    assert shifted.shape == BATCH.shape
    assert len({each.tobytes() for each in RandomShift(2)(np.tile(BATCH[:1], (30, 1, 1, 1)))}) > 5
    with pytest.raises(ShapeError, match="does not fit"):
        RandomCrop(20)(BATCH)


def test_flip() -> None:
    got = RandomHorizontalFlip()(BATCH, RNG(0))
    for new, old in zip(got, BATCH, strict=True):
        assert new.tobytes() in (old.tobytes(), np.ascontiguousarray(old[..., ::-1]).tobytes())
    assert (RandomHorizontalFlip(1.0)(BATCH) == BATCH[..., ::-1]).all()


def test_affine_without_motion_is_the_identity_and_keeps_the_dtype() -> None:
    assert (RandomAffine(0)(BATCH) == BATCH).all()
    assert RandomAffine(30)(BATCH, RNG(0)).dtype == np.uint8
    assert RandomAffine(30)(BATCH[:, 0], RNG(0)).shape == (6, 9, 7)


def test_affine_keeps_mass_and_moves_what_it_should() -> None:
    """A smooth blob keeps its mass when turned or sheared; it moves when shifted."""
    y, x = np.mgrid[:31, :31] - 15.0
    blob = np.tile(np.exp(-(x**2 + 2 * y**2) / 20)[None, None], (50, 1, 1, 1))
    turned = RandomAffine(40, shear=15)(blob, RNG(0))
    np.testing.assert_allclose(turned.sum(axis=(1, 2, 3)), blob[0].sum(), rtol=5e-3)
    moved = RandomAffine(0, translate=(0.2, 0.0))(blob, RNG(0))
    centres = (moved.sum(axis=(1, 2)) @ np.arange(31)) / moved.sum(axis=(1, 2, 3)) - 15
    assert 4 < np.abs(centres).max() <= 0.2 * 31 + 0.1
    grown = RandomAffine(0, scale=(1.5, 1.5))(blob, RNG(0))
    np.testing.assert_allclose(grown.sum(axis=(1, 2, 3)), 2.25 * blob[0].sum(), rtol=1e-2)


def test_one_hot() -> None:
    assert OneHot(3)(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(DataError, match="expected 0 to 2"):
        OneHot(3)(np.array([3]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Normalize(0.0, 0.0),
        lambda: Normalize(float("nan"), 1.0),
        lambda: RandomHorizontalFlip(2),
        lambda: RandomCrop(0),
        lambda: RandomAffine(-1),
    ],
)
def test_bad_settings(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_negative_shift_is_called_one() -> None:
    with pytest.raises(ConfigError, match=r"^RandomShift: pixels is -1") as raised:
        RandomShift(-1)
    assert raised.value.cure


def test_randomness_is_the_generators() -> None:
    steps = Compose([RandomAffine(10), RandomShift(1), RandomHorizontalFlip()])
    assert steps.random
    assert not Compose([ToFloat()]).random
    assert (steps(BATCH, RNG(1)) == steps(BATCH, RNG(1))).all()
    assert (steps(BATCH, RNG(1)) != steps(BATCH, RNG(2))).any()
