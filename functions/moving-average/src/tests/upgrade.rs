//! Tests of states that an earlier version of the function has stored.

use super::*;

/// A state of the first format, with the readings 1, 2 and 3 of the device `a`.
const FIRST_FORMAT: &str = "f6e505d36ba5b7c15711a24d5ba0b59701a3f6e8b6b59ce7be018c726393577404e70000000000000000000000000000 \
     000000000000000000000000000300000000010a68656172745f72617465030003a89d61fba10100008d0f1189c7b272 \
     57000000000000f03fe807ef6bd99e6a79e8240000000000000040e807a22fb7dbe53dac7b0000000000000840";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[tokio::test]
async fn a_state_of_the_first_format_goes_on_where_it_was() {
    let context = slow_context();
    context.stores.states.put_raw("a", &bytes(FIRST_FORMAT));
    // The last batch of the earlier version is delivered again with the next one.
    done(&context, &punctual("a", 2..5)).await;
    assert_eq!(outline(&context, "a"), (3, 3.0, false), "the windows are whole, and nothing counts twice");
    let row = latest(&context, "a");
    assert_eq!((row.position, row.counted), (position(4), 1), "it counts from the upgrade on");
    done(&context, &punctual("a", 50..51)).await;
    assert_eq!(outline(&context, "a"), (3, 19.0, false));
    assert!(progress(&context).await.lost_until.is_empty());
}

#[tokio::test]
async fn the_loss_of_what_followed_a_state_of_the_first_format_is_found() {
    let context = context();
    context.stores.states.put_raw("a", &bytes(FIRST_FORMAT));
    let old = context.stores.states.snapshot();
    done(&context, &readings("a", 4..5)).await;
    context.stores.states.restore(old);
    done(&context, &readings("a", 5..6)).await;
    let MetricResult { average, partial, lost_until, .. } = result(&context, "a");
    assert_eq!((average.count, partial, lost_until), (3, true, Some(at_ms(4))), "4 is missing");
}
