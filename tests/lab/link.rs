//! The network cable between the two machines, which can be cut.
//!
//! QEMU hands over one Ethernet frame a datagram, and a thread for each
//! direction carries it to the other side. The cable outlives the machines: one
//! that is started again gets the same end.

use anyhow::Result;
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Larger than any frame: without offloads QEMU sends none above the MTU.
const FRAME: usize = 1 << 16;

/// A machine that takes no frames for so long is paused or off: the frame is lost, as on a real wire.
const PATIENCE: Duration = Duration::from_millis(100);

/// The cable.
pub struct Link {
    is_up: Arc<AtomicBool>,
    ours: [UnixDatagram; 2],
}

/// A machine's end of it.
pub struct Plug(UnixDatagram);

impl Link {
    /// A cable that carries, and its two ends.
    pub fn new() -> Result<(Link, [Plug; 2])> {
        let (a, plug_a) = UnixDatagram::pair()?;
        let (b, plug_b) = UnixDatagram::pair()?;
        let is_up = Arc::new(AtomicBool::new(true));
        for (from, to) in [(&a, &b), (&b, &a)] {
            let (from, to, is_up) = (from.try_clone()?, to.try_clone()?, Arc::clone(&is_up));
            to.set_write_timeout(Some(PATIENCE))?;
            std::thread::spawn(move || carry(&from, &to, &is_up));
        }
        Ok((Link { is_up, ours: [a, b] }, [Plug(plug_a), Plug(plug_b)]))
    }

    /// Frames of both directions are lost from now on.
    pub fn cut(&self) {
        self.is_up.store(false, Ordering::SeqCst);
    }

    /// Ends a cut.
    pub fn restore(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for end in &self.ours {
            // Wakes the thread that waits for a frame; there is nobody to tell if it has ended.
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Plug {
    /// For a machine that starts; frames for the one before it are gone.
    pub fn for_machine(&self) -> Result<OwnedFd> {
        let mut frame = [0; FRAME];
        while recv(self.0.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT).is_ok() {}
        Ok(self.0.try_clone()?.into())
    }
}

fn carry(from: &UnixDatagram, to: &UnixDatagram, is_up: &AtomicBool) {
    let mut frame = vec![0; FRAME];
    // Nothing received, or an error, is the end of the cable.
    while let Ok(length @ 1..) = from.recv(&mut frame) {
        if is_up.load(Ordering::SeqCst) {
            // What cannot be delivered is lost, as on a real wire.
            let _ = to.send(&frame[..length]);
        }
    }
}
