"""What the readers of package manifests and install scripts can tell; words that both sides of the sandbox know."""

from __future__ import annotations

from enum import StrEnum


class Fact(StrEnum):
    """One thing seen in a manifest or in a script that runs at install."""

    RUNS_AT_INSTALL = "runs-at-install"
    """The file of that name runs when the package is installed."""
    RUNS_AT_IMPORT = "runs-at-import"
    """The file of that name runs when the package is imported or used."""
    NAMES = "names"
    """A script that runs at install names this file."""
    HOOK_DOWNLOADS = "hook-downloads"
    """The command of an install hook calls a program that fetches something."""
    OPENS_NETWORK = "opens-network"
    STARTS_PROGRAMS = "starts-programs"
    RUNS_TEXT = "runs-text"
    """It runs text or bytes as code."""
    CHANGES_INSTALL = "changes-install"
    """It puts commands of its own in place of those that install a package."""


ACTS = {Fact.OPENS_NETWORK, Fact.STARTS_PROGRAMS, Fact.RUNS_TEXT, Fact.CHANGES_INSTALL}
"""What a script does, as against what it names."""
