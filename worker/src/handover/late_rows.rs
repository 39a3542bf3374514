//! Rows that others wrote into a target after the plan was made: they are not in its shadow.

use longshore_shared::schema::{Placed, changes, placed};
use longshore_shared::task::{Handover, Mark, PublishMode, TableName};

use crate::claim::Claim;
use crate::error::AttemptError;

/// What came, or was changed, after some marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Late {
    /// Rows of parts that are wholly late.
    rows: u64,
    /// Rows of parts in which older rows were merged with late ones, or changed.
    mixed_rows: u64,
    parts: u64,
}

/// Parts beyond the marks.
pub(crate) fn since(marks: &[Mark], blocks: &[Placed]) -> Late {
    let mut late = Late::default();
    for block in blocks {
        let mark = marks.iter().find(|mark| mark.partition == block.partition);
        let mark = mark.map_or(i64::MIN, |mark| mark.block);
        if block.last_block.max(block.version) <= mark {
            continue;
        }
        late.parts += 1;
        let rows = if block.first_block > mark { &mut late.rows } else { &mut late.mixed_rows };
        *rows += block.rows;
    }
    late
}

impl Late {
    pub(crate) fn is_some(self) -> bool {
        self.parts > 0
    }

    fn words(self) -> String {
        let mut words = Vec::new();
        if self.rows > 0 {
            words.push(format!("{} rows were written", self.rows));
        }
        if self.mixed_rows > 0 {
            words.push(format!("some of {} rows were written or changed", self.mixed_rows));
        }
        words.join(", and ")
    }

    /// What to tell of a table whose shadow does not have them.
    pub(crate) fn told(self, table: &TableName) -> Option<String> {
        self.is_some().then(|| {
            format!("{} in {table} after the plan was made ({} parts)", self.words(), self.parts)
        })
    }
}

/// The words of a job that is paused because of late rows.
pub(crate) fn refusal(late: Late, table: &TableName, mode: PublishMode) -> AttemptError {
    let fate = match mode {
        PublishMode::Exchange => "they would be in the old table only",
        _ => "they would be replaced",
    };
    AttemptError::LateRows(format!(
        "{} in {table} after the plan was made: {fate}. Nothing is published. \
         Stop writing there and plan again, or plan with --late-rows tell",
        late.words()
    ))
}

/// After an exchange: what is in the old table only.
pub(crate) async fn after(
    claim: &Claim,
    handover: &Handover,
    old: Option<&TableName>,
) -> Result<(), AttemptError> {
    let Some(old) = old else { return Ok(()) };
    let shadow = claim.job.spec.graph.tables[handover.position].shadow.as_ref();
    let marks = shadow.map(|shadow| shadow.marks.clone()).unwrap_or_default();
    let late = since(&marks, &placed(&claim.server, old).await?);
    if late.is_some() {
        let parts = late.parts;
        claim.remark(format!(
            "only in {old}: {} after the plan was made ({parts} parts)",
            late.words()
        ));
    }
    // One that came between the last look and the exchange is carried out on the old table.
    if let Some(unfinished) = changes(&claim.server, old).await?.unfinished() {
        claim.remark(format!("only in {old}: {}", unfinished.message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(partition: &str, first: i64, last: i64, version: i64, rows: u64) -> Placed {
        Placed { partition: partition.into(), rows, first_block: first, last_block: last, version }
    }

    #[test]
    fn what_is_beyond_the_marks_is_late() {
        let marks = [Mark { partition: "a".into(), block: 7 }];
        let late = |blocks: &[Placed]| since(&marks, blocks);
        assert!(!late(&[block("a", 1, 3, 1, 5), block("a", 4, 7, 7, 5)]).is_some());
        assert_eq!(late(&[block("a", 8, 8, 8, 5)]).rows, 5);
        assert_eq!(late(&[block("b", 1, 1, 1, 5)]).rows, 5, "a partition that was not there");
        let merged = late(&[block("a", 1, 9, 1, 5)]);
        assert_eq!((merged.rows, merged.mixed_rows), (0, 5));
        let changed = late(&[block("a", 1, 3, 8, 5)]);
        assert_eq!((changed.rows, changed.mixed_rows), (0, 5), "an ALTER UPDATE or DELETE");
    }
}
