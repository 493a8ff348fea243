"""Settings: where the two systems are, how to sign in, and the limits dualsync keeps.

They come from four places, the later winning over the earlier: the file ``dualsync.toml`` in the home folder, the
environment (``DUALSYNC_COMPANIES``, nested with two underscores: ``DUALSYNC_DATAVERSE__URL``), a running sandbox that
``DUALSYNC_SANDBOX`` names, and what the caller passes (``Settings.load(overrides)``). A sandbox replaces both systems
as a whole, so that its credentials are never mixed with the address of a real environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from dualsync.errors import SettingsError
from dualsync.settings_sources import (
    FILE_NAME,
    PREFIX,
    find_home,
    from_environment,
    from_file,
    from_sandbox,
    merge,
)
from dualsync.sides import Side
from dualsync.spelling import nearest

__all__ = [
    "Alerts",
    "BatchSizes",
    "Concurrency",
    "EndpointSettings",
    "Guards",
    "Nightly",
    "PageSizes",
    "Retries",
    "Settings",
    "Timeouts",
    "find_home",
]


def _split(value: object) -> object:
    """Read a list given as text, as environment variables have to: ``USPM, GBPM``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


class EndpointSettings(_Part):
    """One of the two systems and the application that signs in to it.

    Attributes:
        url: Root of the environment, https, without a path.
        authority: The tenant's address at the identity service, https with the tenant as its path.
        client_id: The application (client) id.
        client_secret: The application's secret. One of this and the next two must be given.
        client_secret_file: A file that holds nothing but the secret.
        certificate_path: A PEM file with private key and certificate.
        certificate_password: The password of that private key, if it has one.
        ca_file: PEM file of the authorities to trust for this system and its identity service, instead of the usual.
        verify: False switches off the check of certificates. Never do that outside a test environment.
    """

    url: str
    authority: str
    client_id: str
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    certificate_path: Path | None = None
    certificate_password: SecretStr | None = None
    ca_file: Path | None = None
    verify: bool = True

    @field_validator("url")
    @classmethod
    def _root(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("must be an https address")
        if parts.path.strip("/") or parts.query:
            raise ValueError("must be the root of the environment, without a path")
        return f"https://{parts.netloc.lower()}"

    @field_validator("authority")
    @classmethod
    def _tenant(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("must be an https address")
        if not parts.path.strip("/"):
            raise ValueError("must name the tenant in its path")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        given = [name for name in ("client_secret", "client_secret_file", "certificate_path") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("needs exactly one of client_secret, client_secret_file and certificate_path")
        return self

    def secret(self) -> SecretStr | None:
        """The client secret, read from its file where one is named; None with a certificate.

        Raises:
            SettingsError: The file cannot be read or is empty.
        """
        if self.client_secret_file is None:
            return self.client_secret
        try:
            text = self.client_secret_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"client_secret_file cannot be read: {error}") from error
        if not text:
            raise SettingsError(f"client_secret_file is empty: {self.client_secret_file}")
        return SecretStr(text)


class Timeouts(_Part):
    """Time-outs of one request, in seconds.

    To connect, between received bytes, between sent bytes, and for a free connection of the pool. Writing many rows at
    once may take Dataverse its full two minutes before it answers.
    """

    connect: PositiveFloat = 10.0
    read: PositiveFloat = 150.0
    write: PositiveFloat = 60.0
    pool: PositiveFloat = 300.0


class Retries(_Part):
    """How long one request is tried again after a Transient failure.

    Attributes:
        attempts: Most times that the request is sent, the first included.
        waiting: Most seconds of waiting, over all attempts. A Retry-After beyond it ends the attempts at once.
        first_wait: Seconds before the second attempt, doubled for every further one.
        longest_wait: Upper bound of one such wait, in seconds. A Retry-After is obeyed also where it is longer.
    """

    attempts: PositiveInt = 6
    waiting: PositiveFloat = 600.0
    first_wait: PositiveFloat = 0.5
    longest_wait: PositiveFloat = 60.0


class PageSizes(_Part):
    """Rows of one page. Dataverse allows 5000 at most; Finance sets its own size (10,000) and cannot be asked."""

    dataverse: Annotated[int, Field(ge=1, le=5000)] = 5000


class BatchSizes(_Part):
    """Rows of one request.

    Attributes:
        dataverse_writes: Targets of one UpsertMultiple or UpdateMultiple, which are one transaction each.
        finance_writes: Rows of one unit of work against Finance, which takes them one request each.
        finance_package: Rows of one data package.
    """

    dataverse_writes: Annotated[int, Field(ge=1, le=1000)] = 500
    finance_writes: PositiveInt = 100
    finance_package: PositiveInt = 10_000


class Concurrency(_Part):
    """Connections to each system at one time. Dataverse grants one user four busy seconds a second in the long run."""

    dataverse: Annotated[int, Field(ge=1, le=52)] = 4
    finance: Annotated[int, Field(ge=1, le=52)] = 4


class Guards(_Part):
    """What one transfer may do without the approval of a person.

    Attributes:
        deletes: Most deletions.
        update_share: Largest share of the known rows (0 to 1) in which values may be overwritten. What fills an empty
            column, such as the voucher that comes back, is not counted.
        resend: Most rows that a re-send of exceptions writes.
    """

    deletes: NonNegativeInt = 100
    resend: NonNegativeInt = 50
    update_share: Annotated[float, Field(ge=0, le=1)] = 0.5


class Nightly(_Part):
    """The DAG of the nightly reconciliation.

    Attributes:
        schedule: When it runs, as a cron expression in ``time_zone``; empty for runs by hand only.
        fail_on_critical: Whether the DAG run fails where critical exceptions exist; its parameter of that name
            overrides.
        fail_on_incomplete: Whether the DAG run fails where something could not be tested that nobody has accepted.
    """

    schedule: str = "0 2 * * *"
    fail_on_critical: bool = True
    fail_on_incomplete: bool = False


class Gap(_Part):
    """Something that the environment does not show, so that it is not tested, and that people have accepted.

    It silences the alert and, where ``nightly.fail_on_incomplete`` is on, lets the DAG run succeed. The verdict stays.

    Attributes:
        reason: Why it is accepted.
        until: The last day on which it is.
    """

    reason: Annotated[str, Field(min_length=1)]
    until: date


def _off(value: object) -> object:
    """Read ``off``, since neither TOML nor the environment can say None."""
    return None if isinstance(value, str) and value.strip().casefold() == "off" else value


_Count = Annotated[NonNegativeInt | None, BeforeValidator(_off)]


class Alerts(_Part):
    """When the nightly reconciliation sends an alert, and to whom. A threshold that is ``off`` sends none.

    Attributes:
        critical: Alert where there are more critical exceptions than this.
        errors: Alert where there are more exceptions of severity error than this.
        new: Alert where there are more exceptions than this that no earlier reconciliation has seen.
        matched_below: Alert where the share of matched amounts (0 to 1) is below this.
        failed: Whether there is an alert where part of the reconciliation failed.
        incomplete: Whether there is an alert where something could not be tested and nobody has accepted that.
        email_to: Who gets an e-mail.
        email_from: Its sender; empty for the one that the connection names.
        email_connection: Id of the Airflow connection of type ``smtp``.
        webhooks: Ids of Airflow connections of type ``dualsync_webhook``: Microsoft Teams or Slack.
    """

    critical: _Count = 0
    errors: _Count = None
    new: _Count = None
    matched_below: Annotated[Decimal | None, Field(ge=0, le=1), BeforeValidator(_off)] = None
    failed: bool = True
    incomplete: bool = True
    email_to: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    email_from: str = ""
    email_connection: str = "smtp_default"
    webhooks: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()


class Settings(_Part):
    """All settings of dualsync.

    Attributes:
        home: The folder that holds suites, overrides and, below ``.dualsync``, all state.
        ledger_url: SQLAlchemy URL of the ledger; default a SQLite file below ``home``.
        runs_url: Folder of the run folders, a path or an fsspec URL; default below ``home``.
        state_url: Folder of the bases, a path or an fsspec URL; default below ``home``.
        companies: Codes of the integrated companies, in upper case. Others are never touched.
        cutover: By company code, the day from which rows that only one side has are created by maps of transactions
            (actuals, estimates, expenses); older ones are history that the other side already has in its own way.
        dataverse, finance: The two systems; None where nothing is configured (see ``endpoint``).
        nightly, alerts: The nightly reconciliation, and whom it tells.
        gaps: What is accepted not to be tested, by check (``R5d``), control (``R5``), map (``map:NAME``) or suite.
        time_zone: IANA name of the zone in which a date without a time is meant, and of the nightly reconciliation.
    """

    home: Path
    ledger_url: str = ""
    runs_url: str = ""
    state_url: str = ""
    companies: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    cutover: dict[str, date] = Field(default_factory=dict)
    dataverse: EndpointSettings | None = None
    finance: EndpointSettings | None = None
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    page_sizes: PageSizes = PageSizes()
    batch_sizes: BatchSizes = BatchSizes()
    concurrency: Concurrency = Concurrency()
    guards: Guards = Guards()
    nightly: Nightly = Nightly()
    alerts: Alerts = Alerts()
    gaps: dict[str, Gap] = Field(default_factory=dict)
    time_zone: str = "UTC"

    @model_validator(mode="before")
    @classmethod
    def _below_home(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("home"):
            state = Path(values["home"]) / ".dualsync"
            defaults = {
                "ledger_url": f"sqlite:///{state / 'ledger.db'}",
                "runs_url": str(state / "runs"),
                "state_url": str(state / "state"),
            }
            values = values | {name: text for name, text in defaults.items() if not values.get(name)}
        return values

    @field_validator("companies")
    @classmethod
    def _upper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(code.upper() for code in value))

    @field_validator("cutover")
    @classmethod
    def _upper_codes(cls, value: dict[str, date]) -> dict[str, date]:
        return {code.upper(): day for code, day in value.items()}

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no known time zone") from error
        return value

    def endpoint(self, side: Side) -> EndpointSettings:
        """The settings of one system.

        Raises:
            SettingsError: Nothing is configured for it.
        """
        endpoint = self.dataverse if side == "dataverse" else self.finance
        if endpoint is None:
            raise SettingsError(f"{side} is not configured. {_places(side, self.home / FILE_NAME)}")
        return endpoint

    @classmethod
    def load(cls, overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
        """Collect the settings from file, environment, sandbox and caller.

        Args:
            overrides: Settings of the caller, nested as in the file; they win.
            environ: The environment; default that of the process.

        Raises:
            SettingsError: Names every wrong setting and where it may come from. Values are not repeated.
        """
        environ = os.environ if environ is None else environ
        given = dict(overrides or {})
        home = Path(given.get("home") or environ.get(f"{PREFIX}HOME") or find_home()).expanduser().resolve()
        file = home / FILE_NAME
        values: dict[str, Any] = {}
        for source in (from_file(file), from_environment(environ, cls.model_fields), from_sandbox(environ), given):
            values = merge(values, source)
        try:
            return cls.model_validate(values | {"home": home})
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error, file))) from None


def _explain(error: ValidationError, file: Path) -> list[str]:
    """One line for each problem: the setting, what is wrong, and where it may come from."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        setting = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"]
        if problem["type"] == "extra_forbidden":
            *sections, name = (str(part) for part in problem["loc"])
            message = f"There is no such setting{nearest(name, _names(sections))}"
        lines.append(f"{setting}: {message}. {_places(setting, file)}")
    return lines


def _names(sections: list[str]) -> list[str]:
    """The settings of a section; those of no section where none is named."""
    model: type[BaseModel] = Settings
    for section in sections:
        kinds = (model.model_fields[section].annotation, *get_args(model.model_fields[section].annotation))
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return list(model.model_fields)


def _places(setting: str, file: Path) -> str:
    variable = PREFIX + setting.upper().replace(".", "__")
    return f"Searched: environment {variable}, {file}{'' if file.is_file() else ' (does not exist)'}"
