//! The lab: two QEMU machines with real Xen, xl, blkback and DRBD, and guests
//! that write and flush, under the binary under test.
//!
//! `cargo test --test lab -- [--list | --demo | --bench | --all | --campaign SEED ROUNDS |
//! SCENARIO…]`; without a name it runs the essential scenarios. It needs Debian 12 for the packages and QEMU, and neither root, nor KVM,
//! nor a network device. It must touch nothing outside `target/lab`.
#![allow(clippy::disallowed_methods)]

mod bench;
mod block_lock;
mod campaign;
mod channel;
mod check;
mod cpio;
mod demo;
mod device_model;
mod drbd;
mod drive;
mod flushes;
mod guest;
mod handled;
mod image;
mod link;
mod modules;
mod moving;
mod nbd;
mod node;
mod packages;
mod pair;
mod paths;
mod payload;
mod programs;
mod qemu;
mod record;
mod scenario;
mod scenarios;
mod settled;
mod wire;

use anyhow::{Result, bail};
use image::Image;
use pair::Pair;
use scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

/// How many runs' logs are kept: each has two consoles and a root of 40 MB.
const KEPT_RUNS: usize = 5;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for scenario in scenario::ALL {
            println!("{}", scenario.name);
        }
        return Ok(true);
    }
    let mut lab = Lab::new()?;
    let chosen = match arguments.first().map(String::as_str) {
        Some("--demo") => vec![&scenario::DEMO],
        Some("--bench") => vec![&scenario::BENCH],
        Some("--campaign") => vec![&scenario::CAMPAIGN],
        Some("--all") => scenario::ALL.iter().collect(),
        _ => chosen(&arguments)?,
    };
    let mut failures = Vec::new();
    for scenario in chosen {
        let start = Instant::now();
        println!("lab: {} …", scenario.name);
        let result = lab.run(scenario);
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => println!("lab: {} ok ({seconds} s)", scenario.name),
            Err(error) => {
                let reason = format!("{error:#}");
                let reason: Vec<&str> = reason.lines().map(str::trim).collect();
                failures.push(format!("lab: {} FAILED: {}", scenario.name, reason.join(" | ")));
                println!("{}", failures[failures.len() - 1]);
            }
        }
    }
    // Once more at the end, where whoever is shown only the last lines finds it.
    for failure in &failures {
        eprintln!("{failure}");
    }
    Ok(failures.is_empty())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(scenario::ALL.iter().filter(|scenario| scenario.essential).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match scenario::ALL.iter().find(|scenario| scenario.name == name) {
            Some(scenario) => chosen.push(scenario),
            None => bail!("no scenario is named {name} (--list names them)"),
        }
    }
    Ok(chosen)
}

/// The machines of this run; booted when first needed, and again when one was left unclean.
struct Lab {
    image: Image,
    directory: PathBuf,
    has_binary: bool,
    pair: Option<Pair>,
    boots: u32,
}

impl Lab {
    fn new() -> Result<Lab> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let directory = paths::lab("logs").join(now.as_secs().to_string());
        paths::keep_newest(&paths::lab("logs"), KEPT_RUNS - 1)?;
        paths::empty_directory(&directory)?;
        println!("lab: logs are in {}", directory.display());
        let programs = programs::build()?;
        Ok(Lab {
            image: image::build(&programs, &directory)?,
            directory,
            has_binary: programs.binary.is_some(),
            pair: None,
            boots: 0,
        })
    }

    fn run(&mut self, scenario: &Scenario) -> Result<()> {
        if scenario.ours && !self.has_binary {
            let path = programs::binary_under_test();
            bail!("there is no {}: build it first", path.display());
        }
        let pair = match self.pair.take() {
            Some(pair) => pair,
            None => self.boot()?,
        };
        let result = (scenario.run)(&pair);
        if result.is_err() {
            keep_logs(&pair, &self.directory.join(scenario.name));
        }
        match pair.clean_up(scenario.resources) {
            Ok(()) => self.pair = Some(pair),
            Err(error) => println!("lab: cannot clean up, the next scenario boots: {error:#}"),
        }
        result
    }

    fn boot(&mut self) -> Result<Pair> {
        self.boots += 1;
        let directory = self.directory.join(format!("boot{}", self.boots));
        paths::empty_directory(&directory)?;
        let start = Instant::now();
        println!("lab: booting, consoles in {}", directory.display());
        let pair = Pair::boot(&self.image, &directory)?;
        println!("lab: booted in {} s", start.elapsed().as_secs());
        Ok(pair)
    }
}

fn keep_logs(pair: &Pair, directory: &Path) {
    match pair.collect(directory) {
        Ok(()) => println!("lab: its logs are in {}", directory.display()),
        Err(error) => println!("lab: its logs could not be had: {error:#}"),
    }
}
