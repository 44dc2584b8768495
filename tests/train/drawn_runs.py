"""Small runs on drawn digits, shared by the tests of this folder."""

from pathlib import Path
from typing import Any

from chainrule.train import RunFolder, TrainConfig, Trainer, load_pictures
from chainrule.train.progress import SilentReporter


def small_config(**settings: Any) -> TrainConfig:
    given = {"limit": 240, "epochs": 2, "batch_size": 32, "log_every": 3, **settings}
    return TrainConfig.of("drawn", given.pop("model", "mlp"), **given)


def trainer_in(folder: Path, config: TrainConfig, report: Any = None, *, anew=True) -> Trainer:
    run = RunFolder.create(folder, config, overwrite=False) if anew else RunFolder.open(folder)
    return Trainer(config, load_pictures(config), run, report, "drawn digits")


def weights(trainer: Trainer) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in trainer.model.state_dict().items()}


class Crash(BaseException):
    """The process dies here, as far as the trainer can tell: nothing handles it."""


class CrashAt(SilentReporter):
    """Dies at a step, before anything can be saved."""

    def __init__(self, step: int) -> None:
        self.last = step

    def step(self, report: Any) -> None:
        if report.step == self.last:
            raise Crash
