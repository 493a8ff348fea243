"""Describes this package to Airflow: its connection types and their forms."""

from importlib.metadata import version
from typing import Any

_TEXT = {"type": ["string", "null"]}

_FIELDS: dict[str, Any] = {
    "authority": {
        "label": "Authority",
        "description": "Address at which the application signs in: https://login.microsoftonline.com/<tenant id>",
        "schema": _TEXT,
    },
    "client_secret_file": {
        "label": "Client secret file",
        "description": "File that holds only the client secret. Leave it empty if the secret is given above.",
        "schema": _TEXT,
    },
    "certificate_path": {
        "label": "Certificate file",
        "description": "PEM file with private key and certificate, to use instead of a client secret.",
        "schema": _TEXT,
    },
    "certificate_password": {
        "label": "Certificate password",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "ca_file": {
        "label": "CA file",
        "description": "Certificates to trust instead of the public ones. Only the sandbox needs it.",
        "schema": _TEXT,
    },
}


def _connection_type(name: str, title: str, hook: str, url: str) -> dict[str, Any]:
    return {
        "connection-type": name,
        "hook-name": title,
        "hook-class-name": f"dualsync_airflow.connections.hooks.{hook}",
        "conn-fields": _FIELDS,
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {
                "host": "Environment URL",
                "login": "Application (client) ID",
                "password": "Client secret",
            },
            "placeholders": {"host": url},
        },
    }


def _webhook() -> dict[str, Any]:
    return {
        "connection-type": "dualsync_webhook",
        "hook-name": "Webhook of Microsoft Teams or Slack",
        "hook-class-name": "dualsync_airflow.connections.hooks.WebhookHook",
        "conn-fields": {
            "format": {
                "label": "Format",
                "description": "teams: a webhook of Workflows in Microsoft Teams. slack: an incoming webhook of Slack.",
                "schema": {"type": ["string", "null"], "enum": ["teams", "slack", None]},
            },
        },
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port", "host", "login"],
            "relabeling": {"password": "Address of the webhook"},
            "placeholders": {},
        },
    }


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as Airflow's ``apache_airflow_provider`` entry point expects it.

    Source: Airflow 3.3, "How to create your own provider", connection types with ``conn-fields``.
    """
    return {
        "package-name": "dualsync",
        "name": "Dualsync",
        "description": "Keeps Dynamics 365 Project Operations on Dataverse and Dynamics 365 Finance in step.",
        "versions": [version("dualsync")],
        "connection-types": [
            _connection_type("dataverse", "Microsoft Dataverse", "DataverseHook", "https://contoso.crm4.dynamics.com"),
            _connection_type(
                "dynamics_finance", "Dynamics 365 Finance", "FinanceHook", "https://contoso.operations.dynamics.com"
            ),
            _webhook(),
        ],
    }
