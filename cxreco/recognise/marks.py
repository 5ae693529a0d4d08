"""The latest days on which a customer bought, or only looked, in a category: what the cupboard is inferred from."""

import numpy as np

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE
from cxreco.recognise.contacts import Records
from cxreco.recognise.layout import MARKS, Kind, Mark

_DAY_S = 86_400
# How much each kind says: of several marks on one day the one that says most stays.
SAYS = (0, 2, 1)
_LOOKED, _BOUGHT, _PLACED = int(Mark.LOOKED), int(Mark.BOUGHT), int(Mark.PLACED)


@compiled
def mark(categories: Records, used: int, tick: np.void, now: int) -> None:
    """Take a tick into the marks of its category, where it is one and the category has a record."""
    kind = tick["kind"]
    if kind == Kind.ORDER_LINE:
        what = _PLACED if tick["mode"] == AUTOMATE else _BOUGHT
    elif kind in (Kind.VIEW, Kind.ADD):
        what = _LOOKED
    else:
        return
    for i in range(used):
        if categories[i]["key"] == tick["category"]:
            _note(categories[i], what, now // _DAY_S)
            return


@compiled
def _note(c: np.void, what: int, day: int) -> None:
    n, days, kinds = np.int64(c["marks"]), c["mark_days"], np.int64(c["mark_kinds"])
    if n > 0 and days[n - 1] >= day:
        n -= 1
        if SAYS[(kinds >> (2 * n)) & 3] >= SAYS[what]:
            return
        kinds &= (1 << (2 * n)) - 1
    elif n == MARKS:
        n -= 1
        kinds >>= 2
        for i in range(n):
            days[i] = days[i + 1]
    days[n] = day
    c["mark_kinds"] = kinds | (what << (2 * n))
    c["marks"] = n + 1
