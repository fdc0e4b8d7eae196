//! Records of our own, as JSON with a `version`: their one reader.
//!
//! A record is believed only where nobody but root could have written it (`host/own.rs`), only
//! when all of it is understood, and only in the version that this program writes. Decides
//! nothing: what to do about a record that is not to be believed is with whoever asked for it.

use crate::host::Host;
use crate::host::own::Unusable;
use crate::target::Target;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A record, and when it was written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<T> {
    /// What it says.
    pub record: T,
    /// In seconds since 1970.
    pub written: u64,
}

/// What every version of every record has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The record at `path`; `None` where there is none. `remedy` is a clause that says how to go
/// on when it is there and not to be believed.
pub fn read<T: DeserializeOwned>(
    host: &Host,
    path: &str,
    version: u32,
    remedy: &str,
) -> Result<Option<Dated<T>>, Unusable> {
    let stored = host.read_own(path).map_err(|unusable| with_remedy(unusable, remedy))?;
    let Some(stored) = stored else { return Ok(None) };
    let record = parse(path, &stored.text, version).map_err(|why| with_remedy(Unusable::bad(why), remedy))?;
    Ok(Some(Dated { record, written: stored.written }))
}

/// The same of a record of one resource, which says itself (`named`) whose it is.
pub fn of_resource<T: DeserializeOwned>(
    host: &Host,
    path: &str,
    remedy: &str,
    resource: &str,
    named: fn(&T) -> &str,
) -> Result<Option<Dated<T>>, Unusable> {
    match read::<T>(host, path, 1, remedy)? {
        Some(found) if named(&found.record) != resource => {
            let why = format!("{path} is a record of {:?}", named(&found.record));
            Err(with_remedy(Unusable::bad(why), remedy))
        }
        found => Ok(found),
    }
}

/// The resources that have a record in a directory, `RES.json`, whether it can be believed or not.
pub fn resources(host: &Host, directory: &str) -> Result<Vec<String>, Unusable> {
    let names = host.list_own(directory)?;
    let resources = names.iter().filter_map(|name| name.strip_suffix(".json"));
    let is_name = |name: &&str| Target::parse(name.as_bytes()).is_ok_and(|target| target.resource == *name);
    Ok(resources.filter(is_name).map(str::to_string).collect())
}

/// Adds what to do about a record that is there and has no better remedy.
pub fn with_remedy(unusable: Unusable, remedy: &str) -> Unusable {
    match unusable.is_bad && unusable.remedy.is_none() {
        true => Unusable { remedy: Some(remedy.to_string()), ..unusable },
        false => unusable,
    }
}

/// The record in `text`, which is that of the file at `path`, or one clause that says what is
/// wrong. The version first: what another one has need not be understood.
pub fn parse<T: DeserializeOwned>(path: &str, text: &str, known: u32) -> Result<T, String> {
    let wrong = |error: serde_json::Error| format!("{path} cannot be understood ({error})");
    let Version { version } = serde_json::from_str(text).map_err(wrong)?;
    match version == known {
        true => serde_json::from_str(text).map_err(wrong),
        false => Err(format!("{path} is of version {version}, this program knows version {known}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Claim;

    #[test]
    fn only_what_is_wholly_understood_is_believed() {
        let good = r#"{"version":1,"resource":"r0","promoted":[1],"users":[]}"#;
        let deep = "[".repeat(100_000);
        for (text, wrong) in [
            (good, None),
            ("", Some("EOF while parsing")),
            ("{", Some("EOF while parsing")),
            (&good[..good.len() / 2], Some("EOF while parsing")),
            (&deep, Some("invalid type")),
            ("\0", Some("expected value")),
            ("null", Some("invalid type")),
            ("{}", Some("missing field `version`")),
            (r#"{"version":2,"whatever":[]}"#, Some("is of version 2, this program knows version 1")),
            (r#"{"version":0}"#, Some("is of version 0")),
            (r#"{"version":-1}"#, Some("invalid value")),
            (r#"{"version":1,"resource":"r0","promoted":[1],"users":[],"more":1}"#, Some("unknown field")),
            (r#"{"version":1,"resource":"r0","promoted":[-1],"users":[]}"#, Some("invalid value")),
            (r#"{"version":1,"resource":"r0","promoted":[1]}"#, Some("missing field `users`")),
        ] {
            let shown: String = text.chars().take(60).collect();
            match (parse::<Claim>("/run/x.json", text, 1), wrong) {
                (Ok(claim), None) => assert_eq!(claim.promoted, [1]),
                (Err(why), Some(words)) => {
                    assert!(why.starts_with("/run/x.json ") && why.contains(words), "{shown}: {why}")
                }
                (found, wanted) => panic!("{shown}: {found:?}, not {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_remedy_is_for_what_is_there() {
        let bad = Unusable::bad("x is bad".into());
        assert_eq!(with_remedy(bad.clone(), "rm x").to_string(), "x is bad; rm x");
        let exposed = Unusable { remedy: Some("chmod y".into()), ..bad.clone() };
        assert_eq!(with_remedy(exposed, "rm x").to_string(), "x is bad; chmod y");
        let unread = Unusable { is_bad: false, ..bad };
        assert_eq!(with_remedy(unread, "rm x").to_string(), "x is bad");
    }
}
