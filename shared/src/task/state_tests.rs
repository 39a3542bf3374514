//! The whole protocol on one page, and what must hold for any run of events.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::task::{StagedTable, TableName};

fn owner(name: &str) -> Owner {
    Owner { worker: WorkerId(name.into()), endpoint: "http://a".into() }
}

fn manifest() -> Manifest {
    let target = TableName { database: "db".into(), table: "t".into() };
    let table = StagedTable {
        suffix: "0_t".into(),
        uuid: Uuid::nil(),
        target,
        target_uuid: Uuid::nil(),
        lines: Vec::new(),
    };
    Manifest {
        taken_ms: 0,
        rows: 1,
        rows_read: 1,
        tables: vec![table],
        handovers: Vec::new(),
        doubted: false,
        partial: false,
    }
}

fn states() -> Vec<TaskState> {
    vec![
        TaskState::Pending { delay_ms: 0, error: String::new() },
        TaskState::Claimed { owner: owner("a") },
        TaskState::Publishing { owner: owner("a"), manifest: manifest() },
        TaskState::Done { rows: 1 },
        TaskState::Failed { error: "x".into() },
        TaskState::Quarantined { manifest: manifest(), error: "x".into() },
    ]
}

fn events(epoch: Epoch) -> Vec<TaskEvent> {
    vec![
        TaskEvent::Claimed { by: owner("b") },
        TaskEvent::TakenOver { by: owner("b"), died: true },
        TaskEvent::Loaded { epoch, manifest: manifest() },
        TaskEvent::Published { epoch, rows: 1 },
        TaskEvent::Retried { epoch, delay_ms: 5, error: "x".into() },
        TaskEvent::HandedBack { epoch },
        TaskEvent::GaveUp { epoch, error: "x".into() },
        TaskEvent::Unprovable { epoch, evidence: "x".into() },
        TaskEvent::Interrupted { epoch, delay_ms: 5, error: "x".into(), died: true },
        TaskEvent::Recalled {
            epoch,
            manifest: manifest(),
            past: Epoch(epoch.0 + 2),
            evidence: "x".into(),
        },
        TaskEvent::Reopened,
        TaskEvent::Reset,
        TaskEvent::Accepted,
        TaskEvent::Restored(1),
    ]
}

fn progress(state: TaskState) -> Progress {
    Progress { state, epoch: Epoch(5), attempts: 2, deaths: 1 }
}

#[test]
fn the_table_of_states_and_events() {
    let mut table = String::new();
    for state in states() {
        for event in events(Epoch(5)) {
            let from = state.name().as_str();
            let line = match progress(state.clone()).next(&event) {
                Ok(next) => format!(
                    "{from:<11} + {:<11} -> {:<11} epoch {:+} attempts {:+} deaths {:+}",
                    event.name(),
                    next.state.name().as_str(),
                    i128::from(next.epoch.0) - 5,
                    i64::from(next.attempts) - 2,
                    i64::from(next.deaths) - 1,
                ),
                Err(_) => format!("{from:<11} + {:<11} -> refused", event.name()),
            };
            table.push_str(line.trim_end());
            table.push('\n');
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_event_of_an_old_epoch_changes_nothing() {
    for state in states() {
        for event in events(Epoch(4)).into_iter().skip(2).take(8) {
            let refused = progress(state.clone()).next(&event);
            assert!(matches!(refused, Err(IllegalTransition::StaleEpoch { .. })), "{event:?}");
        }
    }
}

proptest! {
    /// Any run of events: the epoch never falls, publishing never goes back, and only an operator
    /// moves a task that has ended.
    #[test]
    fn what_holds_for_every_run(choices in proptest::collection::vec((0usize..14, 0u64..3), 0..60)) {
        let mut now = Progress::planned();
        for (choice, lag) in choices {
            let epoch = Epoch(now.epoch.0.saturating_sub(lag));
            let event = events(epoch)[choice].clone();
            let Ok(next) = now.next(&event) else { continue };
            prop_assert!(next.epoch >= now.epoch);
            let by_operator =
                matches!(event, TaskEvent::Reopened | TaskEvent::Reset | TaskEvent::Accepted);
            if !matches!(event, TaskEvent::Restored(_)) {
                prop_assert_eq!(now.state.name().is_terminal(), by_operator);
            }
            if now.state.name() == StateName::Publishing {
                prop_assert!(!matches!(
                    next.state.name(),
                    StateName::Pending | StateName::Claimed | StateName::Failed
                ));
            }
            let is_taken = next.state.owner().is_some_and(|owner| *owner != Owner::nobody());
            if is_taken && next.state.owner() != now.state.owner() {
                prop_assert!(next.epoch > now.epoch);
            }
            now = next;
        }
    }
}
