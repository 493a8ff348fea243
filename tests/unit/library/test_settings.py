"""Where settings come from, who wins, and what is said when one is wrong."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dualsync.errors import SettingsError
from dualsync.settings import EndpointSettings, Settings, find_home

DATAVERSE = {
    "url": "https://org.crm4.dynamics.com/",
    "authority": "https://login.microsoftonline.com/contoso",
    "client_id": "app",
}


def environment(home: Path, **values: str) -> dict[str, str]:
    return {"DUALSYNC_HOME": str(home)} | {f"DUALSYNC_{name.upper()}": value for name, value in values.items()}


def test_defaults_lie_below_home(tmp_path: Path) -> None:
    settings = Settings.load(environ=environment(tmp_path))
    assert settings.home == tmp_path
    assert settings.ledger_url == f"sqlite:///{tmp_path}/.dualsync/ledger.db"
    assert settings.runs_url == f"{tmp_path}/.dualsync/runs"
    assert settings.companies == ()


def test_caller_wins_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "dualsync.toml").write_text(
        'companies = ["uspm"]\ntime_zone = "Europe/Paris"\n'
        "[guards]\ndeletes = 1\nupdate_share = 0.1\n"
        '[dataverse]\nurl = "https://org.crm4.dynamics.com"\nclient_id = "from file"\n'
    )
    settings = Settings.load(
        {"guards": {"deletes": 3}},
        environ=environment(
            tmp_path,
            companies="gbpm, frrt,GBPM",
            guards__deletes="2",
            dataverse__client_id="from environment",
            dataverse__authority=DATAVERSE["authority"],
            dataverse__client_secret="hush",
            port="8080",
        ),
    )
    assert settings.companies == ("GBPM", "FRRT")
    assert settings.time_zone == "Europe/Paris"
    assert (settings.guards.deletes, settings.guards.update_share) == (3, 0.1)
    endpoint = settings.endpoint("dataverse")
    assert endpoint.client_id == "from environment"
    assert "hush" not in repr(settings)
    assert "hush" not in settings.model_dump_json()


def test_cut_over_dates_have_their_companies_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "dualsync.toml").write_text('[cutover]\nUSPM = 2024-07-01\nfrrt = "2025-01-01"\n')
    settings = Settings.load(environ=environment(tmp_path, cutover__uspm="2025-07-01", cutover__gbpm="2025-10-01"))
    assert settings.cutover == {"USPM": date(2025, 7, 1), "FRRT": date(2025, 1, 1), "GBPM": date(2025, 10, 1)}
    told = Settings.load({"cutover": {"uspm": "2026-01-01"}}, environ=environment(tmp_path))
    assert told.cutover["USPM"] == date(2026, 1, 1)
    with pytest.raises(SettingsError, match=r"cutover\.gbpm: .*DUALSYNC_CUTOVER__GBPM"):
        Settings.load(environ=environment(tmp_path, cutover__gbpm="last summer"))


def test_errors_name_the_setting_and_its_places_but_no_value(tmp_path: Path) -> None:
    values = environment(
        tmp_path, guards__deletes="-7", dataverse__urll="x", dataverse__client_secret="hush", time_zone="Mars/Base"
    )
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ=values)
    text = str(caught.value)
    assert "dataverse.url: " in text
    assert "DUALSYNC_DATAVERSE__URL, " in text
    assert f"{tmp_path}/dualsync.toml (does not exist)" in text
    assert "dataverse.urll: " in text
    assert "guards.deletes: " in text
    assert "time_zone: " in text
    assert "hush" not in text
    assert "-7" not in text


def test_a_misspelt_setting_is_told_the_nearest_one(tmp_path: Path) -> None:
    values = environment(tmp_path, guards__delets="7")
    (tmp_path / "dualsync.toml").write_text("[gaurds]\ndeletes = 1\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ=values)
    text = str(caught.value)
    assert "guards.delets: There is no such setting; did you mean 'deletes'?" in text
    assert "gaurds: There is no such setting; did you mean 'guards'?" in text


def test_a_system_that_is_not_configured_is_missed_only_when_needed(tmp_path: Path) -> None:
    settings = Settings.load(environ=environment(tmp_path))
    with pytest.raises(SettingsError, match=r"finance is not configured\. Searched: .*DUALSYNC_FINANCE"):
        settings.endpoint("finance")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "dualsync.toml").write_text("companies = [")
    with pytest.raises(SettingsError, match=r"dualsync\.toml"):
        Settings.load(environ=environment(tmp_path))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"client_secret": None}, "exactly one of"),
        ({"certificate_path": "key.pem"}, "exactly one of"),
        ({"url": "http://org"}, "https"),
        ({"url": "https://org/data"}, "without a path"),
        ({"authority": "https://login.microsoftonline.com"}, "tenant"),
        ({"authority": "http://login.microsoftonline.com/t"}, "https"),
    ],
)
def test_endpoints_must_make_sense(change: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        EndpointSettings.model_validate(DATAVERSE | {"client_secret": "hush"} | change)


def test_the_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    endpoint = EndpointSettings.model_validate(DATAVERSE | {"client_secret_file": file})
    with pytest.raises(SettingsError, match="cannot be read"):
        endpoint.secret()
    file.write_text("\n")
    with pytest.raises(SettingsError, match="empty"):
        endpoint.secret()
    file.write_text("hush\n")
    secret = endpoint.secret()
    assert secret is not None
    assert secret.get_secret_value() == "hush"


def test_a_sandbox_replaces_both_systems(tmp_path: Path) -> None:
    described = {
        "identity": "https://127.0.0.1:1/tenant",
        "dataverse": "https://127.0.0.1:2",
        "finance": "https://127.0.0.1:3",
        "control": "http://127.0.0.1:4",
        "ca_file": "/ca.pem",
        "tenant": "tenant",
        "client_id": "sandbox",
        "client_secret_file": "/secret",
        "pid": 1,
    }
    file = tmp_path / "sandbox.json"
    file.write_text(json.dumps(described))
    values = environment(
        tmp_path, sandbox=str(file), dataverse__url="https://org.crm4.dynamics.com", dataverse__client_secret="hush"
    )
    settings = Settings.load(environ=values)
    assert settings.endpoint("dataverse").url == "https://127.0.0.1:2"
    assert settings.endpoint("dataverse").client_secret is None
    assert settings.endpoint("finance").url == "https://127.0.0.1:3"
    file.write_text("{}")
    with pytest.raises(SettingsError, match="DUALSYNC_SANDBOX"):
        Settings.load(environ=values)


def test_home_is_the_nearest_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "dualsync"\n')
    other = tmp_path / "a" / "b"
    other.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert find_home(other) == tmp_path
