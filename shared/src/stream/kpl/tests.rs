use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use proptest::prelude::*;

type Owned = (String, Option<String>, Vec<u8>);

fn build(records: &[Owned]) -> Vec<u8> {
    let mut builder = Builder::new();
    for (key, hash_key, data) in records {
        let expected = builder.len_bytes_with(key, hash_key.as_deref(), data);
        builder.push(key, hash_key.as_deref(), data);
        assert_eq!(builder.len_bytes(), expected);
    }
    let expected = builder.len_bytes();
    let bytes = builder.finish();
    assert_eq!(bytes.len(), expected);
    bytes
}

fn read(bytes: &[u8]) -> Option<Vec<Owned>> {
    let owned = |(key, hash_key, data): (&str, Option<&str>, &[u8])| {
        (key.to_owned(), hash_key.map(str::to_owned), data.to_owned())
    };
    let aggregate = decode(bytes)?;
    let records: Vec<_> = aggregate.records().map(owned).collect();
    assert_eq!(records.len(), aggregate.len());
    assert_eq!(aggregate.into_iter().map(owned).collect::<Vec<_>>(), records);
    Some(records)
}

/// `message` with the magic number and a correct checksum.
fn sealed(message: &[u8]) -> Vec<u8> {
    [&MAGIC, message, &Md5::digest(message)].concat()
}

#[derive(serde::Deserialize)]
struct Fixture {
    records: Vec<(String, Option<String>, String)>,
    aggregate: String,
}

#[test]
fn an_aggregate_of_the_official_library_is_read_and_ours_has_the_same_bytes() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/official.json")).unwrap();
    let bytes = STANDARD.decode(fixture.aggregate).unwrap();
    let records: Vec<Owned> =
        fixture.records.into_iter().map(|(key, hash, data)| (key, hash, STANDARD.decode(data).unwrap())).collect();
    assert_eq!(read(&bytes).unwrap(), records);
    assert_eq!(build(&records), bytes);
}

#[test]
fn an_aggregate_without_records_is_a_plain_record_so_that_its_bytes_are_not_lost() {
    assert_eq!(decode(&Builder::new().finish()), None);
    assert_eq!(decode(&sealed(b"\x0A\x01k")), None);
}

#[test]
fn a_key_longer_than_kinesis_allows_makes_a_plain_record_so_that_a_thousand_records_cannot_repeat_it() {
    let of = |key: &str| {
        sealed(
            &[
                &[0x0A, 0x80 | (key.len() & 0x7F) as u8, (key.len() >> 7) as u8],
                key.as_bytes(),
                &[0x1A, 0x04, 0x08, 0x00, 0x1A, 0x00],
            ]
            .concat(),
        )
    };
    let longest = "脈".repeat(KEY_CHARS_MAX);
    assert_eq!(read(&of(&longest)).unwrap(), [(longest.clone(), None, Vec::new())]);
    assert_eq!(decode(&of(&format!("{longest}k"))), None);
}

#[test]
fn a_record_before_its_table_and_a_field_that_occurs_again_follow_the_rules_of_protocol_buffers() {
    // Record { index 0, data "x" then "yz" }, then the table.
    let message = [0x1A, 0x09, 0x08, 0x00, 0x1A, 0x01, b'x', 0x1A, 0x02, b'y', b'z', 0x0A, 0x01, b'k'];
    assert_eq!(read(&sealed(&message)).unwrap(), [("k".to_owned(), None, b"yz".to_vec())]);
    // A known field of another wire type is unknown: table 1 as a varint.
    let message = [0x08, 0x05, 0x0A, 0x01, b'k', 0x1A, 0x04, 0x08, 0x00, 0x1A, 0x00];
    assert_eq!(read(&sealed(&message)).unwrap(), [("k".to_owned(), None, Vec::new())]);
}

#[test]
fn a_message_that_breaks_a_rule_is_a_plain_record_even_with_a_correct_checksum() {
    let key = [0x0A, 0x01, b'k'];
    for (why, record) in [
        ("the key's index is beyond the table", &[0x1A, 0x04, 0x08, 0x01, 0x1A, 0x00][..]),
        ("the hash key's index is beyond the table", &[0x1A, 0x06, 0x08, 0x00, 0x10, 0x00, 0x1A, 0x00]),
        ("no key index", &[0x1A, 0x02, 0x1A, 0x00]),
        ("no data", &[0x1A, 0x02, 0x08, 0x00]),
        ("a tag without a key", &[0x1A, 0x06, 0x08, 0x00, 0x1A, 0x00, 0x22, 0x00]),
        ("the record is longer than the message", &[0x1A, 0x7F, 0x08, 0x00, 0x1A, 0x00]),
        ("field number 0", &[0x02, 0x00, 0x1A, 0x04, 0x08, 0x00, 0x1A, 0x00]),
        ("a key that is empty", &[0x0A, 0x00, 0x1A, 0x04, 0x08, 0x00, 0x1A, 0x00]),
        ("a key that is not UTF-8", &[0x0A, 0x01, 0xFF, 0x1A, 0x04, 0x08, 0x00, 0x1A, 0x00]),
    ] {
        assert_eq!(decode(&sealed(&[&key, record].concat())), None, "{why}");
    }
    let tagged = [0x1A, 0x0B, 0x08, 0x00, 0x1A, 0x00, 0x22, 0x05, 0x0A, 0x01, b't', 0x12, 0x00];
    assert!(decode(&sealed(&[&key[..], &tagged].concat())).is_some(), "a whole tag");
}

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let key = prop_oneof!["[a-c]", "\\PC{1,40}"];
    let hash_key = prop::option::of(prop_oneof!["[0-3]", "[0-9]{1,39}"]);
    prop::collection::vec((key, hash_key, prop::collection::vec(any::<u8>(), 0..300)), 1..40)
}

proptest! {
    #[test]
    fn a_built_aggregate_reads_back(records in records()) {
        prop_assert_eq!(read(&build(&records)).unwrap(), records);
    }

    #[test]
    fn fits_says_exactly_whether_the_limit_holds(records in records(), data: Vec<u8>) {
        let mut builder = Builder::new();
        for (key, hash_key, data) in &records {
            builder.push(key, hash_key.as_deref(), data);
        }
        let plain = builder.len_bytes_with("another key", None, &data);
        prop_assert!(builder.fits("another key", &data, plain));
        prop_assert!(!builder.fits("another key", &data, plain - 1));
        let hash_key = Some("another hash key");
        let whole = builder.len_bytes_with("another key", hash_key, &data);
        let before = builder.clone().finish();
        prop_assert!(!builder.push_within("another key", hash_key, &data, whole - 1));
        prop_assert_eq!(builder.clone().finish(), before);
        prop_assert!(builder.push_within("another key", hash_key, &data, whole));
        prop_assert_eq!(builder.len_bytes(), whole);
    }

    #[test]
    fn one_flipped_bit_makes_it_a_plain_record(records in records(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = build(&records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn a_cut_anywhere_makes_it_a_plain_record(records in records(), at: prop::sample::Index) {
        let bytes = build(&records);
        prop_assert_eq!(decode(&bytes[..at.index(bytes.len())]), None);
    }

    #[test]
    fn arbitrary_bytes_with_a_correct_checksum_never_panic(message: Vec<u8>) {
        if let Some(records) = read(&sealed(&message)) {
            // What decodes is a valid aggregate: it can be encoded and decoded again.
            prop_assert_eq!(read(&build(&records)).unwrap(), records);
        }
    }

    #[test]
    fn a_damaged_message_with_a_correct_checksum_never_panics(
        records in records(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = build(&records);
        let mut message = bytes.split_off(MAGIC.len());
        message.truncate(message.len() - DIGEST_LEN);
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let _ = read(&sealed(&message));
    }
}

proptest! {
    // A case has several aggregates: fewer cases test as many records as the other tests do.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn aggregates_built_and_read_together_are_the_same_as_one_by_one(
        aggregates in prop::collection::vec(records(), 0..10),
        plain: Vec<u8>,
        damaged: prop::sample::Index,
    ) {
        let builders = aggregates.iter().map(|records| {
            let mut builder = Builder::new();
            for (key, hash_key, data) in records {
                builder.push(key, hash_key.as_deref(), data);
            }
            builder
        });
        let mut built = Builder::finish_all(builders);
        prop_assert_eq!(&built, &aggregates.iter().map(|records| build(records)).collect::<Vec<_>>());
        if !built.is_empty() {
            let damaged = damaged.index(built.len());
            *built[damaged].last_mut().unwrap() ^= 1;
            built.insert(damaged, plain);
        }
        let parts: Vec<&[u8]> = built.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(decode_all(&parts), parts.iter().map(|part| decode(part)).collect::<Vec<_>>());
    }
}
