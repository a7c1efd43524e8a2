"""Benign scripts of nothing but data, made here: tables of numbers, colours, characters and words, binary constants.

Ordinary code keeps such data (frequencies of characters, checksums, palettes, states of a parser, ranges of Unicode,
compressed test data, WebAssembly modules, certificates and keys). The collected benign scripts hold little of it, and
without it a model takes every long row of numbers or escapes for an encoded payload.
"""

import base64
import hashlib
import random

from script_threat.dataset import Sample

WORDS = (
    b"char freq order table model typical ratio map code point width entity lookup crc weights sample kernel matrix "
    b"level offset encoding data state class transition palette color score rank unicode latin cyrillic greek"
).split()
LANGUAGES = {
    "python": 40, "javascript": 25, "php": 15, "html/hta": 8, "powershell": 6, "perl": 6, "asp": 3, "jsp": 3
}  # fmt: skip
CODES = ((b"0x%08x", 0, 2**32), (b"0x%04x", 0x80, 0x3000), (b"'#%06x'", 0, 2**24), (b"'\\u%04x'", 0x80, 0x3000))
LARGEST = 40_000  # bytes of one script


def made_tables(count: int, seed: int = 11) -> list[Sample]:
    """Benign rows, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    samples = []
    for language in rng.choices(list(LANGUAGES), list(LANGUAGES.values()), k=count):
        data = b"\n".join(table(language, rng) for _ in range(rng.randint(1, 4)))[:LARGEST]
        name = hashlib.sha256(data).hexdigest()
        samples.append(Sample(name, 0, language, name, weak=False, data=data))
    return samples


def table(language: str, rng: random.Random) -> bytes:
    """One table in the syntax of a language."""
    forms = FORMS.get(language, ()) if rng.random() < 0.25 else ()
    return rng.choice(forms or (rows_of_values,))(language, rng)


def rows_of_values(language: str, rng: random.Random) -> bytes:
    """Values between brackets, many or one to the line."""
    values = make_values(int(2 ** rng.uniform(5, 10.5)), rng)
    keyed = rng.random() < 0.25
    if keyed:
        values = with_keys(values, b" => " if language in {"perl", "php"} else b": ", rng)
    rows = make_rows(values, 1 if keyed else rng.choice([8, 10, 16, 20]), rng)
    if language == "python" and rng.random() < 0.3:
        rows = [row + b"  # %02x" % (place % 256) for place, row in enumerate(rows)]
    return enclose(b"\n".join(rows), language, keyed, rng)


def make_values(count: int, rng: random.Random) -> list[bytes]:
    """The values of one table, all of a kind."""
    return rng.choice(KINDS)(count, rng)


def order(count: int, rng: random.Random) -> list[bytes]:
    """Every number once."""
    return [b"%4d" % value for value in rng.sample(range(1, count + 1), count)]


def fractions(count: int, rng: random.Random) -> list[bytes]:
    """Numbers with a point."""
    form = b"%%.%df" % rng.choice([3, 6, 12])
    return [form % rng.uniform(-1, 1) for _ in range(count)]


def pairs(count: int, rng: random.Random) -> list[bytes]:
    """Two numbers each."""
    return [b"(%d, %d)" % (rng.randrange(70_000), rng.randrange(70_000)) for _ in range(count)]


def words(count: int, rng: random.Random) -> list[bytes]:
    """Words in quotes."""
    return [b'"%s"' % rng.choice(WORDS) for _ in range(count)]


def classes(count: int, rng: random.Random) -> list[bytes]:
    """Mostly the highest bytes, as for characters that do not occur."""
    return [b"%d" % rng.choice([255, 255, 254, 253, 252, rng.randrange(250)]) for _ in range(count)]


def numbers(count: int, rng: random.Random) -> list[bytes]:
    """Numbers below a limit."""
    most = rng.choice([2, 4, 10, 300, 2000, 6000, 40_000])
    return [b"%d" % rng.randrange(most) for _ in range(count)]


def codes(count: int, rng: random.Random) -> list[bytes]:
    """Checksums, characters or colours."""
    form, least, most = rng.choice(CODES)
    return [form % rng.randrange(least, most) for _ in range(count)]


def mappings(count: int, rng: random.Random) -> list[bytes]:
    """A number, what is done with it and what it becomes, as for international names of hosts."""
    step, literal = rng.randint(1, 40), rng.random() < 0.7
    rows = []
    for place in range(count):
        result = chr(
            rng.choice([rng.randrange(0x61, 0x7B), rng.randrange(0xA0, 0xD800), rng.randrange(0x1D400, 0x1F200)])
        )
        shown = result.encode() if literal else escapes(1, rng)
        rows.append(b"(0x%x, '%c', '%s')" % (place * step, rng.choice(b"MMMVXD3"), shown))
    return rows


def escaped(count: int, rng: random.Random) -> list[bytes]:
    """Strings of nothing but escapes, as generated lexers have them."""
    return [b"'%s'" % escapes(rng.randint(4, 20), rng) for _ in range(max(1, count // 4))]


KINDS = (order, fractions, pairs, words, classes, numbers, numbers, codes, codes, codes, codes, mappings, escaped)


def escapes(count: int, rng: random.Random) -> bytes:
    """Characters by their numbers."""
    return b"".join(
        b"\\u%04x" % rng.randrange(65536) if rng.random() < 0.5 else b"\\%o" % rng.randrange(128) for _ in range(count)
    )


def with_keys(values: list[bytes], mark: bytes, rng: random.Random) -> list[bytes]:
    """The values as entries of a map."""
    kind = rng.randrange(3)
    if kind == 0:
        return [b"0x%04x%s%s" % (place, mark, value) for place, value in enumerate(values)]
    if kind == 1:
        return [b"'%s%d'%s%s" % (rng.choice(WORDS), place, mark, value) for place, value in enumerate(values)]
    return [b"'\\x%02x'%s%s" % (rng.randrange(256), mark, value) for value in values]


def make_rows(values: list[bytes], width: int, rng: random.Random) -> list[bytes]:
    """Lines of `width` values with commas between and after them."""
    indent, comma = rng.choice([b"  ", b"    ", b"\t", b""]), rng.choice([b",", b", "])
    return [indent + comma.join(values[first : first + width]) + b"," for first in range(0, len(values), width)]


def listing(_language: str, rng: random.Random) -> bytes:
    """Bare numbers, one to the line, as Perl keeps its ranges of Unicode."""
    numbers = sorted(rng.sample(range(1_114_112), int(2 ** rng.uniform(5, 10.5))))
    head = b"# %s\n\nreturn <<'END';\nV%d\n" % (b" ".join(rng.sample(WORDS, 8)), len(numbers))
    return head + b"".join(b"%d\n" % number for number in numbers) + b"END\n"


def constants(language: str, rng: random.Random) -> bytes:
    """A name and a number on each line."""
    start, end = (b"", b"") if language == "python" else (b"$", b";")
    opening = b"<?php\n" if language == "php" else b"import os\n" if rng.random() < 0.3 else b""
    form = rng.choice([b"%.16f", b"%.3f", b"%d"])
    rows = [
        b"%s%s_%d = %s%s\n" % (start, rng.choice(WORDS), place, form % rng.uniform(-1e5, 1e5), end)
        for place in range(rng.randint(20, 300))
    ]
    return opening + b"".join(rows)


def binary(language: str, rng: random.Random) -> bytes:
    """Bytes as a literal: escaped, as hexadecimal digits or in base64."""
    data = rng.choice([b"\0asm\1\0\0\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x89PNG\r\n\x1a\n", b"0\x82", b""])
    data += rng.randbytes(int(2 ** rng.uniform(7, 12)))
    name = b"_".join(rng.sample(WORDS, 2))
    width = rng.choice([16, 24, 48])
    parts = in_lines(data, width)
    if language == "javascript":
        return b"const %s = '%s';\n" % (name, base64.b64encode(data))
    kind = rng.randrange(3)
    if kind == 0:
        rows = [repr(part).encode() for part in parts]
    elif kind == 1:
        rows = [b"'%s'" % part.hex().encode() for part in parts]
    else:
        rows = [b"'%s'" % base64.b64encode(part) for part in parts]
    return b"%s = (\n    %s\n)\n" % (name.upper(), b"\n    ".join(rows))


def armoured(language: str, rng: random.Random) -> bytes:
    """A certificate or key in base64, between its marks, as a text or as lines of a comment."""
    kind = rng.choice([b"CERTIFICATE", b"RSA PRIVATE KEY", b"PUBLIC KEY", b"PGP SIGNATURE", b"EC PRIVATE KEY"])
    width = rng.choice([60, 64, 76])
    body = base64.b64encode(b"0\x82" + rng.randbytes(int(2 ** rng.uniform(7, 12))))
    lines = [b"-----BEGIN %s-----" % kind, *in_lines(body, width), b"-----END %s-----" % kind]
    if language == "powershell" and rng.random() < 0.7:
        lines = [b"SIG # Begin signature block", *in_lines(body, 64), b"SIG # End signature block"]
        return b"".join(b"# %s\n" % line for line in lines)
    name = b"_".join(rng.sample(WORDS, 2))
    if language == "python" and rng.random() < 0.6:
        return b'%s = """\n%s\n"""\n' % (name, b"\n".join(lines))
    start, joiner, end = JOINED[language]
    return start % name + joiner.join(b"'%s\\n'" % line for line in lines) + end


def in_lines(text: bytes, width: int) -> list[bytes]:
    """A text cut to a width."""
    return [text[first : first + width] for first in range(0, len(text), width)]


def long_numbers(language: str, rng: random.Random) -> bytes:
    """Moduli and exponents, as the tests of ciphers have them."""
    start, _, end = JOINED[language]
    rows = []
    for _ in range(rng.randint(1, 12)):
        number = rng.getrandbits(rng.choice([256, 512, 1024, 2048]))
        form = b"0x%x" if rng.random() < 0.6 else b"%d"
        rows.append(start % b"_".join(rng.sample(WORDS, 2)) + form % number + end)
    return b"".join(rows)


JOINED = {
    "python": (b"%s = (", b"\n    ", b")\n"),
    "javascript": (b"const %s = (", b" +\n  ", b");\n"),
    "php": (b"<?php $%s = (", b" .\n  ", b"); ?>\n"),
    "powershell": (b"$%s = (", b" +\n  ", b")\n"),
}
FORMS = {
    "python": (constants, binary, armoured, long_numbers),
    "javascript": (binary, rows_of_values, armoured, long_numbers),
    "php": (constants, armoured, long_numbers),
    "perl": (listing,),
    "powershell": (constants, armoured),
}


def enclose(body: bytes, language: str, keyed: bool, rng: random.Random) -> bytes:  # noqa: FBT001 - a table's form
    """The rows as a whole script, or a part of one, of a language."""
    name = b"_".join(rng.sample(WORDS, rng.randint(1, 4)))
    name = rng.choice([name, name.upper(), name.title().replace(b"_", b"")])
    opening, closing = (b"{", b"}") if keyed else rng.choice([(b"(", b")"), (b"[", b"]")])
    if language == "python":
        return b"%s = %s\n%s\n%s\n" % (name, opening, body, closing)
    if language == "javascript":
        start = rng.choice([b"var ", b"const ", b"export const ", b"module.exports."])
        return b"%s%s = %s\n%s\n%s;\n" % (start, name, b"{" if keyed else b"[", body[:-1], b"}" if keyed else b"]")
    if language in {"perl", "php"}:
        return (b"<?php\n$%s = array(\n%s\n);\n" if language == "php" else b"@%s = (\n%s\n);\n") % (name, body)
    if language == "powershell":
        return b"$%s = @(\n%s\n)\n" % (name, body[:-1])
    if language == "html/hta":
        return b"<table><tr><td>%s</td></tr></table>\n" % body.replace(b"\n", b"</td></tr>\n<tr><td>")
    return b"<%% %s = Array(_\n%s)\n%%>\n" % (name, body[:-1])
