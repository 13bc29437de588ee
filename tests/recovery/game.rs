//! A small game written by hand: typed events go into the in-memory log at the right revisions and at a clock that the
//! test moves. What a plan says is shown as compact text.

use std::{fmt::Write as _, num::NonZeroUsize, sync::Arc};

use wox_events::{
    Actor, AgentEvent, Amount, DepositEvent, Digest, DuelEvent, DuelId, Event, EventId, Handle, Json, Label, LogId,
    Name, NewEvent, PlayerEvent, PlayerId, Position, Provenance, Revision, Split, StreamId, Timestamp, TxHash,
    deposit::Finality, player::House,
};
use wox_recovery::{
    log::{Ack, AppendRequest, EventLog, MemoryLog},
    procedures,
    recovery::{
        Applied, ApplyError, Case, Diagnosis, Evidence, Plan, Scope, Verdict, apply, approve, diagnose, gather, plan,
        propose, verify,
    },
    replay::Progress,
};

/// When people look at the game: long after everything.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub struct Game<L = MemoryLog> {
    pub log: L,
    /// Microseconds since 1970, moved by [`Game::wait`] only.
    pub clock: i64,
}

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub fn who(player: &str) -> PlayerId {
    PlayerId::new(player).unwrap()
}

pub fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

/// What the game calls something.
pub fn called(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

pub fn g(galleons: u64) -> Amount {
    Amount::galleons(galleons)
}

pub fn split(bonus: u64, withdrawable: u64) -> Split {
    Split { bonus: g(bonus), withdrawable: g(withdrawable) }
}

pub fn hash(number: u32) -> TxHash {
    TxHash::new(format!("0x{number:064x}")).unwrap()
}

pub fn progress() -> Arc<Progress> {
    Arc::new(Progress::default())
}

pub fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// The id of the event that the game writes at this place: it follows from the place in its stream alone.
pub fn id_of(stream: &str, revision: u64) -> EventId {
    EventId::derived(&["test", stream, &revision.to_string()])
}

impl Game {
    pub fn new() -> Game {
        Game::starting_at(1_700_000_000_000_000)
    }

    pub fn starting_at(clock: i64) -> Game {
        Game { log: MemoryLog::new(LogId(uuid::Uuid::from_u128(7))), clock }
    }
}

impl<L: EventLog> Game<L> {
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock)
    }

    pub fn wait(&mut self, seconds: i64) -> &mut Self {
        self.clock += seconds * 1_000_000;
        self
    }

    pub async fn tell(&self, name: &str, event: impl Into<Event>) -> EventId {
        let (kind, version, data) = event.into().encode().unwrap();
        self.tell_raw(name, &kind, version, data, None).await
    }

    pub async fn tell_raw(
        &self,
        name: &str,
        kind: &str,
        version: u16,
        data: Json,
        causation: Option<EventId>,
    ) -> EventId {
        let expected = self.log.revision(&stream(name)).await.unwrap();
        let id = id_of(name, expected.0 + 1);
        let event = NewEvent {
            id,
            kind: kind.into(),
            version,
            time: self.now(),
            actor: actor("game"),
            causation,
            correlation: None,
            provenance: Provenance::Game,
            rules: 1,
            data,
        };
        self.put(name, expected, event).await;
        id
    }

    /// An event of the recovery's own, written past the functions that usually write it.
    pub async fn forge(&self, name: &str, by: &str, event: impl Into<Event>) {
        let (kind, version, data) = event.into().encode().unwrap();
        let expected = self.log.revision(&stream(name)).await.unwrap();
        let event = NewEvent {
            id: id_of(name, expected.0 + 1),
            kind,
            version,
            time: NOW,
            actor: actor(by),
            causation: None,
            correlation: None,
            provenance: Provenance::Recovery,
            rules: 1,
            data,
        };
        self.put(name, expected, event).await;
    }

    async fn put(&self, name: &str, expected: Revision, event: NewEvent) -> Ack {
        let request = AppendRequest { stream: stream(name), expected, events: vec![event] };
        self.log.append(request).await.unwrap()
    }

    /// Anybody does anything that concerns nobody else; the game's clock moves on to now.
    pub async fn tick(&self) {
        self.tell("pool-main", wox_events::PoolEvent::PoolContributed { amount: g(1), source: label("fan") }).await;
    }

    /// A player with the 20 G of bonus everybody starts with and a deposit.
    pub async fn player(&self, player: &str, deposited: u64) {
        let created = PlayerEvent::PlayerCreated {
            handle: Handle::new(format!("@{player}")).unwrap(),
            name: called(player),
            house: House::Hufflepuff,
            bonus: g(20),
        };
        self.tell(&format!("player-{player}"), created).await;
        if deposited > 0 {
            let tx = player.bytes().fold(1_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
            self.credit(&format!("deposit-8453:{}:0", hash(tx)), tx, player, deposited).await;
        }
    }

    /// A credit of a transfer, under a stream of any name.
    pub async fn credit(&self, name: &str, tx: u32, player: &str, amount: u64) -> EventId {
        let observed = DepositEvent::DepositObserved {
            chain: 8453,
            tx: hash(tx),
            ordinal: 0,
            log_index: 0,
            block: 1,
            block_hash: hash(1),
            token: label("GALLEON"),
            from: label("0xfan"),
            to: label("0xgame"),
            value: g(amount),
            finality: Finality::Finalized,
            source: label("rpc"),
            digest: digest("receipt"),
        };
        self.tell(name, observed).await;
        let credited = DepositEvent::DepositCredited {
            chain: 8453,
            tx: hash(tx),
            ordinal: 0,
            player: who(player),
            amount: g(amount),
            dust: Amount::ZERO,
        };
        self.tell(name, credited).await
    }

    /// Everything a player has to spend goes into a potion, at least as far as `bonus` and `withdrawable` say.
    pub async fn spend(&self, player: &str, bonus: u64, withdrawable: u64) {
        let brewed = PlayerEvent::PotionBrewed { potion: called("Healing"), cost: split(bonus, withdrawable) };
        self.tell(&format!("player-{player}"), brewed).await;
    }

    /// A challenge of `a` to `b` with five minutes to accept, and both stakes.
    pub async fn challenge(&self, duel: &str, (a, stake_a): (&str, Split), (b, stake_b): (&str, Split)) {
        let name = format!("duel-{duel}");
        let issued = DuelEvent::ChallengeIssued {
            challenger: who(a),
            opponent: who(b),
            bet: stake_a.total().unwrap(),
            expires_at: Timestamp(self.clock + 300_000_000),
            tournament: None,
        };
        self.tell(&name, issued).await;
        self.tell(&name, DuelEvent::StakeHeld { player: who(a), stake: stake_a }).await;
        self.tell(&name, DuelEvent::StakeHeld { player: who(b), stake: stake_b }).await;
    }

    pub async fn accept(&self, duel: &str, first: &str) {
        let accepted = DuelEvent::ChallengeAccepted { first_turn: who(first), challenger_hp: 100, opponent_hp: 100 };
        self.tell(&format!("duel-{duel}"), accepted).await;
    }

    pub async fn turn(&self, duel: &str, turn: u32, player: &str) {
        let missed = DuelEvent::TurnMissed { turn, player: who(player), missed: 1 };
        self.tell(&format!("duel-{duel}"), missed).await;
    }

    /// Two players with 100 G each in an active duel `d` about 30 G: 10 bonus and 20 withdrawable against 30.
    pub async fn active_duel(&self) {
        self.player("ann", 100).await;
        self.player("ben", 100).await;
        self.challenge("d", ("ann", split(10, 20)), ("ben", split(0, 30))).await;
        self.accept("d", "ann").await;
    }

    pub async fn stop_agent(&self) {
        let stopped = AgentEvent::AgentStopped { since: self.now(), reason: label("crash") };
        self.tell("agent-main", stopped).await;
    }

    pub async fn resume_agent(&self) {
        self.tell("agent-main", AgentEvent::AgentResumed { until: self.now() }).await;
    }

    pub async fn look(&self) -> Evidence {
        let evidence = gather(&self.log, one(), &progress()).await.unwrap();
        assert!(evidence.replay.accounting.is_complete());
        evidence
    }

    pub async fn diagnosis(&self) -> Diagnosis {
        diagnose(&self.look().await)
    }

    pub async fn plan(&self) -> Plan {
        self.plan_for(&Scope::All).await
    }

    pub async fn plan_for(&self, scope: &Scope) -> Plan {
        let evidence = self.look().await;
        let first = plan(&evidence, scope).unwrap();
        assert_eq!(first, plan(&evidence, scope).unwrap(), "the same evidence gives the same plan");
        assert_eq!(first.content_digest().unwrap(), first.id);
        first
    }

    pub async fn propose(&self, plan: &Plan) {
        propose(&self.log, plan, &actor("alice"), NOW).await.unwrap();
    }

    pub async fn approve(&self, plan: &Plan) {
        approve(&self.log, plan.id, &actor("bob"), "looked at it", NOW).await.unwrap();
    }

    pub async fn apply(&self, plan: &Plan) -> Result<Applied, ApplyError> {
        self.apply_at(plan, NOW).await
    }

    pub async fn apply_at(&self, plan: &Plan, now: Timestamp) -> Result<Applied, ApplyError> {
        apply(&self.log, plan.id, &actor("alice"), now, one(), &progress()).await
    }

    pub async fn verify(&self, plan: &Plan) -> Verdict {
        verify(&self.log, plan, &actor("alice"), NOW, one(), &progress()).await.unwrap()
    }

    /// The whole way for a plan, by two people.
    pub async fn carry_out(&self, plan: &Plan) -> Verdict {
        self.propose(plan).await;
        if plan.needs_approval {
            self.approve(plan).await;
        }
        self.apply(plan).await.unwrap();
        self.verify(plan).await
    }

    pub async fn player_has(&self, player: &str) -> (Amount, Amount) {
        let balances = self.look().await.replay.state.ledger.player(&who(player)).unwrap();
        (balances.bonus, balances.withdrawable)
    }

    /// How often each event id stands in the log as a compensation: must be once.
    pub async fn count_of(&self, plan: &Plan) -> Vec<usize> {
        let mut counts = Vec::new();
        for item in &plan.items {
            let events = self.log.read_stream(&item.stream).await.unwrap();
            for step in &item.steps {
                counts.push(events.iter().filter(|event| event.event.id == step.id).count());
            }
        }
        counts
    }

    pub async fn kinds(&self, name: &StreamId) -> Vec<String> {
        let events = self.log.read_stream(name).await.unwrap();
        events.iter().map(|event| event.event.kind.to_string()).collect()
    }
}

/// A plan as people would check it: finding, steps, movements; then what is left to them.
pub fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for item in &plan.items {
        for finding in &item.findings {
            let since =
                finding.since.as_ref().map_or("?".into(), |since| format!("{}@{}", since.stream, since.revision));
            let (procedure, code, severity) = (&finding.procedure, &finding.code, finding.severity);
            writeln!(text, "{procedure} {code} {severity} since {since}: {}", finding.says).unwrap();
        }
        writeln!(text, "on {}@{}", item.stream, item.expected).unwrap();
        for step in &item.steps {
            writeln!(text, "  {}: {}", step.kind, step.says).unwrap();
            for posting in &step.postings {
                writeln!(text, "    {} G {} -> {}", posting.amount, posting.from, posting.to).unwrap();
            }
        }
    }
    for hold in &plan.held {
        let (finding, unknown) = (&hold.finding, if hold.finding.outcome_unknown { " (unknown)" } else { "" });
        writeln!(text, "HELD {} {}{unknown}: {}", finding.procedure, finding.subject, finding.says).unwrap();
        writeln!(text, "  why: {}\n  next: {}", hold.why, hold.next).unwrap();
    }
    text
}

/// Holds a plan's text against what it should be, indentation of the test not counted.
#[track_caller]
pub fn says(plan: &Plan, expected: &str) {
    let margin = expected.lines().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or_default();
    let lines = expected.trim_end().lines().skip_while(|line| line.trim().is_empty());
    let expected: String = lines.map(|line| format!("{}\n", line.get(margin..).unwrap_or_default())).collect();
    let shown = shown(plan);
    assert!(shown == expected, "\n--- is\n{shown}--- should be\n{expected}");
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

pub fn nothing(plan: &Plan) {
    says(plan, "");
    assert!(!plan.changes && !plan.needs_approval);
}

pub fn named<'a>(diagnosis: &'a Diagnosis, procedure: &str) -> Vec<&'a Case> {
    assert!(
        procedure == "waiver" || procedures::ALL.iter().any(|known| known.name == procedure),
        "no procedure is called {procedure}"
    );
    diagnosis.cases.iter().filter(|case| case.finding.procedure == procedure).collect()
}

pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub fn duel_state(evidence: &Evidence, duel: &str) -> wox_projections::duels::Duel {
    let found = evidence.replay.state.duels.iter().find(|(id, _)| **id == DuelId::new(duel).unwrap());
    found.unwrap().1.clone()
}

pub fn position(number: u64) -> Position {
    Position(number)
}
