//! The lab's ssh(1) and its server: runs a command on the other node.
//!
//! For what reaches a peer through ssh: `xl migrate`, `block-drbd check`, a
//! fence-peer handler. Its arguments, its exit codes and what becomes of a
//! command whose caller has gone are those of ssh without a terminal; there is
//! no encryption and no login, and the machines have no other network.

use crate::wire;
use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PORT: u16 = 22;
/// How long a peer may be silent, in connecting and later, until it counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// What ssh returns where it could not do its own part.
const NO_CONNECTION: i32 = 255;

/// What comes back from the server: one of these, and its bytes.
const OUTPUT: &[u8] = b"output";
const ERRORS: &[u8] = b"errors";
const EXIT: &[u8] = b"exit";

/// `ssh [-OPTION…] HOST COMMAND…`; returns the command's exit code.
pub fn ssh(words: &[String]) -> i32 {
    connect_and_run(words).unwrap_or_else(|error| {
        eprintln!("ssh: {error:#}");
        NO_CONNECTION
    })
}

fn connect_and_run(words: &[String]) -> Result<i32> {
    let words: Vec<&str> =
        words.iter().map(String::as_str).skip_while(|word| word.starts_with('-')).collect();
    let [host, command @ ..] = words.as_slice() else {
        bail!("[-OPTION…] HOST COMMAND…");
    };
    let address = (*host, PORT).to_socket_addrs()?.next().context("no address")?;
    let mut server =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("connecting to {host}"))?;
    notices_when_the_other_is_gone(&server)?;
    wire::send(&mut server, &[command.join(" ").as_bytes()])?;
    let mut input = server.try_clone()?;
    std::thread::spawn(move || {
        // Either end may be gone; the exit code tells what the caller has to know.
        let _ = forward(&mut io::stdin(), &mut input);
        let _ = input.shutdown(Shutdown::Write);
    });
    loop {
        let message = wire::receive(&mut server).with_context(|| format!("the connection to {host}"))?;
        match message.as_slice() {
            [kind, bytes] if kind == OUTPUT => write_now(&mut io::stdout(), bytes)?,
            [kind, bytes] if kind == ERRORS => write_now(&mut io::stderr(), bytes)?,
            [kind, code] if kind == EXIT => return Ok(std::str::from_utf8(code)?.parse()?),
            _ => bail!("a message that is none"),
        }
    }
}

/// A peer without power sends nothing, and TCP alone would wait for hours.
fn notices_when_the_other_is_gone(stream: &TcpStream) -> Result<()> {
    let seconds = u32::try_from(PATIENCE.as_secs())?;
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &(seconds / 2))?;
    setsockopt(stream, sockopt::TcpKeepInterval, &(seconds / 4))?;
    setsockopt(stream, sockopt::TcpUserTimeout, &(seconds * 1000))?;
    Ok(())
}

/// Not `io::copy`, which would hold back what is less than its buffer.
fn forward(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            length => write_now(output, &buffer[..length])?,
        }
    }
}

fn write_now(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}

/// Serves for as long as the node lives.
pub fn listen() -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).context("listening")?;
    loop {
        let (caller, address) = listener.accept().context("accepting")?;
        std::thread::spawn(move || {
            if let Err(error) = serve(caller) {
                eprintln!("lab-agent: a command from {address}: {error:#}");
            }
        });
    }
}

fn serve(mut caller: TcpStream) -> Result<()> {
    notices_when_the_other_is_gone(&caller)?;
    let request = wire::receive(&mut caller)?;
    let [command] = request.as_slice() else {
        bail!("a request of {} fields", request.len());
    };
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting /bin/sh")?;
    let (mut stdin, stdout, stderr) = (
        child.stdin.take().context("no stdin")?,
        child.stdout.take().context("no stdout")?,
        child.stderr.take().context("no stderr")?,
    );
    let mut input = caller.try_clone()?;
    // A caller that is gone is the end of the command's input, and nothing else.
    std::thread::spawn(move || forward(&mut input, &mut stdin));
    let caller = Arc::new(Mutex::new(caller));
    let output = send_all(OUTPUT, stdout, Arc::clone(&caller));
    let errors = send_all(ERRORS, stderr, Arc::clone(&caller));
    let status = child.wait()?;
    for sender in [output, errors] {
        // Nobody to send to, which sending the exit code tells as well.
        let _ = sender.join();
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    send(&caller, EXIT, code.to_string().as_bytes())?;
    Ok(())
}

fn send_all(
    kind: &'static [u8],
    mut from: impl Read + Send + 'static,
    to: Arc<Mutex<TcpStream>>,
) -> std::thread::JoinHandle<io::Result<()>> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                length => send(&to, kind, &buffer[..length])?,
            }
        }
    })
}

fn send(to: &Mutex<TcpStream>, kind: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut to = to.lock().map_err(|_| io::Error::other("a sender panicked"))?;
    wire::send(&mut *to, &[kind, bytes])
}
