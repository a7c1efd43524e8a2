"""Where fonts and compiled translations end, which are tables of tables."""

from __future__ import annotations

from scanner.unpackers.media.reader import MAX_PARTS, Reader


def web_font_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    return reader.seek(reader.at(8, ">L")[0])


def font_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    fonts: tuple[int, ...] = (0,)
    if reader.peek(4) == b"ttcf":
        (count,) = reader.at(8, ">L")
        fonts = reader.take(f">{min(count, 1000)}L")
    end = reader.position
    for font in fonts:
        (count,) = reader.at(font + 4, ">H")
        reader.skip(6)
        end = max(end, *map(sum, [reader.take(">8xLL") for _ in range(count)]), 0)
    return reader.seek(end)


def _strings_end(reader: Reader, table: int, count: int, order: str) -> int:
    reader.seek(table)
    strings = [reader.take(f"{order}LL") for _ in range(min(count, MAX_PARTS))]
    return max([reader.position, *(size + start + 1 for size, start in strings)])


def _texts_end(reader: Reader, table: int, count: int, order: str) -> int:
    """Of texts that are put together of pieces, some of which the system has."""
    places = reader.at(table, f"{order}{min(count, MAX_PARTS)}L")
    end = reader.position
    for place in places:
        (start,) = reader.at(place, f"{order}L")
        piece = 0
        while piece != _LAST_PIECE:
            size, piece = reader.take(f"{order}LL")
            reader.skip(0)
            start += size
        end = max(end, start, reader.position)
    return end


_LAST_PIECE = 0xFFFFFFFF


def translation_end(reader: Reader) -> int:
    """Return where it ends. Raises DamagedError and struct.error."""
    order = "<" if reader.peek(1) == b"\xde" else ">"
    revision, count, originals, translations, hashes, hash_table = reader.at(4, f"{order}6L")
    end = max(
        hash_table + 4 * hashes, *(_strings_end(reader, table, count, order) for table in (originals, translations))
    )
    if revision & 0xFFFF:
        pieces, piece_table, texts, originals, translations = reader.at(28, f"{order}5L")
        end = max(end, _strings_end(reader, piece_table, pieces, order) - 1)
        end = max(end, *(_texts_end(reader, table, texts, order) for table in (originals, translations)))
    return reader.seek(end)
