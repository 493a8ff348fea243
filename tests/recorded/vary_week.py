"""Varies the recorded week by chance, so that it holds what a week does not: other states, keys, owners and options.

``python tests/recorded/vary_week.py OUT SEED EVERY`` writes an archive like ``week.tar.xz`` with what today's code
decides of varied transfers. ``varied.tar.xz`` was written so by the code of the release before facts and policy were
separated; it is not to be written anew to make a test pass.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recorded.deciding import decide
from recorded.legs import RecordedLeg, read_archive, write_archive

STATES = ("in", "in", "in", "in", "in", "in", "left", "moved", "deleted", "gone", "no_company", "unclear")
ROWS = 40
"""No more rows of a transfer are varied."""


def vary(leg: RecordedLeg, chance: random.Random) -> RecordedLeg:
    """A transfer with other values, states, keys and options; what it decides is not known yet."""
    want = _wanted(_some(leg.want), chance)
    have = _standing(_some(leg.have, chance if leg.have.num_rows else None), leg, chance)
    base = leg.base
    if base is None and chance.random() < 0.7:
        base = None
    if base is not None:
        base = _agreed(base, chance)
    run = {**leg.run, "resend": chance.random() < 0.3, "keys": {}, "rows": [], "approved": ""}
    cutover = chance.choice([None, "2026-01-15", "2026-06-01", leg.settings["cutover"]])
    keys = [key for key in want["join_key"].to_pylist() if key is not None]
    due = None if leg.due is None else [key for key in keys if chance.random() < 0.4]
    lines = None
    if leg.lines is not None:
        told = [
            {
                "join_key": key,
                "lines": "lines",
                "expected": 2,
                "acknowledged": 1,
                "reason": chance.choice([None, "waits"]),
            }
            for key in dict.fromkeys(keys)
        ]
        lines = pa.Table.from_pylist(told, schema=leg.lines.schema)
    return replace(
        leg,
        want=want,
        have=have,
        base=base,
        run=run,
        settings={**leg.settings, "cutover": cutover},
        full=chance.random() < 0.5,
        due=due,
        lines=lines,
        approved=None,
        answers={},
    )


def _some(table: pa.Table, chance: random.Random | None = None) -> pa.Table:
    return table.slice(0, ROWS)


def _mixed(table: pa.Table, letters: tuple[str, ...], chance: random.Random) -> pa.Table:
    """Values of some columns change places among the rows, or go."""
    for place, field in enumerate(table.schema):
        if field.name[:2] not in letters or chance.random() < 0.5:
            continue
        values = table[field.name].to_pylist()
        other = values[:]
        chance.shuffle(other)
        mixed = [
            None if (dice := chance.random()) < 0.15 else (o if dice < 0.5 else v)
            for v, o in zip(values, other, strict=True)
        ]
        table = table.set_column(place, field, pa.array(mixed, type=field.type))
    return table


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, type=table.schema.field(name).type))


def _wanted(want: pa.Table, chance: random.Random) -> pa.Table:
    want = _mixed(want, ("w:", "s:", "c:", "p:"), chance)
    stops, states = want["stop"].to_pylist(), want["state"].to_pylist()
    states = [chance.choice(STATES) if chance.random() < 0.4 else state for state in states]
    stops = [None if chance.random() < 0.5 else stop for stop in stops]
    for name in ("rule", "reason"):
        told = want[name].to_pylist()
        want = _with(want, name, [t if s is not None else None for t, s in zip(told, stops, strict=True)])
    want = _with(_with(want, "state", states), "stop", stops)
    if want.num_rows > 2 and chance.random() < 0.4:
        double = want.slice(chance.randrange(want.num_rows), 1)
        want = pa.concat_tables([want, _with(double, "id", [f"{double['id'][0].as_py() or 'id'}-double"])])
    return want


def _standing(have: pa.Table, leg: RecordedLeg, chance: random.Random) -> pa.Table:
    kept = [place for place in range(have.num_rows) if chance.random() < 0.85]
    have = _mixed(have.take(pa.array(kept, type=pa.int64())), ("h:", "c:"), chance)
    if have.num_rows > 1 and chance.random() < 0.4:
        place = chance.randrange(have.num_rows)
        have = pa.concat_tables([have, have.slice(place, 1)])
    if have.num_rows and chance.random() < 0.5:
        extra = _with(have.slice(0, 1), "join_key", ["only|in|receiver"])
        have = pa.concat_tables([have, _with(extra, "matches", [chance.random() < 0.7])])
    return have


def _agreed(base: pa.Table, chance: random.Random) -> pa.Table:
    kept = [place for place in range(base.num_rows) if chance.random() < 0.85]
    base = _mixed(base.take(pa.array(kept, type=pa.int64())), ("d:", "f:"), chance)
    keys = base["join_key"].to_pylist()
    return _with(base, "join_key", [f"{key}-before" if chance.random() < 0.1 else key for key in keys])


def main(out: str, seed: str, every: str) -> None:
    """Vary every n-th transfer of the week, decide it, and write that down."""
    legs, maps = read_archive()
    chance = random.Random(int(seed))
    varied: list[RecordedLeg] = []
    for number, leg in enumerate(legs):
        if number % int(every) or not (leg.want.num_rows or leg.have.num_rows):
            continue
        made = vary(leg, chance)
        decision = decide(made)
        empty = leg.source.slice(0, 0)
        varied.append(replace(made, source=empty, plan=decision.plan, deletes=decision.deletes))
    write_archive(Path(out), varied, maps)
    print(len(varied), "transfers", sum(one.plan.num_rows for one in varied), "rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
