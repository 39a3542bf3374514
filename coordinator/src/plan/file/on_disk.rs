//! Opens a plan file, and makes the text of one.

use std::io::Read;
use std::path::Path;

use super::plan::PlanFile;
use super::{read, secrets, write};
use crate::ui::error::{Kind, Report};

impl PlanFile {
    /// A plan of a file; `-` is standard input.
    ///
    /// # Errors
    /// A report that says what is wrong with the file.
    pub(crate) fn open(path: &Path) -> Result<Self, Report> {
        let name =
            if is_stream(path) { "standard input".into() } else { path.display().to_string() };
        let mut bytes = Vec::new();
        let read = if is_stream(path) {
            std::io::stdin().read_to_end(&mut bytes).map(drop)
        } else {
            std::fs::read(path).map(|read| bytes = read)
        };
        read.map_err(|error| Report::new(Kind::Usage, format!("cannot read {name}: {error}")))?;
        read::parse(&bytes).map_err(|problem| {
            Report::new(Kind::Usage, format!("{name}: {problem}")).help(
                "export it anew (longshore plan export), or plan again: a plan is never edited",
            )
        })
    }

    pub(crate) fn text(&self) -> Result<String, Report> {
        let text = write::text(self);
        match secrets::find(&self.spec, &text) {
            None => Ok(text),
            Some(what) => {
                let message = format!("plan {} cannot be written to a file: {what}", self.id);
                Err(Report::new(Kind::Usage, message)
                    .help("plan it with --named-collection, or keys in the environment"))
            }
        }
    }
}

/// Does the path stand for standard input or output?
pub(crate) fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}
