"""What changes while the page is open: alerts, the connection, the session."""

import re
import time

from playwright.sync_api import expect

NEXT_POLL = 6_000
# Less than the time to the next poll: what happens within it was not brought by one. In milliseconds.
AT_ONCE = 3_000


def until(page, condition):
    """Waits for a condition of the server's side. Each call of the page delivers what it has reported meanwhile."""
    end = time.monotonic() + AT_ONCE / 1000
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        page.evaluate("new Promise(requestAnimationFrame)")


def set_visible(page, visible):
    state = "visible" if visible else "hidden"
    page.evaluate(
        f"""() => {{
            Object.defineProperty(document, "visibilityState", {{ value: "{state}", configurable: true }});
            document.dispatchEvent(new Event("visibilitychange"));
        }}"""
    )


def test_a_new_alert_appears_and_is_announced_without_a_reload(visitor):
    page = visitor.open("#/facilities/home-2")
    live = page.locator("[data-live=alerts]")
    expect(page.locator(".badge")).to_contain_text("5")
    expect(live).to_be_empty()
    number = visitor.server.world.open("bed-2006", "critical", message="Heart rate is below 40.")
    page.clock.fast_forward(NEXT_POLL)
    expect(live).to_have_text("New alert. Critical: bed-2006. Heart rate is below 40.")
    expect(page.locator(".urgent").first).to_contain_text("bed-2006")
    expect(page.locator(".badge")).to_contain_text("6")
    visitor.server.world.clear(number)
    page.clock.fast_forward(NEXT_POLL)
    expect(page.locator(".urgent").first).to_contain_text("bed-2004")


def test_an_operator_acknowledges_with_the_keyboard_alone(visitor):
    page = visitor.open("#/")
    expect(page.locator(".facility").first).to_be_visible()

    def press_until(name):
        for _ in range(40):
            page.keyboard.press("Tab")
            if re.match(name, page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText") or ""):
                return page.keyboard.press("Enter")
        raise AssertionError(f"the Tab key does not reach {name}")

    press_until("Skip to the content")
    press_until("home-3")
    expect(page.locator(".urgent").first).to_be_visible()
    press_until("Critical")
    expect(page.get_by_role("heading", level=1)).to_have_text("bed-3041")
    expect(page.get_by_role("button", name=re.compile("^Acknowledge: bed-3041"))).to_be_visible()
    press_until("Acknowledge: bed-3041")
    expect(page.get_by_text("Acknowledged by night-shift")).to_be_visible(timeout=AT_ONCE)
    expect(page.locator("[data-live=said]")).to_have_text("bed-3041 is acknowledged.")
    expect(page.get_by_role("region", name="Open alerts")).to_contain_text("No open alerts.")


def test_a_viewer_has_no_button_to_acknowledge(visitor):
    page = visitor.open("#/alerts", token="a-viewer")
    expect(page.locator(".alert")).to_have_count(5)
    expect(page.get_by_text("kiosk, viewer")).to_be_visible()
    expect(page.get_by_role("button", name="Why").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Acknowledge:"))).to_have_count(0)


def test_a_refused_acknowledgement_is_said_at_its_alert(visitor):
    page = visitor.open("#/alerts")
    button = page.get_by_role("button", name=re.compile("Acknowledge: bed-3041"))
    expect(button).to_be_visible()
    visitor.server.fault = 403
    button.click()
    expect(page.locator(".alert").first.get_by_role("alert")).to_have_text("Your token may not do this.")
    visitor.server.fault = None


def test_the_page_says_how_old_its_values_are_and_recovers(visitor):
    page = visitor.open("#/devices/bed-1001")
    state = page.locator("[data-connection]")
    expect(state).to_have_attribute("data-connection", "fresh")
    visitor.server.fault = 503
    page.clock.fast_forward(NEXT_POLL)
    expect(state).to_have_attribute("data-connection", "stale")
    page.clock.fast_forward(120_000)
    expect(page.locator(".stale")).to_contain_text("The values are 2 min old")
    expect(page.locator(".tile").first).to_be_visible()
    visitor.server.fault = None
    page.clock.fast_forward(NEXT_POLL)
    expect(state).to_have_attribute("data-connection", "fresh")
    expect(page.locator(".stale")).to_have_count(0)


def test_the_page_recovers_as_soon_as_the_network_is_back(visitor):
    page = visitor.open("#/facilities/home-1")
    expect(page.locator(".row").first).to_be_visible()
    page.context.set_offline(True)
    page.clock.fast_forward(NEXT_POLL)
    expect(page.locator(".stale")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator(".stale")).to_have_count(0, timeout=AT_ONCE)


def test_a_server_that_does_not_answer_counts_as_away(visitor):
    page = visitor.open("#/facilities/home-1")
    expect(page.locator(".row").first).to_be_visible()
    visitor.server.requests.clear()
    visitor.server.fault = "hang"
    page.clock.fast_forward(NEXT_POLL)
    until(page, lambda: len(visitor.server.requests) >= 3)
    page.clock.fast_forward(11_000)
    expect(page.locator(".stale")).to_be_visible()
    visitor.server.hanging.set()


def test_a_call_is_cancelled_when_the_view_changes(visitor):
    page = visitor.open("#/profiles")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    cancelled = []
    page.on("requestfailed", lambda request: cancelled.append(request.url))
    visitor.server.fault = "hang"
    page.get_by_role("link", name="Facilities").click()
    until(page, lambda: any("/v1/facilities" in path for _, path, _ in visitor.server.requests))
    page.get_by_role("link", name="Profiles").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Try a profile")
    until(page, lambda: any("/v1/facilities" in url for url in cancelled))
    visitor.server.hanging.set()


def test_a_hidden_page_does_not_poll_and_asks_at_once_when_it_is_back(visitor):
    page = visitor.open("#/facilities/home-1")
    expect(page.locator(".row").first).to_be_visible()
    set_visible(page, False)
    visitor.server.requests.clear()
    page.clock.run_for(60_000)
    # A call to the page's own server, so that calls of the page before it would have arrived.
    page.evaluate("fetch('mock/marker')")
    assert visitor.server.requests == []
    set_visible(page, True)
    until(page, lambda: len(visitor.server.requests) >= 3)


def test_unchanged_answers_are_asked_for_by_their_etag(visitor):
    fixed = visitor.server.world.now()
    visitor.server.world.now = lambda: fixed
    page = visitor.open("#/facilities/home-1")
    expect(page.locator(".row").first).to_be_visible()
    seen = []
    page.on("response", lambda response: "/v1/devices" in response.url and seen.append(response.status))
    page.clock.fast_forward(NEXT_POLL)
    until(page, lambda: seen)
    assert seen == [304]


def test_401_leads_to_the_sign_in_view(visitor):
    page = visitor.open("#/facilities/home-1")
    expect(page.locator(".row").first).to_be_visible()
    visitor.server.revoked.add("night-shift")
    page.clock.fast_forward(NEXT_POLL)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_role("alert")).to_contain_text("no longer valid")
    assert page.evaluate("sessionStorage.getItem('myaku.token')") is None
    visitor.server.revoked.clear()
    page.get_by_label("Token").fill("Bearer one-home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("home-1")


def test_the_token_is_in_no_address(visitor):
    page = visitor.open("#token=an-operator", token=None)
    expect(page.locator(".facility").first).to_be_visible()
    assert "an-operator" not in page.url
    page.locator(".facility").first.click()
    expect(page.locator(".row").first).to_be_visible()
    page.go_back()
    expect(page.locator(".facility").first).to_be_visible()
    assert all("an-operator" not in path for _, path, _ in visitor.server.requests)
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
