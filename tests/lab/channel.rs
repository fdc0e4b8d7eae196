//! The connection to the agent in a node: one request, one reply.
//!
//! It retries nothing. After a reply that did not come in time the node is lost,
//! because what it is doing is unknown, and every later request fails at once.

use crate::wire;
use anyhow::{Context, Result, bail};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The agent ends a command that takes too long; this is for a slow machine to say so.
const GRACE: Duration = Duration::from_secs(60);

/// What a command in a node left behind.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; 124 where it took too long, 128 + N where signal N killed it.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: String,
}

impl Output {
    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// The open connection.
pub struct Channel {
    stream: UnixStream,
    requests: u64,
    lost: bool,
}

impl Channel {
    /// Takes a connection to QEMU's end of the port; the agent may not run yet.
    pub fn new(stream: UnixStream) -> Channel {
        Channel { stream, requests: 0, lost: false }
    }

    /// Sends a request and waits for its reply.
    pub fn request(&mut self, limit: Duration, verb: &str, arguments: &[&[u8]]) -> Result<Output> {
        if self.lost {
            bail!("the node stopped answering earlier");
        }
        let reply = self.exchange(limit + GRACE, verb, arguments);
        self.lost = reply.is_err();
        reply
    }

    fn exchange(&mut self, limit: Duration, verb: &str, arguments: &[&[u8]]) -> Result<Output> {
        self.requests += 1;
        let number = self.requests.to_string();
        let fields = [&[number.as_bytes(), verb.as_bytes()], arguments].concat();
        self.stream.set_read_timeout(Some(limit))?;
        wire::send(&mut self.stream, &fields).context("sending a request to the node")?;
        let reply = wire::receive(&mut self.stream)
            .with_context(|| format!("no answer from the node within {} s", limit.as_secs()))?;
        let [for_number, code, stdout, stderr] = reply.as_slice() else {
            bail!("a reply of {} fields", reply.len());
        };
        if for_number != number.as_bytes() {
            bail!("a reply to another request");
        }
        Ok(Output {
            code: std::str::from_utf8(code)?.parse()?,
            stdout: stdout.clone(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
        })
    }
}
