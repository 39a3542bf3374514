//! Two servers that share one Keeper, with the same tables on each.

use crate::bed::Bed;
use crate::peer::Peer;
use crate::program::Program;
use crate::scene::Scene;
use crate::sql::Admin;

/// What the union of both servers is seen through.
const EVERYWHERE: &str = "everywhere";

/// A scene whose targets are on both servers of a bed.
pub struct TwoServers {
    // Dropped before the scene: its control tables are not the last of their Keeper paths.
    peer: Peer,
    /// The scene; its programs are at home on the first server.
    pub scene: Scene,
    /// The second server as its administrator.
    pub second: Admin,
    /// Addresses of both.
    pub urls: [String; 2],
}

impl TwoServers {
    /// Both servers of the bed with [`EVENTS`], and files of so many rows.
    ///
    /// # Panics
    /// When the bed has one server.
    pub fn with_events(bed: &Bed, files: usize, rows: u64) -> Self {
        let scene = Scene::on(bed).and_events(files, rows);
        let peer = Peer::of(&scene);
        let urls = [bed.clickhouse_url.clone(), peer.url.clone()];
        let two = Self { second: Admin::new(&urls[1]), peer, scene, urls };
        let db = &two.scene.db;
        two.scene.admin.run(&format!(
            "CREATE VIEW {db}.{EVERYWHERE} AS SELECT * FROM {db}.events UNION ALL \
             SELECT * FROM remote({}, database = '{db}', table = 'events')",
            two.scene.bed.peer
        ));
        two
    }

    /// The same program, at home on the second server.
    pub fn at_second(&self, program: Program) -> Program {
        self.peer.at(program)
    }

    /// Flags of a plan for both.
    pub fn both(&self) -> [&str; 4] {
        ["--endpoint", &self.urls[0], "--endpoint", &self.urls[1]]
    }

    /// Both administrators.
    pub fn admins(&self) -> [&Admin; 2] {
        [&self.scene.admin, &self.second]
    }

    /// Rows of a table on each server.
    pub fn counts(&self, table: &str) -> [u64; 2] {
        let count = format!("SELECT count() FROM {}.{table}", self.scene.db);
        self.admins().map(|admin| admin.number(&count))
    }

    /// Every row of every file is on one of the servers, once; the views of each hold what belongs
    /// to its own rows; nothing is left in the staging databases.
    ///
    /// # Panics
    /// Naming what is not so.
    pub fn assert_exact(&self, job: &str) {
        let Scene { db, control, staging, .. } = &self.scene;
        self.scene.assert_rows(EVERYWHERE);
        for (admin, url) in self.admins().into_iter().zip(&self.urls) {
            let differs = admin.rows(&format!(
                "SELECT day, kind, sum(e), sum(v) FROM \
                 (SELECT day, toString(kind) AS kind, toInt64(events) AS e, toInt64(value) AS v FROM {db}.daily \
                  UNION ALL SELECT day, toString(kind), -1, -toInt64(value) FROM {db}.events) \
                 GROUP BY day, kind HAVING sum(e) != 0 OR sum(v) != 0"
            ));
            assert!(differs.is_empty(), "daily on {url}: {differs:?}");
            let digest = |from: &str| {
                admin.run(&format!("SELECT count(), sum(cityHash64(file, n, twice)) FROM ({from})"))
            };
            let buys = digest(&format!("SELECT file, n, twice FROM {db}.buys"));
            let expected = digest(&format!(
                "SELECT file, n, value * 2 AS twice FROM {db}.events WHERE kind = 'buy'"
            ));
            assert_eq!(buys, expected, "buys on {url}");
            let left = admin
                .column(&format!("SELECT name FROM system.tables WHERE database = '{staging}'"));
            assert!(left.is_empty(), "staging tables are left on {url}: {left:?}");
            let receipts = admin.number(&format!(
                "SELECT sum(rows_staged) FROM {control}.receipts FINAL WHERE job_id = '{job}' \
                 AND target = '{db}.events'"
            ));
            let rows = admin.number(&format!("SELECT count() FROM {db}.events"));
            assert_eq!(receipts, rows, "receipts on {url}");
        }
    }
}
