//! The dry run: what an add would say now, and why, without changing anything.
//!
//! It gathers and judges as an add does, and stops there. The one thing that it
//! writes is its own notebook: what the peers have said.

mod guest;
mod peers;
mod subject;

pub use subject::{Answer, Subject};

use crate::config::Settings;
use crate::facts::{FACTS_VERSION, Known, NodeFacts, Resource};
use crate::gather::drbd::Purpose;
use crate::gather::{self, Around};
use crate::host::{Deadline, Host, output};
use crate::report::check::Report;
use crate::report::{check as report, one_line};
use crate::target::Target;
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How long everything together may take; peers are asked within it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked.
pub struct Question {
    /// Resources, volumes (`RES/VOL`) and paths of domain configurations.
    pub subjects: Vec<String>,
    /// Every resource and every domain configuration below /etc/xen.
    pub all: bool,
    /// Files with what peers say of themselves.
    pub peer_facts: Vec<PathBuf>,
    /// Whether to answer as JSON.
    pub json: bool,
}

/// Answers on stdout and returns the exit code.
///
/// The error comes with its exit code: 2 for a wrong question, 3 for no answer.
pub fn run(host: &mut Host, question: &Question, settings: &Settings) -> Result<i32, (i32, anyhow::Error)> {
    host.set_deadline(Deadline::after(PATIENCE));
    let given = question.peer_facts.iter().map(|path| given(host, path));
    let given = given.collect::<Result<Vec<_>>>().map_err(|error| (2, error))?;
    let resources = Known::from(gather::resources(host, None, Purpose::Look));
    let mut machine = Machine::look(host, settings, resources, given);
    let mut report = match question.json {
        true => Report::json(),
        false => Report::text(std::io::stdout().is_terminal()),
    };
    subject::each(&mut machine, question, &mut |subject| report.add(subject))?;
    let answer = report.answer();
    output::answer(&report.finish()).map_err(|error| (3, error))?;
    Ok(answer.exit_code())
}

fn given(host: &Host, path: &std::path::Path) -> Result<NodeFacts> {
    let text = host.read_given(path)?;
    gather::peers::parse(&text).with_context(|| path.display().to_string())
}

/// Prints everything gathered of this host, or of the resources that are named. Errors as of [`run`].
pub fn facts(
    host: &mut Host,
    names: &[String],
    json: bool,
    settings: &Settings,
) -> Result<i32, (i32, anyhow::Error)> {
    host.set_deadline(Deadline::after(PATIENCE));
    let mut facts = gather::node_facts(host, settings);
    only(&mut facts, names).map_err(|error| (2, error))?;
    debug_assert_eq!(facts.version, FACTS_VERSION);
    let text = match json {
        true => report::facts_json(&facts),
        false => Ok(report::facts(&facts)),
    };
    text.and_then(|text| output::answer(&text)).map_err(|error| (3, error))?;
    Ok(if matches!(facts.resources, Known::Unknown(_)) { 3 } else { 0 })
}

/// Leaves out every resource but those that are named, if any are.
fn only(facts: &mut NodeFacts, names: &[String]) -> Result<()> {
    for name in names {
        Target::parse(name.as_bytes()).map_err(|why| anyhow::anyhow!("{}: {why}", one_line(name)))?;
    }
    if let (false, Known::Is(resources)) = (names.is_empty(), &mut facts.resources) {
        for name in names {
            if !resources.iter().any(|resource| resource.name == *name) {
                bail!("DRBD has no resource {name} up; run: drbdadm up {name}");
            }
        }
        resources.retain(|resource| names.contains(&resource.name));
        facts.keep_devices_of_resources();
    }
    Ok(())
}

/// What every subject is judged on: the host, read once.
pub(crate) struct Machine<'a> {
    host: &'a mut Host,
    settings: &'a Settings,
    resources: Known<Vec<Resource>>,
    around: Around,
    peers: peers::Peers,
}

impl<'a> Machine<'a> {
    /// The resource of that name, where DRBD has it up.
    fn resource(&self, name: &str) -> Option<Resource> {
        self.resources.value()?.iter().find(|resource| resource.name == name).cloned()
    }

    fn look(
        host: &'a mut Host,
        settings: &'a Settings,
        mut resources: Known<Vec<Resource>>,
        given: Vec<NodeFacts>,
    ) -> Machine<'a> {
        let mut peers = peers::Peers::new(given);
        let around = match &mut resources {
            Known::Is(resources) => {
                peers.name(host, resources);
                gather::handler_entries::look(host, resources);
                Around::all(host, resources)
            }
            Known::Unknown(_) => Around::look(host),
        };
        Machine { host, settings, resources, around, peers }
    }
}
