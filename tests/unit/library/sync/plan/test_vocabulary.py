"""The words that steps say to each other, in the form in which files and ledger keep them."""

from __future__ import annotations

import subprocess
import sys

from dualsync.sides import DIRECTIONS, receiver, sender
from dualsync.sync.plan import vocabulary
from dualsync.sync.plan.vocabulary import (
    Action,
    Phase,
    Prefix,
    RuleWord,
    RunMode,
    agreed,
    delete_key,
    deleted_row,
    has_rule_word,
    parent_key,
    rule_name,
    sent,
    sql_list,
    standing,
    wanted,
)


def test_what_is_stored_keeps_its_form() -> None:
    assert [str(phase) for phase in Phase] == ["rows", "deletes"]
    assert RunMode.SELECTED == "rows"
    assert f"{Action.CREATE}" == "create"


def test_a_prefix_stands_before_the_name_of_the_column() -> None:
    assert [wanted("a"), sent("a"), standing("a"), parent_key("a")] == ["w:a", "s:a", "h:a", "p:a"]
    assert [agreed("dataverse", "a"), agreed("finance", "a")] == ["d:a", "f:a"]
    assert len({str(prefix) for prefix in Prefix}) == len(Prefix)


def test_each_direction_has_a_sender_and_a_receiver() -> None:
    assert [(sender(way), receiver(way)) for way in DIRECTIONS] == [
        ("dataverse", "finance"),
        ("finance", "dataverse"),
    ]


def test_rules_are_named_by_map_and_word() -> None:
    assert rule_name("projects", RuleWord.OWNER) == "projects.owner"
    assert rule_name("projects", RuleWord.TYPE, "PROJECTID") == "projects.PROJECTID.type"
    assert has_rule_word("projects.owner", RuleWord.OWNER, RuleWord.HEADER)
    assert not has_rule_word("owner.projects", RuleWord.OWNER)


def test_a_deletion_is_noted_under_a_key_of_its_own() -> None:
    assert delete_key("p-1") == "delete:p-1"
    assert deleted_row("delete:p-1") == "p-1"
    assert deleted_row("p-1") == "p-1"


def test_words_become_an_sql_list() -> None:
    assert sql_list([Action.CREATE, Action.UPDATE]) == "('create', 'update')"


def test_it_is_light() -> None:
    code = f"import sys, {vocabulary.__name__}; print([n for n in ('pandas', 'pyarrow', 'duckdb') if n in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
