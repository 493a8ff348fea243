"""Versions of what outlives the process that wrote it: files in run folders, and records of the ledger.

Each kind of file or record has a :class:`Format`. Whoever changes the shape of one raises its version and says how
the shape before becomes the new one; what an earlier release wrote is then still read, and what a later release wrote
is refused in words instead of failing somewhere inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dualsync.errors import UnknownVersion

VERSION = "version"
"""The word that holds the version; data without it are of version 1."""

Step = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """One kind of file or record, and its versions.

    Attributes:
        name: What people call it, such as "run file".
        version: The version that this release writes.
        steps: For each earlier version that can still be read, what makes the next one of it.
    """

    name: str
    version: int = 1
    steps: Mapping[int, Step] = field(default_factory=dict)

    def stamped(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data as they are written: with the version of this release."""
        return {VERSION: self.version, **data}

    def read(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data of any version as those of this release, without the version.

        Args:
            data: What was written.

        Raises:
            UnknownVersion: A later release wrote it, or an earlier one whose shape can no longer be read.
        """
        content = dict(data)
        version = content.pop(VERSION, 1)
        self.check(version)
        for earlier in range(version, self.version):
            content = self.steps[earlier](content)
        return content

    def check(self, version: int) -> None:
        """Refuse a version that cannot be read.

        Raises:
            UnknownVersion: A later release wrote it, or an earlier one whose shape can no longer be read.
        """
        if version > self.version:
            raise UnknownVersion(
                f"this {self.name} was written by a later release of dualsync (version {version}; this release reads "
                f"up to {self.version}): install that release again"
            )
        if missing := [earlier for earlier in range(version, self.version) if earlier not in self.steps]:
            raise UnknownVersion(
                f"this {self.name} was written by an earlier release of dualsync (version {version}), and this release "
                f"reads none before version {max(missing) + 1}: finish it with the release that wrote it"
            )
