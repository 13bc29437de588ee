//! `wox diff`: what differs, since when, and whose doing it is.

use crate::{
    game::{Game, errors, told},
    rebuild::said,
};

const DEMO: &str = "--events 3000 --sound";

#[tokio::test]
async fn tables_that_follow_the_log_are_equal_and_every_row_is_counted() {
    let game = Game::in_step(DEMO).await;
    let result = game.json("diff", 0);
    assert_eq!(told(&result), Vec::<String>::new());
    let tables = result["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 5);
    for table in tables {
        assert!(table["live"].as_u64().unwrap() > 0, "{table}");
        assert_eq!((&table["live"], &table["equal"]), (&table["log"], &table["live"]), "{table}");
    }
}

#[tokio::test]
async fn a_row_edited_by_hand_is_told_from_a_table_that_fell_behind() {
    let game = Game::in_step(DEMO).await;
    // Somebody helps a player; and a win that the table never heard of.
    let rich = game.cell("SELECT twitter_handle FROM players ORDER BY withdrawable_galleons DESC LIMIT 1").await;
    game.db
        .run(&format!(
            "UPDATE players SET withdrawable_galleons = withdrawable_galleons + 500 WHERE twitter_handle = '{rich}'"
        ))
        .await;
    let late = game
        .cell(&format!("SELECT twitter_handle FROM players WHERE wins > 1 AND twitter_handle <> '{rich}' LIMIT 1"))
        .await;
    game.db.run(&format!("UPDATE players SET wins = wins - 1 WHERE twitter_handle = '{late}'")).await;
    let result = game.json("diff", 3);
    let mut expected =
        vec![format!("players changed {rich} withdrawable_galleons"), format!("players changed {late} wins")];
    expected.sort();
    let mut found = told(&result);
    found.sort();
    assert_eq!(found, expected);
    for row in result["differences"].as_array().unwrap() {
        let field = &row["fields"][0];
        assert!(field["wrote"].as_u64().unwrap() > 0 && field["event"]["kind"].is_string(), "{field}");
        if row["key"] == rich.as_str() {
            assert_eq!(field["origin"], "outside", "{field}");
        } else {
            assert_eq!(field["origin"]["behind"]["missed"], field["wrote"], "it missed the event that last wrote it");
            assert_eq!(field["event"]["kind"], "DuelEnded");
        }
    }
    let text = String::from_utf8(game.run("diff --only changed").stdout).unwrap();
    assert!(text.contains("changed outside the engine") && text.contains("fell behind: missed"), "{text}");
}

#[tokio::test]
async fn missing_and_surplus_rows_a_lost_table_and_filters() {
    let game = Game::in_step(DEMO).await;
    let gone = game.cell("SELECT id FROM active_duels WHERE status <> 'active' LIMIT 1").await;
    game.db
        .run(&format!(
            "DELETE FROM active_duels WHERE id = {gone};
             INSERT INTO players (twitter_handle) VALUES ('nobody_made_me');
             DROP TABLE burn_queue;"
        ))
        .await;
    let result = game.json("diff", 3);
    let found = told(&result);
    assert!(found.contains(&format!("active_duels missing {gone}")), "{found:?}");
    assert!(found.contains(&"players surplus nobody_made_me".to_owned()), "{found:?}");
    let burns = &result["tables"][3];
    assert_eq!((&burns["lost"], &burns["missing"]), (&true.into(), &burns["log"]));

    assert_eq!(told(&game.json("diff --only surplus", 3)), ["players surplus nobody_made_me"]);
    assert_eq!(told(&game.json(&format!("diff --table active_duels --id {gone}"), 3)).len(), 1);
    assert_eq!(told(&game.json("diff --table players --only missing", 0)).len(), 0);
    let html = game.run("diff --html report.html");
    assert_eq!(html.status.code(), Some(3), "{}", errors(&html));
    let page = std::fs::read_to_string(game.dir.path().join("report.html")).unwrap();
    assert!(page.contains("nobody_made_me") && page.contains("added outside the engine"));
}

#[tokio::test]
async fn a_renamed_player_is_one_difference_and_not_two() {
    let game = Game::in_step(DEMO).await;
    let log = game.json("state players", 0);
    let (id, player) = log["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let old = player["handle"].as_str().unwrap().to_owned();
    let shown = game.json(&format!("show player-{id}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let event = format!(
        r#"{{"stream":"player-{id}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b02","kind":"HandleChanged","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"change":"c1","old":"{old}","new":"brand_new"}}}}"#
    );
    std::fs::write(game.dir.path().join("rename.jsonl"), event).unwrap();
    let appended = game.run("append rename.jsonl");
    assert_eq!(appended.status.code(), Some(0), "{}", errors(&appended));
    let result = game.json("diff --table players", 3);
    assert_eq!(told(&result), [format!("players changed {old} twitter_handle")]);
    assert_eq!(result["differences"][0]["fields"][0]["log"], "brand_new");
    assert_eq!(result["differences"][0]["fields"][0]["origin"]["behind"]["missed"], result["as_of"]);
}

#[tokio::test]
async fn what_the_tables_cannot_show_is_no_difference_and_what_they_cannot_hold_is_one() {
    let game = Game::in_step(DEMO).await;
    game.db
        .run(
            "SET sql_mode = ''; SET foreign_key_checks = 0;
             UPDATE players SET hp = 3, potions = '{\"Healing\":2}', created_at = '0000-00-00 00:00:00' LIMIT 1;
             ALTER TABLE processed_transactions MODIFY value DECIMAL(36,18);
             ALTER TABLE players MODIFY name VARCHAR(100) CHARACTER SET latin1;
             UPDATE withdrawal_requests SET status = 'paid' WHERE status = 'completed';
             UPDATE burn_queue SET amount = -1.00 ORDER BY id LIMIT 1;",
        )
        .await;
    let output = game.run("diff --output json --progress none");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(errors(&output).contains("latin1") && errors(&output).contains("utf8mb4"), "{}", errors(&output));
    assert_eq!(result["oddities"][0]["what"], "a zero date");
    let rows = result["differences"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["table"] != "withdrawal_requests" && row["table"] != "players"), "{rows:#?}");
    let burn = rows.iter().find(|row| row["table"] == "burn_queue").unwrap();
    assert_eq!((&burn["kind"], &burn["fields"][0]["live"]), (&"changed".into(), &"-1.00".into()));
    // Eighteen decimals can show the dust: two decimals in such a column are a difference where there is some.
    let dust = rows.iter().filter(|row| row["table"] == "processed_transactions").count();
    assert!(dust > 0, "the demo's deposits have dust");
}

#[tokio::test]
async fn a_database_that_cannot_be_compared_is_an_error_with_a_next_step() {
    let game = Game::in_step(DEMO).await;
    game.db.run("ALTER TABLE players MODIFY bonus_galleons FLOAT").await;
    let output = game.run("diff");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("money is never a float"), "{}", errors(&output));
    let unset = game.command("diff").env_remove("WOX_GAME_DB_URL").output().unwrap();
    assert_eq!(unset.status.code(), Some(2));
    assert!(errors(&unset).contains("WOX_GAME_DB_URL"));
    let shown = game.run("config show --origin");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("mysql://wizard:********@"));
}

#[tokio::test]
async fn wrong_credentials_and_a_database_that_is_down_name_the_next_step_and_no_secret() {
    let game = Game::in_step(DEMO).await;
    let mut server = crate::mariadb::Server::with(&["--read-only=1"]);
    let read_only = server.game("quiet").await;
    let run = |url: &str| {
        let output = game.command("diff --output json").env("WOX_GAME_DB_URL", url).output().unwrap();
        let told = errors(&output);
        assert!(!told.contains("s3cr3t") && !String::from_utf8_lossy(&output.stdout).contains("s3cr3t"), "{told}");
        (output.status.code(), told)
    };
    // A server that only reads is as good as any other for looking.
    assert_eq!(run(&read_only.url).0, Some(3));
    let denied = run(&read_only.url.replace(crate::mariadb::PASSWORD_IN_URL, "s3cr3t-and-wrong"));
    assert_eq!(denied.0, Some(1));
    assert!(
        denied.1.contains("wox::game-db::denied") && denied.1.contains("correct user and password"),
        "{}",
        denied.1
    );
    server.kill();
    let down = run(&read_only.url);
    assert_eq!(down.0, Some(1));
    assert!(down.1.contains("wox::game-db::unreachable") && down.1.contains("start the database"), "{}", down.1);
}

#[tokio::test]
async fn what_the_log_says_later_is_nobodys_doing_when_the_past_is_asked_for() {
    let game = Game::in_step(DEMO).await;
    let head = game.json("status", 0)["head"]["position"].as_u64().unwrap();
    let accused = |result: &serde_json::Value| {
        let rows = result["differences"].as_array().unwrap().clone();
        let fields = |row: &serde_json::Value| row["fields"].as_array().unwrap().clone();
        let outside = rows.iter().filter(|row| {
            fields(row).iter().any(|field| field["origin"] == "outside")
                || row["note"].as_str().is_some_and(|note| note.contains("outside"))
        });
        outside.map(|row| format!("{} {}", row["table"].as_str().unwrap(), row["key"])).collect::<Vec<_>>()
    };
    for as_of in [1, head / 2, head - 20] {
        let result = game.json(&format!("diff --as-of {as_of}"), 3);
        let kinds = |kind: &str| told(&result).iter().filter(|row| row.contains(kind)).count();
        assert!(kinds(" changed ") + kinds(" surplus ") > 0, "nothing differs from position {as_of}");
        assert_eq!(accused(&result), Vec::<String>::new(), "as of {as_of}");
    }
    let half = game.json(&format!("diff --as-of {}", head / 2), 3);
    let by = |field: &serde_json::Value| field["origin"]["later"]["by"].as_u64();
    let fields = half["differences"].as_array().unwrap().iter().flat_map(|row| row["fields"].as_array().unwrap());
    let later: Vec<u64> = fields.filter_map(by).collect();
    assert!(!later.is_empty() && later.iter().all(|at| *at > head / 2), "{later:?}");

    // Who changed a row by hand is still found, and so is a row that nobody's event has made.
    game.db
        .run(
            "UPDATE players SET withdrawable_galleons = withdrawable_galleons + 777.77 ORDER BY twitter_handle LIMIT 1;
             INSERT INTO players (twitter_handle) VALUES ('nobody_made_me');
             INSERT INTO burn_queue (amount, scheduled_time, status) VALUES (1.23, '2026-08-01 00:00:01', 'pending');",
        )
        .await;
    let rich = game.cell("SELECT twitter_handle FROM players ORDER BY twitter_handle LIMIT 1").await;
    let found = accused(&game.json(&format!("diff --as-of {}", head / 2), 3));
    assert!(found.contains(&format!("players \"{rich}\"")), "{found:?}");
    assert!(found.contains(&"players \"nobody_made_me\"".to_owned()), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[tokio::test]
async fn a_row_that_neither_the_tables_nor_the_log_know_is_a_typing_error() {
    let game = Game::in_step(DEMO).await;
    let handle = game.cell("SELECT twitter_handle FROM players LIMIT 1").await;
    let known = game.run(&format!("diff --id {handle}"));
    assert_eq!(known.status.code(), Some(0), "{}", errors(&known));
    for words in [format!("diff --id {handle}x"), format!("diff --table burn_queue --id {handle}x")] {
        let unknown = game.run(&words);
        assert_eq!(unknown.status.code(), Some(2), "{words}: {}", errors(&unknown));
        for part in ["wox::diff::unknown", "in the tables or in the log", "a whole stream such as duel-17"] {
            assert!(errors(&unknown).contains(part), "{words}: {part} is missing in {}", errors(&unknown));
        }
    }
    let near = game.run(&format!("diff --id {handle}x"));
    assert!(errors(&near).contains(&format!("did you mean `{handle}`?")), "{}", errors(&near));
    // A row that only the table has is known, too.
    game.db.run("INSERT INTO players (twitter_handle) VALUES ('nobody_made_me');").await;
    assert_eq!(game.run("diff --id nobody_made_me").status.code(), Some(3));
}

/// Appends an event behind the last one of its stream.
fn tell(game: &Game, stream: &str, number: u64, kind: &str, data: &str) {
    let shown = game.json(&format!("show {stream}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let event = format!(
        r#"{{"stream":"{stream}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5c{number:02}","kind":"{kind}","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{data}}}"#
    );
    std::fs::write(game.dir.path().join("told.jsonl"), event).unwrap();
    said(&game.run("append told.jsonl"), 0, &[]);
}

fn rename(game: &Game, player: &str, number: u64, old: &str, new: &str) {
    let data = format!(r#"{{"change":"c{number}","old":"{old}","new":"{new}"}}"#);
    tell(game, &format!("player-{player}"), number, "HandleChanged", &data);
}

/// Two players of the demo: id and handle.
fn two_players(game: &Game) -> [(String, String); 2] {
    let log = game.json("state players", 0);
    let players = log["value"]["players"].as_object().unwrap();
    let mut two = players.iter().map(|(id, player)| (id.clone(), player["handle"].as_str().unwrap().to_owned()));
    [two.next().unwrap(), two.next().unwrap()]
}

#[tokio::test]
async fn a_handle_that_another_player_took_over_is_behind_and_nobodys_edit() {
    for swapped in [false, true] {
        let game = Game::in_step(DEMO).await;
        let [(first, one), (second, two)] = two_players(&game);
        rename(&game, &first, 1, &one, "elsewhere");
        rename(&game, &second, 2, &two, &one);
        if swapped {
            rename(&game, &first, 3, "elsewhere", &two);
        }
        let result = game.json("diff --table players", 3);
        let mut expected =
            vec![format!("players changed {one} twitter_handle"), format!("players changed {two} twitter_handle")];
        let mut found = told(&result);
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "swapped: {swapped}");
        for row in result["differences"].as_array().unwrap() {
            assert!(row["fields"][0]["origin"]["behind"]["missed"].as_u64().is_some(), "{row}");
            assert!(row["note"].as_str().unwrap().contains("a former handle"), "{row}");
        }
        // Nobody edited anything, so nobody has to be asked.
        said(&game.run("rebuild --yes --progress none"), 0, &[]);
        assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_kept_or_set_and_never_said_to_be_both() {
    let game = Game::in_step(DEMO).await;
    let done = game.cell("SELECT MIN(id) FROM withdrawal_requests WHERE completed_at IS NOT NULL").await;
    let player = game.cell("SELECT MIN(twitter_handle) FROM players").await;
    let other = game.cell("SELECT MAX(twitter_handle) FROM players").await;
    game.db
        .run(&format!(
            "SET sql_mode = ''; UPDATE withdrawal_requests SET completed_at = '0000-00-00 00:00:00' WHERE id = {done};
             UPDATE players SET created_at = '0000-00-00 00:00:00' WHERE twitter_handle = '{player}'"
        ))
        .await;
    let result = game.json("diff", 3);
    assert_eq!(told(&result), [format!("withdrawal_requests changed {done} completed_at")]);
    let odd = result["oddities"].as_array().unwrap();
    assert_eq!((odd.len(), &odd[0]["column"]), (1, &"created_at".into()), "{odd:?}");
    let output = game.run("diff --table players");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("a zero date: kept as it is"), "{text}");
    said(&output, 0, &["UPDATE players SET created_at", "a rebuild keeps"]);
    let text = String::from_utf8(game.run(&format!("diff --table players --id {other}")).stdout).unwrap();
    assert!(!text.contains("zero date"), "another row's: {text}");
}

#[tokio::test]
async fn facts_that_stand_in_the_table_otherwise_than_in_the_log_are_told_and_kept() {
    let game = Game::in_step(DEMO).await;
    let tx = game.cell("SELECT MIN(tx_hash) FROM processed_transactions").await;
    game.db
        .run(&format!(
            "UPDATE processed_transactions SET from_address = UPPER(from_address);
             UPDATE processed_transactions SET from_address = '0xdead', block_number = 7 WHERE tx_hash = '{tx}'"
        ))
        .await;
    let result = game.json("diff", 0);
    let columns: Vec<_> = result["oddities"].as_array().unwrap().iter().map(|odd| odd["column"].clone()).collect();
    assert_eq!(columns, ["block_number", "from_address"], "upper case is another spelling");
    let text = String::from_utf8(game.run("diff").stdout).unwrap();
    assert!(text.contains("from_address") && text.contains("another value than the log"), "{text}");
    // What is never compared is said where somebody looks who wonders.
    let help = String::from_utf8(game.run("diff --help").stdout).unwrap();
    for column in ["players.created_at", "active_duels.created_at", "processed_transactions.processed_at", "players.hp"]
    {
        assert!(help.contains(column), "{column} is missing in {help}");
    }
}

#[tokio::test]
async fn one_row_is_answered_for_by_itself_and_null_is_not_the_word_null() {
    let game = Game::in_step(DEMO).await;
    let handle = game.cell("SELECT MIN(twitter_handle) FROM players").await;
    let other = game.cell("SELECT MAX(twitter_handle) FROM players").await;
    game.db.run(&format!("UPDATE players SET name = 'NULL', house = NULL WHERE twitter_handle = '{other}'")).await;
    let text = |words: &str| String::from_utf8(game.run(words).stdout).unwrap();
    let one = text(&format!("diff --id {handle}"));
    assert!(one.contains(&format!("row {handle} of players is what the log says")), "{one}");
    assert!(!one.contains("burn_queue"), "counts of other tables answer another question: {one}");
    let whole = text("diff --only missing");
    assert!(whole.contains("whole tables"), "{whole}");
    let differs = text(&format!("diff --id {other}"));
    assert!(differs.contains("'NULL'") && differs.contains(" NULL "), "{differs}");
    // A challenge that came to nothing: neither side has a row, and that is said.
    let data = format!(
        r#"{{"challenger":"{0}","opponent":"{1}","bet":"0","expires_at":1785700000000000}}"#,
        two_players(&game)[0].0,
        two_players(&game)[1].0
    );
    let event = format!(
        r#"{{"stream":"duel-987654","expected":0,"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5d01","kind":"ChallengeIssued","time":"2026-08-02T23:58:00Z","actor":"game","provenance":"game","data":{data}}}"#
    );
    std::fs::write(game.dir.path().join("challenge.jsonl"), event).unwrap();
    said(&game.run("append challenge.jsonl"), 0, &[]);
    let neither = text("diff --id 987654");
    assert!(neither.contains("no row 987654 in active_duels, and the log wants none"), "{neither}");
}
