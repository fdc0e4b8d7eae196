//! Frozen I/O: the guest's first read would never return, and neither would
//! the close of its device.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::Facts;

/// The rule.
pub const RULE: Rule = Rule {
    id: "io-suspended",
    group: Group::Replication,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a guest on a resource whose I/O is frozen hangs at its first read and cannot be taken down",
    remedy: "find out why it is frozen with: drbdadm status RESOURCE",
    check: Check::Volume(check),
};

fn check(facts: &Facts) -> Judgement {
    let Some(Some(resource)) = facts.resource.value() else { return Judgement::Pass };
    let (name, suspended) = (&resource.name, &resource.suspended);
    // resume-io takes every reason away at once (drbd_nl.c, drbd_adm_resume_io), so that it is
    // advised only where an administrator's is the only one.
    let (why, remedy) = if suspended.fencing {
        (
            "until the peer is fenced",
            format!(
                "see why the fence-peer handler of {name} did not answer, with: journalctl -t block-drbd -t drbdadm"
            ),
        )
    } else if suspended.no_data {
        ("because no data can be reached", format!("bring the peer or the local disk of {name} back"))
    } else if suspended.quorum {
        ("because there is no quorum", format!("bring the other nodes of {name} back"))
    } else if suspended.user {
        ("by an administrator", format!("run: drbdadm resume-io {name}"))
    } else {
        return Judgement::Pass;
    };
    refuse(format!("the I/O of {name} is frozen {why}"), remedy)
}
