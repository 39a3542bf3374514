//! What a query reads besides its source: tables, functions, dictionaries, in every form that SQL has.

use super::*;

/// `what < function @ server` of all that is read.
fn shown(found: &[Read]) -> Vec<String> {
    let one = |read: &Read| {
        let what = match &read.what {
            What::Name(name) => name.to_string(),
            What::Pattern { database, table } => {
                format!("/{}/{table}/", database.as_deref().unwrap_or("any"))
            }
            What::Dictionary(name) => format!("dictionary {name}"),
            What::Join(name) => format!("join {name}"),
        };
        let function = read.function.as_deref().map(|name| format!(" < {name}"));
        let server = read.server.as_deref().map(|server| format!(" @ {server}"));
        format!("{what}{}{}", function.unwrap_or_default(), server.unwrap_or_default())
    };
    found.iter().map(one).collect()
}

fn of(text: &str) -> Vec<String> {
    shown(&reads(text))
}

#[test]
fn a_name_that_the_query_reads_itself_has_no_function() {
    assert_eq!(of("SELECT a.x FROM d.t AS a WHERE k IN d.`o p`"), ["a.x", "d.t", "d.`o p`"]);
    assert_eq!(of("SELECT d.t.x FROM d.t"), ["d.t", "d.t"]);
    assert_eq!(of("SELECT 'd.t', \"remote\" FROM x"), Vec::<String>::new());
}

#[test]
fn table_functions_reach_tables_in_every_spelling() {
    for call in [
        "remote('h:9000', d.t)",
        "remote('h:9000', d, t)",
        "remote('h:9000', 'd', 't', 'user', '[HIDDEN]')",
        "remote('h:9000', 'd.t')",
    ] {
        let found = of(&format!("SELECT 1 FROM d.s LEFT JOIN {call} AS r USING id"));
        let expected = "d.t < remote @ remote('h:9000', system.tables)".to_owned();
        assert!(found.contains(&expected), "{call}: {found:?}");
        assert!(found.contains(&"d.s".to_owned()), "{call}: {found:?}");
    }
    let found = of("FROM remoteSecure(far, database = 'd', table = 't')");
    assert_eq!(
        found,
        ["d.t < remoteSecure @ remoteSecure(far, database = 'system', table = 'tables')"]
    );
    assert_eq!(of("FROM view(SELECT a FROM d.t)"), ["d.t < view"]);
    assert_eq!(of("FROM loop(d.t), d.u"), ["d.t < loop", "d.u"]);
    assert_eq!(of("FROM `d.w`(p = 1)"), ["d.w"]);
    let both = of("FROM cluster('c', view(SELECT 1 FROM d.t))");
    assert_eq!(both, ["d.t < view @ cluster('c', system.tables)"]);
}

#[test]
fn patterns_dictionaries_and_joins_are_found() {
    assert_eq!(of("FROM merge('my-db', '^a|b$')"), ["/^my\\-db$/^a|b$/ < merge"]);
    assert_eq!(of("FROM merge('x')"), ["/any/x/ < merge"]);
    assert_eq!(of("FROM merge(REGEXP('^p'), 'x')"), ["/^p/x/ < merge"]);
    assert_eq!(of("FROM merge(currentDatabase(), 'x')"), ["/any/x/ < merge"]);
    let text =
        "dictGetOrDefault('d.one', 'a', f(d.t), 0), dictHas(d.two, 1), joinGet('d.j', 'x', 1)";
    assert_eq!(of(text), ["dictionary d.one", "d.t", "dictionary d.two", "d.two", "join d.j"]);
    assert_eq!(of("FROM dictionary('d.three')"), ["dictionary d.three"]);
}

#[test]
fn engines_read_other_tables() {
    let of = |engine: &str, full: &str| shown(&engine_reads(engine, full, "own"));
    assert_eq!(of("Merge", "Merge('d', '^t$')"), ["/^d$/^t$/"]);
    assert_eq!(of("Buffer", "Buffer('d', 't', 1, 1)"), ["d.t"]);
    assert_eq!(of("Alias", "Alias('d', 't')"), ["d.t"]);
    assert_eq!(of("Alias", "Alias('t')"), ["own.t"]);
    assert_eq!(of("Dictionary", "Dictionary('d.x')"), ["dictionary d.x"]);
    let far = of("Distributed", "Distributed('c', 'd', 't', rand())");
    assert_eq!(far, ["d.t @ cluster('c', system.tables)"]);
    assert_eq!(of("MergeTree", "MergeTree ORDER BY (a, b)"), Vec::<String>::new());
}

#[test]
fn a_dictionary_reads_its_table_or_query() {
    let of = |source: &str| {
        let text =
            format!("CREATE DICTIONARY d.x (k UInt64) SOURCE(CLICKHOUSE({source})) LIFETIME(0)");
        shown(&dictionary_reads(&text))
    };
    assert_eq!(of("DB 'd' TABLE 't'"), ["d.t"]);
    assert_eq!(
        of("HOST 'h' PORT 9000 DB 'd' TABLE 't'"),
        ["d.t @ remote('h:9000', system.tables)"]
    );
    assert_eq!(of("HOST 'h' QUERY 'SELECT k FROM d.t'"), ["d.t @ remote('h', system.tables)"]);
    assert_eq!(shown(&dictionary_reads("SOURCE(HTTP(URL 'http://d.t'))")), Vec::<String>::new());
}
