//! Values, not only rows: what is loaded is what one plain `INSERT … SELECT` makes of the same
//! source, whose reader is given the columns, types and defaults of the target; or the load fails
//! and names file, column and value.

mod columns;
mod document;
mod losses;
mod reading;
mod tables;
mod unlike;
mod validate;
mod web;

use longshore_tests::{Finished, Scene};

/// Wrong input.
const USAGE: i32 = 2;
/// Something was found.
const PROBLEM: i32 = 8;

/// A scene with the means to write files and to ask the oracle.
struct World {
    scene: Scene,
}

impl World {
    /// A world with these tables.
    fn with(ddl: &str) -> Self {
        let scene = Scene::new();
        scene.create(ddl);
        Self { scene }
    }

    /// Makes `t` anew.
    fn again(&self, columns: &str) {
        let db = &self.scene.db;
        self.scene.admin.run(&format!("DROP TABLE IF EXISTS {db}.t SYNC"));
        self.scene
            .admin
            .run(&format!("CREATE TABLE {db}.t ({columns}) ENGINE = MergeTree ORDER BY k"));
    }

    /// Lets the server write a file.
    fn put(&self, file: &str, format: &str, select: &str) {
        let bytes = self.scene.admin.bytes(&format!("{} FORMAT {format}", self.here(select)));
        self.scene.put_bytes(file, &bytes);
    }

    /// Writes a file of text.
    fn text(&self, file: &str, text: &str) {
        self.scene.put_bytes(file, text.as_bytes());
    }

    fn here(&self, sql: &str) -> String {
        sql.replace("{db}", &self.scene.db)
    }

    /// What stands after FROM to read files without Longshore.
    fn files(&self, glob: &str, format: &str, structure: &str) -> String {
        let structure = match structure {
            "" => String::new(),
            text => format!(", structure = '{}'", text.replace('\'', "\\'")),
        };
        let key = self.scene.key(glob);
        let collection = &self.scene.bed.collection;
        format!("s3({collection}, filename = '{key}', format = '{format}'{structure})")
    }

    /// Loads files into `t`; fails the test when the job does not end well.
    fn load(&self, glob: &str, more: &[&str]) -> Finished {
        let id = self.scene.plan_into("t", glob, more);
        // Few rows in a task or two: a second worker would only look on.
        self.scene.longshore(["run", &id, "--workers", "1"]).run().ok()
    }

    /// Loads files into `t`, where a task must fail; the error on its row.
    fn fails(&self, glob: &str, more: &[&str]) -> String {
        let id = self.scene.plan_into("t", glob, more);
        let ended = self.scene.longshore(["run", &id, "--workers", "1"]).run();
        assert_ne!(ended.code(), Some(0), "{glob} {more:?}: {ended}");
        let tasks = self.scene.longshore(["tasks", &id, "--state", "failed", "--json"]).run().ok();
        let tasks = tasks.json();
        let error = &tasks["tasks"][0]["error"];
        error.as_str().unwrap_or_else(|| panic!("no failed task: {tasks}")).to_owned()
    }

    /// The notes of a plan.
    fn notes(&self, glob: &str, more: &[&str]) -> String {
        let planned = self.scene.plan_program("t", glob, more).run().ok();
        planned.json()["notes"].to_string()
    }

    /// The same by one plain INSERT into `oracle`, and what it made.
    fn plain(&self, insert: &str) -> String {
        let db = &self.scene.db;
        self.scene.admin.run(&format!("CREATE TABLE {db}.oracle AS {db}.t"));
        self.scene.admin.run(&self.here(insert));
        let rows = self.all("oracle");
        self.scene.admin.run(&format!("DROP TABLE {db}.oracle SYNC"));
        rows
    }

    /// All rows of a table, in an order of their own.
    fn all(&self, table: &str) -> String {
        let db = &self.scene.db;
        let rows = self.scene.admin.run(&format!("SELECT * FROM {db}.{table} ORDER BY ALL"));
        if rows.is_empty() { rows } else { rows + "\n" }
    }

    /// One value.
    fn value(&self, sql: &str) -> String {
        self.scene.admin.run(&self.here(sql)).trim().to_owned()
    }
}
