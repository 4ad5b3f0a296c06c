//! Reads sentences of NMEA 0183, which receivers of satellites send, as a tree: an object with a member for each kind of
//! sentence, `GGA`, `RMC` or `VTG`. Of several of one kind, the last counts.

use super::Node;
use super::csv::cell;
use std::borrow::Cow;

/// Reads the sentences. One with a wrong checksum costs itself alone.
pub(super) fn read(payload: &[u8]) -> Result<Node<'static>, String> {
    let text = std::str::from_utf8(crate::platform::text::trimmed(payload))
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))?;
    let mut members = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some(sentence) = line.strip_prefix(['$', '!']) else {
            return Err("a line does not begin with `$` or `!`, as sentences of NMEA do".to_owned());
        };
        let (content, checksum) = sentence.split_once('*').unwrap_or((sentence, ""));
        let sum = content.bytes().fold(0, |sum, byte| sum ^ byte);
        let is_right = checksum.is_empty() || u8::from_str_radix(checksum, 16) == Ok(sum);
        let fields: Vec<&str> = content.split(',').collect();
        // `GPGGA` is the kind GGA of the talker GP. A maker's own kinds begin with P.
        let address = fields[0];
        let kind = if address.starts_with('P') { address } else { address.get(2..).unwrap_or(address) };
        let value =
            if is_right { read_sentence(kind, &fields[1..]) } else { Node::Bad("a sentence with a wrong checksum") };
        members.push((Cow::Owned(kind.to_owned()), value));
    }
    Ok(Node::Map(members))
}

fn read_sentence(kind: &str, fields: &[&str]) -> Node<'static> {
    let field = |index: usize| fields.get(index).copied().unwrap_or_default();
    let number = |index: usize| cell(field(index));
    let members = match kind {
        "GGA" => vec![
            ("latitude", angle(field(1), field(2))),
            ("longitude", angle(field(3), field(4))),
            ("quality", number(5)),
            ("satellites", whole(field(6))),
            ("hdop", number(7)),
            ("altitude", number(8)),
        ],
        "RMC" => vec![
            ("time", time(field(8), field(0))),
            ("status", number(1)),
            ("latitude", angle(field(2), field(3))),
            ("longitude", angle(field(4), field(5))),
            ("speedKnots", decimal(field(6))),
            ("course", decimal(field(7))),
        ],
        "VTG" => {
            vec![("course", decimal(field(0))), ("speedKnots", decimal(field(4))), ("speedKmh", decimal(field(6)))]
        }
        // The fields of another kind, by their place.
        _ => return Node::List(fields.iter().map(|field| cell(field)).collect()),
    };
    Node::Map(members.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
}

/// A number that may begin with zeros: `084.4`.
fn decimal(text: &str) -> Node<'static> {
    text.parse().map_or(Node::Null, Node::Number)
}

fn whole(text: &str) -> Node<'static> {
    text.parse().map_or(Node::Null, Node::Integer)
}

/// Degrees, of `4807.038` (48 degrees and 7.038 minutes) and a side of the world.
fn angle(text: &str, side: &str) -> Node<'static> {
    let Ok(number) = text.parse::<f64>() else { return Node::Null };
    let degrees = (number / 100.0).trunc();
    let angle = degrees + (number - degrees * 100.0) / 60.0;
    // A receiver is not more exact than a centimetre.
    let rounded = (angle * 1e7).round() / 1e7;
    Node::Number(if matches!(side, "S" | "W") { -rounded } else { rounded })
}

/// The time of `230394` and `123519.00`, in ISO 8601.
fn time(date: &str, time: &str) -> Node<'static> {
    let part = |text: &str, from: usize| {
        text.get(from..from + 2).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())).map(ToOwned::to_owned)
    };
    let written = || {
        let year: u32 = part(date, 4)?.parse().ok()?;
        // Two digits of a year are of this century, but for receivers of the one before.
        let century = if year >= 80 { 1_900 } else { 2_000 };
        let (month, day) = (part(date, 2)?, part(date, 0)?);
        let (hour, minute, second) = (part(time, 0)?, part(time, 2)?, time.get(4..)?);
        Some(format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", century + year))
    };
    written().map_or(Node::Null, |text| Node::Text(Cow::Owned(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<'n>(node: &'n Node<'static>, kind: &str, name: &str) -> &'n Node<'static> {
        let find = |node: &'n Node<'static>, key: &str| match node {
            Node::Map(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        };
        find(node, kind).and_then(|sentence| find(sentence, name)).unwrap()
    }

    #[test]
    fn positions_times_and_speeds_are_read() {
        let node = read(
            b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n\
              $GPRMC,123519,A,4807.038,S,01131.000,W,022.4,084.4,230394,003.1,W*7A\r\n",
        )
        .unwrap();
        assert_eq!(member(&node, "GGA", "latitude"), &Node::Number(48.1173));
        assert_eq!(member(&node, "GGA", "longitude"), &Node::Number(11.516_666_7));
        assert_eq!(member(&node, "GGA", "satellites"), &Node::Integer(8));
        assert_eq!(member(&node, "GGA", "altitude"), &Node::Number(545.4));
        let Node::Map(members) = &node else { panic!("not a map") };
        assert_eq!(members.len(), 2);
        let rmc = read(b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A").unwrap();
        assert_eq!(member(&rmc, "RMC", "time"), &Node::Text("1994-03-23T12:35:19Z".into()));
        assert_eq!(member(&rmc, "RMC", "speedKnots"), &Node::Number(22.4));
        assert_eq!(member(&rmc, "RMC", "course"), &Node::Number(84.4));
    }

    #[test]
    fn a_wrong_checksum_costs_its_sentence() {
        let node = read(b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*48\n$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K*48").unwrap();
        let Node::Map(members) = &node else { panic!("not a map") };
        assert_eq!(members[0].1, Node::Bad("a sentence with a wrong checksum"));
        assert_eq!(member(&node, "VTG", "speedKmh"), &Node::Number(10.2));
        assert!(read(b"hello").is_err());
    }
}
