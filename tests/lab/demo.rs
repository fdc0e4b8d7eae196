//! A guest on its replicated disk, told as it happens.

use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::Result;
use std::time::Instant;

/// Tells what happens, with the seconds since the machines were up.
struct Timeline(Instant);

impl Timeline {
    fn tell(&self, line: &str) {
        println!("demo: {:>4} s  {line}", self.0.elapsed().as_secs());
    }

    fn show(&self, text: &str) {
        for line in text.lines() {
            println!("              | {line}");
        }
    }
}

pub fn run(pair: &Pair) -> Result<()> {
    let timeline = Timeline(Instant::now());
    timeline.tell("hosts a and b run Xen; DRBD resource r1 is being connected");
    pair.connect("r1")?;
    pair.make_file_system("r1")?;
    status(pair, &timeline)?;
    let guest = Guest::new("demo", "stay", "r1");
    timeline.tell("host a: xl create demo, with script=block-drbd,target=r1");
    guest.create(&pair.a)?;
    guest.wait_for(&pair.a, "up")?;
    timeline.tell("the guest is up and has read its disk");
    status(pair, &timeline)?;
    timeline.tell("host b: xl create of the same guest, which must be refused");
    timeline.show(&Guest::new("demo", "stay", "r1").create_is_refused(&pair.b)?);
    timeline.tell("host a: xl shutdown demo");
    pair.a.ok("xl shutdown demo")?;
    guest.wait_until_gone(&pair.a)?;
    pair.a.wait_for_drbd("r1", "ro:Secondary/Secondary")?;
    status(pair, &timeline)?;
    timeline.tell("host b: a guest writes 20 records, each with fsync, and ends");
    let writer = Guest::new("writer", "write", "r1");
    writer.create(&pair.b)?;
    writer.wait_for(&pair.b, "done")?;
    writer.wait_until_gone(&pair.b)?;
    pair.b.wait_for_drbd("r1", "ro:Secondary/Secondary")?;
    timeline.tell("host a: a guest reads them from its half of the disk");
    let reader = Guest::new("reader", "read", "r1");
    reader.create(&pair.a)?;
    reader.wait_for(&pair.a, "done")?;
    reader.wait_until_gone(&pair.a)?;
    let said = reader.said(&pair.a)?;
    let last = said.lines().rfind(|line| line.contains("GUEST read")).unwrap_or("nothing");
    timeline.tell(&format!("the last it read: {}", last.trim()));
    timeline.tell("what block-drbd logged on host a:");
    timeline.show(&pair.a.ok("grep block-drbd /var/log/syslog")?);
    Ok(())
}

fn status(pair: &Pair, timeline: &Timeline) -> Result<()> {
    for node in [&pair.a, &pair.b] {
        timeline.tell(&format!("host {}: block-drbd status", node.name));
        timeline.show(&node.ok("/etc/xen/scripts/block-drbd status")?);
    }
    Ok(())
}
