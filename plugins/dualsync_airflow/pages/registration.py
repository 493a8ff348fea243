"""What the plugin registers with Airflow: where the pages are mounted, and where the UI links to them."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

from dualsync_airflow.pages import PREFIX

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Pages:
    """The application of the pages, imported and built when somebody first asks for one."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if self._app is None:
            async with self._building:
                if self._app is None:
                    self._app = await asyncio.to_thread(_build)
        await self._app(scope, receive, send)


def _build() -> App:
    from dualsync_airflow.pages.app import create_app

    return create_app()


def fastapi_apps() -> list[dict[str, Any]]:
    """Return the entry of ``fastapi_apps`` of an Airflow plugin."""
    return [{"name": "dualsync", "app": Pages(), "url_prefix": PREFIX}]


def external_views() -> list[dict[str, Any]]:
    """Return the entries of ``external_views``: in the navigation, and as a tab of each DAG and each DAG run."""
    root = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX
    icon = {"icon": _icon("#52525b"), "icon_dark_mode": _icon("#a1a1aa")}
    views = (
        ("Reconciliation", "nav", "reconciliation", f"{root}/"),
        ("Reconciliation", "dag", "reconciliation-of-dag", f"{root}/dags/{{DAG_ID}}"),
        ("Report", "dag_run", "report-of-run", f"{root}/dags/{{DAG_ID}}/runs/{{RUN_ID}}"),
    )
    return [
        {"name": name, "destination": destination, "url_route": route, "href": href, "category": "browse"} | icon
        for name, destination, route, href in views
    ]


def _icon(colour: str) -> str:
    """Draw two columns side by side, as data, so that no page of Airflow has to load a file."""
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round"><rect x="3" y="4" width="7" height="16" rx="1"/>'
        '<rect x="14" y="4" width="7" height="16" rx="1"/><path d="M10 9h4M10 15h4"/></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
