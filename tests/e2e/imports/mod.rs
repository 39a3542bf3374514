//! Files of a crate that import each other in a circle can be read and changed only together.

mod dependencies;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use reader::{Files, imports};

/// Who imports whom.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every crate, the file that it begins with, and imports that must at least be understood in it. Not
/// the suite of the engine: a file of it is the coordinator's.
const CRATES: [(&str, &str, usize); 9] = [
    ("shared/src", "lib.rs", 400),
    ("coordinator/src", "main.rs", 500),
    ("worker/src", "main.rs", 150),
    ("tests/support", "lib.rs", 40),
    ("tests/e2e", "main.rs", 20),
    ("tests/model", "main.rs", 20),
    ("tests/crash", "main.rs", 10),
    ("tests/chaos", "main.rs", 25),
    ("tests/store", "main.rs", 5),
];
/// Crates whose folders must not form a circle either.
const ROOMS: [(&str, &str); 3] =
    [("shared/src", "lib.rs"), ("coordinator/src", "main.rs"), ("worker/src", "main.rs")];

#[test]
fn no_files_import_each_other_in_a_circle() {
    for (folder, main, least) in CRATES {
        let graph = imports(&read(folder), main);
        let found: usize = graph.values().map(BTreeSet::len).sum();
        assert!(found >= least, "{folder}: {found} imports are understood, that is too few");
        let circle = circle(&graph);
        assert!(circle.is_none(), "{folder}: {}", words(circle.as_deref()));
    }
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    for (folder, main) in ROOMS {
        let circle = circle(&by_room(&imports(&read(folder), main)));
        assert!(circle.is_none(), "{folder}: {}", words(circle.as_deref()));
    }
}

/// The folders in the root of a crate, and its single files, instead of all files.
fn by_room(graph: &Graph) -> Graph {
    let room = |file: &str| file.split('/').next().unwrap_or(file).to_owned();
    let mut rooms = Graph::new();
    for (file, imported) in graph {
        let others = imported.iter().map(|file| room(file)).filter(|other| *other != room(file));
        rooms.entry(room(file)).or_default().extend(others);
    }
    rooms
}

/// A circle, from a file back to itself.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    graph.keys().find_map(|file| follow(graph, file, &mut Vec::new(), &mut done))
}

fn follow(
    graph: &Graph,
    file: &str,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|passed| passed == file) {
        let mut found = way.split_off(begin);
        found.push(file.to_owned());
        return Some(found);
    }
    if done.contains(file) {
        return None;
    }
    way.push(file.to_owned());
    let imported = graph.get(file);
    let found = imported.into_iter().flatten().find_map(|next| follow(graph, next, way, done));
    if found.is_none() {
        way.pop();
        done.insert(file.to_owned());
    }
    found
}

fn words(circle: Option<&[String]>) -> String {
    circle.map(|files| files.join(" imports ")).unwrap_or_default()
}

/// All source files of a folder, by their path in it.
fn read(folder: &str) -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files = Files::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("a path below the root");
                let text = fs::read_to_string(&path).expect("a readable file");
                files.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
    files
}

/// The circle in a crate with these files; `main.rs` is among them.
fn circle_of(files: &[(&str, &str)]) -> Option<Vec<String>> {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    circle(&imports(&files.collect(), "main.rs"))
}

#[test]
fn a_circle_is_found_in_every_form_that_an_import_has() {
    let main = ("main.rs", "mod a;\nmod b;\nfn main() {}");
    let b = ("b.rs", "use crate::a::one;\npub fn two() { one() }");
    for (form, text) in [
        ("a use line", "use crate::b::two;\npub fn one() { two() }"),
        ("a group", "use crate::{b::{two, self}, std::fmt};\npub fn one() {}"),
        ("a module", "use crate::b;\npub fn one() { b::two() }"),
        ("another name", "use crate::b as other;\npub fn one() { other::two() }"),
        ("a path", "pub fn one() { super::b::two() }"),
        ("everything", "use super::b::*;\npub fn one() {}"),
        ("a module inside", "pub fn one() {}\nmod inside { use super::super::b::two; }"),
    ] {
        let found = circle_of(&[main, ("a.rs", text), b]);
        assert_eq!(words(found.as_deref()), "a.rs imports b.rs imports a.rs", "{form}");
    }
    for (form, text) in [
        ("a comment", "// use crate::b::two;\npub fn one() {}"),
        ("a text", "pub fn one() -> &'static str { \"use crate::b::two;\" }"),
        ("a test", "pub fn one() {}\n#[cfg(test)]\nmod tests { use crate::b::two; }"),
        ("an import of the file's own", "pub fn one() {}\nmod inside { use super::one; }"),
    ] {
        assert_eq!(circle_of(&[main, ("a.rs", text), b]), None, "{form}");
    }
}

#[test]
fn a_folder_that_only_passes_names_on_is_no_part_of_a_circle() {
    let main = ("main.rs", "mod room;\nfn main() {}");
    let one = ("room/one.rs", "use super::two;\npub fn one() { two() }");
    let two = ("room/two.rs", "pub fn two() {}");
    let passes = "mod one;\nmod two;\npub use one::one;\npub use two::two;";
    assert_eq!(circle_of(&[main, ("room/mod.rs", passes), one, two]), None);
    let has_own = "mod one;\npub use one::one;\npub fn two() { one() }";
    let found = circle_of(&[main, ("room/mod.rs", has_own), one, two]);
    assert_eq!(words(found.as_deref()), "room/mod.rs imports room/one.rs imports room/mod.rs");
    let back = ("room/two.rs", "pub fn two() { super::one() }");
    let found = circle_of(&[main, ("room/mod.rs", passes), one, back]);
    assert_eq!(words(found.as_deref()), "room/one.rs imports room/two.rs imports room/one.rs");
}
