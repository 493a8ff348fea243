"""What a run is asked to do: which rows it looks at, how, and by which policy. A request is checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dualsync.errors import RequestError, UnknownName
from dualsync.spelling import nearest
from dualsync.sync.plan.vocabulary import MODES, Phase, RunMode


@dataclass(frozen=True, slots=True)
class RowRef:
    """One row of one transfer, chosen by a person.

    Attributes:
        map: The map.
        direction: The direction.
        company: The company of the transfer.
        key: The integration key as people write it; of a deletion, the ``join_key`` it is noted under.
        record_id: The Dataverse record id. One of the two is enough.
        part: The phase of the transfer, by the name that the ledger has for it.
    """

    map: str
    direction: str
    company: str
    key: str = ""
    record_id: str | None = None
    part: str = Phase.UPSERTS.value


# --- which rows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class All:
    """Everything that the run finds by itself."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Only these integration keys; the run reads as any other and passes by all other rows.

    Attributes:
        by_map: The keys, by the name of the map.
    """

    by_map: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Exactly these rows, each read anew from both sides.

    Attributes:
        rows: The rows. Guards do not look at them: each was named by a person.
    """

    rows: tuple[RowRef, ...]


Selection = All | Keys | Rows


# --- by which policy --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Normal:
    """As the maps say: a column travels when the side that owns it changed it."""


@dataclass(frozen=True, slots=True)
class Approved:
    """What another run planned and a person approved; rows that are no longer planned just so are left out.

    Attributes:
        run_id: The run with the plan.
    """

    run_id: str


@dataclass(frozen=True, slots=True)
class Resend:
    """Columns are sent again from the side that owns them, although that side did not change them.

    Attributes:
        approved: A run whose plan a person approved; as with :class:`Approved`, nothing else is sent. Empty for none.
    """

    approved: str = ""


Policy = Normal | Approved | Resend


# --- the request ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run as it is asked for.

    Attributes:
        area: An area of the maps, or the name of a job where ``maps`` are named.
        selection: Which rows it looks at.
        mode: One of :data:`~dualsync.sync.plan.vocabulary.MODES`.
        policy: By which policy it decides.
        companies: Codes of companies; empty for all integrated ones.
        maps: Names of maps; empty for all enabled ones of the area.
        dry_run: Whether nothing may be written.
        guards: Whether guards stop transfers that would change too much; never those of chosen rows.
        by: Who asked for it, where it was a person.
        run_id: Its identity; empty for a new one.

    Raises:
        UnknownName: There is no such mode.
        RequestError: Its parts do not go together.
    """

    area: str
    selection: Selection = field(default_factory=All)
    mode: str = RunMode.INCREMENTAL
    policy: Policy = field(default_factory=Normal)
    companies: Sequence[str] = ()
    maps: Sequence[str] = ()
    dry_run: bool = False
    guards: bool = True
    by: str = ""
    run_id: str = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownName([f"no mode '{self.mode}'{nearest(self.mode, MODES)}"])
        chosen = isinstance(self.selection, Rows)
        if isinstance(self.selection, Rows) and not self.selection.rows:
            raise RequestError("a run of chosen rows needs at least one row")
        if not chosen and self.approved:
            raise RequestError("only a run of chosen rows carries out what was approved")
        # frozen: what it was given is brought into one form before anybody sees it
        object.__setattr__(self, "companies", tuple(self.companies))
        object.__setattr__(self, "maps", tuple(self.maps))
        object.__setattr__(self, "guards", self.guards and not chosen)

    @property
    def approved(self) -> str:
        """The run whose plan a person approved; empty for none."""
        match self.policy:
            case Approved(run_id):
                return run_id
            case Resend(approved):
                return approved
            case _:
                return ""
