//! Whether there is a stdout to print results on. The standard library hides it: it opens `/dev/null` in place of a closed
//! descriptor before `main`, and takes a write to a descriptor that is not open for writing for a success. A result that
//! went there is lost, and the run would say that all is well.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use crate::cli::CliError;

static CLOSED_AT_START: AtomicBool = AtomicBool::new(false);

/// Looks before the standard library does. The loader calls what stands in this section before `main`.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the only way to run before the standard library; it reads one flag and stores another")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

#[cfg(target_os = "linux")]
extern "C" fn look() {
    if rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err() {
        CLOSED_AT_START.store(true, Ordering::Relaxed);
    }
}

/// Fails when what is printed on stdout goes nowhere. Asked before anything is done: what is done could not be told.
pub(super) fn check() -> Result<(), CliError> {
    let unwritable = |what: &str| {
        Err(CliError::failed("wox::output::write", format!("the result cannot be written: {what}"))
            .next("give the command a stdout: a file, a pipe, or /dev/null; nothing was done"))
    };
    if CLOSED_AT_START.load(Ordering::Relaxed) {
        return unwritable("stdout is closed");
    }
    match rustix::fs::fcntl_getfl(rustix::stdio::stdout()) {
        Ok(flags) if flags & OFlags::ACCMODE == OFlags::RDONLY => unwritable("stdout is open for reading only"),
        // What cannot be asked shows when it is written to.
        Ok(_) | Err(_) => Ok(()),
    }
}
