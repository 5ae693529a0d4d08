"""UCI Online Retail: what becomes of each quirk of the file, and of the file itself."""

import gzip

import pytest

from cxreco.edge.importers import Report, read
from cxreco.edge.importers.titles import category_of
from cxreco.errors import BadInput
from cxreco.recognise.contract import write_time

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
ROWS = """\
1,85123A,HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.50,7,UK
1,71053,METAL LANTERN,6,2010-12-01 08:26:00,3.39,7,UK
1,71053,METAL LANTERN,2,2010-12-01 08:27:00,2.39,7,UK
1,71053,METAL LANTERN,2,2010-12-01 08:27:00,2.39,7,UK
1,POST,POSTAGE,1,2010-12-01 08:26:00,18,7,UK
2,71053,METAL LANTERN,1,2011-07-01 12:00:00,3.39,7,UK
3,71053,METAL LANTERN,1,2011-07-02 12:00:00,3.39,8,UK
C4,71053,METAL LANTERN,-1,2011-07-03 12:00:00,3.39,7,UK
C4,85123A,HEART T-LIGHT HOLDER,-2,2011-07-03 12:00:00,2.50,7,UK
C4,22222,GLASS JAR,-2,2011-07-03 12:00:00,1.50,7,UK
C5,D,Discount,-1,2011-07-04 12:00:00,5,7,UK
6,71053,METAL LANTERN,1,2011-07-04 12:00:00,3.39,,UK
7,71053,METAL LANTERN,1,2011-07-04 12:00:00,0,7,UK
8,71053,METAL LANTERN,-1,2011-07-04 12:00:00,1,7,UK
9,71053,METAL LANTERN,one,2011-07-04 12:00:00,1,7,UK
10,71053,METAL LANTERN (dented),1,2011-08-04 12:00:00,4.00,9,UK
11,71053,METAL LANTERN,1,2011-08-05 12:00:00,4.00,9,UK
12,71053,METAL LANTERN,1,2011-08-06 12:00:00,4.00,9,UK
"""


def _read(path):
    report = Report(source="retail")
    batches = list(read("online-retail", path, report=report))
    return [i for b in batches for i in b.parsed_items], [e for b in batches for e in b.parsed_events], report


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "retail.csv"
    path.write_text(f"{HEADER}\n{ROWS}")
    return _read(path)


def test_each_row_is_used_or_counted_once(small):
    _, _, report = small
    assert report.rows == 18
    assert {name.split(" (")[0].split(",")[0]: reason.count for name, reason in report.rejected.items()} == {
        "no customer": 1,
        "unreadable number or date": 1,
        "not a product": 2,
        "exact duplicate of an earlier row": 1,
        "price zero": 1,
        "quantity zero": 1,
    }
    assert report.events == {"order_completed": 6, "order_returned": 3}


def test_lines_of_one_item_are_merged_with_the_mean_price_per_unit(small):
    _, events, _ = small
    first = events[0]
    assert (first.event_id, first.fields["order_id"], first.customer_id) == ("uci-1", "1", "7")
    lines = {line.item_id: (line.quantity, line.price) for line in first.lines}
    assert lines == {"85123A": (6.0, 2.5), "71053": (8.0, pytest.approx((6 * 3.39 + 2 * 2.39) / 8))}


def test_times_are_london_time(small):
    _, events, _ = small
    assert write_time(events[0].occurred_at) == "2010-12-01T08:26:00+00:00"
    assert write_time(events[1].occurred_at) == "2011-07-01T11:00:00+00:00"
    assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)


def test_a_returned_line_finds_the_latest_order_of_that_customer_and_item(small):
    _, events, report = small
    returned = {event.fields.get("order_id"): event for event in events if event.type == "order_returned"}
    assert {order: [(line.item_id, line.quantity) for line in event.lines] for order, event in returned.items()} == {
        "2": [("71053", 1.0)],
        "1": [("85123A", 2.0)],
        None: [("22222", 2.0)],
    }
    assert sorted(report.notes.values()) == [1, 1, 2]


def test_items_have_the_usual_title_and_a_version_per_lasting_price(small):
    items, _, _ = small
    lantern = [
        (item.title, item.price, write_time(item.effective_at)[:10]) for item in items if item.item_id == "71053"
    ]
    assert lantern == [("METAL LANTERN", 2.39, "2010-12-01"), ("METAL LANTERN", 4.0, "2011-08-04")]
    assert {item.item_id for item in items} == {"71053", "85123A", "22222"}


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "candle holders"),
        ("JUMBO BAG RED RETROSPOT", "bags"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN ", "tins and jars"),
        ("LUNCH BOX WITH CUTLERY RETROSPOT ", "boxes"),
        ("SPACE OWL", "other"),
        ("", "other"),
    ],
)
def test_a_category_is_the_last_noun_before_a_preposition(title, category):
    assert category_of(title) == category


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="lacks the columns InvoiceNo"):
        _read(path)
    path.write_bytes(b"")
    with pytest.raises(BadInput):
        _read(path)


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ("1,POST,POSTAGE,1,2010-12-01 08:26:00,1,,UK", []),
        ("1,22222,GLASS JAR £1,1,2010-12-01 08:26:00,1,7,UK", ["order_completed"]),
        ("C1,22222,GLASS JAR,-1,2010-12-01 08:26:00,1,7,UK", ["order_returned"]),
    ],
)
def test_a_file_of_one_row_in_the_old_encoding(tmp_path, row, kinds):
    path = tmp_path / "one.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{row}\n".encode("cp1252")))
    items, events, report = _read(path)
    assert [event.type for event in events] == kinds
    assert len(items) == len(kinds)
    assert report.rows == 1


def test_the_real_file_is_accounted_for_row_by_row(data_file):
    items, events, report = _read(data_file("online_retail/online_retail.csv.gz"))
    assert report.rows == 370_931
    assert {name.split(" (")[0]: reason.count for name, reason in report.rejected.items()} == {
        "no customer": 98_056,
        "not a product": 1_342,
        "exact duplicate of an earlier row": 2_813,
        "price zero": 20,
    }
    merged = report.notes["lines merged into another line of the same invoice and item"]
    left_out = sum(reason.count for reason in report.rejected.values())
    assert report.rows == left_out + merged + sum(len(event.lines) for event in events)
    assert len({event.event_id for event in events}) == len(events) == report.n_events
    ordered = {event.fields["order_id"] for event in events if event.type == "order_completed"}
    named = {
        event.fields["order_id"] for event in events if event.type == "order_returned" and "order_id" in event.fields
    }
    assert named and named <= ordered
    assert {line.item_id for event in events for line in event.lines} == {item.item_id for item in items}
