//! Rebuilds the binary when a migration is added: `sqlx::migrate!` cannot notice a new file by itself.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
