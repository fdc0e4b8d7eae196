//! A directory that somebody sent, with anything under any name: every command ends
//! soon, says what it could not read, and reads nothing outside.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "support/place.rs"]
mod place;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/said.rs"]
mod said;
#[path = "support/sysfs.rs"]
mod sysfs;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept, bind, listen, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use place::Place;
use said::{Said, of};
use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any command may take, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// Every file that a dry run of the guest reads, but what it asks others for.
const FILES: [&str; 14] = [
    "proc/drbd",
    "proc/self/mountinfo",
    "proc/swaps",
    "proc/devices",
    "proc/sys/kernel/hostname",
    "etc/drbd.conf",
    "etc/xen/xl.conf",
    "etc/xen/vm.cfg",
    "etc/xen/block-drbd.toml",
    "etc/xen/scripts/block-drbd",
    "sys/block/vda/queue/write_cache",
    "run/block-drbd/claims/drbdvm.json",
    "var/lib/block-drbd/peers/drbdvm.json",
    "xenstore",
];

/// A healthy host with a guest, which is allowed.
struct Sent(Place);

impl Sent {
    fn new() -> Sent {
        let place = Place::new();
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/scenarios/drbd8.4-02-connected-secondary-secondary-uptodate");
        recorded::build(&scenario, "a", place.path());
        let sent = Sent(place);
        sent.file("etc/xen/vm.cfg", b"name = 'vm'\ndisk = ['script=block-drbd,vdev=xvda,target=drbdvm']\n");
        sent
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.emptied(path);
        fs::write(path, bytes).unwrap();
    }

    /// The path, with nothing there, but a directory for it.
    fn emptied(&self, path: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        path
    }

    /// What it answers with something else in the place of a file.
    #[track_caller]
    fn answers_with(&self, file: &str, put: impl Fn(&Path)) -> Vec<Said> {
        let (path, aside) = (self.path(file), self.path("aside"));
        let _ = fs::rename(&path, &aside);
        put(&self.emptied(file));
        let answers = self.answers();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        let _ = fs::rename(&aside, &path);
        answers
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_block-drbd"));
        command.env_clear().arg("--sysroot").arg(self.0.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command, which must end soon.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        let started = Instant::now();
        let said = of(self.command(arguments).output().unwrap());
        assert!(started.elapsed() < SOON, "{arguments:?} took {:?}", started.elapsed());
        said
    }

    /// Everything that can be asked ends and answers something.
    #[track_caller]
    fn answers(&self) -> Vec<Said> {
        let questions: [&[&str]; 2] = [&["check", "drbdvm", "/etc/xen/vm.cfg"], &["facts", "--json"]];
        let answers: Vec<Said> = questions.iter().map(|arguments| self.run(arguments)).collect();
        for (said, arguments) in answers.iter().zip(questions) {
            assert!([0, 1, 2, 3].contains(&said.code), "{arguments:?}: {said:?}");
            assert_eq!(said.out.is_empty(), !said.err.is_empty(), "{arguments:?}: {said:?}");
        }
        answers
    }
}

#[test]
fn the_sender_is_allowed_before_he_is_hostile() {
    let sent = Sent::new();
    for said in sent.answers() {
        assert_eq!(said.code, 0, "{said:?}");
    }
}

#[test]
fn what_is_no_file_is_not_read() {
    type Put = fn(&Path);
    let kinds: [Put; 5] = [
        |path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| mknod(path, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap(), // /dev/zero
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        |path| symlink(path.file_name().unwrap(), path).unwrap(),
    ];
    let sent = Sent::new();
    for put in kinds {
        for file in FILES {
            let allowed = sent.answers_with(file, put).iter().all(|said| said.code == 0);
            let nothing_to_lose =
                ["proc/devices", "etc/xen/xl.conf", "var/lib", "sys/block", "proc/sys", "etc/drbd.conf"];
            let may_pass = nothing_to_lose.iter().any(|start| file.starts_with(start));
            assert!(may_pass || !allowed, "{file} is no file, and nothing says so");
        }
    }
}

#[test]
fn what_is_enormous_is_refused() {
    let sent = Sent::new();
    let enormous = |path: &Path| File::create(path).unwrap().set_len(100 << 20).unwrap();
    for file in FILES {
        sent.answers_with(file, enormous);
    }
    enormous(&sent.emptied("proc/drbd"));
    let said = sent.run(&["check", "drbdvm"]);
    assert!(said.code == 3 && said.out.contains("/proc/drbd: it is larger than 16 MiB"), "{said:?}");
}

#[test]
fn no_link_leads_out() {
    let secret = Place::new();
    let outside = secret.path().join("secret");
    fs::write(&outside, "secret-of-the-host = 1\n").unwrap();
    let up = format!("{}{}", "../".repeat(40), outside.display());
    let sent = Sent::new();
    for file in FILES {
        for target in [outside.as_path(), Path::new(&up), Path::new("/missing")] {
            for said in sent.answers_with(file, |path| symlink(target, path).unwrap()) {
                assert!(!format!("{said:?}").contains("secret-of-the-host"), "{file}: {said:?}");
            }
        }
    }
    // A directory, too, and a link that stays inside is followed.
    fs::rename(sent.path("proc"), sent.path("elsewhere")).unwrap();
    symlink("/elsewhere", sent.path("proc")).unwrap();
    assert!(sent.answers().iter().all(|said| said.code == 0));
}

fn block_of(sent: &Sent, path: &str) -> PathBuf {
    sent.path("sys/block").join(path)
}

#[test]
fn names_and_loops_of_sysfs() {
    let sent = Sent::new();
    for name in ["a\nb", "\u{1b}[2J", "vda\u{9b}x", "..."] {
        fs::create_dir_all(block_of(&sent, &format!("vda/slaves/{name}"))).unwrap();
        fs::create_dir_all(block_of(&sent, &format!("drbd3/holders/{name}"))).unwrap();
        fs::create_dir_all(block_of(&sent, &format!("{name}/slaves/vda"))).unwrap();
    }
    let said = sent.answers();
    assert_eq!(said[0].code, 1, "{said:?}");
    assert!(said[0].out.contains("held"), "{said:?}");

    let sent = Sent::new();
    fs::remove_dir_all(block_of(&sent, "drbd3/slaves")).unwrap();
    for (path, target) in [
        ("sys/block/drbd3/slaves/dm-0", "../../dm-0"),
        ("sys/block/dm-0/slaves/dm-1", "../../dm-1"),
        ("sys/block/dm-1/slaves/dm-0", "../../dm-0"),
        ("sys/block/vdz", "vdz"),
        ("sys/block/vda/slaves/self", "."),
    ] {
        symlink(target, sent.emptied(path)).unwrap();
    }
    let said = sent.answers();
    assert!(said[1].out.contains("stands on itself"), "{said:?}");
}

#[test]
fn includes_that_never_end() {
    for text in [
        "include \"drbd.conf\";\n",
        "include \"/etc/drbd.conf\";\ninclude \"/etc/drbd.conf\";\n",
        "include \"drbd.d/*\";\n",
        "include \"/dev/zero\";\n",
        "include \"../../../../../../proc/self/environ\";\n",
    ] {
        let sent = Sent::new();
        sent.file("etc/drbd.conf", text.as_bytes());
        sent.file("etc/drbd.d/a.res", b"include \"*\";\ninclude \"../drbd.conf\";\n");
        sent.file("etc/drbd.d/b.res", b"include \"*\";\ninclude \"a.res\";\n");
        sent.answers();
    }
}

#[test]
fn others_than_root_are_told_what_they_may_not_read() {
    let sent = Sent::new();
    let as_nobody = || {
        let mut command = sent.command(&["check", "drbdvm"]);
        of(command.uid(65534).gid(65534).output().unwrap())
    };
    assert_eq!(as_nobody().code, 0, "{:?}", as_nobody());
    let facts = of(sent.command(&["facts", "--json"]).uid(65534).gid(65534).output().unwrap());
    assert_eq!((facts.code, facts.err.as_str()), (0, ""), "{facts:?}");
    for (path, named) in [
        ("xenstore", "/xenstore"),
        ("run/block-drbd", "/run/block-drbd/"),
        ("run/block-drbd/flushes", "/run/block-drbd/flushes/"),
        ("proc/drbd", "/proc/drbd"),
        ("proc/swaps", "/proc/swaps"),
        ("sys/block/drbd3/holders", "/sys/block/drbd3/holders"),
    ] {
        let path = sent.path(path);
        if !path.exists() {
            fs::create_dir_all(&path).unwrap();
        }
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
        let said = as_nobody();
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains(named) && said.out.contains("ermission denied"), "{named}: {said:?}");
        fs::set_permissions(&path, before).unwrap();
        assert_eq!(as_nobody().code, 0, "{:?}", as_nobody());
    }
}

/// What the command has opened, as strace saw it: the file behind each descriptor.
fn opened(sent: &Sent, arguments: &[&str]) -> Vec<String> {
    let log = Place::new();
    let log = log.path().join("strace");
    let command = sent.command(arguments);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=%file,connect", "-o"]).arg(&log);
    strace.arg(command.get_program()).args(command.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
    let said = of(strace.stdin(Stdio::null()).output().unwrap());
    assert!([0, 1, 2, 3].contains(&said.code), "{said:?}");
    let text = fs::read_to_string(&log).unwrap();
    let files = text.lines().filter_map(|line| Some(line.rsplit_once("= ")?.1.split_once('<')?.1));
    files.filter_map(|file| Some(file.rsplit_once('>')?.0.to_string())).collect()
}

#[test]
fn nothing_outside_is_opened() {
    let outside = Place::new();
    let secret = outside.path().join("secret");
    fs::write(&secret, "x\n").unwrap();
    let sent = Sent::new();
    let root = fs::canonicalize(sent.0.path()).unwrap();
    for file in FILES {
        let (path, aside) = (sent.path(file), sent.path("aside"));
        let _ = fs::rename(&path, &aside);
        symlink(&secret, sent.emptied(file)).unwrap();
        let files = opened(&sent, &["check", "drbdvm", "/etc/xen/vm.cfg"]);
        assert!(!files.is_empty(), "{file}: strace saw nothing");
        // The C library looks there for the end of the stack, before main (pthread_getattr_np).
        for opened in files.iter().filter(|file| !(file.starts_with("/proc/") && file.ends_with("/maps"))) {
            assert!(Path::new(&opened).starts_with(&root), "{file}: {opened} was opened");
        }
        fs::remove_file(&path).unwrap();
        let _ = fs::rename(&aside, &path);
    }
}

#[test]
fn nobody_outside_is_spoken_to() {
    let outside = Place::new();
    let sent = Sent::new();
    fs::remove_file(sent.path("xenstore")).unwrap();
    let link = |name: &str, from: &str| {
        let path = outside.path().join(name);
        symlink(&path, sent.emptied(from)).unwrap();
        path
    };
    let xenstored = UnixListener::bind(link("xenstored", "run/xenstored/socket")).unwrap();
    let log = UnixDatagram::bind(link("log", "dev/log")).unwrap();
    let kernel = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_NONBLOCK, None).unwrap();
    bind(kernel.as_raw_fd(), &UnixAddr::new(&link("kernel", "run/generic-netlink")).unwrap()).unwrap();
    listen(&kernel, Backlog::new(1).unwrap()).unwrap();
    xenstored.set_nonblocking(true).unwrap();
    log.set_nonblocking(true).unwrap();
    for arguments in
        [&["check", "drbdvm"][..], &["status"], &["facts"], &["check", "x", "--config", "/missing"]]
    {
        sent.run(arguments);
        let heard = [
            xenstored.accept().is_ok(),
            log.recv(&mut [0; 16]).is_ok(),
            accept(kernel.as_raw_fd()) != Err(Errno::EAGAIN),
        ];
        assert_eq!(heard, [false; 3], "{arguments:?}: xenstored, log, kernel");
    }
}
