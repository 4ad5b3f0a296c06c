//! Parses a statement from tokens.

use super::syntax::{Comparison, Expression, Function, Part, Selected, SqlError, Statement, Substitution};
use super::token::{Token, tokens};
use crate::iot::topic::TopicFilter;
use serde_json::Value;

impl Statement {
    /// Parses a statement.
    pub fn parse(sql: &str) -> Result<Self, SqlError> {
        let mut parser = Parser::new(sql)?;
        let mut variables = Vec::new();
        while parser.accept_keyword("SET") {
            let Some(Token::Variable(name)) = parser.next() else { return Err(parser.expected("@name after SET")) };
            parser.expect_symbol("=")?;
            variables.push((name, parser.expression()?));
        }
        parser.expect_keyword("SELECT")?;
        let mut select = vec![parser.selected()?];
        while parser.accept_symbol(",") {
            select.push(parser.selected()?);
        }
        parser.expect_keyword("FROM")?;
        let at = parser.at();
        let Some(Token::Text(filter)) = parser.next() else { return Err(parser.expected("a topic filter in quotes")) };
        let from = TopicFilter::parse(&filter).map_err(|error| SqlError { at, problem: error.to_string() })?;
        let condition = if parser.accept_keyword("WHERE") { Some(parser.expression()?) } else { None };
        parser.expect_end()?;
        Ok(Self { variables, select, from, condition })
    }
}

impl Substitution {
    /// Parses a setting with `${…}` in it.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("${") {
            let at = text.len() - inside.len() + 1;
            let (expression, after) =
                inside.split_once('}').ok_or_else(|| SqlError { at, problem: "} is missing after ${".to_owned() })?;
            let mut parser = Parser::new(expression)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Expression(parser.expression()?));
            parser.expect_end()?;
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn new(sql: &str) -> Result<Self, SqlError> {
        Ok(Self { tokens: tokens(sql)?, next: 0, end: sql.chars().count() + 1 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn expected(&self, what: &str) -> SqlError {
        let at = self.tokens.get(self.next.saturating_sub(1)).map_or(self.end, |(at, _)| *at);
        SqlError { at, problem: format!("expected {what}") }
    }

    fn accept_keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn expect_keyword(&mut self, word: &str) -> Result<(), SqlError> {
        let at = self.at();
        if self.accept_keyword(word) { Ok(()) } else { Err(SqlError { at, problem: format!("expected {word}") }) }
    }

    fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        let at = self.at();
        if self.accept_symbol(symbol) { Ok(()) } else { Err(SqlError { at, problem: format!("expected {symbol}") }) }
    }

    fn expect_end(&self) -> Result<(), SqlError> {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(SqlError { at: self.at(), problem: format!("{token} does not run on this machine") }),
        }
    }

    fn selected(&mut self) -> Result<Selected, SqlError> {
        if self.accept_symbol("*") {
            return Ok(Selected::All);
        }
        let at = self.at();
        let expression = self.expression()?;
        let name = if self.accept_keyword("AS") {
            match self.next() {
                Some(Token::Word(name)) => name,
                _ => return Err(self.expected("a name after AS")),
            }
        } else if let Expression::Path(path) = &expression {
            path[path.len() - 1].clone()
        } else {
            return Err(SqlError { at, problem: "this field needs a name: add AS …".to_owned() });
        };
        Ok(Selected::Field { name, expression })
    }

    fn expression(&mut self) -> Result<Expression, SqlError> {
        let mut left = self.conjunction()?;
        while self.accept_keyword("OR") {
            left = Expression::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expression, SqlError> {
        let mut left = self.negation()?;
        while self.accept_keyword("AND") {
            left = Expression::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, SqlError> {
        if self.accept_keyword("NOT") {
            return Ok(Expression::Not(Box::new(self.negation()?)));
        }
        let left = self.primary()?;
        let comparison = match self.peek() {
            Some(Token::Symbol("=")) => Comparison::Equal,
            Some(Token::Symbol("<>" | "!=")) => Comparison::NotEqual,
            Some(Token::Symbol("<")) => Comparison::Less,
            Some(Token::Symbol("<=")) => Comparison::LessOrEqual,
            Some(Token::Symbol(">")) => Comparison::Greater,
            Some(Token::Symbol(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.next += 1;
        Ok(Expression::Compare(comparison, Box::new(left), Box::new(self.primary()?)))
    }

    fn primary(&mut self) -> Result<Expression, SqlError> {
        let at = self.at();
        match self.next() {
            Some(Token::Text(text)) => Ok(Expression::Literal(Value::String(text))),
            Some(Token::Number(number)) => Ok(Expression::Literal(number_value(number))),
            Some(Token::Variable(name)) => Ok(Expression::Variable(name)),
            Some(Token::Symbol("(")) => {
                let inner = self.expression()?;
                self.expect_symbol(")")?;
                Ok(inner)
            }
            Some(Token::Word(word)) => self.word(word, at),
            _ => Err(SqlError { at, problem: "expected a value".to_owned() }),
        }
    }

    fn word(&mut self, word: String, at: usize) -> Result<Expression, SqlError> {
        match word.to_ascii_lowercase().as_str() {
            "true" => return Ok(Expression::Literal(Value::Bool(true))),
            "false" => return Ok(Expression::Literal(Value::Bool(false))),
            "null" => return Ok(Expression::Literal(Value::Null)),
            _ => {}
        }
        if self.accept_symbol("(") {
            let (function, arguments) = match word.to_ascii_lowercase().as_str() {
                "clientid" => (Function::ClientId, 0),
                "encode" => (Function::Encode, 2),
                "newuuid" => (Function::NewUuid, 0),
                "timestamp" => (Function::Timestamp, 0),
                "topic" => (Function::Topic, 1),
                _ => return Err(SqlError { at, problem: format!("the function {word} does not run on this machine") }),
            };
            let found = self.arguments()?;
            // `topic()` without an argument is the whole topic.
            let is_whole_topic = function == Function::Topic && found.is_empty();
            if found.len() != arguments && !is_whole_topic {
                return Err(SqlError {
                    at,
                    problem: format!("{word} takes {arguments} arguments, not {}", found.len()),
                });
            }
            return Ok(Expression::Call(function, found));
        }
        let mut path = vec![word];
        while self.accept_symbol(".") {
            match self.next() {
                Some(Token::Word(field)) => path.push(field),
                _ => return Err(self.expected("a field after the dot")),
            }
        }
        Ok(Expression::Path(path))
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, SqlError> {
        let mut found = Vec::new();
        if self.accept_symbol(")") {
            return Ok(found);
        }
        loop {
            found.push(if self.accept_symbol("*") { Expression::Payload } else { self.expression()? });
            if self.accept_symbol(")") {
                return Ok(found);
            }
            self.expect_symbol(",")?;
        }
    }
}

/// A number as JSON. A whole number stays a whole number.
fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { Value::from(number) }
}
