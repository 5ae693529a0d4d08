"""The playbook: everything needed to decide, as one value that is trained, judged, promoted and rolled back whole.

It is written as named texts and bytes and read back without running any code: JSON, LightGBM's own text, and what the
request models keep. Its version is the hash of what it says, so a changed byte is another playbook.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import StalePlaybook
from cxreco.recognise.layout import FOLD_VERSION
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.request.forest import verified
from cxreco.request.propose import RequestModels
from cxreco.respond.guardrails import Guardrails
from cxreco.respond.head import Head
from cxreco.respond.ladder import Bar, Ladder
from cxreco.respond.lift import Lift
from cxreco.respond.policy import Policy
from cxreco.respond.still_worth import StillWorth
from cxreco.respond.value import HEADS, Basket, ValueModel, width_of
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """All that is needed to decide, one version.

    Attributes
    ----------
    name
        Name of the policy, as clients see it.
    salt
        Secret seed of the draws.
    trained_to
        Events up to this instant (microseconds) were seen in training.
    position
        Position of the log it was trained from.
    decisions
        Number of logged decisions learned from; 0: the apprentice.
    spec
        Hash of the specs: the same spec with more data is a refresh, another is a change.
    report
        What training measured, for the model card.
    """

    name: str
    salt: str
    trained_to: int
    position: int
    decisions: int
    spec: str
    request: RequestModels
    value: ValueModel
    policy: Policy
    guardrails: Guardrails
    ladder: Ladder
    report: Mapping[str, float] = field(default_factory=dict)
    version: str = ""

    @property
    def apprentice(self) -> bool:
        """Whether it decides by beliefs alone, no logged decision having taught it yet."""
        return self.decisions == 0

    def to_files(self) -> dict[str, bytes]:
        """Return the playbook as files; the version is not among them, it is their hash."""
        texts = {
            "playbook.json": {
                "name": self.name, "salt": self.salt, "trained_to": self.trained_to, "position": self.position,
                "decisions": self.decisions, "spec": self.spec, "fold": FOLD_VERSION, "report": dict(self.report),
                "features": list(VALUE_FEATURES),
            },
            "policy.json": plain(self.policy),
            "guardrails.json": plain(self.guardrails) | {"bar": plain(self.guardrails.bar)},
            "ladder.json": self.ladder.to_spec(),
        }  # fmt: skip
        lift, trees = self.value.lift.to_spec()
        texts["value.json"] = _value_out(self.value) | {"lift": lift}
        files = {name: json.dumps(text, sort_keys=True, indent=1).encode() for name, text in texts.items()}
        for name, head in self.value.heads.items():
            if head.trees is not None:
                files[f"heads/{name}.txt"] = head.trees.text.encode()
        return files | trees | {f"request/{name}": content for name, content in self.request.to_files().items()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Playbook":
        """Read what `to_files` wrote.

        Raises
        ------
        StalePlaybook
            If a file is missing, or the fold or the features are not this program's.
        """
        try:
            about = json.loads(files["playbook.json"])
            if about["fold"] != FOLD_VERSION or about["features"] != list(VALUE_FEATURES):
                raise StalePlaybook("was trained for another fold or other features: retrain with this version")
            bars = json.loads(files["guardrails.json"])
            request = {name[8:]: content for name, content in files.items() if name.startswith("request/")}
            return cls(
                **{
                    key: about[key] for key in ("name", "salt", "trained_to", "position", "decisions", "spec", "report")
                },
                request=RequestModels.from_files(request),
                value=_value_in(files),
                policy=Policy(**json.loads(files["policy.json"])),
                guardrails=Guardrails(**(bars | {"bar": Bar(**bars["bar"])})),
                ladder=Ladder.from_spec(json.loads(files["ladder.json"])),
                version=version_of(files),
            )
        except KeyError as missing:
            raise StalePlaybook(f"{missing} is missing from the playbook") from missing


def version_of(files: Mapping[str, bytes]) -> str:
    """Return the version of a playbook: twelve hex digits of the hash of its files."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return total.hexdigest()[:12]


def sealed(playbook: Playbook) -> Playbook:
    """Return the playbook as it will be read back, with its version."""
    return Playbook.from_files(playbook.to_files())


def plain(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the fields of a flat frozen dataclass."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _value_out(model: ValueModel) -> dict[str, Any]:
    heads = {
        name: {
            "theta": _packed(head.theta), "covariance": _packed(head.covariance), "slope": head.slope,
            "intercept": head.intercept, "rows": head.rows, "report": head.report,
        }
        for name, head in model.heads.items()
    }  # fmt: skip
    basket = {"usual": model.basket.usual, "pseudo_orders": model.basket.pseudo_orders}
    return {
        "heads": heads,
        "basket": basket,
        "carried": list(model.carried),
        "stopped": model.stopped,
        "disputed": model.disputed,
        "worth": model.worth.to_spec(),
        "rates": dict(model.rates),
        "still_worth": plain(model.still_worth),
    }


def _value_in(files: Mapping[str, bytes]) -> ValueModel:
    saved = json.loads(files["value.json"])
    basket = saved["basket"]
    return ValueModel(
        heads={name: _head_in(saved["heads"][name], files.get(f"heads/{name}.txt"), width_of(name)) for name in HEADS},
        basket=Basket(usual=basket["usual"], pseudo_orders=basket["pseudo_orders"]),
        carried=(saved["carried"][0], saved["carried"][1]),
        stopped=saved["stopped"],
        disputed=saved["disputed"],
        worth=Worth.from_spec(saved["worth"]),
        rates=saved["rates"],
        # Playbooks of before these were learned have neither.
        lift=Lift.from_spec(saved["lift"], files) if "lift" in saved else Lift(),
        still_worth=StillWorth(**saved.get("still_worth", {})),
    )


def _head_in(saved: Mapping[str, Any], text: bytes | None, width: int) -> Head:
    theta = _unpacked(saved["theta"])
    if theta.size != width:
        raise StalePlaybook(f"a head has {theta.size} coefficients, this program {width}: retrain with this version")
    return Head(
        theta=theta,
        covariance=_unpacked(saved["covariance"]).reshape(theta.size, theta.size),
        trees=None if text is None else verified(text.decode(), _PROBES),
        slope=saved["slope"],
        intercept=saved["intercept"],
        rows=saved["rows"],
        report=saved["report"],
    )


# Rows on which a scorer is checked against LightGBM when a playbook is read: plain, unknown and extreme.
_PROBES = np.vstack(
    [
        np.random.default_rng(0).normal(size=(30, len(VALUE_FEATURES))),
        np.random.default_rng(1).exponential(30.0, size=(30, len(VALUE_FEATURES))),
        np.full((1, len(VALUE_FEATURES)), np.nan),
        np.zeros((1, len(VALUE_FEATURES))),
    ]
)


def _packed(array: F64) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f8").tobytes()).decode()


def _unpacked(text: str) -> F64:
    return np.frombuffer(base64.b64decode(text), dtype="<f8").copy()
