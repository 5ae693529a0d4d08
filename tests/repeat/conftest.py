"""A simulated shop that lived eight weeks alone, and four days with the engine, whose policy nobody had trained."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cxreco.repeat.log import Log
from cxreco.respond.playbook import Playbook


@dataclass(frozen=True)
class Lived:
    """The log, and whom its decisions were made by."""

    log: Log
    playbook: Playbook
    specs: dict


@pytest.fixture(scope="session")
def lived(tmp_path_factory, playbook) -> Iterator[Lived]:
    from cxreco.edge.settings import Settings
    from cxreco.journey import Arm
    from cxreco.pipelines.gather import gather
    from cxreco.pipelines.ingest import imported
    from cxreco.pipelines.season import Season
    from cxreco.pipelines.simulate import lived as lived_alone
    from cxreco.pipelines.simulate import shop_of
    from cxreco.pipelines.workspace import opened

    folder = tmp_path_factory.mktemp("lived")
    world = lived_alone(shop_of("staples", customers=40, weeks=8), 3, folder / "shop", lambda _: None)
    arms = {Arm.CHAMPION: 60.0, Arm.RANDOM: 40.0}
    settings = Settings(home=folder / "home", arms=arms, salt="tests", durability="relaxed", decide_deadline_ms=60_000)
    with opened(settings) as workspace:
        for kind in ("items", "events"):
            imported(workspace, kind, folder / "shop" / f"{kind}.jsonl", None, quiet())
        season = Season("tests", world, settings)
        season.adopt(playbook)
        decisions = sum(season.days(4))
        season.close()
        workspace.shop.refresh()
        log = gather(workspace.store, workspace.shop)
        assert len(log.decisions.decisions) == decisions > 50
        yield Lived(log=log, playbook=playbook, specs=dict(workspace.specs.tables))


def quiet():
    from rich.console import Console

    return Console(quiet=True)
