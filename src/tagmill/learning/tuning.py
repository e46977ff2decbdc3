"""Options of training that suit these products better than the default ones.

A fifth of the tagged products is held out. Optuna (Akiba et al. 2019; its sampler is the tree-
structured Parzen estimator, Bergstra et al. 2011) proposes options, a model of the other four
fifths is trained with each and measured on the fifth. The first trial is always the default, so
what is chosen is never worse there. The model that ships is trained on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tagmill.errors import MissingExtra, NotTrained, SettingsError
from tagmill.learning.dataset import Verdicts, held_out_fifth, judged_products
from tagmill.learning.evaluation import evaluate
from tagmill.learning.training import train
from tagmill.library.vocabulary import Library
from tagmill.tagging.model import Model
from tagmill.tagging.options import TrainingOptions

if TYPE_CHECKING:
    import optuna

__all__ = ["METRICS", "Tuned", "tune"]

METRICS = ("micro_f1", "ndcg_at_5", "coverage_at_095")
# A lane auto promised 0.95 that held less than this covers nothing.
_HELD = 0.935
# The last training, on everything, takes so many times as long as one on four fifths.
_LAST_TRAINING = 5 / 4

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Tuned:
    """What a search found, and the model of all products trained with it."""

    model: Model
    options: TrainingOptions
    metric: str
    default_score: float  # of the default options on the held-out fifth
    best_score: float  # of the chosen ones, never lower
    trials: int
    seconds: float  # in all, the last training included


def tune(
    products: Iterable[pa.RecordBatch],
    library: Library | None = None,
    *,
    minutes: float = 10.0,
    trials: int | None = None,
    metric: str = "micro_f1",
    merge_variants: bool = False,
    verdicts: Verdicts | None = None,
    taggers: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = lambda stage, done, total: None,
) -> Tuned:
    """Search the training options for at most `minutes` and so many `trials`, then train.

    `metric` is one of METRICS, the rest as for `train`. A trial begins only if it and the last
    training, going by the earlier trials, end in time; the first and the last training take place
    in any case. The same products, seed and number of trials give the same result. Raises
    MissingExtra without optuna, SettingsError, and NotTrained where the products are too few.
    """
    study = _study(seed)
    if metric not in METRICS:
        raise SettingsError(f"Unknown metric '{metric}'. Known: {', '.join(METRICS)}")
    if minutes <= 0 or (trials is not None and trials < 1):
        raise SettingsError(f"minutes is {minutes}, trials {trials}; both must be above 0")
    started = monotonic()
    batches = [judged_products(batch, verdicts or {}) for batch in products]
    fifths = [held_out_fifth(batch, seed) for batch in batches]
    held_out = [b.filter(pa.array(f)) for b, f in zip(batches, fifths, strict=True)]
    rest = [b.filter(pa.array(~f)) for b, f in zip(batches, fifths, strict=True)]
    if not sum(batch.num_rows for batch in held_out):
        raise NotTrained(
            "Too few products have tags to hold a fifth of them out. Tag some more, or train with "
            "the default options: tagmill train"
        )

    def train_on(part: list[pa.RecordBatch], options: TrainingOptions, shown: Progress) -> Model:
        return train(
            part, library, merge_variants=merge_variants, verdicts=verdicts, taggers=taggers,
            seed=seed, options=options, progress=shown,
        )  # fmt: skip

    def score(options: TrainingOptions) -> float:
        model = train_on(rest, options, lambda stage, done, total: None)
        return _score(evaluate(model, held_out), metric)

    tried: list[tuple[float, TrainingOptions]] = []
    durations: list[float] = []
    while len(tried) < (trials or inf) and _fits(durations, started + 60 * minutes):
        begun = monotonic()
        progress(f"trial {len(tried) + 1}, s", int(begun - started), int(60 * minutes))
        trial = study.ask()
        options = _suggest(trial)
        tried.append((score(options), options))
        study.tell(trial, tried[-1][0])
        durations.append(monotonic() - begun)
    best_score, best = max(tried, key=lambda found: found[0])  # of equals the first: the default
    model = train_on(batches, best, progress)
    seconds = monotonic() - started
    return Tuned(model, best, metric, tried[0][0], best_score, len(tried), seconds)


def _study(seed: int) -> optuna.Study:
    """A search that begins with the default options."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("tagmill tune", "optuna", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    default = asdict(TrainingOptions())
    study.enqueue_trial({name: default[name] for name in default if name != "spans"})
    return study


def _suggest(trial: optuna.Trial) -> TrainingOptions:
    """The options of a trial, within a range around the default ones."""
    return TrainingOptions(
        regularisation=trial.suggest_float("regularisation", 0.1, 10, log=True),
        minimum_products=trial.suggest_int("minimum_products", 1, 3),
        candidates=trial.suggest_categorical("candidates", (0, 15, 20, 30, 40)),
        trees=trial.suggest_int("trees", 20, 200),
        learning_rate=trial.suggest_float("learning_rate", 0.03, 0.3, log=True),
        leaf_pairs=trial.suggest_int("leaf_pairs", 5, 80, log=True),
    )


def _fits(durations: list[float], deadline: float) -> bool:
    """Whether one more trial and the last training end in time, going by the longest trial yet.

    The first, which also compiles kernels, does not count once there are others.
    """
    longest = max(durations[1:] or durations, default=0.0)
    return not durations or monotonic() + (1 + _LAST_TRAINING) * longest <= deadline


def _score(report: dict[str, Any], metric: str) -> float:
    """The metric of an evaluation; a lane that broke its promise covers nothing."""
    achieved = report["achieved_precision_at_095"]
    if metric == "coverage_at_095" and (achieved is None or achieved < _HELD):
        return 0.0
    return float(report[metric])
