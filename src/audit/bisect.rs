//! The search for the first bad position between one that is good and one that is bad, when every look is dear: halve,
//! and step aside from positions that cannot be judged. Pure: whoever judges tells the search what came out.
//!
//! As git bisect does, it assumes that what is bad stays bad up to the bad end. Where that does not hold it still ends
//! at a position that is bad and whose neighbour before is good.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wox_events::Position;

/// What a look at one position says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Judged {
    /// Nothing is wrong there.
    Good,
    /// Something is wrong there.
    Bad,
    /// It cannot be told there.
    Skip,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at this position.
    Look(Position),
    /// This is the first bad position.
    Found(Position),
    /// It is one of these, both included; nothing between can be judged.
    Among(Position, Position),
}

/// A verdict that contradicts what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {position} is judged {judged}, but {good} is good and {bad} is bad")]
pub struct Contradiction {
    /// The position.
    pub position: Position,
    /// What was said of it.
    pub judged: Judged,
    /// The last good position.
    pub good: Position,
    /// The first bad one.
    pub bad: Position,
}

/// A search under way: everything up to `good` is good, `bad` is bad.
#[derive(Clone, Debug)]
pub struct Search {
    good: Position,
    bad: Position,
    skipped: BTreeSet<Position>,
}

impl Search {
    /// A search between a good and a later bad position; `None` when they are not in this order.
    #[must_use]
    pub fn between(good: Position, bad: Position) -> Option<Search> {
        (good < bad).then(|| Search { good, bad, skipped: BTreeSet::new() })
    }

    /// The last position known to be good.
    #[must_use]
    pub fn good(&self) -> Position {
        self.good
    }

    /// The first position known to be bad.
    #[must_use]
    pub fn bad(&self) -> Position {
        self.bad
    }

    /// Where to look next, or where the search has ended.
    #[must_use]
    pub fn next(&self) -> Next {
        let (low, high) = (self.good.0 + 1, self.bad.0);
        if low == high {
            return Next::Found(self.bad);
        }
        let between = high - low;
        let skipped = self.skipped.range(Position(low)..Position(high)).count() as u64;
        if skipped == between {
            return Next::Among(Position(low), self.bad);
        }
        let aim = low + offset(between, skipped);
        let free = |position: &u64| !self.skipped.contains(&Position(*position));
        let (up, down) = ((aim..high).find(free), (low..aim).rev().find(free));
        let nearest = match (down, up) {
            (Some(down), Some(up)) if aim - down < up - aim => down,
            (Some(down), None) => down,
            (_, Some(up)) => up,
            (None, None) => unreachable!("fewer positions are skipped than there are"),
        };
        Next::Look(Position(nearest))
    }

    /// At most so many looks are left, when none of them has to be skipped.
    #[must_use]
    pub fn looks_left(&self) -> u32 {
        u64::BITS - (self.bad.0 - self.good.0 - 1).leading_zeros()
    }

    /// Takes in what a look said. What follows from the ends already is taken in silence; what contradicts them is not.
    pub fn judge(&mut self, position: Position, judged: Judged) -> Result<(), Contradiction> {
        let inside = self.good < position && position < self.bad;
        match judged {
            Judged::Good if position >= self.bad => Err(()),
            Judged::Bad if position <= self.good => Err(()),
            Judged::Good if inside => {
                self.good = position;
                Ok(())
            }
            Judged::Bad if inside => {
                self.bad = position;
                Ok(())
            }
            Judged::Skip if inside => {
                self.skipped.insert(position);
                Ok(())
            }
            Judged::Good | Judged::Bad | Judged::Skip => Ok(()),
        }
        .map_err(|()| Contradiction { position, judged, good: self.good, bad: self.bad })
    }
}

/// Where to aim in a run of `between` positions: the middle, and after each skip elsewhere: at a quarter, three quarters,
/// an eighth, … (the van der Corput sequence), so that a cluster that cannot be judged is left quickly.
fn offset(between: u64, skipped: u64) -> u64 {
    let fraction = (skipped + 1).reverse_bits();
    ((u128::from(between) * u128::from(fraction)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a search over a truth; returns its end and the number of looks.
    fn run(good: u64, bad: u64, judge: impl Fn(u64) -> Judged) -> (Next, u32) {
        let mut search = Search::between(Position(good), Position(bad)).unwrap();
        let mut looks = 0;
        loop {
            match search.next() {
                Next::Look(position) => {
                    assert!(position.0 > good && position.0 < bad, "{position} is outside");
                    search.judge(position, judge(position.0)).unwrap();
                    looks += 1;
                    assert!(u64::from(looks) <= bad - good, "it goes round in circles");
                }
                end => return (end, looks),
            }
        }
    }

    fn plain(first_bad: u64) -> impl Fn(u64) -> Judged {
        move |position| if position < first_bad { Judged::Good } else { Judged::Bad }
    }

    #[test]
    fn the_first_bad_position_is_found_wherever_it_is() {
        for first in 1..=200 {
            let (end, looks) = run(0, 200, plain(first));
            assert_eq!(end, Next::Found(Position(first)));
            assert!(looks <= 8, "{looks} looks");
        }
        assert_eq!(run(0, u64::MAX, plain(12_345)).0, Next::Found(Position(12_345)));
    }

    #[test]
    fn skips_hide_no_more_than_they_must() {
        for first in 1..=60u64 {
            for (from, to) in [(1, 59), (20, 40), (29, 31), (30, 30)] {
                let skips = |position: u64| (from..=to).contains(&position);
                let judge = |position| if skips(position) { Judged::Skip } else { plain(first)(position) };
                let last_good = (0..first).rev().find(|position| !skips(*position)).unwrap();
                let first_known = (first..=60).find(|position| *position == 60 || !skips(*position)).unwrap();
                let expected = match (last_good + 1, first_known) {
                    (low, high) if low == high => Next::Found(Position(high)),
                    (low, high) => Next::Among(Position(low), Position(high)),
                };
                assert_eq!(run(0, 60, judge).0, expected, "first bad {first}, skipped {from} to {to}");
            }
        }
    }

    #[test]
    fn a_verdict_against_the_ends_is_a_contradiction_and_the_wrong_order_is_no_search() {
        let mut search = Search::between(Position(10), Position(20)).unwrap();
        assert!(search.judge(Position(20), Judged::Good).is_err());
        assert!(search.judge(Position(10), Judged::Bad).is_err());
        assert!(search.judge(Position(5), Judged::Good).is_ok());
        assert!(Search::between(Position(10), Position(10)).is_none());
    }
}
