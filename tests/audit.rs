//! Looking back: the watch on an invariant against looking at everything after every event, the postings of every account
//! against the ledger, and both verbs as operators meet them.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]
#![allow(dead_code, reason = "the session is shared with tests of other commands")]

#[path = "cli/session.rs"]
mod session;

use std::{num::NonZeroUsize, sync::Arc};

use session::{Session, code, errors, json};
use wox_events::Position;
use wox_projections::{
    Account, Replay, Waivers,
    invariants::{ALL, Reach},
};
use wox_recovery::{
    audit::{explain::Collector, watch::Eyes},
    log::{EmbeddedLog, EventLog as _},
    replay::{Progress, Watch, replay_watched},
};

/// A broken game and its end.
async fn game(session: &Session) -> (EmbeddedLog, Position) {
    assert_eq!(code(&session.run("demo --events 3000")), 3);
    let log = EmbeddedLog::open_read_only(&session.path().join("wox-demo")).await.unwrap();
    let end = log.head().await.unwrap().position;
    (log, end)
}

async fn fold<W: Watch>(log: &EmbeddedLog, until: Position, watch: W) -> (W, Replay) {
    let progress = Arc::new(Progress::default());
    let base = Replay::new(Waivers::default());
    let (watch, result) = replay_watched(log, base, until, NonZeroUsize::MIN, &progress, watch).await;
    (watch, result.unwrap())
}

#[tokio::test]
async fn the_watch_says_what_a_look_at_everything_after_every_event_says() {
    let session = Session::new();
    let (log, end) = game(&session).await;
    let mut found = 0;
    for invariant in ALL.iter().filter(|invariant| !matches!(invariant.reach, Reach::State)) {
        let (quick, state) = fold(&log, end, Eyes::on(invariant, None, end)).await;
        let (slow, _) = fold(&log, end, Eyes::on(invariant, None, end).at_every_event().at_everything()).await;
        assert_eq!(quick.broken(), slow.broken(), "{}", invariant.name);
        assert_eq!(quick.mended(), slow.mended(), "{}", invariant.name);
        assert!(quick.agrees_with(&state), "{}", invariant.name);
        found += quick.broken().len();
    }
    assert!(found > 3, "the demo breaks invariants");
}

#[tokio::test]
async fn the_postings_of_every_account_come_to_what_the_ledger_says() {
    let session = Session::new();
    let (log, end) = game(&session).await;
    let ((), state) = fold(&log, end, ()).await;
    let accounts: Vec<Account> = state.state.ledger.accounts().into_iter().map(|(account, _)| account).collect();
    assert!(accounts.len() > 50);
    let (collector, state) = fold(&log, end, Collector::of(accounts)).await;
    assert!(collector.statements(&state).iter().all(|statement| statement.agrees && statement.movements > 0));
    // The same postings against another ledger: the difference is noticed.
    let other = Replay::default();
    assert!(collector.statements(&other).iter().all(|statement| !statement.agrees));
}

#[test]
fn the_first_bad_event_is_named_and_a_sound_game_has_none() {
    let session = Session::new();
    session.run("demo --events 3000");
    let found = session.run("bisect --invariant deposit_once --store wox-demo --output json");
    assert_eq!(code(&found), 3, "{}", errors(&found));
    let found = json(&found);
    assert_eq!((&found["schema"], &found["result"]), (&"wox/bisect/v1".into(), &"found".into()));
    let bad = found["first_bad"]["position"].as_u64().unwrap();
    let before = format!("bisect --invariant deposit_once --store wox-demo --as-of {}", bad - 1);
    assert_eq!(code(&session.run(&before)), 0);
    session.run("demo --events 3000 --sound --store sound");
    for invariant in ALL {
        let output = session.run(&format!("bisect --invariant {} --store sound", invariant.name));
        assert_eq!(code(&output), 0, "{}: {}", invariant.name, errors(&output));
    }
}

#[test]
fn a_command_finds_what_the_watch_finds_and_goes_on_from_its_transcript() {
    let session = Session::new();
    session.run("demo --events 3000");
    let watched = json(&session.run("bisect --invariant deposit_once --store wox-demo --output json"));
    let bad = &watched["first_bad"]["position"];
    // The store and the position reach the command through the environment, and a wox in it obeys them.
    let wox = env!("CARGO_BIN_EXE_wox");
    session.file("check.sh", &format!("{wox} -q bisect --invariant deposit_once >/dev/null; test $? = 0\n"));
    let hunt = session.run("bisect --store wox-demo --output json --log hunt.jsonl --run sh check.sh");
    assert_eq!(code(&hunt), 3, "{}", errors(&hunt));
    assert_eq!(&json(&hunt)["first_bad"]["position"], bad);

    // Killed in the middle of a line: what is written down counts, the rest is judged again.
    let text = std::fs::read_to_string(session.path().join("hunt.jsonl")).unwrap();
    let kept: Vec<&str> = text.lines().take(5).collect();
    session.file("hunt.jsonl", &format!("{}\n{{\"posit", kept.join("\n")));
    let again = session.run("bisect --store wox-demo --output json --replay hunt.jsonl");
    assert_eq!(code(&again), 3, "{}", errors(&again));
    assert_eq!(&json(&again)["first_bad"]["position"], bad);
    assert_eq!(std::fs::read_to_string(session.path().join("hunt.jsonl")).unwrap(), text);
}

#[test]
fn exit_codes_of_the_command_mean_good_bad_skip_and_stop() {
    let session = Session::new();
    session.run("demo --events 3000 --sound");
    let hunt = |script: &str| {
        session.file("check.sh", script);
        session.run("bisect --store wox-demo --output json --bad 64 --run sh check.sh")
    };
    let hidden = hunt("test $WOX_AS_OF -ge 20 && test $WOX_AS_OF -lt 24 && exit 125; test $WOX_AS_OF -lt 22\n");
    assert_eq!((code(&hidden), &json(&hidden)["range"]), (3, &serde_json::json!([20, 24])));
    assert_eq!(code(&hunt("exit 0\n")), 0, "nothing is broken");
    assert_eq!(code(&hunt("exit 1\n")), 2, "the good end is bad");
    assert_eq!(code(&hunt("exit 125\n")), 1, "the ends cannot be judged");
    assert_eq!(code(&hunt("exit 130\n")), 1, "the command gives up");
    assert_eq!(code(&hunt("test $WOX_AS_OF = 0 || kill -9 $$\n")), 1, "a signal");
    let missing = session.run("bisect --store wox-demo --run ./nowhere");
    assert_eq!(code(&missing), 2, "{}", errors(&missing));
}

#[test]
fn what_cannot_be_searched_is_a_usage_error() {
    let session = Session::new();
    session.run("demo --events 3000");
    for words in [
        "bisect",
        "bisect --invariant conservatoin",
        "bisect --invariant deposit_once --subject duel-nobody",
        "bisect --invariant deposit_once --good 50 --bad 20",
        "bisect --invariant deposit_once --bad 99999999",
        "bisect --invariant deposit_once --bad 50 --as-of 20",
        "bisect --replay nowhere.jsonl",
        "explain",
        "explain duel",
        "explain escrow:nobody",
        "explain player",
        "explain player @nobody",
        "explain pool 17",
    ] {
        let output = session.run(&format!("{words} --store wox-demo"));
        assert_eq!(code(&output), 2, "{words}: {}", errors(&output));
    }
    let found = json(&session.run("bisect --invariant deposit_once --store wox-demo --output json"));
    let bad = &found["first_bad"]["position"];
    let at_bad = session.run(&format!("bisect --invariant deposit_once --good {bad} --store wox-demo"));
    assert_eq!(code(&at_bad), 2, "{}", errors(&at_bad));
    assert!(errors(&at_bad).contains("good-is-bad"));
}

#[test]
fn a_balance_is_explained_by_account_by_player_and_by_handle() {
    let session = Session::new();
    session.run("demo --events 3000");
    let explained = |what: &str| {
        let output = session.run(&format!("explain {what} --store wox-demo --output json"));
        assert_eq!(code(&output), 0, "{what}: {}", errors(&output));
        json(&output)
    };
    let pool = explained("pool");
    assert_eq!((&pool["schema"], &pool["accounts"][0]["agrees"]), (&"wox/explain/v1".into(), &true.into()));
    let players = json(&session.run("state players --store wox-demo --output json"));
    let players = players["value"]["players"].as_object().unwrap();
    let (id, player) = players.iter().next().unwrap();
    let by_id = explained(&format!("player {id}"));
    let by_handle = explained(&format!("player @{}", player["handle"].as_str().unwrap()));
    assert_eq!(by_id, by_handle);
    assert_eq!(by_id["accounts"].as_array().unwrap().len(), 2);
    let lines = session.run(&format!("explain player {id} --store wox-demo --output csv"));
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(lines.lines().count(), by_id["postings"].as_array().unwrap().len() + 1);
}
