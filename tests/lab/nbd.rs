//! Serves a drive to QEMU over a unix socket, by the NBD protocol
//! (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md).
//!
//! Only what QEMU needs: the fixed newstyle handshake with NBD_OPT_GO, simple
//! replies, READ, WRITE and FLUSH. FUA is not offered: QEMU then sends a flush
//! after such a write, and there is one way only to the medium.

use crate::drive::{Answer, Command, Drive};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const MAGIC: &[u8; 8] = b"NBDMAGIC";
const OPTION_MAGIC: &[u8; 8] = b"IHAVEOPT";
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// NBD_FLAG_FIXED_NEWSTYLE and NBD_FLAG_NO_ZEROES.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// NBD_FLAG_HAS_FLAGS and NBD_FLAG_SEND_FLUSH.
const TRANSMISSION_FLAGS: u16 = 0b101;

const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = (1 << 31) + 1;
const INFO_EXPORT: u16 = 0;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;

/// Takes one connection at `path` and serves it until the machine is gone.
pub fn serve(drive: Arc<Drive>, path: &Path) -> Result<JoinHandle<Result<()>>> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
    Ok(std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        greet(&mut stream, drive.size())?;
        transmit(&mut stream, &drive)
    }))
}

fn greet(stream: &mut UnixStream, size: usize) -> Result<()> {
    stream.write_all(&[&MAGIC[..], OPTION_MAGIC, &HANDSHAKE_FLAGS.to_be_bytes()].concat())?;
    let _client_flags: [u8; 4] = bytes(stream)?;
    loop {
        ensure!(&bytes::<8>(stream)? == OPTION_MAGIC, "no NBD option where one was due");
        let option = u32::from_be_bytes(bytes(stream)?);
        let length = u32::from_be_bytes(bytes(stream)?);
        data(stream, length)?;
        if option != OPT_GO {
            reply_to_option(stream, option, REP_ERR_UNSUP, &[])?;
            continue;
        }
        let size = u64::try_from(size)?.to_be_bytes();
        let export = [&INFO_EXPORT.to_be_bytes()[..], &size, &TRANSMISSION_FLAGS.to_be_bytes()].concat();
        reply_to_option(stream, option, REP_INFO, &export)?;
        return reply_to_option(stream, option, REP_ACK, &[]);
    }
}

fn reply_to_option(stream: &mut UnixStream, option: u32, kind: u32, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len())?.to_be_bytes();
    let head = [&OPTION_REPLY_MAGIC.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &length];
    stream.write_all(&[&head.concat(), body].concat())?;
    Ok(())
}

fn transmit(stream: &mut UnixStream, drive: &Drive) -> Result<()> {
    let replies = Arc::new(Mutex::new(stream.try_clone()?));
    loop {
        ensure!(u32::from_be_bytes(bytes(stream)?) == REQUEST_MAGIC, "no NBD request where one was due");
        let _flags: [u8; 2] = bytes(stream)?;
        let kind = u16::from_be_bytes(bytes(stream)?);
        let cookie: [u8; 8] = bytes(stream)?;
        let offset = usize::try_from(u64::from_be_bytes(bytes(stream)?))?;
        let length = u32::from_be_bytes(bytes(stream)?);
        let command = match kind {
            CMD_READ => Command::Read(offset..offset.saturating_add(usize::try_from(length)?)),
            CMD_WRITE => Command::Write(offset, data(stream, length)?),
            CMD_FLUSH => Command::Flush,
            CMD_DISC => return Ok(()),
            other => bail!("NBD command {other}, which was not offered"),
        };
        let replies = Arc::clone(&replies);
        drive.submit(command, move |answer| reply(&replies, cookie, answer));
    }
}

/// A machine that is gone needs no reply: the next read of a request ends the connection.
fn reply(replies: &Mutex<UnixStream>, cookie: [u8; 8], answer: Answer) {
    let (error, data) = match answer {
        Ok(data) => (0, data),
        Err(error) => (error, Vec::new()),
    };
    let frame = [&REPLY_MAGIC.to_be_bytes()[..], &u32::to_be_bytes(error), &cookie, &data].concat();
    if let Ok(mut stream) = replies.lock() {
        let _ = stream.write_all(&frame);
    }
}

fn bytes<const N: usize>(stream: &mut UnixStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn data(stream: &mut UnixStream, length: u32) -> Result<Vec<u8>> {
    let mut data = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut data)?;
    Ok(data)
}
