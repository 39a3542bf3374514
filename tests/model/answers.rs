//! What a worker makes of an answer, and of an answer that does not come.

use longshore_shared::task::StateName;

use crate::protocol::Bug;
use crate::server::Answer;
use crate::state::{Request, Step, What, Why};
use crate::worker::{AttemptError, Turn};

impl Turn<'_> {
    pub(crate) fn read_back(&mut self, request: &Request) {
        let What::Swap { was, next } = &request.what else { return };
        let row = &self.state.rows[usize::from(request.task)];
        if row.stamp == next.stamp {
            self.won(request.task, next.clone());
        } else if row.stamp == was.stamp {
            self.go(Step::Sent(request.clone()));
        } else {
            self.lost();
        }
    }

    /// `Swap::Lost`.
    pub(crate) fn lost(&mut self) {
        let taking = self.state.workers[self.me].claim.is_none();
        self.go(if taking { Step::Idle } else { Step::Over(Why::Refused) });
    }

    /// `settle_swap` has no tries left: its outcome is not known.
    pub(crate) fn gives_up(&mut self) {
        let Some(claim) = self.state.workers[self.me].claim.clone() else {
            return self.go(Step::Idle);
        };
        let Step::ReadBack { request, .. } = self.state.workers[self.me].step.clone() else {
            return;
        };
        let What::Swap { next, .. } = &request.what else { return };
        let was_claimed = claim.row.progress.state.name() == StateName::Claimed;
        if was_claimed && next.progress.state.name() == StateName::Publishing {
            self.end_badly(AttemptError::Passing);
        } else {
            self.go(Step::Over(Why::Abandoned));
        }
    }

    /// The load is proved to have finished.
    pub(crate) fn loaded(&mut self) {
        if self.trusted() {
            self.go(Step::Manifest);
        }
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, request: &Request, answer: Answer) {
        let failed = match answer {
            Answer::Begun => return self.go(Step::Waits(request.clone())),
            Answer::Ok => None,
            Answer::Gone => Some(AttemptError::StopJob),
            Answer::Error => Some(AttemptError::Passing),
        };
        match (&request.what, failed) {
            (What::Swap { next, .. }, _) => {
                if self.has(Bug::TrustOk) {
                    return self.won(request.task, next.clone());
                }
                self.go(Step::ReadBack { request: request.clone(), heard: true });
            }
            (What::Move { .. } | What::DropPart { .. }, _) => self.published(request, failed),
            (What::Rename { .. }, Some(AttemptError::StopJob)) if !self.has(Bug::RenameOnce) => {
                if self.trusted() {
                    self.go(Step::RenameSet);
                }
            }
            (_, Some(error)) => self.end_badly(error),
            (What::Create, None) => {
                if self.trusted() {
                    self.go(Step::Load);
                }
            }
            (What::Insert, None) => self.loaded(),
            (What::Rename { .. }, None) => {
                if self.trusted() {
                    self.go(Step::StopOlder);
                }
            }
            (What::DropTable { .. }, None) => self.dropped(),
        }
    }

    pub(crate) fn dropped(&mut self) {
        let loading = self.claim().row.progress.state.name() == StateName::Claimed;
        self.go(if loading { Step::DropOlder } else { Step::DropSet });
    }

    /// No answer will come: the outcome is unknown, unless the server has begun it and goes on.
    pub(crate) fn unanswered(&mut self, request: &Request, traced: bool) {
        match &request.what {
            What::Swap { next, .. } => {
                let publishing = next.progress.state.name() == StateName::Publishing;
                if self.has(Bug::TrustError)
                    && publishing
                    && self.state.workers[self.me]
                        .claim
                        .as_ref()
                        .is_some_and(|claim| claim.row.progress.state.name() == StateName::Claimed)
                {
                    return self.go(Step::DropSet);
                }
                self.go(Step::ReadBack { request: request.clone(), heard: false });
            }
            What::Insert => self.go(Step::SettleLoad),
            What::Move { .. } => {
                self.state.workers[self.me].left = 0;
                self.go(Step::SettleMove { traced });
            }
            // `read` asks again.
            What::DropTable { .. } => self.dropped(),
            What::DropPart { .. } => self.published(request, Some(AttemptError::Passing)),
            What::Create | What::Rename { .. } => self.end_badly(AttemptError::Passing),
        }
    }
}
