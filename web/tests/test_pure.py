"""The page's pure functions, inside the browser, where its modules are."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def run(browser, running_server):
    """Evaluates a function that gets the exports of a module."""
    context = browser.new_context(locale="en", timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(running_server.address)
    yield lambda module, function: page.evaluate(f'async () => ({function})(await import("myaku/{module}.js"))')
    context.close()


def test_windows_that_do_not_touch_have_a_null_between_them(run):
    point = '({ from, to }) => ({ from, to, mean: 2, min: 1, max: 3, p95: 3 })'
    columns = run("series", f'({{ columns }}) => columns([{{from: 0, to: 10000}}, {{from: 10000, to: 20000}}, {{from: 60000, to: 70000}}].map({point}))')
    assert columns[0] == [5, 15, 40, 65]
    assert columns[1] == [2, 2, None, 2]
    assert columns[2] == [1, 1, None, 1]


def test_readings_follow_the_last_window(run):
    columns = run("series", "({ columns }) => columns([{from: 0, to: 10000, mean: 1, min: 1, max: 1}], [{at: 2000, value: 7}, {at: 11000, value: 8}])")
    assert columns[0] == [5, 11]
    assert columns[5] == [None, 8]


def test_the_trail_takes_newer_readings_only_and_forgets_old_ones(run):
    trail = run("series", "({ extend }) => [{at: 1, value: 1}, {at: 5, value: 2}, {at: 4, value: 9}, {at: 5, value: 9}, {at: 9, value: 'x'}].reduce((trail, one) => extend(trail, one, 0), [])")
    assert trail == [{"at": 1, "value": 1}, {"at": 5, "value": 2}]
    assert run("series", "({ extend }) => extend([{at: 1, value: 1}, {at: 5, value: 2}], null, 3)") == [{"at": 5, "value": 2}]


def test_the_asked_range_stays_the_same_within_a_step(run):
    one, same, other = run("series", "({ range }) => [60001, 119999, 120001].map((now) => range('hour', now))")
    assert one == same == {"from": 120_000 - 3_600_000, "to": 120_000, "step": 60}
    assert other["to"] == 180_000


def test_the_range_around_an_alert_holds_it_with_a_margin_and_few_windows(run):
    short = run("series", "({ around }) => around(7200000, 7260000, 0)")
    assert short["from"] <= 7_200_000 - 1_800_000 and short["to"] >= 7_260_000 + 1_800_000
    long = run("series", "({ around }) => around(0, 30 * 86400000, 0)")
    assert (long["to"] - long["from"]) / 1000 / long["step"] <= 250
    assert long["step"] % 60 == 0
    still_open = run("series", "({ around }) => around(7200000, null, 7260000)")
    assert still_open["to"] == 7_260_000


def test_marks_are_cut_to_the_time_shown(run):
    alerts = "[{since: 0, clearedAt: 5}, {since: 8, clearedAt: 30}, {since: 15, clearedAt: null}]"
    assert [(one["from"], one["to"]) for one in run("series", f"({{ marks }}) => marks({alerts}, 10, 20)")] == [(10, 20), (15, 20)]


def test_numbers_have_the_decimals_that_matter(run):
    assert run("format", "({ number }) => [1234.56, 97.25, 36.449, 3.14159, -0.005, 0].map((one) => number(one))") == ["1,235", "97.3", "36.4", "3.14", "-0.01", "0"]
    assert run("format", "({ number }) => number(36.5, 2)") == "36.50"


def test_ages_are_in_their_largest_whole_unit(run):
    ages = run("format", "({ age }) => [-5, 59999, 60000, 3599999, 3600000, 86400000, 172800000].map(age)")
    assert ages == ["0 s", "59 s", "1 min", "59 min", "1 h", "1 day", "2 days"]


def test_values_of_every_kind_are_readable(run):
    assert run("format", "({ value }) => [null, 36.6, true, 'walking', 0].map(value)") == ["no value", "36.6", "yes", "walking", "0"]
    assert run("format", "({ unit }) => ['1/min', '%', '1', null].map(unit)") == ["/min", "%", "", ""]


def test_a_route_is_the_same_after_its_address(run):
    routes = [
        {"view": "facilities", "id": None, "query": {}},
        {"view": "facility", "id": "home 3/é?#", "query": {"q": "a b&c"}},
        {"view": "device", "id": "bed-17", "query": {"span": "week"}},
        {"view": "alerts", "id": None, "query": {"state": "cleared"}},
    ]
    for one in routes:
        assert run("route", f"({{ format, parse }}) => parse(format({str(one).replace('None', 'null')}))") == one
    assert run("route", "({ parse }) => parse('#/nowhere/at/all')")["view"] == "facilities"


def test_devices_with_open_alerts_come_first_then_acknowledged_then_silent_ones_then_by_name(run):
    order = run(
        "fleet",
        """({ select }) => {
            const device = (deviceId, openAlerts, silent = false) => ({ deviceId, openAlerts, profile: "p", status: { silent, connected: true } });
            const devices = [device("b-10", 0), device("b-9", 0), device("b-3", 0, true), device("b-2", 1), device("b-1", 1), device("b-7", 1)];
            return select(devices, new Map([["b-2", "critical"], ["b-1", "info"]]), {}).map(({ deviceId }) => deviceId);
        }""",
    )
    assert order == ["b-2", "b-1", "b-7", "b-3", "b-9", "b-10"]


def test_the_oldest_poll_that_fails_says_how_old_the_page_is(run):
    assert run("connection", "({ overall }) => overall([{failing: false, at: 9}, {failing: true, at: 5}, {failing: true, at: 7}])") == {"failing": True, "since": 5, "seen": 9}
    assert run("connection", "({ overall }) => overall([{failing: false, at: 9}])") == {"failing": False, "since": None, "seen": 9}


def test_rows_in_sight_have_spare_ones_around_them_and_stay_in_bounds(run):
    assert run("list", "({ inSight }) => [inSight(1000, 50, 0, 500), inSight(1000, 50, 25000, 500), inSight(3, 50, 0, 500), inSight(1000, 50, 60000, 500)]") == [
        [0, 16],
        [494, 516],
        [0, 3],
        [1000, 1000],
    ]


def test_every_text_is_there_in_each_language_with_the_same_places(run):
    strings = run("strings", "({ STRINGS }) => STRINGS")
    places = lambda text: set(re.findall(r"\{(\w+)\}", text))
    for key, texts in strings.items():
        assert set(texts) == {"en", "ja"}, key
        assert all(texts.values()), key
        assert places(texts["en"]) == places(texts["ja"]), key


def test_every_text_is_used_and_every_used_text_exists(run):
    strings = run("strings", "({ STRINGS }) => Object.keys(STRINGS)")
    source = "\n".join(path.read_text() for path in (WEB / "src").glob("*.js") if path.name != "strings.js")
    used = set(re.findall(r"""\bt\("([\w.]+)\"""", source))
    # Those whose key is put together: t(`span.${name}`), named("kind", …).
    groups = set(re.findall(r"\bt\(`([\w.]+)\.\$\{", source)) | set(re.findall(r'\bnamed\("(\w+)"', source))
    assert used <= set(strings)
    assert [key for key in strings if key not in used and not any(key.startswith(f"{group}.") for group in groups) and f'"{key}"' not in source] == []


def test_the_language_is_the_first_that_the_page_speaks(run):
    assert run("text", "({ pick }) => [pick(null, ['fr-FR', 'ja-JP', 'en']), pick('en', ['ja']), pick(null, ['fr']), pick('xx', [])]") == ["ja", "en", "en", "en"]
