"""Packages of code: which archives are one, when their files run, and what that makes of a finding."""

from __future__ import annotations

import json
import struct

import pytest

from scanner.package_findings import weighed
from scanner.packages import MAX_READ, Package, layouts
from scanner.testing import Archives, Scan
from scanner.unpackers.package_facts import Fact
from shared.scan import Artifact, DetectorInfo, Finding, PackageRole, ScanDocument, Verdict

SETUP = b"from setuptools import setup\n\nsetup(name='demo', version='1.0', packages=['demo'])\n"
ASKS_HOME = b"import urllib.request\n\nurllib.request.urlopen('http://127.0.0.1/')\n"
MODULE = b"def greet(name):\n    return f'Hello, {name}'\n"
SDIST = {
    "demo-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "demo-1.0/setup.py": SETUP,
    "demo-1.0/demo/__init__.py": MODULE,
    "demo-1.0/demo/core.py": MODULE,
    "demo-1.0/tests/test_core.py": b"from demo import greet\n\n\ndef test_greet():\n    assert greet('you')\n",
    "demo-1.0/docs/notes.txt": b"Notes on how to use the package.\n",
}
WHEEL = {
    "demo/__init__.py": MODULE,
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\n",
    "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
    "demo-1.0.dist-info/RECORD": b"demo/__init__.py,,\n",
}
MODEL = DetectorInfo(name="a-model", version="1", kind="byte-model")
RULES = DetectorInfo(name="rules", version="1", kind="yara")


def npm(manifest: dict[str, object], **files: bytes) -> dict[str, bytes]:
    members = {"package/package.json": json.dumps({"name": "demo", "version": "1.0.0"} | manifest).encode()}
    return members | {f"package/{name.replace('__', '/')}": content for name, content in files.items()}


def roles(document: ScanDocument) -> dict[str, PackageRole | None]:
    return {artifact.name.partition("/")[2]: artifact.role for artifact in document.artifacts if "/" in artifact.name}


def labels(artifact: Artifact) -> set[str]:
    return {finding.label for finding in artifact.findings}


def named(document: ScanDocument, end: str) -> Artifact:
    return next(artifact for artifact in document.artifacts if artifact.name.endswith(end))


def finding(verdict: Verdict, detector: DetectorInfo = MODEL, *, shadow: bool = False) -> Finding:
    return Finding(detector=detector, label="x", verdict=verdict, reason="A test.", shadow=shadow)


@pytest.mark.parametrize(
    ("names", "kinds", "published"),
    [
        (SDIST, ["Python source package"], True),
        (WHEEL, ["Python wheel"], True),
        (["package/package.json", "package/index.js"], ["npm package"], True),
        (["demo-main/package.json", "demo-main/index.js"], ["npm package"], False),
        (["demo-1.0/setup.py", "demo-1.0/demo.py"], ["Python source package"], False),
        ([*SDIST, "holiday.jpg"], ["Python source package"], False),
        (["setup.py", "demo.py"], ["Python source package"], False),
        (["demo-1.0.dist-info/WHEEL", "demo-1.0.dist-info/METADATA"], [], False),
        (["a/b/setup.py", "notes.txt"], [], False),
        ([], [], False),
    ],
)
def test_packages_are_known_by_their_members(names: list[str], kinds: list[str], *, published: bool) -> None:
    found = layouts(list(names))

    assert [form.kind for form in found] == kinds
    assert any(form.published for form in found) is published


async def test_files_of_a_source_package_have_roles(scan: Scan, archives: Archives) -> None:
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST, "w:gz"))

    assert roles(document) == {
        "PKG-INFO": PackageRole.IMPORT,
        "setup.py": PackageRole.INSTALL,
        "demo/__init__.py": PackageRole.IMPORT,
        "demo/core.py": PackageRole.IMPORT,
        "tests/test_core.py": PackageRole.OTHER,
        "docs/notes.txt": PackageRole.OTHER,
    }
    package = document.artifacts[1]
    assert (package.role, labels(package)) == (None, {"runs-at-install"})
    assert "Installing this Python source package runs demo-1.0/setup.py." in package.findings[0].reason
    assert document.verdict is not Verdict.SUSPICIOUS


async def test_an_archive_that_is_no_package_has_no_roles(scan: Scan, archives: Archives) -> None:
    document = await scan("x.zip", archives.zip({"a/tests/notes.txt": b"Nothing.", "a/b.py": MODULE}))

    assert set(roles(document).values()) == {None}


async def test_a_setup_script_that_opens_connections_is_suspicious(scan: Scan, archives: Archives) -> None:
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST | {"demo-1.0/setup.py": SETUP + ASKS_HOME}, "w:gz"))

    assert "network-at-install" in labels(named(document, "setup.py"))
    assert document.verdict in {Verdict.SUSPICIOUS, Verdict.MALICIOUS}


async def test_what_a_setup_script_says_in_comments_counts_for_nothing(scan: Scan, archives: Archives) -> None:
    remarks = b"# cmdclass={}, urlopen(URL)\n  # exec(text)\n"
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST | {"demo-1.0/setup.py": remarks + SETUP}, "w:gz"))

    assert not labels(named(document, "setup.py"))


async def test_a_module_that_opens_connections_is_not(scan: Scan, archives: Archives) -> None:
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST | {"demo-1.0/demo/core.py": ASKS_HOME}, "w:gz"))

    assert "network-at-install" not in labels(named(document, "core.py"))


async def test_what_a_setup_script_names_runs_at_install(scan: Scan, archives: Archives) -> None:
    setup = b"from tests import fixtures\nexec(open('docs/about.py').read())\nopen('docs/notes.txt')\n" + SETUP
    files = {"demo-1.0/setup.py": setup, "demo-1.0/tests/fixtures.py": MODULE, "demo-1.0/docs/about.py": MODULE}
    found = roles(await scan("demo-1.0.tar.gz", archives.tar(SDIST | files, "w:gz")))

    assert found["tests/fixtures.py"] is PackageRole.INSTALL
    assert found["docs/about.py"] is PackageRole.INSTALL
    assert found["docs/notes.txt"] is None
    assert found["tests/test_core.py"] is PackageRole.OTHER


async def test_a_build_backend_in_the_tree_runs_at_install(scan: Scan, archives: Archives) -> None:
    project = b"[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['tests']\n"
    files = {"demo-1.0/pyproject.toml": project, "demo-1.0/tests/own.py": ASKS_HOME}
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST | files, "w:gz"))

    assert named(document, "own.py").role is PackageRole.INSTALL
    assert "network-at-install" in labels(named(document, "own.py"))


async def test_a_wheel_of_what_is_covered_is_clean(scan: Scan, archives: Archives) -> None:
    metadata = {"demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: demo 1\nTag: py3-none-any\n\n"}
    translation = {"demo/locale/de/LC_MESSAGES/demo.mo": struct.pack("<LLLLLLL", 0x950412DE, 0, 0, 28, 28, 0, 28)}
    document = await scan("demo-1.0-py3-none-any.whl", archives.zip(WHEEL | metadata | translation))

    assert (document.verdict, document.coverage.gaps) == (Verdict.CLEAN, ())


async def test_instructions_to_runners_keep_a_package_from_being_clean(scan: Scan, archives: Archives) -> None:
    workflow = b"name: demo\non: push\njobs:\n  demo:\n    runs-on: ubuntu-latest\n    steps:\n    - run: make\n"
    document = await scan("demo-1.0-py3-none-any.whl", archives.zip(WHEEL | {"demo/release.yml": workflow}))

    assert document.verdict is Verdict.UNKNOWN
    assert [gap.detail for gap in document.coverage.gaps] == ["No detector here covers the type yaml."]


async def test_a_path_file_of_a_wheel_that_runs_code_is_suspicious(scan: Scan, archives: Archives) -> None:
    path_file = b"import os; os.system('echo hello')\n"
    document = await scan("demo-1.0-py3-none-any.whl", archives.zip(WHEEL | {"demo.pth": path_file}))

    assert named(document, "demo.pth").role is PackageRole.INSTALL
    assert "path-file-runs-code" in labels(named(document, "demo.pth"))
    assert document.verdict in {Verdict.SUSPICIOUS, Verdict.MALICIOUS}


async def test_install_hooks_of_npm_name_what_runs(scan: Scan, archives: Archives) -> None:
    manifest: dict[str, object] = {
        "main": "./test/index",
        "scripts": {"postinstall": "npm run -s fetch && node -e \"require('./late')\"", "fetch": "node scripts/get.js"},
    }
    files = npm(manifest, scripts__get_js=b"", late_js=b"", test__index_js=b"", test__more_js=b"", lib_js=b"")
    members = {name.replace("_js", ".js"): b"module.exports = 1;\n" if "_js" in name else files[name] for name in files}
    found = roles(await scan("demo-1.0.0.tgz", archives.tar(members, "w:gz")))

    assert {name for name, role in found.items() if role is PackageRole.INSTALL} == {"scripts/get.js", "late.js"}
    assert found["test/index.js"] is PackageRole.IMPORT
    assert found["test/more.js"] is PackageRole.OTHER
    assert found["lib.js"] is PackageRole.IMPORT


async def test_an_npm_hook_that_fetches_is_suspicious(scan: Scan, archives: Archives) -> None:
    members = npm({"scripts": {"preinstall": "curl -s http://127.0.0.1/x -o x"}})
    document = await scan("demo-1.0.0.tgz", archives.tar(members, "w:gz"))

    assert labels(document.artifacts[1]) == {"runs-at-install", "install-hook-downloads"}
    assert document.verdict is Verdict.SUSPICIOUS


@pytest.mark.parametrize("manifest", [b"{", b"[" * 5000, b'"text"', b"\xff\xfe"])
async def test_a_broken_manifest_takes_no_weight_from_anything(scan: Scan, archives: Archives, manifest: bytes) -> None:
    members = {"package/package.json": manifest, "package/test/a.js": b"module.exports = 1;\n"}

    assert roles(await scan("demo.tgz", archives.tar(members, "w:gz")))["test/a.js"] is None


async def test_what_is_decoded_from_a_script_has_its_role(scan: Scan, archives: Archives) -> None:
    hidden = b"data = '" + b"aW1wb3J0IG9zCmZvciBuYW1lIGluIG9zLmxpc3RkaXIoJy4nKToKICAgIHByaW50KG5hbWUpCg==" + b"'\n"
    document = await scan("demo-1.0.tar.gz", archives.tar(SDIST | {"demo-1.0/setup.py": hidden + SETUP}, "w:gz"))

    setup = named(document, "setup.py")
    assert [child.role for child in document.artifacts if child.parent_id == setup.id] == [PackageRole.INSTALL]


@pytest.mark.parametrize(
    ("said", "role", "counts"),
    [
        (finding(Verdict.MALICIOUS), PackageRole.OTHER, Verdict.SUSPICIOUS),
        (finding(Verdict.SUSPICIOUS), PackageRole.OTHER, Verdict.UNKNOWN),
        (finding(Verdict.MALICIOUS, RULES), PackageRole.OTHER, Verdict.MALICIOUS),
        (finding(Verdict.SUSPICIOUS, RULES), PackageRole.OTHER, Verdict.SUSPICIOUS),
        (finding(Verdict.MALICIOUS), PackageRole.IMPORT, Verdict.MALICIOUS),
        (finding(Verdict.SUSPICIOUS), PackageRole.IMPORT, Verdict.SUSPICIOUS),
        (finding(Verdict.SUSPICIOUS), None, Verdict.SUSPICIOUS),
        (finding(Verdict.SUSPICIOUS, shadow=True), PackageRole.OTHER, Verdict.SUSPICIOUS),
    ],
)
def test_the_role_weighs_a_model_and_never_a_rule(said: Finding, role: PackageRole | None, counts: Verdict) -> None:
    (result,) = weighed([said], "tests/a.py", role, frozenset())

    assert result.verdict is counts
    assert result.weighed_from == (None if counts is said.verdict else said.verdict)


@pytest.mark.parametrize("name", ["docs/invoice.js", "tests/Run.BAT"])
def test_what_a_double_click_runs_keeps_its_weight(name: str) -> None:
    said = finding(Verdict.SUSPICIOUS)

    assert weighed([said], name, PackageRole.OTHER, frozenset()) == [said]


@pytest.mark.parametrize(
    ("role", "acts", "raised"),
    [
        (PackageRole.INSTALL, {Fact.STARTS_PROGRAMS}, True),
        (PackageRole.INSTALL, set(), False),
        (PackageRole.IMPORT, {Fact.STARTS_PROGRAMS}, False),
    ],
)
def test_a_suspicious_script_that_acts_at_install_is_malicious(
    role: PackageRole, acts: set[Fact], *, raised: bool
) -> None:
    found = weighed([finding(Verdict.SUSPICIOUS)], "setup.py", role, frozenset(acts))

    assert [one.label for one in found[1:]] == (["suspicious-at-install"] if raised else [])
    assert found[0].verdict is Verdict.SUSPICIOUS


def test_two_signs_of_rules_are_not_raised() -> None:
    acts = frozenset({Fact.OPENS_NETWORK})

    assert len(weighed([finding(Verdict.SUSPICIOUS, RULES)], "setup.py", PackageRole.INSTALL, acts)) == 1


def test_more_install_scripts_than_are_read_take_no_weight_from_anything() -> None:
    names = [f"package/{number}.js" for number in range(MAX_READ + 5)]
    package = Package.of(["package/package.json", *names, "package/test/a.js"])
    assert package is not None
    read = 0
    while (unread := package.unread()) is not None:
        read += 1
        position, reader = unread
        facts = [(Fact.RUNS_AT_INSTALL, f"./{number}") for number in range(MAX_READ + 5)]
        package.add(position, facts if reader == "npm manifest" else [], whole=True)

    assert read == MAX_READ
    assert package.role(len(names) + 1) is None
    assert package.role(1) is PackageRole.INSTALL
