//! Which queries of views are understood, and what of them keeps rows together.

use super::*;

fn column(name: &str) -> Expression {
    Expression::Column(name.into())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// `SELECT toDate(t) AS d, x, sum(v) AS s FROM (SELECT ts AS t, k AS x, v FROM db.src) GROUP BY d, x`
const GROUPED: &str = "\
QUERY id: 0
  PROJECTION COLUMNS
    d Date
    x String
    s Int64
  PROJECTION
    LIST id: 1, nodes: 3
      FUNCTION id: 2, function_name: toDate, function_type: ordinary, result_type: Date
        ARGUMENTS
          LIST id: 3, nodes: 1
            COLUMN id: 4, column_name: t, result_type: DateTime, source_id: 5
      COLUMN id: 6, column_name: x, result_type: String, source_id: 5
      FUNCTION id: 7, function_name: sum, function_type: aggregate, result_type: Int64
        ARGUMENTS
          LIST id: 8, nodes: 1
            COLUMN id: 9, column_name: v, result_type: Int64, source_id: 5
  JOIN TREE
    QUERY id: 5, alias: __table1, is_subquery: 1
      PROJECTION COLUMNS
        t DateTime
        x String
        v Int64
      PROJECTION
        LIST id: 10, nodes: 3
          COLUMN id: 11, column_name: ts, result_type: DateTime, source_id: 12
          COLUMN id: 13, column_name: k, result_type: String, source_id: 12
          COLUMN id: 14, column_name: v, result_type: Int64, source_id: 12
      JOIN TREE
        TABLE id: 12, alias: __table2, table_name: db.src
  GROUP BY
    LIST id: 15, nodes: 2
      FUNCTION id: 16, function_name: toDate, function_type: ordinary, result_type: Date
        ARGUMENTS
          LIST id: 17, nodes: 1
            COLUMN id: 4, column_name: t, result_type: DateTime, source_id: 5
      COLUMN id: 6, column_name: x, result_type: String, source_id: 5
";

#[test]
fn keys_are_followed_through_a_subquery() {
    let shape = read(&lines(GROUPED), "db.src").unwrap();
    let date = Expression::Function("toDate".into(), vec![column("ts")]);
    let level = Level { is_outermost: true, what: "GROUP BY", keys: vec![date, column("k")] };
    assert_eq!(shape.levels, [level]);
    assert_eq!((shape.ways, shape.second_looks), (1, 0));
    let outputs = shape.grouped.expect("one plain GROUP BY");
    let kinds: Vec<&Output> = outputs.iter().map(|(_, output)| output).collect();
    assert_eq!(kinds, [&Output::Key, &Output::Key, &Output::Aggregate("sum".into())]);
    assert_eq!(shape.levels[0].keys[0].words(), "toDate(ts)");
}

#[test]
fn a_second_look_at_the_source_is_counted() {
    let with_in = GROUPED.replace(
        "  GROUP BY\n",
        "  WHERE\n    FUNCTION id: 30, function_name: in, function_type: ordinary\n      ARGUMENTS\n        LIST id: 31, nodes: 1\n          QUERY id: 32, is_subquery: 1\n            JOIN TREE\n              TABLE id: 33, table_name: db.src\n  GROUP BY\n",
    );
    let shape = read(&lines(&with_in), "db.src").unwrap();
    assert_eq!((shape.ways, shape.second_looks), (1, 1));
}

#[test]
fn limits_and_totals_look_at_everything() {
    let limited = format!("{GROUPED}  LIMIT\n    CONSTANT id: 40, constant_value: UInt64_5\n");
    let shape = read(&lines(&limited), "db.src").unwrap();
    assert_eq!((shape.whole.as_slice(), shape.grouped), (["LIMIT".to_owned()].as_slice(), None));
    let totals = GROUPED.replace("QUERY id: 0", "QUERY id: 0, is_group_by_with_totals: 1");
    assert_eq!(read(&lines(&totals), "db.src").unwrap().whole, ["WITH TOTALS"]);
}
