//! The error codes that Longshore tells apart are those of the engine, and so are its words.

use std::collections::BTreeMap;

use longshore_shared::clickhouse::{Code, Failure, Policy, policy};
use longshore_tests::{Admin, Bed};

#[test]
fn every_listed_code_has_the_name_that_the_engine_gives_it() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let known: BTreeMap<i32, String> = admin
        .rows("SELECT DISTINCT code, name FROM system.errors SETTINGS system_events_show_zero_values = 1")
        .into_iter()
        .map(|row| (row[0].parse().expect("a number"), row[1].clone()))
        .collect();
    assert!(known.len() > 500, "only {} codes are known", known.len());
    for code in Code::ALL {
        let number = i32::from(*code);
        assert_eq!(known.get(&number).map(String::as_str), Some(code.name()), "{number}");
        assert_eq!(Code::of(number), Some(*code));
    }
}

/// One code, three things: a block of too many partitions stays one, and a table of too many parts does not.
#[test]
fn too_many_partitions_of_a_block_are_told_from_too_many_parts_of_a_table() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let database = format!("t_{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
    let run = |statement: &str| admin.try_run(&statement.replace("{}", &database));
    let made = |table: &str, settings: &str| {
        run(&format!(
            "CREATE TABLE {{}}.{table} (id UInt32) ENGINE = MergeTree PARTITION BY id ORDER BY id SETTINGS {settings}"
        ))
        .expect("a table");
        run(&format!("SYSTEM STOP MERGES {{}}.{table}")).expect("no merges");
    };
    run("CREATE DATABASE {} ENGINE = Atomic").expect("a database");
    made("block", "old_parts_lifetime = 1");
    made("merges", "parts_to_delay_insert = 0, parts_to_throw_insert = 2");
    made("total", "max_parts_in_total = 2");

    let refused = |statement: &str| {
        let words = (0..5).find_map(|_| run(statement).err()).expect("it is refused at last");
        assert!(words.contains("TOO_MANY_PARTS"), "{words}");
        policy(&Failure::server("load", Code::TOO_MANY_PARTS, &words))
    };
    let block = "INSERT INTO {}.block SELECT number FROM numbers(5) SETTINGS max_partitions_per_insert_block = 2";
    assert_eq!(refused(block), Policy::FailTask);
    assert_eq!(refused("INSERT INTO {}.merges SELECT 1"), Policy::Outage);
    assert_eq!(refused("INSERT INTO {}.total SELECT 1"), Policy::Outage);
    run("DROP DATABASE {} SYNC").expect("dropped");
}
