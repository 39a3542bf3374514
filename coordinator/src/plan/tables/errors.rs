//! What can go wrong while a plan is made, as a user sees it.

use super::engines::instead;
use super::snapshot::SnapshotError;
use crate::plan::cut::CutError;
use crate::ui::error::{Error, Kind, Report};

impl From<CutError> for Error {
    fn from(error: CutError) -> Self {
        let help = match &error {
            CutError::Failure(failure) => return failure.clone().into(),
            CutError::NoTable(_) => {
                "names are case-sensitive; the user needs SELECT on it".to_owned()
            }
            CutError::Engine { table, engine } => instead(table, engine),
            CutError::Restless(_) => "try again, or give --snapshot".to_owned(),
        };
        Report::new(Kind::Usage, error.to_string()).help(help).into()
    }
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Failure(failure) => failure.into(),
            SnapshotError::Refused { .. } => Report::new(Kind::Usage, error.to_string())
                .help("--no-snapshot reads the table as it is when a chunk is loaded")
                .into(),
        }
    }
}
