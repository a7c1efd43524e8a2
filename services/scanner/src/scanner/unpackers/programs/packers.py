"""Traces that packers leave in a program: names of sections, and the mark of UPX."""

from __future__ import annotations

from collections.abc import Iterable

_BY_SECTION = {
    "upx0": "UPX", "upx1": "UPX", "upx2": "UPX", ".upx0": "UPX", ".upx1": "UPX",
    ".aspack": "ASPack", ".adata": "ASPack", ".asprotect": "ASProtect",
    ".themida": "Themida", "themida": "Themida", ".winlice": "WinLicense", ".winlicen": "WinLicense",
    ".vmp0": "VMProtect", ".vmp1": "VMProtect", ".vmp2": "VMProtect",
    ".mpress1": "MPRESS", ".mpress2": "MPRESS", "mpress1": "MPRESS", "mpress2": "MPRESS", "__mpress__v.2.1": "MPRESS",
    "pec1": "PECompact", "pec2": "PECompact", "pecompact2": "PECompact", "pec2to": "PECompact",
    "nsp0": "NsPack", "nsp1": "NsPack", "nsp2": "NsPack", ".nsp0": "NsPack", ".nsp1": "NsPack", "nspack": "NsPack",
    ".petite": "Petite", "petite": "Petite", "fsg!": "FSG", ".packed": "RLPack", ".rlpack": "RLPack",
    ".enigma1": "Enigma Protector", ".enigma2": "Enigma Protector", ".perplex": "Perplex", ".spack": "Simple Pack",
    ".mew": "MEW", "mew": "MEW", ".upack": "Upack", ".bydwing": "Upack", ".wwpack": "WWPack", ".wwp32": "WWPack",
    "kkrunchy": "kkrunchy", ".svkp": "SVKP", ".yp": "Yoda's Protector", ".y0da": "Yoda's Protector",
    ".taz": "PESpin", ".neolit": "NeoLite", ".neolite": "NeoLite", ".obsidium": "Obsidium", ".shrink1": "Shrinker",
    "execrypt": "ExeCryptor", ".pklstb": "PKLite", "pepack!!": "PEPack", "bitarts": "Crunch",
}  # fmt: skip
_UPX_MARK = b"UPX!"
_MARK_WITHIN = 4096


def packer_of(section_names: Iterable[str | bytes], data: bytes, *, look_for_mark: bool) -> str | None:
    """Return the packer whose traces are there; its mark is looked for at both ends of the file."""
    for name in section_names:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        packer = _BY_SECTION.get(text.rstrip("\0 ").lower())
        if packer is not None:
            return packer
    if look_for_mark and (_UPX_MARK in data[:_MARK_WITHIN] or _UPX_MARK in data[-_MARK_WITHIN:]):
        return "UPX"
    return None
