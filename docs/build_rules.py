"""Write ``docs/rules.md``: the rules of ``docs/rules.yaml``, the controls, and the places that cite each of them.

Without an argument the page is written. ``--check`` writes nothing, names every mistake and ends with 1 if there is
one: an id that is no rule, a rule that no code cites and that does not say why, an id that stands without brackets, or
a page that is older than the code.

A citation is an id in brackets, alone, in a list or as a range: ``[G15]``, ``[G15, K5]``, ``[E13 to E16]``. In a
docstring or comment an id without brackets is a mistake; in double backticks it is a name and no citation. What a test
holds is what its functions and classes cite: the docstring at the head of a test file is only its table of contents.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = "docs/rules.yaml"
PAGE = "docs/rules.md"
CONTROLS = "include/dualsync/controls/rules"
PLANTS = "include/dualsync_sandbox/plant"
SCORING = "tests/end_to_end/test_scoring.py"

KINDS = {"dataverse": "Dataverse", "finance": "Finance", "integration": "both", "api": "interface"}
EVIDENCE = {"documented": "", "derived": "derived", "release note": "a mended fault", "observed": "observed"}
NO_PAGE = "none known"
NO_TEST = "none yet"

ROLES = {"include": "code", "plugins": "code", "dags": "code", "tests": "test", "benchmarks": "text", "docs": "text"}
TOP_FILES = ("README.md", "CHANGELOG.md")
# the ids of these are entries, the outcome and examples
KEPT_OUT = (RULES, PAGE, "tests/unit/project/test_rules.py")
SUFFIXES = frozenset({".py", ".md", ".yaml", ".html"})

_PLAIN_ID = r"[A-Z]{1,2}[1-9][0-9]?"
_HEAD = re.compile(r"\A(?:#[^\n]*\n|\s)*[rR]?\"\"\".*?\"\"\"", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """One entry of ``docs/rules.yaml``; its words are explained there."""

    id: str
    area: str
    says: str
    kind: str
    pages: tuple[str, ...]
    evidence: str = "documented"
    left_out: str = ""


@dataclass(frozen=True)
class Control:
    """What a file of ``controls/rules`` says of its control."""

    id: str
    title: str
    compares: str
    basis: tuple[str, ...]
    file: str


@dataclass(frozen=True)
class Citation:
    """An id in brackets. ``role`` is ``code``, ``test`` or ``text``, which implements and holds nothing."""

    id: str
    file: str
    line: int
    role: str


@dataclass(frozen=True)
class Book:
    """All rules and controls by id, and where the public pages are."""

    rules: Mapping[str, Rule]
    controls: Mapping[str, Control]
    sites: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """All that may be cited."""
        return {*self.rules, *self.controls}

    def watched_by(self, rule: str) -> list[Control]:
        """The controls that rest on a rule."""
        return [control for control in self.controls.values() if rule in control.basis]


# -- reading


def read_book(root: Path) -> Book:
    """Read rules and controls of the project in ``root``.

    Raises:
        ValueError: An entry lacks a word, or has one that is unknown.
    """
    data = yaml.safe_load((root / RULES).read_text(encoding="utf-8"))
    rules: dict[str, Rule] = {}
    for area in data["areas"]:
        for name, entry in area["rules"].items():
            if name in rules:
                raise ValueError(f"{RULES}: {name} stands there twice")
            rules[name] = _rule(name, area["title"], entry, data["sites"])
    controls = [_control(root, file) for file in sorted((root / CONTROLS).glob("r[0-9]*.py"))]
    return Book(rules, {one.id: one for one in sorted(controls, key=lambda one: _order(one.id))}, data["sites"])


def _rule(name: str, area: str, entry: Mapping[str, Any], sites: Mapping[str, str]) -> Rule:
    words = dict(entry)
    page = words.pop("page", None)
    pages = tuple(page) if isinstance(page, list) else (page,)
    try:
        rule = Rule(name, area, pages=pages, **words)
    except TypeError as error:
        raise ValueError(f"{RULES}: {name}: {error}") from None
    if rule.kind not in KINDS or rule.evidence not in EVIDENCE:
        raise ValueError(f"{RULES}: {name}: unknown kind or evidence")
    for one in pages:
        if one != NO_PAGE and (one or "").split("/")[0] not in sites:
            raise ValueError(f"{RULES}: {name}: page {one} is on no site that the file names")
    return rule


def _control(root: Path, file: Path) -> Control:
    """Read the arguments of the one ``Control(...)`` of a file, without running it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Control":
            wanted = {"id", "title", "compares", "basis"}
            said = {one.arg: ast.literal_eval(one.value) for one in node.keywords if one.arg in wanted}
            return Control(**said, file=file.relative_to(root).as_posix())
    raise ValueError(f"{file}: declares no control")


def _order(name: str) -> tuple[str, int, str]:
    letters = re.match(r"[A-Z]*", name)
    number = re.search(r"\d+", name)
    return (letters[0] if letters else "", int(number[0]) if number else 99, name)


def files(root: Path) -> Iterator[tuple[str, str, str]]:
    """Path, role and text of every file that may cite a rule."""
    found = [root / name for name in TOP_FILES]
    for folder in ROLES:
        found += sorted(path for path in (root / folder).rglob("*") if path.suffix in SUFFIXES)
    for path in found:
        name = path.relative_to(root).as_posix()
        if path.is_file() and name not in KEPT_OUT and "__pycache__" not in path.parts:
            yield name, ROLES.get(name.split("/")[0], "text"), path.read_text(encoding="utf-8")


# -- citations


class Finder:
    """Finds citations of a book's rules in texts.

    Args:
        ids: All ids of the book. Other ids of the common shape, letters and a number, are found as well, so that an
            unknown one is noticed; ids of another shape only if the book has them.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._known = set(ids)
        odd = sorted(one for one in self._known if not re.fullmatch(_PLAIN_ID, one))
        one_id = "|".join([_PLAIN_ID, *map(re.escape, odd)])
        between = r"(?:,\s+(?:#\s+)?|\s+to\s+)"
        self._id = re.compile(one_id)
        # not after a name or a bracket: there it is a subscript
        self._cited = re.compile(rf"(?<![\w\])])\[((?:{one_id})(?:{between}(?:{one_id}))*)\]")
        self._bare = re.compile(rf"(?<![\w./-])(?:{one_id})(?![\w/-])")
        self._no_prose = re.compile(rf"{self._cited.pattern}|``[^`]*``")

    def citations(self, file: str, role: str, text: str) -> Iterator[Citation]:
        """Every citation of a file, ranges told one by one."""
        head = _HEAD.match(text) if role == "test" else None
        for match in self._cited.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            counts = role if head is None or match.start() > head.end() else "text"
            for name in self._listed(match[1]):
                yield Citation(name, file, line, counts)

    def _listed(self, text: str) -> Iterator[str]:
        for part in text.split(","):
            first, *last = self._id.findall(part)
            if last:
                letters = first.rstrip("0123456789")
                numbers = range(int(first.removeprefix(letters)), int(last[0].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) + 1)
                yield from (f"{letters}{number}" for number in numbers)
            else:
                yield first

    def bare(self, text: str) -> Iterator[tuple[int, str]]:
        """Line and id of every known rule that a docstring or comment of Python names without brackets."""
        if not any(match[0] in self._known for match in self._bare.finditer(self._no_prose.sub("", text))):
            return
        for line, prose in _prose(text):
            blanked = self._no_prose.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), prose)
            for match in self._bare.finditer(blanked):
                if match[0] in self._known:
                    yield line + blanked.count("\n", 0, match.start()), match[0]


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """First line and text of each docstring and comment."""
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and begins):
            yield token.start[0], token.string
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)


# -- judging


def mistakes(book: Book, citations: Sequence[Citation]) -> list[str]:
    """What is wrong between book and citations, a line each."""
    wrong = [
        f"{one.file}:{one.line}: [{one.id}] is neither a rule of {RULES} nor a control"
        for one in citations
        if one.id not in book.ids
    ]
    for control in book.controls.values():
        unknown = [rule for rule in control.basis if rule not in book.rules]
        wrong += [f"{control.file}: {control.id} rests on {rule}, which is no rule of {RULES}" for rule in unknown]
    implementing = {one.id for one in citations if one.role == "code"}
    for rule in book.rules.values():
        stands = rule.id in implementing or bool(book.watched_by(rule.id))
        if rule.left_out and stands:
            wrong.append(f"{RULES}: {rule.id} is left out, and cited by code: take out `left_out`, or the citation")
        elif not rule.left_out and not stands:
            wrong.append(f"{RULES}: {rule.id} is cited by no code: cite it where it stands, or say `left_out` and why")
    return wrong


def bare_ids(finder: Finder, root: Path) -> list[str]:
    """Ids without brackets in docstrings and comments, a line each."""
    return [
        f"{file}:{line}: {name} without brackets: [{name}] cites the rule, ``{name}`` in double backticks is a name"
        for file, _, text in files(root)
        if file.endswith(".py")
        for line, name in finder.bare(text)
    ]


# -- the page


def page(book: Book, citations: Sequence[Citation], planted: Mapping[str, Sequence[str]]) -> str:
    """The text of ``docs/rules.md``.

    Args:
        book: Rules and controls.
        citations: What cites them.
        planted: Control ids to the files of the sandbox that plant exceptions for it.
    """
    code, tests = _places(citations, "code"), _places(citations, "test")
    lines = [_INTRODUCTION]
    for area in dict.fromkeys(rule.area for rule in book.rules.values()):
        rows = [
            _rule_row(book, rule, code[rule.id], tests[rule.id])
            for rule in book.rules.values()
            if rule.area == area and not rule.left_out
        ]
        lines += [f"## {area}", "", *_table(("id", "rule", "of", "page", "implemented in", "held by test"), rows)]
    rows = [_control_row(one, tests[one.id], planted.get(one.id, ())) for one in book.controls.values()]
    lines += ["## Controls", "", _CONTROLS_SAY, ""]
    lines += _table(("id", "control", "compares", "rests on", "implemented in", "held by test"), rows)
    rows = [(_anchor(one.id), one.says, _pages(book, one), one.left_out) for one in book.rules.values() if one.left_out]
    lines += ["## Left out", "", _LEFT_OUT_SAYS, "", *_table(("id", "rule", "page", "why"), rows)]
    return "\n".join(lines).rstrip() + "\n"


def _places(citations: Sequence[Citation], role: str) -> defaultdict[str, list[str]]:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for one in citations:
        if one.role == role:
            places[one.id].add(one.file)
    return defaultdict(list, {name: sorted(found) for name, found in places.items()})


def _rule_row(book: Book, rule: Rule, code: Sequence[str], tests: Sequence[str]) -> tuple[str, ...]:
    controls = book.watched_by(rule.id)
    # the file of a control cites the rules it rests on: naming the control says more
    own = [_link(file) for file in code if file not in {one.file for one in controls}]
    watched = [f"control [{one.id}](#{one.id.lower()})" for one in controls]
    remark = EVIDENCE[rule.evidence]
    says = f"{rule.says} *({remark})*" if remark else rule.says
    held = ", ".join(map(_link, tests)) or NO_TEST
    return (_anchor(rule.id), says, KINDS[rule.kind], _pages(book, rule), ", ".join(own + watched), held)


def _control_row(control: Control, tests: Sequence[str], planted: Sequence[str]) -> tuple[str, ...]:
    basis = ", ".join(f"[{rule}](#{rule.lower()})" for rule in control.basis)
    held = [_link(file) for file in tests]
    if planted:
        held.append(f"{_link(SCORING)} with {', '.join(map(_link, planted))}")
    cells = (_anchor(control.id), control.title, control.compares, basis, _link(control.file))
    return (*cells, ", ".join(held) or NO_TEST)


def _anchor(name: str) -> str:
    return f'<a id="{name.lower()}"></a>{name}'


def _pages(book: Book, rule: Rule) -> str:
    return ", ".join(_public(book, one) for one in rule.pages)


def _public(book: Book, name: str) -> str:
    if name == NO_PAGE:
        return name
    site, _, path = name.partition("/")
    return f"[{path.rsplit('/', 1)[-1]}]({book.sites[site]}{path})"


def _link(file: str) -> str:
    """A link to a file, by its own name and that of its folder."""
    short = "/".join(Path(file).with_suffix("").parts[-2:])
    return f"[{short}](../{file})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [*lines, ""]


_INTRODUCTION = f"""# The rule book

<!-- Made by docs/build_rules.py of {RULES}, of the controls and of the code. Change those, then run
     `python docs/build_rules.py`. -->

What Dataverse, Finance and their interfaces do, as far as dualsync relies on it or the sandbox plays it. Code, comments
and tests cite a rule by its id in brackets, such as `[G15]`. Each rule is one sentence of our own; the page says it in
full. *Of* is the system that behaves so; *both* is what travels between the two, *interface* how an API answers.
*(derived)* follows from what is documented, *(a mended fault)* is known from release notes, *(observed)* was seen in
clients and recorded answers. The last two columns are found in the code: where it stands, and which tests cite it.
"""
_CONTROLS_SAY = """What must hold between the two systems. A control *rests on* the rules that make it true. The scoring
test plants exceptions into a sandbox and asks whether the nightly reconciliation reports these and no others."""
_LEFT_OUT_SAYS = "Known rules that no code implements or plays, and why."


# -- the command


def planted_in(root: Path, controls: Iterable[str]) -> dict[str, list[str]]:
    """Control ids to the files of the sandbox that plant exceptions for it."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((root / PLANTS).rglob("*.py"))}
    found = {
        one: [path.relative_to(root).as_posix() for path, text in texts.items() if f'"{one}", "' in text]
        for one in controls
    }
    return {one: places for one, places in found.items() if places}


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write the page, or with ``--check`` say what is wrong; returns the exit code."""
    try:
        book = read_book(root)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finder = Finder(book.ids)
    citations = [one for file, role, text in files(root) for one in finder.citations(file, role, text)]
    wrong = mistakes(book, citations) + bare_ids(finder, root)
    text = page(book, citations, planted_in(root, book.controls))
    target = root / PAGE
    if "--check" not in arguments:
        target.write_text(text, encoding="utf-8")
    elif not target.is_file() or target.read_text(encoding="utf-8") != text:
        wrong.append(f"{PAGE} is older than the code: run `python docs/build_rules.py`")
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
