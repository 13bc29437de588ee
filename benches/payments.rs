//! What a diagnosis costs for each payment that was looked at, as ratios in one run: `cargo bench --bench payments -- [N]`.
//!
//! One player, one address, N withdrawals with their burns; then four times as many. Whoever is paid often must not make
//! every plan slower than his payments are many: four times the payments are to take about four times the time. Three
//! histories: all paid and booked; all sent and final, nobody booked them; and a lost journal, where no event says what any
//! transfer paid.

#![allow(clippy::print_stdout, reason = "a bench reports by printing")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on panics with the place")]

use std::{collections::BTreeMap, env, time::Instant};

use wox_events::{
    Actor, Amount, BurnEvent, ChainEvent, DepositEvent, Digest, Duration, Event, EventId, LogId, PlayerEvent, PlayerId,
    Position, Provenance, Recorded, Revision, StreamId, Timestamp, TxHash, WithdrawalEvent, WithdrawalId,
    chain::{
        self, Answer, BlockId, Consumer, Head, Log, Membership, Receipt, SlotAnswer, SlotUse, Source, SourceKind,
        Standing, Transaction,
    },
    id::{Label, Name},
};
use wox_projections::{Replay, Waivers, burns::DEAD_ADDRESS};
use wox_recovery::recovery::{Evidence, diagnose};

const AT: Timestamp = Timestamp(1_785_600_000_000_000);
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const HOT: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
const ANN: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const TOKEN: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    Booked,
    Unbooked,
    LostJournal,
}

fn main() {
    let few: u64 = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2_000);
    println!("{:>14} {:>10} {:>12} {:>14} {:>10}", "history", "payments", "diagnosis", "a payment", "ratio");
    for history in [History::Booked, History::Unbooked, History::LostJournal] {
        let mut before = None;
        for payments in [few, few * 4] {
            let evidence = evidence(payments, history);
            let since = Instant::now();
            let found = diagnose(&evidence).cases.len();
            let took = since.elapsed();
            let each = took.as_secs_f64() * 1e6 / payments as f64;
            let ratio = before.map_or_else(String::new, |before: f64| format!("{:.2}", each / before));
            println!(
                "{:>14} {payments:>10} {:>9.1} ms {each:>11.1} us {ratio:>10}   {found} found",
                format!("{history:?}"),
                took.as_secs_f64() * 1e3
            );
            before = Some(each);
        }
    }
    println!("ratio: what a payment costs among four times as many, to what it costs among few; 1 is linear");
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn hash(text: &str) -> TxHash {
    TxHash::new(format!("0x{}", Digest::of(text.as_bytes()))).unwrap()
}

fn block(number: u64) -> BlockId {
    BlockId { number, hash: hash(&format!("block {number}")) }
}

fn standing(source: &str) -> Standing {
    let head = |number: u64| Answer::Found(Head { number, hash: block(number).hash, time: AT });
    Standing {
        source: label(source),
        chain: Answer::Found(8453),
        genesis: Answer::Found(hash("block 0")),
        latest: head(1_000_000),
        safe: head(1_000_000),
        finalized: head(1_000_000),
        anchor: Answer::Found(block(1_000_000)),
        digest: Digest::of(source.as_bytes()),
    }
}

/// A history as it grows.
struct Writer {
    replay: Replay,
    revisions: BTreeMap<StreamId, u64>,
}

impl Writer {
    fn tell(&mut self, stream: &str, event: impl Into<Event>, provenance: Provenance) {
        let stream = StreamId::new(stream).unwrap();
        let revision = self.revisions.entry(stream.clone()).or_default();
        *revision += 1;
        let recorded = Recorded {
            position: Position(self.replay.position.0 + 1),
            id: EventId::derived(&["bench", stream.as_str(), &revision.to_string()]),
            revision: Revision(*revision),
            stream,
            time: AT,
            actor: Actor::new("bench").unwrap(),
            causation: None,
            provenance,
            event: Ok(event.into()),
        };
        self.replay.observe(&recorded).unwrap();
        assert!(self.replay.held().is_empty(), "{:?}", self.replay.held());
    }

    /// A slot of the paying wallet, final, with one transfer.
    fn look(&mut self, nonce: u64, tx: &TxHash, to: &str, value: Amount) {
        let topic = |address: &str| TxHash::new(format!("0x{:0>64}", &address[2..])).unwrap();
        let moved = Log {
            ordinal: 0,
            log_index: 1,
            address: label(TOKEN),
            topics: vec![TxHash::new(TRANSFER).unwrap(), topic(HOT), topic(to)],
            data: format!("0x{:064x}", value.base_units()),
            removed: false,
        };
        let at = block(nonce + 1);
        let answer = |source: &str| {
            let transaction = Transaction {
                tx: tx.clone(),
                kind: 2,
                from: label(HOT),
                nonce,
                to: Some(label(TOKEN)),
                value: label("0"),
                plain: false,
                fees: None,
                block: Some(at.clone()),
            };
            let receipt = Receipt {
                tx: tx.clone(),
                block: at.clone(),
                success: true,
                log_count: 1,
                logs_digest: Digest::of(tx.as_str().as_bytes()),
                logs: vec![moved.clone()],
            };
            let block = Answer::Found(Membership { block: at.clone(), contains: true });
            let consumer = Answer::Found(Consumer::Transaction { transaction, receipt: Answer::Found(receipt), block });
            let slot = SlotUse { latest: nonce + 1, pending: nonce + 1, finalized: nonce + 1, consumer };
            SlotAnswer { standing: standing(source), slot: Answer::Found(slot), attempts: Vec::new() }
        };
        let looked = ChainEvent::SlotLooked {
            chain: 8453,
            wallet: label(HOT),
            nonce,
            at: AT,
            answers: vec![answer("one"), answer("two")],
        };
        self.tell(&format!("chain-8453:slot:{HOT}:{nonce}"), looked, Provenance::Observed);
    }
}

fn evidence(payments: u64, history: History) -> Evidence {
    let mut writer = Writer { replay: Replay::new(Waivers::default()), revisions: BTreeMap::new() };
    let game = Provenance::Game;
    let ann = PlayerId::new("1001").unwrap();
    let created = PlayerEvent::PlayerCreated {
        handle: wox_events::Handle::new("@ann").unwrap(),
        name: Name::new("Ann").unwrap(),
        house: wox_events::player::House::Hufflepuff,
        bonus: Amount::galleons(20),
    };
    writer.tell("player-1001", created, game);
    let (net, share, amount) = (Amount::galleons(96), Amount::galleons(2), Amount::galleons(100));
    let credited = DepositEvent::DepositCredited {
        chain: 8453,
        tx: hash("deposit"),
        ordinal: 0,
        player: ann.clone(),
        amount: Amount::galleons(100 * payments),
        dust: Amount::ZERO,
    };
    writer.tell(&format!("deposit-8453:{}:0", hash("deposit")), credited, game);
    let source =
        |name: &str| Source { name: label(name), operator: label(&format!("of-{name}")), kind: SourceKind::Node };
    let declared = ChainEvent::ChainPolicyDeclared {
        chain: 8453,
        genesis: hash("block 0"),
        quorum: 2,
        sources: vec![source("one"), source("two")],
        tokens: vec![label(TOKEN)],
        watched: vec![label("0x15d34aaf54267db7d7c367839aaf71a00a2c6a65")],
        wallets: vec![label(HOT)],
        minimum: Amount::galleons(1),
        finalized_age_max: Duration::seconds(3_600),
        journaled: true,
    };
    writer.tell(chain::stream(8453).as_str(), declared, Provenance::Recovery);
    for number in 0..payments {
        let stream = format!("withdrawal-{number}");
        let requested = WithdrawalEvent::WithdrawalRequested { player: ann.clone(), amount, destination: label(ANN) };
        writer.tell(&stream, requested, game);
        let player = ann.clone();
        let held = WithdrawalEvent::FundsHeld { player, amount, net, pool_share: share, burn_share: share };
        writer.tell(&stream, held, game);
        let withdrawal = WithdrawalId::new(number.to_string()).unwrap();
        writer.tell(&format!("burn-{number}"), BurnEvent::BurnScheduled { withdrawal, amount: share, due: AT }, game);
    }
    for number in 0..payments {
        let (paid, burned) = (hash(&format!("pay {number}")), hash(&format!("burn {number}")));
        let (slot, next) = (2 * number, 2 * number + 1);
        let (stream, burn) = (format!("withdrawal-{number}"), format!("burn-{number}"));
        let wallet = label(HOT);
        if history != History::LostJournal {
            let (tx, digest) = (paid.clone(), Digest::of(b"bytes"));
            let signed = WithdrawalEvent::TxSigned { wallet: wallet.clone(), nonce: slot, tx, digest, fees: None };
            writer.tell(&stream, signed, game);
            let tx = burned.clone();
            writer.tell(&burn, BurnEvent::BurnTxSigned { wallet, nonce: next, tx, fees: None }, game);
        }
        writer.look(slot, &paid, ANN, net);
        writer.look(next, &burned, DEAD_ADDRESS, share);
        if history == History::Booked {
            writer.tell(&stream, WithdrawalEvent::WithdrawalSettled { tx: paid, net }, game);
            writer.tell(&burn, BurnEvent::BurnSettled { tx: burned, amount: share }, game);
        }
    }
    let head = writer.replay.position;
    Evidence::new(LogId(uuid::Uuid::nil()), head, Digest::of(b"root"), writer.replay, None)
}
