//! A message to publish, and the checks that SNS makes.

use std::collections::BTreeMap;

/// The largest message with its attributes: 256 KiB.
pub const PUBLICATION_BYTES_MAX: usize = 256 << 10;
/// A subject is one line of ASCII text.
const SUBJECT_CHARACTERS_MAX: usize = 100;

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// The subject of a mail.
    pub subject: Option<String>,
    /// The message.
    pub message: String,
    /// Texts that replace the message for the subscribers of a protocol (`lambda`, `email`, …).
    pub by_protocol: BTreeMap<String, String>,
    /// The message's attributes.
    pub attributes: BTreeMap<String, Attribute>,
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The type: `String`, `String.Array`, `Number` or `Binary`.
    pub data_type: String,
    /// The value; bytes are in base64.
    pub value: String,
}

/// Why SNS refuses a message, in SNS's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid parameter: {0}")]
pub struct InvalidPublication(pub String);

impl Publication {
    /// A message that is the same for every subscriber.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A message from JSON with a text for each protocol, and a `default` for the others: `MessageStructure=json`.
    pub fn structured(json: &str) -> Result<Self, InvalidPublication> {
        let wrong = |problem: &str| InvalidPublication(format!("Message Structure - {problem}"));
        let mut texts: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|_| wrong("JSON message body failed to parse as texts by protocol"))?;
        let message = texts.remove("default").ok_or_else(|| wrong("No default entry in JSON message body"))?;
        Ok(Self { message, by_protocol: texts, ..Self::default() })
    }

    /// The text for subscribers of a protocol.
    pub fn text(&self, protocol: &str) -> &str {
        self.by_protocol.get(protocol).unwrap_or(&self.message)
    }

    /// The size as SNS counts it: the message, and each attribute's name, type and value.
    pub fn bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, it)| name.len() + it.data_type.len() + it.value.len());
        let texts = self.by_protocol.values().map(String::len);
        self.message.len() + texts.sum::<usize>() + attributes.sum::<usize>()
    }

    /// Makes the checks that SNS makes.
    pub fn check(&self) -> Result<(), InvalidPublication> {
        let wrong = |problem: String| Err(InvalidPublication(problem));
        if self.message.is_empty() {
            return wrong("Empty message".to_owned());
        }
        if self.bytes() > PUBLICATION_BYTES_MAX {
            return wrong("Message too long".to_owned());
        }
        if let Some(subject) = &self.subject {
            let fits = (1..=SUBJECT_CHARACTERS_MAX).contains(&subject.chars().count());
            if !fits || !subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
                return wrong("Subject".to_owned());
            }
        }
        for (name, Attribute { data_type, value }) in &self.attributes {
            let known = ["String", "Number", "Binary"].iter().any(|known| {
                data_type.strip_prefix(known).is_some_and(|label| label.is_empty() || label.starts_with('.'))
            });
            if !known {
                return wrong(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                     prefixes is Binary, Number, and String."
                ));
            }
            if value.is_empty() {
                return wrong(format!("The message attribute '{name}' must contain non-empty message attribute value"));
            }
            if data_type.starts_with("Number") && value.parse::<f64>().is_err() {
                return wrong(format!("Could not cast message attribute '{name}' value to number."));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(publication: &Publication) -> String {
        publication.check().unwrap_err().to_string()
    }

    #[test]
    fn a_message_with_its_attributes_is_256_kib_at_most() {
        let mut publication = Publication::new("x".repeat(PUBLICATION_BYTES_MAX - 8));
        publication
            .attributes
            .insert("a".to_owned(), Attribute { data_type: "String".to_owned(), value: "v".to_owned() });
        publication.check().unwrap();
        publication.message.push('x');
        assert_eq!(problem(&publication), "Invalid parameter: Message too long");
    }

    #[test]
    fn a_message_that_sns_refuses_is_refused() {
        assert_eq!(problem(&Publication::default()), "Invalid parameter: Empty message");
        for subject in ["", "two\nlines", &"x".repeat(101), "für"] {
            let publication = Publication { subject: Some(subject.to_owned()), ..Publication::new("m") };
            assert_eq!(problem(&publication), "Invalid parameter: Subject", "{subject}");
        }
        for (data_type, value) in [("Text", "v"), ("Stringy", "v"), ("String", ""), ("Number", "one")] {
            let attribute = Attribute { data_type: data_type.to_owned(), value: value.to_owned() };
            let attributes = BTreeMap::from([("a".to_owned(), attribute)]);
            assert!(problem(&Publication { attributes, ..Publication::new("m") }).contains("'a'"), "{data_type}");
        }
    }

    #[test]
    fn a_structured_message_has_a_text_for_each_protocol() {
        let publication = Publication::structured(r#"{"default":"d","lambda":"l"}"#).unwrap();
        assert_eq!((publication.text("lambda"), publication.text("email")), ("l", "d"));
        for wrong in [r#"{"lambda":"l"}"#, "text", r#"{"default":1}"#] {
            assert!(Publication::structured(wrong).is_err(), "{wrong}");
        }
    }
}
