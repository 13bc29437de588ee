//! Where SQLite's file is broken, by the documented file format (sqlite.org/fileformat2.html). Two looks: whether the end
//! of the file is missing, which SQLite itself reads as zeros (sections 1.3 and 4), and which page of its B-trees cannot
//! be one, when SQLite only says that something is wrong (section 1.6). Reads only headers and pointers; what the cells
//! hold is under our own digests.

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

/// The first page that the file's header counts and that is in the file only in part or not at all. A page that stands in
/// the write-ahead log is not missing: a checkpoint that was cut off is finished when the database is opened.
pub(crate) fn first_missing_page(path: &Path, write_ahead_log: &Path) -> io::Result<Option<BrokenPage>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; HEADER_BYTES];
    if length < HEADER_BYTES as u64 || file.read_exact_at(&mut header, 0).is_err() {
        return Ok(None); // no database at all: SQLite says so itself
    }
    let Some(page_bytes) = page_bytes(&header) else { return Ok(None) };
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    // The count only counts when it was written together with the change counter.
    let counted = if word(24) == word(92) { u64::from(word(28)) } else { 0 };
    let whole = length / page_bytes as u64;
    let pages = counted.max(length.div_ceil(page_bytes as u64));
    if whole >= pages {
        return Ok(None);
    }
    let logged = logged_pages(write_ahead_log, page_bytes)?;
    let missing = (whole + 1..=pages).find(|page| !logged.contains(page));
    Ok(missing.map(|page| {
        let offset = (page - 1) * page_bytes as u64;
        let left = length.saturating_sub(offset);
        let what = format!("the file ends at byte {length}, {left} bytes into page {page} of {pages}");
        BrokenPage { offset, what }
    }))
}

/// The pages of every committed transaction in a write-ahead log; none when there is no such file.
fn logged_pages(path: &Path, page_bytes: usize) -> io::Result<BTreeSet<u64>> {
    const LOG_HEADER_BYTES: u64 = 32;
    const FRAME_HEADER_BYTES: u64 = 24;
    let mut pages = BTreeSet::new();
    let mut header = [0; LOG_HEADER_BYTES as usize];
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pages),
        Err(error) => return Err(error),
    };
    if file.read_exact_at(&mut header, 0).is_err() {
        return Ok(pages);
    }
    let mut of_this_transaction = Vec::new();
    let mut frame = [0; FRAME_HEADER_BYTES as usize];
    let mut at = LOG_HEADER_BYTES;
    while file.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == header[16..24] {
        of_this_transaction.push(u64::from(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]])));
        if frame[4..8] != [0; 4] {
            pages.extend(of_this_transaction.drain(..));
        }
        at += FRAME_HEADER_BYTES + page_bytes as u64;
    }
    Ok(pages)
}

/// The size of a page by the header of the file; `None` when it is no header of SQLite's.
fn page_bytes(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => usize::from(bytes),
    };
    (&header[..16] == b"SQLite format 3\0" && bytes >= 512 && bytes.is_power_of_two()).then_some(bytes)
}

/// The first broken page among the trees with these root pages; `None` when all of them hold together.
pub(crate) fn first_broken_page(path: &Path, roots: &[u32]) -> io::Result<Option<BrokenPage>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; HEADER_BYTES];
    if let Err(error) = file.read_exact_at(&mut header, 0) {
        return Ok(Some(BrokenPage { offset: 0, what: format!("the file header cannot be read: {error}") }));
    }
    let Some(page_bytes) = page_bytes(&header) else {
        return Ok(Some(BrokenPage { offset: 0, what: "the file header is not SQLite's".into() }));
    };
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
