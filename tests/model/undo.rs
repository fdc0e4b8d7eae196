//! How the steps of a plan are undone after a failure, in which order (act/mod.rs).

use crate::drbd::Reply;
use crate::mutant::Mutant;
use crate::program::{Done, Run};
use crate::shown::generation;
use crate::world::{Call, PlanId, Stage};
use block_drbd::facts::Claim;
use block_drbd::handlers::Step;

impl Run<'_> {
    /// The failed step is undone first: a refused request may have changed something.
    pub(super) fn undo_from(&mut self, plan: PlanId, step: u8) {
        let first = match self.machine.mutant {
            Some(Mutant::ForgetsBeforeDemoting) => {
                self.machine.plan(plan).steps.iter().position(is_undone).map(|step| step as u8)
            }
            _ => self.next_undo(plan, step + 1),
        };
        match first {
            Some(step) => self.set(Stage::Undo { plan, step, primary: false }),
            None => self.end(false),
        }
    }

    /// Of the steps before `step`, the last that is undone; for one mutant the other way round.
    pub(super) fn next_undo(&self, plan: PlanId, step: u8) -> Option<u8> {
        let steps = &self.machine.plan(plan).steps;
        let at = usize::from(step);
        let found = match self.machine.mutant {
            Some(Mutant::ForgetsBeforeDemoting) => {
                steps.iter().skip(at + 1).position(is_undone).map(|found| at + 1 + found)
            }
            _ => steps[..at].iter().rposition(is_undone),
        };
        found.map(|step| step as u8)
    }

    /// Undoes one step; says whether something is still Primary because of us.
    pub(super) fn undo(&mut self, step: &Step, primary: bool) -> bool {
        let machine = self.machine;
        match step {
            Step::Promote { .. } if machine.mutant == Some(Mutant::KeepsRoleOnFailure) => primary,
            Step::Promote { .. } => primary || self.demote() == Reply::Refused,
            Step::Record { before, after } => {
                let mut claim = before.clone().unwrap_or_else(|| Claim::new(&after.resource));
                if primary && claim.promoted.is_empty() {
                    claim.promoted.clone_from(&after.promoted);
                }
                self.node().claim = machine.record(&claim);
                let pending = claim.users.is_empty() && !claim.promoted.is_empty();
                if (pending || primary) && matches!(self.process.call, Call::Add(_)) {
                    self.node().start(Call::Release);
                }
                primary
            }
            Step::RecordLone { before, .. } => {
                self.node().lone = before.as_ref().map(generation);
                primary
            }
            Step::OpenWindow { .. } => {
                let mut left = false;
                for part in 0..3 {
                    left = self.close(false, true, part, left) == Done::InPart;
                }
                primary
            }
            _ => primary,
        }
    }
}

fn is_undone(step: &Step) -> bool {
    matches!(
        step,
        Step::Promote { .. } | Step::Record { .. } | Step::RecordLone { .. } | Step::OpenWindow { .. }
    )
}
