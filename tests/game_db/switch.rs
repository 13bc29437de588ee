//! The parts of a rebuild that touch the database: shadows, the bulk load, the fence, the switch and the way back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use strum::VariantArray as _;
use wox_recovery::{
    tables::{Batch, Table},
    world::game_db::{
        GameDb, GameDbError,
        schema::LiveTable,
        shadow::{Fill, new_name, old_name, undone_name},
        switch::{Fence, Held, Rename, Taken},
    },
};

use crate::{game::Game, mariadb};

const DEMO: &str = "--events 3000 --sound";

/// Copies every live row into shadows of all tables, foreign keys included.
async fn build_shadows(db: &GameDb) {
    let (mut reader, mut writer) = (db.connect().await.unwrap(), db.connect().await.unwrap());
    let schema = reader.schema(Table::VARIANTS).await.unwrap();
    writer.prepare_to_load(5).await.unwrap();
    for live in &schema.tables {
        writer.create_shadow(1, live, false).await.unwrap();
        let mut loader = writer.load(1, live).await.unwrap();
        let mut rows = reader.rows(live.table.name(), &live.columns);
        let mut batch = Batch::default();
        while rows.next(&mut batch).await.unwrap() {
            loader.push(Fill::Whole, &batch).await.unwrap();
        }
        drop(rows);
        let loaded = loader.finish().await.unwrap();
        assert_eq!(loaded, writer.count(live.table.name()).await.unwrap());
        writer.add_foreign_keys(1, live, false, Table::VARIANTS).await.unwrap();
    }
}

fn forward(epoch: u64) -> Vec<Rename> {
    let old = Table::VARIANTS.iter().map(|table| Rename { from: table.to_string(), to: old_name(epoch, *table) });
    let new = Table::VARIANTS.iter().map(|table| Rename { from: new_name(epoch, *table), to: table.to_string() });
    old.chain(new).collect()
}

fn names() -> Vec<String> {
    Table::VARIANTS.iter().map(Table::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_old_tables_or_the_new_and_foreign_keys_are_right_before_and_after() {
    let game = Game::in_step(DEMO).await;
    let db = GameDb::new(&game.db.url).unwrap();
    let Taken::Ours(fence, _) = Fence::take(&db).await.unwrap() else { panic!("nobody else is here") };
    build_shadows(&db).await;
    let mut prober = db.connect().await.unwrap();
    // The shadows differ from the live tables in a mark that stands in two of them.
    game.db
        .run("UPDATE _wox_new_1_players SET hp = 7; UPDATE _wox_new_1_withdrawal_requests SET block_number = 7")
        .await;
    game.db.run("UPDATE withdrawal_requests SET block_number = 100; UPDATE players SET hp = 100").await;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, mut reader) = (Arc::clone(&stop), game.db.connect().await);
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let sql = "SELECT MIN(hp), MAX(hp), MIN(block_number), MAX(block_number) FROM players, withdrawal_requests";
            seen.extend(mariadb::rows(&mut reader, sql).await);
        }
        seen
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    Held::take(&db, &names(), 5).await.unwrap().rename(&forward(1), &mut prober).await.unwrap();
    assert_eq!(game.json("diff", 0)["differences"].as_array().unwrap().len(), 0);
    let orphan = "INSERT INTO withdrawal_requests (twitter_handle, amount) VALUES ('nobody', 1)";
    let refused = sqlx::raw_sql(orphan).execute(&mut game.db.connect().await).await.unwrap_err();
    assert!(
        refused.to_string().contains("`withdrawal_requests`") && refused.to_string().contains("REFERENCES `players`")
    );
    // And back: the tables that were live before stand again, with their own keys.
    let out = Table::VARIANTS.iter().map(|table| Rename { from: table.to_string(), to: undone_name(1, *table) });
    let back = Table::VARIANTS.iter().map(|table| Rename { from: old_name(1, *table), to: table.to_string() });
    let renames: Vec<_> = out.chain(back).collect();
    Held::take(&db, &names(), 5).await.unwrap().rename(&renames, &mut prober).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    stop.store(true, Ordering::Relaxed);
    let mut seen = reading.await.unwrap();
    assert_eq!(seen.first().unwrap(), "100|100|100|100");
    assert_eq!(seen.last().unwrap(), "100|100|100|100");
    seen.sort();
    seen.dedup();
    assert!(seen.iter().all(|row| row == "100|100|100|100" || row == "7|7|7|7"), "a mix was seen: {seen:?}");
    assert!(sqlx::raw_sql(orphan).execute(&mut game.db.connect().await).await.is_err());
    fence.release().await;
}

#[tokio::test]
async fn a_second_rebuild_is_fenced_and_a_dead_one_blocks_nobody() {
    let (_server, game) = mariadb::game().await;
    let db = GameDb::new(&game.url).unwrap();
    let Taken::Ours(mut first, None) = Fence::take(&db).await.unwrap() else { panic!("nobody was here before") };
    assert_eq!(first.begin("abc", "players").await.unwrap().epoch, 1);
    assert!(matches!(Fence::take(&db).await.unwrap(), Taken::Busy { connection: Some(_), .. }));
    drop(first);
    // The server notices a connection that is gone by itself.
    let mut tries = 0;
    let (mut second, left) = loop {
        match Fence::take(&db).await.unwrap() {
            Taken::Ours(fence, left) => break (fence, left.unwrap()),
            Taken::Busy { .. } => tries += 1,
        }
        assert!(tries < 500);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!((left.epoch, left.phase.as_str(), left.bound_to.as_str()), (1, "building", "abc"));
    assert_eq!(second.begin("def", "players").await.unwrap().epoch, 2);
    second.release().await;
}

#[tokio::test]
async fn a_transaction_that_holds_a_table_ends_the_wait_with_a_clear_error() {
    let (_server, game) = mariadb::game().await;
    let db = GameDb::new(&game.url).unwrap();
    let Taken::Ours(fence, _) = Fence::take(&db).await.unwrap() else { panic!("nobody else is here") };
    let mut holder = game.connect().await;
    mariadb::run(&mut holder, "START TRANSACTION; INSERT INTO players (twitter_handle) VALUES ('x')").await;
    let error = Held::take(&db, &["players".into()], 1).await.expect_err("the table is not given");
    assert!(matches!(error, GameDbError::Locked { .. }), "{error}");
    mariadb::run(&mut holder, "COMMIT").await;
    Held::take(&db, &["players".into()], 1).await.unwrap().let_go().await.unwrap();
    fence.release().await;
}

#[tokio::test]
async fn a_lost_table_gets_the_published_shape_and_what_the_log_does_not_know_its_default() {
    let (_server, game) = mariadb::game().await;
    game.run("DROP TABLE active_duels, withdrawal_requests, players").await;
    let db = GameDb::new(&game.url).unwrap();
    let mut session = db.connect().await.unwrap();
    session.prepare_to_load(5).await.unwrap();
    let live = LiveTable::published(Table::Players);
    session.create_shadow(1, &live, true).await.unwrap();
    let mut loader = session.load(1, &live).await.unwrap();
    let mut row = Batch::of(live.columns.len());
    row.push(Some(b"it's `me` \\"));
    (1..live.columns.len()).for_each(|_| row.push(None));
    loader.push(Fill::Defaults, &row).await.unwrap();
    assert_eq!(loader.finish().await.unwrap(), 1);
    let rows = game.rows("SELECT twitter_handle, hp, bonus_galleons, potions FROM _wox_new_1_players").await;
    assert_eq!(rows, ["it's `me` \\|100|20.00|NULL"]);
    let burns = LiveTable::published(Table::BurnQueue);
    session.create_shadow(1, &burns, true).await.unwrap();
    let mut loader = session.load(1, &burns).await.unwrap();
    let mut rows = Batch::of(5);
    for _ in 0..2 {
        for cell in [None, Some("1.25"), Some("2026-08-01 20:00:00"), Some("pending"), None] {
            rows.push(cell.map(str::as_bytes));
        }
    }
    loader.push(Fill::Defaults, &rows).await.unwrap();
    assert_eq!(loader.finish().await.unwrap(), 2);
    assert_eq!(game.rows("SELECT id FROM _wox_new_1_burn_queue").await, ["1", "2"]);
    session.drop_tables(&[new_name(1, Table::Players), new_name(1, Table::BurnQueue)]).await.unwrap();
    assert_eq!(session.tables_called("_wox_new_").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_switching_stands_up_with_the_old_tables_or_the_new() {
    let mut server = mariadb::Server::start();
    let game = server.game("killed").await;
    for round in 0..4u64 {
        game.run(
            "INSERT IGNORE INTO players (twitter_handle) VALUES ('a'); DROP TABLE IF EXISTS _wox_new_players, \
             _wox_new_burn_queue; CREATE TABLE _wox_new_players LIKE players; \
             CREATE TABLE _wox_new_burn_queue LIKE burn_queue; \
             INSERT INTO _wox_new_players SELECT * FROM players; UPDATE _wox_new_players SET hp = hp + 1; \
             DELETE FROM burn_queue; INSERT INTO burn_queue (amount) SELECT hp FROM players; \
             INSERT INTO _wox_new_burn_queue (amount) SELECT hp FROM _wox_new_players",
        )
        .await;
        let mut switching = game.connect().await;
        let sql = format!(
            "SET foreign_key_checks = 0; RENAME TABLE players TO old_{round}_p, burn_queue TO old_{round}_b, \
             _wox_new_players TO players, _wox_new_burn_queue TO burn_queue"
        );
        let renaming =
            tokio::spawn(async move { sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut switching).await.is_ok() });
        tokio::time::sleep(std::time::Duration::from_micros(700 * round * round)).await;
        server.restart();
        let _either = renaming.await;
        let pair = game.rows("SELECT hp, FLOOR(amount) FROM players, burn_queue").await;
        let (hp, amount) = pair[0].split_once('|').unwrap();
        assert_eq!(hp, amount, "one table is old and one is new: {pair:?}");
    }
}
