//! The same through the binary, as an operator types it: settings, observation, plan, approval, application, twice; what
//! is asked of a signer and what came of it; and a verdict that anybody reaches again without a network.

use std::fs;

use serde_json::{Value, json};
use wox_events::WithdrawalEvent;

use super::{
    anvil::{self, HOT, PLAYER, TREASURY, WATCHED, call, cents, pay, sign, token, wallet},
    desk::{Desk, asked, cancel, journaled, payment},
    label, rt,
};

#[test]
fn a_deposit_confirmed_but_not_credited_is_recovered_by_its_hash_once() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        desk.anvil.send(&payment).await;
        desk.anvil.finalize().await;
        let recover = format!("recover deposit {} -o deposit.plan", payment.tx);
        let said = desk.exits(&recover, 3);
        assert!(said.contains("D1") && said.contains("credit 50 G to player ann"), "{said}");
        desk.carry_out("deposit.plan");
        let said = desk.exits(&recover, 0);
        assert!(said.contains("nothing has to be done"), "{said}");
        let said = desk.exits(&format!("recover deposit {} --accept --second bob --why sent-back", payment.tx), 0);
        assert!(said.contains("there is nothing to decide about deposit-8453:"), "{said}");
        assert_eq!(desk.balance("ann"), "50");
        let looks = desk.json("observe");
        assert!(looks["looks"].as_array().unwrap().iter().all(|look| look["recorded"] == json!(false)), "{looks}");
        // The hot wallet's tokens came in by no event: the difference is said, with its block, and nothing is adjusted.
        let said = desk.exits("reconcile", 3);
        assert!(said.contains("custody") && said.contains("10000 G more than"), "{said}");
        assert!(said.contains("observe transfers --from-block 0\n"), "{said}");
        desk.exits("verify", 0);
    });
}

/// Ann's 96 G, signed for slot 0 and journaled.
async fn payout(desk: &Desk) {
    let game = desk.game().await;
    asked(&game).await;
    game.tell("withdrawal-7", journaled(0, &payment(0), None)).await;
    game.log.close().await;
}

#[test]
fn a_fence_that_won_the_race_gives_the_withdrawal_back() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        desk.anvil.send(&payment(0)).await;
        let said = desk.exits("recover withdrawal 7", 3);
        assert!(said.contains("W8") && said.contains("wox recover withdrawal 7 --bump --why REASON"), "{said}");
        desk.exits("recover withdrawal 7 --fence", 2);
        desk.exits("recover withdrawal 7 --fence --bump --why x", 2);
        desk.exits("recover duel 7 --fence --why x", 2);
        let fence = "recover withdrawal 7 --fence --why ticket-91";
        let said = desk.exits(&format!("{fence} -o fence.plan"), 3);
        assert!(said.contains("for at least 11000000000 wei a unit of gas"), "{said}");
        assert!(said.contains("needs another person's approval"), "{said}");
        desk.carry_out("fence.plan");
        assert!(desk.exits(fence, 3).contains("alice asked for it"));
        let said = desk.exits("recover withdrawal 7", 3);
        assert!(said.contains("alice asked the signer for a fence"), "{said}");
        // The signer does it, and the fence is faster.
        desk.anvil.send(&cancel(0)).await;
        desk.anvil.finalize().await;
        // It was asked for before anybody declared that the signer journals: only all that was sent proves it unsent, and
        // the command looks at that itself.
        desk.exits("observe withdrawal 7", 0);
        let said = desk.exits("recover withdrawal 7 --offline", 3);
        let scan = format!("wox observe wallet {} --from 0", wallet(HOT));
        assert!(said.contains("W4") && said.contains(&scan), "{said}");
        let said = desk.exits("recover withdrawal 7 -o back.plan", 3);
        assert!(said.contains("W4") && said.contains("give 100 G back to player ann"), "{said}");
        desk.carry_out("back.plan");
        assert_eq!(desk.balance("ann"), "100");
        assert!(desk.exits("explain withdrawal 7", 0).contains("W4, cancelled by"));
        desk.exits("recover withdrawal 7", 0);
        desk.exits("verify", 0);
    });
}

#[test]
fn two_people_decide_on_all_that_was_sent_until_now() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let game = desk.game().await;
        asked(&game).await;
        game.tell("withdrawal-7", WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        game.log.close().await;
        desk.anvil.finalize().await;
        desk.exits(&format!("observe wallet {} --from 0", wallet(HOT)), 0);
        let decide = "recover withdrawal 7 --second bob --why ticket-91";
        desk.exits(decide, 3);
        // The bot pays: whoever decides now sees that first.
        desk.anvil.send(&payment(0)).await;
        desk.anvil.mine(1).await;
        let said = desk.exits(decide, 4);
        assert!(said.contains("no event says what it paid") && !said.contains("HoldReleased"), "{said}");
        desk.anvil.finalize().await;
        let said = desk.exits(decide, 4);
        assert!(said.contains("no event says what it paid") && !said.contains("HoldReleased"), "{said}");
    });
}

#[test]
fn what_became_of_money_by_the_log_is_told_beside_what_the_chain_shows() {
    rt().block_on(async {
        let desk = Desk::set().await;
        // Nobody is known to have this wallet.
        let deposit = pay(TREASURY, 3, WATCHED, cents(5_000));
        desk.anvil.send(&deposit).await;
        desk.anvil.finalize().await;
        let recover = format!("recover deposit {}", deposit.tx);
        desk.exits(&format!("{recover} -o kept.plan"), 3);
        desk.carry_out("kept.plan");
        for command in [&recover, &format!("explain deposit {}", deposit.tx)] {
            let said = desk.exits(command, 0);
            let stream = format!("deposit-8453:{}:0@", deposit.tx);
            assert!(said.contains(&format!("by the log: 50 G wait in suspense since {stream}")), "{said}");
            assert!(said.contains(&format!("wox {recover} --player ID --why REASON")), "{said}");
        }
        desk.exits(&format!("{recover} --player ann --why ticket-90 -o hers.plan"), 3);
        desk.carry_out("hers.plan");
        let said = desk.exits(&format!("explain deposit {}", deposit.tx), 0);
        assert!(
            said.contains("by the log: 50 G went to player ann by deposit-") && !said.contains("wait in"),
            "{said}"
        );

        let game = desk.game().await;
        asked(&game).await;
        game.tell("withdrawal-7", WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        game.log.close().await;
        assert!(
            desk.exits("explain withdrawal 7", 0).contains("by the log: not over: 100 G of player ann are in doubt")
        );
        desk.exits("recover withdrawal 7 --second bob --why ticket-91 -o back.plan", 3);
        desk.carry_out("back.plan");
        let said = desk.exits("explain withdrawal 7", 0);
        let (log, chain) = (said.find("by the log: 100 G went back to player ann by withdrawal-7@"), said.find("W11"));
        assert!(log.is_some() && log < chain && said.contains("alice and bob decided it"), "{said}");
        assert!(desk.exits("explain burn 7", 0).contains("by the log: called off: 2 G are not to be burned"));
    });
}

#[test]
fn a_fence_that_lost_the_race_is_a_payment_and_settles() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        desk.anvil.send(&payment(0)).await;
        desk.exits("recover withdrawal 7 --fence --why ticket-91 -o fence.plan", 3);
        desk.carry_out("fence.plan");
        desk.anvil.finalize().await;
        let late = json!([cancel(0).raw.to_string()]);
        assert!(desk.anvil.try_rpc("eth_sendRawTransaction", late).await.get("error").is_some());
        let said = desk.exits("recover withdrawal 7 -o paid.plan", 3);
        assert!(said.contains("W1") && said.contains("settle it: player ann received 96 G"), "{said}");
        desk.carry_out("paid.plan");
        assert_eq!(desk.balance("ann"), "0");
        let said = desk.exits("recover withdrawal 7 --fence --why again", 3);
        assert!(said.contains("no attempt of it can still be sent"), "{said}");
    });
}

#[test]
fn a_bump_that_was_mined_settles_and_kills_the_first_attempt() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        desk.anvil.send(&payment(0)).await;
        desk.exits("recover withdrawal 7 --bump --why ticket-91 -o bump.plan", 3);
        desk.carry_out("bump.plan");
        let words = [anvil::word(wallet(PLAYER).as_str()), cents(9_600)];
        let bumped = sign(HOT, 0, Some(token().as_str()), call("transfer(address,uint256)", &words), 12);
        desk.tell("withdrawal-7", journaled(0, &bumped, None)).await;
        desk.anvil.send(&bumped).await;
        desk.anvil.finalize().await;
        let said = desk.exits("recover withdrawal 7 -o paid.plan", 3);
        assert!(said.contains(&format!("{} can never be mined any more", payment(0).tx)), "{said}");
        desk.carry_out("paid.plan");
        assert_eq!(desk.balance("ann"), "0");
    });
}

#[test]
fn the_same_bytes_sent_again_and_mined_settle() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        desk.exits("observe withdrawal 7", 0);
        let said = desk.exits("recover withdrawal 7 --offline", 3);
        assert!(said.contains("W9") && said.contains("--rebroadcast --why REASON"), "{said}");
        // It was asked for before anybody said that the signer journals: another slot may have paid it. Where the chain is
        // asked, all that was sent is looked at first.
        let again = "recover withdrawal 7 --rebroadcast --why no-pool-has-it -o again.plan";
        let said = desk.exits(&format!("{again} --offline"), 3);
        let scan = format!("wox observe wallet {} --from 0", wallet(HOT));
        assert!(said.contains(&scan) && !said.contains("byte for byte"), "{said}");
        let said = desk.exits(again, 3);
        assert!(said.contains("byte for byte"), "{said}");
        desk.carry_out("again.plan");
        desk.anvil.send(&payment(0)).await;
        desk.anvil.finalize().await;
        desk.exits("recover withdrawal 7 -o paid.plan", 3);
        desk.carry_out("paid.plan");
        assert_eq!(desk.balance("ann"), "0");
        let shown = desk.json("show withdrawal-7");
        let events = shown["events"].as_array().unwrap();
        let asked = events.iter().find(|event| event["kind"] == json!("RebroadcastRequested")).unwrap();
        assert_eq!(asked["data"]["by"], json!("alice"));
        assert_eq!(asked["data"]["reason"], json!("no-pool-has-it"));
    });
}

#[test]
fn a_deposit_that_nobody_named_is_found_and_planned() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        let deposit = pay(PLAYER, 0, WATCHED, cents(5_000));
        desk.anvil.send(&deposit).await;
        desk.anvil.send(&payment(0)).await;
        // Past the deposit address: no deposit, and no payment of ours either.
        let past = pay(PLAYER, 1, wallet(HOT).as_str(), cents(700));
        desk.anvil.send(&past).await;
        desk.anvil.finalize().await;
        desk.exits("observe transfers", 2);
        desk.exits("observe --from-block 3", 2);
        let said = desk.exits("observe transfers --from-block 3", 0);
        assert!(
            said.contains("2 transactions moved our tokens") && said.contains("D1") && said.contains("D5"),
            "{said}"
        );
        assert!(said.contains("wox observe transfers --from-block"), "{said}");
        assert!(said.contains(deposit.tx.as_str()) && said.contains(past.tx.as_str()), "{said}");
        assert!(desk.exits("plan -o all.plan", 3).contains("credit 50 G to player ann"));
        // Findings are called by their stream, which has no event yet.
        for named in [format!("deposit-8453:{}:0", deposit.tx), format!("deposit 8453:{}:0", deposit.tx)] {
            assert!(desk.exits(&format!("recover {named}"), 3).contains("credit 50 G to player ann"), "{named}");
        }
        // One source is enough to be named, none is enough to be credited.
        desk.settings("", &[&desk.anvil.url, "http://127.0.0.1:1"]).await;
        let said = desk.exits("observe transfers --from-block 3", 6);
        assert!(said.contains("two could not answer") && said.contains("D11"), "{said}");
        desk.settings("", &["http://127.0.0.1:1", "http://127.0.0.1:1"]).await;
        assert!(desk.exits("observe transfers --from-block 3", 6).contains("nothing was searched"));
    });
}

#[test]
fn a_verdict_is_reached_again_from_the_log_alone_and_says_who_said_what() {
    rt().block_on(async {
        let desk = Desk::set().await;
        payout(&desk).await;
        let deposit = pay(PLAYER, 0, WATCHED, cents(5_000));
        desk.anvil.send(&deposit).await;
        desk.anvil.send(&payment(0)).await;
        desk.anvil.finalize().await;
        desk.exits(&format!("observe deposit {}", deposit.tx), 0);
        desk.exits("observe withdrawal 7", 0);
        let before: Vec<Value> = [
            format!("explain deposit {}", deposit.tx),
            format!("explain deposit 8453:{}:0", deposit.tx),
            "explain withdrawal 7".into(),
        ]
        .iter()
        .map(|words| desk.json(words))
        .collect();
        // No chain, no settings, only the log.
        fs::remove_file(desk.path().join("wox.toml")).unwrap();
        let dir = desk.path().join("copy");
        fs::create_dir(&dir).unwrap();
        desk.exits("export copy/log.jsonl", 0);
        desk.exits("import copy/log.jsonl --store copy/store", 0);
        let after = desk.json(&format!("explain deposit {} --store copy/store", deposit.tx));
        assert_eq!(before[0], after);
        assert_eq!(before[0], before[1]);
        assert_eq!(before[2], desk.json("explain withdrawal 7 --store copy/store"));
        assert_eq!((after["row"].as_str(), after["reached_again"].as_bool()), (Some("D1"), Some(true)));
        let look = &after["looks"][0];
        let sources = look["sources"].as_array().unwrap();
        assert_eq!(sources.len(), 2);
        for said in sources {
            assert_eq!(said["votes"], json!(true), "{said}");
            assert_eq!(said["digest"].as_str().unwrap().len(), 64, "{said}");
            assert!(said["says"].as_str().unwrap().contains("final in block"), "{said}");
        }
        assert_eq!(before[2]["row"], json!("W1"));
        let said = desk.exits("explain withdrawal 7", 0);
        assert!(said.contains("with no network") && said.contains("2 of one, two have to agree"), "{said}");
        desk.exits("explain deposit 0x12", 2);
        let said = desk.exits("explain withdrawal 99", 2);
        assert!(said.contains("wox recover withdrawal lists") && !said.contains("observe"), "{said}");
        desk.exits("explain burn", 2);
        assert!(desk.exits("explain burn 7", 0).contains("W11, unknown: its signer did not journal"));
    });
}

#[test]
fn tokens_that_no_event_brought_in_are_adjusted_by_two_people_and_by_nobody_else() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let holds = wox_events::PoolEvent::PoolContributed {
            amount: wox_events::Amount::galleons(10_000),
            source: super::game::label("treasury"),
        };
        desk.tell("pool-main", holds).await;
        let agrees = desk.exits("reconcile", 0);
        assert!(agrees.contains("agrees") && !agrees.contains("next: "), "{agrees}");
        let past = pay(PLAYER, 0, wallet(HOT).as_str(), cents(1_250));
        desk.anvil.send(&past).await;
        desk.anvil.finalize().await;
        let said = desk.exits("reconcile", 3);
        assert!(said.contains("12.5 G more than the 10000 G") && said.contains("first bad event"), "{said}");
        // Whatever is named can be typed; the search begins behind the last look at which all agreed.
        assert!(said.contains("reconcile --adjust unknown-origin --why REASON"), "{said}");
        let next: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("next: "))
            .filter_map(|line| Some(line.split_once("wox ")?.1))
            .collect();
        let search = next.iter().find(|step| step.starts_with("observe transfers --from-block ")).unwrap();
        let found = desk.exits(search, 0);
        assert!(found.contains("1 transaction moved our tokens") && found.contains(past.tx.as_str()), "{found}");
        assert!(next.contains(&"recover chain-8453"), "{said}");
        desk.exits("recover chain-8453", 3);
        assert!(desk.exits("plan", 3).contains(&format!("+12.5 G by {}", past.tx)));
        desk.exits("reconcile --adjust direct-send", 2);
        desk.exits("reconcile --adjust because --why x", 2);
        desk.exits("reconcile --adjust direct-send --why ticket-92 --token 0x12", 2);
        let said = desk.exits("reconcile --adjust direct-send --why ticket-92 -o kept.plan", 3);
        assert!(said.contains("12.5 G  external:unexplained -> suspense"), "{said}");
        desk.carry_out("kept.plan");
        assert!(desk.exits("reconcile", 0).contains("agrees"));
        let said = desk.exits("reconcile --adjust direct-send --why ticket-92", 0);
        assert!(said.contains("is what the ledger owes"), "{said}");
        assert!(desk.exits("explain suspense", 0).contains("12.5"));
    });
}

#[test]
fn a_final_block_that_went_away_is_ended_by_the_two_who_are_named() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        desk.anvil.send(&payment).await;
        desk.anvil.finalize().await;
        let recover = format!("recover deposit {}", payment.tx);
        desk.exits(&format!("{recover} -o credit.plan"), 3);
        desk.carry_out("credit.plan");
        desk.anvil.reorg(11).await;
        desk.anvil.mine(12).await;
        let said = desk.exits(&format!("{recover} -o alarm.plan"), 3);
        assert!(said.contains("D10") && said.contains("--second NAME --why REASON"), "{said}");
        for recorded in [false, true] {
            if recorded {
                desk.exits("apply alarm.plan --yes", 3);
            }
            for (command, code) in [("status", 3), ("doctor", 1)] {
                let said = desk.exits(command, code);
                assert!(said.contains("went away") && said.contains("no money moves until two people"), "{said}");
            }
            assert!(desk.json("status")["standstill"]["next"].as_str().unwrap().contains("wox "));
        }
        let decide = format!("{recover} --second bob --why ticket-93 -o over.plan");
        assert!(desk.exits(&decide, 4).contains("it may still be mined again"));
        // Another transaction takes its slot: it can never come any more.
        let other = pay(PLAYER, 0, WATCHED, cents(7_000));
        desk.anvil.send(&other).await;
        desk.anvil.finalize().await;
        let said = desk.exits(&decide, 3);
        assert!(said.contains("take 50 G back from player ann") && said.contains("money moves again"), "{said}");
        let said = desk.exits("approve over.plan --comment x --as carol", 4);
        assert!(said.contains("bob runs `") && said.contains("wox approve "), "{said}");
        assert!(said.contains("--comment LOOKED-AT-IT --as bob`"), "{said}");
        desk.carry_out("over.plan");
        assert_eq!(desk.balance("ann"), "0");
        assert!(desk.exits(&decide, 0).contains("nothing to decide"));
        assert!(desk.json("status").get("standstill").is_none());
        desk.exits(&format!("recover deposit {} -o other.plan", other.tx), 3);
        desk.carry_out("other.plan");
        assert_eq!(desk.balance("ann"), "70");
    });
}

#[test]
fn the_order_of_the_settings_is_no_rule_and_a_change_is_told_field_by_field() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let path = desk.path().join("wox.toml");
        let (third, more) = (wallet(PLAYER), wallet(HOT));
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace(&format!("wallets = [\"{more}\"]"), &format!("wallets = [\"{more}\", \"{third}\"]"));
        fs::write(&path, &text).unwrap();
        desk.exits("observe", 0);
        let (rules, sources) = text.split_once("[[chain.sources]]").unwrap();
        let (one, two) = sources.split_once("[[chain.sources]]").unwrap();
        let turned = rules.replace(&format!("\"{more}\", \"{third}\""), &format!("\"{third}\", \"{more}\""));
        let turned = format!("{turned}[[chain.sources]]{two}\n[[chain.sources]]{one}");
        fs::write(&path, &turned).unwrap();
        desk.exits("observe", 0);
        // Changed, and back in the other order: nothing was changed.
        let changed =
            turned.replace("name = \"two\"", "name = \"new\"").replace("journaled = true", "journaled = false");
        fs::write(&path, &changed).unwrap();
        let sources = "sources: new (node of two), one (node of one) (before: one (node of one), two (node of two))";
        let said = desk.exits("observe --change-rules", 0);
        assert!(said.contains(sources) && said.contains("journaled: false (before: true)"), "{said}");
        assert!(!said.contains("wallets:"), "{said}");
        // The second person reads it in the log.
        let said = desk.exits("show chain-8453", 0);
        assert!(said.contains(sources), "{said}");
        let whole = said.split("wox show ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        assert!(desk.exits(&format!("show {whole}"), 0).contains("\"watched\":"), "{said}");
        for word in ["doctor", "status"] {
            let said = desk.exits(word, if word == "doctor" { 1 } else { 3 });
            assert!(said.contains("alice alone changed the rules of chain 8453"), "{word}: {said}");
        }
        fs::write(&path, &turned).unwrap();
        desk.exits("observe --change-rules", 0);
        assert!(desk.exits("doctor", 0).contains("nothing keeps money from moving"));
        desk.exits("status", 0);
        // What the settings say of the chain is shown, and no address of a source.
        let said = desk.exits("config show --origin", 0);
        for line in ["chain.quorum", "chain.sources", "one (node of one), two (node of two)", "chain.batch_max"] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains("http"), "{said}");
        fs::write(&path, text.replacen("[chain]\n", "[chain]\nquorum = 3\n", 1)).unwrap();
        assert!(desk.exits("config show", 0).contains("2 operators run nodes, and 3 have to agree"));
    });
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_place() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let path = desk.path().join("wox.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(desk.exits("observe", 2).contains("section [chain]"));
        fs::write(&path, &text).unwrap();
        desk.exits("observe", 0);
        for (what, word) in [
            ("deposit 0x12", "transaction hash"),
            ("withdrawal 99", "there is no stream"),
            ("nonsense 1", "wox observe"),
        ] {
            let said = desk.exits(&format!("observe {what}"), 2);
            assert!(said.contains(word), "{said}");
        }
        // Other rules than the log's are not taken over in passing, and it is said which they are.
        fs::write(&path, text.replace("journaled = true\n", "journaled = false\n")).unwrap();
        let said = desk.exits("observe", 4);
        assert!(said.contains("--change-rules") && said.contains("journaled: true in the log, false in the"), "{said}");
        assert!(!said.contains("quorum") && !said.contains("http"), "{said}");
        for (from, to, word) in [
            ("[chain]\n", "[chain]\nquorum = 3\n", "have to agree"),
            ("[chain]\n", "[chain]\nminimum = \"-1\"\n", "chain.minimum"),
            (WATCHED, "0x12", "chain.watched"),
            ("http://", "ftp://", "no http or https"),
            ("[chain]\n", "[chain]\nquorrum = 3\n", "quorrum"),
        ] {
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let said = desk.exits("observe", 2);
            assert!(said.contains(word), "{said}");
        }
    });
}
