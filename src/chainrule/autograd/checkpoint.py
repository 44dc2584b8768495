"""Checkpointing: keep only the inputs of a piece of the forward pass, and run it again.

PyTorch has this in `torch.utils.checkpoint`; there is no `utils` here, so it is
`chainrule.autograd.checkpoint`. Nothing to do with the files that `train` saves.

Inside `checkpoint`, the tape records as ever, and an interpreter above it throws away what each
node saved. The first node whose derivative asks for that runs the function again, and gives every
node of the piece what its counterpart saved this time. So gradients reach what the function closes
over (the weights of a module), every order of differentiation works, and so do hooks.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.autograd.tape import Node, Tape, with_tape
from chainrule.core.base import TensorBase
from chainrule.core.interpret import Interpreter, Run, Stack, current_stack, using
from chainrule.core.location import Location, user_location
from chainrule.core.op import Op
from chainrule.errors import AutogradError, ConfigError
from chainrule.ops.generator import get_rng_state, set_rng_state

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate values are computed again for backward.

    Memory falls from all that the function's ops save to its arguments; time grows by one more
    forward pass of it. The function must do the same when it runs again.

    Args:
        function: what to run; it may close over tensors that require gradients.
        args: its arguments.
        use_reentrant: only False. (PyTorch's older way could not do `grad`, hooks or keywords.)
        preserve_rng_state: draw the same random numbers the second time.
        kwargs: its keyword arguments.

    Raises:
        AutogradError: (in the backward pass) the function did something else the second time, or
            an argument was changed in place in between.

    >>> import chainrule
    >>> from chainrule.autograd.checkpoint import checkpoint
    >>> x = chainrule.tensor(2.0, requires_grad=True)
    >>> checkpoint(lambda x: (x * x).exp(), x).backward()
    >>> x.grad
    tensor(218.3926)
    """
    if use_reentrant:
        raise ConfigError(
            "checkpoint: there is no use_reentrant=True here",
            cure="leave it out",
            location=str(user_location() or ""),
        )
    stack = current_stack()
    if not stack.has(Tape) or stack.has(_Forget):
        return function(*args, **kwargs)  # nothing to save; or an outer checkpoint sees to it
    piece = _Piece(function, args, kwargs, preserve_rng_state)
    with using(stack.push(_Forget(piece))):
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
) -> Any:
    """Run a chain of functions (or a Sequential) in `segments` pieces, each a `checkpoint`.

    The last piece is not checkpointed, as in PyTorch: its backward comes first anyway.

    Raises:
        ConfigError: there are more segments than functions, or none.

    >>> import chainrule
    >>> from chainrule.autograd.checkpoint import checkpoint_sequential
    >>> x = chainrule.tensor(2.0, requires_grad=True)
    >>> chain = [lambda x: x * x, lambda x: x.log(), lambda x: 3 * x]
    >>> checkpoint_sequential(chain, 2, x).backward()
    >>> x.grad
    tensor(3.)
    """
    chain = list(functions.children() if hasattr(functions, "children") else functions)
    if not 1 <= segments <= max(len(chain), 1):
        raise ConfigError(
            f"checkpoint_sequential: {segments} segments for {len(chain)} functions",
            cure=f"give from 1 to {max(len(chain), 1)}",
            location=str(user_location() or ""),
        )
    size = len(chain) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            functools.partial(_in_turn, chain[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve_rng_state,
        )
    return _in_turn(chain[size * (segments - 1) :], input)


def _in_turn(functions: Sequence[Callable[[Any], Any]], x: Any) -> Any:
    for function in functions:
        x = function(x)
    return x


class _Piece:
    """A piece of the forward pass that can be run again.

    Attributes:
        nodes: its nodes in the order in which they were made.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        preserve_rng_state: bool,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.random_state = get_rng_state() if preserve_rng_state else None
        self.location: Location | None = user_location()
        given = (*args, *kwargs.values())
        self.versions = [(x, x.version) for x in given if isinstance(x, TensorBase)]
        self.nodes: list[weakref.ref[Node]] = []

    def run_again(self) -> None:
        """Give every node what its counterpart saves now."""
        for x, version in self.versions:
            if x.version != version:
                counter = x.version_counter()
                self._fail(
                    f"an argument was changed in place by {counter.changed_by} at "
                    f"{counter.changed_at} before the backward pass",
                    "use the out-of-place form there",
                )
        now = get_rng_state() if self.random_state is not None else None
        collect = _Collect()
        try:
            if self.random_state is not None:
                set_rng_state(self.random_state)
            # The tape is off in a backward pass; what is run again is recorded, to be saved.
            with using(with_tape(current_stack()).push(collect)):
                self.function(*self.args, **self.kwargs)
        finally:
            if now is not None:
                set_rng_state(now)
        if len(collect.nodes) != len(self.nodes):
            self._fail(
                f"the function recorded {len(self.nodes)} ops, and {len(collect.nodes)} when it "
                "was run again",
                "it must do the same each time: is there state, or other randomness?",
            )
        for reference, fresh in zip(self.nodes, collect.nodes, strict=True):
            node = reference()
            if node is not None and node.recompute is not None:
                self._hand_over(node, fresh)

    def _hand_over(self, node: Node, fresh: Node) -> None:
        if fresh.op != node.op:
            self._fail(
                f"where the function ran {node.op}, it ran {fresh.op} when it was run again",
                "it must do the same each time: is there state, or other randomness?",
            )
        if fresh.saved is None:  # it lies in a checkpoint within this one
            node.recompute = functools.partial(_unpack_first, node, fresh)
        else:
            node.saved, node.versions = fresh.saved, fresh.versions
            node.saved_outputs = fresh.saved_outputs

    def _fail(self, problem: str, cure: str) -> None:
        raise AutogradError(f"checkpoint: {problem}", cure=cure, location=str(self.location or ""))


def _unpack_first(node: Node, fresh: Node) -> None:
    fresh.unpack()
    node.saved, node.versions = fresh.saved, fresh.versions
    node.saved_outputs = fresh.saved_outputs


def _node_of(op: Op, outputs: Any) -> Node | None:
    """The node that the tape has just made for an op, if it made one that saved anything."""
    y = outputs if op.outputs == 1 else outputs[0]
    return y.node if y.node is not None and y.node.op is op else None


class _Forget(Interpreter):
    """Throws away what each new node saved, and tells it how to get it back."""

    def __init__(self, piece: _Piece) -> None:
        self.piece = piece

    def over(self, below: Stack) -> Run:
        """Run the op below, then forget."""
        run_below, piece = below.run, self.piece

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = run_below(op, inputs)
            node = _node_of(op, outputs)
            if node is not None:
                piece.nodes.append(weakref.ref(node))
                if node.keeps:
                    node.saved = node.saved_outputs = None
                    node.recompute = piece.run_again
            return outputs

        return run


class _Collect(Interpreter):
    """Collects new nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def over(self, below: Stack) -> Run:
        """Run the op below, then note its node."""
        run_below = below.run

        def run(op: Op, inputs: tuple[Any, ...]) -> Any:
            outputs = run_below(op, inputs)
            node = _node_of(op, outputs)
            if node is not None:
                self.nodes.append(node)
            return outputs

        return run
