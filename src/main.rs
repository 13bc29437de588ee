//! wox
fn main() {}
