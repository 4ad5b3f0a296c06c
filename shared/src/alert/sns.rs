//! What SNS asks of a message.

use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::error::operation::BuildError;
use std::collections::HashMap;

/// The longest subject of a letter. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const SUBJECT_MAX: usize = 99;

/// The subject of a letter: "ASCII text that begins with a letter, number, or punctuation mark", without line breaks.
pub(super) fn subject(text: &str) -> String {
    let ascii = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    text.chars().map(ascii).take(SUBJECT_MAX).collect()
}

/// The attributes by which subscriptions choose. Those without a value are left out.
pub(super) fn attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<HashMap<String, MessageAttributeValue>, BuildError> {
    let present =
        attributes.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let attribute = |(name, value): (&str, &str)| {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
        Ok((name.to_owned(), attribute))
    };
    present.map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_of_a_letter_is_one_line_of_ascii() {
        let subject = subject(&format!("device-silent raised: bett-ö\n{}", "x".repeat(200)));
        assert!(subject.starts_with("device-silent raised: bett-??xxx"), "{subject}");
        assert_eq!(subject.len(), SUBJECT_MAX);
    }
}
