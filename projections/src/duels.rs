//! Duels: who is in, what is staked, whose turn it is, how it ended, and what came back. The fold keeps the facts that
//! the procedures R08, R09, E2 and E3 ask for: the last action, the holds, and every release beside the hold it undoes.

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, DuelEvent, DuelId, EventId, Label, PlayerId, Recorded, Split, Timestamp, TournamentId,
    command::post_number,
    duel::{EndReason, ImportedDuel},
};

use crate::{
    Table,
    projection::{EventAt, Projection, Rejection},
};

/// All duels, in the order they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duels {
    duels: Table<DuelId, Duel>,
    /// Stakes taken over from the game's tables, for conservation.
    #[serde(default, skip_serializing_if = "Amount::is_zero_ref")]
    imported: Amount,
}

/// One duel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duel {
    /// Who asked.
    pub challenger: PlayerId,
    /// Who was asked.
    pub opponent: PlayerId,
    /// Each side's stake.
    pub bet: Amount,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// The tournament it is a match of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tournament: Option<TournamentId>,
    /// Where it stands.
    pub phase: Phase,
    /// When somebody last moved (or it was resumed).
    pub last_action: Timestamp,
    /// The last turn taken.
    pub turn: u32,
    /// Whose turn is next; nobody's unless the duel is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PlayerId>,
    /// Hit points of challenger and opponent.
    pub hp: (u32, u32),
    /// Stakes that were taken, in order.
    pub stakes: Vec<Stake>,
    /// Who won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<PlayerId>,
    /// What the winner was paid.
    pub settled: Amount,
    /// The outages that were already dealt with, by when they began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interruptions: Vec<Timestamp>,
    /// Until when the game has to decide about a late acceptance, once it was told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide_by: Option<Timestamp>,
    /// Posts from outages that the game was told to decide again, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late_posts: Vec<Label>,
    /// The events that told the game so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub posts_ordered: Vec<EventId>,
    /// When somebody last moved; going on after an outage is no move.
    pub moved_at: Timestamp,
    /// The last event that let it go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<EventId>,
    /// Turns that were counted as missed: whose, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<(PlayerId, Timestamp)>,
    /// The event that opened the duel.
    pub opened: EventAt,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The event that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<EventAt>,
    /// How it was over, and when; nothing while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// The last event of the stream.
    pub last: EventAt,
}

/// Where a duel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for.
    Challenged,
    /// Being fought.
    Active,
    /// Decided.
    Ended,
    /// The opponent said no.
    Declined,
    /// Nobody accepted in time.
    Expired,
    /// Counts for nobody.
    Voided,
}

/// The end of a duel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// When.
    pub at: Timestamp,
    /// Since when nobody had moved.
    pub quiet_since: Timestamp,
    /// How it was decided; nothing when it was called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

/// A stake and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stake {
    /// Whose.
    pub player: PlayerId,
    /// What was taken from which balance.
    pub split: Split,
    /// The StakeHeld event.
    pub held: EventId,
    /// True when it was taken over from the game's tables, which do not say from which balances it came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// What came back, and by which event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
}

/// A stake that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What came back to which balance, corrections included.
    pub split: Split,
    /// The StakeReleased event.
    pub by: EventAt,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Challenged => "challenged",
            Phase::Active => "active",
            Phase::Ended => "ended",
            Phase::Declined => "declined",
            Phase::Expired => "expired",
            Phase::Voided => "voided",
        })
    }
}

impl Duel {
    /// True for a challenge or a fight that is not over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Challenged | Phase::Active)
    }

    fn takes_part(&self, player: &PlayerId) -> Result<(), Rejection> {
        if *player == self.challenger || *player == self.opponent {
            return Ok(());
        }
        Err(Rejection::unknown("player in this duel", player))
    }

    fn needs(&self, id: &str, phases: &[Phase], needs: &str) -> Result<(), Rejection> {
        if phases.contains(&self.phase) {
            return Ok(());
        }
        Err(Rejection::state(format_args!("duel {id}"), self.phase, needs))
    }

    fn needs_turn(&self, id: &str, turn: u32, player: &PlayerId) -> Result<(), Rejection> {
        self.needs(id, &[Phase::Active], "active")?;
        self.takes_part(player)?;
        Rejection::same("turn", &(self.turn + 1), &turn)
    }

    fn stake(&self, player: &PlayerId) -> Option<&Stake> {
        self.stakes.iter().find(|stake| stake.player == *player)
    }
}

impl Duels {
    /// A duel by id.
    #[must_use]
    pub fn get(&self, duel: &str) -> Option<&Duel> {
        self.duels.get(duel)
    }

    /// Stakes taken over from the game's tables.
    #[must_use]
    pub fn imported(&self) -> Amount {
        self.imported
    }

    /// Takes over a duel of the game's tables.
    fn import(&mut self, at: &Recorded, event: &DuelEvent) {
        let DuelEvent::DuelImported {
            challenger,
            opponent,
            bet,
            standing,
            next,
            challenger_hp,
            opponent_hp,
            stakes,
            ..
        } = event
        else {
            return;
        };
        let Ok(id) = DuelId::new(at.stream.subject()) else { return };
        let (phase, winner) = match standing {
            ImportedDuel::Active => (Phase::Active, None),
            ImportedDuel::ChallengerWon => (Phase::Ended, Some(challenger)),
            ImportedDuel::OpponentWon => (Phase::Ended, Some(opponent)),
            ImportedDuel::Cancelled => (Phase::Voided, None),
        };
        let held = stakes.iter().filter_map(|stake| stake.assumed.total());
        self.imported = Amount::checked_sum(held.chain([self.imported])).unwrap_or(self.imported);
        let stakes = stakes.iter().map(|stake| Stake {
            player: stake.player.clone(),
            split: stake.assumed,
            held: at.id,
            assumed: true,
            released: None,
        });
        let here = EventAt::of(at);
        self.duels.insert(
            id,
            Duel {
                challenger: challenger.clone(),
                opponent: opponent.clone(),
                bet: *bet,
                expires_at: at.time,
                decide_by: None,
                tournament: None,
                phase,
                last_action: at.time,
                moved_at: at.time,
                turn: 0,
                next: next.clone(),
                hp: (challenger_hp.unwrap_or_default(), opponent_hp.unwrap_or_default()),
                stakes: stakes.collect(),
                winner: winner.cloned(),
                settled: Amount::ZERO,
                interruptions: Vec::new(),
                late_posts: Vec::new(),
                posts_ordered: Vec::new(),
                resumed: None,
                missed: Vec::new(),
                opened: here,
                opened_at: at.time,
                decided: winner.map(|_| here),
                over: None,
                last: here,
            },
        );
    }

    /// All duels, in the order they were asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&DuelId, &Duel)> {
        self.duels.iter()
    }
}

impl Projection for Duels {
    type Event = DuelEvent;
    const NAME: &'static str = "duels";

    fn check(&self, at: &Recorded, event: &DuelEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let known = self.duels.get(id);
        if let DuelEvent::ChallengeIssued { challenger, opponent, .. }
        | DuelEvent::DuelImported { challenger, opponent, .. } = event
        {
            if known.is_some() {
                return Err(Rejection::exists("duel", id));
            }
            if challenger == opponent {
                return Err(Rejection::Mismatch {
                    field: "opponent".into(),
                    expected: "another player".into(),
                    got: opponent.to_string(),
                });
            }
            return check_opening(id, event);
        }
        let Some(duel) = known else { return Err(Rejection::unknown("duel", id)) };
        match event {
            DuelEvent::ChallengeIssued { .. } | DuelEvent::DuelImported { .. } => Ok(()),
            DuelEvent::StakeHeld { player, stake } => {
                duel.needs(id, &[Phase::Challenged], "challenged")?;
                duel.takes_part(player)?;
                if duel.stake(player).is_some() {
                    return Err(Rejection::exists("stake of player", player));
                }
                let total = stake.total().unwrap_or_default();
                Rejection::same("stake", &duel.bet, &total)
            }
            DuelEvent::ChallengeAccepted { first_turn, .. } => {
                duel.needs(id, &[Phase::Challenged], "challenged")?;
                duel.takes_part(first_turn)?;
                if !duel.bet.is_zero() && duel.stakes.len() < 2 {
                    return Err(Rejection::state(format_args!("duel {id}"), "without both stakes", "staked by both"));
                }
                Ok(())
            }
            DuelEvent::ChallengeDeclined {} | DuelEvent::ChallengeExpired {} => {
                duel.needs(id, &[Phase::Challenged], "challenged")
            }
            DuelEvent::SpellCast { turn, player, .. }
            | DuelEvent::PotionUsed { turn, player, .. }
            | DuelEvent::TurnMissed { turn, player, .. } => duel.needs_turn(id, *turn, player),
            DuelEvent::DuelEnded { winner, loser, .. } => {
                duel.needs(id, &[Phase::Active], "active")?;
                duel.takes_part(winner)?;
                duel.takes_part(loser)?;
                if winner == loser { Err(Rejection::unknown("loser", loser)) } else { Ok(()) }
            }
            DuelEvent::DuelSettled { winner, amount } => {
                duel.needs(id, &[Phase::Ended], "ended")?;
                if !duel.settled.is_zero() {
                    return Err(Rejection::exists("payment of duel", id));
                }
                if let Some(expected) = &duel.winner {
                    Rejection::same("winner", expected, winner)?;
                }
                let stakes = Amount::checked_sum(duel.stakes.iter().filter_map(|stake| stake.split.total()));
                Rejection::same("payment", &stakes.unwrap_or_default(), amount)
            }
            DuelEvent::StakeReleased { player, stake, corrects } => {
                duel.needs(id, &[Phase::Declined, Phase::Expired, Phase::Voided], "declined, expired or voided")?;
                let Some(held) = duel.stake(player) else { return Err(Rejection::unknown("stake of player", player)) };
                if held.released.is_some() {
                    return Err(Rejection::exists("release of the stake of player", player));
                }
                Rejection::same("corrects", &held.held, corrects)?;
                Rejection::same("release", &held.split.total().unwrap_or_default(), &stake.total().unwrap_or_default())
            }
            DuelEvent::DuelVoided { .. } => duel.needs(id, &[Phase::Challenged, Phase::Active], "challenged or active"),
            DuelEvent::DuelInterrupted { .. }
            | DuelEvent::TimersExtended { .. }
            | DuelEvent::DuelStuckDetected { .. } => duel.needs(id, &[Phase::Active], "active"),
            DuelEvent::DuelResumed { player, .. } => {
                duel.needs(id, &[Phase::Active], "active")?;
                duel.takes_part(player)
            }
            DuelEvent::LatePostsOrdered { posts, .. } => {
                duel.needs(id, &[Phase::Challenged, Phase::Active], "challenged or active")?;
                let mut last = None;
                for late in posts {
                    duel.takes_part(&late.player)?;
                    if duel.late_posts.contains(&late.post) {
                        return Err(Rejection::exists("order of post", &late.post));
                    }
                    let number = post_number(late.post.as_str());
                    if number.is_none() || number <= last {
                        return Err(Rejection::Mismatch {
                            field: "post".into(),
                            expected: "an id above the one before it".into(),
                            got: late.post.to_string(),
                        });
                    }
                    last = number;
                }
                Ok(())
            }
            DuelEvent::BucketCorrected { player, from, to, amount, corrects } => {
                let Some(release) = duel.stake(player).and_then(|stake| stake.released.as_ref()) else {
                    return Err(Rejection::unknown("released stake of player", player));
                };
                Rejection::same("corrects", &release.by.id, corrects)?;
                if from == to || *amount > bucket(&release.split, *from) {
                    return Err(Rejection::Mismatch {
                        field: "amount".into(),
                        expected: format!("at most {} from {from}", bucket(&release.split, *from)),
                        got: amount.to_string(),
                    });
                }
                Ok(())
            }
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &DuelEvent) {
        let id = at.stream.subject();
        if let DuelEvent::DuelImported { .. } = event {
            self.import(at, event);
            return;
        }
        if let DuelEvent::ChallengeIssued { challenger, opponent, bet, expires_at, tournament } = event {
            let Ok(id) = DuelId::new(id) else { return };
            self.duels.insert(
                id,
                Duel {
                    challenger: challenger.clone(),
                    opponent: opponent.clone(),
                    bet: *bet,
                    expires_at: *expires_at,
                    tournament: tournament.clone(),
                    phase: Phase::Challenged,
                    last_action: at.time,
                    turn: 0,
                    next: None,
                    hp: (0, 0),
                    stakes: Vec::new(),
                    winner: None,
                    settled: Amount::ZERO,
                    interruptions: Vec::new(),
                    decide_by: None,
                    late_posts: Vec::new(),
                    posts_ordered: Vec::new(),
                    moved_at: at.time,
                    resumed: None,
                    missed: Vec::new(),
                    opened: EventAt::of(at),
                    opened_at: at.time,
                    decided: None,
                    over: None,
                    last: EventAt::of(at),
                },
            );
            return;
        }
        let duel = self.duels.get_mut(id).expect("check knew the duel");
        duel.last = EventAt::of(at);
        match event {
            DuelEvent::ChallengeIssued { .. } | DuelEvent::DuelImported { .. } => {}
            DuelEvent::StakeHeld { player, stake } => {
                duel.stakes.push(Stake {
                    player: player.clone(),
                    split: *stake,
                    held: at.id,
                    assumed: false,
                    released: None,
                });
            }
            DuelEvent::ChallengeAccepted { first_turn, challenger_hp, opponent_hp } => {
                duel.phase = Phase::Active;
                duel.next = Some(first_turn.clone());
                duel.hp = (*challenger_hp, *opponent_hp);
                duel.last_action = at.time;
                duel.moved_at = at.time;
            }
            DuelEvent::ChallengeDeclined {} => called_off(duel, at, Phase::Declined),
            DuelEvent::ChallengeExpired {} => called_off(duel, at, Phase::Expired),
            DuelEvent::SpellCast { turn, player, challenger_hp, opponent_hp, .. }
            | DuelEvent::PotionUsed { turn, player, challenger_hp, opponent_hp, .. } => {
                duel.hp = (*challenger_hp, *opponent_hp);
                turn_taken(duel, at, *turn, player);
            }
            DuelEvent::TurnMissed { turn, player, .. } => {
                duel.missed.push((player.clone(), at.time));
                turn_taken(duel, at, *turn, player);
            }
            DuelEvent::DuelEnded { winner, reason, .. } => {
                duel.over = Some(Over { at: at.time, quiet_since: duel.last_action, reason: Some(*reason) });
                duel.phase = Phase::Ended;
                duel.winner = Some(winner.clone());
                duel.decided = Some(EventAt::of(at));
                duel.next = None;
                duel.last_action = at.time;
            }
            DuelEvent::DuelSettled { amount, .. } => duel.settled = *amount,
            DuelEvent::StakeReleased { player, stake, .. } => {
                let by = EventAt::of(at);
                if let Some(held) = duel.stakes.iter_mut().find(|held| held.player == *player) {
                    held.released = Some(Release { split: *stake, by });
                }
            }
            DuelEvent::DuelVoided { .. } => {
                called_off(duel, at, Phase::Voided);
                duel.next = None;
            }
            DuelEvent::DuelInterrupted { from, .. } => duel.interruptions.push(*from),
            DuelEvent::DuelResumed { player, .. } => {
                duel.next = Some(player.clone());
                duel.last_action = at.time;
                duel.resumed = Some(at.id);
            }
            DuelEvent::LatePostsOrdered { posts, .. } => {
                duel.late_posts.extend(posts.iter().map(|late| late.post.clone()));
                duel.posts_ordered.push(at.id);
                // From here on the game has its time once more.
                match duel.phase {
                    Phase::Challenged => duel.decide_by = Some(at.time.plus(duel.expires_at.since(duel.opened_at))),
                    _ => duel.last_action = at.time,
                }
            }
            DuelEvent::TimersExtended { .. } | DuelEvent::DuelStuckDetected { .. } => {}
            DuelEvent::BucketCorrected { player, from, to, amount, .. } => {
                let held = duel.stakes.iter_mut().find(|held| held.player == *player);
                if let Some(release) = held.and_then(|held| held.released.as_mut()) {
                    let (taken, given) = (bucket(&release.split, *from), bucket(&release.split, *to));
                    set_bucket(&mut release.split, *from, taken.saturating_sub(*amount));
                    set_bucket(&mut release.split, *to, given.checked_add(*amount).unwrap_or(given));
                }
            }
        }
    }
}

fn called_off(duel: &mut Duel, at: &Recorded, phase: Phase) {
    duel.phase = phase;
    duel.over = Some(Over { at: at.time, quiet_since: duel.last_action, reason: None });
}

/// Judges what an imported duel has in escrow: both bets while it runs, nothing once it is over.
fn check_opening(id: &str, event: &DuelEvent) -> Result<(), Rejection> {
    let DuelEvent::DuelImported { challenger, opponent, bet, standing, stakes, .. } = event else { return Ok(()) };
    let staked: Vec<_> = stakes.iter().map(|stake| &stake.player).collect();
    let due = *standing == ImportedDuel::Active && !bet.is_zero();
    let expected = if due { vec![challenger, opponent] } else { Vec::new() };
    if staked != expected {
        let needs = if due { "staked by both, in their order" } else { "without stakes" };
        return Err(Rejection::state(format_args!("duel {id}"), format_args!("staked by {}", staked.len()), needs));
    }
    stakes.iter().try_for_each(|stake| Rejection::same("stake", bet, &stake.assumed.total().unwrap_or_default()))
}

fn turn_taken(duel: &mut Duel, at: &Recorded, turn: u32, player: &PlayerId) {
    let other = if *player == duel.challenger { &duel.opponent } else { &duel.challenger };
    duel.next = Some(other.clone());
    duel.turn = turn;
    duel.last_action = at.time;
    duel.moved_at = at.time;
}

fn bucket(split: &Split, bucket: wox_events::Bucket) -> Amount {
    match bucket {
        wox_events::Bucket::Bonus => split.bonus,
        wox_events::Bucket::Withdrawable => split.withdrawable,
    }
}

fn set_bucket(split: &mut Split, bucket: wox_events::Bucket, amount: Amount) {
    match bucket {
        wox_events::Bucket::Bonus => split.bonus = amount,
        wox_events::Bucket::Withdrawable => split.withdrawable = amount,
    }
}
