"""Models out of tagged products, and how good they are."""

from tagmill.learning.evaluation import evaluate
from tagmill.learning.training import train
from tagmill.learning.tuning import tune

__all__ = ["evaluate", "train", "tune"]
