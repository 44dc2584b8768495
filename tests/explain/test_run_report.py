"""A run's report: what it says is what the files say, and nothing on it asks the network."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.explain.run import Told, read_run, run_page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")


def run(*words):
    env = {"CHAINRULE_DATA": "", "CHAINRULE_DEBUG": "", "COLUMNS": "100"}
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "drawn"
    words = ("--limit", 1200, "--epochs", 2, "--log-every", 3, "--engine", "tape")
    done = run("train", "drawn", *words, "--out", folder, "--tensorboard")
    assert done.exit_code == 0, done.output
    assert f"look at it: {folder}/report.html" in done.output.replace("\n", "")
    return folder


@pytest.fixture
def damaged(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def test_the_numbers_are_those_of_the_metrics_and_of_a_count(trained):
    page = (trained / "report.html").read_text()
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    figure = page.split('id="loss"')[1].split("</figure>")[0]
    rows = re.findall(r'<tr><th scope="row">(\d+)</th><td>([^<]*)</td>', figure)
    told = {int(step): float(value) for step, value in rows if value}
    assert told == {line["step"]: line["loss"] for line in lines if line["kind"] == "step"}
    assert run("eval", trained, "--json").exit_code == 0
    counted = np.array(json.loads(run("eval", trained, "--json").output)["confusion"])
    table = page.split('class="confusion"')[1].split("</table>")[0]
    cells = re.findall(r'<td class="(?:none|right\d|wrong\d)">(\d+)</td>', table)
    assert np.array(cells, int).reshape(10, 10).tolist() == counted.tolist()


@pytest.mark.parametrize(
    ("file", "change", "match"),
    [
        ("metrics.jsonl", lambda s: s.replace('"loss": ', '"loss": "<b>', 1), "line 1"),
        ("metrics.jsonl", lambda s: "[1]\n" + s, "line 1 is no object"),
        ("metrics.jsonl", lambda s: s.replace('"kind": "step"', '"kind": "x"', 1), "kind"),
        ("metrics.jsonl", lambda s: "", "nothing to report"),
        ("observations.jsonl", lambda s: '{"kind": "inside"}\n' + s, "lacks"),
        ("summary.json", lambda s: s.replace('"test_loss"', '"x"'), "test_loss"),
        ("config.json", lambda s: s[:20], "is no JSON"),
    ],
)
def test_a_damaged_file_is_told_by_name(damaged, file, change, match):
    path = damaged / file
    path.write_text(change(path.read_text()))
    done = run("report", damaged, "--no-png")
    assert done.exit_code == 1
    assert file in done.stderr
    assert match in done.stderr.replace("\n", " ")


def test_a_run_half_way_is_shown_as_far_as_it_is(damaged):
    (damaged / "summary.json").unlink()
    path = damaged / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    assert run("report", damaged, "--no-png").exit_code == 0
    page = (damaged / "report.html").read_text()
    assert "This run is not finished" in page
    assert "The last line of metrics.jsonl was cut short" in page


def test_names_are_text(damaged):
    (damaged / "summary.json").write_text(
        (damaged / "summary.json").read_text().replace("drawn digits", "<script>alert(1)</script>")
    )
    evil = damaged.rename(damaged.parent / "a&<img src=x onerror=1>")
    page = run_page([Told(read_run(evil))])
    assert "<script" not in page
    assert "<img src=x" not in page


def test_usage(trained, tmp_path):
    assert run("report", tmp_path / "no").exit_code == 1
    assert run("report", trained, "--out", tmp_path / "x.txt").exit_code == 2
    out = tmp_path / "both.html"
    assert run("report", trained, trained, "--out", out, "--no-png").exit_code == 0
    assert "2 runs compared" in out.read_text()


def test_a_report_that_fails_fails_no_run(tmp_path, monkeypatch):
    from chainrule.explain import run as room

    def fail(*_, **__):
        raise RuntimeError("no room for it")

    monkeypatch.setattr(room, "save_page", fail)
    done = run("train", "drawn", "--limit", 60, "--epochs", 1, "--out", tmp_path / "run")
    assert done.exit_code == 0
    assert "no report: no room for it" in done.output
    words = ("--limit", 60, "--epochs", 1, "--no-report")
    done = run("train", "drawn", *words, "--out", tmp_path / "other")
    assert done.exit_code == 0
    assert not (tmp_path / "other/report.html").exists()


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(trained, tmp_path, scheme, width):
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    both = tmp_path / "both.html"
    assert run("report", trained, trained, "--out", both, "--no-png").exit_code == 0
    errors, asked = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for path in (trained / "report.html", both):
            context = browser.new_context(
                viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
            )
            page = context.new_page()
            page.on("console", lambda message: errors.append(message.text))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            unnamed = "img:not([alt]), svg:not([aria-label]):not([aria-hidden])"
            assert page.locator(unnamed).count() == 0
            ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
            assert len(ids) == len(set(ids))
            context.close()
        browser.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_the_guide_s_code_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    exec(compile(code, "runs.md", "exec"), {"__name__": "guide"})
    promised = re.findall(r"^print\(.*\)  # (.+)$", code, flags=re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == promised != []
    assert (tmp_path / "report.html").exists()
