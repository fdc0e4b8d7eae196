//! The guest: mounts the replicated disk and does what `lab.do=` says.
//!
//! Every line it prints starts with `GUEST`; dom0's xenconsoled writes the
//! console to a file in which scenarios look for these lines.

use crate::{record, records};
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::OFlag;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::reboot::{RebootMode, reboot};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const DISK: &str = "/dev/xvda";
const RECORDS: &str = "/mnt/records";
const REBOOTED: &str = "/mnt/rebooted";
const COUNT: u64 = 20;
const BLOCK: u64 = 4096;
const PAUSE: Duration = Duration::from_millis(200);

/// The life of the guest; it ends by turning the machine off.
pub fn run() -> ExitCode {
    let end = live().unwrap_or_else(|error| {
        println!("GUEST FAILED: {error:#}");
        RebootMode::RB_POWER_OFF
    });
    turn_off(end)
}

/// What the kernel runs on `xl shutdown`, as a process of its own.
pub fn power_off() -> ExitCode {
    println!("GUEST asked to shut down");
    turn_off(RebootMode::RB_POWER_OFF)
}

fn turn_off(mode: RebootMode) -> ExitCode {
    nix::unistd::sync();
    match reboot(mode) {
        Ok(never) => match never {},
        Err(error) => {
            println!("GUEST FAILED: reboot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live() -> Result<RebootMode> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        attach(kind, kind, place, MsFlags::empty())?;
    }
    load_modules()?;
    wait_for_disk()?;
    let command_line = fs::read_to_string("/proc/cmdline")?;
    let value = |name| command_line.split_whitespace().find_map(|word| word.strip_prefix(name));
    match value("lab.do=").context("no lab.do= on the command line")? {
        "write" => write(),
        "read" => read(),
        "raw" => raw(),
        "endless" => endless(value("lab.first=").context("no lab.first= on the command line")?.parse()?),
        "checked" => checked(),
        "reboot" => reboot_once(),
        "stay" => stay().map(|never| match never {}),
        other => bail!("lab.do={other}"),
    }
}

fn attach(source: &str, kind: &str, place: &str, flags: MsFlags) -> Result<()> {
    mount(Some(source), place, Some(kind), flags, None::<&str>)
        .with_context(|| format!("mounting {source} on {place}"))
}

/// The image numbers them in the order in which they need each other.
fn load_modules() -> Result<()> {
    let mut modules = fs::read_dir("/modules")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    modules.sort();
    for module in modules {
        finit_module(File::open(&module)?, c"", ModuleInitFlags::empty())
            .with_context(|| format!("loading {}", module.display()))?;
    }
    Ok(())
}

fn wait_for_disk() -> Result<()> {
    let start = Instant::now();
    while !Path::new(DISK).exists() {
        if start.elapsed() > Duration::from_secs(60) {
            bail!("{DISK} did not appear");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("GUEST has {DISK}");
    Ok(())
}

fn write() -> Result<RebootMode> {
    attach(DISK, "ext4", "/mnt", MsFlags::empty())?;
    write_records()?;
    umount("/mnt")?;
    println!("GUEST done");
    Ok(RebootMode::RB_POWER_OFF)
}

fn write_records() -> Result<()> {
    let mut file = File::create(RECORDS)?;
    for number in 1..=COUNT {
        writeln!(file, "record {number}")?;
        file.sync_all().with_context(|| format!("fsync of record {number}"))?;
        println!("GUEST fsynced {number}");
    }
    Ok(())
}

fn read() -> Result<RebootMode> {
    attach(DISK, "ext4", "/mnt", MsFlags::MS_RDONLY)?;
    print_records()?;
    umount("/mnt")?;
    println!("GUEST done");
    Ok(RebootMode::RB_POWER_OFF)
}

fn print_records() -> Result<()> {
    for line in fs::read_to_string(RECORDS)?.lines() {
        println!("GUEST read {line}");
    }
    Ok(())
}

/// A few records on the device itself.
fn raw() -> Result<RebootMode> {
    records::write(Path::new(DISK), 1..=COUNT, |number| println!("GUEST fsynced {number}"))?;
    println!("GUEST done");
    Ok(RebootMode::RB_POWER_OFF)
}

/// Records on the device itself, from this one on until the machine ends; the disk must not fill up before.
fn endless(first: u64) -> Result<RebootMode> {
    records::write(Path::new(DISK), first..=record::ROOM, |number| println!("GUEST fsynced {number}"))?;
    bail!("the disk is full of records")
}

/// Records on the device until somebody ends the machine. Each is read back when it is acknowledged, and
/// with it one from long before; slow enough for the disk not to fill up meanwhile.
fn checked() -> Result<RebootMode> {
    // What the page cache has would prove nothing.
    let disk = File::options().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(DISK)?;
    records::write(Path::new(DISK), 1..=record::ROOM, |number| {
        for number in [number, number.div_ceil(2)] {
            if let Err(error) = check(&disk, number) {
                println!("GUEST FAILED: record {number}: {error:#}");
            }
        }
        println!("GUEST fsynced {number}");
        std::thread::sleep(PAUSE);
    })?;
    bail!("the disk is full of records")
}

fn check(disk: &File, number: u64) -> Result<()> {
    let mut buffer = vec![0; 2 * record::SIZE];
    let start = buffer.as_ptr().align_offset(record::SIZE);
    let block = &mut buffer[start..start + record::SIZE];
    disk.read_exact_at(block, record::offset(number))?;
    ensure!(block == record::block(number), "the disk holds something else");
    Ok(())
}

/// Writes and reboots; after the reboot, reads and stays.
fn reboot_once() -> Result<RebootMode> {
    attach(DISK, "ext4", "/mnt", MsFlags::empty())?;
    let again = match fs::metadata(REBOOTED) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error).context(REBOOTED),
    };
    if again {
        print_records()?;
        umount("/mnt")?;
        stay().map(|never| match never {})
    } else {
        write_records()?;
        File::create(REBOOTED)?.sync_all()?;
        umount("/mnt")?;
        println!("GUEST reboots");
        Ok(RebootMode::RB_AUTOBOOT)
    }
}

fn stay() -> Result<Infallible> {
    let mut block = vec![0; usize::try_from(BLOCK)?];
    File::open(DISK)?.read_exact_at(&mut block, 0)?;
    println!("GUEST up");
    loop {
        std::thread::park();
    }
}
