//! Names, literals and parameters: what the server understands is what was meant, byte for byte.

use std::time::Instant;

use clickhouse::Row;
use longshore_shared::sql::{quote_identifier, quote_list, quote_literal};
use longshore_tests::{Admin, Bed};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Deserialize;

use crate::server;

/// Texts of one run. Each run takes others; a failure prints the text.
const TEXTS: usize = 400;
/// Texts of the long run of literals and names, and how many go in one statement.
const LONG_TEXTS: usize = 20_000;
const BATCH: usize = 500;

/// Texts that ended somebody's quotes before, and random ones of the same dangerous symbols.
fn texts() -> Vec<String> {
    let known = [
        "'",
        "''",
        "\\",
        "\\'",
        "\\\\'",
        "`",
        "``",
        "\\`",
        "\"",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "a\0b",
        "\u{8}\u{c}\u{7}\u{b}",
        "\\0",
        "\\n",
        "\\x41",
        "\\N",
        "\u{7f}",
        "--",
        "/* */",
        "#",
        ";",
        "?",
        "{x:String}",
        "{x}",
        "${x}",
        "%s",
        "%41",
        "\u{202e}right to left",
        "\u{feff}",
        "\u{1f6a2}",
        "e\u{301}",
        "NULL",
        " ",
        "a b",
        "'; DROP TABLE x; --",
        "\\",
        "x\\",
    ];
    known.iter().map(|text| (*text).to_owned()).chain(random_texts(TEXTS)).collect()
}

fn random_texts(count: usize) -> Vec<String> {
    let symbol = prop_oneof![
        3 => prop::sample::select("'\\`\"\n\r\t\0{}()[]?;:,.%#$-/* ax0N".chars().collect::<Vec<_>>()),
        // Right to left, invisible, and combining: what people cannot see, the server must keep.
        1 => prop::sample::select("\u{202e}\u{200f}\u{200b}\u{feff}\u{301}\u{5d0}\u{fffd}".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    let text = prop::collection::vec(symbol, 1..12).prop_map(String::from_iter);
    let mut runner = TestRunner::default();
    (0..count).map(|_| text.new_tree(&mut runner).expect("a text").current()).collect()
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}"))
}

fn same(texts: &[String], found: &[String]) {
    assert_eq!(texts.len(), found.len());
    for (text, found) in texts.iter().zip(found) {
        assert_eq!(&hex(text), found, "{text:?}");
    }
}

#[test]
fn a_literal_is_understood_as_it_was_meant() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let texts = texts();
    let list: Vec<String> = texts.iter().map(|text| quote_literal(text)).collect();
    let found = admin.column(&format!("SELECT hex(arrayJoin([{}]))", list.join(", ")));
    same(&texts, &found);
}

#[test]
fn a_name_is_understood_as_it_was_meant() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let texts = texts();
    let names: Vec<String> =
        texts.iter().enumerate().map(|(at, text)| format!("{at}{text}")).collect();
    let columns: Vec<String> =
        names.iter().map(|name| format!("1 AS {}", quote_identifier(name))).collect();
    let answer =
        admin.bytes(&format!("SELECT {} FORMAT JSONCompactEachRowWithNames", columns.join(", ")));
    let first = answer.split(|byte| *byte == b'\n').next().expect("a line of names");
    let found: Vec<String> = serde_json::from_slice(first).expect("names");
    assert_eq!(found, names);
}

#[test]
fn many_literals_and_names_are_understood_as_they_were_meant() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let texts = random_texts(LONG_TEXTS);
    let begin = Instant::now();
    for (batch, texts) in texts.chunks(BATCH).enumerate() {
        let literals: Vec<String> = texts.iter().map(|text| quote_literal(text)).collect();
        let found = admin.column(&format!("SELECT hex(arrayJoin([{}]))", literals.join(", ")));
        same(texts, &found);
        // A tuple's element names go through the same parser as any identifier.
        let names: Vec<String> =
            texts.iter().enumerate().map(|(at, text)| format!("{batch}-{at}{text}")).collect();
        let values: Vec<String> =
            names.iter().map(|name| format!("1 AS {}", quote_identifier(name))).collect();
        let answer = admin
            .bytes(&format!("SELECT {} FORMAT JSONCompactEachRowWithNames", values.join(", ")));
        let first = answer.split(|byte| *byte == b'\n').next().expect("a line of names");
        let found: Vec<String> = serde_json::from_slice(first).expect("names");
        assert_eq!(found, names);
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{} cases, {:.0} a second", 2 * LONG_TEXTS, (2 * LONG_TEXTS) as f64 / seconds);
}

#[test]
fn a_statement_around_a_literal_keeps_its_shape() {
    // Not only the bytes: nothing of a text may become syntax. The server's own parser is asked
    // for a statement of the shape of a load, and what it makes of it is parsed once more.
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    for text in texts() {
        let statement = format!(
            "INSERT INTO {0}.{0} ({0}) SELECT {0} FROM s3({1}, format = {1}) WHERE _path = {1}",
            // No prefix that could make a number of it: the server writes `naN` back without quotes.
            quote_identifier(&format!("column {text}")),
            quote_literal(&text)
        );
        let again = |statement: &str| {
            admin.run(&format!(
                "SELECT formatQuerySingleLine({}) FORMAT TSVRaw",
                quote_literal(statement)
            ))
        };
        let once = again(&statement);
        assert_eq!(again(&once), once, "{text:?}");
        let words = ["INSERT INTO", "SELECT", "FROM s3(", "WHERE _path = "];
        assert!(words.iter().all(|word| once.contains(word)), "{text:?}: {once}");
    }
}

#[test]
fn the_names_of_a_table_are_what_they_were_made_as() {
    let admin = Admin::new(&Bed::from_env().clickhouse_url);
    let database = format!("t_{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
    admin.run(&format!("CREATE DATABASE {database} ENGINE = Atomic"));
    let texts = &texts()[..60];
    let names: Vec<String> =
        texts.iter().enumerate().map(|(at, text)| format!("{at}{text}")).collect();
    let columns: Vec<String> =
        names.iter().map(|name| format!("{} UInt8", quote_identifier(name))).collect();
    let table = format!("{database}.{}", quote_identifier("it's a `t\u{e4}ble`\\"));
    admin.run(&format!(
        "CREATE TABLE {table} ({}) ENGINE = MergeTree ORDER BY tuple()",
        columns.join(", ")
    ));
    let values = vec!["1"; names.len()].join(", ");
    admin.run(&format!("INSERT INTO {table} ({}) VALUES ({values})", quote_list(&names)));
    let found = admin.column(&format!(
        "SELECT hex(name) FROM system.columns WHERE database = '{database}' ORDER BY position"
    ));
    admin.run(&format!("DROP DATABASE {database} SYNC"));
    same(&names, &found);
}

#[derive(Deserialize, Row)]
struct Hex {
    hex: String,
}

#[tokio::test]
async fn a_parameter_arrives_as_it_was_sent() {
    let server = server(&Bed::from_env());
    for text in &texts()[..120] {
        let found: Hex = server
            .call_text("test", "SELECT hex({x:String}) AS hex".to_owned())
            .param("x", text)
            .fetch_one()
            .await
            .unwrap_or_else(|failure| panic!("{text:?}: {failure}"));
        assert_eq!(found.hex, hex(text), "{text:?}");
    }
}

#[tokio::test]
async fn a_list_arrives_as_it_was_sent() {
    let texts = texts();
    let found: Vec<Hex> = server(&Bed::from_env())
        .call_text("test", "SELECT hex(arrayJoin({x:Array(String)})) AS hex".to_owned())
        .list("x", &texts)
        .fetch_all()
        .await
        .expect("a list");
    let found: Vec<String> = found.into_iter().map(|row| row.hex).collect();
    same(&texts, &found);
}
