//! The walkthrough in the documentation, run as a new user runs it: a real chain, a real database, the built binary.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]

#[path = "support/anvil.rs"]
mod anvil;

use std::{path::Path, process::Command};

#[test]
fn a_new_user_can_follow_recover_for_real_from_beginning_to_end() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recover-for-real.sh");
    let output = Command::new(script)
        .env("WOX", env!("CARGO_BIN_EXE_wox"))
        .env("ANVIL", anvil::binary())
        .env_remove("KEEP")
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    for chapter in ["1. Ann sends 100 G", "2. Ann takes 50 G out", "3. somebody edits a row", "4. a table is lost"] {
        assert!(told.contains(chapter), "{chapter}: {told}");
    }
    assert!(told.trim_end().ends_with("nothing twice"), "{told}");
}
