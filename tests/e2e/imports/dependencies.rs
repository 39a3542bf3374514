//! A crate that is named and not used is compiled by everybody and read about by nobody.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::read;
use super::reader::Files;

/// The folders of the crates.
const CRATES: [&str; 4] = ["shared", "coordinator", "worker", "tests"];

#[test]
fn no_crate_is_named_that_is_not_used() {
    let mut named = BTreeSet::new();
    for folder in CRATES {
        let mut files = read(folder);
        files.extend(included(&files));
        let code: Vec<&str> = files.values().map(String::as_str).collect();
        let crates = section(&manifest(folder), "dependencies");
        assert!(crates.len() > 10, "{folder}: only {crates:?} are understood");
        let unused: Vec<_> = crates.iter().filter(|name| !is_used(name, &code)).collect();
        assert!(
            unused.is_empty(),
            "{folder}/Cargo.toml names {unused:?}, and no file there uses it"
        );
        named.extend(crates);
    }
    let shared = section(&manifest("."), "workspace.dependencies");
    let forgotten: Vec<_> = shared.difference(&named).collect();
    assert!(forgotten.is_empty(), "Cargo.toml names {forgotten:?} for nobody");
}

/// The files of other crates that these are compiled with.
fn included(files: &Files) -> Files {
    let takes = |other: &str| {
        let path = format!("#[path = \"../../{other}/src");
        files.values().any(|text| text.contains(&path))
    };
    CRATES.into_iter().filter(|other| takes(other)).flat_map(read).collect()
}

fn manifest(folder: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(folder).join("Cargo.toml")).expect("a manifest")
}

/// The names in the sections whose title ends so.
fn section(manifest: &str, title: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if let Some(found) = line.strip_prefix('[') {
            is_inside = found.trim_end_matches(']').ends_with(title);
        } else if is_inside && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.insert(name.to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names
}

/// Is the crate named outside of comments: in a path, a `use`, or an attribute of serde?
fn is_used(name: &str, files: &[&str]) -> bool {
    let name = name.replace('-', "_");
    let heads = [format!("{name}::"), format!("use {name};"), format!("use {name} as ")];
    let quoted = format!("\"{name}\"");
    let is_its_line = |line: &str| {
        let line = line.split("//").next().unwrap_or_default();
        let begins = |at: usize| {
            !line[..at].ends_with(|symbol: char| symbol.is_alphanumeric() || symbol == '_')
        };
        line.contains(&quoted)
            || heads.iter().any(|head| line.match_indices(head).any(|(at, _)| begins(at)))
    };
    files.iter().any(|file| file.lines().any(is_its_line))
}

#[test]
fn a_crate_is_used_in_a_path_and_not_in_a_comment_or_another_name() {
    let manifest =
        "[dependencies]\nserde.workspace = true\n# x\ntokio = { }\n\n[features]\nno = []\n";
    let names = BTreeSet::from(["serde".to_owned(), "tokio".to_owned()]);
    assert_eq!(section(manifest, "dependencies"), names);
    for (line, expected) in [
        ("use serde_bytes::ByteBuf;", true),
        ("#[serde(with = \"serde_bytes\")]", true),
        ("let bytes = serde_bytes::serialize;", true),
        ("// serde_bytes::serialize", false),
        ("use not_serde_bytes::ByteBuf;", false),
        ("use serde::Serialize;", false),
    ] {
        assert_eq!(is_used("serde-bytes", &[line]), expected, "{line}");
    }
}
