"""Pages of close packages: the list, one package, signing it, and confirming it as a second person."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from dualsync.ledger import NightRecord, SignOff
from dualsync.nightly.packs import sign_off
from dualsync.reports.nights import NightReport
from dualsync.sync.legs.runtime import Runtime
from dualsync_airflow.pages import shown
from dualsync_airflow.pages.access import can_edit, may_edit
from dualsync_airflow.pages.render import go, page

router = APIRouter()

PACKS = 200
"""Latest runs that are searched for close packages."""


@router.get("/packs")
def packs(request: Request, user: GetUserDep) -> Response:
    """List the periods that were signed off, and the close packages that could be."""
    opened = shown.runtime()
    signed = {(one.company, one.period): one for one in opened.ledger.nights.sign_offs()}
    made: dict[tuple[str, str], NightRecord] = {}
    for night in opened.ledger.nights.latest(PACKS):
        if night.period and len(night.companies) == 1:
            made.setdefault((night.companies[0], night.period), night)
    waiting = [night for key, night in made.items() if key not in signed]
    return page(request, user, "packs.html", signed=list(signed.values()), waiting=waiting)


@router.get("/packs/{company}/{period}")
def one_pack(request: Request, user: GetUserDep, company: str, period: str, done: str = "") -> Response:
    """Show the close package of a period: its totals, its digest, who signed."""
    opened = shown.runtime()
    signed = _signed(opened, company, period)
    nights = opened.ledger.nights
    made = (each for each in nights.latest(PACKS) if each.period == period and each.companies == (company,))
    night = nights.night(signed.run_id) if signed else next(made, None)
    if night is None:
        raise HTTPException(404, "There is no close package of this company and period.")
    report = NightReport(opened.ledger, opened.catalog, night)
    return page(
        request, user, "pack.html",
        company=company,
        period=period,
        night=night,
        signed=signed,
        verdict=report.verdict,
        totals=list(_totals(report)),
        states=report.totals_summary()["states"],
        downloads=report.downloads(),
        may_edit=can_edit(user),
        done=done,
    )  # fmt: skip


@router.post("/packs/{company}/{period}/sign", dependencies=[Depends(may_edit)])
def sign(
    request: Request,
    user: GetUserDep,
    company: str,
    period: str,
    run_id: Annotated[str, Form()],
    comment: Annotated[str, Form(max_length=10_000)] = "",
) -> Response:
    """Freeze the close package that the user has seen, and sign it in the user's name."""
    sign_off(shown.runtime(), company, period, user.get_name(), run_id=run_id, comment=comment.strip())
    return go(request, "packs", company, period, done="signed")


@router.post("/packs/{company}/{period}/review", dependencies=[Depends(may_edit)])
def review(request: Request, user: GetUserDep, company: str, period: str) -> Response:
    """Confirm a signed period in the name of a second user."""
    shown.runtime().ledger.nights.review(company, period, user.get_name())
    return go(request, "packs", company, period, done="reviewed")


def _signed(opened: Runtime, company: str, period: str) -> SignOff | None:
    return next((one for one in opened.ledger.nights.sign_offs(company) if one.period == period), None)


def _totals(report: NightReport) -> list[dict[str, object]]:
    """Sum the totals of the period by set of totals and currency; the workbook has them by project and class."""
    lines: dict[tuple[str, str], dict[str, object]] = {}
    names = ("dataverse_rows", "finance_rows", "dataverse_amount", "finance_amount")
    for row in report.totals(period=report.night.period):
        if row["company"] not in report.night.companies:
            continue
        line = lines.setdefault(
            (row["totals"], row["currency"] or ""),
            {"totals": row["totals"], "currency": row["currency"] or "", **dict.fromkeys(names, 0)},
        )
        for name in names:
            line[name] += row[name] or 0  # type: ignore[operator]
    return list(lines.values())
