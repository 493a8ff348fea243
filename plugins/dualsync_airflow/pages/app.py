"""The application of the pages: its routes, and the pages that say what went wrong.

Each route asks for a login and the permission to read before anything else (the application's own dependencies); those
that change something ask for more. A path that leads nowhere asks too, and there are no routes that describe the
others.
"""

from __future__ import annotations

import logging

from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from dualsync.errors import DualsyncError
from dualsync_airflow.pages import PREFIX, breaks, files, nights, packs, quarantine
from dualsync_airflow.pages.access import from_here, may_read
from dualsync_airflow.pages.render import SAFE, base, page, query_of
from dualsync_airflow.pages.trigger import NotStarted

log = logging.getLogger(__name__)

_WORDS = {
    400: ("That cannot be done", "The request is not complete. Go back and fill in the form again."),
    403: ("Not allowed", "You do not have the permission that this page needs. Ask whoever looks after Airflow."),
    404: ("Not found", "There is no page at this address."),
    405: ("Not found", "There is no page at this address."),
    409: ("That cannot be done", ""),
    500: ("Something went wrong", "The log of Airflow's API server names the error."),
    503: ("Not available", "The ledger could not be read. The log of Airflow's API server names the error."),
}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app() -> FastAPI:
    """Build the application; Airflow's auth manager is asked when requests come."""
    app = FastAPI(
        title="dualsync",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(may_read), Depends(from_here)],
    )
    for part in (nights, breaks, quarantine, packs, files):
        app.include_router(part.router)
    app.add_api_route("/{rest:path}", _unknown_path, methods=_METHODS)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(DualsyncError, _impossible)
    app.add_exception_handler(NotStarted, _impossible)
    app.add_exception_handler(SQLAlchemyError, _unavailable)
    app.add_exception_handler(Exception, _broken)
    return app


def _unknown_path() -> None:
    raise HTTPException(404)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 401:
        return _log_in(request)
    detail = str(error.detail)
    # Starlette gives a phrase of its own where no detail was given; ours are sentences.
    return await _error_page(request, error.status_code, detail if detail.endswith(".") else "")


def _log_in(request: Request) -> Response:
    """Send whoever opened a page to Airflow's login and back; refuse anything else."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        root = base(request).removesuffix(PREFIX)
        back = str(request.url.replace(scheme="", netloc=""))
        return RedirectResponse(f"{root}/api/v2/auth/login{query_of(next=back)}", 303, headers=SAFE)
    return Response("Log in to Airflow first.", 401, headers=SAFE | {"WWW-Authenticate": "Bearer"})


async def _unreadable(request: Request, _: Exception) -> Response:
    # For example letters where the address or a form needs a number.
    return await _error_page(request, 404 if request.method == "GET" else 400)


async def _impossible(request: Request, error: Exception) -> Response:
    return await _error_page(request, 409, str(error))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.error("the ledger could not be read", exc_info=error)
    return await _error_page(request, 503)


async def _broken(request: Request, _: Exception) -> Response:
    # Starlette raises the error again after this, so that the server logs it.
    return await _error_page(request, 500)


async def _error_page(request: Request, status: int, detail: str = "") -> Response:
    """Make a page that says what is wrong; without a login nothing but the status."""
    title, text = _WORDS.get(status, _WORDS[400])
    try:
        user = await _user(request)
    except HTTPException:
        return Response(title, status, headers=SAFE)
    return page(request, user, "message.html", status=status, title=title, text=detail or text)


async def _user(request: Request) -> GetUserDep:
    from airflow.api_fastapi.core_api.security import bearer_scheme

    return await get_user(request, None, await bearer_scheme(request))
