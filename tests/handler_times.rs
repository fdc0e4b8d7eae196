//! For how long DRBD waits for a handler that does not talk to a peer: `make bench` prints it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/drbd_kernel.rs"]
mod drbd_kernel;
#[path = "support/handler.rs"]
mod handler;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/place.rs"]
mod place;
#[path = "support/said.rs"]
mod said;
#[path = "support/xenstored.rs"]
mod xenstored;

use block_drbd::event::drbd::NAMES;
use handler::Node;
use std::time::{Duration, Instant};

/// How often each is called.
const ROUNDS: usize = 15;

/// What the project promises, on a host that has nothing else to do.
const LIMIT: Duration = Duration::from_millis(50);

/// From the fork to the exit code, as DRBD waits: the median, and the longest.
fn times(node: &Node, name: &str) -> (Duration, Duration) {
    let one = |_| {
        let begin = Instant::now();
        node.handler(name);
        let took = begin.elapsed();
        // A log that nobody reads fills up, and is waited for.
        node.logged();
        took
    };
    let mut times: Vec<Duration> = (0..ROUNDS).map(one).collect();
    times.sort();
    (times[ROUNDS / 2], times[ROUNDS - 1])
}

#[test]
fn drbd_does_not_wait_long() {
    println!("handler                  median  longest  (ms, of {ROUNDS} calls)");
    let binary = handler::binaries().pop().unwrap();
    for (name, _) in NAMES {
        // A guest of its own to each event: it meets no quarantine of another.
        let (median, longest) = times(&Node::new(&binary), name);
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        println!("{name:<24} {:>6.1}  {:>7.1}", milliseconds(median), milliseconds(longest));
        if !cfg!(debug_assertions) {
            assert!(median <= LIMIT, "{name} takes {median:?}");
        }
    }
}
