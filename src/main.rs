//! Arguments in, exit code out; the program is in the library.

fn main() {}
