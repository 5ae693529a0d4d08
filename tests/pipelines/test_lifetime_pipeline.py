"""What customers are still worth, from a workspace's log to the file, the card's figures and the words."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cxreco.edge.settings import load_settings
from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.pipelines import ingest, lifetime
from cxreco.recognise.layout import TICK, Kind
from cxreco.repeat.lifetime import Lifetimes
from cxreco.repeat.lifetime_log import Bought, lifetime_report
from cxreco.respond.worth import Worth


def imported(folder: Path, customers: int) -> Path:
    """A workspace whose customers order weekly, monthly or once; every third of them stopped long ago."""
    rng = np.random.default_rng(5)
    rows = []
    for c in range(customers):
        day, gap = float(rng.integers(0, 20)), (7.0, 30.0, 400.0)[c % 3]
        while day < (60 if c % 9 < 3 else 200):
            at = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=round(day))
            line = {"item_id": "tea", "quantity": 2, "price": 10.0, "margin": 4.0}
            rows.append(
                {"event_id": f"{c}-{day}", "type": "order_completed", "customer_id": f"c{c}", "order_id": f"{c}-{day}",
                 "occurred_at": at.isoformat(), "items": [line]}
            )  # fmt: skip
            day += gap * rng.gamma(4.0, 0.25)
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    home = folder / "home"
    assert ingest.run(load_settings(home=home), "events", file, None, Console(quiet=True)) in (0, None)
    return home


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_every_customer_is_written_the_best_first(tmp_path, capsys, ending):
    home, out = imported(tmp_path, 90), tmp_path / f"customers{ending}"
    assert lifetime.run(load_settings(home=home), out, Console(width=200)) == 0
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda path: pd.read_json(path, lines=True)}
    found = read[ending](out)
    assert len(found) == 90
    assert found["value"].is_monotonic_decreasing
    assert found["alive"].between(0.0, 1.0).all()
    who = found.set_index("customer_id")
    # Both ordered weekly; the first stopped long ago.
    assert who.loc["c3", "alive"] > who.loc["c0", "alive"]
    assert who.loc["c3", "value"] > who.loc["c4", "value"] > who.loc["c0", "value"]
    assert who.loc["c3", "order_margin"] == pytest.approx(8.0, rel=0.2)
    told = capsys.readouterr().out
    assert "are still active" in told
    assert "unsubscribe" in told


def test_too_short_a_log_and_a_wrong_ending_are_said_in_a_line(tmp_path):
    home = imported(tmp_path, 5)
    with pytest.raises(BadInput, match="two days"):
        lifetime.run(load_settings(home=home), tmp_path / "out.csv", Console(quiet=True))
    with pytest.raises(BadInput, match="ends in"):
        lifetime.run(load_settings(home=home), tmp_path / "out.txt", Console(quiet=True))


def test_purchases_and_margins_are_those_of_the_order_lines():
    ticks = np.zeros(4, TICK)
    ticks["kind"], ticks["customer"], ticks["quantity"] = Kind.ORDER_LINE, [3, 3, 3, 8], [1.0, 2.0, 1.0, 5.0]
    ticks["at"] = np.array([10, 10, 24, 12]) * DAY
    ticks["price"], ticks["margin"] = 10.0, [np.nan, 3.0, 4.0, 1.0]
    found = Bought.until(ticks, 30 * DAY, Worth(margin_share=0.5))
    assert found.customer.tolist() == [3, 8]
    assert found.purchases.repeats.tolist() == [1.0, 0.0]
    assert found.purchases.age.tolist() == [20.0, 18.0]
    # 5 + 6 on the first day and 4 on the second; 5 on the only one.
    assert found.margin.tolist() == [7.5, 5.0]
    assert Bought.until(ticks, 20 * DAY, Worth(margin_share=0.5)).margin.tolist() == [11.0, 5.0]
    assert lifetime_report(ticks, 30 * DAY, Worth()) == {}


def test_what_an_unsubscribe_comes_to_is_told_with_its_share():
    found = Lifetimes(customer=np.arange(2), alive=np.ones(2), orders=np.ones(2), order_value=np.full(2, 80.0),
                      value=np.full(2, 80.0))  # fmt: skip
    flat, shared = (lifetime.words(found, "EUR", Worth(unsubscribe=8.0, unsubscribe_share=by)) for by in (0.0, 0.05))
    assert "an unsubscribe as 8.00: as if it cost 10.0% of that" in flat
    assert "an unsubscribe as 8.00 and 5.0% of what they are still worth: as if it cost 15.0% of that" in shared
