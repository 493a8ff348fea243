"""Files: those of the pages themselves, the reports of a reconciliation, its Data Docs."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from importlib.resources import files

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response, StreamingResponse
from upath import UPath

from dualsync_airflow.pages import shown
from dualsync_airflow.pages.render import DOCS_POLICY, SAFE, page

router = APIRouter()

STATIC = {"pages.css": "text/css; charset=utf-8", "pages.js": "text/javascript; charset=utf-8"}
NO_FILE = "There is no such file. The folder of the reconciliation may have been deleted."
_BLOCK = 1 << 18


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Serve the style sheet and the script."""
    if name not in STATIC:
        raise HTTPException(404)
    content = (files("dualsync_airflow.pages") / "static" / name).read_bytes()
    return Response(content, headers=SAFE | {"Content-Type": STATIC[name], "Cache-Control": "private, no-cache"})


@router.get("/nights/{run_id}/files/{name}")
def report_file(run_id: str, name: str) -> Response:
    """Serve a report file of a reconciliation; only files that are listed are served."""
    report = shown.report(shown.runtime(), run_id)
    listed = {file["name"]: file for file in report.downloads()}
    if name not in listed:
        raise HTTPException(404, NO_FILE)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = SAFE | {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(listed[name]["bytes"]),
    }
    return StreamingResponse(_blocks(UPath(listed[name]["path"])), media_type=kind, headers=headers)


@router.get("/nights/{run_id}/data-docs")
def data_docs(request: Request, user: GetUserDep, run_id: str) -> Response:
    """Show the Data Docs of a reconciliation within the frame of the pages."""
    report = shown.report(shown.runtime(), run_id)
    if report.data_docs is None:
        raise HTTPException(404, "This reconciliation has no Data Docs.")
    return page(request, user, "docs.html", night=report.night)


@router.get("/nights/{run_id}/data-docs/{path:path}")
def data_docs_file(run_id: str, path: str) -> Response:
    """Serve a file of the Data Docs."""
    folder = shown.report(shown.runtime(), run_id).data_docs
    file = None if folder is None else below(folder, path)
    if file is None:
        raise HTTPException(404, NO_FILE)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(file.read_bytes(), media_type=kind, headers=SAFE | {"Content-Security-Policy": DOCS_POLICY})


def below(folder: UPath, path: str) -> UPath | None:
    """Return the file of a path below a folder.

    Returns:
        The file; None where there is none, or where the path leads out of the folder.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return None
    file = folder.joinpath(*parts)
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        return None
    return file


def _blocks(path: UPath) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
