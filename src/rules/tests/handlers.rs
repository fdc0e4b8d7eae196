//! What DRBD calls on its events, on both nodes.

use super::*;

/// The handlers of this node, whose programs can be run; the peer does not tell its own.
fn handlers(entries: &[(&str, &str)]) -> impl Fn(&mut Facts) {
    let entries = entries_of(entries);
    move |facts| {
        resource(facts).handlers = Known::Is(entries.clone());
        peer_resource(facts).handlers = no();
    }
}

fn entries_of(entries: &[(&str, &str)]) -> Vec<HandlerEntry> {
    let entry = |&(event, command): &(&str, &str)| {
        let path = command.split(' ').next().unwrap().to_string();
        let program = Known::Is(Program { path, kind: ProgramKind::Executable });
        HandlerEntry {
            event: event.into(),
            command: command.into(),
            program,
            place: "/etc/drbd.conf:2:3".into(),
        }
    };
    entries.iter().map(entry).collect()
}

/// One handler of this node with such a program.
fn handler(event: &'static str, program: Known<Program>) -> impl Fn(&mut Facts) {
    move |facts| {
        let mut entries = entries_of(&[(event, "/x")]);
        entries[0].program = program.clone();
        resource(facts).handlers = Known::Is(entries);
    }
}

fn program(kind: ProgramKind) -> Known<Program> {
    Known::Is(Program { path: "/x".into(), kind })
}

/// The policy of this node, after `change`.
fn fencing(policy: Fencing, change: impl Fn(&mut Facts)) -> impl Fn(&mut Facts) {
    move |facts| {
        resource(facts).connections[0].fencing = Known::Is(policy.clone());
        change(facts);
    }
}

fn stonith(change: impl Fn(&mut Facts)) -> String {
    after(fencing(Fencing::ResourceAndStonith, change))
}

fn only(change: impl Fn(&mut Facts)) -> String {
    after(fencing(Fencing::ResourceOnly, change))
}

fn drbd(version: &'static str) -> impl Fn(&mut Facts) {
    move |facts| facts.node.drbd = Known::Is(version.into())
}

/// What the module runs, and what stands there.
fn helper(helper: &'static str, kind: ProgramKind) -> impl Fn(&mut Facts) {
    move |facts| {
        facts.node.usermode_helper = Known::Is(helper.into());
        facts.node.usermode_helper_kind = Known::Is(kind);
    }
}

/// A fence-peer handler that does its work.
fn fences(facts: &mut Facts) {
    handlers(&[("fence-peer", "/usr/lib/drbd/fence.sh")])(facts);
}

#[test]
#[rustfmt::skip]
fn fencing_has_a_program() {
    use ProgramKind::*;
    assert_eq!(stonith(fences), "");
    assert_eq!(only(fences), "");
    assert_eq!(stonith(handlers(&[])), "fencing-handler");
    assert_eq!(only(handlers(&[])), "warn:fencing-handler");
    assert_eq!(after(fencing(Fencing::DontCare, handlers(&[]))), "");
    assert_eq!(after(fencing(Fencing::Other("new".into()), handlers(&[]))), "warn:fencing-handler");
    assert_eq!(stonith(handlers(&[("split-brain", "/x")])), "fencing-handler", "another event does not fence");
    for kind in [Missing, NotExecutable, Directory, NoFile] {
        assert_eq!(stonith(handler("fence-peer", program(kind))), "fencing-handler", "{kind:?}");
        assert_eq!(only(handler("fence-peer", program(kind))), "warn:fencing-handler", "{kind:?}");
    }
    assert_eq!(stonith(handler("fence-peer", program(Executable))), "");
    assert_eq!(stonith(handler("fence-peer", no())), "warn:fencing-handler?", "shell syntax is no proof of anything");
    assert_eq!(stonith(|f| resource(f).handlers = no()), "fencing-handler?");
    assert_eq!(only(|f| resource(f).handlers = no()), "warn:fencing-handler?");
    assert_eq!(stonith(handlers(&[("fence-peer", "/usr/sbin/block-drbd handler fence-peer")])), "");
    assert_eq!(stonith(handlers(&[("fence-peer", "/usr/sbin/block-drbd handler outdate-peer")])), "");
    assert_eq!(stonith(handlers(&[("fence-peer", "/usr/sbin/block-drbd handler split-brain")])), "fencing-handler");
}

#[test]
#[rustfmt::skip]
fn fencing_that_is_not_known() {
    let unknown = |f: &mut Facts| { handlers(&[])(f); resource(f).connections[0].fencing = no() };
    assert_eq!(after(unknown), "warn:fencing-handler?");
    assert_eq!(after(|f| { unknown(f); fences(f) }), "", "whatever the policy is, it has its program");
    assert_eq!(after(|f| { unknown(f); disk(DiskState::Diskless)(f) }), "diskless", "there is nothing to fence for");
}

#[test]
#[rustfmt::skip]
fn fencing_of_the_peer_only_warns() {
    let there = |change: fn(&mut Resource)| after(move |f| {
        let peer = peer_resource(f);
        peer.connections[0].fencing = Known::Is(Fencing::ResourceAndStonith);
        change(peer);
    });
    assert_eq!(there(|peer| peer.handlers = Known::Is(Vec::new())), "warn:fencing-handler");
    assert_eq!(there(|peer| peer.handlers = no()), "warn:fencing-handler?", "it has an older block-drbd");
    assert_eq!(there(|peer| peer.handlers = Known::Is(entries_of(&[("fence-peer", "/x")]))), "");
}

#[test]
#[rustfmt::skip]
fn scripts_of_the_other_generation() {
    let on = |version, path| after(move |f| { drbd(version)(f); handlers(&[("unfence-peer", path)])(f) });
    for (old, new) in [("/usr/lib/drbd/crm-fence-peer.sh", "/usr/lib/drbd/crm-fence-peer.9.sh"),
                       ("/usr/lib/drbd/crm-unfence-peer.sh", "/usr/lib/drbd/crm-unfence-peer.9.sh")] {
        assert_eq!(on("8.4.11", old), "", "{old}");
        assert_eq!(on("8.4.11", new), "warn:handler-broken", "{new}");
        assert_eq!(on("9.2.19", old), "warn:handler-broken", "{old}");
        assert_eq!(on("9.2.19", new), "", "{new}");
    }
    assert_eq!(on("8.4.11", "/usr/lib/drbd/stonith_admin-fence-peer.sh"), "");
    assert_eq!(on("9.2.19", "/usr/lib/drbd/stonith_admin-fence-peer.sh"), "warn:handler-broken");
    assert_eq!(on("9.2.19", "/usr/lib/drbd/my-crm-fence-peer.sh"), "");
    let gone = Program { path: "/usr/lib/drbd/crm-fence-peer.sh".into(), kind: ProgramKind::Missing };
    let mut facts = good();
    fencing(Fencing::ResourceAndStonith, handler("fence-peer", Known::Is(gone)))(&mut facts);
    drbd("9.2.19")(&mut facts);
    let found = evaluate(&facts, &Settings::default()).findings.remove(0).found;
    assert_eq!(found.remedy, "on a name crm-fence-peer.9.sh at /etc/drbd.conf:2:3", "not: install the old one");
    let crm = handlers(&[("fence-peer", "/usr/lib/drbd/crm-fence-peer.sh")]);
    assert_eq!(stonith(|f| { drbd("9.2.19")(f); crm(f) }), "fencing-handler");
    assert_eq!(stonith(|f| { drbd("8.4.11")(f); crm(f) }), "");
    assert_eq!(stonith(|f| { f.node.drbd = no(); crm(f) }), "barrier-era?", "who needs the version refuses");
}

#[test]
#[rustfmt::skip]
fn handlers_do_what_they_say() {
    use ProgramKind::*;
    for kind in [Missing, NotExecutable, Directory, NoFile] {
        assert_eq!(after(handler("split-brain", program(kind))), "warn:handler-broken", "{kind:?}");
        assert_eq!(after(handler("fence-peer", program(kind))), "warn:handler-broken", "{kind:?} without fencing");
    }
    assert_eq!(after(handler("split-brain", program(Executable))), "");
    assert_eq!(after(handler("split-brain", no())), "info:handler-broken?");
    assert_eq!(after(|f| resource(f).handlers = no()), "", "nothing depends on them");
    assert_eq!(only(handler("split-brain", program(Missing))), "warn:fencing-handler warn:handler-broken");
    assert_eq!(after(handlers(&[("split-brain", "/usr/sbin/block-drbd")])), "");
    for named in ["frobnicate", "", "pri-lost", "initial-split-brain"] {
        let command = format!("/usr/sbin/block-drbd handler {named}");
        let wrong = after(handlers(&[("split-brain", command.trim())]));
        assert!(wrong.starts_with("warn:handler-broken"), "{named}: {wrong}");
    }
    let there = |kind| after(move |f| {
        let mut entries = entries_of(&[("split-brain", "/x")]);
        entries[0].program = program(kind);
        peer_resource(f).handlers = Known::Is(entries);
    });
    assert_eq!(there(Missing), "warn:handler-broken");
    assert_eq!(there(Executable), "");
}

#[test]
fn every_broken_handler_is_named_once() {
    let mut facts = good();
    let mut entries = entries_of(&[("pri-lost", "/x"), ("split-brain", "/y"), ("out-of-sync", "/z")]);
    entries[0].program = program(ProgramKind::Missing);
    entries[1].program = program(ProgramKind::Directory);
    resource(&mut facts).handlers = Known::Is(entries);
    let found = &evaluate(&facts, &Settings::default()).findings[0].found;
    let message = "handlers of r0 on a cannot do their work: pri-lost is to call /x, which does not exist; \
                   split-brain is to call /x, which is a directory";
    assert_eq!(found.message, message);
}

#[test]
#[rustfmt::skip]
fn what_the_module_runs() {
    use ProgramKind::*;
    assert_eq!(after(helper("/usr/sbin/drbdadm", Executable)), "");
    assert_eq!(after(|f| f.node.usermode_helper_kind = no()), "");
    assert_eq!(after(|f| f.node.usermode_helper = no()), "", "nothing depends on it");
    assert_eq!(only(|f| { fences(f); f.node.usermode_helper = no() }), "warn:usermode-helper?");
    assert_eq!(after(helper("/bin/true", Executable)), "warn:usermode-helper");
    assert_eq!(stonith(|f| { fences(f); helper("/usr/sbin/block-drbd", Executable)(f) }), "warn:usermode-helper");
    for kind in [Missing, NotExecutable, Directory, NoFile] {
        assert_eq!(after(helper("/sbin/drbdadm", kind)), "warn:usermode-helper", "{kind:?}");
        assert_eq!(only(|f| { fences(f); helper("/sbin/drbdadm", kind)(f) }), "warn:usermode-helper", "{kind:?}");
        assert_eq!(stonith(|f| { fences(f); helper("/sbin/drbdadm", kind)(f) }), "usermode-helper", "{kind:?}");
    }
    for value in ["/sbin/drbdadm\n", "/sbin/drbdadm ", "\t/sbin/drbdadm", "\n", "disabled\n"] {
        for kind in [Missing, Executable] {
            assert_eq!(after(helper(value, kind)), "warn:usermode-helper", "{value:?}");
            assert_eq!(only(|f| { fences(f); helper(value, kind)(f) }), "warn:usermode-helper", "{value:?}");
            assert_eq!(stonith(|f| { fences(f); helper(value, kind)(f) }), "usermode-helper", "{value:?}");
        }
    }
    let disabled = |version| move |f: &mut Facts| { fences(f); drbd(version)(f); helper("disabled", Missing)(f) };
    assert_eq!(after(disabled("9.2.19")), "warn:usermode-helper");
    assert_eq!(only(disabled("9.2.19")), "usermode-helper", "it counts as fenced");
    assert_eq!(stonith(disabled("9.2.19")), "usermode-helper");
    assert_eq!(only(disabled("8.4.11")), "warn:usermode-helper", "8.x takes it for the name of a program");
    assert_eq!(stonith(disabled("8.4.11")), "usermode-helper");
    let there = |f: &mut Facts| answered(f).facts.node.usermode_helper_kind = Known::Is(Missing);
    assert_eq!(after(there), "warn:usermode-helper");
    assert_eq!(after(|f| { there(f); peer_resource(f).connections[0].fencing = Known::Is(Fencing::ResourceAndStonith);
                           peer_resource(f).handlers = Known::Is(entries_of(&[("fence-peer", "/x")])) }), "warn:usermode-helper");
}

#[test]
#[rustfmt::skip]
fn handlers_on_both_nodes() {
    let both = |here: &'static [(&str, &str)], there: &'static [(&str, &str)]| after(move |f| {
        handlers(here)(f);
        peer_resource(f).handlers = Known::Is(entries_of(there));
    });
    const OURS: (&str, &str) = ("split-brain", "/usr/sbin/block-drbd handler split-brain");
    const THEIRS: (&str, &str) = ("split-brain", "/usr/lib/drbd/notify-split-brain.sh");
    const SECOND: (&str, &str) = ("pri-lost", "block-drbd handler pri-lost");
    assert_eq!(both(&[OURS], &[OURS]), "");
    assert_eq!(both(&[OURS], &[]), "warn:handler-one-node");
    assert_eq!(both(&[], &[OURS]), "warn:handler-one-node");
    assert_eq!(both(&[OURS], &[THEIRS]), "warn:handler-one-node");
    assert_eq!(both(&[OURS], &[OURS, SECOND]), "warn:handler-one-node");
    assert_eq!(both(&[THEIRS], &[]), "", "another program is the administrator's matter");
    assert_eq!(after(|f| { handlers(&[OURS])(f); peer_resource(f).handlers = no() }), "");
    assert_eq!(after(|f| { handlers(&[OURS])(f); resource(f).handlers = no() }), "");
}
