"""The drawn digits: seeded, independent of how many are asked for, and shaped as MNIST's."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.data import DrawnDigits, Handwriting, drawn_digits
from chainrule.errors import ConfigError


def test_the_same_seed_gives_the_same_bits() -> None:
    images, labels = drawn_digits(300, seed=3)
    again, labels_again = drawn_digits(300, seed=3)
    assert images.tobytes() == again.tobytes()
    assert labels.tolist() == labels_again.tolist()
    assert images.tobytes() != drawn_digits(300, seed=4)[0].tobytes()


@pytest.mark.parametrize(("start", "count"), [(0, 1), (249, 2), (250, 250), (123, 400)])
def test_a_sample_does_not_depend_on_how_many_are_drawn(start: int, count: int) -> None:
    images, labels = drawn_digits(600, seed=5)
    part, part_labels = drawn_digits(count, seed=5, start=start)
    assert part.tobytes() == images[start : start + count].tobytes()
    assert part_labels.tolist() == labels[start : start + count].tolist()


def test_labels_are_balanced() -> None:
    _, labels = drawn_digits(500, seed=0)
    assert np.bincount(labels).tolist() == [50] * 10


def test_digits_are_normalised_as_mnist_was() -> None:
    images, _ = drawn_digits(1000, seed=1)
    ink = images.astype(np.float64)
    mass = ink.sum(axis=(1, 2))
    axis = np.arange(28)
    rows = (ink.sum(axis=2) @ axis) / mass
    columns = (ink.sum(axis=1) @ axis) / mass
    # MNIST's own: 14.0 on average, with a deviation of 0.29.
    for centres in (rows, columns):
        assert abs(centres.mean() - 14) < 0.05
        assert centres.std() < 0.4
        assert np.abs(centres - 14).max() < 1.5
    longest = np.maximum((images > 90).any(1).sum(1), (images > 90).any(2).sum(1))
    assert longest.max() <= 22
    assert np.median(longest) >= 18
    # MNIST's mean is 0.1307 and its deviation 0.3081.
    assert abs(images.mean() / 255 - 0.13) < 0.025
    assert abs(images.std() / 255 - 0.30) < 0.03


def test_a_nearest_mean_reads_them() -> None:
    """Each digit looks like its own kind: an independent, very simple reader gets most right."""
    images, labels = drawn_digits(2000, seed=1)
    others, other_labels = drawn_digits(500, seed=2)
    flat = images.reshape(-1, 784) / 255
    means = np.stack([flat[labels == digit].mean(axis=0) for digit in range(10)])
    distance = np.square(others.reshape(-1, 1, 784) / 255 - means).sum(axis=2)
    assert (distance.argmin(axis=1) == other_labels).mean() > 0.7


def test_variation_is_a_choice() -> None:
    still = Handwriting(jitter=0, elastic=0, rotation=0, slant=(0, 0), aspect=0)
    images, labels = drawn_digits(250, seed=0, handwriting=still)
    lively, _ = drawn_digits(250, seed=0)
    assert images[labels == 1].std(axis=0).mean() < lively[labels == 1].std(axis=0).mean()


def test_the_data_set_and_its_errors() -> None:
    digits = DrawnDigits(30, seed=1)
    image, label = digits[4]
    assert image.shape == (1, 28, 28)
    assert int(label) == int(digits.targets[4])
    assert len(digits) == 30
    assert len(digits.classes) == 10
    assert float(image.numpy().max()) <= 1
    for wrong in ({"count": -1}, {"count": 1, "seed": -1}, {"count": 1, "start": -1}):
        with pytest.raises(ConfigError, match="negative"):
            drawn_digits(**wrong)
    assert drawn_digits(0)[0].shape == (0, 28, 28)
