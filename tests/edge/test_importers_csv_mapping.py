"""A table of one's own and its mapping file."""

import pytest

from cxreco.edge.importers import Report, read
from cxreco.edge.importers import mapping as mapping_module
from cxreco.edge.importers.mapping import load_mapping, mapping_of
from cxreco.errors import BadSpec
from cxreco.recognise.contract import write_time

SHOP = """\
Bon;Klant;Datum;Artikel;Omschrijving;Groep;Aantal;Prijs
b1;k1;01-07-2025 10:00;a1;Thee;drank;2;1.003,50
b2;k2;01-01-2025 10:00;a1;Thee;drank;1;3,50
b1;k1;01-07-2025 10:00;a2;Koek;;1;2,25
b3;k1;03-07-2025 10:00;a2;Koekje;;-1;2,25
b1;k1;01-07-2025 10:00;a3;Kop;kop;geen;2,25
"""


def _example():
    text = mapping_module.__doc__
    lines = text.split("::\n", 1)[1].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


def _read(tmp_path, table, toml):
    (tmp_path / "shop.csv").write_text(table)
    (tmp_path / "shop.toml").write_text(toml)
    report = Report(source="shop.csv")
    batches = list(read("csv", tmp_path / "shop.csv", tmp_path / "shop.toml", report=report))
    return [i for b in batches for i in b.parsed_items], [e for b in batches for e in b.parsed_events], report


def test_the_documented_example_is_one_that_works(tmp_path):
    items, events, report = _read(tmp_path, SHOP, _example())
    first, second, back = events
    assert (first.customer_id, first.fields["order_id"], write_time(first.occurred_at)) == (
        "k1",
        "b1",
        "2025-07-01T08:00:00+00:00",
    )
    assert [(line.item_id, line.quantity, line.price) for line in first.lines] == [
        ("a1", 2.0, 1003.5),
        ("a2", 1.0, 2.25),
    ]
    assert first.fields["currency"] == "EUR"
    assert write_time(second.occurred_at) == "2025-01-01T09:00:00+00:00"
    assert (back.type, back.lines[0].quantity, back.fields.get("order_id")) == ("order_returned", 1.0, None)
    assert [(item.item_id, item.title, item.category, item.price) for item in items] == [
        ("a1", "Thee", "drank", 3.5),
        ("a2", "Koekje", "", 2.25),
        ("a3", "Kop", "kop", 2.25),
    ]
    assert (report.rows, report.rejected["a line that breaks the contract"].count) == (5, 1)
    assert report.notes == {"returns that name no order of this file": 1}


def test_importing_twice_makes_the_same_ids(tmp_path):
    once, twice = (_read(tmp_path, SHOP, _example())[1] for _ in range(2))
    assert [event.event_id for event in once] == [event.event_id for event in twice]
    assert len({event.event_id for event in once}) == len(once)


def test_a_log_with_an_order_and_no_dates(tmp_path):
    toml = 'type = "order_completed"\n[columns]\ncustomer_id = "u"\nsequence = "n"\nitem_id = "i"\n'
    _, events, _ = _read(tmp_path, "u,n,i\n1,0,a\n1,0,b\n1,1,a\n2,0,a\n", toml)
    assert [(e.customer_id, e.dated, [line.item_id for line in e.lines]) for e in events] == [
        ("1", False, ["a", "b"]),
        ("1", False, ["a"]),
        ("2", False, ["a"]),
    ]
    assert events[0].occurred_at < events[1].occurred_at


def test_a_log_with_nothing_but_its_order_of_appearance(tmp_path):
    toml = 'type = {column = "what", values = {look = "product_viewed", buy = "product_added"}}\n'
    toml += '[columns]\ncustomer_id = "u"\nitem_id = "i"\n[time]\nappearance = true\n'
    _, events, report = _read(tmp_path, "u,what,i\n1,look,a\n1,look,a\n2,buy,a\n1,buy,a\n1,stare,a\n", toml)
    assert [event.type for event in events] == ["product_viewed", "product_viewed", "product_added", "product_added"]
    mine = [event.occurred_at for event in events if event.customer_id == "1"]
    assert mine == sorted(set(mine))
    assert report.ignored["what = 'stare'"].count == 1


def test_a_time_without_a_zone_is_refused_not_guessed(tmp_path):
    toml = 'type = "product_viewed"\n[columns]\ncustomer_id = "u"\nitem_id = "i"\noccurred_at = "t"\n'
    _, events, report = _read(tmp_path, "u,i,t\n1,a,2025-01-01 10:00\n1,a,soon\n", toml)
    assert events == []
    assert set(report.rejected) == {"occurred_at: has no offset from UTC", "occurred_at: is not an ISO 8601 time"}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, "type"),
        ({"type": "order"}, "order"),
        ({"type": "product_viewed", "columns": {"customer_id": "u"}}, "time"),
        ({"type": "product_viewed", "columns": {"occurred_at": "t", "colour": "c"}}, "colour"),
        ({"type": "product_viewed", "columns": {"occurred_at": 1}}, "occurred_at"),
        ({"type": "product_viewed", "colums": {}}, "colums"),
        ({"type": "product_viewed", "time": {"zone": "x"}}, "zone"),
        ({"type": "product_viewed", "time": 1}, "time"),
        ({"type": "product_viewed", "columns": {"occurred_at": "t"}, "time": {"timezone": "Mars/Olympus"}}, "Mars"),
        ({"type": "product_viewed", "columns": {"occurred_at": "t"}, "file": {"delimiter": "||"}}, "delimiter"),
        ({"type": "product_viewed", "columns": {"occurred_at": "t"}, "items": {"colour": "c"}}, "colour"),
    ],
)
def test_a_mapping_nobody_could_follow_is_refused(spec, wrong):
    with pytest.raises(BadSpec, match=wrong):
        mapping_of(spec, "m.toml")


def test_a_mapping_is_held_against_the_file_before_it_is_read(tmp_path):
    with pytest.raises(BadSpec, match="Klant"):
        _read(tmp_path, "a,b\n1,2\n", _example().replace('";"', '","'))
    (tmp_path / "bad.toml").write_text("type = ")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(BadSpec, match=name):
            load_mapping(tmp_path / name)
