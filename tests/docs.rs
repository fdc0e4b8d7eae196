//! The documentation names what there is, and nothing else.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use block_drbd::cli::Cli;
use block_drbd::event::drbd::{EventName, NAMES};
use block_drbd::gather::drbd::conf::Conf;
use block_drbd::rules::{self, Severity};
use block_drbd::status::judge::State;
use clap::CommandFactory;

fn document(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Refuse => "refuse",
    }
}

#[test]
fn every_rule_stands_in_the_readme_the_manual_and_the_example() {
    let (readme, manual) = (document("README.md"), document("man/block-drbd.8"));
    let example = document("etc/block-drbd.toml");
    for rule in rules::ALL {
        let (id, severity) = (rule.id, word(rule.severity));
        assert!(readme.contains(&format!("| `{id}` | {severity} |")), "README.md has no row for {id}");
        assert!(manual.contains(&format!(".It Sy {id} Pq {severity}\n")), "the manual has no entry for {id}");
        assert!(example.contains(&format!("\n#:{id} = \"{severity}\"\n")), "the example has no {id}");
    }
}

#[test]
fn no_document_has_a_rule_that_does_not_exist() {
    let (readme, manual) = (document("README.md"), document("man/block-drbd.8"));
    let table = readme.split("| rule | severity | it fires when |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let entries = manual.lines().filter_map(|line| line.strip_prefix(".It Sy "));
    let ids: Vec<&str> = rows
        .map(|row| row.split('`').nth(1).unwrap())
        .chain(entries.map(|entry| entry.split(' ').next().unwrap()))
        .collect();
    assert_eq!(ids.len(), 2 * rules::ALL.len());
    for id in ids {
        assert!(rules::find(id).is_some(), "{id} is no rule");
    }
}

#[test]
fn every_command_and_option_stands_in_the_readme_and_the_manual() {
    let (readme, manual) = (document("README.md"), document("man/block-drbd.8"));
    let command = Cli::command();
    let shown = |command: &&clap::Command| !command.is_hide_set();
    for word in command.get_subcommands().filter(shown) {
        let name = word.get_name();
        assert!(
            readme.contains(&format!("block-drbd {name}")) || readme.contains(&format!("| {name}")),
            "README.md does not name {name}"
        );
        assert!(
            manual.contains(&format!(".Cm {name}\n"))
                || manual.contains(&format!(".Cm {name} |"))
                || manual.contains(&format!("| {name}\n")),
            "the manual does not name {name}"
        );
    }
    let below = |command: &clap::Command| -> Vec<clap::Command> {
        let own = std::iter::once(command.clone());
        own.chain(command.get_subcommands().cloned()).collect()
    };
    let commands: Vec<clap::Command> = command.get_subcommands().filter(shown).flat_map(below).collect();
    let all = commands.iter().flat_map(|command| command.get_arguments()).chain(command.get_arguments());
    for option in
        all.filter_map(|option| option.get_long()).filter(|name| !["help", "version"].contains(name))
    {
        assert!(
            readme.contains(&format!("--{option}")) || option == "verbose",
            "README.md does not name --{option}"
        );
        assert!(manual.contains(&format!("-{option}")), "the manual does not name --{option}");
    }
}

#[test]
fn everything_that_status_can_need_somebody_for_stands_in_the_readme() {
    let readme = document("README.md");
    for what in [
        State::TwoGuests,
        State::IncomingLeft,
        State::Orphan,
        State::ReleaseStuck,
        State::WindowLeft,
        State::BadRecord,
    ] {
        let word = serde_json::to_value(what).unwrap();
        assert!(readme.contains(&format!("| `{}` | ", word.as_str().unwrap())), "README.md has no {word}");
    }
}

#[test]
fn every_setting_stands_in_the_manual() {
    let (manual, example) = (document("man/block-drbd.8"), document("etc/block-drbd.toml"));
    let options = example.lines().filter_map(|line| line.strip_prefix("#:"));
    let is_rule =
        |option: &&str| rules::ALL.iter().any(|rule| option.starts_with(&format!("{} = ", rule.id)));
    for option in options.filter(|option| !is_rule(option)) {
        // A plain quotation mark means something in an argument of a macro (mdoc(7)).
        let option = option.replace('"', "\\(dq");
        assert!(manual.contains(&format!(".It Li {option}\n")), "the manual does not have {option}");
    }
    for table in [
        "[rules]",
        "[handlers]",
        "[fencing]",
        "[resources.NAME.rules]",
        "[resources.NAME.handlers]",
        "[resources.NAME.fencing]",
        "[[non-volatile]]",
        "[peers.NAME]",
    ] {
        assert!(manual.contains(&format!(".It Li {table}\n")), "the manual does not have {table}");
    }
}

#[test]
fn every_event_of_drbd_stands_in_the_snippet_the_readme_and_the_manual() {
    let (readme, manual) = (document("README.md"), document("man/block-drbd.8"));
    let snippet = document("etc/drbd.d/xen-handlers.res");
    let mut events: Vec<String> = Vec::new();
    let lines = snippet.lines().filter(|line| line.starts_with("\t\t"));
    for line in lines {
        let mut words = line.split_whitespace().filter(|word| !["#8.4:", "#9:"].contains(word));
        let (name, text) = (words.next().unwrap(), words.collect::<Vec<_>>().join(" "));
        assert!(EventName::parse(name).is_some(), "{name} is no event");
        assert_eq!(text, format!("\"/usr/sbin/block-drbd handler {name}\";"));
        events.push(name.into());
    }
    for (name, _) in NAMES {
        assert!(events.iter().any(|event| event == name) || name == "outdate-peer", "{name} has no line");
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name {name}");
        assert!(manual.contains(&format!("Ic {name}")), "the manual does not name {name}");
    }
}

#[test]
fn drbd_reads_the_snippet_with_and_without_its_marks() {
    let snippet = document("etc/drbd.d/xen-handlers.res");
    let newest = snippet.replace("#8.4: ", "").replace("#9: ", "");
    for (text, lines) in [(snippet.as_str(), 10), (&newest, 14)] {
        let conf = Conf::parse("/etc/drbd.d/xen-handlers.res", text).unwrap();
        let conf = conf.nodes()[0].section("common").unwrap();
        let handlers = conf.iter().find_map(|node| node.section("handlers")).unwrap();
        assert_eq!(handlers.len(), lines);
    }
}
