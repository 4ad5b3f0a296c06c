//! Checks the reading and writing of aggregated records.

use crate::stream::kpl::{Builder, KEY_CHARS_MAX, MAGIC, decode, decode_all};
use md5::{Digest as _, Md5};

/// Uses the bytes as a record of the stream, as an aggregate with a valid checksum, and as the records of an aggregate.
pub fn aggregate(bytes: &[u8]) {
    // A fuzzer cannot guess a checksum.
    let sealed = [&MAGIC, bytes, &Md5::digest(bytes)].concat();
    let records = [bytes, &sealed, &bytes[bytes.len() / 2..], &[], &sealed];
    assert_eq!(decode_all(&records), records.map(decode), "records that are decoded together give another result");
    read(bytes);
    read(&sealed);
    build(bytes);
}

fn read(bytes: &[u8]) {
    let Some(aggregate) = decode(bytes) else { return };
    let records: Vec<_> = aggregate.records().collect();
    assert!(!records.is_empty() && records.len() == aggregate.len());
    let data: usize = records.iter().map(|(_, _, data)| data.len()).sum();
    assert!(data + records.len() <= bytes.len(), "the records are longer than the aggregate");
    assert!(records.iter().all(|(key, _, _)| (1..=KEY_CHARS_MAX).contains(&key.chars().count())));
    let mut builder = Builder::new();
    for (key, hash_key, data) in &records {
        builder.push(key, *hash_key, data);
    }
    let again = builder.finish();
    assert_eq!(decode(&again).map(|aggregate| aggregate.into_iter().collect()), Some(records));
}

/// Makes a record of every seven bytes: keys from the first two, data from the others.
fn build(bytes: &[u8]) {
    let mut builder = Builder::new();
    let mut expected = Vec::new();
    for chunk in bytes.chunks(7) {
        let (head, data) = chunk.split_at(chunk.len().min(2));
        let key = String::from_utf8_lossy(head).into_owned();
        let hash_key = (head[0] % 3 == 0).then(|| head[0].to_string());
        let length = builder.len_bytes_with(&key, hash_key.as_deref(), data);
        assert!(hash_key.is_some() || builder.fits(&key, data, length) && !builder.fits(&key, data, length - 1));
        builder.push(&key, hash_key.as_deref(), data);
        assert_eq!(builder.len_bytes(), length);
        expected.push((key, hash_key, data));
    }
    let length = builder.len_bytes();
    let mut built = builder.finish();
    assert_eq!(built.len(), length);
    let owned = |(key, hash_key, data): (&str, Option<&str>, _)| (key.to_owned(), hash_key.map(str::to_owned), data);
    let records: Vec<_> = decode(&built).into_iter().flatten().map(owned).collect();
    assert_eq!(records, expected);
    // Flip one bit anywhere after the magic number.
    let at = MAGIC.len() + bytes.len() % (length - MAGIC.len());
    built[at] ^= 1;
    assert_eq!(decode(&built), None, "damage at byte {at} of {length} is not detected");
}
