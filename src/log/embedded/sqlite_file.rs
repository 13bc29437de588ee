//! Where SQLite's file is broken, when SQLite only says that it is: walks its B-trees by the documented file format
//! (sqlite.org/fileformat2.html, sections 1.3 and 1.6) and names the first page that cannot be one. Reads only headers
//! and pointers; what the cells hold is under our own digests.

use std::{collections::BTreeSet, fs::File, io, os::unix::fs::FileExt, path::Path};

/// A page that cannot be what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenPage {
    /// Where the page begins in the file.
    pub(crate) offset: u64,
    /// What is wrong with it.
    pub(crate) what: String,
}

const HEADER_BYTES: usize = 100;

/// The first broken page among the trees with these root pages; `None` when all of them hold together.
pub(crate) fn first_broken_page(path: &Path, roots: &[u32]) -> io::Result<Option<BrokenPage>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; HEADER_BYTES];
    if let Err(error) = file.read_exact_at(&mut header, 0) {
        return Ok(Some(BrokenPage { offset: 0, what: format!("the file header cannot be read: {error}") }));
    }
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => usize::from(bytes),
    };
    if &header[..16] != b"SQLite format 3\0" || page_bytes < 512 || !page_bytes.is_power_of_two() {
        return Ok(Some(BrokenPage { offset: 0, what: "the file header is not SQLite's".into() }));
    }
    let pages = length / page_bytes as u64;
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<(u32, Option<bool>)> =
        std::iter::once(&1).chain(roots).rev().map(|root| (*root, None)).collect();
    let mut page = vec![0; page_bytes];
    while let Some((number, of_table)) = waiting.pop() {
        let offset = u64::from(number.saturating_sub(1)) * page_bytes as u64;
        let broken = |what: &str| Ok(Some(BrokenPage { offset, what: format!("page {number} {what}") }));
        if number == 0 || u64::from(number) > pages {
            return broken("is beyond the end of the file");
        }
        if !seen.insert(number) {
            if of_table.is_none() {
                continue;
            }
            return broken("stands in two places of a tree");
        }
        file.read_exact_at(&mut page, offset)?;
        match children(&page, if number == 1 { HEADER_BYTES } else { 0 }, of_table) {
            Ok((is_table, children)) => waiting.extend(children.into_iter().rev().map(|child| (child, Some(is_table)))),
            Err(what) => return broken(what),
        }
    }
    Ok(None)
}

/// Whether a page belongs to a table, and the pages below it; what is wrong with it otherwise.
fn children(page: &[u8], header: usize, of_table: Option<bool>) -> Result<(bool, Vec<u32>), &'static str> {
    let u16_at = |at: usize| page.get(at..at + 2).map(|bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1]));
    let u32_at = |at: usize| {
        page.get(at..at + 4).map(|bytes| bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
    };
    let (is_table, is_leaf) = match page.get(header) {
        Some(2) => (false, false),
        Some(5) => (true, false),
        Some(10) => (false, true),
        Some(13) => (true, true),
        _ => return Err("has no page type"),
    };
    if of_table.is_some_and(|of_table| of_table != is_table) {
        return Err("belongs to another kind of tree");
    }
    let pointers = header + if is_leaf { 8 } else { 12 };
    let cells = u16_at(header + 3).ok_or("is too short")?;
    let mut below = Vec::new();
    for cell in 0..cells {
        let at = u16_at(pointers + 2 * cell).ok_or("counts more cells than it can hold")?;
        if at < pointers + 2 * cells || at + 4 > page.len() {
            return Err("points outside itself");
        }
        if !is_leaf {
            below.push(u32_at(at).ok_or("is too short")?);
        }
    }
    if !is_leaf {
        below.push(u32_at(header + 8).ok_or("is too short")?);
    }
    Ok((is_table, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_without_a_type_is_named_by_its_offset() {
        let dir = tempfile::tempdir().unwrap();
        let log = super::super::EmbeddedLog::create(dir.path().join("s"), Default::default()).await.unwrap();
        log.close().await;
        drop(log);
        let path = dir.path().join("s/log.sqlite");
        assert_eq!(first_broken_page(&path, &[]).unwrap(), None);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let broken = first_broken_page(&path, &[2]).unwrap().unwrap();
        assert_eq!(broken, BrokenPage { offset: 4096, what: "page 2 has no page type".into() });
    }
}
