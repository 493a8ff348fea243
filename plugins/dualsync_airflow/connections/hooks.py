"""Turns Airflow connections into what the library needs to reach the two systems and the webhooks.

Secrets come from connections only, and so from the secrets backend of the installation.
"""

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

if TYPE_CHECKING:
    from dualsync.settings import Settings

WEBHOOK_FORMS = ("teams", "slack")

# Fields of the connection form beside the standard ones, named as the settings they become.
_EXTRAS = ("authority", "client_secret_file", "certificate_path", "certificate_password", "ca_file")


class _EndpointHook(BaseHook):
    """Base of both hooks; subclasses name the system, its connection, and how to read its companies.

    Args:
        conn_id: Airflow connection to use; the default of the class if not given.
    """

    conn_name_attr = "conn_id"
    default_conn_name: ClassVar[str]
    side: ClassVar[str]

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or self.default_conn_name

    def get_conn(self) -> dict[str, Any]:
        """Return the settings of the endpoint that are set, named as in ``dualsync.settings.EndpointSettings``."""
        return endpoint_of(self.get_connection(self.conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and read the legal entities.

        Returns:
            Whether it worked, and a sentence for the connection form.
        """
        from dualsync.errors import DualsyncError
        from dualsync.settings import Settings

        try:
            # A wrong address should show at once, not after many attempts.
            companies = self._companies(Settings.load({self.side: self.get_conn(), "retries": {"attempts": 1}}))
        except DualsyncError as error:
            return False, f"{type(error).__name__}: {error}"
        return True, f"Signed in; {len(companies)} legal entities: {', '.join(sorted(companies))}"

    def _companies(self, settings: "Settings") -> list[str]:
        raise NotImplementedError


class WebhookHook(BaseHook):
    """Connections of type ``dualsync_webhook``: the webhook of a channel in Microsoft Teams or Slack.

    The address of such a webhook is a secret, so it stands in the password of the connection.

    Args:
        conn_id: Airflow connection to use.
    """

    conn_name_attr = "conn_id"
    conn_type = "dualsync_webhook"
    hook_name = "Webhook of Microsoft Teams or Slack"
    default_conn_name = "dualsync_webhook_default"

    def __init__(self, conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def get_conn(self) -> tuple[str, str]:
        """Return the address, and the form of its messages: ``teams`` or ``slack``.

        Raises:
            SettingsError: The connection has no usable address or no known form. The address is not repeated.
        """
        from dualsync.errors import SettingsError
        from dualsync.systems.http import LOOPBACK

        connection = self.get_connection(self.conn_id)
        url, form = connection.password or "", connection.extra_dejson.get("format") or "teams"
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise SettingsError(f"connection {self.conn_id}: the password must be the https address of the webhook")
        if form not in WEBHOOK_FORMS:
            raise SettingsError(f"connection {self.conn_id}: format must be one of {', '.join(WEBHOOK_FORMS)}")
        return url, form


class DataverseHook(_EndpointHook):
    """Connections of type ``dataverse``."""

    conn_type = "dataverse"
    hook_name = "Microsoft Dataverse"
    default_conn_name = "dataverse_default"
    side = "dataverse"

    def _companies(self, settings: "Settings") -> list[str]:
        from dualsync.systems import open_dataverse

        with open_dataverse(settings) as dataverse:
            pages = dataverse.read("cdm_companies", select=["cdm_companycode"])
            return [str(row["cdm_companycode"]) for page in pages for row in page]


class FinanceHook(_EndpointHook):
    """Connections of type ``dynamics_finance``."""

    conn_type = "dynamics_finance"
    hook_name = "Dynamics 365 Finance"
    default_conn_name = "dynamics_finance_default"
    side = "finance"

    def _companies(self, settings: "Settings") -> list[str]:
        from dualsync.systems import open_finance

        with open_finance(settings) as finance:
            pages = finance.read("LegalEntities", select=["LegalEntityId"])
            return [str(row["LegalEntityId"]) for page in pages for row in page]


def endpoint_of(connection: Connection) -> dict[str, Any]:
    """Translate a connection: host, login and password are the URL, the application and its secret.

    Args:
        connection: A connection of one of the two types.

    Returns:
        Settings, named as in ``EndpointSettings``, without those that the connection leaves empty.
    """
    extra = connection.extra_dejson
    values = {
        "url": connection.host,
        "client_id": connection.login,
        "client_secret": connection.password,
        **{name: extra.get(name) for name in _EXTRAS},
    }
    return {name: value for name, value in values.items() if value}
