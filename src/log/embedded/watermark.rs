//! The watermark: how far the log was durable, written a second time in a file of its own (R12).
//!
//! A hash chain does not see that its end was cut off; this file does. Two fixed slots are written in turn, each with
//! its own checksum, so that a torn write leaves the other. It must not know SQLite.
//!
//! One slot, 112 bytes, at byte 0 and at byte 512 (two sectors), integers big-endian:
//! `WOXMARK1` · sequence u64 · log id 16 · epoch u64 · position u64 · root 32 · SHA-256 of all that, 32.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use uuid::Uuid;
use wox_events::{Digest, LogId, Position};

use crate::log::Head;

const MAGIC: &[u8; 8] = b"WOXMARK1";
const SLOT_BYTES: usize = 112;
const BODY_BYTES: usize = SLOT_BYTES - 32;
const SLOT_OFFSETS: [u64; 2] = [0, 512];

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The newer valid slot.
    pub(crate) newest: Option<Mark>,
    /// Byte offsets of slots that are not valid.
    pub(crate) damaged: Vec<u64>,
}

/// One valid slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) head: Head,
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct WatermarkFile {
    file: File,
    sequence: u64,
}

impl WatermarkFile {
    /// Creates the file with both slots at `head` and syncs it.
    pub(crate) fn create(path: &Path, head: &Head) -> io::Result<WatermarkFile> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let mut watermark = WatermarkFile { file, sequence: 0 };
        watermark.write(head)?;
        watermark.write(head)?;
        Ok(watermark)
    }

    /// Opens the file for writing after `reading`, and writes both slots again when one is damaged.
    pub(crate) fn open(path: &Path, reading: &Reading) -> io::Result<WatermarkFile> {
        let file = File::options().read(true).write(true).open(path)?;
        Ok(WatermarkFile { file, sequence: reading.newest.map_or(0, |mark| mark.sequence) })
    }

    /// Writes the slot that is not the newest, then syncs. An error leaves the outcome unknown: never retry (R11).
    pub(crate) fn write(&mut self, head: &Head) -> io::Result<()> {
        let sequence = self.sequence + 1;
        let offset = SLOT_OFFSETS[(sequence % 2) as usize];
        self.file.write_all_at(&encode(&Mark { sequence, head: *head }), offset)?;
        self.file.sync_data()?;
        self.sequence = sequence;
        Ok(())
    }
}

/// Reads both slots.
pub(crate) fn read(path: &Path) -> io::Result<Reading> {
    // Both slots and one byte: a longer file is no watermark, and is not read into memory.
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, 1024), &mut bytes)?;
    let slots = SLOT_OFFSETS.map(|offset| {
        let start = offset as usize;
        bytes.get(start..start + SLOT_BYTES).and_then(decode)
    });
    let damaged = SLOT_OFFSETS.into_iter().zip(&slots).filter(|(_, slot)| slot.is_none()).map(|(at, _)| at).collect();
    Ok(Reading { newest: slots.into_iter().flatten().max_by_key(|mark| mark.sequence), damaged })
}

fn encode(mark: &Mark) -> [u8; SLOT_BYTES] {
    let mut out = Vec::with_capacity(SLOT_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&mark.sequence.to_be_bytes());
    out.extend_from_slice(mark.head.log.0.as_bytes());
    out.extend_from_slice(&mark.head.epoch.to_be_bytes());
    out.extend_from_slice(&mark.head.position.0.to_be_bytes());
    out.extend_from_slice(&mark.head.root.0);
    out.extend_from_slice(&Digest::of(&out).0);
    out.try_into().expect("the fields above are 112 bytes")
}

fn decode(slot: &[u8]) -> Option<Mark> {
    let (body, checksum) = slot.split_at_checked(BODY_BYTES)?;
    if checksum != Digest::of(body).0 || !body.starts_with(MAGIC) {
        return None;
    }
    let number = |at: usize| Some(u64::from_be_bytes(body.get(at..at + 8)?.try_into().ok()?));
    Some(Mark {
        sequence: number(8)?,
        head: Head {
            log: LogId(Uuid::from_slice(body.get(16..32)?).ok()?),
            epoch: number(32)?,
            position: Position(number(40)?),
            root: Digest(body.get(48..80)?.try_into().ok()?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(position: u64) -> Head {
        Head {
            log: LogId(Uuid::from_u128(7)),
            epoch: 1,
            position: Position(position),
            root: Digest::of(&position.to_be_bytes()),
        }
    }

    #[test]
    fn every_flipped_byte_of_a_slot_is_noticed_and_the_other_slot_stands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watermark");
        let mut file = WatermarkFile::create(&path, &head(0)).unwrap();
        file.write(&head(5)).unwrap();
        file.write(&head(9)).unwrap();
        assert_eq!(read(&path).unwrap().newest.unwrap().head, head(9));
        let sound = std::fs::read(&path).unwrap();
        for at in (0..SLOT_BYTES).chain(512..512 + SLOT_BYTES) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let reading = read(&path).unwrap();
            assert_eq!(reading.damaged, [if at < 512 { 0 } else { 512 }]);
            assert!([head(5), head(9)].contains(&reading.newest.unwrap().head));
        }
    }

    #[test]
    fn writing_goes_on_after_opening_and_a_cut_file_has_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watermark");
        WatermarkFile::create(&path, &head(3)).unwrap();
        let reading = read(&path).unwrap();
        WatermarkFile::open(&path, &reading).unwrap().write(&head(4)).unwrap();
        assert_eq!(read(&path).unwrap().newest.unwrap().head, head(4));
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read(&path).unwrap(), Reading { newest: None, damaged: vec![0, 512] });
    }
}
