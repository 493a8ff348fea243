"""How much the seed makes: the three profiles and what follows from a number of projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["demo", "small", "large"]

PROJECTS: dict[ProfileName, int] = {"demo": 40, "small": 1_000, "large": 100_000}
"""Projects in all four companies together, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Numbers of records per kind; everything but ``projects`` follows from it."""

    projects: int

    @classmethod
    def of(cls, profile: ProfileName, projects: int | None = None) -> Volume:
        """Return the volume of a profile, or of ``projects`` where given.

        Raises:
            ValueError: The profile is unknown, or fewer than 20 projects are asked for (each company then could not
                show every kind of contract).
        """
        if profile not in PROJECTS:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROJECTS)}")
        wanted = PROJECTS[profile] if projects is None else projects
        if wanted < 20:
            raise ValueError(f"at least 20 projects are needed to show every kind of contract, not {wanted}")
        return cls(wanted)

    def projects_of(self, company: int, integrated: int) -> int:
        """Return the projects of the company at this place; companies from place ``integrated`` on are small ones."""
        outside = max(2, self.projects // 10)
        if company >= integrated:
            return outside
        share, rest = divmod(self.projects - outside, integrated)
        return share + (1 if company < rest else 0)

    @property
    def customers(self) -> int:
        """Customers per company that are organisations."""
        return min(2_000, max(8, self.projects // 60))

    @property
    def persons(self) -> int:
        """Customers per company that are persons."""
        return min(50, max(1, self.projects // 500))

    @property
    def vendors(self) -> int:
        """Vendors per company."""
        return min(500, max(4, self.projects // 200))

    @property
    def workers(self) -> int:
        """Workers of the whole group."""
        return min(3_000, max(14, self.projects // 40))
