//! The peer is Primary: the guest is refused, in a sentence, and nothing is left.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r3")?;
    pair.b.ok("drbdadm primary r3")?;
    pair.a.wait_for_drbd("r3", "ro:Secondary/Primary")?;
    let said = Guest::new("refused-primary", "stay", "r3").create_is_refused(&pair.a)?;
    // libxl prints `script: SENTENCE`, and its own lines name neither role nor peer.
    let sentence = said.lines().find(|line| line.contains("script: ") && line.contains("Primary"));
    let sentence = sentence.unwrap_or_default();
    ensure!(
        sentence.contains("r3") && sentence.split(|c: char| !c.is_alphanumeric()).any(|word| word == "b"),
        "xl does not say that r3 is Primary on b: {said}"
    );
    pair.a.drbd_is("r3", "ro:Secondary/Primary ds:UpToDate/UpToDate")?;
    pair.a.has_no_guest()
}
