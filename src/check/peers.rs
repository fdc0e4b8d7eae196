//! The peers of a dry run: given in files, or asked.

use crate::config::Settings;
use crate::facts::{Known, NodeFacts, PeerAnswer, Resource};
use crate::gather;
use crate::host::Host;
use crate::report::one_line;
use std::collections::BTreeMap;
use std::path::Path;

/// What peers have said, each asked once.
pub struct Peers {
    /// From files.
    given: Vec<NodeFacts>,
    /// By host name; `None` for one that could not be asked.
    asked: BTreeMap<String, Option<NodeFacts>>,
    /// What DRBD itself calls each peer, by resource and host name.
    called: BTreeMap<(String, String), String>,
}

impl Peers {
    /// Nobody has been asked yet.
    pub fn new(given: Vec<NodeFacts>) -> Peers {
        Peers { given, asked: BTreeMap::new(), called: BTreeMap::new() }
    }

    /// Calls the peers by their host names, and remembers what DRBD calls them.
    pub fn name(&mut self, host: &Host, resources: &mut [Resource]) {
        let before = resources.to_vec();
        gather::name_peers(host, resources);
        for (before, resource) in before.iter().zip(resources) {
            for (called, connection) in before.connections.iter().zip(&resource.connections) {
                let key = (resource.name.clone(), connection.peer.clone());
                self.called.insert(key, called.peer.clone());
            }
        }
    }

    /// What the peers of a resource say: fresh where they can be asked, else what they said last.
    pub fn of(
        &mut self,
        host: &mut Host,
        resource: &Resource,
        settings: &Settings,
    ) -> Known<Vec<PeerAnswer>> {
        let kept = gather::peers::kept(host, &resource.name);
        let mut fresh = Vec::new();
        for connection in &resource.connections {
            let called = self.called.get(&(resource.name.clone(), connection.peer.clone()));
            let mut names = vec![connection.peer.clone()];
            names.extend(called.filter(|called| **called != connection.peer).cloned());
            let only = resource.connections.len() == 1;
            if let Some((peer, facts)) = self.said(host, &connection.peer, only, settings) {
                let at = host.now();
                fresh.push(gather::peers::about(resource, &peer, names, at, &facts));
            }
        }
        if self.given.is_empty() && !fresh.is_empty() {
            self.keep(host, resource, &fresh);
        }
        let mut answers = match (kept, fresh.is_empty()) {
            (Err(error), true) => return Known::Unknown(format!("{error:#}")),
            (kept, _) => kept.unwrap_or_default(),
        };
        answers.retain(|old| !fresh.iter().any(|new| new.peer == old.peer));
        answers.extend(fresh);
        answers.iter_mut().for_each(|answer| settings.vouch_for(&mut answer.facts));
        Known::Is(answers)
    }

    /// A host without a right to write there loses nothing: it asks again next time.
    fn keep(&self, host: &mut Host, resource: &Resource, answers: &[PeerAnswer]) {
        if let Err(error) = gather::peers::keep(host, &resource.name, answers) {
            let line = format!("what the peers of {} said is not kept: {error:#}", resource.name);
            eprintln!("block-drbd: {}", one_line(&line));
        }
    }

    fn said(
        &mut self,
        host: &Host,
        name: &str,
        only: bool,
        settings: &Settings,
    ) -> Option<(String, NodeFacts)> {
        let named = |facts: &&NodeFacts| facts.node.host.value().is_some_and(|host| host == name);
        // With one peer and one file there is no doubt whose it is, whatever its name.
        let only = Some(&self.given).filter(|given| only && given.len() == 1).and_then(|given| given.first());
        if let Some(facts) = self.given.iter().find(named).or(only) {
            return Some((facts.node.host.value().map_or(name, String::as_str).to_string(), facts.clone()));
        }
        self.ask(host, name, settings).map(|facts| (name.to_string(), facts))
    }

    fn ask(&mut self, host: &Host, name: &str, settings: &Settings) -> Option<NodeFacts> {
        // The settings of a directory that somebody sent must not run a program here.
        let how = settings.peers().get(name).filter(|_| host.root() == Path::new("/"))?;
        let answer = self.asked.entry(name.to_string()).or_insert_with(|| {
            let answer = gather::peers::ask(host, name, how);
            if let Err(error) = &answer {
                eprintln!("block-drbd: {}", one_line(&format!("{name} could not be asked: {error:#}")));
            }
            answer.ok()
        });
        answer.clone()
    }
}
