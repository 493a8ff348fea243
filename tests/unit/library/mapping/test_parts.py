"""Parts and units of table maps: the maps that follow from one file, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from dualsync.mapping import Catalog, MapErrors, PartOf, Schema, TableMap, read_map
from dualsync.mapping.checks import Finding, check_catalog
from dualsync.mapping.suites import drifted, write_suites
from dualsync.mapping.views import maps_table
from support.paths import MAPS

THINGS = """\
map: things
title: Things
area: setup_configuration
scope: company
dataverse:
  {table: thing, set: things, id: thingid, key: [number], company: msdyn_company.cdm_companycode,
   filter: kind ne null, quarantine_when: kind eq 9}
finance: {set: Things, entity: Things, key: [ThingId], company: dataAreaId}
rows: {created_by: dataverse, deleted_by: dataverse, leaves: flag}
fields:
  - {dataverse: number, finance: ThingId, way: both, wins: dataverse, evidence: doc}
  - {dataverse: kind, finance: Kind, way: to_finance, evidence: doc}
  - {dataverse: state, finance: State, way: to_finance, values: {0: Draft, 1: Sent, 2: Void}, evidence: doc}
"""
PARTS = """\
parts:
  red: {area: project_invoices, filter: {dataverse: kind eq 1, finance: Kind eq 1}, after: [currencies]}
  blue: {area: expense_management, filter: {dataverse: kind eq 2 or kind eq 3, finance: Kind gt 1}}
"""
LINES = """\
map: lines
title: Lines
area: setup_configuration
scope: company
dataverse: {table: line, set: lines, id: lineid, key: [number], company: thing.msdyn_company.cdm_companycode}
finance: {set: Lines, entity: Lines, key: [LineId], company: dataAreaId}
rows: {created_by: dataverse, deleted_by: dataverse, leaves: flag}
lookups:
  - {dataverse: thing, map: things, on: {number: ThingId, company: dataAreaId}, way: to_finance, evidence: doc}
fields:
  - {dataverse: number, finance: LineId, way: to_finance, evidence: doc}
"""
UNIT = "unit: {lines: [lines], trigger: State, rest: Draft}\n"


def loaded(folder: Path, *texts: str) -> Catalog:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    return Catalog.load(folder)


def problems(folder: Path, *texts: str) -> str:
    with pytest.raises(MapErrors) as caught:
        loaded(folder, *texts)
    return str(caught.value)


def findings(folder: Path, *texts: str) -> list[Finding]:
    return [one for one in check_catalog(loaded(folder, *texts), Schema.load()) if one.severity == "error"]


def takers(catalog: Catalog, side: str, row: dict[str, Any]) -> list[str]:
    halves = {name: catalog[name].dataverse if side == "dataverse" else catalog[name].finance for name in NAMES}
    return [name for name, half in halves.items() if half.expression.matches(row)]


NAMES = ("things", "things_red", "things_blue")


def test_each_row_is_in_the_map_or_in_one_of_its_parts(tmp_path: Path) -> None:
    catalog = loaded(tmp_path, THINGS + PARTS)
    assert [takers(catalog, "dataverse", {"kind": kind}) for kind in (None, 0, 1, 2, 3)] == [
        [],
        ["things"],
        ["things_red"],
        ["things_blue"],
        ["things_blue"],
    ]
    assert [takers(catalog, "finance", {"Kind": kind}) for kind in (0, 1, 2)] == [[one] for one in NAMES]
    unclear = [
        one for one in NAMES if (found := catalog[one].dataverse.unclear) is not None and found.matches({"kind": 9})
    ]
    assert unclear == ["things"]


def test_a_part_is_a_map_of_its_own_without_a_file(tmp_path: Path) -> None:
    only = "  - {dataverse: shade, finance: Shade, way: to_finance, part: red, evidence: doc}\n"
    catalog = loaded(tmp_path, THINGS + only + PARTS)
    red = catalog["things_red"]
    assert (red.part_of, red.suite, red.area, red.path) == (
        PartOf("things", "red"),
        "things",
        "project_invoices",
        catalog["things"].path,
    )
    assert (catalog["things"].part_of, catalog["things"].suite) == (None, "things")
    assert catalog.parts("things") == ("things_blue", "things_red")
    assert (catalog.needs("things_red"), catalog.needs("things_blue")) == (
        ("currencies", "legal_entities"),
        ("legal_entities",),
    )
    assert "things_red" in catalog.area("project_invoices")
    assert set(catalog) - set(catalog.declared) >= {"things_red", "things_blue"}
    carried = {name: "Shade" in [field.finance for field in catalog[name].fields] for name in NAMES}
    assert carried == {"things": False, "things_red": True, "things_blue": False}


def test_parts_stand_below_their_map_and_share_its_suite(tmp_path: Path) -> None:
    catalog = loaded(tmp_path, THINGS.replace("set: Things", "set: Currencies") + PARTS)
    rows = [(row["map"], row["part_of"]) for row in maps_table(catalog)]
    first = rows.index(("things", None))
    assert rows[first + 1 : first + 3] == [("things_blue", "things"), ("things_red", "things")]
    packaged = Catalog.load()
    written = write_suites(packaged, Schema.load(), tmp_path / "suites")
    assert {file.stem for file in written} == set(packaged.declared)
    assert drifted(packaged, Schema.load(), tmp_path / "suites") == []


def test_the_trigger_travels_alone_one_way_and_after_the_lines(tmp_path: Path) -> None:
    catalog = loaded(tmp_path, THINGS + UNIT, LINES)
    header, trigger = catalog["things"], catalog["things_trigger"]
    assert [(one.dataverse, one.way) for one in trigger.pairs] == [("number", "to_finance"), ("state", "to_finance")]
    assert (header.directions, trigger.directions) == (("to_finance", "to_dataverse"), ("to_finance",))
    assert (trigger.rows.deleted_by, trigger.rows.leaves, trigger.dataverse.unclear) == ("nobody", "keep", None)
    assert (trigger.sends_trigger, header.sends_trigger) == (True, False)
    assert header.trigger == trigger.trigger == header.fields[2]
    assert catalog.needs("things_trigger") == ("legal_entities", "lines", "things")
    assert catalog.order(["things_trigger", "lines", "things"]) == ["things", "lines", "things_trigger"]
    assert [one.map for one in catalog.headers("lines")] == ["things"]


def test_a_unit_that_is_only_watched_has_no_part(tmp_path: Path) -> None:
    catalog = loaded(tmp_path, THINGS + "unit: {lines: [lines]}\n", LINES)
    assert catalog.parts("things") == ()
    assert catalog["things"].trigger is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PARTS + "unit: {lines: [things]}\n", "either parts or a unit"),
        (PARTS.replace(", finance: Kind eq 1", ""), "the part red needs filter.finance"),
        (PARTS.replace("kind eq 1", "kind eq"), "parts.red.filter.dataverse: cannot be read as a filter"),
        (PARTS.replace("red:", "Red:"), "the part Red needs a name of lower case letters"),
        (PARTS.replace("after", "aftr"), "parts.red.aftr: is not a known word here; did you mean 'after'?"),
        (PARTS.replace("currencies", "currency"), "parts.red.after[0]: no table map 'currency'"),
        ("unit: {lines: [things], trigger: State}\n", "unit: trigger and rest belong together"),
        ("unit: {lines: [things], trigger: state, rest: 0}\n", "is the sending column, not the receiving one"),
        ("unit: {lines: [things], trigger: Stat, rest: Draft}\n", "must be the receiving column of one field"),
        (
            "unit: {lines: [things], trigger: ThingId, rest: x}\n",
            "must be the receiving column of one field of one way",
        ),
        ("unit: {lines: [things], trigger: State, rest: Open}\n", "rest must be one of the values"),
        ("unit: {lines: [lins], trigger: State, rest: Draft}\n", "unit.lines[0]: no table map 'lins'"),
        ("unit: {lines: [{map: things, off: x, by: [a]}]}\n", "did you mean 'of'?"),
    ],
)
def test_mistakes_in_parts_and_units_are_named(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in problems(tmp_path, THINGS + text)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("leaves: flag", "leaves: delete", "cannot say leaves: delete"),
        (
            "dataverse: kind,",
            "dataverse: kind, part: green,",
            "kind is to travel in the part green, which is not there",
        ),
    ],
)
def test_a_map_must_fit_its_parts(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in problems(tmp_path, (THINGS + PARTS).replace(old, new))


def test_a_trigger_needs_a_header_that_can_be_read(tmp_path: Path) -> None:
    packaged = THINGS.replace("company: dataAreaId}", "company: dataAreaId, write: package, target: ThingEntity}")
    assert "a trigger needs a header that can be read" in problems(tmp_path, packaged + UNIT, LINES)


def test_a_part_must_not_have_the_name_of_a_map(tmp_path: Path) -> None:
    other = LINES.replace("map: lines", "map: things_red")
    assert "the part red of things has the name of another map" in problems(tmp_path, THINGS + PARTS, other)


def test_parts_are_found_in_a_circle_too(tmp_path: Path) -> None:
    after = THINGS.replace("rows:", "after: [lines]\nrows:")
    assert "maps need each other in a circle" in problems(tmp_path, after + UNIT, LINES)


@pytest.mark.parametrize(
    ("header", "lines", "expected"),
    [
        (UNIT, LINES.replace("map: things,", "map: currencies,"), "lines has no lookup to things"),
        (UNIT, LINES + "enabled: false\n", "lines is off, so no document would ever be complete"),
        (UNIT, LINES.replace("to_finance", "to_dataverse"), "lines does not go to Finance, as the trigger does"),
        (PARTS, LINES, "things travels in parts, so no base of it has all records"),
        (
            UNIT.replace("[lines]", "[{map: lines, of: things, by: [nmbr]}]"),
            LINES,
            "can only be watched, not awaited",
        ),
        ("unit: {lines: [{map: lines, of: things, by: [number]}]}\n", LINES, "things holds no lines of this document"),
        (
            "unit: {lines: [lines, {map: lines, of: lines, by: [nmbr]}]}\n",
            LINES,
            "lines does not carry nmbr to Finance",
        ),
    ],
)
def test_the_check_sees_what_needs_other_maps(tmp_path: Path, header: str, lines: str, expected: str) -> None:
    found = findings(tmp_path, THINGS + header, lines)
    assert any(expected in one.text for one in found), found


def test_the_check_compares_rest_and_filters_with_the_schema(tmp_path: Path) -> None:
    roles = next(MAPS.rglob("subcontracts.yaml"))
    text = roles.read_text(encoding="utf-8").replace(", 192350003: Canceled}", ", 192350003: Cancelled}")
    found = findings(tmp_path, text.replace("rest: Draft", "rest: Cancelled"))
    assert any(one.text.startswith("unit.rest: 'Cancelled' is no value of SubConStatus") for one in found), found


def test_a_part_is_the_same_map_each_time_it_is_made(tmp_path: Path) -> None:
    loaded(tmp_path, THINGS + PARTS)
    first, second = Catalog.load(tmp_path), Catalog.load(tmp_path)
    assert first["things_red"] == second["things_red"]
    read: TableMap = read_map(tmp_path / "0.yaml")
    assert read != first["things"]
