//! What a server does to its files, in the words of `strace`: names that come and go, writes, syncs.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// The calls that change names or contents, and those that sync them.
const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fallocate,copy_file_range,\
sendfile,ftruncate,truncate,fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,link,linkat,\
symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir";

/// What is put before a server's command line, so that all of this is written to `log`.
pub(crate) fn recorder(log: &Path) -> String {
    // -D: the server keeps its process id; the tracer is the one that forks away.
    format!("strace -D -f --seccomp-bpf -qqq -y -s 0 -o {} -e trace={CALLS}", log.display())
}

/// One call that worked, or was under way when the process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A file was opened that may be new.
    Create(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// A second name.
    Link(PathBuf, PathBuf),
    /// Another name.
    Rename(PathBuf, PathBuf),
    /// Two names changed places.
    Exchange(PathBuf, PathBuf),
    /// A name is gone.
    Remove(PathBuf),
    /// Bytes were written to a file.
    Write(PathBuf, u64),
    /// A file, or the names in a folder, are on disk.
    Sync(PathBuf),
    /// Everything is on disk.
    SyncAll,
}

/// A call, with the lines of the log at which it began and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Line of its begin.
    pub began: usize,
    /// Line of its end; one that nobody saw the end of has none.
    pub ended: Option<usize>,
    /// What it was.
    pub call: Call,
}

impl Event {
    /// Where it stands among the others: what nobody saw the end of comes last.
    pub fn at(&self) -> usize {
        self.ended.unwrap_or(usize::MAX)
    }
}

/// Reads a log. `folder` is the working folder of the server.
pub(crate) fn read(log: &str, folder: &Path) -> Vec<Event> {
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    let mut events = Vec::new();
    for (number, line) in log.lines().enumerate() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(half) = rest.strip_suffix("<unfinished ...>") {
            open.insert(process, (number, half.trim_end().to_owned()));
        } else if let Some((_, end)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>"))
        {
            let Some((began, half)) = open.remove(process) else { continue };
            events.extend(event(&format!("{half}{end}"), began, Some(number), folder));
        } else {
            events.extend(event(rest, number, Some(number), folder));
        }
    }
    for (began, half) in open.into_values() {
        events.extend(event(&half, began, None, folder));
    }
    events.sort_by_key(Event::at);
    events
}

fn event(text: &str, began: usize, ended: Option<usize>, folder: &Path) -> Option<Event> {
    let (name, rest) = text.split_once('(')?;
    let (args, result) = match (rest.rsplit_once(" = "), ended) {
        (Some((args, result)), Some(_)) => (args.trim_end().trim_end_matches(')'), result),
        (_, None) => (rest, ""),
        _ => return None,
    };
    if result.starts_with('-') {
        return None;
    }
    let call = call(name, args, result, folder)?;
    // A sync that nobody saw the end of synced nothing for certain.
    let is_sync = matches!(call, Call::Sync(_) | Call::SyncAll);
    (!is_sync || ended.is_some()).then_some(Event { began, ended, call })
}

fn call(name: &str, args: &str, result: &str, folder: &Path) -> Option<Call> {
    let named = || paths(args, folder);
    let first = || named().into_iter().next();
    let both = || {
        let mut paths = named().into_iter();
        Some((paths.next()?, paths.next()?))
    };
    match name {
        "open" | "openat" | "creat" => {
            let is_new = name == "creat" || args.contains("O_CREAT");
            first().filter(|_| is_new).map(Call::Create)
        }
        "mkdir" | "mkdirat" => first().map(Call::Folder),
        "link" | "linkat" => both().map(|(from, to)| Call::Link(from, to)),
        "rename" | "renameat" | "renameat2" if args.contains("RENAME_EXCHANGE") => {
            both().map(|(from, to)| Call::Exchange(from, to))
        }
        "rename" | "renameat" | "renameat2" => both().map(|(from, to)| Call::Rename(from, to)),
        "unlink" | "unlinkat" | "rmdir" => first().map(Call::Remove),
        "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" => {
            // Of one that nobody saw the end of, all may be written.
            let bytes = result.split(' ').next().and_then(|bytes| bytes.parse().ok());
            Some(Call::Write(described(args)?, bytes.unwrap_or(u64::MAX)))
        }
        "fsync" | "fdatasync" => Some(Call::Sync(described(args)?)),
        "sync" | "syncfs" => Some(Call::SyncAll),
        _ => None,
    }
}

/// The file behind the first descriptor: `5</a/b>`.
fn described(args: &str) -> Option<PathBuf> {
    let (_, rest) = args.split_once('<')?;
    let path = rest.split_once('>')?.0;
    path.starts_with('/').then(|| plain(Path::new(path)))
}

/// The names in quotes, each in its folder: the one of a descriptor before it, or the working folder.
fn paths(args: &str, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut base = folder.to_owned();
    let mut rest = args;
    while let Some(at) = rest.find(['"', '<']) {
        let end = if rest.as_bytes()[at] == b'"' { '"' } else { '>' };
        let inner = &rest[at + 1..];
        let Some(to) = inner.find(end) else { break };
        if end == '"' {
            found.push(plain(&base.join(&inner[..to])));
            base = folder.to_owned();
        } else {
            base = PathBuf::from(&inner[..to]);
        }
        rest = &inner[to + 1..];
    }
    found
}

/// Without `.` and a stroke at the end.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}
