//! `block-drbd status --json`. The JSON is a promise (tests/fixtures/status.json holds it):
//! fields are only ever added. What could not be had is `{"unknown": why}` in place of `{"is": …}`.

use crate::facts::{
    Claim, Connection, FlushProbe, Known, Record, ResourceStatus, User, Volume, VolumeStatus,
};
use crate::printable::Text;
use crate::status::judge::{Judged, State};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

/// On one line, and its end.
pub fn json(judged: &Judged) -> Result<Text> {
    let status = judged.status;
    let verdict = match judged.exit_code() {
        0 => "well",
        1 => "needs-somebody",
        _ => "unknown",
    };
    let resources: Vec<Value> =
        judged.resources.iter().map(|(state, status)| resource(*state, status)).collect();
    let document = json!({
        "version": 1,
        "at": status.at,
        "host": status.host,
        "verdict": verdict,
        "needs": judged.needs,
        "unknown": judged.unknown,
        "resources": resources,
    });
    let text = serde_json::to_string(&document).context("writing the status")?;
    Ok(Text::json(&(text + "\n")))
}

fn resource(state: State, status: &ResourceStatus) -> Value {
    let up = status.resource.as_ref();
    let connections = up.into_iter().flat_map(|resource| &resource.connections);
    let users = match &status.users {
        Known::Is(users) => Known::Is(users.iter().map(|user| self::user(status, user)).collect::<Vec<_>>()),
        Known::Unknown(why) => Known::Unknown(why.clone()),
    };
    json!({
        "name": status.name,
        "state": state,
        "up": up.is_some(),
        "role": up.map(|resource| &resource.role),
        "suspended": up.map(|resource| resource.suspended.any()),
        "volumes": status.volumes().map(volume).collect::<Vec<_>>(),
        "connections": connections.map(connection).collect::<Vec<_>>(),
        "users": users,
        "claim": record(&status.claim, |claim| self::claim(claim, status.claimed)),
        "window": record(&status.window, |window| {
            json!({ "vm": window.vm, "domid": window.domid, "opened": window.opened })
        }),
        "lone": record(&status.lone, |lone| json!({ "volumes": lone.volumes })),
        "quarantine": record(&status.quarantine, |entry| {
            json!({ "event": entry.event, "when": entry.when, "node": entry.node, "reason": entry.reason, "act": entry.act })
        }),
        "pending": status.pending(),
        "orphan": state == State::Orphan,
    })
}

fn volume((volume, found): (&Volume, &VolumeStatus)) -> Value {
    json!({
        "number": volume.number,
        "minor": volume.minor,
        "role": volume.role,
        "disk": volume.disk,
        "dom0": found.dom0,
        "flush": record(&found.flush, flush),
    })
}

fn flush(probe: &FlushProbe) -> Value {
    let micros = probe.result.as_ref().ok();
    let error = probe.result.as_ref().err();
    json!({ "at": probe.at, "micros": micros, "error": error })
}

fn connection(connection: &Connection) -> Value {
    let volumes = connection.peer_volumes.iter().map(
        |volume| json!({ "number": volume.number, "replication": volume.replication, "disk": volume.disk }),
    );
    json!({
        "peer": connection.peer,
        "state": connection.state,
        "role": connection.peer_role,
        "two_primaries": connection.two_primaries,
        "volumes": volumes.collect::<Vec<_>>(),
    })
}

fn user(status: &ResourceStatus, user: &User) -> Value {
    let incoming = status.incoming.iter().find(|incoming| incoming.domid == user.domid);
    let unproven = status.claim.value().and_then(|claim| claim.of(user.domid, user.devid)?.unproven.as_ref());
    json!({
        "domid": user.domid,
        "devid": user.devid,
        "vdev": user.vdev(),
        "guest": user.guest,
        "minor": user.minor,
        "live": user.live,
        "leaving": user.leaving,
        "unproven": unproven,
        "incoming": incoming.map(|incoming| &incoming.since),
    })
}

fn claim(claim: &Claim, written: Option<u64>) -> Value {
    let user = |user: &crate::facts::Claimant| json!({ "domid": user.domid, "devid": user.devid, "minor": user.minor });
    let users: Vec<Value> = claim.users.iter().map(user).collect();
    json!({
        "written": written,
        "promoted": claim.promoted,
        "users": users,
        "two_primaries": claim.two_primaries,
    })
}

/// A record that cannot be relied on is not known either.
fn record<T>(record: &Record<T>, value: impl Fn(&T) -> Value) -> impl Serialize {
    match record {
        Record::Is(record) => Known::Is(record.as_ref().map(value)),
        Record::Bad { why, .. } => Known::Unknown(why.clone()),
        Record::Unknown(why) => Known::Unknown(why.clone()),
    }
}
