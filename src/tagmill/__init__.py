"""tagmill turns a product catalogue into tags people can trust.

model = tagmill.load()                          # the starter library, no training
model = tagmill.train("tagged.jsonl")           # or a model of your own
model.tag([{"id": "1", "title": "高清液晶电视"}], top_k=10)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagmill.errors import TagmillError

if TYPE_CHECKING:
    from tagmill.library import Library
    from tagmill.tagging.model import Model

__all__ = ["TagmillError", "__version__", "evaluate", "load", "train"]

__version__ = "0.1.0"


def load(folder: str | Path | None = None) -> Model:
    """The model of a folder; without one, the starter library with its lexicon and prior.

    Raises NotTrained where the folder is missing or damaged.
    """
    from tagmill.tagging.folder import load_model, starter_model

    return starter_model() if folder is None else load_model(Path(folder))


def train(
    products: str | Path | Iterable[dict[str, Any]] | Any,  # noqa: ANN401  (frames of any kind)
    *,
    library: Library | None = None,
    merge_variants: bool = False,
    seed: int = 0,
) -> Model:
    """A model of tagged products: a file, dicts, an Arrow table, a pandas or polars frame.

    The library is the given one, or what the tags name (`merge_variants`: spellings of one normal
    form are one tag). Keep it with `model.save(folder)`. Raises NotTrained, CatalogError.
    """
    from tagmill.learning import train as train_model

    return train_model(_batches(products), library, merge_variants=merge_variants, seed=seed)


def evaluate(
    model: Model,
    products: str | Path | Iterable[dict[str, Any]] | Any,  # noqa: ANN401
    *,
    precision: float = 0.95,
) -> dict[str, Any]:
    """Metrics of a model on tagged products, by the names of `tagmill evaluate --json`."""
    from tagmill.learning import evaluate as evaluate_model

    return evaluate_model(model, _batches(products), precision=precision)


def _batches(products: Any) -> Iterable[Any]:  # noqa: ANN401
    from tagmill.catalog import as_batches, open_catalog

    if isinstance(products, str | Path):
        return open_catalog(str(products))
    return as_batches(products)
