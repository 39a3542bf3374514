//! The grants that each role needs: the one list, printed by `doctor --grants` and checked by `doctor`.
//!
//! Each line was taken away in a test, and the job failed naming it (`tests/e2e/grants.rs`).

use std::collections::BTreeSet;

use clap::ValueEnum;
use longshore_shared::schema::{Graph, Needs};
use longshore_shared::sql::quote_identifier;
use longshore_shared::task::{PublishMode, Source, SourceFunction, TableName};
use serde::Serialize;

/// Why a definition must be visible.
const COMPARED: &str = "definitions are compared before each load";
/// What `--durable` asks for.
pub(crate) const SYNC: &str = "SYSTEM SYNC FILE CACHE";
const WAIT: &str = "SYSTEM WAIT LOADING PARTS";
const LISTED_LATE: &str = "a server that was just started lists some parts late";
const LEFT_IN_KEEPER: &str =
    "gc: staging tables that a killed server did not finish to make or to drop";
const UNFINISHED: &str = "a change that is still in the queue must not be undone";

/// What a ClickHouse user does for Longshore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Makes the control tables, plans, submits and watches: `longshore`
    Planner,
    /// Loads: `longshore-worker`
    Worker,
    /// Looks only: `status`, `tasks`, `task`, `plan show`, `doctor`
    Reader,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Planner, Self::Worker, Self::Reader];

    /// As printed, and the user's name when none is given.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Planner => "planner",
            Self::Worker => "worker",
            Self::Reader => "reader",
        }
    }
}

/// What the grants are for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Database of the control tables.
    pub(crate) control: String,
    /// Database of the staging tables.
    pub(crate) staging: String,
    /// Tables that rows end in, and their engines.
    pub(crate) tables: Vec<(TableName, String)>,
    /// Views that fire on them.
    pub(crate) views: Vec<TableName>,
    /// Tables that the views read besides.
    pub(crate) read: Vec<TableName>,
    /// Dictionaries that views and columns use.
    pub(crate) dictionaries: Vec<TableName>,
    /// How the files are read.
    pub(crate) source: Option<SourceFunction>,
    /// Named collection on the server.
    pub(crate) collection: Option<String>,
    /// How rows become visible.
    pub(crate) publish: PublishMode,
    /// Tables that are copied or replayed.
    pub(crate) copied: Vec<TableName>,
    /// Some of them are on another server.
    pub(crate) is_remote: bool,
    /// Everything is synced before a receipt.
    pub(crate) durable: bool,
}

impl Scope {
    /// Adds a target with everything that depends on it.
    #[must_use]
    pub(crate) fn with_graph(mut self, graph: &Graph, needs: Needs) -> Self {
        self.tables = graph.tables.iter().map(|t| (t.name.clone(), t.engine.clone())).collect();
        self.views = graph.views.iter().map(|view| view.name.clone()).collect();
        self.read = needs.tables.into_iter().collect();
        self.dictionaries = needs.dictionaries.into_iter().collect();
        self
    }

    /// Adds what a plan reads.
    #[must_use]
    pub(crate) fn with_source(mut self, source: &Source) -> Self {
        match source {
            Source::Files(source) => {
                self.source = Some(source.function);
                self.collection.clone_from(&source.named_collection);
            }
            Source::Tables(tables) => {
                let remote = tables.feeds.iter().find_map(|feed| feed.remote.as_ref());
                self.is_remote = remote.is_some();
                self.collection = remote.map(|remote| remote.collection.clone());
                let local = tables.feeds.iter().filter(|feed| feed.remote.is_none());
                self.copied = local.map(|feed| feed.origin.clone()).collect();
            }
        }
        self
    }

    /// Adds what publishing asks for.
    #[must_use]
    pub(crate) fn with_publish(mut self, mode: PublishMode) -> Self {
        self.publish = mode;
        self
    }

    /// Adds what a durable job asks for.
    #[must_use]
    pub(crate) fn with_durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Is it known what will be read?
    pub(crate) fn knows_source(&self) -> bool {
        self.source.is_some() || self.is_remote || !self.copied.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Grant {
    /// `SELECT, INSERT`
    pub(crate) privileges: String,
    /// `` `longshore`.* ``, quoted.
    pub(crate) on: String,
    /// What for.
    pub(crate) why: &'static str,
}

impl Grant {
    pub(crate) fn statement(&self, user: &str) -> String {
        format!("GRANT {} ON {} TO {};", self.privileges, self.on, name(user))
    }
}

/// Everything that a role needs.
pub(crate) fn grants(role: Role, scope: &Scope) -> Vec<Grant> {
    let mut list = List(Vec::new());
    match role {
        Role::Planner => planner(&mut list, scope),
        Role::Worker => worker(&mut list, scope),
        Role::Reader => reader(&mut list, scope),
    }
    list.0
}

struct List(Vec<Grant>);

impl List {
    fn add(&mut self, privileges: &str, on: impl Into<String>, why: &'static str) {
        self.0.push(Grant { privileges: privileges.to_owned(), on: on.into(), why });
    }

    fn system(&mut self, table: &str, why: &'static str) {
        self.add("SELECT", format!("system.{table}"), why);
    }

    fn engines<'a>(&mut self, engines: impl IntoIterator<Item = &'a str>, why: &'static str) {
        for engine in engines {
            self.add("TABLE ENGINE", engine, why);
        }
    }

    fn source(&mut self, scope: &Scope) {
        if let Some(function) = scope.source {
            self.add("READ", source_type(function), "the files");
        }
        if scope.is_remote {
            self.add("READ", "REMOTE", "the table on another server");
        }
        for table in &scope.copied {
            self.add("SELECT", table.to_string(), "the table that is read");
        }
        if let Some(collection) = &scope.collection {
            self.add("NAMED COLLECTION", name(collection), "address and keys of the source");
        }
    }
}

fn planner(list: &mut List, scope: &Scope) {
    let (control, staging) = (all_of(&scope.control), all_of(&scope.staging));
    list.add("CREATE DATABASE, CREATE TABLE", &control, "init: the control tables");
    list.add("SELECT, INSERT, ALTER UPDATE", &control, "plans, jobs and tasks");
    list.add("CREATE DATABASE", &staging, "init: where workers stage");
    list.add(
        "CREATE TABLE, DROP TABLE, SELECT, INSERT",
        &staging,
        "a plan tries its staging tables and view clones, empty",
    );
    list.engines(["Atomic", "KeeperMap", "MergeTree", "ReplacingMergeTree"], "init");
    let known = ["MergeTree", "ReplacingMergeTree"];
    list.engines(
        engines(scope).into_iter().filter(|engine| !known.contains(engine)),
        "staging twins of the target's tables",
    );
    see_tables(list, scope);
    see_views(list, scope);
    read_others(list, scope);
    list.source(scope);
    if scope.publish.has_last_task() {
        shadows(list, scope);
        list.system("parts", "where the target stands: what comes later is told");
    }
    if scope.publish.has_last_task() || !scope.copied.is_empty() {
        list.system("mutations", UNFINISHED);
    }
    if scope.durable {
        list.add(SYNC, "*.*", "--durable: it is tried when the plan is made");
    }
    if engines(scope).iter().any(|engine| engine.starts_with("Replicated")) {
        list.system("zookeeper", LEFT_IN_KEEPER);
        list.system("replicas", LEFT_IN_KEEPER);
        list.add("SYSTEM DROP REPLICA", "*.*", LEFT_IN_KEEPER);
        for table in ["replicated_merge_tree_settings", "storage_policies", "disks"] {
            list.system(table, "replicas that share files are not loaded");
        }
    }
    list.system("view_refreshes", "views that run by the clock cannot be staged");
    list.system("server_settings", "which server a plan is made on, and what it is like");
}

fn worker(list: &mut List, scope: &Scope) {
    let (control, staging) = (all_of(&scope.control), all_of(&scope.staging));
    list.add("SELECT, INSERT, ALTER UPDATE", &control, "tasks, leases, receipts");
    list.add(
        "ALTER DELETE",
        format!("{}.workers", name(&scope.control)),
        "a worker that leaves takes its row away",
    );
    list.add(
        "CREATE TABLE, DROP TABLE, SELECT, INSERT, ALTER DELETE",
        &staging,
        "staging tables and view clones; a MOVE takes rows away from staging",
    );
    list.engines(engines(scope), "staging twins of the target's tables");
    for (table, engine) in &scope.tables {
        // INSERT lets the user see the table too.
        if engine == "Null" {
            list.add("SHOW COLUMNS", table.to_string(), COMPARED);
        } else {
            list.add("INSERT", table.to_string(), "publish");
        }
        // Shadows that are exchanged are in the same database: there it is granted as a whole.
        if engine.ends_with("MergeTree") && scope.publish != PublishMode::Exchange {
            list.add(WAIT, table.to_string(), LISTED_LATE);
        }
    }
    see_views(list, scope);
    read_others(list, scope);
    list.source(scope);
    shadows(list, scope);
    if scope.publish == PublishMode::Exchange {
        for database in databases(scope) {
            list.add(WAIT, all_of(database), LISTED_LATE);
        }
    }
    if scope.publish == PublishMode::Replace {
        list.add(WAIT, &staging, LISTED_LATE);
        for (table, _) in &scope.tables {
            list.add("ALTER DELETE", table.to_string(), "old partitions are replaced");
        }
    }
    if scope.durable {
        list.add(SYNC, "*.*", "--durable: what a receipt proves is on disk before it");
    }
    list.system("parts", "what is staged, and what is in the target already");
    list.system(
        "detached_parts",
        "the closing audit: parts that the server has set aside as broken",
    );
    list.system("replicas", "whether a replicated target knows its parts");
    if engines(scope).iter().any(|engine| engine.starts_with("Replicated")) {
        list.system(
            "zookeeper",
            "whether Keeper knows a part; --replicas-wait: what each replica has",
        );
        list.system(
            "replicated_merge_tree_settings",
            "how long a merged part of a replicated table can be proved",
        );
    }
    if scope.publish.has_last_task() {
        list.system("mutations", UNFINISHED);
    }
    list.system("processes", "the fence: nothing of an older attempt runs any more");
    list.system("query_log", "how a statement ended whose answer was lost");
    list.system("merge_tree_settings", "how long a merged part can be proved");
    list.system("server_settings", "loads are fitted to the server's memory");
}

fn reader(list: &mut List, scope: &Scope) {
    list.add("SELECT", all_of(&scope.control), "plans, jobs, tasks, receipts");
    list.add("SHOW TABLES", all_of(&scope.staging), "doctor: staging tables that were left");
    see_tables(list, scope);
    see_views(list, scope);
    for table in [
        "processes",
        "parts",
        "detached_parts",
        "replicas",
        "disks",
        "merge_tree_settings",
        "server_settings",
        "metrics",
        "view_refreshes",
    ] {
        list.system(table, "doctor");
    }
}

fn databases(scope: &Scope) -> BTreeSet<&str> {
    scope.tables.iter().map(|(table, _)| table.database.as_str()).collect()
}

/// An exchange makes, fills and renames tables beside its target.
fn shadows(list: &mut List, scope: &Scope) {
    if scope.publish != PublishMode::Exchange {
        return;
    }
    for database in databases(scope) {
        list.add(
            "CREATE TABLE, DROP TABLE, SELECT, INSERT",
            all_of(database),
            "the shadow of the target, its exchange, and the old table that is kept",
        );
    }
}

fn see_tables(list: &mut List, scope: &Scope) {
    for (table, _) in &scope.tables {
        list.add("SHOW COLUMNS", table.to_string(), COMPARED);
    }
}

fn see_views(list: &mut List, scope: &Scope) {
    for view in &scope.views {
        list.add("SHOW COLUMNS", view.to_string(), COMPARED);
    }
}

/// A view clone is made by its own user, who must be able to read what its query reads.
fn read_others(list: &mut List, scope: &Scope) {
    for table in &scope.read {
        list.add("SELECT", table.to_string(), "a view reads it");
    }
    for dictionary in &scope.dictionaries {
        list.add("dictGet", dictionary.to_string(), "a view or a column uses it");
    }
}

fn engines(scope: &Scope) -> BTreeSet<&str> {
    scope.tables.iter().map(|(_, engine)| engine.as_str()).collect()
}

fn all_of(database: &str) -> String {
    format!("{}.*", name(database))
}

/// A name as a person would write it.
pub(crate) fn name(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain && !text.is_empty() { text.to_owned() } else { quote_identifier(text) }
}

fn source_type(function: SourceFunction) -> &'static str {
    match function {
        SourceFunction::S3 | SourceFunction::Gcs => "S3",
        SourceFunction::Azure => "AZURE",
        SourceFunction::Url => "URL",
        SourceFunction::File => "FILE",
        SourceFunction::Hdfs => "HDFS",
    }
}
