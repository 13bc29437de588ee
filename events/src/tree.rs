//! The Merkle tree over the log (RFC 6962), kept as a *compact range*: the roots of the perfect subtrees that cover
//! the leaves so far, largest first. Sixty-four digests stand for any log, so the root costs no memory.
//!
//! Made here and not taken from `ct-merkle` because that crate keeps every leaf in memory; the tests check every root
//! against it.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The perfect subtrees that cover a log of `size` leaves.
///
/// ```
/// use wox_events::{Digest, tree::CompactRange};
/// let mut range = CompactRange::default();
/// range.push(Digest::leaf(b"first"));
/// range.push(Digest::leaf(b"second"));
/// assert_eq!(range.root(), Digest::node(&Digest::leaf(b"first"), &Digest::leaf(b"second")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactRange {
    size: u64,
    subtrees: Vec<Digest>,
}

impl CompactRange {
    /// Adds one leaf hash at the end.
    pub fn push(&mut self, leaf: Digest) {
        self.carry(1, leaf);
    }

    /// Adds the root of a perfect subtree of `2^level` leaves at the end. The size so far must be a multiple of its
    /// width, otherwise the subtree does not stand in the tree at all.
    pub fn push_subtree(&mut self, level: u32, root: Digest) -> Result<(), Misaligned> {
        let width = 1u64.checked_shl(level).ok_or(Misaligned)?;
        if !self.size.is_multiple_of(width) {
            return Err(Misaligned);
        }
        self.carry(width, root);
        Ok(())
    }

    /// Binary addition: while a subtree of the same width stands to the left, the two become one of twice the width.
    fn carry(&mut self, width: u64, root: Digest) {
        let mut carried = root;
        let mut bit = width;
        while self.size & bit != 0 {
            let left = self.subtrees.pop().expect("one subtree stands for every bit set in the size");
            carried = Digest::node(&left, &carried);
            bit <<= 1;
        }
        self.subtrees.push(carried);
        self.size += width;
    }

    /// How many leaves are covered.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The RFC 6962 tree head; for no leaves the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else { return Digest::of(b"") };
        subtrees.fold(*last, |right, left| Digest::node(left, &right))
    }
}

/// A subtree that does not stand at a multiple of its own width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("subtree is not aligned to its width")]
pub struct Misaligned;
