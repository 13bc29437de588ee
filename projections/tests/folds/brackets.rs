//! The blast radius of a wrong result, held against brute force (row R10).

use std::collections::BTreeSet;

use proptest::prelude::*;
use wox_events::{PlayerId, tournament::Pairing};
use wox_projections::bracket::{Match, blast_radius, elimination_rounds, first_round, next_round, rightful};

/// A bracket as it was played: pairings and winners of every round.
type Played = Vec<Vec<(Pairing, PlayerId)>>;

fn seeds(players: usize) -> Vec<PlayerId> {
    (0..players).map(|index| PlayerId::new(format!("p{index:02}")).unwrap()).collect()
}

/// Plays a bracket; the first side wins where `upset` does not say otherwise.
fn play(seeds: &[PlayerId], upset: &dyn Fn(usize, usize) -> bool) -> Played {
    let mut rounds: Played = Vec::new();
    for round in 0..elimination_rounds(seeds.len()) as usize {
        let pairings = match rounds.last() {
            None => first_round(seeds),
            Some(before) => next_round(&before.iter().map(|(_, winner)| Some(winner.clone())).collect::<Vec<_>>()),
        };
        let decide = |(slot, pairing): (usize, Pairing)| {
            let winner = match (&pairing.first, &pairing.second) {
                (Some(first), Some(second)) => {
                    if upset(round, slot) {
                        second
                    } else {
                        first
                    }
                }
                (only, None) | (None, only) => only.as_ref().unwrap(),
            };
            let winner = winner.clone();
            (pairing, winner)
        };
        rounds.push(pairings.into_iter().enumerate().map(decide).collect());
    }
    rounds
}

fn matches(played: &Played) -> Vec<Vec<Match<'_>>> {
    played
        .iter()
        .map(|round| round.iter().map(|(pairing, winner)| Match { pairing, winner: Some(winner) }).collect())
        .collect()
}

/// Every match whose pairing could be another one, had the wrong match gone the other way: all outcomes of all later
/// matches are tried.
fn by_brute_force(
    seeds: &[PlayerId],
    played: &Played,
    upset: &dyn Fn(usize, usize) -> bool,
    wrong: (usize, usize),
) -> BTreeSet<(usize, usize)> {
    let later: Vec<(usize, usize)> =
        (wrong.0 + 1..played.len()).flat_map(|round| (0..played[round].len()).map(move |slot| (round, slot))).collect();
    let mut found = BTreeSet::new();
    for outcome in 0..1_u32 << later.len() {
        let other = play(seeds, &|round, slot| match later.iter().position(|place| *place == (round, slot)) {
            Some(bit) => outcome >> bit & 1 == 1,
            None => upset(round, slot) != ((round, slot) == wrong),
        });
        let same_later = play(seeds, &|round, slot| match later.iter().position(|place| *place == (round, slot)) {
            Some(bit) => outcome >> bit & 1 == 1,
            None => upset(round, slot),
        });
        for (round, (one, two)) in other.iter().zip(&same_later).enumerate() {
            let differ = one.iter().zip(two).enumerate().filter(|(_, ((one, _), (two, _)))| one != two);
            found.extend(differ.map(|(slot, _)| (round, slot)));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_blast_radius_is_what_brute_force_finds(
        players in 2_usize..=8, upsets in any::<u16>(), round in 0_usize..3, slot in 0_usize..4,
    ) {
        let seeds = seeds(players);
        let upset = |round: usize, slot: usize| upsets >> (round * 4 + slot) & 1 == 1;
        let played = play(&seeds, &upset);
        let round = round % played.len();
        let slot = slot % played[round].len();
        let (pairing, winner) = played[round][slot].clone();
        prop_assume!(pairing.first.is_some() && pairing.second.is_some());
        prop_assert!(blast_radius(&seeds, &matches(&played)).is_empty(), "what was played right stands");

        let mut corrected = played.clone();
        let other = [pairing.first, pairing.second].into_iter().flatten().find(|side| *side != winner).unwrap();
        corrected[round][slot].1 = other;
        let radius = blast_radius(&seeds, &matches(&corrected));
        prop_assert_eq!(&radius, &by_brute_force(&seeds, &played, &upset, (round, slot)));

        // Whoever would come out of a match in the radius is not known, whoever comes out of another one is.
        let must = rightful(&seeds, &matches(&corrected));
        for (index, pairings) in must.iter().enumerate().skip(1) {
            for (place, pairing) in pairings.iter().enumerate() {
                for (side, feeder) in [(&pairing.first, place * 2), (&pairing.second, place * 2 + 1)] {
                    prop_assert_eq!(side.is_none(), radius.contains(&(index - 1, feeder)));
                }
            }
        }
    }
}
