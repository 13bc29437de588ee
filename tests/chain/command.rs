//! The same through the binary, as an operator types it: settings, observation, plan, approval, application, twice.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{
    anvil::{Anvil, PLAYER, WATCHED, cents, pay, token, wallet},
    rt,
};

fn wox(dir: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wox"))
        .args(words.split_whitespace())
        .current_dir(dir)
        .env("WOX_PROGRESS", "none")
        .env("WOX_ACTOR", "alice")
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", told(output));
    told(output)
}

async fn settings(dir: &Path, anvil: &Anvil, second: &str) {
    let text = format!(
        "[chain]\ngenesis = \"{}\"\ntokens = [\"{}\"]\nwatched = [\"{WATCHED}\"]\nwallets = [\"{}\"]\n\
         finalized_age_max_seconds = 400000000\n\
         [[chain.sources]]\nname = \"one\"\noperator = \"one\"\nurl = \"{}/?key=s3cret\"\n\
         [[chain.sources]]\nname = \"two\"\noperator = \"two\"\nurl = \"{second}\"\n",
        anvil.genesis().await,
        token(),
        wallet(super::HOT),
        anvil.url,
    );
    fs::write(dir.join("wox.toml"), text).unwrap();
}

/// Ann and her wallet.
fn ann(dir: &Path) {
    let event = |id: u8, kind: &str, data: Value| {
        json!({
            "id": format!("00000000-0000-4000-8000-0000000000{id:02}"), "stream": "player-ann", "expected": id - 1,
            "kind": kind, "version": 1, "time": format!("2026-08-01T20:00:0{id}Z"), "actor": "game",
            "provenance": "game", "rules": 1, "data": data,
        })
    };
    let created =
        json!({"PlayerCreated": {"handle": "@ann", "name": "ann", "house": "hufflepuff", "bonus": "20"}})["PlayerCreated"].clone();
    let bound = json!({"wallet": wallet(PLAYER).as_str(), "method": "signed-message"});
    let lines = format!("{}\n{}\n", event(1, "PlayerCreated", created), event(2, "WalletBound", bound));
    fs::write(dir.join("events.jsonl"), lines).unwrap();
    exits(&wox(dir, "init"), 0);
    exits(&wox(dir, "append events.jsonl"), 0);
}

#[test]
fn a_deposit_confirmed_but_not_credited_is_recovered_by_its_hash_once() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        settings(dir, &anvil, &anvil.url).await;
        ann(dir);
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        let recover = format!("recover deposit {} -o deposit.plan", payment.tx);
        let said = exits(&wox(dir, &recover), 3);
        assert!(said.contains("D1") && said.contains("credit 50 G to player ann"), "{said}");
        exits(&wox(dir, "apply deposit.plan --yes"), 4);
        exits(&wox(dir, "approve deposit.plan --comment looked --as bob"), 0);
        exits(&wox(dir, "apply deposit.plan --yes"), 0);
        exits(&wox(dir, "apply deposit.plan --yes"), 0);
        let said = exits(&wox(dir, &recover), 0);
        assert!(said.contains("nothing has to be done"), "{said}");
        let said = exits(&wox(dir, "explain player ann"), 0);
        assert!(said.contains("50"), "{said}");
        let observed = wox(dir, "observe --output json");
        exits(&observed, 0);
        let looks: Value = serde_json::from_slice(&observed.stdout).unwrap();
        assert!(looks["looks"].as_array().unwrap().iter().all(|look| look["recorded"] == json!(false)), "{looks}");
        // The hot wallet's tokens came in by no event: the difference is said, with its block, and nothing is adjusted.
        let said = exits(&wox(dir, "reconcile"), 3);
        assert!(said.contains("custody") && said.contains("10000 G more than"), "{said}");
        exits(&wox(dir, "verify"), 0);
    });
}

#[test]
fn what_cannot_be_asked_is_a_clear_error_and_an_unknown_outcome_without_a_secret() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        ann(dir);
        assert!(exits(&wox(dir, "observe"), 2).contains("section [chain]"));
        settings(dir, &anvil, "http://127.0.0.1:1/s3cret").await;
        let hash = pay(PLAYER, 0, WATCHED, cents(5_000)).tx;
        let said = exits(&wox(dir, &format!("observe deposit {hash}")), 6);
        assert!(said.contains("D11") && said.contains("two"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        let said = exits(&wox(dir, &format!("recover deposit {hash}")), 6);
        assert!(!said.contains("s3cret"), "{said}");
        for (what, word) in [
            ("deposit 0x12", "transaction hash"),
            ("withdrawal 99", "there is no stream"),
            ("nonsense 1", "wox observe"),
        ] {
            let said = exits(&wox(dir, &format!("observe {what}")), 2);
            assert!(said.contains(word), "{said}");
        }
        let shown = exits(&wox(dir, "config show"), 0);
        assert!(!shown.contains("s3cret"), "{shown}");
        // Other rules than the log's are not taken over in passing.
        let text = fs::read_to_string(dir.join("wox.toml")).unwrap();
        fs::write(dir.join("wox.toml"), text.replace("[chain]\n", "[chain]\njournaled = true\n")).unwrap();
        assert!(exits(&wox(dir, "observe"), 4).contains("--change-rules"));
        for (from, to, word) in [
            ("[chain]\n", "[chain]\nquorum = 3\n", "have to agree"),
            ("[chain]\n", "[chain]\nminimum = \"-1\"\n", "chain.minimum"),
            (WATCHED, "0x12", "chain.watched"),
            ("http://127.0.0.1:1/s3cret", "ftp://127.0.0.1:1/s3cret", "no http or https"),
            ("[chain]\n", "[chain]\nquorrum = 3\n", "quorrum"),
        ] {
            fs::write(dir.join("wox.toml"), text.replacen(from, to, 1)).unwrap();
            let said = exits(&wox(dir, "observe"), 2);
            assert!(said.contains(word) && !said.contains("s3cret"), "{said}");
        }
    });
}
