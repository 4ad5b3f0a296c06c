//! Resolves a pack of SenML (RFC 8428): each record gets its whole name, its time, its unit and its value, which may lean on
//! base values of records before it.
//!
//! The tree is an array of objects with `n`, `name` (the record's own part of `n`), `t`, `u`, and `v`, `vs`, `vb`, `vd` or `s`, whatever labels the pack has: those
//! of JSON, or the numbers of CBOR. LwM2M sends such packs.

use super::Node;
use std::borrow::Cow;

/// The labels of JSON, and of CBOR.
const BASE_NAME: [&str; 2] = ["bn", "-2"];
const BASE_TIME: [&str; 2] = ["bt", "-3"];
const BASE_UNIT: [&str; 2] = ["bu", "-4"];
const BASE_VALUE: [&str; 2] = ["bv", "-5"];
const BASE_SUM: [&str; 2] = ["bs", "-6"];
const NAME: [&str; 2] = ["n", "0"];
const UNIT: [&str; 2] = ["u", "1"];
const VALUE: [&str; 2] = ["v", "2"];
const SUM: [&str; 2] = ["s", "5"];
const TIME: [&str; 2] = ["t", "6"];
/// Other labels that are kept: text, boolean and data.
const KEPT: [[&str; 2]; 3] = [["vs", "3"], ["vb", "4"], ["vd", "8"]];

/// The longest name and the longest unit, in bytes: each record gets its own copy.
const NAME_MAX: usize = 256;
/// The greatest number of records, for the same reason.
const RECORDS_MAX: usize = 10_000;

/// Resolves a pack.
pub(super) fn resolve(pack: Node<'_>) -> Result<Node<'_>, String> {
    let Node::List(records) = pack else {
        return Err("it is not a pack of SenML, which is an array of records".to_owned());
    };
    if records.len() > RECORDS_MAX {
        return Err(format!("it has {} records, at most {RECORDS_MAX} are allowed", records.len()));
    }
    let mut base = Base { name: Ok(String::new()), time: Ok(0.0), unit: Ok(None), value: Ok(0.0), sum: Ok(0.0) };
    let resolved = records.into_iter().map(|record| match record {
        Node::Map(members) => base.resolve(&members).unwrap_or_else(Node::Bad),
        _ => Node::Bad("something that is not a record of SenML"),
    });
    Ok(Node::List(resolved.collect()))
}

/// The base values, each of which stays until the next one. One that is not of its type spoils the records that lean on it.
struct Base<'a> {
    name: Result<String, &'static str>,
    time: Result<f64, &'static str>,
    unit: Result<Option<Cow<'a, str>>, &'static str>,
    value: Result<f64, &'static str>,
    sum: Result<f64, &'static str>,
}

type Members<'a> = [(Cow<'a, str>, Node<'a>)];

impl<'a> Base<'a> {
    /// Takes the base values of a record, and gives its whole values. The error is what stands in its place.
    fn resolve(&mut self, members: &Members<'a>) -> Result<Node<'a>, &'static str> {
        let find = |labels: [&str; 2]| find(members, labels);
        if let Some(given) = find(BASE_NAME) {
            self.name = text(given).map(Cow::into_owned);
        }
        if let Some(given) = find(BASE_TIME) {
            self.time = number(given);
        }
        if let Some(given) = find(BASE_UNIT) {
            self.unit = text(given).map(Some);
        }
        if let Some(given) = find(BASE_VALUE) {
            self.value = number(given);
        }
        if let Some(given) = find(BASE_SUM) {
            self.sum = number(given);
        }
        // RFC 8428, section 4.4: a label that ends so must be understood.
        if members.iter().any(|(label, _)| label.ends_with('_')) {
            return Err("a record with a label that must be understood, and is not");
        }
        let own = find(NAME).map_or(Ok(Cow::Borrowed("")), text)?;
        let name = [self.name.as_deref().map_err(|why| *why)?, own.as_ref()].concat();
        let unit = match find(UNIT) {
            Some(own) => Some(text(own)?),
            None => self.unit.clone()?,
        };
        if name.len() > NAME_MAX || unit.as_ref().is_some_and(|unit| unit.len() > NAME_MAX) {
            return Err("a record whose name or unit is too long");
        }
        let time = self.time? + find(TIME).map_or(Ok(0.0), number)?;
        let mut whole = vec![
            (Cow::Borrowed("n"), Node::Text(Cow::Owned(name))),
            (Cow::Borrowed("name"), Node::Text(own)),
            (Cow::Borrowed("t"), Node::Number(time)),
        ];
        whole.extend(unit.map(|unit| (Cow::Borrowed("u"), Node::Text(unit))));
        // A record may have base values alone.
        for (label, labels, base) in [("v", VALUE, self.value), ("s", SUM, self.sum)] {
            if let Some(own) = find(labels) {
                whole.push((Cow::Borrowed(label), Node::Number(base? + number(own)?)));
            }
        }
        for labels in KEPT {
            whole.extend(find(labels).map(|value| (Cow::Borrowed(labels[0]), value.clone())));
        }
        Ok(Node::Map(whole))
    }
}

fn find<'n, 'a>(members: &'n Members<'a>, labels: [&str; 2]) -> Option<&'n Node<'a>> {
    members.iter().find(|(key, _)| labels.contains(&key.as_ref())).map(|(_, value)| value)
}

fn text<'a>(node: &Node<'a>) -> Result<Cow<'a, str>, &'static str> {
    if let Node::Text(text) = node { Ok(text.clone()) } else { Err("a record whose name or unit is not a text") }
}

fn number(node: &Node<'_>) -> Result<f64, &'static str> {
    let number = match node {
        Node::Integer(number) => Some(*number as f64),
        Node::Number(number) => Some(*number),
        Node::Digits(digits) => digits.parse().ok(),
        _ => None,
    };
    number.ok_or("a record whose time, value or sum is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(base: &str, name: &str, time: f64, unit: &str, value: f64) -> Node<'static> {
        Node::Map(vec![
            ("n".into(), Node::Text(format!("{base}{name}").into())),
            ("name".into(), Node::Text(name.to_owned().into())),
            ("t".into(), Node::Number(time)),
            ("u".into(), Node::Text(unit.to_owned().into())),
            ("v".into(), Node::Number(value)),
        ])
    }

    #[test]
    fn records_get_what_the_base_values_say() {
        // RFC 8428, section 5.1.3, shortened.
        let pack = br#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
            "n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"current","t":0,"v":1.7}]"#;
        let resolved = resolve(Node::json(pack).unwrap()).unwrap();
        let (base, at) = ("urn:dev:ow:10e2073a0108006:", 1_276_020_076.001);
        assert_eq!(
            resolved,
            Node::List(vec![
                of(base, "voltage", at, "V", 120.1),
                of(base, "current", at - 5.0, "A", 1.2),
                of(base, "current", at, "A", 1.7),
            ])
        );
    }

    #[test]
    fn packs_of_cbor_have_numbers_for_labels() {
        // [{-2: "x/", 0: "t", 1: "Cel", 2: 21.5}]
        let pack = [0x81, 0xa4, 0x21, 0x62, b'x', b'/', 0, 0x61, b't', 1, 0x63, b'C', b'e', b'l', 2, 0xf9, 0x4d, 0x60];
        assert_eq!(resolve(Node::cbor(&pack).unwrap()).unwrap(), Node::List(vec![of("x/", "t", 0.0, "Cel", 21.5)]));
    }

    #[test]
    fn what_is_not_a_record_costs_itself() {
        let resolved = resolve(Node::json(br#"[7,{"n":"a","vb":true},{"bn":"b"}]"#).unwrap()).unwrap();
        let Node::List(records) = resolved else { panic!("not a list") };
        assert_eq!(records[0], Node::Bad("something that is not a record of SenML"));
        assert_eq!(records.len(), 3);
        let wrong =
            br#"[{"n":"a","t":"x","v":1},{"n":"a","u":7,"v":1},{"bv":"five"},{"n":"a","v":1},{"n":"b","vb":true},
            {"bv":0,"n":"a","v":1},{"n":"a","x_":0,"v":1}]"#;
        let Node::List(records) = resolve(Node::json(wrong).unwrap()).unwrap() else { panic!("not a list") };
        let is_bad: Vec<bool> = records.iter().map(|record| matches!(record, Node::Bad(_))).collect();
        assert_eq!(is_bad, [true, true, false, true, false, false, true]);
        assert!(resolve(Node::json(b"{}").unwrap()).is_err());
    }
}
