//! SQL as the `default` user, who may do everything: it sets scenes up and checks what came out.

use ureq::{Agent, http};

use crate::http::{agent, encode, send};

/// The server, as its administrator.
#[derive(Debug, Clone)]
pub struct Admin {
    url: String,
    user: String,
    password: String,
    agent: Agent,
}

impl Admin {
    /// The administrator of the server at this address.
    pub fn new(url: &str) -> Self {
        Self::of(url, "default", "")
    }

    /// Another user of the server, to see what they may not do.
    pub fn of(url: &str, user: &str, password: &str) -> Self {
        let (url, user, password) = (url.to_owned(), user.to_owned(), password.to_owned());
        Self { url, user, password, agent: agent() }
    }

    /// Runs a statement; the answer as text without its last line break.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn run(&self, statement: &str) -> String {
        self.try_run(statement).unwrap_or_else(|error| panic!("{error}\nin: {statement}"))
    }

    /// Runs a statement; the server's words when it refuses.
    ///
    /// # Errors
    /// The server's message.
    pub fn try_run(&self, statement: &str) -> Result<String, String> {
        let bytes = self.send(statement, &[])?;
        let text = String::from_utf8(bytes).map_err(|_| "the answer is not text".to_owned())?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Runs several statements that end in `;`.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn run_all(&self, statements: &str) {
        for statement in statements.split(";\n").map(str::trim).filter(|text| !text.is_empty()) {
            self.run(statement.trim_end_matches(';'));
        }
    }

    /// Drops databases with everything in them.
    ///
    /// # Panics
    /// When the server refuses it, unless a test is failing already.
    pub(crate) fn drop_databases(&self, databases: &[String]) {
        for database in databases {
            let dropped = self.try_run(&format!("DROP DATABASE IF EXISTS {} SYNC", name(database)));
            if let Err(error) = dropped
                && !std::thread::panicking()
            {
                panic!("{error}");
            }
        }
    }

    /// The answer as bytes, whatever its format.
    ///
    /// # Panics
    /// When the server refuses the statement.
    pub fn bytes(&self, statement: &str) -> Vec<u8> {
        self.send(statement, &[]).unwrap_or_else(|error| panic!("{error}\nin: {statement}"))
    }

    /// Rows and columns of the answer.
    ///
    /// # Panics
    /// When the server refuses the statement.
    pub fn rows(&self, statement: &str) -> Vec<Vec<String>> {
        self.try_rows(statement).unwrap_or_else(|error| panic!("{error}\nin: {statement}"))
    }

    /// The same; the server's words when it refuses, or is away.
    ///
    /// # Errors
    /// The server's message, or why there is none.
    pub fn try_rows(&self, statement: &str) -> Result<Vec<Vec<String>>, String> {
        let text = self.send(statement, &[("default_format", "JSONCompactStringsEachRow")])?;
        Ok(text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a row of texts"))
            .collect())
    }

    /// First column of the answer.
    pub fn column(&self, statement: &str) -> Vec<String> {
        self.rows(statement).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// One number.
    ///
    /// # Panics
    /// When the answer is not a number.
    pub fn number(&self, statement: &str) -> u64 {
        let text = self.run(statement);
        text.parse().unwrap_or_else(|_| panic!("`{text}` is not a number\nin: {statement}"))
    }

    fn send(&self, statement: &str, settings: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let mut url = format!("{}/?wait_end_of_query=1", self.url);
        for (name, value) in settings {
            url = format!("{url}&{name}={}", encode(value, b""));
        }
        let request = http::Request::post(url)
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .body(statement.as_bytes().to_vec())
            .expect("a well-formed request");
        match send(&self.agent, request)? {
            (200, body) => Ok(body),
            (_, body) => Err(String::from_utf8_lossy(&body).into_owned()),
        }
    }
}

/// Quotes text for a statement.
pub fn literal(text: &str) -> String {
    longshore_shared::sql::quote_literal(text)
}

/// Quotes a name for a statement.
pub fn name(text: &str) -> String {
    longshore_shared::sql::quote_identifier(text)
}
