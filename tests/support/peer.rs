//! The second server of a bed, with the same tables as the scene has on the first one.

use crate::program::Program;
use crate::scene::Scene;
use crate::sql::Admin;

/// The scene's databases on the second server. Dropping it removes them there.
pub struct Peer {
    /// The second server as its administrator.
    pub admin: Admin,
    /// Its address.
    pub url: String,
    databases: [String; 3],
}

impl Peer {
    /// Makes the scene's target tables, as far as they are made by now, and its control tables there.
    ///
    /// # Panics
    /// When the bed has one server.
    pub fn of(scene: &Scene) -> Self {
        let url = scene.bed.second_url.clone();
        let url = url.expect("a second server: scripts/testbed start --servers 2");
        let admin = Admin::new(&url);
        let db = &scene.db;
        admin.run(&format!("CREATE DATABASE {db} ENGINE = Atomic"));
        admin.run_all(&scene.ddl.borrow().replace("{db}", db));
        let databases = [db.clone(), scene.staging.clone(), scene.control.clone()];
        let peer = Self { admin, url, databases };
        peer.at(scene.longshore(["init"])).run().ok();
        peer
    }

    /// The same program, at home on the second server.
    pub fn at(&self, program: Program) -> Program {
        program.env("CLICKHOUSE_URL", &self.url)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The tables of the second server's control database are not the last of their Keeper paths.
        self.admin.drop_databases(&self.databases);
    }
}
