"""Models out of tagged products, and how good they are."""

from tagmill.learning.evaluation import evaluate
from tagmill.learning.training import train

__all__ = ["evaluate", "train"]
