//! Sending a guest's pages without copying them.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;

/// The rule.
pub const RULE: Rule = Rule {
    id: "sendpage",
    group: Group::Durability,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "without disable_sendpage the network may still refer to a guest's page that blkback has unmapped, which has crashed hosts; a newer blkback waits for the page, and every device of every guest of the host waits with it: a guest that ends while the peer is lost hangs in xenwatch (the lab shows it: sendpage-holds-pages)",
    remedy: "put \"options drbd disable_sendpage=1\" into /etc/modprobe.d/drbd.conf and run: echo Y > /sys/module/drbd/parameters/disable_sendpage",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let name = side.name;
    match &side.node.disable_sendpage {
        Known::Is(true) => Judgement::Pass,
        Known::Is(false) => refuse(
            format!("DRBD on {name} sends the guest's pages without copying them (disable_sendpage is N)"),
            format!("on {name} {}", RULE.remedy),
        ),
        Known::Unknown(why) => unknown(
            &format!("whether DRBD on {name} copies the guest's pages before it sends them"),
            why,
            format!("on {name} look at /sys/module/drbd/parameters/disable_sendpage"),
        )
        .at_most(Severity::Info),
    }
}
