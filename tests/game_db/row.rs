//! `wox recover WHAT ID --write`: one row set to what the log says, and nothing else.

use crate::{
    game::{Game, told},
    mariadb,
    rebuild::{DEMO, kinds, said},
};

#[tokio::test]
async fn one_row_is_set_right_and_the_rest_of_it_stays() {
    let game = Game::in_step(DEMO).await;
    let id = game.cell("SELECT MIN(id) FROM active_duels WHERE status <> 'active'").await;
    game.db.run(&format!("UPDATE active_duels SET hp1 = 4711, turn = 'somebody' WHERE id = {id}")).await;
    // The plan for the log says beside itself that the row differs.
    let plan = game.run(&format!("recover duel {id} --preview"));
    said(&plan, 3, &["row ", "hp1 4711 ->", &format!("recover duel {id} --write")]);
    // What somebody else wrote is evidence: it is shown, and overwritten once a person has confirmed exactly that.
    let shown = game.json(&format!("recover duel {id} --write"), 3);
    assert_eq!(
        (&shown["found"], &shown["written"], &shown["origin"]),
        (&"changed".into(), &false.into(), &"outside".into())
    );
    assert_eq!(game.cell(&format!("SELECT hp1 FROM active_duels WHERE id = {id}")).await, "4711");
    let confirmed = shown["id"].as_str().unwrap();
    game.db.run(&format!("UPDATE active_duels SET hp1 = 4712 WHERE id = {id}")).await;
    let other = game.run(&format!("recover duel {id} --write --confirm {confirmed}"));
    said(&other, 4, &["wox::recover::moved", &format!("recover duel {id} --write")]);
    game.db.run(&format!("UPDATE active_duels SET hp1 = 4711 WHERE id = {id}")).await;
    let written = game.json(&format!("recover duel {id} --write --confirm {}", &confirmed[..16]), 0);
    assert_eq!((&written["found"], &written["written"]), (&"changed".into(), &true.into()));
    assert_eq!(written["changes"].as_array().unwrap().len(), 1);
    assert_eq!((&written["changes"][0]["column"], &written["changes"][0]["before"]), (&"hp1".into(), &"4711".into()));
    assert_eq!(written["origin"], "outside");
    assert_eq!(game.cell(&format!("SELECT turn FROM active_duels WHERE id = {id}")).await, "somebody");
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    let again = game.json(&format!("recover duel {id} --write"), 0);
    assert_eq!((&again["found"], &again["written"]), (&"equal".into(), &false.into()));
    assert_eq!(kinds(&game, "ops-tables").await, ["OutOfBandChangeFound"; 2], "4711 and 4712, each once");
    assert_eq!(kinds(&game, "ops-acts").await.len(), 4, "shown, refused, meant, and what came of it");
}

#[tokio::test]
async fn rows_of_every_table_come_back() {
    let game = Game::in_step(DEMO).await;
    let withdrawal = game.cell("SELECT MAX(id) FROM withdrawal_requests").await;
    let tx = game.cell("SELECT MIN(tx_hash) FROM processed_transactions").await;
    let log = game.json("state burns", 0);
    let burn = log["value"]["burns"].as_object().unwrap().keys().next().unwrap();
    let players = game.json("state players", 0);
    let (player, state) = players["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let handle = state["handle"].as_str().unwrap();
    game.db
        .run(&format!(
            "DELETE FROM withdrawal_requests WHERE id = {withdrawal}; DELETE FROM processed_transactions WHERE tx_hash = '{tx}';
             DELETE FROM burn_queue; UPDATE players SET level = 15, wins = 999 WHERE twitter_handle = '{handle}'"
        ))
        .await;
    assert_eq!(game.json(&format!("recover withdrawal {withdrawal} --write"), 0)["found"], "missing");
    assert_eq!(game.json(&format!("recover deposit {tx} --write"), 0)["found"], "missing");
    let shown = game.json(&format!("recover player {player} --write"), 3);
    let confirm = format!("recover player {player} --write --confirm {}", shown["id"].as_str().unwrap());
    assert_eq!(game.json(&confirm, 0)["found"], "changed");
    assert_eq!(game.json(&format!("recover burn {burn} --write"), 0)["found"], "missing");
    assert_eq!(game.json(&format!("recover burn {burn} --write"), 0)["found"], "equal");
    let tables = game.json("diff", 3)["tables"].clone();
    for (at, table) in tables.as_array().unwrap().iter().enumerate() {
        let differing = ["changed", "missing", "surplus"].map(|what| table[what].as_u64().unwrap()).iter().sum::<u64>();
        assert_eq!(differing > 0, at == 3, "only other burns are missing still: {table}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_says_why() {
    let game = Game::in_step(DEMO).await;
    said(&game.run("recover tournament x --write"), 2, &["wox::recover::no-table"]);
    said(&game.run("recover duel 99999999 --write"), 2, &["wox::recover::unknown", "there is no duel 99999999"]);
    said(&game.run("recover duel --write"), 2, &["<ID>"]);
    let id = game.cell("SELECT MIN(id) FROM active_duels").await;
    game.db.run(&format!("UPDATE active_duels SET hp1 = 4711 WHERE id = {id}")).await;
    let shown = game.json(&format!("recover duel {id} --write"), 3);
    let confirm = format!("recover duel {id} --write --confirm {}", shown["id"].as_str().unwrap());
    let mut holder = game.db.connect().await;
    mariadb::run(&mut holder, &format!("START TRANSACTION; UPDATE active_duels SET hp1 = 4712 WHERE id = {id}")).await;
    let waiting = {
        let mut command = game.command(&confirm);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    mariadb::run(&mut holder, "COMMIT").await;
    said(&waiting.await.unwrap(), 4, &["wox::recover::moved", "written by somebody else"]);
    assert_eq!(game.cell(&format!("SELECT hp1 FROM active_duels WHERE id = {id}")).await, "4712");
    // A handle that other rows refer to is not one row's business.
    let players = game.json("state players", 0);
    let (player, state) = players["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let handle = state["handle"].as_str().unwrap();
    let shown = game.json(&format!("show player-{player}"), 0);
    let revision = shown["events"].as_array().unwrap().last().unwrap()["revision"].as_u64().unwrap();
    let event = format!(
        r#"{{"stream":"player-{player}","expected":{revision},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b04","kind":"HandleChanged","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{{"change":"c1","old":"{handle}","new":"brand_new"}}}}"#
    );
    std::fs::write(game.dir.path().join("rename.jsonl"), event).unwrap();
    said(&game.run("append rename.jsonl"), 0, &[]);
    said(&game.run(&format!("recover player {player} --write")), 4, &["wox::recover::tied", "wox rebuild"]);
    game.db.run("DROP TABLE burn_queue").await;
    let read_only = game.run("recover burn 1 --write");
    said(&read_only, 1, &["wox::recover::lost", "wox rebuild"]);
}

#[tokio::test]
async fn a_row_that_could_not_be_looked_at_is_not_called_right() {
    let game = Game::in_step(DEMO).await;
    let id = game.cell("SELECT MIN(id) FROM active_duels WHERE status <> 'active'").await;
    let recover = format!("recover duel {id}");
    said(&game.run(&recover), 0, &[]);
    let down =
        game.command(&recover).env("WOX_GAME_DB_URL", "mysql://wizard:s3cr3t@127.0.0.1:1/nowhere").output().unwrap();
    said(&down, 6, &["was not looked at", "doctor"]);
    game.db.run("ALTER TABLE active_duels DROP COLUMN hp2").await;
    said(&game.run(&recover), 6, &["was not looked at"]);
}

#[tokio::test]
async fn a_name_nobody_has_is_a_typing_error_and_a_forgotten_at_is_told() {
    let game = Game::in_step(DEMO).await;
    let handle = game.cell("SELECT MIN(twitter_handle) FROM players").await;
    for words in [format!("recover player {handle} --write"), format!("recover player {handle}")] {
        said(&game.run(&words), 2, &["wox::recover::unknown", &format!("did you mean `@{handle}`?")]);
    }
    said(&game.run("recover duel 987654 --write"), 2, &["wox::recover::unknown", "there is no duel 987654"]);
    said(&game.run(&format!("recover player @{handle} --write")), 0, &[]);
}
