"""Which items a query means: tokens of id, title, brand and category, weighted by how rare they are.

A score is in [0, 1]: the share of the query that an item answers, times how well the query covers the item's title. An
item's exact id is 1. The last token also matches as a prefix, since people stop typing; plurals, case, accents and word
order do not matter.
"""

import copy
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.postings import (
    SIDE_WEIGHT,
    WORD,
    changed_since,
    patched,
    plain_of,
    postings_of,
    singular,
    texts_of,
)

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Found = tuple[I32, F64]

# What a prefix counts of a whole word.
PREFIX_WEIGHT = 0.8
# Share of the score that asks for the title to be covered by the query.
COVER_SHARE = 0.25
LEAST_PREFIX = 2
REMEMBERED = 256


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
        An index of an earlier shelf: where few items read otherwise than there, only those are read. What is found does
        not depend on it, to the bit.

    Attributes
    ----------
    words
        The words of all items.
    read
        Codes of the items that were read anew, ascending, the others having been read by `previous`; None: all.
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
        self._texts = texts_of(shelf)
        self.read = changed = None if previous is None else changed_since(previous._texts, self._texts)
        if previous is None or changed is None:
            self._ids = {item_id: code for code, item_id in enumerate(item_ids[:n])}
            self._plain_ids = {plain_of(item_id): code for code, item_id in reversed(list(enumerate(item_ids[:n])))}
            self.words = postings_of(self._texts)
        else:
            # Whoever asks the earlier index for a later item gets a code that its own shelf does not have.
            late = {item_id: code for code, item_id in enumerate(item_ids[len(previous) : n], len(previous))}
            self._ids = previous._ids | late if late else previous._ids
            plain = {plain_of(item_id): code for item_id, code in reversed(late.items())}
            self._plain_ids = plain | previous._plain_ids if late else previous._plain_ids
            self.words = patched(previous.words, self._texts, changed)
        starts, codes, weights = self.words.starts, self.words.codes, self.words.weights
        self._idf = np.log1p(n / np.maximum(np.diff(starts), 1.0))
        titles = weights == 1.0
        worth = np.repeat(self._idf, np.diff(starts))[titles]
        self._title_idf = np.bincount(codes[titles], weights=worth, minlength=n)
        self.tie = _ties(popularity, n)
        self._found = lru_cache(REMEMBERED)(self._search)

    def __len__(self) -> int:
        return int(self.tie.size)

    def covers(self, shelf: Shelf) -> bool:
        """Return whether an index of this shelf would find the same; prices and stock do not matter."""
        mine = self._texts
        return (
            len(shelf) == len(self)
            and (shelf.titles is mine.titles or shelf.titles == mine.titles)
            and (shelf.brands is mine.brands or shelf.brands == mine.brands)
            and shelf.category_names == mine.names
            and np.array_equal(shelf.category, mine.category)
            and np.array_equal(shelf.known, mine.known)
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
        words = WORD.findall(plain_of(query))
        n = len(self)
        matched, total = np.zeros(n), 0.0
        asked: dict[str, bool] = {}
        for place, word in enumerate(words):
            token = singular(word)
            asked[token] = asked.get(token, False) or (place == len(words) - 1 and len(word) >= LEAST_PREFIX)
        for token, open_ended in asked.items():
            number = self.words.number(token)
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

    def _hits(self, token: str, number: int, open_ended: bool) -> F64:
        """Return (n_items,) how well one token is met: 1 in the title, less elsewhere or as a prefix."""
        hits = np.zeros(len(self))
        vocabulary, starts, codes, weights = self.words
        if open_ended:
            first = bisect_left(vocabulary, token)
            last = bisect_left(vocabulary, token + "\U0010ffff")
            span = slice(int(starts[first]), int(starts[last]))
            hits[codes[span]] = PREFIX_WEIGHT * SIDE_WEIGHT
            in_title = span.start + np.flatnonzero(weights[span] == 1.0)
            hits[codes[in_title]] = PREFIX_WEIGHT
        if number >= 0:
            span = slice(int(starts[number]), int(starts[number + 1]))
            hits[codes[span]] = np.maximum(hits[codes[span]], weights[span])
        return hits

    def _with_id(self, query: str, codes: I32, scores: F64) -> Found:
        wanted = query.strip()
        code = self._ids.get(wanted, self._plain_ids.get(plain_of(wanted), -1))
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
