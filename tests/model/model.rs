//! The model as stateright runs it: who may do what next, and what must hold.

use longshore_shared::task::StateName;
use stateright::{Model, Property};

use crate::properties::{always, sometimes};
use crate::protocol::{Protocol, owner_of, planned};
use crate::state::{Budget, Running, State, Step, Store, What, Worker};
use crate::worker::Turn;

/// What can happen next. Workers, tasks and statements are named by their place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// `board::try_claim`: reads the row and sends the claim.
    Take(usize, usize),
    /// The worker's next step.
    Step(usize),
    /// What the worker sent is carried out and answered.
    Arrive(usize),
    /// The connection is cut: what was sent may arrive later, or never.
    Lose(usize),
    /// `settle_swap` has no tries left.
    GiveUp(usize),
    /// A request that nobody waits for arrives.
    Late(usize),
    /// A statement in the server does its next piece of work.
    Run(usize),
    /// The answer of a statement in the server is lost: it goes on.
    Cut(usize),
    /// The worker sleeps past its lease.
    Sleep(usize),
    /// It finds out between two requests.
    Notice(usize),
    /// It dies, and starts again as another.
    Crash(usize),
    /// The server dies; MOVEs that ran are half done or undone.
    ServerCrash(bool),
    /// Time goes by: the manifest grows older than the target lists merged parts.
    Old(usize),
    /// A merged part of the target is not listed any more.
    Forget(usize, usize),
}

impl Protocol {
    fn is_claimable(state: &State, me: usize, task: usize) -> bool {
        let name = state.rows[task].progress.state.name();
        match owner_of(&state.rows[task].progress) {
            None => name == StateName::Pending,
            Some((worker, life)) => {
                let owner = &state.workers[usize::from(worker)];
                // An idle worker that owns a task does not know it: it is free to take over.
                usize::from(worker) == me || owner.life != life || owner.lapsed
            }
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let worker = Worker { life: 0, lapsed: false, claim: None, step: Step::Idle, left: 0 };
        vec![State {
            rows: vec![planned(); self.tasks],
            stores: vec![Store::default(); self.tasks],
            workers: vec![worker; self.workers],
            late: Vec::new(),
            running: Vec::new(),
            paused: false,
            broken: None,
            budget: self.budget,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.broken.is_some() || state.paused {
            return;
        }
        let mut budget = state.budget;
        if budget.faults == 0 {
            budget =
                Budget { faults: 0, crashes: 0, sleeps: 0, losses: 0, server_crashes: 0, ..budget };
        }
        for (me, worker) in state.workers.iter().enumerate() {
            let busy = worker.step != Step::Idle;
            match &worker.step {
                Step::Idle if !worker.lapsed => {
                    let free = (0..self.tasks).filter(|task| Self::is_claimable(state, me, *task));
                    acts.extend(free.map(|task| Act::Take(me, task)));
                }
                Step::Sent(request) => {
                    if state.can_arrive(request) {
                        acts.push(Act::Arrive(me));
                    }
                    if budget.losses > 0 {
                        acts.push(Act::Lose(me));
                    }
                }
                Step::Waits(_) if budget.losses > 0 => acts.push(Act::Cut(me)),
                step => {
                    if matches!(step, Step::ReadBack { .. }) {
                        let unheard = matches!(step, Step::ReadBack { heard: false, .. });
                        if unheard && Self::in_doubt(state, step) {
                            acts.push(Act::GiveUp(me));
                        }
                    }
                    if !Turn::waits(state, me) {
                        acts.push(Act::Step(me));
                    }
                }
            }
            if worker.lapsed {
                acts.push(Act::Notice(me));
            } else if busy {
                if budget.sleeps > 0 {
                    acts.push(Act::Sleep(me));
                }
                if budget.crashes > 0 {
                    acts.push(Act::Crash(me));
                }
            }
        }
        let late = state.late.iter().enumerate();
        acts.extend(late.filter(|(_, r)| state.can_arrive(r)).map(|(at, _)| Act::Late(at)));
        acts.extend((0..state.running.len()).map(Act::Run));
        if budget.server_crashes > 0 && !state.running.is_empty() {
            acts.push(Act::ServerCrash(false));
            if state.running.iter().any(|run| run.moves.is_some()) {
                acts.push(Act::ServerCrash(true));
            }
        }
        for (task, store) in state.stores.iter().enumerate() {
            let publishing = state.rows[task].progress.state.name() == StateName::Publishing;
            if publishing && !store.old && budget.olds > 0 {
                acts.push(Act::Old(task));
            }
            if publishing && store.old {
                let listed = store.target.iter().enumerate().filter(|(_, part)| part.listed);
                acts.extend(listed.map(|(at, _)| Act::Forget(task, at)));
            }
        }
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut next = last.clone();
        let state = &mut next;
        match act {
            Act::Take(me, task) => Turn { model: self, state, me }.try_claim(task),
            Act::Step(me) => Turn { model: self, state, me }.step(),
            Act::Arrive(me) => {
                let Step::Sent(request) = state.workers[me].step.clone() else { return None };
                let answer = state.arrive(&request, u8::try_from(me).ok());
                Turn { model: self, state, me }.answered(&request, answer);
            }
            Act::Lose(me) => {
                state.budget.losses -= 1;
                state.budget.faults -= 1;
                let Step::Sent(request) = state.workers[me].step.clone() else { return None };
                let mut turn = Turn { model: self, state, me };
                turn.abandon();
                turn.unanswered(&request, false);
            }
            Act::GiveUp(me) => Turn { model: self, state, me }.gives_up(),
            Act::Late(at) => {
                let request = state.late.remove(at);
                state.arrive(&request, None);
                state.traces(&request);
            }
            Act::Run(at) => {
                let waiter = state.running[at].waiter;
                if state.run_on(at) {
                    state.running.remove(at);
                    self.ended(state, waiter);
                }
            }
            Act::Cut(me) => {
                state.budget.losses -= 1;
                state.budget.faults -= 1;
                self.cut(state, me, true);
            }
            Act::Sleep(me) => {
                state.budget.sleeps -= 1;
                state.budget.faults -= 1;
                state.workers[me].lapsed = true;
            }
            Act::Notice(me) => Turn { model: self, state, me }.new_life(),
            Act::Crash(me) => {
                state.budget.crashes -= 1;
                state.budget.faults -= 1;
                Turn { model: self, state, me }.new_life();
            }
            Act::ServerCrash(halves) => {
                state.budget.server_crashes -= 1;
                state.budget.faults -= 1;
                let waiters: Vec<Running> = state.running.clone();
                state.server_dies(halves);
                for waiter in waiters.into_iter().filter_map(|run| run.waiter) {
                    self.cut(state, usize::from(waiter), false);
                }
            }
            Act::Old(task) => {
                state.budget.olds -= 1;
                state.stores[task].old = true;
            }
            Act::Forget(task, at) => state.stores[task].target[at].listed = false,
        }
        next.late.sort_by_cached_key(|request| format!("{request:?}"));
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = always();
        if self.reaches {
            all.extend(sometimes());
        }
        all
    }
}

impl Protocol {
    /// Is the row still what the compare-and-set expected?
    fn in_doubt(state: &State, step: &Step) -> bool {
        let Step::ReadBack { request, .. } = step else { return false };
        let What::Swap { was, .. } = &request.what else { return false };
        state.rows[usize::from(request.task)].stamp == was.stamp
    }

    fn ended(&self, state: &mut State, waiter: Option<u8>) {
        let Some(me) = waiter.map(usize::from) else { return };
        if let Step::Waits(request) = state.workers[me].step.clone() {
            let turn = &mut Turn { model: self, state, me };
            turn.answered(&request, crate::server::Answer::Ok);
        }
    }

    fn cut(&self, state: &mut State, me: usize, traced: bool) {
        let Step::Waits(request) = state.workers[me].step.clone() else { return };
        let mut turn = Turn { model: self, state, me };
        turn.abandon();
        turn.unanswered(&request, traced);
    }
}
