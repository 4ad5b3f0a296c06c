"""One browser and one mock server for all tests; a fresh page, world and session for each."""

import os
import shutil
import threading

import pytest
from mock import Server
from playwright.sync_api import expect, sync_playwright
from world import World

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Chromium reports of answers that a test asked for.
EXPECTED = "Failed to load resource"

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "Chromium is missing; scripts/need chromium installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running_server():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def server(running_server):
    running_server.reset()
    running_server.world = World()
    yield running_server
    running_server.hanging.set()


class Visitor:
    """Opens the page as a reader does. `problems` has what the browser complained of."""

    def __init__(self, browser, server):
        self.browser, self.server, self.contexts, self.problems = browser, server, [], []

    def open(self, fragment="#/", token="an-operator", width=1280, height=800, language="en", theme="light"):
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, locale=language, color_scheme=theme, timezone_id="Asia/Tokyo", reduced_motion="reduce"
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: line.type in ("error", "warning") and EXPECTED not in line.text and self.problems.append(line.text))
        # Time goes on as usual, and `fast_forward` turns it: no test waits for the next poll.
        page.clock.install()
        if token:
            page.add_init_script(f"if (!window.name) {{ window.name = 'visited'; sessionStorage.setItem('myaku.token', '{token}'); }}")
        page.goto(self.server.address + fragment)
        return page

    def close(self):
        for context in self.contexts:
            context.close()


@pytest.fixture
def visitor(browser, server):
    visitor = Visitor(browser, server)
    yield visitor
    visitor.close()
    assert visitor.problems == [], "the browser complained"
