"""UCI Online Retail (Chen, Sain & Guo 2012): the invoices of a UK gift wholesaler, as orders, returns and a catalogue.

What is decided here, and why:

* An invoice is one `order_completed`; its lines of one item are merged (quantities added, price their mean per unit).
* An invoice that begins with C is a return. Each of its lines is matched to the customer's most recent earlier order
  that holds the item, and lines of the same order become one `order_returned`; lines without a match (bought before the
  log began) become one without an `order_id`.
* A code that does not begin with five digits (POST, D, M, BANK CHARGES, DOT, CRUK, AMAZONFEE, gift_…) is no product.
* Times carry no offset: they are taken as the clock in London. An invoice is dated by its first line.
* There is no category: it is read from the title (`titles`). A title is the item's most frequent description.
* An item's price is its modal line price in the month. A later month makes a new version where its mode differs and was
  seen on at least three lines, so that a quantity discount is not taken for a price change.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxreco.edge.importers.batches import Batch, Raw, Report, Row, event_batches, item_batches
from cxreco.edge.importers.rows import ending_of, open_text
from cxreco.edge.importers.titles import category_of
from cxreco.errors import BadInput
from cxreco.recognise.contract import write_time

TIMEZONE = "Europe/London"
MIN_PRICE_LINES = 3
CODES_SHOWN = 6
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
# The second edition of the data set names some columns otherwise.
RENAMED = {"Invoice": "InvoiceNo", "Price": "UnitPrice", "Customer ID": "CustomerID"}
PRODUCT_CODE = r"\d{5}"


def read_online_retail(path: Path, report: Report) -> Iterator[Batch]:
    """Read the UCI CSV, gzipped or not: first the catalogue, then orders and returns in order of time.

    Raises
    ------
    BadInput
        If the file cannot be read or lacks a column; rows that are of no use are counted in `report` by reason.
    """
    lines = _usable(_read(path, report), report)
    returned = lines["InvoiceNo"].str.startswith("C")
    orders, returns = _merged(lines[~returned], report), _merged(lines[returned], report)
    returns = _matched(returns, orders, report)
    yield from item_batches(_item_rows(lines, returned), report)
    yield from event_batches(_event_rows(orders, returns), report)


def _read(path: Path, report: Report) -> pd.DataFrame:
    if ending_of(path) != ".csv":
        raise BadInput("is not the UCI file; expected .csv or .csv.gz", where=str(path))
    try:
        lines = _read_as(path, "utf-8-sig")
    except UnicodeDecodeError:
        lines = _read_as(path, "cp1252")
        report.note("the file is not UTF-8: read as Windows-1252")
    except (OSError, EOFError, pd.errors.ParserError, pd.errors.EmptyDataError) as broken:
        raise BadInput(f"cannot be read: {broken}; check the file", where=str(path)) from None
    lines = lines.rename(columns=RENAMED)
    if missing := [name for name in COLUMNS if name not in lines]:
        raise BadInput(f"lacks the columns {', '.join(missing)}; expected {', '.join(COLUMNS)}", where=str(path))
    report.rows += len(lines)
    return lines[list(COLUMNS)]


def _read_as(path: Path, encoding: str) -> pd.DataFrame:
    with open_text(path, encoding) as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def _usable(lines: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return the rows that say something about a customer and a product; count the others, each by its first reason."""
    customer = lines["CustomerID"].str.strip().str.removesuffix(".0")
    code = lines["StockCode"].str.strip()
    quantity = pd.to_numeric(lines["Quantity"], errors="coerce")
    price = pd.to_numeric(lines["UnitPrice"], errors="coerce")
    at = _moments(lines["InvoiceDate"])
    returned = lines["InvoiceNo"].str.startswith("C")
    reasons = {
        "no customer": customer == "",
        "unreadable number or date": quantity.isna() | price.isna() | np.isinf(quantity * price) | at.isna(),
        "not a product (postage, fees, discounts, vouchers, manual entries)": ~code.str.match(PRODUCT_CODE),
        "exact duplicate of an earlier row": lines.duplicated(),
        "price zero": price == 0,
        "price negative": price < 0,
        "quantity zero, or of the wrong sign for an order or a return": (quantity == 0) | ((quantity < 0) != returned),
    }
    usable = np.ones(len(lines), dtype=bool)
    for reason, applies in reasons.items():
        hit = usable & applies.to_numpy()
        if hit.any():
            report.reject(reason, _examples(lines, hit), int(hit.sum()))
        usable &= ~hit
    table = lines.assign(CustomerID=customer, StockCode=code, Quantity=quantity.abs(), UnitPrice=price)[usable]
    return table.assign(at=at[usable].astype("int64"))


def _examples(lines: pd.DataFrame, hit: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    """Name the first rows of a reason; or the codes, where a few account for most of them."""
    codes = lines.loc[hit, "StockCode"].value_counts()
    if codes.iloc[:CODES_SHOWN].sum() > 0.9 * codes.sum() and codes.sum() > 10 * CODES_SHOWN:
        return ", ".join(f"{code} {count:,}" for code, count in codes.iloc[:CODES_SHOWN].items())
    places = np.flatnonzero(hit)[:3]
    shown = lines.iloc[places]
    return ", ".join(
        f"row {place + 2}: {invoice} {code}"
        for place, invoice, code in zip(places, shown["InvoiceNo"], shown["StockCode"], strict=True)
    )


def _moments(dates: pd.Series) -> pd.Series:
    """Return the times, in microseconds, of London clock times; the hour that occurs twice is taken as winter time."""
    naive = pd.to_datetime(dates, errors="coerce", format="ISO8601")
    if naive.isna().all():  # the second edition writes 12/1/2010 8:26
        naive = pd.to_datetime(dates, errors="coerce", format="%m/%d/%Y %H:%M")
    winter = np.zeros(len(naive), dtype=bool)
    local = naive.dt.tz_localize(TIMEZONE, ambiguous=winter, nonexistent="shift_forward")
    return local.dt.tz_convert("UTC").dt.as_unit("us")


def _merged(lines: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Return one row per invoice and item: quantity added up, price the mean per unit, time that of the invoice."""
    at = lines.groupby("InvoiceNo")["at"].transform("min")
    table = lines.assign(at=at, money=lines["Quantity"] * lines["UnitPrice"])
    merged = table.groupby(["InvoiceNo", "StockCode"], sort=False, as_index=False).agg(
        CustomerID=("CustomerID", "first"),
        Country=("Country", "first"),
        at=("at", "first"),
        Quantity=("Quantity", "sum"),
        money=("money", "sum"),
    )
    if fewer := len(lines) - len(merged):
        report.note("lines merged into another line of the same invoice and item", fewer)
    price = (merged["money"] / merged["Quantity"]).round(4)
    return merged.assign(UnitPrice=price).sort_values(["at", "InvoiceNo"], kind="stable", ignore_index=True)


def _matched(returns: pd.DataFrame, orders: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Name, for each returned line, the customer's latest earlier order that holds the item ("": none in the log)."""
    joinable = not returns.empty and not orders.empty  # pandas cannot join what has no rows
    matched = _joined(returns, orders) if joinable else returns.assign(order_id="")
    lost = int((matched["order_id"] == "").sum())
    report.note("returned lines matched to the order they came from", len(matched) - lost)
    report.note("returned lines without an earlier order of that customer and item in the log", lost)
    return matched


def _joined(returns: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    keys = ["CustomerID", "StockCode"]
    sold = orders[[*keys, "at", "InvoiceNo"]].rename(columns={"InvoiceNo": "order_id"})
    matched = pd.merge_asof(returns, sold, on="at", by=keys, direction="backward")
    return matched.assign(order_id=matched["order_id"].fillna(""))


def _event_rows(orders: pd.DataFrame, returns: pd.DataFrame) -> Iterator[Raw]:
    """Yield contract rows in order of time, an order before a return of the same minute."""
    placed = orders.assign(order_id=orders["InvoiceNo"], type="order_completed")
    undone = returns.assign(type="order_returned")
    lines = pd.concat([placed, undone], ignore_index=True)
    lines = lines.sort_values(["at", "type", "InvoiceNo", "order_id"], kind="stable")
    heads = [lines[name].tolist() for name in ("type", "InvoiceNo", "order_id", "CustomerID", "at", "Country")]
    bodies = [lines[name].tolist() for name in ("StockCode", "Quantity", "UnitPrice")]
    grouped = groupby(zip(zip(*heads, strict=True), zip(*bodies, strict=True), strict=True), key=itemgetter(0))
    for number, (head, group) in enumerate(grouped, start=1):
        yield Raw(number, _event_row(*head, lines=[line for _, line in group]))


def _event_row(
    kind: str,
    invoice: str,
    order_id: str,
    customer: str,
    at: int,
    country: str,
    *,
    lines: list[tuple[str, float, float]],
) -> Row:
    row: Row = {
        "event_id": f"uci-{invoice}" if kind == "order_completed" else f"uci-{invoice}-{order_id}",
        "type": kind,
        "customer_id": customer,
        "occurred_at": write_time(at),
        "items": [{"item_id": item, "quantity": quantity, "price": price} for item, quantity, price in lines],
        "properties": {"country": country},
    }
    return row | {"order_id": order_id} if order_id else row


def _item_rows(lines: pd.DataFrame, returned: pd.Series) -> Iterator[Raw]:
    """Yield the versions of each item in order of time; an item seen in returns alone takes its price from them."""
    described = lines.loc[lines["Description"].str.strip() != "", ["StockCode", "Description"]]
    names = described.assign(n=1).groupby(["StockCode", "Description"], as_index=False).agg(n=("n", "sum"))
    names = names.sort_values(["n", "Description"], ascending=[False, True], kind="stable")
    title_of = names.drop_duplicates("StockCode").set_index("StockCode")["Description"].str.strip()
    sold = lines[~returned]
    only_returned = lines[returned & ~lines["StockCode"].isin(sold["StockCode"].unique())]
    versions = _price_versions(pd.concat([sold, only_returned]))
    columns = zip(versions["StockCode"].tolist(), versions["UnitPrice"].tolist(), versions["at"].tolist(), strict=True)
    for number, (code, price, at) in enumerate(columns, start=1):
        title = str(title_of.get(code, code))
        row = {"item_id": code, "title": title, "category": category_of(title), "price": price}
        yield Raw(number, row | {"effective_at": write_time(at)})


def _price_versions(lines: pd.DataFrame) -> pd.DataFrame:
    """Return (StockCode, UnitPrice, at): the months where an item's modal price became another one, oldest first."""
    month = pd.to_datetime(lines["at"], unit="us").dt.strftime("%Y%m").astype("int64")
    counted = lines.assign(month=month).groupby(["StockCode", "month", "UnitPrice"], as_index=False)
    prices = counted.agg(n=("at", "size"), at=("at", "min"))
    prices = prices.sort_values(["StockCode", "month", "n", "UnitPrice"], ascending=[True, True, False, True])
    modal = prices.drop_duplicates(["StockCode", "month"])
    first = ~modal.duplicated("StockCode")
    modal = modal[first | (modal["n"] >= MIN_PRICE_LINES)]
    changed = modal["UnitPrice"].ne(modal.groupby("StockCode")["UnitPrice"].shift())
    return modal[changed].sort_values(["at", "StockCode"], kind="stable")
