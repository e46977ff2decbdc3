"""Proposers: what products name and the library has not, by the extractor or a large model."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from tagmill.records import Candidate, Span
from tagmill.tagging.cascade import ask_about
from tagmill.tagging.extraction import texts_of_values
from tagmill.tagging.llm import Consultant
from tagmill.tagging.model import Model
from tagmill.tagging.new_names import best_known

_LETTER = re.compile(r"[^\W_]")  # or a digit: a name has one

__all__ = ["LlmProposer", "SpanProposer"]


class SpanProposer:
    """Proposes what a model's extractor finds and its library has not."""

    def __init__(self, model: Model) -> None:
        """Raises NotTrained where the model has no extractor."""
        self._model, self._extraction = model, model.extraction

    def propose(self, batch: pa.RecordBatch) -> list[Candidate]:
        """The names worth proposing, by product, each with a calibrated probability."""
        model = self._model
        hits = model.lexicon.find(batch)
        values = model.read_values(batch)
        scored = model.score_pairs(batch, hits, 0, values)
        known = best_known(values, scored.rows, scored.tags, scored.score)
        probability = self._extraction.new.probability(values, known)
        likely = (values.tags < 0) & (probability >= self._extraction.new.start[0])
        texts = texts_of_values(values, batch)
        proposed = [i for i in np.flatnonzero(likely).tolist() if _LETTER.search(texts[i])]
        return [
            Candidate(
                row=int(values.rows[i]),
                facet=str(self._extraction.facets[values.facets[i]]),
                name=texts[i],
                score=float(probability[i]),
                evidence=Span(
                    values.field_names[values.fields[i]], int(values.starts[i]),
                    int(values.ends[i]), texts[i],
                ),
            )
            for i in proposed
        ]  # fmt: skip


class LlmProposer:
    """Proposes the new names that a large language model answers with."""

    def __init__(self, model: Model, consultant: Consultant) -> None:
        self._model, self._consultant = model, consultant

    def propose(self, batch: pa.RecordBatch) -> list[Candidate]:
        """The names with the words they rest on, by product; without a probability."""
        hits = self._model.lexicon.find(batch)
        _, opinions = ask_about(self._model, self._consultant, batch, hits, 0)
        return opinions.candidates()
