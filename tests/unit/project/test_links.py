"""Every relative link of the documents leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.documents import anchors, code_spans, documents, links
from support.paths import ROOT

FOLDERS = ("benchmarks", "dags", "docs", "great_expectations", "include", "plugins", "tests")


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(document: Path) -> None:
    broken = [
        link.place
        for link in links(document)
        if not link.target.exists() or (link.anchor and link.anchor not in anchors(link.target))
    ]
    assert broken == []


def test_links_stay_within_the_project() -> None:
    outside = [link.place for file in documents() for link in links(file) if not link.target.is_relative_to(ROOT)]
    assert outside == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_document_names_are_there(document: Path) -> None:
    """As whole paths (``include/...``, also behind ``python``), and in the architecture by their last parts."""
    spans = [span.removeprefix("python ").removesuffix(" --check") for span in code_spans(document)]
    whole = [span for span in spans if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./*-]+", span)]
    assert [path for path in whole if not [*ROOT.glob(path.rstrip("/"))]] == []
    if document.name == "architecture.md":
        short = {span for span in spans if re.fullmatch(r"[\w/]+\.py", span)} - {*whole}
        assert len(short) > 20
        assert [path for path in short if not [*(ROOT / "include" / "dualsync").rglob(path)]] == []


def test_the_list_of_documents_is_whole() -> None:
    page = ROOT / "docs" / "README.md"
    listed = {link.target for link in links(page)} | {page}
    decisions = {file for file in documents() if file.parent.name == "decisions" and file.name != "README.md"}
    assert set(documents()) - listed == decisions
    assert decisions <= {link.target for link in links(ROOT / "docs" / "decisions" / "README.md")}


def test_headings_become_anchors_as_on_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('# A & B: `code` *now*\n\n## Twice\n\n## Twice\n\n```\n# none\n```\n<a id="set"></a>\n')
    assert anchors(page) == {"a--b-code-now", "twice", "twice-1", "set"}
