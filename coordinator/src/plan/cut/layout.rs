//! The marks of a table's primary index in the order of its key: what a cut is made from.

/// Key columns that a bound can have. Later ones would hardly ever decide.
pub(crate) const KEY_COLUMNS_MAX: usize = 6;

/// An active part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// `_partition_id`.
    pub(crate) partition: String,
    /// Rows, deleted ones too.
    pub(crate) rows: u64,
    /// Bytes in the unit of the budget.
    pub(crate) bytes: u64,
    /// A lightweight DELETE hides some of its rows.
    pub(crate) has_deletes: bool,
}

/// A mark as the index has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RawMark {
    /// Position of its part.
    pub(crate) part: u32,
    /// Rows of the granule that begins here; 0 for the mark behind the last row.
    pub(crate) rows: u32,
    /// Its bytes; 0 when only its number of rows tells them.
    pub(crate) bytes: u64,
    /// Bit n: column n of the key is not the default of its type.
    pub(crate) set: u8,
    /// Bit n: column n of the key can be written as a literal.
    pub(crate) fit: u8,
    /// Hashes of the first column, of the first two, and so on. Two neighbours that differ but have
    /// the same hash are only taken for equal, so no cut is made between them.
    pub(crate) prefixes: [u32; KEY_COLUMNS_MAX],
}

/// A mark between its neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mark {
    /// Position of its part.
    pub(crate) part: u32,
    /// Its number in the part.
    pub(crate) number: u32,
    /// Rows of the granule that begins here.
    pub(crate) rows: u32,
    /// Its bytes; 0 when only its number of rows tells them.
    bytes: u64,
    /// Leading key columns that are the same as those of the mark before it.
    pub(crate) shared: u8,
    /// Leading key columns that are known and can be written as literals.
    pub(crate) fit: u8,
}

/// Marks that are cut together: those of a partition, or of all of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// Its partitions; empty when it is all of them.
    pub(crate) partitions: Vec<String>,
    /// In the order of the key.
    pub(crate) marks: Vec<Mark>,
}

/// A table as its index shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) parts: Vec<Part>,
    /// Leading key columns that the index in memory holds, a part.
    pub(crate) known: Vec<u8>,
    /// In the order of their partitions.
    pub(crate) groups: Vec<Group>,
    /// Key columns that may be bounds.
    pub(crate) columns: u8,
}

impl Layout {
    /// Sorts the marks, which come in the order of the key, to their partitions.
    ///
    /// `None` when they are not those of the parts: a merge came between two statements.
    pub(crate) fn new(
        parts: Vec<Part>,
        raw: &[RawMark],
        columns: usize,
        across_partitions: bool,
    ) -> Option<Self> {
        let known = known_columns(parts.len(), raw, columns);
        let mut names: Vec<&String> = parts.iter().map(|part| &part.partition).collect();
        names.sort();
        names.dedup();
        let group_of: Vec<usize> = parts
            .iter()
            .map(
                |part| {
                    if across_partitions { Ok(0) } else { names.binary_search(&&part.partition) }
                },
            )
            .map(Result::unwrap_or_default)
            .collect();
        let mut groups: Vec<Group> = if across_partitions {
            vec![Group { partitions: Vec::new(), marks: Vec::with_capacity(raw.len()) }]
        } else {
            let group =
                |name: &&String| Group { partitions: vec![(*name).clone()], marks: Vec::new() };
            names.iter().map(group).collect()
        };
        let mut numbers = vec![0_u32; parts.len()];
        let mut rows = vec![0_u64; parts.len()];
        let mut before: Vec<Option<&RawMark>> = vec![None; groups.len()];
        for mark in raw {
            let part = mark.part as usize;
            let group = group_of[part];
            let shared = before[group].map_or(0, |last| shared(last, mark, columns));
            let fit = (mark.fit.trailing_ones() as u8).min(known[part]).min(columns as u8);
            groups[group].marks.push(Mark {
                part: mark.part,
                number: numbers[part],
                rows: mark.rows,
                bytes: mark.bytes,
                shared,
                fit,
            });
            numbers[part] += 1;
            rows[part] += u64::from(mark.rows);
            before[group] = Some(mark);
        }
        let is_whole = parts.iter().zip(&rows).all(|(part, rows)| part.rows == *rows);
        groups.retain(|group| !group.marks.is_empty());
        let columns = columns as u8;
        is_whole.then_some(Self { parts, known, groups, columns })
    }

    /// Bytes of a granule: as its marks tell, else its share of its part, rounded up.
    pub(crate) fn bytes(&self, mark: &Mark) -> u64 {
        if mark.bytes > 0 {
            return mark.bytes;
        }
        let part = &self.parts[mark.part as usize];
        let bytes = u128::from(part.bytes) * u128::from(mark.rows);
        u64::try_from(bytes.div_ceil(u128::from(part.rows.max(1)))).unwrap_or(u64::MAX)
    }
}

/// Leading key columns that the index of each part holds. The server leaves the rest out of memory
/// where the first ones nearly always differ, and then shows defaults.
fn known_columns(parts: usize, raw: &[RawMark], columns: usize) -> Vec<u8> {
    let mut set = vec![0_u8; parts];
    for mark in raw {
        set[mark.part as usize] |= mark.set;
    }
    // The first column is always there, whatever it holds.
    let known = |set: u8| (8 - (set | 1).leading_zeros() as u8).min(columns as u8);
    set.into_iter().map(known).collect()
}

fn shared(a: &RawMark, b: &RawMark, columns: usize) -> u8 {
    let same = a.prefixes.iter().zip(&b.prefixes).take(columns).take_while(|(a, b)| a == b);
    same.count() as u8
}
