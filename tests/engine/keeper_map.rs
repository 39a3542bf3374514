//! Compare-and-set statements without the second look at a mutation (`validate_mutation_query`).

use crate::cut::Yard;

/// What every UPDATE of a KeeperMap gets.
const STRICT: &str = "SETTINGS keeper_map_strict_mode = 1, validate_mutation_query = 0";

#[test]
fn an_update_without_the_second_look_tells_every_error_and_changes_nothing_then() {
    let yard = Yard::new();
    yard.run(&format!(
        "CREATE TABLE {{}}.map (key String, stamp String, n UInt64) ENGINE = KeeperMap('/engine/{}') PRIMARY KEY key",
        yard.database
    ));
    yard.run("INSERT INTO {}.map VALUES ('a', 'first', 1)");
    let row = || yard.admin.run(&format!("SELECT key, stamp, n FROM {}.map", yard.database));
    let update = |what: &str| {
        let text = format!("ALTER TABLE {{}}.map UPDATE {what} {STRICT}");
        yard.admin.try_run(&text.replace("{}", &yard.database))
    };
    for (what, code) in [
        ("nobody = 1 WHERE key = 'a'", "NO_SUCH_COLUMN_IN_TABLE"),
        ("key = 'b' WHERE key = 'a'", "BAD_ARGUMENTS"),
        ("n = nobody WHERE key = 'a'", "UNKNOWN_IDENTIFIER"),
        ("n = throwIf(1) WHERE key = 'a'", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("n = 'text' WHERE key = 'a'", "CANNOT_PARSE_TEXT"),
        ("n = 2 WHERE key = 'a' AND nobody = 1", "UNKNOWN_IDENTIFIER"),
    ] {
        let error = update(what).expect_err(what);
        assert!(error.contains(code), "{what}: {error}");
        assert_eq!(row(), "a\tfirst\t1", "{what}");
    }
    update("n = 2, stamp = 'third' WHERE key = 'a' AND stamp = 'second'").expect("no row is right");
    assert_eq!(row(), "a\tfirst\t1", "another stamp is expected");
    update("n = 2, stamp = 'second' WHERE key = 'a' AND stamp = 'first'")
        .expect("the row is right");
    assert_eq!(row(), "a\tsecond\t2");
}
