//! One way of reading, whatever looks at the files.

use super::World;

#[test]
fn settings_of_the_user_reach_everything_that_reads() {
    let world = World::with(
        "CREATE TABLE {db}.t (id UInt32, name String) ENGINE = MergeTree ORDER BY id;\n",
    );
    world.text("a.csv", "id;name\n1;x\n");
    world.text("b.csv", "Report of 2024\nid,name\n2,y\n");
    world.text("c.csv", "foo,bar\n3,z\n");
    world.text("d.log", "4 - q\n");
    world.text("e.csv", "id|name\n5|v, w\n");
    let csv = ["--format", "CSVWithNames", "--settings"];
    let with = |setting: &'static str| [csv.as_slice(), &[setting]].concat();
    world.load("a.csv", &with("format_csv_delimiter=;"));
    world.load("b.csv", &with("input_format_csv_skip_first_lines=1"));
    world.load("c.csv", &with("input_format_with_names_use_header=0"));
    world.load("e.csv", &with("format_csv_delimiter=|"));
    let regexp = [
        "--format",
        "Regexp",
        "--settings",
        r"format_regexp=(\d+) - (\w+)",
        "--settings",
        "format_regexp_escaping_rule=Raw",
    ];
    world.load("d.log", &regexp);
    assert_eq!(world.all("t"), "1\tx\n2\ty\n3\tz\n4\tq\n5\tv, w\n");
}

#[test]
fn defaults_stand_where_a_row_has_no_value() {
    let world = World::with(
        "CREATE TABLE {db}.t (id UInt32, s String DEFAULT 'dflt', n UInt32 DEFAULT 9, h UInt64 DEFAULT cityHash64(id, n), m UInt64 MATERIALIZED n + 1, a UInt64 ALIAS n * 2)
         ENGINE = MergeTree ORDER BY id;\n",
    );
    world.text(
        "1.jsonl",
        "{\"id\":1,\"s\":null,\"n\":null}\n{\"id\":2}\n{\"id\":3,\"s\":\"x\",\"n\":5,\"h\":7}\n",
    );
    world.text("2.csv", "id,s,n\n4,,\n5,y,6\n");
    world.load("1.jsonl", &[]);
    world.load("2.csv", &[]);
    let db = &world.scene.db;
    let structure = "id UInt32, s String DEFAULT 'dflt', n UInt32 DEFAULT 9, h UInt64 DEFAULT cityHash64(id, n)";
    world.scene.admin.run(&format!("CREATE TABLE {db}.oracle AS {db}.t"));
    for (file, format) in [("1.jsonl", "JSONEachRow"), ("2.csv", "CSVWithNames")] {
        let from = world.files(file, format, structure);
        world
            .scene
            .admin
            .run(&format!("INSERT INTO {db}.oracle (id, s, n, h) SELECT id, s, n, h FROM {from}"));
    }
    let all = |table: &str| {
        world.value(&format!("SELECT groupArray((id, s, n, h, m, a)) FROM (SELECT *, m, a FROM {{db}}.{table} ORDER BY id)"))
    };
    assert_eq!(all("t"), all("oracle"));
}

#[test]
fn a_default_of_another_column_sees_the_value_of_the_target() {
    // The reader gives `a` in a wider type than the target; its hash would be another one.
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, a UInt8, h UInt64 DEFAULT cityHash64(a), z Nullable(UInt64) DEFAULT cityHash64(a)) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.put(
        "1.parquet",
        "Parquet",
        "SELECT 1::UInt8 AS k, 7::Int64 AS a, 5::Nullable(UInt64) AS h",
    );
    world.put("2.parquet", "Parquet", "SELECT 2::UInt8 AS k, 8::Int64 AS a");
    world.load("*", &[]);
    assert_eq!(
        world.value("SELECT groupArray(h = if(k = 1, 5, cityHash64(a))) FROM {db}.t"),
        "[true,true]".replace("true", "1")
    );
    assert_eq!(world.value("SELECT countIf(z = cityHash64(a)) FROM {db}.t"), "2");
}

#[test]
fn a_column_that_a_default_is_made_of_is_checked_too() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, a UInt8 DEFAULT 7, h UInt64 DEFAULT cityHash64(a, k), z Nullable(UInt64) DEFAULT cityHash64(a)) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.text("1.jsonl", "{\"k\": 1, \"a\": 200}\n{\"k\": 2}\n{\"k\": 3, \"a\": 9, \"h\": 5, \"z\": null}\n{\"k\": 4, \"h\": null}\n");
    world.load("1.jsonl", &[]);
    assert_eq!(
        world.value("SELECT groupArray((k, a)) FROM (SELECT * FROM {db}.t ORDER BY k)"),
        "[(1,200),(2,7),(3,9),(4,7)]"
    );
    assert_eq!(
        world.value("SELECT groupArray(h = if(k = 3, 5, cityHash64(a, k))) FROM {db}.t"),
        "[1,1,1,1]"
    );
    assert_eq!(
        world.value(
            "SELECT groupArray(if(k = 3, isNull(z), ifNull(z = cityHash64(a), 0))) FROM {db}.t"
        ),
        "[1,1,1,1]"
    );
    for (file, row) in [("2.jsonl", "\"a\": 300"), ("3.jsonl", "\"z\": 18446744073709551616")] {
        world.text(file, &format!("{{\"k\": 5, {row}}}\n"));
        let error = world.fails(file, &[]);
        assert!(error.contains(file) && error.contains("does not fit"), "{error}");
    }
}

#[test]
fn what_an_ephemeral_column_is_when_files_lack_it() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, raw UInt32 EPHEMERAL 3, v UInt64 DEFAULT raw * 2) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.put("1.parquet", "Parquet", "SELECT 1::UInt8 AS k, 7::Int64 AS raw");
    world.put("2.parquet", "Parquet", "SELECT 2::UInt8 AS k");
    world.load("*.parquet", &[]);
    world.text("3.jsonl", "{\"k\": 3, \"raw\": 5}\n{\"k\": 4}\n");
    world.load("3.jsonl", &[]);
    assert_eq!(world.all("t"), "1\t14\n2\t6\n3\t10\n4\t6\n");
}

#[test]
fn expressions_of_the_user_see_text_as_text() {
    let world = World::with("CREATE TABLE {db}.t (zip String) ENGINE = MergeTree ORDER BY zip;\n");
    let rows: String = std::iter::repeat_n("1\n", 25_000).collect();
    world.text("1.csv", &format!("code,price\n{}\"007\",2\n", rows.replace("1\n", "1,2\n")));
    world.load("1.csv", &["--select", "code AS zip"]);
    assert_eq!(world.value("SELECT groupUniqArray(zip) = ['1', '007'] OR groupUniqArray(zip) = ['007', '1'] FROM {db}.t"), "1");
    // What needs a number gets one, and it is told which column is guessed.
    let notes = world.notes("1.csv", &["--select", "toString(price * 2) AS zip"]);
    assert!(
        notes.contains("price") && notes.contains("--structure") && !notes.contains("code"),
        "{notes}"
    );
}

#[test]
fn the_result_of_an_expression_is_checked_too() {
    let world = World::with("CREATE TABLE {db}.t (a UInt8) ENGINE = MergeTree ORDER BY a;\n");
    world.put("1.parquet", "Parquet", "SELECT 200::UInt8 AS a");
    let error = world.fails("1.parquet", &["--select", "a + 100 AS a"]);
    assert!(error.contains("300") && error.contains("column a"), "{error}");
    world.load("1.parquet", &["--select", "a + 50 AS a"]);
    assert_eq!(world.all("t"), "250\n");
}
