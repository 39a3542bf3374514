//! A power loss, played on the files of a server that was killed: what was not synced is taken away.
//!
//! The page cache outlives a killed process, so the files are as if everything had been written. From
//! the log of its system calls it is known which names and bytes the server had asked to be synced.
//! Of the changes of names that were not, a journalling file system keeps the first few, in order,
//! and loses the rest; bytes that were not synced may be there or not. Names that were removed stay
//! removed, which a file system may do too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::syscalls::{Call, Event, read};

/// What a loss took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Changes of names that were not synced.
    pub unsynced: usize,
    /// Those of them that were undone.
    pub undone: usize,
    /// Files that were cut off.
    pub cut: usize,
}

/// A file that was made while the log was written.
#[derive(Debug, Clone, Default)]
struct Content {
    bytes: u64,
    synced: u64,
}

/// All that a server did to its files since it was started.
pub struct Journal {
    events: Vec<Event>,
    known: HashSet<PathBuf>,
}

/// Every name below a folder.
pub(crate) fn names(folder: &Path) -> HashSet<PathBuf> {
    let mut found = HashSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

impl Journal {
    /// From a log, and the names that were there before the server was started.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn read(log: &Path, folder: &Path, known: HashSet<PathBuf>) -> Self {
        let bytes = fs::read(log).expect("the log of the server's calls");
        let mut events = read(&String::from_utf8_lossy(&bytes), folder);
        events.retain(|event| is_inside(&event.call, folder));
        Self { events, known }
    }

    /// All of it, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Takes away what was not synced. `keep` of a thousand unsynced changes of names survive, the
    /// first ones; `luck` says whether the unsynced bytes of the files in a folder are there.
    pub fn lose(&self, keep: usize, mut luck: impl FnMut(&Path) -> bool) -> Taken {
        let unsynced = self.unsynced_names();
        let kept = unsynced.len() * keep / 1000;
        let mut taken = Taken { unsynced: unsynced.len(), ..Taken::default() };
        for (path, content) in self.contents() {
            let lost = content.bytes.saturating_sub(content.synced);
            let there = fs::metadata(&path).map_or(0, |facts| facts.len());
            if lost > 0 && content.synced < there && !luck(path.parent().unwrap_or(&path)) {
                let file = OpenOptions::new().write(true).open(&path);
                let cut = file.and_then(|file| file.set_len(content.synced));
                cut.expect("a file that can be cut off");
                taken.cut += 1;
            }
        }
        for call in unsynced[kept..].iter().rev() {
            taken.undone += usize::from(undo(call));
        }
        taken
    }

    /// Changes of names that no sync covers, in order.
    fn unsynced_names(&self) -> Vec<Call> {
        // Everything that ended before the last whole sync began is on disk.
        let synced = self.events.iter().filter(|event| event.call == Call::SyncAll);
        let synced = synced.map(|event| event.began).max();
        let mut there = self.known.clone();
        let mut found: Vec<(Call, bool)> = Vec::new();
        for event in &self.events {
            let is_covered = synced.is_some_and(|line| event.at() < line);
            match &event.call {
                Call::Create(path) if !there.insert(path.clone()) => {}
                // What was in its place is gone: nothing can bring it back here.
                Call::Rename(_, to) if !there.insert(to.clone()) => {}
                Call::Create(_) | Call::Folder(_) | Call::Link(..) | Call::Exchange(..) => {
                    if let Call::Folder(path) | Call::Link(_, path) = &event.call {
                        there.insert(path.clone());
                    }
                    found.push((event.call.clone(), is_covered));
                }
                Call::Rename(from, _) => {
                    there.remove(from);
                    found.push((event.call.clone(), is_covered));
                }
                Call::Remove(path) => drop(there.remove(path)),
                // The names in a folder: those that it has now, under the name that it has now.
                Call::Sync(folder) => {
                    for (call, covered) in &mut found {
                        *covered |= parent(call) == Some(folder.as_path());
                    }
                }
                Call::Write(..) | Call::SyncAll => {}
            }
        }
        found.into_iter().filter(|(_, covered)| !covered).map(|(call, _)| call).collect()
    }

    /// The files that were made, under the name that they have at the end.
    fn contents(&self) -> BTreeMap<PathBuf, Content> {
        let mut files: Vec<Content> = Vec::new();
        let mut names: BTreeMap<PathBuf, usize> = BTreeMap::new();
        // A sync covers what was written before it began.
        let mut written: HashMap<usize, Vec<(usize, u64)>> = HashMap::new();
        for event in &self.events {
            match &event.call {
                Call::Create(path) if !self.known.contains(path) => {
                    files.push(Content::default());
                    names.insert(path.clone(), files.len() - 1);
                }
                Call::Link(from, to) => {
                    if let Some(file) = names.get(from).copied() {
                        names.insert(to.clone(), file);
                    }
                }
                Call::Rename(from, to) => moved(&mut names, from, to),
                Call::Remove(path) => drop(names.remove(path)),
                Call::Write(path, bytes) => {
                    if let Some(file) = names.get(path).copied() {
                        files[file].bytes = files[file].bytes.saturating_add(*bytes);
                        written.entry(file).or_default().push((event.at(), files[file].bytes));
                    }
                }
                Call::Sync(path) => {
                    if let Some(file) = names.get(path).copied() {
                        let before = written.get(&file).into_iter().flatten();
                        let before = before.filter(|(at, _)| *at < event.began);
                        let synced = before.map(|(_, bytes)| *bytes).max();
                        files[file].synced = synced.unwrap_or(0).max(files[file].synced);
                    }
                }
                Call::SyncAll => {
                    for (file, writes) in &written {
                        let before = writes.iter().filter(|(at, _)| *at < event.began);
                        let synced = before.map(|(_, bytes)| *bytes).max();
                        files[*file].synced = synced.unwrap_or(0).max(files[*file].synced);
                    }
                }
                Call::Create(_) | Call::Folder(_) | Call::Exchange(..) => {}
            }
        }
        names.into_iter().map(|(path, file)| (path, files[file].clone())).collect()
    }
}

/// A file or a folder with all that is in it has another name.
fn moved(names: &mut BTreeMap<PathBuf, usize>, from: &Path, to: &Path) {
    let below: Vec<PathBuf> = names
        .range(from.to_owned()..)
        .map(|(path, _)| path.clone())
        .take_while(|path| path.starts_with(from))
        .collect();
    for path in below {
        let file = names.remove(&path).expect("just listed");
        let rest = path.strip_prefix(from).expect("it begins so");
        let name = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
        names.insert(name, file);
    }
}

/// The folder whose names a call changed.
fn parent(call: &Call) -> Option<&Path> {
    match call {
        Call::Create(path) | Call::Folder(path) | Call::Link(_, path) => path.parent(),
        Call::Rename(_, to) | Call::Exchange(_, to) => to.parent(),
        _ => None,
    }
}

fn is_inside(call: &Call, folder: &Path) -> bool {
    match call {
        Call::Create(path)
        | Call::Folder(path)
        | Call::Link(_, path)
        | Call::Rename(_, path)
        | Call::Exchange(_, path)
        | Call::Remove(path)
        | Call::Write(path, _)
        | Call::Sync(path) => path.starts_with(folder),
        Call::SyncAll => true,
    }
}

/// Takes one change of names back. False when nothing is left of it.
fn undo(call: &Call) -> bool {
    let remove = |path: &Path| match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
        Err(_) => false,
    };
    match call {
        Call::Create(path) | Call::Folder(path) | Call::Link(_, path) => remove(path),
        Call::Rename(from, to) if !from.exists() => fs::rename(to, from).is_ok(),
        Call::Exchange(one, other) => {
            let aside = one.with_extension("aside");
            fs::rename(one, &aside).is_ok()
                && fs::rename(other, one).is_ok()
                && fs::rename(&aside, other).is_ok()
        }
        _ => false,
    }
}
