"""Files in the resources of Windows programs: each comes out once, and a lying table is said."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import pytest

from scanner.sandbox.answers import ANSWERS, ChildFound, GapFound
from scanner.sandbox.messages import JobLimits
from scanner.testing import Archives, Scan
from scanner.testing.programs import (
    DATA,
    PeSection,
    Resources,
    counted_bytes,
    elf,
    managed_header,
    pe,
    resource_set,
    serialised_bytes,
)
from scanner.unpackers.base import Sink, Unpacker
from scanner.unpackers.libraries import prepare
from scanner.unpackers.programs import ProgramUnpacker
from scanner.unpackers.programs.resource_set import ResourceSetUnpacker
from scanner.unpackers.programs.resources import MAX_ENTRIES, MAX_FILES, MAX_TEXT_BYTES
from shared.scan import CoverageReason, Verdict

LIMITS = JobLimits(artifacts=1000, unpacked_bytes=1 << 22, member_bytes=1 << 21, ratio=100, cpu_seconds=10)
CODE = PeSection(".text", b"\x90\xc3" * 600)
TABLE = 0x2000
"""Address of the resources behind the one page of code."""
ICON, STRING, RCDATA, HTML, MANIFEST = 3, 6, 10, 23, 24
TEXT = b"A text that is long enough to be taken for one.\n"
ANOTHER = b"Another text, of which nobody would say less.\n"
INNER = elf([(b"\x90\xc3" * 20, "rx")])


@dataclass
class Carried:
    """What comes out of a program: names, origins, contents; and what could not be looked at."""

    files: dict[str, bytes]
    origins: list[str]
    reasons: list[CoverageReason]


def carried(content: bytes, unpacker: Unpacker | None = None) -> Carried:
    prepare()
    sent: list[bytes] = []
    spool = io.BytesIO()
    sink = Sink(spool, LIMITS, len(content), sent.append)
    (unpacker or ProgramUnpacker()).unpack(io.BytesIO(content), "sample", sink)
    sink.finish()
    answers = [ANSWERS.validate_json(line) for line in b"".join(sent).splitlines()]
    children = [answer for answer in answers if isinstance(answer, ChildFound)]
    return Carried(
        {child.name: spool.getvalue()[child.start : child.start + child.size] for child in children},
        [child.origin for child in children],
        [answer.gap.reason for answer in answers if isinstance(answer, GapFound)],
    )


def program(resources: Resources) -> bytes:
    return pe([CODE], resources=resources)


def test_what_a_program_carries_comes_out(archives: Archives) -> None:
    packed = archives.zip({"a.txt": TEXT})
    found = carried(
        program(
            {
                (RCDATA, 101): INNER,
                (RCDATA, "PAYLOAD.ZIP"): packed,
                (HTML, 5): TEXT,
                ("SCRIPTS", 2): zlib.compress(ANOTHER),
                (999, 1): ANOTHER.decode().encode("utf-16-le"),
            }
        )
    )

    assert found.files == {
        "RCDATA/101": INNER,
        "RCDATA/PAYLOAD.ZIP": packed,
        "HTML/5": TEXT,
        "SCRIPTS/2": ANOTHER,
        "999/1": ANOTHER,
    }
    assert found.origins == [f"resource {name}" for name in found.files]
    assert found.reasons == []


def net_program(content: bytes) -> bytes:
    return pe([CODE, PeSection(".net", content)], directories={14: (0x2000, 72)})


def test_what_a_net_program_carries_comes_out() -> None:
    deflated = zlib.compress(INNER, wbits=-15)
    found = carried(net_program(managed_header(0x2000, [TEXT, b"", bytes(range(200, 256)), deflated])))

    assert found.files == {".NET/1": TEXT, ".NET/4": INNER}
    assert found.origins == ["resource .NET/1", "resource .NET/4"]
    assert found.reasons == []


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (72, 0x7FFFFFFF),  # size of the first resource
        (28, 0x7FFFFFFF),  # size of all
        (24, 0x70000000),  # where they are
    ],
)
def test_lying_net_resources_are_said(offset: int, value: int) -> None:
    content = bytearray(managed_header(0x2000, [TEXT]))
    struct.pack_into("<L", content, offset, value)

    assert carried(net_program(bytes(content))).reasons == [CoverageReason.ERROR]


def test_net_resources_over_the_limit_are_said() -> None:
    found = carried(net_program(managed_header(0x2000, [b""] * (MAX_ENTRIES + 1))))

    assert (found.files, found.reasons) == ({}, [CoverageReason.LIMIT_REACHED])


BYTES, STREAM, OBJECT = 0x20, 0x21, 0x40


def in_set(content: bytes) -> Carried:
    return carried(content, ResourceSetUnpacker())


def test_what_a_set_of_resources_holds_comes_out() -> None:
    found = in_set(
        resource_set(
            {
                "form/text": (1, b"\x05hello"),
                "form/payload": (BYTES, counted_bytes(INNER)),
                "notes": (STREAM, counted_bytes(TEXT)),
                "nothing": (0, b""),
                "picture": (OBJECT, serialised_bytes(ANOTHER)),
                "converted": (OBJECT + 1, b"\x02" + bytes([len(TEXT) + 2]) + b"2 " + TEXT),
                "number": (8, bytes(4)),
                "unknown object": (OBJECT, b"\x09" + TEXT),
            }
        )
    )

    assert found.files == {"form_payload": INNER, "notes": TEXT, "picture": ANOTHER, "converted": b"2 " + TEXT}
    assert found.origins == [f"resource {name}" for name in found.files]
    assert found.reasons == []


def test_arrays_in_a_set_of_the_first_version_come_out() -> None:
    found = in_set(resource_set({"a": (0, serialised_bytes(TEXT)), "b": (0, b"\x05hello")}, version=1))

    assert (found.files, found.reasons) == ({"a": TEXT}, [])


async def test_what_is_found_in_a_set_of_a_program_counts(scan: Scan, eicar: bytes) -> None:
    resources = resource_set({"payload": (BYTES, counted_bytes(eicar))})
    document = await scan("setup.exe", net_program(managed_header(0x2000, [resources])))

    assert [(artifact.name, artifact.depth) for artifact in document.artifacts[1:]] == [(".NET/1", 1), ("payload", 2)]
    assert document.verdict is Verdict.MALICIOUS


def test_the_same_resource_of_a_set_comes_out_once() -> None:
    content = bytearray(resource_set({"ab": (BYTES, counted_bytes(TEXT)), "cd": (BYTES, counted_bytes(ANOTHER))}))
    struct.pack_into("<L", content, content.index("cd".encode("utf-16-le")) + 4, 0)

    assert in_set(bytes(content)).files == {"cd": TEXT}


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (8, 0x7FFFFFFF),  # bytes to be skipped
        (46, 9),  # version
        (50, 0x7FFFFFFF),  # number of resources
        (54, 0x7FFFFFFF),  # number of types
        (76, 0x7FFFFFFF),  # where the name is
        (80, 0x7FFFFFFF),  # where the values are
    ],
)
def test_lying_sets_are_said(offset: int, value: int) -> None:
    content = bytearray(resource_set({"a": (BYTES, counted_bytes(TEXT))}))
    struct.pack_into("<L", content, offset, value)

    assert in_set(bytes(content)).reasons == [CoverageReason.ERROR]


def test_a_lying_size_in_a_set_is_said_and_what_is_there_comes_out() -> None:
    values = {"a": (BYTES, struct.pack("<L", 0x7FFFFFFF) + TEXT), "b": (BYTES, counted_bytes(ANOTHER))}
    found = in_set(resource_set(values))

    assert (found.files, found.reasons) == ({"a": TEXT, "b": ANOTHER}, [CoverageReason.ERROR])


def test_a_set_over_the_limits_is_said() -> None:
    files = in_set(resource_set({str(n): (BYTES, counted_bytes(b"%03d " % n + TEXT)) for n in range(MAX_FILES + 1)}))
    entries = in_set(resource_set({str(number): (0, b"") for number in range(MAX_ENTRIES + 1)}))

    assert (len(files.files), files.reasons) == (MAX_FILES, [CoverageReason.LIMIT_REACHED])
    assert (entries.files, entries.reasons) == ({}, [CoverageReason.LIMIT_REACHED])


def test_what_is_no_file_stays_where_it_is() -> None:
    found = carried(
        program(
            {
                (ICON, 1): b"\x89PNG\r\n\x1a\n" + bytes(100),
                (STRING, 7): TEXT.decode().encode("utf-16-le"),
                (MANIFEST, 1): b'<assembly xmlns="urn:schemas-microsoft-com:asm.v1"></assembly>',
                (RCDATA, 1): bytes(range(128, 256)) * 4,
                (RCDATA, 2): b"short",
            }
        )
    )

    assert (found.files, found.reasons) == ({}, [])


def test_a_program_is_one_whatever_its_type_says() -> None:
    assert carried(program({(ICON, 1): INNER})).files == {"ICON/1": INNER}


def test_a_type_that_is_called_like_a_known_one_is_free() -> None:
    assert carried(program({("ICON", 1): TEXT})).files == {"ICON/1": TEXT}


async def test_what_is_found_in_a_resource_counts_for_the_program(scan: Scan, eicar: bytes) -> None:
    document = await scan("setup.exe", program({(RCDATA, 1): eicar}))

    (artifact,) = document.artifacts[1:]
    assert (artifact.origin, artifact.verdict, document.verdict) == (
        "resource RCDATA/1",
        Verdict.MALICIOUS,
        Verdict.MALICIOUS,
    )


def elsewhere(content: bytes, resources: Resources) -> bytes:
    """Return a program with the content at 0x2000 and resources that tell of places by themselves."""
    return pe([CODE, PeSection(".data", content, DATA)], resources=resources)


def test_the_same_bytes_come_out_once() -> None:
    place = (0x2000, len(TEXT))
    found = carried(elsewhere(TEXT, {(ICON, 1): place, (RCDATA, 1): place, (MANIFEST, 1): place}))

    assert (found.files, found.reasons) == ({"RCDATA/1": TEXT}, [])


def test_of_resources_that_overlap_the_first_comes_out() -> None:
    content = TEXT + ANOTHER
    found = carried(
        elsewhere(content, {(RCDATA, 1): (0x2000, len(content)), (RCDATA, 2): (0x2000 + len(TEXT), len(ANOTHER))})
    )

    assert (found.files, found.reasons) == ({"RCDATA/1": content}, [CoverageReason.ERROR])


@pytest.mark.parametrize("place", [(0x70000000, 100), (0xFFFFFFFF, 0xFFFFFFFF), (16, 100)])
def test_lying_places_are_said(place: tuple[int, int]) -> None:
    found = carried(elsewhere(TEXT, {(RCDATA, 1): place}))

    assert (found.files, found.reasons) == ({}, [CoverageReason.ERROR])


def test_a_lying_size_is_said_and_what_is_there_comes_out() -> None:
    whole_sectors = TEXT * 512
    found = carried(elsewhere(whole_sectors, {(RCDATA, 1): (0x2000, 0x7FFFFFFF)}))

    assert (found.files, found.reasons) == ({"RCDATA/1": whole_sectors}, [CoverageReason.ERROR])


def test_an_empty_resource_is_nothing() -> None:
    found = carried(elsewhere(TEXT, {(RCDATA, 1): (0x2000, 0)}))

    assert (found.files, found.reasons) == ({}, [])


def test_what_a_packer_unpacks_at_the_start_is_no_lie() -> None:
    """The bytes of such a resource are not in the file, and that the program is packed is said elsewhere."""
    content = bytearray(elsewhere(TEXT, {(RCDATA, 1): (0x2100, 100)}))
    section = content.index(b".data")
    struct.pack_into("<LLL", content, section + 8, 0x1000, 0x2000, 0)

    found = carried(bytes(content))

    assert (found.files, found.reasons) == ({}, [])


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (14, b"\xff\xff"),  # number of types
        (20, b"\xff\xff\xff\xff"),  # where the names are
        (20, b"\0\0\0\x80"),  # names that are the types
        (24 + 20, b"\0\0\0\x80"),  # languages that are the types
        (48 + 20, b"\xff\xff\xff\x7f"),  # where the resource is told
    ],
)
def test_lying_directories_are_said(offset: int, value: bytes) -> None:
    content = bytearray(program({(RCDATA, 1): TEXT}))
    table = _table_offset(content)
    content[table + offset : table + offset + len(value)] = value

    assert CoverageReason.ERROR in carried(bytes(content)).reasons


def test_a_table_that_is_nowhere_is_said() -> None:
    assert carried(pe([CODE], directories={2: (0x70000000, 100)})).reasons == [CoverageReason.ERROR]


def test_a_table_of_many_is_read_up_to_the_limit() -> None:
    found = carried(program({(ICON, number): (TABLE, 1) for number in range(MAX_ENTRIES)}))

    assert (found.files, found.reasons) == ({}, [CoverageReason.LIMIT_REACHED])


def test_files_over_the_limit_are_said() -> None:
    found = carried(program({(RCDATA, number): b"%03d " % number + TEXT for number in range(MAX_FILES + 1)}))

    assert (len(found.files), found.reasons) == (MAX_FILES, [CoverageReason.LIMIT_REACHED])


def test_text_over_the_limit_is_said() -> None:
    found = carried(program({(RCDATA, 1): TEXT * (MAX_TEXT_BYTES // len(TEXT) + 1), (RCDATA, 2): TEXT}))

    assert (found.files, found.reasons) == ({"RCDATA/2": TEXT}, [CoverageReason.LIMIT_REACHED])


def test_names_are_escaped_and_cut() -> None:
    found = carried(program({("\x1b[31m", "../../\u202e" + "x" * 300): TEXT}))

    (name,) = found.files
    assert name.startswith("\\x1b[31m/.._.._\\u202exxx")
    assert len(name) < 60
    assert name.endswith("xxx...")


def _table_offset(content: bytearray) -> int:
    (offset,) = struct.unpack_from("<L", content, content.index(b".rsrc") + 20)
    return int(offset)
