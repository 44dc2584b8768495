"""Every exception this library raises on purpose.

Floor 0: imports nothing. A `ChainruleError` says four things, each kept as a field too, so that a
program can read what a person reads: what went wrong (`problem`), where in the user's code
(`location`), what to do about it (`cure`), and the facts of the case (`facts`).

All of them are `RuntimeError`s, as PyTorch's are; where Python has a closer built-in, they are that
as well, so `except ValueError`, `except IndexError` and friends work as people expect.
"""

from __future__ import annotations

__all__ = [
    "AutogradError",
    "ChainruleError",
    "CheckpointError",
    "ConfigError",
    "DTypeError",
    "DataError",
    "DimensionError",
    "DownloadError",
    "GradcheckError",
    "ImageError",
    "LengthError",
    "MissingDependencyError",
    "ModuleError",
    "NumericalError",
    "OpError",
    "ShapeError",
    "StateDictError",
    "StorageError",
]


class ChainruleError(RuntimeError):
    """The root of the hierarchy.

    Args:
        problem: one sentence: what was given and what was expected.
        cure: what the user can do about it.
        location: the user's source line, `"file.py:12: y = x @ w"`, where it is known.
        facts: anything a program may want to read back, by name.

    >>> error = ShapeError("matmul: inner sizes differ", cure="transpose the second", op="matmul")
    >>> print(error)
    matmul: inner sizes differ
      to mend it: transpose the second
    >>> error.facts["op"]
    'matmul'
    """

    def __init__(
        self, problem: str, *, cure: str = "", location: str = "", **facts: object
    ) -> None:
        self.problem = problem
        self.cure = cure
        self.location = location
        self.facts = facts
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.location:
            lines.append(f"  at {self.location}")
        if self.cure:
            lines.append(f"  to mend it: {self.cure}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        state = {"cure": self.cure, "location": self.location, "facts": self.facts}
        return (type(self), (self.problem,), state)


class OpError(ChainruleError):
    """An operation could not be carried out on what it was given."""


class ShapeError(OpError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(OpError, TypeError):
    """A dtype, or a kind of argument, that the operation does not take."""


class DimensionError(OpError, IndexError):
    """A dimension or an index out of range."""


class AutogradError(ChainruleError):
    """Differentiation that can't be done: a freed graph, a changed saved value, no path."""


class GradcheckError(AutogradError, AssertionError):
    """A derivative that disagrees with its finite differences."""


class NumericalError(ChainruleError, ArithmeticError):
    """A NaN or an infinity where a finite number is needed."""


class ModuleError(ChainruleError, AttributeError):
    """A module that is not ready, or was asked for something it does not have."""


class StateDictError(ChainruleError, KeyError):
    """A state dictionary whose keys or shapes do not match the module's."""

    __str__ = ChainruleError.__str__  # KeyError's would print the repr


class DataError(ChainruleError, ValueError):
    """A data file, data set or batch that is not what it should be."""


class LengthError(DataError, TypeError):
    """A stream was asked for its length; a `TypeError`, for `list(stream)` asks and goes on."""


class ImageError(DataError):
    """A picture that can't be read as a digit."""


class DownloadError(ChainruleError, OSError):
    """A download that failed on every mirror, or whose digest does not match."""

    __str__ = ChainruleError.__str__  # OSError's would drop the fields


class StorageError(ChainruleError, OSError):
    """A file or folder that can't be written: full disk, no permission, not a folder."""

    __str__ = ChainruleError.__str__


class CheckpointError(ChainruleError, ValueError):
    """A checkpoint or run folder that is missing, truncated or of another run."""


class ConfigError(ChainruleError, ValueError):
    """A setting whose value is not one of those allowed."""


class MissingDependencyError(ChainruleError, ImportError):
    """An optional dependency that is not installed; the cure is the install command."""

    __str__ = ChainruleError.__str__
