"""Alerts on their way: by e-mail and to the webhooks of Teams and Slack, on servers of this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from dualsync.reports.alerts import Alert
from dualsync.settings import Alerts
from support.channels import Channel, Mailbox, serving

SECRET = "a-long-secret"
ALERT = Alert(
    "Nightly reconciliation: breaks",
    ("critical breaks: 2, more than 0", "amounts matched: 99.9 %, below 100 %"),
    (("Verdict", "breaks"), ("Run", "{{ run }} <b> & *c*")),
    "http://127.0.0.1:8080/dags/nightly_reconciliation/runs/r",
)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with serving(Mailbox()) as server:
        yield server


@pytest.fixture
def channel() -> Iterator[Channel]:
    with serving(Channel()) as server:
        yield server


@pytest.fixture(autouse=True)
def _connections(mailbox: Mailbox, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mailbox.connection)
    monkeypatch.setenv("AIRFLOW_CONN_TEAMS", channel.connection("teams", f"teams-{SECRET}"))
    monkeypatch.setenv("AIRFLOW_CONN_SLACK", channel.connection("slack", f"slack-{SECRET}"))
    monkeypatch.setattr("dualsync_airflow.notifiers.ATTEMPTS", 2)


def test_every_channel_has_it_in_its_own_form(mailbox: Mailbox, channel: Channel) -> None:
    from dualsync_airflow.notifiers import send

    alerts = Alerts(email_to=("ann@example.com", "bob@example.com"), webhooks=("teams", "slack"))
    assert send(ALERT, alerts, {}) == (["e-mail by smtp_default", "webhook teams", "webhook slack"], [])

    ((to, mail),) = mailbox.mails
    assert (to, mail["Subject"]) == (["ann@example.com", "bob@example.com"], ALERT.title)
    assert mail["From"] == "dualsync@example.com"
    part = mail.get_body(("html",))
    assert part is not None
    body = part.get_content()
    assert all(reason in body for reason in ALERT.reasons)
    assert "{{ run }} &lt;b&gt; &amp; *c*" in body, "no text is taken for a template or for HTML"
    assert f'href="{ALERT.link}"' in body

    (teams_path, teams), (slack_path, slack) = channel.messages
    assert (teams_path, slack_path) == (f"/teams-{SECRET}", f"/slack-{SECRET}")
    (attachment,) = teams["attachments"]
    assert (teams["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert [one["type"] for one in card["body"]] == ["TextBlock", "TextBlock", "TextBlock", "FactSet"]
    assert card["body"][-1]["facts"][0] == {"title": "Verdict", "value": "breaks"}
    assert card["actions"][0]["url"] == ALERT.link
    assert slack["blocks"][0]["text"]["text"] == ALERT.title
    assert slack["blocks"][2]["fields"][1]["text"] == "*Run*\n{{ run }} &lt;b&gt; &amp; *c*"
    assert ALERT.link in slack["blocks"][-1]["text"]["text"]


def test_a_channel_that_fails_neither_stops_the_others_nor_betrays_its_address(
    mailbox: Mailbox, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dualsync_airflow.notifiers import send

    closed = Mailbox()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", closed.connection)
    closed.server_close()
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps({"password": f"http://example.com/{SECRET}"}))
    channel.answers = [404, 503, 200]
    caplog.set_level(logging.DEBUG)
    alerts = Alerts(email_to=("ann@example.com",), webhooks=("teams", "slack", "wrong", "unknown"))
    reached, lost = send(ALERT, alerts, {})
    assert reached == ["webhook slack"], "it was busy first"
    assert [path for path, _ in channel.messages] == [f"/teams-{SECRET}", f"/slack-{SECRET}", f"/slack-{SECRET}"]
    assert lost == [
        "e-mail by smtp_default: ConnectionRefusedError",
        "webhook teams: webhook teams answered 404",
        "webhook wrong: connection wrong: the password must be the https address of the webhook",
        "webhook unknown: AirflowNotFoundException",
    ]
    assert SECRET not in caplog.text
    assert SECRET not in " ".join(lost)
