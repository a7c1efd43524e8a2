"""Disguise: what misleads is reported, what honest people do is not."""

from __future__ import annotations

import pytest

from scanner.declared import DeclaredName, interpreter_type
from scanner.detectors.disguise import find_disguises
from shared.scan import ContentType

RLO = "\N{RIGHT-TO-LEFT OVERRIDE}"


def content(label: str, score: float = 0.99) -> ContentType:
    return ContentType(
        label=label, mime_type="x/y", group="code", description=f"{label} data", score=score, is_text=False
    )


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("holiday.jpg", "pebin", ["disguised-program"]),
        ("notes.txt", "elf", ["disguised-program"]),
        ("report.pdf", "lnk", ["disguised-program"]),
        ("song.mp3", "msi", ["disguised-program"]),
        ("avatar.png", "php", ["disguised-script"]),
        ("report.docx", "vba", ["disguised-script"]),
        ("film.mp4", "powershell", ["disguised-script"]),
        ("invoice.pdf.exe", "pebin", ["double-extension"]),
        ("invoice.pdf                               .exe", "pebin", ["double-extension"]),
        ("photo.JPG.Js", "javascript", ["double-extension"]),
        (f"annual{RLO}fdp.exe", "pebin", ["direction-override"]),
        (f"a/b\\c{RLO}gpj.scr", "pebin", ["direction-override"]),
        (f"x{RLO}.txt.exe", "pebin", ["direction-override", "double-extension"]),
    ],
)
def test_misleading_names_are_reported(name: str, label: str, expected: list[str]) -> None:
    assert [disguise.label for disguise in find_disguises(name, content(label))] == expected


@pytest.mark.parametrize(
    ("name", "label", "score"),
    [
        ("setup.exe", "pebin", 0.99),
        ("libc.so.6", "elf", 0.99),
        ("python3.11", "elf", 0.99),
        ("report.docx", "docx", 0.99),
        ("report.docx", "zip", 0.99),
        ("picture.png", "jpeg", 0.99),
        ("example.txt", "python", 0.99),
        ("readme.md", "shell", 0.99),
        ("page.xml", "html", 0.99),
        ("data.csv", "javascript", 0.99),
        ("jquery.min.js", "javascript", 0.99),
        ("pdf.js", "javascript", 0.99),
        ("archive.tar.gz", "gzip", 0.99),
        ("old.doc", "php", 0.99),
        ("error.jpg", "html", 0.99),
        ("noextension", "pebin", 0.99),
        ("data.bin", "pebin", 0.99),
        ("odd.jpg", "pebin", 0.6),
        ("odd.jpg", "php", 0.8),
        (".txt", "pebin", 0.5),
        ("", "pebin", 0.99),
        ("a/photo.jpg/run.exe", "pebin", 0.99),
    ],
)
def test_honest_names_are_not(name: str, label: str, score: float) -> None:
    assert find_disguises(name, content(label, score)) == []


@pytest.mark.parametrize(
    ("name", "extension", "active"),
    [
        ("index.PHP", "php", "php"),
        ("x/y\\run.ps1", "ps1", "powershell"),
        ("page.html", "html", "html"),
        ("notes.txt", "txt", None),
        ("Makefile", "", None),
    ],
)
def test_what_a_name_declares(name: str, extension: str, active: str | None) -> None:
    declared = DeclaredName.of(name)

    assert (declared.extension, declared.active_type) == (extension, active)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#!/bin/sh\n", "shell"),
        (b"#! /usr/bin/env python3\n", "python"),
        (b"#!/usr/bin/env -S node --harmony\n", "javascript"),
        (b"#!/usr/bin/perl -w\n", "perl"),
        (b"#!/opt/thing\n", None),
        (b"plain", None),
    ],
)
def test_the_first_line_names_an_interpreter(head: bytes, expected: str | None) -> None:
    assert interpreter_type(head) == expected
