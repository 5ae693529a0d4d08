"""Which items a query means: tokens of id, title, brand and category, weighted by how rare they are.

A score is in [0, 1]: the share of the query that an item answers, times how well the query covers the item's title. An
item's exact id is 1. The last token also matches as a prefix, since people stop typing; plurals, case, accents and word
order do not matter.
"""

import copy
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .catalogue import Shelf

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# What a token counts where it stands in the brand or category only, and what a prefix counts of a whole word.
SIDE_WEIGHT = 0.7
PREFIX_WEIGHT = 0.8
# Share of the score that asks for the title to be covered by the query.
COVER_SHARE = 0.25
LEAST_PREFIX = 2
REMEMBERED = 256
_WORD = re.compile(r"[^\W_]+")
_SIBILANTS = ("ses", "xes", "zes", "ches", "shes")
Found = tuple[I32, F64]
# Item codes and numbers of their tokens, a row each.
Tokens = tuple[I64, I64]


def tokens_of(text: str) -> list[str]:
    """Return the words of a text: lower case, without accents, in the singular (English, by their endings)."""
    return [_singular(word) for word in _WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


def _singular(word: str) -> str:
    if len(word) <= 3 or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(_SIBILANTS):
        return word[:-2]
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


class SearchIndex:
    """The items of a shelf, found by words; built once, read by many threads.

    Parameters
    ----------
    shelf
        Titles, brands and categories.
    item_ids
        Ids over item codes; more of them than the shelf has are not indexed.
    popularity
        (n_items,) breaks ties between equal scores; then the smaller code wins.
    previous
        An index of an earlier shelf: texts that it has read are not read again. What is found does not depend on it.

    Attributes
    ----------
    tie
        (n_items,) what is taken off a score to break ties.
    """

    def __init__(
        self,
        shelf: Shelf,
        item_ids: Sequence[str],
        popularity: F64 | None = None,
        previous: "SearchIndex | None" = None,
    ) -> None:
        n = len(shelf)
        self._ids = {item_id: code for code, item_id in enumerate(item_ids[:n])}
        self._plain_ids = {_plain(item_id): code for code, item_id in reversed(list(enumerate(item_ids[:n])))}
        self._texts = (
            shelf.titles,
            shelf.brands,
            np.asarray(shelf.category),
            shelf.category_names,
        )
        read = {} if previous is None else previous._read
        texts = {*shelf.titles, *shelf.brands, *shelf.category_names}
        self._read: dict[str, tuple[str, ...]] = {
            text: read.get(text) or tuple(dict.fromkeys(tokens_of(text))) for text in texts
        }
        self._vocabulary = sorted(set(chain.from_iterable(self._read.values())))
        self._number = {token: number for number, token in enumerate(self._vocabulary)}
        titles = self._tokens(shelf.titles)
        self._starts, self._codes, self._weights = _postings(titles, self._sides(shelf), len(self._vocabulary), n)
        self._idf = np.log1p(n / np.maximum(np.diff(self._starts), 1.0))
        self._title_idf = np.bincount(titles[0], weights=self._idf[titles[1]], minlength=n)
        self.tie = _ties(popularity, n)
        self._found = lru_cache(REMEMBERED)(self._search)

    def __len__(self) -> int:
        return int(self.tie.size)

    def covers(self, shelf: Shelf) -> bool:
        """Return whether an index of this shelf would find the same; prices and stock do not matter."""
        titles, brands, category, names = self._texts
        return (
            len(shelf) == len(self)
            and (shelf.titles is titles or shelf.titles == titles)
            and (shelf.brands is brands or shelf.brands == brands)
            and shelf.category_names == names
            and np.array_equal(shelf.category, category)
        )

    def ranked(self, popularity: F64) -> "SearchIndex":
        """Return an index of the same texts that breaks ties by another popularity."""
        other = copy.copy(self)
        other.tie = _ties(popularity, len(self))
        return other

    def found(self, query: str) -> Found:
        """Return all matching codes, ascending, and their scores; do not write into them."""
        found: Found = self._found(query)
        return found

    def match(self, query: str, k: int) -> Found:
        """Return the best k items for a query.

        Returns
        -------
        (m,) item codes, best first, and (m,) scores in (0, 1]; m <= k.
        """
        codes, scores = self._found(query)
        key = scores - self.tie[codes]
        if codes.size > k:
            best = np.argpartition(-key, k)[:k] if k > 0 else np.empty(0, np.int64)
            codes, scores, key = codes[best], scores[best], key[best]
        order = np.argsort(-key)
        return codes[order], scores[order]

    def score_of(self, query: str, codes: I32) -> F64:
        """Return (n,) scores of given items, 0 where they do not match."""
        found, scores = self._found(query)
        if found.size == 0:
            return np.zeros(len(codes))
        at = np.minimum(np.searchsorted(found, codes), found.size - 1)
        return np.where(found[at] == codes, scores[at], 0.0)

    def _search(self, query: str) -> Found:
        """Return all matching codes, ascending, and their scores."""
        words = _WORD.findall(_plain(query))
        n = len(self)
        matched, total = np.zeros(n), 0.0
        asked: dict[str, bool] = {}
        for place, word in enumerate(words):
            token = _singular(word)
            asked[token] = asked.get(token, False) or (place == len(words) - 1 and len(word) >= LEAST_PREFIX)
        for token, open_ended in asked.items():
            number = self._number.get(token, -1)
            worth = float(self._idf[number]) if number >= 0 else float(np.log1p(n))
            total += worth
            matched += worth * self._hits(token, number, open_ended)
        codes = np.flatnonzero(matched).astype(np.int32)
        scores = np.zeros(0)
        if codes.size:
            answered = matched[codes] / total
            covered = np.minimum(matched[codes] / np.maximum(self._title_idf[codes], 1e-12), 1.0)
            scores = np.minimum(answered * (1.0 - COVER_SHARE + COVER_SHARE * covered), 1.0)
        return self._with_id(query, codes, scores)

    def _tokens(self, texts: Iterable[str]) -> Tokens:
        """Return the tokens of texts over item codes, in order."""
        read = [self._read[text] for text in texts]
        codes = np.repeat(np.arange(len(read)), np.fromiter(map(len, read), np.int64, len(read)))
        numbers = np.fromiter(map(self._number.__getitem__, chain.from_iterable(read)), np.int64, codes.size)
        return codes, numbers

    def _sides(self, shelf: Shelf) -> Tokens:
        """Return the tokens of brand and category; an item that nobody has described has none."""
        names, known = shelf.category_names, np.asarray(shelf.known)
        brands = self._tokens(shelf.brands)
        categories = self._tokens([names[category] for category in shelf.category.tolist()])
        codes, numbers = (np.concatenate(both) for both in zip(brands, categories, strict=True))
        return codes[known[codes]], numbers[known[codes]]

    def _hits(self, token: str, number: int, open_ended: bool) -> F64:
        """Return (n_items,) how well one token is met: 1 in the title, less elsewhere or as a prefix."""
        hits = np.zeros(len(self))
        if open_ended:
            first = bisect_left(self._vocabulary, token)
            last = bisect_left(self._vocabulary, token + "\U0010ffff")
            span = slice(int(self._starts[first]), int(self._starts[last]))
            hits[self._codes[span]] = PREFIX_WEIGHT * SIDE_WEIGHT
            in_title = span.start + np.flatnonzero(self._weights[span] == 1.0)
            hits[self._codes[in_title]] = PREFIX_WEIGHT
        if number >= 0:
            span = slice(int(self._starts[number]), int(self._starts[number + 1]))
            hits[self._codes[span]] = np.maximum(hits[self._codes[span]], self._weights[span])
        return hits

    def _with_id(self, query: str, codes: I32, scores: F64) -> Found:
        wanted = query.strip()
        code = self._ids.get(wanted, self._plain_ids.get(_plain(wanted), -1))
        if code < 0:
            return codes, scores
        at = int(np.searchsorted(codes, code))
        if at < codes.size and codes[at] == code:
            scores[at] = 1.0
            return codes, scores
        return np.insert(codes, at, code), np.insert(scores, at, 1.0)


def _ties(popularity: F64 | None, n: int) -> F64:
    rank = np.empty(n)
    order = np.arange(n) if popularity is None else np.argsort(-popularity[:n], kind="stable")
    rank[order] = np.arange(n)
    # Smaller than any difference of scores that means something.
    return rank * (1e-9 / max(n, 1))


def _postings(titles: Tokens, sides: Tokens, tokens: int, n: int) -> tuple[I64, I32, F64]:
    """Return where each token's items start, the items and what the token counts for each."""
    codes, numbers = (np.concatenate(both) for both in zip(titles, sides, strict=True))
    # The first of equals is kept: a token that stands in the title too counts as there.
    places, first = np.unique(numbers * max(n, 1) + codes, return_index=True)
    starts = np.searchsorted(places, np.arange(tokens + 1) * max(n, 1))
    weights = np.where(first < titles[0].size, 1.0, SIDE_WEIGHT)
    return starts, (places % max(n, 1)).astype(np.int32), weights
