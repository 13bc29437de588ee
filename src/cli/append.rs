//! `wox append`: events from a program into the log, one line in and one acknowledgement out.

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use tokio::sync::mpsc::Receiver;
use wox_events::{
    Actor, BurnEvent, ChainEvent, DecodeError, Event, EventId, Family, Json, NewEvent, OpsEvent, Provenance, Revision,
    StreamId, Timestamp, WithdrawalEvent, chain, upcast::current_version, withdrawal::ReversalProof,
};

use crate::{
    cli::{
        CliError, Context,
        input::{Line, Lines},
        render::{Shape as _, counted},
        store, time,
    },
    command,
    exit_code::ExitCode,
    interchange,
    log::{Ack, AppendRequest, EventLog},
    rfc3339,
};

/// Append events from JSON Lines; print one acknowledgement a line
///
/// Every line is one event:
///
///   {"stream":"duel-17","expected":0,"id":"UUID","kind":"ChallengeIssued","time":"2026-08-01T12:00:00Z",
///    "actor":"game","provenance":"game","data":{…}}
///
/// `expected` is the revision the stream must have, 0 for a new one. `time` is RFC 3339 or integer microseconds.
/// Optional: `version` (the newest), `rules` (1), `causation`, `correlation`. `wox schema KIND` shows the shape of `data`.
///
/// An acknowledgement line (stream, revision, position, leaf) is printed only after the event is durable. The first line
/// that cannot be appended ends the run; the lines before it stay acknowledged. Sending a line again changes nothing.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox append events.jsonl            append from a file
  game-server | wox append -         append what a program writes, as it comes")]
pub(super) struct AppendArgs {
    /// File with one event a line (.gz and .zst too), or - for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Accept kinds, versions and stream categories this build does not know
    ///
    /// They are kept, and their streams are held until a build that knows them reads them, or an operator waives them.
    #[arg(long)]
    allow_unknown: bool,
}

/// Most events that share one sync.
const BATCH_EVENTS_MAX: usize = 1024;

/// One line, as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    stream: StreamId,
    expected: Revision,
    id: EventId,
    kind: String,
    version: Option<u16>,
    time: Time,
    actor: Actor,
    causation: Option<EventId>,
    correlation: Option<EventId>,
    provenance: Provenance,
    rules: Option<u16>,
    data: Json,
}

/// One acknowledgement, as printed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct AckLine {
    schema: &'static str,
    /// The event's stream.
    stream: StreamId,
    /// Its place in the stream.
    revision: Revision,
    /// Its place in the log.
    position: wox_events::Position,
    /// Its leaf in the Merkle tree.
    leaf: wox_events::Digest,
    /// The event had been there before.
    repeat: bool,
}

/// A line that is ready to be appended.
#[derive(Debug)]
struct Ready {
    line: u64,
    request: AppendRequest,
}

pub(super) async fn run(args: AppendArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_write(&context).await?;
    let lines = Lines::open(&args.file)?;
    let name = lines.name().to_owned();
    let events = lines.parsed_ahead(move |name, line| ready(name, line, args.allow_unknown, time::now()));
    let appended = append_all(&log, events, &name, &context).await?;
    context.say(format!(
        "{} durable, {} of them repeats; head is {}",
        counted(appended.events, "event"),
        appended.repeats,
        log.head().await?.position
    ));
    Ok(ExitCode::Done)
}

#[derive(Debug, Default)]
struct Appended {
    events: u64,
    repeats: u64,
}

async fn append_all(
    log: &dyn EventLog,
    mut events: Receiver<Result<Ready, CliError>>,
    name: &str,
    context: &Context,
) -> Result<Appended, CliError> {
    let mut appended = Appended::default();
    loop {
        let first = tokio::select! {
            biased;
            () = context.interrupt.wait() => {
                return Err(CliError::interrupted(format!(
                    "stopped after {}; all of them are durable", counted(appended.events, "acknowledged event")
                ))
                .next("run the same command again: what is there already is acknowledged as a repeat"));
            }
            next = events.recv() => next,
        };
        let Some(first) = first else { return Ok(appended) };
        let (batch, failed) = gather(first?, &mut events);
        let lines: Vec<u64> = batch.iter().map(|ready| ready.line).collect();
        let requests = batch.into_iter().map(|ready| ready.request).collect();
        let answers = log.append_in_order(requests).await;

        let mut out = io::stdout().lock();
        let mut refused = None;
        for (line, answer) in lines.into_iter().zip(answers) {
            match answer {
                Ok(ack) => {
                    print(&ack, &mut out).map_err(CliError::output)?;
                    appended.events += ack.events.len() as u64;
                    appended.repeats += if ack.repeat { ack.events.len() as u64 } else { 0 };
                }
                Err(error) => refused = refused.or(Some(CliError::from(error).at("file", name).at("line", line))),
            }
        }
        out.flush().map_err(CliError::output)?;
        if let Some(error) = refused.or(failed) {
            return Err(error);
        }
    }
}

/// Takes the lines that are waiting already, so that they share one sync; and what is wrong with the one behind them.
fn gather(first: Ready, events: &mut Receiver<Result<Ready, CliError>>) -> (Vec<Ready>, Option<CliError>) {
    let mut batch = vec![first];
    while batch.len() < BATCH_EVENTS_MAX {
        match events.try_recv() {
            Ok(Ok(ready)) => batch.push(ready),
            Ok(Err(error)) => return (batch, Some(error)),
            Err(_) => break,
        }
    }
    (batch, None)
}

fn print(ack: &Ack, out: &mut impl io::Write) -> io::Result<()> {
    for event in &ack.events {
        let line = AckLine {
            schema: AckLine::NAME,
            stream: ack.stream.clone(),
            revision: event.revision,
            position: event.position,
            leaf: event.leaf,
            repeat: ack.repeat,
        };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Whoever may append could otherwise approve a plan in another's name, say that it was applied, say what the chain shows or
/// by which rules that counts, or decide as two people: such events only a recovery or a look at the chain writes. Every
/// kind of the families around the chain is named, so that a new one has to be thought about.
fn is_reserved(event: &Event) -> bool {
    match event {
        Event::Recovery(_) => true,
        Event::Chain(event) => !matches!(event, ChainEvent::BankConfirmed { .. }),
        Event::Withdrawal(event) => match event {
            WithdrawalEvent::RebroadcastRequested { .. }
            | WithdrawalEvent::BumpRequested { .. }
            | WithdrawalEvent::FenceRequested { .. } => true,
            WithdrawalEvent::HoldReleased { proof, .. } => match proof {
                ReversalProof::Operators { .. } => true,
                ReversalProof::NeverSigned {} | ReversalProof::Reverted { .. } | ReversalProof::Cancelled { .. } => {
                    false
                }
            },
            WithdrawalEvent::WithdrawalRequested { .. }
            | WithdrawalEvent::FundsHeld { .. }
            | WithdrawalEvent::TxSigned { .. }
            | WithdrawalEvent::TxBroadcast { .. }
            | WithdrawalEvent::TxMined { .. }
            | WithdrawalEvent::TxReverted { .. }
            | WithdrawalEvent::TxReplaced { .. }
            | WithdrawalEvent::WithdrawalSettled { .. }
            | WithdrawalEvent::WithdrawalFailed { .. }
            | WithdrawalEvent::WithdrawalFenced { .. }
            | WithdrawalEvent::WithdrawalImported { .. } => false,
        },
        Event::Burn(event) => match event {
            BurnEvent::BurnIntentRequested { .. } => true,
            BurnEvent::BurnScheduled { .. }
            | BurnEvent::BurnTxSigned { .. }
            | BurnEvent::BurnTxBroadcast { .. }
            | BurnEvent::BurnSettled { .. }
            | BurnEvent::BurnCancelled { .. }
            | BurnEvent::BurnImported { .. } => false,
        },
        Event::Ops(event) => matches!(event, OpsEvent::EventWaived { .. } | OpsEvent::IncidentAccepted { .. }),
        Event::Player(_)
        | Event::Duel(_)
        | Event::Tournament(_)
        | Event::Deposit(_)
        | Event::Pool(_)
        | Event::Command(_)
        | Event::Agent(_) => false,
    }
}

/// Streams that a recovery or a look at the chain writes, all but for a few kinds.
fn holds_decisions(stream: &StreamId) -> bool {
    matches!(stream.family(), Some(Family::Recovery | Family::Chain)) || stream.as_str() == "ops-control"
}

/// Reads one line and judges all that can be judged without the log.
fn ready(name: &str, line: Line, allow_unknown: bool, now: Timestamp) -> Result<Ready, CliError> {
    let bad = |code, what: String| {
        let error = CliError::failed(code, what).at("file", name).at("line", line.number);
        match stream_of(&line.text) {
            Some(stream) => error.at("stream", stream),
            None => error,
        }
    };
    let again = "correct the line and run the same command again: what is there already changes nothing";
    // Serde would take the fields from a list too, by their order alone.
    if !line.text.trim_start().starts_with('{') {
        return Err(bad("wox::append::line", "the line is not an event: not a JSON object".into()).next(again));
    }
    let typed: EventLine = serde_json::from_str(&line.text).map_err(|error| match interchange::detect(&line.text) {
        Ok(form) => bad("wox::append::export", format!("the line is an exported {form} event"))
            .next(command::wox(["import", if name == "stdin" { "-" } else { name }])),
        Err(_) => bad("wox::append::line", format!("the line is not an event: {}", in_line(&error))).next(again),
    })?;
    if !typed.data.as_str().starts_with('{') {
        return Err(bad("wox::append::payload", "`data` is not a JSON object".into())
            .next(command::wox(["schema", typed.kind.as_str()]))
            .next(again));
    }
    let time = typed.time.0;
    if !time.can_be() || time.since(now) > time::AHEAD_MAX {
        let what = format!("`time` is {}: nothing can have happened then", rfc3339::text(time));
        return Err(bad("wox::append::time", what)
            .next("times are RFC 3339 or microseconds since 1970, at most a day ahead of this machine's clock")
            .next("wox doctor looks at the clock")
            .next(again));
    }
    let reserved = || {
        let what =
            format!("{} is an event of a recovery or of a look at the chain, and only those write it", typed.kind);
        bad("wox::append::reserved", what)
            .next("wox observe, wox plan, wox approve and wox apply write them; wox recover event leaves an event out")
            .next(again)
    };
    if typed.provenance == Provenance::Recovery {
        return Err(reserved());
    }
    let version = typed.version.unwrap_or_else(|| current_version(&typed.kind));
    match Event::decode(&typed.stream, &typed.kind, version, typed.data.as_str()) {
        Ok(event) if is_reserved(&event) => return Err(reserved()),
        Ok(
            Event::Withdrawal(WithdrawalEvent::TxSigned { wallet, .. })
            | Event::Burn(BurnEvent::BurnTxSigned { wallet, .. }),
        ) if !chain::is_address(&wallet) => {
            return Err(bad("wox::append::payload", "`wallet` is no address of the chain, so nobody could look at it".into())
                .next("the sender of the transaction is 0x and 40 hex digits; what a service sends is TxBroadcast with its post")
                .next(again));
        }
        Ok(Event::Chain(ChainEvent::BankConfirmed { tx, .. })) if chain::is_of_looks(&typed.stream) => {
            let what = format!("BankConfirmed cannot stand in {}: only looks at the chain do", typed.stream);
            let id = typed.stream.subject().split(':').next().and_then(|id| id.parse().ok()).unwrap_or(8453);
            let own = chain::bank_stream(id, &tx).map(|own| format!("name the stream of what the bank says: {own}"));
            let error = bad("wox::append::place", what);
            return Err(match own {
                Some(own) => error.next(own),
                None => error,
            }
            .next(again));
        }
        Ok(_) => {}
        Err(error @ DecodeError::Malformed { .. }) => {
            let schema = command::wox(["schema", typed.kind.as_str()]);
            return Err(bad("wox::append::payload", error.to_string()).next(schema).next(again));
        }
        // Known, and in the wrong place: waiting for a newer build would not help.
        Err(error @ DecodeError::ForeignKind { .. }) => {
            let text = error.to_string();
            let what = text.split_once("; ").map_or(text.as_str(), |(what, _)| what);
            return Err(bad("wox::append::foreign-kind", what.to_owned())
                .next("name a stream of that family; wox schema lists the kinds with their families")
                .next(again));
        }
        // A build that knows the kind may take it for what only recoveries write.
        Err(_) if allow_unknown && holds_decisions(&typed.stream) => return Err(reserved()),
        Err(_) if allow_unknown => {}
        Err(
            error @ (DecodeError::UnknownCategory { .. }
            | DecodeError::UnknownKind { .. }
            | DecodeError::FutureVersion { .. }),
        ) => {
            // What else the message advises is for readers of a log, not for writers.
            let text = error.to_string();
            let what = text.split_once("; ").map_or(text.as_str(), |(what, _)| what);
            return Err(bad("wox::append::unknown", what.to_owned())
                .next("wox schema lists what this build knows")
                .next("--allow-unknown keeps such events and holds their streams"));
        }
    }
    let event = NewEvent {
        id: typed.id,
        kind: typed.kind.into(),
        version,
        time,
        actor: typed.actor,
        causation: typed.causation,
        correlation: typed.correlation,
        provenance: typed.provenance,
        rules: typed.rules.unwrap_or(1),
        data: typed.data,
    };
    let request = AppendRequest { stream: typed.stream, expected: typed.expected, events: vec![event] };
    Ok(Ready { line: line.number, request })
}

/// The message of a parser that saw nothing but this line: its own count of lines would contradict the file's.
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// The stream a broken line speaks of, when that much can be read.
fn stream_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        stream: String,
    }
    serde_json::from_str::<Named>(text).ok().map(|named| named.stream)
}

/// A time as producers write it.
#[derive(Debug)]
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text or integer microseconds since 1970")
            }
            fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Time, E> {
                Ok(Time(Timestamp(micros)))
            }
            fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Time, E> {
                i64::try_from(micros)
                    .map(|micros| Time(Timestamp(micros)))
                    .map_err(|_| E::custom(format!("time {micros} is out of range")))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                rfc3339::parse(text)
                    .map(Time)
                    .map_err(|error| E::custom(format!("time `{text}` is not RFC 3339: {error}")))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"stream":"duel-1","expected":2,"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b11",
        "kind":"ChallengeDeclined","time":"2026-08-01T12:00:00Z","actor":"game","provenance":"game","data":{}}"#;

    const NOW: Timestamp = Timestamp(1_785_600_000_000_000);

    fn judged(line: &str) -> Result<Ready, CliError> {
        ready("game.jsonl", Line { number: 7, text: line.to_owned() }, false, NOW)
    }

    #[test]
    fn a_line_may_leave_version_and_rules_out() {
        let ready = judged(GOOD).unwrap();
        let event = &ready.request.events[0];
        assert_eq!((event.version, event.rules, event.time), (1, 1, Timestamp(1_785_585_600_000_000)));
        assert_eq!(ready.request.expected, Revision(2));
    }

    #[test]
    fn a_bad_line_names_file_line_and_stream() {
        for (from, to) in [
            (r#""data":{}"#, r#""data":{"a":1,"a":2}"#),
            (r#""data":{}"#, r#""data":{},"data":{}"#),
            (r#""data":{}"#, r#""data":{"surprise":1}"#),
            (r#""data":{}"#, r#""data":[]"#),
            (r#""expected":2"#, r#""expected":-2"#),
            (r#""expected":2"#, r#""expected":"2""#),
            (r#""expected":2"#, r#""expected":2,"surprise":1"#),
            ("2026-08-01T12:00:00Z", "yesterday"),
            ("2026-08-01T12:00:00Z", "2026-08-02T16:00:00.000001Z"),
            ("2026-08-01T12:00:00Z", "1969-12-31T23:59:59Z"),
            (r#""2026-08-01T12:00:00Z""#, "9223372036854775807"),
            ("ChallengeDeclined", "BroomRaced"),
            (r#""provenance":"game""#, r#""provenance":"rumour""#),
            (r#""provenance":"game""#, r#""provenance":"recovery""#),
            (r#""actor":"game""#, r#""actor":"two words""#),
        ] {
            let line = GOOD.replacen(from, to, 1);
            assert_ne!(line, GOOD);
            let error = judged(&line).expect_err(&line).for_programs();
            for part in ["game.jsonl", r#""line":"7""#, r#""next":[""#] {
                assert!(error.contains(part), "{part} is missing in {error}");
            }
        }
        let error = judged(&GOOD.replacen("ChallengeDeclined", "BroomRaced", 1)).unwrap_err().for_programs();
        assert!(error.contains(r#""stream":"duel-1""#) && error.contains("--allow-unknown"), "{error}");
    }

    #[test]
    fn unknown_kinds_pass_only_when_asked_for_and_malformed_ones_never() {
        let line = |text: String| Line { number: 1, text };
        let unknown = GOOD.replacen("ChallengeDeclined", "BroomRaced", 1);
        assert!(ready("f", line(unknown), true, NOW).is_ok());
        let foreign = GOOD.replacen("ChallengeDeclined", "DepositCredited", 1);
        let refused = ready("f", line(foreign), true, NOW).unwrap_err();
        assert!(refused.to_string().contains("belongs to the deposit family"), "{refused}");
        let malformed = GOOD.replacen(r#""data":{}"#, r#""data":{"x":1}"#, 1);
        assert!(ready("f", line(malformed), true, NOW).is_err());
    }
}
