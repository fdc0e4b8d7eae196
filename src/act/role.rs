//! Promotes and demotes, and believes only what it reads back.

use crate::facts::Role;
use crate::gather;
use crate::gather::drbd::{self, Answer, codes};
use crate::host::Host;
use crate::host::bounded::{self, Ended};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

/// The first and the longest pause between two tries: blkback closes a device
/// within milliseconds when it can (xen.md 5.2).
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How often a promotion is asked for again when DRBD says that it is busy.
const PROMOTIONS: u32 = 5;

/// Makes a volume Primary, never by force.
pub fn promote(host: &Host, resource: &str, minor: u32) -> Result<()> {
    let mut pause = PAUSE.0;
    for attempt in 1.. {
        match ask(host, resource, minor, &Role::Primary)? {
            Reply::Done => return read_back(host, resource, minor, &Role::Primary),
            Reply::Refused { again, .. } if again && attempt < PROMOTIONS => {}
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
        match ask(host, resource, minor, &Role::Secondary)? {
            Reply::Done => return read_back(host, resource, minor, &Role::Secondary),
            Reply::Refused { again: true, text } => {
                host.pause(pause).with_context(|| format!("/dev/drbd{minor}: {text}"))?;
            }
            Reply::Refused { text, .. } => bail!("DRBD refuses to demote {resource}: {text}"),
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// What DRBD said to one request.
enum Reply {
    Done,
    Refused { again: bool, text: String },
}

/// Sends one request from a child, because it may never return (see [`bounded`]).
fn ask(host: &Host, resource: &str, minor: u32, role: &Role) -> Result<Reply> {
    let request = || -> Result<(i32, String)> {
        let mut genl = host.genl();
        let generation = drbd::detect(&genl, || host.read_optional("/proc/drbd"))?;
        match drbd::set_role(&mut genl, generation, minor, resource, role)? {
            Answer::Done | Answer::NothingToDo => Ok((0, String::new())),
            Answer::Refused { code, text, info } => {
                Ok((code, [text, info.join(", ")].join(" ").trim().to_string()))
            }
        }
    };
    let answer = || match request() {
        Ok((code, text)) => format!("{code}\n{text}").into_bytes(),
        Err(error) => format!("error\n{error:#}").into_bytes(),
    };
    match bounded::run(host.deadline(), answer)? {
        Ended::Answered(answer) => reply(&String::from_utf8_lossy(&answer)),
        Ended::GivenUp { stop, lingers } => {
            let lingers = if lingers { ", and the request is still in the kernel" } else { "" };
            bail!("DRBD did not answer the request to make {resource} {role}: {stop}{lingers}")
        }
    }
}

fn reply(answer: &str) -> Result<Reply> {
    let (code, text) = answer.split_once('\n').context("half an answer from a child")?;
    let Ok(code) = code.parse::<i32>() else { bail!("{text}") };
    let again = codes::retry(code) != codes::Retry::Never;
    Ok(if code == 0 { Reply::Done } else { Reply::Refused { again, text: text.into() } })
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
