"""The trial that the log holds of messages: who was written to, who might have been and was not, and who ordered soon.

At a moment with messages among its candidates the policy drew the mode first and the message after it. Where it drew
`hold`, the message it would have sent is drawn here as the policy would have: so what was or would have been said is
the same in both arms, whatever the policy's taste, and the chance of sending it is the logged one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import COACH, HOLD
from cxreco.repeat.uplift import Trial
from cxreco.respond.lift import COLUMNS
from cxreco.respond.value import ValueModel, Values
from cxreco.tables import DecisionLog

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Moments at which a message was sent or held back by chance, in time order.

    Attributes
    ----------
    x, hold_x
        (n, F) features of the message, sent or not, and of the moment's `hold` row.
    sent
        (n,) whether it was.
    chance
        (n,) that it would be, given that it was sent or nothing was done.
    soon
        (n,) whether an order came soon, 0 or 1.
    money
        (n,) what followed within the decision's window, in money; NaN while that is not over.
    customer
        (n,) codes.
    at
        (n,) microseconds, ascending.
    """

    x: F64
    hold_x: F64
    sent: Bool
    chance: F64
    soon: F64
    money: F64
    customer: I64
    at: I64

    def __len__(self) -> int:
        return int(self.sent.size)

    def take(self, rows: Bool) -> "Messages":
        """Return the rows of a mask."""
        return Messages(
            x=self.x[rows], hold_x=self.hold_x[rows], sent=self.sent[rows], chance=self.chance[rows],
            soon=self.soon[rows], money=self.money[rows], customer=self.customer[rows], at=self.at[rows],
        )  # fmt: skip

    def trial(self, pooled: ValueModel) -> Trial:
        """Return the trial whose effects are what messages add beyond a value model that has no lift of its own.

        The outcome is the order soon, less the chance of it that the model foretold of what was done.
        """
        foretold = self._values(pooled).parts["order_soon"].reshape(2, len(self))
        arm = self.sent.astype(np.int64)
        return Trial(
            x=self.x[:, COLUMNS], arm=arm, outcome=self.soon - foretold[arm, np.arange(len(self))],
            propensity=np.column_stack([1.0 - self.chance, self.chance]), group=self.customer,
        )  # fmt: skip

    def worth_sending(self, believed: ValueModel) -> Bool:
        """Return (n,) which messages a value model would send rather than hold."""
        hold, message = self._values(believed).over_hold.reshape(2, len(self))
        return np.asarray(message > hold, dtype=np.bool_)

    def _values(self, believed: ValueModel) -> Values:
        n = len(self)
        mode = np.repeat(np.array([HOLD, COACH], dtype=np.int16), n)
        return believed.values_of(np.concatenate([self.hold_x, self.x]), mode, mode == COACH, np.tile(np.arange(n), 2))


def messages_of(log: DecisionLog, soon: F64, settled: Bool, money: F64, *, least: float, seed: int) -> Messages:
    """Return the trial of messages in a log.

    Parameters
    ----------
    soon, settled
        (n,) whether an order came soon after each decision, and whether that is known.
    money
        (n,) what followed each within its window, in money; NaN while that is not over.
    least
        Smallest chance of sending or of holding back that is used: rarer ones weigh too much.
    seed
        Of the messages that might have been sent.
    """
    decision, joint, chosen = log.decision, log.joint, log.decisions["mode"].to_numpy(np.int64)
    coach = log.candidates["mode"].to_numpy(np.int64) == COACH
    might = np.where(coach, joint, 0.0)
    sending = np.bincount(decision, weights=might, minlength=len(log)).astype(np.float64)
    either = sending + joint[log.starts]
    chance = np.divide(sending, either, out=np.zeros(len(log)), where=either > 0.0)
    use = settled & np.isin(chosen, (HOLD, COACH)) & (np.minimum(chance, 1.0 - chance) >= max(least, 1e-9))
    rows = np.flatnonzero(use)
    at = log.decisions["at"].to_numpy(np.int64)
    rows = rows[np.argsort(at[rows], kind="stable")]
    sent = chosen[rows] == COACH
    message = np.where(sent, log.chosen_rows[rows], _drawn(might, coach, decision, seed, len(log))[rows])
    _, customer = np.unique(log.decisions["customer_id"].to_numpy(object).astype(str)[rows], return_inverse=True)
    x = log.x
    return Messages(
        x=x[message].astype(np.float64), hold_x=x[log.starts[rows]].astype(np.float64), sent=sent, chance=chance[rows],
        soon=soon[rows], money=money[rows], customer=customer.astype(np.int64), at=at[rows],
    )  # fmt: skip


def _drawn(might: F64, coach: Bool, decision: I64, seed: int, n: int) -> I64:
    """Return (n,) a message of each decision, drawn by the policy's own chances; of those without one, any row."""
    rows = np.flatnonzero(coach)
    if rows.size == 0:
        return np.zeros(n, dtype=np.int64)
    total = np.cumsum(might[rows])
    last = np.maximum(np.searchsorted(decision[rows], np.arange(n), side="right") - 1, 0)
    first = np.searchsorted(decision[rows], np.arange(n), side="left")
    before = np.where(first > 0, total[np.maximum(first - 1, 0)], 0.0)
    aim = before + np.random.default_rng(seed).random(n) * (total[last] - before)
    place = np.clip(np.searchsorted(total, aim, side="right"), np.minimum(first, last), last)
    return rows[place]
