//! Splits a statement into tokens.

use super::syntax::SqlError;
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword, a function's name or a field. The parser knows the keywords.
    Word(String),
    /// `@name`.
    Variable(String),
    Text(String),
    Number(f64),
    /// `(`, `)`, `,`, `.`, `*`, `=`, `<>`, `<`, `<=`, `>`, `>=`.
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Variable(name) => write!(f, "@{name}"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => number.fmt(f),
            Self::Symbol(symbol) => f.write_str(symbol),
        }
    }
}

/// Two-character symbols first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 12] = ["<>", "!=", "<=", ">=", "(", ")", ",", ".", "*", "=", "<", ">"];

/// The tokens of a statement, each with its position in characters, counted from 1.
pub(super) fn tokens(sql: &str) -> Result<Vec<(usize, Token)>, SqlError> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let at = sql[..sql.len() - rest.len()].chars().count() + 1;
        let error = |problem: &str| SqlError { at, problem: problem.to_owned() };
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (token, length) = if first == '\'' {
            let end = rest[1..].find('\'').ok_or_else(|| error("the closing quote of a text is missing"))?;
            (Token::Text(rest[1..=end].to_owned()), end + 2)
        } else if first == '@' {
            let length = 1 + word_length(&rest[1..]);
            (Token::Variable(rest[1..length].to_owned()), length)
        } else if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            (Token::Number(rest[..length].parse().map_err(|_| error("not a valid number"))?), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = word_length(rest);
            (Token::Word(rest[..length].to_owned()), length)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            return Err(error(&format!("{first:?} is not allowed here")));
        };
        found.push((at, token));
        rest = &rest[length..];
    }
    Ok(found)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}
