//! Reads which file of a crate imports which: `use` lines, and paths in the code.
//!
//! An import counts for the file that defines what is imported: a `mod.rs` that only passes names on
//! is looked through. What only tests import does not count, nor does a module that `#[path]` takes from
//! another crate.

use std::collections::{BTreeMap, BTreeSet};

/// Source files by their path in the crate.
pub(super) type Files = BTreeMap<String, String>;

/// A module: a file, or a part of one in braces.
#[derive(Default)]
struct Module {
    file: String,
    /// The folder of its child files.
    folder: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// Names that `use` brings in, with what they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// What is imported: the path, the name here, and whether it is passed on.
    uses: Vec<(Vec<String>, String, bool)>,
    /// Everything else.
    code: Vec<String>,
}

struct Crate<'a> {
    files: &'a Files,
    modules: Vec<Module>,
}

/// Which file imports from which.
pub(super) fn imports(files: &Files, main: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = Crate { files, modules: Vec::new() };
    all.load(main, "", 0);
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for at in 0..all.modules.len() {
        let file = &all.modules[at].file;
        let found = all.imported(at).into_iter().map(|module| all.modules[module].file.clone());
        graph.entry(file.clone()).or_default().extend(found.filter(|other| other != file));
    }
    graph
}

impl Crate<'_> {
    /// Reads a file and everything below it; gives its place in the list.
    fn load(&mut self, file: &str, folder: &str, parent: usize) -> usize {
        let text = self.files.get(file).unwrap_or_else(|| panic!("{file} is not there"));
        let (file, folder) = (file.to_owned(), folder.to_owned());
        self.modules.push(Module { file, folder, parent, ..Module::default() });
        let at = self.modules.len() - 1;
        self.scan(at, &tokens(text));
        at
    }

    /// Takes a module apart: imports, child modules, and code.
    fn scan(&mut self, at: usize, tokens: &[String]) {
        let (mut next, mut is_public, mut is_left_out) = (0, false, false);
        let word = |at: usize| tokens.get(at).map_or("", String::as_str);
        while next < tokens.len() {
            match (word(next), word(next + 1), word(next + 2)) {
                ("#", "[", _) => {
                    let end = closing(tokens, next + 1);
                    let attribute = &tokens[next + 2..end];
                    is_left_out |=
                        attribute.starts_with(&["cfg".into(), "(".into(), "test".into()])
                            || attribute.starts_with(&["path".into(), "=".into()]);
                    self.modules[at].code.extend_from_slice(attribute);
                    next = end + 1;
                }
                ("pub", "(", _) => (is_public, next) = (true, closing(tokens, next + 1) + 1),
                ("pub", _, _) => (is_public, next) = (true, next + 1),
                ("mod", name, ";") => {
                    if !is_left_out {
                        let folder = &self.modules[at].folder;
                        let stem = format!("{folder}{name}");
                        let (flat, deep) = (format!("{stem}.rs"), format!("{stem}/mod.rs"));
                        let file = if self.files.contains_key(&flat) { flat } else { deep };
                        let child = self.load(&file, &format!("{stem}/"), at);
                        self.modules[at].children.insert(name.to_owned(), child);
                    }
                    (next, is_public, is_left_out) = (next + 3, false, false);
                }
                ("mod", name, "{") => {
                    let end = closing(tokens, next + 2);
                    if !is_left_out {
                        let Module { file, folder, .. } = &self.modules[at];
                        let (file, folder) = (file.clone(), format!("{folder}{name}/"));
                        self.modules.push(Module { file, folder, parent: at, ..Module::default() });
                        let child = self.modules.len() - 1;
                        self.modules[at].children.insert(name.to_owned(), child);
                        self.scan(child, &tokens[next + 3..end]);
                    }
                    (next, is_public, is_left_out) = (end + 1, false, false);
                }
                ("use", first, _) if first != "<" => {
                    let length = tokens[next..].iter().position(|token| token == ";");
                    let end = next + length.expect("the end of a use line");
                    if !is_left_out {
                        for (path, name) in leaves(&tokens[next + 1..end], &[]) {
                            let module = &mut self.modules[at];
                            module.names.insert(name.clone(), path.clone());
                            module.uses.push((path, name, is_public));
                        }
                    }
                    (next, is_public, is_left_out) = (end + 1, false, false);
                }
                (token, _, _) => {
                    self.modules[at].code.push(token.to_owned());
                    (next, is_public, is_left_out) = (next + 1, false, false);
                }
            }
        }
    }

    /// The modules that define what this one imports.
    fn imported(&self, at: usize) -> BTreeSet<usize> {
        let Module { uses, code, .. } = &self.modules[at];
        let mut found = BTreeSet::new();
        for (path, name, is_public) in uses {
            let is_used = || {
                let is_field = |at: usize| at > 0 && code[at - 1] == ".";
                (0..code.len()).any(|at| code[at] == *name && !is_field(at))
            };
            match self.find(at, path, 0) {
                // A name that is passed on, and not used here.
                Some(_) if *is_public && name != "*" && !is_used() => {}
                // A module: what is used of it says which file is meant.
                Some((module, is_item)) if is_item || name == "*" => drop(found.insert(module)),
                _ => {}
            }
        }
        let mut next = 0;
        while next < code.len() {
            let is_begin = next == 0
                || code[next - 1] != "::"
                    && (code[next - 1] != "." || next > 1 && code[next - 2] == ".");
            let begin = next;
            while next + 2 < code.len() && code[next + 1] == "::" && is_word(&code[next + 2]) {
                next += 2;
            }
            if is_begin && next > begin {
                let path: Vec<String> = code[begin..=next].iter().step_by(2).cloned().collect();
                found.extend(self.find(at, &path, 0).filter(|(_, is_item)| *is_item).map(|f| f.0));
            }
            next += 1;
        }
        found
    }

    /// The module that a path leads to, or the one that defines the item at its end.
    fn find(&self, from: usize, path: &[String], depth: usize) -> Option<(usize, bool)> {
        // Names that stand for each other would lead round and round.
        const DEPTH_MAX: usize = 20;
        let (first, mut rest) = path.split_first().filter(|_| depth < DEPTH_MAX)?;
        let mut at = from;
        match first.as_str() {
            "crate" => at = 0,
            "self" => {}
            "super" => at = self.modules[at].parent,
            name if self.modules[at].children.contains_key(name) => rest = path,
            name => {
                let meant = self.modules[at].names.get(name).filter(|meant| *meant != path)?;
                return self.through(from, meant, rest, depth);
            }
        }
        while let Some((name, after)) = rest.split_first() {
            let module = &self.modules[at];
            rest = after;
            match (name.as_str(), module.children.get(name), module.names.get(name)) {
                ("self", _, _) => {}
                ("super", _, _) => at = module.parent,
                // A module and an item of one name: at the end of a path the item is meant.
                (_, Some(_), Some(meant)) if rest.is_empty() => {
                    return self.through(at, meant, rest, depth);
                }
                (_, Some(child), _) => at = *child,
                (_, None, Some(meant)) => return self.through(at, meant, rest, depth),
                _ => return Some((at, true)),
            }
        }
        Some((at, false))
    }

    /// Goes on where a name that was brought in leads.
    fn through(
        &self,
        at: usize,
        meant: &[String],
        rest: &[String],
        depth: usize,
    ) -> Option<(usize, bool)> {
        match self.find(at, meant, depth + 1)? {
            (module, false) if !rest.is_empty() => {
                let path: Vec<String> = [&["self".to_owned()], rest].concat();
                self.find(module, &path, depth + 1)
            }
            found => Some(found),
        }
    }
}

/// The paths of a `use` line, each with the name that it has here; `*` for everything.
fn leaves(tokens: &[String], before: &[String]) -> Vec<(Vec<String>, String)> {
    let mut path = before.to_vec();
    let mut next = 0;
    while let Some(token) = tokens.get(next) {
        match token.as_str() {
            "::" => {}
            "{" => {
                let inside = &tokens[next + 1..closing(tokens, next)];
                return items(inside).into_iter().flat_map(|item| leaves(item, &path)).collect();
            }
            "*" => return vec![(path, "*".to_owned())],
            "as" => return vec![(path, tokens[next + 1].clone())],
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        next += 1;
    }
    let name = path.last().cloned();
    name.map(|name| (path, name)).into_iter().collect()
}

/// What stands between commas.
fn items(tokens: &[String]) -> Vec<&[String]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            token == "," && depth == 0
        })
        .collect()
}

/// Where the bracket closes that opens here.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 1 => return at,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    panic!("a bracket is not closed")
}

fn is_word(token: &str) -> bool {
    token.starts_with(|symbol: char| symbol.is_alphabetic() || symbol == '_')
}

/// Words, `::`, and single symbols. Comments, texts and letters in quotes are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if symbol == '"' || symbol == '\'' {
            quoted(rest, symbol)
        } else if is_word(rest) || symbol.is_ascii_digit() {
            let end = rest.find(|symbol: char| !symbol.is_alphanumeric() && symbol != '_');
            found.push(rest[..end.unwrap_or(rest.len())].to_owned());
            end.unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            found.extend((!symbol.is_whitespace()).then(|| symbol.to_string()));
            symbol.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The length of a text like `r#"…"#`, if one begins here.
fn raw_text(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let marks = inside.len() - inside.trim_start_matches('#').len();
    let inside = inside[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(text.len() - inside.len() + inside.find(&end)? + end.len())
}

/// The length of a text or of a letter in quotes; of a lifetime only its mark.
fn quoted(text: &str, quote: char) -> usize {
    let is_lifetime = |text: &str| {
        let mut symbols = text.chars().skip(1);
        symbols.next().is_some_and(|first| first != '\\') && symbols.next() != Some('\'')
    };
    if quote == '\'' && is_lifetime(text) {
        return 1;
    }
    let mut symbols = text.char_indices().skip(1);
    while let Some((at, symbol)) = symbols.next() {
        match symbol {
            '\\' => drop(symbols.next()),
            symbol if symbol == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
