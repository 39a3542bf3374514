//! The only writer of results: a text for people or one JSON document, on standard output.
//!
//! Messages and progress go to standard error, so that a result can always be piped.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// JSON or text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// May messages on standard error be coloured?
    pub(crate) fn has_colour() -> bool {
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Prints a result: the document as one line of JSON, or its text.
    pub(crate) fn show<T: Serialize>(
        self,
        document: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        let text = if self.json { serde_json::to_string(document)? } else { text(document) };
        Self::raw(&format!("{}\n", text.trim_end()))
    }

    /// Prints a result that is a file: the same for people and machines.
    pub(crate) fn raw(text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        match written {
            // Whoever reads has seen enough (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Says some things to a person.
    pub(crate) fn notes(self, notes: &[String]) {
        for note in notes {
            self.note(&format!("Note: {note}."));
        }
    }

    /// Says something to a person; machines get the result only.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }
}

/// Side on which a column is flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Columns without lines, two spaces apart: good to read and to cut with `awk`.
pub(crate) fn table(columns: &[(&str, Side)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|(title, _)| *title))
        .add_rows(rows);
    for (column, (_, side)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if *side == Side::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_numbers_flush_right() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned(), "x y".to_owned()],
            vec!["long name".to_owned(), "1,000".to_owned(), String::new()],
        ];
        let columns = [("NAME", Side::Left), ("ROWS", Side::Right), ("NOTE", Side::Left)];
        insta::assert_snapshot!(table(&columns, rows), @"
        NAME        ROWS  NOTE
        a              1  x y
        long name  1,000
        ");
    }
}
