//! Columns of files that the target has no place for: what is said of them.

use super::merge::Merged;
use super::request::Request;
use crate::ui::error::{Kind, Report};

/// Names shown of many.
const SHOWN: usize = 20;

/// Columns that no column of the target takes; at least one.
pub(super) fn refusal(request: &Request<'_>, columns: &[&Merged]) -> Report {
    let column = columns[0];
    let computed = request.targets.iter().find(|t| t.name == column.name && !t.is_insertable());
    let message = match computed {
        Some(target) => format!(
            "file {} has a column `{}`; in the target it is {} and cannot be inserted",
            column.first, column.name, target.default_kind
        ),
        None => return unlike(request, columns),
    };
    Report::new(Kind::Usage, message)
        .help(format!("leave it out: --ignore-columns {}", listed(&names(columns))))
}

fn names<'a>(columns: &[&'a Merged]) -> Vec<&'a str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

/// As a value of a flag in a shell.
fn listed(names: &[&str]) -> String {
    let list = names.join(",");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_,.-".contains(c);
    if list.chars().all(is_plain) { list } else { format!("'{}'", list.replace('\'', "'\\''")) }
}

/// Columns that are not in the target under their names.
fn unlike(request: &Request<'_>, columns: &[&Merged]) -> Report {
    // A name in another case tells more than one that is nowhere.
    let is_like = |column: &&&Merged| {
        let mut targets = request.targets.iter().filter(|target| target.is_insertable());
        targets.any(|target| target.name.eq_ignore_ascii_case(&column.name))
    };
    let column = *columns.iter().find(is_like).unwrap_or(&columns[0]);
    let names = request.targets.iter().filter(|target| target.is_insertable());
    let like = names.clone().find(|target| target.name.eq_ignore_ascii_case(&column.name));
    let taken = |name: &str| request.schemas.get(name).is_some();
    if let Some(target) = like.filter(|target| !taken(&target.name)) {
        let message = format!(
            "file {} has a column `{}`, and the target has `{}`: names must be the same in case too",
            column.first, column.name, target.name
        );
        return Report::new(Kind::Usage, message)
            .help(format!("if they are the same: --select '{}'", renamed(request)));
    }
    let report = unknown(&self::names(columns), &column.first);
    let kept: Vec<&str> = request
        .schemas
        .columns
        .iter()
        .filter(|column| request.target_of(&column.name).is_some())
        .map(|column| column.name.as_str())
        .collect();
    if kept.is_empty() {
        let free: Vec<&str> = names.map(|target| target.name.as_str()).take(SHOWN).collect();
        return report.help(format!(
            "name the column of the target that it fills: --select '{} AS COLUMN' (the target has {})",
            column.name,
            free.join(", ")
        ));
    }
    report
}

/// Columns, or fields of a nested one, that the target lacks.
pub(super) fn unknown(names: &[&str], path: &str) -> Report {
    let first = names[0];
    let more = match names.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more that are in no column of it"),
    };
    let message = format!(
        "file {path} has a column `{first}` that the target lacks{more}: its values would be lost"
    );
    let list = listed(names);
    Report::new(Kind::Usage, message).help(format!(
        "leave it out: --ignore-columns {list}; or name what to load: --columns A,B,…; or add it to the target"
    ))
}

/// `--select` with each column of the files under the name of the target.
fn renamed(request: &Request<'_>) -> String {
    let each = request.schemas.columns.iter().filter_map(|column| {
        let mut targets = request.targets.iter().filter(|target| target.is_insertable());
        let target = targets
            .clone()
            .find(|target| target.name == column.name)
            .or_else(|| targets.find(|target| target.name.eq_ignore_ascii_case(&column.name)))?;
        Some(if target.name == column.name {
            column.name.clone()
        } else {
            format!("{} AS {}", column.name, target.name)
        })
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Not one column of the target can be filled.
pub(super) fn no_column(request: &Request<'_>) -> Report {
    Report::new(Kind::Usage, "the files have no column that the target has")
        .help(format!("{}; --select 'NAME AS COLUMN' renames", columns_of(request)))
}

/// The columns of the files, as help.
pub(super) fn columns_of(request: &Request<'_>) -> String {
    let columns = &request.schemas.columns;
    let names: Vec<&str> = columns.iter().take(SHOWN).map(|column| column.name.as_str()).collect();
    if names.is_empty() {
        return "the files show no columns: they are empty, or cannot be read".to_owned();
    }
    let more = if columns.len() > SHOWN { ", …" } else { "" };
    format!("columns of the files: {}{more}", names.join(", "))
}
