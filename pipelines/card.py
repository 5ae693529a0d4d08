"""The model card: what a champion is, what it was judged by, and what it does not know."""

from cxreco.pipelines.evaluate import Judgement
from cxreco.pipelines.trials import Trial
from cxreco.recognise.contract import write_time
from cxreco.respond.playbook import Playbook


def card_of(playbook: Playbook, trial: Trial, judgement: Judgement, currency: str) -> str:
    """Return the card in Markdown."""
    taught = f"{playbook.decisions:,} answered decisions" if playbook.decisions else "history alone (the apprentice)"
    rungs = playbook.ladder
    measured = "\n".join(f"| {name} | {value:.4g} |" for name, value in sorted(playbook.report.items()))
    return f"""# Champion {playbook.version}

| | |
|---|---|
| policy | {playbook.name} |
| learned from | {taught} |
| events seen up to | {write_time(playbook.trained_to)} |
| log position | {playbook.position:,} |
| specs | {playbook.spec} |
| judged from | {write_time(trial.cut)} on, by its twin {trial.judged} that was fitted on what came before |
| automatic execution, notice | {_categories(rungs.notice)} |
| automatic execution, automatic | {_categories(rungs.automatic)} |

## Verdict

```
{judgement.words(currency)}
```

## Measured in training

| what | value |
|---|---|
{measured}

## Known limits

* Estimates are of this policy followed by the logging policy; windows of a customer's decisions overlap.
* Slates of a recipe are judged as the recipe: a changed ranker shows in the item figures, not in the estimate above.
* Returns younger than their window are predicted.
"""


def _categories(thresholds: object) -> str:
    rows = dict(thresholds) if isinstance(thresholds, dict) else {}
    return ", ".join(f"{name} (certainty at least {value:.2f})" for name, value in sorted(rows.items())) or "none yet"
