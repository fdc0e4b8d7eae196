//! Runs the harness's commands in a node, one at a time.
//!
//! Output goes to files, not pipes: `xl create` leaves a daemon behind that
//! would keep a pipe open and the request unanswered.

use crate::wire;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PORTS: &str = "/sys/class/virtio-ports";
const STDOUT: &str = "/run/lab-stdout";
const STDERR: &str = "/run/lab-stderr";
/// What timeout(1) answers.
const TIMED_OUT: i32 = 124;

struct Reply {
    code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Serves until the harness is gone.
pub fn run() -> Result<()> {
    let path = port()?;
    let mut port = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    loop {
        let request = wire::receive(&mut port).context("reading a request")?;
        let [number, verb, arguments @ ..] = request.as_slice() else {
            bail!("a request of {} fields", request.len());
        };
        let reply = answer(verb, arguments).unwrap_or_else(|error| Reply {
            code: 125,
            stdout: Vec::new(),
            stderr: format!("lab-agent: {error:#}").into_bytes(),
        });
        let code = reply.code.to_string();
        wire::send(&mut port, &[number, code.as_bytes(), &reply.stdout, &reply.stderr])
            .context("sending a reply")?;
    }
}

/// The device of the port that QEMU names "lab": no udev makes a link for it.
fn port() -> Result<PathBuf> {
    for entry in fs::read_dir(PORTS).context(PORTS)? {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("name"))?.trim() == "lab" {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    bail!("no virtio port is named lab");
}

fn answer(verb: &[u8], arguments: &[Vec<u8>]) -> Result<Reply> {
    match (verb, arguments) {
        (b"run", [limit, script]) => run_script(text(limit)?.parse()?, text(script)?),
        (b"put", [path, data]) => put(Path::new(text(path)?), data),
        (b"get", [path]) => {
            let path = text(path)?;
            Ok(done(fs::read(path).with_context(|| path.to_owned())?))
        }
        _ => bail!("an unknown request"),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).context("not UTF-8")
}

fn done(stdout: Vec<u8>) -> Reply {
    Reply { code: 0, stdout, stderr: Vec::new() }
}

fn put(path: &Path, data: &[u8]) -> Result<Reply> {
    fs::write(path, data).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(done(Vec::new()))
}

fn run_script(limit: u64, script: &str) -> Result<Reply> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", script])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(fresh(STDOUT)?)
        .stderr(fresh(STDERR)?)
        .spawn()
        .context("starting /bin/sh")?;
    let group = Pid::from_raw(child.id().try_into()?);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    let code = match receiver.recv_timeout(Duration::from_millis(limit)) {
        Ok(status) => exit_code(status.context("waiting")?),
        Err(_) => {
            killpg(group, Signal::SIGKILL).context("killing what ran too long")?;
            TIMED_OUT
        }
    };
    Ok(Reply { code, stdout: fs::read(STDOUT)?, stderr: fs::read(STDERR)? })
}

/// A new file under the name: a daemon of an earlier request may still write to the old one.
fn fresh(path: &str) -> Result<File> {
    if Path::new(path).exists() {
        fs::remove_file(path)?;
    }
    File::create(path).with_context(|| path.to_owned())
}

fn exit_code(status: ExitStatus) -> i32 {
    let killed = status.signal().map_or(TIMED_OUT, |signal| 128 + signal);
    status.code().unwrap_or(killed)
}
