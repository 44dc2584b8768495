"""The scripts of the article, run as a reader runs them: what they print is what the text says."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "examples" / "article"


def run(script, *args, cwd, block=(), **environment):
    """The script's lines, from a process of its own in which the modules in `block` are missing."""
    for name in block:
        (cwd / f"{name}.py").write_text(f"raise ImportError({name!r})\n")
    done = subprocess.run(
        [sys.executable, SCRIPTS / script, *args],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_chain_rule_by_hand_and_by_autograd_print_the_articles_numbers(tmp_path):
    lines = run("1_chain_rule.py", cwd=tmp_path)
    assert lines.count("df/dx = -4  df/dy = -4  df/dz = 3") == 2
    assert lines.count("f = -12") == 2
    assert "x = -2  y = 5  z = -4" in lines
    assert "loss = 1" in lines  # (-12 - -13)²
    assert "dloss/dx = -8  dloss/dy = -8  dloss/dz = 6" in lines  # 2 (f - target) times df/d.


def test_without_pytorch_the_check_prints_the_numbers_and_says_so(tmp_path):
    lines = run("2_check_with_pytorch.py", cwd=tmp_path, block=["torch"])
    assert [line.split() for line in lines[:8]] == [
        ["f", "-12"],
        ["df/dx", "-4"],
        ["df/dy", "-4"],
        ["df/dz", "3"],
        ["loss", "1"],
        ["dloss/dx", "-8"],
        ["dloss/dy", "-8"],
        ["dloss/dz", "6"],
    ]
    assert "PyTorch is not installed" in lines[-1]


def test_the_check_finds_that_all_numbers_agree(tmp_path):
    """PyTorch itself is not needed here: a library that gives the same numbers stands in for it."""
    (tmp_path / "torch.py").write_text("from chainrule import *\n")
    assert run("2_check_with_pytorch.py", cwd=tmp_path)[-1] == "All 8 numbers agree."


def test_interpolation_learns_and_without_matplotlib_draws_in_text(tmp_path):
    lines = run("3_interpolation.py", "--steps", "300", cwd=tmp_path, block=["matplotlib"])
    losses = [float(line.split()[-1]) for line in lines if line.startswith("step")]
    assert losses[-1] < losses[0] / 20
    assert "pip install 'chainrule[plots]'" in lines[-1]
    assert sum(line.count("o") for line in lines if set(line) <= set(" *o")) == 14
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra `plots`")
def test_interpolation_saves_a_plot(tmp_path):
    plot = tmp_path / "fit.png"
    lines = run(
        "3_interpolation.py", "--steps", "20", "--plot", str(plot), cwd=tmp_path,
        MPLCONFIGDIR=str(tmp_path / "matplotlib-settings"),
    )  # fmt: skip
    assert lines[-1] == f"plot: {plot}"
    assert plot.read_bytes().startswith(b"\x89PNG")


def accuracy(line):
    return float(re.search(r"test accuracy (\d+\.\d+)%", line).group(1))


def test_mnist_on_the_real_thing(tmp_path, data_dir):
    args = ("--epochs", "1", "--limit", "6000", "--offline")
    lines = run("4_mnist.py", *args, cwd=tmp_path, CHAINRULE_DATA=str(data_dir))
    assert len(lines) == 1
    assert accuracy(lines[0]) > 85


def test_mnist_without_data_says_loudly_that_it_draws_digits(tmp_path):
    nowhere = {"CHAINRULE_DATA": "", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    args = ("--epochs", "1", "--limit", "3000", "--offline")
    lines = run("4_mnist.py", *args, cwd=tmp_path, **nowhere)
    assert lines[0].startswith("*** NO REAL MNIST")
    assert any("DRAWN" in line for line in lines)
    assert accuracy(lines[-1]) > 60
