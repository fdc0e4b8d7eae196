//! What can be set, and what is wrong with what cannot.

use super::handlers::UnderGuest;
use super::*;
use crate::event::drbd::EventName;
use crate::facts::storage::{Device, DeviceKind};
use crate::facts::{Act, Known};
use crate::rules;

/// The shipped file with every option taken out of its comment.
fn active() -> String {
    let shipped = include_str!("../../etc/block-drbd.toml");
    let lines = shipped.lines().map(|line| line.strip_prefix("#:").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_file_holds_the_defaults() {
    let shipped = include_str!("../../etc/block-drbd.toml");
    assert_eq!(Settings::parse(PATH, shipped).unwrap(), Settings::default());
    let mut active_settings = Settings::parse(PATH, &active()).unwrap();
    for rule in rules::ALL {
        assert_eq!(active_settings.severity(rule, Some("r0")), (rule.severity, None), "{}", rule.id);
    }
    assert_eq!(active_settings.handling(None), Settings::default().handling(None));
    active_settings.rules = RuleLevels::default();
    active_settings.handlers = Handlers::default();
    active_settings.fencing = Fencing::default();
    assert_eq!(active_settings, Settings::default());
    for option in [
        "healing-seconds",
        "connecting-seconds",
        "flush-seconds",
        "strict",
        "peer-facts-days",
        "xl",
        "split-brain",
        "pri-lost",
        "pri-lost-after-sb",
        "pri-on-incon-degr",
        "local-io-error",
        "quorum-lost",
        "resync-under-guest",
        "snapshot-percent",
        "notify-seconds",
        "budget-seconds",
        "methods",
    ] {
        assert!(active().contains(&format!("\n{option} = ")), "{option} is not in the shipped file");
    }
}

#[test]
fn the_shipped_file_has_every_rule_at_its_default_and_examples_that_work() {
    let text = include_str!("../../etc/block-drbd.toml");
    for rule in rules::ALL {
        let severity = serde_json::to_string(&rule.severity).unwrap();
        assert!(
            text.contains(&format!("\n#:{} = {severity}\n", rule.id)),
            "{} is not in the shipped file",
            rule.id
        );
    }
    let examples: String =
        text.lines().filter_map(|line| line.strip_prefix("#  ")).flat_map(|line| [line, "\n"]).collect();
    let settings = Settings::parse(PATH, &examples).unwrap();
    assert!(
        !settings.peers.is_empty() && !settings.non_volatile.is_empty() && !settings.resources.is_empty()
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let low = "severity = \"info\"";
    for (text, place, words) in [
        ("flush-second = 3", "1:1", "unknown field `flush-second`"),
        ("strict = true\nflush-seconds = \"x\"", "2:17", "invalid type: string \"x\""),
        ("flush-seconds = 0", "1:17", "it is 0, and must be 1 to 20"),
        ("\nhealing-seconds = 21", "2:19", "it is 21, and must be 0 to 20"),
        ("healing-seconds = -1", "1:19", "must be 0 to 20"),
        ("[", "1:2", ""),
        ("a\u{1b}[31m", "1:3", ""),
        ("[rules]\nno-such-rule = \"warn\"", "2:1", "there is no rule `no-such-rule`"),
        ("[rules]\nprotocol = \"wran\"", "2:12", "unknown variant `wran`"),
        ("[rules]\nprotocol = \"warn\"", "2:12", "lowering protocol can lose data: write why"),
        ("[rules]\nprotocol = { severity = \"warn\" }", "2:12", "missing field `reason`"),
        ("[rules]\nprotocol = { severity = \"warn\", reason = \" \" }", "2:42", "a reason is empty"),
        ("[rules]\nprotocol = { severity = \"warn\", reason = \"x\", y = 1 }", "2:47", "unknown field `y`"),
        ("[rules]\nwrite-order-none = { severity = \"warn\", reason = \"x\" }", "2:20", "cannot be lowered"),
        ("[resources.r0.rules]\npeer-primary = \"info\"", "2:16", "cannot be lowered"),
        (
            "[rules]\npeer-unfenced = { severity = \"warn\", reason = \"x\" }",
            "2:17",
            "peer-unfenced cannot be lowered for all resources, only for one: write it under [resources.NAME.rules]",
        ),
        (
            "[resources.r0.rules]\npeer-unfenced = \"warn\"",
            "2:17",
            "lowering peer-unfenced can lose data: write why",
        ),
        ("connecting-seconds = 21", "1:22", "it is 21, and must be 0 to 20"),
        ("[resources.r0]\nrule = 1", "2:1", "unknown field `rule`"),
        ("[[non-volatile]]\nhost = \"a\"\ndevice = \"sda\"", "1:1", "missing field `reason`"),
        ("[[non-volatile]]\nhost = \"\"\ndevice = \"sda\"\nreason = \"x\"", "2:8", "a host name is empty"),
        ("[peers.b]\ncommand = []", "2:11", "the command is empty"),
        ("[peers.b]\ncommands = [\"x\"]", "2:1", "unknown field `commands`"),
        ("xl = \"xl\"", "1:6", "the path is not absolute"),
        ("[handlers]\nsplit-brain = \"reboot\"", "2:15", "unknown variant `reboot`"),
        ("[handlers]\nfence-peer = \"record\"", "2:1", "unknown field `fence-peer`"),
        ("[handlers]\nnotify = [\"tell\"]", "2:10", "not named by its absolute path"),
        ("[handlers]\nsnapshot-percent = 101", "2:20", "it is 101, and must be 0 to 100"),
        ("[resources.r0.handlers]\nsplit = 1", "2:1", "unknown field `split`"),
        ("[fencing]\nbudget-seconds = 301", "2:18", "it is 301, and must be 1 to 300"),
        ("[fencing]\nmethods = [{ method = \"pray\" }]", "2:23", "unknown variant `pray`"),
        ("[fencing]\nmethods = [{ method = \"ask-peer\", x = 1 }]", "2:11", "unknown field `x`"),
        ("[fencing]\nmethods = [{ method = \"program\" }]", "2:11", "missing field `command`"),
        ("[fencing]\nmethods = [{ method = \"program\", command = [\"x\"] }]", "2:11", "absolute path"),
        ("[fencing]\nmethods = [{ method = \"assume-down\", reason = \" \" }]", "2:11", "a reason is empty"),
        (
            "[fencing]\nmethods = [{ method = \"assume-down\", reason = \"x\" }, { method = \"ask-peer\" }]",
            "2:11",
            "assume-down must be the last method",
        ),
        ("[peers.b]\ncommand = [\"x\"]\noutdate-command = []", "3:19", "the command is empty"),
        (&format!("[rules]\npeer-primary = {{ {low} }}"), "2:16", ""),
    ] {
        let error = Settings::parse(PATH, text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{PATH}:{place}: ")), "{text}: {error}");
        assert!(error.contains(words) && !error.contains(['\n', '\u{1b}']), "{text}: {error}");
        let line = text.lines().nth(place.split(':').next().unwrap().parse::<usize>().unwrap() - 1).unwrap();
        assert!(line.contains('\u{1b}') || error.ends_with(&format!("`{line}`")), "{text}: {error}");
    }
}

#[test]
fn severities() {
    let text = r#"
        strict = true
        [rules]
        disk-timeout = "refuse"
        sendpage = { severity = "info", reason = "kernel 6.1" }
        peer-unfenced = "refuse"
        [resources.r1.rules]
        protocol = { severity = "warn", reason = "a test machine" }
        sendpage = "warn"
        peer-unfenced = { severity = "warn", reason = "two nodes, an operator on duty" }
    "#;
    let settings = Settings::parse(PATH, text).unwrap();
    let of = |id: &str, resource| settings.severity(rules::find(id).unwrap(), resource);
    for (id, resource, severity, lowered) in [
        ("disk-timeout", None, Severity::Refuse, None),
        ("sendpage", Some("r0"), Severity::Info, Some("kernel 6.1")),
        ("sendpage", Some("r1"), Severity::Warn, None),
        ("protocol", Some("r1"), Severity::Warn, Some("a test machine")),
        ("protocol", Some("r0"), Severity::Refuse, None),
        ("peer-unfenced", Some("r1"), Severity::Warn, Some("two nodes, an operator on duty")),
        ("peer-unfenced", Some("r0"), Severity::Refuse, None),
        ("peer-durability-unknown", Some("r0"), Severity::Refuse, None),
    ] {
        assert_eq!(of(id, resource), (severity, lowered.map(str::to_string)), "{id} {resource:?}");
    }
    let default = Settings::default();
    let peer = rules::find("peer-durability-unknown").unwrap();
    assert_eq!(default.severity(peer, None), (Severity::Warn, None));
}

#[test]
fn handlers_by_resource_by_all_and_by_default() {
    let text = r#"
        [handlers]
        split-brain = "pause"
        snapshot-percent = 10
        [resources.r1.handlers]
        split-brain = "destroy"
        resync-under-guest = "allow"
        [fencing]
        budget-seconds = 9
        methods = [{ method = "ask-peer" }]
        [resources.r1.fencing]
        methods = []
    "#;
    let settings = Settings::parse(PATH, text).unwrap();
    let (all, one) = (settings.handling(Some("r0")), settings.handling(Some("r1")));
    for (event, in_all, in_one) in [
        (EventName::SplitBrain, Act::Pause, Act::Destroy),
        (EventName::PriLost, Act::Pause, Act::Pause),
        (EventName::PriLostAfterSb, Act::Pause, Act::Pause),
        (EventName::PriOnInconDegr, Act::Record, Act::Record),
        (EventName::LocalIoError, Act::Record, Act::Record),
        (EventName::QuorumLost, Act::Record, Act::Record),
        (EventName::FencePeer, Act::Record, Act::Record),
    ] {
        assert_eq!((all.act(event), one.act(event)), (in_all, in_one), "{event}");
    }
    assert_eq!((all.snapshot_percent, one.snapshot_percent), (10, 10));
    assert_eq!((all.resync_under_guest, one.resync_under_guest), (UnderGuest::Refuse, UnderGuest::Allow));
    assert_eq!((all.budget.as_secs(), one.budget.as_secs()), (9, 9));
    assert_eq!((all.methods.len(), one.methods.len()), (1, 0));
}

#[test]
fn a_cache_is_vouched_for_by_host_and_name() {
    let text = "[[non-volatile]]\nhost = \"a\"\ndevice = \"WD-123\"\nreason = \"capacitors\"";
    let settings = Settings::parse(PATH, text).unwrap();
    let device = |name: &str| Device {
        kind: DeviceKind::Scsi,
        number: Known::Unknown("no".into()),
        names: vec![name.into()],
        write_cache: Known::Unknown("no".into()),
        fua: Known::Unknown("no".into()),
        cache_type: Known::Unknown("no".into()),
        rotational: Known::Unknown("no".into()),
        model: None,
        below: Known::Is(Vec::new()),
        file: None,
        non_volatile: None,
    };
    for (host, name, vouched) in [("a", "WD-123", true), ("b", "WD-123", false), ("a", "WD-12", false)] {
        let mut devices = Devices::from([("sda".into(), device(name))]);
        settings.vouch(host, &mut devices);
        assert_eq!(devices["sda"].non_volatile.is_some(), vouched, "{host} {name}");
    }
}
