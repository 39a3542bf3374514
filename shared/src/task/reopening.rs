//! Which ended tasks an operator lets be done again, and how: written down before anything changes.

use serde::{Deserialize, Serialize};

use super::{StateName, TaskEvent};
use crate::hex::{from_hex, to_hex};
use crate::pack::{pack, unpack};
use crate::planted::{Bug, planted};

/// A set of tasks of one job by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ordinals {
    /// One bit a task, lowest first.
    bits: Vec<u8>,
}

impl Ordinals {
    /// Adds a task.
    pub fn insert(&mut self, ordinal: u32) {
        let byte = ordinal as usize / 8;
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, 0);
        }
        self.bits[byte] |= 1 << (ordinal % 8);
    }

    /// Takes a task out.
    fn remove(&mut self, ordinal: u32) {
        if let Some(bits) = self.bits.get_mut(ordinal as usize / 8) {
            *bits &= !(1 << (ordinal % 8));
        }
    }

    /// Is it in the set?
    pub fn contains(&self, ordinal: u32) -> bool {
        self.bits.get(ordinal as usize / 8).is_some_and(|bits| bits & (1 << (ordinal % 8)) != 0)
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }
}

impl Serialize for Ordinals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Runs of the same bits deflate to nearly nothing: 200,000 tasks never need more than 50 KB.
        serializer.serialize_str(&to_hex(&pack(&self.bits)))
    }
}

impl<'de> Deserialize<'de> for Ordinals {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text).ok_or_else(|| serde::de::Error::custom("no hex digits"))?;
        Ok(Self { bits: unpack(&bytes).map_err(serde::de::Error::custom)? })
    }
}

/// What is to become of tasks that have ended, until all of it is carried out.
///
/// It stands in the row of the job from before the first change to after the last one: whoever
/// carries it out, and however often that is cut, the same is done to the same tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reopening {
    /// Failed: loaded from their beginning.
    #[serde(default, skip_serializing_if = "Ordinals::is_empty")]
    pub failed: Ordinals,
    /// Quarantined: looked at once more.
    #[serde(default, skip_serializing_if = "Ordinals::is_empty")]
    pub proved: Ordinals,
    /// Quarantined: loaded from their beginning, because nothing of them is in any target.
    #[serde(default, skip_serializing_if = "Ordinals::is_empty")]
    pub reloaded: Ordinals,
    /// Quarantined: done, because all of them is in the targets.
    #[serde(default, skip_serializing_if = "Ordinals::is_empty")]
    pub accepted: Ordinals,
    /// Done: loaded once more, because their rows were taken out.
    #[serde(default, skip_serializing_if = "Ordinals::is_empty")]
    pub replayed: Ordinals,
}

impl Reopening {
    /// Adds a task that ended so, and what is to become of it: what was said of it before does not count any
    /// more. False when the two do not belong together.
    pub fn add(&mut self, ordinal: u32, was: StateName, event: &TaskEvent) -> bool {
        if was == StateName::Quarantined && !planted(Bug::KeepDecision) {
            for set in [&mut self.proved, &mut self.reloaded, &mut self.accepted] {
                set.remove(ordinal);
            }
        }
        let set = match (was, event) {
            (StateName::Failed, TaskEvent::Reopened | TaskEvent::Reset) => &mut self.failed,
            (StateName::Quarantined, TaskEvent::Reopened) => &mut self.proved,
            (StateName::Quarantined, TaskEvent::Reset) => &mut self.reloaded,
            (StateName::Quarantined, TaskEvent::Accepted) => &mut self.accepted,
            (StateName::Done, TaskEvent::Reset) => &mut self.replayed,
            _ => return false,
        };
        set.insert(ordinal);
        true
    }

    /// What is to become of a task that is in this state; nothing when it is not meant, or done already.
    pub fn of(&self, ordinal: u32, state: StateName) -> Option<TaskEvent> {
        match state {
            StateName::Failed if self.failed.contains(ordinal) => Some(TaskEvent::Reopened),
            StateName::Quarantined if self.proved.contains(ordinal) => Some(TaskEvent::Reopened),
            StateName::Quarantined if self.reloaded.contains(ordinal) => Some(TaskEvent::Reset),
            StateName::Quarantined if self.accepted.contains(ordinal) => Some(TaskEvent::Accepted),
            StateName::Done if self.replayed.contains(ordinal) => Some(TaskEvent::Reset),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_text_and_means_the_same_tasks() {
        let mut wish = Reopening::default();
        for ordinal in (0..200_000).filter(|ordinal| ordinal % 3 == 0) {
            assert!(wish.add(ordinal, StateName::Done, &TaskEvent::Reset));
        }
        assert!(wish.add(5, StateName::Quarantined, &TaskEvent::Accepted));
        assert!(!wish.add(6, StateName::Pending, &TaskEvent::Reset));
        let text = serde_json::to_string(&wish).unwrap();
        assert!(text.len() < 60_000, "{}", text.len());
        let back: Reopening = serde_json::from_str(&text).unwrap();
        assert_eq!(back, wish);
        assert_eq!(back.of(3, StateName::Done), Some(TaskEvent::Reset));
        assert_eq!(back.of(4, StateName::Done), None);
        assert_eq!(back.of(5, StateName::Quarantined), Some(TaskEvent::Accepted));
        assert_eq!(back.of(3, StateName::Pending), None, "it was changed before");
    }

    #[test]
    fn the_last_decision_about_a_task_counts() {
        let mut wish = Reopening::default();
        for event in
            [TaskEvent::Accepted, TaskEvent::Reset, TaskEvent::Reopened, TaskEvent::Accepted]
        {
            assert!(wish.add(9, StateName::Quarantined, &event));
            assert_eq!(wish.of(9, StateName::Quarantined), Some(event));
        }
    }
}
