"""The workspace: locks without addresses that fit the members, imports that are declared, verbs that exist."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SERVICES = ["gateway", "upload", "scanner", "results", "reports", "notifier"]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
IMAGE_LOCKS = {name: f"{name}-cpu" if name == "scanner" else name for name in SERVICES}
DEVELOPERS_COMMANDS = {"shared/src/shared/messaging/schemas.py"}  # no service imports them
MEMBERS = {"shared": "shared", "cli": "cli", **{name: f"services/{name}" for name in SERVICES}}


@cache
def pins(name: str) -> dict[str, str]:
    """Return package -> version of a lock; of a package pinned per Python version, the last."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text, re.MULTILINE))


def declared(member: str) -> list[Requirement]:
    """Return what a member's pyproject.toml asks for, without other members and extras."""
    project = tomllib.loads((ROOT / MEMBERS[member] / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] if not text.startswith("fumehood")]


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """Return all packages that these may pull in on any platform, by the metadata of what is installed."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(requirement.name, frozenset(requirement.extras)) for requirement in requirements]
    while todo:
        name, extras = todo.pop()
        name = canonicalize_name(name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in _requires(name):
            requirement = Requirement(text)
            if _is_wanted(requirement, extras):
                todo.append((requirement.name, frozenset(requirement.extras)))
    return found


def _requires(name: str) -> list[str]:
    if name == "magika":
        return []  # see dependency-metadata in pyproject.toml
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # for another platform


def _is_wanted(requirement: Requirement, extras: frozenset[str]) -> bool:
    # The lock serves every platform, so of a marker only the extra counts.
    asked = re.findall(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker))
    return not asked or bool(extras & set(asked))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_names_no_address_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if re.search(r"://| @ |^-", line)] == []
    assert [line for line in lines if not re.match(r"[a-z0-9-]+==|    --hash=sha256:[0-9a-f]{64}", line)] == []
    assert len(re.findall(r"==.*\\\n    --hash=", text)) == len(re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE))


def test_versions_agree_across_locks() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for package, version in pins(lock.stem).items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_member_declares_is_locked(member: str) -> None:
    """A failure means that `make lock` has not been run."""
    lock = {"shared": "run", "cli": "run"}.get(member) or IMAGE_LOCKS[member]
    for name in {lock, "run", "all"}:
        wrong = [
            str(wanted)
            for wanted in declared(member)
            if not wanted.specifier.contains(pins(name).get(canonicalize_name(wanted.name), "0.dev0"), prereleases=True)
        ]
        assert wrong == [], f"{name}.lock"


def test_development_tools_are_locked() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for group, lock in {"dev": "all", "build": "build", "tools": "tools"}.items():
        names = [canonicalize_name(Requirement(text).name) for text in groups[group]]
        assert [name for name in names if name not in pins(lock)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_image_holds_only_what_its_service_needs(service: str) -> None:
    wanted = [*declared("shared"), *declared(service)]
    if service == "scanner":
        wanted.append(Requirement("onnxruntime"))
    assert sorted(set(pins(IMAGE_LOCKS[service])) - closure(wanted)) == []


def test_heavy_packages_are_only_where_they_work() -> None:
    homes = {"weasyprint": {"reports"}, "onnxruntime": {"scanner-cpu"}, "onnxruntime-gpu": {"scanner-gpu"}}
    images = [*(name for name in SERVICES if name != "scanner"), "scanner-cpu", "scanner-gpu"]
    for package, home in homes.items():
        assert {image for image in images if package in pins(image)} == home


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_member_imports_is_in_its_image(member: str) -> None:
    """In the development environment everything is there, so a missing declaration shows only in an image."""
    owners = metadata.packages_distributions()
    image = {"shared": closure(declared("shared")), "cli": set(pins("run"))}.get(member) or set(
        pins(IMAGE_LOCKS[member])
    )
    missing = set()
    for path in (ROOT / MEMBERS[member] / "src").rglob("*.py"):
        if str(path.relative_to(ROOT)) in DEVELOPERS_COMMANDS:
            continue
        available = image | ({"pytest"} if "testing" in path.parts else set())
        for module in _imported(path) - set(MEMBERS) - sys.stdlib_module_names - {"onnxruntime"}:
            packages = {canonicalize_name(owner) for owner in owners.get(module, [module])}
            if not packages & available:
                missing.add((str(path.relative_to(ROOT)), module))
    assert missing == set()


def _imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module.split(".")[0])
    return modules


def test_make_lists_its_verbs() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for verb in ("run", "test", "check", "fmt", "bench", "e2e", "lock", "clean", "help"):
        assert re.search(rf"^  make {verb} +\S", listed, re.MULTILINE), verb


def test_commit_hooks_run_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["id"] for repository in config["repos"] for hook in repository["hooks"]}
    script = (ROOT / "scripts" / "check").read_text()
    assert hooks == set(re.findall(r"^check_(\w+)\(\)", script, re.MULTILINE))


def test_ci_runs_the_checks_and_every_test() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-2:] == ["make check", "make test"]
