//! Destroys rows of tables on the disk, while their server is down.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scene::Scene;

/// Where the parts of a scene's tables are, targets and staging tables. Asked for while the server runs.
pub struct PartFolders(Vec<PathBuf>);

impl PartFolders {
    /// Empty when the server does not say.
    pub fn of(scene: &Scene) -> Self {
        let asked = scene.admin.try_rows(&format!(
            "SELECT arrayJoin(data_paths) FROM system.tables WHERE database IN ('{}', '{}') \
             AND engine LIKE '%MergeTree' AND name != 'source' AND name NOT LIKE '%snapshot%'",
            scene.db, scene.staging
        ));
        Self(asked.unwrap_or_default().into_iter().flatten().map(PathBuf::from).collect())
    }

    /// Cuts a file of one part in half, as a disk does that lost its last writes. False: there is none.
    pub fn cut_a_part(&self, pick: usize) -> bool {
        let mut files: Vec<PathBuf> =
            self.0.iter().flat_map(|folder| below(folder)).flat_map(|part| below(&part)).collect();
        files.retain(|file| holds_values(file));
        files.sort();
        files.get(pick % files.len().max(1)).is_some_and(|file| cut(file))
    }
}

/// Cuts the first file with values of this part in half.
///
/// # Panics
/// When there is none, or it cannot be written.
pub fn cut_part(folder: &Path) {
    let mut files: Vec<PathBuf> =
        below(folder).into_iter().filter(|file| holds_values(file)).collect();
    files.sort();
    assert!(files.first().is_some_and(|file| cut(file)), "{} has no file to cut", folder.display());
}

fn holds_values(file: &Path) -> bool {
    file.extension().is_some_and(|ext| ext == "bin")
        && fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.len() > 1)
}

fn cut(file: &Path) -> bool {
    let length = fs::metadata(file).map_or(0, |facts| facts.len());
    let opened = fs::OpenOptions::new().write(true).open(file);
    opened.and_then(|file| file.set_len(length / 2)).is_ok()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
