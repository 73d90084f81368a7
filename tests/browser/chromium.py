"""Chromium for the browser tests: find one, or install one (``python -m tests.browser.chromium``).

Debian's own package comes first, because it brings its libraries and fonts; Playwright's build is for the rest.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium: install chromium or google-chrome, or run `python -m playwright install --with-deps chromium`"


def find() -> str | None:
    """Path of a Chromium that is here: the system's, or else Playwright's own."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def apt_commands() -> list[list[str]]:
    """What installs Debian's Chromium here; nothing without apt or the right to use it."""
    if not shutil.which("apt-get"):
        return []
    sudo: list[str] = []
    if os.geteuid() != 0:
        sudo = ["sudo", "-n"]
        if not shutil.which("sudo") or subprocess.run([*sudo, "true"], capture_output=True).returncode:
            return []
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-liberation"]
    return [[*sudo, "apt-get", "update", "-qq"], [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *install]]


def main() -> None:
    """Install Chromium unless there is one; say so and go on where that cannot be done (the browser tests skip)."""
    if find():
        return
    print("Installing Chromium for the browser tests", flush=True)
    for command in apt_commands():
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            break
    if not find():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"])
    if not find():
        print(f"The browser tests will be skipped: {MISSING}")


if __name__ == "__main__":
    main()
