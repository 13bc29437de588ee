//! Row R13, W0 and decisions about payments, judged by all that stands in a stream: also by what the fold could not take in.

use wox_events::{
    BurnEvent, ChainEvent, Duration, Json, WithdrawalEvent, WithdrawalId,
    chain::{Source, SourceKind},
};
use wox_recovery::recovery::{Plan, Scope};

use crate::game::{Game, digest, g, hash, label, says, shown, stream, who};

const W: &str = "withdrawal-7";
const BURN: &str = "burn-7";

/// The signer journals in this log from here on.
async fn declares(game: &Game) {
    let source = |name: &str| Source { name: label(name), operator: label(name), kind: SourceKind::Node };
    let declared = ChainEvent::ChainPolicyDeclared {
        chain: 8453,
        genesis: hash(1),
        quorum: 2,
        sources: vec![source("one"), source("two")],
        tokens: vec![label("0x00000000000000000000000000000000000000aa")],
        watched: Vec::new(),
        wallets: vec![wallet()],
        minimum: g(1),
        finalized_age_max: Duration::seconds(3600),
        journaled: true,
    };
    game.tell("chain-8453", declared).await;
}

/// Ann has asked for 100 G, and its 96 G are held; the signer journals in this log, where there is a chain.
async fn asked(chain: bool) -> Game {
    let mut game = Game::new();
    game.player("ann", 100).await;
    if chain {
        declares(&game).await;
    }
    game.wait(1);
    let destination = label("0x00000000000000000000000000000000000000bb");
    game.tell(W, WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(100), destination }).await;
    let (player, amount) = (who("ann"), g(100));
    game.tell(W, WithdrawalEvent::FundsHeld { player, amount, net: g(96), pool_share: g(2), burn_share: g(2) }).await;
    let withdrawal = WithdrawalId::new("7").unwrap();
    game.tell(BURN, BurnEvent::BurnScheduled { withdrawal, amount: g(2), due: game.now() }).await;
    game
}

fn wallet() -> wox_events::Label {
    label("0x00000000000000000000000000000000000000cc")
}

async fn unreadable(game: &Game, name: &str) -> u64 {
    let data = Json::canonical(r#"{"what":"nobody knows"}"#).unwrap();
    game.tell_raw(name, "PaymentEnchanted", 1, data, None).await;
    game.look().await.replay.position.0
}

async fn signed(game: &Game) {
    let signed =
        WithdrawalEvent::TxSigned { wallet: wallet(), nonce: 0, tx: hash(7), fees: None, digest: digest("raw") };
    game.tell(W, signed).await;
}

fn decided() -> Scope {
    Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "ticket-91".into() }
}

fn releases(plan: &Plan) -> bool {
    plan.items.iter().flat_map(|item| &item.steps).any(|step| step.kind == "HoldReleased")
}

#[tokio::test]
async fn w0_a_journal_without_an_attempt_gives_it_back_and_needs_no_decision() {
    let mut game = asked(true).await;
    game.wait(301).tick().await;
    assert!(releases(&game.plan().await));
    let plan = game.plan_for(&decided()).await;
    says(
        &plan,
        "
        HELD withdrawal_in_doubt withdrawal-7: withdrawal 7 of 100 G by player ann: W0, nothing was ever signed for it
          why: it needs no decision: the log proves that no payment can follow
          next: wox recover withdrawal 7 plans what follows
        ",
    );
}

#[tokio::test]
async fn w0_is_never_said_of_what_was_asked_for_before_the_signer_journaled_here() {
    let mut game = asked(false).await;
    declares(&game).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert!(!releases(&plan) && shown(&plan).contains("W11, unknown: its signer did not journal"), "{}", shown(&plan));
    assert!(shown(&plan).contains("wox observe wallet"), "{}", shown(&plan));
}

#[tokio::test]
async fn w0_is_never_said_of_a_stream_with_an_event_that_cannot_be_read() {
    for (signs, behind) in [(true, "; 1 later event waits behind it"), (false, "")] {
        let mut game = asked(true).await;
        let at = unreadable(&game, W).await;
        if signs {
            signed(&game).await;
        }
        game.wait(301).tick().await;
        let all = game.plan().await;
        let decision = game.plan_for(&decided()).await;
        let held = format!(
            "
            HELD held_stream withdrawal-7: event at withdrawal-7@3 (position {at}) cannot be read: kind `PaymentEnchanted` is unknown to this build; run the version of wox that wrote it, or waive it{behind}
              why: only a person can say whether an event that cannot be folded may be left out
              next: look at it with `wox show {at}`; to leave it out: `wox recover event {at} --why REASON`
            "
        );
        says(&all, &held);
        says(&decision, &held);

        // Left out by name it still may have been a payment.
        let waive = Scope::Waive { position: crate::game::position(at), why: "ticket-92".into() };
        game.carry_out(&game.plan_for(&waive).await).await;
        for plan in [game.plan().await, game.plan_for(&decided()).await] {
            let text = shown(&plan);
            assert!(!plan.changes && !text.contains("W0") && text.contains("W11, unknown: "), "{text}");
            let why = if signs { "nobody has looked at slot 0" } else { "may be about a payment" };
            assert!(text.contains(why) || text.contains("may be about a payment"), "{text}");
            assert!(text.contains(&format!("next: wox show {at} ")), "{text}");
        }
    }
}

#[tokio::test]
async fn e1_a_fee_whose_burn_may_have_been_signed_keeps_its_withdrawal() {
    let mut game = asked(true).await;
    let at = unreadable(&game, BURN).await;
    let signs = BurnEvent::BurnTxSigned { wallet: wallet(), nonce: 1, tx: hash(8), fees: None };
    game.tell(BURN, signs).await;
    game.wait(301).tick().await;
    assert!(!releases(&game.plan().await), "its burn is held");
    let waive = Scope::Waive { position: crate::game::position(at), why: "ticket-92".into() };
    game.carry_out(&game.plan_for(&waive).await).await;
    assert!(!releases(&game.plan().await), "its burn was signed");

    // Left out without anything behind it, it still may have been the signature.
    let mut game = asked(true).await;
    let at = unreadable(&game, BURN).await;
    let waive = Scope::Waive { position: crate::game::position(at), why: "ticket-92".into() };
    game.carry_out(&game.plan_for(&waive).await).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert!(!releases(&plan) && shown(&plan).contains(&format!("next: wox show {at} ")), "{}", shown(&plan));
}

#[tokio::test]
async fn r13_a_decision_about_what_nobody_has_looked_at_says_what_holds_it() {
    let mut game = asked(false).await;
    game.wait(301).tick().await;
    let expected = shown(&game.plan_for(&Scope::Subject(stream(W))).await);
    assert!(
        expected.contains("HELD withdrawal_in_doubt") && expected.contains("wox observe withdrawal 7"),
        "{expected}"
    );
    assert_eq!(shown(&game.plan_for(&decided()).await), expected);
    // Nothing is wrong with what nobody waits for: there is nothing to decide.
    let fresh = asked(false).await;
    assert_eq!(shown(&fresh.plan_for(&decided()).await), "");
}
