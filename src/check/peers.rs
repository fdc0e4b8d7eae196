//! The peers of a dry run: given in files, or asked.

use crate::config::Settings;
use crate::facts::{Known, NodeFacts, PeerAnswer, Resource};
use crate::gather;
use crate::gather::peers::Told;
use crate::host::{Host, output};
use crate::report::one_line;
use std::collections::BTreeMap;
use std::path::Path;

/// What peers have said, each asked once.
pub struct Peers {
    /// From files.
    given: Vec<Told>,
    /// By host name; `None` for one that could not be asked.
    asked: BTreeMap<String, Option<Told>>,
    /// What DRBD itself calls each peer, by resource and host name.
    called: BTreeMap<(String, String), String>,
}

impl Peers {
    /// Nobody has been asked yet.
    pub fn new(given: Vec<NodeFacts>) -> Peers {
        let given = given.into_iter().map(Told::new).collect();
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
        let fresh = self.fresh(host, resource, settings);
        let (asked, mut answers) = match (kept, fresh.is_empty()) {
            (Err(error), true) => return Known::Unknown(format!("{error:#}")),
            (kept, nothing) => (!nothing && self.given.is_empty(), kept.unwrap_or_default()),
        };
        // A peer that did not answer this time keeps what it said before.
        answers.retain(|old| !fresh.iter().any(|new| new.peer == old.peer));
        answers.extend(fresh);
        if asked {
            self.keep(host, resource, &answers);
        }
        answers.iter_mut().for_each(|answer| settings.vouch_for(&mut answer.facts));
        Known::Is(answers)
    }

    /// What the peers of a resource say now, of those who say anything.
    fn fresh(&mut self, host: &Host, resource: &Resource, settings: &Settings) -> Vec<PeerAnswer> {
        let only = resource.connections.len() == 1;
        let mut fresh = Vec::new();
        for connection in &resource.connections {
            let called = self.called.get(&(resource.name.clone(), connection.peer.clone()));
            let mut names = vec![connection.peer.clone()];
            names.extend(called.filter(|called| **called != connection.peer).cloned());
            let Some((peer, told)) = self.said(host, &connection.peer, only, settings) else { continue };
            match told.about(&resource.name, peer, names, host.now()) {
                Ok(answer) => fresh.push(answer),
                Err(error) => output::say(&one_line(&format!("{error:#}; it is not believed"))),
            }
        }
        fresh
    }

    /// A host without a right to write there loses nothing: it asks again next time.
    fn keep(&self, host: &mut Host, resource: &Resource, answers: &[PeerAnswer]) {
        if let Err(error) = gather::peers::keep(host, &resource.name, answers) {
            let line = format!("what the peers of {} said is not kept: {error:#}", resource.name);
            output::say(&one_line(&line));
        }
    }

    fn said<'a>(
        &'a mut self,
        host: &Host,
        name: &'a str,
        only: bool,
        settings: &Settings,
    ) -> Option<(&'a str, &'a Told)> {
        let named = self.given.iter().position(|told| told.host() == Some(name));
        // With one peer and one file there is no doubt whose it is, whatever its name.
        match named.or((only && self.given.len() == 1).then_some(0)) {
            Some(place) => {
                let told = &self.given[place];
                Some((told.host().unwrap_or(name), told))
            }
            None => self.ask(host, name, settings).map(|told| (name, told)),
        }
    }

    fn ask(&mut self, host: &Host, name: &str, settings: &Settings) -> Option<&Told> {
        // The settings of a directory that somebody sent must not run a program here.
        let how = settings.peers().get(name).filter(|_| host.root() == Path::new("/"))?;
        let answer = self.asked.entry(name.to_string()).or_insert_with(|| {
            let answer = gather::peers::ask(host, name, how);
            if let Err(error) = &answer {
                output::say(&one_line(&format!("{name} could not be asked: {error:#}")));
            }
            answer.map(Told::new).ok()
        });
        answer.as_ref()
    }
}
