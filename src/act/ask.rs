//! One request to DRBD that changes something, made so that it cannot hang this process.

use crate::gather::drbd::{self, Answer, Generation, codes};
use crate::host::Host;
use crate::host::bounded::{self, Ended};
use crate::host::genl::Genl;
use anyhow::{Context, Result, bail};

/// What DRBD said to one request.
pub enum Reply {
    /// It is done.
    Done,
    /// It was so already.
    NothingToDo,
    /// It was refused.
    Refused {
        /// DRBD's number.
        code: i32,
        /// The number and what DRBD added, in words.
        text: String,
    },
}

/// Sends one request from a child, because it may never return (see [`bounded`]). `what` says
/// what was asked for: "make r0 Primary".
pub fn ask(
    host: &Host,
    what: &str,
    request: impl FnOnce(&mut Genl, Generation) -> Result<Answer>,
) -> Result<Reply> {
    let request = || -> Result<(i32, String)> {
        let mut genl = host.genl();
        let generation = drbd::detect(&genl, || host.read_optional("/proc/drbd"))?;
        match request(&mut genl, generation)? {
            Answer::Done => Ok((codes::NO_ERROR, String::new())),
            Answer::NothingToDo => Ok((codes::NOTHING_TO_DO, String::new())),
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
            bail!("DRBD did not answer the request to {what}: {stop}{lingers}")
        }
    }
}

fn reply(answer: &str) -> Result<Reply> {
    let (code, text) = answer.split_once('\n').context("half an answer from a child")?;
    let Ok(code) = code.parse::<i32>() else { bail!("{text}") };
    Ok(match code {
        codes::NO_ERROR => Reply::Done,
        codes::NOTHING_TO_DO => Reply::NothingToDo,
        code => Reply::Refused { code, text: text.into() },
    })
}

impl Reply {
    /// Whether it was refused and may be granted when asked again.
    pub fn again(&self) -> bool {
        matches!(self, Reply::Refused { code, .. } if codes::retry(*code) != codes::Retry::Never)
    }
}
