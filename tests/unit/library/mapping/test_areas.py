"""The areas are those of the maps and of the controls, and each has a title, which is the same everywhere."""

import ast

from dualsync.controls.registry import controls
from dualsync.mapping import Catalog
from dualsync.mapping.areas import AREA_NAMES, AREAS, REFERENCE, area_title
from support.paths import ROOT


def test_every_area_of_the_maps_and_controls_is_listed() -> None:
    catalog = Catalog.load()
    assert {*catalog.areas} == {REFERENCE.name, *AREA_NAMES}
    assert {control.area for control in controls().values()} <= {*AREA_NAMES}


def test_an_area_is_shown_as_people_write_it() -> None:
    assert area_title("setup_configuration") == "Setup & configuration data"
    assert area_title("reference") == "Reference data"
    assert area_title("fleet_leasing") == "Fleet leasing"


def test_dags_and_documents_write_the_titles_alike() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    for area in AREAS:
        assert area.title in glossary
        said = ast.get_docstring(ast.parse((ROOT / "dags" / f"{area.name}.py").read_text()))
        assert said is not None
        assert said.startswith(f"{area.title}: ")
