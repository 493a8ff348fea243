"""Write the catalogue of real names: what public sources tell of Finance's entity sets and of Dataverse's tables.

``docs/build_catalogue.py REFERENCE`` reads a folder of collected facts and writes the tab-separated files in
``include/dualsync/catalogue``. The folder is no part of the project, and the catalogue holds facts only: names, keys,
types, members, numbers, and where each was found. In the folder the script reads

``schema/finance-public``
    The public entity sets of one real environment, and its enums.
``schema/dataverse-evidence``
    One table of columns for each Dataverse table, keys and relations, and ``verdicts.md`` on the names in use.
``schema/finance``
    The fields of data entities that Finance does not show over OData, from Microsoft's common data model.
``controls/sources.md``
    The sets where controls can read what they need.

The catalogue holds the sets and tables that the project names or that ``controls/sources.md`` names, each with all its
columns.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "include" / "dualsync" / "catalogue"
SANDBOX = ROOT / "include" / "dualsync_sandbox" / "schema"

FINANCE_SOURCE = (
    "names, keys and types read out of an OData client that was generated from the $metadata of one real environment "
    "with Project Operations, April 2025: github.com/ntrtd/d365-agent, commit b1a5d29, asset/client/src"
)
DATAVERSE_SOURCE = "facts of public repositories and documentation; sources.tsv says where each code stands"
PACKAGED = {
    "ProjInvoiceProposalsV2": ("ProjInvoiceProposalEntity", "InvoiceProposalId"),
    "TransactionRelationships": ("ProjCDSTransactionRelationshipImportEntity", "ConnectionId"),
    "ProjCDSTransactionRelationshipImports": ("ProjCDSTransactionRelationshipImportEntity", "ConnectionId"),
}
"""By the name the project gives to what a data package reaches, the entity whose fields are published, and its key."""

CDM = "github.com/microsoft/CDM, core/operationsCommon/Entities/ProfessionalServices/ProjectManagementAndAccounting/"

CONFIRMED, PUBLISHED_MAP, DOCUMENTED, PREDECESSOR = "confirmed", "published map", "documented", "predecessor"
LABEL_ONLY, NONE, CONTRADICTED = "label only", "none", "contradicted"
BEST_FIRST = (CONFIRMED, PUBLISHED_MAP, DOCUMENTED, PREDECESSOR, LABEL_ONLY, NONE, CONTRADICTED)

SOURCES = (
    ("SCHED22", CONFIRMED, r"^microsoft/Dynamics365-Project-Operations-PowerApps:"),
    ("AMAP", PUBLISHED_MAP, r"^finopsfuntimes/ProjectOpsEmpFinDims:"),
    ("EL26", CONFIRMED, r"^gaurangjani/"),
    ("DEVKIT24", CONFIRMED, r"^phuocle/Dynamics-Crm-DevKit:"),
    ("GAB21", CONFIRMED, r"GAB Packages/"),
    ("DWKEYS", PUBLISHED_MAP, r"^microsoft/Dual-write-automations:"),
    ("DWREF", PUBLISHED_MAP, r"dual-write mapping reference"),
    ("DWEXPORT", PUBLISHED_MAP, r"^exported map "),
    ("MPXJ25", CONFIRMED, r"^joniles/mpxj:"),
    ("PSC25", CONFIRMED, r"^Jugalchoubisa"),
    ("CEDOC-PSA", PREDECESSOR, r"customer-engagement on-premises"),
    ("CEDOC24", CONFIRMED, r"^MicrosoftDocs/dynamics-365-customer-engagement:"),
    ("FT-PO", DOCUMENTED, r"PO-DataMigration|LIB_Task"),
    ("BC", CONFIRMED, r"^Business Central"),
    ("CDM-PSA", PREDECESSOR, r"^microsoft/CDM:"),
    ("DEVKIT-PSA", PREDECESSOR, r"generated webapi class"),
    ("LIVE26", CONFIRMED, r"^live metadata page"),
    ("WEBAPI", CONFIRMED, r"^Web API reference"),
    ("PODOC-MAP", PUBLISHED_MAP, r"^MicrosoftDocs/dynamics-365-project-operations:\S+\.(?:png|jpg)"),
    ("PODOC", DOCUMENTED, r"^MicrosoftDocs/dynamics-365-project-operations:"),
    ("DWVIEW", DOCUMENTED, r"^OliverFlint/"),
    ("CODE", DOCUMENTED, r"stored file id|public code"),
)
"""Code, class and how the place of it begins; the first that fits."""

PLATFORM = "PLATFORM"
PLATFORM_SAYS = (
    "rule of the platform: what every table has, and what every table with money has; "
    "learn.microsoft.com/power-apps/developer/data-platform"
)
EVERY_TABLE = (
    ("createdon", "DateTime"),
    ("createdby", "Lookup"),
    ("modifiedon", "DateTime"),
    ("modifiedby", "Lookup"),
    ("versionnumber", "BigInt"),
    ("statecode", "State"),
    ("statuscode", "Status"),
)

# What the verdicts say of a contradicted name, in a word that a test can hold.
NO_COLUMN, OTHER_MEANING, READ_ONLY, OTHER_KIND, OTHER_WAY = (
    "no such column",
    "another meaning",
    "read-only",
    "another kind",
    "another way",
)
WRONG: dict[tuple[str, str], tuple[str, str]] = {
    ("invoice", "invoicenumber"): (OTHER_MEANING, "msdyn_invoicenumber"),
    ("msdyn_actual", "exchangerate"): (READ_ONLY, "msdyn_accountexchangerate"),
    ("msdyn_actual", "msdyn_contractcustomer"): (NO_COLUMN, "msdyn_projectcontractsplitbillingrule"),
    ("msdyn_actual", "msdyn_documentdate"): (OTHER_MEANING, "msdyn_transactiondate"),
    ("msdyn_actual", "msdyn_origin"): (NO_COLUMN, "msdyn_transactionorigin"),
    ("msdyn_actual", "msdyn_salestaxamount"): (NO_COLUMN, "msdyn_accountingtaxamount"),
    ("msdyn_contactforparty", "msdyn_associatedparty"): (NO_COLUMN, "msdyn_associatedpartyid"),
    ("msdyn_contactforparty", "msdyn_name"): (NO_COLUMN, "msdyn_contactforpartynumber"),
    ("msdyn_contractlinescheduleofvalue", "msdyn_invoicestatus"): (OTHER_WAY, "msdyn_invoicestatus"),
    ("msdyn_estimateline", "msdyn_contractlineid"): (NO_COLUMN, "msdyn_salescontractlineid"),
    ("msdyn_expense", "msdyn_task"): (NO_COLUMN, "msdyn_projecttask"),
    ("msdyn_expense", "msdyn_totalamount"): (READ_ONLY, "msdyn_amount"),
    ("msdyn_expensecategory", "msdyn_transactioncategory"): (NO_COLUMN, "msdyn_expensecategoryuid"),
    ("msdyn_party", "msdyn_name"): (NO_COLUMN, "msdyn_organizationname"),
    ("msdyn_projectcontractsplitbillingrule", "msdyn_contract"): (NO_COLUMN, "msdyn_projectcontractid"),
    ("msdyn_projectcontractsplitbillingrule", "msdyn_number"): (
        NO_COLUMN,
        "msdyn_projectcontractsplitbillingrulenumber",
    ),
    ("msdyn_projectcontractsplitbillingrule", "msdyn_paymentterms"): (OTHER_KIND, "msdyn_paymentterms"),
    ("msdyn_projectvendorinvoiceline", "msdyn_task"): (NO_COLUMN, "msdyn_projecttask"),
    ("msdyn_resourceassignment", "msdyn_contractlineid"): (NO_COLUMN, "msdyn_salescontractlineid"),
    ("msdyn_resourceassignment", "msdyn_fromdate"): (NO_COLUMN, "msdyn_start"),
    ("msdyn_resourceassignment", "msdyn_hours"): (NO_COLUMN, "msdyn_effort"),
    ("msdyn_resourceassignment", "msdyn_resourcecategoryid"): (NO_COLUMN, "msdyn_taskid.msdyn_resourcecategory"),
    ("msdyn_subcontractline", "msdyn_project"): (NO_COLUMN, "msdyn_projectid"),
    ("msdyn_subcontractline", "msdyn_task"): (NO_COLUMN, ""),
    ("salesorder", "ordernumber"): (OTHER_MEANING, "msdyn_salesordernumber"),
}
"""By table and column, what is wrong with the name and which name to use; the reasons stand in the verdicts."""


class Sources:
    """Places of facts, each with a short code."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[str, str]] = {PLATFORM: (CONFIRMED, PLATFORM_SAYS)}
        self._codes: dict[str, str] = {}

    def code(self, place: str) -> str:
        """The code of one place, made at its first mention."""
        place = re.sub(r" \(shared/[^)]*\)", "", place.strip())
        if place in self._codes:
            return self._codes[place]
        family, evidence = next(
            ((code, evidence) for code, evidence, begins in SOURCES if re.search(begins, place)), ("CODE", DOCUMENTED)
        )
        file = re.split(r"@|\s\(", place.partition(":")[2] or place)[0].rsplit("/", 1)[-1].split(".")[0]
        name = "_".join(re.findall(r"\w+", file))[:40]
        code, number = f"{family}/{name}" if name else family, 2
        while code in self.places:
            code, number = f"{family}/{name}{number}", number + 1
        self.places[code], self._codes[place] = (evidence, place), code
        return code

    def codes(self, places: str) -> list[str]:
        """The codes of places that a bar separates."""
        return list(dict.fromkeys(self.code(place) for place in places.split(" | ") if place.strip()))

    def best(self, codes: Iterable[str]) -> str:
        """The best class of evidence among some codes."""
        return min((self.places[code][0] for code in codes), key=BEST_FIRST.index, default=NONE)


def main(reference: Path) -> None:
    """Read the reference and write the catalogue."""
    _finance(reference)
    _dataverse(reference)


def _write(name: str, source: str, head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> None:
    lines = [f"# source: {source}", "\t".join(head), *("\t".join(row) for row in rows)]
    (CATALOGUE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read(file: Path) -> Iterator[dict[str, str]]:
    lines = (line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")


# --- Finance --------------------------------------------------------------------------------------------------------


def _finance(reference: Path) -> None:
    public = {row["set"]: row for row in _read(reference / "schema" / "finance-public" / "entities.tsv")}
    named = set(re.findall(r"\w+", (reference / "controls" / "sources.md").read_text(encoding="utf-8")))
    named |= {file.stem for file in (SANDBOX / "finance").glob("*.tsv")}
    for file in (ROOT / "include" / "dualsync").rglob("*.yaml"):
        named |= set(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    sets = sorted(public.keys() & named)
    rows, enums = [], set()
    for name in sets:
        keys = public[name]["key"].split(",")
        for told in public[name]["columns"].split():
            column, _, kind = told.partition(":")
            nullable, kind = kind.endswith("?"), kind.removesuffix("?").removeprefix("Edm.")
            if kind.startswith("enum:"):
                enums.add(kind.removeprefix("enum:"))
            rows.append((name, column, kind, "yes" if nullable else "", "yes" if column in keys else ""))
    _write("finance.tsv", FINANCE_SOURCE, ("set", "column", "type", "nullable", "key"), rows)
    members = {row["enum"]: row["members"] for row in _read(reference / "schema" / "finance-public" / "enums.tsv")}
    _write(
        "finance_enums.tsv",
        FINANCE_SOURCE,
        ("enum", "members"),
        [(name, members[name]) for name in sorted(enums & members.keys())],
    )
    packaged = [
        (name, row["field"], row["type"], "", "yes" if row["field"] == key else "")
        for name, (entity, key) in PACKAGED.items()
        for row in _read(reference / "schema" / "finance" / f"{entity}.tsv")
    ]
    _write(
        "finance_packages.tsv",
        f"fields of data entities that OData does not show, from {CDM}; of invoice proposals the first version only",
        ("set", "column", "type", "nullable", "key"),
        packaged,
    )


# --- Dataverse ------------------------------------------------------------------------------------------------------


def _dataverse(reference: Path) -> None:
    folder, sources = reference / "schema" / "dataverse-evidence", Sources()
    verdicts = list(_verdicts(folder / "verdicts.md"))
    tables = {table for table, *_ in verdicts} | {file.stem for file in (SANDBOX / "dataverse").glob("*.tsv")}
    tables |= {"msdyn_transactionorigin", "msdyn_projectteam", "msdyn_subcontractlinemilestone"}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for table in sorted(tables):
        if (folder / f"{table}.tsv").exists():
            columns |= {(table, row["logical_name"]): row for row in _read(folder / f"{table}.tsv")}
    facts = {place: _facts(row, sources) for place, row in columns.items()}
    for place, fact in _by_relation(folder / "_relationships.tsv", sources).items():
        if place[0] in tables and place not in facts:
            facts[place] = fact
    _by_verdict(facts, verdicts, sources)
    for table in tables:
        _by_label(facts, table, folder / "_columns_known_by_label_only.tsv", sources)
        _by_platform(facts, table)
    head = ("table", "column", "type", "behaviour", "size", "targets", "navigation", "delete", "options", "writable")
    head += ("evidence", "sources", "wrong", "instead", "note")
    _write(
        "dataverse.tsv",
        DATAVERSE_SOURCE,
        head,
        [
            (table, column, *(facts[table, column].get(word, "") for word in head[2:]))
            for table, column in sorted(facts)
        ],
    )
    _tables(folder / "_keys_and_sets.tsv", tables, sources)
    _write(
        "sources.tsv",
        "the places that the collected facts name; GitHub repositories as owner/name:path@commit",
        ("code", "evidence", "place"),
        [(code, *sources.places[code]) for code in sorted(sources.places)],
    )


def _fact(kind: str, source: str, evidence: str) -> dict[str, str]:
    return {"type": kind, "sources": source, "evidence": evidence}


def _facts(row: dict[str, str], sources: Sources) -> dict[str, str]:
    about = row["targets or choices"]
    codes = sources.codes(row["evidence"])
    fact = _fact(row["type"], ",".join(codes), sources.best(codes))
    fact |= {"behaviour": row["date_behaviour"], "size": row["max_length/precision"]}
    if (row["valid_for_create"], row["valid_for_update"]) == ("no", "no"):
        fact["writable"] = "no"
    targets = re.match(r"-> ([\w,]+)", about)
    if targets:
        fact["targets"] = targets[1].replace(",", ";")
        for word in ("navigation", "delete"):
            told = re.search(rf"{word} (\w+)", about)
            fact[word] = told[1] if told else ""
    elif re.match(r"\d+=", about):
        fact["options"] = re.sub(r"; (?=-?\d+=)", ";", about)
    return fact


def _by_relation(file: Path, sources: Sources) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in _read(file):
        codes = sources.codes(row["evidence"])
        found[row["referencing_table"], row["column"]] = _fact("Lookup", ",".join(codes), sources.best(codes)) | {
            "targets": row["referenced_table"],
            "navigation": row["navigation_property"],
            "delete": row["on_delete"],
        }
    return found


def _verdicts(file: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Table, column or path, verdict, note and sources of every name in use."""
    table = ""
    text = file.read_text(encoding="utf-8").partition("\n## Every column")[2]
    for line in text.partition("\n## ")[0].splitlines():
        if line.startswith("### "):
            table = line.removeprefix("### ").strip()
        elif line.startswith("| ") and not line.startswith("| column"):
            column, verdict, note, source, _ = (cell.strip() for cell in line.strip("| ").split(" | ", 4))
            yield table, column, verdict, note.replace("**", ""), source


_WORDS = {"confirmed": DOCUMENTED, "PSA era": PREDECESSOR, "no evidence": NONE, "contradicted": CONTRADICTED}


def _by_verdict(
    facts: dict[tuple[str, str], dict[str, str]], verdicts: list[tuple[str, str, str, str, str]], sources: Sources
) -> None:
    for table, path, verdict, note, told in verdicts:
        column, _, rest = path.partition(".")
        codes = [_short(code, sources) for code in told.split(", ") if code]
        known = facts.get((table, column))
        if rest and (known is not None or verdict == "contradicted"):
            continue
        evidence = _WORDS[verdict]
        if verdict == "confirmed":
            evidence = min(_WORDS[verdict], sources.best(codes), key=BEST_FIRST.index)
            if known is not None:
                evidence = min(evidence, known["evidence"], key=BEST_FIRST.index)
        fact = known or _fact("Lookup" if rest else "", ",".join(codes), evidence)
        facts[table, column] = fact | {"evidence": evidence}
        if not rest and note:
            facts[table, column]["note"] = note
    for (table, column), (wrong, instead) in WRONG.items():
        fact = facts.setdefault((table, column), _fact("", "", CONTRADICTED))
        fact |= {"evidence": CONTRADICTED, "wrong": wrong, "instead": instead}
        facts[table, column] = fact
    for fact in facts.values():
        if fact["evidence"] == CONTRADICTED and "wrong" not in fact:
            # the column is there and rightly named; the verdict is on one pair, which a test of its own holds
            fact["evidence"] = PUBLISHED_MAP if not fact["sources"] else sources.best(fact["sources"].split(","))


def _short(told: str, sources: Sources) -> str:
    """The code of a source that the verdicts name by its family, or by family and file."""
    family, _, file = told.partition(" ")
    family = {"platform": PLATFORM, "live": "LIVE26"}.get(family, family)
    if family in sources.places:
        return family
    if file and family == "PODOC":
        return sources.code(f"MicrosoftDocs/dynamics-365-project-operations:articles/{file}")
    known = sorted(code for code in sources.places if code.split("/")[0] == family)
    if not known:
        evidence = next((evidence for code, evidence, _ in SOURCES if code == family), DOCUMENTED)
        sources.places[family] = (evidence, told)
        return family
    if family not in sources.places:
        places = {sources.places[code][1].partition(":")[0] for code in known}
        sources.places[family] = (sources.places[known[0]][0], "; ".join(sorted(places)))
    return family


def _by_platform(facts: dict[tuple[str, str], dict[str, str]], table: str) -> None:
    """What follows from the platform: primary id and system columns; beside money, currency, rate and base amounts."""
    names = [(f"{table}id", "Uniqueidentifier"), *EVERY_TABLE]
    money = [name for (held, name), fact in facts.items() if held == table and fact.get("type") == "Money"]
    if money:
        names += [("transactioncurrencyid", "Lookup"), ("exchangerate", "Decimal")]
        names += [(f"{name}_base", "Money") for name in money if not name.endswith("_base")]
    for name, kind in names:
        facts.setdefault((table, name), _fact(kind, PLATFORM, CONFIRMED))


def _by_label(facts: dict[tuple[str, str], dict[str, str]], table: str, file: Path, sources: Sources) -> None:
    """Where documentation gives a label and no name, the name in use has that much evidence."""
    names = {("msdyn_actual", "skip sync"): "msdyn_skipsync", ("msdyn_subcontract", "statuscode"): "statuscode"}
    for row in _read(file):
        column = names.get((row["table"], row["what"]))
        if row["table"] == table and column is not None:
            codes = sources.codes(row["evidence"])
            facts[table, column] = _fact(row["type"], ",".join(codes), LABEL_ONLY) | {"note": row["fact"]}


def _tables(file: Path, tables: set[str], sources: Sources) -> None:
    """Entity sets, primary columns and keys of the tables."""
    about: dict[str, dict[str, str]] = {}
    keys: list[tuple[str, ...]] = []
    for row in _read(file):
        if row["table"] not in tables:
            continue
        codes = ",".join(sources.codes(row["evidence"]))
        if row["kind"] == "entity set":
            told = dict(re.findall(r"(primary id|primary name) (\w+)", row["columns"]))
            about.setdefault(row["table"], {"set": row["name"], "sources": codes, **told})
        else:
            keys.append((row["table"], row["kind"], row["name"], row["columns"], codes))
    _write(
        "dataverse_tables.tsv",
        DATAVERSE_SOURCE,
        ("table", "set", "primary_name", "sources"),
        [
            (name, told.get("set", ""), told.get("primary name", ""), told.get("sources", ""))
            for name in sorted(tables)
            for told in (about.get(name, {}),)
        ],
    )
    _write("dataverse_keys.tsv", DATAVERSE_SOURCE, ("table", "kind", "name", "columns", "sources"), sorted(keys))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build_catalogue.py REFERENCE")
    main(Path(sys.argv[1]))
