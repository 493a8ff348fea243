"""Table map files: what is read, and what the errors say."""

from decimal import Decimal
from pathlib import Path

import pytest

from dualsync.errors import Terminal
from dualsync.mapping import Catalog, ConditionalWins, MapErrors, UnknownDefault, read_map
from support.paths import MAPS

HEAD = """\
map: things
title: Things
area: setup_configuration
scope: company
dataverse: {table: thing, set: things, id: thingid, key: [number], company: msdyn_company.cdm_companycode}
finance: {set: Things, entity: Things, key: [ThingId], company: dataAreaId}
rows: {created_by: dataverse, deleted_by: nobody, leaves: flag}
"""
THROUGH_LOOKUP = "through: {set: a, id: b, column: c, lookup: true}"
KEY = "  - {dataverse: number, finance: ThingId, way: to_finance, evidence: doc}\n"


def written(folder: Path, text: str, name: str = "things.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    file = written(folder, text)
    with pytest.raises(MapErrors) as caught:
        read_map(file)
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


def with_fields(*lines: str) -> str:
    return HEAD + "fields:\n" + KEY + "".join(f"  - {line}\n" for line in lines)


def test_words_that_other_yaml_readers_take_for_booleans_stay_text(tmp_path: Path) -> None:
    table_map = read_map(
        written(
            tmp_path,
            with_fields(
                "{dataverse: flag, finance: Flag, way: to_finance, values: {false: No, true: Yes}, evidence: doc}",
                "{finance: Kind, constant: off, on: create, way: to_finance, evidence: doc}",
                "{dataverse: empty, finance: Empty, way: to_finance, null: keep, evidence: doc}",
            ),
        )
    )
    assert table_map.fields[1].values == {False: "No", True: "Yes"}
    assert [type(key) for key in table_map.fields[1].values or {}] == [bool, bool]
    assert (table_map.fields[2].constant, table_map.fields[2].on) == ("off", "create")
    assert table_map.fields[3].null == "keep"


def test_numbers_keep_their_kind_and_stay_exact(tmp_path: Path) -> None:
    table_map = read_map(
        written(
            tmp_path,
            with_fields(
                "{dataverse: rate, finance: Rate, way: both, scale: 0.01, evidence: doc}",
                "{dataverse: code, finance: Code, way: to_finance, values: {192350000: '007'}, evidence: doc}",
            ),
        )
    )
    assert table_map.fields[1].scale == Decimal("0.01")
    assert table_map.fields[2].values == {192350000: "007"}


def test_conditions_and_defaults_are_read(tmp_path: Path) -> None:
    table_map = read_map(
        written(
            tmp_path,
            with_fields(
                "{dataverse: r, finance: R, way: both, evidence: doc, wins: {finance: \"No ne ''\", else: dataverse}}",
                "{dataverse: k, finance: K, way: to_finance, values: {1: A}, on_unknown: {default: B}, evidence: doc}",
            ),
        )
    )
    wins = table_map.fields[1].wins
    assert isinstance(wins, ConditionalWins)
    assert (wins.finance, wins.otherwise) == ("No ne ''", "dataverse")
    assert table_map.fields[2].on_unknown == UnknownDefault(default="B")


def test_a_map_knows_its_file_hash_and_lines(tmp_path: Path) -> None:
    file = written(tmp_path, with_fields())
    first = read_map(file)
    assert first.path == file
    assert first.line("fields", 0) == 9
    assert first.line("rows", "no_such_word") == 7
    assert len(first.hash) == 64
    written(tmp_path, with_fields() + "# a remark\n")
    assert read_map(file).hash != first.hash


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{dataverse: a, finance: A, way: to_finanse, evidence: doc}", "fields[1].way: 'to_finanse' is not one of"),
        ("{dataverse: a, finance: A, way: to_finanse, evidence: doc}", "did you mean 'to_finance'?"),
        (
            "{dataverse: a, finance: A, way: both, evidnce: doc}",
            "evidnce: is not a known word here; did you mean 'evidence'?",
        ),
        ("{dataverse: a, finance: A, way: both}", "fields[1].evidence: is missing"),
        ("{dataverse: a, finance: A, way: both, evidence: doc, required: yes}", "fields[1].required: "),
        (
            "{dataverse: a, dataverse: b, finance: A, way: both, evidence: doc}",
            "fields[1].dataverse: stands here twice",
        ),
        ("{dataverse: a.b, finance: A, way: both, evidence: doc}", "a.b is a path: paths belong to lookups"),
        ("{finance: A, way: to_finance, evidence: doc}", "needs one way and a note that says why"),
        ("{finance: A, constant: 1, way: to_dataverse, evidence: doc}", "names only the receiving column"),
        ("{dataverse: a, finance: A, on: create, way: both, evidence: doc}", "on only means something with a constant"),
        ("{dataverse: a, finance: A, way: both, values: {1: X, 2: X}, evidence: doc}", "must be one-to-one"),
        ("{dataverse: a, finance: A, way: to_finance, wins: finance, evidence: doc}", "wins only means something"),
        ("{dataverse: a, finance: A, way: both, scale: 0, evidence: doc}", "scale must not be 0"),
        ("{dataverse: a, finance: ThingId, way: to_finance, evidence: doc}", "ThingId is written twice to finance"),
        (
            "{finance: A, way: to_finance, constant: 1, read_only: true, evidence: doc}",
            "read_only compares two columns",
        ),
        ("{dataverse: a, finance: A, way: both, read_only: true, evidence: doc}", "a read_only field has one way"),
        (
            "{dataverse: a, finance: A, way: to_finance, required: true, read_only: true, evidence: doc}",
            "is never required",
        ),
        ("{dataverse: a, finance: ThingId, way: to_finance, read_only: true, evidence: doc}", "written twice"),
        ("{dataverse: a, finance: A, way: both, on_unknown: {defalt: 1}, evidence: doc}", "did you mean 'default'?"),
        ("{dataverse: !!binary a, finance: A, way: both, evidence: doc}", "is not allowed"),
    ],
)
def test_mistakes_in_a_field_are_named(tmp_path: Path, line: str, expected: str) -> None:
    found = problems(tmp_path, with_fields(line))
    assert any(expected in problem for problem in found), found
    assert all(problem.split(":")[0] in ("1", "10") for problem in found)


def test_a_read_only_field_is_compared_the_way_that_its_map_goes_and_is_no_key(tmp_path: Path) -> None:
    other = "{dataverse: a, finance: A, way: to_dataverse, read_only: true, evidence: doc}"
    assert problems(tmp_path, with_fields(other)) == ["1: (top): nothing travels to dataverse: turn read_only A round"]
    key = with_fields("{dataverse: a, finance: A, way: to_finance, evidence: doc}").replace(
        "finance: ThingId, ", "finance: ThingId, read_only: true, "
    )
    assert problems(tmp_path, key) == ["1: (top): ThingId is part of the key and cannot be read_only"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "scope: company",
            "scope: compny",
            "4: scope: 'compny' is not one of 'company' or 'global'; did you mean 'company'?",
        ),
        ("area:", "aera:", "3: aera: is not a known word here; did you mean 'area'?"),
        ("scope: company", "scope: global", "a global map has no company columns"),
        (
            "scope: company",
            "scope: company\nintegrated_by: Name",
            "integrated_by must be one of the columns of finance.key",
        ),
        ("key: [ThingId]", "key: [ThingId, Line]", "must have the same number of columns"),
        ("key: [number]", "key: [order.number]", "goes through a lookup that is not declared"),
        (", company: dataAreaId", "", "needs dataverse.company and finance.company"),
        (
            "company: dataAreaId",
            "filter: a eq, company: dataAreaId",
            "6: finance.filter: cannot be read as a filter: a eq",
        ),
        ("title: Things", "title: [", "expected"),
        ("dataAreaId}", "dataAreaId, write: package}", "write: package and target belong together"),
        ("id: thingid", "id: thingid, quarantine_when: a eq", "quarantine_when: cannot be read as a filter: a eq"),
        ("rows:", "initial: {creates: from_cutover}\nrows:", "creates: from_cutover and dated_by belong together"),
    ],
)
def test_mistakes_in_the_head_are_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = problems(tmp_path, with_fields().replace(old, new, 1))
    assert any(expected in problem for problem in found), found


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path) -> None:
    text = with_fields("{dataverse: a, finanse: A, way: both, evidence: doc}").replace("leaves: flag", "leaves: flags")
    found = problems(tmp_path, text)
    assert any("did you mean 'finance'?" in problem for problem in found)
    assert any("did you mean 'flag'?" in problem for problem in found)


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        ("{dataverse: p, way: to_finance, on: {number: P}, evidence: doc}", "needs map, targets or through"),
        ("{dataverse: p, way: to_finance, map: things, evidence: doc}", "needs on"),
        (
            "{dataverse: p, way: to_finance, targets: {a: {map: things, on: {n: P}}}, evidence: doc}",
            "at least two tables",
        ),
        (
            "{dataverse: p, way: to_finance, evidence: doc, targets: {a: {map: x, on: {n: P}}, b: {map: x, onn: {}}}}",
            "lookups[0].targets.b.onn: is not a known word here; did you mean 'on'?",
        ),
        (
            f"{{dataverse: p, way: to_finance, on: {{n: P}}, {THROUGH_LOOKUP}, evidence: doc}}",
            "through a lookup needs map",
        ),
        (
            f"{{dataverse: p, way: both, map: things, on: {{n: P}}, {THROUGH_LOOKUP}, evidence: doc}}",
            "through a lookup leads to Finance only",
        ),
        (
            "{dataverse: p, way: both, on: {n: P, m: Q}, through: {set: a, id: b, column: c}, evidence: doc}",
            "needs one Finance column",
        ),
    ],
)
def test_mistakes_in_a_lookup_are_named(tmp_path: Path, lookup: str, expected: str) -> None:
    found = problems(tmp_path, with_fields() + f"lookups:\n  - {lookup}\n")
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["{name: r, side: finance, reason: why}"], "rules[0]: needs exactly one of holds, product, among,"),
        (["{name: r, side: finance, holds: a eq, reason: why}"], "rules[0]: cannot be read as a filter: a eq"),
        (["{name: r, side: finance, holds: a eq 1, reason: a}"] * 2, "the rule r stands here twice"),
        (["{name: r, side: finance, product: {of: [a], equals: b}, reason: why}"], "rules[0].product.of"),
        (["{name: r, side: finance, when: a eq 1, holds: b eq 1, reason: why}"], "rules[0]: when only means something"),
        (
            ["{name: r, side: finance, reason: why, among: {finance: Periods, evidence: doc}}"],
            "rules[0].among: needs on or between",
        ),
        (
            ["{name: r, side: finance, reason: why, not_among: {on: {a: b}, evidence: doc}}"],
            "rules[0].not_among: needs exactly one of dataverse and finance",
        ),
        (
            ["{name: r, side: finance, reason: a, among: {finance: Periods, on: {a: b}, filter: c eq, evidence: doc}}"],
            "rules[0].among: cannot be read as a filter: c eq",
        ),
        (
            ["{name: r, side: finance, reason: a, opposite: {numbers: [n], to: t, through: LINKS}}"],
            "rules[0].opposite: through needs on with exactly one written column",
        ),
    ],
)
def test_mistakes_in_a_rule_are_named(tmp_path: Path, rules: list[str], expected: str) -> None:
    text = "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    found = problems(tmp_path, with_fields() + text.replace("LINKS", "{finance: L, on: {a: b, c: d}, evidence: doc}"))
    assert any(expected in problem for problem in found), found


def test_an_override_replaces_a_map_and_a_new_file_adds_one(tmp_path: Path) -> None:
    packaged = Catalog.load()
    text = (MAPS / "setup_configuration/resource_roles.yaml").read_text()
    written(tmp_path, text.replace("title: Project resource roles", "title: Our roles"), "roles.yaml")
    written(tmp_path, with_fields())
    catalog = Catalog.load(tmp_path)
    assert set(catalog) == {*packaged, "things"}
    assert catalog["resource_roles"].title.startswith("Our roles")
    assert packaged["resource_roles"].title.startswith("Project resource roles")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    written(tmp_path, with_fields())
    first = Catalog.load(tmp_path)["things"]
    assert Catalog.load(tmp_path)["things"] is first
    written(tmp_path, with_fields().replace("title: Things", "title: Other things"))
    assert Catalog.load(tmp_path)["things"].title == "Other things"


def test_the_same_map_in_two_files_of_a_folder_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, with_fields(), "a.yaml")
    written(tmp_path, with_fields(), "b.yaml")
    with pytest.raises(MapErrors, match=r"b\.yaml:1: map: 'things' is already in .*a\.yaml"):
        Catalog.load(tmp_path)


def test_unknown_maps_and_circles_are_errors(tmp_path: Path) -> None:
    lookup = (
        "lookups:\n  - {dataverse: p, map: project, on: {msdyn_projectnumber: P}, way: to_finance, evidence: doc}\n"
    )
    written(tmp_path, with_fields() + lookup)
    with pytest.raises(
        MapErrors, match=r"things\.yaml:11: lookups\[0\]\.map: no table map 'project'; did you mean 'projects'"
    ):
        Catalog.load(tmp_path)
    written(tmp_path, with_fields() + "after: [others]\n")
    written(tmp_path, with_fields().replace("map: things", "map: others") + "after: [things]\n", "others.yaml")
    with pytest.raises(MapErrors, match="circle: others -> things -> others"):
        Catalog.load(tmp_path)


def test_map_errors_are_for_a_person_to_solve() -> None:
    assert issubclass(MapErrors, Terminal)
