//! Parses MessagePack into a tree, with the same rules as CBOR.

use super::{MAX_DEPTH, Node, Owned};
use serde::Deserialize as _;

/// Parses one item, or says in words why the payload is not one.
pub(super) fn read(payload: &[u8]) -> Result<Node<'static>, String> {
    let mut rest = payload;
    let mut parser = rmp_serde::Deserializer::new(&mut rest);
    parser.set_max_depth(MAX_DEPTH);
    let Owned(node) = Owned::deserialize(&mut parser).map_err(|error| {
        let why = match error {
            rmp_serde::decode::Error::DepthLimitExceeded => format!("it nests deeper than {MAX_DEPTH}"),
            rmp_serde::decode::Error::InvalidMarkerRead(_) | rmp_serde::decode::Error::InvalidDataRead(_) => {
                "it ends within an item".to_owned()
            }
            other => other.to_string(),
        };
        format!("it is not MessagePack: {why}")
    })?;
    let is_padding = rest.iter().all(|byte| *byte == 0);
    if is_padding { Ok(node) } else { Err(format!("the MessagePack item is followed by {} bytes", rest.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_becomes_the_tree_that_json_becomes() {
        // {"t": 21.5, "n": [1, -2, null, true], "b": h'0102'}
        let bytes = [
            0x83, 0xa1, b't', 0xcb, 0x40, 0x35, 0x80, 0, 0, 0, 0, 0, 0xa1, b'n', 0x94, 0x01, 0xfe, 0xc0, 0xc3, 0xa1,
            b'b', 0xc4, 0x02, 1, 2,
        ];
        let Node::Map(members) = read(&bytes).unwrap() else { panic!("not a map") };
        assert_eq!(members[0], ("t".into(), Node::Number(21.5)));
        let list = vec![Node::Integer(1), Node::Integer(-2), Node::Null, Node::Boolean(true)];
        assert_eq!(members[1], ("n".into(), Node::List(list)));
        assert_eq!(members[2], ("b".into(), Node::Bytes(vec![1, 2])));
    }

    #[test]
    fn what_is_cut_or_too_deep_or_followed_by_more_is_an_error() {
        assert_eq!(read(&[0x92, 1]).unwrap_err(), "it is not MessagePack: it ends within an item");
        assert!(read(&vec![0x91; 100_000]).unwrap_err().contains("it nests deeper than 128"));
        assert_eq!(read(&[1, 2]).unwrap_err(), "the MessagePack item is followed by 1 bytes");
        assert_eq!(read(&[1, 0, 0]), Ok(Node::Integer(1)));
        // An array that claims four billion elements.
        assert!(read(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
