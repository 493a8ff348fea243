"""The pages in a browser, within the Airflow UI as people have it: `make test-browser`.

Airflow's API server and DAG processor run as the demo runs them; the browser is a headless Chromium.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dualsync_demo.airflow import Airflow
from dualsync_demo.processes import Services, wait_for
from support.reconciled import many_breaks, reconcile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "")
MANY = 100_000
DOWNLOAD = 180_000
"""Milliseconds for the download of them all."""

USERS = {"ann": "user", "ben": "user", "val": "viewer"}

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs a browser: make test-browser")

Session = Callable[..., Any]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("browser")
    ledger = reconcile(folder)
    many_breaks(ledger, MANY)
    ledger.close()
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("AIRFLOW", "DUALSYNC_"))}
    environ = kept | {"DUALSYNC_HOME": str(folder), "DUALSYNC_COMPANIES": "USPM,GBPM"}
    environ |= {"PYTHONPATH": f"{ROOT / 'include'}:{ROOT / 'plugins'}"}
    services = Services(folder / "logs")
    served = Airflow(ROOT, folder / "airflow", services, environ)
    served.passwords_file.write_text(json.dumps({name: name for name in ("admin", *USERS)} | {"admin": "admin"}))
    users = ",".join(f"{name}:{role}" for name, role in {"admin": "admin", **USERS}.items())
    served.settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = users
    try:
        served.prepare()
        served._start("api-server", "--host", "127.0.0.1", "--port", str(served.port))
        served._start("dag-processor")
        wait_for("Starting Airflow", 180, served._answers, services)
        for dag_id in ("replay_rows", "repair_breaks"):
            wait_for(f"Reading DAG {dag_id}", 180, partial(served._known, dag_id), services)
        yield served
    finally:
        served.__dict__.pop("_client", httpx.Client()).close()
        started = [service.process for service in services.running]
        services.stop()
        for process in started:
            process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def session(airflow: Airflow, browser: Browser) -> Session:
    """Opens Airflow's page of the reconciliation, signed in by its form; nothing may be asked of other hosts."""

    @contextmanager
    def enter(user: str, **words: Any) -> Iterator[Page]:
        context = browser.new_context(**({"viewport": {"width": 1300, "height": 900}} | words))
        context.set_default_timeout(20_000)
        strangers: list[str] = []
        refused: list[str] = []
        page = context.new_page()
        page.on("request", lambda one: strangers.append(one.url) if _elsewhere(one.url, airflow.url) else None)
        page.goto(f"{airflow.url}/plugin/reconciliation")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", user)
        page.keyboard.press("Enter")
        page.wait_for_url("**/plugin/reconciliation**")
        page.on("console", lambda one: refused.append(one.text) if "Content Security Policy" in one.text else None)
        yield page
        assert strangers == []
        assert refused == []
        context.close()

    return enter


def _elsewhere(url: str, here: str) -> bool:
    return not url.startswith((here, "data:", "blob:"))


def inside(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def test_a_break_is_found_read_and_taken_over_within_airflow(session: Session) -> None:
    with session("ann") as page:
        frame = inside(page)
        assert frame.locator("main").inner_text().startswith("99.9999 %")
        frame.get_by_role("link", name="Exceptions", exact=True).click()
        frame.locator("h1", has_text=f"{MANY - MANY // 10 + 3:,} open").wait_for()
        first = frame.locator("tbody th").first.inner_text()
        frame.get_by_role("link", name="Next").click()
        frame.get_by_role("link", name="Previous").wait_for()
        assert frame.locator("tbody th").first.inner_text() != first
        frame.get_by_role("link", name="Clear").click()
        frame.get_by_role("link", name="Previous").wait_for(state="detached")
        frame.get_by_label("Control or table map").select_option("map:projects")
        frame.get_by_role("button", name="Filter").click()
        frame.locator("h1", has_text="1 open").wait_for()
        frame.locator("tbody th a").first.click()
        frame.locator("tr.differs", has_text="msdyn_subject").wait_for()
        assert page.url.endswith("/breaks/2"), "the address can be handed on"
        frame.get_by_role("textbox", name="Owner").fill("Bob")
        frame.get_by_role("combobox", name="Status").select_option("in_progress")
        frame.get_by_role("button", name="Save").click()
        frame.get_by_text("Saved.").wait_for()
        assert frame.get_by_role("textbox", name="Owner").input_value() == "Bob"


def test_a_row_is_replayed_and_a_break_sent_again(session: Session) -> None:
    with session("ann") as page:
        frame = inside(page)
        frame.get_by_role("link", name="Blocked and waiting rows", exact=True).click()
        frame.get_by_role("link", name="PRJ-2").click()
        frame.get_by_role("button", name="Replay this row").click()
        frame.get_by_text("Started:").wait_for()
        frame.locator(".note a").click()
        page.wait_for_url("**/dags/replay_rows/runs/**")
        page.goto(page.url.split("/dags/")[0] + "/plugin/reconciliation/dualsync/breaks/2")
        frame = inside(page)
        again = frame.get_by_role("button", name="Send it again", exact=True)
        again.click()
        frame.get_by_role("alert").wait_for()
        again.click()
        frame.get_by_text("Started:").wait_for()


def test_a_period_is_signed_and_confirmed_by_two(session: Session) -> None:
    with session("ann") as page:
        frame = inside(page)
        frame.get_by_role("link", name="Close packages", exact=True).click()
        frame.get_by_role("link", name="USPM").click()
        sign = frame.get_by_role("button", name="Sign as ann")
        sign.click()
        frame.get_by_role("alert").wait_for()
        sign.click()
        frame.get_by_text("Another person has to confirm it.").wait_for()
        assert len(frame.locator(".digest").inner_text()) == 64
        where = page.url
    with session("ben") as page:
        page.goto(where)
        confirm = inside(page).get_by_role("button", name="Confirm as ben")
        confirm.click()
        confirm.click()
        inside(page).get_by_text("Confirmed.").wait_for()


def test_files_can_be_taken_out_of_the_frame(session: Session) -> None:
    with session("val") as page:
        frame = inside(page)
        for name, start in (
            ("reconciliation.xlsx", b"PK"),
            ("exceptions.parquet", b"PAR1"),
            ("totals.csv", b"totals,"),
        ):
            with page.expect_download() as taken:
                frame.get_by_role("link", name=name).click()
            assert taken.value.suggested_filename == name
            assert taken.value.path().read_bytes().startswith(start)
        frame.get_by_role("link", name="Data Docs").click()
        assert frame.frame_locator("iframe").locator("h1").inner_text() == "Suites"
        frame.get_by_role("link", name="Exceptions", exact=True).click()
        with page.expect_download(timeout=DOWNLOAD) as taken:
            frame.get_by_role("link", name="Download as CSV").click()
        assert taken.value.path().read_text().count("\n") == MANY - MANY // 10 + 4


def test_a_viewer_sees_no_forms_that_change_anything(session: Session) -> None:
    with session("val") as page:
        frame = inside(page)
        for link in ("Exceptions", "Blocked and waiting rows"):
            frame.get_by_role("link", name=link, exact=True).click()
            frame.locator("h1", has_text=re.compile(f"^{link}")).wait_for()
            frame.locator("tbody th a").first.click()
            frame.locator(".crumbs").wait_for()
            assert frame.locator("form[method=post]").count() == 0


def test_dark_and_light_follow_airflow_and_the_system(session: Session) -> None:
    def ground(page: Page) -> str:
        return str(inside(page).locator("body").evaluate("body => getComputedStyle(body).backgroundColor"))

    with session("val", color_scheme="dark") as page:
        inside(page).locator("main").wait_for()
        assert ground(page) == "rgb(24, 24, 27)"
        page.evaluate("localStorage.setItem('theme', 'light')")
        inside(page).locator("html[data-theme=light]").wait_for()
        assert ground(page) == "rgb(255, 255, 255)", "chosen in Airflow, taken over at once"
        page.reload()
        inside(page).locator("html[data-theme=light] main").wait_for()
        assert ground(page) == "rgb(255, 255, 255)"


def test_all_can_be_done_by_keyboard(session: Session, airflow: Airflow) -> None:
    with session("val") as page:
        page.goto(f"{airflow.url}/dualsync/breaks?control=map:projects")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.getAttribute('href')") == "/dualsync/breaks/2":
                break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**/breaks/2")


def test_nothing_is_cut_off_on_a_phone(session: Session, airflow: Airflow) -> None:
    with session("ann", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True) as page:
        for path in (
            "/",
            "/breaks",
            "/breaks/2",
            "/quarantine",
            "/packs",
            "/packs/USPM/2026-02-01",
            "/controls/R1",
            "/x",
        ):
            page.goto(f"{airflow.url}/dualsync{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
