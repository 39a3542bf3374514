//! The folder with the logs of local worker processes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use longshore_shared::redact;

use crate::ui::error::{Error, Kind, Report};

/// Of a worker's log, what is shown when it fails.
const TAIL_BYTES_MAX: u64 = 4_096;
const TAIL_LINES_MAX: usize = 12;

/// A folder with one log a worker.
pub(crate) struct Logs {
    folder: PathBuf,
    /// Made by us, under a name of its own.
    is_ours: bool,
}

impl Logs {
    /// The named folder, or a new one among the temporary files.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Error> {
        let folder = named.map_or_else(fresh, Path::to_owned);
        // Logs name tables and files of the job: nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| {
            let place = folder.display();
            let message = format!("cannot make the folder for the workers' logs, {place}: {error}");
            Report::new(Kind::Error, message).help("name another one with --log-dir")
        })?;
        Ok(Self { folder, is_ours: named.is_none() })
    }

    /// Where the logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A worker's log, to be written at its end.
    pub(crate) fn file(&self, worker: usize) -> Result<File, Error> {
        let path = self.path(worker);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.map_err(|error| {
            let message = format!("cannot write the log {}: {error}", path.display());
            Report::new(Kind::Error, message).into()
        })
    }

    /// The last lines of a worker's log, to go below a message.
    pub(crate) fn tail(&self, worker: usize) -> String {
        match read_tail(&self.path(worker)) {
            Ok(tail) if !tail.is_empty() => {
                format!("; its log ends with:\n{}", redact::scrub(&tail))
            }
            _ => String::new(),
        }
    }

    /// Removes a folder that we made.
    pub(crate) fn remove(&self) {
        if self.is_ours
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::debug!(%error, folder = %self.folder.display(), "logs stay");
        }
    }

    fn path(&self, worker: usize) -> PathBuf {
        self.folder.join(format!("worker-{worker}.log"))
    }
}

fn fresh() -> PathBuf {
    let life = uuid::Uuid::new_v4().simple().to_string();
    std::env::temp_dir().join(format!("longshore-run-{life}"))
}

fn read_tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES_MAX);
    let lines = lines[first..].iter().map(|line| format!("  {line}"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn shows_the_last_lines_and_leaves_nothing_behind() {
        let logs = Logs::open(None).expect("temporary files can be made");
        assert_eq!(logs.tail(1), "");
        let mut file = logs.file(1).expect("a log can be made");
        for line in 0..1_000 {
            writeln!(file, "line {line}").expect("the log can be written");
        }
        let tail = logs.tail(1);
        assert!(tail.ends_with("  line 999") && !tail.contains("line 987\n"), "{tail}");
        logs.remove();
        assert!(!logs.folder().exists());
    }
}
