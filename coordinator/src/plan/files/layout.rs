//! Columns of files to columns of the target, by name.

use longshore_shared::source::VIRTUAL;
use longshore_shared::sql::quote_identifier;
use longshore_shared::task::Output;
use longshore_shared::types::Type;

use super::column::{How, ReadAs, Target};
use super::defaults::{self, DefaultOf};
use super::merge::Merged;
use super::request::{Layout, Request};
use super::surplus;
use crate::ui::error::{Error, Kind, Report};

impl Request<'_> {
    fn wants(&self, name: &str) -> bool {
        let choice = self.choice;
        (choice.columns.is_empty() || choice.columns.iter().any(|chosen| chosen == name))
            && !choice.ignored.iter().any(|ignored| ignored == name)
    }

    /// The column of the target that a column of the files goes to.
    pub(super) fn target_of(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.is_insertable() && target.name == name)
    }

    /// The layout.
    ///
    /// # Errors
    /// A column of the files that no column of the target takes.
    pub(crate) fn lay_out(&self) -> Result<Layout, Error> {
        let mut layout = Layout::default();
        let all =
            self.how.format.has_late_keys() || self.is_sample || !self.how.format.has_schema();
        self.refuse_unknown()?;
        let (mut nested, mut foreign) = (Vec::new(), Vec::new());
        for column in &self.schemas.columns {
            if VIRTUAL.contains(&column.name.as_str()) {
                layout.own.push(column.name.clone());
            }
            // A reader that refuses unknown keys must know these, those that the target has too.
            let is_asked = self.choice.ignored.contains(&column.name);
            if is_asked && self.how.format.has_late_keys() {
                layout.leave_out(&column.name, self.how.format.is_text(), &column.types[0].0);
                continue;
            }
            if self.target_of(&column.name).is_some() || !self.wants(&column.name) {
                continue;
            }
            match self.nested(column)? {
                Some(columns) => nested.push((column, columns)),
                None if column.is_hive => layout.notes.folders.push(column.name.clone()),
                None => foreign.push(column),
            }
        }
        if !foreign.is_empty() {
            return Err(surplus::refusal(self, &foreign).into());
        }
        if self.how.format.has_late_keys() {
            let late = self.choice.ignored.iter().filter(|name| self.schemas.get(name).is_none());
            for name in late {
                layout.leave_out(name, true, &Type::named("String"));
            }
        }
        let is_nested =
            |name: &str| nested.iter().any(|(_, columns)| columns.iter().any(|c| c.name == name));
        for target in self.targets.iter().filter(|target| target.is_insertable()) {
            if !self.wants(&target.name) || is_nested(&target.name) {
                continue;
            }
            let found = self.schemas.get(&target.name);
            // Where rows name their columns, a column that is in none of them is no harm.
            let by_name = self.how.format.refuses_surplus();
            if found.is_none() && (!all || (target.default_kind == "EPHEMERAL" && !by_name)) {
                layout.notes.absent(target);
                continue;
            }
            layout.notes.missing(target, found);
            let read = self.how.read(target, found);
            layout.notes.remark(&read);
            layout.outputs.push(Output { cast: read.cast.clone(), ..Output::plain(&target.name) });
            layout.structure.push(read);
        }
        for (column, columns) in nested {
            layout.add_nested(column, &columns, self.how);
        }
        defaults::mind(self.targets, &mut layout, DefaultOf::Insert);
        if layout.outputs.is_empty() {
            return Err(surplus::no_column(self).into());
        }
        Ok(layout)
    }

    /// `--columns` and `--ignore-columns` name columns that are there.
    fn refuse_unknown(&self) -> Result<(), Error> {
        let is_known = |name: &String| {
            self.schemas.get(name).is_some()
                || self.targets.iter().any(|t| t.is_insertable() && t.name == *name)
        };
        let mut chosen = self.choice.columns.iter();
        if let Some(name) = chosen.find(|name| !is_known(name)) {
            let message = format!("the files have no column `{name}` (--columns)");
            return Err(Report::new(Kind::Usage, message).help(surplus::columns_of(self)).into());
        }
        Ok(())
    }

    /// The columns `n.x` of the target that an array of tuples `n` fills.
    fn nested<'t>(&'t self, column: &Merged) -> Result<Option<Vec<&'t Target>>, Error> {
        let prefix = format!("{}.", column.name);
        let targets: Vec<&Target> = self
            .targets
            .iter()
            .filter(|target| target.is_insertable() && target.name.starts_with(&prefix))
            .collect();
        // Of text the type is guessed: empty lists look like lists of anything.
        let mut kinds = column.types.iter().map(|(kind, _)| kind.nested().is_some());
        let has_names = if self.how.format.is_text() {
            kinds.any(|named| named)
        } else {
            kinds.all(|named| named)
        };
        if targets.is_empty() || !has_names {
            return Ok(None);
        }
        for (kind, path) in &column.types {
            for (name, _) in kind.nested().into_iter().flatten() {
                let name = format!("{prefix}{}", name.as_deref().unwrap_or_default());
                if !targets.iter().any(|t| t.name == name) && self.wants(&name) {
                    return Err(surplus::unknown(&[name.as_str()], path).into());
                }
            }
        }
        Ok(Some(targets.into_iter().filter(|target| self.wants(&target.name)).collect()))
    }
}

impl Layout {
    fn leave_out(&mut self, name: &str, is_text: bool, kind: &Type) {
        let kind = if is_text { "String".to_owned() } else { kind.to_string() };
        self.structure.push(ReadAs::plain(name, &kind));
        self.left_out.push(name.to_owned());
    }

    /// An array of tuples fills the columns of a Nested: each is read as a column of its own would be.
    fn add_nested(&mut self, column: &Merged, targets: &[&Target], how: &How<'_>) {
        let mut elements = Vec::new();
        for target in targets {
            let name = target.name[column.name.len() + 1..].to_owned();
            let target = Target { default: String::new(), ..(*target).clone() };
            let read = how.read(&target, column.element(&name).as_ref());
            let Type::Array(kind) = Type::parse(&read.kind) else { continue };
            self.notes.remark(&read);
            let of = format!("{}.{}", quote_identifier(&column.name), quote_identifier(&name));
            elements.push((Some(name), *kind));
            self.outputs.push(Output { name: target.name, of: Some(of), cast: read.cast });
        }
        let kind = Type::Array(Box::new(Type::Tuple(elements)));
        self.structure.push(ReadAs::plain(&column.name, &kind.to_string()));
    }
}
