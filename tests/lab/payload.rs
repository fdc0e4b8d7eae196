//! The smallest guest: it does nothing but wait to be suspended.
//!
//! A PVH kernel in some hundred bytes, so that a guest starts, is saved and
//! moves within seconds under emulation. It has no driver: blkback opens its
//! disk when `add` hands it over, and never hears of a frontend.
//!
//! libxl asks a PVH guest to suspend through the event channel whose port stands
//! in `device/suspend/event-channel` (libxl_dom_suspend.c). This guest makes the
//! channel and cannot speak xenstore: [`crate::guest::Guest::is_suspendable`]
//! writes the port for it. Hypercalls are made with `vmmcall`, because TCG gives
//! Xen AMD's virtualisation and no other.

/// What Xen calls the reason of a crash (SHUTDOWN_crash of xen/include/public/sched.h).
const CRASH: u32 = 3;
/// SHUTDOWN_suspend.
const SUSPEND: u32 = 2;
/// SHUTDOWN_soft_reset.
const SOFT_RESET: u32 = 5;

/// Where the file is loaded, whole.
const BASE: u32 = 0x10_0000;
/// Where the code and the data lie in the file.
const CODE: usize = 0x100;
const DATA: usize = 0x200;

const MEMORY_OP: u32 = 12;
const ADD_TO_PHYSMAP: u32 = 7;
const SCHED_OP: u32 = 29;
const SHUTDOWN: u32 = 2;
const POLL: u32 = 3;
const EVENT_CHANNEL_OP: u32 = 32;
const CLOSE: u32 = 3;
const ALLOC_UNBOUND: u32 = 6;

/// "This domain" (DOMID_SELF).
const SELF: u32 = 0x7ff0;

/// The page at which the guest sees Xen's shared information: far above its memory.
const SHARED_PAGE: u32 = 0xf_e700;
/// Where in that page the pending event channels are, one bit each.
const PENDING: u32 = 2048;

/// The event channel's port: libxl gives a new domain two, xenstore's and the console's.
pub const PORT: u32 = 3;

/// Waits for the request to suspend, suspends, and waits again after it was resumed or restored.
pub fn idle() -> Vec<u8> {
    let mut data = Vec::new();
    let code = suspends(&mut data);
    file(&code, &data)
}

/// Asks for a soft reset, and is idle after it.
pub fn soft_reset() -> Vec<u8> {
    let mut data = SOFT_RESET.to_le_bytes().to_vec();
    let reset = hypercall(SCHED_OP, SHUTDOWN, address(DATA));
    let code = [reset, suspends(&mut data)].concat();
    file(&code, &data)
}

/// The code that does so wherever it stands, and what it needs, appended to `data`.
fn suspends(data: &mut Vec<u8>) -> Vec<u8> {
    let mut put = |words: &[u32]| {
        let at = address(DATA + data.len());
        data.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    };
    let shared = put(&[SELF, 0, 0, SHARED_PAGE]);
    let port = put(&[PORT]);
    let channel = put(&[SELF, 0]);
    // The handle of the ports, their number, and no timeout.
    let poll = put(&[port, 1, 0, 0]);
    let reason = put(&[SUSPEND]);

    let start = [
        hypercall(MEMORY_OP, ADD_TO_PHYSMAP, shared),
        // A port that was used keeps its pending bit until it is closed.
        hypercall(EVENT_CHANNEL_OP, CLOSE, port),
        hypercall(EVENT_CHANNEL_OP, ALLOC_UNBOUND, channel),
    ]
    .concat();
    let mut wait = hypercall(SCHED_OP, POLL, poll);
    // bt [pending], PORT; jnc wait: the poll may return without an event.
    wait.extend([0x0f, 0xba, 0x25]);
    wait.extend((SHARED_PAGE * 4096 + PENDING).to_le_bytes());
    wait.push(PORT.to_le_bytes()[0]);
    jump(0x73, &mut wait);
    let mut code = [start, wait, hypercall(SCHED_OP, SHUTDOWN, reason)].concat();
    jump(0xeb, &mut code);
    code
}

/// Crashes at once.
pub fn crash() -> Vec<u8> {
    file(&hypercall(SCHED_OP, SHUTDOWN, address(DATA)), &CRASH.to_le_bytes())
}

fn address(place: usize) -> u32 {
    BASE + u32::try_from(place).unwrap_or_default()
}

/// mov eax, NUMBER; mov ebx, OPERATION; mov ecx, ARGUMENT; vmmcall.
fn hypercall(number: u32, operation: u32, argument: u32) -> Vec<u8> {
    let mut code = Vec::new();
    for (load, value) in [(0xb8, number), (0xbb, operation), (0xb9, argument)] {
        code.push(load);
        code.extend(value.to_le_bytes());
    }
    code.extend([0x0f, 0x01, 0xd9]);
    code
}

/// A short jump, back to the first byte of the code.
fn jump(opcode: u8, code: &mut Vec<u8>) {
    let distance = code.len() + 2;
    code.extend([opcode, distance.to_le_bytes()[0].wrapping_neg()]);
}

/// An ELF file of one segment and Xen's note that names the entry point (XEN_ELFNOTE_PHYS32_ENTRY).
fn file(code: &[u8], data: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 52;
    const SEGMENT: u32 = 32;
    const NOTE: u32 = HEADER + 2 * SEGMENT;
    const NOTE_SIZE: u32 = 20;
    let size = address(DATA + data.len()) - BASE;
    let entry = address(CODE);
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_386; no sections.
    let half =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()[..2].to_vec()).collect() };
    let word = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    file.extend(half(&[2, 3]));
    file.extend(word(&[1, entry, HEADER, 0, 0]));
    file.extend(half(&[HEADER, SEGMENT, 2, 40, 0, 0]));
    // PT_LOAD and PT_NOTE: offset, virtual and physical address, sizes, flags, alignment.
    file.extend(word(&[1, 0, BASE, BASE, size, size, 7, 4096]));
    file.extend(word(&[4, NOTE, BASE + NOTE, BASE + NOTE, NOTE_SIZE, NOTE_SIZE, 4, 4]));
    file.extend(word(&[4, 4, 18]));
    file.extend(b"Xen\0");
    file.extend(word(&[entry]));
    file.resize(CODE, 0);
    file.extend(code);
    file.resize(DATA, 0);
    file.extend(data);
    file
}
