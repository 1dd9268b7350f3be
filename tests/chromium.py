"""A headless Chromium for tests of pages: the system's if there is one, else Playwright's."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Start Chromium with more arguments and yield it. Without Playwright or Chromium, skip the test and say so."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        pytest.skip("needs Playwright: `make screenshots` installs it")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", *arguments]
            )
        except Error as error:
            pytest.skip(f"needs Chromium: {str(error).splitlines()[0]}")
        with browser:
            yield browser
