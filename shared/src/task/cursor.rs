//! The cursor of a job: where its open tasks are, so that nothing ever scans the task table.
//!
//! Tasks are grouped into segments of consecutive ordinals. `frontier` says how many segments
//! workers have opened: all beyond are untouched. A segment whose tasks have all ended is marked
//! finished and its counts are added up here. A worker looks only at segments below the frontier
//! that are not finished, by key; so does `status`.
//!
//! The cursor finds work and adds up; the truth about a task is its own row.

use super::{Epoch, JobId, Stamp, StateName};

/// Number of a segment, from 0.
pub type Segment = u32;

/// Counts over some ended tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Tasks that are done.
    pub done: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks in quarantine.
    pub quarantined: u64,
    /// Rows of the done tasks.
    pub rows: u64,
    /// Bytes of the done tasks' files.
    pub bytes: u64,
}

impl Tally {
    /// Counts one task if it has ended; false when it has not.
    pub fn add(&mut self, state: StateName, rows: u64, bytes: u64) -> bool {
        match state {
            StateName::Done => {
                self.done += 1;
                self.rows += rows;
                self.bytes += bytes;
            }
            StateName::Failed => self.failed += 1,
            StateName::Quarantined => self.quarantined += 1,
            StateName::Pending | StateName::Claimed | StateName::Publishing => return false,
        }
        true
    }

    /// Sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            failed: self.failed + other.failed,
            quarantined: self.quarantined + other.quarantined,
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Tasks that ended without being done.
    pub fn unfinished(&self) -> u64 {
        self.failed + self.quarantined
    }
}

/// The cursor row of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The job.
    pub job: JobId,
    /// One more at each change.
    pub epoch: Epoch,
    /// Mark of the write that made this state.
    pub stamp: Stamp,
    /// Segments opened: those with a number of `frontier` or more were never touched.
    pub frontier: Segment,
    /// One bit a segment, lowest first.
    finished: Vec<u8>,
    /// Sum over the finished segments.
    pub tally: Tally,
}

impl Cursor {
    /// A job nobody has begun.
    pub fn new(job: JobId) -> Self {
        Self {
            job,
            epoch: Epoch(0),
            stamp: Stamp::fresh(),
            frontier: 0,
            finished: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// From a stored row.
    pub(crate) fn from_parts(
        job: JobId,
        epoch: Epoch,
        stamp: Stamp,
        frontier: Segment,
        finished: Vec<u8>,
        tally: Tally,
    ) -> Self {
        Self { job, epoch, stamp, frontier, finished, tally }
    }

    /// The bits of the finished segments as stored.
    pub(crate) fn finished_bits(&self) -> &[u8] {
        &self.finished
    }

    /// Have all tasks of this segment ended?
    pub fn is_finished(&self, segment: Segment) -> bool {
        self.finished.get(segment as usize / 8).is_some_and(|bits| bits & (1 << (segment % 8)) != 0)
    }

    /// Segments that were opened and are not finished: the only ones with tasks in flight.
    pub fn open_segments(&self) -> Vec<Segment> {
        (0..self.frontier).filter(|segment| !self.is_finished(*segment)).collect()
    }

    /// Number of finished segments.
    pub fn finished_segments(&self) -> u32 {
        self.finished.iter().map(|bits| bits.count_ones()).sum()
    }

    /// This cursor with one segment more opened.
    #[must_use]
    pub fn opened(&self) -> Self {
        Self { frontier: self.frontier + 1, ..self.changed() }
    }

    /// This cursor with a segment finished and counted. A segment that is finished already is not
    /// counted again: several workers see the same last task end, and a swap that seems lost may
    /// have been applied and covered by another's.
    #[must_use]
    pub fn finishing(&self, segment: Segment, tally: Tally) -> Self {
        let next = self.changed();
        if self.is_finished(segment) {
            return next;
        }
        let tally = next.tally.plus(tally);
        Self { tally, ..next.marking(segment) }
    }

    /// This cursor with exactly these segments finished, which held `tally`: after ended tasks were
    /// opened again. Whoever looked before cannot finish a segment any more.
    #[must_use]
    pub fn rebuilt(&self, finished: &[Segment], tally: Tally) -> Self {
        let cleared = Self { finished: Vec::new(), tally: Tally::default(), ..self.changed() };
        let next = finished.iter().fold(cleared, |next, segment| next.marking(*segment));
        Self { tally, ..next }
    }

    fn marking(mut self, segment: Segment) -> Self {
        let byte = segment as usize / 8;
        if self.finished.len() <= byte {
            self.finished.resize(byte + 1, 0);
        }
        self.finished[byte] |= 1 << (segment % 8);
        self
    }

    fn changed(&self) -> Self {
        Self { epoch: self.epoch.next(), stamp: Stamp::fresh(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_finished_segment_and_leaves_the_open_ones() {
        let job: JobId = "0123456789abcdef".parse().unwrap();
        let mut cursor = Cursor::new(job);
        for _ in 0..20 {
            cursor = cursor.opened();
        }
        let tally = Tally { done: 64, rows: 10, ..Tally::default() };
        cursor = cursor.finishing(0, tally).finishing(17, tally);
        assert_eq!(cursor.finished_segments(), 2);
        assert_eq!(cursor.tally.done, 128);
        assert_eq!(cursor.open_segments().len(), 18);
        assert_eq!(cursor.finishing(17, tally).tally, cursor.tally, "counted once");
        assert!(cursor.is_finished(17) && !cursor.is_finished(16) && !cursor.is_finished(900));
        assert_eq!(cursor.epoch, Epoch(22));
        let again = cursor.rebuilt(&[0], tally);
        assert!(again.is_finished(0) && !again.is_finished(17));
        assert_eq!((again.tally.done, again.tally.rows, again.epoch), (64, 10, Epoch(23)));
        assert_eq!(again.frontier, cursor.frontier);
        assert_eq!(again.finishing(17, tally).tally, cursor.tally);
    }
}
