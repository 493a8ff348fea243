"""Writes docs/messages.md: what is said about rows, why, and what a person does about it.

``python docs/build_messages.py`` writes the page, ``--check`` fails where it is older than the code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dualsync.sync.plan.messages import MESSAGES

PAGE = Path(__file__).with_name("messages.md")
HEAD = """# Messages about rows

Every row of a plan ends with an action and, where there is something to say, a rule and a message. The rule is named
after its map, such as `projects.key_changed`; the message has an id of its own. Names in braces are filled in. This
page is made from `include/dualsync/sync/plan/messages.py` by `python docs/build_messages.py`.
"""


def page() -> str:
    """The page as it should be."""
    told = (
        f"\n## {message.id}\n\n> {message.text}\n\n**Cause.** {message.cause}\n\n**Way out.** {message.way_out}\n"
        for message in MESSAGES
    )
    return HEAD + "".join(told)


def main() -> int:
    """Write the page, or say that it is stale."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is older than the messages; run python docs/build_messages.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
