"""Close packs: the reports of a night of one company and period, frozen when they are signed off.

A period that was signed off must not change any more: every night holds the totals it was signed with against those of
the night, and any difference is a break.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA
from dualsync.errors import RequestError, SignOffError
from dualsync.frames import Sets, literal, quoted
from dualsync.ledger import ControlResult, SignOff
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, NOT_RUN
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.totals import GROUP, TOTALS_SCHEMA, totals_path
from dualsync.sync.legs.folders import read_json, safe_name
from dualsync.sync.legs.runtime import Runtime

SIGNED_PERIOD = "signed_period"
"""The check that signed periods stay as they were stands among the controls under this name."""

PACK = "pack.json"
_FIGURES = tuple(name for name in TOTALS_SCHEMA.names if name not in ("totals", *GROUP))


def first_day(period: str) -> str:
    """The first day of a period that is given as a day or as year and month, ISO; empty without one.

    Raises:
        RequestError: It is neither.
    """
    if not period:
        return ""
    try:
        return date.fromisoformat(period if len(period) > 7 else f"{period}-01").isoformat()
    except ValueError:
        raise RequestError(f"'{period}' is no day and no month, such as 2026-03-01 or 2026-03") from None


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of signed periods: a result for each company that has one, and the file of the breaks."""

    results: list[ControlResult]
    breaks: UPath | None


def changed_periods(night: NightRuntime) -> Changed:
    """Hold the totals of signed periods against tonight's."""
    signed = [one for company in night.companies for one in night.ledger.nights.sign_offs(company)]
    if not signed:
        return Changed([], None)
    now, drawn_up = totals_path(night), read_json(totals_path(night).with_suffix(".json"))
    path = night.night.folder / "controls" / f"{SIGNED_PERIOD}.parquet"
    results: list[ControlResult] = []
    parts: list[str] = []
    with Sets() as sets:
        for number, one in enumerate(signed):
            reason = "the control totals were not computed" if drawn_up is None else _broken(UPath(one.folder), one)
            if reason:
                results.append(ControlResult(SIGNED_PERIOD, one.company, FAILED, 0, reason))
                continue
            sets.view("now", now)
            sets.view(f"signed_{number}", UPath(one.folder) / "totals.parquet")
            names = [name for name, state in (drawn_up or {})["states"].items() if state["state"] != NOT_RUN]
            sets.run(f"CREATE TEMP TABLE changed_{number} AS {_changed_sql(f'signed_{number}', one, names)}")
            found = int(sets.scalar(f"SELECT count(*) FROM changed_{number}"))
            results.append(ControlResult(SIGNED_PERIOD, one.company, BREAKS if found else EQUAL, found))
            parts.append(f"SELECT * FROM changed_{number}")
        if not parts:
            return Changed(_by_company(results), None)
        sets.save(" UNION ALL ".join(parts), path)
    return Changed(_by_company(results), path)


def _by_company(results: Sequence[ControlResult]) -> list[ControlResult]:
    """One result for each company, the worst of its periods."""
    order = {EQUAL: 0, BREAKS: 1, FAILED: 2}
    found: dict[str, ControlResult] = {}
    for one in results:
        known = found.get(one.company)
        breaks = one.breaks + (known.breaks if known else 0)
        worse = one if known is None or order[one.state] > order[known.state] else known
        found[one.company] = ControlResult(SIGNED_PERIOD, one.company, worse.state, breaks, worse.reason)
    return list(found.values())


def _changed_sql(signed: str, one: SignOff, names: Sequence[str]) -> str:
    group = ("totals", *GROUP)
    listed = ", ".join(literal(name) for name in names) or "''"
    where = f"company = {literal(one.company)} AND period = DATE {literal(one.period)} AND totals IN ({listed})"
    same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in group)
    differs = " OR ".join(f"COALESCE(a.{name}, 0) <> COALESCE(b.{name}, 0)" for name in _FIGURES)
    key = ", ".join(f"COALESCE(a.{name}, b.{name})::VARCHAR" for name in group if name != "company")
    said = {letter: f"concat_ws(', ', {', '.join(f'{letter}.{name}' for name in _FIGURES)})" for letter in ("a", "b")}
    values = {
        "control": literal(SIGNED_PERIOD),
        "company": literal(one.company),
        "key": f"concat_ws(' ', {key})",
        "class": literal(SIGNED_PERIOD),
        "field": "''",
        "severity": "'critical'",
        "dataverse_value": f"'now: ' || {said['b']}",
        "finance_value": f"'signed: ' || {said['a']}",
        "amount": "(COALESCE(b.dataverse_amount, 0) - COALESCE(a.dataverse_amount, 0))::DECIMAL(38,6)",
        "currency": "COALESCE(a.currency, b.currency)",
        "cause": "'edited'",
        "explanation": literal(f"signed off by {one.prepared_by} in run {one.run_id}"),
    }
    columns = ", ".join(f"{values.get(name, chr(39) * 2)} AS {quoted(name)}" for name in BREAK_SCHEMA.names)
    return (
        f"SELECT {columns} FROM (SELECT * FROM {signed} WHERE {where}) a "
        f"FULL JOIN (SELECT * FROM now WHERE {where}) b ON {same} WHERE {differs}"
    )


# --- making and signing packs -----------------------------------------------------------------------------------------


def pack_folder(runtime: Runtime, company: str, period: str, run_id: str) -> UPath:
    """Where the pack of a period is kept, apart from the runs, which may be cleaned away."""
    return UPath(runtime.settings.state_url) / "packs" / safe_name(company) / safe_name(period) / safe_name(run_id)


def sign_off(runtime: Runtime, company: str, period: str, by: str, *, run_id: str = "", comment: str = "") -> SignOff:
    """Freeze the pack of a period and sign it.

    Args:
        runtime: Ledger and settings.
        company: Code of the company.
        period: First day of the fiscal period, ISO.
        by: Who signs.
        run_id: The night that made the pack; the latest one of that company and period by default.
        comment: A word to it.

    Raises:
        SignOffError: There is no such pack, its night failed, or the period is signed already.
    """
    known = runtime.ledger.nights.latest(1000)
    packs = [one for one in known if one.period == period and one.companies == (company,)]
    night = next((one for one in packs if not run_id or one.run_id == run_id), None)
    if night is None:
        raise SignOffError(
            f"there is no close package of {company} and {period}; make one with "
            f"`dualsync reconcile --company {company} --period {period}`"
        )
    if night.failed:
        raise SignOffError(f"part of run {night.run_id} failed, so its close package cannot be signed; run it again")
    folder = pack_folder(runtime, company, period, night.run_id)
    digest = _freeze(UPath(night.folder), folder)
    signed = SignOff(company, period, night.run_id, str(folder), digest, by, datetime.now(UTC), comment=comment)
    runtime.ledger.nights.sign(signed)
    return signed


def _freeze(source: UPath, folder: UPath) -> str:
    """Copy a pack, write down the digest of each file, and return the digest of that list."""
    digests: dict[str, str] = {}
    names = ["totals.parquet", "totals.json", "breaks.parquet", "verdict.json"]
    files = [source / name for name in names] + sorted((source / "reports").iterdir(), key=str)
    for file in files:
        content = file.read_bytes()
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digests[file.name] = hashlib.sha256(content).hexdigest()
    text = json.dumps(digests, indent=1, sort_keys=True)
    (folder / PACK).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def _broken(folder: UPath, signed: SignOff) -> str:
    """Why a frozen pack is not what was signed any more, empty where it is."""
    listed = folder / PACK
    if not listed.exists():
        return f"the signed close package {folder} is gone"
    text = listed.read_text()
    if hashlib.sha256(text.encode()).hexdigest() != signed.digest:
        return f"the list of files of the signed close package {folder} was changed"
    digests: dict[str, Any] = json.loads(text)
    for name, digest in digests.items():
        file = folder / name
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            return f"the file {name} of the signed close package {folder} was changed"
    return ""
