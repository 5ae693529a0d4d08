"""Files of the contract's own columns: every format says the same, and a broken row costs itself alone."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxreco.edge.importers import KINDS, Report, iter_events, read
from cxreco.errors import BadInput
from cxreco.recognise.events import to_row

EVENTS = [
    {
        "event_id": "1",
        "type": "order_completed",
        "customer_id": "17850",
        "occurred_at": "2026-03-01T12:00:00+00:00",
        "order_id": "9",
        "items": [{"item_id": "A1", "quantity": 2.0, "price": 9.5}],
    },
    {
        "event_id": "2",
        "type": "survey_answered",
        "customer_id": "17850",
        "occurred_at": "2026-03-02T12:00:00+00:00",
        "instrument": "nps",
        "score": 9.0,
    },
    {
        "event_id": "3",
        "type": "consent_changed",
        "customer_id": "17850",
        "occurred_at": "2026-03-03T12:00:00+00:00",
        "purpose": "marketing",
        "granted": False,
    },
]
COLUMNS = list({name: None for row in EVENTS for name in row})


def _cell(value):
    if isinstance(value, list | bool):
        return json.dumps(value)
    return "" if value is None else str(value)


def _csv(rows):
    quoted = [",".join('"' + _cell(row.get(name)).replace('"', '""') + '"' for name in COLUMNS) for row in rows]
    return "\n".join([",".join(COLUMNS), *quoted]) + "\n"


def _write(path: Path, rows):
    if path.suffix == ".parquet":
        flat = [{name: row.get(name) for name in COLUMNS} for row in rows]
        pq.write_table(pa.Table.from_pylist(flat), path)
        return path
    plain = path.name.removesuffix(".gz")
    text = json.dumps(rows) if plain.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)
    text = _csv(rows) if plain.endswith(".csv") else text
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".ndjson", ".json", ".csv", ".csv.gz", ".parquet"])
def test_every_format_says_the_same(tmp_path, ending):
    report = Report(source="log")
    got = [to_row(event) for event in iter_events(_write(tmp_path / f"log{ending}", EVENTS), report)]
    assert got == EVENTS
    assert (report.rows, report.n_events, report.rejected) == (3, 3, {})


def test_a_broken_line_is_counted_with_its_number(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [
        json.dumps(EVENTS[0]),
        "{",
        "",
        "[1]",
        json.dumps(EVENTS[1] | {"score": 11}),
        json.dumps(EVENTS[1] | {"score": -4}),
    ]
    path.write_text("\n".join([*lines, json.dumps(EVENTS[2])]))
    report = Report(source="log")
    batches = list(read("events", path, report=report))
    assert [row["event_id"] for batch in batches for row in batch.events] == ["1", "3"]
    assert [event.event_id for batch in batches for event in batch.parsed_events] == ["1", "3"]
    assert report.rows == 6
    assert {name: reason.count for name, reason in report.rejected.items()} == {
        "not JSON": 1,
        "not a JSON object": 1,
        "score: must be a number from 0 to 10": 2,
    }
    assert report.rejected["not JSON"].examples[0].startswith("row 2:")
    assert report.rejected["score: must be a number from 0 to 10"].examples[0].startswith("row 5: score")
    printed = "\n".join(report.lines())
    assert all(part in printed for part in ("log: 6 rows read", "2 events", "not JSON", "row 2:"))


def test_a_csv_row_of_another_width_is_rejected_alone(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text(
        'item_id,title,category,price,available\nA1,"Tea, black",drinks,3.5,yes\nA2,Tea\nA3,"two\nlines",,0,false\n'
    )
    report = Report(source="items")
    items = [item for batch in read("items", path, report=report) for item in batch.parsed_items]
    assert [(item.item_id, item.title, item.price, item.available) for item in items[:1]] == [
        ("A1", "Tea, black", 3.5, True)
    ]
    assert {name: reason.examples for name, reason in report.rejected.items()} == {
        "another number of cells than the header": ["row 3: 2 cells, 5 columns"],
        "category: is missing": ["row 4: category: is missing; an item needs it"],
    }
    assert report.items == 1


def test_parquet_keeps_nested_lines_times_and_numeric_ids(tmp_path):
    path = tmp_path / "log.parquet"
    table = pa.table(
        {
            "event_id": ["1", "2"],
            "type": ["order_completed", "product_viewed"],
            "customer_id": pa.array([17850.0, 17851.0]),
            "occurred_at": pa.array([0, 10**6], pa.timestamp("us", "UTC")),
            "order_id": pa.array([9.0, None]),
            "item_id": [None, "A1"],
            "quantity": pa.array([float("nan"), 2.0]),
            "items": [[{"item_id": "A1", "quantity": 2.0, "price": None}], None],
        }
    )
    pq.write_table(table, path)
    report = Report(source="log")
    first, second = iter_events(path, report)
    assert (first.customer_id, first.fields["order_id"], first.lines[0].quantity) == ("17850", "9", 2.0)
    assert (second.customer_id, second.occurred_at, second.fields["quantity"]) == ("17851", 10**6, 2.0)
    assert not report.rejected


def test_what_cannot_be_read_at_all_says_what_to_do(tmp_path):
    (tmp_path / "log.xlsx").write_text("?")
    (tmp_path / "log.csv").write_bytes(b"event_id\n\xff\xfe\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 99)[:-12])
    (tmp_path / "log.parquet").write_text("no")
    (tmp_path / "log.json").write_text("[1,")
    for name in ("none.csv", "log.xlsx", "log.csv", "empty.csv", "log.jsonl.gz", "log.parquet", "log.json"):
        with pytest.raises(BadInput) as caught:
            list(read("events", tmp_path / name, report=Report(source=name)))
        assert name in str(caught.value)


def test_the_dispatch_knows_its_kinds(tmp_path):
    path = _write(tmp_path / "log.jsonl", EVENTS)
    assert set(KINDS) == {"items", "events", "online-retail", "csv", "segment", "ga4"}
    for kind, mapping in (("excel", None), ("csv", None), ("events", path)):
        with pytest.raises(BadInput):
            read(kind, path, mapping, report=Report(source="log"))
