//! What must hold after every run, whatever went wrong in it, and that the next
//! run sets right what it left.

use crate::Pair;
use crate::calls::Call;
use crate::flows::{self, Flow};
use crate::handlers;
use crate::machine::{BACKEND, Machine, said};
use crate::place;
use crate::tracer::{End, Fault, Run};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;

const PRIMARY: u32 = 1;

/// The guest has its disk.
pub fn attached(machine: &Machine) -> Result<()> {
    let device = machine.backend("physical-device");
    ensure!(device == Some(format!("7:{:x}", machine.device.minor)), "physical-device is {device:?}");
    let status = machine.backend("hotplug-status");
    ensure!(status.as_deref() == Some("connected"), "hotplug-status is {status:?}");
    ensure!(machine.role() == PRIMARY, "the volume is not Primary");
    let claim = Claim::of(machine)?;
    ensure!(claim.promoted && claim.used, "the record does not have it: {:?}", machine.claim());
    Ok(())
}

/// Nothing is Primary, recorded or attached.
pub fn released(machine: &Machine) -> Result<()> {
    is_released(machine)?;
    ensure!(machine.backend("physical-device").is_none(), "physical-device is written");
    Ok(())
}

/// Nothing is Primary or recorded; the toolstack has still to remove its directory.
pub fn is_released(machine: &Machine) -> Result<()> {
    ensure!(machine.role() != PRIMARY, "the volume is still Primary");
    ensure!(machine.claim().is_none(), "it is still on record: {:?}", machine.claim());
    ensure!(!window_is_open(machine), "two Primaries are still allowed");
    Ok(())
}

/// Whether DRBD lets two nodes be Primary.
pub fn window_is_open(machine: &Machine) -> bool {
    machine.drbd.with(|model| model.resources[0].two_primaries)
}

/// Still Primary, on record without a user, and left to a detached release.
pub fn pending(machine: &Machine) -> Result<()> {
    let claim = machine.claim().unwrap_or_default();
    ensure!(claim.contains("\"users\":[]"), "it is not a pending release: {claim:?}");
    Ok(())
}

/// What the record says of the volume and of the guest.
struct Claim {
    promoted: bool,
    used: bool,
}

impl Claim {
    fn of(machine: &Machine) -> Result<Claim> {
        let Some(text) = machine.claim() else { return Ok(Claim { promoted: false, used: false }) };
        let claim: Value = serde_json::from_str(&text).with_context(|| format!("the record is {text:?}"))?;
        let has = |key: &str, wanted: &dyn Fn(&Value) -> bool| {
            claim[key].as_array().is_some_and(|all| all.iter().any(wanted))
        };
        Ok(Claim {
            promoted: has("promoted", &|minor| *minor == machine.device.minor),
            used: has("users", &|user| user["domid"] == 5 && user["devid"] == 51712),
        })
    }
}

/// Whatever went wrong.
pub fn holds(machine: &Machine, pair: &Pair, run: &Run, log: &str) -> Result<()> {
    let (flow, fault) = (pair.flow, pair.fault);
    ensure!(!run.outlasted, "the patience of the caller was over after {:?}", run.took);
    let claim = safe(machine, run, log)?;
    let well = run.end == End::Code(flow.code) && (flow.end)(machine).is_ok();
    ensure!(well || fault != Fault::Errno(Errno::EINTR), "an interrupted call was not made again");
    if let Some(event) = flow.event() {
        return handlers::answered(machine, pair, event, run, log);
    }
    let later = run.said.contains("is released as soon as it can be") && !run.detached.is_empty();
    match run.end {
        // Unless it was released since.
        End::Code(0) if later => pending(machine).or_else(|error| is_released(machine).map_err(|_| error)),
        End::Code(0) => (flow.end)(machine).context("exit code 0"),
        End::Code(code @ 1..=4) => {
            // What cannot be written to stderr stands in the log.
            let unsaid = run.said.is_empty() && pair.call().name() == "write";
            let said = if unsaid { log } else { &run.said };
            ensure!(said.contains("block-drbd"), "exit code {code} without a sentence");
            ensure!(said.lines().count() <= 1 || said == log, "exit code {code} with more than a sentence");
            ensure!(!run.said.contains("panicked"), "it panicked");
            failed(machine, flow, &claim, run, log)
        }
        _ if died(pair, run) => Ok(()),
        end => bail!("it ended with {end:?}"),
    }
}

/// What holds at any moment of any run.
fn safe(machine: &Machine, run: &Run, log: &str) -> Result<Claim> {
    // What is detached and slow to start is left to itself.
    let text = [&run.said, log].concat();
    let starting = ["the detached release", "end of domain 5", "unfencing of r0", "notification"]
        .map(|what| text.contains(&format!("starting {what}")));
    ensure!(run.left == 0 || starting.contains(&true), "{} of its children were left behind", run.left);
    ensure!(machine.drbd.log().iter().all(|asked| !asked.force), "it was forced");
    // In this order: a detached release may be closing it.
    let window = machine.path("run/block-drbd/windows/r0.json").exists();
    ensure!(window || !window_is_open(machine), "two Primaries are allowed without a record");
    let claim = Claim::of(machine)?;
    ensure!(machine.role() != PRIMARY || claim.promoted, "Primary without a record");
    ensure!(
        run.detached.is_empty() || claim.promoted || machine.role() != PRIMARY,
        "a detached release without a record"
    );
    Ok(claim)
}

/// Whether the program itself may have ended so, and not by its own account.
pub fn died(pair: &Pair, run: &Run) -> bool {
    match run.end {
        End::Signal(Signal::SIGKILL) if pair.fault.kills() => true,
        // The standard library ends the program where a directory cannot be closed, which no
        // directory of the kernel's does: it counts as being killed. (101: it may unwind.)
        End::Signal(Signal::SIGABRT) | End::Code(101) if run.said.contains("during closedir") => true,
        // Without memory there is no other end: it counts as being killed. (127: before main, the C
        // library itself gives up.)
        End::Signal(_) | End::Code(127) => is_memory(pair.call(), pair.fault),
        End::Code(_) => false,
    }
}

fn is_memory(call: Call, fault: Fault) -> bool {
    fault == Fault::Errno(Errno::ENOMEM) && ["brk", "mmap", "mremap", "mprotect"].contains(&call.name())
}

/// A call that failed by its own account.
fn failed(machine: &Machine, flow: &Flow, claim: &Claim, run: &Run, log: &str) -> Result<()> {
    if flow.arguments != ["add"] {
        return Ok(());
    }
    let unknown = run.said.contains("it may have been done all the same");
    let device = machine.backend("physical-device");
    ensure!(device.is_none() || unknown, "it failed and the guest has the disk");
    let pending = run.said.contains("is released as soon as");
    let wrong = run.said.contains("the record of r0 is wrong");
    ensure!(machine.role() != PRIMARY || pending, "it does not say that the volume is still Primary");
    ensure!(machine.claim().is_none() || pending || wrong, "it failed and left a record");
    ensure!(!claim.used || wrong, "it failed and the guest is on record");
    let told =
        machine.backend("hotplug-error").is_some_and(|error| format!("{}{log}", run.said).contains(&error));
    ensure!(told || log.contains("hotplug-error could not be written"), "hotplug-error does not say why");
    Ok(())
}

/// What comes after a run that went wrong.
#[derive(Clone, Copy, Debug)]
pub enum After {
    /// The same call once more.
    Again,
    /// The toolstack gives up.
    Remove,
    /// The toolstack has gone, and an administrator comes.
    Release,
}

impl After {
    pub const ALL: [After; 3] = [After::Again, After::Remove, After::Release];
}

/// Whatever comes next sets it right, and then a guest starts and stops as ever.
pub fn converges(machine: &Machine, flow: &Flow, after: After) -> Result<()> {
    end_releases(machine);
    if let After::Again = after {
        call(machine, flow.arguments, flow.code)?;
        // A pending release is ended by a release, not by a remove.
        (flow.end)(machine).or_else(|error| pending(machine).map_err(|_| error))?;
    }
    (flow.repair)(machine);
    match after {
        After::Again | After::Remove => call(machine, &["remove"], 0)?,
        After::Release => machine.xenstored.remove(BACKEND),
    }
    call(machine, &["release", "--all"], 0)?;
    is_released(machine)?;
    machine.xenstored.remove(BACKEND);
    machine.guest(5, 51712, "r0");
    call(machine, &["add"], 0)?;
    attached(machine)?;
    call(machine, &["remove"], 0)?;
    is_released(machine)?;
    end_releases(machine);
    no_litter(machine)
}

fn call(machine: &Machine, arguments: &[&str], code: i32) -> Result<()> {
    let (found, text) = said(flows::command(machine, arguments).output()?);
    ensure!(found == code, "{arguments:?} afterwards: exit code {found}: {text}");
    Ok(())
}

/// Nothing but what every guest leaves.
fn no_litter(machine: &Machine) -> Result<()> {
    for directory in ["", "claims", "flushes", "lock"] {
        for entry in fs::read_dir(machine.path(&format!("run/block-drbd/{directory}")))? {
            let name = entry?.file_name().into_string().unwrap();
            ensure!(!name.ends_with(".new"), "{directory}/{name} is left");
        }
    }
    Ok(())
}

/// They would wait for an hour.
fn end_releases(machine: &Machine) {
    place::end_releases(machine.path("run").parent().unwrap());
}
