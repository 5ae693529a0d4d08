"""One connection to a server that will be killed: what it says, and what it is told."""

import threading
from collections import deque
from typing import Any

import httpx

from killed.shop import EVENTS, Call, Life, Rows


class Stream:
    """One connection: makes call after call, and writes down what was acknowledged, until the line breaks.

    Attributes
    ----------
    todo
        What is to be said next; its first call is under way. The next round goes on from there.
    events
        Rows of the events that were acknowledged, by id.
    decisions
        Answers by decision id.
    asked
        What those were the answers to.
    unlogged
        Answers that said of themselves that they are not in the log.
    wrong
        Answers that no running server may give.
    """

    def __init__(self, port: int, life: Life, todo: deque[Call]) -> None:
        self.todo = todo
        self.events: dict[str, dict[str, Any]] = {}
        self.decisions: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, dict[str, Any]] = {}
        self.unlogged = 0
        self.wrong: list[str] = []
        self._life = life
        self._again = bool(todo)
        self._shown: Rows = []
        self._url = f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60.0) as client:
            try:
                while not self.wrong:
                    if not self.todo:
                        self.todo.extend(self._life.next(self._shown))
                        self._shown = []
                    path, body = self.todo[0]
                    answer = client.post(path, json=body)
                    if answer.status_code != 200:
                        self.wrong.append(answer.text)
                    elif path == EVENTS:
                        self._taken(body["events"], answer.json())
                    else:
                        self._answered(body, answer.json())
                    self.todo.popleft()
                    self._again = False
            except httpx.TransportError:
                return

    def _taken(self, rows: Rows, receipt: dict[str, Any]) -> None:
        there = receipt["duplicates"] if self._again else 0
        if receipt["accepted"] + there == len(rows):
            self.events |= {row["event_id"]: row for row in rows}
        else:
            self.wrong.append(str(receipt))

    def _answered(self, body: dict[str, Any], answer: dict[str, Any]) -> None:
        decision_id = answer["decision_id"]
        if "not logged" in " ".join(answer["reasons"]):
            self.unlogged += 1
            return
        self.decisions[decision_id] = answer
        self.asked[decision_id] = body
        if answer["mode"] != "hold":
            told = {"type": "decision_shown", "decision_id": decision_id, "occurred_at": answer["decided_at"]}
            self._shown.append({"event_id": f"shown-{decision_id}", "customer_id": answer["customer_id"], **told})
