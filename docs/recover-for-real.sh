#!/usr/bin/env bash
# Recover for real: a broken game with a real chain and a real database, repaired from beginning to end.
#
#   docs/recover-for-real.sh            runs all of it in a directory of its own, in less than a minute
#   KEEP=1 docs/recover-for-real.sh     leaves chain, database and store running for you to look at
#
# It starts anvil (a local Base) and MariaDB, plays a small game on both, breaks four things, and repairs each the way an
# operator does: find, plan, approve, apply, verify. Every command is shown before it runs and must end with the exit code
# that stands behind it, so this script is a test too. Read it from top to bottom: it is the manual of these commands.
#
# Needs: bash, curl, anvil (npm: @foundry-rs/anvil), mariadbd, mariadb-install-db and mariadb (Debian: mariadb-server-core,
# mariadb-client-core), and wox. ANVIL and WOX name other binaries.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
WOX=${WOX:-$(command -v wox || echo "$repository/target/release/wox")}
ANVIL=${ANVIL:-$(command -v anvil || ls "$repository"/.tools/chain/node_modules/@foundry-rs/*/bin/anvil 2>/dev/null | head -1)}
PATH=$PATH:/usr/sbin
for program in "$WOX" "$ANVIL" mariadbd mariadb-install-db mariadb curl; do
    command -v "$program" >/dev/null || { echo "missing: ${program:-anvil} (see the head of this script)" >&2; exit 1; }
done
token_code=$(cat "$repository/tests/fixtures/token/Token.hex")

here=$(mktemp -d)
cd "$here"
chain_pid='' database_pid=''
goodbye() {
    if [ -n "${KEEP:-}" ]; then
        echo; echo "left running: cd $here (processes $chain_pid $database_pid)"
        return
    fi
    [ -z "$chain_pid$database_pid" ] || kill $chain_pid $database_pid 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$here"
}
trap goodbye EXIT

title() { printf '\n== %s\n' "$*"; }
wox() { # wox CODE WORDS...: shows the command, runs it, wants that exit code; what it said is in $said too
    local want=$1 code=0
    shift
    printf '\n$ wox'
    printf ' %q' "$@"
    echo
    said=$("$WOX" "$@" 2>&1) || code=$?
    printf '%s\n' "$said"
    [ "$code" -eq "$want" ] || { echo "exit code $code, expected $want" >&2; exit 1; }
}
says() { # says TEXT: what the last command has to have said
    case $said in *"$1"*) ;; *) echo "it did not say: $1" >&2; exit 1 ;; esac
}
export WOX_PROGRESS=none WOX_ACTOR=alice

# --- a chain -------------------------------------------------------------------------------------------------------
title "a chain: anvil as Base, a block when we say so, final after eight more"
"$ANVIL" --network optimism --chain-id 8453 --host 127.0.0.1 --port 0 --no-mining --slots-in-an-epoch 4 >anvil.log 2>&1 &
chain_pid=$!
for _ in $(seq 100); do grep -q '^Listening on' anvil.log && break; sleep 0.1; done
rpc_url=http://$(sed -n 's/^Listening on *//p' anvil.log)

rpc() { # rpc METHOD PARAMS: the result, as it stands in the answer
    local answer
    answer=$(curl -sS -H 'content-type: application/json' "$rpc_url" \
        -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":$2}")
    case $answer in *'"error"'*) echo "$1: $answer" >&2; exit 1 ;; esac
    sed -n 's/.*"result":"\([^"]*\)".*/\1/p' <<<"$answer"
}
mine() { rpc anvil_mine "[\"$(printf '0x%x' "$1")\"]"; }
send() { rpc eth_sendTransaction "[{\"from\":\"$1\",\"to\":\"$2\",\"data\":\"$3\",\"gas\":\"0x30d40\"}]"; }
word() { printf '%64s' "${1#0x}" | tr ' ' 0; }
call_transfer() { # call_transfer TO AMOUNT: the token's transfer(address,uint256)
    printf '0xa9059cbb%s%s' "$(word "$1")" "$(word "$2")"
}

# The accounts are those of anvil's published test mnemonic.
treasury=0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266
ann_wallet=0x70997970c51812dc3a010c7d01b50e0d17dc79c8
hot_wallet=0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc
watched=0x15d34aaf54267db7d7c367839aaf71a00a2c6a65
token=0x5fbdb2315678afecb367f032d93f642f64180aa3
# Amounts in base units: 10^-18 Galleons.
million=d3c21bcecceda1000000
ten_thousand=21e19e0c9bab2400000
hundred=56bc75e2d63100000
forty_eight=29a2241af62c00000

rpc eth_sendTransaction "[{\"from\":\"$treasury\",\"data\":\"$token_code$(word $million)\",\"gas\":\"0x1e8480\"}]" >/dev/null
mine 1
send $treasury $token "$(call_transfer $ann_wallet $ten_thousand)" >/dev/null
send $treasury $token "$(call_transfer $hot_wallet $ten_thousand)" >/dev/null
mine 10
genesis=$(curl -sS -H 'content-type: application/json' "$rpc_url" \
    -d '{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",false]}' |
    sed -n 's/.*"hash":"\(0x[0-9a-f]\{64\}\)".*/\1/p')

# --- a database ----------------------------------------------------------------------------------------------------
title "a database: MariaDB with the game's five tables"
mariadb-install-db --no-defaults --datadir="$here/data" --auth-root-authentication-method=normal --skip-test-db \
    --user="$(id -un)" >install.log 2>&1
for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    mariadbd --no-defaults --datadir="$here/data" --socket="$here/socket" --pid-file="$here/pid" --port=$port \
        --bind-address=127.0.0.1 --skip-name-resolve --user="$(id -un)" >mariadb.log 2>&1 &
    database_pid=$!
    for _ in $(seq 200); do [ -S socket ] && break 2; kill -0 $database_pid 2>/dev/null || break; sleep 0.1; done
    [ "$attempt" -lt 5 ] || { cat mariadb.log >&2; exit 1; }
done
sql() { mariadb --no-defaults --socket="$here/socket" --user=root "$@"; }
sql -e "CREATE DATABASE wizards_of_x; CREATE USER game@'127.0.0.1' IDENTIFIED BY 'wand'; GRANT ALL ON *.* TO game@'127.0.0.1'"
sql wizards_of_x <"$repository/migrations/mysql/game_tables.sql"
sql wizards_of_x -e "
    ALTER TABLE active_duels ADD FOREIGN KEY (player1) REFERENCES players(twitter_handle),
        ADD FOREIGN KEY (player2) REFERENCES players(twitter_handle);
    ALTER TABLE withdrawal_requests ADD FOREIGN KEY (twitter_handle) REFERENCES players(twitter_handle)"
export WOX_GAME_DB_URL=mysql://game:wand@127.0.0.1:$port/wizards_of_x

# --- settings ------------------------------------------------------------------------------------------------------
title "settings: which chain, whose money, who answers"
cat >wox.toml <<TOML
[chain]
genesis = "$genesis"
tokens = ["$token"]
watched = ["$watched"]
wallets = ["$hot_wallet"]
journaled = true                # the signer records each payment in this log before it sends it
[[chain.sources]]
name = "base"
operator = "base"
url = "$rpc_url"
[[chain.sources]]
name = "own-node"               # the same node here; two operators in earnest
operator = "us"
url = "$rpc_url"
TOML
cat wox.toml

# --- a game --------------------------------------------------------------------------------------------------------
title "a game: two players, a duel with stakes in escrow"
wox 0 init
number=0
event() { # event STREAM EXPECTED KIND DATA: one line for wox append
    number=$((number + 1))
    printf '{"id":"00000000-0000-4000-8000-%012d","stream":"%s","expected":%d,"kind":"%s","time":"%s","actor":"game","provenance":"game","data":%s}\n' \
        $number "$1" "$2" "$3" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$4"
}
{
    event player-1001 0 PlayerCreated '{"handle":"@ann","name":"Ann","house":"hufflepuff","bonus":"20"}'
    event player-1001 1 WalletBound "{\"wallet\":\"$ann_wallet\",\"method\":\"signed-message\"}"
    event player-1002 0 PlayerCreated '{"handle":"@ben","name":"Ben","house":"slytherin","bonus":"20"}'
    event duel-1 0 ChallengeIssued "{\"challenger\":\"1001\",\"opponent\":\"1002\",\"bet\":\"10\",\"expires_at\":$(($(date +%s) + 300))000000}"
    event duel-1 1 StakeHeld '{"player":"1001","stake":{"bonus":"10","withdrawable":"0"}}'
    event duel-1 2 StakeHeld '{"player":"1002","stake":{"bonus":"10","withdrawable":"0"}}'
    event duel-1 3 ChallengeAccepted '{"first_turn":"1001","challenger_hp":100,"opponent_hp":100}'
} >game.jsonl
wox 0 append game.jsonl
title "its tables, as the log says they must be"
wox 3 diff
wox 3 rebuild
wox 0 rebuild --yes
wox 0 diff

# --- one: a deposit ------------------------------------------------------------------------------------------------
title "1. Ann sends 100 G; the chain confirms it; the game never credits it"
deposit=$(send $ann_wallet $token "$(call_transfer $watched $hundred)")
mine 9
wox 3 recover deposit "$deposit" -o deposit.plan
says "credit 100 G to player 1001"
title "a plan that moves money waits for another person"
wox 4 apply deposit.plan --yes
wox 0 approve deposit.plan --comment "looked at the transfer" --as bob
wox 0 apply deposit.plan --yes
title "applied again: nothing; but the game's tables do not know it yet"
wox 0 apply deposit.plan --yes
wox 3 recover deposit "$deposit"
says "processed_transactions is missing"
wox 0 recover deposit "$deposit" --write
wox 3 recover player 1001
wox 0 recover player 1001 --write
title "looked for again: nothing"
wox 0 recover deposit "$deposit"
wox 0 recover player 1001
wox 0 explain player 1001
wox 0 diff

# --- two: a withdrawal ---------------------------------------------------------------------------------------------
title "2. Ann takes 50 G out; the payment vanishes from the pool"
payment=$(send $hot_wallet $token "$(call_transfer $ann_wallet $forty_eight)")
raw=$(rpc eth_getRawTransactionByHash "[\"$payment\"]")
{
    event withdrawal-1 0 WithdrawalRequested "{\"player\":\"1001\",\"amount\":\"50\",\"destination\":\"$ann_wallet\"}"
    event withdrawal-1 1 FundsHeld '{"player":"1001","amount":"50","net":"48","pool_share":"1","burn_share":"1"}'
    event burn-1 0 BurnScheduled "{\"withdrawal\":\"1\",\"amount\":\"1\",\"due\":$(($(date +%s) + 86400))000000}"
    event withdrawal-1 2 TxSigned "{\"wallet\":\"$hot_wallet\",\"nonce\":0,\"tx\":\"$payment\",\"digest\":\"$(printf %s "$raw" | sha256sum | cut -c1-64)\"}"
    event withdrawal-1 3 TxBroadcast "{\"tx\":\"$payment\"}"
} >withdrawal.jsonl
wox 0 append withdrawal.jsonl
rpc anvil_dropTransaction "[\"$payment\"]" >/dev/null
mine 9
title "not found is not failed: whoever gave the money back now would pay twice"
wox 3 recover withdrawal 1
title "and indeed: somebody sends the same bytes again, and they are mined"
rpc eth_sendRawTransaction "[\"$raw\"]" >/dev/null
mine 9
wox 3 recover withdrawal 1 -o withdrawal.plan
says "settle"
wox 0 approve withdrawal.plan --comment "the payment is final" --as bob
wox 0 apply withdrawal.plan --yes
wox 0 apply withdrawal.plan --yes
title "and the tables follow, all that differ at once"
wox 3 recover withdrawal 1
wox 0 rebuild --yes
wox 0 recover withdrawal 1
wox 0 diff

# --- three: a row --------------------------------------------------------------------------------------------------
title "3. somebody edits a row by hand"
sql wizards_of_x -e "UPDATE players SET withdrawable_galleons = 9999.00, wins = 7 WHERE twitter_handle = '@ben'"
wox 3 diff
says "changed outside the engine"
title "no run without a person overwrites what somebody did: it may be evidence"
wox 4 rebuild players --yes
wox 3 rebuild players
says "--confirm"
id=$(sed -n 's/.*--confirm \([0-9a-f]*\).*/\1/p' <<<"$said" | head -1)
wox 0 rebuild players --confirm "$id"
wox 0 diff

# --- four: a table -------------------------------------------------------------------------------------------------
title "4. a table is lost"
sql wizards_of_x -e "SET foreign_key_checks = 0; DROP TABLE burn_queue"
wox 3 diff
says "burn_queue (lost)"
wox 3 rebuild burn_queue
id=$(sed -n 's/.*--confirm \([0-9a-f]*\).*/\1/p' <<<"$said" | head -1)
wox 0 rebuild burn_queue --confirm "$id"
wox 0 diff

# --- again ---------------------------------------------------------------------------------------------------------
title "all of it again: nothing changes"
before=$("$WOX" status --output json | sed -n 's/.*"root":"\([0-9a-f]*\)".*/\1/p')
wox 0 apply deposit.plan --yes
wox 0 apply withdrawal.plan --yes
wox 0 recover deposit "$deposit"
wox 0 recover withdrawal 1
wox 0 rebuild --yes
wox 0 plan
after=$("$WOX" status --output json | sed -n 's/.*"root":"\([0-9a-f]*\)".*/\1/p')
[ "$before" = "$after" ] || { echo "the log changed: $before, $after" >&2; exit 1; }
wox 0 verify
wox 0 doctor
title "done: found, planned, approved, applied, verified, and nothing twice"
