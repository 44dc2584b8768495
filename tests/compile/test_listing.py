"""What a program says of itself: every kernel, every op of the host and why, true counts."""

import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule
from chainrule import nn, optim
from chainrule.compile.lowering import Host
from chainrule.compile.native import build
from chainrule.compile.profile import KernelTime, Profile, flops, profile, traffic
from chainrule.ir.graph_text import parse_graph
from chainrule.ir.nest_text import parse_nest
from chainrule.nn import functional as F


def described(text):
    return build(parse_graph(text)).describe().splitlines()


@pytest.fixture(scope="module")
def step():
    chainrule.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x, y):
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach().flatten().sort()[0], logits.detach().half()

    compiled = chainrule.compile(step)
    compiled(chainrule.randn(64, 96), chainrule.arange(64) % 10)
    return compiled


def test_a_step_tells_what_it_reads_writes_and_gives(step):
    lines = step.explain().splitlines()
    assert lines[0] == "step(x: f32[64,96], y: i64[64])"
    assert "  updated f32[128,96]        0.weight" in lines
    assert "  updated f32[128,96]        0.weight.momentum_buffer" in lines
    assert any(re.fullmatch(r"  read +f\d\d\[\] +.*lr", line) for line in lines)
    assert "  gives   f32[], f32[640], f16[64,10]" in lines
    assert any("0.weight, 0.bias, 2.weight, 2.bias are used up inside" in line for line in lines)


def test_every_op_of_the_host_is_told_with_the_reason_and_the_line(step):
    segments = step.program.executable.kernels.segments
    hosted = [each for each in segments if isinstance(each, Host)]
    assert {each.op.name for each in hosted} >= {"argsort", "cast"}
    told = [line for line in step.explain().splitlines() if line.startswith("  on the host: ")]
    assert len(told) == len(hosted)
    for line, each in zip(told, hosted):
        assert line.startswith(f"  on the host: {each.op.name}, because {each.reason} (")
        assert "test_listing.py:" in line
    assert any("because float16 is computed on the host" in line for line in told)
    assert any("because it sorts more than 128 elements" in line for line in told)


def test_every_kernel_is_told_with_its_loops_and_its_schedule(step):
    kernels = step.program.executable.kernels
    planned, lines = kernels.planned(), step.explain().splitlines()
    (head,) = [line for line in lines if re.match(r"\d+ kernels, ", line)]
    assert int(head.split()[0]) == len(planned)
    told = [line for line in lines if line.lstrip().startswith("k") and "; " in line]
    assert [line.split()[0] for line in told] == [each.kernel.name for each in planned]
    for line, each in zip(told, planned):
        for axis in (*each.nest.maps, *each.nest.reduces):
            assert f"{axis.name}:{axis.size}" in line
        split = each.schedule.split
        assert line.endswith(f"threads share {split}" if split else "one thread")
    assert "  stop if a value is not allowed: the reference says which" in lines


def test_a_small_program_in_full():
    lines = described(
        "graph f(%0: f32[8,4]):\n  %1: f32[8,4] = exp(%0)\n"
        "  %2: f32[4] = sum(%1) dims=(0,), keepdim=False\n  return %2"
    )
    assert len(lines) == 2
    assert lines[0].startswith("1 kernels, 64 FLOP, ")
    how = r"i0:4 over r0:8; (\d+ lanes of \w+, )?(tile [^;]*, )?one thread"
    assert re.fullmatch(rf"  k0_result +64 FLOP +144 B  {how}", lines[1])


def test_a_program_of_the_host_alone():
    text = "graph f(%0: f16[4]):\n  %1: f16[4] = exp(%0)\n  return %1"
    assert described(text)[1] == "  on the host: exp, because float16 is computed on the host"


# ---- counts ----------------------------------------------------------------------------------


def test_a_product_is_two_operations_for_each_step():
    nest = parse_nest(
        "nest linear(n: 128, o: 10 | k: 784):\n  reads %b f32, %w f32, %x f32\n"
        "  %y[10 n + o] = add(sum[k](mul(%x[784 n + k], %w[784 o + k])), %b[o])"
    )
    assert flops(nest) == 2 * 128 * 10 * 784 + 128 * 10
    assert traffic(nest) == 4 * (128 * 784 + 10 * 784 + 10 + 128 * 10)


def test_what_is_computed_once_for_a_row_is_counted_once_for_a_row():
    nest = parse_nest(
        "nest scale(n: 6, m: 5):\n  reads %x f32, %v f32\n"
        "  %y[5 n + m] = mul(%x[5 n + m], exp(%v[n]))"
    )
    assert flops(nest) == 6 * 5 + 6


def test_each_kernel_can_be_timed(step):
    program = step.program
    given = [chainrule.randn(64, 96).numpy(), (chainrule.arange(64) % 10).numpy()]
    before = [each.copy() for each in program.state]
    times = profile(program.executable, given, program.state, repeats=1)
    assert len(times) == len(program.executable.kernels.planned())
    assert all(0 < each.seconds < 10 for each in times)
    assert all((now == was).all() for now, was in zip(program.state, before))


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0 "),
        (999, "999 "),
        (1000, "1 k"),
        (12_345, "12.3 k"),
        (999_999, "1 M"),
        (10**19, "1e+07 T"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(number, told):
    from chainrule.compile.listing import _count

    assert _count(number) == told


def test_measured_kernels_show_their_share_of_the_peak(step):
    before = [array.copy() for array in step.program.state]
    losses = step(chainrule.ones(64, 96), chainrule.arange(64) % 10)
    state = [array.copy() for array in step.program.state]
    assert any((a != b).any() for a, b in zip(before, state))
    plain, told = step.explain(), step.explain(measure=True)
    kernels = [line for line in told.splitlines() if "% of peak  " in line]
    assert len(kernels) == len(step.program.executable.kernels.planned())
    for line in kernels:
        found = re.search(r" +([\d.]+) (us|ms) +(\d+)% of peak  ", line)
        assert found is not None, line
        assert 0 <= int(found[3]) <= 150  # the clock of a busy machine is not steady
        assert line.replace(found[0], "  ", 1) in plain
    assert "all kernels together" in told
    assert re.search(r"peak is [\d.]+ [MGT]FLOP/s in float32", told)
    assert "peak" not in plain
    for a, b in zip(state, step.program.state, strict=True):  # it was measured on copies
        np.testing.assert_array_equal(a, b)
    step(chainrule.ones(64, 96), chainrule.arange(64) % 10)
    assert any((a != b).any() for a, b in zip(state, step.program.state))
    assert losses[0].isfinite()


def test_a_small_program_goes_on_with_its_own_state_after_it_was_measured():
    weight = chainrule.zeros(4)

    @chainrule.compile
    def count(x):
        weight.add_(x)
        return weight.sum()

    one = chainrule.ones(4)
    assert [count(one).item() for _ in range(3)] == [4, 8, 12]
    count.explain(measure=True)
    assert [count(one).item() for _ in range(3)] == [16, 20, 24]
    assert weight.tolist() == [6, 6, 6, 6]


def test_the_share_counts_each_operation_at_the_peak_of_its_dtype():
    peaks = {"float32": 2e9, "float64": 1e9}
    program = build(
        parse_graph(
            "graph both(%0: f32[1000], %1: f64[1000]):\n  %2: f32[1000] = mul(%0, %0)\n"
            "  %3: f64[1000] = mul(%1, %1)\n  return %2, %3"
        )
    )
    times = [KernelTime(each, 1e-6, 1000, 1) for each in program.kernels.planned()]
    shares = sorted(Profile(times, peaks).share(each) for each in times)
    assert shares == pytest.approx([0.5, 1.0])
    assert Profile(times, peaks).total_share() == pytest.approx(0.75)


def test_without_kernels_there_is_nothing_to_measure():
    plus = chainrule.compile(lambda x: x + 1, backend="numpy")
    plus(chainrule.ones(2))
    assert "there are no kernels to measure" in plus.explain(measure=True)
