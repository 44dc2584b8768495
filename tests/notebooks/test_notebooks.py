"""The notebooks run from top to bottom, and say and show what their text promises."""

import base64
import json
import os
import re
import struct
import xml.etree.ElementTree as ET
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import chainrule

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
CHAIN_RULE, LAYERS, MNIST, INSIDE = (path.stem for path in PATHS)
NEEDED = ("ipykernel", "nbclient", "nbformat", "fast_sugiyama", "matplotlib")
MISSING = [name for name in NEEDED if find_spec(name) is None]

# ---- as files --------------------------------------------------------------------------------

INSTALL = "# Installs chainrule where it is missing: "


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def stem(path: Path) -> str:
    return path.stem


every_notebook = pytest.mark.parametrize("path", PATHS, ids=stem)


def test_there_are_four_and_they_are_numbered():
    assert [name[:2] for name in (CHAIN_RULE, LAYERS, MNIST, INSIDE)] == ["1-", "2-", "3-", "4-"]


@every_notebook
def test_a_notebook_is_kept_without_what_a_run_leaves(path):
    book = read(path)
    cells = book["cells"]
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell["id"] for cell in cells if cell["metadata"]] == []
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []


@every_notebook
def test_cells_are_named_for_what_is_in_them(path):
    """Names stay where numbers, or what an editor draws at random, change with every edit."""
    names = [cell["id"] for cell in read(path)["cells"]]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []


@every_notebook
def test_the_first_code_installs_where_there_is_nothing_and_else_does_nothing(path):
    first = next(cell for cell in read(path)["cells"] if cell["cell_type"] == "code")
    before, guard, body = source(first).partition('if find_spec("chainrule") is None:\n')
    assert first["id"] == "install"
    assert source(first).startswith(INSTALL)
    assert re.fullmatch(r"(#.*\n|from .* import .*\n|\n)*", before)
    assert guard
    assert all(line.startswith("    ") for line in body.splitlines())
    assert body.count("%pip install") == 1


# ---- as programs -----------------------------------------------------------------------------


class Ran:
    """A notebook that was run: what its cells printed and showed."""

    def __init__(self, cells: list[Any]) -> None:
        self.cells = {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}

    def printed(self, name: str) -> str:
        return "".join(
            each["text"] for each in self.cells[name]["outputs"] if each.get("name") == "stdout"
        )

    def shown(self, name: str, kind: str) -> list[str]:
        data = [each.get("data", {}) for each in self.cells[name]["outputs"]]
        return [each[kind] for each in data if kind in each]

    def graph(self, name: str) -> list[str]:
        """The words of the one drawing that a cell shows."""
        (text,) = self.shown(name, "image/svg+xml")
        return [each.text or "" for each in ET.fromstring(text).iter(f"{SVG}text")]

    def page(self, name: str) -> str:
        """The page that a cell shows in a frame."""
        (text,) = self.shown(name, "text/html")
        found = re.search(r'<iframe srcdoc="([^"]*)"', text)
        assert found
        return unescape(found[1])

    def plots(self, name: str, count: int) -> None:
        """A cell shows so many plots, and none of them is a speck or blank."""
        plots = [base64.b64decode(each) for each in self.shown(name, "image/png")]
        assert len(plots) == count
        for plot in plots:
            assert plot.startswith(b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", plot[16:24])
            assert min(width, height) > 100
            assert len(plot) > 1500


NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
)
"""Sends whoever wants to download to a door that is shut."""

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """Runs a notebook in a kernel of its own, from an empty folder, with no way to a network."""
    if MISSING:
        pytest.skip(f"needs what the extra `dev` installs: {', '.join(MISSING)} is missing")
    from nbclient import NotebookClient
    from nbformat import reads

    room = tmp_path_factory.mktemp("notebooks")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "MPLBACKEND"},
        "CHAINRULE_CACHE": os.environ.get("CHAINRULE_CACHE", str(room / "cache")),
        "IPYTHONDIR": str(room / "ipython"),
        "MPLCONFIGDIR": str(room / "matplotlib"),
        "XDG_CACHE_HOME": str(room / "cache-home"),
        **NO_NETWORK,
        "PYTHONPATH": str(Path(chainrule.__file__).parents[1]),
    }

    def carried_out(name: str) -> Ran:
        text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
        book = reads(text, as_version=4)
        folder = tmp_path_factory.mktemp(name)
        place = {"metadata": {"path": str(folder)}}
        client = NotebookClient(book, kernel_name="python3", timeout=60, resources=place)
        client.execute(env=environment)
        assert [each.name for each in folder.iterdir()] == []  # nothing is left lying about
        ran = Ran(book["cells"])
        for cell in ran.cells.values():
            said = [each["text"] for each in cell["outputs"] if each.get("name") == "stderr"]
            # On a busy machine matplotlib says that it looks for fonts, once.
            assert [text for text in said if "font cache" not in text] == [], cell["id"]
        assert ran.cells["install"]["outputs"] == []
        return ran

    return carried_out


def number_after(words: str, text: str) -> float:
    found = re.search(re.escape(words) + r"\s*(-?[\d.]+(?:e[+-]?\d+)?)", text)
    assert found, f"{words!r} is not in {text!r}"
    return float(found[1])


def test_from_the_chain_rule_to_autograd(run):
    ran = run(CHAIN_RULE)
    for cell in ("by-hand", "program", "tensor"):
        assert "f = -12\n" in ran.printed(cell)
        assert "df/dx = -4, df/dy = -4, df/dz = 3\n" in ran.printed(cell)
    assert "df/dz: by hand 3, by finite differences 3.000000" in ran.printed("numeric")
    assert ran.printed("sum") == "7.0\n"
    assert "loss = 1\ndloss/dx = -8, dloss/dy = -8, dloss/dz = 6\n" in ran.printed("loss")
    losses = [float(each) for each in re.findall(r"loss = (\S+)", ran.printed("descent"))]
    assert losses == sorted(losses, reverse=True)
    compared = "Not compared: PyTorch is not installed here"
    if find_spec("torch") is not None:
        compared = "All 8 numbers agree."
    assert compared in ran.printed("torch")
    words = ran.graph("graph")
    for each in ("-2", "5", "3", "-4", "-12", "1"):  # the values, and the gradients
        assert each in words
    assert words.count("-4") == 4  # z, and the gradients of x, y and x + y
    words = ran.graph("graph-loss")
    assert words.count("-8") == 3
    assert {"6", "-13", "f - target", "loss"} <= set(words)
    assert {"7", "x * x"} <= set(ran.graph("graph-sum"))
    assert {"f", "-12", "6", "loss"} <= set(ran.graph("own"))
    assert "f = -12, loss = 1\n" in ran.printed("own")
    assert "agrees with all witnesses" in ran.shown("own-check", "text/markdown")[0]
    told = "".join(ran.shown("walk", "text/plain")) + ran.printed("walk")
    assert "f = (x + y) · z = 3 · (-4) = -12" in told
    assert "f = (x + y) · z = 3 · (-4) = -12" in ran.page("walk-page")
    ran.plots("step-size", 1)


def test_layers_by_hand_and_interpolation(run):
    ran = run(LAYERS)
    for cell, count in (("linear", 3), ("relu", 1), ("mse", 1), ("network", 4), ("tape", 4)):
        lines = ran.printed(cell).splitlines()
        assert [line.split()[-1] for line in lines] == ["agrees"] * count
    assert "x_bar = y_bar W" in ran.printed("library")
    assert "y_bar W is the same: True" in ran.printed("layer")
    assert ran.printed("engine").count("the tape's bits: True") == 4
    assert number_after("step  1500  loss", ran.printed("train")) < 1e-3
    assert number_after("it is off by", ran.printed("train")) < 0.3
    assert ran.printed("same") == "the same losses: True, the same weights: True\n"
    assert {"points", "model.0", "loss"} <= set(ran.graph("picture"))
    ran.plots("fit", 1)
    ran.plots("falling", 1)


def test_mnist_three_engines_one_answer(run):
    real = bool(os.environ.get("CHAINRULE_DATA"))
    data, least = ("MNIST", 90) if real else ("drawn digits", 60)
    ran = run(MNIST)
    assert ("NO REAL MNIST" in ran.printed("data")) != real
    assert f"data: {data}, 6000 pictures" in ran.printed("data")
    table = ran.printed("train")
    assert table.startswith(f"{data}, 5 epochs of 6000 pictures")
    rows = [line.split() for line in table.splitlines()[3:]]
    assert [row[0] for row in rows] == ["tape", "layers", "compiled"]
    assert all(float(row[5]) > 0 for row in rows)  # a step takes some time
    accuracy = [float(row[-1].rstrip("%")) for row in rows]
    assert accuracy[0] == accuracy[1] > least
    assert abs(accuracy[2] - accuracy[0]) < 2
    agreed = ran.printed("agree")
    assert "the same losses:  True" in agreed
    assert "the same weights: True" in agreed
    assert number_after("losses of the first epoch:", agreed) < 1e-3
    assert f"{data}: of 2000 test pictures" in ran.printed("errs")
    for cell in ("pictures", "curves", "corner", "errs", "confusion"):
        ran.plots(cell, 1)


def test_without_mnist_it_says_that_the_digits_are_drawn(monkeypatch, tmp_path, capsys):
    """The cell of the data alone: the others don't know the difference."""
    monkeypatch.setenv("CHAINRULE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in NO_NETWORK:
        monkeypatch.setenv(name, NO_NETWORK[name])
    cells = {cell["id"]: source(cell) for cell in read(FOLDER / f"{MNIST}.ipynb")["cells"]}
    small = cells["data"].replace("TRAIN, TEST = 6_000, 2_000", "TRAIN, TEST = 30, 10")
    assert small != cells["data"]
    names: dict[str, Any] = {}
    exec(small, names)
    assert "NO REAL MNIST" in capsys.readouterr().out
    assert names["data"] == "drawn digits"
    assert names["images"].shape == (30, 28, 28)


def test_looking_inside(run):
    ran = run(INSIDE)
    assert {"net.0", "net.1", "net.2", "loss"} <= set(ran.graph("graph"))
    assert {"net.0.weight", "net.2.bias", "loss"} <= set(ran.graph("unfold"))
    assert "Back through" in ran.page("walk")
    assert "y_bar W" in ran.shown("derivation", "text/markdown")[0]
    assert "agrees with all witnesses" in ran.shown("check", "text/markdown")[0]
    verdict = ran.shown("wrong", "text/markdown")[0]
    assert "the derivative is wrong for bias" in verdict
    assert "mean for sum" in verdict
    assert number_after("s of training, just now\n", ran.printed("run")) > 50
    report = ran.page("report")
    assert "Test accuracy" in report
    assert "What the first layer sees" in report
    assert "model.conv1" in ran.page("lenet-graph")
    told = unescape(ran.shown("compiled", "text/html")[0])
    assert "updated f32[128,784]" in told
    assert "of peak" in told
    for cell, count in (("weights", 1), ("activations", 3), ("scores", 1), ("pixels", 1)):
        ran.plots(cell, count)
