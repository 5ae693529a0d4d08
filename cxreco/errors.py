"""Everything cxreco can say no with.

CxRecoError
├── BadInput           something handed to us is malformed; says what, where and what to do
│   ├── BadEvent       an event row that breaks the contract
│   └── BadSpec        a spec under models/ that cannot be used
├── NotFound           a decision, customer or version nobody has heard of
├── Conflict           the same request id with another body
├── NoSupport          the log never tried what the target policy wants: no estimate
├── NotRipe            too young to be judged
└── StalePlaybook      a model whose bytes, fold or features do not match its record
"""


class CxRecoError(Exception):
    """Root of every error this package raises."""


class BadInput(CxRecoError):
    """Something handed to us is malformed.

    Parameters
    ----------
    reason
        What was wrong and what to do, in one line.
    where
        The field, file or row it was found at; may be empty.
    """

    def __init__(self, reason: str, *, where: str = "") -> None:
        self.reason = reason
        self.where = where
        super().__init__(f"{where}: {reason}" if where else reason)


class BadEvent(BadInput):
    """An event row that breaks the contract."""


class BadSpec(BadInput):
    """A spec that cannot be used."""


class NotFound(CxRecoError):
    """A decision, customer or version nobody has heard of."""


class Conflict(CxRecoError):
    """The same request id came with another body."""


class NoSupport(CxRecoError):
    """The log never tried what the target policy wants."""


class NotRipe(CxRecoError):
    """Too young to be judged."""


class StalePlaybook(CxRecoError):
    """A model whose bytes, fold or features do not match its record."""
