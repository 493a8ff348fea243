"""What is said beside a system's own words."""

import pytest

from dualsync.sync.plan.advice import with_advice


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Could not resolve project task for export expense", "name one of those, a leaf, on the expense"),
        ("Line property Complimentary doesn't exist; Warning: validateWrite failed", "give this billing type a line"),
        (
            "The expense category doesn't belong to the owning company of the project.",
            "choose a category of the company",
        ),
        ("No project cost and revenue profile rule applies to project P-1.", "add a rule that gives this project a"),
    ],
)
def test_a_documented_refusal_comes_with_its_way_out(words: str, advice: str) -> None:
    told = with_advice(words)
    assert told.startswith(words)
    assert advice in told.removeprefix(words)


def test_an_unknown_refusal_stands_alone() -> None:
    assert with_advice("The record is locked; ") == "The record is locked"
