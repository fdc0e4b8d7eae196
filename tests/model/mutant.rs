//! The program with one safeguard taken away. A model in which all of these hold proves nothing.
//!
//! Each changes what the model's executor is told; the product knows nothing of it.

use crate::world::Call;
use block_drbd::handlers::{Plan, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A rule that never fires.
    WithoutRule(&'static str),
    /// The record is written after the promotion.
    RecordsAfterPromoting,
    /// A failed add leaves the resource Primary.
    KeepsRoleOnFailure,
    /// A failed add takes the record back before it demotes.
    ForgetsBeforeDemoting,
    /// A remove looks at no other guest of the host.
    RemoveIgnoresUsers,
    /// A pending release looks at no guest of the host.
    ReleaseIgnoresUsers,
    /// What could not be demoted is struck from the record.
    ForgetsWhatIsLeft,
    /// Nothing keeps two runs apart.
    WithoutLock,
    /// Nothing is judged again under Xen's lock.
    AttachesBlindly,
}

/// Every safeguard that the model covers, by the name of what is taken away.
pub const ALL: &[Mutant] = &[
    Mutant::WithoutRule("peer-primary"),
    Mutant::WithoutRule("other-guest"),
    Mutant::WithoutRule("disk-state"),
    Mutant::RecordsAfterPromoting,
    Mutant::KeepsRoleOnFailure,
    Mutant::ForgetsBeforeDemoting,
    Mutant::RemoveIgnoresUsers,
    Mutant::ReleaseIgnoresUsers,
    Mutant::ForgetsWhatIsLeft,
    Mutant::WithoutLock,
    Mutant::AttachesBlindly,
];

impl Mutant {
    /// Whether `call` sees no other guest.
    pub fn is_blind(self, call: Call) -> bool {
        match self {
            Mutant::RemoveIgnoresUsers => matches!(call, Call::Remove(_)),
            Mutant::ReleaseIgnoresUsers => call == Call::Release,
            _ => false,
        }
    }

    /// The plan in place of the one that the handlers made.
    pub fn change(self, mut plan: Plan) -> Plan {
        let of = |wanted: fn(&Step) -> bool| plan.steps.iter().position(wanted);
        let record = of(|step| matches!(step, Step::Record { .. }));
        let promote = of(|step| matches!(step, Step::Promote { .. }));
        if let (Mutant::RecordsAfterPromoting, Some(record), Some(promote)) = (self, record, promote) {
            plan.steps.swap(record, promote);
        }
        plan
    }
}
