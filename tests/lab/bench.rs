//! Debian's bash script against the binary under test: the same add and remove,
//! in turn, in one run.
//!
//! Both run on a backend directory that this puts up by hand (state 2 from the
//! start: the kernel takes up only directories in state 1), so that what is
//! timed is the script and nothing of xl's.

use crate::guest::{OLD, OURS};
use crate::pair::Pair;
use crate::scenarios::failed_add_rolls_back::{BACKEND, make_backend};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// How often each is timed.
const ROUNDS: usize = 10;

/// How much faster the binary must be, by the medians.
const RATIO: f64 = 20.0;

/// The parts of our own time, in the order in which they happen.
const PARTS: &[&str] =
    &["start", "xenstore", "drbd", "sharing", "gather", "promote", "flush", "attach", "total"];

/// One call, timed by bash inside the node.
const CALL: &str = r#"
export XENBUS_PATH=backend/vbd/9999/51712 XENBUS_TYPE=vbd XENBUS_BASE_PATH=backend
export script=/etc/xen/scripts/$1
begin=$EPOCHREALTIME
$script $3 $2 </dev/null >&2 || exit
end=$EPOCHREALTIME
echo $((${end/./} - ${begin/./}))
"#;

/// Milliseconds of every call, by script and action.
type Times = BTreeMap<(&'static str, &'static str), Vec<f64>>;

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r6")?;
    make_backend(pair)?;
    pair.a.put("/run/lab-call", CALL.as_bytes())?;
    let mut times = Times::new();
    let mut parts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        println!("bench: round {round} of {ROUNDS}");
        for script in [OLD, OURS] {
            for action in ["add", "remove"] {
                let (wall, said) = call(pair, script, action)?;
                times.entry((script, action)).or_default().push(wall);
                if (script, action) == (OURS, "add") {
                    note_parts(&said, wall, &mut parts);
                }
            }
            pair.a.ok(&format!("xenstore-rm /local/domain/0/{BACKEND}/physical-device"))?;
            pair.a.drbd_is("r6", "ro:Secondary/Secondary")?;
        }
    }
    print_parts(&parts);
    print_ratios(&times)
}

fn call(pair: &Pair, script: &str, action: &str) -> Result<(f64, String)> {
    let verbose = if script == OURS { "-v" } else { "" };
    let output = pair.a.run(&format!("bash /run/lab-call {script} {action} {verbose}"))?;
    ensure!(output.code == 0, "{script} {action}: {}", output.stderr);
    let micros: f64 = output.text().trim().parse().context("no time")?;
    Ok((micros / 1000.0, output.stderr))
}

/// `start` is what the program does not see of itself: fork, exec, exit.
fn note_parts(said: &str, wall: f64, parts: &mut BTreeMap<String, Vec<f64>>) {
    for (name, value) in said.split_whitespace().filter_map(|word| word.split_once("_ms=")) {
        let Ok(value) = value.parse::<f64>() else { continue };
        parts.entry(name.to_owned()).or_default().push(value);
        if name == "total" {
            parts.entry("start".to_owned()).or_default().push(wall - value);
        }
    }
}

fn median(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1]]
}

fn print_parts(parts: &BTreeMap<String, Vec<f64>>) {
    println!("\nour add, by part (ms; drbd and sharing happen inside gather and attach)");
    println!("{:<10} {:>8} {:>8} {:>8}", "part", "median", "min", "max");
    for part in PARTS {
        if let Some(values) = parts.get(*part) {
            let [median, min, max] = median(values);
            println!("{part:<10} {median:>8.1} {min:>8.1} {max:>8.1}");
        }
    }
}

fn print_ratios(times: &Times) -> Result<()> {
    println!(
        "\n{:<16} {:<8} {:>8} {:>8} {:>8} {:>7}  (ms)",
        "script", "action", "median", "min", "max", "ratio"
    );
    for action in ["add", "remove"] {
        let [old, ..] = median(&times[&(OLD, action)]);
        for script in [OLD, OURS] {
            let [median, min, max] = median(&times[&(script, action)]);
            println!("{script:<16} {action:<8} {median:>8.1} {min:>8.1} {max:>8.1} {:>7.1}", old / median);
        }
        let [ours, ..] = median(&times[&(OURS, action)]);
        ensure!(old / ours >= RATIO, "{action} is only {:.1} times as fast as the old script", old / ours);
    }
    Ok(())
}
