//! Values that do not fit into their column.

use longshore_tests::{drawn, drawn_few};

use super::World;

/// Type of the target, a value as the server writes it into the file, and how the file shows it.
const MISFITS: &[(&str, &str, &str)] = &[
    ("UInt8", "300::Int64", "300"),
    ("Int32", "1099511627781::Int64", "1099511627781"),
    ("UInt64", "-1::Int64", "-1"),
    ("Date", "toDate32('1950-01-01')", "1950-01-01"),
    ("DateTime('UTC')", "toDateTime64('1950-01-01 00:00:00', 3, 'UTC')", "1950-01-01"),
    ("DateTime('UTC')", "toDateTime64('2024-01-01 00:00:00.5', 3, 'UTC')", "00.5"),
    ("DateTime64(3, 'UTC')", "toDateTime64('2024-01-01 00:00:00.123456', 6, 'UTC')", "123456"),
    ("Decimal(9, 2)", "1112.119::Decimal(18, 3)", "1112.119"),
    ("Array(UInt8)", "[1, 300]::Array(Int64)", "300"),
    ("Map(String, Int8)", "map('k', 300)::Map(String, Int64)", "300"),
    ("Nullable(UInt8)", "300::Nullable(Int64)", "300"),
];

#[test]
fn a_value_that_does_not_fit_fails_its_task_with_file_column_and_value() {
    let world = World::with("");
    let formats = ["Parquet", "JSONEachRow", "Native", "CSVWithNames"];
    let mut pairs = Vec::new();
    for (at, misfit) in MISFITS.iter().enumerate() {
        for (place, format) in formats.iter().enumerate() {
            // The reader of text refuses a sign by itself; not every pair is tried in every format.
            if !(misfit.2 == "-1" && place % 2 == 1) && (place <= 1 || at % 3 == 0) {
                pairs.push((format!("bad-{at}-{place}"), *misfit, *format));
            }
        }
    }
    for (file, (kind, value, shown), format) in drawn(&pairs) {
        world.again(&format!("k UInt8, v {kind}"));
        world.put(&file, format, &format!("SELECT 2::UInt8 AS k, {value} AS v"));
        let error = world.fails(&file, &["--format", format]);
        for word in [&file, "column v", shown, "--conversions as-insert"] {
            assert!(error.contains(word), "{format} {kind}: {word} is not in {error}");
        }
        assert_eq!(world.all("t"), "", "{format} {kind}");
        world.load(&file, &["--format", format, "--conversions", "as-insert"]);
        let from = world.files(&file, format, &format!("k UInt8, v {kind}"));
        let plain = world.plain(&format!("INSERT INTO {{db}}.oracle SELECT k, v FROM {from}"));
        assert_eq!(world.all("t"), plain, "{format} {kind}");
    }
}

/// A cast of text makes NULL of what it cannot read, and another number of one that is too large.
#[test]
fn text_of_which_a_reader_makes_null_fails_its_task() {
    let world = World::with("");
    for (kind, text) in [
        ("Nullable(UUID)", "no-uuid"),
        ("Nullable(IPv6)", "no-address"),
        ("UInt128", "340282366920938463463374607431768211461"),
    ] {
        for format in ["Parquet", "ArrowStream"] {
            world.again(&format!("k UInt8, v {kind}"));
            let file = format!("{text}-{format}");
            world.put(&file, format, &format!("SELECT 2::UInt8 AS k, '{text}' AS v"));
            let error = world.fails(&file, &["--format", format]);
            for word in [&file, "column v", text] {
                assert!(error.contains(word), "{format} {kind}: {word} is not in {error}");
            }
            assert_eq!(world.all("t"), "", "{format} {kind}");
            world.load(&file, &["--format", format, "--conversions", "as-insert"]);
            let from = world.files(&file, format, &format!("k UInt8, v {kind}"));
            let plain = world.plain(&format!("INSERT INTO {{db}}.oracle SELECT k, v FROM {from}"));
            assert_eq!(world.all("t"), plain, "{format} {kind}");
        }
    }
}

#[test]
fn text_that_is_no_number_fails_its_task() {
    let world =
        World::with("CREATE TABLE {db}.t (id UInt32, d Date) ENGINE = MergeTree ORDER BY id;\n");
    let values = "values('id Nullable(String), d Nullable(String)', ('7', '2024-01-05'), ('meow', '31/12/2023'))";
    world.put("1.parquet", "Parquet", &format!("SELECT * FROM {values}"));
    let error = world.fails("1.parquet", &[]);
    assert!(
        error.contains("1.parquet") && error.contains("meow") && error.contains("column id"),
        "{error}"
    );
    assert_eq!(world.all("t"), "");
    world.put("2.parquet", "Parquet", &format!("SELECT * FROM {values} WHERE id = '7'"));
    world.load("2.parquet", &[]);
    assert_eq!(world.all("t"), "7\t2024-01-05\n");
}

#[test]
fn null_is_a_default_that_was_chosen_or_a_loss() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, a UInt32 DEFAULT 9, b Nullable(UInt32), c UInt32) ENGINE = MergeTree ORDER BY k;\n",
    );
    let select = "SELECT 1::UInt8 AS k, NULL::Nullable(UInt32) AS a, NULL::Nullable(UInt32) AS b";
    world.put("1.parquet", "Parquet", &format!("{select}, 5::Nullable(UInt32) AS c"));
    let notes = world.notes("1.parquet", &[]);
    assert!(!notes.contains("checked"), "the footer says that c holds no NULL: {notes}");
    world.load("1.parquet", &[]);
    assert_eq!(world.all("t"), "1\t9\t\\N\t5\n");
    world.put("2.parquet", "Parquet", &format!("{select}, NULL::Nullable(UInt32) AS c"));
    let notes = world.notes("2.parquet", &[]);
    assert!(notes.contains("c (Nullable(UInt32) to UInt32)"), "{notes}");
    let error = world.fails("2.parquet", &[]);
    assert!(error.contains("2.parquet") && error.contains("NULL of column c"), "{error}");
}

#[test]
fn values_that_fit_are_loaded_whatever_type_the_file_has() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, a UInt8, d Date, x Decimal(9, 2), f Float32, s Array(Int16)) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, 200::Int64 AS a, toDateTime64('2024-01-01 00:00:00', 3, 'UTC') AS d, 12.5::Float64 AS x, 0.1::Float64 AS f, [1, -5]::Array(Int64) AS s");
    world.put("2.parquet", "Parquet", "SELECT 2::UInt8 AS k, 7::UInt16 AS a, toDate('2024-01-02') AS d, 3.25::Decimal(18, 6) AS x, 0.5::Float32 AS f, [2]::Array(Int32) AS s");
    let notes = world.notes("*", &[]);
    assert!(
        notes.contains("rounded") && notes.contains("f (Float64 and Float32 to Float32)"),
        "{notes}"
    );
    world.load("*", &[]);
    assert_eq!(
        world.all("t"),
        "1\t200\t2024-01-01\t12.5\t0.1\t[1,-5]\n2\t7\t2024-01-02\t3.25\t0.5\t[2]\n"
    );
}

#[test]
fn exports_of_the_server_come_back_as_they_were() {
    let all = [
        ("Parquet", "Int128", "toInt128('-170141183460469231731687303715884105')"),
        ("Parquet", "UUID", "toUUID('00010203-0405-0607-0809-0a0b0c0d0e0f')"),
        ("Parquet", "Enum8('a' = -3, 'b' = 2)", "'a'"),
        ("Parquet", "IPv6", "toIPv6('::1')"),
        ("Arrow", "UInt256", "toUInt256('11579208923731619542357098500868790785326')"),
        ("Arrow", "Date", "toDate('2024-02-29')"),
        ("Avro", "Enum8('a' = -3, 'b' = 2)", "'a'"),
        ("Avro", "IPv4", "toIPv4('10.0.0.7')"),
        ("ORC", "IPv4", "toIPv4('10.0.0.7')"),
        ("ORC", "Decimal(76, 10)", "toDecimal256('123456789.0123456789', 10)"),
        ("Native", "LowCardinality(Nullable(String))", "NULL"),
        (
            "RowBinaryWithNamesAndTypes",
            "DateTime64(3, 'UTC')",
            "toDateTime64('1950-01-01 00:00:00.5', 3, 'UTC')",
        ),
        ("CSVWithNamesAndTypes", "Array(Date)", "[toDate('2024-01-01')]"),
        ("JSON", "UInt64", "18446744073709551615"),
    ];
    let world = World::with("");
    for (at, (format, kind, value)) in drawn(&all).into_iter().enumerate() {
        world.again(&format!("k UInt8, c {kind}"));
        let file = format!("x{at}");
        let value = format!("CAST({value}, '{}')", kind.replace('\'', "\\'"));
        world.put(&file, format, &format!("SELECT 1::UInt8 AS k, {value} AS c"));
        world.load(&file, &["--format", format]);
        let there = world.value(&format!("SELECT c IS NOT DISTINCT FROM {value} FROM {{db}}.t"));
        assert_eq!(there, "1", "{format} {kind}");
    }
}

#[test]
fn text_that_is_too_long_for_a_nullable_column_is_no_null() {
    let world = World::with("");
    world.again("k UInt8, v Nullable(FixedString(4))");
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, 'xxxxx'::Nullable(String) AS v");
    let error = world.fails("1.parquet", &[]);
    assert!(error.contains("1.parquet") && error.contains("FixedString(4)"), "{error}");
    assert_eq!(world.all("t"), "");
    world.put("2.parquet", "Parquet", "SELECT 2::UInt8 AS k, 'abcde'::FixedString(8) AS v");
    let error = world.fails("2.parquet", &[]);
    assert!(error.contains("abcde") && error.contains("column v"), "{error}");
    world.put("3.parquet", "Parquet", "SELECT 3::UInt8 AS k, 'ab'::FixedString(8) AS v");
    world.load("3.parquet", &[]);
    assert_eq!(world.value("SELECT hex(v) FROM {db}.t"), "61620000");
    world.again("k UInt8, v Array(Nullable(FixedString(4)))");
    world.put("4.parquet", "Parquet", "SELECT 4::UInt8 AS k, ['ab', 'xxxxx'] AS v");
    let error = world.fails("4.parquet", &[]);
    assert!(error.contains("value ['ab','xxxxx'] of column v"), "{error}");
}

#[test]
fn the_word_null_is_not_blamed_for_the_value_beside_it() {
    let world = World::with("");
    world.again("k UInt8, a Array(String), v UInt8");
    let select = "SELECT 1::UInt8 AS k, ['NULL', 'x']::Array(Nullable(String)) AS a";
    world.put("1.parquet", "Parquet", &format!("{select}, 300::Int64 AS v"));
    let error = world.fails("1.parquet", &[]);
    assert!(error.contains("value 300 of column v"), "{error}");
    world.put("2.parquet", "Parquet", "SELECT 1::UInt8 AS k, ['x', NULL] AS a, 3::Int64 AS v");
    let error = world.fails("2.parquet", &[]);
    assert!(error.contains("['x',NULL] of column a"), "{error}");
}

#[test]
fn a_date_that_is_in_no_calendar_fails_its_task() {
    let world = World::with("");
    let dates = [
        ("Date", "2023-02-30"),
        ("Date32", "2023-13-45"),
        ("Nullable(Date32)", "1850-01-01"),
        ("Array(Date32)", "2023-13-45"),
        ("Date32 DEFAULT k + 1", "2023-02-30"),
        ("DateTime64(9, 'UTC')", "2023-13-45"),
        ("Nullable(DateTime64(9, 'UTC'))", "2023-02-30"),
        ("DateTime64(9, 'UTC')", "2300-01-01"),
    ];
    let in_files = dates.map(|date| ["d.csv", "d.jsonl", "d.parquet"].map(|file| (date, file)));
    for ((kind, date), file) in drawn_few(in_files.as_flattened(), 6) {
        world.again(&format!("k UInt8, v {kind}"));
        let is_list = kind.starts_with("Array");
        let (csv, json) =
            if is_list { (("['", "']"), ("[\"", "\"]")) } else { (("", ""), ("\"", "\"")) };
        world.text("d.csv", &format!("k,v\n1,\"{}{date}{}\"\n", csv.0, csv.1));
        world.text("d.jsonl", &format!("{{\"k\": 1, \"v\": {}{date}{}}}\n", json.0, json.1));
        let value = if is_list { format!("['{date}']") } else { format!("'{date}'") };
        world.put("d.parquet", "Parquet", &format!("SELECT 1::UInt8 AS k, {value} AS v"));
        let error = world.fails(file, &[]);
        assert!(error.contains(file) && error.contains(date), "{kind} {date}: {error}");
        assert_eq!(world.all("t"), "", "{kind} {date}");
    }
    world.again("k UInt8, v Date32, n Date");
    world.text("days.jsonl", "{\"k\": 1, \"v\": \"1950-01-01\", \"n\": 19723}\n");
    world.load("days.jsonl", &[]);
    assert_eq!(world.all("t"), "1\t1950-01-01\t2024-01-01\n");
}

#[test]
fn what_avro_holds_is_converted_and_not_taken_for_something_else() {
    let world = World::with("");
    world.again(
        "k UInt8, a String, b DateTime64(6, 'UTC'), c Decimal(9, 2), d DateTime64(3, 'UTC')",
    );
    world.put("1.avro", "Avro", "SELECT 1::UInt8 AS k, 1.25::Decimal(9, 2) AS a, toDateTime64('2024-01-01 00:00:00.5', 3, 'UTC') AS b, 5::Int32 AS c, toDate32('1950-01-01') AS d");
    world.load("1.avro", &[]);
    assert_eq!(world.all("t"), "1\t1.25\t2024-01-01 00:00:00.500000\t5\t1950-01-01 00:00:00.000\n");
}

/// Its reader takes the days for seconds, parts of a second and text; the plain INSERT loses them too.
#[test]
fn days_that_orc_holds_are_a_date() {
    let world = World::with("");
    world.again(
        "k UInt8, a DateTime('UTC'), b DateTime64(3, 'UTC'), c Array(DateTime64(6, 'UTC')), d String, e Date",
    );
    let day = "toDate32('2024-09-15')";
    let select = format!(
        "SELECT 1::UInt8 AS k, {day} AS a, {day} AS b, [{day}] AS c, {day} AS d, {day} AS e"
    );
    world.put("1.orc", "ORC", &select);
    world.load("1.orc", &[]);
    assert_eq!(
        world.all("t"),
        "1\t2024-09-15 00:00:00\t2024-09-15 00:00:00.000\t['2024-09-15 00:00:00.000000']\t2024-09-15\t2024-09-15\n"
    );
    world.put("2.orc", "ORC", &select.replace("2024-09-15", "1950-01-01"));
    let error = world.fails("2.orc", &[]);
    assert!(error.contains("2.orc") && error.contains("1950-01-01 of column a"), "{error}");
}

#[test]
fn numbers_whose_meaning_no_file_tells_are_named_by_the_plan() {
    let world = World::with("");
    world.again("k UInt8, a DateTime64(3, 'UTC'), b Int128");
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, 1500::Int64 AS a, -7::Int128 AS b");
    let notes = world.notes("1.parquet", &[]);
    for word in
        ["not checked", "a (Int64 to DateTime64(3, 'UTC'))", "b (FixedString(16) to Int128)"]
    {
        assert!(notes.contains(word), "{word} is not in {notes}");
    }
    world.load("1.parquet", &[]);
    assert_eq!(world.all("t"), "1\t1970-01-01 00:25:00.000\t-7\n");
    world.text("2.csv", "k,b\n2,-8\n");
    let notes = world.notes("2.csv", &[]);
    assert!(!notes.contains("not checked"), "{notes}");
    world.again("k UInt8, b Int256");
    let notes = world.notes("2.csv", &[]);
    assert!(notes.contains("b (text to Int256)"), "{notes}");
}

#[test]
fn a_moment_stays_the_same_where_another_file_has_text() {
    let world = World::with("");
    world.again("k UInt8, v DateTime('Asia/Kolkata')");
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, '2024-01-01 05:30:00' AS v");
    world.put(
        "2.parquet",
        "Parquet",
        "SELECT 2::UInt8 AS k, toDateTime64('2024-01-01 00:00:00', 3, 'UTC') AS v",
    );
    world.load("*", &[]);
    assert_eq!(
        world.value("SELECT groupUniqArray(toUnixTimestamp(v)) FROM {db}.t"),
        "[1704067200]"
    );
}

/// Fields between delimiters of one's own are text like that of TSV, unless they are quoted.
#[test]
fn a_moment_between_own_delimiters_is_looked_at_or_told() {
    for format in
        ["CustomSeparated", "CustomSeparatedWithNames", "CustomSeparatedWithNamesAndTypes"]
    {
        let world = World::with(
            "CREATE TABLE {db}.t (k UInt8, v DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY k;\n",
        );
        let row = "SELECT 2::UInt8 AS k, toDateTime64('2024-01-01 00:00:00.123456', 6, 'UTC') AS v";
        world.put("bad", format, row);
        let error = world.fails("bad", &["--format", format]);
        assert!(error.contains("column v") && error.contains("123456"), "{format}: {error}");
        world.put("good", format, &row.replace("456", ""));
        world.load("good", &["--format", format]);
        assert_eq!(world.all("t"), "2\t2024-01-01 00:00:00.123\n", "{format}");
    }
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, v DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.text("quoted", "2\t'2024-01-01 00:00:00.123'\n");
    let quoted = "format_custom_escaping_rule=Quoted";
    let more = ["--format", "CustomSeparated", "--settings", quoted];
    let notes = world.notes("quoted", &more);
    assert!(notes.contains("not checked: v"), "{notes}");
    world.load("quoted", &more);
    assert_eq!(world.all("t"), "2\t2024-01-01 00:00:00.123\n");
}

#[test]
fn a_number_that_is_too_large_is_not_made_infinite() {
    let values = [("Float32", "1e303"), ("Array(Float32)", "[1.5, 1e303]")];
    let in_files = values.map(|value| ["Parquet", "Native", "Avro"].map(|format| (value, format)));
    let world = World::with("");
    for ((kind, value), format) in drawn_few(in_files.as_flattened(), 3) {
        world.again(&format!("k UInt8, v {kind}"));
        world.put("bad", format, &format!("SELECT 1::UInt8 AS k, {value} AS v"));
        let error = world.fails("bad", &["--format", format]);
        assert!(error.contains("column v") && error.contains("1e303"), "{format}: {error}");
        // What is infinite stays so, and digits are rounded as ever.
        let good = value.replace("1e303", "inf").replace("1.5", "0.1");
        world.put("good", format, &format!("SELECT 1::UInt8 AS k, {good} AS v"));
        world.load("good", &["--format", format]);
        assert_eq!(world.all("t"), format!("1\t{}\n", good.replace(' ', "")), "{format}");
    }
}

#[test]
fn a_text_column_that_a_file_lacks_is_zero_there() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, v Decimal(9, 2)) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, '2.50' AS v");
    world.put("2.parquet", "Parquet", "SELECT 2::UInt8 AS k");
    world.load("*", &[]);
    assert_eq!(world.all("t"), "1\t2.5\n2\t0\n");
}

#[test]
fn decimals_go_into_the_largest_integers() {
    let world = World::with("");
    world.again("k UInt8, a Int256, b Array(UInt128)");
    let select = "SELECT 1::UInt8 AS k, 7::Decimal(18, 4) AS a";
    world.put("1.parquet", "Parquet", &format!("{select}, [8::Decimal(18, 4)] AS b"));
    world.load("1.parquet", &[]);
    assert_eq!(world.all("t"), "1\t7\t[8]\n");
    world.put("2.parquet", "Parquet", &format!("{select}, [8.5::Decimal(18, 4)] AS b"));
    let error = world.fails("2.parquet", &[]);
    assert!(error.contains("8.5") && error.contains("column b"), "{error}");
}

#[test]
fn values_written_as_sql_are_no_null_where_they_do_not_parse() {
    let world = World::with("");
    world.again("k UInt8, v UInt8 DEFAULT k + 1, w Nullable(UInt8)");
    let values = ["--format", "Values"];
    world.text("1.sql", "(1, NULL, 2), (2, 5, NULL)");
    let notes = world.notes("1.sql", &values);
    assert!(notes.contains("not checked") && notes.contains("w (text to"), "{notes}");
    world.load("1.sql", &values);
    assert_eq!(world.all("t"), "1\t2\t2\n2\t5\t\\N\n");
    for (file, text) in [("2.sql", "(3, 'meow', 1)"), ("3.sql", "(3, 300, 1)")] {
        world.text(file, text);
        let error = world.fails(file, &values);
        assert!(error.contains(file), "{error}");
    }
    // Nor where a default is made of a column that is read in another type.
    world.again("k UInt8, v Float64 DEFAULT k + 1");
    world.text("4.sql", "(3, 'meow')");
    world.put("5.parquet", "Parquet", "SELECT 3::Int64 AS k, 'meow' AS v");
    for (file, more) in [("4.sql", values.as_slice()), ("5.parquet", &[])] {
        let error = world.fails(file, more);
        assert!(error.contains(file) && error.contains("meow"), "{error}");
    }
}
