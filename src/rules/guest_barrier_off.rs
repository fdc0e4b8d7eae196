//! A guest that is told not to flush.

use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;
use crate::guest::GuestFacts;

/// The rule.
pub const RULE: Rule = Rule {
    id: "guest-barrier-off",
    group: Group::Configuration,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a guest without barriers never flushes: the error of an old backend is gone from its log, and at the next power cut so is its data, on every disk whose cache is volatile",
    remedy: "remove the option, and mend what made it seem necessary: block-drbd check tells",
    check: Check::Guest(check),
};

/// What turns barriers off, as a word or as an option in a list of rootflags.
const OFF: [&str; 6] = ["barrier=0", "barrier=off", "barriers=0", "barriers=off", "nobarrier", "nobarriers"];

fn check(guest: &GuestFacts) -> Judgement {
    let config = &guest.config;
    for (name, value) in [("extra", &config.extra), ("root", &config.root), ("cmdline", &config.cmdline)] {
        let text = match value {
            Known::Is(text) => text.as_deref().unwrap_or_default(),
            Known::Unknown(why) => {
                return unknown(&format!("whether {name} turns barriers off"), why, RULE.remedy.into())
                    .at_most(Severity::Warn);
            }
        };
        let words = text.split([' ', '\t', ',']).map(|word| word.strip_prefix("rootflags=").unwrap_or(word));
        if let Some(word) = words.into_iter().find(|word| OFF.contains(word)) {
            return refuse(
                format!(
                    "{name} tells the guest {word}: it will not flush, and loses data at the next power cut"
                ),
                format!(
                    "remove {word} from {name}, and mend what made it seem necessary: block-drbd check tells"
                ),
            );
        }
    }
    Judgement::Pass
}
