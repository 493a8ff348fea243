"""docs/messages.md fits the messages about rows."""

import runpy

from dualsync.sync.plan.messages import MESSAGES
from support.paths import ROOT


def test_the_page_fits_the_messages() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "build_messages.py"))["page"]()
    assert (ROOT / "docs" / "messages.md").read_text() == made


def test_each_message_has_an_id_a_cause_and_a_way_out() -> None:
    ids = [message.id for message in MESSAGES]
    assert len(ids) == len(set(ids)) > 20
    assert all(message.cause.endswith(".") and message.way_out.endswith(".") for message in MESSAGES)
