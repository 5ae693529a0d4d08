"""Which items have which words: the texts of a shelf as postings, built whole, or patched where few items changed."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.recognise.catalogue import Shelf

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# What a token counts where it stands in the brand or category only.
SIDE_WEIGHT = 0.7
# Items that are patched in; with more of them the whole is built anew.
MOST_PATCHED = 1_000
WORD = re.compile(r"[^\W_]+")
_SIBILANTS = ("ses", "xes", "zes", "ches", "shes")
# Item codes and numbers of their tokens, a row each.
Tokens = tuple[I64, I64]


class Texts(NamedTuple):
    """What is read of a shelf: (n,) titles, brands and categories, the categories' names, and (n,) who is described."""

    titles: Sequence[str]
    brands: Sequence[str]
    category: NDArray[np.integer]
    names: Sequence[str]
    known: Bool


def texts_of(shelf: Shelf) -> Texts:
    """Return what is read of a shelf."""
    return Texts(shelf.titles, shelf.brands, np.asarray(shelf.category), shelf.category_names, shelf.known)


class Postings(NamedTuple):
    """The items of each token.

    Attributes
    ----------
    vocabulary
        Tokens, ascending; after a patch some that no item has any more: nothing is found by them.
    starts
        (tokens + 1,) where each one's items start.
    codes, weights
        The items, ascending, and what the token counts for each: 1 in the title, `SIDE_WEIGHT` beside it.
    """

    vocabulary: list[str]
    starts: I64
    codes: I32
    weights: F64

    def number(self, token: str) -> int:
        """Return where a token stands; -1 where it does not."""
        at = bisect_left(self.vocabulary, token)
        return at if at < len(self.vocabulary) and self.vocabulary[at] == token else -1


def tokens_of(text: str) -> list[str]:
    """Return the words of a text: lower case, without accents, in the singular (English, by their endings)."""
    return [singular(word) for word in WORD.findall(plain_of(text))]


def plain_of(text: str) -> str:
    """Return a text in lower case, without accents."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


def singular(word: str) -> str:
    """Return a word in the singular, by its ending."""
    if len(word) <= 3 or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(_SIBILANTS):
        return word[:-2]
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tokens_of(text)))


def postings_of(texts: Texts) -> Postings:
    """Return the postings of all items."""
    n = len(texts.titles)
    read = {text: _words(text) for text in {*texts.titles, *texts.brands, *texts.names}}
    vocabulary = sorted(set(chain.from_iterable(read.values())))
    number = {token: place for place, token in enumerate(vocabulary)}

    def tokens(each: Iterable[str]) -> Tokens:
        found = [read[text] for text in each]
        codes = np.repeat(np.arange(len(found)), np.fromiter(map(len, found), np.int64, len(found)))
        return codes, np.fromiter(map(number.__getitem__, chain.from_iterable(found)), np.int64, codes.size)

    titles = tokens(texts.titles)
    brands, shelves = tokens(texts.brands), tokens([texts.names[category] for category in texts.category.tolist()])
    beside, numbers = (np.concatenate(both) for both in zip(brands, shelves, strict=True))
    # An item that nobody has described has no brand and no category.
    sides = beside[texts.known[beside]], numbers[texts.known[beside]]
    codes, numbers = (np.concatenate(both) for both in zip(titles, sides, strict=True))
    # The first of equals is kept: a token that stands in the title too counts as there.
    places, first = np.unique(numbers * max(n, 1) + codes, return_index=True)
    starts = np.searchsorted(places, np.arange(len(vocabulary) + 1) * max(n, 1))
    weights = np.where(first < titles[0].size, 1.0, SIDE_WEIGHT)
    return Postings(vocabulary, starts, (places % max(n, 1)).astype(np.int32), weights)


def changed_since(before: Texts, now: Texts) -> list[int] | None:
    """Return the codes of items that read otherwise, new ones among them; None where they are too many to patch in."""
    m, n = len(before.titles), len(now.titles)
    if n < m or n - m > MOST_PATCHED or list(now.names[: len(before.names)]) != list(before.names):
        return None
    changed = set(range(m, n))
    for old, new in ((before.titles, now.titles), (before.brands, now.brands)):
        if old is not new:
            changed.update(code for code, (a, b) in enumerate(zip(old, new, strict=False)) if a is not b and a != b)
    other = (np.asarray(now.category)[:m] != before.category) | (now.known[:m] != before.known)
    changed.update(np.flatnonzero(other).tolist())
    return sorted(changed) if len(changed) <= MOST_PATCHED else None


def patched(before: Postings, texts: Texts, changed: Sequence[int]) -> Postings:
    """Return the postings with the items of these codes read anew; the rest stays as it stands."""
    rows = [(token, code, weight) for code in changed for token, weight in _of_item(texts, code).items()]
    new = sorted({token for token, _, _ in rows if before.number(token) < 0})
    vocabulary = sorted([*before.vocabulary, *new]) if new else before.vocabulary
    places = np.array([bisect_left(before.vocabulary, token) for token in new], np.int64)
    counts = np.insert(np.diff(before.starts), places, 0)
    numbers = np.repeat(np.arange(len(vocabulary)), counts)
    stale = np.zeros(len(texts.titles), np.bool_)
    stale[list(changed)] = True
    stays = ~stale[before.codes]
    n = max(len(texts.titles), 1)
    keys = numbers[stays] * n + before.codes[stays]
    found = sorted((bisect_left(vocabulary, token) * n + code, weight) for token, code, weight in rows)
    added = np.array([key for key, _ in found], np.int64)
    at = np.searchsorted(keys, added)
    keys = np.insert(keys, at, added)
    return Postings(
        vocabulary,
        np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(keys // n, minlength=len(vocabulary)))]),
        (keys % n).astype(np.int32),
        np.insert(before.weights[stays], at, [weight for _, weight in found]),
    )


def _of_item(texts: Texts, code: int) -> dict[str, float]:
    found = dict.fromkeys(_words(texts.titles[code]), 1.0)
    if texts.known[code]:
        for text in (texts.brands[code], texts.names[int(texts.category[code])]):
            for token in _words(text):
                found.setdefault(token, SIDE_WEIGHT)
    return found
