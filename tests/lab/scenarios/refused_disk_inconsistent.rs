//! No usable data here and no peer to read it from: the guest is refused.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect_inconsistent("r4")?;
    pair.a.ok("drbdadm disconnect r4")?;
    pair.a.wait_for_drbd("r4", "cs:StandAlone ro:Secondary/Unknown ds:Inconsistent/")?;
    let said = Guest::new("refused-inconsistent", "stay", "r4").create_is_refused(&pair.a)?;
    let explained = said
        .lines()
        .any(|line| line.contains("script: ") && line.contains("r4") && line.contains("Inconsistent"));
    ensure!(explained, "xl does not say that r4 is Inconsistent: {said}");
    pair.a.drbd_is("r4", "ro:Secondary/Unknown ds:Inconsistent/")?;
    pair.a.has_no_guest()
}
