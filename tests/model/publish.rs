//! The steps of `worker/src/attempt/publish.rs`.

use longshore_shared::task::TaskEvent;

use crate::protocol::{Bug, acting};
use crate::state::{Claim, Request, Step, What, Why};
use crate::worker::{AttemptError, Turn};

impl Turn<'_> {
    /// The name that the claim expects its staging table to have.
    fn twin(&self, claim: &Claim, epoch: u8) -> Option<u8> {
        let (made, _) = Self::manifest_of(claim);
        let mut tables = self.state.stores[usize::from(claim.task)].tables.iter();
        let nameless = matches!(self.model.bug, Some(Bug::NoRename | Bug::SkipFence));
        tables.find(|t| t.made == made && (nameless || t.name == epoch)).map(|t| t.name)
    }

    /// One step of publishing. Where the lease is checked and lost, a new life has begun already.
    pub(crate) fn publish_step(&mut self, step: &Step, claim: &Claim, epoch: u8) {
        let task = usize::from(claim.task);
        let (made, parts) = Self::manifest_of(claim);
        match *step {
            Step::Publish => {
                self.moved_here(false);
                let proved = self.state.stores[task].listed(made) & parts == parts;
                match self.twin(claim, epoch) {
                    Some(_) => self.go(Step::Parts),
                    None if proved => self.go(Step::Receipt),
                    None => self.end_badly(AttemptError::Unprovable),
                }
            }
            Step::Parts => {
                // By name: a table that was renamed away looks empty.
                let name = self.twin(claim, epoch);
                let mut tables = self.state.stores[task].tables.iter();
                let staged = tables.find(|t| Some(t.name) == name).map_or(0, |t| t.parts);
                self.go(if staged == 0 { Step::Receipt } else { Step::Find { staged } });
            }
            Step::Find { staged } => {
                let mut published = staged & self.state.stores[task].listed(made);
                if self.model.bug == Some(Bug::BlindMove) {
                    published = 0;
                }
                if published != 0 {
                    self.go(Step::DropPublished { left: published });
                } else if self.is_late(claim) {
                    self.end_badly(AttemptError::Unprovable);
                } else {
                    self.go(Step::Move { left: staged });
                }
            }
            Step::DropPublished { left } if self.trusted() => {
                let partition = first(left);
                let name = self.twin(claim, epoch).unwrap_or(epoch);
                self.send_one(left, What::DropPart { name, partition });
            }
            Step::Move { left } if self.trusted() => {
                self.moved_here(true);
                let partition = first(left);
                let name = self.twin_then(claim, epoch);
                self.send_one(left, What::Move { name, partition });
            }
            // It may act later, whatever trace there is: `AttemptError::Unsettled`.
            Step::SettleMove { .. } if self.model.bug != Some(Bug::KeepMoving) => {
                self.go(Step::Over(Why::Abandoned));
            }
            Step::SettleMove { .. } if self.trusted() => {
                self.go(Step::Parts);
            }
            Step::Receipt if self.trusted() => {
                self.receipt(task, made);
                let epoch = acting(&claim.row);
                self.advance(&TaskEvent::Published { epoch, rows: 1 });
            }
            _ => {}
        }
    }

    fn twin_then(&self, claim: &Claim, epoch: u8) -> u8 {
        match self.model.bug {
            Some(Bug::NoRename | Bug::SkipFence) => self.twin(claim, epoch).unwrap_or(epoch),
            _ => epoch,
        }
    }

    /// `refuse_late`: asked in every pass but the first after the own load.
    fn is_late(&self, claim: &Claim) -> bool {
        let sure = claim.loaded_here && !claim.moved_here;
        !sure && self.state.stores[usize::from(claim.task)].old
    }

    fn moved_here(&mut self, moved: bool) {
        if let Some(claim) = &mut self.state.workers[self.me].claim {
            claim.moved_here = moved;
        }
    }

    fn send_one(&mut self, left: u8, what: What) {
        let worker = &mut self.state.workers[self.me];
        worker.left = left & (left - 1);
        let Some(claim) = &worker.claim else { return };
        let epoch = crate::protocol::epoch_of(&claim.row.progress);
        worker.step = Step::Sent(Request { task: claim.task, epoch, what });
    }

    /// A MOVE or a DROP PART was answered.
    pub(crate) fn published(&mut self, request: &Request, failed: Option<AttemptError>) {
        let left = std::mem::take(&mut self.state.workers[self.me].left);
        let moving = matches!(request.what, What::Move { .. });
        if failed == Some(AttemptError::StopJob) {
            return self.end_badly(AttemptError::StopJob);
        }
        // DROP PART alone asks for the lease before the next one only.
        if (moving || failed.is_some()) && !self.trusted() {
            return;
        }
        self.go(match (moving, failed, left) {
            (false, Some(_), _) => Step::Publish,
            (true, Some(_), _) | (_, None, 0) => Step::Parts,
            (true, None, left) => Step::Move { left },
            (false, None, left) => Step::DropPublished { left },
        });
    }
}

fn first(mask: u8) -> u8 {
    u8::try_from(mask.trailing_zeros()).expect("a bit")
}
