//! Which columns the files have, and which the target has.

use super::{USAGE, World};

#[test]
fn a_column_that_only_later_files_have_is_loaded() {
    let world = World::with(
        "CREATE TABLE {db}.t (id UInt64, city String) ENGINE = MergeTree ORDER BY id;\n",
    );
    world.put("2023.parquet", "Parquet", "SELECT 1::UInt64 AS id");
    world.put("2024.parquet", "Parquet", "SELECT 2::UInt64 AS id, 'Oslo' AS city");
    let notes = world.notes("*", &[]);
    assert!(notes.contains("city") && notes.contains("2023.parquet"), "{notes}");
    world.load("*", &[]);
    assert_eq!(world.all("t"), "1\t\n2\tOslo\n");
}

#[test]
fn a_key_that_comes_after_the_sample_is_loaded() {
    let world = World::with(
        "CREATE TABLE {db}.t (id UInt64, city String) ENGINE = MergeTree ORDER BY id;\n",
    );
    let row = |id: u32| match id {
        26_000.. => format!("{{\"id\":{id},\"city\":\"Oslo\"}}\n"),
        _ => format!("{{\"id\":{id}}}\n"),
    };
    world.text("a.jsonl", &(0..26_010).map(row).collect::<String>());
    world.load("a.jsonl", &[]);
    assert_eq!(world.value("SELECT countIf(city = 'Oslo'), count() FROM {db}.t"), "10\t26010");
}

#[test]
fn a_column_that_the_target_lacks_is_refused_with_its_file_and_left_out_on_demand() {
    for format in ["Parquet", "CSVWithNames", "JSONEachRow", "Avro", "Native"] {
        let world = World::with("CREATE TABLE {db}.t (a Int64) ENGINE = MergeTree ORDER BY a;\n");
        world.put("1", format, "SELECT 1::Int64 AS a");
        world.put("2", format, "SELECT 2::Int64 AS a, 'x' AS extra");
        let refused = world.scene.plan_program("t", "*", &["--format", format]).run();
        refused.exits_with(USAGE).says(&["/2", "`extra`", "--ignore-columns extra"]);
        world.load("*", &["--format", format, "--ignore-columns", "extra"]);
        assert_eq!(world.all("t"), "1\n2\n", "{format}");
        world.load("*", &["--format", format, "--columns", "a", "--again", "chosen"]);
        assert_eq!(world.all("t"), "1\n1\n2\n2\n", "{format}");
    }
}

#[test]
fn a_key_that_the_target_lacks_and_that_comes_late_fails_its_task() {
    let world = World::with("CREATE TABLE {db}.t (a Int64) ENGINE = MergeTree ORDER BY a;\n");
    let rows = |extra: &str| {
        let rows: Vec<String> = (0..26_000).map(|a| format!("{{\"a\":{a}}}\n")).collect();
        rows.concat() + extra
    };
    world.text("a.jsonl", &rows("{\"a\":1,\"late\":[1,2]}\n"));
    let error = world.fails("a.jsonl", &[]);
    assert!(error.contains("a.jsonl") && error.contains("late"), "{error}");
    assert_eq!(world.value("SELECT count() FROM {db}.t"), "0");
    world.load("a.jsonl", &["--ignore-columns", "late"]);
    assert_eq!(world.value("SELECT count() FROM {db}.t"), "26001");
}

#[test]
fn empty_files_bare_headers_and_markers_decide_nothing() {
    let world = World::with(
        "CREATE TABLE {db}.t (a Int64, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a;\n",
    );
    world.text("0-empty.csv", "");
    world.text("1-header.csv", "other,names\n");
    world.text("2.csv", "a,b\n1,x\n");
    world.text("_SUCCESS", "");
    world.text("_started_17", "{\"writer\":1}");
    let more = ["--format", "CSVWithNames"];
    let notes = world.notes("*", &more);
    assert!(notes.contains("3 files"), "{notes}");
    world.load("*", &more);
    assert_eq!(world.all("t"), "1\tx\n");
}

/// Every reader but that of `JSONEachRow` writes 0 for a column that is not there, and a plain INSERT
/// leaves rows that nobody can read (26.7).
#[test]
fn an_enum_that_a_file_lacks_has_its_first_element_also_where_none_is_0() {
    for format in ["Parquet", "Native", "Avro", "CSVWithNames", "RowBinaryWithNames", "JSONEachRow"]
    {
        let world = World::with(
            "CREATE TABLE {db}.t (a Int64, e Enum8('x' = 5, 'y' = 6), p Tuple(e Enum8('x' = 5), n UInt8))
             ENGINE = MergeTree ORDER BY a;\n",
        );
        world.put("1", format, "SELECT 1::Int64 AS a");
        let more = ["--format", format, "--settings", "input_format_avro_allow_missing_fields=1"];
        world.load("*", &more);
        assert_eq!(world.all("t"), "1\tx\t('x',0)\n", "{format}");
    }
}

#[test]
fn hive_columns_are_there_the_second_time_too() {
    let world =
        World::with("CREATE TABLE {db}.t (id UInt64, dt Date) ENGINE = MergeTree ORDER BY id;\n");
    world.put("dt=2024-01-01/1.parquet", "Parquet", "SELECT 1::UInt64 AS id");
    // The cache of schemas takes files that are older than its entry.
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.scene.admin.run(&format!("DESCRIBE {}", world.files("**/*.parquet", "Parquet", "")));
    let first = world.scene.plan_into("t", "**/*.parquet", &[]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.scene.admin.run(&format!("DESCRIBE {}", world.files("**/*.parquet", "Parquet", "")));
    let second = world.scene.plan_into("t", "**/*.parquet", &[]);
    assert_eq!(first, second);
    world.scene.longshore(["run", &first, "--workers", "1"]).run().ok();
    assert_eq!(world.all("t"), "1\t2024-01-01\n");
}

#[test]
fn lists_of_structs_fill_nested_columns() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, n Nested(x Int64, y String)) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.put(
        "1.parquet",
        "Parquet",
        "SELECT 1::UInt8 AS k, [(1, 'a'), (2, 'b')]::Array(Tuple(x Int32, y String)) AS n",
    );
    world.load("1.parquet", &[]);
    assert_eq!(world.all("t"), "1\t[1,2]\t['a','b']\n");
    world.put(
        "2.parquet",
        "Parquet",
        "SELECT 2::UInt8 AS k, [(1, 'a', 3)]::Array(Tuple(x Int64, y String, z Int8)) AS n",
    );
    let refused = world.scene.plan_program("t", "2.parquet", &[]).run();
    refused.exits_with(USAGE).says(&["2.parquet", "`n.z`"]);
}

#[test]
fn numbers_in_lists_of_structs_are_read_as_the_target_has_them() {
    let world = World::with("");
    world.again("k UInt8, `n.x` Array(Int64), `n.y` Array(Nullable(String))");
    let row = |n: &str| {
        format!(
            "{{\"k\": 1, \"n\": [{{\"x\": {n}, \"y\": \"a\"}}, {{\"x\": 1.0, \"y\": null}}]}}\n"
        )
    };
    world.text("1.jsonl", &row("9223372036854775807").replace("1.0", "2"));
    world.load("1.jsonl", &[]);
    assert_eq!(world.all("t"), "1\t[9223372036854775807,2]\t['a',NULL]\n");
    world.text("2.jsonl", &row("9223372036854775808").replace("1.0", "2"));
    let error = world.fails("2.jsonl", &[]);
    assert!(error.contains("2.jsonl") && error.contains("column n.x"), "{error}");
}

/// The server guesses no type for an integer of more than 64 bits, and none for its neighbours then.
#[test]
fn lists_of_structs_are_seen_beside_a_very_large_number() {
    let world = World::with("");
    world.again("k Int128, `n.x` Array(Float64), `n.y` Array(String)");
    let large = "170141183460469231731687303715884105727";
    world.text(
        "1.jsonl",
        &format!(
            "{{\"k\": 1, \"n\": []}}\n{{\"k\": {large}, \"n\": [{{\"x\": 1.5, \"y\": \"a\"}}]}}\n"
        ),
    );
    world.load("1.jsonl", &[]);
    assert_eq!(world.all("t"), format!("1\t[]\t[]\n{large}\t[1.5]\t['a']\n"));
}

#[test]
fn names_that_differ_in_case_are_loaded_where_the_server_takes_them_and_offered_elsewhere() {
    let world = World::with(
        "CREATE TABLE {db}.t (mcc UInt16, iso String) ENGINE = MergeTree ORDER BY mcc;\n",
    );
    world.text("1.csv", "MCC,ISO\n310,us\n");
    world.text("2.csv", "mcc,iso\n311,no\n");
    world.load("*.csv", &[]);
    assert_eq!(world.all("t"), "310\tus\n311\tno\n");
    world.put("1.parquet", "Parquet", "SELECT 312::UInt16 AS MCC, 'se' AS iso");
    let refused = world.scene.plan_program("t", "1.parquet", &[]).run();
    refused.exits_with(USAGE).says(&["1.parquet", "`MCC`", "--select 'MCC AS mcc, iso'"]);
    world.load("1.parquet", &["--select", "MCC AS mcc, iso"]);
    assert_eq!(world.value("SELECT iso FROM {db}.t WHERE mcc = 312"), "se");
}

#[test]
fn an_advice_can_be_followed() {
    let world = World::with("CREATE TABLE {db}.t (raw String) ENGINE = MergeTree ORDER BY raw;\n");
    world.text("1.log", "hello\n");
    let refused = world.scene.plan_program("t", "1.log", &["--format", "LineAsString"]).run();
    refused.exits_with(USAGE).says(&["`line`", "--select 'line AS COLUMN'"]);
    world.load("1.log", &["--format", "LineAsString", "--select", "line AS raw"]);
    assert_eq!(world.all("t"), "hello\n");
}

#[test]
fn columns_of_files_that_are_named_like_virtual_ones_are_columns() {
    let world = World::with(
        "CREATE TABLE {db}.t (id UInt64, _path String, _file String) ENGINE = MergeTree ORDER BY id;\n",
    );
    world.put("1.parquet", "Parquet", "SELECT 1::UInt64 AS id, 'p' AS _path, 'f' AS _file");
    world.load("1.parquet", &[]);
    assert_eq!(world.all("t"), "1\tp\tf\n");
    // The key is known by its path alone, and the column hides it.
    world.put("a{b}.parquet", "Parquet", "SELECT 2::UInt64 AS id, 'p' AS _path, 'f' AS _file");
    let refused =
        world.scene.plan_program("t", "a{b}*.parquet".replace("{b}", "?b?").as_str(), &[]).run();
    refused.exits_with(USAGE).says(&["_path", "rename the file"]);
}

#[test]
fn files_that_were_not_looked_at_are_looked_at_by_their_worker() {
    let world = World::with("CREATE TABLE {db}.t (a Int32) ENGINE = MergeTree ORDER BY a;\n");
    world.put("1.parquet", "Parquet", "SELECT 1::Int32 AS a");
    world.put("2.parquet", "Parquet", "SELECT 2::Int32 AS a, 'x' AS extra");
    let more = ["--schemas-max", "1", "--chunk-files-max", "1"];
    let notes = world.notes("*", &more);
    assert!(notes.contains("1 of 2 files"), "{notes}");
    let error = world.fails("*", &more);
    assert!(error.contains("2.parquet") && error.contains("`extra`"), "{error}");
    assert_eq!(world.all("t"), "1\n");
}

#[test]
fn keys_of_objects_that_are_no_names_of_elements_are_loaded() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, m Map(String, Float64), d JSON) ENGINE = MergeTree ORDER BY k;\n",
    );
    let rows = concat!(
        "{\"k\":1,\"m\":{\"null\":0.5,\"{\":1024},\"d\":{\"null\":1,\"a\":{\"null\":\"x\"}}}\n",
        "{\"k\":2,\"m\":{\"\":3},\"d\":{\"b\":9007199254740993}}\n",
    );
    world.text("a.jsonl", rows);
    let structure = "k UInt8, m Map(String, Float64), d JSON";
    let insert = format!(
        "INSERT INTO {{db}}.oracle SELECT * FROM {}",
        world.files("a.jsonl", "JSONEachRow", structure)
    );
    let plain = world.plain(&insert);
    assert!(plain.contains("'null':0.5") && plain.contains("9007199254740993"), "{plain}");
    world.load("a.jsonl", &[]);
    assert_eq!(world.all("t"), plain);
}

#[test]
fn a_tuple_that_no_file_has_is_what_the_table_makes_of_it() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, o Tuple(Tuple(x Decimal(18, 4), z Date32))) ENGINE = MergeTree ORDER BY k;\n",
    );
    world.text("a.jsonl", "{\"k\":1}\n");
    let plain = world.plain(&format!(
        "INSERT INTO {{db}}.oracle (k) SELECT * FROM {}",
        world.files("a.jsonl", "JSONEachRow", "k UInt8")
    ));
    assert!(plain.contains("1900-01-01"), "{plain}");
    world.load("a.jsonl", &[]);
    assert_eq!(world.all("t"), plain);
}

#[test]
fn bytes_of_an_address_beside_a_number_that_may_not_fit_are_read_and_the_number_is_checked() {
    let world = World::with(
        "CREATE TABLE {db}.t (k UInt8, o Tuple(x UInt8, y IPv6)) ENGINE = MergeTree ORDER BY k;\n",
    );
    let row = |k: u8, x: &str| {
        format!(
            "SELECT {k}::UInt8 AS k, CAST(({x}, toIPv6('2001:db8::{k}')), \
             'Tuple(x Int16, y IPv6)') AS o"
        )
    };
    for format in ["ORC", "Parquet", "Arrow"] {
        let good = format!("good.{format}");
        world.put(&good, format, &row(7, "200"));
        world.load(&good, &["--format", format]);
        let all = world.all("t");
        let right = "7\t(200,'2001:db8::7')\n";
        assert_eq!(all, right, "{format}");
        let bad = format!("bad.{format}");
        world.put(&bad, format, &row(8, "300"));
        let error = world.fails(&bad, &["--format", format]);
        assert!(error.contains("column o") && error.contains("300"), "{format}: {error}");
        world.scene.admin.run(&format!("TRUNCATE TABLE {}.t SYNC", world.scene.db));
    }
}

/// A plain INSERT whose reader is given the types of the target is the oracle: 1970 of a `Date32`, though a
/// table's own zero is 1900, and no NULL inside of a tuple, whatever the types in the files have room for.
#[test]
fn what_a_file_lacks_is_the_zero_of_a_reader() {
    let columns =
        "k UInt64, d Date32, p Tuple(a Nullable(Int8), b Decimal(9, 2), c LowCardinality(String))";
    for format in ["JSONEachRow", "ORC", "Parquet", "Avro"] {
        let world = World::with("");
        world.again(columns);
        world.put(
            "1",
            format,
            "SELECT 1::UInt64 AS k, '2000-01-02'::Nullable(Date32) AS d, (1, 2.5, 'x')::Tuple(a Nullable(Int8), b Decimal(9, 2), c String) AS p",
        );
        world.put("2", format, "SELECT 2::UInt64 AS k");
        let more = ["--format", format, "--settings", "input_format_avro_allow_missing_fields=1"];
        world.load("*", &more);
        let source = world.files("*", format, columns);
        let plain = world.plain(&format!(
            "INSERT INTO {{db}}.oracle SELECT * FROM {source} SETTINGS input_format_avro_allow_missing_fields = 1"
        ));
        assert_eq!(world.all("t"), plain, "{format}");
        assert!(plain.contains("1970-01-01"), "{format}: {plain}");
    }
}

#[test]
fn lists_of_objects_are_found_beside_numbers_that_no_type_can_be_guessed_of() {
    let world = World::with("");
    world.again("k UInt64, level Array(Array(Int128)), n Nested(x Int64, y String)");
    world.text(
        "a.jsonl",
        "{\"k\": 1, \"level\": [], \"n\": [{\"x\": -5, \"y\": \"a\"}]}\n\
         {\"k\": 2, \"level\": [[], [-170141183460469231731687303715884105728]], \"n\": []}\n",
    );
    world.load("a.jsonl", &[]);
    let loaded = "1\t[]\t[-5]\t['a']\n2\t[[],[-170141183460469231731687303715884105728]]\t[]\t[]\n";
    assert_eq!(world.all("t"), loaded);
}
