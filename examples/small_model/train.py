"""Trains the small model from scratch: on two cores in under an hour, on a GPU in minutes.

    python examples/small_model/train.py build/small_model [--steps 3600] [--resume]

A Qwen3 of 1.3 million parameters (`--size large`: 31 million) and a tokenizer of its own. Text is
generated as it is read, each step from a seed of its own, so a run that stopped goes on
(`--resume`) as if it had not. Only answers are learnt. `--library` and `--recorded` add text of a
larger library and of products that people tagged. The folder holds what transformers reads;
`convert.py` makes it a GGUF.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from corpus import MOST, STAGES, YES_NO, Node, Sources, trees
from products import vocabulary
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

SEED = 7
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DECISION = 4.0  # how much more than another token a yes or no counts
PROMPT = 0.1  # how much a token of a question counts
RATE = 0.02  # of matrices (Muon); of embedding and norms (AdamW) a fifth
WARM_UP, COOL_DOWN = 0.03, 0.4  # shares of the steps


@dataclass(frozen=True)
class Size:
    """The shape of a model, and how much of the text one row of a step holds."""

    vocabulary: int
    width: int
    within: int  # an MLP's
    layers: int
    heads: int
    row: int  # tokens


SIZES = {
    "small": Size(vocabulary=4096, width=128, within=256, layers=5, heads=4, row=512),
    "large": Size(vocabulary=8192, width=512, within=1536, layers=8, heads=8, row=1024),
}


def make_tokenizer(size: Size, sources: Sources) -> Tokenizer:
    """A byte-level BPE that llama.cpp knows as `smollm`: digits alone, then GPT-2's pattern.

    In its training Chinese is cut from what surrounds it, so no token joins it to a space or to
    Latin letters, and tokens stay short: words are then the same tokens wherever they are quoted.
    """
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer = Tokenizer(models.BPE())
    chinese = pre_tokenizers.Split(Regex(r"\p{Han}+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([chinese, digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size.vocabulary, special_tokens=SPECIAL, max_token_length=12,
        show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tags = vocabulary().library.active()
    names = [name for tag in tags for name in (tag.name, tag.name_in("en"), *tag.aliases)]
    answers = [answer for pair in YES_NO.values() for answer in pair] * 100
    read = trees(SEED - 1, sources=sources)
    texts = (text for tree in itertools.islice(read, 400) for text in _texts(tree))
    tokenizer.train_from_iterator(itertools.chain(answers, names * 3, texts), trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    return tokenizer


def _texts(node: Node) -> Iterator[str]:
    yield node.text + node.answer
    for child in node.children:
        yield from _texts(child)


def make_model(size: Size, tokens: int) -> Qwen3ForCausalLM:
    """A Qwen3 with few numbers in each layer and enough layers to find and copy words."""
    torch.manual_seed(SEED)
    config = Qwen3Config(
        vocab_size=tokens, hidden_size=size.width, intermediate_size=size.within,
        num_hidden_layers=size.layers, num_attention_heads=size.heads,
        num_key_value_heads=size.heads, head_dim=size.width // size.heads,
        tie_word_embeddings=True, max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=0, eos_token_id=2, pad_token_id=0, use_cache=False,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    with torch.no_grad():
        _start_copying(model)
    return model


def _start_copying(model: Qwen3ForCausalLM) -> None:
    """Two heads that copy, as a start: to find them by training alone takes most of an hour.

    In layer 0 a head looks one token back and notes what stood there; in layer 1 two heads look for
    notes that say what they read themselves, and give what stands where they find one. The parts
    of a token that are read, noted and copied are directions of one basis: none disturbs another.
    """
    width, size = model.config.hidden_size, model.config.head_dim
    basis = torch.zeros(width, width)
    basis[1:, 1:] = torch.linalg.qr(torch.randn(width - 1, width - 1))[0]
    read, note, copied = basis[1 : size + 1], basis[size + 1 : 2 * size + 1], basis[2 * size + 1 :]
    model.model.embed_tokens.weight[:, 0] = 0.06  # the same in every token: heads that only count
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    first.q_norm.weight.fill_(4.0)
    second.q_norm.weight.fill_(4.0)
    frequencies = model.model.rotary_emb.inv_freq[:3]
    for matrix in (first.q_proj.weight, first.k_proj.weight):
        matrix[:size] = 0
    first.q_proj.weight[:3, 0] = frequencies.cos()
    first.q_proj.weight[size // 2 : size // 2 + 3, 0] = -frequencies.sin()
    first.k_proj.weight[:3, 0] = 1
    first.v_proj.weight[:size] = read
    first.o_proj.weight[:, :size] = 0.06 * note.T
    slow = [*range(size // 4, size // 2), *range(3 * size // 4, size)]  # hardly turned by distance
    for head in range(2):
        rows, half = slice(head * size, (head + 1) * size), slice(head * size // 2, None)
        for matrix, directions in ((second.q_proj.weight, read), (second.k_proj.weight, note)):
            matrix[rows] = 0
            matrix[[head * size + dim for dim in slow]] = directions[half][: size // 2]
        part = copied[head * size : (head + 1) * size]
        second.v_proj.weight[rows] = 0
        second.v_proj.weight[head * size : head * size + len(part)] = part
        second.o_proj.weight[:, head * size : head * size + len(part)] = 0.2 * part.T


class Row:
    """One row of training: tokens of trees, who may look at what, and what is to be learnt."""

    def __init__(self, length: int) -> None:
        self.tokens = np.zeros(length, np.int64)
        self.positions = np.zeros(length, np.int64)
        # A token is seen by those behind it, to the end of its branch: up to, without, `until`.
        self.until = np.arange(1, length + 1)
        self.asked: list[int] = []  # indices of tokens whose next token is to be learnt
        self.wanted: list[int] = []  # those next tokens
        self.weights: list[float] = []


class Packer:
    """Trees into rows: a branch reads its ancestors and itself, as if it stood alone."""

    def __init__(self, tokenizer: Tokenizer, seed: int, length: int) -> None:
        self.tokenizer = tokenizer
        self.random = np.random.default_rng(seed)
        self.length = length

    def row(self, tree: Node) -> Row:
        """As many branches of a tree as one row holds."""
        row = Row(self.length)
        self._add(row, tree, 0, 0)
        return row

    def _add(self, row: Row, node: Node, start: int, position: int) -> int:
        """Write a node at `start`, then its children: where the next free token is."""
        text = self.tokenizer.encode(node.text).ids
        answer = self.tokenizer.encode(node.answer).ids
        end = start + len(text) + len(answer)
        if end > self.length:
            return start
        row.tokens[start:end] = text + answer
        if self.random.random() < 0.3:  # longer prompts than there are here
            position += int(self.random.integers(0, 300))
        row.positions[start:end] = np.arange(position, position + end - start)
        if answer:
            # The tag that is asked about is learnt a little too: half of the time the text has it.
            early = len(text) - 1 if len(answer) == 2 else 0
            row.asked += range(end - len(answer) - 1 - early, end - 1)
            row.wanted += (text + answer)[-len(answer) - early :]
            row.weights += [PROMPT] * early
            row.weights += [DECISION if len(answer) == 2 else 1.0] * len(answer)
        last = end
        for child in node.children:
            last = self._add(row, child, last, position + end - start)
        row.until[start:end] = last
        return last


@dataclass
class Batch:
    """The rows of one step."""

    tokens: npt.NDArray[np.int64]  # (rows, length), as are positions and until
    positions: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    asked: npt.NDArray[np.int64]  # (answers,): row * length + index
    wanted: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: list[Row]) -> Batch:
        """Rows of one length, stacked."""
        length = len(rows[0].tokens)
        return cls(
            np.stack([row.tokens for row in rows]),
            np.stack([row.positions for row in rows]),
            np.stack([row.until for row in rows]),
            np.array([n * length + index for n, row in enumerate(rows) for index in row.asked]),
            np.array([token for row in rows for token in row.wanted]),
            np.array([weight for row in rows for weight in row.weights], np.float32),
        )


@dataclass(frozen=True)
class Reader:
    """The batch of every step, each from a seed of its own, in processes of their own if asked."""

    tokens: Path  # the tokenizer's file: small where a process is started with a reader
    size: Size
    sources: Sources
    steps: int
    rows: int

    def training(self, step: int) -> Batch:
        """Text to learn from: copying first, and short lists of tags."""
        done = step / self.steps
        text = trees(
            SEED + step, sources=self.sources, most=round(min(MOST, 6 + 40 * done)),
            echoes=0.3 if done < 0.1 else 0.05,
        )  # fmt: skip
        return self._batch(step, text, self.rows)

    def held_out(self, number: int, stage: str) -> Batch:
        """Text of one stage that training never sees."""
        return self._batch(1, trees(10**6 + number, stage, sources=self.sources), 4)

    def _batch(self, seed: int, text: Iterator[Node], rows: int) -> Batch:
        packer = Packer(_tokenizer(self.tokens), seed, self.size.row)
        return Batch.of([packer.row(tree) for tree in itertools.islice(text, rows)])

    def batches(self, first: int, workers: int) -> Iterator[Batch]:
        """The batches of the steps from `first` on, read ahead by that many processes."""
        if workers < 2:
            yield from map(self.training, range(first, self.steps))
            return
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        spawn = multiprocessing.get_context("spawn")
        ahead = threading.Semaphore(8 * workers)
        steps = iter(range(first, self.steps))
        with spawn.Pool(workers, _start_worker, (self,)) as pool:
            try:
                for batch in pool.imap(_read, (step for step in steps if ahead.acquire())):
                    ahead.release()
                    yield batch
            finally:
                list(steps)
                ahead.release()


@cache
def _tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


_reader: Reader


def _start_worker(reader: Reader) -> None:
    global _reader
    torch.set_num_threads(1)
    _reader = reader


def _read(step: int) -> Batch:
    return _reader.training(step)


def loss_of(model: Qwen3ForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and loss of every token to be learnt."""
    device = model.device
    until = torch.from_numpy(batch.until).to(device)
    place = torch.arange(until.shape[1], device=device)
    seen = (place[None, :, None] >= place) & (place[None, :, None] < until[:, None, :])
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        hidden = model.model(
            input_ids=torch.from_numpy(batch.tokens).to(device),
            position_ids=torch.from_numpy(batch.positions).to(device),
            attention_mask=seen[:, None],
        ).last_hidden_state
        asked = torch.from_numpy(batch.asked).to(device)
        logits = model.lm_head(hidden.reshape(-1, hidden.shape[-1])[asked])
    wanted = torch.from_numpy(batch.wanted).to(device)
    return logits, functional.cross_entropy(logits.float(), wanted, reduction="none")


class Muon:
    """Momentum whose step is made orthogonal (Jordan 2024): each of few steps teaches more."""

    def __init__(self, matrices: list[torch.Tensor]) -> None:
        shapes: dict[torch.Size, list[torch.Tensor]] = {}
        for matrix in matrices:
            shapes.setdefault(matrix.shape, []).append(matrix)
        self.groups = list(shapes.values())  # of one shape, so that one product serves them all
        self.momenta = [torch.zeros_like(torch.stack(group)) for group in self.groups]

    def step(self, rate: float) -> None:
        """One step of every matrix."""
        with torch.no_grad():
            for group, momentum in zip(self.groups, self.momenta, strict=True):
                gradient = torch.stack([m.grad for m in group if m.grad is not None])
                momentum.lerp_(gradient, 0.05)
                steps = _orthogonal(gradient.lerp(momentum, 0.95))
                scale = max(1.0, steps.shape[1] / steps.shape[2]) ** 0.5
                torch._foreach_mul_(group, 1 - rate * 0.01)
                torch._foreach_add_(group, list(steps), alpha=-rate * scale)
                for matrix in group:
                    matrix.grad = None


def _orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrices, by five Newton-Schulz steps."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    steps: torch.Tensor = x.mT if tall else x
    return steps


class Learner:
    """A model and what trains it: Muon for matrices within layers, AdamW for the rest."""

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        self.model = model
        inner = {n for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n}
        self.muon = Muon([p for n, p in model.named_parameters() if n in inner])
        others = [p for n, p in model.named_parameters() if n not in inner]
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)

    def learn(self, batch: Batch, rate: float) -> torch.Tensor:
        """One step; its loss."""
        weights = torch.from_numpy(batch.weights).to(self.model.device)
        loss = (loss_of(self.model, batch)[1] * weights).sum() / weights.sum()
        loss.backward()
        self.adam.param_groups[0]["lr"] = rate / 5
        self.adam.step()
        self.adam.zero_grad()
        self.muon.step(rate)
        return loss.detach()

    def save(self, path: Path, step: int) -> None:
        """Write all that a later run needs to go on from `step`."""
        state = {
            "step": step, "model": self.model.state_dict(), "adam": self.adam.state_dict(),
            "momenta": self.muon.momenta,
        }  # fmt: skip
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path) -> int:
        """Read what `save` wrote; the step to go on from."""
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.momenta = state["momenta"]
        return int(state["step"])


def rate_at(done: float) -> float:
    """Factor of the learning rate: up, level, down to zero, by the share that is done."""
    return min(1.0, done / WARM_UP, max(0.0, (1 - done) / COOL_DOWN))


def evaluate(model: Qwen3ForCausalLM, reader: Reader, batches: int) -> str:
    """Of each stage: loss per token, share of right tokens; on text that training never sees."""
    measured: dict[str, list[torch.Tensor]] = {stage: [] for stage in STAGES}
    for number in range(batches):
        stage = list(STAGES)[number % len(STAGES)]
        batch = reader.held_out(number, stage)
        with torch.no_grad():
            logits, loss = loss_of(model, batch)
        answers = torch.from_numpy(batch.weights >= 1)
        right = (logits.argmax(-1).cpu() == torch.from_numpy(batch.wanted)).float()[answers].mean()
        measured[stage].append(torch.stack([loss.cpu()[answers].mean(), right]))
    means = {stage: torch.stack(values).mean(0).tolist() for stage, values in measured.items()}
    return ", ".join(f"{stage} {loss:.3f} {right:.1%}" for stage, (loss, right) in means.items())


def train(folder: Path, arguments: argparse.Namespace) -> None:
    """Train, say how it goes, keep a checkpoint every two hundred steps."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, tokens = folder / "checkpoint.pt", folder / "tokenizer.json"
    size, steps, rows, resume = (
        SIZES[arguments.size], arguments.steps, arguments.rows, arguments.resume
    )  # fmt: skip
    sources = Sources(arguments.library, tuple(arguments.recorded))
    if not (resume and tokens.exists()):
        make_tokenizer(size, sources).save(str(tokens))
    reader = Reader(tokens, size, sources, steps, rows)
    torch.set_float32_matmul_precision("high")
    model = make_model(size, _tokenizer(tokens).get_vocab_size()).to(arguments.device)
    learner = Learner(model)
    first = learner.load(kept) if resume and kept.exists() else 0
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, {model.config.vocab_size} tokens", flush=True)
    model.model.compile(dynamic=False)  # rows have one shape: a third faster
    started, losses = time.monotonic(), []
    for step, batch in enumerate(reader.batches(first, arguments.workers), first):
        passed = time.monotonic() - started
        done = max((step + 1) / steps, passed / (60 * arguments.minutes))
        losses.append(learner.learn(batch, RATE * rate_at(done)))
        if (step + 1) % 50 == 0:
            loss = torch.stack(losses[-50:]).mean().item()
            speed = len(losses) * rows * size.row / passed
            print(f"step {step + 1}: loss {loss:.3f}, {speed:.0f} tokens/s, "
                  f"{passed / 60:.1f} minutes", flush=True)  # fmt: skip
        if (step + 1) % arguments.keep == 0 or done >= 1:
            learner.save(kept, step + 1)
            print(evaluate(model, reader, 3), flush=True)
        if done >= 1:
            break
    model.save_pretrained(folder)
    print("in the end:", evaluate(model, reader, 15))


def main() -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--minutes", type=float, default=60, help="cooled down by then, and ended")
    parser.add_argument("--rows", type=int, default=4, help="of text, a step")
    parser.add_argument("--library", default="", help="a CSV file: text of a larger library too")
    parser.add_argument("--recorded", nargs="*", default=[], help="JSON Lines: tagged products too")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that write text")
    parser.add_argument("--keep", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    train(arguments.folder, arguments)


if __name__ == "__main__":
    main()
