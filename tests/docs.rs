//! The documentation names what there is.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use block_drbd::cli::Cli;
use block_drbd::rules;
use clap::CommandFactory;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

#[test]
fn every_rule_has_its_row() {
    let text = readme();
    for rule in rules::ALL {
        assert!(text.contains(&format!("| `{}` |", rule.id)), "README.md has no row for {}", rule.id);
    }
}

#[test]
fn every_command_and_option_is_named() {
    let text = readme();
    let command = Cli::command();
    for word in command.get_subcommands() {
        assert!(
            text.contains(&format!("block-drbd {}", word.get_name()))
                || text.contains(&format!("| {}", word.get_name())),
            "README.md does not name {}",
            word.get_name()
        );
    }
    for option in command
        .get_arguments()
        .filter_map(|option| option.get_long())
        .filter(|name| !["help", "version", "verbose"].contains(name))
    {
        assert!(text.contains(&format!("--{option}")), "README.md does not name --{option}");
    }
}

#[test]
fn the_table_has_no_rule_that_does_not_exist() {
    let text = readme();
    let table = text.split("| rule | it refuses when |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    for row in rows {
        let id = row.split('`').nth(1).unwrap();
        assert!(rules::ALL.iter().any(|rule| rule.id == id), "{id} is no rule");
    }
}
