//! Old kernels and old DRBDs between which a flush fails or vanishes.
//!
//! The incident: Linux 2.6.32, Xen 4.0, DRBD 8.3.7. That blkback promises
//! barriers without asking the device (`blkback_barrier(xbt, be, 1)`), and DRBD
//! 8.3 answers each with EOPNOTSUPP (8.3.7: drbd_req.c:1054; 8.3.16:
//! drbd_req.c:1215). Nothing in `wo:`, `no-disk-barrier` or LVM changes that.

use super::side::{FIRST_FLUSHES, Side};
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;

/// The rule.
pub const RULE: Rule = Rule {
    id: "barrier-era",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Never,
    reason: "before Linux 2.6.37 blkback promises the guest barriers that DRBD answers with an error, and DRBD before 8.3.14 lets flushes vanish on later kernels: the guest loses its disk, or its data at the next power cut",
    remedy: "upgrade the kernel of dom0 to 3.10 or newer and DRBD to 8.4 or newer on both nodes",
    check: Check::Side(check),
};

/// The first DRBD that announces to the block layer that it takes flushes (commit 6376ffd6).
const ANNOUNCED: [u32; 3] = [8, 3, 14];

fn check(side: &Side) -> Judgement {
    for (what, value) in [("the kernel of", &side.node.kernel), ("the DRBD version of", &side.node.drbd)] {
        if let Known::Unknown(why) = value {
            return unknown(&format!("{what} {}", side.name), why, "make it readable".into());
        }
    }
    let (Some(kernel), Some(drbd)) = (side.kernel(), side.drbd()) else {
        return unknown("the era of kernel and DRBD", "their versions are no numbers", RULE.remedy.into());
    };
    let name = side.name;
    let versions = format!(
        "{name} runs Linux {} with DRBD {}",
        side.node.kernel.value().map_or("", String::as_str),
        side.node.drbd.value().map_or("", String::as_str)
    );
    if kernel < FIRST_FLUSHES {
        refuse(
            format!(
                "{versions}: its blkback promises the guest barriers, and DRBD fails each of them, so that the guest sees I/O errors and remounts its root read-only, or goes on without any flush"
            ),
            format!(
                "{} (turning barriers off in the guest only hides the error and loses data at the next power cut)",
                RULE.remedy
            ),
        )
    } else if drbd < ANNOUNCED {
        refuse(
            format!(
                "{versions}, which does not tell the block layer that it takes flushes: each flush of the guest is dropped with success"
            ),
            format!("upgrade DRBD on {name} to 8.4 or newer"),
        )
    } else if drbd < [8, 4, 0] {
        refuse(
            format!("{versions}, which block-drbd cannot promote: it has no generic netlink"),
            format!("upgrade DRBD on {name} to 8.4 or newer"),
        )
    } else {
        Judgement::Pass
    }
}
