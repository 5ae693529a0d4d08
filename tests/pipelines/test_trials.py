"""Trials: what refreshes add up to is kept from one judgement to the next; files of an earlier version are read."""

import orjson

from cxreco.pipelines.trials import Trial, Trials
from cxreco.repeat.chain import Chain


def test_a_trial_is_read_as_it_was_kept(tmp_path):
    trials = Trials(tmp_path)
    chain = Chain(gain=0.1, variance=0.02, links=3)
    kept = trials.keep(Trial(number=0, version="v1", judged="t1", cut=5, position=9, spec="s", chain=chain))
    assert trials.all() == [kept]
    assert trials.latest().chain == chain


def test_a_file_that_still_names_an_anchor_begins_a_chain(tmp_path):
    trials = Trials(tmp_path)
    trials.keep(Trial(number=0, version="v1", judged="t1", cut=5, position=9, spec="s"))
    path = next((tmp_path / "trials").glob("*.json"))
    fields = orjson.loads(path.read_bytes())
    del fields["chain"]
    path.write_bytes(orjson.dumps(fields | {"anchor": "v0"}))
    assert trials.latest().chain == Chain()
