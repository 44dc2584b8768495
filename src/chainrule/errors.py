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
    "CompileError",
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
    "VerifyError",
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
    """An operation could not be carried out on what it was given.

    >>> import chainrule
    >>> x = chainrule.ones(2, requires_grad=True)
    >>> try:
    ...     x + "1"
    ... except OpError as error:
    ...     print(type(error).__name__)
    DTypeError
    """


class ShapeError(OpError, ValueError):
    """Shapes that do not fit together.

    >>> import chainrule
    >>> chainrule.ones(2, 3) @ chainrule.ones(2, 3)
    Traceback (most recent call last):
        ...
    chainrule.errors.ShapeError: matmul: inner sizes differ: f32[2,3] @ f32[2,3] (3 vs 2)
    ...
    """


class DTypeError(OpError, TypeError):
    """A dtype, or a kind of argument, that the operation does not take.

    >>> import chainrule
    >>> chainrule.tensor([1, 2], requires_grad=True)
    Traceback (most recent call last):
        ...
    chainrule.errors.DTypeError: requires_grad: only float tensors have gradients, not i64[2]
    ...
    """


class DimensionError(OpError, IndexError):
    """A dimension or an index out of range.

    >>> import chainrule
    >>> chainrule.ones(2, 3).sum(2)
    Traceback (most recent call last):
        ...
    chainrule.errors.DimensionError: sum: dim 2 is out of range for a tensor of 2 dimensions
    ...
    """


class AutogradError(ChainruleError):
    """Differentiation that can't be done: a freed graph, a changed saved value, no path.

    >>> import chainrule
    >>> chainrule.ones(()).backward()
    Traceback (most recent call last):
        ...
    chainrule.errors.AutogradError: backward: the output f32[] does not require gradients ...
    """


class GradcheckError(AutogradError, AssertionError):
    """A derivative that disagrees with its finite differences.

    >>> import chainrule
    >>> x = chainrule.ones(1, dtype=chainrule.float64, requires_grad=True)
    >>> chainrule.autograd.gradcheck(lambda x: x.detach() * x, x)
    Traceback (most recent call last):
        ...
    chainrule.errors.GradcheckError: gradcheck: the backward pass disagrees ...
    """


class NumericalError(ChainruleError, ArithmeticError):
    """A NaN or an infinity where a finite number is needed.

    >>> import chainrule
    >>> x = chainrule.tensor(0.0, requires_grad=True)
    >>> x.sqrt().backward()
    >>> chainrule.nn.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)
    Traceback (most recent call last):
        ...
    chainrule.errors.NumericalError: the total norm of order 2 is inf: it can't be clipped
    ...
    """


class ModuleError(ChainruleError, AttributeError):
    """A module that is not ready, or was asked for something it does not have.

    >>> import chainrule
    >>> layer = chainrule.nn.Linear(3, 2)
    >>> layer.weight = chainrule.ones(2, 3)
    Traceback (most recent call last):
        ...
    chainrule.errors.ModuleError: Linear.weight is a parameter; a Tensor can't take its place
    ...
    """


class StateDictError(ChainruleError, KeyError):
    """A state dictionary whose keys or shapes do not match the module's.

    >>> import chainrule
    >>> chainrule.nn.Linear(3, 2).load_state_dict({})
    Traceback (most recent call last):
        ...
    chainrule.errors.StateDictError: Linear: the state dict does not match; nothing was loaded
    ...
    """

    __str__ = ChainruleError.__str__  # KeyError's would print the repr


class DataError(ChainruleError, ValueError):
    """A data file, data set or batch that is not what it should be.

    >>> import chainrule
    >>> chainrule.data.TensorDataset([1, 2, 3], [0, 1])
    Traceback (most recent call last):
        ...
    chainrule.errors.DataError: TensorDataset: the tensors' lengths differ: 3, 2
    """


class LengthError(DataError, TypeError):
    """A stream was asked for its length; a `TypeError`, for `list(stream)` asks and goes on.

    >>> import chainrule
    >>> from chainrule import data
    >>> class Stream(data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(3))
    >>> len(data.DataLoader(Stream()))
    Traceback (most recent call last):
        ...
    chainrule.errors.LengthError: DataLoader: no length is known: Stream has no __len__
    ...
    """


class ImageError(DataError):
    """A picture that can't be read as a digit.

    >>> import chainrule
    >>> chainrule.data.read_image("no such picture.png")
    Traceback (most recent call last):
        ...
    chainrule.errors.ImageError: no such picture.png can't be read: No ...
    """


class DownloadError(ChainruleError, OSError):
    """A download that failed on every mirror, or whose digest does not match.

    >>> isinstance(DownloadError("train-images could not be downloaded"), OSError)
    True
    """

    __str__ = ChainruleError.__str__  # OSError's would drop the fields


class StorageError(ChainruleError, OSError):
    """A file or folder that can't be written: full disk, no permission, not a folder.

    >>> import tempfile
    >>> import chainrule
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     chainrule.data.write_idx(f"{file.name}/below a file.idx", chainrule.ones(2).numpy())
    Traceback (most recent call last):
        ...
    chainrule.errors.StorageError: ...
    """

    __str__ = ChainruleError.__str__


class CheckpointError(ChainruleError, ValueError):
    """A checkpoint or run folder that is missing, truncated or of another run.

    >>> import chainrule
    >>> chainrule.train.RunFolder.open("no such run")
    Traceback (most recent call last):
        ...
    chainrule.errors.CheckpointError: no such run is no folder
    ...
    """


class ConfigError(ChainruleError, ValueError):
    """A setting whose value is not one of those allowed.

    >>> import chainrule
    >>> chainrule.nn.Dropout(p=2)
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: Dropout: p is 2
    ...
    """


class CompileError(ChainruleError):
    """A function that can't be compiled as it is written.

    >>> import chainrule
    >>> chainrule.compile(lambda x: x if x.sum() > 0 else -x)(chainrule.ones(2))
    Traceback (most recent call last):
        ...
    chainrule.errors.CompileError: a compiled function can't look at the numbers of bool[]
    ...
    """


class VerifyError(CompileError, ValueError):
    """A graph that is not well formed: a pass went wrong, or its text was edited.

    >>> from chainrule.ir.graph_text import parse_graph
    >>> parse_graph("graph f(%0: f32[2]):\\n  return %1")
    Traceback (most recent call last):
        ...
    chainrule.errors.VerifyError: parse_graph: %1 is used before it is made
    ...
    """


class MissingDependencyError(ChainruleError, ImportError):
    """An optional dependency that is not installed; the cure is the install command.

    >>> print(MissingDependencyError("reading a.png needs Pillow", cure="pip install pillow"))
    reading a.png needs Pillow
      to mend it: pip install pillow
    """

    __str__ = ChainruleError.__str__
