//! The model: two hosts, their toolstacks, DRBD, and our program at its real decisions, in every
//! order in which things can happen.
//!
//! `make model` explores it to exhaustion: first the program as it is, in
//! which every property must hold, then each mutant, which must break one. It touches no machine:
//! the facts are those of a recorded one, with the values of the model in them.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod bounds;
mod drbd;
mod explore;
mod fence;
mod machine;
mod mutant;
#[path = "../support/place.rs"]
mod place;
mod program;
mod property;
#[path = "../support/recorded.rs"]
mod recorded;
mod shown;
#[path = "../support/sysfs.rs"]
mod sysfs;
mod toolstack;
mod undo;
mod words;
mod world;

use bounds::Bounds;
use explore::Explored;
use mutant::Mutant;
use stateright::{Checker, HasDiscoveries, Model};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    println!("two hosts with at most {} domains each, one resource of one volume", toolstack::DOMAINS);
    let mut failures = 0;
    for bounds in bounds::ALL.iter().filter(|bounds| is_wanted(bounds.name)) {
        failures += usize::from(explore(bounds, None).is_some());
    }
    for (mutant, name) in mutant::ALL.iter().filter(|(mutant, _)| is_wanted(&format!("{mutant:?}"))) {
        let bounds = bounds::ALL.iter().find(|bounds| bounds.name == *name).unwrap();
        if explore(bounds, Some(*mutant)).is_none() {
            println!("  nothing breaks without this safeguard");
            failures += 1;
        }
    }
    println!("{failures} failures");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Explores everything within the bounds; the property that does not hold, if there is one.
fn explore(bounds: &'static Bounds, mutant: Option<Mutant>) -> Option<&'static str> {
    let started = Instant::now();
    let model = Explored::new(bounds, mutant);
    let checker = model.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let name = mutant.map_or("the program".to_string(), |mutant| format!("{mutant:?}"));
    println!(
        "{name}, {} ({:?}): {} states, {} unique, depth {}, {:.0} s",
        bounds.name,
        bounds.left,
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
    let (property, path) = checker.discoveries().into_iter().next()?;
    let actions = path.clone().into_actions();
    println!("  breaks {property:?} after {} steps", actions.len());
    if mutant.is_none() || std::env::args().any(|argument| argument == "--paths") {
        actions.iter().for_each(|action| println!("    {}", checker.model().format_action(action)));
        path.last_state().nodes.iter().for_each(|node| println!("    {node:?}"));
    }
    Some(property)
}
