"""From a nest and its schedule to LLVM text: the one kernel generator.

The map axes become loops, outermost first. Inside the last one stands the *body*: the reductions,
whose accumulators are one register for each point of the tile, and after them what is stored. Each
expression is written once for each different place it is needed at: an operand that does not depend
on the tile's rows is loaded once for all of them, which is all there is to a register tile.

What does not depend on a loop is computed before it, addresses included.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from chainrule.compile.instructions import emit
from chainrule.compile.lanes import COMBINE, combined, combined_each, transposed
from chainrule.compile.llvm_text import Lines, literal, memory_type, register_type, splat
from chainrule.compile.pool import Pool, places
from chainrule.compile.schedule import Schedule, axis_of_sums
from chainrule.core.dtypes import BOOL, DType, iinfo, int64, uint8
from chainrule.ir.nest import Affine, Call, Iota, Literal, Load, Nest, Reduce, Store

__all__ = ["Kernel", "write_kernel"]

Coords = tuple[tuple[str, int], ...]
"""Where in the tile: a step along each tiled axis."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's text.

    Attributes:
        name: the function's name, without the `@`.
        buffers: the buffers it is handed, in this order, before the thread and their number.
        text: the function.
        declarations: what the module must hold, by name.
    """

    name: str
    buffers: tuple[str, ...]
    text: str
    declarations: dict[str, str]


@dataclass(slots=True)
class _Offset:
    """A place, as far as the loops so far say it: a number, and perhaps a register."""

    constant: int
    register: str = ""


@dataclass(slots=True)
class _Staged:
    """A copy of an operand in the order of its use: reduce axes slowest, then the vectors."""

    base: str
    reduces: tuple[tuple[str, int], ...]
    tile: dict[str, int]  # how far apart two steps of the tile are, by axis


@dataclass(slots=True)
class _Register:
    name: str
    dtype: DType
    lanes: int


def write_kernel(nest: Nest, schedule: Schedule, name: str, *, has_fma: bool = True) -> Kernel:
    """The kernel of a nest, as LLVM text."""
    return _Writer(nest, schedule, name, has_fma).write()


def identity(kind: str, dtype: DType) -> float | int | bool:
    """What leaves every number as it is when combined with it."""
    if kind in ("sum", "any"):
        return 0
    if kind in ("product", "all"):
        return 1
    low = kind == "max"
    if dtype.is_floating_point:
        return float("-inf") if low else float("inf")
    if dtype.category == BOOL:
        return not low
    limits = iinfo(dtype)
    return limits.min if low else limits.max


class _Writer:
    def __init__(self, nest: Nest, schedule: Schedule, name: str, has_fma: bool) -> None:
        self.nest, self.schedule, self.name, self.has_fma = nest, schedule, name, has_fma
        self.pool = Pool(nest)
        self.lines = Lines()
        self.sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
        self.buffers = tuple(
            dict.fromkeys(
                [
                    *[store.buffer for store in nest.stores],
                    *[each.buffer for each in self.pool.exprs if isinstance(each, Load)],
                ]
            )
        )
        self.lane: str = schedule.lane if schedule.lanes > 1 else ""
        self.lanes: int = schedule.lanes if self.lane else 1
        self.active: int = self.lanes  # how many of the lanes are inside
        self.tiled: dict[str, int] = {}  # of the body being written
        self.index: dict[str, int | str] = {}
        self.offsets: dict[tuple[tuple[str, int], ...], _Offset] = {}
        self.scopes: list[dict[object, _Register]] = []
        self.block = "entry"
        self.staged: dict[tuple[str, Affine], _Staged] = {}
        self.hoisted = self._where_to_compute()

    # -- the function --

    def write(self) -> Kernel:
        """All of it."""
        parameters = [f"ptr noalias %buffer.{i}" for i in range(len(self.buffers))]
        read = {each.buffer for each in self.pool.exprs if isinstance(each, Load)}
        if read & {store.buffer for store in self.nest.stores}:  # these have to stay in order
            parameters = [f"ptr %buffer.{i}" for i in range(len(self.buffers))]
        arguments = ", ".join([*parameters, "i64 %thread", "i64 %threads"])
        head = f"define internal void @{self.name}({arguments})"
        self.lines.label("entry")
        for room in self._stage_sizes():
            self.lines.add(room)
        for at in places(self.nest, self.pool):
            self.offsets[at.strides] = _Offset(0)
        with self._scope():
            self._hoist(0)
            self._maps(0)
        self.lines.add("ret void")
        text = "\n".join([f"{head} #0 {{", *self.lines.text, "}"])
        return Kernel(self.name, self.buffers, text, self.lines.declarations)

    def _maps(self, level: int) -> None:
        """The loop of the map axis at this level, and all inside it."""
        if level == len(self.schedule.order):
            self._body()
            return
        axis = self.schedule.order[level]
        size, factor = self.sizes[axis], self.schedule.factor(axis)
        width = self.lanes if axis == self.lane else 1
        split = axis == self.schedule.split

        def inside(factor: int, active: int) -> Callable[[int | str], None]:
            def body(index: int | str) -> None:
                before = self.active
                self.tiled[axis] = factor
                if axis == self.lane:
                    self.active = active
                with self._at(axis, index):
                    self._hoist(level + 1)
                    with self._staging(level + 1):
                        self._maps(level + 1)
                self.active = before

            return body

        step = factor * width
        blocks = size // step
        if blocks:
            self._loop(axis, blocks, step, inside(factor, width), split=split)
        done = blocks * step
        if done == size:
            return
        with self._last_thread(split):
            vectors = (size - done) // width
            if vectors:
                inside(vectors, width)(done)
                done += vectors * width
            if done < size:
                inside(1, size - done)(done)

    def _loop(
        self, axis: str, count: int, step: int, body: Callable[[int | str], None], *, split: bool
    ) -> None:
        """Call `body` with the index at the start of each block."""
        first: int | str = 0
        last: int | str = count * step
        if split:
            first, last = self._share(count, step)
        elif count == 1:
            body(0)
            return
        lines = self.lines
        head, inner, end = (lines.fresh(f"{axis}.{part}.") for part in ("head", "body", "end"))
        before = self.block
        lines.add(f"br label %{head}")
        lines.label(head)
        index, following = f"%{lines.fresh(axis)}", f"%{lines.fresh(f'{axis}.next')}"
        latch = lines.fresh(f"{axis}.latch.")
        lines.add(f"{index} = phi i64 [ {first}, %{before} ], [ {following}, %{latch} ]")
        going = lines.assign(f"icmp slt i64 {index}, {last}")
        lines.add(f"br i1 {going}, label %{inner}, label %{end}")
        self._start(inner)
        body(index)
        lines.add(f"br label %{latch}")
        lines.label(latch)
        lines.add(f"{following} = add nsw i64 {index}, {step}")
        lines.add(f"br label %{head}")
        self._start(end)

    def _share(self, count: int, step: int) -> tuple[str, str]:
        """This thread's part of a loop of so many blocks: where it starts, and where it ends."""
        assign = self.lines.assign
        ends: list[str] = []
        for which in ("%thread", assign("add i64 %thread, 1")):
            part = assign(f"mul i64 {which}, {count}")
            ends.append(assign(f"mul i64 {assign(f'udiv i64 {part}, %threads')}, {step}"))
        return ends[0], ends[1]

    @contextmanager
    def _last_thread(self, split: bool) -> Generator[None]:
        """What is left over of a split loop is for the last thread."""
        if not split:
            yield
            return
        lines = self.lines
        rest, end = lines.fresh("rest."), lines.fresh("rest.end.")
        after = lines.assign("add i64 %thread, 1")
        last = lines.assign(f"icmp eq i64 {after}, %threads")
        lines.add(f"br i1 {last}, label %{rest}, label %{end}")
        self._start(rest)
        yield
        lines.add(f"br label %{end}")
        self._start(end)

    def _start(self, block: str) -> None:
        self.lines.label(block)
        self.block = block

    @contextmanager
    def _scope(self) -> Generator[None]:
        """What is computed inside is forgotten at the end: it may not have been reached."""
        self.scopes.append({})
        yield
        self.scopes.pop()

    @contextmanager
    def _at(self, axis: str, index: int | str) -> Generator[None]:
        """Inside the loop of an axis: places that depend on it move."""
        kept = self.offsets, self.index.get(axis)
        self.index[axis] = index
        self.offsets = dict(self.offsets)
        for strides, before in self.offsets.items():
            stride = next((stride for name, stride in strides if name == axis), 0)
            if not stride:
                continue
            if isinstance(index, int):
                moved = _Offset(before.constant + index * stride, before.register)
            else:
                register = (
                    self.lines.assign(f"mul nsw i64 {index}, {stride}", "o")
                    if stride != 1
                    else index
                )
                if before.register:
                    register = self.lines.assign(f"add nsw i64 {before.register}, {register}", "o")
                moved = _Offset(before.constant, register)
            self.offsets[strides] = moved
        with self._scope():
            yield
        self.offsets = kept[0]
        if kept[1] is None:
            del self.index[axis]
        else:
            self.index[axis] = kept[1]

    # -- what is computed where --

    def _where_to_compute(self) -> list[list[int]]:
        """For each level, what is complete there and needed further in: computed before it."""
        pool, order = self.pool, self.schedule.order
        levels: list[list[int]] = [[] for _ in range(len(order) + 1)]

        again = self._read_again()

        def level(number: int) -> int:
            axes = pool.axes[number]
            if axes & {axis.name for axis in self.nest.reduces}:
                return len(order) + 1
            moving = axes.union(self.nest.sequential) if number in again else axes
            return max([0, *[order.index(axis) + 1 for axis in moving]])

        found = [level(number) for number in range(len(pool.exprs))]
        users: list[int] = [-1] * len(found)
        for number, parts in enumerate(pool.parts):
            inner = len(order) + 1 if isinstance(pool.exprs[number], Reduce) else found[number]
            for part in parts:
                users[part] = max(users[part], inner)
        for root in itertools.chain(pool.roots, *pool.indices):
            users[root] = max(users[root], len(order))
        for number, expr in enumerate(pool.exprs):
            whole = not any(isinstance(pool.exprs[i], Reduce) for i in pool.inside(number))
            if whole and not isinstance(expr, Literal | Iota) and found[number] < users[number]:
                levels[found[number]].append(number)
        return levels

    def _read_again(self) -> set[int]:
        """What may have changed since the last step of a sequential axis: it is stored to."""
        stored = {store.buffer for store in self.nest.stores}
        found: set[int] = set()
        for number, expr in enumerate(self.pool.exprs if self.nest.sequential else []):
            written = isinstance(expr, Load) and expr.buffer in stored
            if written or not found.isdisjoint(self.pool.parts[number]):
                found.add(number)
        return found

    def _hoist(self, level: int) -> None:
        for number in self.hoisted[level]:
            for coords in self._coords(self.pool.axes[number]):
                self._value(number, dict(coords))

    def _coords(self, axes: frozenset[str]) -> Iterator[Coords]:
        """The points of the tile, along some axes; the longest outside.

        So of a product's operands the few are held in registers, and the many come one by one.
        """
        names = [axis for axis, factor in self.tiled.items() if factor > 1 and axis in axes]
        names.sort(key=lambda axis: -self.tiled[axis])
        for steps in itertools.product(*[range(self.tiled[name]) for name in names]):
            yield tuple(zip(names, steps))

    # -- staged operands --

    @contextmanager
    def _staging(self, level: int) -> Generator[None]:
        """Copies of the operands that the loops further in no longer move."""
        here = [key for key in self.schedule.staged if self._stage_level(key[1]) == level]
        for buffer, at in here:
            self._stage(buffer, at)
        yield
        for key in here:
            del self.staged[key]

    def _stage_level(self, at: Affine) -> int:
        order = self.schedule.order
        return max((order.index(axis) + 1 for axis, _ in at.strides if axis in order), default=0)

    def _stage(self, buffer: str, at: Affine) -> None:
        load = next(
            expr
            for expr in self.pool.exprs
            if isinstance(expr, Load) and (expr.buffer, expr.at) == (buffer, at)
        )
        kind = memory_type(load.dtype)
        steps = {axis: self.tiled.get(axis, 1) for axis, _ in at.strides if axis in self.tiled}
        lanes = self.lanes if at.stride(self.lane) else 1
        apart: dict[str, int] = {}
        stride = lanes
        for axis, factor in steps.items():
            apart[axis], stride = stride, stride * factor
        reduces: list[tuple[str, int]] = []
        for axis in reversed([a for a in self.schedule.reduce_order if at.stride(a)]):
            reduces.insert(0, (axis, stride))
            stride *= self.sizes[axis]
        base = f"%stage{self.schedule.staged.index((buffer, at))}"
        made = _Staged(base, tuple(reduces), apart)
        self._stage_loops(load, made, kind, lanes, 0)
        self.offsets.setdefault(made.reduces, _Offset(0))
        self.staged[buffer, at] = made

    def _stage_loops(self, load: Load, to: _Staged, kind: str, lanes: int, level: int) -> None:
        """Copy, over the reduce axes that the operand has."""
        if level < len(to.reduces):
            axis = to.reduces[level][0]
            kept = self.offsets
            self.offsets = {**self.offsets, to.reduces: self.offsets.get(to.reduces, _Offset(0))}

            def body(index: int | str) -> None:
                with self._at(axis, index):
                    self._stage_loops(load, to, kind, lanes, level + 1)

            self._loop(axis, self.sizes[axis], 1, body, split=False)
            self.offsets = kept
            return
        with self._scope():
            for coords in self._coords(frozenset(axis for axis, _ in load.at.strides)):
                at = dict(coords)
                value = self._load(load, (), at, lanes)
                address = self._staged_address(to, at, kind)
                wide = register_type(load.dtype, lanes)
                self.lines.add(f"store {wide} {value}, ptr {address}, align {load.dtype.itemsize}")

    def _staged_address(self, staged: _Staged, at: dict[str, int], kind: str) -> str:
        offset = self.offsets[staged.reduces]
        constant = offset.constant + sum(
            step * staged.tile.get(axis, 0) for axis, step in at.items()
        )
        base = self._pointer(staged.base, offset.register, kind) if offset.register else staged.base
        return self._pointer(base, str(constant), kind) if constant else base

    def _stage_sizes(self) -> Iterator[str]:
        """Room on the stack for the copies, which are each thread's own."""
        for index, (_, at) in enumerate(self.schedule.staged):
            count = self.lanes if at.stride(self.lane) else 1
            for axis, _ in at.strides:
                inner = axis in self.schedule.reduce_order
                count *= self.sizes[axis] if inner else self.schedule.factor(axis)
            yield f"%stage{index} = alloca [{count} x i64], align 64"

    # -- the body --

    def _body(self) -> None:
        """The reductions of a tile, then its stores."""
        with self._scope(), self._reduced() as folded:
            turned = self._turned_stores()
            for coords in self._coords(frozenset(self.tiled).difference([turned, folded])):
                points = [dict(coords)]
                if turned:
                    points = [{**points[0], turned: step} for step in range(self.lanes)]
                values = [[self._value(root, at) for at in points] for root in self.pool.roots]
                for store, index, some in zip(self.nest.stores, self.pool.indices, values):
                    if turned:
                        self._store_turned(store, some, points)
                    else:
                        self._store(store, index, some[0], points[0])

    @contextmanager
    def _reduced(self) -> Generator[str]:
        """The reductions; inside, the tiled axis whose sums have become lanes is in the lanes."""
        kept = self.lane, self.lanes, self.active
        axis = axis_of_sums(self.nest, self.lane, self.lanes, self.tiled)
        self._reductions(axis)
        if axis:
            self.lane, self.lanes = axis, self.tiled[axis]
            self.active = self.lanes
        yield axis
        self.lane, self.lanes, self.active = kept

    def _turns(self, at: Affine) -> str:
        """The tiled axis with which the lanes change places: it is contiguous, they are not."""
        if not self.lane or at.stride(self.lane) in (0, 1) or self.active < self.lanes:
            return ""
        tiled = [axis for axis, factor in self.tiled.items() if factor == self.lanes]
        return next((axis for axis in tiled if at.stride(axis) == 1 and axis != self.lane), "")

    def _turned_stores(self) -> str:
        found = {"" if store.index else self._turns(store.at) for store in self.nest.stores}
        dtypes = {store.expr.dtype.category for store in self.nest.stores}
        return found.pop() if len(found) == 1 and BOOL not in dtypes else ""

    def _load_turned(self, expr: Load, number: int, at: dict[str, int], axis: str) -> str:
        """One lane's neighbours along the tile are loaded at once, for all lanes; then turned."""
        kind, size, lanes = memory_type(expr.dtype), expr.dtype.itemsize, self.lanes
        start = self._address(expr.buffer, expr.at, {**at, axis: 0}, kind)
        stride = expr.at.stride(self.lane)
        rows = [
            self.lines.assign(
                f"load <{lanes} x {kind}>, ptr {self._pointer(start, str(lane * stride), kind)}, "
                f"align {size}"
            )
            for lane in range(lanes)
        ]
        columns = transposed(self.lines, rows, expr.dtype)
        axes = self.pool.axes[number]
        for step, column in enumerate(columns):
            point = {**at, axis: step}
            self.scopes[-1][_key(number, point, axes)] = _Register(column, expr.dtype, lanes)
        return columns[at[axis]]

    def _store_turned(
        self, store: Store, values: Sequence[_Register], points: Sequence[dict[str, int]]
    ) -> None:
        """Columns become rows, which are contiguous."""
        dtype = store.expr.dtype
        kind, lanes = memory_type(dtype), self.lanes
        rows = transposed(self.lines, [self._wide(each, lanes) for each in values], dtype)
        start = self._address(store.buffer, store.at, points[0], kind)
        stride = store.at.stride(self.lane)
        for lane, row in enumerate(rows):
            to = self._pointer(start, str(lane * stride), kind)
            self.lines.add(f"store <{lanes} x {kind}> {row}, ptr {to}, align {dtype.itemsize}")

    def _reductions(self, folded: str) -> None:
        """All reductions at once: one accumulator for each, and each point of the tile.

        Args:
            folded: the tiled axis whose sums become lanes; "" for none.
        """
        accumulators: list[tuple[int, Coords]] = [
            (number, coords)
            for number in self.pool.reduces()
            for coords in self._coords(self.pool.axes[number])
        ]
        if not accumulators:
            return
        before: list[str] = []
        for number, _ in accumulators:
            expr = self._reduce(number)
            start = identity(expr.kind, expr.dtype)
            before.append(splat(start, expr.dtype, self._lanes_inside(number)))
        after = self._reduce_loops(0, accumulators, before)
        together: dict[tuple[object, ...], list[str]] = {}
        for (number, coords), register in zip(accumulators, after, strict=True):
            expr, at = self._reduce(number), dict(coords)
            lanes = self._lanes_inside(number)
            if lanes > 1 and at.pop(folded, None) is not None:
                key = _key(number, at, self.pool.axes[number])
                rows = together.setdefault(key, [])
                rows.append(register)
                if len(rows) == self.tiled[folded]:
                    made = combined_each(self.lines, rows, expr, self.lanes)
                    self.scopes[-1][key] = _Register(made, expr.dtype, len(rows))
                continue
            if self.lane in expr.axes:
                register, lanes = combined(self.lines, register, expr, self.lanes), 1
            key = _key(number, dict(coords), self.pool.axes[number])
            self.scopes[-1][key] = _Register(register, expr.dtype, lanes)

    def _reduce(self, number: int) -> Reduce:
        expr = self.pool.exprs[number]
        assert isinstance(expr, Reduce)
        return expr

    def _lanes_inside(self, number: int) -> int:
        """How many lanes a reduction's accumulators have."""
        axes = self.pool.axes[self.pool.parts[number][0]].union(self._reduce(number).axes)
        return self.lanes if self.lane and self.lane in axes else 1

    def _reduce_loops(
        self, level: int, accumulators: Sequence[tuple[int, Coords]], before: list[str]
    ) -> list[str]:
        if level == len(self.schedule.reduce_order):
            return self._accumulate(accumulators, before)
        axis = self.schedule.reduce_order[level]
        width = self.lanes if axis == self.lane else 1
        innermost = level + 1 == len(self.schedule.reduce_order)
        unroll = self.schedule.unroll if innermost else 1
        size = self.sizes[axis]

        def steps(index: int | str, count: int, values: list[str]) -> list[str]:
            for step in range(count):
                start = index
                if step:
                    start = (
                        index + step * width
                        if isinstance(index, int)
                        else self.lines.assign(f"add nsw i64 {index}, {step * width}")
                    )
                with self._at(axis, start):
                    values = self._reduce_loops(level + 1, accumulators, values)
            return values

        blocks = size // (unroll * width)
        values = before
        if blocks == 1:
            values = steps(0, unroll, values)
        elif blocks:
            values = self._reduce_loop(
                axis, blocks, unroll * width, accumulators, values, lambda i, v: steps(i, unroll, v)
            )
        done = blocks * unroll * width
        whole = (size - done) // width
        values = steps(done, whole, values)
        done += whole * width
        if done < size:
            self.active = size - done
            values = steps(done, 1, values)
            self.active = self.lanes
        return values

    def _reduce_loop(
        self,
        axis: str,
        count: int,
        step: int,
        accumulators: Sequence[tuple[int, Coords]],
        before: list[str],
        body: Callable[[str, list[str]], list[str]],
    ) -> list[str]:
        """A loop at least twice round, with the accumulators in registers."""
        lines = self.lines
        head, latch = lines.fresh(f"{axis}.loop."), lines.fresh(f"{axis}.latch.")
        end = lines.fresh(f"{axis}.done.")
        origin = self.block
        lines.add(f"br label %{head}")
        self._start(head)
        index, following = f"%{lines.fresh(axis)}", f"%{lines.fresh(f'{axis}.next')}"
        place = len(lines.text)
        names = [f"%{lines.fresh('acc')}" for _ in accumulators]
        after = body(index, names)
        types = [
            register_type(self._reduce(number).dtype, self._lanes_inside(number))
            for number, _ in accumulators
        ]
        phis = [f"  {index} = phi i64 [ 0, %{origin} ], [ {following}, %{latch} ]"]
        phis += [
            f"  {name} = phi {kind} [ {start}, %{origin} ], [ {value}, %{latch} ]"
            for name, kind, start, value in zip(names, types, before, after, strict=True)
        ]
        lines.text[place:place] = phis
        lines.add(f"br label %{latch}")
        lines.label(latch)
        lines.add(f"{following} = add nuw nsw i64 {index}, {step}")
        going = lines.assign(f"icmp ult i64 {following}, {count * step}")
        lines.add(f"br i1 {going}, label %{head}, label %{end}")
        self._start(end)
        return after

    def _accumulate(
        self, accumulators: Sequence[tuple[int, Coords]], before: list[str]
    ) -> list[str]:
        return [
            self._combine(number, dict(coords), value)
            for (number, coords), value in zip(accumulators, before, strict=True)
        ]

    def _combine(self, number: int, at: dict[str, int], accumulator: str) -> str:
        """The accumulator with one more element in it."""
        expr, (inner,) = self._reduce(number), self.pool.parts[number]
        lanes, dtype = self._lanes_inside(number), expr.dtype
        term = self.pool.exprs[inner]
        outside = self.active < self.lanes and self.lane in expr.axes and lanes > 1
        product = (
            expr.kind == "sum"
            and dtype.is_floating_point
            and isinstance(term, Call)
            and term.name == "mul"
        )
        if product and not outside and self.has_fma:
            a, b = (self._wide(self._value(part, at), lanes) for part in self.pool.parts[inner])
            return emit(self.lines, "fma", dtype, [a, b, accumulator], [dtype] * 3, lanes)
        value = self._wide(self._value(inner, at), lanes)
        if outside:
            kind = register_type(dtype, lanes)
            mask = self._mask()
            value = self.lines.assign(
                f"select <{lanes} x i1> {mask}, {kind} {value}, "
                f"{kind} {splat(identity(expr.kind, dtype), dtype, lanes)}"
            )
        return emit(self.lines, COMBINE[expr.kind], dtype, [accumulator, value], [dtype] * 2, lanes)

    # -- expressions --

    def _value(self, number: int, at: dict[str, int]) -> _Register:
        """The register with an expression's value at a point of the tile."""
        axes = self.pool.axes[number]
        key = _key(number, at, axes)
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key]
        expr = self.pool.exprs[number]
        lanes = self.lanes if self.lane and self.lane in axes else 1
        if isinstance(expr, Literal):
            return _Register(literal(expr.value, expr.dtype), expr.dtype, 1)
        if isinstance(expr, Load):
            axis = self._turns(expr.at) if lanes > 1 and not expr.index else ""
            if (
                axis in at
                and expr.dtype.category != BOOL
                and (expr.buffer, expr.at) not in self.staged
            ):
                made = self._load_turned(expr, number, at, axis)
            else:
                made = self._load(expr, self.pool.parts[number], at, lanes)
        elif isinstance(expr, Iota):
            made = self._iota(expr, at, lanes)
        else:
            assert isinstance(expr, Call), expr
            parts = [self._value(part, at) for part in self.pool.parts[number]]
            operands = [self._wide(part, lanes) for part in parts]
            made = emit(
                self.lines, expr.name, expr.dtype, operands, [part.dtype for part in parts], lanes
            )
        found = self.scopes[-1][key] = _Register(made, expr.dtype, lanes)
        return found

    def _wide(self, value: _Register, lanes: int) -> str:
        """A value in so many lanes: the same in each, if it has but one."""
        if value.lanes == lanes:
            return value.name
        if not value.name.startswith("%"):
            return f"splat ({register_type(value.dtype, 1)} {value.name})"
        key = "wide", value.name, lanes
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key].name
        scalar, kind = register_type(value.dtype, 1), register_type(value.dtype, lanes)
        first = self.lines.assign(f"insertelement {kind} poison, {scalar} {value.name}, i32 0")
        wide = self.lines.assign(
            f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )
        self.scopes[-1][key] = _Register(wide, value.dtype, lanes)
        return wide

    def _mask(self) -> str:
        inside = ["true"] * self.active + ["false"] * (self.lanes - self.active)
        return f"<{', '.join(f'i1 {each}' for each in inside)}>"

    def _iota(self, expr: Iota, at: dict[str, int], lanes: int) -> str:
        """Where the loop of an axis is."""
        width = self.lanes if expr.axis == self.lane else 1
        ahead, index = at.get(expr.axis, 0) * width, self.index[expr.axis]
        here = (
            str(index + ahead)
            if isinstance(index, int)
            else self.lines.assign(f"add nsw i64 {index}, {ahead}")
        )
        if lanes > 1:
            wide = self._wide(_Register(here, int64, 1), lanes)
            steps = ", ".join(f"i64 {i}" for i in range(lanes))
            here = self.lines.assign(f"add nsw <{lanes} x i64> {wide}, <{steps}>")
        if expr.dtype is int64:
            return here if here.startswith("%") else self.lines.assign(f"add i64 {here}, 0")
        return emit(self.lines, "cast", expr.dtype, [here], [int64], lanes)

    def _address(
        self, buffer: str, at: Affine, coords: dict[str, int], kind: str, extra: str = ""
    ) -> str:
        """A pointer to a place at a point of the tile."""
        offset = self.offsets[at.strides]
        constant = at.offset + offset.constant
        for axis, step in coords.items():
            if step:
                constant += step * at.stride(axis) * (self.lanes if axis == self.lane else 1)
        base = f"%buffer.{self.buffers.index(buffer)}"
        for register in (offset.register, extra):
            if register:
                base = self._pointer(base, register, kind)
        return self._pointer(base, str(constant), kind) if constant else base

    def _pointer(self, base: str, offset: str, kind: str) -> str:
        key = "pointer", base, offset, kind
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key].name
        made = self.lines.assign(f"getelementptr inbounds {kind}, ptr {base}, i64 {offset}", "p")
        self.scopes[-1][key] = _Register(made, int64, 1)
        return made

    def _load(self, expr: Load, index: Sequence[int], at: dict[str, int], lanes: int) -> str:
        kind = memory_type(expr.dtype)
        size = expr.dtype.itemsize
        staged = self.staged.get((expr.buffer, expr.at))
        if staged is not None:
            address = self._staged_address(staged, at, kind)
            wide = register_type(expr.dtype, lanes)
            return self.lines.assign(f"load {wide}, ptr {address}, align {size}")
        found = [self._value(part, at) for part in index]
        if any(each.lanes > 1 for each in found):
            return self._gather(expr, found, at)
        extra = self._extra(expr, found)
        stride = expr.at.stride(self.lane) if lanes > 1 else 0
        address = self._address(expr.buffer, expr.at, at, kind, extra)
        if lanes == 1:
            value = self.lines.assign(f"load {kind}, ptr {address}, align {size}")
        elif stride == 1 and self.active == lanes:
            value = self.lines.assign(f"load <{lanes} x {kind}>, ptr {address}, align {size}")
        elif stride == 1 and size >= 4:
            value = self._masked_load(address, kind, size)
        else:
            value = self._lane_by_lane(
                kind, [self._pointer(address, str(i * stride), kind) for i in range(self.active)]
            )
        if expr.dtype.category == BOOL:
            zero = splat(0, _BYTE, lanes)
            value = self.lines.assign(f"icmp ne {register_type(_BYTE, lanes)} {value}, {zero}")
        return value

    def _extra(self, place: Load | Store, found: Sequence[_Register]) -> str:
        """How far it is to a place found at run time, which is the same in all lanes."""
        extra = ""
        for each, (_, stride) in zip(found, place.index, strict=True):
            extra = self._further(extra, each.name, each.dtype, stride)
        return extra

    def _further(self, extra: str, index: str, dtype: DType, stride: int) -> str:
        if dtype is not int64:
            index = emit(self.lines, "cast", int64, [index], [dtype], 1)
        step = self.lines.assign(f"mul i64 {index}, {stride}") if stride != 1 else index
        return self.lines.assign(f"add i64 {extra}, {step}") if extra else step

    def _gather(self, expr: Load, found: Sequence[_Register], at: dict[str, int]) -> str:
        """Every lane from a place of its own."""
        kind = memory_type(expr.dtype)
        value = self._lane_by_lane(kind, self._addresses(expr, found, at, kind))
        if expr.dtype.category == BOOL:
            zero = splat(0, _BYTE, self.lanes)
            value = self.lines.assign(f"icmp ne <{self.lanes} x i8> {value}, {zero}")
        return value

    def _addresses(
        self, place: Load | Store, found: Sequence[_Register], at: dict[str, int], kind: str
    ) -> list[str]:
        """Where every lane is, if each is somewhere else."""
        stride = place.at.stride(self.lane)
        address = self._address(place.buffer, place.at, at, kind)
        addresses: list[str] = []
        for lane in range(self.active):
            extra = str(lane * stride) if stride else ""
            for each, (_, step) in zip(found, place.index, strict=True):
                index = each.name
                if each.lanes > 1:
                    wide = register_type(each.dtype, each.lanes)
                    index = self.lines.assign(f"extractelement {wide} {index}, i32 {lane}")
                extra = self._further(extra, index, each.dtype, step)
            addresses.append(self._pointer(address, extra, kind) if extra else address)
        return addresses

    def _lane_by_lane(self, kind: str, addresses: Sequence[str]) -> str:
        wide, size = f"<{self.lanes} x {kind}>", _SIZES[kind]
        value = "zeroinitializer"
        for lane, address in enumerate(addresses):
            one = self.lines.assign(f"load {kind}, ptr {address}, align {size}")
            value = self.lines.assign(f"insertelement {wide} {value}, {kind} {one}, i32 {lane}")
        return value

    def _masked_load(self, address: str, kind: str, size: int) -> str:
        wide = f"<{self.lanes} x {kind}>"
        suffix = f"v{self.lanes}{'f' if kind in ('float', 'double') else 'i'}{8 * size}"
        name = f"llvm.masked.load.{suffix}.p0"
        self.lines.declare(name, f"declare {wide} @{name}(ptr, i32, <{self.lanes} x i1>, {wide})")
        return self.lines.assign(
            f"call {wide} @{name}(ptr {address}, i32 {size}, <{self.lanes} x i1> {self._mask()}, "
            f"{wide} zeroinitializer)"
        )

    def _store(
        self, store: Store, index: Sequence[int], value: _Register, coords: dict[str, int]
    ) -> None:
        dtype, lines = value.dtype, self.lines
        kind, size = memory_type(dtype), dtype.itemsize
        found = [self._value(number, coords) for number in index]
        apart = any(each.lanes > 1 for each in found)
        stride = store.at.stride(self.lane) if self.lane else 0
        lanes = self.lanes if apart or stride else 1
        register = self._wide(value, lanes)
        if dtype.category == BOOL:
            register = lines.assign(
                f"zext {register_type(dtype, lanes)} {register} to {register_type(_BYTE, lanes)}"
            )
        if apart:
            self._store_lanes(self._addresses(store, found, coords, kind), register, kind)
            return
        address = self._address(store.buffer, store.at, coords, kind, self._extra(store, found))
        if lanes == 1:
            lines.add(f"store {kind} {register}, ptr {address}, align {size}")
            return
        wide = f"<{lanes} x {kind}>"
        if stride == 1 and self.active == lanes:
            lines.add(f"store {wide} {register}, ptr {address}, align {size}")
            return
        if stride == 1 and size >= 4:
            suffix = f"v{lanes}{'f' if kind in ('float', 'double') else 'i'}{8 * size}"
            name = f"llvm.masked.store.{suffix}.p0"
            lines.declare(name, f"declare void @{name}({wide}, ptr, i32, <{lanes} x i1>)")
            lines.add(
                f"call void @{name}({wide} {register}, ptr {address}, i32 {size}, "
                f"<{lanes} x i1> {self._mask()})"
            )
            return
        places = [self._pointer(address, str(i * stride), kind) for i in range(self.active)]
        self._store_lanes(places, register, kind)

    def _store_lanes(self, addresses: Sequence[str], register: str, kind: str) -> None:
        """Every lane to a place of its own."""
        wide = f"<{self.lanes} x {kind}>"
        for lane, to in enumerate(addresses):
            one = self.lines.assign(f"extractelement {wide} {register}, i32 {lane}")
            self.lines.add(f"store {kind} {one}, ptr {to}, align {_SIZES[kind]}")


def _key(number: int, at: dict[str, int], axes: frozenset[str]) -> tuple[object, ...]:
    """What a value is known by: the expression, and the steps along the axes it depends on."""
    return number, tuple(sorted([(axis, step) for axis, step in at.items() if axis in axes]))


_BYTE = uint8
_SIZES = {"double": 8, "float": 4, "i64": 8, "i32": 4, "i16": 2, "i8": 1}
