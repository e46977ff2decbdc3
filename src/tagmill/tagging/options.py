"""What can be chosen of training; the defaults are good ones, `tagmill tune` looks for better."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TEACHER_WEIGHT", "TrainingOptions"]

# What a pair that a teacher judged weighs in linear models and trees beside one that a person did.
TEACHER_WEIGHT = 0.8


@dataclass(frozen=True)
class TrainingOptions:
    """The constants of training. The same products, seed and options give the same model."""

    regularisation: float = 1.0  # C of the linear model's squared hinge, above 0
    minimum_products: int = 1  # a feature that fewer products have is left out
    # Highest margins of a product that become candidates; 0: by how many tags products have.
    candidates: int = 0
    trees: int = 80  # boosted trees of the fusion, at most
    learning_rate: float = 0.12  # what each tree adds, in (0, 1]
    leaf_pairs: int = 20  # a leaf of a tree holds at least so many
    spans: bool = True  # whether to look for a span extractor, which also finds new names
