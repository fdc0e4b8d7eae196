//! strace as a witness that the list of calls is whole.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The calls of each process of `command`, by name and in the order of the
/// forks, up to where a child becomes another program, without its waiting. `hold` stops those
/// other programs: how fast they are would decide which calls are made.
pub fn calls(command: &Command, log: &Path, hold: bool) -> Vec<Vec<String>> {
    // As a grandchild: the program's parent stays who it is.
    let mut strace = Command::new("strace");
    strace
        .args(["--daemonize", "--follow-forks", "--detach-on=execve"])
        .args(hold.then_some("--inject=execve:signal=SIGSTOP"))
        .arg("--output")
        .arg(log)
        .arg(command.get_program())
        .args(command.get_args());
    strace.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.env("PATH", "/usr/bin:/bin").output().unwrap();
    assert!(output.status.code().is_some(), "{output:?}");
    let mut processes: Vec<(String, Vec<String>)> = Vec::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        // `<... read resumed>` and `+++ exited with 0 +++` are no calls.
        let name = rest.trim_start().split('(').next().unwrap();
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            continue;
        }
        match processes.iter_mut().find(|(known, _)| known == pid) {
            Some((_, calls)) => calls.push(name.to_string()),
            None => processes.push((pid.to_string(), vec![name.to_string()])),
        }
    }
    processes.into_iter().enumerate().map(|(at, (_, calls))| own(at, calls)).collect()
}

/// Without the execve that starts the program, and without what follows a child's.
fn own(process: usize, mut calls: Vec<String>) -> Vec<String> {
    if process == 0 {
        assert_eq!(calls.remove(0), "execve");
    } else if let Some(at) = calls.iter().position(|call| call == "execve") {
        calls.truncate(at + 1);
    }
    without_waiting(calls.into_iter())
}

/// Without each read that found nothing, and the poll that follows it, and with one read
/// for several in a row: how many answers come at a time is the daemons' affair. Without the
/// pauses between looks for the end of a child: how many there are is the scheduler's.
pub fn without_waiting(calls: impl Iterator<Item = String>) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    for call in calls.filter(|call| call != "restart_syscall") {
        let last = left.last().map_or("", String::as_str);
        let looked = left.iter().rev().nth(1).is_some_and(|before| before == "wait4");
        let waits = match last {
            // Whoever waits for a program asks for its end, and reads what it has said meanwhile.
            "read" if looked && call == "wait4" => true,
            "read" | "recvfrom" => call == "poll" || call == last,
            "wait4" => call == "clock_nanosleep" || call == last,
            _ => false,
        };
        if !waits {
            left.push(call);
        }
    }
    left
}
