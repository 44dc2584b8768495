"""The command line as users meet it: what it prints, how it ends, what it makes of mistakes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule
from chainrule.cli.app import app
from chainrule.cli.screen import bar, blocks
from chainrule.data import drawn_digits

COMMANDS = ["train", "eval", "predict", "data list", "data fetch", "gradcheck", "version"]


def run(*words: object, **environment: str):
    env = {"CHAINRULE_DATA": "", "CHAINRULE_DEBUG": "", "COLUMNS": "100", **environment}
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A small network, trained well enough to know drawn digits."""
    folder = tmp_path_factory.mktemp("runs") / "drawn"
    done = run("train", "drawn", "--limit", 3000, "--epochs", 3, "--out", folder)
    assert done.exit_code == 0, done.output
    return folder


# ---- help, versions, and the way it is started -----------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    done = run(*command.split(), "--help")
    assert done.exit_code == 0
    assert f"chainrule {command}" in done.output
    assert "Examples" in done.output


def test_no_command_shows_all_of_them():
    done = run()
    assert done.exit_code == 2
    assert all(command.split()[0] in done.output for command in COMMANDS)


def test_version_is_quick_and_loads_no_layers():
    script = (
        "import sys; sys.argv = ['chainrule', 'version']\n"
        "import atexit; atexit.register(lambda: print(*sys.modules))\n"
        "from chainrule.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert chainrule.__version__ in done.stdout
    loaded = set(done.stdout.split("\n")[-2].split())
    assert not loaded & {"chainrule.nn", "chainrule.train", "chainrule.data", "rich.progress"}


def test_python_m_chainrule_is_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "version", "--json"], capture_output=True, text=True
    )
    facts = json.loads(done.stdout)
    assert facts["chainrule"] == chainrule.__version__
    assert facts["numpy"] == np.__version__


# ---- train, eval, predict --------------------------------------------------------------------


def test_training_says_what_it_trains_on_and_how_well(trained):
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.85
    done = run("train", "drawn", "--limit", 300, "--epochs", 1, "--out", trained.parent / "again")
    assert "drawn digits" in done.output
    assert "not real data" in done.output
    assert "epoch 1" in done.output
    assert re.search(r"test accuracy \d+\.\d\d%", done.output)
    assert "\x1b" not in done.output, "plain text where there is no terminal"


def test_a_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run("train", "drawn", "--limit", 120, "--epochs", 1).exit_code == 0
    names = sorted(each.name for each in (tmp_path / "runs").iterdir())
    assert len(names) == 2
    assert all(re.match(r"drawn-mlp-\d{8}-\d{6}", name) for name in names)


def test_eval_finds_what_training_found(trained):
    summary = json.loads((trained / "summary.json").read_text())
    done = run("eval", trained, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.output)
    assert result["accuracy"] == summary["test_accuracy"]
    assert np.trace(result["confusion"]) == round(result["accuracy"] * result["samples"])
    for words in (("eval", trained), ("eval", trained, "--checkpoint", "best")):
        done = run(*words)
        assert done.exit_code == 0
        assert "7 - seven" in done.output


def test_predict_reads_a_picture_dark_on_bright_or_bright_on_dark(trained, tmp_path):
    pytest.importorskip("PIL")
    from PIL import Image

    images, labels = drawn_digits(40, seed=5)
    paths = []
    for number, image in enumerate(images[:20]):
        large = np.kron(image, np.ones((8, 8), np.uint8))
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(255 - large if number % 2 else large).save(paths[-1])
    done = run("predict", trained, *paths, "--json")
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.output.splitlines()]
    right = [answer["label"] == label for answer, label in zip(answers, labels)]
    assert sum(right) >= 15
    assert all(0 <= answer["probability"] <= 1 for answer in answers)
    shown = run("predict", trained, paths[0])
    assert shown.exit_code == 0
    assert "█" in shown.output
    assert "what it got" in shown.output
    assert "%" in shown.output


def test_one_picture_of_many_that_is_no_picture_fails_at_the_end(trained, tmp_path):
    np.save(tmp_path / "good.npy", drawn_digits(1)[0][0])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = run("predict", trained, tmp_path / "bad.png", tmp_path / "good.npy", "--json")
    assert done.exit_code == 1
    assert '"label"' in done.stdout
    assert "bad.png" in done.stderr


def test_resuming_a_finished_run_shows_its_result(trained):
    done = run("train", "drawn", "--resume", "--out", trained)
    assert done.exit_code == 0
    assert "finished already" in done.output


def test_mnist_that_is_not_to_be_had_is_replaced_loudly(tmp_path, monkeypatch):
    from chainrule.errors import DownloadError
    from chainrule.train import pictures

    def unreachable(*args: object, **kwargs: object):
        raise DownloadError("no mirror could be reached", cure="by hand")

    monkeypatch.setattr(pictures, "locate", unreachable)
    out = tmp_path / "run"
    done = run("train", "mnist", "--limit", 240, "--epochs", 1, "--out", out)
    assert done.exit_code == 0, done.output
    assert "TRAINING ON DRAWN DIGITS, NOT ON MNIST" in done.output
    assert "no mirror could be reached" in done.output
    assert json.loads((out / "summary.json").read_text())["dataset"] == "drawn"
    for words in (("fashion-mnist",), ("mnist", "--data", tmp_path)):
        done = run("train", *words, "--out", tmp_path / "other")
        assert done.exit_code == 1
        assert "by hand" in done.stderr


# ---- data, gradcheck -------------------------------------------------------------------------


def test_data_list_shows_where_sets_are(data_dir):
    done = run("data", "list", "--dir", data_dir, COLUMNS="160")
    assert done.exit_code == 0
    assert re.search(rf"^ ?mnist .*{re.escape(str(data_dir))}", done.output, re.MULTILINE)


def test_data_fetch_of_what_is_there_says_where(data_dir):
    done = run("data", "fetch", "mnist", CHAINRULE_DATA=str(data_dir))
    assert done.exit_code == 0
    assert str(data_dir) in done.output


def test_gradcheck_judges_ops_by_name():
    done = run("gradcheck", "--op", "mul", "--op", "linear")
    assert done.exit_code == 0, done.output
    assert "2 ops" in done.output
    assert "all agree" in done.output
    lines = run("gradcheck", "--op", "sigmoid", "--json").output.splitlines()
    assert json.loads(lines[0])["witnesses"]["adjointness"]["agrees"] is True


def test_gradcheck_fails_where_a_derivative_is_wrong(monkeypatch):
    from chainrule.core.op import registry

    def wrong(self, y_bar, y, x, needs):
        return (y_bar * 2,)

    monkeypatch.setattr(registry["sin"], "vjp", wrong)
    done = run("gradcheck", "--op", "sin")
    assert done.exit_code == 1
    assert "1 wrong" in done.output
    monkeypatch.undo()
    done = run("gradcheck", "--op", "sin")
    assert done.exit_code == 0, "a derivative that was mended is right again"


def test_gradcheck_of_an_unknown_op_suggests_one():
    done = run("gradcheck", "--op", "sigmoidd")
    assert done.exit_code == 2
    assert "sigmoid" in done.stderr


# ---- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("train", 2, "DATASET"),
        ("train cifar", 2, "'cifar'"),
        ("train drawn --model vgg", 2, "--model"),
        ("train drawn --engine warp", 2, "--engine"),
        ("train drawn --epochs 0", 2, "epochs is 0"),
        ("train drawn --epochs two", 2, "--epochs"),
        ("train drawn --lr nan", 2, "lr is nan"),
        ("train drawn --lr -1", 2, "lr is -1"),
        ("train drawn --limit 10 --validation 10", 2, "none are left"),
        ("train drawn --resume --out nowhere", 1, "nowhere"),
        ("train drawn --resume", 1, "no unfinished run"),
        ("train drawn --resume --overwrite --out x", 2, "--overwrite"),
        ("train mnist --data nowhere", 1, "nowhere"),
        ("train drawn --out file/run", 1, "can't be written"),
        ("eval nowhere", 1, "nowhere"),
        ("eval .", 1, "config.json"),
        ("predict nowhere x.png", 1, "nowhere"),
        ("predict", 2, "RUN"),
        ("data fetch cifar", 2, "'cifar'"),
        ("frobnicate", 2, "frobnicate"),
    ],
)
def test_a_mistake_is_told_with_an_exit_code_and_no_traceback(
    words, code, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = run(*words.split())
    assert done.exit_code == code, done.output
    assert told in done.output
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"], "nothing is left behind"


@pytest.mark.parametrize(
    "name", ["config.json", "checkpoints/*/state.json", "checkpoints/*/model.*"]
)
def test_a_damaged_run_is_told_by_its_file(trained, tmp_path, name):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    for path in copy.glob(name):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = run(
        *(("train", "drawn", "--resume", "--out", copy) if "config" in name else ("eval", copy))
    )
    assert done.exit_code == 1
    assert "to mend it" in done.stderr
    assert "Traceback" not in done.output


def test_other_settings_are_not_taken_up_when_resuming(tmp_path):
    out = tmp_path / "run"
    run("train", "drawn", "--limit", 120, "--epochs", 1, "--out", out)
    (out / "summary.json").unlink()
    done = run("train", "drawn", "--resume", "--out", out, "--epochs", 3)
    assert done.exit_code == 2
    assert "epochs 1, not 3" in done.stderr
    assert run("train", "drawn", "--resume", "--out", out).exit_code == 0


def test_a_loss_that_is_no_number_fails_with_the_cure(tmp_path):
    words = "train drawn --limit 240 --optimizer sgd --lr 1e30 --schedule constant --out"
    done = run(*words.split(), tmp_path / "run")
    assert done.exit_code == 1
    assert "the loss is" in done.stderr
    assert "lower --lr" in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    done = run("eval", tmp_path / "nowhere", CHAINRULE_DEBUG="1")
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "CheckpointError"
    done = run("--debug", "eval", tmp_path / "nowhere")
    assert type(done.exception).__name__ == "CheckpointError"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    done = run("train", "drawn", "--limit", 120, "--out", tmp_path / "run")
    tmp_path.chmod(0o700)
    assert done.exit_code == 1
    assert "can't be written" in done.stderr


def test_a_name_that_is_too_long_is_told_before_training(tmp_path):
    done = run("train", "drawn", "--limit", 50, "--out", tmp_path / ("n" * 300))
    assert done.exit_code == 1
    assert "can't be written" in done.output
    assert "to mend it" in done.output


def test_a_picture_without_a_digit_is_named(trained, tmp_path):
    blank, broken = tmp_path / "blank.npy", tmp_path / "broken.npy"
    np.save(blank, np.full((40, 40), 128, np.uint8))
    np.save(broken, np.full((40, 40), np.nan))
    for done in (run("predict", trained, blank, broken), run("predict", trained, blank)):
        assert done.exit_code == 1
        assert f"{blank}: no digit" in done.output.replace("\n", " ").replace("  ", " ")
    assert f"{broken}: the picture holds NaN" in run("predict", trained, broken).output


def test_a_picture_of_absurd_size_is_refused_by_its_size(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    done = run("predict", trained, tmp_path / "bomb.png")
    assert done.exit_code == 1
    assert "pixels" in done.output
    assert "damaged" not in done.output


def test_the_blocks_and_the_bar():
    picture = np.zeros((28, 28), np.uint8)
    picture[:2, 3] = 255
    lines = blocks(picture).split("\n")
    assert len(lines) == 14
    assert lines[0] == "   █" + " " * 24
    assert bar(1.0, 4) == "████"
    assert bar(0.0, 4) == ""
    assert bar(0.5, 4) == "██"


def test_a_terminal_gets_a_bar():
    import io

    from rich.console import Console

    from chainrule.train.progress import BarReporter, StepReport, reporter_for

    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    report = reporter_for(screen)
    assert isinstance(report, BarReporter)
    for step in range(1, 4):
        report.step(StepReport(step, 3, 1, 1, 0.5, 0.75, 1000.0))
        time.sleep(0.01)
    report.note("a note")
    report.close()
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "75.00%" in text
    assert "a note" in text


# ---- in this process, where the tests above start another ------------------------------------


def test_facts_are_those_of_this_process(monkeypatch, capsys):
    from chainrule import cli
    from chainrule.cli.facts import facts

    known = json.loads(run("version", "--json").output)
    assert known == facts()
    assert known["chainrule"] == chainrule.__version__
    assert known["numpy"] == np.__version__
    assert known["executable"] == sys.executable
    assert re.search(r", [1-9]\d* cores", known["processor"])
    lines = run("version").output.splitlines()
    assert [line.split()[0] for line in lines] == list(known)
    monkeypatch.setattr(sys, "argv", ["chainrule", "version"])
    cli.main()
    assert capsys.readouterr().out.splitlines() == lines


def test_what_is_not_installed_is_said_to_be_missing(monkeypatch):
    import importlib.metadata

    from chainrule.cli import facts as module

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    assert module.facts()["pillow"] == "not installed"


def test_the_program_ends_with_the_commands_exit_code(monkeypatch, capsys):
    from chainrule import cli

    monkeypatch.setattr(sys, "argv", ["chainrule", "gradcheck", "--op", "mul"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert "all agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, ["stopped"]),
        (MemoryError("8 GB"), 1, ["not enough memory: 8 GB", "smaller --batch-size or --limit"]),
        (PermissionError(13, "Permission denied", "x"), 1, ["Permission denied", "path is right"]),
        (
            chainrule.errors.ShapeError("odd", cure="even", location="mine.py:3: f(x)"),
            1,
            ["error: odd", "at: mine.py:3", "to mend it: even"],
        ),
        (chainrule.errors.ConfigError("odd"), 2, ["error: odd"]),
    ],
)
def test_whatever_stops_a_command_is_told_with_an_exit_code(monkeypatch, error, code, told):
    def fail(*args: object, **kwargs: object):
        raise error

    monkeypatch.setattr("chainrule.data.locate", fail)
    done = run("data", "fetch", "mnist")
    assert done.exit_code == code
    for text in told:
        assert text in done.stderr
    assert "Traceback" not in done.output


def test_drawn_digits_need_no_fetching():
    done = run("data", "fetch", "drawn")
    assert done.exit_code == 0
    assert "nothing to fetch" in done.output


@pytest.mark.parametrize("terminal", [True, False])
def test_downloads_are_shown_by_name_and_size(terminal):
    import io

    from rich.console import Console

    from chainrule.cli.screen import Downloads

    text = io.StringIO()
    with Downloads(Console(file=text, force_terminal=terminal, width=100)) as shown:
        for done in (0, 1_500_000, 3_000_000):
            shown("train-images.gz", done, 3_000_000)
        shown("labels.gz", 10, 20)
    lines = text.getvalue()
    assert "train-images.gz" in lines
    assert "labels.gz" in lines
    if not terminal:
        assert lines.splitlines()[0] == "downloading train-images.gz, 3.0 MB"
    with Downloads(Console(file=io.StringIO())):
        pass  # nothing was downloaded: nothing is shown


def test_stopping_saves_and_says_how_to_go_on(tmp_path, monkeypatch):
    import signal

    from chainrule.train import Interrupted, Trainer

    out = tmp_path / "a run"
    for stop, told in (
        (Interrupted(signal.SIGINT, 7), "Stopped after step 7 of"),
        (KeyboardInterrupt(), "Stopped at once"),
    ):

        def end(self, resume=False, stop=stop):
            raise stop

        monkeypatch.setattr(Trainer, "run", end)
        words = ("train", "drawn", "--limit", 120, "--epochs", 1, "--out", out, "--overwrite")
        done = run(*words)
        assert done.exit_code == 130
        assert told in done.output
        assert f"train drawn --resume --out '{out}'" in done.output


def test_a_terminated_run_ends_with_the_signals_number(tmp_path, monkeypatch):
    import signal

    from chainrule.train import Interrupted, Trainer

    def end(self, resume=False):
        raise Interrupted(signal.SIGTERM, 7)

    monkeypatch.setattr(Trainer, "run", end)
    done = run("train", "drawn", "--limit", 120, "--epochs", 1, "--out", tmp_path / "run")
    assert done.exit_code == 128 + signal.SIGTERM


@pytest.mark.parametrize("found", [True, False])
def test_the_command_to_go_on_is_one_that_can_be_typed_here(tmp_path, monkeypatch, found):
    import shutil

    from chainrule.cli import train as command

    program = tmp_path / "my bin" / "chainrule"
    program.parent.mkdir()
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setattr(shutil, "which", lambda name: str(program) if found else None)
    assert command._program() == ("chainrule" if found else f"'{program}'")
    monkeypatch.setattr(sys, "argv", ["/usr/lib/python/chainrule/__main__.py"])
    assert command._program() == "python -m chainrule"


def test_a_network_is_tested_on_what_it_was_trained_for(trained, monkeypatch):
    from chainrule.errors import DownloadError
    from chainrule.train import pictures

    def unreachable(*args: object, **kwargs: object):
        raise DownloadError("no mirror could be reached", cure="by hand")

    monkeypatch.setattr(pictures, "locate", unreachable)
    done = run("eval", trained, "--dataset", "mnist")
    assert done.exit_code == 2
    assert "no mirror could be reached" in done.stderr
    assert "--data" in done.stderr


def test_a_network_of_other_classes_is_not_tested(trained, monkeypatch):
    from chainrule import train

    real = train.load_test

    def fewer(*args: object):
        pictures, classes = real(*args)
        return pictures, classes[:9]

    monkeypatch.setattr(train, "load_test", fewer)
    done = run("eval", trained)
    assert done.exit_code == 2
    assert "has 9 classes" in done.stderr
    assert "tells 10" in done.stderr


def test_a_checkpoint_of_another_network_is_told(trained, tmp_path, monkeypatch):
    from chainrule.train import saved_run

    monkeypatch.setattr(saved_run, "build_model", lambda name, classes: chainrule.nn.Linear(2, 2))
    done = run("eval", trained)
    assert done.exit_code == 1
    assert "does not fit" in done.stderr
    assert "the version of chainrule that wrote it" in done.stderr


# ---- engines ---------------------------------------------------------------------------------


def test_training_is_compiled_where_it_can_be_and_says_so(tmp_path):
    pytest.importorskip("llvmlite")
    out = tmp_path / "run"
    done = run("train", "drawn", "--limit", 240, "--epochs", 1, "--out", out)
    assert done.exit_code == 0, done.output
    assert "engine  compiled: a step is one program of machine code" in done.output
    assert json.loads((out / "config.json").read_text())["engine"] == "compiled"
    assert json.loads((out / "summary.json").read_text())["engine"] == "compiled"


def test_without_llvmlite_training_takes_the_tape_and_says_what_to_install(tmp_path, monkeypatch):
    from chainrule.train import engines

    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    words = ("train", "drawn", "--limit", 120, "--epochs", 1)
    done = run(*words, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert re.search(r"engine  tape: .*llvmlite.*pip install", done.output)
    done = run(*words, "--out", tmp_path / "other", "--engine", "compiled")
    assert done.exit_code == 1
    assert "pip install" in done.stderr


def test_the_engine_can_be_chosen_and_is_kept_on_resuming(tmp_path):
    out = tmp_path / "run"
    words = ("train", "drawn", "--limit", 120, "--epochs", 1, "--out", out)
    done = run(*words, "--engine", "tape")
    assert "engine  tape: autograd, op by op" in done.output
    (out / "summary.json").unlink()
    for engine in ("layers", "compiled"):
        done = run("train", "drawn", "--resume", "--out", out, "--engine", engine)
        assert done.exit_code == 2
        assert f"has engine 'tape', not {engine!r}" in done.stderr
    assert run("train", "drawn", "--resume", "--out", out).exit_code == 0


def test_the_compiler_is_not_loaded_where_nothing_is_compiled(tmp_path):
    words = ["train", "drawn", "--limit", "60", "--epochs", "1", "--engine", "tape"]
    script = (
        f"import sys; sys.argv = ['chainrule', *{words}, '--out', {str(tmp_path / 'run')!r}]\n"
        "import atexit; atexit.register(lambda: print(*sys.modules))\n"
        "from chainrule.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split("\n")[-2].split())
    assert not loaded & {"llvmlite", "chainrule.compile.native", "chainrule.compile.compiled"}
