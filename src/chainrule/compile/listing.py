"""What a program does, for people: its kernels with their loops, arithmetic and schedules."""

from __future__ import annotations

import math

from chainrule.compile.kernels import Kernels, Planned
from chainrule.compile.lowering import Guard, Host
from chainrule.compile.profile import KernelTime, Profile, flops, traffic
from chainrule.ir.nest import Axis

__all__ = ["describe"]


def describe(kernels: Kernels, measured: Profile | None = None) -> str:
    """The kernels in order, and the ops of the host with the reason.

    Args:
        kernels: the program.
        measured: what each kernel takes, if that is to be shown.
    """
    times = iter(measured.times if measured else ())
    planned = kernels.planned()
    total = sum(flops(each.nest) for each in planned)
    lines = [
        f"{len(planned)} kernels, {_count(total)}FLOP, {_count(kernels.arena_bytes)}B of memory"
    ]
    width = max([len(each.kernel.name) for each in planned], default=6)
    for segment in kernels.segments:
        if isinstance(segment, Host):
            where = f" ({segment.location})" if segment.location else ""
            lines.append(f"  on the host: {segment.op.name}, because {segment.reason}{where}")
            continue
        for step in segment:
            if isinstance(step, Guard):
                lines.append("  stop if a value is not allowed: the reference says which")
            else:
                lines.append(_kernel(step, width, next(times, None), measured))
    if measured is not None:
        lines += _total(measured)
    return "\n".join(lines)


def _kernel(
    step: Planned, width: int, time: KernelTime | None = None, measured: Profile | None = None
) -> str:
    nest, schedule = step.nest, step.schedule
    work, nbytes = flops(nest), traffic(nest)
    over = " x ".join(map(_axis, nest.maps)) or "1"
    summed = f" over {' x '.join(map(_axis, nest.reduces))}" if nest.reduces else ""
    how: list[str] = []
    if schedule.lane:
        how.append(f"{schedule.lanes} lanes of {schedule.lane}")
    tile = [f"{factor} {axis}" for axis, factor in schedule.tile if factor > 1]
    if tile:
        how.append(f"tile {' x '.join(tile)}")
    if len(schedule.order) > 1:
        how.append(f"loops {' '.join(schedule.order)}")
    if schedule.staged:
        how.append(f"staged {', '.join(buffer for buffer, _ in schedule.staged)}")
    how.append(f"threads share {schedule.split}" if schedule.split else "one thread")
    size = f"{_count(work)}FLOP {_count(nbytes)}B"
    took = ""
    if time is not None and measured is not None:
        took = f"  {_seconds(time.seconds):>8}  {measured.share(time):4.0%} of peak"
    return f"  {step.kernel.name:{width}}  {size:>20}{took}  {over}{summed}; {', '.join(how)}"


def _total(measured: Profile) -> list[str]:
    """What the kernels take together, and what the shares refer to."""
    seconds = sum(each.seconds for each in measured.times)
    peaks = " and ".join(
        [f"{_count(round(peak))}FLOP/s in {name}" for name, peak in measured.peaks.items()]
    )
    return [
        f"all kernels together {_seconds(seconds)}, {measured.total_share():.0%} of peak: each by "
        "itself, on one thread, the best of five",
        f"peak is {peaks}: independent multiply-adds on full vectors, on one core, just now",
    ]


def _seconds(seconds: float) -> str:
    """A time with a unit.

    >>> _seconds(0.0123), _seconds(4.2e-6)
    ('12.3 ms', '4.2 us')
    """
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def _axis(axis: Axis) -> str:
    return f"{axis.name}:{axis.size}"


def _count(number: int) -> str:
    """A number with a unit: 12.8 M.

    >>> _count(12_800_000), _count(640)
    ('12.8 M', '640 ')
    """
    if number < 1000:
        return f"{number} "
    rounded = float(f"{number:.3g}")  # first: 999,999 is 1 M, not 1000 k
    power = min(int(math.log10(rounded) // 3), 4)
    return f"{rounded / 1000**power:g} {' kMGT'[power]}"
