"""What a test or a person may switch in a running sandbox: behaviours that tenants show or do not show."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Switches:
    """Switches of both systems.

    Attributes:
        approve_expenses: Whether the system job approves expenses that Finance posted [I3]; off, they wait [I6].
        protect_actuals: Whether Dataverse refuses what [E22] says newer versions refuse: creating actuals, and changing
            their columns but for the descriptions, by anybody but the product itself and dual-write.
        protect_vendor_invoices: Whether Dataverse refuses edits of vendor invoices and their lines by anybody but the
            product itself and dual-write [J1].
        integration_user: Whether the user behind the API counts as the user of dual-write, who may change both.
        vendor_accounts: Whether the workflow runs that gives each vendor an account.
    """

    approve_expenses: bool = True
    protect_actuals: bool = False
    protect_vendor_invoices: bool = False
    integration_user: bool = False
    vendor_accounts: bool = True

    def set(self, **values: bool) -> None:
        """Change switches by name.

        Raises:
            ValueError: There is no such switch, or the value is not true or false.
        """
        for name, value in values.items():
            if name not in asdict(self):
                raise ValueError(f"{name!r} is none of {', '.join(asdict(self))}")
            if not isinstance(value, bool):
                raise ValueError(f"{name} is either true or false")  # noqa: TRY004 - of a request, not of a call
        for name, value in values.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Set all switches as they are at first."""
        self.set(**asdict(Switches()))

    def as_dict(self) -> dict[str, object]:
        """Return all switches as plain values."""
        return asdict(self)
