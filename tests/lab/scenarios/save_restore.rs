//! A guest is saved, which releases its disk, and restored, on the other host even.

use crate::guest::Guest;
use crate::pair::Pair;
use crate::settled;
use anyhow::Result;

const RESOURCE: &str = "r6";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect(RESOURCE)?;
    let guest = Guest::tiny("saved", RESOURCE);
    guest.create(a)?;
    guest.is_suspendable(a)?;
    a.ok("xl save saved /run/lab-saved")?;
    settled::without_guest(pair, RESOURCE)?;
    b.put("/run/lab-saved", &a.get("/run/lab-saved")?)?;
    a.ok("xl restore /run/lab-saved")?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    // It runs there: what the other host has is refused, and starts when this one is gone.
    b.fails("xl restore /run/lab-saved")?;
    settled::with_guest(pair, a, guest.name, RESOURCE)?;
    a.ok("xl destroy saved")?;
    settled::without_guest(pair, RESOURCE)?;
    b.ok("xl restore /run/lab-saved; rm /run/lab-saved")?;
    settled::with_guest(pair, b, guest.name, RESOURCE)?;
    b.ok("xl destroy saved")?;
    settled::without_guest(pair, RESOURCE)
}
