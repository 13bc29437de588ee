//! `wox assess`: every finding provoked for real, on a real server.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use serde_json::Value;
use sqlx::{Connection as _, mysql::MySqlConnection};

use crate::{
    game::{Game, errors},
    genesis::published,
    mariadb::{self, Server},
    rebuild::said,
};

const DEMO: &str = "--events 3000 --sound";

/// A check of a report: status, what was found, what to do.
fn check(report: &Value, name: &str) -> (String, String, String) {
    let checks = report["checks"].as_array().unwrap();
    let check =
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {report:#}"));
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("found"), text("next"))
}

#[track_caller]
fn violated(report: &Value, name: &str, found: &str, next: &str) {
    let (status, said, step) = check(report, name);
    assert_eq!(status, "violated", "{name}: {said}");
    assert!(said.contains(found), "{name}: {said}");
    assert!(step.contains(next), "{name}: {step}");
}

/// Names of checks that are in this state.
fn with_status(report: &Value, status: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["status"] == status).map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// A game on a server of its own, whatever `WOX_TEST_MYSQL_URL` says: these tests break the server.
async fn on(server: &Server) -> Game {
    let db = server.game("assessed").await;
    let game = Game { dir: tempfile::tempdir().unwrap(), _server: None, db };
    let made = game.run(&format!("demo --store store --progress none {DEMO}"));
    assert!(made.status.success(), "{}", errors(&made));
    game.fill().await;
    game
}

#[tokio::test]
async fn a_sound_game_is_ok_by_every_check_that_can_be_made_and_only_news_is_recorded() {
    let game = Game::in_step(DEMO).await;
    let report = game.json("assess", 0);
    published(&report);
    assert_eq!(with_status(&report, "violated"), Vec::<String>::new());
    assert_eq!(with_status(&report, "not_checked"), Vec::<String>::new());
    let ok = with_status(&report, "ok");
    for name in ["conservation", "complete", "connections", "long_transactions", "check_players", "rows_active_duels"] {
        assert!(ok.contains(&name.to_owned()), "{name}: {report:#}");
    }
    let lines = String::from_utf8(game.run("assess --output jsonl --progress none").stdout).unwrap();
    lines.lines().for_each(|line| published(&serde_json::from_str(line).unwrap()));
    let recorded = game.json("show ops-assess", 0);
    let checked = recorded["events"].as_array().unwrap().len();
    assert_eq!(checked, ok.len(), "each check that was made, once: {recorded:#}");
    assert_eq!(game.json("show ops-acts", 0)["events"].as_array().unwrap().len(), 2, "and that somebody looked, twice");

    // Something new is recorded, and only that.
    game.db.run("UPDATE players SET wins = wins + 1 LIMIT 1").await;
    let report = game.json("assess", 3);
    violated(&report, "rows_players", "1 changed, 0 missing, 0 surplus", "wox diff --table players");
    let events = game.json("show ops-assess", 0)["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), checked + 1);
    let last = &events.last().unwrap()["data"];
    assert_eq!((&last["name"], &last["ok"]), (&"rows_players".into(), &false.into()));
    assert!(last["counterexample"].as_str().unwrap().contains("1 changed"), "{last}");
    // A look by itself changes nothing that anybody is told of.
    assert_eq!(game.json("diff", 3)["tables"][0]["changed"], 1);
}

#[tokio::test]
async fn a_broken_invariant_is_named_with_its_counterexample_and_since_when() {
    let game = Game::bare().await;
    let made = game.run("demo --store store --progress none --events 4000");
    assert_eq!(made.status.code(), Some(3), "{}", errors(&made));
    let report = game.json("assess", 3);
    violated(&report, "conservation", "beyond the facts", "wox plan");
    violated(&report, "deposit_once", "credited", "wox plan");
    violated(&report, "streams", "held", "wox plan");
    let checks = report["checks"].as_array().unwrap();
    let conservation = checks.iter().find(|check| check["name"] == "conservation").unwrap();
    assert!(conservation["since"]["position"].as_u64().unwrap() > 0, "{conservation}");
    // The tables are empty: every row the log has is missing.
    violated(&report, "rows_players", "missing", "wox rebuild players");
}

#[tokio::test]
async fn a_held_transaction_those_who_wait_for_it_and_a_lock_on_a_definition() {
    let server = Server::start();
    let game = on(&server).await;
    let mut holder = game.db.connect().await;
    mariadb::run(&mut holder, "START TRANSACTION; UPDATE players SET hp = hp + 1").await;
    let id = mariadb::rows(&mut holder, "SELECT CONNECTION_ID()").await.pop().unwrap();
    let url = game.db.url.clone();
    let waiting = tokio::spawn(async move {
        let mut connection = mariadb::connect(&url).await;
        sqlx::raw_sql("UPDATE players SET hp = hp + 2").execute(&mut connection).await.is_ok()
    });
    let url = game.db.url.clone();
    let altering = tokio::spawn(async move {
        let mut connection = mariadb::connect(&url).await;
        sqlx::raw_sql("ALTER TABLE players COMMENT 'waits'").execute(&mut connection).await.is_ok()
    });
    let waits =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'";
    let rows = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    game.until(waits, "1").await;
    game.until(rows, "1").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut command = game.command("assess --transaction-max 1 --output json --progress none");
    let looking = tokio::task::spawn_blocking(move || command.output().unwrap());
    // The look at the table waits behind the ALTER, when the server was looked at already; then the holder ends.
    game.until(waits, "2").await;
    mariadb::run(&mut holder, "ROLLBACK").await;
    let output = looking.await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    violated(&report, "long_transactions", &format!("connection {id} of wizard@"), &format!("KILL {id}"));
    violated(&report, "row_lock_waits", "wait", "holds the rows");
    violated(&report, "metadata_lock_waits", "1 wait", "KILL");
    assert!(waiting.await.unwrap() && altering.await.unwrap());
    // The server shows the transactions of a moment ago to whoever looks again within a tenth of a second.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let report = game.json("assess --transaction-max 1", 0);
    assert_eq!(check(&report, "long_transactions").0, "ok");
}

#[tokio::test]
async fn a_table_whose_definition_is_held_is_named_soon_with_who_holds_it() {
    // MariaDB keeps the list of definition locks only when it is told to; both ways the holder is found.
    for options in [&[][..], &["--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON"]] {
        let server = Server::with(options);
        let game = on(&server).await;
        game.db.run("CREATE USER 'peek'@'%' IDENTIFIED BY 'peek'; GRANT SELECT ON assessed.* TO 'peek'@'%'").await;
        let mut holder = game.db.connect().await;
        mariadb::run(&mut holder, "START TRANSACTION").await;
        mariadb::rows(&mut holder, "SELECT COUNT(*) FROM players").await;
        let id = mariadb::rows(&mut holder, "SELECT CONNECTION_ID()").await.pop().unwrap();
        let url = game.db.url.clone();
        let altering = tokio::spawn(async move {
            let mut connection = mariadb::connect(&url).await;
            sqlx::raw_sql("ALTER TABLE players COMMENT 'waits'").execute(&mut connection).await.is_ok()
        });
        let waits =
            "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'";
        game.until(waits, "1").await;
        let (connection, kill) = (format!("connection {id} of wizard@"), format!("KILL {id}"));
        let since = std::time::Instant::now();
        for words in ["diff", "rebuild"] {
            said(&game.run(words), 1, &["wox::game-db::held", "metadata lock", "players", &connection, &kill]);
        }
        let report = game.json("assess", 3);
        violated(&report, "metadata_lock_waits", &connection, &kill);
        let (status, found, next) = check(&report, "check_players");
        assert!(status == "not_checked" && found.contains(&connection) && next.contains(&kill), "{found} {next}");
        assert_eq!(check(&report, "rows_players").0, "not_checked");
        for name in ["check_active_duels", "rows_active_duels"] {
            assert_eq!(check(&report, name).0, "ok", "the others are looked at all the same: {name}");
        }
        // Whoever may not see it is told what would show it.
        let peek = format!("mysql://peek:peek@127.0.0.1:{}/assessed", server.port);
        let peeked = game.command("diff").env("WOX_GAME_DB_URL", &peek).output().unwrap();
        said(&peeked, 1, &["metadata lock", "grant PROCESS"]);
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
        mariadb::run(&mut holder, "ROLLBACK").await;
        assert!(altering.await.unwrap());
        said(&game.run("diff"), 0, &[]);
    }
}

#[tokio::test]
async fn connections_near_their_limit_failed_ones_and_a_server_that_only_reads() {
    let server = Server::with(&["--max-connections=12"]);
    let game = on(&server).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(game.db.connect().await);
    }
    for _ in 0..40 {
        let wrong = game.db.url.replace(mariadb::PASSWORD_IN_URL, "s3cr3t-and-wrong");
        assert!(MySqlConnection::connect(&wrong).await.is_err());
    }
    mariadb::run(&mut open[0], "SET GLOBAL read_only = 1").await;
    let report = game.json("assess", 3);
    violated(&report, "connections", "11 of 12 open", "max_connections");
    violated(&report, "aborted_connects", "failed since the start", "error log");
    violated(&report, "writable", "read_only is on", "SET GLOBAL read_only = 0");
    mariadb::run(&mut open[0], "SET GLOBAL read_only = 0").await;
    drop(open);
}

#[tokio::test]
async fn a_lost_table_another_shape_and_a_damaged_page() {
    let mut server = Server::start();
    let game = on(&server).await;
    game.db.run("DROP TABLE burn_queue; ALTER TABLE processed_transactions MODIFY value FLOAT").await;
    let report = game.json("assess", 3);
    violated(&report, "shape_burn_queue", "it is not there", "wox rebuild burn_queue");
    violated(&report, "rows_burn_queue", "missing", "wox rebuild burn_queue");
    violated(&report, "shape_processed_transactions", "value: its type is float", "DECIMAL");
    assert_eq!(check(&report, "rows_processed_transactions").0, "not_checked");
    assert_eq!(check(&report, "rows_players").0, "ok", "the others are looked at all the same");

    // Some bytes of a page of `withdrawal_requests` go bad on the disk.
    server.damage("assessed/withdrawal_requests.ibd");
    let report = game.json("assess", 3);
    let (status, found, next) = check(&report, "check_withdrawal_requests");
    assert_eq!(status, "violated", "{found}");
    assert!(next.contains("wox rebuild withdrawal_requests") && next.contains("REPAIR TABLE does nothing"), "{next}");
    assert_ne!(check(&report, "rows_withdrawal_requests").0, "ok");
    assert_eq!(check(&report, "rows_players").0, "ok", "{report:#}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_named_and_never_ok() {
    let mut server = Server::start();
    let game = on(&server).await;
    // A user who may read the game and nothing else.
    game.db.run("CREATE USER 'peek'@'%' IDENTIFIED BY 'peek'; GRANT SELECT ON assessed.* TO 'peek'@'%'").await;
    let peek = format!("mysql://peek:peek@127.0.0.1:{}/assessed", server.port);
    let peeked = game.command("assess --output json --progress none").env("WOX_GAME_DB_URL", &peek).output().unwrap();
    assert_eq!(peeked.status.code(), Some(1), "{}", errors(&peeked));
    let report: Value = serde_json::from_slice(&peeked.stdout).unwrap();
    let (status, found, next) = check(&report, "long_transactions");
    assert!(
        status == "not_checked" && found.contains("refuses") && next.contains("PROCESS"),
        "{status} {found} {next}"
    );
    // The list of connections is not refused, only short: what is not in it is not known.
    let (status, _, next) = check(&report, "metadata_lock_waits");
    assert!(status == "not_checked" && next.contains("PROCESS"), "{status} {next}");
    assert_eq!(check(&report, "rows_players").0, "ok");
    // Nobody set a database up: what needs one is not available, and the log is looked at.
    let unset = game.command("assess --output json --progress none").env_remove("WOX_GAME_DB_URL").output().unwrap();
    assert_eq!(unset.status.code(), Some(0), "{}", errors(&unset));
    let report: Value = serde_json::from_slice(&unset.stdout).unwrap();
    assert_eq!(check(&report, "database").0, "not_available");
    assert_eq!(check(&report, "conservation").0, "ok");
    server.kill();
    let report = game.json("assess", 1);
    published(&report);
    let (status, found, next) = check(&report, "database");
    assert!(
        status == "not_checked" && found.contains("cannot be reached") && next.contains("systemctl"),
        "{found} {next}"
    );
    for name in ["connections", "blocked_hosts", "disk", "rows_players"] {
        assert_eq!(check(&report, name).0, "not_checked", "{name}");
    }
    assert_eq!(check(&report, "conservation").0, "ok");
    let told = game.run("assess");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("not_checked") && text.contains("not checked"), "{text}");
}

#[tokio::test]
async fn a_damaged_log_is_a_finding_and_the_server_is_looked_at_all_the_same() {
    let game = Game::in_step(DEMO).await;
    let file = game.store().join("log.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&file, bytes).unwrap();
    let output = game.run("assess --output json --progress none");
    if output.status.code() == Some(5) {
        assert!(errors(&output).contains("wox verify"), "a store that cannot even be opened: {}", errors(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    violated(&report, "log", "damaged", "wox verify");
    assert_eq!(check(&report, "connections").0, "ok");
    assert_eq!(check(&report, "rows_players").0, "not_checked");
}

/// A dump of a table as `mysqldump DATABASE TABLE` writes it.
async fn dump(game: &Game, table: &str, completed: &str) -> String {
    let created = game.db.rows(&format!("SHOW CREATE TABLE {table}")).await.pop().unwrap();
    let created = created.split_once('|').unwrap().1.to_owned();
    let mut text = format!(
        "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19-11.4  Distrib, for debian-linux-gnu\n--\n-- Host: localhost\n\
         /*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n/*!40101 SET NAMES utf8mb4 */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
         /*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;\n\n--\n-- Table structure for table `{table}`\n--\n\n\
         DROP TABLE IF EXISTS `{table}`;\n/*!40101 SET character_set_client = utf8mb4 */;\n{created};\n\nLOCK TABLES `{table}` WRITE;\n\
         /*!40000 ALTER TABLE `{table}` DISABLE KEYS */;\n"
    );
    let columns: Vec<_> = game
        .db
        .rows(&format!("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"))
        .await;
    let quoted: Vec<_> = columns.iter().map(|name| format!("QUOTE(`{name}`)")).collect();
    for row in game.db.rows(&format!("SELECT CONCAT_WS(',', {}) FROM {table}", quoted.join(", "))).await {
        writeln!(text, "INSERT INTO `{table}` VALUES ({row});").unwrap();
    }
    text + &format!(
        "/*!40000 ALTER TABLE `{table}` ENABLE KEYS */;\nUNLOCK TABLES;\n\n-- Dump completed on {completed}\n"
    )
}

fn save(game: &Game, name: &str, text: &str) {
    let path = game.dir.path().join(name);
    if name.ends_with(".gz") {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        std::fs::write(path, gzip.finish().unwrap()).unwrap();
    } else {
        std::fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn a_dump_is_evidence_of_its_time_and_never_live() {
    let game = Game::in_step(DEMO).await;
    let text = dump(&game, "players", "2026-11-01  6:00:05").await;
    save(&game, "players_2026-11-01_06.sql.gz", &text);
    let report = game.json("assess --image players_2026-11-01_06.sql.gz", 0);
    published(&report);
    assert_eq!(check(&report, "image").0, "ok", "{report:#}");
    let image = &report["image"];
    let rows = image["rows"].as_u64().unwrap();
    assert!(rows > 0);
    assert_eq!((&image["equal_to_log"], &image["live_same"]), (&rows.into(), &rows.into()), "{image}");
    assert_eq!(
        (image["taken"].as_str(), image["taken_by"].as_str()),
        (Some("2026-11-01T06:00:05.000000Z"), Some("dump"))
    );
    let schemas = game
        .db
        .rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'wox\\_scratch%'")
        .await;
    assert_eq!(schemas, Vec::<String>::new(), "the scratch schema is gone");
    let kinds = |report: Value| -> usize {
        report["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "TableImageImported").count()
    };
    assert_eq!(kinds(game.json("show ops-assess", 0)), 1);
    game.json("assess --image players_2026-11-01_06.sql.gz", 0);
    assert_eq!(kinds(game.json("show ops-assess", 0)), 1, "the same dump is known");

    // A dump of another time is not what the log says of this one, and the live table is left alone.
    let before = game.db.rows("SELECT * FROM players ORDER BY 1").await;
    let middle = game.json("show 1500", 0)["time"].as_i64().unwrap();
    let middle = wox_recovery::rfc3339::text(wox_events::Timestamp(middle));
    let report = game.json(&format!("assess --image players_2026-11-01_06.sql.gz --image-time {middle}"), 3);
    violated(&report, "image", "changed", "never load it into the live table");
    game.db
        .run("UPDATE players SET hp = hp + 1 LIMIT 2; DELETE FROM players WHERE wins = 0 AND losses = 0 LIMIT 0")
        .await;
    let report = game.json("assess --image players_2026-11-01_06.sql.gz", 0);
    assert_eq!((&report["image"]["live_changed"], &report["image"]["live_same"]), (&2.into(), &(rows - 2).into()));
    game.db.run("UPDATE players SET hp = hp - 1 LIMIT 2").await;
    assert_eq!(game.db.rows("SELECT * FROM players ORDER BY 1").await, before);
    let future = game.run("assess --image players_2026-11-01_06.sql.gz --image-time 2099-01-01T00:00:00Z");
    said(&future, 2, &["wox::assess::image-time", "in the future"]);
    said(&game.run("assess --image -"), 2, &["wox::assess::image", "read twice"]);
    let older = game.json("assess --image players_2026-11-01_06.sql.gz --image-time 2001-01-01T00:00:00Z", 1);
    assert_eq!(check(&older, "image").0, "not_checked");
}

#[tokio::test]
async fn a_malicious_dump_is_refused_by_its_line_and_touches_nothing() {
    let game = Game::in_step(DEMO).await;
    let good = dump(&game, "players", "2026-11-01 06:00:05").await;
    let before = game.db.rows("SELECT * FROM players ORDER BY 1").await;
    let line = good.lines().count();
    for (evil, part) in [
        ("DROP TABLE players;", "DROP TABLE players"),
        ("UPDATE players SET withdrawable_galleons = 1000000;", "UPDATE players"),
        ("INSERT INTO `players` SELECT * FROM mysql.user;", "not given as VALUES"),
        ("INSERT INTO `players` (`twitter_handle`) VALUES (LOAD_FILE('/etc/passwd'));", "no literal"),
        (
            "/*!50003 CREATE TRIGGER steal AFTER INSERT ON players FOR EACH ROW DELETE FROM players */;",
            "CREATE TRIGGER",
        ),
        ("INSERT INTO `withdrawal_requests` VALUES (1);", "this is about withdrawal_requests"),
        ("USE `wizards_of_x`;", "USE"),
    ] {
        save(&game, "evil.sql", &format!("{good}{evil}\n"));
        let report = game.json("assess --image evil.sql", 1);
        let (status, found, _) = check(&report, "image");
        assert_eq!(status, "not_checked", "{evil}");
        assert!(found.contains(part) && found.contains(&format!("line {}", line + 1)), "{evil}: {found}");
    }
    let timeless = good.replace("-- Dump completed on 2026-11-01 06:00:05", "-- Dump completed");
    save(&game, "timeless.sql", &timeless);
    let output = game.run("assess --image timeless.sql");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--image-time"), "{}", errors(&output));
    save(&game, "players_2026-11-01_06.sql", &timeless);
    assert_eq!(game.json("assess --image players_2026-11-01_06.sql", 0)["image"]["taken_by"], "file name");
    save(&game, "cut.sql", &good[..good.len() / 2]);
    assert!(check(&game.json("assess --image cut.sql", 1), "image").1.contains("cut"));
    let missing = game.json("assess --image nowhere.sql", 1);
    assert_eq!(check(&missing, "image").0, "not_checked");
    assert_eq!(game.db.rows("SELECT * FROM players ORDER BY 1").await, before);
    let schemas = game
        .db
        .rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'wox\\_scratch%'")
        .await;
    assert_eq!(schemas, Vec::<String>::new());
}

#[tokio::test]
async fn a_host_whose_handshakes_fail_is_shut_out_and_named() {
    // Only names that are looked up are kept in the cache, and never those of the loopback.
    let Some(address) = own_address() else {
        // A machine without a network: nobody can be shut out, and the check has to say so.
        let server = Server::reachable(&[]);
        assert_eq!(check(&on(&server).await.json("assess", 0), "blocked_hosts").0, "ok");
        return;
    };
    let server = Server::reachable(&["--max-connect-errors=5"]);
    let game = on(&server).await;
    for _ in 0..8 {
        if let Ok(stream) = std::net::TcpStream::connect((address, server.port)) {
            drop(stream);
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let report = game.json("assess", 3);
    violated(&report, "blocked_hosts", &address.to_string(), "TRUNCATE TABLE performance_schema.host_cache");
    game.db.run("TRUNCATE TABLE performance_schema.host_cache").await;
    assert_eq!(check(&game.json("assess", 0), "blocked_hosts").0, "ok");
}

/// An address of this machine that is not the loopback; nothing is sent to find it.
fn own_address() -> Option<std::net::Ipv4Addr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

#[tokio::test]
async fn the_list_of_checks_is_the_same_whatever_can_be_looked_at() {
    let server = Server::start();
    let game = on(&server).await;
    let names = |report: &Value| {
        let checks = report["checks"].as_array().unwrap().iter();
        let mut names: Vec<_> = checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let all = names(&game.json("assess", 0));
    let with = |url: Option<&str>| -> Value {
        let mut command = game.command("assess --output json --progress none");
        match url {
            Some(url) => command.env("WOX_GAME_DB_URL", url),
            None => command.env_remove("WOX_GAME_DB_URL"),
        };
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    let wrong = game.db.url.replace(mariadb::PASSWORD_IN_URL, "s3cr3t-and-wrong");
    for (url, status) in [(Some(wrong.as_str()), "not_checked"), (None, "not_available")] {
        let report = with(url);
        published(&report);
        assert_eq!(names(&report), all, "{url:?}");
        for name in ["tables_made_from", "shape_players", "check_burn_queue", "rows_active_duels"] {
            assert_eq!(check(&report, name).0, status, "{name}");
        }
    }
    // A table of another shape is named once for each check, too, and a lost one as well.
    game.db.run("ALTER TABLE players DROP COLUMN titles, CHANGE xp experience INT; DROP TABLE burn_queue").await;
    assert_eq!(names(&game.json("assess", 3)), all);
}
