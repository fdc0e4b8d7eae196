//! Promotes and demotes, and believes only what it reads back.

use super::ask::{Reply, ask};
use crate::facts::{PhysicalDevice, Role};
use crate::gather::drbd::{self, codes};
use crate::gather::{self, openers};
use crate::host::{Deadline, Host};
use crate::report::Refused;
use crate::rules::held;
use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::time::Duration;

/// The first and the longest pause between two tries: blkback closes a device
/// within milliseconds when it can (xen.md 5.2).
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How often a promotion is asked for again when DRBD says that it is busy.
const PROMOTIONS: u32 = 5;

/// Another program has made the volume Primary after this one had seen it Secondary: the role is not this
/// program's, and the other may have the device open.
#[derive(Debug)]
pub struct Overtaken(String);

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "another program has made {0} Primary in the same moment; if nobody needs that run: block-drbd release {0}; then start the guest again",
            self.0
        )
    }
}

impl std::error::Error for Overtaken {}

/// Makes a volume Primary, never by force.
pub fn promote(host: &Host, resource: &str, minor: u32) -> Result<()> {
    let mut pause = PAUSE.0;
    for attempt in 1.. {
        match request(host, resource, minor, &Role::Primary)? {
            Reply::NothingToDo if attempt == 1 => return Err(Overtaken(resource.into()).into()),
            Reply::Done | Reply::NothingToDo => return read_back(host, resource, minor, &Role::Primary),
            refused if refused.again() && attempt < PROMOTIONS => {}
            // DRBD has asked the fence-peer handler, whose line in the log has the reason.
            Reply::Refused { code: codes::PRIMARY_NOP | codes::NO_UP_TO_DATE_DISK, text } => {
                bail!(
                    "DRBD refuses to promote {resource}: {text}; see why with: journalctl -b -t block-drbd -g fence-peer | tail -n 3"
                )
            }
            Reply::Refused { text, .. } => {
                bail!("DRBD refuses to promote {resource}: {text}; see dmesg | grep {resource}")
            }
        }
        host.pause(pause).context("waiting to promote")?;
        pause = (pause * 2).min(PAUSE.1);
    }
    bail!("{resource} was not promoted")
}

/// Makes a volume Secondary, waiting until whoever holds it open lets go.
pub fn demote(host: &Host, resource: &str, minor: u32) -> Result<()> {
    let mut pause = PAUSE.0;
    loop {
        let reply = request(host, resource, minor, &Role::Secondary)?;
        let again = reply.again();
        match reply {
            Reply::Done | Reply::NothingToDo => {
                return read_back(host, resource, minor, &Role::Secondary);
            }
            Reply::Refused { text, .. } if again => {
                host.pause(pause).with_context(|| format!("/dev/drbd{minor}: {text}"))?;
            }
            Reply::Refused { text, .. } => bail!("DRBD refuses to demote {resource}: {text}"),
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Makes a volume Secondary that is Primary for no guest. Where it is still open `within`
/// this time, the guest is refused, and everybody who is seen to have it open is named.
pub fn hand_back(host: &Host, resource: &str, device: PhysicalDevice, within: Duration) -> Result<()> {
    match until_closed(host, resource, device.minor, host.deadline().at_most(within))? {
        None => read_back(host, resource, device.minor, &Role::Secondary),
        Some(codes::DEVICE_IN_USE) => {
            let openers = openers::look(host, device.major, device.minor).unwrap_or_default();
            let found = held::is_open(device.minor, &openers);
            Err(Refused::new(resource, &held::RULE, &found).into())
        }
        Some(code) => bail!("DRBD refuses to demote {resource}: {}", codes::describe(code)),
    }
}

/// Asks for Secondary until `patience` is over, as long as that may help; DRBD's last refusal, or nothing.
/// A request that has begun is not cut off by it: its answer tells why the guest is refused.
fn until_closed(host: &Host, resource: &str, minor: u32, patience: Deadline) -> Result<Option<i32>> {
    let mut pause = PAUSE.0;
    loop {
        let reply = request(host, resource, minor, &Role::Secondary)?;
        let again = reply.again();
        match reply {
            Reply::Done | Reply::NothingToDo => return Ok(None),
            Reply::Refused { code, .. } => {
                let left = patience.remaining().unwrap_or_default();
                if !again || left.is_zero() || host.pause(pause.min(left)).is_err() {
                    return Ok(Some(code));
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

fn request(host: &Host, resource: &str, minor: u32, role: &Role) -> Result<Reply> {
    let what = format!("make {resource} {role}");
    ask(host, &what, |genl, generation| drbd::set_role(genl, generation, minor, resource, role))
}

/// A request that succeeded for one volume says nothing of the next (captures, surprise 11).
fn read_back(host: &Host, resource: &str, minor: u32, role: &Role) -> Result<()> {
    let found = gather::resource(host, resource)?.with_context(|| format!("{resource} is gone"))?;
    let volume = found.volumes.iter().find(|volume| volume.minor == minor);
    let is =
        volume.map(|volume| &volume.role).with_context(|| format!("{resource} has lost minor {minor}"))?;
    ensure!(is == role, "{resource} minor {minor} is {is} although DRBD said that it is {role}");
    Ok(())
}
