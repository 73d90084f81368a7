"""The house rules that no linter knows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sam2_core", "widgets", "app")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TOP_LEVEL = {
    ".ci", "app", "benchmarks", "docs", "examples", "sam2_core", "tests", "widgets",
    ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "NOTICE", "README.md", "app.py",
    "constraints.txt", "pyproject.toml", "requirements-dev.txt", "requirements.txt",
}  # fmt: skip
LARGEST_FILE = 10_000_000
SPACES = "spaces"  # a Hugging Face Space brings it along


def tracked_files() -> list[str]:
    """What git knows, relative to the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).exists()]


def requirement_names(path: str) -> dict[str, str]:
    """Requirements of a file: normalised name to version specifier."""
    lines = (line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    parts = (re.split(r"(?=[=<>])", line, maxsplit=1) for line in lines if line and not line.startswith("-"))
    return {re.sub(r"[-_.]+", "-", name).lower(): specifier for name, specifier in parts}


def public_definitions(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    """The module, its public classes and functions, and their public methods."""
    yield tree
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    while scopes:
        for node in scopes.pop().body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    scopes.append(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_is_documented(path: Path) -> None:
    definitions = public_definitions(ast.parse(path.read_text()))
    assert [getattr(node, "name", "module") for node in definitions if not ast.get_docstring(node)] == []


def test_every_import_is_a_requirement() -> None:
    modules = set()
    for path in [*SOURCES, ROOT / "app.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    foreign = modules - {*sys.stdlib_module_names, *PACKAGES, SPACES}
    distributions = packages_distributions()
    needed = {re.sub(r"[-_.]+", "-", distributions[module][0]).lower() for module in foreign}
    assert needed <= requirement_names("requirements.txt").keys()


def test_make_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^ +make (\w+)", printed, re.MULTILINE) == targets[1].split()


def test_a_space_installs_the_required_gradio() -> None:
    card = (ROOT / "README.md").read_text().split("---")[1]
    sdk_version = re.search(r"^sdk_version: (\S+)$", card, re.MULTILINE)
    assert sdk_version
    assert requirement_names("requirements.txt")["gradio"] == f"=={sdk_version[1]}"


def test_the_space_card_keeps_the_hubs_limit() -> None:
    description = re.search(r"^short_description: (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert description
    assert len(description[1]) <= 60


def test_constraints_pin_every_requirement() -> None:
    direct = requirement_names("requirements.txt").keys() | requirement_names("requirements-dev.txt").keys()
    pinned = {name for name, specifier in requirement_names("constraints.txt").items() if specifier.startswith("==")}
    assert direct <= pinned


def test_top_level_is_as_drawn() -> None:
    assert {name.split("/")[0] for name in tracked_files()} <= TOP_LEVEL


def test_no_tracked_file_is_large() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked_files()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}
