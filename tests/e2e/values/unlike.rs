//! Files that are unlike the others: of another format, with names in another case, with a header alone.

use super::{PROBLEM, USAGE, World};

/// A table of two columns.
const TWO: &str =
    "CREATE TABLE {db}.t (a Int64, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a;\n";

#[test]
fn the_rule_of_the_user_by_which_names_are_matched_reaches_the_plan() {
    let world = World::with(TWO);
    world.text("1.csv", "A,b\n1,x\n");
    let exact = ["--settings", "input_format_column_name_matching_mode=match_case"];
    let refused = world.scene.plan_program("t", "*", &exact).run();
    refused.exits_with(USAGE).says(&["column `A`", "in case too"]);
    world.load("*", &["--settings", "input_format_column_name_matching_mode=ignore_case"]);
    assert_eq!(world.all("t"), "1\tx\n");
}

#[test]
fn columnar_files_whose_names_differ_in_case_load_where_the_user_asks_for_it() {
    for (format, setting) in [("Parquet", "parquet"), ("ORC", "orc"), ("Arrow", "arrow")] {
        let world = World::with(TWO);
        world.put("1", format, "SELECT 1::Int64 AS A, 'x' AS b");
        world.put("2", format, "SELECT 2::Int64 AS a, 'y' AS B");
        let setting = format!("input_format_{setting}_case_insensitive_column_matching=1");
        let more = ["--format", format];
        world.scene.plan_program("t", "*", &more).run().exits_with(USAGE).says(&["column `A`"]);
        world.load("*", &["--format", format, "--settings", &setting]);
        assert_eq!(world.all("t"), "1\tx\n2\ty\n", "{format}");
    }
}

#[test]
fn a_file_whose_names_are_no_text_is_named_and_the_others_are_loaded() {
    let world = World::with(TWO);
    world.text("1.csv", "a,b\n1,x\n");
    world.scene.put_bytes("2.csv", b"PK\x03\x04\xff\xfe\xfa,\xc0\xc1\n\xff,\xfe\n");
    // A plain INSERT loads the first column of this one and leaves the second out without a word.
    world.scene.put_bytes("3.csv", b"a,b\xff\n3,z\n");
    let notes = world.notes("*", &[]);
    assert!(notes.contains("2.csv") && notes.contains("not UTF-8"), "{notes}");
    let found = world.scene.plan_program("t", "*", &["--validate"]).run().exits_with(PROBLEM);
    let found = found.json();
    assert_eq!(
        (&found["findings"][0]["what"], &found["findings"][0]["files"]),
        (&"broken".into(), &2.into())
    );
    let id = world.scene.plan_into("t", "*", &["--chunk-files-max", "1"]);
    world.scene.longshore(["run", &id, "--workers", "1"]).run();
    let tasks = world.scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (1, 2), "{tasks:?}");
    for task in tasks.0.iter().filter(|task| task.state == "failed") {
        assert!(task.error.contains("2.csv") || task.error.contains("3.csv"), "{}", task.error);
    }
    assert_eq!(world.all("t"), "1\tx\n");
    // What is left out on purpose is no reason to fail.
    world.scene.put_bytes("4.csv", b"a,note\n4,z\n");
    let left_out = ["--ignore-columns", "note", "--chunk-files-max", "1", "--again", "without"];
    let id = world.scene.plan_into("t", "*", &left_out);
    world.scene.longshore(["run", &id, "--workers", "1"]).run();
    assert_eq!(world.all("t"), "1\tx\n1\tx\n4\td\n");
}

#[test]
fn files_that_were_not_looked_at_may_have_a_header_alone_and_names_in_another_case() {
    let world = World::with(TWO);
    world.text("1.csv", "a,b\n1,x\n");
    world.text("2.csv", "A,B\n2,y\n");
    world.text("3.csv", "other,names\n");
    world.load("*", &["--schemas-max", "1"]);
    assert_eq!(world.all("t"), "1\tx\n2\ty\n");
    world.text("3.csv", "other,names\n3,z\n");
    let error = world.fails("*", &["--schemas-max", "1"]);
    assert!(error.contains("3.csv") && error.contains("`other`"), "{error}");
}

#[test]
fn files_without_rows_are_found_and_a_format_without_names_is_not_said_to_fit() {
    let world = World::with(TWO);
    world.text("0.csv", "");
    world.text("1.csv", "1,x\n");
    world.text("_SUCCESS", "");
    let validate = |more: &[&str]| world.scene.plan_program("t", "*", more).run();
    let found = validate(&["--format", "CSV", "--validate"]).ok().json();
    let empty: Vec<_> = found["findings"].as_array().expect("findings").iter().collect();
    assert_eq!((found["files"].clone(), found["columns_unseen"].clone()), (3.into(), true.into()));
    assert!(empty.iter().all(|finding| finding["what"] == "empty"), "{found}");
    let named = empty.iter().filter_map(|finding| finding["first"][0].as_str());
    assert!(named.clone().any(|path| path.ends_with("0.csv")), "{found}");
    assert!(named.clone().any(|path| path.ends_with("_SUCCESS")), "{found}");

    let (target, key) = (format!("{}.t", world.scene.db), world.scene.key("1.csv"));
    let args = ["plan", "files", "--target", &target, "--url", &key, "--named-collection"];
    let words = world.scene.longshore(args).args([world.scene.bed.collection.as_str()]);
    let words = words.args(["--format", "CSV", "--validate"]).run().ok();
    assert!(!words.stdout.contains("fit"), "nothing was compared: {words}");
    words.says(&["name no columns", "--validate=N"]);
}

#[test]
fn rows_of_every_kind_of_format_are_parsed_on_demand() {
    for format in ["CSVWithNames", "CSV", "JSONEachRow", "Avro", "Parquet", "Values"] {
        let world =
            World::with("CREATE TABLE {db}.t (a UInt8, b UUID) ENGINE = MergeTree ORDER BY a;\n");
        let good = "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'";
        let rows = |last: &str| {
            format!(
                "SELECT number::UInt8 AS a, if(number = 4, {last}, {good}) AS b FROM numbers(5)"
            )
        };
        world.put("1", format, &rows(good));
        world.put("2", format, &rows("'no identity'"));
        let validate = |rows: &'static str| {
            world.scene.plan_program("t", "*", &["--format", format, rows]).run()
        };
        let found = validate("--validate=10").exits_with(PROBLEM).json();
        let broken: Vec<_> = found["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter(|finding| finding["what"] == "parse")
            .collect();
        assert_eq!(broken.len(), 1, "{format}: {found}");
        let path = broken[0]["first"][0].as_str().expect("a path");
        assert!(path.ends_with("/2"), "{format}: {found}");
    }
}

#[test]
fn what_a_structure_of_the_user_leaves_to_the_reader_is_told() {
    let world = World::with(TWO);
    world.text("1.csv", "a,b\n1,\n");
    let told = world.notes("*", &["--structure", "a Int64, b String"]);
    assert!(told.contains("not compared with the files"), "{told}");
    assert!(told.contains("not the DEFAULT of the table: b"), "{told}");
    let told = world.notes("*", &["--structure", "a Int64, b String DEFAULT 'e'"]);
    assert!(!told.contains("DEFAULT of the table"), "{told}");
}

#[test]
fn a_file_of_avro_that_lacks_a_field_fails_its_own_task() {
    let world = World::with(TWO);
    world.put("1.avro", "Avro", "SELECT 1::Int64 AS a, 'x' AS b");
    world.put("2.avro", "Avro", "SELECT 2::Int64 AS a");
    world.put("3.avro", "Avro", "SELECT 3::Int64 AS a, 'z' AS b");
    let found = world.scene.plan_program("t", "*", &["--validate"]).run().exits_with(PROBLEM);
    let detail = found.json()["findings"][0]["detail"].to_string();
    assert!(detail.contains("will fail") && detail.contains("allow_missing_fields"), "{detail}");
    let notes = world.notes("*", &[]);
    assert!(notes.contains("2.avro") && !notes.contains("   "), "{notes}");
    let error = world.fails("*", &["--chunk-files-max", "1"]);
    assert!(error.contains("2.avro"), "{error}");
    let tasks = world.scene.tasks();
    assert_eq!((tasks.count("done"), tasks.count("failed")), (2, 1), "{tasks:?}");
    assert_eq!(world.all("t"), "1\tx\n3\tz\n");
}

#[test]
fn the_file_of_a_value_that_does_not_fit_is_named_although_a_column_hides_its_path() {
    let world =
        World::with("CREATE TABLE {db}.t (a UInt8, _path String) ENGINE = MergeTree ORDER BY a;\n");
    for (file, value) in [(1, 7), (2, 300), (3, 9)] {
        let select = format!("SELECT {value}::Int64 AS a, 'p' AS _path");
        world.put(&format!("{file}.parquet"), "Parquet", &select);
    }
    let error = world.fails("*", &[]);
    assert!(error.contains("2.parquet") && error.contains("value 300 of column a"), "{error}");
}

#[test]
fn a_file_whose_names_are_no_text_loses_nothing_where_nobody_has_looked_at_it() {
    let world = World::with(TWO);
    world.text("1.csv", "a,b\n1,x\n");
    world.scene.put_bytes("3.csv", b"a,b\xff\n3,z\n");
    let error = world.fails("*", &["--schemas-max", "1"]);
    assert!(error.contains("3.csv") && error.contains("columns cannot be read"), "{error}");
    assert_eq!(world.all("t"), "");
    world.load("*", &["--columns", "a,b"]);
    assert_eq!(world.all("t"), "1\tx\n3\td\n", "what was chosen is loaded");
}

#[test]
fn a_file_with_types_whose_names_are_no_text_fails_its_own_task() {
    let world = World::with(TWO);
    world.put("1.native", "Native", "SELECT 1::Int64 AS a, 'x' AS b");
    let select = "SELECT 2::Int64 AS a, 'y' AS bQQ FORMAT Native";
    let bytes = world.scene.admin.bytes(select);
    let at = bytes.windows(3).position(|name| name == b"bQQ").expect("the name of the column");
    let odd = [&bytes[..at], b"b\xff\xfe", &bytes[at + 3..]].concat();
    world.scene.put_bytes("2.native", &odd);
    let notes = world.notes("*", &[]);
    assert!(notes.contains("2.native") && notes.contains("not UTF-8"), "{notes}");
    let error = world.fails("*", &["--chunk-files-max", "1"]);
    assert!(error.contains("2.native") && error.contains("columns cannot be read"), "{error}");
    assert_eq!(world.all("t"), "1\tx\n");
}

#[test]
fn how_many_files_were_looked_at_does_not_change_the_plan() {
    let world = World::with(TWO);
    for file in ["1.csv", "2.csv"] {
        world.text(file, "a,b\n1,x\n");
    }
    let all = world.scene.plan_into("t", "*", &[]);
    assert_eq!(world.scene.plan_into("t", "*", &["--schemas-max", "1"]), all);
}

#[test]
fn a_column_of_the_target_is_left_out_of_every_format_on_demand() {
    for format in ["JSONEachRow", "CSVWithNames", "Parquet", "BSONEachRow"] {
        let world = World::with(TWO);
        world.put("1", format, "SELECT 1::Int64 AS a, 'x' AS b");
        world.load("*", &["--format", format, "--ignore-columns", "b"]);
        assert_eq!(world.all("t"), "1\td\n", "{format}");
    }
}
