"""Rank: the next items of each customer as of the end of the log, by the recalls and the ranker that serve."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from cxreco.edge.champion import load_playbook
from cxreco.edge.settings import Settings
from cxreco.errors import BadInput
from cxreco.journey import Moment, Surface
from cxreco.pipelines.gather import gathered
from cxreco.pipelines.trials import Trials
from cxreco.pipelines.workspace import Workspace, opened, steps, there
from cxreco.recognise.market import Market
from cxreco.recognise.replay import moments_of, replay
from cxreco.recognise.state import State
from cxreco.repeat.log import Log, market_at
from cxreco.request.features import item_features
from cxreco.request.moment_codes import MomentCodes, codes_of
from cxreco.request.propose import RequestModels
from cxreco.request.recalls import RECALLS, recall_all

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
COLUMN = "customer_id"
ENDINGS = (".parquet", ".jsonl")
EVERY = 1_000
LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Items of one customer, the best first, (n,) codes and scores; a score orders within its customer only."""

    codes: I32
    scores: F64


def run(settings: Settings, customers: Path, k: int, out: Path, console: Console) -> int:
    """Write the next `k` items of each customer: customer_id, item_id, rank (1 is the best), score."""
    if out.suffix not in ENDINGS:
        raise BadInput(f"expected a name that ends in {' or '.join(ENDINGS)}", where=str(out))
    asked = customers_in(customers)
    with opened(there(settings)) as workspace, steps(console) as step:
        models, name = _models(workspace)
        log = gathered(workspace, step)
        step("publishing the population")
        market = market_at(log, log.now)
        known = {customer: code for code, customer in enumerate(log.customers)}
        codes = [known.get(workspace.store.group(customer).customer_id, -1) for customer in asked]
        ranked: list[Ranking | None] = [None] * len(asked)
        for done, (row, ranking) in enumerate(rankings(models, log, market, np.array(codes, np.int64), k)):
            if done % max(EVERY, len(asked) // LINES) == 0:
                step(f"ranking for {len(asked):,} customers, from number {done + 1:,} on")
            ranked[row] = ranking
        table = _table(asked, ranked, market.codes.item_ids)
        if table.empty:
            raise BadInput(
                "nothing to rank: no item has a catalogue row that says it is there, at a price; import items"
            )
        step(f"writing {out.name}")
        _write(out, table)
    strangers = codes.count(-1)
    said = f", {strangers:,} of them unknown: those get what is popular" if strangers else ""
    console.print(
        escape(f"{len(asked):,} customers{said}; ranked by {name}, in {out}"), highlight=False, soft_wrap=True
    )
    return 0


def customers_in(path: Path) -> list[str]:
    """Return the customer ids of a file, each once: one a line, or the column customer_id of a .csv or .parquet.

    Raises
    ------
    BadInput
        If the file holds none.
    """
    try:
        if path.name.endswith(".parquet"):
            found = pd.read_parquet(path, columns=[COLUMN])[COLUMN].dropna().astype(str).tolist()
        elif path.name.endswith((".csv", ".csv.gz")):
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            found = table[COLUMN].tolist()
        else:
            found = path.read_text(encoding="utf-8-sig").splitlines()
    except (KeyError, ValueError, OSError, pd.errors.ParserError) as broken:
        raise BadInput(f"cannot be read for customer ids (a column {COLUMN}, or one a line): {broken}",
                       where=str(path)) from broken  # fmt: skip
    ids = list(dict.fromkeys(name for line in found if (name := line.strip())))
    if not ids:
        raise BadInput("holds no customer id", where=str(path))
    return ids


def rankings(models: RequestModels, log: Log, market: Market, customers: I64, k: int) -> Iterator[tuple[int, Ranking]]:
    """Yield (row, ranking) of each customer (n,) as of the end of the log; code -1 is a customer nobody knows."""
    for row, state in replay(log.ticks, moments_of(customers, np.full(customers.size, log.now))):
        yield row, ranked(models, state, log.now, market, k)


def ranked(models: RequestModels, state: State, at: int, market: Market, k: int) -> Ranking:
    """Return the `k` best items that can be bought, however recalled; popular ones where the recalls name too few.

    Scores are those of `propose` to the bit; what only decisions ask (when a need returns, how likely each is bought,
    what may be offered) is not computed.
    """
    mc = codes_of(Moment(customer_id="", at=at, surface=Surface.HOME), market)
    recalled = recall_all(state, mc, market, models.recall)
    scores = models.ranker.scores(
        item_features(state, mc, market, recalled.codes, recalled.scores, models.cupboard.tables)
    )
    buyable = market.columns.buyable[recalled.codes]
    codes, scores = recalled.codes[buyable], scores[buyable]
    if codes.size < k:
        more = _popular(market, recalled.codes, k - codes.size)
        codes, scores = (
            np.concatenate([codes, more]),
            np.concatenate([scores, _scored(models, state, mc, market, more)]),
        )
    best = np.lexsort((codes, -scores))[:k]
    return Ranking(codes=codes[best], scores=scores[best])


def _popular(market: Market, named: I32, most: int) -> I32:
    top = market.top
    return top[market.columns.buyable[top] & ~np.isin(top, named)][:most]


def _scored(models: RequestModels, state: State, mc: MomentCodes, market: Market, codes: I32) -> F64:
    if not codes.size:
        return np.empty(0)
    recalled_by_none = np.zeros((codes.size, len(RECALLS)))
    return models.ranker.scores(item_features(state, mc, market, codes, recalled_by_none, models.cupboard.tables))


def _models(workspace: Workspace) -> tuple[RequestModels, str]:
    """Return what ranks: the champion's models, or before there is one the latest challenger's."""
    champion, home = workspace.live(), workspace.settings.home
    if champion is not None:
        return load_playbook(home, champion.version, champion.sha256).request, f"the champion {champion.version}"
    version = Trials(home).latest().version
    return workspace.registry.playbook(version).request, f"the challenger {version}, for there is no champion"


def _table(asked: Sequence[str], ranked: Sequence[Ranking | None], item_ids: Sequence[str]) -> pd.DataFrame:
    kept = [(customer, ranking) for customer, ranking in zip(asked, ranked, strict=True) if ranking is not None]
    sizes = [ranking.codes.size for _, ranking in kept]
    return pd.DataFrame(
        {
            COLUMN: np.repeat(np.array([customer for customer, _ in kept], dtype=object), sizes),
            "item_id": [item_ids[code] for _, ranking in kept for code in ranking.codes.tolist()],
            "rank": np.concatenate([np.arange(1, size + 1) for size in sizes]),
            "score": np.concatenate([ranking.scores for _, ranking in kept]),
        }
    )


def _write(out: Path, table: pd.DataFrame) -> None:
    if out.suffix == ".parquet":
        table.to_parquet(out, index=False)
        return
    with out.open("wb") as file:
        for row in table.to_dict("records"):
            file.write(orjson.dumps(row) + b"\n")
