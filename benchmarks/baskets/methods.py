"""The methods that are compared, from their papers; each maps past baskets to a score of every item.

G-, P- and GP-TopFreq       frequency in baskets: everybody's, one's own, one's own and then everybody's
Decay + popularity          one's own frequency, the latest baskets more, plus a share of everybody's
TIFU-KNN                    Hu et al., SIGIR 2020: the same decayed by groups, mixed with that of the nearest customers
UP-CF@r                     Faggioli et al., UMAP 2020: popularity with the customer in the latest r baskets, and
                            collaborative filtering on it by asymmetric cosine
ALS, BPR                    Hu et al., ICDM 2008; Rendle et al., UAI 2009: by the package `implicit`
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from baskets.measures import MOST
from baskets.shops import Baskets

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Params = Mapping[str, float]
# (customers) -> (n, items) scores.
Scores = Callable[[I64], F32]
CHUNK = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A comparator: its name, how it is fitted, and the parameters that are tried on the validation customers."""

    name: str
    fit: Callable[[Baskets, Params], Scores]
    grid: Sequence[Params] = ({},)


def lists_of(scores: Scores, customers: I64) -> I32:
    """Return (n, 20) items by falling score, the smaller number first among equals; -1 where the score is 0 or less."""
    parts: list[I32] = []
    for start in range(0, customers.size, CHUNK):
        block = scores(customers[start : start + CHUNK])
        border = min(MOST, block.shape[1] - 1)
        near = np.argpartition(-block, border, axis=1)[:, : border + 1]
        # Ties at the border are left to chance by a partition: take all that reach it.
        least = np.take_along_axis(block, near, axis=1).min(axis=1)
        for row in range(block.shape[0]):
            codes = np.flatnonzero(block[row] >= max(least[row], 1e-12))
            best = codes[np.lexsort((codes, -block[row][codes]))][:MOST]
            parts.append(np.concatenate([best, np.full(MOST - best.size, -1)]).astype(np.int32))
    return np.stack(parts) if parts else np.empty((0, MOST), np.int32)


def _matrix(history: Baskets, weight: NDArray[np.floating[Any]]) -> csr_matrix:
    """Return customers x items, the sum of the weights of the baskets that held each."""
    shape = history.n_customers, history.n_items
    owner = history.owner
    entries = (weight[owner].astype(np.float32), (history.customer[owner], history.items))
    return csr_matrix(entries, shape=shape)


def _orders(history: Baskets) -> F64:
    return np.bincount(history.customer, minlength=history.n_customers).astype(np.float64)


def _popularity(history: Baskets) -> F64:
    """Return (items,) share of all baskets that held it."""
    return np.bincount(history.items, minlength=history.n_items) / max(history.customer.size, 1)


def global_frequency(history: Baskets, params: Params) -> Scores:
    """G-TopFreq."""
    del params
    popular = _popularity(history).astype(np.float32)
    return lambda customers: np.repeat(popular[None, :], customers.size, axis=0)


def personal_frequency(history: Baskets, params: Params) -> Scores:
    """P-TopFreq, ties by everybody's frequency; `fill` 1: GP-TopFreq, the rest of the list is everybody's."""
    counts, popular = _matrix(history, np.ones(history.customer.size)), _popularity(history)
    fill = params.get("fill", 0.0)

    def scores(customers: I64) -> F32:
        own = counts[customers].toarray()
        # Shares are below 1: they only decide among equals.
        return np.asarray(own + np.where((own > 0.0) | (fill > 0.0), 0.5 * popular, 0.0), dtype=np.float32)

    return scores


def decayed_frequency(history: Baskets, params: Params) -> Scores:
    """Personal frequency with decay plus popularity."""
    own = _matrix(history, params["decay"] ** history.age)
    popular = params["popularity"] * _popularity(history)
    return lambda customers: np.asarray(own[customers].toarray() + popular, dtype=np.float32)


def tifu_vectors(history: Baskets, params: Params) -> csr_matrix:
    """Return the vectors of TIFU-KNN: the baskets in `groups` groups, decayed within and between them, averaged."""
    groups, within, between = int(params["groups"]), params["within"], params["between"]
    orders = _orders(history)[history.customer]
    place = orders - 1 - history.age
    used = np.minimum(orders, groups)
    group = np.floor(place * used / orders)
    # Of each group: how many baskets, and how far each is from its end.
    key = history.customer * (groups + 1) + group.astype(np.int64)
    last = np.searchsorted(key, key, side="right") - 1
    size = last - np.searchsorted(key, key, side="left") + 1
    weight = within ** (last - np.arange(key.size)) / size * between ** (used - 1 - group) / used
    return _matrix(history, weight)


class TifuKnn:
    """TIFU-KNN: `alpha` of the customer's own vector, the rest of the mean of the `k` nearest (Euclidean).

    What is the same for all `alpha` is remembered of the last fit: the grid tries them one after another.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._found: dict[bytes, tuple[csr_matrix, csr_matrix]] = {}
        self._vectors: csr_matrix | None = None

    def fit(self, history: Baskets, params: Params) -> Scores:
        """Return the scores of a history."""
        k, alpha = min(int(params["k"]), history.n_customers - 1), params["alpha"]
        key = (history, k, params["groups"], params["within"], params["between"])
        if not self._key or self._key[0] is not history or self._key[1:] != key[1:]:
            self._key, self._found, self._vectors = key, {}, None
        vectors = tifu_vectors(history, params) if self._vectors is None else self._vectors
        self._vectors, found = vectors, self._found

        def scores(customers: I64) -> F32:
            asked = customers.tobytes()
            if asked not in found:
                found[asked] = _with_nearest(vectors, customers, k)
            own, near = found[asked]
            return np.asarray((alpha * own + (1.0 - alpha) * near).toarray(), dtype=np.float32)

        return scores


def _with_nearest(vectors: csr_matrix, customers: I64, k: int) -> tuple[csr_matrix, csr_matrix]:
    """Return the customers' vectors, and the means of those of their `k` nearest others."""
    square = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    asked = vectors[customers]
    apart = square[None, :] - 2.0 * (asked @ vectors.T).toarray()
    apart[np.arange(customers.size), customers] = np.inf
    chosen = np.argpartition(apart, k, axis=1)[:, :k]
    rows = np.repeat(np.arange(customers.size), k)
    weight = np.full(rows.size, 1.0 / k, np.float32)
    picks = csr_matrix((weight, (rows, chosen.ravel())), shape=(customers.size, vectors.shape[0]))
    return asked, (picks @ vectors).tocsr()


def up_cf(history: Baskets, params: Params) -> Scores:
    """UP-CF@r: similarity^q over customers, times their popularity in the latest `r` baskets."""
    recent, alpha, locality = params["r"], params["alpha"], params["q"]
    orders = np.minimum(_orders(history), recent)[history.customer]
    popular = _matrix(history, np.where(history.age < recent, 1.0 / orders, 0.0))
    everything = _matrix(history, 1.0 / _orders(history)[history.customer])
    length = np.asarray(everything.multiply(everything).sum(axis=1)).ravel()
    length = np.maximum(length, 1e-12)
    others = everything.T.tocsr()

    def scores(customers: I64) -> F32:
        likeness = (everything[customers] @ others).tocsr()
        norm = length[customers] ** alpha
        rows = np.repeat(np.arange(customers.size), np.diff(likeness.indptr))
        likeness.data = (likeness.data / (norm[rows] * length[likeness.indices] ** (1.0 - alpha))) ** locality
        return np.asarray((likeness @ popular).toarray(), dtype=np.float32)

    return scores


def factors(kind: str) -> Callable[[Baskets, Params], Scores]:
    """Return the fitting of ALS or BPR from the package `implicit`; what was bought before may come again."""

    def fit(history: Baskets, params: Params) -> Scores:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking

        counts = _matrix(history, np.ones(history.customer.size))
        counts.sum_duplicates()
        given: dict[str, Any] = {name: int(value) if float(value).is_integer() and name != "alpha" else value
                                 for name, value in params.items()}  # fmt: skip
        if kind == "als":
            model = AlternatingLeastSquares(random_state=7, num_threads=1, **given)
        else:
            model = BayesianPersonalizedRanking(random_state=7, num_threads=1, **given)
        model.fit(counts, show_progress=False)
        users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)

        def scores(customers: I64) -> F32:
            found = users[customers] @ items.T
            # Lists end where scores are not positive: factors may well score below zero.
            return np.asarray(found - found.min(axis=1, keepdims=True) + 1e-6, dtype=np.float32)

        return scores

    return fit


def _grid(**values: Sequence[float]) -> list[Params]:
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


METHODS: Sequence[Method] = (
    Method(name="G-TopFreq", fit=global_frequency),
    Method(name="P-TopFreq", fit=personal_frequency),
    Method(name="GP-TopFreq", fit=personal_frequency, grid=({"fill": 1.0},)),
    Method(
        name="decay + popularity",
        fit=decayed_frequency,
        grid=_grid(decay=(0.6, 0.75, 0.85, 0.95, 1.0), popularity=(0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 40.0)),
    ),
    Method(
        name="TIFU-KNN",
        fit=TifuKnn().fit,
        grid=_grid(
            k=(50, 100, 300, 900), groups=(3, 7, 15), within=(0.9,), between=(0.7, 0.9), alpha=(0.1, 0.3, 0.5, 0.7)
        ),
    ),
    Method(
        name="UP-CF@r",
        fit=up_cf,
        grid=_grid(r=(5, 25, 100), alpha=(0.25, 0.5, 0.75), q=(1.0, 2.0, 5.0, 10.0)),
    ),
    Method(
        name="implicit ALS",
        fit=factors("als"),
        grid=_grid(factors=(32, 128, 256), regularization=(0.1, 10.0, 50.0), alpha=(1.0, 10.0), iterations=(15,)),
    ),
    Method(
        name="implicit BPR",
        fit=factors("bpr"),
        grid=_grid(factors=(32, 128), regularization=(0.01,), learning_rate=(0.02, 0.05), iterations=(100, 300)),
    ),
)
