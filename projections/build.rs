//! Hashes the source of the two pure crates into `WOX_FOLD_HASH`. A snapshot names the hash of the code that
//! folded it, so a changed fold never reads an old snapshot (mission.md M30).

#![allow(clippy::disallowed_methods, reason = "a build script reads the sources it hashes; the crate itself does not")]

use sha2::{Digest, Sha256};
use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let mut hasher = Sha256::new();
    for folder in ["../events/src", "src"] {
        println!("cargo:rerun-if-changed={folder}");
        hash_folder(Path::new(folder), &mut hasher)?;
    }
    let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo:rustc-env=WOX_FOLD_HASH={}", &hash[..32]);
    println!("cargo:rerun-if-changed={}", env::var("CARGO_MANIFEST_DIR").unwrap_or_default() + "/Cargo.toml");
    Ok(())
}

fn hash_folder(folder: &Path, hasher: &mut Sha256) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            let bytes = fs::read(&path)?;
            hasher.update(entry.file_name().as_encoded_bytes());
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(&bytes);
        }
    }
    Ok(())
}
