"""Renders pages as HTML. Everything is escaped by the templates; no page loads anything from another host."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from dualsync.controls.model import CLASSES
from dualsync.decimals import money
from dualsync.errors import SettingsError
from dualsync.mapping.areas import area_title
from dualsync.reports.words import (
    class_word,
    company_word,
    direction_word,
    phase_word,
    reconciliation_name,
    state_word,
    status_word,
)
from dualsync.settings import Settings
from dualsync_airflow.pages import PREFIX

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""What a page may load and do: its own style sheet, script and forms, and to be framed by Airflow."""

DOCS_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Data Docs bring styles of their own; scripts they may not run."""

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
"""Headers of every answer."""


def page(request: Request, user: BaseUser, template: str, *, status: int = 200, **words: Any) -> HTMLResponse:
    """Render a page.

    Args:
        request: The request; its root says where the pages are mounted.
        user: Who looks at it.
        template: Name of the template.
        status: HTTP status.
        words: What the template shows.
    """
    text = (
        _environment()
        .get_template(template)
        .render(
            base=base(request),
            root=base(request).removesuffix(PREFIX),
            user=user.get_name(),
            here=request.url.path,
            zone=_zone(),
            **words,
        )
    )
    return HTMLResponse(text, status, headers=SAFE | {"Content-Security-Policy": PAGE_POLICY})


def _zone() -> str:
    """Return the configured time zone; UTC where the settings are wrong, which such a page then says."""
    try:
        return Settings.load().time_zone
    except SettingsError:
        return "UTC"


def base(request: Request) -> str:
    """Return where the pages are mounted, without a slash at the end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def go(request: Request, *parts: str, **words: str) -> RedirectResponse:
    """Send the browser on to a page after a form was taken."""
    return RedirectResponse(base(request) + path_of(*parts) + query_of(**words), 303, headers=SAFE)


def path_of(*parts: Any) -> str:
    """Return a path below the pages, made of its parts, whatever characters these have."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def query_of(**words: Any) -> str:
    """Return the query of a link; words that are None or empty are left out."""
    given = {name.rstrip("_"): value for name, value in words.items() if value not in (None, "")}
    return f"?{urlencode(given)}" if given else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dualsync_airflow.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": money, "percent": percent, "moment": moment, "day": day, "count": count, "data": data,
        "sentence": sentence, "reconciliation": reconciliation, "area_title": area_title, "class_word": class_word,
        "company_word": company_word, "direction_word": direction_word, "phase_word": phase_word,
        "state_word": state_word, "status_word": status_word,
    }  # fmt: skip
    environment.globals |= {"path_of": path_of, "query_of": query_of, "classes": CLASSES}
    return environment


# --- how values are written -------------------------------------------------------------------------------------------


def percent(share: str, places: int = 4) -> str:
    """Return a share from 0 to 1 in percent; cut and never rounded up, so that 100 % is everything."""
    if not share:
        return ""
    cut = (Decimal(share) * 100).quantize(Decimal(1).scaleb(-places), ROUND_DOWN)
    return f"{cut.normalize():f} %"


@pass_context
def moment(context: Context, value: datetime | None) -> Markup:
    """Return a moment in the configured zone; in UTC for programs."""
    if value is None:
        return Markup()
    zone = context["zone"]
    shown = f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    exact = value.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, zone, shown)


@pass_context
def day(context: Context, value: datetime | None) -> Markup:
    """Return the day of a moment in the configured zone."""
    if value is None:
        return Markup()
    zone = context["zone"]
    shown = f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d}"
    return Markup('<time datetime="{}">{}</time>').format(value.astimezone(UTC).isoformat(timespec="seconds"), shown)


@pass_context
def reconciliation(context: Context, value: datetime) -> str:
    """Return the name of a reconciliation: its moment in the configured zone."""
    return reconciliation_name(value, context["zone"])


def count(number: int) -> str:
    """Return a number with separators of thousands."""
    return f"{number:,}"


def sentence(text: str) -> str:
    """Return a text with a capital letter at its beginning; names within it stay as they are."""
    return text[:1].upper() + text[1:]


def data(value: Any) -> Markup:
    """Return a value of a record as a table shows it; a dash that screen readers call empty where it is empty."""
    if value is None or value == "":
        return Markup('<span class="none" title="empty">-</span>')
    if isinstance(value, datetime):
        return escape(value.isoformat(sep=" "))
    if isinstance(value, Decimal):
        return escape(format(value, "f"))
    return escape(str(value))
