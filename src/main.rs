//! Arguments in, exit code out; the program is in the library.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use anyhow::{Result, anyhow, bail};
use block_drbd::admin::Which;
use block_drbd::check::{self, Question};
use block_drbd::cli::{Cli, Command, QuarantineCommand};
use block_drbd::config::{self, Settings};
use block_drbd::event::drbd::EventName;
use block_drbd::event::{self, Action, Hotplug};
use block_drbd::expect::{self, Guest};
use block_drbd::host::syslog::{self, Level};
use block_drbd::host::{self, Deadline, Host, output};
use block_drbd::migrate;
use block_drbd::printable::Text;
use block_drbd::target::Target;
use block_drbd::{admin, drbd_handler, hotplug, quarantine, report, status};
use clap::Parser;
use clap::error::ErrorKind;
use std::time::Duration;

fn main() {
    if let Err(error) = host::begin() {
        output::say(&report::one_line(&format!("{error:#}")));
        std::process::exit(3);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => std::process::exit(explain(&error)),
    };
    // Every command sets the deadline that it needs; this one is for finding out which.
    let deadline = Deadline::after(Duration::from_secs(8));
    let mut host = Host::new(&cli.sysroot, event::xenstore_named(), deadline);
    let code = run(&mut host, &cli).unwrap_or_else(|(code, error)| {
        let line = report::one_line(&format!("{error:#}"));
        syslog::write(&host, Level::Error, &line);
        output::say(&line);
        code
    });
    std::process::exit(code);
}

/// Prints the help that was asked for, or what is wrong with the call on one line: the
/// call itself may hold anything.
fn explain(error: &clap::Error) -> i32 {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::answer(&Text::of(&text)).map_or(3, |()| 0)
        }
        _ => {
            let what = text.split("\n\n").next().unwrap_or(&text);
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            let what = what.trim_start_matches("error: ");
            output::say(&report::one_line(what).then(&report::one_line("; run: block-drbd --help")));
            2
        }
    }
}

fn run(host: &mut Host, cli: &Cli) -> Result<i32, (i32, anyhow::Error)> {
    let tried = |error| (3, error);
    match &cli.command {
        Command::Add { .. } => call(host, Action::Add, cli),
        Command::Remove { .. } => call(host, Action::Remove, cli),
        Command::Status { json } => status::run(host, *json).map_err(tried),
        Command::Handler { name } => {
            let unknown = || {
                anyhow!("there is no handler {}; see handlers {{ }} in drbd.conf(5)", report::one_line(name))
            };
            let event = EventName::parse(name).ok_or_else(|| (2, unknown()))?;
            let settings = |host: &Host| settings(host, &cli.config);
            Ok(drbd_handler::run(host, event, settings, cli.verbose))
        }
        Command::Detached { seconds, what, command } => {
            drbd_handler::detached(host, *seconds, what, command).map_err(tried)
        }
        Command::Quarantine { what } => match what {
            None => quarantine::list(host, false).map_err(tried),
            Some(QuarantineCommand::List { json }) => quarantine::list(host, *json).map_err(tried),
            Some(QuarantineCommand::Clear { resource, reason }) => {
                quarantine::clear(host, &named(resource)?, reason)
            }
        },
        Command::Release { resource, recorded, wait, .. } => {
            let which = match resource.as_deref().map(named).transpose()? {
                None => Which::Recorded,
                Some(target) if *recorded => Which::IfRecorded(target.resource),
                Some(target) => Which::Named(target.resource),
            };
            admin::release(host, which, Duration::from_secs(*wait)).map_err(tried)
        }
        Command::Check { subjects, all, peer_facts, json } => {
            let settings = settings(host, &cli.config).map_err(|error| (2, error))?;
            let question = Question {
                subjects: subjects.clone(),
                all: *all,
                peer_facts: peer_facts.clone(),
                json: *json,
            };
            check::run(host, &question, &settings)
        }
        Command::Expect { uuid, domid, name, volumes } => {
            expect::run(host, &Guest { uuid, domid: *domid, name }, volumes)
        }
        Command::Migrate { domain, host: to, ssh } => {
            let settings = settings(host, &cli.config).map_err(|error| (2, error))?;
            let request = migrate::Request { domain: domain.clone(), to: to.clone(), ssh: ssh.clone() };
            migrate::run(host, &request, &settings)
        }
        Command::Facts { resources, json } => {
            let settings = settings(host, &cli.config).map_err(|error| (2, error))?;
            check::facts(host, resources, *json, &settings)
        }
        Command::Rules { id } => settings(host, &cli.config)
            .and_then(|settings| admin::rules(id.as_deref(), &settings))
            .map_err(|error| (2, error)),
    }
}

/// The resource that a word of the command line names.
fn named(word: &str) -> Result<Target, (i32, anyhow::Error)> {
    Target::parse(word.as_bytes()).map_err(|why| (2, anyhow!("{word}: {why}")))
}

fn call(host: &mut Host, action: Action, cli: &Cli) -> Result<i32, (i32, anyhow::Error)> {
    let event = Hotplug::from_environment(action).map_err(|error| (2, error))?;
    let settings = settings(host, &cli.config);
    Ok(hotplug::run(host, &event, settings, cli.verbose))
}

/// The settings, believed only from root; without a file, and without one being asked for, the defaults.
fn settings(host: &Host, path: &str) -> Result<Settings> {
    match host.read_believed(&host.given_path(path)?)? {
        Some(text) => Settings::parse(path, &text),
        None if path == config::PATH => Ok(Settings::default()),
        None => bail!("{path} does not exist"),
    }
}
