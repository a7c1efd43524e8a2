"""Encrypted zip members: the old ZipCrypto (APPNOTE.TXT 6.1) and the AES of WinZip, by pyzipper."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from scanner.unpackers.base import GapReason, Sink, read_chunks
from scanner.unpackers.libraries import library
from scanner.unpackers.passwords import PasswordTrial

DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, struct.error, OverflowError)
# The check value in a member's header lets one wrong password in 256 pass, its first bytes hardly any.
_PROBE_BYTES = 256 * 1024


class EncryptedMembers:
    """Opens the encrypted members of one archive with the passwords there are."""

    def __init__(self, source: BinaryIO, passwords: tuple[str, ...]) -> None:
        self._source = source
        self._trial = PasswordTrial(passwords)
        self._archive: Any = None
        self._members: dict[int, object] = {}
        self._damage: tuple[type[Exception], ...] = DAMAGE

    def store(self, member: zipfile.ZipInfo, sink: Sink) -> None:
        """Store the member if a password fits, else tell the gap. Raises LimitReachedError."""
        if self._archive is None:
            pyzipper = library("pyzipper")
            # It raises RuntimeError for a wrong password, LookupError for a strength that there is not,
            # and brings a BadZipFile of its own.
            self._damage = (*DAMAGE, pyzipper.BadZipFile, RuntimeError, LookupError)
            self._archive = pyzipper.AESZipFile(self._source)
            self._members = {info.header_offset: info for info in self._archive.infolist()}
        twin = self._members.get(member.header_offset)
        fitting = next((password for password in self._trial.candidates() if self._fits(twin, password)), None)
        if fitting is None:
            self._trial.failed()
            sink.gap(GapReason.ENCRYPTED, "A member of the zip archive is encrypted and no password given fits.")
            return
        self._trial.fitted(fitting)
        with self._archive.open(twin, pwd=_encoded(fitting)) as handle:
            blame = "The member is damaged, cut off or not as large as the directory says."
            sink.store(
                member.filename, "encrypted zip member", whole_member(handle, member.file_size), self._damage, blame
            )

    def _fits(self, member: object, password: str) -> bool:
        """Whether the first bytes come out without a contradiction; for small members this checks the CRC."""
        try:
            with self._archive.open(member, pwd=_encoded(password)) as handle:
                left = _PROBE_BYTES
                while left > 0 and (chunk := handle.read(left)):
                    left -= len(chunk)
        except self._damage:
            return False
        return True


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "replace")


def whole_member(handle: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a member's bytes. Raises EOFError when there are fewer than the directory says.

    zipfile cuts at the size of the directory and checks the CRC there.
    """
    got = 0
    for chunk in read_chunks(handle):
        got += len(chunk)
        yield chunk
    if got < size:
        raise EOFError
