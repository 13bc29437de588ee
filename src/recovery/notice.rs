//! What people are told of a plan (rows R22, R40). Pure: from the events of a plan and the state follow the people it
//! concerns, what it needs, and one notice for each event and each person who has to know. A notice is queued in a stream of
//! its own, `outbox-<notice id>`, and its id follows from the event it tells of and from who is told, so that twice applied
//! is once told. Sending is somebody else's work. A text names people by id and handle, amounts and reasons, nothing more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, CommandEvent, DepositEvent, DuelEvent, Event, EventId, Handle, Label, NewEvent, OpsEvent, PlayerEvent,
    PlayerId, Provenance, StreamId, Timestamp, TournamentEvent, WithdrawalEvent, record::JsonError,
    tournament::MatchEnd,
};
use wox_projections::{Account, Posting, State, duels::Duel, tournaments::Tournament};

use super::{Finding, Hold, Item, Step, finding::engine_actor};

/// The audience of what is told of whole plans.
const OPERATORS: &str = "operators";

/// A player, as people know them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The id.
    pub player: PlayerId,
    /// The handle today.
    pub handle: Handle,
}

/// What somebody is told once an event of the plan stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Its id.
    pub id: EventId,
    /// To whom: the stream of a player, or `operators`.
    pub audience: Label,
    /// The event of the plan it tells of.
    pub about: EventId,
    /// What.
    pub text: String,
}

/// A notice that is not right any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakenBack {
    /// The notice.
    pub notice: EventId,
    /// The event of the plan that takes back what it told.
    pub because: EventId,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "player {} ({})", self.player, at(&self.handle))
    }
}

/// A handle as people write it, with one `@`.
#[must_use]
pub fn at(handle: &Handle) -> String {
    format!("@{}", handle.as_str().trim_start_matches('@'))
}

impl Notice {
    fn new(about: EventId, audience: &str, text: String) -> Option<Notice> {
        let audience = Label::new(audience).ok()?;
        let id = EventId::derived(&["wox/notice", &about.to_string(), audience.as_str()]);
        Some(Notice { id, audience, about, text })
    }

    /// The stream it is queued in: its own.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        outbox(self.id)
    }

    /// The event that queues it; the same bytes whoever appends it and when.
    pub fn to_event(&self, proposed: EventId, proposed_at: Timestamp) -> Result<NewEvent, JsonError> {
        let event = OpsEvent::NoticeQueued { audience: self.audience.clone(), text: self.text.clone() };
        written(event, self.id, self.about, (proposed, proposed_at))
    }
}

impl TakenBack {
    /// The stream of the notice.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        outbox(self.notice)
    }

    /// The event that takes it back.
    pub fn to_event(&self, proposed: EventId, proposed_at: Timestamp) -> Result<NewEvent, JsonError> {
        let (notice, because) = (self.notice.to_string(), self.because.to_string());
        let id = EventId::derived(&["wox/notice-superseded", &notice, &because]);
        written(OpsEvent::NoticeSuperseded { notice: self.notice }, id, self.because, (proposed, proposed_at))
    }
}

fn outbox(notice: EventId) -> StreamId {
    StreamId::new(format!("outbox-{notice}")).expect("`outbox-` and an id are a stream name")
}

fn written(
    event: OpsEvent,
    id: EventId,
    cause: EventId,
    (proposed, time): (EventId, Timestamp),
) -> Result<NewEvent, JsonError> {
    let (kind, version, data) = Event::from(event).encode()?;
    Ok(NewEvent {
        id,
        kind,
        version,
        time,
        actor: engine_actor(),
        causation: Some(cause),
        correlation: Some(proposed),
        provenance: Provenance::Recovery,
        rules: 1,
        data,
    })
}

fn decoded<'a>(item: &'a Item) -> impl Iterator<Item = (&'a Step, Event)> + 'a {
    item.steps.iter().filter_map(|step| {
        let event = Event::decode(&item.stream, &step.kind, step.version, step.data.as_str());
        Some((step, event.ok()?))
    })
}

/// One notice for each event of an item and each player who has to know of it.
#[must_use]
pub(super) fn tells(item: &Item, state: &State) -> Vec<Notice> {
    let mut notices = Vec::new();
    // Who is to play again learns from that that the match before it counts for nobody.
    let again: BTreeSet<PlayerId> = decoded(item).flat_map(|(_, event)| ordered(&event)).collect();
    for (step, event) in decoded(item) {
        let voided = matches!(event, Event::Tournament(TournamentEvent::MatchVoided { .. }));
        for (player, text) in told(&event, item, state) {
            if voided && again.contains(&player) {
                continue;
            }
            notices.extend(Notice::new(step.id, &format!("player-{player}"), text));
        }
    }
    notices
}

/// The players whom an event tells to play again.
fn ordered(event: &Event) -> Vec<PlayerId> {
    match event {
        Event::Tournament(TournamentEvent::MatchReplayOrdered { first, second, .. }) => {
            vec![first.clone(), second.clone()]
        }
        _ => Vec::new(),
    }
}

/// What operators are told of a whole plan; it tells of the first event.
#[must_use]
pub(super) fn report(items: &[Item]) -> Option<Notice> {
    let first = items.first()?.steps.first()?;
    let mut rows: Vec<(&str, usize)> = Vec::new();
    for finding in items.iter().flat_map(|item| &item.findings) {
        match rows.iter_mut().find(|(procedure, _)| *procedure == finding.procedure) {
            Some((_, count)) => *count += 1,
            None => rows.push((&finding.procedure, 1)),
        }
    }
    let events: usize = items.iter().map(|item| item.steps.len()).sum();
    let rows: Vec<String> = rows.into_iter().map(|(procedure, count)| format!("{count} {procedure}")).collect();
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let (events, streams) = (counted(events, "event"), counted(items.len(), "stream"));
    let text = format!("repaired by {events} in {streams}: {}", rows.join(", "));
    Notice::new(first.id, OPERATORS, text)
}

/// The notices that an item makes wrong: they tell of an event that it corrects or overtakes.
#[must_use]
pub(super) fn taken_back(item: &Item, state: &State) -> Vec<TakenBack> {
    let mut taken = Vec::new();
    for (step, event) in decoded(item) {
        for overtaken in overtaken(&event, step, item, state) {
            // That something was repaired stays true, whatever is repaired later.
            let of_players = state.outbox.telling_of(overtaken).filter(|(_, audience)| *audience != OPERATORS);
            let notices = of_players.filter_map(|(id, _)| id.parse().ok().map(EventId));
            for notice in notices {
                // Two events of a plan can both overtake it; it is taken back once.
                if taken.iter().all(|known: &TakenBack| known.notice != notice) {
                    taken.push(TakenBack { notice, because: step.id });
                }
            }
        }
    }
    taken
}

/// The events that an event of a plan takes back or overtakes.
fn overtaken(event: &Event, step: &Step, item: &Item, state: &State) -> Vec<EventId> {
    let data: serde_json::Value = serde_json::from_str(step.data.as_str()).unwrap_or_default();
    let named = ["corrects", "supersedes"].into_iter().filter_map(|field| data.get(field).cloned());
    let mut ids: Vec<EventId> = named.filter_map(|id| serde_json::from_value(id).ok()).collect();
    let subject = item.stream.subject();
    match event {
        Event::Duel(event) => {
            ids.extend(state.duels.get(subject).into_iter().flat_map(|duel| of_past_duel(event, duel)))
        }
        Event::Tournament(event) => {
            ids.extend(state.tournaments.get(subject).into_iter().flat_map(|known| of_past_tournament(event, known)));
        }
        _ => {}
    }
    ids
}

/// What was said of a duel and is not so once this event stands.
fn of_past_duel(event: &DuelEvent, duel: &Duel) -> Vec<EventId> {
    match event {
        // It was to go on with this turn, and now with another.
        DuelEvent::DuelResumed { .. } => duel.resumed.into_iter().collect(),
        // It was to go on, with what was posted meanwhile, and now it counts for nobody.
        DuelEvent::DuelVoided { .. } => duel.resumed.into_iter().chain(duel.posts_ordered.iter().copied()).collect(),
        _ => Vec::new(),
    }
}

/// What was said of a tournament and is not so once this event stands.
fn of_past_tournament(event: &TournamentEvent, known: &Tournament) -> Vec<EventId> {
    let round = |number: u8| known.rounds.get(usize::from(number).checked_sub(1)?);
    let orders = |number: u8, slot: u16| round(number).and_then(|round| round.orders.get(&slot)).into_iter().flatten();
    match event {
        // Two were to play, and now it is decided.
        TournamentEvent::MatchDecided { round, slot, .. } => orders(*round, *slot).copied().collect(),
        // Two were to play, and now it is decided, or counts for nobody; and what they got by the result before is not
        // theirs, whether it can be taken back or not.
        TournamentEvent::MatchResultCorrected { round, slot, .. }
        | TournamentEvent::MatchVoided { round, slot, .. } => {
            let result = known.result_of(*round, *slot);
            let played = |player: &PlayerId| {
                result.is_some_and(|result| result.winner == *player || result.loser.as_ref() == Some(player))
            };
            let prizes = known.payments.iter().filter(|paid| played(&paid.player)).map(|paid| paid.event.id);
            orders(*round, *slot).copied().chain(prizes).collect()
        }
        // Two were to play, and now others are.
        TournamentEvent::BracketRebuilt { round: number, matches, .. } => {
            let others = |slot: &u16| {
                let place = usize::from(*slot);
                round(*number).is_some_and(|before| before.pairings.get(place) != matches.get(place))
            };
            let slots = round(*number).into_iter().flat_map(|before| before.orders.keys().copied()).filter(others);
            slots.flat_map(|slot| orders(*number, slot).copied()).collect()
        }
        // It was owed, or had gone back because it was not theirs; now it is paid, or owed.
        TournamentEvent::PrizePaid { prize, player, .. } | TournamentEvent::PrizeDeferred { prize, player, .. } => {
            let owed = known.deferred.iter().filter(|owed| (owed.prize, &owed.player) == (*prize, player));
            let payments = known.payments.iter().filter(|paid| (paid.prize, &paid.player) == (*prize, player));
            owed.map(|owed| owed.event).chain(payments.filter_map(|paid| paid.reversed)).collect()
        }
        // What was owed by it is owed no more; what still is, is said anew.
        TournamentEvent::PrizeScheduleWithdrawn { .. } => known.deferred.iter().map(|owed| owed.event).collect(),
        _ => Vec::new(),
    }
}

/// What has to be there before an item can be applied.
#[must_use]
pub(super) fn needs(item: &Item, decision: bool) -> Vec<String> {
    let mut needs = Vec::new();
    let postings = || item.steps.iter().flat_map(|step| &step.postings);
    if decision || postings().next().is_some() {
        needs.push("another person's approval".to_owned());
    }
    let pool = takes(postings(), &Account::Pool);
    if !pool.is_zero() {
        needs.push(format!("{pool} G in the prize pool"));
    }
    let players: BTreeSet<&Account> = postings()
        .map(|posting| &posting.from)
        .filter(|account| matches!(account, Account::Bonus(_) | Account::Withdrawable(_)))
        .collect();
    for account in players {
        let taken = takes(postings(), account);
        if !taken.is_zero() {
            needs.push(format!("{taken} G on {account}"));
        }
    }
    needs
}

/// How much an account has to hold for some movements in their order.
fn takes<'a>(postings: impl Iterator<Item = &'a Posting>, account: &Account) -> Amount {
    let (mut needed, mut held) = (Amount::ZERO, Amount::ZERO);
    for posting in postings {
        if posting.from == *account {
            let short = posting.amount.saturating_sub(held);
            needed = needed.checked_add(short).unwrap_or(needed);
            held = held.saturating_sub(posting.amount);
        }
        if posting.to == *account {
            held = held.checked_add(posting.amount).unwrap_or(held);
        }
    }
    needed
}

/// Whom an item concerns: whose balances it moves, who is told of it, and whom its findings name.
#[must_use]
pub(super) fn concerned(state: &State, stream: &StreamId, findings: &[Finding], item: &Item) -> Vec<Person> {
    let mut players: BTreeSet<String> = BTreeSet::new();
    for posting in item.steps.iter().flat_map(|step| &step.postings) {
        for account in [&posting.from, &posting.to] {
            if let Account::Bonus(player) | Account::Withdrawable(player) = account {
                players.insert(player.to_string());
            }
        }
    }
    let audiences = item.tells.iter().filter_map(|notice| notice.audience.as_str().strip_prefix("player-"));
    players.extend(audiences.map(str::to_owned));
    players.extend(findings.iter().flat_map(|finding| named(&finding.says)));
    players.extend(subject_of(state, stream));
    persons(state, players)
}

/// Whom a hold concerns.
#[must_use]
pub(super) fn hold_concerns(state: &State, hold: &Hold) -> Vec<Person> {
    let mut players: BTreeSet<String> = named(&hold.finding.says).chain(named(&hold.why)).collect();
    players.extend(subject_of(state, &hold.finding.subject));
    persons(state, players)
}

fn persons(state: &State, players: BTreeSet<String>) -> Vec<Person> {
    let person = |id: String| {
        let handle = state.players.get(&id)?.handle.clone();
        Some(Person { player: PlayerId::new(id).ok()?, handle })
    };
    players.into_iter().filter_map(person).collect()
}

/// The players whom a stream is about.
fn subject_of(state: &State, stream: &StreamId) -> Vec<String> {
    let id = stream.subject();
    match stream.category() {
        "player" => vec![id.to_owned()],
        "duel" => state
            .duels
            .get(id)
            .map(|duel| vec![duel.challenger.to_string(), duel.opponent.to_string()])
            .unwrap_or_default(),
        "withdrawal" => state.withdrawals.get(id).map(|one| one.player.to_string()).into_iter().collect(),
        "deposit" => {
            state.deposits.get(id).and_then(|one| one.player.as_ref()).map(ToString::to_string).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The players a text names: findings say `player ID` (finding.rs, "in one sentence with names and amounts").
fn named(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split("player ").skip(1).filter_map(|rest| {
        let id: String =
            rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "_-".contains(*letter)).collect();
        (!id.is_empty()).then_some(id)
    })
}

/// What each player is told of one event.
fn told(event: &Event, item: &Item, state: &State) -> Vec<(PlayerId, String)> {
    match event {
        Event::Duel(event) => of_duel(event, item, state),
        Event::Tournament(event) => of_tournament(event, item, state),
        Event::Deposit(event) => of_deposit(event),
        Event::Withdrawal(event) => of_withdrawal(event, item.stream.subject(), state),
        Event::Player(
            PlayerEvent::BonusGranted { amount, reason } | PlayerEvent::GoodwillGranted { amount, reason, .. },
        ) => {
            let player = PlayerId::new(item.stream.subject());
            player.map(|player| (player, format!("you got {amount} G bonus: {reason}"))).into_iter().collect()
        }
        Event::Command(CommandEvent::CommandRejected { reason, .. }) => {
            let post = item.stream.subject();
            let author = state.commands.open.get(post).map(|command| command.author.clone());
            author.map(|author| (author, format!("your post {post} changes nothing: {reason}"))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn handle(state: &State, player: &PlayerId) -> String {
    match state.players.get(player.as_str()) {
        Some(known) => at(&known.handle),
        None => format!("player {player}"),
    }
}

fn of_duel(event: &DuelEvent, item: &Item, state: &State) -> Vec<(PlayerId, String)> {
    let id = item.stream.subject();
    let Some(duel) = state.duels.get(id) else { return Vec::new() };
    let against =
        |player: &PlayerId| handle(state, if *player == duel.challenger { &duel.opponent } else { &duel.challenger });
    let both = |text: &dyn Fn(&PlayerId) -> String| {
        [&duel.challenger, &duel.opponent].into_iter().map(|side| (side.clone(), text(side))).collect()
    };
    match event {
        DuelEvent::DuelResumed { from_turn, player } => {
            let extended = decoded(item).find_map(|(_, event)| match event {
                Event::Duel(DuelEvent::TimersExtended { by }) => Some(by.as_seconds()),
                _ => None,
            });
            let after = if extended.is_some() { " after an outage" } else { "" };
            let clocks = extended.map(|by| format!("; the clocks got {by} s back")).unwrap_or_default();
            both(&|side| {
                let turn =
                    if side == player { "yours".to_owned() } else { format!("that of {}", handle(state, player)) };
                format!("duel {id} against {} goes on{after}: turn {from_turn} is {turn}{clocks}", against(side))
            })
        }
        DuelEvent::LatePostsOrdered { posts, .. } => {
            let mine = |side: &PlayerId| {
                let posts = posts.iter().filter(|late| late.player == *side).map(|late| late.post.as_str());
                posts.collect::<Vec<_>>().join(", ")
            };
            let sides = [&duel.challenger, &duel.opponent].into_iter().filter(|side| !mine(side).is_empty());
            sides
                .map(|side| {
                    let text = format!(
                        "what you posted in the outage is decided now for duel {id}, in the order it was posted: {}; the answer says whether it counts",
                        mine(side)
                    );
                    (side.clone(), text)
                })
                .collect()
        }
        // Who gets a stake back is told so by the event that gives it.
        DuelEvent::DuelVoided { reason } if duel.stakes.iter().all(|stake| stake.released.is_some()) => {
            both(&|side| format!("duel {id} against {} counts for nobody: {reason}", against(side)))
        }
        DuelEvent::StakeReleased { player, stake, .. } => {
            let reason = decoded(item).find_map(|(_, event)| match event {
                Event::Duel(DuelEvent::DuelVoided { reason }) => Some(format!("counts for nobody ({reason})")),
                Event::Duel(DuelEvent::ChallengeExpired {}) => Some("was not accepted in time".to_owned()),
                _ => None,
            });
            let reason = reason.unwrap_or_else(|| format!("is {}", duel.phase));
            let text = format!(
                "duel {id} against {} {reason}: you got your stake back, {} G bonus and {} G withdrawable",
                against(player),
                stake.bonus,
                stake.withdrawable
            );
            vec![(player.clone(), text)]
        }
        DuelEvent::DuelSettled { winner, amount } => {
            vec![(winner.clone(), format!("you got {amount} G for winning duel {id} against {}", against(winner)))]
        }
        DuelEvent::BucketCorrected { player, from, to, amount, .. } => {
            let text = format!("{amount} G of your stake in duel {id} had come back as {from} and are {to} again");
            vec![(player.clone(), text)]
        }
        _ => Vec::new(),
    }
}

fn of_tournament(event: &TournamentEvent, item: &Item, state: &State) -> Vec<(PlayerId, String)> {
    let id = item.stream.subject();
    match event {
        TournamentEvent::EntryRefunded { player, entry, .. } => {
            let text = format!(
                "you got your entry of tournament {id} back: {} G bonus and {} G withdrawable",
                entry.bonus, entry.withdrawable
            );
            vec![(player.clone(), text)]
        }
        TournamentEvent::MatchReplayOrdered { round, first, second, .. } => [(first, second), (second, first)]
            .into_iter()
            .map(|(player, other)| {
                let text = format!(
                    "round {round} of tournament {id} is played again: you meet {}; experience you gained stays",
                    handle(state, other)
                );
                (player.clone(), text)
            })
            .collect(),
        TournamentEvent::MatchVoided { round, slot, reason, .. } => {
            let tournament = state.tournaments.get(id);
            let Some(result) = tournament.and_then(|tournament| tournament.result_of(*round, *slot)) else {
                return Vec::new();
            };
            let text = format!(
                "your match in round {round} of tournament {id} counts for nobody: {reason}; experience you gained stays"
            );
            std::iter::once(&result.winner).chain(&result.loser).map(|player| (player.clone(), text.clone())).collect()
        }
        TournamentEvent::MatchResultCorrected { round, winner, loser, .. } => vec![
            (winner.clone(), format!("your match in round {round} of tournament {id} was corrected: you won")),
            (loser.clone(), format!("your match in round {round} of tournament {id} was corrected: you lost")),
        ],
        TournamentEvent::MatchDecided { round, winner, loser, reason, .. } => {
            let why = match reason {
                MatchEnd::Bye => "without an opponent",
                MatchEnd::Forfeit | MatchEnd::Disconnected => "by a forfeit",
                MatchEnd::Played => "by its duel",
            };
            let won = (winner.clone(), format!("you won your match in round {round} of tournament {id} {why}"));
            let lost = loser.clone();
            let lost =
                lost.map(|loser| (loser, format!("you lost your match in round {round} of tournament {id} {why}")));
            std::iter::once(won).chain(lost).collect()
        }
        TournamentEvent::PrizePaid { prize, player, amount } => {
            vec![(player.clone(), format!("you got {amount} G, the {} prize of tournament {id}", prize))]
        }
        TournamentEvent::PrizeDeferred { prize, player, amount, .. } => {
            let text =
                format!("you are owed {amount} G, the {prize} prize of tournament {id}, until the pool has refilled");
            vec![(player.clone(), text)]
        }
        TournamentEvent::PrizeReversed { player, amount, .. } => {
            // Whose it is may change once more; that the results changed stays true.
            let why = if are_results_changed(item, state) { "the results have changed" } else { "it was not yours" };
            let text = format!("{amount} G of a prize of tournament {id} went back into the pool: {why}");
            vec![(player.clone(), text)]
        }
        _ => Vec::new(),
    }
}

/// True when prizes of a tournament were paid by results that are others now, or count for nobody.
fn are_results_changed(item: &Item, state: &State) -> bool {
    let withdraws = |event| matches!(event, Event::Tournament(TournamentEvent::PrizeScheduleWithdrawn { .. }));
    let changed = |known: &Tournament| {
        let mut rounds = known.rounds.iter();
        known.withdrawn.is_some()
            || rounds.any(|round| !round.voided.is_empty() || round.results.values().any(|result| result.corrected))
    };
    decoded(item).any(|(_, event)| withdraws(event))
        || state.tournaments.get(item.stream.subject()).is_some_and(changed)
}

fn of_deposit(event: &DepositEvent) -> Vec<(PlayerId, String)> {
    match event {
        DepositEvent::DepositCredited { player, amount, tx, .. } => {
            vec![(player.clone(), format!("your deposit of {amount} G was credited (final on chain, {tx})"))]
        }
        DepositEvent::QuarantineReleased { player, amount, .. } => {
            vec![(player.clone(), format!("a deposit of {amount} G was found to be yours and was credited"))]
        }
        DepositEvent::DepositDebited { player, amount, reason, .. } => {
            vec![(player.clone(), format!("a credit of {amount} G was taken back: {reason}"))]
        }
        DepositEvent::AttributionCorrected { from, to, amount, .. } => vec![
            (from.clone(), format!("a credit of {amount} G was not yours and was moved to its owner")),
            (to.clone(), format!("you got {amount} G of a deposit that had been credited to somebody else")),
        ],
        _ => Vec::new(),
    }
}

fn of_withdrawal(event: &WithdrawalEvent, id: &str, state: &State) -> Vec<(PlayerId, String)> {
    match event {
        WithdrawalEvent::HoldReleased { player, amount, .. } => {
            let text = format!("withdrawal {id} will not be paid: you got all {amount} G back, fees included");
            vec![(player.clone(), text)]
        }
        WithdrawalEvent::WithdrawalSettled { net, tx } => {
            let player = state.withdrawals.get(id).map(|withdrawal| withdrawal.player.clone());
            player.map(|player| (player, format!("withdrawal {id} was paid: {net} G by {tx}"))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
