"""Fit the prior calibration that ships with the starter library, on the sample catalogue.

    python benchmarks/fit_prior.py            # writes src/tagmill/data/prior.json

For every tag the lexicon names in a tagged product: was it among those a merchandiser gave?
Half of the products are then used to check the curve fitted on the other half.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from tagmill.catalog import open_catalog
from tagmill.learning.dataset import load_dataset
from tagmill.learning.metrics import expected_calibration_error
from tagmill.library.starter import starter_library
from tagmill.probability import Curve, fit_curve
from tagmill.tagging.lexicon import LexiconTagger

ROOT = Path(__file__).parent.parent
PRIOR = ROOT / "src" / "tagmill" / "data" / "prior.json"


def scored_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(product, score, right) of every pair the lexicon names in the tagged products."""
    dataset = load_dataset(
        open_catalog(str(ROOT / "examples" / "catalogue.jsonl")), starter_library()
    )
    batch = pa.Table.from_batches(dataset.batches).combine_chunks().to_batches()[0]
    scores = LexiconTagger(dataset.library).score(batch).values.tocoo()
    right = np.asarray(dataset.labels.values[scores.row, scores.col]).ravel() > 0
    return scores.row, scores.data.astype(float), right


def smooth(curve: Curve) -> Curve:
    """The curve at a few round scores: a shipped file should read well, not remember noise."""
    x = np.array([0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0], np.float64)
    return Curve(x, np.asarray(np.maximum.accumulate(curve(x)).round(3), np.float64))


def main() -> None:
    product, score, right = scored_pairs()
    half = product % 2 == 0
    check = smooth(fit_curve(score[half], right[half]))
    ece = expected_calibration_error(check(score[~half]), right[~half], bins=5)
    curve = smooth(fit_curve(score, right))
    PRIOR.write_text(
        json.dumps(
            {"score": curve.x.tolist(), "probability": curve.y.tolist(), "pairs": len(score)},
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )
    print(f"{len(score):,} pairs, {right.mean():.3f} right; other half: ECE {ece:.3f}")
    for x, y in zip(curve.x, curve.y, strict=True):
        print(f"  score {x:.2f} → probability {y:.3f}")


if __name__ == "__main__":
    main()
