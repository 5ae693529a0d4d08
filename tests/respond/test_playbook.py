"""A playbook is one value: written and read back it decides the same, and a changed byte is another playbook."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.errors import StalePlaybook
from cxreco.journey import Moment, Surface
from cxreco.respond.playbook import Playbook, sealed, version_of


def test_read_back_it_decides_the_same(corner, decided, playbook, now):
    read = Playbook.from_files(playbook.to_files())
    assert read.version == playbook.version and read.to_files() == playbook.to_files()
    for customer in range(3):
        for surface in (Surface.HOME, Surface.OUTBOUND):
            moment = Moment(customer_id=str(customer), at=now, surface=surface, channel="email")
            state = corner.state(customer, corner.consent(customer, 1.0, True))
            for n in range(5):
                one, two = (decided(moment, state, book=book, decision_id=str(n)) for book in (playbook, read))
                assert one.choice == two.choice and one.rung == two.rung and one.expires_at == two.expires_at
                assert np.array_equal(one.candidates.x, two.candidates.x, equal_nan=True)


@given(data=st.data())
def test_a_changed_byte_is_another_version(playbook, data):
    files = playbook.to_files()
    name = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[name]) - 1))
    flip = data.draw(st.integers(1, 255))
    content = bytearray(files[name])
    content[place] ^= flip
    assert version_of(files | {name: bytes(content)}) != playbook.version
    assert version_of({other: files[other] for other in files if other != name}) != playbook.version
    assert version_of(dict(reversed(files.items()))) == playbook.version


def test_what_it_says_makes_its_version(playbook):
    assert sealed(replace(playbook, version="mine")).version == playbook.version
    assert sealed(replace(playbook, salt="other")).version != playbook.version
    assert playbook.apprentice and not replace(playbook, decisions=1).apprentice


@pytest.mark.parametrize("spoil", ["fold", "features", "missing"])
def test_one_of_another_time_is_stale(playbook, spoil):
    files = dict(playbook.to_files())
    about = json.loads(files["playbook.json"])
    if spoil == "missing":
        del files["ladder.json"]
    else:
        about[spoil] = 0 if spoil == "fold" else about[spoil][1:]
        files["playbook.json"] = json.dumps(about).encode()
    with pytest.raises(StalePlaybook, match="missing" if spoil == "missing" else "retrain"):
        Playbook.from_files(files)
