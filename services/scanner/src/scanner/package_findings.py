"""What the role of a file in its package means for its findings: findings of our own, and weights.

Two rules, and no others: a model that finds a file suspicious is believed where the file runs at install
and does something there; a model alone counts one step less where the package runs the file never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scanner.declared import RUN_BY_DOUBLE_CLICK, DeclaredName
from scanner.packages import Package
from scanner.unpackers.package_facts import Fact
from shared.presentation.text import plain_name, shorten
from shared.presentation.words import joined
from shared.scan import DetectorInfo, Finding, PackageRole, Verdict

DETECTOR = DetectorInfo(name="package", version="1.0.0", kind="builtin")

_SUPPLY_CHAIN = "https://attack.mitre.org/techniques/T1195/001/"
_DOES = {
    Fact.CHANGES_INSTALL: "replaces the install commands",
    Fact.OPENS_NETWORK: "opens network connections",
    Fact.STARTS_PROGRAMS: "starts programs",
    Fact.RUNS_TEXT: "runs text as code",
}
_ONE_STEP_LESS = {Verdict.MALICIOUS: Verdict.SUSPICIOUS, Verdict.SUSPICIOUS: Verdict.UNKNOWN}
_NAMES_SHOWN = 3


def package_findings(package: Package, names: Sequence[str]) -> list[Finding]:
    """Return what is said of the archive itself: what runs when the package is installed."""
    findings = []
    scripts = [names[position] for position in sorted(package.install_scripts)]
    if scripts or package.hooked:
        shown = [_short(name) for name in scripts[:_NAMES_SHOWN]] or ["a command"]
        left = len(scripts) - len(shown)
        shown += [f"{left} more files"] if left > 0 else []
        reason = f"Installing this {package.kind} runs {joined(shown)}."
        findings.append(_finding("runs-at-install", Verdict.UNKNOWN, reason, "info"))
    if package.downloads:
        reason = "The command of an npm install hook calls a program that fetches something."
        findings.append(_finding("install-hook-downloads", Verdict.SUSPICIOUS, reason, "medium"))
    return findings


def script_findings(name: str, acts: frozenset[Fact]) -> list[Finding]:
    """Return what is said of a file that runs at install, by what it does there."""
    extension = name.rpartition(".")[2].lower()
    if extension == "pth" and acts:
        reason = f"This file runs at every start of Python once the package is installed. It {_sentence(acts)}."
        return [_finding("path-file-runs-code", Verdict.SUSPICIOUS, reason, "medium")]
    if extension == "py" and Fact.OPENS_NETWORK in acts:
        reason = f"This script runs when the package is installed. It {_sentence(acts)}."
        return [_finding("network-at-install", Verdict.SUSPICIOUS, reason, "medium")]
    return []


def weighed(findings: Iterable[Finding], name: str, role: PackageRole | None, acts: frozenset[Fact]) -> list[Finding]:
    """Return the findings on a file with the weight that its role gives them, and one more if that raises them.

    What a double click runs keeps its weight: who unpacks the archive may not be installing a package.
    """
    aside = role is PackageRole.OTHER and DeclaredName.of(name).extension not in RUN_BY_DOUBLE_CLICK
    result = [_lowered(finding) if aside and _of_model(finding) else finding for finding in findings]
    suspicious = [finding for finding in result if _of_model(finding) and finding.verdict is Verdict.SUSPICIOUS]
    if acts and role is PackageRole.INSTALL and suspicious:
        detector = suspicious[0].detector.name
        reason = f"The model {detector} finds this suspicious, and it runs at install, where it {_sentence(acts)}."
        result.append(_finding("suspicious-at-install", Verdict.MALICIOUS, reason, "high"))
    return result


def _of_model(finding: Finding) -> bool:
    return finding.detector.kind.endswith("-model") and not finding.shadow


def _lowered(finding: Finding) -> Finding:
    verdict = _ONE_STEP_LESS.get(finding.verdict)
    if verdict is None:
        return finding
    reason = f"{finding.reason} It counts one step less: the package runs this file neither at install nor at import."
    return finding.model_copy(update={"verdict": verdict, "weighed_from": finding.verdict, "reason": reason})


def _finding(label: str, verdict: Verdict, reason: str, severity: str) -> Finding:
    metadata = {"severity": severity, "reference": _SUPPLY_CHAIN}
    return Finding(detector=DETECTOR, label=label, verdict=verdict, reason=reason, metadata=metadata)


def _sentence(acts: frozenset[Fact]) -> str:
    return joined([words for fact, words in _DOES.items() if fact in acts])


def _short(name: str) -> str:
    head, tail = shorten(plain_name(name), 60)
    return f"{head}\N{HORIZONTAL ELLIPSIS}{tail}" if tail else head
