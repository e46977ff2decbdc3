"""How well a GGUF answers in llama.cpp, on invented products that training never saw.

    python examples/small_model/measure.py tests/data/small-model.gguf [--beside build/small_model]

With `--beside`, the folder the GGUF was made of: transformers answers the same prompts, which shows
whether the conversion is right. Everything is greedy and, where not said otherwise, unconstrained.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import xllamacpp
from corpus import YES_NO, Question, asking, chat, describe, propose, verify
from products import LANGUAGES, Generator
from sklearn.metrics import roc_auc_score

SEED = 2 * 10**6
Shape = dict[str, dict[str, type]]


class Served:
    """llama.cpp in this process."""

    def __init__(self, path: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = 4096
        parameters.cpuparams.n_threads = 1  # more only wait for each other
        parameters.cpuparams_batch.n_threads = 1
        parameters.verbosity = -1
        self.server = xllamacpp.Server(parameters)

    def answer(self, question: Question, **options: object) -> dict[str, Any]:
        """The first choice of a chat completion."""
        body = {"messages": question.messages, "temperature": 0, "max_tokens": 400, **options}
        reply = self.server.handle_chat_completions(body)
        choice: dict[str, Any] = reply["choices"][0]
        return choice

    def text(self, question: Question) -> str:
        """What it writes."""
        return str(self.answer(question)["message"]["content"])

    def probability(self, question: Question) -> float:
        """P(yes) among yes and no, from the log-probabilities of the first token."""
        choice = self.answer(question, max_tokens=1, logprobs=True, top_logprobs=10)
        first = choice["logprobs"]["content"][0]["top_logprobs"]
        found = {entry["token"]: math.exp(entry["logprob"]) for entry in first}
        yes, no = (found.get(word, 0.0) for word in YES_NO[question.product.language])
        return yes / (yes + no) if yes + no else 0.5


def _well_formed(reply: str, shape: Shape) -> dict[str, list[dict[str, Any]]]:
    """The reply, where it is JSON of that shape: lists of objects with exactly those fields."""
    try:
        data = json.loads(reply)
        assert set(data) == set(shape)
        for key, fields in shape.items():
            for entry in data[key]:
                assert set(entry) == set(fields)
                assert all(isinstance(entry[name], kind) for name, kind in fields.items())
    except (ValueError, AssertionError, TypeError):
        return {}
    return dict(data)


PROPOSED: Shape = {
    "tags": {"number": int, "quote": str},
    "new": {"facet": str, "name": str, "quote": str},
}
DESCRIBED: Shape = {"sentences": {"text": str, "quote": str}}


def measure_propose(served: Served, generator: Generator, language: str, count: int) -> str:
    """Shape, quotes that stand in the text, and the tags chosen."""
    seen: Counter[str] = Counter()
    for _ in range(count):
        question = propose(generator, language)
        shown = question.messages[1]["content"].partition("</product>")[0]
        data = _well_formed(served.text(question), PROPOSED)
        right = json.loads(question.answer)["tags"]
        seen["valid"] += bool(data)
        given = data.get("tags", [])
        for entry in [*given, *data.get("new", [])]:
            seen["quotes"] += 1
            seen["copied"] += bool(entry["quote"]) and entry["quote"] in shown
        numbers = {entry["number"] for entry in given}
        wanted = {entry["number"] for entry in right}
        seen["given"] += len(numbers)
        seen["wanted"] += len(wanted)
        seen["found"] += len(numbers & wanted)
        seen["pairs"] += sum(entry in right for entry in given)
    return (
        f"valid {seen['valid'] / count:.1%}, quotes copied {_share(seen, 'copied', 'quotes')}, "
        f"precision {_share(seen, 'found', 'given')}, recall {_share(seen, 'found', 'wanted')}, "
        f"tag and quote right {_share(seen, 'pairs', 'given')}"
    )


def measure_describe(served: Served, generator: Generator, language: str, count: int) -> str:
    """Shape, and quotes that stand in the text."""
    seen: Counter[str] = Counter()
    for _ in range(count):
        question = describe(generator, language, asking(generator.random, language))
        shown = question.messages[1]["content"].partition("</product>")[0]
        data = _well_formed(served.text(question), DESCRIBED)
        seen["valid"] += bool(data)
        for entry in data.get("sentences", []):
            seen["quotes"] += 1
            seen["copied"] += bool(entry["quote"]) and entry["quote"] in shown
    return f"valid {seen['valid'] / count:.1%}, quotes copied {_share(seen, 'copied', 'quotes')}"


def measure_verify(served: Served, generator: Generator, language: str, count: int) -> str:
    """Area under the ROC curve of P(yes), half the tags being true."""
    truth, given = [], []
    for _ in range(count):
        product = generator.product(language)
        for true in (True, False):
            truth.append(true)
            given.append(served.probability(verify(generator, product, true=true)))
    right = sum((p > 0.5) is true for p, true in zip(given, truth, strict=True)) / len(truth)
    return f"AUC {roc_auc_score(truth, given):.3f}, right {right:.1%}"


def _share(seen: Counter[str], part: str, whole: str) -> str:
    return f"{seen[part] / max(seen[whole], 1):.1%}"


def compare(served: Served, folder: Path, count: int) -> str:
    """Greedy answers of llama.cpp that transformers writes too, to the letter."""
    import torch
    from tokenizers import Tokenizer
    from transformers import Qwen3ForCausalLM

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = Qwen3ForCausalLM.from_pretrained(folder).eval()
    generator = Generator(SEED)
    pick = random.Random(SEED)
    same = 0
    for _ in range(count):
        language = pick.choice(LANGUAGES)
        question = pick.choice(
            [
                propose(generator, language),
                describe(generator, language, asking(pick, language)),
                verify(generator, generator.product(language), true=pick.random() < 0.5),
            ]
        )
        tokens = torch.tensor([tokenizer.encode(chat(question.messages)).ids])
        with torch.no_grad():
            written = model.generate(tokens, max_new_tokens=100, do_sample=False)
        ours = tokenizer.decode(written[0, tokens.shape[1] :].tolist())
        theirs = str(served.answer(question, max_tokens=100)["message"]["content"])
        same += ours == theirs
        if ours != theirs:
            print(f"  transformers {ours}\n  llama.cpp    {theirs}")
    return f"{same} of {count} answers are the same"


def main() -> None:
    """Measure one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    served = Served(arguments.gguf)
    if arguments.beside:
        print("transformers:", compare(served, arguments.beside, 50), flush=True)
    for new_tags in (False, True):
        for language in LANGUAGES:
            for name, measured in (
                ("propose", measure_propose),
                ("verify", measure_verify),
                ("describe", measure_describe),
            ):
                generator = Generator(SEED + 1, new_tags=new_tags)
                line = measured(served, generator, language, arguments.count)
                kind = "new tags" if new_tags else "new products"
                print(f"{name} {language}, {kind}: {line}", flush=True)


if __name__ == "__main__":
    main()
