//! What stands in the samples, path by path.

use super::super::tree::Node;

/// All paths of the samples.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The values outside arrays, in the order in which they are first seen.
    pub(super) leaves: Vec<Leaf>,
    /// The arrays of records.
    pub(super) groups: Vec<Group>,
    /// Whether a key was seen that no path can name.
    pub(super) has_odd_key: bool,
}

/// An array whose elements are records.
#[derive(Debug)]
pub(super) struct Group {
    /// The path with `[*]`.
    pub(super) each: String,
    /// The values of a record, by paths that begin at the record.
    pub(super) leaves: Vec<Leaf>,
    /// How many records all samples have.
    pub(super) records: usize,
    /// How many samples have the array.
    pub(super) seen_in: usize,
    last_sample: Option<usize>,
}

/// What all samples have at one path.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) path: String,
    /// The path of the object that it is in.
    pub(super) parent: String,
    /// The last key.
    pub(super) key: String,
    /// How often there was a value that is not null.
    pub(super) present: usize,
    pub(super) values: Vec<Seen>,
}

/// A value that was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Number(f64),
    Boolean(bool),
    Text(String),
    /// Two numbers.
    Pair([f64; 2]),
    /// Something that no metric can have, in words.
    Other(&'static str),
}

impl Leaf {
    /// The numbers, if all values are numbers, or texts that are numbers.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        let number = |seen: &Seen| match seen {
            Seen::Number(number) => Some(*number),
            Seen::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        self.values.iter().map(number).collect::<Option<Vec<_>>>().filter(|numbers| !numbers.is_empty())
    }

    /// The texts, if all values are texts.
    pub(super) fn texts<'s>(&'s self) -> Option<Vec<&'s str>> {
        let text = |seen: &'s Seen| if let Seen::Text(text) = seen { Some(text.as_str()) } else { None };
        self.values.iter().map(text).collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
    }

    /// Whether some value is a text.
    pub(super) fn is_text(&self) -> bool {
        self.values.iter().any(|value| matches!(value, Seen::Text(_)))
    }

    /// Whether no value came twice.
    pub(super) fn is_distinct(&self) -> bool {
        self.values.iter().enumerate().all(|(index, value)| !self.values[..index].contains(value))
    }

    /// Whether all values are the same.
    pub(super) fn is_constant(&self) -> bool {
        self.values.windows(2).all(|pair| pair[0] == pair[1])
    }
}

impl Survey {
    pub(super) fn of(samples: &[Node<'_>]) -> Self {
        let mut survey = Self::default();
        for (sample, node) in samples.iter().enumerate() {
            survey.walk(node, None, Place::default(), sample);
        }
        survey
    }

    /// Notes what is in `node`. `group` is the index of the group whose record it belongs to.
    fn walk(&mut self, node: &Node<'_>, group: Option<usize>, place: Place, sample: usize) {
        match node {
            Node::Map(members) => {
                for (key, value) in members {
                    if key.is_empty() || key.contains("\"]") || key.contains(char::is_control) {
                        self.has_odd_key = true;
                        continue;
                    }
                    self.walk(value, group, place.within(key), sample);
                }
            }
            Node::List(items) if pair(items).is_none() && !items.is_empty() => {
                let start = group.map_or("", |group| self.groups[group].each.as_str());
                let dot =
                    if start.is_empty() || place.path.is_empty() || place.path.starts_with('[') { "" } else { "." };
                let each = format!("{start}{dot}{}[*]", place.path);
                let group = self.group(each, sample);
                for item in items {
                    self.groups[group].records += 1;
                    self.walk(item, Some(group), Place::default(), sample);
                }
            }
            Node::Null => {
                self.leaf(group, place);
            }
            value => {
                let leaf = self.leaf(group, place);
                leaf.present += 1;
                leaf.values.push(seen(value));
            }
        }
    }

    fn group(&mut self, each: String, sample: usize) -> usize {
        let index = self.groups.iter().position(|group| group.each == each).unwrap_or_else(|| {
            self.groups.push(Group { each, leaves: Vec::new(), records: 0, seen_in: 0, last_sample: None });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        if group.last_sample.replace(sample) != Some(sample) {
            group.seen_in += 1;
        }
        index
    }

    fn leaf(&mut self, group: Option<usize>, place: Place) -> &mut Leaf {
        let leaves = group.map_or(&mut self.leaves, |group| &mut self.groups[group].leaves);
        // A record that is a value itself is `@`.
        let path = if place.path.is_empty() { "@".to_owned() } else { place.path };
        let index = leaves.iter().position(|leaf| leaf.path == path).unwrap_or_else(|| {
            leaves.push(Leaf { path, parent: place.parent, key: place.key, present: 0, values: Vec::new() });
            leaves.len() - 1
        });
        &mut leaves[index]
    }
}

/// Where a node is.
#[derive(Clone, Default)]
struct Place {
    path: String,
    parent: String,
    key: String,
}

impl Place {
    fn within(&self, key: &str) -> Self {
        let is_plain = !key.is_empty() && !key.contains(['.', '[', ']', '"']);
        let path = match (is_plain, self.path.is_empty()) {
            (true, true) => key.to_owned(),
            (true, false) => format!("{}.{key}", self.path),
            (false, _) => format!("{}[\"{key}\"]", self.path),
        };
        Self { path, parent: self.path.clone(), key: key.to_owned() }
    }
}

fn seen(node: &Node<'_>) -> Seen {
    match node {
        Node::Boolean(value) => Seen::Boolean(*value),
        Node::Text(text) => Seen::Text(text.clone().into_owned()),
        Node::List(items) => pair(items).map_or(Seen::Other("an empty array"), Seen::Pair),
        other => number(other).map_or_else(|| Seen::Other(other.kind()), Seen::Number),
    }
}

fn number(node: &Node<'_>) -> Option<f64> {
    match node {
        Node::Integer(number) => Some(*number as f64),
        Node::Number(number) => Some(*number),
        Node::Digits(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn pair(items: &[Node<'_>]) -> Option<[f64; 2]> {
    let [first, second] = items else { return None };
    Some([number(first)?, number(second)?])
}
