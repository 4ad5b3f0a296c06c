//! Who may speak for a device.

use super::*;

const BEAT: &str = r#"{"seq":1,"ts":1795218891000,"hr":61}"#;

/// A message for `device` as a gateway of `facility` sends it.
fn by_gateway(facility: &str, device: &str, payload: &str) -> Vec<u8> {
    let message = Message::parse(&message(device, payload)).unwrap();
    let facility = facility.to_owned();
    let sender = Some(format!("gateway:hub-of-{facility}"));
    Message { facility, sender, ..message }.to_json().into_bytes()
}

/// A message that `device` publishes in `facility` itself.
fn by_itself(facility: &str, device: &str, payload: &str) -> Vec<u8> {
    let message = Message::parse(&message(device, payload)).unwrap();
    let client_id = Some(device.to_owned());
    Message { facility: facility.to_owned(), client_id, ..message }.to_json().into_bytes()
}

/// A context whose beds roam: one is at home in `home-3`, one has no home.
fn roaming(roams: &[&str]) -> Fixture {
    let store = master_data();
    let roams: Vec<_> = roams.iter().map(|&place| place.to_owned()).collect();
    for (id, facility) in [("bed-17", Some("home-3")), ("bed-18", None)] {
        store.put_device(&Device { roams: roams.clone(), ..Device::new(id, "vital", facility) });
    }
    Context { registry: Registry::new(store, ManualClock::at(NOW_MS), DEFAULT_TTL), ..fixture() }
}

#[tokio::test]
async fn a_message_through_another_facility_is_a_letter_and_no_sign_of_life() {
    let context = fixture();
    let records = [by_gateway("home-1", "bed-17", BEAT), by_itself("home-1", "app-log", "a line")];
    assert_eq!(retry_from(&handle(&context, &batch(records.clone()), DEADLINE_MS).await), None);
    assert_eq!(put(&context), []);
    let letters = context.letters.letters();
    let reported: Vec<_> = letters.iter().map(|letter| format!("{}: {}", letter.reason, letter.detail)).collect();
    assert_eq!(
        reported,
        [
            r#"wrong-facility: device "bed-17" is registered in "home-3", and gateway:hub-of-home-1 sent this through "home-1""#,
            r#"wrong-facility: device "app-log" is registered in "home-3", and device:app-log sent this through "home-1""#,
        ]
    );
    assert!(letters.iter().zip(&records).all(|(letter, record)| letter.data == *record && letter.device_id.is_some()));
    assert_eq!(context.watch.expected(&["app-log"]).await.unwrap(), [None], "presence does not hear it");

    handle(&context, &batch([by_gateway("home-3", "app-log", "a line")]), DEADLINE_MS).await;
    assert!(context.watch.expected(&["app-log"]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn a_message_through_another_facility_cannot_spend_an_id() {
    let context = fixture();
    // The next number of the device, and the same bytes: it would be the same message.
    let records = [by_gateway("home-1", "bed-17", BEAT), by_itself("home-3", "bed-17", BEAT)];
    assert_eq!(retry_from(&handle(&context, &batch(records), DEADLINE_MS).await), None);
    let put = put(&context);
    let [(_, reading)] = put.as_slice() else { panic!("{put:?}") };
    assert!(reading.id.starts_with("bed-17/p1"), "{}", reading.id);
    assert_eq!(reading.facility, "home-3");
    assert_eq!(reasons(&context), [("100.0".to_owned(), Reason::WrongFacility)]);
}

#[tokio::test]
async fn a_reading_says_who_sent_it_unless_that_was_the_device_itself() {
    let context = fixture();
    let records = [by_gateway("home-3", "bed-17", BEAT), by_itself("home-3", "bed-18", BEAT)];
    handle(&context, &batch(records), DEADLINE_MS).await;
    let records = context.readings.port().records();
    let json: Vec<_> = records.iter().map(|(_, entry)| String::from_utf8_lossy(&entry.data).into_owned()).collect();
    let all = json.join("\n");
    assert_eq!(all.matches(r#""sender":"gateway:hub-of-home-3"}"#).count(), 1, "{all}");
    assert_eq!(all.matches("sender").count(), 1, "{all}");
    assert_eq!(put(&context).len(), 2, "readers of readings ignore it");
}

#[tokio::test]
async fn a_device_that_roams_is_where_its_message_came_through() {
    let places = async |roams: &[&str], from: &str| {
        let context = roaming(roams);
        let records = [by_gateway(from, "bed-17", BEAT), by_gateway(from, "bed-18", BEAT)];
        handle(&context, &batch(records), DEADLINE_MS).await;
        let mut places: Vec<_> =
            put(&context).into_iter().map(|(device, reading)| format!("{device} in {}", reading.facility)).collect();
        places.sort();
        places.join(", ")
    };
    assert_eq!(places(&["home-8", "home-9"], "home-9").await, "bed-17 in home-9, bed-18 in home-9");
    assert_eq!(places(&["*"], "home-9").await, "bed-17 in home-9, bed-18 in home-9");
    assert_eq!(places(&["home-8"], "home-9").await, "");
    assert_eq!(places(&["home-8"], "home-3").await, "bed-17 in home-3");
}

#[tokio::test]
async fn only_a_device_without_a_facility_itself_sends_for_it() {
    let context = roaming(&[]);
    let records = [by_gateway("home-3", "bed-18", BEAT), by_itself("home-5", "bed-18", BEAT)];
    handle(&context, &batch(records), DEADLINE_MS).await;
    assert_eq!(reasons(&context), [("100.0".to_owned(), Reason::WrongFacility)]);
    assert_eq!(put(&context)[0].1.facility, "home-5");
}
