//! The conformance suite for watches.

use super::{Expected, LANES, Watch};
use crate::platform::lane::lane;
use std::time::Duration;

const NOW_MS: i64 = 1_795_218_892_020;

fn expected(device_id: &str, by_ms: i64) -> Expected {
    Expected { device_id: device_id.to_owned(), by_ms }
}

/// Runs all checks against `watch`, with devices whose names begin with `prefix` and that are not watched yet.
///
/// # Panics
/// The watch fails a check.
pub async fn suite(watch: &impl Watch, prefix: &str) {
    let names: Vec<String> = ["a", "b} {c", "ü\n"].iter().map(|name| format!("{prefix}-{name}")).collect();
    let [a, b, c] = [0, 1, 2].map(|n| names[n].as_str());
    watch.heard(&[]).await.expect("heard");
    assert_eq!(watch.expected(&[]).await.expect("expected"), []);
    assert_eq!(watch.expected(&[a, b, c]).await.expect("expected"), [None; 3]);

    let all = [expected(a, NOW_MS), expected(b, NOW_MS + 1), expected(c, NOW_MS + 2)];
    watch.heard(&all).await.expect("heard");
    let times = watch.expected(&[c, "stranger", a]).await.expect("expected");
    assert_eq!(times, [Some(NOW_MS + 2), None, Some(NOW_MS)], "the times are in the order of the devices in the call");

    watch.heard(&[expected(a, NOW_MS - 5), expected(b, NOW_MS + 9)]).await.expect("heard");
    let times = watch.expected(&[a, b]).await.expect("expected");
    assert_eq!(times, [Some(NOW_MS), Some(NOW_MS + 9)], "a time only becomes later");

    assert_eq!(
        watch.overdue(lane(a, LANES), NOW_MS, 10).await.expect("overdue"),
        [],
        "at its time, a device is not overdue yet"
    );
    assert_eq!(watch.overdue(lane(a, LANES), NOW_MS + 1, 10).await.expect("overdue"), [expected(a, NOW_MS)]);

    watch.drop_unheard(&[expected(a, NOW_MS - 5), expected(b, NOW_MS + 9)]).await.expect("drop");
    let times = watch.expected(&[a, b, c]).await.expect("expected");
    assert_eq!(times, [Some(NOW_MS), None, Some(NOW_MS + 2)], "a device that was heard since is still watched");
    watch.heard(&[expected(b, NOW_MS - 9)]).await.expect("heard");
    assert_eq!(
        watch.expected(&[b]).await.expect("expected"),
        [Some(NOW_MS - 9)],
        "a device that is watched again may have an earlier time"
    );

    many(watch, prefix).await;

    let place = format!("{prefix}-place");
    assert_eq!(watch.place(&place).await.expect("place"), None);
    for text in ["device#bed-17", "ü #2"] {
        watch.keep_place(&place, text, Duration::from_mins(1)).await.expect("keep");
        assert_eq!(watch.place(&place).await.expect("place").as_deref(), Some(text));
    }
}

/// Checks more devices than one command takes, in one lane and in all lanes.
async fn many(watch: &impl Watch, prefix: &str) {
    let devices: Vec<Expected> = (0..3_000).map(|n| expected(&format!("{prefix}-many-{n}"), 1_000 + n)).collect();
    watch.heard(&devices).await.expect("heard");
    let ids: Vec<&str> = devices.iter().map(|device| device.device_id.as_str()).collect();
    let times = watch.expected(&ids).await.expect("expected");
    assert!(times.iter().zip(&devices).all(|(time, device)| *time == Some(device.by_ms)));
    let mut found = Vec::new();
    for lane in 0..LANES {
        let overdue = watch.overdue(lane, 4_000, 3_000).await.expect("overdue");
        assert!(overdue.is_sorted_by_key(|expected| expected.by_ms), "the most overdue come first");
        let first = watch.overdue(lane, 4_000, 2).await.expect("overdue");
        assert_eq!(first, overdue[..overdue.len().min(2)], "no more than the limit");
        found.extend(overdue);
    }
    found.sort_by_key(|expected| expected.by_ms);
    assert_eq!(found, devices, "each device is in one lane");
    watch.drop_unheard(&devices).await.expect("drop");
    assert!(watch.expected(&ids).await.expect("expected").iter().all(Option::is_none));
}
