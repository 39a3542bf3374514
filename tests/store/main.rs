//! The store that production uses, on a real server and a real Keeper.

mod acts;
mod reference;
mod sequences;
mod subject;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use longshore_shared::clickhouse::{Connection, Server};
use longshore_shared::store::{
    self, KeeperMapStore, StoreError, TASK_BYTES_MAX, TaskStore, conformance,
};
use longshore_shared::task::{JobId, Progress, Stamp, Task, TaskId};
use longshore_tests::{Admin, Bed, Proxy, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;

/// Control tables of one test, made as the least-privilege user and dropped at the end.
struct Tables {
    server: Server,
    admin: Admin,
}

impl Tables {
    async fn new() -> Self {
        let bed = Bed::from_env();
        let mark = &uuid::Uuid::new_v4().simple().to_string()[..10];
        let connection = Connection {
            url: bed.clickhouse_url.clone(),
            user: bed.user,
            password: SecretString::from(bed.password),
            ca_file: None,
            control: format!("longshore_t{mark}"),
            staging: format!("longshore_s{mark}"),
        };
        let server = Server::new(connection).expect("a server");
        store::init(&server).await.expect("control tables");
        Self { server, admin: Admin::new(&bed.clickhouse_url) }
    }

    /// The store as seen through another address of the same server.
    fn through(&self, url: String) -> KeeperMapStore {
        let connection = Connection { url, ..self.server.connection().clone() };
        KeeperMapStore::new(Server::new(connection).expect("a server"))
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        for database in [self.server.control(), self.server.staging()] {
            let _ = self.admin.try_run(&format!("DROP DATABASE IF EXISTS {database} SYNC"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeper_map_passes_the_suite() {
    let tables = Tables::new().await;
    conformance::exercise(KeeperMapStore::new(tables.server.clone())).await;
}

/// Each answer may be lost after the server has carried the request out, and each request before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeper_map_passes_the_suite_when_answers_get_lost() {
    let seed = std::env::var("FAULT_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("FAULT_SEED is a number"));
    println!("FAULT_SEED={seed}");
    let rng = Mutex::new(StdRng::seed_from_u64(seed));
    let lost = Arc::new(AtomicU32::new(0));
    let counted = lost.clone();
    let proxy = Proxy::start(&Bed::from_env().clickhouse_url, move |request| {
        // A beat is sent once: its caller decides how often to try.
        if !["tasks", "jobs", "cursors", "meta"].iter().any(|table| request.contains(table)) {
            return Verdict::Pass;
        }
        let verdict = match rng.lock().expect("no panic").random_range(0..30) {
            0 => Verdict::LoseAnswer,
            1 => Verdict::LoseRequest,
            _ => return Verdict::Pass,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        verdict
    });
    let tables = Tables::new().await;
    conformance::exercise(tables.through(proxy.url())).await;
    assert!(lost.load(Ordering::Relaxed) > 10, "the suite has hundreds of requests");
}

#[tokio::test]
async fn a_task_that_keeper_cannot_hold_is_refused_before_it_is_sent() {
    let tables = Tables::new().await;
    let store = KeeperMapStore::new(tables.server.clone());
    let job = JobId::from_digest(&[7; 8]);
    let task = |ordinal, bytes| Task {
        id: TaskId { job: job.clone(), ordinal },
        progress: Progress::planned(),
        stamp: Stamp::fresh(),
        chunk: vec![0; bytes],
        files: 1,
        bytes: 1,
        changed_ms: 0,
    };
    let refused = store.create_tasks(&[task(0, 10), task(1, TASK_BYTES_MAX)]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    // Twenty of the largest tasks are more than one request may hold.
    let large: Vec<Task> = (10..30).map(|ordinal| task(ordinal, TASK_BYTES_MAX - 400)).collect();
    store.create_tasks(&large).await.expect("large tasks go in several requests");
    let last = store.task(&large[19].id).await.expect("read").expect("the last one");
    assert_eq!(last.chunk, large[19].chunk);
}

#[tokio::test]
async fn init_is_idempotent_and_refuses_tables_of_a_newer_version() {
    let tables = Tables::new().await;
    let first = store::environment(&tables.server).await.expect("an environment");
    let again = store::init(&tables.server).await.expect("a second init");
    assert!(again.existed);
    assert_eq!(again.environment, first, "the environment keeps its identity");

    let meta = format!("{}.meta", tables.server.control());
    tables.admin.run(&format!("ALTER TABLE {meta} UPDATE value = '999' WHERE key = 'version'"));
    let refused = store::init(&tables.server).await;
    let expected = StoreError::NewerVersion { found: 999, known: store::SCHEMA_VERSION };
    assert_eq!(refused.expect_err("a newer version").to_string(), expected.to_string());
    let refused = store::environment(&tables.server).await;
    assert!(matches!(refused, Err(StoreError::NewerVersion { .. })), "{refused:?}");
}

#[tokio::test]
async fn tables_that_were_never_made_are_named() {
    let tables = Tables::new().await;
    tables.admin.run(&format!("DROP DATABASE {} SYNC", tables.server.control()));
    let missing = store::environment(&tables.server).await.expect_err("no tables");
    assert!(missing.to_string().contains(tables.server.control()), "{missing}");
}
