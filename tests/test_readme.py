"""What the README says is there, is there: links, commands, make targets, settings, requests."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from cxreco.cli import app
from cxreco.edge.schemas import DecisionIn
from cxreco.edge.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SHELL = "\n".join(block for language, block in FENCED if language == "sh")
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL))
LINKS = sorted({link for link in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in link})
# Notation, not a command: `train | evaluate`, `COMMAND`.
COMMANDS = sorted(set(re.findall(r"\bcxreco(?: --home \S+)? ([a-z][a-z-]*)", "\n".join([SHELL, *INLINE]))))
TARGETS = sorted(set(re.findall(r"\bmake ([a-z]+)", "\n".join([SHELL, *INLINE]))))


def anchors() -> set[str]:
    headings = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def bodies() -> list[str]:
    """Return every JSON object that is a request for a decision: it names a customer, and no decision yet."""
    sent = re.findall(r"-d '(\{.*?\})'", SHELL, flags=re.DOTALL)
    written = [block for language, block in FENCED if language == "json"]
    return [text for text in [*sent, *written] if "customer_id" in json.loads(text) and "decision_id" not in text]


@pytest.mark.parametrize("link", LINKS)
def test_every_relative_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    assert (ROOT / path).exists()
    assert not anchor or path or anchor in anchors()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_named_exists(name: str) -> None:
    assert name in get_command(app).commands


@pytest.mark.parametrize("name", TARGETS)
def test_every_make_target_named_exists(name: str) -> None:
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("body", bodies())
def test_every_decision_request_keeps_to_the_contract(body: str) -> None:
    assert DecisionIn.model_validate_json(body).customer_id


def test_the_table_of_settings_is_complete() -> None:
    named = set(re.findall(rf"`{PREFIX}([A-Z_]+)`", README))
    assert {name.lower() for name in named} == set(Settings.model_fields)


def test_the_guide_says_how_to_start() -> None:
    assert {"demo", "test"} <= set(TARGETS)
    assert {"import", "check", "retrain", "serve", "estimate", "replay", "why", "ui"} <= set(COMMANDS)
    assert bodies()
    assert README.count("<!-- excerpt: demo") == 2
    assert README.count("<!-- /excerpt -->") == 2
