"""The `with` block that a story is told in."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from chainrule.core.base import is_tensor
from chainrule.core.interpret import Stack, current_stack, enter
from chainrule.core.location import user_location
from chainrule.errors import ConfigError
from chainrule.explain.recorder import Recorder
from chainrule.explain.sight import user_frame
from chainrule.explain.story import Story

__all__ = ["LIMIT", "explain"]

LIMIT = 2000
"""So many ops are written down, unless more are asked for."""


class explain:
    """Record what a computation does, forwards and back: a `with` block that gives a `Story`.

    Inside the block, each op that runs is written down, with its formula, its values, the user's
    line and the module; and each derivative that `backward()` (or `grad`) takes, with the gradients
    that came and went and where they met. Values of more than a few numbers are summarised, so the
    story stays small however large the tensors are.

    Args:
        names: what to call tensors, `{"x": x}`, beside what they are called in the code.
        limit: how many ops to write down.

    Raises:
        ConfigError: a name that is none, what is named is no tensor, or the limit is no count.

    A compiled function runs op by op while it is told. A custom `Function` is one step, which is
    seen once its result is used.

    >>> import chainrule
    >>> x, y, z = (chainrule.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> with chainrule.explain() as story:
    ...     f = (x + y) * z
    ...     f.backward()
    >>> story
    <Story: 2 steps, 2 back>
    >>> [(each.name, each.summary.scalar, each.gradient.scalar) for each in story.record.values]
    [('x', -2.0, -4.0), ('y', 5.0, -4.0), ('x + y', 3.0, -4.0), ('z', -4.0, 3.0), ('f', -12.0, 1.0)]
    """

    def __init__(self, names: Mapping[str, Any] | None = None, *, limit: int = LIMIT) -> None:
        if type(limit) is not int or limit < 0:
            raise ConfigError(
                f"explain: limit is {limit!r}",
                cure=f"pass a number of ops, such as {LIMIT}",
                location=str(user_location() or ""),
            )
        if not hasattr(names or {}, "items"):
            raise ConfigError(
                f"explain: names is a {type(names).__name__}",
                cure='pass tensors by name: explain(names={"x": x})',
                location=str(user_location() or ""),
            )
        for name, tensor in (names or {}).items():
            if type(name) is not str or not is_tensor(tensor):
                raise ConfigError(
                    f"explain: {name!r} names a {type(tensor).__name__}",
                    cure='pass tensors by name: explain(names={"x": x})',
                    location=str(user_location() or ""),
                )
        self._recorder = Recorder(names or {}, limit)
        self._before: Stack | None = None

    def __enter__(self) -> Story:
        if self._before is not None or self._recorder.finished:
            raise ConfigError(
                "explain: this story was told already",
                cure="begin another: with chainrule.explain() as story",
                location=str(user_location() or ""),
            )
        self._before = current_stack()
        self._recorder.names.begin(user_frame())
        enter(self._before.push(self._recorder))
        return Story(self._recorder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            enter(self._before)
        self._before = None
        self._recorder.finish(user_frame())
