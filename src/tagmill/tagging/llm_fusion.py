"""Probabilities out of the engine's own word and what a large language model said.

As shipped `LlmFusion` is a linear rule, a prior, and its probabilities are marked so; trees and a
curve that `learning.llm_fit` fitted on products whose tags are known are in the card of the
engine's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tagmill.probability import Curve, lane_threshold
from tagmill.tagging.fusion import Trees

__all__ = ["FEATURES", "PRIOR_WEIGHTS", "LlmFusion", "log_odds"]

# What `LlmFusion` adds up, each with the weight it has where nothing was fitted: in log-odds.
FEATURES: tuple[str, ...] = (
    "engine",  # log-odds of the probability without the model
    "chosen_grounded",  # 1: picked, with words that stand in the text
    "chosen_ungrounded",  # 1: picked, without
    "passed_over",  # 1: offered and not picked
    "verified",  # 1: P(yes) is known
    "yes",  # its log-odds, within ±6; 0 where it is not known
    "yes_unmeasured",  # 1 or −1: said yes or no, and the server gives no probability
)
PRIOR_WEIGHTS = np.array([0.8, 2.0, 0.5, -1.5, 0.0, 0.5, 1.0])
_TREES = {  # arrays of `Trees` and their types
    "feature": np.int32, "threshold": np.float32, "leaf": np.float32, "baseline": np.float64,
    "hopeless": np.float64,
}  # fmt: skip


@dataclass(frozen=True)
class LlmFusion:
    """Probabilities with what a language model said: trees, a curve, and held-out pairs."""

    trees: Trees | None = None  # None: nothing was fitted, `PRIOR_WEIGHTS` apply
    curve: Curve | None = None  # log-odds → probability; None: their sigmoid
    model: str = ""  # what the language model is called; empty: nothing was fitted
    prompts: str = ""  # versions of the prompts
    probability: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # held out
    right: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    review_start: float = 0.5  # half of the best micro-F1 on held-out pairs

    def log_odds(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Of feature rows (p, 7)."""
        if self.trees is not None:
            return self.trees.log_odds(features.astype(np.float32))
        total: npt.NDArray[np.float64] = features @ PRIOR_WEIGHTS
        return total

    def __call__(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities (p,) of feature rows (p, 7)."""
        log_odds = self.log_odds(features)
        if self.curve is not None:
            return self.curve(log_odds)
        sigmoid: npt.NDArray[np.float64] = 1 / (1 + np.exp(-log_odds))
        return sigmoid

    def auto_start(self, precision: float) -> float:
        """The probability from which the lane auto holds `precision`, never below `review_start`;
        inf where none is shown."""
        return max(lane_threshold(self.probability, self.right, precision), self.review_start)

    def as_card(self) -> dict[str, Any]:
        """What the card of a model folder keeps."""
        assert self.trees is not None
        assert self.curve is not None
        trees = {f.name: getattr(self.trees, f.name).tolist() for f in fields(Trees)}
        return {
            "model": self.model, "prompts": self.prompts, "trees": trees,
            "x": self.curve.x.tolist(), "y": self.curve.y.tolist(),
            "probability": self.probability.round(6).tolist(),
            "right": self.right.astype(int).tolist(), "review_start": self.review_start,
        }  # fmt: skip

    @staticmethod
    def of_card(card: Mapping[str, Any], model: str, prompts: str) -> LlmFusion:
        """The fit that a card has of this language model and these prompts, or else the prior."""
        kept = card.get("llm")
        wanted = model, prompts
        if not kept or (kept["model"], kept["prompts"]) != wanted:
            return LlmFusion()
        trees = {name: np.array(kept["trees"][name], kind) for name, kind in _TREES.items()}
        return LlmFusion(
            Trees(**trees), Curve(np.array(kept["x"]), np.array(kept["y"])), *wanted,
            np.array(kept["probability"]), np.array(kept["right"], np.bool_),
            float(kept["review_start"]),
        )  # fmt: skip


def log_odds(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Of probabilities (p,), kept within 1e-4 of 0 and 1."""
    clipped = np.clip(np.asarray(probability, np.float64), 1e-4, 1 - 1e-4)
    odds: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds
