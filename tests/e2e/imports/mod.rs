//! Files of a crate that import each other in a circle can be read and changed only together.

mod dependencies;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use reader::{Files, imports};

/// Who imports whom.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every crate, the file that it begins with, and imports that must at least be understood in it.
const CRATES: [(&str, &str, usize); 10] = [
    ("shared/src", "lib.rs", 400),
    ("coordinator/src", "main.rs", 500),
    ("worker/src", "main.rs", 150),
    ("tests/support", "lib.rs", 40),
    ("tests/e2e", "main.rs", 20),
    ("tests/model", "main.rs", 20),
    ("tests/crash", "main.rs", 10),
    ("tests/chaos", "main.rs", 25),
    ("tests/store", "main.rs", 5),
    ("tests/engine", "main.rs", 5),
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
        let circle = circle_of_rooms(&imports(&read(folder), main));
        assert!(circle.is_none(), "{folder}: {}", words(circle.as_deref()));
    }
}

/// A circle of rooms: in the root of a crate, or inside of one of its folders at any depth.
fn circle_of_rooms(graph: &Graph) -> Option<Vec<String>> {
    let folders = |file: &str| -> Vec<String> {
        file.match_indices('/').map(|(at, _)| file[..=at].to_owned()).collect()
    };
    let mut all: BTreeSet<String> = graph.keys().flat_map(|file| folders(file)).collect();
    all.insert(String::new());
    all.iter().find_map(|folder| circle(&by_room(graph, folder)))
}

/// The rooms of a folder, its own folders and single files, instead of all files.
fn by_room(graph: &Graph, folder: &str) -> Graph {
    let room = |file: &str| {
        let inside = file.strip_prefix(folder)?;
        Some(format!("{folder}{}", inside.split('/').next().unwrap_or(inside)))
    };
    let mut rooms = Graph::new();
    for (file, imported) in graph {
        let Some(own) = room(file) else { continue };
        let others = imported.iter().filter_map(|file| room(file)).filter(|other| *other != own);
        rooms.entry(own.clone()).or_default().extend(others);
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
        ("a file elsewhere", "pub fn one() {}\n#[path = \"../../other/b.rs\"]\nmod other;"),
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

#[test]
fn a_circle_of_rooms_is_found_at_every_depth() {
    let rooms = |imported: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (file, other) in imported {
            graph.entry((*file).to_owned()).or_default().insert((*other).to_owned());
            graph.entry((*other).to_owned()).or_default();
        }
        assert_eq!(circle(&graph), None, "the files form none");
        words(circle_of_rooms(&graph).as_deref())
    };
    for (depth, expected, imported) in [
        ("the root", "a imports b imports a", [("a/one.rs", "b/one.rs"), ("b/two.rs", "a/two.rs")]),
        (
            "a folder",
            "in/a imports in/b imports in/a",
            [("in/a/one.rs", "in/b/one.rs"), ("in/b/two.rs", "in/a/two.rs")],
        ),
        (
            "a folder in a folder, and its own file",
            "in/it/a imports in/it/b.rs imports in/it/a",
            [("in/it/a/one.rs", "in/it/b.rs"), ("in/it/b.rs", "in/it/a/two.rs")],
        ),
    ] {
        assert_eq!(rooms(&imported), expected, "{depth}");
    }
    // One way, or inside of one room.
    assert_eq!(rooms(&[("in/a/one.rs", "in/b/one.rs"), ("in/a/two.rs", "in/b/two.rs")]), "");
    assert_eq!(rooms(&[("in/a/one.rs", "in/a/two.rs"), ("in/a/two.rs", "in/a/three.rs")]), "");
    // Rooms of the same name in two folders.
    assert_eq!(rooms(&[("x/a/one.rs", "x/b/one.rs"), ("y/b/one.rs", "y/a/one.rs")]), "");
}
