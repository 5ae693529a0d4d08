"""What the engine is held against: best sellers for new customers; chance, category and content for new items."""

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from cxreco.recognise.catalogue import Shelf

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
# Prices are told as words, so many to the doubling.
BANDS = 1.0


def best_sellers(lines: NDArray[np.void], n_items: int, k: int) -> I32:
    """Return the k items that lie in most of the orders."""
    orders = np.unique(np.stack([lines["customer"], lines["at"], lines["item"]], axis=1), axis=0)
    sold = np.bincount(orders[:, 2], minlength=n_items)
    return np.lexsort((np.arange(n_items), -sold))[:k].astype(np.int32)


def category_sales(lines: NDArray[np.void], shelf: Shelf, codes: I32) -> F64:
    """Return (m,) order lines of each item's category, over the items in it: what an item of that kind sells."""
    items = np.bincount(shelf.category[np.unique(lines["item"])], minlength=len(shelf.category_names))
    sold = np.bincount(shelf.category[lines["item"]], minlength=len(shelf.category_names))
    return np.asarray((sold / np.maximum(items, 1))[shelf.category[codes]], np.float64)


class Content:
    """Content neighbours: the cosine of an item's words to those of what the customer bought (TF-IDF of scikit-learn).

    Words are those of the title, single and in pairs, the category, the brand and the band of the price.
    """

    def __init__(self, shelf: Shelf) -> None:
        said = zip(shelf.titles, shelf.brands, shelf.category.tolist(), shelf.price.tolist(), strict=True)
        texts = [
            f"{title} brand_{brand.replace(' ', '_')} category_{category} price_{_band(price)}"
            for title, brand, category, price in said
        ]
        self._words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts)

    def likeness(self, bought: I32, times: F64, codes: I32) -> F64:
        """Return (m,) how alike items are to the customer's past purchases, each counted as often as it was ordered."""
        profile = self._words[bought].T @ times
        return np.asarray(self._words[codes] @ profile, np.float64)


def _band(price: float) -> str:
    return f"{round(BANDS * np.log2(price))}".replace("-", "minus") if price > 0.0 else "unknown"
