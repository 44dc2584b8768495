"""`chainrule train`: from a data set's name to a run folder with a trained network."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from chainrule.train import Learner, Pictures, RunFolder, Source, TrainConfig

__all__ = ["train"]

_EXAMPLES = """
[bold]Examples[/bold]

  chainrule train mnist

  chainrule train mnist --model lenet --engine layers

  chainrule train mnist --model small --validation 0     99 % in the shortest time

  chainrule train fashion-mnist --model cnn --epochs 5 --out runs/fashion

  chainrule train mnist --limit 2000 --epochs 1          a quick try

  chainrule train mnist --resume                         go on where it stopped

The data comes from --data DIR (DIR/mnist/train-images-idx3-ubyte.gz, ...), else from the folder
in CHAINRULE_DATA, else from the cache, else from the network. Where MNIST is not to be had, digits
that this program draws take its place, and it says so.

Exit codes: 0 trained, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C (and saved).
"""

Model = Literal["mlp", "lenet", "cnn", "small"]
Engine = Literal["tape", "layers", "compiled"]
Rule = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon"]
Schedule = Literal["one-cycle", "cosine", "constant"]


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="mnist, fashion-mnist, kmnist, emnist (or emnist-letters, ...), drawn.",
        ),
    ],
    model: Annotated[
        Model | None, typer.Option(help="The network.", show_default="mlp", rich_help_panel="What")
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="How a step is carried out: by autograd (tape), layer by layer (the same bits), "
            "or compiled to machine code (quickest; differs by rounding).",
            show_default="compiled, if llvmlite is installed, else tape",
            rich_help_panel="What",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data.", show_default="suits the model")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures in a step.", show_default="suits the model")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="The highest learning rate.", show_default="suits the optimizer"),
    ] = None,
    optimizer: Annotated[
        Rule | None, typer.Option(help="The update rule.", show_default="adam")
    ] = None,
    schedule: Annotated[
        Schedule | None,
        typer.Option(help="How the learning rate goes.", show_default="one-cycle"),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Pull of the weights to zero.", show_default="0")
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(help="Pictures held out to judge each epoch by.", show_default="5000"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Use only so many pictures: for a quick try.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Same seed, same weights, bit for bit.", show_default="0"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A folder with mnist/ (and so on) in it.", rich_help_panel="Where"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The run's folder.",
            show_default="runs/DATASET-MODEL-TIME",
            rich_help_panel="Where",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out, or with the newest that is unfinished.",
            rich_help_panel="Where",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the run that is in --out.", rich_help_panel="Where"
        ),
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Save that often.",
            show_default="after each epoch",
            rich_help_panel="Where",
        ),
    ] = None,
    log_every: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="A line in metrics.jsonl that often.",
            show_default="50",
            rich_help_panel="Where",
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            help="Keep what a report needs of the inside of the run, and write it at the end.",
            rich_help_panel="Where",
        ),
    ] = True,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Write TensorBoard's event files.",
            show_default="if tensorboard is installed",
            rich_help_panel="Where",
        ),
    ] = None,
) -> None:
    """Train a classifier of 28 x 28 pictures, and test it."""
    from chainrule.cli.screen import console
    from chainrule.train.event_files import can_be_shown

    given: dict[str, Any] = {
        "engine": engine,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer,
        "schedule": schedule,
        "weight_decay": weight_decay,
        "validation": validation,
        "limit": limit,
        "seed": seed,
        "checkpoint_every": checkpoint_every,
        "log_every": log_every,
    }
    screen = console()
    folder = str(data) if data is not None else None
    kept = _Kept(report, can_be_shown() if tensorboard is None else tensorboard)
    if resume:
        _resume(screen, dataset, model, given, folder, out, overwrite, kept)
    else:
        _start(screen, dataset, model or "mlp", given, folder, out, overwrite, kept)


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What is kept of a run beside its result."""

    report: bool
    events: bool


train.__doc__ = f"{train.__doc__}\n{_EXAMPLES}"


def _start(
    screen: Console,
    dataset: str,
    model: str,
    given: dict[str, Any],
    folder: str | None,
    out: Path | None,
    overwrite: bool,
    kept: _Kept,
) -> None:
    from chainrule.train import RunFolder, TrainConfig, default_engine, load_and_prepare

    given = {**given, "engine": given["engine"] or default_engine()}
    config = TrainConfig.of(dataset, model, **given)  # a wrong setting is told before a download
    source = _find(screen, config.dataset, folder)
    config = dataclasses.replace(config, dataset=source.name)
    run = RunFolder.plan(out, config, overwrite)
    pictures, learner = load_and_prepare(config, folder)
    with run.claimed():
        run.begin(config, overwrite)  # now that nothing is known to be in the way
        _train(screen, config, run, source, pictures, folder, kept, learner)


def _resume(
    screen: Console,
    dataset: str,
    model: str | None,
    given: dict[str, Any],
    folder: str | None,
    out: Path | None,
    overwrite: bool,
    kept: _Kept,
) -> None:
    from chainrule.errors import ConfigError
    from chainrule.train import RunFolder, load_pictures

    if overwrite:
        raise ConfigError(
            "--resume and --overwrite exclude each other",
            cure="leave out --overwrite to go on, or --resume to begin anew",
        )
    run = RunFolder.open(out) if out else RunFolder.latest(dataset, model or "mlp")
    config = run.config
    asked = {"dataset": dataset, "model": model, **given}
    settings = config.to_dict()
    changed = [
        f"{name} {settings[name]!r}, not {value!r}"
        for name, value in asked.items()
        if value is not None and value != settings[name]
    ]
    if changed:
        raise ConfigError(
            f"the run in {run.path} has {', '.join(changed)}",
            cure="give the same settings (or none) with --resume, or start another run",
        )
    done = run.summary
    if done is not None:
        screen.print(f"The run in {run.path} is finished already.", highlight=False)
        _show_summary(screen, done, run)
        return
    source = _find(screen, config.dataset, folder)
    if source.name != config.dataset:
        raise ConfigError(source.reason, cure="name the folder of the data with --data")
    pictures = load_pictures(config, folder)
    with run.claimed():
        _train(screen, config, run, source, pictures, folder, kept)


def _find(screen: Console, dataset: str, folder: str | None) -> Source:
    """Where the data is; told loudly if it is not what was asked for."""
    from rich.panel import Panel
    from rich.text import Text

    from chainrule.cli.screen import Downloads
    from chainrule.train import find_source

    with Downloads(screen) as downloads:
        source = find_source(dataset, folder, downloads)
    if source.reason:
        text = Text(
            f"TRAINING ON DRAWN DIGITS, NOT ON {dataset.upper()}\n\n{source.reason}.\n\n"
            "The accuracy below will be that on drawn digits. For the real ones name the folder "
            "that holds mnist/ with --data DIR, or in CHAINRULE_DATA."
        )
        screen.print(Panel(text, border_style="yellow", width=min(screen.width, 90)))
    return source


def _train(
    screen: Console,
    config: TrainConfig,
    run: RunFolder,
    source: Source,
    pictures: Pictures,
    folder: str | None,
    kept: _Kept,
    learner: Learner | None = None,
) -> None:
    """Train from the beginning with a learner; without one, go on from the last checkpoint."""
    from chainrule.cli.report import report_after
    from chainrule.train import Interrupted, Trainer
    from chainrule.train.progress import reporter_for

    trainer = Trainer(
        *(config, pictures, run, reporter_for(screen), source.text, learner),
        observe=kept.report,
        events=kept.events,
    )
    kind = "real data" if source.real else "made by this program, not real data"
    screen.print(
        f"data    {source.text} ({kind}): {len(pictures.train):,} to train, "
        f"{len(pictures.validation):,} to validate, {len(pictures.test):,} to test\n"
        f"model   {config.model}, {trainer.parameters:,} parameters\n"
        f"engine  {config.engine}: {_about(config.engine)}\n"
        f"train   {config.epochs} epochs of {len(trainer.loader)} steps of {config.batch_size}, "
        f"{config.optimizer}, learning rate {config.lr:g} ({config.schedule}), seed {config.seed}\n"
        f"run     {run.path}",
        highlight=False,
        markup=False,
        soft_wrap=not screen.is_terminal,
    )
    try:
        summary = trainer.run(resume=learner is None)
    except KeyboardInterrupt as stop:
        how = (
            f"Stopped after step {stop.step} of {trainer.steps}, and saved."
            if isinstance(stop, Interrupted)
            else "Stopped at once: what came after the last checkpoint has to be trained again."
        )
        screen.print(
            f"{how} To go on:\n  {_resume_command(config, run, folder)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise
    _show_summary(screen, summary, run)
    if kept.report:
        report_after(screen, trainer, run, source.text)


def _about(engine: str) -> str:
    """What an engine is; beside the slower ones, how to get the quickest, if it isn't here."""
    from chainrule.train.engines import INSTALL, can_compile

    about = {
        "compiled": "a step is one program of machine code",
        "tape": "autograd, op by op",
        "layers": "layer by layer, no autograd",
    }[engine]
    if can_compile():
        return about
    return f"{about}. The compiled one is quicker, and needs llvmlite: {INSTALL}"


def _resume_command(config: TrainConfig, run: RunFolder, folder: str | None) -> str:
    import shlex

    words = ["train", config.dataset, "--resume", "--out", str(run.path)]
    words += ["--data", folder] if folder else []
    return f"{_program()} {shlex.join(words)}"


def _program() -> str:
    """How this program is called here: by its path, where its name alone would not find it."""
    import shlex
    import shutil

    called = Path(sys.argv[0])
    if called.stem != "chainrule":
        return "python -m chainrule"
    found = shutil.which("chainrule")
    if not called.exists():  # a name that another program gave
        return "chainrule"
    return "chainrule" if found and called.samefile(found) else shlex.quote(str(called))


def _show_summary(screen: Console, summary: dict[str, Any], run: RunFolder) -> None:
    import shlex

    from rich.text import Text

    accuracy = f"{summary['test_accuracy']:.2%}"
    screen.print(
        Text.assemble(
            "test accuracy ",
            (accuracy, "bold green"),
            f" on {summary.get('data_source', summary['dataset'])}, "
            f"after {summary['seconds_train']:.1f} s of training",
        ),
        soft_wrap=True,
    )
    screen.print(
        f"try it: {_program()} predict {shlex.quote(str(run.path))} picture.png",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
