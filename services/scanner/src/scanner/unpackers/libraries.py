"""Third-party parsers, imported before the worker locks itself in and only when a job asks for one.

After the confinement there is no file system to import from. A worker therefore starts without
these libraries, which is fast; when a job needs one, the scanner replaces the worker by one that
was prepared with all of them.
"""

from __future__ import annotations

import codecs
import importlib
import io
import os
import sys
from types import ModuleType

# With the modules that the libraries themselves import at first use.
MODULES = (
    "Cryptodome.Cipher.AES", "Cryptodome.Cipher._mode_cbc", "Cryptodome.Cipher._mode_ctr",
    "Cryptodome.Cipher._mode_ecb",
    "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.Image", "PIL.ImageFile", "PIL.ImagePalette",
    "PIL.JpegImagePlugin", "PIL.MpoImagePlugin", "PIL.PngImagePlugin", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin",
    "cryptography.hazmat.backends.openssl.backend", "xml.dom.expatbuilder", "xml.parsers.expat",
    "libarchive", "lief", "msoffcrypto", "msoffcrypto.format.doc97", "msoffcrypto.format.ooxml",
    "msoffcrypto.format.ppt97", "msoffcrypto.format.xls97", "olefile", "pikepdf", "py7zr", "pycdlib",
    "pyzipper",
    "email.errors", "email.header", "email.message", "email.parser", "email.policy",
    "_strptime", "psutil", "quopri", "stringprep", "unicodedata", "uuid",
)  # fmt: skip
# Encodings that mails and macros of real life are written in.
_CODECS = (
    "ascii", "big5", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "cp437", "cp850", "cp852", "cp866", "cp874", "cp932", "cp936", "cp949", "cp950", "euc_jp", "euc_kr", "gb18030",
    "gb2312", "gbk", "idna", "iso2022_jp", "iso8859_15", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_8",
    "iso8859_9", "koi8_r", "koi8_u", "latin_1", "mac_roman", "raw_unicode_escape", "shift_jis", "unicode_escape",
    "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_7", "utf_8", "utf_8_sig",
)  # fmt: skip


class LibrariesNeededError(Exception):
    """The job needs a prepared worker; this one was started without the libraries."""


class LibraryMissingError(Exception):
    """The library, or the system library below it, is not installed here. The message is its name."""


class _Preparation:
    done = False


def prepare() -> None:
    """Import every library there is; one that is missing only costs its formats."""
    # Spares libarchive-c the search, which would start programs.
    os.environ.setdefault("LIBARCHIVE", "libarchive.so.13")
    for codec in _CODECS:
        codecs.lookup(codec)
    for name in MODULES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError, AttributeError):  # the last: a C library too old for its wrapper
            sys.modules.pop(name, None)
    _silence_lief()
    _warm_up_pictures()
    _warm_up_pdf()
    _Preparation.done = True


def _silence_lief() -> None:
    lief = sys.modules.get("lief")
    if lief is not None:
        lief.logging.disable()


def _warm_up_pictures() -> None:
    """Write and read one pixel: Pillow imports its decoders at first use."""
    image = sys.modules.get("PIL.Image")
    if image is not None:
        buffer = io.BytesIO()
        image.new("RGB", (1, 1)).save(buffer, "PNG")
        image.open(buffer).convert("L").resize((2, 2)).tobytes()


def _warm_up_pdf() -> None:
    """Write one encrypted page: qpdf finds its source of randomness at first use, in the file system."""
    pikepdf = sys.modules.get("pikepdf")
    if pikepdf is not None:
        with pikepdf.new() as document:
            document.save(io.BytesIO(), encryption=pikepdf.Encryption(owner="warm", user="up"))


def library(name: str) -> ModuleType:
    """Return a module of `MODULES`. Raises LibrariesNeededError, LibraryMissingError."""
    module = sys.modules.get(name) if _Preparation.done else None
    if module is not None:
        return module
    raise LibraryMissingError(name) if _Preparation.done else LibrariesNeededError
