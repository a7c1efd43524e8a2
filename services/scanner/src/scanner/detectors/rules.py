"""YARA rules (kind `yara`), run by YARA-X in threads; metadata becomes severity, author, reference."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

import yara_x

from scanner.config import MEBIBYTE, EngineSettings
from scanner.content import ByteRange
from scanner.detectors.base import Covered, Inspection, Subject
from scanner.detectors.lines import LineIndex
from scanner.detectors.pack import Pack
from scanner.detectors.rule_compiler import CompiledRules, compile_rules, file_globals
from scanner.errors import DetectorError
from scanner.threads import Threads
from shared.scan import CoverageGap, CoverageReason, Finding, Location, Verdict

IN_MEMORY_BYTES = 8 * MEBIBYTE
MAX_LOCATIONS = 10
MAX_METADATA_CHARACTERS = 500
_MATCHES_PER_PATTERN = 100
_SEVERITIES = {
    "critical": Verdict.MALICIOUS,
    "high": Verdict.MALICIOUS,
    "medium": Verdict.SUSPICIOUS,
    "low": Verdict.UNKNOWN,
    "info": Verdict.UNKNOWN,
}
_MALICIOUS_FROM = 75
_SUSPICIOUS_FROM = 40


class RulesDetector:
    """Every rule of a pack, compiled once and run over every artifact."""

    def __init__(self, pack: Pack, rules: CompiledRules, settings: EngineSettings, threads: Threads) -> None:
        self.info = pack.info()
        self.shadow = pack.shadow
        # What the manifest promises holds for all rules together.
        self.covered = Covered() if rules.problems else pack.covered
        self.problems = rules.problems
        self._rules = rules.rules
        self._settings = settings
        self._threads = threads

    @classmethod
    def load(cls, pack: Pack, settings: EngineSettings, threads: Threads) -> RulesDetector:
        """Compile the pack's rules; broken ones are left out. Raises PackRefusedError when none is left."""
        return cls(pack, compile_rules(pack.folder, pack.rule_files()), settings, threads)

    def wants(self, subject: Subject) -> bool:
        """Look at every artifact that has bytes; what the pack covers is another question."""
        return subject.content.size > 0

    async def inspect(self, subject: Subject) -> Inspection:
        """Run the rules in a thread. Raises DetectorError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads.files, self._scan, subject)

    async def close(self) -> None:
        """Hold nothing."""

    def _scan(self, subject: Subject) -> Inspection:
        try:
            matching = self._run(subject)
        except yara_x.TimeoutError:
            detail = f"The rules of {self.info.name} took longer than their time limit."
            return Inspection(gaps=(CoverageGap(reason=CoverageReason.TIMEOUT, detail=detail),))
        except (yara_x.ScanError, OSError) as error:
            raise DetectorError(f"The rules of {self.info.name} could not be run.") from error
        except BaseException as error:
            # A panic inside YARA-X arrives as a class that cannot be imported and is no Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise DetectorError(f"YARA-X failed on the rules of {self.info.name}.") from error
        if not matching:
            return Inspection()
        lines = _line_index(subject.content) if subject.content_type.is_text else None
        return Inspection(tuple(self._finding(rule, lines) for rule in matching))

    def _run(self, subject: Subject) -> Sequence[yara_x.Rule]:
        content = subject.content
        scanner = yara_x.Scanner(self._rules)
        scanner.set_timeout(math.ceil(self._settings.detector_seconds))
        scanner.max_matches_per_pattern(_MATCHES_PER_PATTERN)
        for name, value in file_globals(subject.name).items():
            scanner.set_global(name, value)
        if content.size <= IN_MEMORY_BYTES:
            return scanner.scan(content.read()).matching_rules
        with content.private_copy(self._settings.work_dir) as path:
            return scanner.scan_file(path).matching_rules

    def _finding(self, rule: yara_x.Rule, lines: LineIndex | None) -> Finding:
        metadata = {name: str(value)[:MAX_METADATA_CHARACTERS] for name, value in rule.metadata}
        return Finding(
            detector=self.info,
            label=rule.identifier,
            verdict=severity_verdict(declared_severity(metadata)),
            reason=metadata.pop("description", f"The rule {rule.identifier} matches."),
            locations=_locations(rule, lines),
            shadow=self.shadow,
            metadata={"rule_file": rule.namespace, **metadata},
        )


def declared_severity(metadata: Mapping[str, str]) -> str:
    """Return what a rule says of its weight: `severity`, or `score` as THOR's and LOKI's collections call it."""
    return metadata.get("severity") or metadata.get("score") or "medium"


def severity_verdict(severity: str) -> Verdict:
    """Map a rule's severity, a word or a number from 0 to 100, to what its finding says."""
    word = severity.strip().lower()
    if word.isdecimal():
        number = int(word)
        if number >= _MALICIOUS_FROM:
            return Verdict.MALICIOUS
        return Verdict.SUSPICIOUS if number >= _SUSPICIOUS_FROM else Verdict.UNKNOWN
    return _SEVERITIES.get(word, Verdict.SUSPICIOUS)


def _line_index(content: ByteRange) -> LineIndex:
    return LineIndex(content.read(0, IN_MEMORY_BYTES))


def _locations(rule: yara_x.Rule, lines: LineIndex | None) -> tuple[Location, ...]:
    """Return the first places of each pattern, the longest match first: what it says is more than `<?` does."""
    by_pattern = [_places(pattern) for pattern in rule.patterns]
    in_turn = chain.from_iterable(zip_longest(*by_pattern))
    found = list(islice((place for place in in_turn if place is not None), MAX_LOCATIONS))
    found.sort(key=lambda place: (place[1] - place[2], place[1]))
    return tuple(_location(identifier, start, end, lines) for identifier, start, end in found)


def _places(pattern: yara_x.Pattern) -> Iterator[tuple[str, int, int]]:
    """Yield identifier, start and end of the matches; those that overlap are one place."""
    place: tuple[str, int, int] | None = None
    for match in pattern.matches:
        start, end = match.offset, match.offset + match.length
        if place is not None and start < place[2]:
            place = (pattern.identifier, place[1], max(place[2], end))
            continue
        if place is not None:
            yield place
        place = (pattern.identifier, start, end)
    if place is not None:
        yield place


def _location(identifier: str, start: int, end: int, lines: LineIndex | None) -> Location:
    inside = lines is not None and end <= IN_MEMORY_BYTES
    return Location(
        start=start,
        end=end,
        first_line=lines.line_of(start) if lines and inside else None,
        last_line=lines.line_of(max(start, end - 1)) if lines and inside else None,
        label=identifier,
    )
