"""Numbers that people declare in specs, checked where they are read: what is wrong, where, and what would be right."""

from math import inf

from cxreco.errors import BadSpec


def declared(
    value: object, where: str, *, least: float = 0.0, most: float = inf, above: bool = False, whole: bool = False
) -> float:
    """Return a declared number.

    Parameters
    ----------
    where
        The spec and the key.
    least, most
        The range; `above`: the least itself is too little.
    whole
        Whether it must be a whole number.

    Raises
    ------
    BadSpec
        If it is none, or out of its range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSpec(f"must be a number, got {value!r}", where=where)
    # A NaN is in no range.
    if not (least < value or (value == least and not above)) or not value <= most:
        low = f"above {least:g}" if above else f"at least {least:g}"
        raise BadSpec(f"must be {low}{f' and at most {most:g}' if most < inf else ''}, got {value!r}", where=where)
    if whole and (value == inf or value != int(value)):
        raise BadSpec(f"must be a whole number, got {value!r}", where=where)
    return float(value)
