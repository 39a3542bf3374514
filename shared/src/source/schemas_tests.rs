//! Names and looks of values in folders, and what a footer changes of a schema.

use super::*;

#[test]
fn folders_of_a_path_have_names_and_shapes() {
    assert_eq!(hive_keys("b/dt=2024-01-01/k=a/x=1.csv"), ["dt", "k"]);
    assert_eq!(hive_shapes("b/dt=2024-01-01/k=ab/1.csv"), ["dt=0000-00-00", "k=aa"]);
}

#[test]
fn a_footer_takes_doubt_away_and_adds_none() {
    let column = |name: &str, kind: &str| FoundColumn {
        name: name.into(),
        may_be_null: holds_null(&Type::parse(kind)),
        kind: Type::parse(kind),
        is_hive: false,
    };
    let columns = vec![
        column("a", "Nullable(Int64)"),
        column("b", "Array(Nullable(Int64))"),
        column("c", "Int64"),
    ];
    let footer = Footer {
        path: "x".into(),
        signature: String::new(),
        rows: 7,
        may_be_null: vec!["b.list.element".into(), "c".into()],
    };
    let Found::Schema(schema, rows) =
        with_footer(Found::Schema(Arc::new(Schema { columns }), None), &footer)
    else {
        panic!("a schema stays one")
    };
    let nulls: Vec<bool> = schema.columns.iter().map(|column| column.may_be_null).collect();
    assert_eq!((nulls, rows), (vec![false, true, false], Some(7)));
}
