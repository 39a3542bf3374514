//! What the server and Keeper do with a statement.

use longshore_shared::task::{StateName, TaskState};

use crate::protocol::{epoch_of, manifest_table};
use crate::state::{
    Broken, Claim, PARTITIONS, Published, Request, Running, State, Step, Store, Table, What,
};

/// The answer to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// OK. Of a compare-and-set or a MOVE it proves nothing.
    Ok,
    /// UNKNOWN_TABLE: its policy is to stop the job.
    Gone,
    /// Any error of the server that may pass.
    Error,
    /// It has begun; the answer comes when it ends.
    Begun,
}

impl State {
    pub(crate) fn breaks(&mut self, rule: Broken) {
        self.broken.get_or_insert(rule);
    }

    /// A change by an epoch that was fenced off is what the fence promises away.
    fn acts(&mut self, request: &Request) {
        if request.epoch < self.stores[usize::from(request.task)].fenced {
            self.breaks(Broken::Fenced);
        }
    }

    /// Can it be carried out now? `DROP TABLE … SYNC` waits for what uses the table.
    pub(crate) fn can_arrive(&self, request: &Request) -> bool {
        let What::DropTable { name } = request.what else { return true };
        let store = &self.stores[usize::from(request.task)];
        let used = |table: &Table| {
            self.running.iter().any(|run| run.task == request.task && run.made == table.made)
        };
        !store.tables.iter().any(|table| table.name == name && used(table))
    }

    /// Carries a statement out.
    pub(crate) fn arrive(&mut self, request: &Request, waiter: Option<u8>) -> Answer {
        let task = usize::from(request.task);
        let own = |table: &Table| table.name == request.epoch;
        match &request.what {
            What::Swap { .. } => self.swap(request),
            What::Create => {
                let store = &mut self.stores[task];
                if !store.tables.iter().any(own) {
                    let made = request.epoch;
                    store.tables.push(Table { name: made, made, parts: 0, loaded: false });
                    store.tables.sort_unstable();
                }
                Answer::Ok
            }
            What::Insert => {
                let Some(table) = self.stores[task].tables.iter().copied().find(own) else {
                    return Answer::Gone;
                };
                if table.parts != 0
                    || self
                        .running
                        .iter()
                        .any(|run| run.made == table.made && run.task == request.task)
                {
                    self.breaks(Broken::LoadedTwice);
                }
                self.begin(request, table.made, None, waiter)
            }
            What::Move { name, partition } => {
                let named = |table: &Table| table.name == *name;
                let Some(table) = self.stores[task].tables.iter().copied().find(named) else {
                    return Answer::Gone;
                };
                if table.parts & (1 << partition) == 0 {
                    return Answer::Ok;
                }
                self.begin(request, table.made, Some(*partition), waiter)
            }
            What::DropPart { name, partition } => {
                let named = |table: &Table| table.name == *name;
                let Some(at) = self.stores[task].tables.iter().position(named) else {
                    return Answer::Gone;
                };
                let bit = 1 << partition;
                if self.stores[task].tables[at].parts & bit == 0 {
                    return Answer::Error;
                }
                self.stores[task].tables[at].parts &= !bit;
                self.acts(request);
                Answer::Ok
            }
            What::Rename { from } => {
                let store = &mut self.stores[task];
                let Some(at) = store.tables.iter().position(|table| table.name == *from) else {
                    return Answer::Gone;
                };
                if store.tables.iter().any(own) {
                    return Answer::Error;
                }
                store.tables[at].name = request.epoch;
                store.tables.sort_unstable();
                self.acts(request);
                Answer::Ok
            }
            What::DropTable { name } => {
                let Some(at) = self.stores[task].tables.iter().position(|t| t.name == *name) else {
                    return Answer::Ok;
                };
                let table = self.stores[task].tables.remove(at);
                if let TaskState::Publishing { manifest, .. } = &self.rows[task].progress.state
                    && manifest_table(manifest) == table.made
                    && !self.stores[task].holds_all(table.made)
                {
                    self.breaks(Broken::Dropped);
                }
                Answer::Ok
            }
        }
    }

    fn begin(
        &mut self,
        request: &Request,
        made: u8,
        moves: Option<u8>,
        waiter: Option<u8>,
    ) -> Answer {
        let &Request { task, epoch, .. } = request;
        self.running.push(Running { task, epoch, made, moves, waiter });
        self.running.sort_by_key(|run| (run.task, run.epoch, run.made, run.moves, run.waiter));
        Answer::Begun
    }

    /// A strict compare-and-set: OK also when no row matches.
    fn swap(&mut self, request: &Request) -> Answer {
        let What::Swap { was, next } = &request.what else { return Answer::Ok };
        let row = &mut self.rows[usize::from(request.task)];
        let holds = row.stamp == was.stamp && row.progress.epoch == was.progress.epoch;
        if !holds {
            return Answer::Ok;
        }
        let (old, new) = (row.progress.clone(), next.progress.clone());
        *row = next.clone();
        self.acts(request);
        if !(old.epoch == new.epoch || old.epoch.next() == new.epoch) {
            self.breaks(Broken::Epoch);
        }
        let forward = [StateName::Publishing, StateName::Done, StateName::Quarantined];
        if old.state.name() == StateName::Publishing && !forward.contains(&new.state.name()) {
            self.breaks(Broken::Backward);
        }
        if old.state.name().is_terminal() {
            self.breaks(Broken::Backward);
        }
        debug_assert!(epoch_of(&new) > 0, "a claim comes first");
        Answer::Ok
    }

    /// A running statement does its next piece of work; true when that was the last.
    pub(crate) fn run_on(&mut self, at: usize) -> bool {
        let run = self.running[at].clone();
        let task = usize::from(run.task);
        let request = Request { task: run.task, epoch: run.epoch, what: What::Insert };
        let Some(found) = self.stores[task].tables.iter().position(|t| t.made == run.made) else {
            return true;
        };
        let parts = self.stores[task].tables[found].parts;
        if let Some(partition) = run.moves {
            let bit = 1 << partition;
            // One of two MOVEs of the same part loses it to the other (measured).
            if parts & bit != 0 {
                self.stores[task].tables[found].parts &= !bit;
                self.stores[task].publish(run.made, partition);
                self.acts(&request);
            }
            return true;
        }
        self.acts(&request);
        let table = &mut self.stores[task].tables[found];
        if let Some(partition) = (0..PARTITIONS).find(|partition| parts & (1 << partition) == 0) {
            table.parts |= 1 << partition;
            return false;
        }
        table.loaded = true;
        true
    }

    /// A MOVE that was given up on has arrived, and its sender still looks for it.
    pub(crate) fn traces(&mut self, request: &Request) {
        if matches!(request.what, What::Move { .. }) {
            self.set_trace(request.task, request.epoch, true);
        }
    }

    fn set_trace(&mut self, task: u8, epoch: u8, trace: bool) {
        for worker in &mut self.workers {
            let own = |claim: &Claim| claim.task == task && epoch_of(&claim.row.progress) == epoch;
            if let Step::SettleMove { traced } = &mut worker.step
                && worker.claim.as_ref().is_some_and(own)
            {
                *traced = trace;
            }
        }
    }

    /// The server dies: nothing runs any more. With `halves` each MOVE has put its part into the
    /// target and not taken it out of staging yet. Of several MOVEs of one part only one can have
    /// come so far: concurrent MOVEs of one partition were measured to exclude each other (ENGINE B);
    /// that they do so when the server dies in the middle is taken for granted here.
    pub(crate) fn server_dies(&mut self, halves: bool) {
        let mut half: Vec<(u8, u8, u8)> = Vec::new();
        for run in std::mem::take(&mut self.running) {
            self.set_trace(run.task, run.epoch, false);
            let Some(partition) = run.moves.filter(|_| halves) else { continue };
            let store = &mut self.stores[usize::from(run.task)];
            let bit = 1 << partition;
            let there = store.tables.iter().any(|t| t.made == run.made && t.parts & bit != 0);
            if there && !half.contains(&(run.task, run.made, partition)) {
                half.push((run.task, run.made, partition));
                store.publish(run.made, partition);
            }
        }
    }
}

impl Store {
    /// Is every partition of this load in the target?
    pub(crate) fn holds_all(&self, made: u8) -> bool {
        self.target.iter().filter(|part| part.made == made).count() == usize::from(PARTITIONS)
    }

    /// Partitions of this load whose identity is found in the target (`sql/find_parts.sql`).
    pub(crate) fn listed(&self, made: u8) -> u8 {
        let there = self.target.iter().filter(|part| part.made == made && part.listed);
        there.fold(0, |mask, part| mask | 1 << part.partition)
    }

    fn publish(&mut self, made: u8, partition: u8) {
        let same = |part: &&mut Published| part.made == made && part.partition == partition;
        if let Some(part) = self.target.iter_mut().find(same) {
            part.copies += 1;
            part.listed = true;
        } else {
            self.target.push(Published { made, partition, copies: 1, listed: true });
            self.target.sort_unstable();
        }
    }
}
