"""Encrypted Office documents: ECMA-376 agile and standard, RC4 and XOR of the old formats, by msoffcrypto."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink
from scanner.unpackers.libraries import library
from scanner.unpackers.passwords import PasswordTrial

MAX_DECRYPTED_BYTES = 64 * 1024 * 1024
# With these Excel and PowerPoint open a locked file without asking, which makes them a disguise.
_UNASKED = ("VelvetSweatshop", "/01Hannes Ruescher/01")
# Office writes 100,000; each round costs every password tried.
_MAX_ROUNDS = 1_000_000


def store_decrypted(source: BinaryIO, sink: Sink) -> bool:
    """Store the decrypted document as a child; False if no password fits. Raises LimitReachedError.

    The child is the whole document: a zip of the new formats, a compound file of the old ones.
    """
    size = source.seek(0, 2)
    if size > MAX_DECRYPTED_BYTES:
        sink.gap(GapReason.LIMIT_REACHED, f"Encrypted documents over {MAX_DECRYPTED_BYTES >> 20} MiB are not opened.")
        return False
    source.seek(0)
    data = source.read()
    for password in (*_UNASKED, *PasswordTrial(sink.passwords).candidates()):
        plain = _decrypted(data, password)
        if plain is not None:
            sink.store("decrypted document", "decrypted Office document", _pieces(plain), (), "")
            return True
    return False


def _decrypted(data: bytes, password: str) -> bytes | None:
    """Return the plain document; None if the password does not fit or the encryption is not known."""
    msoffcrypto = library("msoffcrypto")
    plain = io.BytesIO()
    try:
        document: Any = msoffcrypto.OfficeFile(io.BytesIO(data))
        if getattr(document, "type", "") == "agile" and document.info["spinValue"] > _MAX_ROUNDS:
            return None
        if document.format == "ooxml":
            document.load_key(password=password, verify_password=True)
        else:
            document.load_key(password=password)
        document.decrypt(plain)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 -- on a wrong password it reads noise as structures and raises what it meets
        return None
    return plain.getvalue()


def _pieces(data: bytes) -> Iterator[bytes]:
    yield data
