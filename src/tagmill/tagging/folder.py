"""A model on disk: one `.npy` per array, the library as CSV, and `card.json`.

Written under a temporary name and renamed last, so a folder that exists is complete; arrays are
memory-mapped on load. Nothing is pickled.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tagmill.errors import NotTrained, TaggerError, TagmillError
from tagmill.library.exchange import read_csv, write_csv
from tagmill.library.starter import starter_library
from tagmill.library.vocabulary import Library
from tagmill.probability import FREQUENCY_BUCKETS, Calibration, Curve
from tagmill.tagging import make_tagger
from tagmill.tagging.candidates import FEATURES, TagStatistics
from tagmill.tagging.context import CONTEXT, Together
from tagmill.tagging.crf import Crf
from tagmill.tagging.extraction import SPAN_FEATURES
from tagmill.tagging.features import Idf, Rows
from tagmill.tagging.fusion import Fusion, Trees
from tagmill.tagging.linear import LinearModel
from tagmill.tagging.model import HeldOut, Memory, Model, Trained, facet_numbers
from tagmill.tagging.new_names import Extraction, NewNames

if TYPE_CHECKING:
    from tagmill.language.profiles import Profile

__all__ = ["check_goal", "load_model", "moved_to", "save_model", "shipped_prior", "starter_model"]

_MEMORY = ("tag_indptr", "tags", "accepted", "complete", "ids")
_NEW_NAMES = ("novelty", "facet_share", "start", "least")
_HELD_OUT = ("log_odds", "probability", "right", "tags", "counts")
_FORMAT = 7  # of the folder; another number is refused
_CARD = "card.json"
_LIBRARY = "library.csv"


def shipped_prior() -> Curve:
    """Lexicon score → probability, fitted on the sample catalogue (`benchmarks/fit_prior.py`)."""
    text = (resources.files("tagmill") / "data" / "prior.json").read_text(encoding="utf-8")
    knots = json.loads(text)
    return Curve(np.array(knots["score"]), np.array(knots["probability"]))


def starter_model(profile: Profile | None = None) -> Model:
    """The starter library of a profile, or of products, untrained: lexicon and prior curve."""
    return Model(starter_library(profile), shipped_prior())


def check_goal(folder: Path) -> None:
    """TaggerError unless a model can be written to this folder; its parents are made."""
    try:
        if folder.exists() and not (folder / _CARD).is_file() and any(folder.iterdir()):
            raise TaggerError(f"{folder} holds files that are no model. Name another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent)).rmdir()
    except OSError as error:
        raise TaggerError(f"Cannot write a model to {folder}: {error.strerror}") from error


def save_model(model: Model, folder: Path) -> None:
    """Write a trained model, replacing the one that stands there. Raises TaggerError."""
    if model.trained is None:
        raise NotTrained("An untrained model has nothing to save. Make one with: tagmill train")
    check_goal(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        arrays = _arrays(model.trained)
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        write_csv(temporary / _LIBRARY, model.library)
        card = {
            **model.card,
            "format": _FORMAT,
            "verbatim": model.library.verbatim,
            "library_version": model.library.version,
            "tag_ids": [str(tag_id) for tag_id in model.tag_ids],
            "gold_total": model.trained.held_out.gold_total,
            "sampled_pairs": model.trained.held_out.sampled,
            "candidates": model.trained.candidates,
            "extraction": _extraction_card(model.trained.extraction),
            "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()},
        }
        text = json.dumps(card, ensure_ascii=False, indent=1)
        (temporary / _CARD).write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_model(folder: Path, library: Library | None = None) -> Model:
    """The model of a folder, for its own library or for a newer one.

    A given `library` may have grown since: the model's tags are found there by id, then by
    `facet:name`, then through merges, and dropped where it has none; tags the model does not know
    go by the lexicon. Raises NotTrained where the folder is missing, damaged or of another format.
    """
    if not (folder / _CARD).is_file():
        raise NotTrained(
            f"{folder} is not a model folder (no {_CARD}). Make one with: "
            f"tagmill train --from tagged.jsonl -o {folder}"
        )
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        if card["format"] != _FORMAT:
            raise NotTrained(
                f"{folder} has the model format {card['format']}, this version reads {_FORMAT}. "
                "Train it again"
            )
        arrays = {name: _load_array(folder, name, *spec) for name, spec in card["arrays"].items()}
        tags, facets = read_csv(folder / _LIBRARY)
        own = Library(tags, facets, version=card["library_version"], verbatim=card["verbatim"])
        trained = _trained(arrays, card)
    except NotTrained:
        raise
    except (OSError, ValueError, KeyError, TypeError, TagmillError) as error:
        raise NotTrained(
            f"The model folder {folder} is damaged: {error}. Train it again, or copy it anew"
        ) from error
    internal = (
        "format",
        "arrays",
        "tag_ids",
        "verbatim",
        "gold_total",
        "sampled_pairs",
        "candidates",
        "extraction",
    )
    kept = {**{k: v for k, v in card.items() if k not in internal}, "name": folder.name}
    if library is None and [str(tag.id) for tag in own.active()] != card["tag_ids"]:
        raise NotTrained(
            f"The model folder {folder} is damaged: {_LIBRARY} and {_CARD} name different tags. "
            "Train it again, or copy it anew"
        )
    if library is not None:
        trained = moved_to(trained, card["tag_ids"], own, library)
    used = library or own
    others = [make_tagger(name, used) for name in card["taggers"]]
    return Model(used, shipped_prior(), trained, kept, others)


def _load_array(folder: Path, name: str, dtype: str, shape: list[int]) -> np.ndarray[Any, Any]:
    path = folder / f"{name}.npy"
    # A plain view of the mapped file: numpy's own class costs microseconds at every use.
    array: np.ndarray[Any, Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    if str(array.dtype) != dtype or list(array.shape) != shape:
        raise ValueError(f"{path.name} is {array.dtype} {array.shape}, not {dtype} {tuple(shape)}")
    return array


def _arrays(trained: Trained) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {"idf_weights": trained.idf.weights}
    for prefix, part in (
        ("linear", trained.linear),
        ("statistics", trained.statistics),
        ("first", trained.fusion.first),
        ("second", trained.fusion.second),
        ("together", trained.fusion.together),
    ):
        arrays |= {f"{prefix}_{f.name}": getattr(part, f.name) for f in fields(part)}
    for index, curve in enumerate(trained.calibration.curves):
        arrays |= {f"calibration_{index}_x": curve.x, f"calibration_{index}_y": curve.y}
    arrays |= {"similarity_x": trained.similarity.x, "similarity_y": trained.similarity.y}
    for name in _HELD_OUT:
        arrays[f"held_out_{name}"] = getattr(trained.held_out, name)
    counts = trained.memory.counts
    arrays |= {
        "memory_indptr": counts.indptr, "memory_indices": counts.indices,
        "memory_values": counts.values.astype(np.uint16),
    }  # fmt: skip
    for name in _MEMORY:
        arrays[f"memory_{name}"] = getattr(trained.memory, name)
    if trained.extraction is not None:
        arrays |= _extraction_arrays(trained.extraction)
    return arrays


def _extraction_card(extraction: Extraction | None) -> dict[str, Any] | None:
    if extraction is None:
        return None
    return {"facets": extraction.facets.tolist(), "fused": extraction.fused}


def _extraction_arrays(extraction: Extraction) -> dict[str, np.ndarray[Any, Any]]:
    new = extraction.new
    return {
        **{f"spans_{f.name}": getattr(extraction.crf, f.name) for f in fields(Crf)},
        **{f"new_{f.name}": getattr(new.trees, f.name) for f in fields(Trees)},
        **{f"new_{name}": getattr(new, name) for name in _NEW_NAMES},
        "new_curve_x": new.curve.x,
        "new_curve_y": new.curve.y,
    }


def _extraction(
    arrays: dict[str, np.ndarray[Any, Any]], card: dict[str, Any] | None
) -> Extraction | None:
    if card is None:
        return None
    crf = Crf(**{f.name: arrays[f"spans_{f.name}"] for f in fields(Crf)})
    if crf.facets != len(card["facets"]):
        raise ValueError(f"spans_inside.npy is of {crf.facets} facets, not of {card['facets']}")
    new = NewNames(
        Trees(**{f.name: arrays[f"new_{f.name}"] for f in fields(Trees)}),
        Curve(np.asarray(arrays["new_curve_x"]), np.asarray(arrays["new_curve_y"])),
        **{name: arrays[f"new_{name}"] for name in _NEW_NAMES},
    )
    return Extraction(crf, np.array(card["facets"], np.str_), bool(card["fused"]), new)


def _trained(arrays: dict[str, np.ndarray[Any, Any]], card: dict[str, Any]) -> Trained:
    def part(prefix: str, kind: type) -> dict[str, np.ndarray[Any, Any]]:
        return {f.name: arrays[f"{prefix}_{f.name}"] for f in fields(kind)}

    first, second = Trees(**part("first", Trees)), Trees(**part("second", Trees))
    linear = LinearModel(**part("linear", LinearModel))
    tag_count, width = len(card["tag_ids"]), len(FEATURES) + 2 * len(card["taggers"])
    extraction = _extraction(arrays, card["extraction"])
    width += len(SPAN_FEATURES) if extraction and extraction.fused else 0
    if len(linear.bias) != tag_count:
        raise ValueError(f"linear_bias.npy is of {len(linear.bias)} tags, not of {tag_count}")
    for trees, known in ((first, width), (second, width + 2 + len(CONTEXT))):
        if trees.feature.max(initial=0) >= known:
            raise ValueError(f"its trees ask for feature {trees.feature.max()} of {known}")
    curves = tuple(
        Curve(np.asarray(arrays[f"calibration_{i}_x"]), np.asarray(arrays[f"calibration_{i}_y"]))
        for i in range(len(FREQUENCY_BUCKETS))
    )
    return Trained(
        Idf(arrays["idf_weights"]),
        linear,
        TagStatistics(**part("statistics", TagStatistics)),
        Fusion(first, second, Together(**part("together", Together))),
        Calibration(curves),
        HeldOut(
            **{name: arrays[f"held_out_{name}"] for name in _HELD_OUT},
            sampled=int(card["sampled_pairs"]),
            gold_total=int(card["gold_total"]),
        ),
        Memory(
            Rows(
                arrays["memory_indptr"],
                arrays["memory_indices"],
                arrays["memory_values"].astype(np.float32),
            ),
            **{name: arrays[f"memory_{name}"] for name in _MEMORY},
        ),
        Curve(np.asarray(arrays["similarity_x"]), np.asarray(arrays["similarity_y"])),
        extraction,
        int(card["candidates"]),
    )  # fmt: skip


def moved_to(trained: Trained, tag_ids: Sequence[str], own: Library, library: Library) -> Trained:
    """The parts trained for the tags (m,) of the library `own`, with their columns where
    `library` has these tags now; a tag that only `library` has is untrained."""
    now = np.array([tag.id for tag in library.active()], dtype=object)
    place = {tag_id: index for index, tag_id in enumerate(now)}
    moved = np.full(len(tag_ids), -1, np.int64)
    for index, tag_id in enumerate(tag_ids):
        tag = library.by_id(tag_id) or library.find(own.tags[tag_id].text)
        moved[index] = place.pop(tag.id, -1) if tag else -1  # of merged tags the first speaks
    known = moved >= 0

    def spread(values: np.ndarray[Any, Any], missing: float) -> np.ndarray[Any, Any]:
        out = np.full(len(now), missing, values.dtype)
        out[moved[known]] = values[known]
        return out

    statistics = trained.statistics
    pairs = known[trained.held_out.tags]
    held_out = trained.held_out
    return Trained(
        trained.idf,
        trained.linear.moved(moved, len(now)),
        TagStatistics(
            facet_numbers(library, now),
            spread(statistics.counts, 0),
            spread(statistics.named, 0),
            spread(statistics.named_right, 0),
        ),
        replace(trained.fusion, together=trained.fusion.together.moved(moved, len(now))),
        trained.calibration,
        HeldOut(
            held_out.log_odds[pairs],
            held_out.probability[pairs],
            held_out.right[pairs],
            moved[held_out.tags[pairs]].astype(np.int32),
            held_out.counts[pairs],
            int(pairs[: held_out.sampled].sum()),
            held_out.gold_total,
        ),
        _moved_memory(trained.memory, moved),
        trained.similarity,
        trained.extraction,
        trained.candidates,
    )


def _moved_memory(memory: Memory, moved: npt.NDArray[np.int64]) -> Memory:
    """The memory with tag i at moved[i], -1 forgotten."""
    tags = moved[memory.tags]
    kept = tags >= 0
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    return Memory(
        memory.counts,
        before[memory.tag_indptr],
        tags[kept].astype(np.int32),
        memory.accepted[kept],
        memory.complete,
        memory.ids,
    )
