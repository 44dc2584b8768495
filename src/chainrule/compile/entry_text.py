"""The native entry, as LLVM's text: the checks of a call, and the call, for every small program.

Apart from `entry.py` because this is what runs instead of Python: a function that the interpreter
calls as one of its own. It reads what to check from a plan, an array of numbers, so that one text
serves all programs; the plan's words are named here, and `entry.py` fills them in. It only ever
reads Python's objects, and keeps none.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from chainrule.compile.llvm_text import Lines

__all__ = ["ARGUMENT", "HEADER", "MISSED", "NAME", "RAN", "entry_text"]

NAME = "chainrule_enter"

RAN, MISSED = 0, 1
"""What it gives: the program ran; or this is no call for it, and nothing has happened."""

HEADER = (
    "busy",  # somebody works in the program's memory
    "function",  # the program, for one thread; its argument:
    "data",
    "answer",  # makes a Python int of a number
    "array_type",
    "tensor_type",
    "value_offset",  # where a tensor keeps its array,
    "tracked_offset",  # and whether it requires gradients
    "false",
    "words",  # how many of each there are of what follows, in this order
    "arguments",
    "owners",
    "flags",
    "results",
)
"""The plan's first words. Behind them:

- words: (address, value) that must be there;
- arguments: see `ARGUMENT`;
- owners: addresses of arrays whose memory no argument may share;
- flags: addresses of bytes that are not 0 after a run, unless a guard has stopped it;
- results: (address, bytes), copied into the arrays that are the call's last arguments.
"""

ARGUMENT = ("is_tensor", "dimensions", "shape", "dtype", "place", "copied")
"""One argument: what it must be; where its address goes; or, if bytes are copied, they."""

_DATA, _DIMENSIONS, _SHAPE, _BASE, _DTYPE, _FLAGS = 16, 24, 32, 48, 56, 64
"""Where an array keeps these: NumPy's C interface has it so since its first version."""
_IN_ORDER = 0x0001 | 0x0100  # without gaps, and aligned
_POINTERS = {
    *("function", "data", "answer", "array_type", "tensor_type", "false"),
    *("shape", "dtype", "place"),
}


def entry_text() -> str:
    """The module: `ptr @chainrule_enter(ptr self, ptr given, i64 count)`."""
    writer = _Writer()
    writer.write()
    return "\n".join(
        [
            "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
            f"define ptr @{NAME}(ptr %self, ptr %given, i64 %count) nounwind {{",
            *writer.lines.text,
            "}",
        ]
    )


class _Writer:
    """Writes the function from top to bottom."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.block = "entry"
        self.plan = ""
        self.header: dict[str, str] = {}

    def write(self) -> None:
        """All of it; whatever is not as it must be goes to `missed`."""
        self._label("entry")
        self.plan = self._load("ptr", self._at("%self", _DATA))
        for index, name in enumerate(HEADER):
            kind = "ptr" if name in _POINTERS else "i64"
            self.header[name] = self._load(kind, self._at(self.plan, 8 * index))
        self._require("eq", "i64", self.header["busy"], "0")
        given = self._assign(f"add i64 {self.header['arguments']}, {self.header['results']}")
        self._require("eq", "i64", "%count", given)
        sections = self._sections()
        with self._loop(self.header["words"]) as index:
            word = self._record(sections["words"], index, 2)
            address = self._load("ptr", word)
            value = self._load("i64", self._at(word, 8))
            self._require("eq", "i64", self._load("i64", address), value)
        with self._loop(self.header["arguments"]) as index:
            record = self._record(sections["arguments"], index, len(ARGUMENT))
            self._argument(record, self._load("ptr", self._item("%given", index)), sections)
        self._add(f"call void {self.header['function']}(ptr {self.header['data']})")
        with self._loop(self.header["flags"]) as index:
            flag = self._load("ptr", self._item(sections["flags"], index))
            self._require("ne", "i8", self._load("i8", flag), "0")
        with self._loop(self.header["results"]) as index:
            record = self._record(sections["results"], index, 2)
            place = self._assign(f"add i64 {self.header['arguments']}, {index}")
            result = self._load("ptr", self._item("%given", place))
            self._copy(
                self._load("ptr", self._at(result, _DATA)),
                self._load("ptr", record),
                self._load("i64", self._at(record, 8)),
            )
        self._give(RAN)
        self._label("missed")
        self._give(MISSED)

    def _argument(self, record: str, given: str, sections: dict[str, str]) -> None:
        """Check one argument, and hand it over."""
        fields = {
            name: self._load("ptr" if name in _POINTERS else "i64", self._at(record, 8 * index))
            for index, name in enumerate(ARGUMENT)
        }
        array = self._array_of(given, fields["is_tensor"])
        dimensions = self._load("i32", self._at(array, _DIMENSIONS))
        wide = self._assign(f"sext i32 {dimensions} to i64")
        self._require("eq", "i64", wide, fields["dimensions"])
        shape = self._load("ptr", self._at(array, _SHAPE))
        with self._loop(fields["dimensions"]) as axis:
            size = self._load("i64", self._item(shape, axis))
            self._require("eq", "i64", size, self._load("i64", self._item(fields["shape"], axis)))
        self._require("eq", "ptr", self._load("ptr", self._at(array, _DTYPE)), fields["dtype"])
        flags = self._load("i32", self._at(array, _FLAGS))
        self._require("eq", "i32", self._assign(f"and i32 {flags}, {_IN_ORDER}"), str(_IN_ORDER))
        base = self._load("ptr", self._at(array, _BASE))
        with self._loop(self.header["owners"]) as index:
            owner = self._load("ptr", self._item(sections["owners"], index))
            self._require("ne", "ptr", array, owner)
            self._require("ne", "ptr", base, owner)
        data = self._load("ptr", self._at(array, _DATA))
        handed, copied, noted = [self.lines.fresh(each) for each in ("handed", "copied", "noted")]
        whole = self._assign(f"icmp eq i64 {fields['copied']}, 0")
        self._branch(whole, noted, copied)
        self._label(noted)
        self._add(f"store ptr {data}, ptr {fields['place']}")
        self._jump(handed)
        self._label(copied)
        self._copy(fields["place"], data, fields["copied"])
        self._jump(handed)
        self._label(handed)

    def _array_of(self, given: str, is_tensor: str) -> str:
        """The array of an argument, which is one, or is a tensor that needs no gradient."""
        tensor, array, found = [self.lines.fresh(e) for e in ("tensor", "array", "found")]
        kind = self._load("ptr", self._at(given, 8))
        self._branch(self._assign(f"icmp ne i64 {is_tensor}, 0"), tensor, array)
        self._label(tensor)
        self._require("eq", "ptr", kind, self.header["tensor_type"])
        tracked = self._load("ptr", self._at(given, self.header["tracked_offset"]))
        self._require("eq", "ptr", tracked, self.header["false"])
        value = self._load("ptr", self._at(given, self.header["value_offset"]))
        self._require("ne", "ptr", value, "null")
        inner = self._load("ptr", self._at(value, 8))
        self._require("eq", "ptr", inner, self.header["array_type"])
        tensor = self.block
        self._jump(found)
        self._label(array)
        self._require("eq", "ptr", kind, self.header["array_type"])
        array = self.block
        self._jump(found)
        self._label(found)
        return self._assign(f"phi ptr [ {value}, %{tensor} ], [ {given}, %{array} ]")

    def _sections(self) -> dict[str, str]:
        """Where the parts of the plan begin."""
        sizes = (
            ("words", 16),
            ("arguments", 8 * len(ARGUMENT)),
            ("owners", 8),
            ("flags", 8),
            ("results", 16),
        )
        here = self._at(self.plan, 8 * len(HEADER))
        found: dict[str, str] = {}
        for name, size in sizes:
            found[name] = here
            here = self._at(here, self._assign(f"mul i64 {self.header[name]}, {size}"))
        return found

    # -- the words of LLVM --------------------------------------------------------------------

    def _add(self, line: str) -> None:
        self.lines.add(line)

    def _assign(self, right: str) -> str:
        return self.lines.assign(right)

    def _label(self, name: str) -> None:
        self.lines.label(name)
        self.block = name

    def _jump(self, label: str) -> None:
        self._add(f"br label %{label}")

    def _branch(self, condition: str, yes: str, no: str) -> None:
        self._add(f"br i1 {condition}, label %{yes}, label %{no}")

    def _at(self, address: str, offset: int | str) -> str:
        return self._assign(f"getelementptr i8, ptr {address}, i64 {offset}")

    def _item(self, address: str, index: str) -> str:
        return self._assign(f"getelementptr i64, ptr {address}, i64 {index}")

    def _record(self, start: str, index: str, words: int) -> str:
        return self._at(start, self._assign(f"mul i64 {index}, {8 * words}"))

    def _load(self, kind: str, address: str) -> str:
        return self._assign(f"load {kind}, ptr {address}")

    def _copy(self, place: str, source: str, size: str) -> None:
        self._add(
            f"call void @llvm.memcpy.p0.p0.i64(ptr {place}, ptr {source}, i64 {size}, i1 false)"
        )

    def _give(self, code: int) -> None:
        answer = self.header["answer"]
        self._add(f"ret ptr {self._assign(f'call ptr {answer}(i64 {code})')}")

    def _require(self, relation: str, kind: str, a: str, b: str) -> None:
        """Go on if it holds; else this is no call for the program."""
        fits = self.lines.fresh("fits")
        self._branch(self._assign(f"icmp {relation} {kind} {a}, {b}"), fits, "missed")
        self._label(fits)

    @contextmanager
    def _loop(self, count: str) -> Generator[str]:
        """For an index from 0 to below `count`."""
        head, body, tail, end = [self.lines.fresh(e) for e in ("head", "body", "tail", "end")]
        before, following = self.block, f"%{self.lines.fresh('next')}"
        self._jump(head)
        self._label(head)
        index = self._assign(f"phi i64 [ 0, %{before} ], [ {following}, %{tail} ]")
        self._branch(self._assign(f"icmp ult i64 {index}, {count}"), body, end)
        self._label(body)
        yield index
        self._jump(tail)
        self._label(tail)
        self._add(f"{following} = add i64 {index}, 1")
        self._jump(head)
        self._label(end)
