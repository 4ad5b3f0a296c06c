"""Each view with the mock's data."""

import re

from playwright.sync_api import expect

NEXT_POLL = 6_000


def test_facilities_with_urgent_alerts_come_first(visitor):
    page = visitor.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("Facilities")
    expect(page.locator(".facility h2")).to_have_text(["home-3", "home-2", "home-1"])
    expect(page.locator(".facility").first).to_contain_text("Critical")
    expect(page.locator(".facility").first).to_contain_text("5 alerts")
    expect(page.locator(".facility").nth(2)).to_contain_text("No alerts")


def test_a_token_for_one_facility_skips_the_choice(visitor):
    page = visitor.open(token="one-home")
    expect(page.get_by_role("heading", level=1)).to_have_text("home-1")
    expect(page.get_by_role("navigation")).to_contain_text("Devices")


def test_a_facility_shows_what_needs_attention_before_its_devices(visitor):
    page = visitor.open("#/facilities/home-3")
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention.get_by_role("listitem").first).to_contain_text("Oxygen saturation is below 90 %")
    expect(attention).to_contain_text("3 silent devices")
    first = page.locator(".row").first
    expect(first).to_contain_text("bed-3041")
    expect(first).to_contain_text("Critical")
    expect(first).to_contain_text("Connected")
    expect(first).to_contain_text(re.compile(r"Heart rate|heart rate"))
    expect(first).to_contain_text("/min")


def test_a_device_whose_alerts_are_acknowledged_says_so(visitor):
    page = visitor.open("#/facilities/home-3?show=alerts")
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(".row").last).to_contain_text("bed-3021")
    expect(page.locator(".row").last).to_contain_text("Acknowledged")


def test_values_move_without_a_reload(visitor):
    page = visitor.open("#/devices/bed-1001")
    number = page.locator(".tile .number b").first
    before = number.inner_text()
    # The mock's devices send every ten seconds of the server's clock.
    now = visitor.server.world.now
    visitor.server.world.now = lambda: now() + 600_000
    page.clock.fast_forward(NEXT_POLL)
    expect(number).not_to_have_text(before)


def test_search_and_filters_are_in_the_address(visitor):
    page = visitor.open("#/facilities/home-3")
    page.get_by_role("searchbox").fill("room 304")
    expect(page.get_by_text("2 of 1,000 devices")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Silent 3", exact=True).click()
    expect(page.get_by_text("3 of 1,000 devices")).to_be_visible()
    address = page.evaluate("location.hash")
    assert address == "#/facilities/home-3?show=silent"
    colleague = visitor.open(address)
    expect(colleague.get_by_text("3 of 1,000 devices")).to_be_visible()
    colleague.get_by_role("searchbox").fill("nothing like it")
    colleague.get_by_role("button", name="Show all devices").click()
    expect(colleague.get_by_text("1,000 of 1,000 devices")).to_be_visible()


def test_a_device_shows_its_values_charts_presence_and_alerts(visitor):
    page = visitor.open("#/facilities/home-3")
    page.locator(".row").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("bed-3041")
    expect(page.locator(".presence")).to_contain_text("Connected")
    expect(page.locator(".presence")).to_contain_text("vital-band")
    expect(page.locator(".tile")).to_have_count(4)
    expect(page.locator(".tile", has_text="Critical")).to_contain_text("xygen saturation")
    expect(page.locator(".chart canvas")).to_have_count(4)
    expect(page.get_by_role("img").first).to_have_attribute("aria-label", re.compile("windows of 1 min"))
    expect(page.get_by_role("region", name="Open alerts")).to_contain_text("Oxygen saturation")
    expect(page.get_by_role("region", name="Acknowledged and past alerts").locator(".alert")).to_have_count(2)


def test_the_span_of_the_charts_is_in_the_address_and_gaps_are_counted(visitor):
    page = visitor.open("#/devices/bed-3041")
    page.get_by_role("button", name="Week").click()
    expect(page.get_by_role("img").first).to_have_attribute("aria-label", re.compile("windows of 1 h.* 1 gaps"))
    assert page.evaluate("location.hash") == "#/devices/bed-3041?span=week"
    page.get_by_text("Values as a table").first.click()
    expect(page.get_by_role("table").first).to_contain_text("UTC+09:00")


def test_a_metric_without_a_history_says_so_and_shows_what_arrives(visitor):
    page = visitor.open("#/devices/room-1005")
    chart = page.locator(".charted", has_text="attery")
    expect(chart).to_contain_text("No history is kept")
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart.locator(".readout")).to_contain_text("as it arrives")
    expect(page.locator(".charted", has_text="umidity").locator(".readout")).to_be_visible()
    expect(page.get_by_text("No history is kept")).to_have_count(1)


def test_every_span_has_a_chart(visitor):
    page = visitor.open("#/devices/bed-1001")
    for span, step in (("Day", "5 min"), ("Week", "1 h"), ("Month", "6 h"), ("Year", "1 day")):
        page.get_by_role("button", name=span).click()
        expect(page.get_by_role("img").first).to_have_attribute("aria-label", re.compile(f"windows of {step}"))


def test_an_alert_says_why_with_the_chart_around_it(visitor):
    page = visitor.open("#/alerts")
    expect(page.locator(".alert")).to_have_count(5)
    page.locator(".alert").first.get_by_role("button", name="Why").click()
    why = page.locator(".why")
    expect(why).to_contain_text("low-oxygen")
    expect(why).to_contain_text("88.4")
    expect(why.locator("canvas")).to_be_visible()
    expect(page).to_have_url(re.compile(r"#/alerts\?alert=[0-9a-f]{8}$"))


def test_alerts_are_shown_by_state_and_facility(visitor):
    page = visitor.open("#/alerts")
    page.get_by_role("button", name="Acknowledged").click()
    expect(page.locator(".alert")).to_have_count(1)
    expect(page.locator(".alert")).to_contain_text("Acknowledged by night-shift")
    page.get_by_role("button", name="Past").click()
    expect(page.locator(".alert")).to_have_count(4)
    expect(page.locator(".alert").first).to_contain_text("lasted 25 min")
    page.get_by_label("Facility").select_option("home-2")
    expect(page.locator(".alert")).to_have_count(1)
    assert page.evaluate("location.hash") == "#/alerts?state=cleared&facility=home-2"


def test_an_unknown_kind_and_severity_are_shown_as_their_text(visitor):
    visitor.server.world.open("bed-2001", "dire", "wobble", "It wobbles.")
    page = visitor.open("#/devices/bed-2001")
    alert = page.locator(".alert").first
    expect(alert).to_contain_text("dire")
    expect(alert).to_contain_text("wobble")


def test_a_profile_is_tried_on_a_payload(visitor):
    page = visitor.open("#/profiles?id=vital-band")
    page.get_by_label("Payload", exact=True).fill('{"vital":{"hr":65,"temp":98.2}}')
    page.get_by_role("button", name="Show the readings").click()
    expect(page.get_by_role("table").first).to_contain_text("36.8")
    expect(page.get_by_role("table").nth(1)).to_contain_text("vital.spo2")


def test_what_is_wrong_with_a_profile_is_said_by_field(visitor):
    page = visitor.open("#/profiles")
    page.get_by_role("button", name="Paste one").click()
    document = page.get_by_label("Document (JSON)")
    document.fill("{")
    page.get_by_role("button", name="Show the readings").click()
    expect(page.locator(".results")).to_contain_text("not valid JSON")
    document.fill('{"id":"new"}')
    page.get_by_role("button", name="Show the readings").click()
    expect(page.locator(".problems dt")).to_have_text(["metrics", "versions"])


def test_what_the_token_may_not_see_is_said_to_be_missing(visitor):
    page = visitor.open("#/devices/bed-3041", token="one-home")
    expect(page.get_by_role("alert")).to_contain_text("your token may not see it")
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", "fresh")
