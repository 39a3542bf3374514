//! The examples of `docs/reading-files.md`, as they stand there.

use longshore_tests::drawn;

use super::World;

const DOCUMENT: &str = include_str!("../../../docs/reading-files.md");

/// A row of the table: column of the target, format, value in the file, outcome.
fn examples() -> Vec<[&'static str; 4]> {
    let table = DOCUMENT.split("| column of the target |").nth(1).expect("the table of examples");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [kind, format, value, outcome] = cells[..] else { panic!("four cells: {row}") };
        [kind.trim_matches('`'), format, value.trim_matches('`'), outcome]
    })
    .collect()
}

#[test]
fn the_examples_are_true() {
    let world = World::with("");
    let examples = examples();
    assert!(examples.len() >= 15, "{} examples", examples.len());
    for (at, [kind, format, value, outcome]) in drawn(&examples).into_iter().enumerate() {
        world.again(&format!("k UInt8, c {kind}"));
        let file = format!("example-{at}");
        match format {
            "JSONEachRow" => world.text(&file, &format!("{value}\n")),
            "CSVWithNames" => world.text(&file, &format!("c\n{value}\n")),
            format => world.put(&file, format, &format!("SELECT {value} AS c")),
        }
        let more = ["--format", format];
        if let Some(words) = outcome.strip_prefix("fails: ") {
            let error = world.fails(&file, &more);
            assert!(error.contains(words) && error.contains(&file), "{kind} {value}: {error}");
            assert_eq!(world.all("t"), "", "{kind} {value}");
        } else {
            world.load(&file, &more);
            assert_eq!(world.value("SELECT c FROM {db}.t"), outcome, "{kind} {value}");
        }
    }
}
