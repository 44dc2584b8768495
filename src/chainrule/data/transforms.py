"""Batch-wise transforms: each acts on a whole batch of pictures `[N, ..., H, W]` at once.

Random ones draw from the generator that the loader passes, one stream per (epoch, batch), so a
resumed epoch and one loaded by several threads see the same pictures.

Scaling steps are affine, y = scale x + shift; `Compose` folds neighbours into one multiply-add, so
bytes become normalised floats in one pass over the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.buffers import fresh
from chainrule.errors import ConfigError, DataError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    AnyArray = NDArray[Any]
    Generator = np.random.Generator | None

__all__ = [
    "Compose",
    "Normalize",
    "OneHot",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomShift",
    "ToFloat",
    "Transform",
]


class Transform:
    """The base: called with a batch and a generator, returns a new batch.

    >>> import chainrule
    >>> class Inverted(Transform):
    ...     def __call__(self, batch, generator=None):
    ...         return 255 - batch
    >>> data = chainrule.data.TensorDataset(np.zeros((2, 1), np.uint8), transform=Inverted())
    >>> data[0]
    (tensor([255], dtype=chainrule.uint8),)
    """

    random = False

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        raise NotImplementedError


class _Affine(Transform):
    """y = scale x + shift in float32, with numbers or one value per channel."""

    def __init__(self, scale: Any, shift: Any) -> None:
        self.scale = np.asarray(scale, np.float64)
        self.shift = np.asarray(shift, np.float64)
        # The constants are rounded once, from float64, however many steps were folded.
        self._scale = _constant(self.scale)
        self._shift = _constant(self.shift)

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        y = fresh(batch.shape, np.float32)
        y[...] = batch
        y *= _per_channel(self._scale, batch)
        y += _per_channel(self._shift, batch)
        return y

    def then(self, following: _Affine) -> _Affine:
        """This step and then the following one, as one step."""
        return _Affine(self.scale * following.scale, self.shift * following.scale + following.shift)


def _constant(value: NDArray[np.float64]) -> Any:
    value32 = value.astype(np.float32)
    return value32[()] if value.ndim == 0 else value32[:, None, None]


def _per_channel(constant: Any, batch: AnyArray) -> Any:
    if np.ndim(constant) and (batch.ndim < 3 or batch.shape[-3] != len(constant)):
        raise ShapeError(
            f"Normalize: {len(constant)} channels expected, found a batch of shape {batch.shape}",
            cure="give batches [N, C, H, W] with as many channels as means",
        )
    return constant


class ToFloat(_Affine):
    """Bytes 0..255 to float32 0..1: y = x / 255. (What torchvision's ToTensor does to values.)

    >>> ToFloat()(np.array([[0, 255]], np.uint8)).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, scale: float = 1 / 255) -> None:
        super().__init__(scale, 0.0)


class Normalize(_Affine):
    """y = (x - mean) / std, with numbers or one value per channel of `[N, C, H, W]`.

    Computed as x * (1 / std) + (-mean / std) with constants rounded once: within one unit in the
    last place of the formula as written.

    Raises:
        ConfigError: a standard deviation is zero or something is not finite.

    >>> Normalize(0.5, 0.5)(np.array([[0.0, 1.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = mean, std
        means, deviations = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        if not np.isfinite(means).all() or not np.isfinite(deviations).all():
            raise ConfigError(f"Normalize: mean {mean} and std {std} must be finite")
        if (deviations == 0).any() or means.ndim > 1 or deviations.ndim > 1:
            raise ConfigError(f"Normalize: std is {std}: zero can't be divided by")
        if means.size == 1 and deviations.size == 1:  # a list of one holds for any shape
            means, deviations = means.reshape(()), deviations.reshape(())
        super().__init__(1 / deviations, -means / deviations)


class Compose(Transform):
    """One transform after the other; neighbouring affine steps are folded into one.

    >>> fold = Compose([ToFloat(), Normalize(0.1307, 0.3081)])
    >>> len(fold.steps)
    1
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = list(transforms)
        self.steps: list[Transform] = []
        for step in self.transforms:
            last = self.steps[-1] if self.steps else None
            if isinstance(last, _Affine) and isinstance(step, _Affine):
                self.steps[-1] = last.then(step)
            else:
                self.steps.append(step)

    @property
    def random(self) -> bool:
        """Whether any step draws random numbers."""
        return any(step.random for step in self.transforms)

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        for step in self.steps:
            batch = step(batch, generator)
        return batch


class OneHot(Transform):
    """Labels [N] to float32 rows [N, classes] with a one at the label.

    >>> OneHot(3)(np.array([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        if batch.size and (batch.min() < 0 or batch.max() >= self.classes):
            raise DataError(
                f"OneHot: labels span {batch.min()} to {batch.max()}, expected 0 to "
                f"{self.classes - 1}"
            )
        return np.eye(self.classes, dtype=np.float32)[batch]


class RandomHorizontalFlip(Transform):
    """Mirror each picture left to right with probability `p`.

    Raises:
        ConfigError: p is no probability.

    >>> RandomHorizontalFlip(p=1.0)(np.array([[[1, 2, 3]]])).tolist()
    [[[3, 2, 1]]]
    """

    random = True

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ConfigError(f"RandomHorizontalFlip: p is {p}, expected 0 to 1")
        self.p = p

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        flips = _draws(generator).random(len(batch)) < self.p
        return np.where(flips.reshape(-1, *[1] * (batch.ndim - 1)), batch[..., ::-1], batch)


class RandomCrop(Transform):
    """Cut a random window of `size` out of each picture, padded all round by `padding` zeros.

    Args:
        size: of the window, one number or (height, width).
        padding: rows and columns put on each side before.
        fill: what these hold.

    Raises:
        ConfigError: size or padding make no window.
        ShapeError: as a batch comes whose pictures are smaller than the window.

    >>> crop = RandomCrop(2, padding=1)
    >>> crop(np.ones((8, 1, 3, 3))).shape
    (8, 1, 2, 2)
    """

    random = True

    def __init__(self, size: int | tuple[int, int], padding: int = 0, fill: float = 0) -> None:
        self.size = (size, size) if isinstance(size, int) else size
        self.padding, self.fill = padding, fill
        if min(self.size) < 1 or padding < 0:
            raise ConfigError(
                f"RandomCrop: size {size} and padding {padding} make no window",
                cure="the size is at least 1, the padding at least 0",
            )

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        pad = [(0, 0)] * (batch.ndim - 2) + [(self.padding, self.padding)] * 2
        padded = np.pad(batch, pad, constant_values=self.fill) if self.padding else batch
        height, width = self.size
        rooms = padded.shape[-2] - height, padded.shape[-1] - width
        if min(rooms) < 0:
            raise ShapeError(
                f"RandomCrop: a window of {self.size} does not fit in {padded.shape[-2:]}",
                cure="crop less, or pad more",
            )
        draws = _draws(generator)
        tops = draws.integers(0, rooms[0] + 1, len(batch))
        lefts = draws.integers(0, rooms[1] + 1, len(batch))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=(-2, -1))
        picked = windows[np.arange(len(batch)), ..., tops, lefts, :, :]
        return np.ascontiguousarray(picked)


class RandomShift(RandomCrop):
    """Shift each picture by up to `pixels` in both directions; zeros come in at the edges.

    Raises:
        ConfigError: `pixels` is negative.

    >>> y = RandomShift(1)(np.pad(np.ones((8, 1, 1), np.uint8), ((0, 0), (1, 1), (1, 1))))
    >>> y.shape, y.sum((1, 2)).tolist()
    ((8, 3, 3), [1, 1, 1, 1, 1, 1, 1, 1])
    """

    def __init__(self, pixels: int, fill: float = 0) -> None:
        if pixels < 0:
            raise ConfigError(
                f"RandomShift: pixels is {pixels}", cure="give 0 or more: it is both ways"
            )
        super().__init__((1, 1), padding=pixels, fill=fill)
        self.pixels = pixels

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        crop = RandomCrop((batch.shape[-2], batch.shape[-1]), self.pixels, self.fill)
        return crop(batch, generator)


class RandomAffine(Transform):
    """Rotate, shift, scale and shear each picture about its middle, with bilinear sampling.

    Args:
        degrees: rotate by up to this much either way.
        translate: shift by up to these fractions of (width, height).
        scale: the smallest and largest scale.
        shear: slant by up to this many degrees either way.

    Raises:
        ConfigError: a bound is negative, or the scales are out of order.

    >>> y = RandomAffine(10, translate=(0.1, 0.1))(np.zeros((8, 1, 28, 28), np.uint8))
    >>> y.shape, y.dtype
    ((8, 1, 28, 28), dtype('uint8'))
    >>> RandomAffine(0)(np.array([[[1, 2], [3, 4]]])).tolist()
    [[[1, 2], [3, 4]]]
    """

    random = True

    def __init__(
        self,
        degrees: float,
        translate: tuple[float, float] = (0.0, 0.0),
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
    ) -> None:
        if degrees < 0 or shear < 0 or min(translate) < 0 or not 0 < scale[0] <= scale[1]:
            raise ConfigError(
                f"RandomAffine: degrees {degrees}, translate {translate}, scale {scale}, shear "
                f"{shear}: expected non-negative bounds and 0 < smallest <= largest scale"
            )
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear

    def __call__(self, batch: AnyArray, generator: Generator = None) -> AnyArray:
        height, width = batch.shape[-2:]
        columns, rows = self._sources(_draws(generator), len(batch), height, width)
        left, top = np.floor(columns).astype(np.int64), np.floor(rows).astype(np.int64)
        right_share, lower_share = columns - left, rows - top
        between = batch.ndim - 3
        pictures = batch.reshape(len(batch), -1, height, width)
        y = np.zeros(pictures.shape, np.float32)
        which = np.arange(len(batch))[:, None, None]
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            row, column = top + down, left + right
            share = (lower_share if down else 1 - lower_share) * (
                right_share if right else 1 - right_share
            )
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            row, column = row.clip(0, height - 1), column.clip(0, width - 1)
            picked = pictures[which, :, row, column]  # [N, H, W, C]
            y += np.moveaxis(picked * (share * inside)[..., None], -1, 1).astype(np.float32)
        y = y.reshape(batch.shape) if between >= 0 else y
        return np.rint(y).astype(batch.dtype) if batch.dtype.kind in "iu" else y

    def _sources(
        self, draws: np.random.Generator, count: int, height: int, width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where each output pixel comes from: columns and rows, [N, H, W]."""
        angle = np.deg2rad(draws.uniform(-self.degrees, self.degrees, count))
        slant = np.tan(np.deg2rad(draws.uniform(-self.shear, self.shear, count)))
        grow = draws.uniform(*self.scale, count)
        shift_x = draws.uniform(-self.translate[0], self.translate[0], count) * width
        shift_y = draws.uniform(-self.translate[1], self.translate[1], count) * height
        expand = (slice(None), None, None)
        x = np.arange(width) - (width - 1) / 2 - shift_x[expand]
        y = np.arange(height)[:, None] - (height - 1) / 2 - shift_y[expand]
        cos, sin = (np.cos(angle) / grow)[expand], (np.sin(angle) / grow)[expand]
        u, v = cos * x + sin * y, -sin * x + cos * y
        return u - slant[expand] * v + (width - 1) / 2, v + (height - 1) / 2


def _draws(generator: Generator) -> np.random.Generator:
    return generator if generator is not None else np.random.default_rng()
