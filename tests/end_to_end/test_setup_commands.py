"""The command line on the sandbox; where nothing else is said, in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import start_run
from dualsync.sync.run.steps import run_step
from support.commands import dualsync

if TYPE_CHECKING:
    from support.worlds import World

LONG = "A name that is longer than Finance's sixty characters, by some distance"


def run(world: World, *words: str, code: int = 0, process: bool = False) -> str:
    """What ``dualsync`` prints, or says is wrong; it must end with ``code``."""
    printed = dualsync(world, *words, code=code, process=process)
    return printed.out if code != 2 else printed.err


def told(world: World, *words: str, code: int = 0, process: bool = False) -> Any:
    """What it prints with ``--json``, which must be JSON and nothing else."""
    return json.loads(run(world, *words, "--json", code=code, process=process))


def uspm(world: World) -> str:
    return str(world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"])


def waiting_line(world: World) -> tuple[dict[str, Any], str]:
    """A project that is held back, and the key of a contract line that waits for it."""
    company = uspm(world)
    contract = world.dataverse_api.rows(
        "salesorders", f"msdyn_ordertype eq 192350001 and _msdyn_company_value eq {company}"
    )[0]
    project = world.dataverse_api.create(
        "msdyn_projects", {"msdyn_OwningCompany@odata.bind": f"/cdm_companies({company})", "msdyn_subject": LONG}
    )
    world.dataverse_api.create(
        "salesorderdetails",
        {
            "salesorderid@odata.bind": f"/salesorders({contract['salesorderid']})",
            "msdyn_project@odata.bind": f"/msdyn_projects({project['msdyn_projectid']})",
            "producttypecode": 5,
            "msdyn_linetype": 690970000,
            "msdyn_billingmethod": 192350000,
            "sequencenumber": 70,
            "productdescription": "A line that waits",
        },
    )
    return project, f"{contract['ordernumber']}|70"


def test_maps(synced: World) -> None:
    maps = {row["map"]: row for row in told(synced, "maps", "list")}
    assert maps["contract_lines"]["needs"] == ["contract_headers", "projects"]
    assert maps["customers_v3"]["directions"] == ["to_dataverse", "to_finance"]
    names = list(maps)
    whole = {name: row for name, row in maps.items() if row["part_of"] is None}
    assert all(names.index(need) < names.index(name) for name, row in whole.items() for need in row["needs"])
    assert names[names.index("actuals") + 1] == "actuals_billed"
    assert "contract_lines" in run(synced, "maps", "list")
    assert "projects" in run(synced, "maps", "graph", "--area", "setup_configuration")
    assert run(synced, "maps", "graph", "--mermaid").startswith(("flowchart", "graph"))
    assert told(synced, "maps", "check", "--live") == []
    assert f"{len(whole)} maps, 0 findings" in run(synced, "maps", "check")


def test_a_row_that_waits_is_listed_and_explained(synced: World) -> None:
    project, key = waiting_line(synced)
    words = ("sync", "setup_configuration", "--map", "projects", "--map", "contract_lines")

    summary = told(synced, *words, process=True)

    assert summary["state"] == "settled"
    legs = {(leg["map"], leg["company"]): leg for leg in summary["legs"]}
    assert (legs["projects", "USPM"]["planned"], legs["projects", "USPM"]["quarantined"]) == (1, 1)
    assert (legs["contract_lines", "USPM"]["planned"], legs["contract_lines", "USPM"]["waiting"]) == (1, 1)

    status = told(synced, "status")
    assert {
        "map": "projects",
        "direction": "to_finance",
        "company": "USPM",
        "state": "quarantined",
        "rows": 1,
    } in status["open"]
    latest = {(leg["map"], leg["direction"], leg["company"]): leg for leg in status["legs"] if leg["part"] == "rows"}
    assert latest["contract_lines", "to_finance", "USPM"]["waiting"] == 1
    ends = ("created", "updated", "deleted", "unchanged", "conflict", "waiting", "quarantined", "skipped")
    assert all(leg["planned"] == sum(leg[end] for end in ends) for leg in latest.values())
    vendors = synced.finance("VendorsV2", ["VendorAccountNumber"], "frrt")
    assert latest["vendors_v2", "to_dataverse", "FRRT"]["created"] == len(vendors) > 0, "of the run before"
    assert "projects" in run(synced, "status")

    (listed,) = told(synced, "quarantine", "list")
    assert (listed["key"], listed["rule"]) == (project["msdyn_projectnumber"], "projects.ProjectName.length")
    (waits,) = told(synced, "quarantine", "list", "--state", "waiting")
    assert (waits["map"], waits["key"]) == ("contract_lines", key)
    assert len(told(synced, "quarantine", "list", "--state", "all", "--company", "uspm")) == 2
    assert told(synced, "quarantine", "list", "--map", "milestones") == []
    assert told(synced, "quarantine", "show", "contract_lines", key) == [waits]
    shown = run(synced, "quarantine", "show", "projects", project["msdyn_projectnumber"])
    assert "longer than 60 characters" in shown
    assert told(synced, "quarantine", "show", "projects", "PRJ-NONE", code=1) == []

    (explained,) = told(synced, "explain", "contract_lines", key)
    assert (explained["company"], explained["finance"], explained["agreed"]) == ("USPM", None, None)
    assert explained["dataverse"]["productdescription"] == "A line that waits"
    assert [row["state"] for row in explained["open"]] == ["waiting"]
    assert [(plan["direction"], plan["action"], plan["sent"]) for plan in explained["plans"]] == [
        ("to_finance", "waiting", None)
    ]
    parents = {parent["map"]: parent for parent in explained["parents"]}
    assert parents["contract_headers"]["on_both_sides"] is True
    assert parents["projects"]["on_both_sides"] is False
    assert parents["projects"]["key"] == project["msdyn_projectnumber"]
    text = run(synced, "explain", "contract_lines", key, "--company", "USPM")
    assert f"msdyn_project -> projects {project['msdyn_projectnumber']} (USPM): not on both sides yet" in text
    assert "waiting since" in text

    (healthy,) = told(synced, "explain", "contract_headers", key.split("|")[0])
    assert healthy["agreed"]["key"] == key.split("|")[0]
    assert healthy["open"] == []
    assert all(parent["on_both_sides"] for parent in healthy["parents"])


def test_one_key_with_its_parents_from_nothing(seeded: World) -> None:
    line = seeded.dataverse_api.rows(
        "salesorderdetails", f"msdyn_linetype eq 690970000 and _msdyn_company_value eq {uspm(seeded)}"
    )[0]
    contract = seeded.dataverse_api.one("salesorders", f"salesorderid eq {line['_salesorderid_value']}")
    project = seeded.dataverse_api.one("msdyn_projects", f"msdyn_projectid eq {line['_msdyn_project_value']}")
    words = ("sync", "setup_configuration", "--map", "contract_lines", "--company", "USPM")
    key = f"{contract['ordernumber']}|{line['sequencenumber']}"

    alone = told(seeded, *words, "--key", key)
    (leg,) = alone["legs"]
    assert (leg["planned"], leg["waiting"]) == (1, 1)

    together = told(seeded, *words, "--key", key, "--with-parents")

    assert together["state"] == "settled"
    legs = {leg["map"]: leg for leg in together["legs"] if leg["direction"] == "to_finance"}
    assert [legs[name]["created"] for name in ("contract_headers", "projects", "contract_lines")] == [1, 1, 1]
    assert [row["ContractLineId"] for row in seeded.finance_api.rows("ProjectContractLines")] == [
        line["msdyn_contractlinenumber"]
    ]
    assert [row["ProjectId"] for row in seeded.finance_api.rows("ProjectsV2")] == [project["msdyn_projectnumber"]]
    assert [row["ProjectContractId"] for row in seeded.finance_api.rows("ProjectContractHeaders")] == [
        contract["ordernumber"]
    ]
    assert seeded.open_rows() == []

    # The run of single keys moved no position, so a later run still brings all the others.
    rest = told(seeded, "sync", "setup_configuration", "--map", "transaction_categories")
    assert rest["legs"][0]["created"] == 8


def test_one_key_of_many_changes(synced: World) -> None:
    known = {row["ProjectId"] for row in synced.finance_api.rows("ProjectsV2") if row["dataAreaId"] == "uspm"}
    first, second = [row for row in synced.dataverse_api.rows("msdyn_projects") if row["msdyn_projectnumber"] in known][
        :2
    ]
    for row in (first, second):
        synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": "Renamed"})
    words = ("sync", "setup_configuration", "--map", "projects")

    one = told(synced, *words, "--key", first["msdyn_projectnumber"].lower())
    assert sum(leg["updated"] for leg in one["legs"]) == sum(leg["planned"] for leg in one["legs"]) == 1
    both = told(synced, *words)
    assert [sum(leg[end] for leg in both["legs"]) for end in ("planned", "updated", "unchanged")] == [2, 1, 1]


def test_an_interrupted_run_goes_on_where_it_stopped(synced: World) -> None:
    project = synced.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {uspm(synced)}")[0]
    synced.dataverse_api.change(f"msdyn_projects({project['msdyn_projectid']})", {"msdyn_subject": "Renamed"})
    with synced.runtime() as runtime:
        begun = start_run(RunSpec("setup_configuration", maps=["projects"]), runtime)
        for step in ("extract", "reconcile"):
            run_step(step, run=begun, map_name="projects", direction="to_finance", companies=["USPM"], runtime=runtime)
    assert "no run 'x'" in run(synced, "resume", "x", code=2)
    resumed = told(synced, "resume", begun.run_id)
    assert (resumed["run_id"], resumed["state"]) == (begun.run_id, "settled")
    legs = {leg["company"]: leg for leg in resumed["legs"]}
    assert legs["USPM"]["updated"] == 1
    assert set(legs) == {"USPM", "GBPM", "FRRT"}
    number = project["msdyn_projectnumber"]
    (changed,) = told(synced, "explain", "projects", number, "--company", "USPM")
    cells = {cell["column"]: cell for cell in changed["plans"][0]["facts"]}
    assert cells["ProjectName"]["facts"] == ["based", "source_moved"]
    assert cells["ProjectName"]["decided"] == ["write", "replaces"]
    text = run(synced, "explain", "projects", number, "--company", "USPM")
    assert "ProjectName: based, source moved -> write, replaces" in text
    script = run(synced, "explain", "projects", number, "--company", "USPM", "--sql")
    statements = script.split(";\n")
    assert any("FROM joined" in statement for statement in statements)
    assert max(len(statement) for statement in statements) <= 5_000
    written = len(synced.writes())
    assert told(synced, "resume", begun.run_id)["state"] == "settled"
    assert len(synced.writes()) == written


def test_exit_codes_and_messages(synced: World) -> None:
    assert "no area 'setup_configurations'; did you mean 'setup_configuration'?" in run(
        synced, "sync", "setup_configurations", code=2
    )
    wrong = ("sync", "setup_configuration", "--map", "project")
    assert "did you mean 'projects'" in run(synced, *wrong, code=2, process=True)
    assert "company DEMF is not integrated" in run(synced, "sync", "setup_configuration", "--company", "DEMF", code=2)
    assert "no mode 'everything'" in run(synced, "sync", "setup_configuration", "--mode", "everything", code=2)
    assert "--key needs exactly one --map" in run(synced, "sync", "setup_configuration", "--key", "x", code=2)
    keyed = ("sync", "setup_configuration", "--key", "x", "--map")
    assert "did you mean 'projects'" in run(synced, *keyed, "project", code=2)
    assert "has 1 part" in run(synced, *keyed, "contract_lines", code=2)
    assert "has 1 part" in run(synced, "explain", "contract_lines", "ORD-1", code=2)
    assert "did you mean 'projects'" in run(synced, "explain", "project", "PRJ-1", code=2)

    rules = synced.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    known = {row["FundingSourceId"] for row in synced.finance_api.rows("ProjectFundingSources")}
    rule = next(row for row in rules if row["msdyn_number"] in known)
    synced.dataverse_api.delete(
        f"msdyn_projectcontractsplitbillingrules({rule['msdyn_projectcontractsplitbillingruleid']})"
    )
    (synced.home / "dualsync.toml").write_text("[guards]\ndeletes = 0\n", encoding="utf-8")
    words = ("sync", "setup_configuration", "--map", "funding_sources")
    held = told(synced, *words, code=1, process=True)
    assert held["state"] == "held"
    assert "more than the limit of 0" in run(synced, *words, code=1)
    dry = told(synced, *words, "--dry-run")
    assert dry["state"] == "dry_run"
    assert told(synced, *words, "--no-guards")["state"] == "settled"

    synced.close()
    failed = run(synced, "sync", "setup_configuration", "--map", "projects", code=2)
    assert "sandbox.json" in failed
