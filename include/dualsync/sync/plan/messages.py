"""Why a row ends as it does, in words: one message for each case, by its id.

The id follows the rule of the row: rule ``projects.key_changed`` has the message ``row.key_changed``. A message says
what happened; its cause and the way out stand beside it and in ``docs/messages.md``, which is made from this module.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message about a row.

    Attributes:
        id: Its name in ``docs/messages.md``.
        text: What is said; names in braces are filled in.
        cause: How a row comes to it.
        way_out: What a person does, or that nothing is to be done.
    """

    id: str
    text: str
    cause: str
    way_out: str

    def __call__(self, **values: str) -> str:
        """The message with its names filled in."""
        return self.text.format(**values)


NO_COMPANY = Message(
    "row.no_company",
    "names no company, so no company's books can take it",
    "The row's company is empty.",
    "Fill the company of the row, if it is to reach Finance.",
)
GONE = Message(
    "row.gone",
    "no longer exists in {sender}",
    "The row was open from an earlier run, and was deleted before it ever reached the other side.",
    "Nothing is to be done.",
)
COMPANY_CHANGED = Message(
    "row.company_changed",
    "its company was changed, although it is known in this one; change it back, or delete and create it anew",
    "Somebody gave a row that stands on both sides another company.",
    "Change the company back, or delete the row and create it anew in the other company.",
)
LEFT = Message(
    "row.left",
    "no longer matches the filter of the map; it stays in {receiver} as it is",
    "The row was synchronised before, and has changed so that the filter of its map leaves it out.",
    "If it should travel again, change it back. If not, decide what becomes of the row on the other side.",
)
KEPT = Message(
    "row.kept",
    "is no longer among the rows of the map in {sender}; {receiver} keeps it, since this map deletes nothing",
    "The row was deleted on the side that owns it, and its map lets nobody delete on the other side.",
    "Delete or close the row on the other side by hand, or restore it.",
)
DUPLICATE = Message(
    "row.duplicate",
    "{side} holds several rows with this key; keep one of them",
    "Two rows of one system have the same integration key, so it is not known which one is meant.",
    "Keep one of the rows, or give the others a key of their own.",
)
KEY_CHANGED = Message(
    "row.key_changed",
    "key changed: the same record was known under another key; change it back, or delete and create it anew",
    "Somebody changed a column of the integration key of a row that stands on both sides.",
    "Change the key back, or delete the row and create it anew.",
)
DELETED = Message(
    "row.deleted",
    "was deleted in {receiver}",
    "The row stood on both sides, and was deleted on the side that owns deletions.",
    "Nothing is to be done; delete it on this side too if it is no longer needed.",
)
DELETED_BY_OTHER = Message(
    "row.deleted_by_other",
    "was deleted in {receiver}, which does not own it; restore it there or delete it in {sender}",
    "The row stood on both sides, and somebody deleted it on the side that may not.",
    "Restore the row there (`dualsync exceptions resend`), or delete it where it is owned.",
)
NO_CUTOVER = Message(
    "row.no_cutover",
    "is created once the cut-over date of {company} is known (setting cutover.{company}), so that history is not "
    "posted twice",
    "The map creates rows from a cut-over date only, and the company has none.",
    "Set the cut-over date of the company.",
)
HISTORY = Message(
    "row.history",
    "is older than the cut-over of {company} on {day}, so it is taken for history and not created",
    "The row is dated before the company's cut-over date.",
    "Nothing is to be done; move the cut-over date if the row should have been created.",
)
NOT_COPIED = Message(
    "row.not_copied",
    "exists only in {sender}; rows of this map are created in {receiver}, so it is not copied",
    "Somebody created the row on the side that does not create rows of this map.",
    "Create it on the side that owns it, or delete it here.",
)
ONLY_IN_RECEIVER = Message(
    "row.only_in_receiver",
    "exists only in {receiver}; rows of this map are created in {owner}, so it is neither copied nor deleted",
    "The receiving side has a row that the sending side does not have and never had.",
    "Create it on the side that owns it, or delete it in the receiving system.",
)
OVERWRITES = Message(
    "row.overwrites",
    "overwrites a change made in {receiver}: {listed}",
    "Both sides changed the same columns, and the sending side owns them.",
    "Nothing is to be done; the value of the owner now stands on both sides.",
)
ALSO_CHANGED = Message(
    "row.also_changed",
    "also changed in {receiver}, which does not own it: {listed}",
    "The row is updated; besides, the receiving side changed columns that it does not own.",
    "Change these columns back in the receiving system, or change them where they are owned.",
)
CHANGED_BY_NON_OWNER = Message(
    "row.changed_by_non_owner",
    "changed in {receiver}, which does not own it: {listed}; change it back there, or in {sender}",
    "Somebody changed columns on the side that does not own them.",
    "Change them back there, or make the same change on the side that owns them.",
)
DIFFERS_AT_FIRST = Message(
    "row.differs_at_first",
    "differs at the first run, and the master is {receiver}: {listed}",
    "Both sides have the row, nothing was agreed on yet, and the map's master at the first run is the receiving side.",
    "Make the two sides equal, or let the run in the other direction bring the master's values.",
)
HEADER_GONE = Message(
    "row.header_gone",
    "its header is no longer a row of the map",
    "A header of a document left the map before its trigger was sent.",
    "Nothing is to be done.",
)
HEADER_IN_CONFLICT = Message(
    "row.header_in_conflict",
    "its header is in conflict",
    "The header of a document cannot be matched, so its trigger is not sent.",
    "Look at the header's own row; it says what is wrong.",
)
WAITS_FOR_HEADER = Message(
    "row.waits_for_header",
    "waits for its header, which is not in {receiver}",
    "The trigger of a document goes last, and its header has not arrived.",
    "Nothing is to be done if the header is on its way; else look at the header's own row.",
)
WAITS_FOR_LINES = Message(
    "row.waits_for_lines",
    "{listed}",
    "The trigger of a document goes last, and lines of it are missing or have changed since.",
    "Nothing is to be done if the lines are on their way; else look at the lines that the message names.",
)
SELF_LOOKUP_MISSING = Message(
    "row.self_lookup_missing",
    "{column} names a row of the same map that is not there yet; it goes through once that row is there",
    "The row points at another row of its map that has not arrived.",
    "Nothing is to be done if that row is on its way; else look at it.",
)
PARENT_MISSING = Message(
    "row.parent_missing",
    "its parent row is not on both sides yet; it goes through once that row is there",
    "The row points at a parent of the same map that cannot go.",
    "Look at the parent row; it says what is wrong.",
)
NOT_AS_APPROVED = Message(
    "row.not_as_approved",
    "is no longer planned as it was in run {run}, which was approved; the next run looks at it",
    "Between the plan that a person approved and its execution, one of the two sides changed.",
    "Nothing is to be done; the next run plans the row anew.",
)

MESSAGES = tuple(value for value in list(globals().values()) if isinstance(value, Message))
"""All messages about rows, in the order of this module."""
