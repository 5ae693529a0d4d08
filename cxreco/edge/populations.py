"""Population statistics as published: one file each, named by their instant and the end of the log they were made from.

A decision records which one it used; replay and training read the same file.
"""

import io
from bisect import bisect_right
from collections import OrderedDict
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from cxreco.edge.champion import write_whole
from cxreco.errors import NotFound
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.population import Population, population_of
from cxreco.recognise.replay import empty_ticks

NONE = "none"
LOADED = 4
# Instants and ends of the log, ascending.
Published = list[tuple[int, int]]


class Populations:
    """The published statistics of a workspace.

    Parameters
    ----------
    folder
        Where they are kept, `<as_of>-<position>.npz` each.

    Attributes
    ----------
    published
        What serves.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: OrderedDict[str, Population] = OrderedDict()
        self.published = self.on_disk()

    def on_disk(self) -> Published:
        """Return what this process, and others, have published by now."""
        names = [path.stem.split("-") for path in self._folder.glob("*.npz") if not path.name.startswith(".")]
        return sorted((int(as_of), int(position)) for as_of, position in names)

    def version_at(self, at: int) -> str:
        """Return the version that serves a moment."""
        return version_of(self.published, at)

    def last_as_of(self, upto: int) -> int:
        """Return the instant of the latest statistics up to an instant; -1 where there are none."""
        return max((as_of for as_of, _ in self.published if as_of <= upto), default=-1)

    def named(self, version: str, shelf: Shelf) -> Population:
        """Return the statistics of a version; `none` knows of nothing that was ever sold.

        Raises
        ------
        NotFound
            If the file is gone.
        """
        if version == NONE:
            return population_of(empty_ticks(), shelf, 0)
        population = self._loaded.get(version)
        if population is None:
            path = self._folder / f"{version}.npz"
            if not path.is_file():
                raise NotFound(f"the population statistics {version} are gone from {self._folder}")
            with np.load(path, allow_pickle=False) as arrays:
                population = self._remember(version, Population.from_arrays(dict(arrays)))
        return population

    def keep(self, population: Population, as_of: int, position: int) -> str:
        """Publish statistics; returns their version."""
        version = f"{as_of}-{position}"
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(population.to_arrays())
        np.savez(buffer, allow_pickle=False, **arrays)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{version}.npz", buffer.getvalue())
        self._remember(version, population)
        self.published = sorted({*self.published, (as_of, position)})
        return version

    def _remember(self, version: str, population: Population) -> Population:
        self._loaded[version] = population
        while len(self._loaded) > LOADED:
            self._loaded.popitem(last=False)
        return population


def version_of(published: Published, at: int) -> str:
    """Return the version that serves a moment: the latest of instants up to it; `none` before the first."""
    count = bisect_right(published, at, key=itemgetter(0))
    return f"{published[count - 1][0]}-{published[count - 1][1]}" if count else NONE
