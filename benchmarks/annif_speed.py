"""Annif, by its own commands in an environment of its own: train, then index a file of titles."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from data import Product, tag_names
from environments import Unavailable, python_of
from processes import Finished, run_measured

BACKENDS = ("tfidf", "omikuji")
_PROJECT = """[{0}]
name={0}
language=en
backend={0}
analyzer=snowball(english)
vocab=tags
limit=10
"""
# Annif splits sentences by a model that nltk downloads. One without parameters does for titles.
_SENTENCES = (
    "from nltk.tokenize.punkt import PunktParameters, save_punkt_params; "
    "save_punkt_params(PunktParameters(), dir='{folder}')"
)


class Annif:
    """Annif projects in a folder, one a backend. Raises Unavailable where it cannot run."""

    def __init__(self, folder: Path, train: Sequence[Product]) -> None:
        self._python = python_of("annif")
        self._folder = folder
        sentences = folder / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
        sentences.mkdir(parents=True)
        self._run([str(self._python), "-c", _SENTENCES.format(folder=sentences)])
        number = {name: place for place, name in enumerate(tag_names(train))}
        labels = (f"<http://tags/{n}>\t{name.split(':', 1)[-1]}\n" for name, n in number.items())
        (folder / "tags.tsv").write_text("".join(labels), "utf-8")
        lines = (
            " ".join(product["title"].split())
            + "\t"
            + " ".join(f"<http://tags/{number[tag]}>" for tag in product["tags"])
            + "\n"
            for product in train
        )
        (folder / "train.tsv").write_text("".join(lines), "utf-8")
        projects = "\n".join(map(_PROJECT.format, BACKENDS))
        (folder / "projects.cfg").write_text(projects, "utf-8")
        self._annif("load-vocab", "--language", "en", "tags", "tags.tsv")

    def train(self, backend: str) -> float:
        """Seconds of training one project."""
        return self._annif("train", backend, "train.tsv").seconds

    def tag(self, backend: str, titles: Sequence[str], cores: int) -> float:
        """Products/s from CSV to JSON Lines, less what the command needs for one product."""
        start = self._index(backend, titles[:1], cores)
        return (len(titles) - 1) / (self._index(backend, titles, cores) - start)

    def _index(self, backend: str, titles: Sequence[str], cores: int) -> float:
        with (self._folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["document_id", "text"])
            table.writerows(enumerate(titles))
        arguments = ("index", "--force", "-O", "out.jsonl", backend, "in.csv")
        return self._annif(*arguments, cores=cores).seconds

    def _annif(self, *arguments: str, cores: int | None = None) -> Finished:
        return self._run([str(self._python.with_name("annif")), *arguments], cores)

    def _run(self, command: Sequence[str], cores: int | None = None) -> Finished:
        data = str(self._folder / "nltk_data")
        try:
            return run_measured(command, cores=cores, folder=self._folder, NLTK_DATA=data)
        except RuntimeError as error:
            raise Unavailable(f"annif: {error}") from error
