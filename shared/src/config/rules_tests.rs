//! Policies and windows: for all tables, for one, and what cannot be.

use std::time::Duration;

use super::super::tests::{read, refusal};
use crate::task::TableName;

fn table(text: &str) -> TableName {
    text.parse().unwrap()
}

#[test]
fn a_table_has_what_its_section_says_and_the_rest_of_all() {
    let config = read(
        "[window]\ntime_column = 'at'\nchunk = '6h'\n[policy]\nrequire_dry_run = true\n\
         [tables.'shop.events']\ntime_column = 'event_time'\nchunk = '1h'\nmax = '24h'\nmin_chunk = '1m'\n\
         require_window = true\nblock_overlap = false\n\
         [tables.'shop.`a b`']\ntime_column = 'x'\nrequire_dry_run = false\n\
         [tables.'shop.with-dash']\ntime_column = 'y'",
    );
    let column = |name: &TableName| config.table(name).unwrap().time_column.clone();
    let own = table("shop.events");
    assert_eq!(column(&own).as_deref(), Some("event_time"));
    assert_eq!(column(&table("shop.`a b`")).as_deref(), Some("x"));
    assert_eq!(column(&table("shop.`with-dash`")).as_deref(), Some("y"));

    let rules = config.rules(&own);
    assert_eq!((rules.chunk, rules.max), (Some(Duration::from_hours(1)), Duration::from_hours(24)));
    assert_eq!(rules.min_chunk, Duration::from_mins(1));
    assert!(rules.require_window && rules.require_dry_run && !rules.block_overlap);

    let rules = config.rules(&table("shop.others"));
    assert_eq!(rules.chunk, Some(Duration::from_hours(6)));
    assert_eq!((rules.max, rules.min_chunk), (Duration::from_hours(720), Duration::from_mins(15)));
    assert!(!rules.require_window && rules.require_dry_run && rules.block_overlap);
    assert!(!config.rules(&table("shop.`a b`")).require_dry_run);
}

#[test]
fn the_policies_have_their_defaults() {
    let policy = read("").policy;
    assert!(policy.block_overlap && policy.fail_check_on_pending);
    assert!(!policy.require_dry_run && !policy.require_window);
}

#[test]
fn each_wrong_value_names_its_setting() {
    let wrong = [
        "[policy]\nblock_overlap = 'yes'",
        "[policy]\nrequire_dry_run = 1",
        "[policy]\nrequire_window = 'no'",
        "[policy]\nfail_check_on_pending = 0",
        "[policy]\nblock_overlaps = true",
        "[window]\nrequired = true",
        "[window]\nmax = 30",
        "[window]\nmax = '1m'",
        "[window]\nchunk = 'often'",
        "[window]\nchunk = '1m'",
        "[window]\nmin_chunk = '10ms'",
        "[window]\ntime_column = ''",
        "[window]\ntime_column = 7",
        "[tables.'shop.events']\nretention = 3",
        "[tables.'shop.events']\ntime_column = 3",
        "[tables.'shop.events']\ntime_column = ' '",
        "[tables.'shop.events']\nchunk = 6",
        "[tables.'shop.events']\nchunk = '1m'",
        "[tables.'shop.events']\nmin_chunk = '1000h'",
        "[tables.'shop.events']\nmin_chunk = '1ms'",
        "[tables.'shop.events']\nmax = 'long'",
        "[tables.'shop.events']\nmax = '1s'",
        "[tables.'shop.events']\nrequire_window = 'no'",
        "[tables.'shop.events']\nrequire_dry_run = 'no'",
        "[tables.'shop.events']\nblock_overlap = 'no'",
        "[tables.'shop.events']\nfail_check_on_pending = false",
        "[tables.events]\nchunk = '6h'",
        "[tables.shop.events]\nchunk = '6h'",
        "[tables.'shop.events']\nchunk = '6h'\n[tables.'`shop`.events']\nchunk = '6h'",
    ];
    insta::assert_snapshot!(wrong.map(refusal).join("\n"), @r#"
    policy.block_overlap (from DIR/longshore.toml): must be true or false, not `yes` | 
    policy.require_dry_run (from DIR/longshore.toml): must be true or false, not 1 | 
    policy.require_window (from DIR/longshore.toml): must be true or false, not `no` | 
    policy.fail_check_on_pending (from DIR/longshore.toml): must be true or false, not 0 | 
    there is no setting `policy.block_overlaps` (in DIR/longshore.toml) | did you mean `policy.block_overlap`?
    there is no setting `window.required` (in DIR/longshore.toml) | did you mean `policy.require_window`?
    window.max (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not 30 | 
    window.max (from DIR/longshore.toml): max = 1m is shorter than min_chunk = 15m | 
    window.chunk (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not `often` | 
    window.chunk (from DIR/longshore.toml): chunk = 1m is shorter than min_chunk = 15m | 
    window.min_chunk (from DIR/longshore.toml): is shorter than 1s | 
    window.time_column (from DIR/longshore.toml): is empty | 
    window.time_column (from DIR/longshore.toml): must be text in quotes, not 7 | 
    there is no setting `tables.shop.events.retention` (in DIR/longshore.toml) | the section of a table can hold: time_column, chunk, max, min_chunk, block_overlap, require_dry_run, require_window
    tables."shop.events".time_column (from DIR/longshore.toml): must be text in quotes, not 3 | 
    tables."shop.events".time_column (from DIR/longshore.toml): is empty | 
    tables."shop.events".chunk (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not 6 | 
    tables."shop.events".chunk (from DIR/longshore.toml): chunk = 1m is shorter than min_chunk = 15m | 
    tables."shop.events".min_chunk (from DIR/longshore.toml): max = 30days is shorter than min_chunk = 1month 11days 5h 26m 24s | 
    tables."shop.events".min_chunk (from DIR/longshore.toml): is shorter than 1s | 
    tables."shop.events".max (from DIR/longshore.toml): must be a duration such as `15s` or `2m`, not `long` | 
    tables."shop.events".max (from DIR/longshore.toml): max = 1s is shorter than min_chunk = 15m | 
    tables."shop.events".require_window (from DIR/longshore.toml): must be true or false, not `no` | 
    tables."shop.events".require_dry_run (from DIR/longshore.toml): must be true or false, not `no` | 
    tables."shop.events".block_overlap (from DIR/longshore.toml): must be true or false, not `no` | 
    there is no setting `tables.shop.events.fail_check_on_pending` (in DIR/longshore.toml) | the section of a table can hold: time_column, chunk, max, min_chunk, block_overlap, require_dry_run, require_window
    tables."events" (from DIR/longshore.toml): is no table name | write DATABASE.TABLE, and odd names in back quotes: [tables.'shop.`a b`']
    tables.shop.events (from DIR/longshore.toml): a table has no setting `events` | put its name in quotes: [tables."shop.events"]
    tables."shop.events" (from DIR/longshore.toml): stands there twice, quoted and plain |
    "#);
}
