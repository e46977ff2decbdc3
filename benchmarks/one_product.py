"""Start-up and one product at a time, for a process of its own.

    python benchmarks/one_product.py MODEL FILE.parquet

Prints JSON: seconds of importing and loading, p50 and p99 milliseconds of tagging one product. The
first model that a process loads brings numba and its kernels along; another is read alone.
"""

from __future__ import annotations

import json
import sys
import time

_PRODUCTS, _WARM = 1000, 50


def main() -> None:
    start = time.perf_counter()
    import tagmill

    imported = time.perf_counter()
    model = tagmill.load(sys.argv[1])
    first_loaded = time.perf_counter()
    model = tagmill.load(sys.argv[1])
    loaded = time.perf_counter()

    import numpy as np
    import pyarrow.parquet as pq

    products = next(pq.ParquetFile(sys.argv[2]).iter_batches(_PRODUCTS)).to_pylist()
    seconds = []
    for product in products[:_WARM] + products:
        before = time.perf_counter()
        model.tag([product])
        seconds.append(time.perf_counter() - before)
    p50, p99 = np.percentile(seconds[_WARM:], [50, 99]) * 1000
    report = {
        "import_seconds": imported - start,
        "first_load_seconds": first_loaded - imported,
        "load_seconds": loaded - first_loaded,
    }
    print(json.dumps({**report, "p50_ms": p50, "p99_ms": p99}))


if __name__ == "__main__":
    main()
