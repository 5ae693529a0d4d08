"""hnswlib in a process of its own: `python with_hnswlib.py GIVEN.npz FOUND.npz`, one thread.

Given: (n, d) `factors`, (q, d) `tastes`, `k` and `ef`. Found: (q, k) `labels`, microseconds a query, seconds to build.
"""

import sys
import time

import hnswlib  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np

given = np.load(sys.argv[1])
factors, tastes, k = given["factors"], given["tastes"], int(given["k"])
index = hnswlib.Index(space="ip", dim=factors.shape[1])
index.init_index(max_elements=len(factors), ef_construction=200, M=16, random_seed=1)
begun = time.perf_counter()
index.add_items(factors, num_threads=2)
built = time.perf_counter() - begun
index.set_num_threads(1)
found = {"built": np.array(built)}
for ef in given["ef"].tolist():
    index.set_ef(int(ef))
    index.knn_query(tastes[:50], k=k)
    begun = time.perf_counter()
    # One at a time, as moments come.
    found[f"labels_{ef}"] = np.vstack([index.knn_query(taste, k=k)[0] for taste in tastes])
    found[f"took_{ef}"] = np.array(1e6 * (time.perf_counter() - begun) / len(tastes))
np.savez(sys.argv[2], allow_pickle=False, **found)
