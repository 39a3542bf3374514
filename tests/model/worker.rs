//! What a worker does next: one step stands for one function of `worker/src`, named in `state.rs`.
//!
//! A step does what the function does between two requests: it looks at answers, checks the lease
//! where the function checks it, and sends the next request.

use longshore_shared::task::{StateName, TaskEvent, TaskState};

use crate::protocol::{
    Bug, Protocol, acting, after, epoch_of, manifest, manifest_parts, manifest_table, owner,
    owner_of,
};
use crate::server::Answer;
use crate::state::{ALL, Broken, Claim, Request, Row, State, Step, What, Why};

/// `error::AttemptError` as far as the model meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptError {
    /// A failure that may pass.
    Passing,
    /// UNKNOWN_TABLE: every task would fail alike.
    StopJob,
    /// The outcome of a move cannot be proved.
    Unprovable,
}

/// One worker at its turn.
pub(crate) struct Turn<'a> {
    pub(crate) model: &'a Protocol,
    pub(crate) state: &'a mut State,
    pub(crate) me: usize,
}

impl Turn<'_> {
    fn id(&self) -> u8 {
        u8::try_from(self.me).expect("few workers")
    }

    pub(crate) fn go(&mut self, step: Step) {
        self.state.workers[self.me].step = step;
    }

    pub(crate) fn claim(&self) -> Claim {
        self.state.workers[self.me].claim.clone().expect("a claim")
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Claim)) {
        if let Some(claim) = &mut self.state.workers[self.me].claim {
            change(claim);
        }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.model.bug == Some(bug)
    }

    /// `lease.check()`: a worker that finds its lease over begins a new life.
    pub(crate) fn trusted(&mut self) -> bool {
        if self.state.workers[self.me].lapsed {
            self.new_life();
            return false;
        }
        true
    }

    /// Dropping an attempt sends nothing and stops nothing that was sent.
    pub(crate) fn new_life(&mut self) {
        self.abandon();
        let worker = &mut self.state.workers[self.me];
        (worker.life, worker.lapsed) = (worker.life + 1, false);
        (worker.claim, worker.step, worker.left) = (None, Step::Idle, 0);
    }

    /// Waits no longer for what was sent: it may arrive and be carried out all the same.
    pub(crate) fn abandon(&mut self) {
        let id = self.id();
        for run in self.state.running.iter_mut().filter(|run| run.waiter == Some(id)) {
            run.waiter = None;
        }
        if let Step::Sent(request) = &self.state.workers[self.me].step {
            let request = request.clone();
            self.state.late.push(request);
        }
    }

    pub(crate) fn send(&mut self, what: What) {
        let claim = self.claim();
        let request = Request { task: claim.task, epoch: epoch_of(&claim.row.progress), what };
        self.go(Step::Sent(request));
    }

    /// `board::try_claim`.
    pub(crate) fn try_claim(&mut self, task: usize) {
        let row = self.state.rows[task].clone();
        let (id, life) = (self.id(), self.state.workers[self.me].life);
        let by = owner(id, life);
        let event = match owner_of(&row.progress) {
            None => TaskEvent::Claimed { by },
            Some(_) => TaskEvent::TakenOver { by, died: true },
        };
        let nonce = self.state.budget.losses;
        let Some(next) = after(&row, &event, id, life, nonce) else { return };
        let request = Request {
            task: u8::try_from(task).expect("few tasks"),
            epoch: epoch_of(&next.progress),
            what: What::Swap { was: row, next },
        };
        self.go(Step::Sent(request));
    }

    /// `Claim::advance`.
    pub(crate) fn advance(&mut self, event: &TaskEvent) {
        if !self.trusted() {
            return;
        }
        let (claim, id, life) = (self.claim(), self.id(), self.state.workers[self.me].life);
        let nonce = self.state.budget.losses;
        match after(&claim.row, event, id, life, nonce) {
            Some(next) => self.send(What::Swap { was: claim.row, next }),
            None => self.go(Step::Over(Why::Abandoned)),
        }
    }

    /// `settle_swap` has found our own stamp.
    pub(crate) fn won(&mut self, task: u8, next: Row) {
        let taking = self.state.workers[self.me].claim.is_none();
        let name = next.progress.state.name();
        let first = next.progress.epoch.0 <= 1;
        if taking {
            let (loaded_here, moved_here) = (false, false);
            let claim = Claim { task, row: next, loaded_here, moved_here };
            self.state.workers[self.me].claim = Some(claim);
        } else {
            self.change(|claim| {
                claim.row = next;
                claim.loaded_here |= name == StateName::Publishing;
            });
        }
        match (name, taking) {
            (StateName::Claimed, true) if first => {
                if self.trusted() {
                    self.go(Step::Create);
                }
            }
            (_, true) => self.fence(),
            (StateName::Publishing, false) => {
                if self.trusted() {
                    self.go(Step::Publish);
                }
            }
            (StateName::Quarantined, false) => self.go(Step::Over(Why::Quarantined)),
            (_, false) => self.go(Step::DropSet),
        }
    }

    /// `fence::fence`.
    fn fence(&mut self) {
        if !self.trusted() {
            return;
        }
        let publishing = self.claim().row.progress.state.name() == StateName::Publishing;
        if self.has(Bug::SkipFence) {
            self.fenced();
        } else if publishing && !self.has(Bug::NoRename) {
            self.go(Step::RenameSet);
        } else {
            self.go(Step::StopOlder);
        }
    }

    /// The fence is closed.
    fn fenced(&mut self) {
        let claim = self.claim();
        let epoch = epoch_of(&claim.row.progress);
        // A worker that was fenced off itself promises nothing any more.
        if !self.trusted() {
            return;
        }
        let store = &mut self.state.stores[usize::from(claim.task)];
        store.fenced = store.fenced.max(epoch);
        let publishing = claim.row.progress.state.name() == StateName::Publishing;
        self.go(if publishing { Step::Publish } else { Step::Create });
    }

    /// Kills the loads of this task in epochs below this one; false while a MOVE still runs.
    pub(crate) fn kill(&mut self, task: u8, from: u8, below: u8) -> bool {
        let hit = |run: &crate::state::Running| {
            run.task == task && run.epoch >= from && run.epoch < below
        };
        let loads = |run: &crate::state::Running| hit(run) && run.moves.is_none();
        while let Some(at) = self.state.running.iter().position(loads) {
            let run = self.state.running.remove(at);
            if let Some(waiter) = run.waiter
                && let Step::Waits(request) = self.state.workers[usize::from(waiter)].step.clone()
            {
                let (model, me) = (self.model, usize::from(waiter));
                Turn { model, state: self.state, me }.answered(&request, Answer::Error);
            }
        }
        !self.state.running.iter().any(hit)
    }

    /// Would the next step only wait?
    pub(crate) fn waits(state: &State, me: usize) -> bool {
        let worker = &state.workers[me];
        let Some(claim) = &worker.claim else {
            return matches!(worker.step, Step::Idle | Step::Waits(_));
        };
        let epoch = epoch_of(&claim.row.progress);
        let runs = |older: bool, moves: bool| {
            state.running.iter().any(|run| {
                run.task == claim.task
                    && run.moves.is_some() == moves
                    && if older { run.epoch < epoch } else { run.epoch == epoch }
            })
        };
        if worker.lapsed {
            return matches!(worker.step, Step::Waits(_));
        }
        match &worker.step {
            Step::Idle | Step::Waits(_) => true,
            Step::Sent(request) => !state.can_arrive(request),
            Step::StopOlder => runs(true, true),
            Step::SettleLoad => runs(false, false),
            Step::SettleMove { .. } => runs(false, true),
            _ => false,
        }
    }

    /// The next step of a worker that does not wait for an answer.
    pub(crate) fn step(&mut self) {
        let step = self.state.workers[self.me].step.clone();
        if let Step::Over(_) = step {
            self.state.workers[self.me].claim = None;
            return self.go(Step::Idle);
        }
        if let Step::ReadBack { request, .. } = step {
            return self.read_back(&request);
        }
        let claim = self.claim();
        let epoch = epoch_of(&claim.row.progress);
        let task = usize::from(claim.task);
        match step {
            Step::RenameSet => {
                let TaskState::Publishing { manifest, .. } = &claim.row.progress.state else {
                    return;
                };
                let made = manifest_table(manifest);
                let found = self.state.stores[task].tables.iter().copied();
                let found = found.into_iter().find(|t| t.made == made && t.name < epoch);
                match found {
                    Some(table) if self.trusted() => self.send(What::Rename { from: table.name }),
                    Some(_) => {}
                    None => self.go(Step::StopOlder),
                }
            }
            Step::StopOlder => {
                if self.trusted() && self.kill(claim.task, 0, epoch) {
                    let publishing = claim.row.progress.state.name() == StateName::Publishing;
                    if publishing {
                        self.fenced();
                    } else {
                        self.go(Step::DropOlder);
                    }
                }
            }
            Step::DropOlder => {
                let found = self.state.stores[task].tables.iter().find(|table| table.name < epoch);
                match found.map(|table| table.name) {
                    Some(name) if self.trusted() => self.send(What::DropTable { name }),
                    Some(_) => {}
                    None => self.fenced(),
                }
            }
            Step::Create => self.send(What::Create),
            Step::Load => self.send(What::Insert),
            Step::SettleLoad => {
                let own = self.state.stores[task].tables.iter().find(|table| table.made == epoch);
                if own.is_some_and(|table| table.loaded) {
                    self.loaded();
                } else {
                    self.end_badly(AttemptError::Passing);
                }
            }
            Step::Manifest => {
                let own = self.state.stores[task].tables.iter().find(|table| table.name == epoch);
                let parts = own.map_or(0, |table| table.parts);
                if parts == ALL {
                    let manifest = manifest(claim.task, epoch, parts);
                    self.advance(&TaskEvent::Loaded { epoch: acting(&claim.row), manifest });
                } else {
                    self.end_badly(AttemptError::Passing);
                }
            }
            Step::KillOwn { hand_back } => self.kill_own(&claim, hand_back),
            Step::DropSet => {
                let found = self.state.stores[task].tables.iter().find(|table| table.name == epoch);
                match found.map(|table| table.name) {
                    Some(name) => self.send(What::DropTable { name }),
                    None => self.go(Step::Over(Why::Settled)),
                }
            }
            step => self.publish_step(&step, &claim, epoch),
        }
    }

    /// `fence::kill_own`, then the event that gives the task back.
    fn kill_own(&mut self, claim: &Claim, hand_back: bool) {
        let epoch = epoch_of(&claim.row.progress);
        if !self.trusted() || !self.kill(claim.task, epoch, epoch + 1) {
            return;
        }
        let used_up = claim.row.progress.attempts >= self.model.attempts_max;
        let (epoch, error) = (acting(&claim.row), String::new());
        self.advance(&if hand_back {
            TaskEvent::HandedBack { epoch }
        } else if used_up {
            TaskEvent::GaveUp { epoch, error }
        } else {
            TaskEvent::Retried { epoch, delay_ms: 0, error }
        });
    }

    /// `outcome::end_badly`.
    pub(crate) fn end_badly(&mut self, error: AttemptError) {
        let claim = self.claim();
        let state = claim.row.progress.state.name();
        match (state, error) {
            (StateName::Publishing, AttemptError::Unprovable) => {
                let (epoch, evidence) = (acting(&claim.row), String::new());
                self.advance(&TaskEvent::Unprovable { epoch, evidence });
            }
            (StateName::Publishing | StateName::Claimed, AttemptError::StopJob) => {
                if !self.has(Bug::PauseUnchecked) && !self.trusted() {
                    return;
                }
                self.state.paused = true;
                let claimed = state == StateName::Claimed;
                self.go(if claimed {
                    Step::KillOwn { hand_back: true }
                } else {
                    Step::Over(Why::Abandoned)
                });
            }
            (StateName::Claimed, _) => self.go(Step::KillOwn { hand_back: false }),
            _ => self.go(Step::Over(Why::Abandoned)),
        }
    }

    /// A receipt says that everything is there.
    pub(crate) fn receipt(&mut self, task: usize, made: u8) {
        if !self.state.stores[task].holds_all(made) {
            self.state.breaks(Broken::FalseReceipt);
        }
        self.state.stores[task].receipt = true;
    }

    pub(crate) fn manifest_of(claim: &Claim) -> (u8, u8) {
        match &claim.row.progress.state {
            TaskState::Publishing { manifest, .. } => {
                (manifest_table(manifest), manifest_parts(manifest))
            }
            _ => (0, 0),
        }
    }
}
