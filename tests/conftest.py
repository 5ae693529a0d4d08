"""What all tests share: a clean environment and the real data sets."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from cxreco.respond.playbook import Playbook

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
CATEGORIES = ("drinks", "dairy", "bakery", "cereal")
IN_CI = os.environ.get("CI", "").lower() == "true"


# Before LightGBM, matplotlib and MLflow are imported: they read these once.
for name in [name for name in os.environ if name.startswith("CXRECO_")]:
    del os.environ[name]
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores already; more threads in each only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("cxreco", deadline=None, derandomize=IN_CI, print_blob=True)
hypothesis.settings.load_profile("cxreco")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that read real data, so that `-m "not data"` leaves them out."""
    for item in items:
        if "data_file" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Find a real data set by its name under `../shared/data`; where it is absent, skip, but never in CI."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            reason = f"real data not found beside the checkout: {path}"
            if IN_CI:
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a fresh workspace folder, which `CXRECO_HOME` names and which is the working directory's neighbour."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "workspace"
    monkeypatch.setenv("CXRECO_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def playbook() -> "Playbook":
    """Return a playbook that nobody has trained: beliefs decide, and every category of CATEGORIES stands at notice."""
    from cxreco.edge.specs import load_specs
    from cxreco.repeat.value_training import Answers, Undisturbed, ValueSpec, fit_value
    from cxreco.request.actions import Actions
    from cxreco.request.need import NeedModel
    from cxreco.request.propose import RequestModels
    from cxreco.request.ranker import Blend
    from cxreco.respond.guardrails import Guardrails
    from cxreco.respond.ladder import Ladder
    from cxreco.respond.playbook import Playbook, sealed
    from cxreco.respond.policy import Policy
    from cxreco.respond.worth import Worth

    specs = load_specs()
    guardrails = Guardrails.from_spec(specs["guardrails"])
    worth = Worth.from_spec(specs["reward"])
    nobody = Undisturbed.none()
    nothing = Answers(
        x=nobody.x, hold_x=nobody.x, mode=nobody.at.astype("i2"), contact=nobody.at.astype(bool), outcomes={}, ripe={},
        margin=nobody.margin, at=nobody.at,
    )  # fmt: skip
    value = fit_value(ValueSpec.from_spec(specs["value"]), worth, nobody, nothing, return_rate=worth.return_rate)
    need = NeedModel.from_spec(specs["need"])
    return sealed(
        Playbook(
            name="connected",
            salt="salt of the tests",
            trained_to=0,
            position=0,
            decisions=0,
            spec=specs.sha256,
            request=RequestModels(ranker=Blend(), need=need, actions=Actions.from_spec(specs["actions"])),
            value=value,
            policy=Policy.from_spec(specs["policy"]),
            guardrails=guardrails,
            ladder=Ladder(bar=guardrails.bar, notice=dict.fromkeys(CATEGORIES, 0.01)),
        )
    )
