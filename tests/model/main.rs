//! The model: two hosts, their toolstacks, DRBD, and our program at its real decisions, in every
//! order in which things can happen.
//!
//! `cargo test --release --test model` explores it to exhaustion: first the program as it is, in
//! which every property must hold, then each mutant, which must break one. It touches no machine:
//! the facts are those of a recorded one, with the values of the model in them.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod drbd;
mod explore;
mod machine;
mod mutant;
#[path = "../support/place.rs"]
mod place;
mod program;
mod property;
#[path = "../support/recorded.rs"]
mod recorded;
#[path = "../support/sysfs.rs"]
mod sysfs;
mod toolstack;
mod world;

use explore::Explored;
use mutant::Mutant;
use stateright::{Checker, HasDiscoveries, Model};
use std::process::ExitCode;
use std::time::Instant;
use world::Left;

/// One exploration: how much may happen in it.
struct Bounds {
    name: &'static str,
    left: Left,
    two_primaries: bool,
}

const ALL: &[Bounds] = &[
    Bounds {
        name: "two guests, one fault",
        left: Left { creates: 2, faults: 1, hands: 0 },
        two_primaries: false,
    },
    Bounds {
        name: "two guests, one command by hand",
        left: Left { creates: 2, faults: 0, hands: 1 },
        two_primaries: false,
    },
    Bounds {
        name: "two Primaries allowed",
        left: Left { creates: 2, faults: 1, hands: 0 },
        two_primaries: true,
    },
];

fn main() -> ExitCode {
    let sound = ALL.iter().all(|bounds| explore(bounds, None).is_none());
    let caught = mutant::ALL.iter().filter(|mutant| is_caught(**mutant)).count();
    println!("{caught} of {} mutants are caught", mutant::ALL.len());
    if sound && caught == mutant::ALL.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether any of the explorations finds that the safeguard is missing.
fn is_caught(mutant: Mutant) -> bool {
    ALL.iter().any(|bounds| explore(bounds, Some(mutant)).is_some())
}

/// Explores everything within the bounds; the property that does not hold, if there is one.
fn explore(bounds: &Bounds, mutant: Option<Mutant>) -> Option<&'static str> {
    let started = Instant::now();
    let model = Explored::new(bounds.left, bounds.two_primaries, mutant);
    let checker = model.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let found = checker.discoveries().into_iter().min_by_key(|(_, path)| path.clone().into_actions().len());
    let name = mutant.map_or("the program".to_string(), |mutant| format!("{mutant:?}"));
    println!(
        "{name}, {}: {} states, {} unique, depth {}, {:.0} s",
        bounds.name,
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
    let (property, path) = found?;
    let actions = path.clone().into_actions();
    println!("  breaks {property:?} after {} steps", actions.len());
    if mutant.is_none() || std::env::args().any(|argument| argument == "--paths") {
        actions.iter().for_each(|action| println!("    {action:?}"));
        println!("    {:#?}", path.last_state());
    }
    Some(property)
}
