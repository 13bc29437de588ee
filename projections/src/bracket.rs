//! What pairings follow from a draw and its results. Pure arithmetic; the fold compares it with what the game stated.

use std::collections::BTreeSet;

use wox_events::{PlayerId, tournament::Pairing};

/// One match as the game stated and decided it.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// Who was to meet.
    pub pairing: &'a Pairing,
    /// Who won, once it is decided.
    pub winner: Option<&'a PlayerId>,
}

/// Round 1 of single elimination: the bracket is as wide as the next power of two, seed *i* meets seed
/// *width − 1 − i*, so the missing opponents (byes) fall to the first seeds.
#[must_use]
pub fn first_round(seeds: &[PlayerId]) -> Vec<Pairing> {
    let width = seeds.len().next_power_of_two().max(2);
    (0..width / 2)
        .map(|slot| Pairing { first: seeds.get(slot).cloned(), second: seeds.get(width - 1 - slot).cloned() })
        .collect()
}

/// A later round of single elimination: the winners of slots 2j and 2j + 1 meet in slot j. A side is missing while the
/// match it comes from has no winner.
#[must_use]
pub fn next_round(winners: &[Option<PlayerId>]) -> Vec<Pairing> {
    let side = |winner: Option<&Option<PlayerId>>| winner.cloned().flatten();
    winners.chunks(2).map(|pair| Pairing { first: side(pair.first()), second: side(pair.get(1)) }).collect()
}

/// Single elimination: who must meet in every match of every round. A match that other people played than had to counts
/// for nobody, so whoever would come out of it is missing in the next round, and so on to the final.
#[must_use]
pub fn rightful(seeds: &[PlayerId], rounds: &[Vec<Match<'_>>]) -> Vec<Vec<Pairing>> {
    let mut rightful: Vec<Vec<Pairing>> = Vec::with_capacity(rounds.len());
    for round in 0..rounds.len() {
        let pairings = match round.checked_sub(1) {
            None => first_round(seeds),
            Some(before) => next_round(&winners(&rightful[before], &rounds[before])),
        };
        rightful.push(pairings);
    }
    rightful
}

/// The winners of one round whose matches were played by the right people.
fn winners(rightful: &[Pairing], played: &[Match<'_>]) -> Vec<Option<PlayerId>> {
    let winner = |(slot, pairing)| {
        let played: &Match<'_> = played.get(slot)?;
        played.winner.filter(|_| played.pairing == pairing).cloned()
    };
    rightful.iter().enumerate().map(winner).collect()
}

/// The matches (round and slot, both from 0) whose pairing is not the one it must be: the wrong ones and everything that
/// stands on them. The other half of a bracket is never among them.
#[must_use]
pub fn blast_radius(seeds: &[PlayerId], rounds: &[Vec<Match<'_>>]) -> BTreeSet<(usize, usize)> {
    let mut radius = BTreeSet::new();
    for (round, (must, is)) in rightful(seeds, rounds).iter().zip(rounds).enumerate() {
        let slots = 0..must.len().max(is.len());
        radius.extend(
            slots
                .filter(|slot| must.get(*slot) != is.get(*slot).map(|played| played.pairing))
                .map(|slot| (round, slot)),
        );
    }
    radius
}

/// How many rounds single elimination takes.
#[must_use]
pub fn elimination_rounds(players: usize) -> u32 {
    players.next_power_of_two().max(2).trailing_zeros()
}

/// One round (from 0) of a round robin by the circle method: the first stays, the others turn; with an odd number of
/// players whoever meets the gap rests.
#[must_use]
pub fn round_robin(seeds: &[PlayerId], round: usize) -> Vec<Pairing> {
    let seats = seeds.len() + seeds.len() % 2;
    if seats < 2 {
        return Vec::new();
    }
    let circle = seats - 1;
    let seat = |index: usize| if index == 0 { 0 } else { (index - 1 + circle - round % circle) % circle + 1 };
    (0..seats / 2)
        .map(|slot| {
            let (first, second) = (seat(slot), seat(seats - 1 - slot));
            Pairing { first: seeds.get(first).cloned(), second: seeds.get(second).cloned() }
        })
        .collect()
}

/// How many rounds a round robin takes.
#[must_use]
pub fn round_robin_rounds(players: usize) -> usize {
    (players + players % 2).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(count: usize) -> Vec<PlayerId> {
        (0..count).map(|index| PlayerId::new(index.to_string()).unwrap()).collect()
    }

    #[test]
    fn five_players_give_three_byes_to_the_first_seeds() {
        let round = first_round(&seeds(5));
        let byes: Vec<bool> = round.iter().map(|pairing| pairing.second.is_none()).collect();
        assert_eq!(byes, [true, true, true, false]);
    }

    #[test]
    fn everybody_meets_everybody_once_in_a_round_robin() {
        for players in 2..14 {
            let seeds = seeds(players);
            let mut met = std::collections::BTreeSet::new();
            for round in 0..round_robin_rounds(players) {
                let mut busy = std::collections::BTreeSet::new();
                for Pairing { first, second } in round_robin(&seeds, round) {
                    for player in [&first, &second].into_iter().flatten() {
                        assert!(busy.insert(player.clone()), "{player} twice in round {round} of {players}");
                    }
                    if let (Some(first), Some(second)) = (first, second) {
                        let pair = if first < second { (first, second) } else { (second, first) };
                        assert!(met.insert(pair), "a pair meets twice among {players}");
                    }
                }
            }
            assert_eq!(met.len(), players * (players - 1) / 2, "{players} players");
        }
    }
}
