import random

import pyarrow as pa
import pytest

from tagmill.learning import train
from tagmill.records import PRODUCT_SCHEMA
from tagmill.tagging.model import Model

COLOURS = {"red": "红色", "blue": "蓝色", "green": "绿色"}
KINDS = {"dress": "连衣裙", "shirt": "衬衫", "shoe": "鞋"}


def make_products(size: int, seed: int = 0, *, tagged: bool = True) -> pa.RecordBatch:
    """Products whose kind is always in the title, and whose season follows from the fabric."""
    rng = random.Random(seed)
    rows = []
    for number in range(size):
        colour, kind = rng.choice(list(COLOURS)), rng.choice(list(KINDS))
        fabric = rng.choice(["wool", "linen"])
        words = [rng.choice(["New", "Sale", "Classic", "Soft", "Slim"]), colour, fabric, kind]
        noise = rng.random() < 0.1
        tags = [f"Kind:{kind}", f"Colour:{colour}"]
        if fabric == "wool" and not noise:
            tags.append("Season:winter")
        rows.append(
            {
                "id": f"p{number}",
                "title": " ".join(words),
                "language": "en",
                "tags": tags if tagged else None,
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=PRODUCT_SCHEMA)


@pytest.fixture(scope="session")
def products() -> pa.RecordBatch:
    return make_products(600)


@pytest.fixture(scope="session")
def new_products() -> pa.RecordBatch:
    return make_products(300, seed=1)


@pytest.fixture(scope="session")
def model(products: pa.RecordBatch) -> Model:
    return train([products.slice(0, 250), products.slice(250)])
