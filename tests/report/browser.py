"""A real Chromium, where there is one."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

__all__ = ["expect", "start_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "NO BROWSER, SO THE REPORT PAGE IS NOT TESTED: install Chromium (on Debian: apt-get install chromium), and run "
    "these tests again"
)


def start_chromium():
    """Yield a Chromium that is driven by playwright; skip where none is installed."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()
