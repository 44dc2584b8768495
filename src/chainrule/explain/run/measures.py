"""What is measured of a run, as charts: learning, the inside, the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from chainrule.explain.run.charts import Chart, Series
from chainrule.explain.run.reading import Inside, Numbers, RunRecord
from chainrule.train.observations import OBSERVED

__all__ = ["compared", "inside_charts", "layer_of", "learning_charts", "speed_chart"]

_LOG_FROM = 12.0
"""A loss that falls by more than this factor is drawn on a logarithmic scale."""

Points = tuple[tuple[float, float], ...]


def _points(lines: Sequence[Numbers], name: str) -> Points:
    return tuple((line["step"], line[name]) for line in lines if name in line)


def _mean_over(record: RunRecord) -> str:
    every = record.config.log_every
    return f"the mean over the {every} steps before it" if every > 1 else "of one step"


def learning_charts(record: RunRecord) -> list[Chart]:
    """Loss, accuracy and learning rate."""
    what = f"A point of “training” is {_mean_over(record)}"
    told = (
        f"{what}; of “validation” and “training, epoch”, once an epoch: the validation part after "
        "it, the training part during it. As in metrics.jsonl: nothing else is smoothed."
    )
    loss = (
        Series("training", _points(record.steps, "loss"), 0),
        Series("training, epoch", _points(record.epochs, "train_loss"), 2),
        Series("validation", _points(record.epochs, "validation_loss"), 1),
    )
    accuracy = (
        Series("training", _points(record.steps, "accuracy"), 0),
        Series("training, epoch", _points(record.epochs, "train_accuracy"), 2),
        Series("validation", _points(record.epochs, "validation_accuracy"), 1),
    )
    rate = Series("learning rate", _points(record.steps, "lr"), 0)
    schedule = f"Schedule: {record.config.schedule}, at most {record.config.lr:g}."
    log = _falls_far(loss)
    return [
        Chart(
            "loss",
            "Loss (cross entropy)" + (", logarithmic" if log else ""),
            told,
            _there(loss),
            log=log,
            floor=None if log else 0.0,
        ),
        Chart("accuracy", "Accuracy", told, _there(accuracy), unit="part"),
        Chart("learning-rate", "Learning rate", schedule, _there((rate,)), floor=0.0),
    ]


def _there(series: Sequence[Series]) -> tuple[Series, ...]:
    return tuple(each for each in series if each.finite)


def _falls_far(series: Sequence[Series]) -> bool:
    values = [y for each in series for _, y in each.finite]
    return bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_FROM


# -- the inside ------------------------------------------------------------------------------------


def layer_of(parameter: str) -> str:
    """The layer that a parameter belongs to.

    >>> layer_of("fc1.weight"), layer_of("scale")
    ('fc1', 'scale')
    """
    return parameter.rpartition(".")[0] or parameter


def inside_charts(record: RunRecord) -> list[Chart]:
    """Norms and update ratios by layer, and dead units; none, if nobody observed."""
    insides = record.insides
    if not insides:
        return []
    charts = [
        Chart(
            key,
            f"{title}, logarithmic",
            about,
            _by_layer(insides, measure),
            log=True,
            line=(1e-3, "1/1000") if key == "update-ratios" else None,
        )
        for key, title, about, measure in _INSIDE
    ]
    names = list(dict.fromkeys(name for each in insides for name in each.dead))
    if names:
        charts.append(_dead_chart(insides, names))
    return charts


def _gradient(layer: Numbers) -> float:
    return layer["gradient"]


def _weight(layer: Numbers) -> float:
    return layer["weight"]


def _ratio(layer: Numbers) -> float:
    return layer["update"] / layer["weight"] if layer["weight"] else math.nan


_INSIDE: tuple[tuple[str, str, str, Callable[[Numbers], float]], ...] = (
    (
        "gradient-norms",
        "Gradient norms, ‖∂L/∂w‖",
        f"By layer (weight and bias), on the same {OBSERVED} training pictures all along.",
        _gradient,
    ),
    ("weight-norms", "Weight norms, ‖w‖", "By layer: weight and bias together.", _weight),
    (
        "update-ratios",
        "Update ratios, ‖Δw‖ / ‖w‖",
        "How far the step after which it was looked at moved the layer: ‖Δw‖ / ‖w‖.",
        _ratio,
    ),
)
"""Address, title, explanation and measure of what is drawn by layer."""


def _by_layer(insides: Sequence[Inside], measure: Callable[[Numbers], float]) -> tuple[Series, ...]:
    """A line for each layer; its parameters' norms are taken together, as one long vector's."""
    points: dict[str, list[tuple[float, float]]] = {}
    for each in insides:
        squares: dict[str, Numbers] = {}
        for name, norms in each.parameters.items():
            layer = squares.setdefault(layer_of(name), dict.fromkeys(norms, 0.0))
            for kind, norm in norms.items():
                layer[kind] += norm**2
        for layer, sums in squares.items():
            norms = {kind: math.sqrt(value) for kind, value in sums.items()}
            points.setdefault(layer, []).append((each.step, _rounded(measure(norms))))
    return tuple(
        Series(layer, tuple(found), number) for number, (layer, found) in enumerate(points.items())
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _dead_chart(insides: Sequence[Inside], names: Sequence[str]) -> Chart:
    """How many units are dead; the layer's size is in its name."""
    series: list[Series] = []
    for number, name in enumerate(names):
        seen = [(each.step, each.dead[name]) for each in insides if name in each.dead]
        units = seen[-1][1][1]
        points = tuple((float(step), float(dead)) for step, (dead, _) in seen)
        series.append(Series(f"{name} (of {units})", points, number))
    about = (
        f"Units whose ReLU gives 0 for each of {OBSERVED} training pictures; of a convolution, "
        "channels that do, everywhere. More pictures might wake some of them."
    )
    return Chart("dead-units", "Dead units", about, tuple(series), unit="count", floor=0.0)


def speed_chart(record: RunRecord) -> Chart:
    """Throughput."""
    about = (
        "Pictures a second, from the beginning of the epoch to the step: training and what belongs "
        "to it, observations included."
    )
    points = _points(record.steps, "images_per_second") or _points(
        record.epochs, "images_per_second"
    )
    series = (Series("pictures a second", points, 0),)
    return Chart("throughput", "Throughput", about, _there(series), unit="count", floor=0.0)


# -- several runs ----------------------------------------------------------------------------------


def compared(records: Sequence[tuple[str, RunRecord]]) -> list[Chart]:
    """The same measure of each run, by the name that it goes by."""

    def lines(name: str, of: Callable[[RunRecord], Sequence[Numbers]]) -> tuple[Series, ...]:
        return _there(
            [Series(who, _points(of(run), name), k) for k, (who, run) in enumerate(records)]
        )

    loss = lines("loss", lambda run: run.steps) or lines("train_loss", lambda run: run.epochs)
    about = "A point is the mean over a run's logging interval, as in its metrics.jsonl."
    after = "The validation part, after each epoch."
    judged = lines("validation_accuracy", lambda run: run.epochs)
    losses = lines("validation_loss", lambda run: run.epochs)
    log, log_too = _falls_far(loss), _falls_far(losses)
    rates = lines("lr", lambda run: run.steps)
    charts = [
        Chart("training-loss", "Training loss", about, loss, log=log, floor=_zero(log)),
        Chart("validation-loss", "Validation loss", after, losses, log=log_too,
              floor=_zero(log_too)),
        Chart("validation-accuracy", "Validation accuracy", after, judged, unit="part"),
        Chart("training-accuracy", "Training accuracy", about,
              lines("accuracy", lambda run: run.steps), unit="part"),
        Chart("learning-rates", "Learning rate", "As in metrics.jsonl.", rates, floor=0.0),
        _gradients_compared(records),
        Chart("throughputs", "Throughput", "Pictures a second, since the epoch began.",
              lines("images_per_second", lambda run: run.steps), unit="count", floor=0.0),
    ]  # fmt: skip
    return [each for each in charts if each.series]


def _zero(log: bool) -> float | None:
    return None if log else 0.0


def _gradients_compared(records: Sequence[tuple[str, RunRecord]]) -> Chart:
    """The norm of the whole gradient."""
    series: list[Series] = []
    for number, (name, run) in enumerate(records):
        points = tuple(
            (
                float(each.step),
                _rounded(math.sqrt(sum(n["gradient"] ** 2 for n in each.parameters.values()))),
            )
            for each in run.insides
        )
        series.append(Series(name, points, number))
    about = f"Of all parameters together, on {OBSERVED} training pictures that stay the same."
    return Chart("gradients", "Gradient norm, logarithmic", about, _there(series), log=True)
