//! What a rebuild cannot or must not do: each an error with a next step, the tables untouched, no secret told.

use serde_json::Value;

use crate::{
    game::{Game, errors, told},
    mariadb::{self, Server},
    rebuild::{DEMO, NEW, OLD, SPOILT, confirmed, id, kinds, leftovers, said, spoil},
};

#[tokio::test]
async fn a_server_that_only_reads_shows_and_refuses_to_write() {
    let mut game = Game::in_step(DEMO).await;
    let server = Server::with(&["--read-only=1"]);
    game.db = server.game("quiet").await;
    // The user of the tests may write all the same; the game's own may not.
    let reader = server.url("quiet").replace("wizard:", "reader:");
    game.db.run(&format!("CREATE USER reader IDENTIFIED BY '{}'; GRANT SELECT, INSERT, UPDATE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, TRIGGER ON quiet.* TO reader", mariadb::PASSWORD)).await;
    let run = |words: &str| game.command(words).env("WOX_GAME_DB_URL", &reader).output().unwrap();
    said(&run("rebuild"), 3, &["--confirm"]);
    let refused = run("rebuild --yes");
    said(&refused, 1, &["wox::game-db::read-only", "primary server"]);
    assert!(!errors(&refused).contains("s3cr3t"));
    drop(server);
    said(&run("rebuild --yes"), 1, &["wox::game-db::unreachable", "start the database"]);
}

#[tokio::test]
async fn a_full_disk_of_the_server_ends_it_with_the_tables_as_they_were() {
    let mut game = Game::in_step("--events 20000 --sound").await;
    // All tables in one file that may not grow much.
    let options = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"];
    let mut server = Server::with(&options);
    game.db = server.game("small").await;
    said(&game.run("rebuild --yes"), 0, &[]);
    spoil(&game).await;
    let id = id(&game);
    game.db.run("CREATE TABLE junk (id INT PRIMARY KEY AUTO_INCREMENT, stuff LONGTEXT)").await;
    let mut filler = game.db.connect().await;
    // What is left over is too little for a table of so many rows; to take more would kill the server.
    let fill = "INSERT INTO junk (stuff) VALUES (REPEAT('x', 60000))";
    let mut filled = 0;
    while sqlx::raw_sql(fill).execute(&mut filler).await.is_ok() {
        filled += 1;
        assert!(filled < 2_000);
    }
    let full = game.run(&format!("rebuild --confirm {id}"));
    said(&full, 1, &["wox::game-db::full", "--drop-kept"]);
    assert_eq!(game.db.rows(SPOILT).await, [OLD]);
    // Room is made; what could not be cleared away on a full disk is cleared away now.
    server.restart_with(&[options[0], "--innodb-data-file-path=ibdata1:12M:autoextend"]);
    said(&game.run(&format!("rebuild --confirm {id}")), 0, &[]);
    assert_eq!((game.db.rows(SPOILT).await, leftovers(&game).await), (vec![NEW.to_owned()], Vec::new()));
}

#[tokio::test]
async fn lost_tables_come_back_with_keys_and_the_rest_of_the_rows() {
    let game = Game::in_step(DEMO).await;
    game.db.run("SET foreign_key_checks = 0; DROP TABLE players, burn_queue").await;
    let shown = game.json("rebuild burn_queue,players", 3);
    assert_eq!(shown["drawn_in"], serde_json::json!(["active_duels", "withdrawal_requests"]));
    let lost: Vec<_> =
        shown["tables"].as_array().unwrap().iter().map(|table| table["lost"].as_bool().unwrap()).collect();
    assert_eq!(lost, [true, false, false, true]);
    said(&game.run("rebuild --yes"), 0, &[]);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    let orphan = "INSERT INTO withdrawal_requests (twitter_handle, amount) VALUES ('nobody', 1)";
    let refused = sqlx::raw_sql(orphan).execute(&mut game.db.connect().await).await.unwrap_err().to_string();
    assert!(refused.contains("REFERENCES `players`"), "{refused}");
    let kept = "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() AND table_name LIKE '\\_wox%'";
    assert_eq!(game.db.rows(kept).await, ["0"], "an old table says nothing about rows of a live one");
    said(&game.run("rebuild --revert"), 4, &["wox::rebuild::nothing-to-revert", "lost"]);
    // All of them, and a second time.
    game.db.run("SET foreign_key_checks = 0; DROP TABLE players, burn_queue, active_duels, withdrawal_requests, processed_transactions").await;
    said(&game.run("rebuild --yes"), 0, &[]);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_the_way_is_named_before_anything_is_touched() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    game.db
        .run(
            "CREATE TABLE guild (handle VARCHAR(50), CONSTRAINT leads FOREIGN KEY (handle) REFERENCES players (twitter_handle));
             CREATE TRIGGER greet BEFORE INSERT ON burn_queue FOR EACH ROW SET NEW.status = 'pending'",
        )
        .await;
    let shown = game.run("rebuild");
    said(&shown, 3, &["clear what is in the way"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("foreign key guild.leads") && text.contains("trigger burn_queue.greet"), "{text}");
    let refused = confirmed(&game);
    said(&refused, 4, &["wox::rebuild::in-the-way", "DROP FOREIGN KEY leads", "SHOW CREATE TRIGGER"]);
    game.db.run("DROP TABLE guild; DROP TRIGGER greet").await;
    // A column that is too small for what the log says: known before the first row is written.
    game.db.run("SET sql_mode = ''; ALTER TABLE players MODIFY withdrawable_galleons DECIMAL(3,2)").await;
    said(&confirmed(&game), 4, &["withdrawable_galleons", "digits before the point", "MODIFY"]);
    game.db.run("ALTER TABLE players MODIFY withdrawable_galleons DOUBLE").await;
    said(&game.run("rebuild"), 1, &["wox::game-db::schema", "money is never a float"]);
    said(&game.run("rebuild --yes"), 1, &["wox::game-db::schema"]);
    assert_eq!(game.db.rows("SELECT COUNT(*) FROM _wox_control").await, ["0"]);
    assert_eq!((game.db.rows(SPOILT).await, leftovers(&game).await), (vec![OLD.to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_user_needs_these_rights_and_no_others() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let (user, database) = (format!("u{}", game.db.name), &game.db.name);
    let user = user.get(..user.len().min(30)).unwrap();
    let rights = "SELECT, INSERT, UPDATE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES";
    game.db
        .run(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY '{}'; GRANT {rights} ON `{database}`.* TO '{user}'@'%'",
            mariadb::PASSWORD
        ))
        .await;
    let url = game.db.url.replace("//wizard:", &format!("//{user}:"));
    let run = |words: &str| game.command(words).env("WOX_GAME_DB_URL", &url).output().unwrap();
    let id = id(&game);
    said(&run(&format!("rebuild --confirm {id}")), 4, &["does not see triggers", "GRANT TRIGGER"]);
    game.db.run(&format!("GRANT TRIGGER ON `{database}`.* TO '{user}'@'%'")).await;
    said(&run(&format!("rebuild --confirm {id}")), 0, &[]);
    said(&run("rebuild --revert"), 0, &[]);
    game.db.run(&format!("REVOKE LOCK TABLES ON `{database}`.* FROM '{user}'@'%'")).await;
    said(&run(&format!("rebuild --confirm {id}")), 1, &["wox::game-db::denied", "grant the user"]);
    assert_eq!(leftovers(&game).await, Vec::<String>::new());
    game.db.run(&format!("DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn odd_rows_stay_odd_where_the_log_knows_nothing_and_a_renamed_player_keeps_the_row() {
    let game = Game::in_step(DEMO).await;
    let log = game.json("state players", 0);
    let (player, state) = log["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let old = state["handle"].as_str().unwrap().to_owned();
    game.db
        .run(&format!(
            "SET sql_mode = '';
             ALTER TABLE players MODIFY name VARCHAR(100) CHARACTER SET latin1, ADD mood VARCHAR(20) DEFAULT 'calm',
                 ADD seen TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
                 ADD double_xp INT GENERATED ALWAYS AS (xp * 2) STORED;
             UPDATE players SET mood = CONVERT(UNHEX('C3BC62656C') USING utf8mb4), hp = 9 WHERE twitter_handle = '{old}';
             UPDATE players SET created_at = '0000-00-00 00:00:00';
             ALTER TABLE processed_transactions MODIFY value DECIMAL(36,18);"
        ))
        .await;
    let shown = game.json(&format!("show player-{player}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let event = format!(
        r#"{{"stream":"player-{player}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b02","kind":"HandleChanged","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"change":"c1","old":"{old}","new":"brand_new"}}}}"#
    );
    std::fs::write(game.dir.path().join("rename.jsonl"), event).unwrap();
    said(&game.run("append rename.jsonl"), 0, &[]);
    said(&confirmed(&game), 0, &[]);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    let row =
        "SELECT hp, HEX(mood), created_at, seen, double_xp = xp * 2 FROM players WHERE twitter_handle = 'brand_new'";
    assert_eq!(game.db.rows(row).await, ["9|C3BC62656C|0000-00-00 00:00:00|0000-00-00 00:00:00|1"]);
    let dust = "SELECT COUNT(*) > 0 FROM processed_transactions WHERE value <> TRUNCATE(value, 2)";
    assert_eq!(game.db.rows(dust).await, ["1"], "eighteen decimals show the dust");
}

#[tokio::test]
async fn wrong_credentials_and_a_store_that_is_held_by_a_writer_end_before_anything_is_touched() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let id = id(&game);
    let wrong = game.db.url.replace(mariadb::PASSWORD_IN_URL, "s3cr3t-and-wrong");
    let denied = game.command("rebuild --yes").env("WOX_GAME_DB_URL", wrong).output().unwrap();
    said(&denied, 1, &["wox::game-db::denied"]);
    assert!(!errors(&denied).contains("s3cr3t"));
    let writer = wox_recovery::log::EmbeddedLog::open(game.store()).await.unwrap();
    said(&game.run(&format!("rebuild --confirm {id}")), 1, &["wox::store::locked", "nothing was switched"]);
    writer.close().await;
    drop(writer);
    assert_eq!((game.db.rows(SPOILT).await, leftovers(&game).await), (vec![OLD.to_owned()], Vec::new()));
    said(&game.run(&format!("rebuild --confirm {id}")), 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_in_while_it_is_built_are_in_the_new_tables() {
    let game = Game::in_step(DEMO).await;
    let log = game.json("state players", 0);
    let (player, state) = log["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let (handle, name) = (state["handle"].as_str().unwrap().to_owned(), state["name"].as_str().unwrap());
    let shown = game.json(&format!("show player-{player}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    game.db.run("DELETE FROM burn_queue LIMIT 3").await;
    let mut building = game.command("rebuild --yes --throttle 150 --output json --progress none");
    let building = building.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    crate::rebuild::wait_for(
        &game,
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '_wox_new_1_active_duels'",
        "1",
    )
    .await;
    let event = format!(
        r#"{{"stream":"player-{player}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b03","kind":"PlayerRenamed","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"old":"{name}","new":"Late_Comer"}}}}"#
    );
    std::fs::write(game.dir.path().join("late.jsonl"), event).unwrap();
    said(&game.run("append late.jsonl"), 0, &[]);
    let done = building.wait_with_output().unwrap();
    said(&done, 0, &[]);
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&done["done"]["caught_up"], &done["verdict"]), (&true.into(), &"verified".into()));
    assert!(done["done"]["as_of"].as_u64() > done["basis"]["as_of"].as_u64());
    let name = format!("SELECT name FROM players WHERE twitter_handle = '{handle}'");
    assert_eq!(game.db.rows(&name).await, ["Late_Comer"]);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_whose_lock_was_lost_switches_nothing() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    let id = id(&game);
    let mut slow = game.command(&format!("rebuild --confirm {id} --throttle 150 --progress none"));
    let slow = slow.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    crate::rebuild::wait_for(
        &game,
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '_wox_new_1_active_duels'",
        "1",
    )
    .await;
    let fence = game.cell("SELECT IS_USED_LOCK(CONCAT('wox-rebuild:', LEFT(MD5(DATABASE()), 32)))").await;
    game.db.run(&format!("KILL {fence}")).await;
    // Somebody else begins, and comes to the end first.
    said(&game.run(&format!("rebuild --confirm {id} --progress none")), 0, &["was cut off before the switch"]);
    let slow = slow.wait_with_output().unwrap();
    assert!(matches!(slow.status.code(), Some(1 | 4)), "{}", errors(&slow));
    assert_eq!(game.db.rows(SPOILT).await, [NEW]);
    assert_eq!(game.db.rows("SELECT epoch, phase FROM _wox_control").await, ["2|done"]);
    assert_eq!(kinds(&game, "ops-rebuild-1-").await.iter().filter(|kind| *kind == "SwitchedOver").count(), 0);
    assert_eq!(leftovers(&game).await, Vec::<String>::new());
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

/// An event that gives a player another handle, as a line for `wox append`.
fn renamed(game: &Game, player: &str, id: &str, new: &str) -> String {
    let shown = game.json(&format!("show player-{player}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let old = game.json("state players", 0)["value"]["players"][player]["handle"].as_str().unwrap().to_owned();
    format!(
        r#"{{"stream":"player-{player}","expected":{revision},"id":"{id}","kind":"HandleChanged","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"change":"c1","old":"{old}","new":"{new}"}}}}"#
    )
}

#[tokio::test]
async fn a_store_that_knows_less_than_the_tables_writes_nothing_into_them() {
    let game = Game::in_step(DEMO).await;
    let copy = |to: &str| {
        let copied =
            std::process::Command::new("cp").arg("-a").arg(game.store()).arg(game.dir.path().join(to)).status();
        assert!(copied.unwrap().success());
    };
    copy("older");
    copy("fork");
    let players = game.json("state players", 0)["value"]["players"].as_object().unwrap().clone();
    let player = players.keys().next().unwrap();
    let append = |store: &str, id: &str, new: &str| {
        std::fs::write(game.dir.path().join("rename.jsonl"), renamed(&game, player, id, new)).unwrap();
        said(&game.run(&format!("append rename.jsonl --store {store}")), 0, &[]);
    };
    append("fork", "7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b05", "somebody_else");
    append("store", "7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b04", "brand_new");
    said(&game.run("rebuild --yes"), 0, &[]);
    let new = "SELECT COUNT(*) FROM players WHERE twitter_handle = 'brand_new'";
    for (store, why) in [("older", "it is an older copy"), ("fork", "it went on from an older copy")] {
        let shown = game.json(&format!("rebuild --store {store}"), 3);
        assert!(shown["obstacles"][0]["what"].as_str().unwrap().contains(why), "{shown}");
        let id = shown["id"].as_str().unwrap();
        for decision in [format!("--confirm {id}"), "--yes".to_owned()] {
            let refused = game.run(&format!("rebuild --store {store} {decision}"));
            said(&refused, 4, &["made from this log up to position"]);
        }
        let row = game.run(&format!("recover player {player} --write --store {store}"));
        said(&row, 4, &["wox::recover::older-log", "_wox_control"]);
        assert_eq!(game.cell(new).await, "1", "{store}");
    }
    // What the tables know and the copy does not is said by those who look, and nobody puts back what it never made.
    for store in ["older", "fork"] {
        let diff = game.run(&format!("diff --store {store}"));
        said(&diff, 3, &["made from this log up to position", "older copy"]);
        assert!(!errors(&diff).contains("makes the tables anew"), "{}", errors(&diff));
        let assessed = game.json(&format!("assess --store {store}"), 3);
        let check = assessed["checks"].as_array().unwrap().iter().find(|check| check["name"] == "tables_made_from");
        assert_eq!(check.unwrap()["status"], "violated");
        said(&game.run(&format!("rebuild --revert --store {store}")), 4, &["wox::rebuild::not-ours", "--store"]);
    }
    assert_eq!(game.cell(new).await, "1");
    // Another log is another game's, or this one's taken over anew: a person may say so, a machine may not.
    said(&game.run("demo --store other --progress none --events 3000 --sound --seed 9"), 0, &[]);
    said(
        &game.run("rebuild --store other players,active_duels,withdrawal_requests --yes"),
        4,
        &["wox::rebuild::other-log"],
    );
    // Rows that happen to be the same need nothing; the first that is not asks a person.
    let foreign = game.json("state players --store other", 0)["value"]["players"].clone();
    let asked = foreign.as_object().unwrap().keys().find_map(|id| {
        let shown = game.run(&format!("recover player {id} --write --store other"));
        (shown.status.code() != Some(0)).then_some(shown)
    });
    said(&asked.unwrap(), 3, &["--confirm"]);
    said(&game.run("rebuild --revert --store other"), 4, &["made from another log"]);
    let shown = game.json("rebuild --store other", 3);
    assert_eq!(shown["other_log"], true);
    // The store from which they were made goes on; and once the tables are put back, the older one knows enough.
    said(&game.run("rebuild"), 0, &[]);
    said(&game.run("rebuild --revert"), 0, &[]);
    said(&game.run("rebuild --store older"), 0, &[]);
    // A control table from before tables knew what they were made from learns it.
    game.db.run("ALTER TABLE _wox_control DROP COLUMN sources").await;
    said(&game.run("rebuild"), 3, &[]);
    said(&game.run("rebuild --yes"), 0, &[]);
    assert!(game.json("rebuild --store older", 3)["obstacles"][0]["what"].as_str().unwrap().contains("older copy"));
}

#[tokio::test]
async fn a_table_made_from_an_event_cannot_have_missed_it() {
    let game = Game::in_step(DEMO).await;
    let players = game.json("state players", 0)["value"]["players"].as_object().unwrap().clone();
    let player = players.keys().next().unwrap().clone();
    let old = players[&player]["handle"].as_str().unwrap().to_owned();
    std::fs::write(
        game.dir.path().join("rename.jsonl"),
        renamed(&game, &player, "7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b04", "brand_new"),
    )
    .unwrap();
    said(&game.run("append rename.jsonl"), 0, &[]);
    // The table has missed the event: nobody's edit, and no person is needed.
    let missed = game.json(&format!("diff --table players --id {player}"), 3);
    assert!(missed["differences"][0]["fields"][0]["origin"]["behind"].is_object(), "{missed}");
    said(&game.run("rebuild --yes"), 0, &[]);
    // It was made from the event now: whoever gives it the old value does so outside the engine.
    game.db
        .run(&format!(
            "SET foreign_key_checks = 0; UPDATE players SET twitter_handle = '{old}' WHERE twitter_handle = 'brand_new'"
        ))
        .await;
    let edited = game.json(&format!("diff --table players --id {player}"), 3);
    assert_eq!(edited["differences"][0]["fields"][0]["origin"], "outside", "{edited}");
    said(&game.run("rebuild --yes"), 4, &["changed outside the engine"]);
    game.db.run(&format!("SET foreign_key_checks = 0; DELETE FROM players WHERE twitter_handle = '{old}'")).await;
    let taken = game.json(&format!("diff --table players --id {player}"), 3);
    assert!(taken["differences"][0]["note"].as_str().unwrap().contains("taken away outside the engine"), "{taken}");
}

#[tokio::test]
async fn a_control_table_that_is_gone_or_edited_says_what_to_do() {
    let game = Game::in_step(DEMO).await;
    spoil(&game).await;
    said(&confirmed(&game), 0, &[]);
    game.db.run("UPDATE _wox_control SET sources = '{'").await;
    said(&game.run("rebuild"), 1, &["wox::game-db::control", "drop the table _wox_control"]);
    game.db.run("DROP TABLE _wox_control").await;
    said(&game.run("rebuild --revert"), 4, &["the control table is gone", "_wox_old_1_players"]);
    said(&game.run("rebuild"), 0, &[]);
}

#[tokio::test]
async fn columns_that_cannot_show_money_or_need_a_value_are_named() {
    let game = Game::in_step(DEMO).await;
    game.db.run("ALTER TABLE players MODIFY bonus_galleons DECIMAL(10,0)").await;
    said(&game.run("diff"), 1, &["wox::game-db::schema", "cannot show hundredths of a Galleon", "DECIMAL(10,2)"]);
    game.db.run("ALTER TABLE players MODIFY bonus_galleons DECIMAL(10,2)").await;
    game.db.run("ALTER TABLE burn_queue ADD COLUMN tenant INT NOT NULL").await;
    game.db.run("DELETE FROM burn_queue LIMIT 1").await;
    said(&confirmed(&game), 1, &["wox::game-db::no-default", "SET DEFAULT"]);
}
