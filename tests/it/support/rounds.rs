//! Rounds, wallets and lists in tests.

use serde_json::{Value, json};

use super::{Caller, GraphQLResponse, query};

impl Caller {
    pub async fn start_round(&self, game: &str) -> GraphQLResponse {
        self.send(query!("start_round"), json!({ "game": game })).await
    }

    /// Starts a round and returns its id.
    pub async fn start_round_id(&self, game: &str) -> String {
        self.start_round(game).await.text("/startRound/id").to_owned()
    }

    pub async fn play(&self, round: &str, played: Value, client_seed: &str) -> GraphQLResponse {
        let input = json!({ "roundId": round, "move": played, "clientSeed": client_seed });
        self.send(query!("play_game"), json!({ "input": input })).await
    }

    /// Flips coins until this many rounds are won. Returns the ids of those.
    pub async fn win_rounds(&self, rounds: usize) -> Vec<String> {
        let mut won = Vec::new();
        while won.len() < rounds {
            let round = self.start_round_id("COIN_FLIP").await;
            let played = self.play(&round, json!({ "coinFlip": "HEADS" }), "seed").await;
            if played.data("/playGame/won") == true {
                won.push(round);
            }
        }
        won
    }

    /// All nodes of the connection at a JSON pointer, read page by page.
    pub async fn all_pages(&self, query: &str, list: &str) -> Vec<Value> {
        let (mut nodes, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = self.send(query, json!({ "first": 100, "after": after })).await;
            let page = page.data(list);
            nodes.extend(page["nodes"].as_array().expect("a list").iter().cloned());
            if page["pageInfo"]["hasNextPage"] == false {
                return nodes;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// The wallet and its first 100 entries.
    pub async fn wallet(&self) -> Value {
        self.send(query!("wallet"), json!({ "first": 100 })).await.data("/me/wallet").clone()
    }
}
