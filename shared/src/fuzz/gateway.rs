//! Checks the reading of what gateways and apps send: events of the topic rule, and bodies with many items.

use crate::ingest::gateway::{Upload, dead_letter, split, summarize};
use crate::ingest::limits::{BATCH, MAX_NAME_SHOWN, MAX_PAYLOAD, MAX_PROBLEM};
use crate::ingest::message::Message;
use crate::ingest::submission::{Form, Item, Items, Payloads, RefusedItem, inflate, is_gzip, read};
use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::io::Write as _;

/// Uses the bytes as the event of the topic rule or, if they are not one, as the payload of such an event.
pub fn upload(bytes: &[u8]) {
    let event = serde_json::from_slice(bytes).ok().map(|event| Upload::parse(&event));
    if let Some(Err(error)) = &event {
        let letter = dead_letter(bytes, None, 0, error.reason(), error.to_string());
        assert!(letter.key().len() < 1_024, "the key is too long for S3");
        super::check_error(&error.to_string());
    }
    let upload = event.and_then(Result::ok).unwrap_or_else(|| Upload {
        facility: "home-3".to_owned(),
        gateway: "hub-3".to_owned(),
        client_id: None,
        received_at: None,
        payload: bytes.to_vec(),
    });
    check_split(&upload);
}

fn check_split(upload: &Upload) {
    let split_once = split(upload, 1);
    assert_eq!(split(upload, 1), split_once);
    let Ok(split_once) = split_once else { return };
    assert!(split_once.messages.len() + split_once.refused.len() <= BATCH.items);
    assert!(summarize(&split_once.refused).len() <= 4 * 1_024, "the details of a letter are long");
    let ids: HashSet<_> = split_once.messages.iter().map(|message| message.delivery_id.as_str()).collect();
    assert_eq!(ids.len(), split_once.messages.len(), "two messages have the same id");
    for message in &split_once.messages {
        assert_eq!(message.facility, upload.facility);
        // The next function must accept every message that is accepted here.
        assert_eq!(Message::parse(message.to_json().as_bytes()).as_ref(), Ok(message));
    }
    if !is_gzip(&upload.payload) {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let packed = gzip.write_all(&upload.payload).and_then(|()| gzip.finish());
        let Ok(payload) = packed else { panic!("cannot compress in memory") };
        assert_eq!(split(&Upload { payload, ..upload.clone() }, 1), Ok(split_once), "compression changes the result");
    }
}

/// Uses the bytes, inflated if they are gzip, as a body in each form.
pub fn submission(bytes: &[u8]) {
    let limit = bytes.len() * 64;
    let inflated = inflate(bytes, limit);
    let bytes = inflated.as_deref().unwrap_or(bytes);
    assert!(inflated.is_err() || bytes.len() <= limit);
    for form in [Form::Json, Form::Lines, Form::CborSequence] {
        for payloads in [Payloads::Json, Payloads::Any] {
            let items = read(bytes, form, payloads, &BATCH);
            assert_eq!(read(bytes, form, payloads, &BATCH), items);
            let Ok(items) = items else { continue };
            let length: usize = items.iter().flatten().map(|item| item.payload.len()).sum();
            assert!(length <= bytes.len(), "the payloads are longer than the body");
            check_indices(&items, payloads);
            check_problems(&items);
        }
    }
    check_array_as_lines(bytes);
}

fn check_indices(items: &Items, payloads: Payloads) {
    let index =
        |item: &Result<Item, RefusedItem>| item.as_ref().map_or_else(|refused| refused.index, |item| item.index);
    let first = items.first().map_or(0, index);
    assert!(first == 0 || payloads == Payloads::Any && first == 1);
    assert!(items.iter().map(index).is_sorted_by(|one, next| one < next), "an item occurs twice");
    assert!(items.iter().flatten().all(|item| item.payload.len() <= MAX_PAYLOAD && !item.kind.is_empty()));
}

fn check_problems(items: &Items) {
    let ellipsis = '…'.len_utf8();
    for refused in items.iter().filter_map(|item| item.as_ref().err()) {
        assert!(refused.field.as_ref().is_none_or(|field| field.len() <= MAX_NAME_SHOWN + ellipsis));
        assert!(refused.problem.len() <= MAX_PROBLEM + ellipsis);
    }
}

/// Checks that the items of an array are the same as on separate lines.
fn check_array_as_lines(bytes: &[u8]) {
    let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else { return };
    if items.is_empty() || items.iter().any(|item| item.get().contains('\n')) {
        return;
    }
    let lines: Vec<&str> = items.iter().map(|item| item.get()).collect();
    let lines = read(lines.join("\n").as_bytes(), Form::Lines, Payloads::Any, &BATCH);
    assert_eq!(read(bytes, Form::Json, Payloads::Any, &BATCH), lines);
}
