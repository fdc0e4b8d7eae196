//! What drbd.conf has for DRBD's events, and whether there is such a program.
//!
//! drbdadm reads drbd.conf anew at each event (drbd-utils, adm_khelper), so that
//! what stands there now is what is in force. Runs nothing.

use super::drbd::conf::{self, Handler, Resource as Section};
use super::node;
use crate::facts::{HandlerEntry, Known, Program, ProgramKind, Resource};
use crate::host::{Host, Kind};
use anyhow::{Context, Result};
use std::collections::HashMap;

/// Where the shell looks for a bare name: the environment that the kernel makes (drbd_nl.c, drbd_khelper).
const PATH: [&str; 4] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];

/// Where it looks after that on 8.x, whose drbdadm another one starts (drbd-utils, exec_legacy_drbdadm).
const PATH_OF_8: &str = "/lib/drbd";

/// What the shell (dash, bash) does itself, so that such a word is no program's name.
const OF_THE_SHELL: [&str; 40] = [
    "!", "{", "}", ".", ":", "[", "[[", "break", "case", "cd", "command", "continue", "do", "echo", "eval",
    "exec", "exit", "export", "false", "for", "function", "if", "kill", "printf", "read", "return", "set",
    "shift", "source", "test", "time", "times", "trap", "true", "type", "ulimit", "umask", "until", "wait",
    "while",
];

/// Fills in the handlers of each resource.
pub fn look(host: &Host, resources: &mut [Resource]) {
    if let Err(error) = host.timed("handlers", || read(host, resources)) {
        let why = format!("{error:#}");
        resources.iter_mut().for_each(|resource| resource.handlers = Known::Unknown(why.clone()));
    }
}

fn read(host: &Host, resources: &mut [Resource]) -> Result<()> {
    let conf = conf::load(host)?;
    let sections = conf.resources()?;
    let sections: HashMap<&str, &Section> =
        sections.iter().map(|section| (section.name(), section)).collect();
    let mut programs = Programs::new(host);
    for resource in resources {
        let section = sections.get(resource.name.as_str());
        let section = section.with_context(|| format!("drbd.conf has no resource {}", resource.name));
        resource.handlers = section.and_then(|section| entries(section, &mut programs)).into();
    }
    Ok(())
}

fn entries(section: &Section, programs: &mut Programs) -> Result<Vec<HandlerEntry>> {
    let handlers = section.resource_options()?.handlers();
    Ok(handlers.into_iter().map(|handler| entry(handler, programs)).collect())
}

fn entry(handler: Handler, programs: &mut Programs) -> HandlerEntry {
    HandlerEntry {
        program: match first_word(&handler.text) {
            Ok(word) => programs.find(word),
            Err(why) => Known::Unknown(why),
        },
        place: format!("{}:{}:{}", handler.file, handler.place.line, handler.place.column),
        event: handler.name,
        command: handler.text,
    }
}

/// The program that `/bin/sh -c TEXT` runs first, if it stands at its beginning as a plain word.
fn first_word(text: &str) -> Result<&str, String> {
    const ENDS: [char; 7] = ['|', '&', ';', '<', '>', '(', ')'];
    let text = text.trim_ascii_start();
    let ends = |letter: char| letter.is_ascii_whitespace() || ENDS.contains(&letter);
    let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    // `2>file PROGRAM` and `name() { …`.
    let descriptor = rest.starts_with(['<', '>']) && word.bytes().all(|byte| byte.is_ascii_digit());
    if OF_THE_SHELL.contains(&word) {
        return Err(format!("it begins with the shell's own {word}, which is not evaluated"));
    }
    if word.is_empty() || !word.bytes().all(plain) || descriptor || rest.starts_with('(') {
        return Err("it begins with shell syntax, which is not evaluated".into());
    }
    match word.contains('/') && !word.starts_with('/') {
        true => Err(format!("{word} is no absolute path, which is not evaluated")),
        false => Ok(word),
    }
}

/// The programs that were looked for, each once: a thousand resources have the same few.
struct Programs<'a> {
    host: &'a Host,
    path: Vec<&'static str>,
    found: HashMap<String, Known<Program>>,
}

impl<'a> Programs<'a> {
    fn new(host: &'a Host) -> Programs<'a> {
        let mut path = PATH.to_vec();
        if node::drbd_version(host).is_ok_and(|version| version.starts_with("8.")) {
            path.push(PATH_OF_8);
        }
        Programs { host, path, found: HashMap::new() }
    }

    fn find(&mut self, word: &str) -> Known<Program> {
        if let Some(found) = self.found.get(word) {
            return found.clone();
        }
        let found = match word.starts_with('/') {
            true => program(self.host, word),
            false => self.by_name(word),
        };
        let found = Known::from(found);
        self.found.insert(word.to_string(), found.clone());
        found
    }

    /// As a shell does: the first that may be executed, else the first that is there at all.
    fn by_name(&self, name: &str) -> Result<Program> {
        let mut second = Ok(Program { path: name.into(), kind: ProgramKind::Missing });
        for directory in &self.path {
            let found = program(self.host, &format!("{directory}/{name}"));
            match &found {
                Ok(found) if found.kind == ProgramKind::Missing => continue,
                Ok(Program { kind: ProgramKind::Executable, .. }) => return found,
                _ => {}
            }
            if second.as_ref().is_ok_and(|second| second.kind == ProgramKind::Missing) {
                second = found;
            }
        }
        second
    }
}

/// What stands at a path. What a directory that stands for the machine lacks is unknown.
pub fn program(host: &Host, path: &str) -> Result<Program> {
    let kind = match host.kind(path)? {
        Some(Kind::Executable) => ProgramKind::Executable,
        Some(Kind::File) => ProgramKind::NotExecutable,
        Some(Kind::Directory) => ProgramKind::Directory,
        Some(Kind::Other) => ProgramKind::NoFile,
        None => {
            // Where a link leads to nothing, it is the place it leads to that may not have been copied.
            let place = host.follow(path)?;
            let directory = place.rsplit_once('/').map_or("", |(directory, _)| directory);
            anyhow::ensure!(
                host.is_whole(directory),
                "{directory} is not in the directory that stands for the machine"
            );
            ProgramKind::Missing
        }
    };
    Ok(Program { path: path.into(), kind })
}

#[cfg(test)]
#[path = "handler_entries_tests.rs"]
mod tests;
