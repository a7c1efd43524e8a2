"""Programs: facts of their headers, findings that are suspicious at most, and what hides behind them."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scanner.programs import findings_of
from scanner.sandbox.answers import ANSWERS, GapFound, ProgramRead
from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.testing.programs import DATA, WRITABLE_CODE, PeSection, elf, fat_macho, macho, pe
from scanner.unpackers.base import Sink
from scanner.unpackers.libraries import prepare
from scanner.unpackers.programs import ProgramUnpacker
from shared.scan import CoverageLevel, CoverageReason, Finding, Program, ProgramSignature, ScanDocument, Verdict

LIMITS = JobLimits(artifacts=10, unpacked_bytes=1 << 20, member_bytes=1 << 20, ratio=100, cpu_seconds=10)

NOISE = random.Random(7).randbytes(8192)
CODE = b"\x90\xc3" * 600
TEXT = PeSection(".text", CODE)
IMPORTS = {"KERNEL32.dll": [f"Function{number}" for number in range(30)]}
INJECTION = ["VirtualAllocEx", "WriteProcessMemory", "CreateRemoteThread"]


@dataclass
class Reading:
    """What the unpacker says of a program, and what the scanner makes of it."""

    found: Program | None
    reasons: set[CoverageReason]

    @property
    def program(self) -> Program:
        assert self.found is not None
        return self.found

    @property
    def findings(self) -> list[Finding]:
        return findings_of(self.program)

    @property
    def labels(self) -> set[str]:
        return {finding.label for finding in self.findings}


def read(content: bytes) -> Reading:
    prepare()
    sent: list[bytes] = []
    sink = Sink(io.BytesIO(), LIMITS, len(content), sent.append)
    ProgramUnpacker().unpack(io.BytesIO(content), "sample", sink)
    sink.finish()
    answers = [ANSWERS.validate_json(line) for line in b"".join(sent).splitlines()]
    programs = [answer.program for answer in answers if isinstance(answer, ProgramRead)]
    gaps = {answer.gap.reason for answer in answers if isinstance(answer, GapFound)}
    return Reading(programs[0] if programs else None, gaps)


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


def test_a_program_of_this_machine() -> None:
    reading = read(Path("/bin/true").read_bytes())

    program = reading.program
    assert (program.format, program.kind, program.entry_in_code) == ("ELF", "program", True)
    assert program.entry_section is not None
    assert program.sections[program.entry_section].name == ".text"
    assert "libc.so.6" in {library.name for library in program.libraries}
    assert program.import_count > 5
    assert reading.findings == []


def test_a_windows_program() -> None:
    reading = read(pe([TEXT], IMPORTS | {"USER32.dll": ["MessageBoxW"]}))

    program = reading.program
    assert (program.format, program.kind, program.machine) == ("PE", "program", "AMD64")
    assert (program.entry_point, program.entry_section, program.section_count) == ("0x1000", 0, 2)
    assert [(one.name, one.offset, one.executable, one.writable) for one in program.sections] == [
        (".text", 512, True, False),
        (".idata", 2048, False, True),
    ]
    assert [(one.name, len(one.functions)) for one in program.libraries] == [("KERNEL32.dll", 30), ("USER32.dll", 1)]
    assert program.import_count == 31
    assert program.signature is ProgramSignature.ABSENT
    assert reading.findings == []


def test_mac_programs() -> None:
    one = macho(CODE, libraries=("/usr/lib/libSystem.B.dylib",))
    single, several = read(one), read(fat_macho([one, one]))

    assert single.program.machine == "ARM64"
    assert single.program.sections[0].name == "__TEXT,__text"
    assert single.program.entry_in_code is True
    assert several.program.machine == "ARM64, X86_64"
    assert single.findings == several.findings == []


async def test_without_an_engine_that_covers_it_a_program_is_unknown(scan: Scan) -> None:
    for content in (Path("/bin/true").read_bytes(), pe([TEXT], IMPORTS), macho(CODE)):
        document = await scan("tool", content)

        assert document.verdict is Verdict.UNKNOWN
        assert document.coverage.level is CoverageLevel.NONE
        assert reasons(document) == {CoverageReason.UNSUPPORTED}
        assert document.root.program is not None


UNUSUAL: dict[str, bytes] = {
    "packed-program": pe([PeSection("UPX0", b"", WRITABLE_CODE), PeSection("UPX1", NOISE)], IMPORTS),
    "dense-code": pe([PeSection(".text", NOISE)], {"KERNEL32.dll": ["LoadLibraryA", "GetProcAddress"]}),
    "writable-code": pe([PeSection(".text", CODE, WRITABLE_CODE)], IMPORTS),
    "entry-outside-code": pe([TEXT, PeSection(".data", CODE, DATA)], IMPORTS, entry=0x2010),
    "entry-in-last-section": pe([TEXT, PeSection(".new", CODE)], entry=0x2000),
    "injection-imports": pe([TEXT], {"KERNEL32.dll": [*IMPORTS["KERNEL32.dll"], *INJECTION]}),
    "large-overlay": pe([TEXT], IMPORTS, overlay=b"\x01\x02\x03" * 30_000),
}


@pytest.mark.parametrize("label", UNUSUAL)
def test_what_is_unusual_is_suspicious_and_never_more(label: str) -> None:
    reading = read(UNUSUAL[label])

    assert label in reading.labels
    assert {finding.verdict for finding in reading.findings} == {Verdict.SUSPICIOUS}


async def test_a_finding_reaches_the_document(scan: Scan) -> None:
    document = await scan("tool.exe", UNUSUAL["dense-code"])

    (finding,) = document.root.findings
    (place,) = finding.locations
    assert (place.start, place.end, place.label) == (512, 512 + len(NOISE), ".text")
    assert document.verdict is Verdict.SUSPICIOUS
    assert finding.detector in document.detectors


@pytest.mark.parametrize(
    ("label", "content"),
    [
        ("packed-program", elf([(CODE + b"UPX!", "rx")])),
        ("dense-code", elf([(NOISE, "rx")])),
        ("writable-code", elf([(CODE, "rwx")])),
        ("entry-outside-code", elf([(CODE, "rw"), (CODE, "rx")])),
        ("writable-code", macho(CODE, rights=7)),
        ("dense-code", macho(NOISE)),
    ],
)
def test_the_same_is_seen_in_other_formats(label: str, content: bytes) -> None:
    assert label in read(content).labels


def test_net_programs_import_one_function_by_design() -> None:
    reading = read(pe([PeSection(".text", NOISE)], {"mscoree.dll": ["_CorExeMain"]}, directories={14: (0x1000, 72)}))

    assert reading.program.managed
    assert reading.findings == []


def test_injection_takes_all_the_steps() -> None:
    assert read(pe([TEXT], {"KERNEL32.dll": [*IMPORTS["KERNEL32.dll"], *INJECTION[:2]]})).findings == []


def test_imports_over_the_limit_hide_none_that_matters() -> None:
    many = [f"Function{number}" for number in range(5000)]
    reading = read(pe([TEXT], {"A.dll": many, "KERNEL32.dll": [*many, *INJECTION]}))

    assert reading.program.import_count == 10_003
    assert sum(len(library.functions) for library in reading.program.libraries) == 200
    assert reading.labels == {"injection-imports"}


def test_many_sections_are_counted() -> None:
    program = read(pe([PeSection(f".s{number}", b"x") for number in range(300)], IMPORTS)).program

    assert program.section_count == 301
    assert len(program.sections) == 64


def test_names_are_escaped_and_cut() -> None:
    program = read(pe([PeSection("\x1b[31m<\xe9", CODE)], {"x" * 250: ["y" * 250]})).program

    assert program.sections[0].name == "\\x1b[31m<\\xe9"
    (library,) = program.libraries
    assert library.name == "x" * 77 + "..."
    assert library.functions == ("y" * 61 + "...",)


@pytest.mark.parametrize("behind", ["zip", "7z", "plain"])
async def test_what_follows_a_program_is_looked_at(
    scan: Scan, archives: Archives, eicar: bytes, sevenzip: Callable[[dict[str, bytes]], bytes], behind: str
) -> None:
    overlay = {"zip": archives.zip({"x.com": eicar}), "7z": sevenzip({"x.com": eicar}), "plain": eicar}[behind]
    document = await scan("setup.exe", pe([TEXT], IMPORTS, overlay=overlay))

    assert document.verdict is Verdict.MALICIOUS
    assert document.root.program is not None
    assert document.root.program.overlay_bytes == len(overlay)


def test_an_installer_is_no_riddle(sevenzip: Callable[[dict[str, bytes]], bytes]) -> None:
    reading = read(pe([TEXT], IMPORTS, overlay=sevenzip({"a.bin": NOISE * 20})))

    assert reading.program.overlay_bytes > reading.program.size_bytes
    assert reading.findings == []


WHOLE: dict[str, bytes] = {
    "pe": pe([TEXT, PeSection(".data", CODE, DATA)], IMPORTS),
    "elf": Path("/bin/true").read_bytes(),
    "macho": macho(CODE * 3, libraries=("/usr/lib/libSystem.B.dylib",)),
}


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_program_is_said(name: str, share: float) -> None:
    assert read(WHOLE[name][: int(len(WHOLE[name]) * share)]).reasons == {CoverageReason.ERROR}


@pytest.mark.parametrize(
    ("name", "offset", "value"),
    [
        ("pe", 64 + 6, b"\xff\xff"),  # number of sections
        ("pe", 64 + 24 + 240 + 16, b"\xff\xff\xff\x7f"),  # size of the first section
        ("elf", 60, b"\xff\xff"),  # number of sections
        ("elf", 40, struct.pack("<Q", 1 << 60)),  # where they are described
        ("macho", 16, b"\xff\xff\xff\xff"),  # number of commands
        ("macho", 32 + 48, struct.pack("<Q", 1 << 60)),  # size of the segment
    ],
)
def test_lying_headers_are_said(name: str, offset: int, value: bytes) -> None:
    content = bytearray(WHOLE[name])
    content[offset : offset + len(value)] = value

    assert read(bytes(content)).reasons == {CoverageReason.ERROR}


@pytest.mark.parametrize(("name", "offset"), [("macho", 4), ("macho", 12), ("elf", 16), ("elf", 18), ("pe", 64 + 4)])
def test_numbers_that_nobody_knows_are_no_crash(name: str, offset: int) -> None:
    content = bytearray(WHOLE[name])
    content[offset : offset + 2] = b"\xee\x7e"
    reading = read(bytes(content))

    assert reading.found is not None or reading.reasons == {CoverageReason.ERROR}
