//! What pairings follow from a draw and its results. Pure arithmetic; the fold compares it with what the game stated.

use wox_events::{PlayerId, tournament::Pairing};

/// Round 1 of single elimination: the bracket is as wide as the next power of two, seed *i* meets seed
/// *width − 1 − i*, so the missing opponents (byes) fall to the first seeds.
#[must_use]
pub fn first_round(seeds: &[PlayerId]) -> Vec<Pairing> {
    let width = seeds.len().next_power_of_two().max(2);
    (0..width / 2)
        .map(|slot| Pairing { first: seeds.get(slot).cloned(), second: seeds.get(width - 1 - slot).cloned() })
        .collect()
}

/// A later round of single elimination: the winners of slots 2j and 2j + 1 meet in slot j.
#[must_use]
pub fn next_round(winners: &[PlayerId]) -> Vec<Pairing> {
    winners.chunks(2).map(|pair| Pairing { first: pair.first().cloned(), second: pair.get(1).cloned() }).collect()
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
