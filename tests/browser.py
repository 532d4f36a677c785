"""A real browser without a screen, for tests of pages; they are skipped where none is installed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
CHROMEDRIVER = shutil.which("chromedriver") or ""
DESKTOP, PHONE = 1360, 390


def why_not() -> str:
    """Return why pages cannot be tried here; empty if they can."""
    if not CHROMIUM or not CHROMEDRIVER:
        return "chromium and chromedriver are not installed (Debian: chromium chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return ""


needs_browser = pytest.mark.skipif(bool(why_not()), reason=why_not())


class Browser:
    """One window. What the page logs and asks for is kept."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, width: int = DESKTOP) -> None:
        """Open a file in a window of a width, and scroll through it once."""
        phone = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        self.driver.get(path.as_uri())
        self.driver.execute_async_script(
            "const done = arguments[0]; let y = 0;"
            "(function on() { scrollTo(0, y); y += 700;"
            " if (y < document.documentElement.scrollHeight) requestAnimationFrame(on); else setTimeout(done, 50); })()"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        """Return the first element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        """Return the elements of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Return their texts, of those that are folded away, too."""
        return self.run("return Array.from(document.querySelectorAll(arguments[0]), (e) => e.textContent)", selector)

    def complaints(self) -> list[str]:
        """Return what the page's console says since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """Return the addresses that the page asked for since the last call, but for those that hold their content.

        What the page's own policy stopped was not asked for.
        """
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = {
            event["params"]["requestId"]: event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"].startswith("file:")  # the browser's own first page is not ours
        }
        stopped = {
            event["params"]["requestId"]
            for event in events
            if event["method"] == "Network.loadingFailed" and event["params"].get("blockedReason") == "csp"
        }
        return {url for key, url in asked.items() if key not in stopped and not url.startswith("data:")}


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile, and end it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER, env={**os.environ, "HOME": str(profile)}))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
