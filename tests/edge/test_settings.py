"""Settings: what beats what, and that no misspelt key passes."""

from pathlib import Path

import pytest

from cxreco.edge.settings import arms_of, load_settings
from cxreco.edge.specs import load_specs, write_default_specs
from cxreco.errors import BadSpec
from cxreco.journey import Arm


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_listen_on_loopback_and_deal_out_every_arm() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert sum(settings.arms.values()) == 100
    assert set(settings.arms) == set(Arm)


def test_options_beat_the_environment_and_the_environment_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cxreco.toml").write_text('port = 1001\ncurrency = "USD"\nworkers = 3\n')
    monkeypatch.setenv("CXRECO_PORT", "1002")
    monkeypatch.setenv("CXRECO_WORKERS", "4")
    settings = load_settings(workers=5, home=None)
    assert (settings.currency, settings.port, settings.workers) == ("USD", 1002, 5)


def test_the_workspace_may_hold_the_file(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "cxreco.toml").write_text("port = 1003\n")
    assert load_settings(home=tmp_path / "shop").port == 1003


def test_shares_are_read_from_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRECO_ARMS", "champion=90, holdout=10")
    assert dict(load_settings().arms) == {Arm.HOLDOUT: 10.0, Arm.CHAMPION: 90.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("champion=90", "sum to 90"),
        ("champion=90,holdout", "name=share"),
        ("champion=120,holdout=-20", "between 0 and 100"),
        ("emperor=100", "champion"),
        ("champion=50,champion=50", "twice"),
        ("champion=many", "many"),
        ("champion=nan", "between"),
    ],
)
def test_shares_that_make_no_sense_are_refused(text: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRECO_ARMS", text)
    with pytest.raises(BadSpec, match=says) as caught:
        load_settings()
    assert caught.value.where == "CXRECO_ARMS"


def test_settings_travel_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path / "shop", port=1234, arms="champion=99.5,holdout=0.5", workers=2)
    for name, value in settings.variables().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRECO_PROT", "80")
    with pytest.raises(BadSpec, match="CXRECO_PROT"):
        load_settings()


def test_a_misspelt_key_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cxreco.toml").write_text("prot = 80\n")
    with pytest.raises(
        BadSpec, match=r"cxreco\.toml: prot: no such setting, did you mean port\? \(known: arms, .*home"
    ):
        load_settings()


def test_a_key_like_no_other_is_answered_with_all_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cxreco.toml").write_text("xyzzy = 80\n")
    with pytest.raises(BadSpec, match=r"xyzzy: no such setting \(known: arms, .*home"):
        load_settings()
    (tmp_path / "cxreco.toml").unlink()
    monkeypatch.setenv("CXRECO_WORKER", "3")
    with pytest.raises(BadSpec, match="did you mean workers"):
        load_settings()


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "cxreco.toml").write_text("port: 80\n")
    with pytest.raises(BadSpec, match="not valid TOML"):
        load_settings()


def test_arms_of_skips_empty_parts() -> None:
    assert arms_of("champion=100,") == {"champion": 100.0}


def test_a_workspace_edits_its_own_copy_of_a_spec(tmp_path: Path) -> None:
    before = load_specs(tmp_path)
    written = write_default_specs(tmp_path)
    assert {path.stem for path in written} == set(before.tables)
    assert load_specs(tmp_path) == before
    (tmp_path / "models" / "guardrails.toml").write_text("x = 1\n")
    assert write_default_specs(tmp_path) == []
    after = load_specs(tmp_path)
    assert after["guardrails"] == {"x": 1}
    assert after.sha256 != before.sha256


def test_a_broken_spec_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "reward.toml").write_text("= 1")
    with pytest.raises(BadSpec, match=r"reward\.toml"):
        load_specs(tmp_path)


def test_a_missing_spec_is_named() -> None:
    with pytest.raises(BadSpec, match=r"models/weather\.toml"):
        load_specs()["weather"]
