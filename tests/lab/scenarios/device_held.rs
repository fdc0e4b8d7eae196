//! Something in dom0 holds the device open while `remove` runs and lets go two
//! seconds later: the resource ends Secondary without anybody's help.

use crate::drbd;
use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r5")?;
    let guest = Guest::new("held", "stay", "r5");
    guest.create(&pair.a)?;
    guest.wait_for(&pair.a, "up")?;
    hold_until_removed(pair)?;
    pair.a.ok("xl destroy held")?;
    pair.a.has_no_guest()?;
    pair.a.wait_for_drbd("r5", "ro:Secondary/Secondary")?;
    // Not before the holder has let go, or this scenario has tested nothing.
    pair.a.ok("grep -q 'let go' /run/lab-held")?;
    Ok(())
}

/// The two seconds are the disturbance itself: they start when libxl has begun to remove the disk.
fn hold_until_removed(pair: &Pair) -> Result<()> {
    let minor = drbd::minor("r5");
    let domain = pair.a.ok("xl domid held")?;
    let state = format!("/local/domain/0/backend/vbd/{}/51712/online", domain.trim());
    pair.a.ok(&format!(
        "( exec 3</dev/drbd{minor}; echo holding >/run/lab-held
           while [ \"$(xenstore-read {state})\" = 1 ]; do sleep 0.1; done
           sleep 2; echo let go >>/run/lab-held ) 2>/dev/null &
         echo $! >/run/lab-job-hold
         until grep -q holding /run/lab-held; do sleep 0.1; done"
    ))?;
    Ok(())
}
