//! The catalogue of SQL statements and the only place where names and literals are quoted.
//!
//! Each statement is a file in `sql/`. Values travel as server-side parameters (`{x:String}`);
//! identifiers and literals that the server's grammar takes no parameter for
//! (`MOVE PARTITION … TO TABLE`, `CREATE TABLE … AS`, engine arguments) are rendered here.

/// One SQL statement of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// File name in `sql/` without its ending.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! catalogue {
    ($($constant:ident = $file:literal),* $(,)?) => {
        $(
            #[doc = concat!("`sql/", $file, ".sql`")]
            pub const $constant: Statement = Statement {
                name: $file,
                text: include_str!(concat!("../sql/", $file, ".sql")),
            };
        )*
        /// Every statement, for the test that holds the folder and the catalogue together.
        pub const ALL: &[Statement] = &[$($constant),*];
    };
}

catalogue! {
    ADD_RECEIPT_COLUMNS = "add_receipt_columns",
    ATTACH_SNAPSHOT = "attach_snapshot",
    AUDIT_LOST = "audit_lost",
    AUDIT_MERGED = "audit_merged",
    AUDIT_RECEIPTS = "audit_receipts",
    AUDIT_RESTARTED = "audit_restarted",
    AUDIT_ROWS = "audit_rows",
    AUDIT_STRANGERS = "audit_strangers",
    BEAT_WORKER = "beat_worker",
    CHECK_SYNTAX = "check_syntax",
    COUNT_CURSOR_ROWS = "count_cursor_rows",
    COUNT_QUERIES = "count_queries",
    COUNT_DETACHED = "count_detached",
    COUNT_RECEIVED = "count_received",
    COUNT_REMEMBERED = "count_remembered",
    COUNT_STAGED_PARTS = "count_staged_parts",
    COUNT_STAMPED = "count_stamped",
    COUNT_KEEPER_PARTS = "count_keeper_parts",
    COUNT_TASK_ROWS = "count_task_rows",
    CREATE_ATTEMPTS = "create_attempts",
    CREATE_CURSORS = "create_cursors",
    CREATE_DATABASE = "create_database",
    CREATE_JOBS = "create_jobs",
    CREATE_MANIFESTS = "create_manifests",
    CREATE_META = "create_meta",
    CREATE_RECEIPTS = "create_receipts",
    CREATE_SNAPSHOT = "create_snapshot",
    CREATE_TASKS = "create_tasks",
    CREATE_WORKERS = "create_workers",
    DATABASE_ENGINE = "database_engine",
    DELETE_CURSOR = "delete_cursor",
    DELETE_JOB = "delete_job",
    DELETE_TASKS = "delete_tasks",
    DELETE_WORKER = "delete_worker",
    DROP_DATABASE = "drop_database",
    DROP_KEEPER_PATH = "drop_keeper_path",
    DROP_PART = "drop_part",
    DROP_PARTITION = "drop_partition",
    DROP_TABLE = "drop_table",
    DROP_VIEW = "drop_view",
    EXCHANGE_TABLES = "exchange_tables",
    FIND_ENVIRONMENT = "find_environment",
    FIND_PARTS = "find_parts",
    FIND_PLAIN_PARTS = "find_plain_parts",
    FIND_QUERY = "find_query",
    FIND_RECEIPT = "find_receipt",
    FIND_STAGED = "find_staged",
    FIND_TABLES = "find_tables",
    FIND_UNSETTLED = "find_unsettled",
    FORGET_MANIFESTS = "forget_manifests",
    FORGET_RECEIPTS = "forget_receipts",
    GET_CURSOR = "get_cursor",
    GET_FACTS = "get_facts",
    GET_JOB = "get_job",
    GET_META = "get_meta",
    GET_STAMP = "get_stamp",
    GET_TABLES = "get_tables",
    GET_UUIDS = "get_uuids",
    GET_TASK = "get_task",
    GET_WORKER = "get_worker",
    INSERT_META = "insert_meta",
    INSERT_WORKER = "insert_worker",
    KILL_QUERIES = "kill_queries",
    LIST_ATTEMPTS = "list_attempts",
    LIST_BLOCKS = "list_blocks",
    LIST_CHUNKS = "list_chunks",
    LIST_COLUMNS = "list_columns",
    LIST_DEFAULTS = "list_defaults",
    LIST_DISKS = "list_disks",
    LIST_HASHES = "list_hashes",
    LIST_JOBS = "list_jobs",
    LIST_KEEPER_PATHS = "list_keeper_paths",
    LIST_LEFTOVERS = "list_leftovers",
    LIST_MATCHING = "list_matching",
    LIST_META = "list_meta",
    LIST_MUTATIONS = "list_mutations",
    LIST_OWN_QUERIES = "list_own_queries",
    LIST_PARTS = "list_parts",
    LIST_PATCHES = "list_patches",
    LIST_PUBLISHED = "list_published",
    LIST_RECEIPTS = "list_receipts",
    LIST_REACHED = "list_reached",
    LIST_REPLICA_PARTS = "list_replica_parts",
    LIST_REMOTE_DISKS = "list_remote_disks",
    LIST_REFRESHABLE = "list_refreshable",
    LIST_SETTINGS = "list_settings",
    LIST_SHADOWS = "list_shadows",
    LIST_SOURCE_PARTS = "list_source_parts",
    LIST_STAGED_UUIDS = "list_staged_uuids",
    LIST_STAGING = "list_staging",
    LIST_STAMPS = "list_stamps",
    LIST_STREAMS = "list_streams",
    LIST_TASKS = "list_tasks",
    LIST_UNSETTLED = "list_unsettled",
    LIST_VIEWS = "list_views",
    LIST_VIEW_SOURCES = "list_view_sources",
    LIST_WITNESSES = "list_witnesses",
    LIST_WORKERS = "list_workers",
    LOST_PARTS = "lost_parts",
    MERGE_POOL = "merge_pool",
    MERGE_TREE_DEFAULT = "merge_tree_default",
    MOVE_PARTITION = "move_partition",
    MOVE_TABLE = "move_table",
    PARTITION_ROWS = "partition_rows",
    PARTS_LIMITS = "parts_limits",
    PRESSURE = "pressure",
    PROBE_RECEIPTS = "probe_receipts",
    PROBE_TABLE = "probe_table",
    QUERY_FATE = "query_fate",
    QUERY_PROGRESS = "query_progress",
    REFUSED_PARTS = "refused_parts",
    RENAME_TABLE = "rename_table",
    REPLACE_PARTITION = "replace_partition",
    REPLICA_FACTS = "replica_facts",
    REPLICATED_DEFAULT = "replicated_default",
    REPLAYED_PARTITIONS = "replayed_partitions",
    RESET_TASKS = "reset_tasks",
    SERVER_CLOCK = "server_clock",
    SERVER_FACTS = "server_facts",
    SERVER_STARTED = "server_started",
    SERVER_TIME = "server_time",
    SERVER_UPTIME = "server_uptime",
    SUM_RECEIPTS = "sum_receipts",
    SWAP_CURSOR = "swap_cursor",
    SWAP_JOB = "swap_job",
    SWAP_META = "swap_meta",
    SWAP_TASK = "swap_task",
    SYNC_DISKS = "sync_disks",
    TABLE_KEY = "table_key",
    TABLE_PARTS = "table_parts",
    TASK_PROCESSES = "task_processes",
    TASK_STATEMENTS = "task_statements",
    TELL_TASK = "tell_task",
    VOID_MANIFESTS = "void_manifests",
    VOID_RECEIPTS = "void_receipts",
    WAIT_LOADING = "wait_loading",
    WEIGH_TASKS = "weigh_tasks",
}

impl Statement {
    /// The statement's text without its heading comment, names and literals filled in.
    ///
    /// # Panics
    /// When a name or literal that the text asks for is not given: a bug in the caller,
    /// found by the first test that runs the statement.
    pub fn render(&self, bindings: &[Binding<'_>]) -> String {
        self.render_without(bindings, &[])
    }

    /// The same, without the assignments to these columns. Each has a line of its own in the file.
    ///
    /// # Panics
    /// When a column has no such line, and as [`Self::render`] does.
    pub fn render_without(&self, bindings: &[Binding<'_>], left: &[&str]) -> String {
        let column = |line: &'static str| line.trim_start().split_once(" = ").map(|(name, _)| name);
        for name in left {
            let has_line = self.text.lines().any(|line| column(line) == Some(name));
            assert!(has_line, "{}: {name} has no line of its own", self.name);
        }
        let body: String = self
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .filter(|line| column(line).is_none_or(|name| !left.contains(&name)))
            .collect::<Vec<_>>()
            .join("\n");
        // One pass: what a name or literal holds is never looked at again.
        let (mut rendered, mut rest, mut filled) = (String::new(), body.trim(), 0);
        while let Some((before, from)) = rest.find('{').map(|at| rest.split_at(at)) {
            let (place, after) = from.split_at(from.find('}').map_or(from.len(), |end| end + 1));
            rendered.push_str(before);
            match self.fill(place, bindings) {
                Some(quoted) => {
                    rendered.push_str(&quoted);
                    filled += 1;
                }
                None => rendered.push_str(place),
            }
            rest = after;
        }
        rendered.push_str(rest);
        assert!(filled >= bindings.len(), "{}: a name or literal has no place", self.name);
        rendered
    }

    /// What stands in a place of the text; none for a parameter of the server.
    fn fill(&self, place: &str, bindings: &[Binding<'_>]) -> Option<String> {
        let (key, kind) = place.trim_matches(['{', '}']).split_once(':')?;
        let found = bindings.iter().find_map(|binding| match (kind, binding) {
            ("Identifier", Binding::Name(name, value)) if *name == key => {
                Some(quote_identifier(value))
            }
            ("Literal", Binding::Text(name, value)) if *name == key => Some(quote_literal(value)),
            _ => None,
        });
        let is_ours = matches!(kind, "Identifier" | "Literal");
        assert!(!is_ours || found.is_some(), "{}: {place} was not given", self.name);
        found
    }
}

/// A value that is rendered into the text, because the server takes no parameter there.
#[derive(Debug, Clone, Copy)]
pub enum Binding<'a> {
    /// Fills `{key:Identifier}`.
    Name(&'a str, &'a str),
    /// Fills `{key:Literal}`.
    Text(&'a str, &'a str),
}

/// Quotes a name for any place where ClickHouse expects an identifier.
pub fn quote_identifier(name: &str) -> String {
    quote(name, '`')
}

/// Quotes text as a ClickHouse string literal.
pub fn quote_literal(text: &str) -> String {
    quote(text, '\'')
}

/// `db`.`table`, quoted.
pub fn quote_table(database: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(database), quote_identifier(table))
}

/// Names joined for a column list.
pub fn quote_list<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|name| quote_identifier(name.as_ref())).collect::<Vec<_>>().join(", ")
}

fn quote(text: &str, delimiter: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(delimiter);
    for symbol in text.chars() {
        match symbol {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            symbol if symbol == delimiter => {
                quoted.push('\\');
                quoted.push(symbol);
            }
            symbol => quoted.push(symbol),
        }
    }
    quoted.push(delimiter);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_that_looks_like_a_place_stays_a_name() {
        let bindings = [
            Binding::Name("staging", "{table:Identifier}"),
            Binding::Name("table", "{partition:Literal}"),
            Binding::Text("partition", "'{target:Identifier}"),
            Binding::Name("database", "x:Identifier}"),
            Binding::Name("target", "`"),
        ];
        let text = MOVE_PARTITION.render(&bindings);
        for quoted in [
            "`{table:Identifier}`.`{partition:Literal}`",
            r"'\'{target:Identifier}'",
            r"`x:Identifier}`.`\``",
        ] {
            assert!(text.contains(quoted), "{text}");
        }
    }

    #[test]
    fn columns_that_stay_are_left_out() {
        let text = SWAP_CURSOR.render_without(
            &[Binding::Name("control", "c")],
            &["epoch", "frontier", "finished", "failed", "quarantined", "rows"],
        );
        let expected = "ALTER TABLE `c`.cursors\nUPDATE\n    done = {done:UInt64},\n    bytes = {bytes:UInt64},\n    \
                        stamp = {stamp:String}\nWHERE job_id = {job:String} AND epoch = {was_epoch:UInt64} \
                        AND stamp = {was_stamp:String}";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_file_is_in_the_catalogue_and_back() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("sql folder")
            .filter_map(|entry| entry.expect("entry").file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
            .collect();
        let listed: BTreeSet<String> = ALL.iter().map(|s| s.name.to_owned()).collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn every_statement_says_first_what_it_guarantees() {
        for statement in ALL {
            assert!(statement.text.starts_with("-- "), "{}", statement.name);
        }
    }

    #[test]
    fn names_and_literals_cannot_end_their_quotes() {
        assert_eq!(quote_identifier("a`b\\c"), r"`a\`b\\c`");
        assert_eq!(quote_literal("it's\n\\"), r"'it\'s\n\\'");
        assert_eq!(quote_table("d b", "tä"), "`d b`.`tä`");
    }

    #[test]
    fn renders_names_and_literals_and_drops_the_heading() {
        let text = MOVE_PARTITION.render(&[
            Binding::Name("staging", "st"),
            Binding::Name("table", "x"),
            Binding::Text("partition", "2024'01"),
            Binding::Name("database", "db"),
            Binding::Name("target", "t"),
        ]);
        assert_eq!(text, r"ALTER TABLE `st`.`x` MOVE PARTITION ID '2024\'01' TO TABLE `db`.`t`");
    }
}
