//! Everything bad that can come in, through the binary: sources that are down, slow, lying or elsewhere, hashes that are
//! none or of something else. The verdict is unknown or says what it is, the exit code says so, no money moves, no event is
//! lost, and no message, log line or byte of the store holds a secret.

use std::{fs, path::Path};

use super::{
    anvil::{HOT, PLAYER, TREASURY, WATCHED, call, cents, creation, pay, sign, token, wallet, word},
    desk::{Desk, SECRET, asked, journaled, payment},
    rt,
    sources::{Between, Lie, explorer_of},
};

/// A deposit that would be credited and a payment that would be settled, if two sources said so.
async fn scene() -> Desk {
    let desk = Desk::set().await;
    let game = desk.game().await;
    asked(&game).await;
    game.tell("withdrawal-7", journaled(0, &payment(0), None)).await;
    game.log.close().await;
    desk.anvil.send(&pay(PLAYER, 0, WATCHED, cents(5_000))).await;
    desk.anvil.send(&payment(0)).await;
    desk.anvil.finalize().await;
    desk
}

/// Nothing is known, nothing is moved, and everything says so.
fn knows_nothing(desk: &Desk, name: &str) {
    let tx = pay(PLAYER, 0, WATCHED, cents(5_000)).tx;
    let said = desk.exits(&format!("observe deposit {tx}"), 6);
    assert!(said.contains("D11"), "{name}: {said}");
    let said = desk.exits(&format!("recover deposit {tx}"), 6);
    assert!(said.contains("D11"), "{name}: {said}");
    let said = desk.exits("observe withdrawal 7", 6);
    assert!(said.contains("W11"), "{name}: {said}");
    let said = desk.exits("recover withdrawal 7", 3);
    assert!(said.contains("W11") && said.contains("nothing to append"), "{name}: {said}");
    for intent in ["fence", "bump", "rebroadcast"] {
        let said = desk.exits(&format!("recover withdrawal 7 --{intent} --why x"), 3);
        assert!(said.contains("nothing to append"), "{name}: {said}");
    }
    let said = desk.exits("observe holdings", 6);
    assert!(said.contains("unknown"), "{name}: {said}");
    assert_eq!(desk.balance("ann"), "0", "{name}");
    desk.exits("verify", 0);
    let asked = desk.json("explain withdrawal 7");
    assert_eq!(asked["row"], "W11", "{name}: {asked}");
}

#[test]
fn every_source_down() {
    rt().block_on(async {
        let desk = scene().await;
        let down = format!("http://user:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}");
        desk.settings("", &[&down, &down]).await;
        knows_nothing(&desk, "down");
        holds_no_secret(desk.path());
    });
}

#[test]
fn a_source_that_fails_in_any_way_leaves_no_quorum() {
    rt().block_on(async {
        let desk = scene().await;
        for lie in [
            Lie::Silent,
            Lie::Broken(500),
            Lie::CutOff,
            Lie::Elsewhere,
            Lie::Html,
            Lie::Endless,
            Lie::OtherId,
            Lie::OneMissing,
            Lie::Both,
            Lie::OtherChain,
        ] {
            let liar = Between::start(&desk.anvil.url, lie).await;
            let (good, bad) = (&desk.anvil.url, format!("{}/?apikey={SECRET}", liar.url));
            desk.settings("timeout_seconds = 1", &[good, &bad]).await;
            knows_nothing(&desk, &format!("{lie:?}"));
        }
        holds_no_secret(desk.path());
    });
}

#[test]
fn how_a_source_failed_is_told_and_whoever_answers_votes() {
    rt().block_on(async {
        let desk = scene().await;
        let tx = pay(PLAYER, 0, WATCHED, cents(5_000)).tx;
        for (lie, says) in [
            (Lie::Broken(401), "HTTP status 401"),
            (Lie::Broken(429), "HTTP status 429"),
            (Lie::Broken(500), "HTTP status 500"),
            (Lie::CutOff, "the answer broke off"),
        ] {
            let liar = Between::start(&desk.anvil.url, lie).await;
            desk.settings("timeout_seconds = 1", &[&desk.anvil.url, &format!("{}/?apikey={SECRET}", liar.url)]).await;
            let said = desk.exits(&format!("observe deposit {tx}"), 6);
            assert!(
                said.contains(&format!("1 of 2 sources needed vote: two does not name its chain: {says}")),
                "{said}"
            );
            assert!(desk.exits(&format!("explain deposit {tx}"), 0).contains(&format!("failed ({says})")), "{lie:?}");
            let said = desk.exits("doctor", 1);
            assert!(said.contains(&format!("no answer: {says}")), "{said}");
            let votes = desk.json(&format!("explain deposit {tx}"))["looks"][0]["sources"].clone();
            assert_eq!((&votes[0]["votes"], &votes[1]["votes"]), (&true.into(), &false.into()), "{lie:?}: {votes}");
            assert!(desk.exits(&format!("explain deposit {tx}"), 0).contains("yes, too few do"), "{lie:?}");
        }
    });
}

#[test]
fn a_source_that_contradicts_the_others_is_named_and_changes_no_verdict() {
    rt().block_on(async {
        let desk = scene().await;
        let tx = pay(PLAYER, 0, WATCHED, cents(5_000)).tx;
        let shown = format!("succeeded, 50 G to {WATCHED}");
        for (lie, says) in [
            (Lie::OtherAmount, format!("succeeded, 7000 G to {WATCHED}")),
            (Lie::NothingKnown, "it shows nothing (null)".to_owned()),
            (Lie::Failed, "block 12, failed".to_owned()),
        ] {
            let desk = scene().await;
            // An explorer never votes: the verdict stays.
            let liar = explorer_of(&desk.anvil.url, lie).await;
            let explorer = format!(
                "[[chain.sources]]\nname = \"scan\"\noperator = \"scan\"\nkind = \"explorer\"\nurl = \"{liar}\"\n"
            );
            let url = &desk.anvil.url;
            desk.settings("", &[url, url]).await;
            let settings = fs::read_to_string(desk.path().join("wox.toml")).unwrap();
            fs::write(desk.path().join("wox.toml"), settings + &explorer).unwrap();
            let against = "scan contradicts one, two: ";
            for (command, code) in [("observe", 0), ("recover", 3), ("explain", 0)] {
                let said = desk.exits(&format!("{command} deposit {tx}"), code);
                assert!(said.contains("D1") && said.contains(against) && said.contains(&says), "{lie:?}: {said}");
                assert!(said.contains(&shown), "{lie:?}: {said}");
            }
        }
        // A third node votes, so nobody can say; which one is alone is told all the same.
        let liar = Between::start(&desk.anvil.url, Lie::OtherAmount).await;
        desk.settings("", &[&desk.anvil.url, &desk.anvil.url, &liar.url]).await;
        let said = desk.exits(&format!("observe deposit {tx}"), 6);
        assert!(said.contains("D11") && said.contains("three contradicts one, two: "), "{said}");
    });
}

#[test]
fn a_source_that_lies_about_a_deposit_credits_nobody() {
    rt().block_on(async {
        let desk = scene().await;
        let tx = pay(PLAYER, 0, WATCHED, cents(5_000)).tx;
        for (lie, row) in [
            (Lie::OtherAmount, "D11"),
            (Lie::OtherSender, "D11"),
            (Lie::NothingKnown, "D11"),
            (Lie::OtherBlockHash, "D11"),
        ] {
            let liar = Between::start(&desk.anvil.url, lie).await;
            desk.settings("", &[&desk.anvil.url, &liar.url]).await;
            let said = desk.exits(&format!("recover deposit {tx}"), 6);
            assert!(said.contains(row), "{lie:?}: {said}");
            assert_eq!(desk.balance("ann"), "0", "{lie:?}");
        }
        // Two honest ones outvote a third that fails; one that contradicts them makes it unknown.
        let liar = Between::start(&desk.anvil.url, Lie::Html).await;
        desk.settings("", &[&desk.anvil.url, &desk.anvil.url, &liar.url]).await;
        let said = desk.exits("observe --change-rules", 0);
        assert!(
            said.contains("judged by the rules") && said.contains("wox observe --change-rules --as NAME"),
            "{said}"
        );
        // One person alone says whom to believe: money waits for another.
        assert!(desk.exits(&format!("recover deposit {tx}"), 3).contains("alice alone changed the rules"));
        desk.exits("observe --change-rules --as bob", 0);
        assert!(desk.exits(&format!("recover deposit {tx}"), 3).contains("credit 50 G"));
    });
}

#[test]
fn a_hash_that_is_none_or_of_something_else() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let anvil = &desk.anvil;
        let digits = "a".repeat(64);
        for typed in ["0x12", "nonsense", &digits, &format!("0x{}g", &digits[1..]), &format!("0x{digits}00"), "0x"] {
            for command in ["observe", "recover", "explain"] {
                let said = desk.exits(&format!("{command} deposit {typed}"), 2);
                assert!(said.contains("help: "), "{command} {typed}: {said}");
                // No command is named that fails with what was typed.
                assert!(!said.contains(&format!("observe deposit {typed}")), "{command} {typed}: {said}");
                if typed == digits {
                    assert!(said.contains(&format!("begins with 0x: 0x{digits}")), "{command}: {said}");
                }
            }
        }
        // A transfer that failed, our token to somebody else, an item, a token of somebody else, native coin.
        let failed = pay(PLAYER, 0, WATCHED, cents(900_000_000));
        let elsewhere = pay(PLAYER, 1, wallet(HOT).as_str(), cents(5_000));
        let item = call("moveItem(address,uint256)", &[word(WATCHED), cents(5_000)]);
        let item = sign(PLAYER, 2, Some(token().as_str()), item, 10);
        anvil.send(&sign(TREASURY, 3, None, creation(), 10)).await;
        let foreign_token = super::anvil::contract_of(TREASURY, 3);
        let transfer = call("transfer(address,uint256)", &[word(WATCHED), cents(5_000)]);
        let foreign = sign(TREASURY, 4, Some(foreign_token.as_str()), transfer, 10);
        let native = super::anvil::coin(PLAYER, 3, WATCHED);
        for sent in [&failed, &elsewhere, &item, &foreign, &native] {
            anvil.send(sent).await;
        }
        anvil.finalize().await;
        let other_chain = pay(PLAYER, 77, WATCHED, cents(5_000));
        for (name, tx, row, what) in [
            ("failed", &failed.tx, "D4", "failed"),
            ("elsewhere", &elsewhere.tx, "D5", "to an address that is not watched"),
            ("item", &item.tx, "D5", "an item and no amount"),
            ("foreign token", &foreign.tx, "D5", "a token of another contract"),
            ("native coin", &native.tx, "D5", "native coin"),
            ("of another chain", &other_chain.tx, "D8", "known to no source"),
        ] {
            let said = desk.exits(&format!("observe deposit {tx}"), 0);
            assert!(said.contains(row) && said.contains(what), "{name}: {said}");
            // What no source knows may be a typo or still come: nobody may call that done.
            let code = if row == "D8" { 6 } else { 0 };
            let said = desk.exits(&format!("recover deposit {tx}"), code);
            assert!(said.contains("nothing has to be done"), "{name}: {said}");
            assert_eq!(said.contains("look again later"), row == "D8", "{name}: {said}");
            let said = desk.exits(&format!("recover deposit {tx} --player ann --why mine"), 4);
            assert!(said.contains(row), "{name}: nobody decides that it is money: {said}");
        }
        assert_eq!(desk.balance("ann"), "0");
    });
}

#[test]
fn no_message_log_line_or_stored_byte_holds_a_secret() {
    rt().block_on(async {
        let desk = scene().await;
        let url = desk.anvil.url.replace("http://", &format!("http://user:{SECRET}@"));
        let url = format!("{url}/{SECRET}/?key={SECRET}");
        let down = format!("http://user:{SECRET}@127.0.0.1:1/{SECRET}");
        for urls in [[&url, &url], [&url, &down]] {
            desk.settings("", &[urls[0], urls[1]]).await;
            for words in [
                "observe -vvv",
                "observe withdrawal 7 -vvv --output json",
                "recover withdrawal 7 -vvv",
                "reconcile -vvv",
                "config show --origin",
                "config show --output json",
                "doctor",
                "status",
                "export out.jsonl --force",
            ] {
                let output = desk.wox(words);
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                if let Some(at) = said.find(SECRET) {
                    panic!("{words}: …{}", &said[at.saturating_sub(200)..(at + 40).min(said.len())]);
                }
            }
        }
        holds_no_secret(desk.path());
    });
}

#[test]
fn a_secret_in_the_wrong_setting_is_refused_and_not_repeated() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let path = desk.path().join("wox.toml");
        let text = fs::read_to_string(&path).unwrap();
        let url = format!("url = \"{}/?key={SECRET}\"", desk.anvil.url);
        for (from, to, word) in [
            (url.as_str(), format!("url_env = \"http://127.0.0.1:1/{SECRET}\""), "`url_env` of source `one`"),
            (url.as_str(), format!("url_env = \"{SECRET}-and-more\""), "`url_env` of source `one`"),
            // One that could be a name is none that is set.
            (url.as_str(), format!("url_env = \"{SECRET}\""), "`url_env` of source `one`"),
            ("name = \"two\"", format!("name = \"two\"\nkey_env = \"9{SECRET}\""), "`key_env` of source `two`"),
            ("name = \"two\"", format!("name = \"two\"\nkey_env = \"{SECRET}\""), "`key_env` of source `two`"),
            ("name = \"two\"", format!("name = \"https://node/{SECRET}\""), "`name` of source number 2"),
            ("name = \"two\"", format!("name = \"user@{SECRET}\""), "`name` of source number 2"),
            ("operator = \"two\"", format!("operator = \"https://{SECRET}\""), "`operator` of source number 2"),
            ("name = \"two\"", format!("name = \"two\"\nkind = \"{SECRET}\""), "`two` is neither"),
        ] {
            fs::write(&path, text.replacen(from, &to, 1)).unwrap();
            assert_ne!(fs::read_to_string(&path).unwrap(), text, "{from}");
            for (command, code) in [("observe", 2), ("doctor", 1)] {
                let said = desk.exits(command, code);
                assert!(said.contains(word), "{command} {to}: {said}");
            }
        }
        fs::write(&path, text).unwrap();
        desk.exits("doctor", 0);
    });
}

/// No file but the settings has it.
fn holds_no_secret(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds_no_secret(&path);
        } else if !path.ends_with("wox.toml") {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "{} holds the secret", path.display());
        }
    }
}
