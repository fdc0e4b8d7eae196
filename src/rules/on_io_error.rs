//! What the guest is told when a disk fails.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse};
use crate::facts::OnIoError;

/// The rule.
pub const RULE: Rule = Rule {
    id: "on-io-error",
    group: Group::Durability,
    severity: Severity::Warn,
    lowering: Lowering::Anywhere,
    reason: "with on-io-error pass_on a failing disk stays in use and, without a good copy on the peer, its errors reach the guest, which remounts read-only; with detach the peer's copy serves it; precautionary: it is a matter of availability",
    remedy: "set disk { on-io-error detach; } and run: drbdadm adjust RESOURCE",
    check: Check::Side(check),
};

fn check(side: &Side) -> Judgement {
    let (name, resource) = (side.name, &side.resource.name);
    let word = match side.options().map(|options| &options.on_io_error) {
        Some(OnIoError::PassOn) => "pass_on",
        Some(OnIoError::Other(word)) => word,
        None | Some(OnIoError::Detach | OnIoError::CallLocalIoError) => return Judgement::Pass,
    };
    refuse(
        format!("{name} keeps a disk of {resource} that fails (on-io-error {word})"),
        format!(
            "on {name} set disk {{ on-io-error detach; }} for {resource} and run: drbdadm adjust {resource}"
        ),
    )
}
