//! A test file that no suite lists would never run, and nobody would notice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_test_file_belongs_to_a_suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let mut suites = 0;
    for folder in entries(root) {
        let path = root.join(&folder);
        if !path.is_dir() {
            continue;
        }
        let main = if folder == "support" { "lib.rs" } else { "main.rs" };
        let listed = format!("path = \"{folder}/{main}\"");
        assert!(manifest.contains(&listed), "tests/Cargo.toml does not list {folder}/{main}");
        check(&path, main);
        suites += 1;
    }
    assert_eq!(suites, manifest.matches("path = \"").count(), "suites in tests/Cargo.toml");
}

/// The files of a folder are the modules that its main file lists; so are those of its folders.
fn check(path: &Path, main: &str) {
    let text = fs::read_to_string(path.join(main)).expect("a main file");
    let lines: Vec<&str> = text.lines().collect();
    let modules: BTreeSet<String> = lines
        .iter()
        .enumerate()
        // A module with a path of its own is a file of another folder.
        .filter(|(at, _)| *at == 0 || !lines[at - 1].starts_with("#[path"))
        .filter_map(|(_, line)| {
            line.strip_prefix("pub(crate) ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
        })
        .map(
            |module| {
                if path.join(module).is_dir() { module.into() } else { format!("{module}.rs") }
            },
        )
        .collect();
    // Golden files belong to the test that names them.
    let is_module = |file: &String| file != main && file != "snapshots";
    let files: BTreeSet<String> = entries(path).into_iter().filter(is_module).collect();
    assert_eq!(files, modules, "files of {} and the modules in its {main}", path.display());
    for folder in modules.iter().filter(|module| path.join(module).is_dir()) {
        check(&path.join(folder), "mod.rs");
    }
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}
