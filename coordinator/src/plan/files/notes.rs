//! What a person is told of how files are read.

use longshore_shared::clickhouse::Failure;
use longshore_shared::task::SourceFile;

use super::column::{ReadAs, Remark, Target};
use super::merge::{Merged, Schemas};
use crate::ui::text;

/// A file of a format that is read from its beginning to its end by one thread takes long beyond this.
pub(super) const LARGE_BYTES: u64 = 4 << 30;

/// Columns named in one note.
const NAMED: usize = 30;

/// Notes by kind, so that many columns make one sentence.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    absent: Vec<String>,
    missing: Vec<String>,
    /// Its reader refuses a file that lacks a column.
    pub(super) refuses_missing: bool,
    checked: Vec<String>,
    checked_text: Vec<String>,
    accepted: Vec<String>,
    rounded: Vec<String>,
    converted: Vec<String>,
    /// Columns of folders that the target lacks.
    pub(super) folders: Vec<String>,
}

impl Notes {
    /// A column that no file has.
    pub(super) fn absent(&mut self, target: &Target) {
        if target.default_kind.is_empty() {
            self.absent.push(target.name.clone());
        }
    }

    /// A column that some files lack.
    pub(super) fn missing(&mut self, target: &Target, found: Option<&Merged>) {
        if let Some((first, files)) = found.and_then(|found| found.missing.as_ref()) {
            let files = text::plural(*files as u64, "file");
            self.missing.push(format!("{} (in {files}, the first is {first})", target.name));
        }
    }

    /// What may become of values.
    pub(super) fn remark(&mut self, read: &ReadAs) {
        match (&read.remark, &read.cast) {
            (Some((remark, from)), cast) => {
                let to = cast.as_ref().map_or(read.kind.as_str(), |cast| cast.to.as_str());
                let words = format!("{} ({from} to {to})", read.name);
                match remark {
                    Remark::Checked => self.checked.push(words),
                    Remark::Accepted => self.accepted.push(words),
                    Remark::Rounded => self.rounded.push(words),
                    Remark::Converted => self.converted.push(words),
                }
            }
            (None, Some(_)) => self.checked_text.push(read.name.clone()),
            (None, None) => {}
        }
    }

    /// As sentences without their full stop.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let list = |names: &[String]| {
            let more = names.len().saturating_sub(NAMED);
            let shown = names[..names.len().min(NAMED)].join(", ");
            if more == 0 { shown } else { format!("{shown} and {more} more") }
        };
        let mut notes = Vec::new();
        let mut add = |names: &[String], words: &dyn Fn(String) -> String| {
            if !names.is_empty() {
                notes.push(words(list(names)));
            }
        };
        add(&self.absent, &|names| {
            format!("not in the files, so filled with the default of their type: {names}")
        });
        let refuses = self.refuses_missing;
        add(&self.missing, &|names| {
            if refuses {
                let fails = missing_fails();
                return format!("some files lack these columns ({names}); {fails}");
            }
            format!("some files lack these columns and get their default there: {names}")
        });
        add(&self.checked, &|names| {
            format!(
                "converted to another type, and checked: {names}. A value that does not fit fails its \
                 task, with file and value; --conversions as-insert loads what a plain INSERT makes of it"
            )
        });
        add(&self.checked_text, &|names| {
            format!(
                "text that does not fit the range or digits of its column fails its task, with file and \
                 value ({names}); --conversions as-insert loads what a plain INSERT makes of it"
            )
        });
        add(&self.accepted, &|names| {
            format!(
                "converted as a plain INSERT does, which may change values that do not fit: {names}"
            )
        });
        add(&self.rounded, &|names| format!("rounded to the digits of the target's type: {names}"));
        add(&self.converted, &|names| {
            format!(
                "converted by the reader of the format, as a plain INSERT does, and not checked: {names}; \
                 compare some rows"
            )
        });
        add(&self.folders, &|names| {
            format!(
                "the folders of the files name columns that the target lacks; left out: {names}"
            )
        });
        notes
    }
}

/// What is told of files that were looked at.
pub(crate) fn of_files(schemas: &Schemas, looked_at: usize, all: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if looked_at < all {
        notes.push(format!(
            "the schemas of {looked_at} of {all} files were read; workers look at the others before they \
             load them, and `longshore plan files … --validate` reads all of them now"
        ));
    }
    if let Some((path, failure)) = schemas.broken.first() {
        let others = match schemas.broken.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more files"),
        };
        notes.push(format!(
            "file {path}{others} cannot be read and will fail its task: {}",
            why_broken(failure)
        ));
    }
    if schemas.empty > 0 {
        notes.push(format!("{} without rows", text::plural(schemas.empty as u64, "file")));
    }
    notes
}

/// What `--structure` leaves to the reader; `bare` has columns whose DEFAULT it does not repeat. `refuses`: the
/// reader refuses what it was not asked for.
pub(crate) fn of_structure(bare: &[String], refuses: bool) -> Vec<String> {
    let others = if refuses { "fails its task" } else { "is left out" };
    let read = format!(
        "read as --structure says, and not compared with the files: a value that does not fit its type there is what \
         the reader makes of it, and a column of the files that it does not name {others}"
    );
    let defaults = format!(
        "a row without a value gets the default of the type in --structure, not the DEFAULT of the table: {}; \
         write the DEFAULT into --structure",
        bare.join(", ")
    );
    let mut notes = vec![read];
    if !bare.is_empty() {
        notes.push(defaults);
    }
    notes
}

/// Files that take long whatever is done.
pub(crate) fn of_large(format: &str, files: &[SourceFile]) -> Option<String> {
    let large: Vec<&SourceFile> = large(format, files).collect();
    let first = &large.first()?.path;
    let size = text::bytes(LARGE_BYTES);
    let files = text::plural(large.len() as u64, "file");
    Some(format!(
        "{files} of more than {size}, the first is {first}: one thread reads such a file from its beginning to its end"
    ))
}

/// What becomes of a file of Avro that lacks a column.
pub(super) fn missing_fails() -> &'static str {
    "the reader of the format refuses a file that lacks a column, so its task will fail; \
     --settings input_format_avro_allow_missing_fields=1 puts the default there"
}

/// Why a file cannot be read.
pub(super) fn why_broken(failure: &Failure) -> String {
    if failure.is_not_text() {
        return "the names of its columns are not UTF-8, so it may be of another format".to_owned();
    }
    first_words(&failure.message)
}

/// The beginning of what the server said.
pub(crate) fn first_words(message: &str) -> String {
    const CHARS: usize = 200;
    let line = message.lines().next().unwrap_or_default();
    if line.chars().count() <= CHARS {
        return line.to_owned();
    }
    format!("{} …", line.chars().take(CHARS).collect::<String>())
}

/// Files that one thread reads for long.
pub(super) fn large<'f>(
    format: &str,
    files: &'f [SourceFile],
) -> impl Iterator<Item = &'f SourceFile> {
    let is_parallel = ["Parquet", "ORC", "Arrow"].contains(&format);
    files.iter().filter(move |file| !is_parallel && file.size > LARGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_of_formats_that_one_thread_reads_are_told() {
        let files = [
            SourceFile::listed("b/1.csv", LARGE_BYTES, "e"),
            SourceFile::listed("b/2.csv", LARGE_BYTES + 1, "e"),
        ];
        let told = of_large("CSVWithNames", &files).expect("one is large");
        assert!(told.starts_with("1 file ") && told.contains("b/2.csv"), "{told}");
        assert_eq!(of_large("Parquet", &files), None, "it is read in parallel");
        assert_eq!(of_large("CSVWithNames", &files[..1]), None);
    }

    #[test]
    fn a_note_of_avro_says_what_becomes_of_a_file_that_lacks_a_column() {
        let mut notes = Notes { missing: vec!["b (in 1 file)".into()], ..Notes::default() };
        assert!(notes.sentences()[0].contains("get their default"));
        notes.refuses_missing = true;
        let told = notes.sentences().remove(0);
        assert!(told.contains("will fail") && !told.contains("  "), "{told}");
    }
}
