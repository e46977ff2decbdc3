"""Products per second end to end, memory, start-up: `python benchmarks/bench.py speed`.

Titles of en_implicit_attributes, repeated with two words of each swapped, are read from Parquet
(and JSON Lines), tagged and written again by whole commands; peers tag a sample of the same rows,
their training not counted. Once with the 318 tags of the set, once with 5,000 synthetic ones.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import results
from annif_speed import BACKENDS, Annif
from data import Product, load_set, perturbed, random_rows, synthetic_products, write_products
from environments import Unavailable
from processes import PYTHON, TAGMILL, core_counts, folder_mb, run_measured

PEERS = ("fastText", "omikuji Parabel")
ROWS, QUICK_ROWS = 1_000_000, 100_000
SAMPLE, QUICK_SAMPLE = 20_000, 4_000  # rows the peers tag
TRAIN, QUICK_TRAIN = 60_000, 3_000


def run(sets: list[str], *, is_quick: bool) -> None:
    """Measure with few tags and with many."""
    train_rows = QUICK_TRAIN if is_quick else TRAIN
    real = random_rows(load_set("en_implicit_attributes").train, train_rows)
    titles = perturbed([product["title"] for product in real], QUICK_ROWS if is_quick else ROWS)
    for key, train in (
        ("en_implicit_attributes", real),
        ("synthetic", synthetic_products(train_rows // 3 if not is_quick else train_rows, 5_000)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            entry = measure(Path(folder), train, titles, QUICK_SAMPLE if is_quick else SAMPLE)
        results.keep("speed", key, entry, is_quick=is_quick)


def measure(
    folder: Path, train: Sequence[Product], titles: Sequence[str], sample: int
) -> dict[str, Any]:
    """tagmill on all titles, the peers on the first `sample` of them."""
    write_products(folder / "train.jsonl", train)
    write_titles(folder / "in", titles)
    write_titles(folder / "sample", titles[:sample])
    tags = len({tag for product in train for tag in product["tags"]})
    entry = {"tags": tags, "rows": len(titles), "sample": sample, "train_rows": len(train)}
    entry |= measure_tagmill(folder, len(titles))
    peers: dict[str, Any] = {}
    for name in PEERS:
        peers[name] = measure_peer(folder, name)
        print(f"  {name}: {peers[name]}", flush=True)
    peers |= measure_annif(folder, train, titles[:sample])
    return {**entry, "peers": peers}


def write_titles(path: Path, titles: Sequence[str]) -> None:
    """The titles as `path.parquet` and `path.jsonl`."""
    table = pa.table({"id": [str(number) for number in range(len(titles))], "title": titles})
    pq.write_table(table, path.with_suffix(".parquet"))
    write_products(path.with_suffix(".jsonl"), table.to_pylist())


def measure_tagmill(folder: Path, rows: int) -> dict[str, Any]:
    """Whole commands on all rows, start-up, and one product at a time."""
    model = str(folder / "model")
    train = [TAGMILL, "train", "--from", str(folder / "train.jsonl"), "-o", model]
    trained = run_measured(train)
    run_measured([TAGMILL, "tag", "--text", "warm", "--model", model])

    def tag(ending: str, cores: int) -> dict[str, float]:
        files = [str(folder / f"in.{ending}"), "-o", str(folder / f"out.{ending}")]
        done = run_measured([TAGMILL, "tag", *files, "--model", model], cores=cores)
        rate = rows / done.seconds
        print(f"  tagmill, {ending}, {cores} cores: {rate:,.0f}/s", flush=True)
        return {"products_per_second": rate, "peak_mb": done.peak_mb}

    whole = {"parquet": {str(cores): tag("parquet", cores) for cores in core_counts()}}
    most = core_counts()[-1]
    whole["jsonl"] = {str(most): tag("jsonl", most)}
    one = run_measured([PYTHON, str(Path(__file__).with_name("one_product.py")), model,
                        str(folder / "sample.parquet")])  # fmt: skip
    return {
        "train_seconds": trained.seconds,
        "model_mb": folder_mb(Path(model)),
        "tagmill": whole,
        **json.loads(one.output),
    }


def measure_peer(folder: Path, name: str) -> dict[str, Any]:
    """Products/s by cores; training and start-up are not counted."""
    script = str(Path(__file__).with_name("tag_with.py"))
    files = [str(folder / "train.jsonl"), str(folder / "sample.parquet"),
             str(folder / "peer.parquet")]  # fmt: skip
    cores = [str(count) for count in core_counts()]
    try:
        done = run_measured([PYTHON, script, name, *files, "--cores", *cores])
    except RuntimeError as reason:
        return {"skipped": str(reason)}
    return dict(json.loads(done.output))


def measure_annif(
    folder: Path, train: Sequence[Product], titles: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Products/s of Annif's backends by cores; training and start-up are not counted."""
    home = folder / "annif"
    home.mkdir()
    found: dict[str, dict[str, Any]] = {}
    try:
        annif = Annif(home, train)
        for backend in BACKENDS:
            seconds = annif.train(backend)
            rates = {str(cores): annif.tag(backend, titles, cores) for cores in core_counts()}
            found[f"Annif {backend}"] = {"train_seconds": seconds, "products_per_second": rates}
            print(f"  Annif {backend}: {rates}", flush=True)
    except Unavailable as reason:
        found["Annif"] = {"skipped": str(reason)}
    return found
