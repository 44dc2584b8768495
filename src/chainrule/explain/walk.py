"""The walk: a record told step by step, in words and numbers, for a page or a terminal to show.

First what is given; then each op forwards; then each derivative backwards, with the sums where
gradients meet; last what came of it. Each of these is a `Frame`: all that is said in it is written
here, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import normalize

from chainrule.explain.cards import shape_text
from chainrule.explain.formulas import number, right_side, substitute
from chainrule.explain.story import Meeting, Passage, Pull, Record, Step
from chainrule.explain.summary import Summary

__all__ = ["Exhibit", "Frame", "Part", "frames_of", "pretty"]

_HAT = {"bar": "\u0304", "dot": "\u0307"}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Something to look at: a value or a gradient, under its name.

    Attributes:
        label: what it is called: `x`, `∂f/∂x`.
        role: "value", "gradient" or "local".
        summary: its numbers.
    """

    label: str
    role: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a frame: what happens with one input, say.

    Attributes:
        title: what it is about.
        rule: the rule that holds here, as the op's documentation has it.
        lines: the same with names, and then numbers, put in.
        exhibits: what is shown, in order.
        signs: what stands before each exhibit but the first: "×", "=", "+", "".
    """

    title: str
    rule: str
    lines: tuple[str, ...]
    exhibits: tuple[Exhibit, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of the walk.

    Attributes:
        kind: "start", "forward", "back", "meeting" or "end".
        title: what happens.
        about: a sentence on it.
        formula: the op's formula; "" where there is no op.
        parts: what is told.
        step: the number of the step it is about, if it is about one.
        value: the number of the value it is about, if it is about one.
        seen: the number of values known by now.
        event: the number of the pull or meeting it tells.
    """

    kind: str
    title: str
    about: str
    formula: str
    parts: tuple[Part, ...]
    step: int | None = None
    value: int | None = None
    seen: int = 0
    event: int | None = None


def frames_of(record: Record) -> tuple[Frame, ...]:
    """The whole walk.

    >>> import chainrule
    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> with chainrule.explain() as story:
    ...     y = x * x
    ...     y.backward()
    >>> [frame.kind for frame in frames_of(story.record)]
    ['start', 'forward', 'back', 'meeting', 'end']
    """
    roots = _roots(record)
    frames = [_start(record)]
    frames += [_forward(record, step) for step in record.steps]
    for event in record.back:
        root = roots.get(event.back, "result")
        if isinstance(event, Pull):
            frames.append(_back(record, event, root))
        else:
            frames.append(_meeting(record, event, root))
    if record.back:
        frames.append(_end(record, roots))
    return tuple(frames)


def pretty(text: str) -> str:
    """A formula for eyes: `x_bar` as x̄, `y_dot` as ẏ, spaces as they come.

    >>> pretty("dy/da = b")
    '∂y/∂a = b'
    """
    text = re.sub(r"([^\W\d_])_(bar|dot)", lambda name: name[1] + _HAT[name[2]], text)
    text = re.sub(r"\bdy/d(\w+)", r"∂y/∂\1", text)
    return normalize("NFC", re.sub(r" {2,}", "   ", text))


def _roots(record: Record) -> dict[int, str]:
    """What each pass back is a derivative of."""
    roots: dict[int, str] = {}
    for event in record.back:
        if isinstance(event, Pull) and event.seed:
            roots.setdefault(event.back, record.values[record.steps[event.step].outputs[0]].name)
    return roots


def _start(record: Record) -> Frame:
    given = [value for value in record.values if value.step is None and value.origin != "constant"]
    parts: list[Part] = []
    for origin, title in (
        ("leaf", "Values that want a gradient"),
        ("input", "Given values"),
        ("parameter", "Parameters"),
    ):
        shown = tuple(Exhibit(v.name, "value", v.summary) for v in given if v.origin == origin)
        if shown:
            parts.append(Part(title, "", (), shown, ("",) * (len(shown) - 1)))
    return Frame(
        "start",
        "What is given",
        f"{_count(len(record.steps), 'operation')} forwards, {_count(len(record.back), 'step')} "
        "back. Go on with the arrow keys.",
        "",
        tuple(parts),
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


# -- forwards ----------------------------------------------------------------------------------


def _forward(record: Record, step: Step) -> Frame:
    values = [record.values[each] for each in step.inputs]
    result = record.values[step.outputs[0]]
    exhibits = [Exhibit(value.name, "value", value.summary) for value in values]
    exhibits.append(Exhibit(result.name, "value", result.summary))
    signs = ["," if i else "" for i in range(1, len(values))] + ["→"]
    part = Part("", "", tuple(_arithmetic(record, step)), tuple(exhibits), tuple(signs))
    title = _sentence(record, step)
    about = f"{_numbered(step.op)} makes {_article(result.summary)}."
    return Frame(
        "forward",
        title,
        about,
        pretty(step.formula.meaning),
        (part,),
        step=step.number,
        value=result.number,
        seen=max(step.outputs) + 1,
    )


def _numbered(op: str) -> str:
    return op.replace("_", " ")


def _article(summary: Summary) -> str:
    return "a number" if summary.scalar is not None else f"{shape_text(summary)} numbers"


def _sentence(record: Record, step: Step) -> str:
    """`f = (x + y) * z`, or the module and what it does."""
    result = record.values[step.outputs[0]]
    expression = step.source.expression if step.source is not None else ""
    calls = record.calls_of(step)
    if calls:
        return f"{calls[-1].path}: {_numbered(step.op)}"
    if not result.named:
        return result.name
    if not expression:
        names = (_name_in(record, each) for each in step.inputs)
        known: dict[str, float | str] = dict(zip(step.formula.symbols, names, strict=False))
        expression = substitute(right_side(step.formula.meaning), known) or f"{step.op}(…)"
    return (
        f"{result.name} = {expression}" if len(expression) < 60 else f"{result.name} = {step.op}(…)"
    )


def _arithmetic(record: Record, step: Step) -> list[str]:
    """The formula with names, then with numbers, if these are few enough to be read."""
    right = right_side(step.formula.meaning)
    result = record.values[step.outputs[0]]
    numbers = _scalars(record, step)
    if not right or result.origin != "result":
        return []
    names = dict(
        zip(step.formula.symbols, (_name_in(record, each) for each in step.inputs), strict=False)
    )
    told = [_wrapped(result.name)] if result.named else []
    told.append(substitute(right, {**names, **_plain(step)}))
    if numbers is not None and result.summary.scalar is not None:
        told.append(substitute(right, numbers))
        told.append(number(result.summary.scalar))
    elif not result.named:
        told.insert(0, _wrapped(result.name))
    unique = list(dict.fromkeys(told))
    return [" = ".join(unique)] if len(unique) > 1 else []


def _name_in(record: Record, value: int) -> str:
    return record.values[value].name


def _plain(step: Step) -> dict[str, float | str]:
    """The op's own parameters, those that are numbers."""
    constants = step.formula.constants
    return {k: v for k, v in constants.items() if isinstance(v, (int, float))}


def _scalars(record: Record, step: Step) -> dict[str, float | str] | None:
    """Every symbol's number; None if some input is no single number."""
    known: dict[str, float | str] = _plain(step)
    for symbol, each in zip(step.formula.symbols, step.inputs, strict=False):
        scalar = record.values[each].summary.scalar
        if scalar is None:
            return None
        known[symbol] = scalar
    return known


def _wrapped(name: str) -> str:
    return f"({name})" if re.search(r"[^\w.\[\]'\"₀-₉]", name) else name


# -- back --------------------------------------------------------------------------------------


def _ratio(top: str, bottom: str) -> str:
    """∂f/∂x."""
    return f"∂{_wrapped(top)}/∂{_wrapped(bottom)}"


def _back(record: Record, pull: Pull, root: str) -> Frame:
    step = record.steps[pull.step]
    result = record.values[step.outputs[0]]
    incoming = Exhibit(_ratio(root, result.name), "gradient", pull.incoming)
    lines = ()
    if pull.seed and pull.incoming.scalar == 1:
        lines = (f"The way back begins here: {_ratio(root, root)} = 1.",)
    parts = [Part("Incoming", "", lines, (incoming,), ())]
    parts += [_passage(record, step, pull, each, root) for each in pull.passages]
    targets = ", ".join(record.values[each.value].name for each in pull.passages)
    return Frame(
        "back",
        f"Back through {_sentence(record, step)}",
        f"The gradient of {result.name} goes on to {targets}.",
        pretty(step.formula.meaning),
        tuple(parts),
        step=step.number,
        value=result.number,
        seen=len(record.values),
        event=pull.number,
    )


def _passage(record: Record, step: Step, pull: Pull, passage: Passage, root: str) -> Part:
    """What one input gets: the rule, the local derivative, and the product."""
    value = record.values[passage.value]
    result = record.values[step.outputs[0]]
    rule = step.formula.rules.get(passage.input, "")
    whole = _ratio(root, value.name)
    incoming = Exhibit(_ratio(root, result.name), "gradient", pull.incoming)
    outgoing = Exhibit(whole, "gradient", passage.outgoing)
    if passage.local is None:
        note = step.formula.note and f"derived by hand: {step.formula.note}"
        shown = rule or "   ".join(step.formula.derivative) or note
        others = tuple(
            Exhibit(record.values[each].name, "value", record.values[each].summary)
            for symbol, each in zip(step.formula.symbols, step.inputs, strict=False)
            if re.search(rf"(?<!\w){symbol}(?!\w(?<!ᵀ)|_)", rule.partition(" = ")[2])
        )
        signs = ("with", *("," for _ in others[1:]), "→") if others else ("→",)
        return Part(f"to {value.name}", pretty(shown), (), (incoming, *others, outgoing), signs)
    local = Exhibit(_ratio(result.name, value.name), "local", passage.local)
    lines = [_local_line(record, step, passage, local.label, rule)]
    numbers = [each.summary.scalar for each in (incoming, local, outgoing)]
    if None not in numbers:
        a, b, c = (number(each) for each in numbers if each is not None)
        lines.append(f"{whole} = {incoming.label} · {local.label} = {a} × {_signed(b)} = {c}")
    else:
        summed = " , summed over what was broadcast" if _broadcast(passage) else ""
        lines.append(f"{whole} = {incoming.label} ⊙ {local.label}{summed}")
    same = None not in numbers
    signs = ("×" if same else "⊙", "=")
    return Part(f"to {value.name}", pretty(rule), tuple(lines), (incoming, local, outgoing), signs)


def _broadcast(passage: Passage) -> bool:
    return passage.local is not None and passage.local.shape != passage.outgoing.shape


def _local_line(record: Record, step: Step, passage: Passage, label: str, rule: str) -> str:
    """∂f/∂z = x + y = 3: the rule with names, then with numbers."""
    assert passage.local is not None
    scalar = passage.local.scalar
    right = re.split(r", and |  ", rule.partition(" = ")[2])[0]
    result = record.values[step.outputs[0]]
    symbols = {"y": result.name}
    symbols |= zip(step.formula.symbols, (_name_in(record, i) for i in step.inputs), strict=False)
    told = [substitute(right, {**symbols, **_plain(step)})] if right else []
    numbers = _scalars(record, step)
    if scalar is not None:
        if numbers is not None and right and result.summary.scalar is not None:
            told.append(substitute(right, {**numbers, "y": result.summary.scalar}))
        told.append(number(scalar))
    unique = list(dict.fromkeys(told))
    return f"{label} = {' = '.join(unique)}" if unique else label


def _signed(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _meeting(record: Record, meeting: Meeting, root: str) -> Frame:
    value = record.values[meeting.value]
    label = _ratio(root, value.name)
    exhibits = [
        Exhibit(f"through {_through(record, step)}", "gradient", gradient)
        for step, gradient in meeting.parts
    ]
    exhibits.append(Exhibit(label, "gradient", meeting.total))
    scalars = [gradient.scalar for _, gradient in meeting.parts]
    lines = [f"{value.name} was used {len(scalars)} times: what comes back by each way adds up."]
    if None not in scalars and meeting.total.scalar is not None:
        terms = [number(each) for each in scalars if each is not None]
        total = " + ".join([terms[0], *map(_signed, terms[1:])])
        lines.append(f"{label} = {total} = {number(meeting.total.scalar)}")
    signs = (*["+"] * (len(scalars) - 1), "=")
    return Frame(
        "meeting",
        f"Gradients meet at {value.name}",
        "A value that is used several times gets a gradient from each use.",
        "",
        (Part("", f"{label} = the sum over all ways", tuple(lines), tuple(exhibits), signs),),
        step=value.step,
        value=value.number,
        seen=len(record.values),
        event=meeting.number,
    )


def _through(record: Record, step: int) -> str:
    return record.values[record.steps[step].outputs[0]].name


def _end(record: Record, roots: dict[int, str]) -> Frame:
    """What came of it: the gradients of all that wanted one."""
    root = roots.get(max(roots, default=0), "result")
    wanted = [v for v in record.values if v.step is None and v.gradient is not None]
    parts = tuple(
        Part(
            value.name,
            "",
            (),
            (
                Exhibit(value.name, "value", value.summary),
                Exhibit(_ratio(root, value.name), "gradient", value.gradient),
            ),
            ("",),
        )
        for value in wanted
        if value.gradient is not None
    )
    about = f"How {root} moves when each of these moves a little."
    return Frame("end", "What came of it", about, "", parts, seen=len(record.values))
