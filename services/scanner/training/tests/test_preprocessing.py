import numpy as np
import pytest

from script_threat.preprocessing import (
    ALIGNMENT,
    MAX_BYTES,
    PADDING_TOKEN,
    STRIDE,
    WINDOW,
    normalise,
    tokenise,
    utf16_order,
    window_starts,
)


def text_of(data: bytes) -> bytes:
    return normalise(data).codes.tobytes()


def test_capitals_and_white_space_are_folded() -> None:
    assert text_of(b"\xef\xbb\xbfIf  X:\r\n\tPrint( )") == b"if x: print( )"


def test_offsets_point_into_the_original() -> None:
    data = b"A \t\n B\r\n\r\nC"
    script = normalise(data)
    assert [data[offset : offset + 1].lower() for offset in script.offsets if data[offset] > 0x20] == [b"a", b"b", b"c"]


def test_of_long_runs_the_ends_stay() -> None:
    assert text_of(b"x = '" + b"ABCD" * 10 + b"'") == b"x = '" + b"abcd" * 10 + b"'"
    assert text_of(b"x = '" + b"ABCD" * 11 + b"'") == b"x = 'abcdabcdabcd'"
    assert text_of(b"-" * 1000) == b"-" * 12
    data = b"a " + b"0123456789abcdef" * 3 + b" b"
    assert list(normalise(data).offsets) == [0, 1, *range(2, 10), *range(46, 52)]


def test_lines_of_a_long_run_are_one_run() -> None:
    line = b"ABCD" * 19
    assert text_of(line + b"\n" + line + b"\n" + line) == b"abcdabcdabcd"
    assert text_of(b"'" + line + b"' +\n   '" + line + b"'") == b"'abcdabcdabcd'"
    assert text_of(line + b"\nreturn x\n" + line) == b"abcdabcdabcd return x abcdabcdabcd"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_utf16_reads_like_utf8(encoding: str, mark: str) -> None:
    text = "Write-Host 'Grüße, 世界'; exit"
    data = (mark + text).encode(encoding)
    script = normalise(data)
    assert script.codes.tobytes() == text_of(text.encode())
    assert script.offsets[-1] == len(data) - 2


def test_plain_bytes_are_not_utf16() -> None:
    assert utf16_order(b"print('hello')" * 10) is None
    assert utf16_order(b"\0" * 100) is None
    assert utf16_order(b"a") is None


def test_odd_utf16_and_empty_input_do_not_fail() -> None:
    assert text_of(b"\xff\xfeA") == b""
    assert text_of(b"") == b""
    assert tokenise(normalise(b"").codes, [0]).shape == (1, ALIGNMENT)


def test_a_long_file_keeps_its_head_and_tail() -> None:
    data = b"(" * MAX_BYTES + b"." * 1000 + b")" * (MAX_BYTES // 4)
    script = normalise(data)
    assert len(script.codes) == MAX_BYTES
    assert script.offsets[-1] == len(data) - 1
    assert script.codes[MAX_BYTES * 3 // 4] == ord(")")


@pytest.mark.parametrize("length", [0, 1, WINDOW, WINDOW + 1, WINDOW + STRIDE, 5 * WINDOW + 17])
def test_windows_cover_everything(length: int) -> None:
    starts = window_starts(length)
    seen = np.zeros(length, dtype=bool)
    for start in starts:
        seen[start : start + WINDOW] = True
    assert seen.all()
    assert starts == sorted(set(starts))
    assert starts[-1] + WINDOW <= max(length, WINDOW)


def test_tokens_are_padded_to_the_alignment() -> None:
    codes = normalise(b"." * (ALIGNMENT + 1)).codes
    tokens = tokenise(codes, [0])
    assert tokens.shape == (1, 2 * ALIGNMENT)
    assert tokens.dtype == np.int32
    assert (tokens[0] == PADDING_TOKEN).sum() == ALIGNMENT - 1
