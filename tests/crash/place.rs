//! Where a kill hits: seen from outside before it, and in the server's own lists after it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use longshore_tests::{Scene, Tasks, literal, name, wait_for};

/// Folders of the parts of all tables in a database, as the kernel shows them: a look at them
/// needs no answer of the server.
pub(crate) struct Folders(Vec<PathBuf>);

/// What is in the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Parts under their final name.
    pub(crate) parts: BTreeSet<PathBuf>,
    /// Copies that a MOVE is about to give their final name.
    pub(crate) clones: BTreeSet<PathBuf>,
}

impl Folders {
    /// The tables that a database has now.
    pub(crate) fn of(scene: &Scene, database: &str) -> Self {
        Self::select(scene, &format!("database = {}", literal(database)))
    }

    /// One target table.
    pub(crate) fn of_table(scene: &Scene, table: &str) -> Self {
        let database = literal(&scene.db);
        Self::select(scene, &format!("database = {database} AND name = {}", literal(table)))
    }

    fn select(scene: &Scene, filter: &str) -> Self {
        let paths = scene
            .admin
            .column(&format!("SELECT arrayJoin(data_paths) FROM system.tables WHERE {filter}"));
        assert!(!paths.is_empty(), "no table on disk has {filter}");
        Self(paths.into_iter().map(PathBuf::from).collect())
    }

    /// The parts in all of them.
    pub(crate) fn list_parts(&self) -> Seen {
        let (mut parts, mut clones) = (BTreeSet::new(), BTreeSet::new());
        // A folder that the server removes at this moment is no part.
        for entry in self.0.iter().filter_map(|path| fs::read_dir(path).ok()).flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("tmp_move_from") {
                clones.insert(entry.path());
            } else if name.starts_with("all_") || name.starts_with(|c: char| c.is_ascii_digit()) {
                parts.insert(entry.path());
            }
        }
        Seen { parts, clones }
    }
}

/// Where the parts of one staged partition were when the server came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Found {
    /// All staged parts, none of them in the target.
    Source,
    /// All in the staging table, some of them in the target too.
    PartlyBoth,
    /// All in both tables.
    Both,
    /// All in the target, some of them still in the staging table.
    PartlyMoved,
    /// None is left in the staging table.
    Target,
}

impl Found {
    /// Would a MOVE that is sent again double rows?
    pub(crate) fn is_both(self) -> bool {
        matches!(self, Self::PartlyBoth | Self::Both | Self::PartlyMoved)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::PartlyBoth => "partly_both",
            Self::Both => "both",
            Self::PartlyMoved => "partly_moved",
            Self::Target => "target",
        }
    }
}

/// Waits until the staging tables that are replicated have done what Keeper says of them: a MOVE that Keeper
/// knows as done takes the staged parts away a moment later.
pub(crate) fn settle_replicas(scene: &Scene) {
    let staged = literal(&scene.staging);
    let tables = scene.admin.column(&format!(
        "SELECT name FROM system.tables WHERE database = {staged} AND engine LIKE 'Replicated%'"
    ));
    for table in tables {
        let table = format!("{}.{}", scene.staging, name(&table));
        wait_for(&format!("{table} is settled"), || {
            scene.admin.try_run(&format!("SYSTEM SYNC REPLICA {table}")).ok()
        });
    }
}

/// The staged partitions of tasks that are in publishing, before anybody reconciles them.
pub(crate) fn classify(scene: &Scene, tasks: &Tasks) -> Vec<Found> {
    let publishing = tasks.0.iter().filter(|task| task.state == "publishing");
    let prefixes: Vec<String> = publishing.map(|task| task.id.replace('-', "_") + "_e").collect();
    if prefixes.is_empty() {
        return Vec::new();
    }
    let rows = scene.admin.rows(&format!(
        "SELECT table, countIf(rows > 0), countIf(rows = 0), \
         countIf(rows > 0 AND toString(part.uuid) IN \
             (SELECT toString(moved.uuid) FROM system.parts AS moved WHERE moved.database = {})) \
         FROM system.parts AS part WHERE part.database = {} AND part.active \
         GROUP BY part.table, part.partition_id",
        literal(&scene.db),
        literal(&scene.staging),
    ));
    let ours = rows.iter().filter(|row| prefixes.iter().any(|prefix| row[0].starts_with(prefix)));
    ours.map(|row| {
        let [staged, emptied, both] = [1, 2, 3].map(|at| row[at].parse::<u64>().expect("a count"));
        match (staged, both, emptied) {
            (0, _, _) => Found::Target,
            (_, 0, 0) => Found::Source,
            (staged, both, 0) if both < staged => Found::PartlyBoth,
            (_, _, 0) => Found::Both,
            _ => Found::PartlyMoved,
        }
    })
    .collect()
}
