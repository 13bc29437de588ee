//! A rebuild that is killed at any step: readers see the old tables or the new ones, keys are right, and the next run puts
//! everything in order without a person.

use std::{
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use sqlx::mysql::MySqlConnection;
use tokio::task::JoinHandle;

use crate::{
    game::{Game, errors, told},
    mariadb,
    rebuild::{DEMO, NEW, OLD, SPOILT, id, kinds, leftovers, said, signal, spoil, wait_for},
};

/// Somebody who reads all the time and notes whether the tables ever were a mix, or a key ever missed its row.
struct Reader {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    task: JoinHandle<Vec<String>>,
}

const ORPHANS: &str = "SELECT COUNT(*) FROM active_duels d LEFT JOIN players p ON p.twitter_handle = d.player1 \
     LEFT JOIN players q ON q.twitter_handle = d.player2 WHERE p.twitter_handle IS NULL OR q.twitter_handle IS NULL";

impl Reader {
    async fn of(game: &Game) -> Reader {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut connection = game.db.connect().await;
        let (stopped, counted) = (stop.clone(), looks.clone());
        let task = tokio::spawn(async move {
            let mut wrong = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let seen = mariadb::rows(&mut connection, SPOILT).await.remove(0);
                if seen != OLD && seen != NEW {
                    wrong.push(seen);
                }
                let orphans = mariadb::rows(&mut connection, ORPHANS).await.remove(0);
                if orphans != "0" {
                    wrong.push(format!("{orphans} duels without a player"));
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            wrong
        });
        Reader { stop, looks, task }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.unwrap(), Vec::<String>::new(), "a mix was seen");
        assert!(self.looks.load(Ordering::Relaxed) > 0);
    }
}

fn start(game: &Game, words: &str) -> Child {
    let mut command = game.command(words);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A rebuild by its number, and the one whose tables count: another one when an earlier one is undone.
#[derive(Clone, Copy)]
struct Of {
    epoch: u64,
    tables: u64,
}

impl From<u64> for Of {
    fn from(epoch: u64) -> Of {
        Of { epoch, tables: epoch }
    }
}

/// Where a rebuild is, as far as the database shows: the phase, how many new and how many old tables stand there.
async fn stage(connection: &mut MySqlConnection, Of { epoch, tables }: Of) -> String {
    let sql = format!(
        "SELECT CONCAT((SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_name LIKE '\\_wox\\_new\\_{tables}\\_%'), ' ', (SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name LIKE '\\_wox\\_old\\_{tables}\\_%'))"
    );
    let tables = mariadb::rows(connection, &sql).await.remove(0);
    // The row is locked while the tables are held: that is a stage of its own.
    mariadb::run(connection, "SET SESSION lock_wait_timeout = 0").await;
    let phase = match mariadb::try_rows(connection, "SELECT CONCAT(epoch, ' ', phase) FROM _wox_control").await {
        Ok(rows) => rows.first().cloned().unwrap_or_default(),
        Err(_) => "held".into(),
    };
    match phase.strip_prefix(&format!("{epoch} ")) {
        Some(phase) => format!("{phase} {tables}"),
        None if phase == "held" => format!("held {tables}"),
        None => "before".into(),
    }
}

/// Lets the process run in slices of less than a millisecond and looks in between, while it stands still. Kills it at the
/// stage that is wanted; false when it came to its end without ever standing there.
async fn kill_at(
    child: &mut Child,
    connection: &mut MySqlConnection,
    of: impl Into<Of>,
    wanted: &str,
    slice: u64,
) -> bool {
    let of = of.into();
    let since = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_micros(slice)).await;
        signal(child, Signal::STOP);
        if stage(connection, of).await == wanted {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        signal(child, Signal::CONT);
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "never at {wanted}");
    }
}

/// After a rebuild that was killed the next one settles it, and everything that is written down stands there once.
async fn settled(game: &Game, epoch: u64) {
    let live = game.db.rows(SPOILT).await.remove(0);
    assert!(live == OLD || live == NEW, "{live}");
    let (words, code) = match live == OLD {
        true => (format!("rebuild --confirm {}", id(game)), 0),
        false => ("rebuild --yes".to_owned(), 0),
    };
    let next = game.run(&words);
    said(&next, code, &[]);
    let told_so = errors(&next);
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
    assert_eq!(leftovers(game).await, Vec::<String>::new());
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    let steps = kinds(game, &format!("run-rebuild-{epoch}-")).await;
    let finished = steps.iter().filter(|kind| *kind == "RunFinished").count();
    let switched = kinds(game, &format!("ops-rebuild-{epoch}-")).await;
    let switched = switched.iter().filter(|kind| *kind == "SwitchedOver").count();
    if steps.is_empty() {
        return; // killed before it could write anything down
    }
    assert_eq!((finished, switched), (1, if live == OLD { 0 } else { 5 }), "{steps:?} {told_so}");
}

async fn epoch(game: &Game) -> u64 {
    let mut connection = game.db.connect().await;
    let rows = mariadb::try_rows(&mut connection, "SELECT epoch FROM _wox_control").await.unwrap_or_default();
    rows.first().map_or(0, |epoch| epoch.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_readers_see_the_old_tables_or_the_new_and_the_next_run_settles_it() {
    let game = Game::in_step(DEMO).await;
    let mut looker = game.db.connect().await;
    let stages = [
        "building 0 0",
        "building 1 0",
        "building 2 0",
        "building 3 0",
        "building 4 0",
        "building 5 0",
        "switching 5 0",
        "held 5 0",
        "held 0 5",
        "switching 0 5",
        "done 0 5",
    ];
    let mut behind = Vec::new();
    for wanted in stages {
        spoil(&game).await;
        let id = id(&game);
        let next = epoch(&game).await + 1;
        let reader = Reader::of(&game).await;
        let mut child = start(&game, &format!("rebuild --confirm {id} --progress none"));
        let hit = kill_at(&mut child, &mut looker, next, wanted, 200).await;
        let live = game.db.rows(SPOILT).await.remove(0);
        if hit {
            assert_eq!(live, if wanted.ends_with(" 5") { NEW } else { OLD }, "{wanted}");
        }
        reader.end().await;
        settled(&game, next).await;
        match wanted.ends_with(" 5") {
            true => behind.extend(hit.then_some(wanted)),
            false => assert!(hit, "never at {wanted}"),
        }
    }
    // The stages behind the switch last for less than a slice now and then, but never all of them.
    assert!(!behind.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_at_all() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let mut length = Duration::from_millis(1_500);
    for round in 0..10u32 {
        if game.db.rows(SPOILT).await == [NEW] {
            spoil(&game).await;
        }
        let id = id(&game);
        let next = epoch(&game).await + 1;
        let reader = Reader::of(&game).await;
        let since = Instant::now();
        let mut child = start(&game, &format!("rebuild --confirm {id} --progress none"));
        // Spread over the whole length of a run, as it was measured last.
        let after = length * (round * 7 % 10 + 1) / 11;
        while since.elapsed() < after && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if child.try_wait().unwrap().is_some() {
            length = since.elapsed();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        reader.end().await;
        if epoch(&game).await == next {
            settled(&game, next).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_waits_on_the_server_after_its_client_was_killed_is_found_out() {
    let game = Game::in_step(DEMO).await;
    for ends_by_itself in [false, true] {
        spoil(&game).await;
        let id = id(&game);
        let next = epoch(&game).await + 1;
        // A transaction that has read a table keeps the RENAME waiting.
        let mut holder = game.db.connect().await;
        mariadb::run(&mut holder, "START TRANSACTION").await;
        mariadb::rows(&mut holder, "SELECT COUNT(*) FROM withdrawal_requests").await;
        let mut child = start(&game, &format!("rebuild --confirm {id} --wait 40 --progress none"));
        let waits = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'RENAME TABLE%' \
                     AND info LIKE '%wox%' AND command = 'Query' AND state LIKE 'Waiting for table metadata lock' AND time_ms > 200";
        wait_for(&game, waits, "1").await;
        child.kill().unwrap();
        child.wait().unwrap();
        if ends_by_itself {
            // The server does not know that nobody waits for the answer any more.
            mariadb::run(&mut holder, "COMMIT").await;
            wait_for(&game, &format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE '\\_wox\\_old\\_{next}\\_%'"), "5").await;
            assert_eq!(game.db.rows(SPOILT).await, [NEW]);
        } else {
            // A dry run is kept waiting by the RENAME; a rebuild ends it and then looks.
            let output = game.run("rebuild --yes --progress none");
            said(&output, 4, &["was cut off before the switch", "wox::rebuild::outside"]);
            mariadb::run(&mut holder, "COMMIT").await;
            assert_eq!(game.db.rows(SPOILT).await, [OLD]);
        }
        settled(&game, next).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_is_killed_is_found_out_as_well() {
    let game = Game::in_step(DEMO).await;
    let mut looker = game.db.connect().await;
    for wanted in ["reverting 0 5", "reverting 0 0", "reverted 0 0"] {
        if game.db.rows(SPOILT).await == [NEW] {
            spoil(&game).await;
        }
        said(&game.run(&format!("rebuild --confirm {} --progress none", id(&game))), 0, &[]);
        let at = epoch(&game).await;
        let mut child = start(&game, "rebuild --revert");
        let hit = kill_at(&mut child, &mut looker, at, wanted, 300).await;
        let live = game.db.rows(SPOILT).await.remove(0);
        if hit {
            assert_eq!(live, if wanted.ends_with(" 5") { NEW } else { OLD }, "{wanted}");
        }
        let again = game.run("rebuild --revert");
        said(&again, 0, &[]);
        assert_eq!(game.db.rows(SPOILT).await, [OLD]);
        let reverted = kinds(&game, &format!("ops-revert-{at}-")).await;
        assert_eq!(reverted, ["Reverted"; 5], "{wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_revert_of_one_before_a_rebuild_that_was_killed_is_found_out_as_well() {
    let game = Game::in_step(DEMO).await;
    let mut looker = game.db.connect().await;
    for wanted in ["reverting 0 5", "reverting 0 0", "reverted 0 0"] {
        if game.db.rows(SPOILT).await == [NEW] {
            spoil(&game).await;
        }
        said(&game.run(&format!("rebuild --confirm {} --progress none", id(&game))), 0, &[]);
        let (first, second) = (epoch(&game).await, epoch(&game).await + 1);
        game.db.run("UPDATE players SET losses = losses + 7").await;
        let mut child = start(&game, &format!("rebuild --confirm {} --progress none", id(&game)));
        assert!(kill_at(&mut child, &mut looker, second, "building 2 0", 200).await);
        let asked = game.run("rebuild --revert");
        said(&asked, 4, &["was cut off before the switch", "wox::rebuild::not-the-last"]);
        let confirm = errors(&asked).split("--confirm ").nth(1).unwrap().get(..16).unwrap().to_owned();
        let revert = format!("rebuild --revert --confirm {confirm}");
        let mut child = start(&game, &revert);
        let of = Of { epoch: second, tables: first };
        let hit = kill_at(&mut child, &mut looker, of, wanted, 300).await;
        let live = game.db.rows(SPOILT).await.remove(0);
        if hit {
            assert_eq!(live, if wanted.ends_with(" 5") { NEW } else { OLD }, "{wanted}");
        }
        said(&game.run(&revert), 0, &[]);
        assert_eq!(game.db.rows(SPOILT).await, [OLD]);
        let reverted = kinds(&game, &format!("ops-revert-{first}-")).await;
        assert_eq!(reverted, ["Reverted"; 5], "{wanted}");
        let steps = kinds(&game, &format!("run-revert-{first}-")).await;
        assert!(steps.iter().filter(|kind| *kind == "StepSucceeded").count() == 1, "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_mid_rebuild_stands_up_with_whole_tables() {
    let mut game = Game::in_step(DEMO).await;
    if game._server.is_none() {
        return; // somebody else's server is not ours to kill
    }
    for delay in [300u64, 600, 900] {
        if game.db.rows(SPOILT).await == [NEW] {
            spoil(&game).await;
        }
        let id = id(&game);
        let next = epoch(&game).await + 1;
        let mut child = start(&game, &format!("rebuild --confirm {id} --progress none"));
        tokio::time::sleep(Duration::from_millis(delay)).await;
        game._server.as_mut().unwrap().restart();
        let ended = child.wait().unwrap().code();
        assert!(matches!(ended, Some(0 | 1 | 6)), "{ended:?}");
        if epoch(&game).await == next {
            settled(&game, next).await;
        }
    }
}
