//! `--where`: a condition on tasks, in a small language.
//!
//! `state=failed and error~'timed out' and (attempts>3 or bytes>=1G)`. The fields are those that
//! `longshore tasks` lists, so that what is chosen can be looked at first.

mod lexer;

use longshore_shared::store::TaskBrief;
use longshore_shared::task::StateName;

use crate::ui::error::{Kind, Report};
use lexer::{Token, Word};

/// Brackets and `not`s in each other: more are a mistake, and the stack is not endless.
const DEPTH_MAX: usize = 50;
const FIELDS: &str = "fields: state, worker, error (= != ~ !~), and attempts, deaths, epoch, files, bytes, \
                      rows, number (= != < <= > >=); join them with `and`, `or`, `not` and brackets, \
                      as in: state=failed and error~'timed out' and bytes>1G";

/// A condition on tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    State(Equality, StateName),
    Text(TextField, TextTest, String),
    Number(NumberField, Order, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equality {
    Is,
    IsNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextTest {
    Is,
    IsNot,
    Holds,
    HoldsNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Is,
    IsNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextField {
    Worker,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberField {
    Attempts,
    Deaths,
    Epoch,
    Files,
    Bytes,
    Rows,
    Number,
}

enum Field {
    State,
    Text(TextField),
    Number(NumberField),
}

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// A report that says at which character the text stops making sense, and what is understood.
    pub(crate) fn parse(text: &str) -> Result<Self, Report> {
        let mut parser = Parser { text, words: lexer::words(text).map_err(wrong(text))?, at: 0 };
        let node = parser.any(0)?;
        match parser.peek() {
            None => Ok(Self(node)),
            Some(_) => Err(parser.expected("`and`, `or` or the end")),
        }
    }

    /// Does the task meet it?
    pub(crate) fn matches(&self, task: &TaskBrief) -> bool {
        self.0.matches(task)
    }
}

impl Node {
    fn matches(&self, task: &TaskBrief) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(task)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(task)),
            Self::Not(node) => !node.matches(task),
            Self::State(test, state) => (task.state == *state) == (*test == Equality::Is),
            Self::Text(field, test, wanted) => test.holds(field.of(task), wanted),
            Self::Number(field, order, wanted) => order.holds(field.of(task), *wanted),
        }
    }
}

impl TextTest {
    fn holds(self, found: &str, wanted: &str) -> bool {
        match self {
            Self::Is => found == wanted,
            Self::IsNot => found != wanted,
            Self::Holds => found.to_lowercase().contains(&wanted.to_lowercase()),
            Self::HoldsNot => !Self::Holds.holds(found, wanted),
        }
    }
}

impl Order {
    fn holds(self, found: u64, wanted: u64) -> bool {
        match self {
            Self::Is => found == wanted,
            Self::IsNot => found != wanted,
            Self::Below => found < wanted,
            Self::AtMost => found <= wanted,
            Self::Above => found > wanted,
            Self::AtLeast => found >= wanted,
        }
    }
}

impl TextField {
    fn of(self, task: &TaskBrief) -> &str {
        match self {
            Self::Worker => &task.worker.0,
            Self::Error => &task.error,
        }
    }
}

impl NumberField {
    fn of(self, task: &TaskBrief) -> u64 {
        match self {
            Self::Attempts => task.attempts.into(),
            Self::Deaths => task.deaths.into(),
            Self::Epoch => task.epoch,
            Self::Files => task.files.into(),
            Self::Bytes => task.bytes,
            Self::Rows => task.rows,
            Self::Number => task.id.ordinal.into(),
        }
    }
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "state" => Self::State,
            "worker" => Self::Text(TextField::Worker),
            "error" => Self::Text(TextField::Error),
            "attempts" => Self::Number(NumberField::Attempts),
            "deaths" => Self::Number(NumberField::Deaths),
            "epoch" => Self::Number(NumberField::Epoch),
            "files" => Self::Number(NumberField::Files),
            "bytes" => Self::Number(NumberField::Bytes),
            "rows" => Self::Number(NumberField::Rows),
            "number" => Self::Number(NumberField::Number),
            _ => return None,
        })
    }
}

/// A report of what is wrong at a character of the condition.
fn wrong(text: &str) -> impl Fn((usize, String)) -> Report + '_ {
    move |(at, problem)| {
        let chars = text[..at].chars().count() + 1;
        let message = format!("--where: {problem}, at character {chars} of `{text}`");
        Report::new(Kind::Usage, message).help(FIELDS)
    }
}

struct Parser<'a> {
    text: &'a str,
    words: Vec<Word>,
    at: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Node, Report> {
        let mut nodes = vec![self.all(depth)?];
        while self.takes_word("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self, depth: usize) -> Result<Node, Report> {
        let mut nodes = vec![self.one(depth)?];
        while self.takes_word("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn one(&mut self, depth: usize) -> Result<Node, Report> {
        if depth > DEPTH_MAX {
            return Err(self.wrong(format!("more than {DEPTH_MAX} brackets in each other")));
        }
        if self.takes_word("not") {
            return Ok(Node::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes(&Token::Open) {
            let node = self.any(depth + 1)?;
            if !self.takes(&Token::Close) {
                return Err(self.expected("`)`"));
            }
            return Ok(node);
        }
        self.test()
    }

    /// `FIELD OPERATOR VALUE`
    fn test(&mut self) -> Result<Node, Report> {
        let Some(Token::Bare(name)) = self.peek() else {
            return Err(self.expected("a field"));
        };
        let Some(field) = Field::parse(&name.to_lowercase()) else {
            let problem = format!("`{name}` is not a field");
            return Err(self.wrong(problem));
        };
        let name = name.clone();
        self.at += 1;
        let Some(Token::Operator(operator)) = self.peek() else {
            return Err(self.expected("an operator"));
        };
        let operator = *operator;
        let unfit = self.wrong(format!("`{operator}` does not fit `{name}`"));
        self.at += 1;
        match field {
            Field::State => {
                let test = match operator {
                    "=" => Equality::Is,
                    "!=" => Equality::IsNot,
                    _ => return Err(unfit),
                };
                Ok(Node::State(test, self.state()?))
            }
            Field::Text(field) => {
                let test = match operator {
                    "=" => TextTest::Is,
                    "!=" => TextTest::IsNot,
                    "~" => TextTest::Holds,
                    "!~" => TextTest::HoldsNot,
                    _ => return Err(unfit),
                };
                Ok(Node::Text(field, test, self.value("a text")?))
            }
            Field::Number(field) => {
                let order = match operator {
                    "=" => Order::Is,
                    "!=" => Order::IsNot,
                    "<" => Order::Below,
                    "<=" => Order::AtMost,
                    ">" => Order::Above,
                    ">=" => Order::AtLeast,
                    _ => return Err(unfit),
                };
                Ok(Node::Number(field, order, self.number()?))
            }
        }
    }

    fn state(&mut self) -> Result<StateName, Report> {
        let name = self.value("a state")?;
        StateName::parse(&name.to_lowercase()).ok_or_else(|| {
            self.at -= 1;
            let states = StateName::ALL.map(StateName::as_str).join(", ");
            self.wrong(format!("`{name}` is not a state ({states})"))
        })
    }

    fn number(&mut self) -> Result<u64, Report> {
        let text = self.value("a number")?;
        let number = if text == "0" { Ok(0) } else { crate::ui::text::parse_bytes(&text) };
        number.map_err(|_| {
            self.at -= 1;
            self.wrong(format!("`{text}` is not a whole number, or one as 500M or 2G"))
        })
    }

    fn value(&mut self, what: &str) -> Result<String, Report> {
        match self.peek() {
            Some(Token::Bare(text) | Token::Quoted(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.words.get(self.at).map(|word| &word.token)
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let is_next =
            matches!(self.peek(), Some(Token::Bare(text)) if text.eq_ignore_ascii_case(wanted));
        self.at += usize::from(is_next);
        is_next
    }

    fn expected(&self, what: &str) -> Report {
        let found = self.peek().map_or_else(|| "the end".to_owned(), Token::shown);
        self.wrong(format!("{what} was expected, not {found}"))
    }

    fn wrong(&self, problem: String) -> Report {
        let at = self.words.get(self.at).map_or(self.text.len(), |word| word.at);
        wrong(self.text)((at, problem))
    }
}

#[cfg(test)]
mod tests;
