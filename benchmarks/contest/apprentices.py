"""Seasons under the apprentice, for who wants to look at every moment of one."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from contest.shops import Plot, founded
from cxreco.errors import NotFound
from cxreco.journey import Arm
from cxreco.pipelines.season import Season, branch, under
from cxreco.pipelines.workspace import Workspace, opened
from cxreco.respond.playbook import Playbook

S = TypeVar("S", bound=Season)


def champion_of(workspace: Workspace) -> Playbook:
    """Return the playbook that is live.

    Raises
    ------
    NotFound
        If there is none.
    """
    champion = workspace.live()
    if champion is None:
        raise NotFound("the shop has no champion: its history taught nothing")
    return workspace.registry.playbook(champion.version)


def under_apprentice(plot: Plot, home: Path, kind: type[S], say: Callable[[str], None]) -> S:
    """Found a shop, live its weeks under the apprentice, and return the season, closed."""
    say(f"{plot.name}: history and apprentice")
    shop = founded(plot, home / plot.name)
    world, name = shop.world(), kind.__name__.lower()
    own = under(shop.settings(home), branch(shop.base, shop.home / name), Arm.CHAMPION)
    with opened(own, clock=lambda: world.now) as workspace:
        playbook = champion_of(workspace)
    season = kind(name, world, own)
    with closing(season):
        season.adopt(playbook)
        for day, _ in enumerate(season.days(7 * plot.weeks)):
            if day % 7 == 0:
                say(f"{plot.name}: week {day // 7 + 1} of {plot.weeks}")
    return season
