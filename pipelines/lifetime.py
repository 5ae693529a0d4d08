"""Lifetime: what each customer is still worth over the next year, in a file and in words."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from cxreco.edge.settings import Settings
from cxreco.errors import BadInput
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.workspace import opened, steps, there
from cxreco.repeat.lifetime import Lifetimes
from cxreco.repeat.lifetime_log import Bought, LifetimeModel
from cxreco.respond.worth import Worth

ENDINGS = (".parquet", ".csv", ".jsonl")


def run(settings: Settings, out: Path, console: Console) -> int:
    """Write customer_id, orders, alive, expected_orders, order_margin and value of every customer, the best first.

    Raises
    ------
    BadInput
        If too few customers ordered on two days, or the file's ending is not known.
    """
    if out.suffix not in ENDINGS:
        raise BadInput(f"expected a name that ends in {', '.join(ENDINGS)}", where=str(out))
    with opened(there(settings)) as workspace, steps(console) as step:
        log = gathered(workspace, step)
        worth = Worth.from_spec(workspace.specs["reward"])
        step("learning how often customers order, and when they stop")
        bought = Bought.until(log.ticks, log.now, worth)
        found = LifetimeModel.fit(bought).of(bought)
        step(f"writing {out.name}")
        write(table(found, bought, [log.customers[code] for code in found.customer]), out)
    console.print(escape(words(found, workspace.settings.currency, worth)), highlight=False)
    console.print(escape(f"{found.customer.size:,} customers in {out}"), highlight=False)
    return 0


def table(found: Lifetimes, bought: Bought, names: list[str]) -> pd.DataFrame:
    """Return a row a customer, the most valuable first."""
    frame = pd.DataFrame(
        {
            "customer_id": names,
            "orders": (bought.purchases.repeats + 1.0).astype(np.int64),
            "alive": found.alive,
            "expected_orders": found.orders,
            "order_margin": found.order_value,
            "value": found.value,
        }
    )
    return frame.sort_values(["value", "customer_id"], ascending=[False, True], ignore_index=True)


def write(frame: pd.DataFrame, out: Path) -> None:
    """Write the table by the file's ending."""
    if out.suffix == ".parquet":
        frame.to_parquet(out, index=False)
    elif out.suffix == ".csv":
        frame.to_csv(out, index=False)
    else:
        frame.to_json(out, orient="records", lines=True)


def words(found: Lifetimes, currency: str, worth: Worth) -> str:
    """Say it plainly, and what it means for models/reward.toml."""
    alive = float(found.alive.sum())
    each = float(found.value.sum()) / max(alive, 1e-9)
    nobody = " (the log shows no sign of anybody leaving for good)" if found.alive.min() > 0.99 else ""
    share = worth.unsubscribe_share + (worth.unsubscribe / each if each > 0.0 else float("nan"))
    besides = f" and {worth.unsubscribe_share:.1%} of what they are still worth" if worth.unsubscribe_share else ""
    return (
        f"About {alive:,.0f} of {found.customer.size:,} customers are still active{nobody}; one of them is "
        f"worth {each:,.2f} {currency} of margin over the next year.\n"
        f"models/reward.toml counts an unsubscribe as {worth.unsubscribe:.2f}{besides}: as if it cost {share:.1%} of "
        "that."
    )
