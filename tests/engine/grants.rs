//! What the user that Longshore runs as may not do.

use longshore_tests::{Admin, Bed};

#[test]
fn the_worker_cannot_harm_a_target() {
    let bed = Bed::from_env();
    let admin = Admin::new(&bed.clickhouse_url);
    let database = format!("t_{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
    admin.run(&format!("CREATE DATABASE {database} ENGINE = Atomic"));
    admin.run(&format!(
        "CREATE TABLE {database}.x (n UInt8) ENGINE = MergeTree PARTITION BY n ORDER BY n"
    ));
    admin.run(&format!("INSERT INTO {database}.x VALUES (1)"));
    let worker = Admin::of(&bed.clickhouse_url, &bed.user, &bed.password);
    for statement in [
        "DROP TABLE {t}",
        "TRUNCATE TABLE {t}",
        "ALTER TABLE {t} DELETE WHERE 1",
        "ALTER TABLE {t} UPDATE n = 2 WHERE 1",
        "ALTER TABLE {t} DROP PARTITION 1",
        "ALTER TABLE {t} DETACH PARTITION 1",
        "ALTER TABLE {t} ADD COLUMN m UInt8",
        "ALTER TABLE {t} MODIFY SETTING old_parts_lifetime = 1",
        "RENAME TABLE {t} TO {d}.y",
        "CREATE TABLE {d}.z (n UInt8) ENGINE = MergeTree ORDER BY n",
        "CREATE MATERIALIZED VIEW {d}.v ENGINE = MergeTree ORDER BY n AS SELECT n FROM {t}",
        "DROP DATABASE {d}",
        "OPTIMIZE TABLE {t} FINAL",
        "CREATE USER longshore_other",
        "GRANT ALL ON *.* TO longshore",
    ] {
        let table = format!("{database}.x");
        let sent = statement.replace("{t}", &table).replace("{d}", &database);
        let error = worker.try_run(&sent).expect_err(&sent);
        assert!(
            error.contains("ACCESS_DENIED") || error.contains("Not enough privileges"),
            "{sent}: {error}"
        );
    }
    assert_eq!(worker.run(&format!("SELECT n FROM {database}.x")), "1", "it can read");
    admin.run(&format!("DROP DATABASE {database} SYNC"));
}
