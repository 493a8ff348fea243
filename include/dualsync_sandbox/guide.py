"""The parts of ``docs/sandbox.md`` that come from the code: ``python -m dualsync_sandbox.guide docs/sandbox.md``.

In the document each part stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. A test says when the
document is older than the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from dualsync_sandbox.control import guide as control
from dualsync_sandbox.dataverse import guide as dataverse
from dualsync_sandbox.finance import guide as finance

#: Names to what writes the part.
SECTIONS: Mapping[str, Callable[[], str]] = {**dataverse.SECTIONS, **finance.SECTIONS, **control.SECTIONS}
_PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def render(text: str) -> str:
    """The document with all such parts written anew.

    Raises:
        KeyError: A part that no code writes.
        ValueError: A part that the document lacks.
    """
    missing = SECTIONS.keys() - {match[2] for match in _PART.finditer(text)}
    if missing:
        raise ValueError(f"the document lacks {', '.join(sorted(missing))}")
    return _PART.sub(lambda match: f"{match[1]}\n{SECTIONS[match[2]]().strip()}\n\n{match[3]}", text)


def main() -> None:
    """Write the document named on the command line anew."""
    document = Path(sys.argv[1])
    document.write_text(render(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
