//! Playing rounds in tests.

use serde_json::{Value, json};

use super::{Answer, Caller, query};

impl Caller {
    /// Starts a round.
    pub async fn start_round(&self, game: &str) -> Answer {
        self.send(query!("start_round"), json!({ "game": game })).await
    }

    /// The id of a round that is started.
    pub async fn round_of(&self, game: &str) -> String {
        self.start_round(game).await.text("/startRound/id").to_owned()
    }

    /// Plays a round.
    pub async fn play(&self, round: &str, played: Value, client_seed: &str) -> Answer {
        let input = json!({ "roundId": round, "move": played, "clientSeed": client_seed });
        self.send(query!("play_game"), json!({ "input": input })).await
    }

    /// Flips coins until so many rounds are won. Answers the ids of those.
    pub async fn win(&self, rounds: usize) -> Vec<String> {
        let mut won = Vec::new();
        while won.len() < rounds {
            let round = self.round_of("COIN_FLIP").await;
            let played = self.play(&round, json!({ "coinFlip": "HEADS" }), "seed").await;
            if played.data("/playGame/won") == true {
                won.push(round);
            }
        }
        won
    }

    /// All that a list has, page by page: the list is at this pointer.
    pub async fn all(&self, query: &str, list: &str) -> Vec<Value> {
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

    /// What is in the wallet.
    pub async fn wallet(&self) -> Value {
        self.send(query!("wallet"), json!({ "first": 100 })).await.data("/me/wallet").clone()
    }
}
