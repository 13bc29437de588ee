//! Rebuilding the game's tables, measured as ratios in one run: `cargo bench --bench rebuild -- [PLAYERS] [ROUNDS]`.
//!
//! A history of ten events a player (created, spells, experience, bonus, a title; a deposit for one in ten), a real
//! MariaDB that is started for the run, and every case in a process of its own, with the operating system's own count of
//! its peak memory and of its processor time. What is compared, for the table `players`:
//! - rebuild: what `wox rebuild players` does, from folding the log to reading the new tables again, once with the table
//!   empty and once with a wrong value in every row; the tables that keys tie to it are replaced along;
//! - upsert: the same fold, then one `INSERT … ON DUPLICATE KEY UPDATE` a row, each durable by itself, as a projection
//!   that writes row by row does it; after a minute it stops and counts by the rate so far;
//! - diff: the comparison of equal rows, without the fold, against a bare `SELECT *` of them by the same client.

#![allow(clippy::print_stdout, clippy::unwrap_used, unreachable_pub, reason = "a bench reports by printing and panics")]

#[path = "../tests/support/mariadb.rs"]
mod mariadb;

use std::{
    env, error, fs,
    num::NonZeroUsize,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;
use wox_events::{
    Actor, Amount, DepositEvent, Digest, Event, EventId, Handle, Label, Name, NewEvent, PlayerEvent, PlayerId,
    Provenance, Revision, StreamId, Timestamp, TxHash, deposit::Finality, player::House,
};
use wox_recovery::{
    log::{AppendRequest, EmbeddedLog, EventLog as _, embedded::Options},
    rebuild::{
        Book, Folded, Pace, fold,
        look::{RowProgress, look},
        pace::pause_file,
        run::{Order, fence, rebuild},
        survey,
    },
    replay::Progress,
    tables::{
        Image, Table,
        cell::Cell,
        compare::{Details, Layout},
    },
    world::game_db::GameDb,
};

type Outcome<T = ()> = Result<T, Box<dyn error::Error>>;

/// Players of the history, with ten events each, unless another number is given.
const PLAYERS: u64 = 100_000;
const ROUNDS: usize = 3;
/// How long rows are written one by one.
const UPSERT_TIME: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["case", case, store, url] => runtime.block_on(case_of(case, Path::new(store), url)),
        ["write", players, store] => runtime.block_on(write(players.parse()?, Path::new(store))),
        rest => runtime.block_on(compare(
            rest.first().map_or(Ok(PLAYERS), |text| text.parse())?,
            rest.get(1).map_or(Ok(ROUNDS), |text| text.parse())?,
        )),
    }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The events of one player and of one deposit.
fn history(number: u64) -> [(StreamId, Vec<Event>); 2] {
    let handle = format!("wizard_{number:06}");
    let gained = |xp| PlayerEvent::ExperienceGained { xp, level: 1, reason: label("duel") };
    let created = PlayerEvent::PlayerCreated {
        handle: Handle::new(&handle).unwrap(),
        name: name(&format!("Wizard_{number}")),
        house: [House::Ravenclaw, House::Gryffindor, House::Slytherin, House::Hufflepuff][(number % 4) as usize],
        bonus: Amount::galleons(20),
    };
    let mut own = vec![
        created,
        PlayerEvent::SpellLearned { spell: name("Incendio") },
        PlayerEvent::SpellLearned { spell: name("Protego") },
        gained(20),
        gained(10 + (number % 50) as u32),
        PlayerEvent::BonusGranted { amount: Amount::galleons(1 + number % 9), reason: label("quest") },
        PlayerEvent::TitleAwarded { title: name("Apprentice") },
    ];
    if !number.is_multiple_of(10) {
        let quest = PlayerEvent::BonusGranted { amount: Amount::cents(25), reason: label("quest") };
        own.extend([gained(5), gained(5), quest]);
    }
    let (player, tx) = (PlayerId::new(format!("{}", 1_000_000 + number)).unwrap(), format!("0x{number:064x}"));
    let (tx, amount) = (TxHash::new(tx).unwrap(), Amount::galleons(5 + number % 500));
    let deposit = vec![
        DepositEvent::DepositObserved {
            chain: 8453,
            tx: tx.clone(),
            ordinal: 0,
            log_index: 3,
            block: 1_000_000 + number,
            block_hash: tx.clone(),
            token: label("0x1111111111111111111111111111111111111111"),
            from: label("0x2222222222222222222222222222222222222222"),
            to: label("0x3333333333333333333333333333333333333333"),
            value: amount,
            finality: Finality::Finalized,
            source: label("node"),
            digest: Digest::of(tx.as_str().as_bytes()),
        },
        DepositEvent::DepositAttributed { player: player.clone(), method: label("bound_sender") },
        DepositEvent::DepositCredited {
            chain: 8453,
            tx: tx.clone(),
            ordinal: 0,
            player: player.clone(),
            amount,
            dust: Amount::ZERO,
        },
    ];
    let player = StreamId::new(format!("player-{player}")).unwrap();
    let deposit_stream = StreamId::new(format!("deposit-8453:{tx}:0")).unwrap();
    [
        (player, own.into_iter().map(Event::from).collect()),
        (deposit_stream, deposit.into_iter().filter(|_| number.is_multiple_of(10)).map(Event::from).collect()),
    ]
}

async fn write(players: u64, store: &Path) -> Outcome {
    let log = EmbeddedLog::create(store, Options::default()).await?;
    let actor = Actor::new("game")?;
    let mut requests = Vec::new();
    for number in 0..players {
        for (stream, events) in history(number) {
            let mut written = Vec::new();
            for (at, event) in events.into_iter().enumerate() {
                let (kind, version, data) = event.encode()?;
                written.push(NewEvent {
                    id: EventId::derived(&[stream.as_str(), &at.to_string()]),
                    kind,
                    version,
                    time: Timestamp(1_785_000_000_000_000 + (number * 10 + at as u64) as i64 * 1_000),
                    actor: actor.clone(),
                    causation: None,
                    correlation: None,
                    provenance: Provenance::Game,
                    rules: 1,
                    data,
                });
            }
            if !written.is_empty() {
                requests.push(AppendRequest { stream, expected: Revision::NO_STREAM, events: written });
            }
        }
        if requests.len() >= 4_000 || number + 1 == players {
            for answer in log.append_many(std::mem::take(&mut requests)).await {
                answer?;
            }
        }
    }
    log.close().await;
    Ok(())
}

async fn folded(log: &EmbeddedLog) -> Outcome<Folded> {
    let head = log.head().await?.position;
    let threads = NonZeroUsize::new(2).unwrap();
    let folded = fold(log, head, threads, &Arc::new(Progress::default())).await?;
    let refused = folded.replay.accounting.refused;
    assert_eq!(refused, 0, "the history is sound");
    Ok(folded)
}

/// One case in this process: prints seconds, rows and peak memory.
async fn case_of(case: &str, store: &Path, url: &str) -> Outcome {
    let log = EmbeddedLog::open_read_only(store).await?;
    let start = Instant::now();
    let (seconds, rows) = match case {
        "rebuild" => {
            let rows = rebuilt(&log, store, url).await?;
            (start.elapsed().as_secs_f64(), rows)
        }
        "upsert" => upserted(&folded(&log).await?, url, start).await?,
        "diff" => {
            let folded = folded(&log).await?;
            let mut session = GameDb::new(url)?.connect().await?;
            let start = Instant::now();
            let look = look(&mut session, &folded, &[Table::Players], Details::ALL, &RowProgress::default()).await?;
            assert!(look.is_equal(), "the tables are what the log says");
            (start.elapsed().as_secs_f64(), look.tables[0].equal)
        }
        "select" => {
            let mut connection = mariadb::connect(url).await;
            let start = Instant::now();
            let mut rows = sqlx::raw_sql("SELECT * FROM players").fetch(&mut connection);
            let mut count = 0;
            while rows.try_next().await?.is_some() {
                count += 1;
            }
            (start.elapsed().as_secs_f64(), count)
        }
        other => return Err(format!("no case {other}").into()),
    };
    println!("{seconds} {rows} {} {}", peak_memory_kib()?, processor_seconds()?);
    Ok(())
}

async fn rebuilt(log: &EmbeddedLog, store: &Path, url: &str) -> Outcome<u64> {
    let db = GameDb::new(url)?;
    let now = || Timestamp(1_790_000_000_000_000);
    let book = Book { store: store.to_owned(), by: Actor::new("bench")?, now };
    let (mut fence, _) = fence(&db).await?;
    let rows = RowProgress::default();
    let folded = folded(log).await?;
    let mut session = db.connect().await?;
    let found = survey(&mut session, log, &folded, &[Table::Players], NonZeroUsize::new(2).unwrap(), &rows).await?;
    session.close().await;
    let order = Order {
        db: &db,
        log,
        book: &book,
        threads: NonZeroUsize::new(2).unwrap(),
        wait_seconds: 10,
        hold: Duration::from_secs(60),
    };
    let mut pace = Pace::new(&rows, None, pause_file(store));
    let done = rebuild(order, &mut fence, &found, folded, &mut pace).await?;
    assert!(done.is_verified(), "the new tables are what the log says");
    fence.release().await;
    Ok(done.tables.iter().map(|table| table.rows).sum())
}

/// Writes row by row; gives the seconds it takes for all of them, by the rate so far when the time is over.
async fn upserted(folded: &Folded, url: &str, start: Instant) -> Outcome<(f64, u64)> {
    let mut connection = mariadb::connect(url).await;
    let layout = Layout::published(Table::Players);
    let image = Image::of(Table::Players, &folded.replay.state, &folded.scribe);
    let folding = start.elapsed();
    let mut done = 0;
    for row in 0..image.len() {
        let cells = image.cells(row);
        let known: Vec<_> = cells
            .iter()
            .zip(&layout.shapes)
            .zip(Table::Players.columns())
            .filter_map(|((cell, shape), column)| match cell {
                Cell::Known(value) | Cell::Present(value) | Cell::Filled(value) => {
                    Some((column.name, value.text(shape)))
                }
                Cell::Kept => None,
            })
            .collect();
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let sets: Vec<_> = names.iter().map(|name| format!("{name} = VALUES({name})")).collect();
        let sql = format!(
            "INSERT INTO players ({}) VALUES ({}) ON DUPLICATE KEY UPDATE {}",
            names.join(", "),
            vec!["?"; names.len()].join(", "),
            sets.join(", ")
        );
        let query = known.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (_, text)| query.bind(text));
        query.execute(&mut connection).await?;
        done += 1;
        if start.elapsed() > folding + UPSERT_TIME {
            break;
        }
    }
    let writing = (start.elapsed() - folding).as_secs_f64();
    Ok((folding.as_secs_f64() + writing * image.len() as f64 / done as f64, done))
}

fn peak_memory_kib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmHWM has no figure")?.parse()?)
}

/// What the operating system counts for this process, in hundredths of a second.
fn processor_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let ticks: Vec<f64> = behind.split_whitespace().skip(11).take(2).map_while(|ticks| ticks.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    rows: u64,
    memory_kib: u64,
    processor: f64,
}

fn run(case: &str, store: &Path, url: &str) -> Outcome<Run> {
    let output = Command::new(env::current_exe()?).args(["case", case]).arg(store).arg(url).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let mut word = || words.next().ok_or("a case prints four figures");
    Ok(Run {
        seconds: word()?.parse()?,
        rows: word()?.parse()?,
        memory_kib: word()?.parse()?,
        processor: word()?.parse()?,
    })
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
    runs[runs.len() / 2]
}

async fn compare(players: u64, rounds: usize) -> Outcome {
    let dir = tempfile::tempdir()?;
    let store = dir.path().join("store");
    let status = Command::new(env::current_exe()?).args(["write", &players.to_string()]).arg(&store).status()?;
    if !status.success() {
        return Err("writing the history failed".into());
    }
    let server = mariadb::Server::start();
    let (live, rows) = (server.game("live").await, server.game("rows").await);
    let mut empty = Vec::new();
    let mut wrong = Vec::new();
    let (mut selects, mut diffs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        live.run("SET foreign_key_checks = 0; TRUNCATE players").await;
        empty.push(run("rebuild", &store, &live.url)?);
        live.run("UPDATE players SET wins = wins + 1000").await;
        wrong.push(run("rebuild", &store, &live.url)?);
        for _ in 0..3 {
            selects.push(run("select", &store, &live.url)?);
            diffs.push(run("diff", &store, &live.url)?);
        }
        drop_kept(&live).await;
    }
    let upsert = run("upsert", &store, &rows.url)?;
    rows.run("UPDATE players SET wins = wins + 1000").await;
    let over = run("upsert", &store, &rows.url)?;
    let (empty, wrong, select, diff) = (median(empty), median(wrong), median(selects), median(diffs));
    println!("{:<46} {:>9} {:>10} {:>10} {:>10}", "case", "rows", "seconds", "processor", "peak MiB");
    for (name, run) in [
        ("rebuild of an empty table", empty),
        ("rebuild with a wrong value in every row", wrong),
        ("row by row, each durable by itself", upsert),
        ("row by row over wrong values", over),
        ("bare SELECT *", select),
        ("diff of equal rows, without the fold", diff),
    ] {
        let Run { seconds, rows, memory_kib, processor } = run;
        println!("{name:<46} {rows:>9} {seconds:>10.2} {processor:>10.2} {:>10}", memory_kib / 1024);
    }
    println!("{players} players from {} events", players * 10);
    println!("rebuild of an empty table against row by row     {:.1} times", upsert.seconds / empty.seconds);
    println!("rebuild with every row wrong against row by row  {:.1} times", over.seconds / wrong.seconds);
    println!("diff against a bare SELECT *                     {:.2} times", diff.seconds / select.seconds);
    Ok(())
}

/// The old tables of a round, so that they do not fill the disk.
async fn drop_kept(database: &mariadb::Database) {
    let kept = database.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE '\\_wox\\_old%'").await;
    if !kept.is_empty() {
        database.run(&format!("SET foreign_key_checks = 0; DROP TABLE {}", kept.join(", "))).await;
    }
}
