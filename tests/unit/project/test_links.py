"""Every relative link of the documents leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documents import anchors, documents, links
from support.paths import ROOT


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


def test_headings_become_anchors_as_on_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('# A & B: `code` *now*\n\n## Twice\n\n## Twice\n\n```\n# none\n```\n<a id="set"></a>\n')
    assert anchors(page) == {"a--b-code-now", "twice", "twice-1", "set"}
