//! What DRBD is answered, as the child says it to its parent.

use crate::handlers::drbd::Handler;
use crate::host::supervised::Ended;
use crate::host::syslog::Level;
use crate::printable::Line;
use crate::report;
use anyhow::Result;

/// What DRBD is answered, and what the log says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// How grave it is.
    pub level: Level,
    /// One line.
    pub line: Line,
}

impl Said {
    /// What DRBD is answered, whatever became of the child.
    pub fn of(handler: &Handler, ended: Result<Ended>) -> Said {
        let why = match ended {
            Ok(Ended::Answered(text)) => match Said::decode(&text, handler) {
                Some(said) => return said,
                None => "it answered what is no answer".into(),
            },
            Ok(Ended::Died(how)) => how,
            Ok(Ended::GivenUp(stop)) => stop.to_string(),
            Err(error) => format!("{error:#}"),
        };
        Said::failed(handler, &format!("the handler did not come to an end: {why}"))
    }

    /// What loses nothing, and why no more is answered.
    pub fn failed(handler: &Handler, why: &str) -> Said {
        let (code, event) = (handler.safe, handler.event);
        Said {
            code,
            level: Level::Error,
            line: report::one_line(&format!("handler={event} exit={code}: {why}")),
        }
    }

    /// On one line, for [`Said::of`].
    pub fn encode(&self) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        };
        format!("{} {level} {}", self.code, self.line)
    }

    /// What the child has said, when it is something that may be answered for this event.
    fn decode(text: &str, handler: &Handler) -> Option<Said> {
        let mut words = text.splitn(3, ' ');
        let code = words.next()?.parse().ok().filter(|code| handler.answers.contains(code))?;
        let level = match words.next()? {
            "error" => Level::Error,
            "warning" => Level::Warning,
            "info" => Level::Info,
            _ => return None,
        };
        Some(Said { code, level, line: report::one_line(words.next()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::drbd::EventName;
    use crate::handlers::drbd;
    use crate::host::Stop;

    #[test]
    fn whatever_becomes_of_the_child_the_answer_is_a_fact_or_safe() {
        let said = |text: &str| Ok(Ended::Answered(text.into()));
        for (event, ended, code) in [
            (EventName::FencePeer, said("4 info r0: outdated"), 4),
            (EventName::FencePeer, said("1 error r0: in doubt"), 1),
            (EventName::FencePeer, said("0 info r0: fine"), 1),
            (EventName::FencePeer, said("2 info x"), 1),
            (EventName::FencePeer, said("8 info x"), 1),
            (EventName::FencePeer, said("-1 info x"), 1),
            (EventName::FencePeer, said("4"), 1),
            (EventName::FencePeer, said("4 info"), 1),
            (EventName::FencePeer, said("4 loud x"), 1),
            (EventName::FencePeer, said(""), 1),
            (EventName::FencePeer, said("four info x"), 1),
            (EventName::FencePeer, Ok(Ended::Died("SIGABRT ended it".into())), 1),
            (EventName::FencePeer, Ok(Ended::GivenUp(Stop::Deadline)), 1),
            (EventName::FencePeer, Ok(Ended::GivenUp(Stop::Signal(15))), 1),
            (EventName::FencePeer, Err(anyhow::anyhow!("no memory")), 1),
            (EventName::BeforeResyncTarget, said("0 info x"), 0),
            (EventName::BeforeResyncTarget, said("3 info x"), 1),
            (EventName::BeforeResyncTarget, Ok(Ended::Died("x".into())), 1),
            (EventName::BeforeResyncSource, said("1 info x"), 0),
            (EventName::SplitBrain, said("1 error x"), 0),
            (EventName::SplitBrain, Ok(Ended::Died("x".into())), 0),
        ] {
            let shown = format!("{event} {ended:?}");
            let said = Said::of(drbd::of(event), ended);
            assert_eq!(said.code, code, "{shown}");
            assert!(!said.line.is_empty(), "{shown}");
        }
    }

    #[test]
    fn what_is_said_is_read_back() {
        let said = Said { code: 4, level: Level::Warning, line: report::one_line("r0: it is so") };
        assert_eq!(Said::decode(&said.encode(), drbd::of(EventName::FencePeer)), Some(said));
    }
}
