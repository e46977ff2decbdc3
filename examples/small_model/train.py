"""Trains the small model from scratch, on two cores in under an hour.

    python examples/small_model/train.py build/small_model [--steps 3600] [--resume]

A Qwen3 of 1.3 million parameters and a tokenizer of its own. Text is generated as it is read, each
step from a seed of its own, so a run that stopped goes on (`--resume`) as if it had not. Only
answers are learnt. The folder holds what transformers reads; `convert.py` makes it a GGUF.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from corpus import MOST, STAGES, YES_NO, Node, trees
from products import library
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

SEED = 7
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 4096
ROW = 512  # tokens
ROWS = 4  # a step
DECISION = 4.0  # how much more than another token a yes or no counts
PROMPT = 0.1  # how much a token of a question counts
RATE = 0.02  # of matrices (Muon); of embedding and norms (AdamW) a fifth
WARM_UP, COOL_DOWN = 0.03, 0.4  # shares of the steps


def make_tokenizer() -> Tokenizer:
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
        vocab_size=VOCABULARY, special_tokens=SPECIAL, max_token_length=12, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    names = [n for tag in library().active() for n in (tag.name, tag.name_in("en"), *tag.aliases)]
    answers = [answer for pair in YES_NO.values() for answer in pair] * 100
    texts = (text for tree in itertools.islice(trees(SEED - 1), 400) for text in _texts(tree))
    tokenizer.train_from_iterator(itertools.chain(answers, names * 3, texts), trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    return tokenizer


def _texts(node: Node) -> Iterator[str]:
    yield node.text + node.answer
    for child in node.children:
        yield from _texts(child)


def make_model(vocabulary: int) -> Qwen3ForCausalLM:
    """A Qwen3 with few numbers in each layer and enough layers to find and copy words."""
    torch.manual_seed(SEED)
    config = Qwen3Config(
        vocab_size=vocabulary, hidden_size=128, intermediate_size=256, num_hidden_layers=5,
        num_attention_heads=4, num_key_value_heads=4, head_dim=32, tie_word_embeddings=True,
        max_position_embeddings=4096, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
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


@dataclass
class Row:
    """One row of training: tokens of a tree, what each may look at, and what is to be learnt."""

    tokens: npt.NDArray[np.int64]  # (ROW,)
    positions: npt.NDArray[np.int64]  # (ROW,)
    seen: npt.NDArray[np.bool_]  # (ROW, ROW): token i reads token j
    asked: list[int]  # indices of tokens whose next token is to be learnt
    wanted: list[int]  # those next tokens
    weights: list[float]


class Packer:
    """Trees into rows: a branch reads its ancestors and itself, as if it stood alone."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer = tokenizer
        self.random = np.random.default_rng(seed)

    def row(self, tree: Node) -> Row:
        """As many branches of a tree as one row holds."""
        row = Row(
            np.zeros(ROW, np.int64),
            np.zeros(ROW, np.int64),
            np.eye(ROW, dtype=np.bool_),
            [],
            [],
            [],
        )
        self._add(row, tree, 0, None)
        return row

    def _add(self, row: Row, node: Node, start: int, parent: int | None) -> int:
        """Write a node at `start`, then its children: where the next free token is."""
        text = self.tokenizer.encode(node.text).ids
        answer = self.tokenizer.encode(node.answer).ids
        end = start + len(text) + len(answer)
        if end > ROW:
            return start
        row.tokens[start:end] = text + answer
        first = 0 if parent is None else row.positions[parent] + 1
        if self.random.random() < 0.3:  # longer prompts than there are here
            first += self.random.integers(0, 300)
        row.positions[start:end] = np.arange(first, first + end - start)
        if parent is not None:
            row.seen[start:end] = row.seen[parent]
        row.seen[start:end, start:end] = np.tri(end - start, dtype=np.bool_)
        if answer:
            # The tag that is asked about is learnt a little too: half of the time the text has it.
            early = len(text) - 1 if len(answer) == 2 else 0
            row.asked += range(end - len(answer) - 1 - early, end - 1)
            row.wanted += (text + answer)[-len(answer) - early :]
            row.weights += [PROMPT] * early
            row.weights += [DECISION if len(answer) == 2 else 1.0] * len(answer)
        last = end - 1 if end > start else parent
        for child in node.children:
            end = self._add(row, child, end, last)
        return end


def loss_of(model: Qwen3ForCausalLM, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and loss of every token to be learnt."""
    seen = torch.from_numpy(np.stack([row.seen for row in rows]))[:, None]
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    hidden = model.model(
        input_ids=torch.from_numpy(np.stack([row.tokens for row in rows])),
        position_ids=torch.from_numpy(np.stack([row.positions for row in rows])),
        attention_mask=mask,
    ).last_hidden_state
    asked = [number * ROW + index for number, row in enumerate(rows) for index in row.asked]
    logits = model.lm_head(hidden.reshape(-1, hidden.shape[-1])[torch.tensor(asked)])
    wanted = torch.tensor([token for row in rows for token in row.wanted])
    return logits, functional.cross_entropy(logits, wanted, reduction="none")


class Muon:
    """Momentum whose step is made orthogonal (Jordan 2024): each of few steps teaches more."""

    def __init__(self, matrices: list[torch.Tensor]) -> None:
        self.matrices = matrices
        self.momenta = [torch.zeros_like(matrix) for matrix in matrices]

    def step(self, rate: float) -> None:
        """One step of every matrix."""
        with torch.no_grad():
            for matrix, momentum in zip(self.matrices, self.momenta, strict=True):
                momentum.lerp_(matrix.grad, 0.05)
                step = _orthogonal(matrix.grad.lerp(momentum, 0.95))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - rate * 0.01).add_(step, alpha=-rate * scale)
                matrix.grad = None


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrix, by five Newton-Schulz steps."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


class Learner:
    """A model and what trains it: Muon for matrices within layers, AdamW for the rest."""

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        self.model = model
        inner = {n for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n}
        self.muon = Muon([p for n, p in model.named_parameters() if n in inner])
        others = [p for n, p in model.named_parameters() if n not in inner]
        self.adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0)

    def learn(self, rows: list[Row], rate: float) -> float:
        """One step; its loss."""
        weights = torch.tensor([weight for row in rows for weight in row.weights])
        loss = (loss_of(self.model, rows)[1] * weights).sum() / weights.sum()
        loss.backward()
        self.adam.param_groups[0]["lr"] = rate / 5
        self.adam.step()
        self.adam.zero_grad()
        self.muon.step(rate)
        return float(loss.item())

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


def rate_at(step: int, steps: int) -> float:
    """Factor of the learning rate: up, level, down to zero."""
    up = (step + 1) / (WARM_UP * steps)
    down = (steps - step) / (COOL_DOWN * steps)
    return min(1.0, up, down)


def evaluate(model: Qwen3ForCausalLM, tokenizer: Tokenizer, batches: int) -> str:
    """Of each stage: loss per token, share of right tokens; on text that training never sees."""
    packer = Packer(tokenizer, 1)
    measured: dict[str, list[torch.Tensor]] = {stage: [] for stage in STAGES}
    for number in range(batches):
        stage = list(STAGES)[number % len(STAGES)]
        rows = [packer.row(tree) for tree in itertools.islice(trees(10**6 + number, stage), ROWS)]
        logits, loss = loss_of(model, rows)
        wanted = torch.tensor([token for row in rows for token in row.wanted])
        weights = torch.tensor([weight for row in rows for weight in row.weights])
        right = (logits.argmax(-1) == wanted).float()[weights >= 1].mean()
        measured[stage].append(torch.stack([loss[weights >= 1].mean(), right]).detach())
    means = {stage: torch.stack(values).mean(0).tolist() for stage, values in measured.items()}
    return ", ".join(f"{stage} {loss:.3f} {right:.1%}" for stage, (loss, right) in means.items())


def train(folder: Path, steps: int, *, resume: bool) -> None:
    """Train, say how it goes, keep a checkpoint every two hundred steps."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, tokens = folder / "checkpoint.pt", folder / "tokenizer.json"
    if not (resume and tokens.exists()):
        make_tokenizer().save(str(tokens))
    tokenizer = Tokenizer.from_file(str(tokens))
    model = make_model(tokenizer.get_vocab_size())
    learner = Learner(model)
    first = learner.load(kept) if resume and kept.exists() else 0
    size = sum(p.numel() for p in model.parameters())
    print(f"{size / 1e6:.2f} M parameters, {tokenizer.get_vocab_size()} tokens", flush=True)
    model.model.compile(dynamic=False)  # rows have one shape: a third faster
    started, losses = time.monotonic(), []
    for step in range(first, steps):
        packer = Packer(tokenizer, step)
        done = step / steps  # copying first, and short lists of tags
        echoes = 0.3 if done < 0.1 else 0.05
        text = trees(SEED + step, most=round(min(MOST, 6 + 40 * done)), echoes=echoes)
        rows = [packer.row(tree) for tree in itertools.islice(text, ROWS)]
        losses.append(learner.learn(rows, RATE * rate_at(step, steps)))
        if (step + 1) % 50 == 0:
            passed = time.monotonic() - started
            speed = len(losses) * ROWS * ROW / passed
            line = f"step {step + 1}: loss {np.mean(losses[-50:]):.3f}, {speed:.0f} tokens/s"
            print(f"{line}, {passed / 60:.1f} minutes", flush=True)
        if (step + 1) % 200 == 0 or step + 1 == steps:
            learner.save(kept, step + 1)
            print(evaluate(model, tokenizer, 3), flush=True)
    model.save_pretrained(folder)
    print("in the end:", evaluate(model, tokenizer, 15))


def main() -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    train(arguments.folder, arguments.steps, resume=arguments.resume)


if __name__ == "__main__":
    main()
