//! The program with one safeguard taken away. A model in which all of these hold proves nothing.
//!
//! Each changes what the model's executor is told; the product knows nothing of it.

use crate::shown::Shown;
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
    /// A window is opened for a guest that does not move in.
    OpensForAnybody,
    /// Two Primaries are allowed before that is recorded.
    OpensBeforeRecording,
    /// Whoever opens a window starts nothing that closes it.
    StartsNoCloser,
    /// No run of the hotplug script looks after windows at its end.
    LooksAfterNoWindow,
    /// The node that the guest has left does not end the window.
    SourceLeavesWindow,
    /// A window is ended on this node alone as soon as the link is lost.
    ClosesAloneAtOnce,
    /// A window is never ended on this node alone.
    NeverClosesAlone,
    /// The record of a window goes when DRBD allows two Primaries no more, whoever is here.
    ForgetsHalf,
    /// Half a guest that goes is taken for one that has written without the peer.
    HalfEndsHere,
    /// fence-peer does not look whether the peer has written alone.
    IgnoresBitmap,
    /// A peer that does not answer is called down.
    SilenceIsDown,
    /// Another guest with the same uuid is taken for the same guest.
    TrustsUuid,
    /// What the node says that a guest moves in from is taken for proof, whatever guest has the disk there.
    TrustsSource,
    /// A role that somebody else gave is taken over.
    TakesRoleOver,
}

/// Every safeguard that the model covers, with the smallest exploration in which its absence shows.
///
/// That a failed add ends its window itself is none: the release that was started when it was opened
/// ends it half a second later, and if that is dead the run of `remove` that follows.
pub const ALL: &[(Mutant, &str)] = &[
    (Mutant::WithoutRule("peer-primary"), "two Primaries allowed"),
    (Mutant::WithoutRule("other-guest"), "two guests"),
    (Mutant::WithoutRule("peer-unfenced"), "two guests"),
    (Mutant::WithoutRule("resync-target"), "two guests, a fault, by hand"),
    (Mutant::RecordsAfterPromoting, "two guests"),
    (Mutant::KeepsRoleOnFailure, "two guests"),
    (Mutant::ForgetsBeforeDemoting, "two guests"),
    (Mutant::RemoveIgnoresUsers, "a migration, a fault"),
    (Mutant::ReleaseIgnoresUsers, "two guests"),
    (Mutant::ForgetsWhatIsLeft, "two guests"),
    (Mutant::WithoutLock, "two guests"),
    (Mutant::AttachesBlindly, "two guests"),
    (Mutant::OpensForAnybody, "two guests"),
    (Mutant::OpensBeforeRecording, "a migration, a fault"),
    (Mutant::StartsNoCloser, "a migration, a fault, no timer"),
    (Mutant::LooksAfterNoWindow, "a migration, a fault, no timer"),
    (Mutant::SourceLeavesWindow, "a migration, a fault"),
    (Mutant::ClosesAloneAtOnce, "a migration, a fault"),
    (Mutant::NeverClosesAlone, "a migration, a fault"),
    (Mutant::ForgetsHalf, "a migration, a fault"),
    (Mutant::HalfEndsHere, "a migration, started again"),
    (Mutant::TrustsUuid, "a copied configuration"),
    (Mutant::TakesRoleOver, "open in dom0"),
    (Mutant::WithoutRule("incoming"), "a wrong disk"),
    (Mutant::WithoutRule("incoming-unproven"), "a wrong disk"),
    (Mutant::TrustsSource, "a wrong disk"),
    (Mutant::IgnoresBitmap, "fencing resource-only"),
    (Mutant::IgnoresBitmap, "fencing resource-and-stonith, by hand"),
    (Mutant::SilenceIsDown, "fencing resource-only"),
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

    /// What the fence-peer handler is told of the peer, in place of what the peer says.
    pub fn change_peer(self, peer: Shown) -> Shown {
        match self {
            Mutant::IgnoresBitmap => Shown { bitmap: 0, ..peer },
            _ => peer,
        }
    }

    /// The plan in place of the one that the handlers made.
    pub fn change(self, call: Call, mut plan: Plan) -> Plan {
        let of = |wanted: fn(&Step) -> bool| plan.steps.iter().position(wanted);
        let record = of(|step| matches!(step, Step::Record { .. }));
        let promote = of(|step| matches!(step, Step::Promote { .. }));
        if let (Mutant::RecordsAfterPromoting, Some(record), Some(promote)) = (self, record, promote) {
            plan.steps.swap(record, promote);
        }
        if self == Mutant::TakesRoleOver {
            plan.steps.retain(|step| !matches!(step, Step::HandBack { .. }));
        }
        if self == Mutant::SourceLeavesWindow && matches!(call, Call::Remove(_)) {
            plan.steps.retain(|step| !matches!(step, Step::CloseWindow { .. }));
        }
        for step in &mut plan.steps {
            if let Step::CloseWindow { alone, kept, .. } = step {
                *alone = (*alone || self == Mutant::ClosesAloneAtOnce) && self != Mutant::NeverClosesAlone;
                kept.take_if(|_| self == Mutant::ForgetsHalf);
            }
        }
        plan
    }
}
