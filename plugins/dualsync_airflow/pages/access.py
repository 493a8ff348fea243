"""Who may do what: each route of the pages asks Airflow's auth manager, by the permissions of three DAGs.

Reading needs read permission on the DAG of the nightly reconciliation, editing and signing the permission to edit it.
Sending rows again needs the permission to trigger the DAG that does it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import HTTPException, Request

from dualsync_airflow.pages import NIGHT_DAG, REPAIR_DAG, REPLAY_DAG

may_read = requires_access_dag("GET", param_dag_id=NIGHT_DAG)
may_edit = requires_access_dag("PUT", param_dag_id=NIGHT_DAG)
may_replay = requires_access_dag("POST", DagAccessEntity.RUN, REPLAY_DAG)
may_repair = requires_access_dag("POST", DagAccessEntity.RUN, REPAIR_DAG)
"""Dependencies of routes: 401 without a login, 403 without the permission."""


def can_edit(user: BaseUser) -> bool:
    """Return whether a user may edit exceptions and sign periods.

    It decides which forms are shown, not what is allowed.
    """
    return get_auth_manager().is_authorized_dag(method="PUT", details=_details(NIGHT_DAG), user=user)


def can_trigger(user: BaseUser, dag_id: str) -> bool:
    """Return whether a user may trigger a DAG. It decides which buttons are shown, not what is allowed."""
    return get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=_details(dag_id), user=user
    )


def _details(dag_id: str) -> DagDetails:
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))


def from_here(request: Request) -> None:
    """Refuse a request that changes something and was made by a page of another origin.

    A browser says where a request comes from (Fetch Metadata; older ones by ``Origin`` alone). A request with a token
    in its header does not use the session of a browser, so no other page can misuse that session.

    Raises:
        HTTPException: 403, the request was made by another page.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or _has_token(request):
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    unknown = site is None and origin is None
    if unknown or site not in (None, "same-origin") or (origin is not None and origin not in _origins(request)):
        raise HTTPException(403, "This form was sent from a page of another address.")


def _has_token(request: Request) -> bool:
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def _origins(request: Request) -> set[str]:
    """Return the origins of this Airflow: as it was asked, and as its settings name it (a proxy may stand between)."""
    named = urlsplit(conf.get("api", "base_url", fallback=""))
    return {f"{request.url.scheme}://{request.url.netloc}", f"{named.scheme}://{named.netloc}"}
