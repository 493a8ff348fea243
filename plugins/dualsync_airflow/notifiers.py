"""Sends alerts of a reconciliation: by e-mail, and to a channel of Microsoft Teams or Slack.

Every channel is tried, even if another one fails. Addresses and secrets come from Airflow connections. Neither the log
nor an error names them.
"""

import logging
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import BaseNotifier

from dualsync.errors import DualsyncError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.reports.alerts import Alert
    from dualsync.settings import Alerts

log = logging.getLogger(__name__)

REPORT_TAB = "report-of-run"
"""The tab that the plugin adds to a DAG run in Airflow's UI."""

ATTEMPTS = 3
"""How often a message is posted to a webhook that cannot be reached, is busy or broken."""

TIMEOUT = 30.0
"""Seconds to wait for the answer of a webhook."""


class WebhookError(Exception):
    """A webhook did not take a message. The error does not name its address."""


class _Busy(WebhookError):
    """The webhook may take the message a little later."""


class EmailNotifier(SmtpNotifier):
    """Sends an alert by e-mail.

    Args:
        alert: The alert.
        kwargs: Those of ``SmtpNotifier``: receivers, sender, connection.
    """

    # The message is final text. Names in it must not be taken for templates.
    template_fields = ()  # type: ignore[assignment]  # its base declares just its own

    def __init__(self, alert: "Alert", **kwargs: Any) -> None:
        super().__init__(subject=alert.title, html_content=as_html(alert), **kwargs)


class WebhookNotifier(BaseNotifier):
    """Sends an alert to a channel of Microsoft Teams or Slack.

    Args:
        alert: The alert.
        conn_id: Airflow connection of type ``dualsync_webhook``.
    """

    def __init__(self, alert: "Alert", conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alert = alert
        self.conn_id = conn_id

    def notify(self, context: "Context") -> None:
        """Post the message.

        Raises:
            SettingsError: The connection is not complete.
            WebhookError: The webhook did not take the message.
        """
        from dualsync_airflow.connections.hooks import WebhookHook

        url, form = WebhookHook(self.conn_id).get_conn()
        post(url, as_adaptive_card(self.alert) if form == "teams" else as_slack_blocks(self.alert), self.conn_id)


def post(url: str, message: Mapping[str, Any], name: str) -> None:
    """Post a message to a webhook; again if it was not reached, was busy or broken.

    Args:
        url: The address of the webhook.
        message: The message in the form that the webhook takes.
        name: The name of the webhook in an error.

    Raises:
        WebhookError: It did not take the message.
    """
    import httpx
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    # The client logs every address, and the address of a webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    for attempt in Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=10),
        retry=retry_if_exception_type(_Busy),
        reraise=True,
    ):
        with attempt:
            try:
                answer = httpx.post(url, json=message, timeout=TIMEOUT)
            except httpx.HTTPError as error:
                raise _Busy(f"webhook {name} was not reached: {type(error).__name__}") from None
            refusal = f"webhook {name} answered {answer.status_code}"
            if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                raise _Busy(refusal)
            if not answer.is_success:
                raise WebhookError(refusal)


def send(alert: "Alert", alerts: "Alerts", context: "Context") -> tuple[list[str], list[str]]:
    """Send an alert through every channel of the settings.

    Returns:
        The channels that took it, and those that did not, each with the reason.
    """
    channels: dict[str, BaseNotifier] = {}
    if alerts.email_to:
        channels[f"e-mail by {alerts.email_connection}"] = EmailNotifier(
            alert, to=list(alerts.email_to), from_email=alerts.email_from or None, smtp_conn_id=alerts.email_connection
        )
    for conn_id in alerts.webhooks:
        channels[f"webhook {conn_id}"] = WebhookNotifier(alert, conn_id)
    delivered: list[str] = []
    undelivered: list[str] = []
    for name, notifier in channels.items():
        try:
            notifier.notify(context)
        except Exception as error:
            # Only our own errors are known to hold no secret.
            reason = str(error) if isinstance(error, WebhookError | DualsyncError) else type(error).__name__
            undelivered.append(f"{name}: {reason}")
            log.error("%s did not take the message: %s", name, reason)
        else:
            delivered.append(name)
            log.info("message delivered by %s", name)
    return delivered, undelivered


def report_url(context: "Context") -> str:
    """Return the address of the run's report in Airflow's UI; empty where Airflow does not know its own address."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    dag_id, run_id = (quote(name, safe="") for name in (context["dag"].dag_id, context["run_id"]))
    return f"{base}/dags/{dag_id}/runs/{run_id}/plugin/{REPORT_TAB}" if base else ""


def as_html(alert: "Alert") -> str:
    """Return an alert as the body of an e-mail."""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in alert.reasons)
    rows = "".join(
        f'<tr><th style="text-align:left;padding-right:1em">{escape(label)}</th><td>{escape(text)}</td></tr>'
        for label, text in alert.facts
    )
    link = f'<p><a href="{escape(alert.link)}">Open the report</a></p>' if alert.link else ""
    return f"<h2>{escape(alert.title)}</h2><ul>{reasons}</ul><table>{rows}</table>{link}"


def as_adaptive_card(alert: "Alert") -> dict[str, Any]:
    """Return an alert as the webhooks of Workflows in Microsoft Teams take it: a message with one Adaptive Card.

    Source: "Create incoming webhooks with Workflows for Microsoft Teams" and the schema of Adaptive Cards 1.4.
    """
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": alert.title, "weight": "Bolder", "size": "Medium", "wrap": True},
            *({"type": "TextBlock", "text": reason, "wrap": True} for reason in alert.reasons),
            {"type": "FactSet", "facts": [{"title": label, "value": text} for label, text in alert.facts]},
        ],
    }
    if alert.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the report", "url": alert.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def as_slack_blocks(alert: "Alert") -> dict[str, Any]:
    """Return an alert as an incoming webhook of Slack takes it; characters with a meaning in Slack are escaped."""

    def text(words: str) -> dict[str, str]:
        return {"type": "mrkdwn", "text": escape(words, quote=False)}

    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": alert.title[:150]}},
        {"type": "section", "text": text("\n".join(f"- {reason}" for reason in alert.reasons)[:3000])},
        {"type": "section", "fields": [text(f"*{label}*\n{figure}") for label, figure in alert.facts[:10]]},
    ]
    if alert.link:
        blocks.append(
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": f"<{alert.link}|Open the report>"},
            }
        )
    return {"text": f"{alert.title}: {'; '.join(alert.reasons)}", "blocks": blocks}
