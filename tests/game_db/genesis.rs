//! `wox import game-db`: a running game's tables taken over (E5), players by their ids and not by their handles (E4).

use std::{
    collections::BTreeMap,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use strum::VariantArray as _;
use wox_recovery::tables::Table;

use crate::game::{Game, errors, told};

const DEMO: &str = "--events 3000 --sound";

/// A running game and nothing else: tables filled from a demo, whose store stays aside as `demo`; and who is whom.
async fn running() -> Game {
    let game = Game::in_step(DEMO).await;
    let players = game.json("state players", 0);
    std::fs::rename(game.store(), game.dir.path().join("demo")).unwrap();
    let _derived = std::fs::remove_dir_all(game.dir.path().join("store.snapshots"));
    let players = players["value"]["players"].as_object().unwrap();
    let lines = players.iter().map(|(id, player)| format!("{},{id}\n", player["handle"].as_str().unwrap()));
    let lines: String = std::iter::once("handle,id\n".to_owned()).chain(lines).collect();
    std::fs::write(game.dir.path().join("ids.csv"), lines).unwrap();
    game
}

/// A game of a few rows that a test writes itself.
async fn small(rows: &str, ids: &str) -> Game {
    let game = Game::bare().await;
    game.db.run(&format!("SET sql_mode = ''; {rows}")).await;
    std::fs::write(game.dir.path().join("ids.csv"), ids).unwrap();
    game
}

const IMPORT: &str = "import game-db --players ids.csv";

const TWO: &str =
    "INSERT INTO players (twitter_handle, name, house, bonus_galleons, withdrawable_galleons, spells, potions, titles)
    VALUES ('alice', 'Alice', 'Ravenclaw', 20, 100.5, '[\"Incendio\"]', '{\"Healing\": 2}', '[]'),
           ('Bob', 'Bob', 'Gryffindor', 0, 7.25, NULL, NULL, NULL);";
const IDS: &str = "alice,17\nbob,18\n";

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Holds what a command printed against the schema it names.
pub fn published(value: &Value) {
    let name = value["schema"].as_str().unwrap();
    let shape = wox_recovery::cli::shapes::ALL.iter().find(|shape| shape.name == name);
    let shape = shape.unwrap_or_else(|| panic!("{name} is not published"));
    let wrong: Vec<_> = jsonschema::validator_for(&shape.schema())
        .unwrap()
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?}");
}

/// Refused rows: table, key, reason.
fn refused(report: &Value) -> Vec<String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = report["refused"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}: {}", text(row, "table"), text(row, "key"), text(row, "reason"))).collect()
}

#[tokio::test]
async fn the_tables_of_a_running_game_come_back_from_the_log_row_by_row() {
    let game = running().await;
    let preview = game.json(&format!("{IMPORT} --preview"), 0);
    assert!(!game.store().exists(), "a preview writes nothing");
    let report = game.json(IMPORT, 0);
    assert_eq!(preview["import"], report["import"]);
    [&preview, &report].into_iter().for_each(published);
    let lines = game.run(&format!("{IMPORT} --output jsonl --progress none")).stdout;
    String::from_utf8(lines).unwrap().lines().for_each(|line| published(&serde_json::from_str(line).unwrap()));
    let mut read = 0;
    for table in report["tables"].as_array().unwrap() {
        assert_eq!((&table["rows"], &table["refused"]), (&table["imported"], &0.into()), "{table}");
        read += table["rows"].as_u64().unwrap();
    }
    assert!(read > 200, "{report}");

    let diff = game.json("diff", 0);
    assert_eq!(told(&diff), Vec::<String>::new());
    for (imported, compared) in report["tables"].as_array().unwrap().iter().zip(diff["tables"].as_array().unwrap()) {
        assert_eq!((&imported["rows"], &imported["digest"]), (&compared["equal"], &compared["digest"]), "{compared}");
    }
    // Every row is one event; the import's own two, and the pool where there is one.
    let own = 2 + u64::from(report["pool"] != "0");
    assert_eq!(report["head"]["position"], read + own);

    // Conservation holds at every position, and a sane game has nothing wrong but what was open when it was taken over.
    let found = game.json("bisect --invariant conservation", 0);
    assert_eq!(found["broken"], serde_json::json!([]), "{found}");
    let open = game.db.rows("SELECT id FROM withdrawal_requests WHERE status = 'pending'").await.len();
    let plan = game.run("plan --output json --progress none");
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["items"].as_array().unwrap().len(), 0, "{plan:#}");
    let held = plan["held"].as_array().unwrap();
    assert_eq!(held.len(), open, "{plan:#}");
    assert!(held.iter().all(|held| held["finding"]["procedure"] == "withdrawal_in_doubt"), "{plan:#}");
}

#[tokio::test]
async fn imported_twice_changes_nothing_and_other_tables_are_refused_with_what_differs() {
    let game = running().await;
    let first = game.json(IMPORT, 0);
    let again = game.json(IMPORT, 0);
    assert_eq!((&again["repeat"], &again["import"]), (&true.into(), &first["import"]));
    let root = |status: &Value| status["head"]["root"].clone();
    assert_eq!(root(&game.json("status", 0)), first["head"]["root"]);

    game.db.run("UPDATE players SET wins = wins + 1 LIMIT 1; DELETE FROM burn_queue LIMIT 1").await;
    let other = game.run(IMPORT);
    assert_eq!(code(&other), 4, "{}", errors(&other));
    let text = errors(&other);
    assert!(
        text.contains("born of other tables") && text.contains("players: ") && text.contains("burn_queue: "),
        "{text}"
    );
    assert!(!text.contains("active_duels: "), "{text}");
    assert_eq!(root(&game.json("status", 0)), first["head"]["root"]);

    // A store with a history of its own is refused too, before anything is written.
    let occupied = game.run(&format!("{IMPORT} --store demo"));
    assert_eq!(code(&occupied), 4);
    assert!(errors(&occupied).contains("has a history of this game already"), "{}", errors(&occupied));
}

#[tokio::test]
async fn an_empty_store_and_one_without_game_events_take_the_import() {
    let game = small(TWO, IDS).await;
    assert_eq!(code(&game.run("init")), 0);
    let report = game.json(IMPORT, 0);
    assert_eq!(report["head"]["position"], 4, "two players, begun and completed");
    assert_eq!(code(&game.run("verify")), 0);
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test]
async fn every_bad_row_is_refused_by_name_and_nothing_is_imported_unless_somebody_says_so() {
    let game = small(
        &format!(
            "{TWO}
            ALTER TABLE players MODIFY house VARCHAR(20), MODIFY bonus_galleons DECIMAL(10,2) NULL, DROP PRIMARY KEY,
                MODIFY twitter_handle VARCHAR(50) COLLATE utf8mb4_bin, ADD PRIMARY KEY (twitter_handle);"
        )
        .replace("ALTER", "SET foreign_key_checks = 0; ALTER TABLE active_duels DROP FOREIGN KEY active_duels_ibfk_1, DROP FOREIGN KEY active_duels_ibfk_2; ALTER TABLE withdrawal_requests DROP FOREIGN KEY withdrawal_requests_ibfk_1; ALTER"),
        "alice,17\nbob,18\ncarol,19\ndan,20\neve,21\nfay,22\ngus,23\nhal,17\nDan2,20\n",
    )
    .await;
    let tx = |digit: &str| format!("0x{}", digit.repeat(64));
    game.db
        .run(&format!(
            "SET sql_mode = ''; SET foreign_key_checks = 0; SET check_constraint_checks = 0;
             INSERT INTO players (twitter_handle, house, bonus_galleons) VALUES
                ('carol', 'Hufflepuff', -5), ('dan', 'Durmstrang', 20), ('eve', 'Slytherin', NULL),
                ('nobody_knows', 'Slytherin', 20), ('BOB', 'Slytherin', 20), ('hal', 'Slytherin', 20),
                ('with space', 'Slytherin', 20);
             INSERT INTO players (twitter_handle, house, level, bonus_galleons) VALUES ('fay', 'Slytherin', 99, 20);
             INSERT INTO players (twitter_handle, house, spells, bonus_galleons) VALUES ('gus', 'Slytherin', '[broken', 20);
             INSERT INTO active_duels (player1, player2, bet_amount, status) VALUES
                ('alice', 'ghost', 50, 'active'), ('alice', 'carol', 50, 'active'), ('alice', 'alice', 5, 'active'),
                ('alice', 'bob', -1, 'active'), ('alice', 'bob', 10, 'paused');
             INSERT INTO withdrawal_requests (twitter_handle, amount, fee, status) VALUES
                ('alice', 10, 11, 'pending'), ('alice', 10, 1, 'on_fire');
             INSERT INTO burn_queue (amount, scheduled_time, status) VALUES
                (1, '0000-00-00 00:00:00', 'pending'), (1, '2026-08-01 20:00:00', 'failed');
             INSERT INTO processed_transactions (tx_hash, value, status) VALUES
                ('tx_1690000000', 5, 'completed'), ('{}', NULL, 'completed'), ('{}', 5, NULL)",
            tx("a"),
            tx("b"),
        ))
        .await;
    let report = game.json(IMPORT, 4);
    assert!(!game.store().exists());
    let rows = refused(&report);
    for (row, reason) in [
        ("players carol", "bonus_galleons: -5 G is negative"),
        ("players dan", "house: `Durmstrang` is no house"),
        ("players eve", "bonus_galleons: NULL"),
        ("players nobody_knows", "twitter_handle: nobody says whose platform user id it is"),
        ("players BOB", "twitter_handle: another row has the same handle but for upper case"),
        ("players Bob", "twitter_handle: another row has the same handle but for upper case"),
        ("players alice", "twitter_handle: player 17 is another row's too"),
        ("players hal", "twitter_handle: player 17 is another row's too"),
        ("players with space", "twitter_handle: `with space` is no handle"),
        ("players fay", "level: 99 is not 1 to 15"),
        ("players gus", "spells: no valid JSON"),
        ("active_duels 1", "player1: the row of `alice` is refused"),
        ("burn_queue 1", "scheduled_time: a zero date"),
        ("burn_queue 2", "status: it failed"),
        ("processed_transactions tx_1690000000", "tx_hash: `tx_1690000000` is no transaction hash"),
        (&format!("processed_transactions {}", tx("a")), "value: NULL"),
        (&format!("processed_transactions {}", tx("b")), "status: NULL"),
    ] {
        assert!(rows.iter().any(|found| found.starts_with(&format!("{row}: {reason}"))), "{row}: {reason}\n{rows:#?}");
    }
    // Once alice is alice, what is wrong with the other rows shows.
    game.db.run("SET foreign_key_checks = 0; DELETE FROM players WHERE twitter_handle IN ('hal', 'BOB')").await;
    let rows = refused(&game.json(&format!("{IMPORT} --preview"), 3));
    for (row, reason) in [
        ("active_duels 1", "player2: `ghost` has no row in players"),
        ("active_duels 2", "player2: the row of `carol` is refused"),
        ("active_duels 3", "player2: the same player as the other side"),
        ("active_duels 4", "bet_amount: -1 G is negative"),
        ("active_duels 5", "status: `paused` has no meaning that is known"),
        ("withdrawal_requests 1", "fee: 11 G of 10 G"),
        ("withdrawal_requests 2", "status: `on_fire` has no meaning that is known"),
    ] {
        assert!(rows.contains(&format!("{row}: {reason}")), "{row}: {reason}\n{rows:#?}");
    }
    let report = game.json(&format!("{IMPORT} --leave-out"), 0);
    let counts: BTreeMap<String, (u64, u64, u64)> = report["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| {
            let count = |name: &str| table[name].as_u64().unwrap();
            (table["table"].as_str().unwrap().to_owned(), (count("rows"), count("imported"), count("refused")))
        })
        .collect();
    assert_eq!(counts["players"], (9, 2, 7), "{counts:?}");
    assert!(counts.values().all(|(rows, imported, refused)| rows == &(imported + refused)), "{counts:?}");
    let left: u64 = counts.values().map(|(_, _, refused)| refused).sum();
    let shown = game.json("show ops-genesis", 0);
    let kinds: Vec<_> =
        shown["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "GenesisRowLeftOut").count() as u64, left);
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("GenesisBegun", "GenesisCompleted"));
}

#[tokio::test]
async fn money_that_is_open_is_taken_over_where_it_is_and_what_is_assumed_is_marked() {
    let game = small(
        &format!(
            "{TWO}
             INSERT INTO active_duels (id, player1, player2, bet_amount, status, turn, hp1, hp2, combo_history, created_at) VALUES
                (4, 'alice', 'Bob', 50, 'active', 'Bob', 90, 105, '{{\"alice\":[\"Incendio\"],\"Bob\":[]}}', '2026-08-01 19:00:00'),
                (5, 'Bob', 'alice', 10, 'player2_wins', NULL, -3, 40, NULL, '2026-08-01 18:00:00'),
                (6, 'Bob', 'alice', 10, 'cancelled', NULL, 100, 100, '{{}}', '2026-08-01 18:00:00');
             INSERT INTO withdrawal_requests (id, twitter_handle, amount, fee, tx_hash, status, created_at, completed_at) VALUES
                (66, 'alice', 50, 2, NULL, 'pending', '2026-08-01 18:10:00', NULL),
                (67, 'Bob', 25, 1, '0x{paid}', 'completed', '2026-08-01 10:00:00', '2026-08-01 10:02:00'),
                (68, 'Bob', 30, 1.2, '', 'failed', '2026-08-01 10:00:00', NULL),
                (69, 'alice', 20, 0.8, NULL, 'processing', '2026-08-01 18:20:00', NULL);
             INSERT INTO burn_queue (id, amount, scheduled_time, status, created_at) VALUES
                (1, 1.00, '2026-08-02 20:00:00', 'pending', '2026-08-01 18:10:01'),
                (2, 0.50, '2026-08-01 23:00:00', 'completed', '2026-08-01 10:00:00'),
                (3, 0.77, '2026-08-03 20:00:00', 'pending', '2026-08-01 09:00:00');
             INSERT INTO processed_transactions (tx_hash, block_number, from_address, to_address, value, status) VALUES
                ('0x{paid}', 19000001, '0x00000000000000000000000000000000000000aa', '0x1f9a', 75.25, 'confirmed');",
            paid = "5b".repeat(32)
        ),
        IDS,
    )
    .await;
    let report = game.json(IMPORT, 0);
    let sums = &report["totals"];
    for (name, amount) in [
        ("bonus", "20"),
        ("withdrawable", "107.75"),
        ("escrow", "100"),
        ("in_flight", "67.2"),
        ("burn_queue", "1.77"),
        ("failed_before", "30"),
    ] {
        assert_eq!(sums[name], amount, "{name}: {sums}");
    }
    assert_eq!(report["pool"], "1.4", "half of both open fees: the least the pool can hold");
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
    let events = |stream: &str| game.json(&format!("show {stream}"), 0)["events"].as_array().unwrap().clone();
    let duel = &events("duel-4")[0];
    assert_eq!((&duel["provenance"], &duel["kind"]), (&"imported".into(), &"DuelImported".into()));
    assert_eq!(duel["data"]["stakes"][1]["assumed"], serde_json::json!({"bonus": "50", "withdrawable": "0"}));
    assert_eq!(events("withdrawal-66")[0]["data"]["burn_known"], true);
    assert_eq!(events("burn-66")[0]["data"]["row"], 1);
    assert_eq!(events("withdrawal-69")[0]["data"]["burn_known"], false);
    assert_eq!(events("burn-imported:3")[0]["data"]["amount"], "0.77");

    let plan = game.run("plan --output json --progress none");
    assert_eq!(code(&plan), 3, "open withdrawals have unknown outcomes: {}", errors(&plan));
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let held: Vec<_> =
        plan["held"].as_array().unwrap().iter().map(|held| held["finding"]["subject"].as_str().unwrap()).collect();
    assert_eq!(held, ["withdrawal-66", "withdrawal-69"]);
    assert_eq!(plan["items"].as_array().unwrap().len(), 0);

    // The same with a pool that an operator states is another import, into a store of its own.
    let stated = game.json(&format!("{IMPORT} --pool 1520.5 --store other"), 0);
    assert_eq!(stated["pool"], "1520.5");
    assert_ne!(stated["import"], report["import"]);
    let less = game.run(&format!("{IMPORT} --pool 1 --store third"));
    assert_eq!(code(&less), 2, "{}", errors(&less));
}

#[tokio::test]
async fn a_name_is_not_a_player_whatever_was_renamed_since() {
    let game = small(TWO, IDS).await;
    game.json(IMPORT, 0);
    let tx = "0x".to_owned() + &"ab".repeat(32);
    let line = |stream: &str, expected: u64, number: u8, kind: &str, data: &str| {
        format!(
            r#"{{"stream":"{stream}","expected":{expected},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b{number:02x}","kind":"{kind}","time":"2026-08-02T23:59:00Z","actor":"game","provenance":"game","data":{data}}}"#
        )
    };
    let events = [
        line("player-17", 1, 1, "HandleChanged", r#"{"change":"c1","old":"alice","new":"alice_of_old"}"#),
        line(
            "player-99",
            0,
            2,
            "PlayerCreated",
            r#"{"handle":"alice","name":"Another","house":"slytherin","bonus":"20"}"#,
        ),
        line(
            &format!("deposit-8453:{tx}:0"),
            0,
            3,
            "DepositCredited",
            &format!(r#"{{"chain":8453,"tx":"{tx}","ordinal":0,"player":"17","amount":"5","dust":"0"}}"#),
        ),
    ];
    std::fs::write(game.dir.path().join("more.jsonl"), events.join("\n")).unwrap();
    let appended = game.run("append more.jsonl");
    assert_eq!(code(&appended), 0, "{}", errors(&appended));
    let ledger = game.json("state ledger", 0);
    let balance = |id: &str| ledger["value"]["players"][id]["withdrawable"].clone();
    assert_eq!((balance("17"), balance("99")), ("105.5".into(), "0".into()));
    // The game's tables follow: the row of the old handle is the new player's.
    game.db
        .run(&format!(
            "UPDATE players SET twitter_handle = 'alice_of_old', withdrawable_galleons = 105.5 WHERE twitter_handle = 'alice';
             INSERT INTO players (twitter_handle, name, house, spells, titles) VALUES ('alice', 'Another', 'Slytherin', '[]', '[]');
             INSERT INTO processed_transactions (tx_hash, value, status) VALUES ('{tx}', 5, 'completed')"
        ))
        .await;
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test]
async fn a_handle_nobody_vouches_for_is_refused_or_held_as_nobody_else() {
    let game = small(TWO, "alice,17\n").await;
    assert_eq!(
        refused(&game.json(IMPORT, 4)),
        ["players Bob: twitter_handle: nobody says whose platform user id it is"]
    );
    let report = game.json(&format!("{IMPORT} --unmapped hold"), 0);
    assert_eq!(report["tables"][0]["imported"], 2);
    assert_eq!(game.json("show player-unmapped:bob", 0)["events"][0]["data"]["withdrawable"], "7.25");
    for (ids, part) in [
        ("alice,seventeen\n", "no platform user id"),
        ("alice 17\n", "neither `handle,id`"),
        ("alice,17\nALICE,18\n", "is player 17 in a line before"),
    ] {
        std::fs::write(game.dir.path().join("wrong.csv"), ids).unwrap();
        let wrong = game.run("import game-db --players wrong.csv --store third");
        assert_eq!(code(&wrong), 1);
        assert!(errors(&wrong).contains(part), "{ids}: {}", errors(&wrong));
    }
    let nobody = game.run("import game-db");
    assert_eq!(code(&nobody), 2);
}

#[tokio::test]
async fn odd_cells_stay_in_the_table_and_are_counted() {
    let game = small(
        "ALTER TABLE players MODIFY name VARCHAR(100) CHARACTER SET latin1, MODIFY withdrawable_galleons DECIMAL(36,18);
         INSERT INTO players (twitter_handle, name, house, withdrawable_galleons, spells, titles, created_at) VALUES
            ('alice', 'Zo\u{eb} the Grey', 'Ravenclaw', 0.000000000000000001, '[\"Avada Kedavra\"]', '[\" \"]', '0000-00-00 00:00:00');",
        "alice,17\n",
    )
    .await;
    let report = game.json(IMPORT, 0);
    let kept: Vec<_> = report["kept"].as_array().unwrap().iter().map(|kept| kept["column"].as_str().unwrap()).collect();
    assert_eq!(kept, ["created_at", "name", "titles"]);
    let opened = game.json("show player-17", 0)["events"][0]["data"].clone();
    assert_eq!(opened["spells"], serde_json::json!(["Avada Kedavra"]), "the game's own names have spaces");
    assert_eq!(report["totals"]["withdrawable"], "0.000000000000000001", "dust is an amount");
    assert_eq!(told(&game.json("diff", 0)), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_were_left_out_by_name_stay_and_are_nobodys_edit() {
    let tx = format!("0x{}", "AB".repeat(32));
    let rows = format!(
        "{TWO} INSERT INTO players (twitter_handle, level, bonus_galleons) VALUES ('dan', -1, 3);
         INSERT INTO active_duels (id, player1, player2, bet_amount, status) VALUES (9, 'alice', 'dan', 1, 'weird');
         INSERT INTO burn_queue (id, amount, status) VALUES (4, 1, 'odd');
         INSERT INTO withdrawal_requests (id, twitter_handle, amount, fee, tx_hash, status) VALUES
            (1, 'alice', 10, 0.5, '{tx}', 'completed'), (3, 'Bob', 1, 2, NULL, 'pending');"
    );
    let game = small(&rows, "alice,17\nbob,18\ndan,19\n").await;
    assert_eq!(code(&game.run(IMPORT)), 4);
    let report = game.json(&format!("{IMPORT} --leave-out"), 0);
    assert_eq!(refused(&report).len(), 4, "{report}");
    let diff = game.json("diff", 0);
    assert_eq!(told(&diff), Vec::<String>::new(), "and a hash in upper case is the same hash");
    let left_out: u64 =
        diff["tables"].as_array().unwrap().iter().map(|table| table["left_out"].as_u64().unwrap()).sum();
    assert_eq!(left_out, 4);
    // A rebuild that has something else to do keeps them.
    game.db.run("UPDATE players SET wins = 99 WHERE twitter_handle = 'alice'").await;
    let shown = game.json("rebuild", 3);
    let confirm = format!("rebuild --confirm {}", shown["id"].as_str().unwrap());
    assert_eq!(game.json(&confirm, 0)["verdict"], "verified");
    for (table, row) in [
        ("players WHERE twitter_handle = 'dan' AND level = -1", "1"),
        ("active_duels WHERE id = 9 AND status = 'weird'", "1"),
        ("burn_queue WHERE id = 4 AND status = 'odd'", "1"),
        ("withdrawal_requests WHERE id = 3", "1"),
        ("players WHERE wins = 99", "0"),
    ] {
        assert_eq!(game.cell(&format!("SELECT COUNT(*) FROM {table}")).await, row, "{table}");
    }
}

#[tokio::test]
async fn a_payment_that_two_rows_name_pays_one_of_them() {
    let (one, other) = (format!("0x{}", "ab".repeat(32)), format!("0x{}", "cd".repeat(32)));
    let upper = one.to_uppercase().replace("0X", "0x");
    let rows = format!(
        "{TWO} INSERT INTO withdrawal_requests (id, twitter_handle, amount, fee, tx_hash, status) VALUES
            (1, 'alice', 10, 0.5, '{one}', 'completed'), (2, 'Bob', 10, 0.5, '{upper}', 'completed'),
            (3, 'Bob', 7, 0.35, '{other}', 'completed');"
    );
    let game = small(&rows, IDS).await;
    let report = game.json(IMPORT, 0);
    let kept = report["kept"].as_array().unwrap().iter().find(|kept| kept["column"] == "tx_hash").unwrap();
    assert_eq!((&kept["what"], &kept["rows"]), (&"the payment of another withdrawal too".into(), &1.into()));
    let tx = |id: u32| game.json(&format!("show withdrawal-{id}"), 0)["events"][0]["data"]["tx"].clone();
    assert_eq!([tx(1), tx(2), tx(3)], [one.into(), Value::Null, other.into()]);
}

#[tokio::test]
async fn half_a_game_and_no_game_are_errors_with_a_next_step() {
    let game = small(TWO, IDS).await;
    game.db.run("DROP TABLE burn_queue").await;
    let missing = game.run(IMPORT);
    assert_eq!(code(&missing), 4);
    assert!(
        errors(&missing).contains("burn_queue") && errors(&missing).contains("half a game"),
        "{}",
        errors(&missing)
    );
    game.db.run("ALTER TABLE players MODIFY bonus_galleons FLOAT").await;
    let float = game.run(IMPORT);
    assert_eq!(code(&float), 1);
    assert!(errors(&float).contains("money is never a float"), "{}", errors(&float));
    assert!(!game.store().exists());
}

#[tokio::test]
async fn a_game_that_plays_on_is_taken_over_at_one_moment() {
    let game = running().await;
    // Money goes from one row to another all the time: any mix of moments shows as another sum.
    let total = "SELECT SUM(bonus_galleons + withdrawable_galleons) FROM players";
    let before = game.cell(total).await;
    let url = game.db.url.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let playing = tokio::spawn(async move {
        let mut connection = crate::mariadb::connect(&url).await;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            crate::mariadb::run(
                &mut connection,
                "START TRANSACTION;
                 UPDATE players SET bonus_galleons = bonus_galleons + 1 ORDER BY twitter_handle LIMIT 1;
                 UPDATE players SET bonus_galleons = bonus_galleons - 1 ORDER BY twitter_handle DESC LIMIT 1;
                 COMMIT",
            )
            .await;
        }
    });
    let report = game.json(IMPORT, 0);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    playing.await.unwrap();
    let sum = |name: &str| report["totals"][name].as_str().unwrap().parse::<wox_events::Amount>().unwrap();
    let imported = sum("bonus").checked_add(sum("withdrawable")).unwrap();
    assert_eq!(imported, before.parse().unwrap());
}

#[tokio::test]
async fn an_import_that_is_killed_leaves_no_store_and_the_next_one_begins_anew() {
    let game = running().await;
    let mut killed = 0;
    for after in [5, 20, 40, 60, 80, 120, 200] {
        let mut child = game
            .command(&format!("{IMPORT} --progress none"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after));
        let _gone = child.kill();
        killed += u64::from(!child.wait().unwrap().success());
        if game.store().exists() {
            break;
        }
    }
    assert!(killed > 0);
    let report = game.json(IMPORT, 0);
    assert!(!game.dir.path().join("store.importing").exists());
    assert_eq!(code(&game.run("verify")), 0);
    let rows: u64 = report["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    let mut count = 0;
    for table in Table::VARIANTS {
        count += game.cell(&format!("SELECT COUNT(*) FROM {table}")).await.parse::<u64>().unwrap();
    }
    assert_eq!(rows, count);
}

#[tokio::test]
async fn an_import_into_a_store_that_was_there_goes_on_where_it_was_killed() {
    let game = running().await;
    assert_eq!(code(&game.run("init --store there")), 0);
    let import = format!("{IMPORT} --store there --progress none");
    let begun = |game: &Game| code(&game.run("show ops-genesis --store there")) == 0;
    for after in (20..400).step_by(20) {
        let mut child = game.command(&import).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        let _gone = child.kill();
        child.wait().unwrap();
        if begun(&game) {
            break;
        }
    }
    let report = game.json(&format!("{IMPORT} --store there"), 0);
    let again = game.json(&format!("{IMPORT} --store there"), 0);
    assert_eq!(again["repeat"], true);
    assert_eq!(again["import"], report["import"]);
    let status = game.json("status --store there", 0);
    let rows: u64 = report["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    let own = 2 + u64::from(report["pool"] != "0");
    assert_eq!(status["head"]["position"], rows + own, "each row once, whatever was there before");
    assert_eq!(told(&game.json("diff --store there", 0)), Vec::<String>::new());
}
