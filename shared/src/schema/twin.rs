//! The engine of a staging twin: that of its target, with settings and a Keeper path of its own.
//!
//! The engine is written out. `CREATE TABLE twin AS target SETTINGS …` without an engine keeps it on
//! 26.7 only: 25.8 makes a plain MergeTree of a Summing or Replicated table, and 24.8 takes the settings
//! for those of the statement. Columns, indexes, projections and constraints still come from
//! `AS target`, and keys are the server's own text: MOVE compares them as text.

use uuid::Uuid;

use super::definition::{closing, engine_at, listed, settings_at, text, without_comment};
use super::tokens::{Kind, tokens};
use crate::sql::quote_literal;

/// Where staging twins of replicated tables are in Keeper. Each server has a folder of its own there: what
/// it left when it was killed is known by that.
const KEEPER_FOLDER: &str = "/longshore/staging";
/// The only replica of such a twin: nobody else fetches what an attempt stages.
const ONLY_REPLICA: &str = "'only'";

/// What a definition says after its columns.
#[derive(Debug, PartialEq, Eq)]
struct Storage {
    engine: String,
    /// Arguments of the engine, as the server writes them.
    arguments: Vec<String>,
    /// Partition, keys, sampling and TTL.
    clauses: String,
    /// Names and values.
    settings: Vec<(String, String)>,
}

/// `ENGINE = … SETTINGS …` of a twin of the table with this definition; `own` settings win over those of
/// the target. None when the definition is not one of a MergeTree that can be taken apart.
pub(super) fn twin_engine(definition: &str, staging: &str, own: &[(&str, &str)]) -> Option<String> {
    let storage = storage(definition)?;
    // How such a table names its twins' paths is its service's own.
    if !storage.engine.ends_with("MergeTree") || storage.engine.starts_with("Shared") {
        return None;
    }
    let mut arguments = storage.arguments;
    if storage.engine.starts_with("Replicated") {
        let is_text = |at: usize| arguments.get(at).is_some_and(|text| text.starts_with('\''));
        let given = if is_text(0) && is_text(1) { 2 } else { 0 };
        let keeper = arguments.first().filter(|_| given == 2).map_or("", |path| auxiliary(path));
        // The server fills in who it is.
        let folder = twins_in_keeper(staging, "{server_uuid}");
        let path = format!("{keeper}{folder}/{}", Uuid::new_v4().simple());
        arguments.splice(..given, [quote_literal(&path), ONLY_REPLICA.to_owned()]);
    }
    Some(written(&storage.engine, &arguments, &storage.clauses, &storage.settings, own))
}

/// `ENGINE = MergeTree … SETTINGS …` of a table of this server alone that can take the parts of the
/// replicated table with this definition. None when that is not a replicated one.
pub(super) fn unreplicated_engine(definition: &str, own: &[(&str, &str)]) -> Option<String> {
    let storage = storage(definition)?;
    let is_replicated =
        storage.engine.starts_with("Replicated") && storage.engine.ends_with("MergeTree");
    is_replicated.then(|| written("MergeTree", &[], &storage.clauses, &storage.settings, own))
}

/// The value of a setting that a table sets itself, as the server writes it.
#[must_use]
pub fn own_setting(definition: &str, name: &str) -> Option<String> {
    let settings = storage(definition)?.settings;
    settings.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn written(
    engine: &str,
    arguments: &[String],
    clauses: &str,
    settings: &[(String, String)],
    own: &[(&str, &str)],
) -> String {
    let arguments = match arguments {
        [] => String::new(),
        all => format!("({})", all.join(", ")),
    };
    let is_own = |name: &str| own.iter().any(|(known, _)| *known == name);
    let kept = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<String> = own
        .iter()
        .copied()
        .chain(kept.filter(|(name, _)| !is_own(name)))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let clauses = match clauses {
        "" => String::new(),
        clauses => format!(" {clauses}"),
    };
    let settings = match settings.as_slice() {
        [] => String::new(),
        all => format!(" SETTINGS {}", all.join(", ")),
    };
    format!("ENGINE = {engine}{arguments}{clauses}{settings}")
}

/// The folder in Keeper of all replicated staging twins of one server.
pub fn twins_in_keeper(staging: &str, server_uuid: &str) -> String {
    format!("{KEEPER_FOLDER}/{staging}/{server_uuid}")
}

/// `name:` of a path in an auxiliary Keeper: both tables of a MOVE are in one.
fn auxiliary(path: &str) -> &str {
    let path = path.trim_start_matches('\'');
    match path.split_once(":/") {
        Some((name, _)) if !name.contains('/') => &path[..=name.len()],
        _ => "",
    }
}

fn storage(definition: &str) -> Option<Storage> {
    let all = tokens(definition);
    let name_at = engine_at(&all)?;
    let engine = all[name_at].name()?.to_owned();
    let mut rest = &all[name_at + 1..];
    let mut arguments = Vec::new();
    let first = rest.iter().position(|token| token.kind != Kind::Gap);
    if let Some(open) = first.filter(|at| rest[*at].is_symbol('(')) {
        let end = open + closing(&rest[open..])?;
        arguments = listed(&rest[open + 1..end]);
        rest = &rest[end + 1..];
    }
    let rest = without_comment(rest);
    let at = settings_at(rest);
    let clauses = text(&rest[..at.unwrap_or(rest.len())]);
    let settings = listed(at.map_or(&[], |at| &rest[at + 1..]))
        .iter()
        .map(|setting| {
            let (name, value) = setting.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(Storage { engine, arguments, clauses, settings })
}

#[cfg(test)]
mod tests {
    use super::{own_setting, twin_engine, unreplicated_engine};

    const OWN: &[(&str, &str)] = &[("assign_part_uuids", "1"), ("index_granularity", "5")];

    fn of(engine: &str) -> String {
        let text = format!("CREATE TABLE a.b (`id` UInt64, `settings` UInt8) ENGINE = {engine}");
        let made = twin_engine(&text, "stage", OWN).unwrap();
        match made.split_once("/{server_uuid}/") {
            Some((head, tail)) => format!("{head}/{{server_uuid}}/UUID{}", &tail[32..]),
            None => made,
        }
    }

    #[test]
    fn a_plain_table_keeps_engine_keys_and_settings() {
        assert_eq!(
            of(
                "SummingMergeTree((a)) PARTITION BY toYYYYMM(d) PRIMARY KEY s ORDER BY (s, d) TTL d + toIntervalYear(20) \
                SETTINGS index_granularity = 1000, storage_policy = 'a, b' COMMENT 'SETTINGS x = 1'"
            ),
            "ENGINE = SummingMergeTree((a)) PARTITION BY toYYYYMM(d) PRIMARY KEY s ORDER BY (s, d) TTL d + toIntervalYear(20) \
             SETTINGS assign_part_uuids = 1, index_granularity = 5, storage_policy = 'a, b'"
        );
        assert_eq!(
            of("MergeTree ORDER BY tuple()"),
            "ENGINE = MergeTree ORDER BY tuple() SETTINGS assign_part_uuids = 1, index_granularity = 5"
        );
    }

    #[test]
    fn columns_may_be_called_like_keywords() {
        assert_eq!(
            of("MergeTree ORDER BY (settings, comment) SETTINGS index_granularity = 8192"),
            "ENGINE = MergeTree ORDER BY (settings, comment) SETTINGS assign_part_uuids = 1, index_granularity = 5"
        );
        assert_eq!(
            of("MergeTree ORDER BY settings"),
            "ENGINE = MergeTree ORDER BY settings SETTINGS assign_part_uuids = 1, index_granularity = 5"
        );
    }

    #[test]
    fn a_replicated_table_gets_a_path_of_its_own() {
        let tail = "ORDER BY id SETTINGS assign_part_uuids = 1, index_granularity = 5";
        assert_eq!(
            of("ReplicatedMergeTree('/clickhouse/tables/{shard}/b', '{replica}') ORDER BY id"),
            format!(
                "ENGINE = ReplicatedMergeTree('/longshore/staging/stage/{{server_uuid}}/UUID', 'only') {tail}"
            )
        );
        assert_eq!(
            of(
                "ReplicatedReplacingMergeTree('/t/{uuid}/{shard}', '{replica}', v, gone) ORDER BY id"
            ),
            format!(
                "ENGINE = ReplicatedReplacingMergeTree('/longshore/staging/stage/{{server_uuid}}/UUID', 'only', v, gone) {tail}"
            )
        );
        assert_eq!(
            of("ReplicatedSummingMergeTree ORDER BY id"),
            format!(
                "ENGINE = ReplicatedSummingMergeTree('/longshore/staging/stage/{{server_uuid}}/UUID', 'only') {tail}"
            )
        );
        assert_eq!(
            of("ReplicatedMergeTree('second:/t/b', 'r1') ORDER BY id"),
            format!(
                "ENGINE = ReplicatedMergeTree('second:/longshore/staging/stage/{{server_uuid}}/UUID', 'only') {tail}"
            )
        );
    }

    #[test]
    fn other_engines_are_left_to_the_server() {
        let text = "CREATE TABLE a.b (`id` UInt64) ENGINE = ";
        for engine in ["Null", "SharedMergeTree('/a/{uuid}', '{replica}') ORDER BY id"] {
            assert_eq!(twin_engine(&format!("{text}{engine}"), "stage", OWN), None, "{engine}");
        }
        assert_eq!(twin_engine("", "stage", OWN), None);
    }

    #[test]
    fn a_snapshot_of_a_replicated_table_is_of_one_server() {
        let text = "CREATE TABLE a.b (`id` UInt64) ENGINE = ReplicatedSummingMergeTree('/t/{uuid}', '{replica}', (n)) \
                    PARTITION BY d ORDER BY id SETTINGS index_granularity = 8192";
        assert_eq!(
            unreplicated_engine(text, OWN).as_deref(),
            Some(
                "ENGINE = MergeTree PARTITION BY d ORDER BY id SETTINGS assign_part_uuids = 1, index_granularity = 5"
            )
        );
        let plain = text.replace("Replicated", "");
        assert_eq!(unreplicated_engine(&plain, OWN), None);
        assert_eq!(unreplicated_engine(&text.replace("Replicated", "Shared"), OWN), None);
    }

    #[test]
    fn a_tables_own_setting_is_read() {
        let text = "CREATE TABLE a.b (`id` UInt64 COMMENT 'x = 1') ENGINE = MergeTree ORDER BY id \
                    SETTINGS index_granularity = 8192, x = 0 COMMENT 'SETTINGS x = 2'";
        assert_eq!(own_setting(text, "x").as_deref(), Some("0"));
        assert_eq!(own_setting(text, "y"), None);
    }
}
