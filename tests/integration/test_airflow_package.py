"""What Airflow finds of the project: the provider, its connection types, the plugin."""

import json
from pathlib import Path

import jsonschema
import pytest

from support.paths import ROOT


def test_provider_info_fits_airflows_schemas() -> None:
    import airflow

    from dualsync_airflow.provider_info import get_provider_info

    info = get_provider_info()
    folder = Path(airflow.__file__).parent
    jsonschema.validate(info, json.loads((folder / "provider_info.schema.json").read_text()))
    fields = json.loads((folder / "provider.yaml.schema.json").read_text())["properties"]["connection-types"]
    jsonschema.validate(info["connection-types"], fields)


def test_airflow_offers_the_connection_types(airflow_db: None) -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager = ProvidersManager()
    for connection_type, title in (("dataverse", "Microsoft Dataverse"), ("dynamics_finance", "Dynamics 365 Finance")):
        hook = ProvidersManagerTaskRuntime().hooks[connection_type]
        assert hook is not None
        assert hook.hook_name == title
        fields = {name for name in manager.connection_form_widgets if name.startswith(f"extra__{connection_type}__")}
        assert f"extra__{connection_type}__authority" in fields
        assert manager.connection_form_widgets[f"extra__{connection_type}__certificate_password"].is_sensitive
    webhook = ProvidersManagerTaskRuntime().hooks["dualsync_webhook"]
    assert webhook is not None
    assert "extra__dualsync_webhook__format" in manager.connection_form_widgets


def test_plugin_is_loaded_and_the_package_is_left_alone(airflow_db: None) -> None:
    from airflow import plugins_manager

    plugins, errors = plugins_manager._get_plugins()
    assert errors == {}
    assert [plugin.name for plugin in plugins].count("dualsync") == 1
    ours = next(plugin for plugin in plugins if plugin.name == "dualsync")
    assert ours.flask_blueprints == []
    assert [app["url_prefix"] for app in ours.fastapi_apps] == ["/dualsync"]
    assert {view["destination"]: view["href"] for view in ours.external_views} == {
        "nav": "/dualsync/",
        "dag": "/dualsync/dags/{DAG_ID}",
        "dag_run": "/dualsync/dags/{DAG_ID}/runs/{RUN_ID}",
    }


def test_connection_becomes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from dualsync.settings import Settings
    from dualsync_airflow.connections.hooks import DataverseHook

    connection = {
        "conn_type": "dataverse",
        "host": "https://contoso.crm4.dynamics.com",
        "login": "11111111-1111-1111-1111-111111111111",
        "password": "hidden",
        "extra": {"authority": "https://login.microsoftonline.com/tenant", "ca_file": ""},
    }
    monkeypatch.setenv("AIRFLOW_CONN_DATAVERSE_DEFAULT", json.dumps(connection))
    endpoint = Settings.load({"dataverse": DataverseHook().get_conn()}, environ={}).endpoint("dataverse")
    assert endpoint.url == connection["host"]
    assert endpoint.client_id == connection["login"]
    secret = endpoint.secret()
    assert secret is not None
    assert secret.get_secret_value() == "hidden"
    assert endpoint.ca_file is None
    assert "hidden" not in repr(endpoint)


def test_wrong_connection_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from dualsync_airflow.connections.hooks import FinanceHook

    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_FINANCE_DEFAULT", json.dumps({"conn_type": "dynamics_finance"}))
    well, message = FinanceHook().test_connection()
    assert not well
    assert "finance.url" in message


def test_pools_are_those_the_tasks_use() -> None:
    from dualsync_airflow.common import POOLS

    pools = json.loads((ROOT / "plugins/dualsync_airflow/pools.json").read_text())
    assert set(pools) == set(POOLS.values())
