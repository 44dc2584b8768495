"""What things are called: by the user's variables, the modules' paths, the code that made them.

A value may have several names. The best is kept: one that was asked for; a variable where the story
is told; a parameter's path; a variable deeper in; the expression that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from chainrule.core.base import is_tensor
from chainrule.explain.sight import Sight, tensors_in, variable
from chainrule.explain.story import Call
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter

__all__ = ["Names"]

ASKED, OWN, PARAMETER, DEEPER, LAYER, EXPRESSION, NUMBER = range(7)
LONGEST = 40


class Names:
    """The names of a story's values, and the module calls.

    Args:
        asked: names that the user gave.

    Attributes:
        calls: the module calls so far.
        call: the number of the one under way, the innermost.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self._asked = {id(tensor): (name, tensor) for name, tensor in asked.items()}
        self._best: dict[int, tuple[int, str]] = {}
        self._owner: FrameType | None = None
        self._open: list[tuple[FrameType, int]] = []
        self._paths: dict[int, tuple[Any, dict[int, str]]] = {}  # by the id of a root module
        self._parameters: dict[int, tuple[Any, str]] = {}
        self._calls: list[Call] = []
        self.call: int | None = None

    @property
    def calls(self) -> tuple[Call, ...]:
        """The module calls so far."""
        return tuple(self._calls)

    def begin(self, frame: FrameType | None) -> None:
        """The story is told in this frame."""
        self._owner = frame

    def forget_frames(self) -> None:
        """Let go of the user's frames and modules."""
        self._owner = None
        self._open.clear()
        self._paths.clear()
        self._parameters.clear()

    # -- modules ------------------------------------------------------------------------------

    def enter_modules(self, sight: Sight) -> None:
        """Bring the calls under way up to date."""
        frames = [frame for frame, _ in sight.modules]
        keep = 0
        while keep < min(len(frames), len(self._open)) and self._open[keep][0] is frames[keep]:
            keep += 1
        del self._open[keep:]
        for frame, caller in sight.modules[keep:]:
            module = frame.f_locals["self"]
            outer = self._open[-1][1] if self._open else None
            path = self._path(module, sight, caller)
            self._calls.append(Call(len(self._calls), path, type(module).__name__, outer))
            self._open.append((frame, len(self._calls) - 1))
        self.call = self._open[-1][1] if self._open else None

    def _path(self, module: Any, sight: Sight, caller: FrameType | None) -> str:
        root = sight.modules[0][0].f_locals["self"]
        known = self._paths.get(id(root))
        if known is None:
            known = self._paths[id(root)] = (root, self._survey(root, sight.modules[0][1]))
        return known[1].get(id(module)) or variable(caller, module) or type(module).__name__.lower()

    def _survey(self, root: Module, caller: FrameType | None) -> dict[int, str]:
        """The paths of a network's modules, and of its parameters."""
        base = variable(caller, root) or type(root).__name__.lower()
        for name, parameter in root.named_parameters():
            self._parameters.setdefault(id(parameter), (parameter, f"{base}.{name}"))
        return {id(m): f"{base}.{name}" if name else base for name, m in root.named_modules()}

    # -- values -------------------------------------------------------------------------------

    def source(self, x: Any, sight: Sight | None) -> tuple[str, str]:
        """Where a tensor that no step made comes from, and its name if it has one."""
        name = ""
        if id(x) in self._asked:
            name = self._asked[id(x)][0]
        elif id(x) in self._parameters:
            name = self._parameters[id(x)][1]
        else:
            frames = (self._owner, sight.frame if sight is not None else None)
            for frame in frames:
                name = name or _called(frame, x)
        if id(x) in self._parameters or isinstance(x, Parameter):
            return "parameter", name
        if x.tracked:
            return "leaf", name
        return ("constant" if not name and x.value.ndim == 0 else "input"), name

    def first(self, number: int, name: str, origin: str, named: bool) -> None:
        """The name of a value at its first mention."""
        self._offer(
            number, (PARAMETER if origin == "parameter" else OWN) if named else NUMBER, name
        )

    def result(self, number: int, expression: str, op: str, *, layer: bool) -> None:
        """What a result is called until it has a name: the expression, the layer, or the op."""
        self._offer(number, NUMBER, op)
        if 0 < len(expression) <= LONGEST:
            self._offer(number, EXPRESSION, expression)
        if layer:
            self._offer(number, LAYER, self._calls[self.call].path if self.call is not None else op)

    def variables(
        self,
        frame: FrameType | None,
        number_of: Callable[[Any], int | None],
        *,
        own: bool = False,
    ) -> None:
        """Look which variables of a frame hold values of the story."""
        if frame is None:
            return
        rank = OWN if own or frame is self._owner else DEEPER
        for name, tensor in tensors_in(frame.f_locals):
            number = number_of(tensor)
            if number is not None:
                asked = self._asked.get(id(tensor))
                self._offer(number, ASKED if asked else rank, asked[0] if asked else name)

    def _offer(self, number: int, rank: int, name: str) -> None:
        best = self._best.get(number)
        if best is None or rank < best[0]:
            self._best[number] = (rank, name)

    def current(self, number: int) -> str:
        """The best name so far."""
        return self._best[number][1]

    def chosen(self, count: int) -> dict[int, tuple[str, bool]]:
        """For each value its name, and whether it is a name; one that many have gets numbers."""
        held: dict[str, int] = {}
        chosen: dict[int, tuple[str, bool]] = {}
        for number in range(count):
            rank, name = self._best.get(number, (NUMBER, "?"))
            if rank < EXPRESSION:
                held[name] = held.get(name, 0) + 1
                if held[name] > 1:
                    name += _lowered(held[name])
            chosen[number] = name, rank < LAYER
        return chosen


def _called(frame: FrameType | None, x: Any) -> str:
    """What a tensor is called in a frame, or around it."""
    if frame is None:
        return ""
    for names in (frame.f_locals, frame.f_globals):
        for name, tensor in tensors_in(names):
            if tensor is x and is_tensor(tensor):
                return name
    return ""


def _lowered(number: int) -> str:
    """A number as an index: ₂."""
    return "".join(chr(0x2080 + int(digit)) for digit in str(number))
