//! The values of settings that check themselves while they are read, so that the
//! error stands at their place in the file.

use crate::rules::{self, Lowering, Rule, Severity};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const LEAST: u64, const MOST: u64>(pub u64);

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Bounded<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let fits = u64::try_from(number).ok().filter(|number| (LEAST..=MOST).contains(number));
        fits.map(Bounded)
            .ok_or_else(|| Error::custom(format!("it is {number}, and must be {LEAST} to {MOST}")))
    }
}

/// Why something is so: a sentence of the administrator, which is mandatory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(pub String);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim() {
            "" => Err(Error::custom("a reason is empty: write why")),
            text => Ok(Reason(text.to_string())),
        }
    }
}

/// A host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(pub String);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.is_empty() {
            true => Err(Error::custom("a host name is empty")),
            false => Ok(Host(text)),
        }
    }
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv(pub Vec<String>);

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        match words.first().is_none_or(String::is_empty) {
            true => Err(Error::custom("the command is empty: name a program")),
            false => Ok(Argv(words)),
        }
    }
}

/// The severity that a rule is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// How grave it is to be.
    pub severity: Severity,
    /// Why, where that is less than its own.
    pub reason: Option<Reason>,
}

/// `"warn"`, or `{ severity = "warn", reason = "…" }`.
impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"refuse\", \"warn\" or \"info\", or { severity = …, reason = … }")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Level, E> {
                let severity = Severity::deserialize(serde::de::value::StrDeserializer::new(word))?;
                Ok(Level { severity, reason: None })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Level, M::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    severity: Severity,
                    reason: Reason,
                }
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Level { severity: table.severity, reason: Some(table.reason) })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// [`RuleLevels`] of the table `[rules]`.
pub const ALL_RESOURCES: bool = false;
/// [`RuleLevels`] of a table `[resources.NAME.rules]`.
pub const ONE_RESOURCE: bool = true;

/// Levels by rule, each of which the rule allows there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleLevels<const OF_ONE: bool>(BTreeMap<&'static str, Level>);

impl<const OF_ONE: bool> RuleLevels<OF_ONE> {
    /// The level of a rule, where one is set.
    pub fn get(&self, id: &str) -> Option<&Level> {
        self.0.get(id)
    }
}

impl<'de, const OF_ONE: bool> Deserialize<'de> for RuleLevels<OF_ONE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Levels<const OF_ONE: bool>;
        impl<'de, const OF_ONE: bool> Visitor<'de> for Levels<OF_ONE> {
            type Value = RuleLevels<OF_ONE>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("severities by rule")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut levels = BTreeMap::new();
                while let Some(KnownRule(rule)) = map.next_key()? {
                    levels.insert(rule.id, map.next_value_seed(LevelOf { rule, of_one: OF_ONE })?);
                }
                Ok(RuleLevels(levels))
            }
        }
        deserializer.deserialize_map(Levels::<OF_ONE>)
    }
}

/// A rule by its name.
struct KnownRule(&'static Rule);

impl<'de> Deserialize<'de> for KnownRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let rule = rules::find(&id);
        rule.map(KnownRule).ok_or_else(|| {
            Error::custom(format!("there is no rule {}; run: block-drbd rules", crate::place::quoted(&id)))
        })
    }
}

/// A level that a rule is given, for one resource or for all.
struct LevelOf {
    rule: &'static Rule,
    of_one: bool,
}

impl<'de> DeserializeSeed<'de> for LevelOf {
    type Value = Level;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Level, D::Error> {
        let level = Level::deserialize(deserializer)?;
        match forbidden(self.rule, &level, self.of_one) {
            Some(why) => Err(Error::custom(why)),
            None => Ok(level),
        }
    }
}

/// Why the rule may not have the level, `of_one` resource or of all.
fn forbidden(rule: &Rule, level: &Level, of_one: bool) -> Option<String> {
    let id = rule.id;
    if level.severity >= rule.severity {
        return None;
    }
    if rule.lowering == Lowering::Never {
        return Some(format!("{id} cannot be lowered: what it refuses destroys data for certain"));
    }
    if rule.lowering == Lowering::ForOneResource && !of_one {
        return Some(format!(
            "{id} cannot be lowered for all resources, only for one: write it under [resources.NAME.rules]"
        ));
    }
    level.reason.is_none().then(|| {
        format!("lowering {id} can lose data: write why, as {id} = {{ severity = \"…\", reason = \"…\" }}")
    })
}
