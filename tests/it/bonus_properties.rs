//! Property of bonuses: any order of files, crashes, sign-ups, proofs, deletions and ends of campaigns gives each number
//! each campaign's coins once, as a plain model does.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use switchboard::bonuses;
use switchboard::coins::verify_ledger;
use switchboard::platform::jobs::LEASE_DURATION;
use tokio::runtime::Handle;
use tokio::task::{block_in_place, yield_now};

use crate::support::bonuses::counts;
use crate::support::{PASSWORD, TestApp, on_each_shared_database, query};

const CASES: u32 = 8;
const STEPS: usize = 14;
const NUMBERS: usize = 5;
const CAMPAIGNS: usize = 2;
const COINS: i64 = 5;
/// Longer than a code's limits are remembered.
const BETWEEN_PROOFS: Duration = Duration::from_hours(2);

#[derive(Clone, Debug)]
enum Step {
    /// Queues a file of these numbers, each in one of three notations.
    Import(usize, Vec<(usize, usize)>),
    /// An instance applies imports and dies after so many polls.
    Crash(usize),
    /// Somebody signs up with the number and proves it, unless somebody has.
    Prove(usize),
    /// The owner of the number deletes their account.
    Delete(usize),
    End(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lines = || vec((0..NUMBERS, 0..3_usize), 1..8);
    let step = prop_oneof![
        4 => (0..CAMPAIGNS, lines()).prop_map(|(campaign, lines)| Step::Import(campaign, lines)),
        2 => (1..60_usize).prop_map(Step::Crash),
        4 => (0..NUMBERS).prop_map(Step::Prove),
        2 => (0..NUMBERS).prop_map(Step::Delete),
        1 => (0..CAMPAIGNS).prop_map(Step::End),
    ];
    vec(step, 1..STEPS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BonusState {
    Credited,
    Pending,
    Expired,
}

struct Import {
    id: String,
    campaign: usize,
    numbers: Vec<usize>,
    state: ImportState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImportState {
    Queued,
    /// With its counts.
    Completed([i64; 5]),
    /// Its campaign ended before.
    Failed,
}

#[derive(Default)]
struct Model {
    bonuses: BTreeMap<(usize, usize), BonusState>,
    imports: Vec<Import>,
    ended: [bool; CAMPAIGNS],
    /// The nickname of the account that proved each number, and its coins.
    owners: BTreeMap<usize, (String, i64)>,
}

impl Model {
    /// Applies the imports that are queued.
    fn apply_imports(&mut self) {
        for import in &mut self.imports {
            if import.state != ImportState::Queued {
                continue;
            }
            if self.ended[import.campaign] {
                import.state = ImportState::Failed;
                continue;
            }
            let mut counts = [0; 5];
            for number in &import.numbers {
                counts[0] += 1;
                let bonus = (import.campaign, *number);
                if self.bonuses.contains_key(&bonus) {
                    counts[3] += 1;
                } else if let Some((_, balance)) = self.owners.get_mut(number) {
                    *balance += COINS;
                    counts[1] += 1;
                    self.bonuses.insert(bonus, BonusState::Credited);
                } else {
                    counts[2] += 1;
                    self.bonuses.insert(bonus, BonusState::Pending);
                }
            }
            import.state = ImportState::Completed(counts);
        }
    }

    fn prove(&mut self, number: usize, nickname: String) {
        let mut balance = 0;
        for ((_, bonus_number), state) in &mut self.bonuses {
            if *bonus_number == number && *state == BonusState::Pending {
                *state = BonusState::Credited;
                balance += COINS;
            }
        }
        self.owners.insert(number, (nickname, balance));
    }

    fn end(&mut self, campaign: usize) {
        self.ended[campaign] = true;
        for ((bonus_campaign, _), state) in &mut self.bonuses {
            if *bonus_campaign == campaign && *state == BonusState::Pending {
                *state = BonusState::Expired;
            }
        }
    }

    /// Bonuses of a campaign in a state.
    fn count(&self, campaign: usize, state: BonusState) -> usize {
        let is_counted =
            |((of, _), is): &(&(usize, usize), &BonusState)| *of == campaign && **is == state;
        self.bonuses.iter().filter(is_counted).count()
    }
}

struct Case<'a> {
    app: &'a TestApp,
    number: u32,
    accounts: u32,
    model: Model,
}

impl Case<'_> {
    fn campaign(&self, campaign: usize) -> String {
        format!("Case {} {campaign}", self.number)
    }

    /// The national number behind +31, without the trunk prefix.
    fn national(&self, number: usize) -> String {
        format!("61{:07}", self.number as usize * 100 + number)
    }

    fn phone(&self, number: usize) -> String {
        format!("+31{}", self.national(number))
    }

    async fn run_step(&mut self, step: Step) {
        match step {
            Step::Import(campaign, lines) => self.import(campaign, lines).await,
            Step::Crash(polls) => self.crash(polls).await,
            Step::Prove(number) if !self.model.owners.contains_key(&number) => {
                self.advance().await;
                self.accounts += 1;
                let nickname = format!("u{}x{}", self.number, self.accounts);
                self.app.with_verified_phone(&nickname, &self.phone(number)).await;
                self.model.prove(number, nickname);
            }
            Step::Delete(number) if self.model.owners.contains_key(&number) => {
                self.advance().await;
                let (nickname, _) = self.model.owners.remove(&number).expect("an owner");
                let owner = self.app.logged_in(&nickname).await;
                let phone = self.phone(number);
                let verification = owner.obtain_verification("DELETE_ACCOUNT", &phone).await;
                let input = json!({ "password": PASSWORD, "verification": verification });
                let deleted = owner.send(query!("delete_account"), json!({ "input": input })).await;
                deleted.data("/deleteAccount/id");
            }
            Step::Prove(_) | Step::Delete(_) => {}
            Step::End(campaign) => {
                let mutation =
                    "mutation ($name: String!) { endCampaign(campaign: $name) { status } }";
                let admin = self.app.admin().await;
                let ended = admin.send(mutation, json!({ "name": self.campaign(campaign) })).await;
                if ended.errors().is_empty() {
                    self.model.end(campaign);
                }
            }
        }
    }

    /// Time passes, and all that is queued is applied.
    async fn advance(&mut self) {
        self.app.advance(BETWEEN_PROOFS).await;
        self.model.apply_imports();
    }

    async fn import(&mut self, campaign: usize, lines: Vec<(usize, usize)>) {
        let content: String = lines
            .iter()
            .map(|(number, notation)| {
                let national = self.national(*number);
                ["+31", "0031", "0"][*notation].to_owned() + &national + "\n"
            })
            .collect();
        // Imports of one moment have no order.
        self.app.clock.advance(Duration::from_millis(1));
        let started = self.app.admin().await.import(&self.campaign(campaign), &content).await;
        if self.model.ended[campaign] {
            started.assert_error("CONFLICT", "campaign");
            return;
        }
        let id = started.text("/importBonuses/id").to_owned();
        if self.model.imports.iter().all(|import| import.id != id) {
            let numbers = lines.into_iter().map(|(number, _)| number).collect();
            self.model.imports.push(Import { id, campaign, numbers, state: ImportState::Queued });
        }
    }

    /// An instance dies while it applies the imports. Another can take over when its lease has expired.
    async fn crash(&mut self, polls: usize) {
        let app = &self.app.app;
        {
            let mut running =
                Box::pin(bonuses::run_imports(&app.bonuses, &app.platform, &app.stopping));
            for _ in 0..polls {
                if poll!(&mut running).is_ready() {
                    break;
                }
                yield_now().await;
            }
        }
        // A commit that was under way is decided before anything else is read.
        self.app.clock.advance(LEASE_DURATION);
        self.advance().await;
    }

    async fn assert_as_expected(&mut self) {
        self.advance().await;
        let admin = self.app.admin().await;
        for import in &self.model.imports {
            let state = admin.import_state(&import.id).await;
            match import.state {
                ImportState::Completed(expected) => {
                    assert_eq!(state["status"], "COMPLETED");
                    assert_eq!(counts(&state), expected);
                }
                ImportState::Failed => assert_eq!(state["errorCode"], "CONFLICT"),
                ImportState::Queued => panic!("{} was not applied", import.id),
            }
        }
        for campaign in 0..CAMPAIGNS {
            let query =
                "query ($name: String!) { campaign(name: $name) { credited pending expired } }";
            let stats = admin.send(query, json!({ "name": self.campaign(campaign) })).await;
            if !stats.errors().is_empty() {
                assert!(self.model.imports.iter().all(|import| import.campaign != campaign));
                continue;
            }
            let count = |state| self.model.count(campaign, state);
            let expected = json!({
                "credited": count(BonusState::Credited),
                "pending": count(BonusState::Pending),
                "expired": count(BonusState::Expired),
            });
            assert_eq!(stats.data("/campaign"), &expected);
        }
        for (number, (nickname, balance)) in &self.model.owners {
            let owner = self.app.logged_in(nickname).await;
            assert_eq!(owner.balance().await, *balance, "number {number}");
            let phone = self.phone(*number);
            let sms = self.app.sent_sms(&phone).await;
            let about_bonuses = sms.iter().filter(|text| text.contains("Case ")).count();
            // Also those to earlier owners of the number.
            let is_paid = |((_, of), state): &(&(usize, usize), &BonusState)| {
                of == number && **state == BonusState::Credited
            };
            let paid = self.model.bonuses.iter().filter(is_paid).count();
            assert_eq!(about_bonuses, paid, "{sms:?}");
        }
        let report = verify_ledger(&self.app.app.platform, |_| ()).await.expect("read");
        assert!(report.is_consistent());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_gets_each_campaign_once_in_any_order_of_events() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let case_number = Cell::new(0);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&steps(), |steps| {
            case_number.set(case_number.get() + 1);
            let case = async {
                let (number, model) = (case_number.get(), Model::default());
                let mut case = Case { app: &app, number, accounts: 0, model };
                for step in steps {
                    case.run_step(step).await;
                }
                case.assert_as_expected().await;
            };
            block_in_place(|| Handle::current().block_on(case));
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    })
    .await;
}
