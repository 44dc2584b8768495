"""`chainrule cache`: what it says of the compiled programs, and that it throws them away."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("llvmlite")

from chainrule.cli.app import app
from chainrule.compile.object_cache import ObjectCache, key_of


def run(*words: str, cache: Path | str):
    env = {"CHAINRULE_CACHE": str(cache), "CHAINRULE_DEBUG": "", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["cache", *words], env=env)


@pytest.fixture
def folder(tmp_path) -> Path:
    cache = ObjectCache(tmp_path / "compiled")
    for name in "abc":
        assert cache.put(key_of(name), {}, bytes(400_000))
    return tmp_path


@pytest.mark.parametrize("command", ["info", "clear"])
def test_each_explains_itself_with_an_example(command, tmp_path):
    done = run(command, "--help", cache=tmp_path)
    assert done.exit_code == 0
    assert f"chainrule cache {command}" in done.output


def test_info_says_where_how_many_and_how_large(folder):
    done = run("info", cache=folder)
    assert done.exit_code == 0, done.output
    lines = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert lines["folder"] == str(folder / "compiled")
    assert lines["programs"] == "3"
    assert lines["size"] == "1.2 MB of at most 537"


def test_clear_throws_them_away(folder):
    done = run("clear", cache=folder)
    assert done.exit_code == 0, done.output
    assert "removed 3 programs, 1.2 MB" in done.output
    assert list((folder / "compiled").iterdir()) == []
    assert "removed 0 programs" in run("clear", cache=folder).output


@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_cache_that_is_not_there_is_empty(command, tmp_path):
    done = run(command, cache=tmp_path / "nowhere")
    assert done.exit_code == 0, done.output
    assert " 0" in done.output
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_cache_that_is_off_is_said_to_be(command):
    done = run(command, cache="off")
    assert done.exit_code == 0
    assert "CHAINRULE_CACHE is off" in done.output
