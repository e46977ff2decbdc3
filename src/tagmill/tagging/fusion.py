"""What all sources say of one (product, tag) pair, weighed into one score.

Boosted trees turn a candidate's features into log-odds. They are fitted by scikit-learn on
cross-fitted candidates, all of depth `_DEPTH`, and kept as plain arrays. Most candidates are
hopeless, and the linear margin alone tells: these get a constant and no walk through the trees.
What is left and not improbable is looked at a second time, beside the product's other candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tagmill.kernels import kernel
from tagmill.tagging.candidates import FEATURES, MISSING, Candidates
from tagmill.tagging.context import CONTEXT, Together, context_of, look_around
from tagmill.tagging.options import TEACHER_WEIGHT, TrainingOptions

__all__ = ["NO_TREES", "Fusion", "Trees", "fit_first", "fit_second", "fit_trees", "with_context"]

_THREADED_PAIRS = 100_000
_DEPTH = 4
# Few pairs carry few trees: more of them only learn noise.
_FEW_TREES, _PAIRS_PER_TREE = 40, 200
# Margins below which pairs are hopeless may cost this share of the right pairs,
# and the highest margins of a product are always looked at.
_HOPELESS_SHARE = 0.001
_ALWAYS = 3
# Pairs less probable than this at the first look keep its log-odds.
_SECOND_LOOK = np.float32(np.log(0.01 / 0.99))
# The first look has so many times fewer trees, each adding so many times more.
_FEWER, _FASTER = 2, 1.5

_CONTEXT, _RIVAL = len(CONTEXT), CONTEXT.index("facet_rival")
_LINEAR, _RANK, _HITS = (FEATURES.index(name) for name in ("linear", "linear_rank", "hits"))


NODE = np.dtype([("threshold", np.float32), ("feature", np.int32)])


@dataclass(frozen=True)
class Trees:
    """Boosted binary trees of one depth d as arrays; node i has the children 2i + 1 and 2i + 2.

    A pair goes left where its feature is at most the threshold.
    """

    feature: npt.NDArray[np.int32]  # (trees, 2 ** d - 1)
    threshold: npt.NDArray[np.float32]  # (trees, 2 ** d - 1)
    leaf: npt.NDArray[np.float32]  # (trees, 2 ** d)
    baseline: npt.NDArray[np.float64]  # (1,)
    hopeless: npt.NDArray[np.float64]  # (2,) margin below which a pair is, log-odds it gets then

    @cached_property
    def nodes(self) -> npt.NDArray[np.void]:
        """What a walk reads, of NODE (trees, 2 ** d): node i has the children 2i and 2i + 1."""
        nodes = np.zeros((len(self.feature), self.feature.shape[1] + 1), NODE)
        nodes["feature"][:, 1:], nodes["threshold"][:, 1:] = self.feature, self.threshold
        return nodes

    def log_odds(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Log-odds (c,) of feature rows (c, features)."""
        total: npt.NDArray[np.float64] = _walk(
            features, self.nodes, self.leaf, self.baseline[0], self.hopeless
        )
        return total


NO_TREES = Trees(
    np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32), np.zeros((0, 2), np.float32),
    np.zeros(1), np.array([-np.inf, 0.0]),
)  # fmt: skip


@dataclass(frozen=True)
class Fusion:
    """Trees for the first look at a pair and for the second, and which tags go together."""

    first: Trees
    second: Trees  # of `FEATURES`, further sources, the first log-odds, the lead, and `CONTEXT`
    together: Together

    def log_odds(
        self, candidates: Candidates, facets: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float64]:
        """Log-odds (c,) of all candidates of some products; `facets` (m,) are numbers by tag."""
        first, second, together = self.first, self.second, self.together
        log_odds: npt.NDArray[np.float64] = _judge(
            candidates.rows, candidates.tags, candidates.features, facets,
            first.nodes, first.leaf, first.baseline[0], first.hopeless,
            second.nodes, second.leaf, second.baseline[0],
            together.indptr, together.tags, together.share, together.lift, together.missing,
        )  # fmt: skip
        return log_odds

    def context(
        self,
        candidates: Candidates,
        first: npt.NDArray[np.float64],
        facets: npt.NDArray[np.int32],
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
        """Which candidates (c,) get a second look, and the `CONTEXT` of these."""
        wanted = first >= _SECOND_LOOK
        return wanted, look_around(
            candidates.rows, candidates.tags, first.astype(np.float32), wanted, facets,
            self.together,
        )  # fmt: skip

    def in_context(
        self, features: npt.NDArray[np.float32], context: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Log-odds (c,) of feature rows, each with a `CONTEXT` row of its own."""
        first = self.first.log_odds(features)
        wanted = first >= _SECOND_LOOK
        rows = with_context(features[wanted], first[wanted], context[wanted])
        first[wanted] = self.second.log_odds(rows)
        return first


def with_context(
    features: npt.NDArray[np.float32],
    first: npt.NDArray[np.float64],
    context: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """What the second trees read: features, first log-odds, their lead over the rival, context."""
    width = features.shape[1]
    out = np.empty((len(features), width + 2 + len(CONTEXT)), np.float32)
    out[:, :width] = features
    out[:, width] = first
    out[:, width + 1] = out[:, width] - context[:, _RIVAL]
    out[:, width + 2 :] = context
    return out


def fit_first(
    features: npt.NDArray[np.float32],
    right: npt.NDArray[np.floating],
    *,
    seed: int,
    options: TrainingOptions = TrainingOptions(),
) -> Trees:
    """The trees of the first look."""
    fewer = replace(
        options, trees=max(options.trees // _FEWER, 1),
        learning_rate=min(options.learning_rate * _FASTER, 1.0),
    )  # fmt: skip
    return fit_trees(features, right, seed=seed, options=fewer)


def fit_second(
    rows: npt.NDArray[np.float32],
    right: npt.NDArray[np.floating],
    *,
    seed: int,
    options: TrainingOptions = TrainingOptions(),
) -> Trees:
    """The trees of the second look, from the rows `with_context` of pairs that get one."""
    return fit_trees(rows, right, seed=seed, options=options, skips_hopeless=False)


def fit_trees(
    features: npt.NDArray[np.float32],
    right: npt.NDArray[np.floating],
    *,
    seed: int,
    options: TrainingOptions = TrainingOptions(),
    skips_hopeless: bool = True,
) -> Trees:
    """Boosted trees for whether a pair is right; a constant where nothing can be told apart.

    `right` (c,) is 1, 0, or a teacher's probability: such a pair is both, each with its weight.
    """
    features, outcomes, weights = _as_outcomes(features, right)
    hopeless = _hopeless_margin(features, outcomes) if skips_hopeless else np.float32(-np.inf)
    below = _is_hopeless(features, hopeless)
    lowest = _log_odds_of(outcomes[below])
    features, outcomes, weights = features[~below], outcomes[~below], weights[~below]
    if outcomes.all() or not outcomes.any() or len(outcomes) < 2 * options.leaf_pairs:
        return replace(
            NO_TREES, baseline=np.array([_log_odds_of(outcomes)]),
            hopeless=np.array([hopeless, lowest]),
        )  # fmt: skip
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=min(options.trees, _FEW_TREES + len(features) // _PAIRS_PER_TREE),
        learning_rate=options.learning_rate,
        max_depth=_DEPTH,
        max_leaf_nodes=2**_DEPTH,
        min_samples_leaf=options.leaf_pairs,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # On few pairs threads only wait for one another, spinning, and starve what else runs.
    threads = 1 if len(features) < _THREADED_PAIRS else None
    with threadpool_limits(threads, user_api="openmp"):
        model.fit(features, outcomes, sample_weight=None if (weights == 1).all() else weights)
    size = len(model._predictors)
    feature = np.zeros((size, 2**_DEPTH - 1), np.int32)
    threshold = np.full((size, 2**_DEPTH - 1), np.inf, np.float32)
    leaf = np.zeros((size, 2**_DEPTH), np.float32)
    for tree, predictors in enumerate(model._predictors):
        _unfold(predictors[0].nodes, 0, 0, feature[tree], threshold[tree], leaf[tree])
    baseline = np.asarray(model._baseline_prediction, np.float64).reshape(1)
    return Trees(feature, threshold, leaf, baseline, np.array([hopeless, lowest]))


def _as_outcomes(
    features: npt.NDArray[np.float32], right: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Features, outcome and weight of each pair; a teacher's, between right and wrong, is both."""
    soft = np.flatnonzero((right > 0) & (right < 1))
    weights = np.ones(len(right) + len(soft))
    weights[soft], weights[len(right) :] = right[soft], 1 - right[soft]
    weights[soft] *= TEACHER_WEIGHT
    weights[len(right) :] *= TEACHER_WEIGHT
    outcomes = np.concatenate([right > 0, np.zeros(len(soft), np.bool_)])
    return np.concatenate([features, features[soft]]), outcomes, weights


def _log_odds_of(outcomes: npt.NDArray[np.bool_]) -> float:
    """Log-odds of the share of right pairs, smoothed."""
    right = int(outcomes.sum())
    return float(np.log((right + 0.5) / (len(outcomes) - right + 0.5)))


def _hopeless_margin(
    features: npt.NDArray[np.float32], outcomes: npt.NDArray[np.bool_]
) -> np.float32:
    """The highest margin below which almost no right pair lies that nothing else speaks for."""
    doubtful = _is_hopeless(features, np.float32(np.inf))
    allowed = int(_HOPELESS_SHARE * outcomes.sum())
    right = np.sort(features[doubtful & outcomes, _LINEAR])
    return np.float32(right[allowed]) if len(right) > allowed else np.float32(np.inf)


def _is_hopeless(features: npt.NDArray[np.float32], margin: np.float32) -> npt.NDArray[np.bool_]:
    """Whether pairs have a margin below `margin`, not among the product's highest, and no source
    but the linear model names them."""
    named = (features[:, _HITS] > 0) | (features[:, len(FEATURES) :: 2] > MISSING).any(axis=1)
    low = (features[:, _LINEAR] < margin) & (features[:, _RANK] >= _ALWAYS)
    hopeless: npt.NDArray[np.bool_] = low & ~named
    return hopeless


def _unfold(  # type: ignore[no-untyped-def]
    nodes, node: int, place: int, feature, threshold, leaf
) -> None:
    """Write scikit-learn's tree below `node` into a complete one below `place`."""
    if place >= len(feature):
        leaf[place - len(feature)] = nodes["value"][node]
    elif nodes["is_leaf"][node]:  # both ways lead to the same value
        _unfold(nodes, node, 2 * place + 1, feature, threshold, leaf)
        _unfold(nodes, node, 2 * place + 2, feature, threshold, leaf)
    else:
        exact = nodes["num_threshold"][node]
        rounded = np.float32(exact)
        # The largest float32 not above it splits float32 features in the same way.
        if rounded > exact:
            rounded = np.nextafter(rounded, np.float32(-np.inf))
        feature[place], threshold[place] = nodes["feature_idx"][node], rounded
        _unfold(nodes, nodes["left"][node], 2 * place + 1, feature, threshold, leaf)
        _unfold(nodes, nodes["right"][node], 2 * place + 2, feature, threshold, leaf)


@kernel
def _walk(features, nodes, leaf, baseline, hopeless):  # type: ignore[no-untyped-def]
    """Sum of the leaves each row falls into, or the constant of a hopeless one."""
    out = np.empty(len(features), np.float64)
    for row in range(len(features)):
        out[row] = _look(features[row], nodes, leaf, baseline, hopeless)
    return out


@kernel
def _look(x, nodes, leaf, baseline, hopeless):  # type: ignore[no-untyped-def]
    if x[_LINEAR] < hopeless[0] and x[_RANK] >= _ALWAYS and x[_HITS] == 0:
        named = False
        for other in range(len(FEATURES), len(x), 2):
            named |= x[other] > MISSING
        if not named:
            return hopeless[1]
    return baseline + _sum_leaves(x, nodes, leaf)


@kernel
def _sum_leaves(x, nodes, leaf):  # type: ignore[no-untyped-def]
    trees, size = nodes.shape
    one, first_leaf = np.uint64(1), np.uint64(size)  # unsigned: no check for indices from the end
    total = np.float32(0)
    for tree in range(trees):
        own, leaves = nodes[tree], leaf[tree]
        node = one
        for _ in range(_DEPTH):
            inner = own[node]
            node += node + np.uint64(x[np.uint64(inner.feature)] > inner.threshold)
        total += leaves[node - first_leaf]
    return total


@kernel
def _judge(  # type: ignore[no-untyped-def]
    rows, tags, features, facets, nodes, leaf, baseline, hopeless,
    second_nodes, second_leaf, second_baseline,
    indptr, partners, share, lift, missing,
):  # fmt: skip
    """Both looks, product by product; what `with_context` and `look_around` do in training."""
    size, width = features.shape
    first_odds = np.empty(size, np.float32)
    probability = np.empty(size, np.float32)
    out = np.empty(size, np.float64)
    x = np.empty(width + 2 + _CONTEXT, np.float32)
    first = 0
    while first < size:
        last = first
        while last < size and rows[last] == rows[first]:
            out[last] = _look(features[last], nodes, leaf, baseline, hopeless)
            first_odds[last] = out[last]
            probability[last] = 1 / (1 + np.exp(-first_odds[last]))
            last += 1
        for i in range(first, last):
            if out[i] < _SECOND_LOOK:
                continue
            own = x[width + 2 :]
            context_of(
                i, first, last, tags, first_odds, probability, facets,
                indptr, partners, share, lift, missing, own,
            )  # fmt: skip
            for k in range(width):
                x[k] = features[i, k]
            x[width] = first_odds[i]
            x[width + 1] = first_odds[i] - own[_RIVAL]
            out[i] = second_baseline + _sum_leaves(x, second_nodes, second_leaf)
        first = last
    return out
