//! Parses expressions. Precedence rises in this order: OR, AND, comparisons, sums, products, signs.

use super::{Function, MathError, Node, Operator};

/// The greatest depth of nested parentheses.
const DEPTH_MAX: u32 = 64;
/// The most tokens of an expression. The tree of a sum is as deep as the sum has terms, and a hundred thousand levels
/// exceed the stack.
const TOKENS_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Operator(Operator),
    Open,
    Close,
    OpenArray,
    CloseArray,
    Comma,
}

pub(super) fn parse(text: &str) -> Result<Node, MathError> {
    let first = text.trim_start().get(..6).unwrap_or_default();
    if first.eq_ignore_ascii_case("SELECT") {
        return Err(MathError::Unsupported("a Metrics Insights query (SELECT …)".to_owned()));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let node = parser.binary(0)?;
    match parser.tokens.get(parser.next) {
        None => Ok(node),
        Some(token) => Err(unexpected(Some(token))),
    }
}

fn unexpected(token: Option<&Token>) -> MathError {
    MathError::Syntax(match token {
        None => "the expression ends too early".to_owned(),
        Some(Token::Number(number)) => format!("{number} is out of place"),
        Some(Token::Name(name)) => format!("{name} is out of place"),
        Some(Token::Operator(operator)) => format!("the operator {operator:?} is out of place"),
        Some(Token::Open | Token::Close) => "a parenthesis is out of place".to_owned(),
        Some(Token::OpenArray | Token::CloseArray) => "a bracket is out of place".to_owned(),
        Some(Token::Comma) => "a comma is out of place".to_owned(),
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, MathError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '0'..='9' | '.' => {
                let length = number_length(rest);
                let number = rest[..length].parse();
                let number = number.map_err(|_| MathError::Syntax(format!("{} is not a number", &rest[..length])))?;
                (Token::Number(number), length)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let token = match &rest[..end] {
                    "AND" => Token::Operator(Operator::And),
                    "OR" => Token::Operator(Operator::Or),
                    name => Token::Name(name.to_owned()),
                };
                (token, end)
            }
            _ => symbol(rest).ok_or_else(|| MathError::Syntax(format!("{first:?} cannot be part of an expression")))?,
        };
        if tokens.len() == TOKENS_MAX {
            return Err(MathError::Syntax(format!("the expression has more than {TOKENS_MAX} tokens")));
        }
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Digits, a point, and an exponent with its sign.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let exponent_sign = matches!(byte, b'+' | b'-') && length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        if byte.is_ascii_digit() || *byte == b'.' || matches!(byte, b'e' | b'E') || exponent_sign {
            length += 1;
        } else {
            break;
        }
    }
    length
}

fn symbol(text: &str) -> Option<(Token, usize)> {
    let symbols = [
        ("<=", Token::Operator(Operator::LessOrEqual)),
        (">=", Token::Operator(Operator::GreaterOrEqual)),
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::NotEqual)),
        ("&&", Token::Operator(Operator::And)),
        ("||", Token::Operator(Operator::Or)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("+", Token::Operator(Operator::Add)),
        ("-", Token::Operator(Operator::Subtract)),
        ("*", Token::Operator(Operator::Multiply)),
        ("/", Token::Operator(Operator::Divide)),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenArray),
        ("]", Token::CloseArray),
        (",", Token::Comma),
    ];
    symbols.into_iter().find(|(symbol, _)| text.starts_with(symbol)).map(|(symbol, token)| (token, symbol.len()))
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn expect(&mut self, token: &Token) -> Result<(), MathError> {
        match self.take() {
            Some(found) if found == *token => Ok(()),
            found => Err(unexpected(found.as_ref())),
        }
    }

    /// Parses operators of at least the precedence `level`, from the left.
    fn binary(&mut self, level: u8) -> Result<Node, MathError> {
        let mut left = self.unary()?;
        while let Some(Token::Operator(operator)) = self.peek() {
            let operator = *operator;
            let own = precedence(operator);
            if own < level {
                break;
            }
            self.next += 1;
            let right = self.binary(own + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, MathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(MathError::Syntax("the expression is nested too deeply".to_owned()));
        }
        let node = match self.take() {
            Some(Token::Operator(Operator::Subtract)) => Node::Negate(Box::new(self.unary()?)),
            Some(Token::Number(number)) => Node::Number(number),
            Some(Token::Open) => {
                let node = self.binary(0)?;
                self.expect(&Token::Close)?;
                node
            }
            Some(Token::OpenArray) => Node::Array(self.list(&Token::CloseArray)?),
            Some(Token::Name(name)) if self.peek() == Some(&Token::Open) => {
                self.next += 1;
                let arguments = self.list(&Token::Close)?;
                let function = Function::from_name(&name);
                Node::Call(function.ok_or_else(|| MathError::Unsupported(format!("the function {name}")))?, arguments)
            }
            Some(Token::Name(name)) if name == "REPEAT" => Node::Repeat,
            Some(Token::Name(name)) => Node::Id(name),
            token => return Err(unexpected(token.as_ref())),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn list(&mut self, end: &Token) -> Result<Vec<Node>, MathError> {
        let mut nodes = Vec::new();
        if self.peek() == Some(end) {
            self.next += 1;
            return Ok(nodes);
        }
        loop {
            nodes.push(self.binary(0)?);
            match self.take() {
                Some(Token::Comma) => {}
                Some(token) if token == *end => return Ok(nodes),
                token => return Err(unexpected(token.as_ref())),
            }
        }
    }
}

fn precedence(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 0,
        Operator::And => 1,
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Equal
        | Operator::NotEqual => 2,
        Operator::Add | Operator::Subtract => 3,
        Operator::Multiply | Operator::Divide => 4,
    }
}
