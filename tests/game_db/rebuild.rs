//! `wox rebuild` end to end: shown, confirmed, carried out, put back; and everything that says no to it.

use std::{
    io::BufRead as _,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    game::{Game, errors, told},
    mariadb,
};

pub const DEMO: &str = "--events 3000 --sound";

/// Somebody's hands were in every table. What was live before is told from what is live afterwards by any row.
pub async fn spoil(game: &Game) {
    game.db
        .run(
            "UPDATE players SET wins = wins + 1000;
             UPDATE active_duels SET hp1 = hp1 + 1000;
             UPDATE withdrawal_requests SET amount = amount + 1000;
             UPDATE processed_transactions SET value = value + 1000;
             UPDATE burn_queue SET amount = amount + 1000;",
        )
        .await;
}

pub const SPOILT: &str = "SELECT (SELECT MIN(wins) >= 1000 FROM players), (SELECT MAX(wins) >= 1000 FROM players), \
     (SELECT MIN(hp1) >= 800 FROM active_duels), (SELECT MAX(hp1) >= 800 FROM active_duels), \
     (SELECT MIN(amount) >= 1000 FROM withdrawal_requests), (SELECT MAX(amount) >= 1000 FROM withdrawal_requests), \
     (SELECT MIN(value) >= 1000 FROM processed_transactions), (SELECT MIN(amount) >= 1000 FROM burn_queue)";

pub const OLD: &str = "1|1|1|1|1|1|1|1";
pub const NEW: &str = "0|0|0|0|0|0|0|0";

/// The id that a dry run gives.
pub fn id(game: &Game) -> String {
    game.json("rebuild", 3)["id"].as_str().unwrap().to_owned()
}

pub fn confirmed(game: &Game) -> Output {
    game.run(&format!("rebuild --confirm {} --progress none", id(game)))
}

#[track_caller]
pub fn said(output: &Output, code: i32, parts: &[&str]) {
    let text = errors(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not said: {text}");
    }
}

/// Kinds of the events in the streams that begin like this.
pub async fn kinds(game: &Game, stream: &str) -> Vec<String> {
    use wox_recovery::log::{EmbeddedLog, EventLog as _};
    let log = EmbeddedLog::open_read_only(game.store()).await.unwrap();
    let mut kinds = Vec::new();
    for (stream, _) in log.streams_with_prefix(stream, 100).await.unwrap() {
        kinds.extend(log.read_stream(&stream).await.unwrap().iter().map(|event| event.event.kind.to_string()));
    }
    log.close().await;
    kinds
}

pub async fn leftovers(game: &Game) -> Vec<String> {
    game.db.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE '\\_wox\\_new%'").await
}

#[tokio::test]
async fn what_is_shown_is_what_is_done_and_nothing_else_is_lost() {
    let game = Game::in_step(DEMO).await;
    said(&game.run("rebuild"), 0, &[]);
    said(&game.run("rebuild --yes"), 0, &[]);
    assert_eq!(game.db.rows("SELECT * FROM _wox_control").await.len(), 0, "nothing to do writes nothing");
    spoil(&game).await;
    game.db
        .run(
            "UPDATE players SET hp = 7, potions = '{\"Healing\":2}';
             UPDATE withdrawal_requests SET status = 'paid' WHERE status = 'completed';
             INSERT INTO players (twitter_handle) VALUES ('nobody_made_me');
             DELETE FROM processed_transactions LIMIT 2;
             ALTER TABLE active_duels AUTO_INCREMENT = 5000",
        )
        .await;
    let shown = game.json("rebuild", 3);
    assert_eq!(id(&game), shown["id"], "the same evidence gives the same id");
    assert!(shown["outside"].as_u64().unwrap() > 20);
    assert_eq!(shown["tables"][4]["missing"], 2);
    said(&game.run("rebuild --yes"), 4, &["changed outside the engine", "wox::rebuild::outside"]);
    said(&game.run("rebuild --confirm 0123456789abcdef"), 4, &["no dry run with this id"]);
    said(&game.run("rebuild --confirm 0123"), 2, &["8 to 64 hexadecimal digits"]);
    let before = shown["id"].as_str().unwrap();
    game.db.run("UPDATE burn_queue SET amount = amount + 1 ORDER BY id LIMIT 1").await;
    said(&game.run(&format!("rebuild --confirm {before}")), 4, &["live rows of burn_queue were changed"]);

    let done = game.json(&format!("rebuild --confirm {}", id(&game)), 0);
    assert_eq!(done["verdict"], "verified");
    assert_eq!(done["done"]["caught_up"], false);
    if game._server.is_some() {
        let most =
            "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'MAX_USED_CONNECTIONS'";
        let most: u32 = game.cell(most).await.parse().unwrap();
        assert!(most <= 12, "eleven and the one that asks: {most}");
    }
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    for line in game.run("rebuild --output jsonl").stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        crate::game::published(&serde_json::from_slice(line).unwrap(), "rebuild --output jsonl");
    }
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
    let kept = "SELECT DISTINCT hp, JSON_VALUE(potions, '$.Healing') FROM players";
    assert_eq!(game.db.rows(kept).await, ["7|2"], "what the log does not know stays");
    let paid = game.db.rows("SELECT COUNT(*) > 0 FROM withdrawal_requests WHERE status = 'paid'").await;
    assert_eq!(paid, ["1"], "a word of the right meaning stays");
    let old = "SELECT COUNT(*) FROM _wox_old_1_players WHERE twitter_handle = 'nobody_made_me'";
    assert_eq!(game.db.rows(old).await, ["1"], "the old tables are kept");
    game.db.run("INSERT INTO active_duels (player1, player2, bet_amount) SELECT MIN(twitter_handle), MAX(twitter_handle), 10 FROM players").await;
    assert_eq!(game.db.rows("SELECT MAX(id) FROM active_duels").await, ["5000"], "no number is given twice");
    let orphan = "INSERT INTO withdrawal_requests (twitter_handle, amount) VALUES ('nobody_made_me', 1)";
    let refused = sqlx::raw_sql(orphan).execute(&mut game.db.connect().await).await.unwrap_err().to_string();
    assert!(refused.contains("REFERENCES `players`"), "{refused}");
    let written = kinds(&game, "ops-rebuild-1-").await;
    let count = |kind: &str| written.iter().filter(|found| *found == kind).count();
    assert_eq!((count("ShadowBuilt"), count("SwitchedOver"), count("ProjectionDeclaredCorrupt")), (5, 5, 5));
    assert!(count("OutOfBandChangeFound") > 20);
    let acts = kinds(&game, "ops-acts").await;
    assert_eq!(acts.len(), 6, "dry runs that found something and refusals are acts: {acts:?}");
    assert_eq!(leftovers(&game).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_old_tables_are_put_back_once_and_rows_written_since_are_not_lost_unsaid() {
    let game = Game::in_step(DEMO).await;
    said(&game.run("rebuild --revert"), 4, &["wox::rebuild::nothing-to-revert"]);
    spoil(&game).await;
    said(&confirmed(&game), 0, &["--revert"]);
    let one = "SELECT MIN(twitter_handle) FROM players";
    let one = game.cell(one).await;
    game.db.run(&format!("UPDATE players SET hp = 1 WHERE twitter_handle = '{one}'")).await;
    let refused = game.run("rebuild --revert");
    said(&refused, 4, &["wox::rebuild::written-since", "players"]);
    let text = errors(&refused);
    let id = text.split("--confirm ").nth(1).unwrap().get(..16).unwrap().to_owned();
    game.db.run(&format!("UPDATE players SET hp = 2 WHERE twitter_handle = '{one}'")).await;
    said(&game.run(&format!("rebuild --revert --confirm {id}")), 4, &["written-since"]);
    let refused = errors(&game.run("rebuild --revert"));
    let id = refused.split("--confirm ").nth(1).unwrap().get(..16).unwrap().to_owned();
    let back = game.json(&format!("rebuild --revert --confirm {id}"), 0);
    assert_eq!((&back["changes"], &back["epoch"]), (&true.into(), &1.into()));
    assert_eq!(game.db.rows(SPOILT).await, [OLD]);
    assert_eq!(game.db.rows("SELECT MIN(hp) FROM _wox_undone_1_players").await, ["2"], "what was lost is kept");
    assert_eq!(game.json("rebuild --revert", 0)["changes"], false, "once");
    assert_eq!(kinds(&game, "ops-revert-1-").await, ["Reverted"; 5]);
    assert_eq!(kinds(&game, "run-revert-1-").await, ["RunStarted", "StepStarted", "StepSucceeded", "RunFinished"]);
    let orphan = "INSERT INTO withdrawal_requests (twitter_handle, amount) VALUES ('nobody', 1)";
    assert!(sqlx::raw_sql(orphan).execute(&mut game.db.connect().await).await.is_err());
    // And forward again, by another number.
    said(&confirmed(&game), 0, &[]);
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
    assert_eq!(game.db.rows("SELECT epoch, phase FROM _wox_control").await, ["2|done"]);
    said(&game.run("rebuild --revert"), 0, &[]);
}

#[tokio::test]
async fn a_rebuild_that_came_to_nothing_does_not_take_the_way_back_from_the_one_before() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    said(&confirmed(&game), 0, &[]);
    game.db.run("UPDATE players SET losses = losses + 7").await;
    let mut holder = game.db.connect().await;
    mariadb::run(&mut holder, "START TRANSACTION; UPDATE players SET hp = hp LIMIT 1").await;
    mariadb::rows(&mut holder, "SELECT COUNT(*) FROM players").await;
    let second = id(&game);
    said(&game.run(&format!("rebuild --confirm {second} --wait 1")), 1, &["wox::game-db::locked"]);
    mariadb::run(&mut holder, "ROLLBACK").await;
    // What was edited is still known as edited: the first one had made these rows.
    let found = game.json("rebuild", 3);
    assert!(found["outside"].as_u64().unwrap() > 0);
    // Whoever means the second one is told that there is nothing of it to undo.
    let asked = game.run("rebuild --revert");
    said(&asked, 4, &["wox::rebuild::not-the-last", "rebuild 2 changed nothing", "undo rebuild 1", "players"]);
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
    let shown = game.json("rebuild --drop-kept", 0);
    assert_eq!(shown["needed"].as_array().unwrap().len(), 5);
    let confirm = errors(&asked).split("--confirm ").nth(1).unwrap().get(..16).unwrap().to_owned();
    let back = game.json(&format!("rebuild --revert --confirm {confirm}"), 0);
    assert_eq!((&back["changes"], &back["epoch"]), (&true.into(), &1.into()));
    assert_eq!(game.db.rows(SPOILT).await, [OLD]);
    let again = game.json("rebuild --revert", 0);
    assert_eq!((&again["changes"], &again["epoch"]), (&false.into(), &1.into()), "once");
    assert_eq!(kinds(&game, "run-revert-1-").await, ["RunStarted", "StepStarted", "StepSucceeded", "RunFinished"]);
    // The number of the one that came to nothing is not given again.
    said(&confirmed(&game), 0, &[]);
    assert_eq!(game.db.rows("SELECT epoch, phase FROM _wox_control").await, ["3|done"]);
    said(&game.run("rebuild --revert"), 0, &[]);
}

#[tokio::test]
async fn a_second_rebuild_is_refused_and_told_who_is_at_work() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let id = id(&game);
    let mut first = game.command(&format!("rebuild --confirm {id} --throttle 60 --progress none"));
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&game, "SELECT COUNT(*) FROM _wox_control WHERE phase = 'building'", "1").await;
    for words in [format!("rebuild --confirm {id}"), "rebuild --yes".into(), "rebuild --revert".into()] {
        let second = game.run(&words);
        said(
            &second,
            4,
            &["wox::rebuild::busy", "connection ", "wizard@", "rebuild 1 of players,active_duels", "KILL "],
        );
    }
    // Somebody who only looks is not kept out.
    assert_eq!(game.json("rebuild", 3)["id"], id.as_str());
    assert_eq!(first.wait().unwrap().code(), Some(0), "the first one comes to its end");
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
}

/// Waits until a query answers this.
pub async fn wait_for(game: &Game, sql: &str, answer: &str) {
    let since = Instant::now();
    let mut connection = game.db.connect().await;
    while since.elapsed() < Duration::from_secs(30) {
        if let Ok(rows) = mariadb::try_rows(&mut connection, sql).await
            && rows.first().is_some_and(|row| row == answer)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came: {sql} = {answer}");
}

#[tokio::test]
async fn it_keeps_to_its_pace_waits_while_it_is_paused_and_stops_at_a_safe_point() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let id = id(&game);
    let flag = game.store().join("rebuild.pause");
    std::fs::write(&flag, "").unwrap();
    let mut paused = game.command(&format!("rebuild --confirm {id} --progress json"));
    let paused = paused.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&game, "SELECT COUNT(*) FROM _wox_control WHERE phase = 'building'", "1").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(game.db.rows("SELECT phase FROM _wox_control").await, ["building"], "it waits");
    signal(&paused, rustix::process::Signal::INT);
    let stopped = paused.wait_with_output().unwrap();
    said(&stopped, 130, &["paused: remove", "nothing was changed"]);
    assert_eq!((game.db.rows(SPOILT).await, leftovers(&game).await), (vec![OLD.to_owned()], Vec::new()));
    assert_eq!(game.db.rows("SELECT phase FROM _wox_control").await, ["given_up"]);
    let steps = kinds(&game, "run-rebuild-1-").await;
    assert_eq!(steps, ["RunStarted", "StepStarted", "StepFailed", "RunFinished"]);

    let mut going_on = game.command(&format!("rebuild --confirm {id} --progress json"));
    let mut going_on = going_on.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut heard = std::io::BufReader::new(going_on.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(heard.any(|line| line.starts_with("paused: remove")));
    std::fs::remove_file(&flag).unwrap();
    assert!(heard.any(|line| line == "going on"));
    assert_eq!((heard.count() > 0, going_on.wait().unwrap().code()), (true, Some(0)));
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);

    spoil(&game).await;
    let since = Instant::now();
    let slow = game.run(&format!("rebuild --confirm {} --throttle 100 --progress json", self::id(&game)));
    said(&slow, 0, &["left_ms"]);
    // What is counted is what the tables hold, and the rate what was asked for.
    let lines = errors(&slow);
    let last = lines.lines().rfind(|line| line.contains("\"phase\":4")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let rows = "SELECT (SELECT COUNT(*) FROM players) + (SELECT COUNT(*) FROM active_duels) + \
                (SELECT COUNT(*) FROM withdrawal_requests) + (SELECT COUNT(*) FROM burn_queue) + \
                (SELECT COUNT(*) FROM processed_transactions)";
    let rows: u64 = game.cell(rows).await.parse().unwrap();
    assert_eq!((&last["done"], &last["total"]), (&rows.into(), &rows.into()), "{last}");
    assert!(last["per_second"].as_u64().unwrap() <= 110, "{last}");
    assert!(since.elapsed() > Duration::from_millis(1_900), "212 rows at 100 a second: {:?}", since.elapsed());
}

pub fn signal(child: &std::process::Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn an_open_transaction_is_waited_for_and_not_for_ever() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let mut holder = game.db.connect().await;
    mariadb::run(&mut holder, "START TRANSACTION; UPDATE players SET hp = 55 LIMIT 1").await;
    let id = id(&game);
    let since = Instant::now();
    let locked = game.run(&format!("rebuild --confirm {id} --wait 2"));
    said(&locked, 1, &["wox::game-db::locked", "INNODB_TRX"]);
    assert!(since.elapsed() < Duration::from_secs(20));
    assert_eq!(leftovers(&game).await, Vec::<String>::new());
    // A transaction that only reads holds up the switch as well; nothing is half done then.
    mariadb::run(&mut holder, "ROLLBACK; START TRANSACTION").await;
    mariadb::rows(&mut holder, "SELECT COUNT(*) FROM withdrawal_requests").await;
    said(&game.run(&format!("rebuild --confirm {id} --wait 2")), 1, &["wox::game-db::locked"]);
    assert_eq!((game.db.rows(SPOILT).await, leftovers(&game).await), (vec![OLD.to_owned()], Vec::new()));
    assert_eq!(game.db.rows("SELECT epoch, phase FROM _wox_control").await, ["2|given_up"]);
    mariadb::run(&mut holder, "COMMIT").await;
    said(&game.run(&format!("rebuild --confirm {id}")), 0, &[]);
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_a_game_that_goes_on_is_lost() {
    let game = Game::in_step(DEMO).await;
    let tables = ["players", "withdrawal_requests", "processed_transactions"];
    let columns = ["hp", "block_number", "block_number"];
    game.db.run("UPDATE players SET hp = 0; UPDATE withdrawal_requests SET block_number = 0; UPDATE processed_transactions SET block_number = 0").await;
    for round in 0..3 {
        // Rows that are missing are nobody's edit: no person has to be asked.
        game.db.run("DELETE FROM burn_queue LIMIT 2").await;
        let start = sums(&game, &tables, &columns).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for (table, column) in tables.into_iter().zip(columns) {
            let (mut connection, stop) = (game.db.connect().await, stop.clone());
            writers.push(tokio::spawn(async move {
                let mut written = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    let sql = format!("UPDATE {table} SET {column} = {column} + 1 LIMIT 1");
                    match sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await {
                        Ok(done) => written += done.rows_affected(),
                        Err(error) => assert!(error.to_string().contains("eadlock"), "{error}"),
                    }
                }
                written
            }));
        }
        let mut command = game.command("rebuild --yes --output json --progress none");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        let mut expected = start.clone();
        for (sum, writer) in expected.iter_mut().zip(writers) {
            *sum += writer.await.unwrap();
        }
        said(&output, 0, &[]);
        assert!(expected.iter().zip(&start).all(|(now, then)| now > then), "every table was written to");
        let done: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&done["done"]["caught_up"], &done["verdict"]), (&true.into(), &"verified".into()));
        assert_eq!(sums(&game, &tables, &columns).await, expected, "round {round}");
    }
}

async fn sums(game: &Game, tables: &[&str], columns: &[&str]) -> Vec<u64> {
    let mut sums = Vec::new();
    for (table, column) in tables.iter().zip(columns) {
        sums.push(game.cell(&format!("SELECT SUM({column}) FROM {table}")).await.parse().unwrap());
    }
    sums
}

#[tokio::test]
async fn what_is_kept_is_dropped_by_a_person_and_what_a_revert_needs_is_not() {
    let game = Game::in_step(DEMO).await;
    let kept = async || {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
        let kept = "table_name LIKE '\\_wox\\_old%' OR table_name LIKE '\\_wox\\_undone%'";
        game.db.rows(&format!("{tables} AND ({kept}) ORDER BY 1")).await
    };
    assert_eq!(game.json("rebuild --drop-kept", 0)["spare"], serde_json::json!([]));
    for _ in 0..2 {
        spoil(&game).await;
        said(&confirmed(&game), 0, &[]);
    }
    assert_eq!(kept().await.len(), 10);
    let shown = game.json("rebuild --drop-kept", 3);
    assert_eq!((shown["spare"].as_array().unwrap().len(), shown["needed"].as_array().unwrap().len()), (5, 5));
    assert_eq!(kept().await.len(), 10, "shown is not dropped");
    let id = shown["id"].as_str().unwrap().to_owned();
    // Another rebuild meanwhile: what was shown is not what is there.
    spoil(&game).await;
    said(&confirmed(&game), 0, &[]);
    said(&game.run(&format!("rebuild --drop-kept --confirm {id}")), 4, &["wox::rebuild::kept-moved"]);
    let id = game.json("rebuild --drop-kept", 3)["id"].as_str().unwrap().to_owned();
    assert_eq!(game.json(&format!("rebuild --drop-kept --confirm {}", &id[..16]), 0)["dropped"], true);
    assert_eq!(kept().await.len(), 5);
    said(&game.run("rebuild --revert"), 0, &[]);
    assert!(kept().await.iter().all(|name| name.starts_with("_wox_undone_")), "what a revert took out");
    let id = game.json("rebuild --drop-kept", 3)["id"].as_str().unwrap().to_owned();
    said(&game.run(&format!("rebuild --drop-kept --confirm {id}")), 0, &[]);
    assert_eq!(kept().await, Vec::<String>::new());
    assert!(game.run("show ops-acts").stdout.windows(17).any(|bytes| bytes == b"rebuild-drop-kept"));
}

/// One event more in the log of a player: the game gives a bonus.
fn bonus(game: &Game, player: &str, number: u64) {
    let shown = game.json(&format!("show player-{player}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let event = format!(
        r#"{{"stream":"player-{player}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b{number:02}","kind":"BonusGranted","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"amount":"1","reason":"quest"}}}}"#
    );
    std::fs::write(game.dir.path().join("bonus.jsonl"), event).unwrap();
    said(&game.run("append bonus.jsonl"), 0, &[]);
}

#[tokio::test]
async fn an_edit_that_comes_while_it_is_built_ends_it_and_the_games_own_rows_do_not() {
    let game = Game::in_step(DEMO).await;
    let handle = game.cell("SELECT MIN(twitter_handle) FROM players").await;
    let rich = format!("SELECT withdrawable_galleons FROM players WHERE twitter_handle = '{handle}'");
    let before = game.cell(&rich).await;
    game.db.run("DELETE FROM burn_queue LIMIT 1").await;
    let begin = async |words: &str| {
        let mut command = game.command(&format!("{words} --throttle 100 --progress none"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&game, "SELECT COUNT(*) FROM _wox_control WHERE phase = 'building'", "1").await;
        child
    };
    for confirmed in [false, true] {
        let words = if confirmed { format!("rebuild --confirm {}", id(&game)) } else { "rebuild --yes".to_owned() };
        let child = begin(&words).await;
        let edit = format!(
            "UPDATE players SET withdrawable_galleons = {before} + 5000, hp = 9 WHERE twitter_handle = '{handle}'"
        );
        game.db.run(&edit).await;
        game.db
            .run("INSERT INTO burn_queue (id, amount, scheduled_time) VALUES (4711, 33.33, '2026-08-01 00:00:01')")
            .await;
        let rows = [format!("players {handle}"), "burn_queue 4711".into()];
        let parts = ["wox::rebuild::edited-meanwhile", "2 rows were", "nothing was switched", &rows[0], &rows[1]];
        said(&child.wait_with_output().unwrap(), 4, &parts);
        assert_ne!(game.cell(&rich).await, before, "the edit stands: it is evidence");
        assert_eq!(leftovers(&game).await, Vec::<String>::new());
        assert_eq!(game.cell("SELECT phase FROM _wox_control").await, "given_up");
        let undone = format!("UPDATE players SET withdrawable_galleons = {before} WHERE twitter_handle = '{handle}'");
        game.db.run(&format!("{undone}; DELETE FROM burn_queue WHERE id = 4711")).await;
    }

    // The game goes on: its row has followed one of two events, and what the log does not know is its own.
    let players = game.json("state players", 0);
    let players = players["value"]["players"].as_object().unwrap();
    let player = players.iter().find(|(_, player)| player["handle"] == handle.as_str()).unwrap().0;
    let child = begin("rebuild --yes").await;
    bonus(&game, player, 1);
    let follow = "SET bonus_galleons = bonus_galleons + 1, hp = 42";
    game.db.run(&format!("UPDATE players {follow} WHERE twitter_handle = '{handle}'")).await;
    bonus(&game, player, 2);
    said(&child.wait_with_output().unwrap(), 0, &[]);
    assert_eq!(game.cell(&format!("SELECT hp FROM players WHERE twitter_handle = '{handle}'")).await, "42");
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_table_cannot_be_put_back_and_nobody_is_told_that_it_can() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    said(&confirmed(&game), 0, &[]);
    game.db.run("DROP TABLE burn_queue").await;
    let done = confirmed(&game);
    said(&done, 0, &["burn_queue was lost", "no command undoes it", "the names above"]);
    assert!(!errors(&done).contains("--revert"), "{}", errors(&done));
    said(&game.run("rebuild --revert"), 4, &["burn_queue was lost before the rebuild"]);
    // What no command can put back is kept for nobody.
    let kept = game.json("rebuild --drop-kept", 3);
    assert_eq!(
        (kept["needed"].as_array().unwrap().len(), kept["spare"].as_array().unwrap().len() >= 5),
        (0, true),
        "{kept}"
    );
}

#[tokio::test]
async fn the_rows_of_a_refusal_are_named_or_counted_and_its_commands_can_be_pasted() {
    let game = Game::in_step(DEMO).await;
    game.db.run("UPDATE players SET wins = wins + 1000 ORDER BY twitter_handle LIMIT 4").await;
    said(&game.run("rebuild --yes"), 4, &["4 rows changed outside the engine", " and 1 more"]);
    said(&confirmed(&game), 0, &[]);
    let shown = game.run("rebuild --drop-kept");
    let text = String::from_utf8(shown.stdout).unwrap();
    let called = format!("{} --store store rebuild --revert needs", env!("CARGO_BIN_EXE_wox"));
    assert!(text.contains(&called), "{text}");
}

#[tokio::test]
async fn a_row_that_was_deleted_is_the_same_finding_for_everybody_who_looks() {
    let game = Game::in_step(DEMO).await;
    let id = game.cell("SELECT MIN(id) FROM active_duels WHERE status <> 'active'").await;
    spoil(&game).await;
    said(&confirmed(&game), 0, &[]);
    // It comes back without a question, because nothing of anybody's is overwritten; that it was gone is a finding.
    let again = async || game.db.run(&format!("DELETE FROM active_duels WHERE id = {id}")).await;
    again().await;
    let note = game.json("diff", 3)["differences"][0]["note"].clone();
    assert!(note.as_str().unwrap().contains("taken away outside the engine"), "{note}");
    let shown = game.json("rebuild", 3);
    assert_eq!((&shown["differences"][0]["note"], &shown["outside"]), (&note, &0.into()));
    let text = String::from_utf8(game.run("rebuild").stdout).unwrap();
    assert!(text.contains("1 row was taken away outside the engine"), "{text}");
    let before = kinds(&game, "ops-rebuild-2-").await.len();
    said(&game.run("rebuild --yes"), 0, &[]);
    let found = kinds(&game, "ops-rebuild-2-").await;
    assert_eq!((before, found.iter().filter(|kind| *kind == "OutOfBandChangeFound").count()), (0, 1), "{found:?}");
    again().await;
    assert_eq!(game.json(&format!("recover duel {id} --write"), 0)["written"], true);
    assert_eq!(kinds(&game, "ops-tables").await, ["OutOfBandChangeFound"]);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}
