//! The command line.

#![allow(clippy::disallowed_methods)]

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// The longest time in seconds that a command may be given: a week.
const LONGEST: u64 = 7 * 86_400;

/// The gate between a Xen guest and its DRBD disk
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 allowed or done, 1 refused, 2 usage or configuration, 3 could not find out, 4 tried, failed, undone."
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Read this directory in place of the machine
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub sysroot: PathBuf,
    /// Read the settings from this file
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::PATH)]
    pub config: String,
    /// Say how long each step took
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The words that block-drbd understands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Xen hotplug: a guest's disk comes (XENBUS_PATH in the environment)
    Add {
        /// xend's `block` adds a word of its own, which says nothing
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// Xen hotplug: a guest's disk goes (XENBUS_PATH in the environment)
    Remove {
        /// xend's `block` adds a word of its own, which says nothing
        #[arg(hide = true)]
        ignored: Vec<String>,
    },
    /// Show every resource with its roles, disks, guests, records, and what needs somebody
    ///
    /// Changes nothing. Exit codes: 0 all is well, 1 something needs an administrator, 3 something
    /// could not be found out.
    Status {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// DRBD handler: something has happened to a resource (DRBD_RESOURCE and more in the environment)
    ///
    /// For `handlers { }` in drbd.conf; etc/drbd.d/xen-handlers.res has every line. Exit codes:
    /// fence-peer answers with DRBD's own, 1 in doubt; before-resync-target refuses with 1; DRBD does
    /// not look at the others.
    Handler {
        /// What has happened: the name of the handler in drbd.conf
        name: String,
    },
    /// What handlers have set aside, and why; give it back
    Quarantine {
        /// What to do; list is the default
        #[command(subcommand)]
        what: Option<QuarantineCommand>,
    },
    /// Run a program that a handler does not wait for
    #[command(hide = true)]
    Detached {
        /// How long it may take
        #[arg(long, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
        seconds: u64,
        /// What it is for
        #[arg(long)]
        what: String,
        /// The program with its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Demote what nobody uses any more
    ///
    /// What block-drbd has promoted and recorded; and, if the resource is named, what is Primary
    /// without a record, too, by whosever hand. Never by force: DRBD refuses while anybody has the
    /// device open. Exit codes: 0 done or nothing to do, 3 could not find out, 4 still Primary.
    Release {
        /// The resource
        #[arg(required_unless_present = "all")]
        resource: Option<String>,
        /// Every resource with a record, and nothing else
        #[arg(long, conflicts_with = "resource")]
        all: bool,
        /// The resource only if it has a record
        #[arg(long, conflicts_with = "all")]
        recorded: bool,
        /// Keep trying for so many seconds, at most a week
        #[arg(long, value_name = "SECONDS", default_value_t = 0,
              value_parser = clap::value_parser!(u64).range(..=LONGEST))]
        wait: u64,
    },
    /// Say beforehand what the start of a guest would say, and why; changes nothing
    Check {
        /// A resource, a volume (RES/VOL), or the path of a domain configuration
        #[arg(required_unless_present = "all", value_name = "RESOURCE|DOMU.cfg")]
        subjects: Vec<String>,
        /// Every resource, and every domain configuration in /etc/xen
        #[arg(long)]
        all: bool,
        /// What a peer's `block-drbd facts --json` said, in place of asking it
        #[arg(long, value_name = "FILE")]
        peer_facts: Vec<PathBuf>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show everything gathered of this host: what a peer asks for, and what a bug report needs
    Facts {
        /// Only these resources
        resources: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move a guest to another host, with its disks looked at on both beforehand
    Migrate {
        /// The guest, by name or number
        domain: String,
        /// The host, as xl migrate takes it
        host: String,
        /// What xl uses in place of ssh
        #[arg(short, long, value_name = "COMMAND")]
        ssh: Option<String>,
    },
    /// Note which guest is about to move in with which volumes: what migrate on the source calls
    ///
    /// Spares the guest the question to the source while it stands still. Allows nothing by itself.
    Expect {
        /// The guest's uuid
        uuid: String,
        /// Its number at the source
        domid: u32,
        /// Its name there
        name: String,
        /// Each of its volumes, as RESOURCE/VOLUME=GENERATION:DEVICE
        #[arg(required = true, value_name = "RES/VOL=GENERATION:DEVICE")]
        volumes: Vec<String>,
    },
    /// List the rules, or explain one
    Rules {
        /// The rule
        id: Option<String>,
    },
}

/// What can be done about a quarantine.
#[derive(Debug, Clone, Subcommand)]
pub enum QuarantineCommand {
    /// Show every resource that is set aside; exit code 3 when a record of it cannot be relied on
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a resource back
    Clear {
        /// The resource
        resource: String,
        /// What was found and done; it is kept
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
