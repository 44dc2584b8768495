"""The training loop: epochs of steps, a judgement after each epoch, a test at the end.

Everything that a step depends on is in the checkpoint: weights, the optimizer's state, the random
numbers' state, the place in the data's order. So a run that was killed at any moment and resumed
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from chainrule.data import DataLoader
from chainrule.errors import ChainruleError, CheckpointError, NumericalError
from chainrule.ops.from_data import from_numpy
from chainrule.ops.generator import get_rng_state, set_rng_state
from chainrule.tensor import Tensor
from chainrule.train.checkpoint import Checkpoint, keep_only, write_checkpoint
from chainrule.train.config import TrainConfig
from chainrule.train.evaluate import Score
from chainrule.train.event_files import EventFile, scalars_of
from chainrule.train.interrupt import Interrupted, Interruption
from chainrule.train.learner import Learner, build_learner
from chainrule.train.metrics import MetricsFile
from chainrule.train.observations import Observer, Phases
from chainrule.train.optimizer_state import pack_optimizers, unpack_optimizers
from chainrule.train.pictures import Pictures
from chainrule.train.position import Meter, Position
from chainrule.train.progress import Reporter, SilentReporter, StepReport
from chainrule.train.run import RunFolder
from chainrule.train.schedule import learning_rate

__all__ = ["Trainer"]


class Trainer:
    """Trains one network on one data set, into one folder.

    Args:
        config: the settings.
        pictures: the data.
        run: the run's folder.
        report: hears of the progress.
        source: where the data came from, for the summary.
        learner: what `build_learner` gave for these settings, just now; the default is to call it.
        observe: whether to keep norms, dead units and times in `observations.jsonl`; the weights
            are the same bits either way.
        events: whether to write TensorBoard's event files, too.

    Attributes:
        score: that of the test part, once the run is finished.

    Raises:
        ConfigError: the engine can't train this network.
        MissingDependencyError: the engine compiles, and llvmlite is not installed.

    >>> import tempfile
    >>> from chainrule.train import RunFolder, TrainConfig, Trainer, load_pictures
    >>> config = TrainConfig.of("drawn", "mlp", epochs=1, limit=200, validation=50)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = RunFolder.create(f"{folder}/run", config, overwrite=False)
    ...     summary = Trainer(config, load_pictures(config), run).run()
    >>> 0 <= summary["test_accuracy"] <= 1
    True
    """

    def __init__(
        self,
        config: TrainConfig,
        pictures: Pictures,
        run: RunFolder,
        report: Reporter | None = None,
        source: str = "",
        learner: Learner | None = None,
        *,
        observe: bool = True,
        events: bool = False,
    ) -> None:
        self.config, self.pictures, self.run_folder = config, pictures, run
        self.report = report or SilentReporter()
        self.source = source
        size = min(config.batch_size, len(pictures.train))
        fits = (len(pictures.classes), size)
        if learner is None or (learner.classes, learner.batch_size) != fits:
            learner = build_learner(config, len(pictures.classes), size)
        self.model, self.engine = learner.model, learner.engine
        self.optimizers = learner.optimizers
        self.rates = [each.defaults["lr"] for each in self.optimizers]
        self.loader = DataLoader(
            self.engine.source(pictures.train),
            batch_size=config.batch_size,
            shuffle=True,
            generator=np.random.default_rng([config.seed, 2]),
        )
        self.position = Position()
        self.steps = config.epochs * len(self.loader)
        self.parameters = sum(each.numel() for each in self.model.parameters())
        self._saved_step = -1
        self._metrics: MetricsFile | None = None
        self._observations: MetricsFile | None = None
        self._events: EventFile | None = None
        self._writes_events = events
        self._observer = Observer(self.model, pictures.train, self.steps) if observe else None
        self._phases = Phases()
        self.score: Score | None = None
        self._mark = 0.0  # when the time was last put into `position`

    # -- the run ------------------------------------------------------------------------------

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train to the end, and test; the summary, which is written too.

        Args:
            resume: go on from the folder's last checkpoint.

        Raises:
            Interrupted: the user stopped it (it is a KeyboardInterrupt); it was saved before.
            NumericalError: the loss is NaN or infinite.
            CheckpointError: there is nothing sound to resume from.
            StorageError: the disk refuses; the last good checkpoint is still there.
        """
        begin = time.perf_counter()
        kept, observed = self.restore() if resume else (0, 0)
        try:
            self._open_files(kept, observed)
            self._mark = time.perf_counter()
            self._phases.start()
            if not resume:
                self.save()  # a disk that refuses is better known before the first step
            with Interruption(self._notice) as interruption:
                while self.position.epoch < self.config.epochs:
                    self._train_epoch(interruption)
                    self._end_epoch()
                    self._stop_if_asked(interruption)
        except ChainruleError as error:
            self._say_what_is_left(error)
            raise
        finally:
            for file in (self._metrics, self._observations, self._events):
                if file is not None:
                    file.close()
            self.report.close()
        return self._finish(time.perf_counter() - begin)

    def _train_epoch(self, interruption: Interruption) -> None:
        """The steps of an epoch, or what is left of it."""
        config, position = self.config, self.position
        before_last = len(self.loader) * (position.epoch + 1)
        self.model.train()
        for x, y in self.loader:
            self._phases.lap("data")
            self._step(x, y, last=position.step + 1 == before_last)
            self._phases.lap("step")
            if position.step < before_last:  # the end of an epoch saves anyway
                if config.checkpoint_every and position.step % config.checkpoint_every == 0:
                    self.save()
                self._stop_if_asked(interruption)

    def _step(self, x: Tensor, y: Tensor, last: bool) -> None:
        """One step, of an epoch the last one or not; the check of its loss, the counts."""
        config, position = self.config, self.position
        factor = learning_rate(config.schedule, 1.0, position.step, self.steps)
        lr = config.lr * factor
        for optimizer, rate in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        observer = self._observer
        before = None
        if observer is not None and observer.is_due(position.step + 1, last):
            before = observer.weights()
            self._phases.lap("observation")
        loss, right = self.engine.step(x, y)
        value = float(loss.item())
        if not math.isfinite(value):
            raise NumericalError(
                f"the loss is {value} in step {position.step + 1} (epoch {position.epoch + 1}), "
                f"at a learning rate of {lr:.3g}",
                cure=f"train anew with a lower --lr (it was {config.lr:g}), or another --optimizer",
                step=position.step + 1,
                lr=lr,
            )
        position.step += 1
        correct = int(right.item())
        position.in_epoch.add(value, correct, len(x))
        position.in_interval.add(value, correct, len(x))
        if observer is not None and before is not None:
            self._phases.lap("step")
            self._observed(observer.observe(before))
            self._phases.lap("observation")
        self._count_time()
        if position.step % config.log_every == 0:
            self._log_interval(lr)
        self.report.step(
            StepReport(
                step=position.step,
                steps=self.steps,
                epoch=position.epoch + 1,
                epochs=config.epochs,
                loss=position.in_epoch.mean_loss,
                accuracy=position.in_epoch.accuracy,
                rate=self._rate(),
            )
        )

    def _end_epoch(self) -> None:
        """Judge the network by the validation part, write the epoch's line, save."""
        position = self.position
        line: dict[str, Any] = {
            "kind": "epoch",
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": position.in_epoch.mean_loss,
            "train_accuracy": position.in_epoch.accuracy,
            "images_per_second": self._rate(),
        }
        judged = position.in_epoch.accuracy
        if len(self.pictures.validation):
            score = self.engine.evaluate(self.pictures.validation, len(self.pictures.classes))
            line |= {"validation_loss": score.loss, "validation_accuracy": score.accuracy}
            judged = score.accuracy
        self._phases.lap("validation")
        self._count_time()
        line["seconds"] = position.epoch_seconds
        self._write_metrics(line)
        position.epoch += 1
        position.epoch_seconds = 0.0
        position.in_epoch = Meter()
        if judged > position.best_accuracy:
            position.best_accuracy, position.best_step = judged, position.step
        if self._observations is not None:
            epoch = {"epoch": position.epoch, "step": position.step}
            self._observations.write(kind="phases", **epoch, seconds=self._phases.taken())
        self.save(again=True)
        self.report.epoch(line)

    def _finish(self, seconds: float) -> dict[str, Any]:
        """The final test, and the summary."""
        begin = time.perf_counter()
        score = self.engine.evaluate(self.pictures.test, len(self.pictures.classes))
        self.score = score
        config, position = self.config, self.position
        total = max(seconds, position.seconds) + time.perf_counter() - begin
        summary = {
            "dataset": config.dataset,
            "model": config.model,
            "engine": config.engine,
            "epochs": config.epochs,
            "seed": config.seed,
            "test_accuracy": score.accuracy,
            "seconds_train": round(position.seconds, 3),
            "seconds_total": round(total, 3),
            "parameters": self.parameters,
            "test_loss": score.loss,
            "data_source": self.source,
        }
        self.run_folder.write_json("summary.json", summary)
        return summary

    # -- saving and resuming ------------------------------------------------------------------

    def save(self, *, again: bool = False) -> None:
        """Write a checkpoint of this moment; keep it and the best one, delete the others.

        Args:
            again: write it even if this step has one already.
        """
        position = self.position
        if position.step == self._saved_step and not again:
            return
        tensors, groups = pack_optimizers(self.optimizers)
        model = {name: value.numpy() for name, value in self.model.state_dict().items()}
        state = {
            "config": self.config.to_dict(),
            "classes": list(self.pictures.classes),
            "mean": self.pictures.mean,
            "std": self.pictures.std,
            "data": self.pictures.digest,
            "data_source": self.source,
            "position": position.to_dict(),
            "loader": self.loader.state_dict(),
            "random": get_rng_state().tolist(),
            "optimizers": groups,
            "metrics_bytes": self._metrics.flushed() if self._metrics else 0,
            "observations_bytes": self._observations.flushed() if self._observations else 0,
        }
        root = self.run_folder.checkpoints
        write_checkpoint(root, Checkpoint(position.step, model, tensors, state))
        self._saved_step = position.step
        keep_only(root, {position.step, position.best_step})
        self._phases.lap("checkpoint")

    def restore(self) -> tuple[int, int]:
        """Go back to the last checkpoint.

        Returns:
            how many bytes of the metrics, and of the observations, belong to it.

        Raises:
            CheckpointError: it is damaged, or of another network, or other data.
        """
        saved = self.run_folder.checkpoint("last")
        state = saved.state
        if state.get("data") != self.pictures.digest:
            raise CheckpointError(
                f"{self.run_folder.path} was trained on other data than this: "
                f"{state.get('data_source')}",
                cure="name the folder of that data with --data, or train anew",
            )
        try:
            self.model.load_state_dict({k: from_numpy(v) for k, v in saved.model.items()})
            unpack_optimizers(self.optimizers, saved.optimizer, state["optimizers"])
            self.loader.load_state_dict(state["loader"])
            set_rng_state(from_numpy(np.array(state["random"], np.int64)))
            self.position = Position.from_dict(state["position"])
            kept = int(state["metrics_bytes"]), int(state.get("observations_bytes", 0))
        except CheckpointError:
            raise
        except (ChainruleError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.run_folder.path}: checkpoint {saved.step} does not fit: {error}",
                cure="use the version of chainrule that wrote it, or train anew with --overwrite",
            ) from error
        self._saved_step = saved.step
        return kept

    # -- bookkeeping --------------------------------------------------------------------------

    def _open_files(self, kept: int, observed: int) -> None:
        """Open what is written as the run goes on; of what is there, keep so many bytes."""
        self._metrics = MetricsFile(self.run_folder.metrics, kept)
        if self._observer is not None:
            self._observations = MetricsFile(self.run_folder.observations, observed)
        if self._writes_events:
            self._events = EventFile(self.run_folder.events, self.position.step)

    def _stop_if_asked(self, interruption: Interruption) -> None:
        if interruption.signum and self.position.epoch < self.config.epochs:
            self.save()
            raise Interrupted(interruption.signum, self.position.step)

    def _notice(self) -> None:
        self.report.note("Stopping after this step and saving; Ctrl-C again stops at once.")

    def _say_what_is_left(self, error: ChainruleError) -> None:
        if self._saved_step >= 0:
            root = self.run_folder.checkpoints
            left = f"the last good checkpoint, of step {self._saved_step}, is in {root}"
            error.cure = f"{error.cure}\n  {left}" if error.cure else left

    def _count_time(self) -> None:
        now = time.perf_counter()
        self.position.seconds += now - self._mark
        self.position.epoch_seconds += now - self._mark
        self._mark = now

    def _rate(self) -> float:
        return self.position.in_epoch.seen / max(1e-9, self.position.epoch_seconds)

    def _log_interval(self, lr: float) -> None:
        position = self.position
        meter, position.in_interval = position.in_interval, Meter()
        self._write_metrics(
            {
                "kind": "step",
                "epoch": position.epoch + 1,
                "step": position.step,
                "loss": meter.mean_loss,
                "accuracy": meter.accuracy,
                "lr": lr,
                "images_per_second": self._rate(),
            }
        )

    def _write_metrics(self, line: dict[str, Any]) -> None:
        if self._metrics is not None:
            self._metrics.write(**line)
        if self._events is not None:
            self._events.write(self.position.step, scalars_of(line))

    def _observed(self, seen: dict[str, Any]) -> None:
        line = {
            "kind": "inside",
            "epoch": self.position.epoch + 1,
            "step": self.position.step,
            **seen,
        }
        if self._observations is not None:
            self._observations.write(**line)
        if self._events is not None:
            self._events.write(self.position.step, scalars_of(line))
