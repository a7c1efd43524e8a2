"""The Dockerfiles: their build steps are run here as they stand, without a Docker engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["gateway", "upload", "scanner", "results", "reports", "notifier"]
DOCKERFILES = {
    **{name: ROOT / "services" / name / "Dockerfile" for name in SERVICES},
    "cli": ROOT / "cli" / "Dockerfile",
}


def instructions(name: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, continuation lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILES[name].read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]


def stages(name: str) -> dict[str, list[tuple[str, str]]]:
    """Return the instructions by stage; the stage without a name is the image."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for verb, value in instructions(name):
        if verb == "FROM":
            current = found.setdefault(value.split(" AS ")[1] if " AS " in value else "image", [])
        current.append((verb, value))
    return found


class Build:
    """Runs the steps of a build stage with /src, /tools, /wheels and /app in a temporary directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has_tools = False

    def run(self, steps: list[tuple[str, str]]) -> None:
        for verb, value in steps:
            if verb == "COPY":
                *sources, target = value.split()
                for source in sources:
                    self._copy(source, target)
            elif verb == "RUN" and not ("venv /tools" in value and self.has_tools):
                self._shell(value)
                self.has_tools = True

    def forget(self) -> None:
        for name in ("src", "app", "wheels"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "src").mkdir(parents=True)

    def _copy(self, source: str, target: str) -> None:
        origin, destination = ROOT / source, self.folder / "src" / target
        if origin.is_dir():
            ignored = shutil.ignore_patterns("tests", "frontend", "__pycache__", ".*")
            shutil.copytree(origin, destination, ignore=ignored, dirs_exist_ok=True)
        else:
            destination.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, destination)

    def _shell(self, command: str) -> None:
        here = re.sub(r"(?<![\w.])/(tools|app|wheels)\b", rf"{self.folder}/\1", command)
        # As `python` in the image: whatever runs this test. Debian has only python3.
        path = f"{self.folder}/tools/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "UV_PYTHON_DOWNLOADS": "never"}
        done = subprocess.run(
            ["sh", "-c", here], cwd=self.folder / "src", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    folder = tmp_path_factory.mktemp("image")
    yield Build(folder)
    shutil.rmtree(folder)


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SERVICES)
def test_build_steps_make_an_environment_that_has_the_service_and_no_other(build: Build, name: str) -> None:
    build.forget()
    found = stages(name)
    build.run(found["build"])
    if name == "scanner":
        build.run(found["build-cpu"])

    others = [other for other in SERVICES if other != name]
    program = (
        f"import importlib.util as u, {name}.main\n"
        f"print([m for m in {[*others, 'cli']!r} if u.find_spec(m)])\n"
        f"import {name}; print({name}.__file__)"
    )
    done = subprocess.run(
        [f"{build.folder}/app/bin/python", "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    strangers, origin = done.stdout.splitlines()
    assert strangers == "[]"
    assert origin.startswith(f"{build.folder}/app/lib/")


@pytest.mark.parametrize("name", SERVICES)
def test_wheel_carries_everything_that_is_not_code(name: str) -> None:
    """What git has in the package is what the build takes: nothing that the build leaves out is ignored by git."""
    package = ROOT / "services" / name / "src" / name
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", str(package)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [path for path in listed if "__pycache__" not in path] == []


@pytest.mark.parametrize("name", DOCKERFILES)
def test_image_is_not_root_and_starts_without_a_shell(name: str) -> None:
    final = [step for stage, steps in stages(name).items() if not stage.startswith("build") for step in steps]
    users = [value for verb, value in final if verb == "USER"]
    commands = [json.loads(value) for verb, value in final if verb == "CMD"]
    assert users == ["10001:10001"]
    assert commands == [["fumehood", "migrate"] if name == "cli" else ["python", "-m", f"{name}.main"]]
    assert [value for verb, value in final if verb == "ENTRYPOINT"] == []


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_labels_and_a_health_check(name: str) -> None:
    final = dict(step for stage, steps in stages(name).items() if not stage.startswith("build") for step in steps)
    assert f'org.opencontainers.image.title="fumehood-{name}"' in final["LABEL"]
    assert "/readyz" in final["HEALTHCHECK"]
    assert json.loads(final["HEALTHCHECK"].split("CMD ")[1])[:2] == ["python", "-c"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_lock_of_the_image_exists(name: str) -> None:
    locks = re.findall(r"requirements/[\w-]+\.lock", DOCKERFILES[name].read_text())
    assert locks
    assert [lock for lock in locks if not (ROOT / lock).exists()] == []
