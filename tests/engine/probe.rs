//! Where a filter on a table holds inside a query, and that it is noticed where it does not.

use longshore_shared::source::{ProbeError, Reading, check_filter, rows_to_read};
use longshore_shared::task::{Feed, FeedView, KeyColumn, Piece, RowBounds, Slice};

use crate::cut::Yard;

/// 4,000 rows of which a slice has 500, and what could stand beside them.
fn yard() -> Yard {
    let yard = Yard::new();
    yard.run(
        "CREATE TABLE {}.`o'dd t` (k UInt64, v UInt64) ENGINE = MergeTree ORDER BY k SETTINGS index_granularity = 100",
    );
    yard.run("INSERT INTO {}.`o'dd t` SELECT number, number % 7 FROM numbers(4000)");
    yard.run("CREATE VIEW {}.plain AS SELECT * FROM {}.`o'dd t`");
    yard
}

fn feed(yard: &Yard, select: &str) -> Feed {
    let table = yard.table("o'dd t");
    Feed {
        table: table.clone(),
        uuid: None,
        origin: table.clone(),
        is_snapshot: false,
        remote: None,
        key: vec![KeyColumn {
            expression: "k".into(),
            type_name: "UInt64".into(),
            descending: false,
            nullable: false,
        }],
        view: Some(FeedView {
            name: yard.table("v"),
            defined: String::new(),
            select: select.replace("{}", &yard.database),
            columns: vec!["k".into()],
            target: table,
            passes: None,
        }),
        known: None,
        window: None,
    }
}

fn slice() -> Slice {
    let piece = Piece { from: vec!["1000".into()], to: vec!["1500".into()], ..Piece::default() };
    Slice { feed: 0, pieces: vec![piece], rows: RowBounds::exact(500), bytes: 1 }
}

#[test]
fn every_reference_to_the_table_is_restricted() {
    let yard = yard();
    for (select, rows) in [
        ("SELECT k FROM {}.`o'dd t`", 500),
        ("SELECT z.k FROM {}.`o'dd t` AS z", 500),
        ("SELECT `o'dd t`.k FROM {}.`o'dd t`", 500),
        ("SELECT k FROM (SELECT k FROM {}.`o'dd t` WHERE v < 100)", 500),
        (
            "SELECT a.k AS k FROM {}.`o'dd t` AS a CROSS JOIN (SELECT count() AS n FROM {}.`o'dd t`) AS b WHERE b.n = 500",
            500,
        ),
        ("WITH c AS (SELECT k FROM {}.`o'dd t`) SELECT k FROM c UNION ALL SELECT k FROM c", 1_000),
        ("SELECT k FROM {}.`o'dd t` WHERE k IN (SELECT k + 250 FROM {}.`o'dd t`)", 250),
        ("SELECT k FROM {}.`o'dd t` WHERE (SELECT count() FROM {}.`o'dd t`) = 500", 500),
        ("SELECT k FROM {}.plain", 500),
    ] {
        let feed = feed(&yard, select);
        yard.runtime.block_on(check_filter(&yard.server, &feed)).expect(select);
        let reading = Reading::slice(&feed, &slice(), "");
        let settings: Vec<String> = reading
            .settings
            .iter()
            .map(|(name, value)| {
                format!("{name} = {}", longshore_shared::sql::quote_literal(value))
            })
            .collect();
        let found = yard.admin.number(&format!(
            "{} SETTINGS {}",
            reading.select("count()"),
            settings.join(", ")
        ));
        assert_eq!(found, rows, "{select}");
    }
}

#[test]
fn a_way_past_the_filter_is_noticed() {
    let yard = yard();
    yard.run("CREATE TABLE {}.every AS {}.`o'dd t` ENGINE = Merge('{}', 'dd t')");
    for select in [
        "SELECT k FROM merge('{}', 'dd t')",
        "SELECT k FROM {}.every",
        "SELECT number AS k FROM numbers(10)",
    ] {
        let found = yard.runtime.block_on(check_filter(&yard.server, &feed(&yard, select)));
        assert!(matches!(found, Err(ProbeError::Ignored { .. })), "{select}: {found:?}");
    }
}

#[test]
fn what_a_piece_has_to_read_is_its_granules() {
    let yard = yard();
    let feed = feed(&yard, "SELECT k FROM {}.`o'dd t`");
    let rows = yard.runtime.block_on(rows_to_read(&yard.server, &feed, &slice())).expect("rows");
    assert!((500..=700).contains(&rows), "{rows}");
}
