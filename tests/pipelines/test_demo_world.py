"""What the demo prints fits where it is read."""

import numpy as np
import pytest
from rich.console import Console

from cxreco.journey import MODES
from cxreco.pipelines.demo_world import POLICIES, Result, conduct_table, confusion_table, harm_table, worth_table


@pytest.fixture(scope="module")
def result() -> Result:
    rng = np.random.default_rng(3)
    names = [name for name, _ in POLICIES]
    return Result(
        money={name: rng.normal(6.0, 1.0, (20, 4)) for name in names},
        counts={name: {"return": 1_234, "complaint": 12, "contact": 12_345} for name in names},
        modes={name: rng.integers(1, 900, len(MODES)).astype(np.float64) for name in names},
        confusion=rng.integers(1, 900, (len(MODES), len(MODES))).astype(np.float64),
        promotions=[],
        worth={name: rng.uniform(1.0, 2.0, (2, 4)) for name in names},
        learned=np.zeros((20, 4)),
    )


def test_every_table_fits_a_terminal_of_eighty_columns_with_every_heading_whole(result: Result) -> None:
    console = Console(record=True, width=80)
    for table in (worth_table(result, "EUR"), conduct_table(result), harm_table(result), confusion_table(result)):
        console.print(table)
    told = console.export_text()
    assert "…" not in told
    for heading in ("never retrained", "hand-written rules", "automatic", "unsubscribed", "12,345"):
        assert heading in told
