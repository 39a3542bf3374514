//! What is to be laid out, and what comes of it: the words between a layout and its helpers.

use longshore_shared::task::Output;

use super::column::{How, ReadAs, Target};
use super::merge::Schemas;
use super::notes::Notes;
use crate::plan::target::columns::ColumnChoice;

/// How files are read and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// What the reader is asked for.
    pub(crate) structure: Vec<ReadAs>,
    /// What comes out, in the order of the target.
    pub(crate) outputs: Vec<Output>,
    /// Columns that are read to be left out.
    pub(crate) left_out: Vec<String>,
    /// Columns of the files that are named like virtual ones.
    pub(crate) own: Vec<String>,
    /// What a person should know.
    pub(crate) notes: Notes,
}

/// What is to be laid out.
pub(crate) struct Request<'a> {
    pub(crate) targets: &'a [Target],
    pub(crate) schemas: &'a Schemas,
    pub(crate) how: &'a How<'a>,
    pub(crate) choice: &'a ColumnChoice,
    /// Only some of the files were looked at.
    pub(crate) is_sample: bool,
}
