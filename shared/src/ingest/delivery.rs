//! Chooses the partition keys of messages that came in together, so that they take few records of the stream.
//!
//! With a key for each message, a batch is spread over all shards, and each shard's share is a record of its own,
//! however small. So the messages of a batch that fits one record share a key, and become one aggregate on one shard. A
//! larger batch is spread.

use crate::ingest::message::Message;
use crate::stream::producer::Item;

/// Messages share a key up to this many bytes in all. With their lengths they still fit one aggregate.
const TOGETHER_BYTES: usize = 90 * 1024;

/// The messages as items for the stream, in their order. The partition key is a delivery id: that of the first message
/// if they stay together, else each message's own. The same messages have the same keys.
pub fn items(messages: &[Message]) -> Vec<Item> {
    let records: Vec<_> = messages.iter().map(|message| message.to_json().into_bytes()).collect();
    let together = records.iter().map(Vec::len).sum::<usize>() <= TOGETHER_BYTES;
    let keyed = |(message, data): (&Message, Vec<u8>)| {
        let first = if together { messages.first() } else { None };
        Item { key: first.unwrap_or(message).delivery_id.clone(), data }
    };
    messages.iter().zip(records).map(keyed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::kpl;
    use crate::stream::producer::memory::MemoryStream;
    use crate::stream::producer::{Limits, Placement, Producer};

    fn message(n: usize, payload_bytes: usize) -> Message {
        Message {
            delivery_id: format!("d-{n}"),
            device_id: "bed-17".to_owned(),
            facility: "home-3".to_owned(),
            kind: "vital".to_owned(),
            client_id: None,
            received_at: 1,
            payload: vec![b'x'; payload_bytes],
            message_id: None,
            sender: None,
        }
    }

    #[tokio::test]
    async fn few_messages_are_one_record_and_many_are_spread_over_shards() {
        let sent = async |messages: Vec<Message>| {
            let producer = Producer::seeded(MemoryStream::new(8), Placement::Shards, Limits::default(), 1);
            producer.send(&items(&messages)).await.unwrap();
            assert_eq!(producer.port().calls(), 1, "one call puts all messages");
            producer.port().records()
        };
        assert_eq!(sent((0..50).map(|n| message(n, 500)).collect()).await.len(), 1);

        let many = sent((0..1_000).map(|n| message(n, 1_000)).collect()).await;
        let shards: std::collections::BTreeSet<_> = many.iter().map(|(shard, _)| shard).collect();
        assert!(many.len() <= 24 && shards.len() == 8, "{} records on {} shards", many.len(), shards.len());
        let messages: usize = many.iter().map(|(_, entry)| kpl::decode(&entry.data).map_or(1, |all| all.len())).sum();
        assert_eq!(messages, 1_000);
    }

    #[test]
    fn the_same_messages_have_the_same_keys() {
        let keys = |count: usize| -> Vec<_> {
            let messages: Vec<_> = (0..count).map(|n| message(n, 700)).collect();
            items(&messages).into_iter().map(|item| item.key).collect()
        };
        assert_eq!(keys(3), ["d-0", "d-0", "d-0"]);
        assert_eq!(keys(300)[299], "d-299");
        assert_eq!(keys(300), keys(300));
    }
}
