//! The error codes that Longshore tells apart are those of the engine.

use std::collections::BTreeMap;

use longshore_shared::clickhouse::CODES;
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
    for (policy, codes) in CODES {
        for (code, name) in codes {
            assert_eq!(known.get(code).map(String::as_str), Some(*name), "{policy:?} {code}");
        }
    }
}
