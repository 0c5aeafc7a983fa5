//! Property of the dashboard: after any history of events, folds, crashes and instances, its figures are those of a plain
//! count.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{Datelike, Days, NaiveTime, Timelike};
use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use switchboard::coins::adjust;
use switchboard::dashboard::rebuild;
use switchboard::error::Result;
use switchboard::ids::parse;
use switchboard::messages::{Kind, count_of_campaigns};
use switchboard::people::fold_activity;
use switchboard::platform::clock::{Clock, Timestamp};
use switchboard::platform::jobs::LEASE_DURATION;
use switchboard::platform::statistics::{self, Delta};
use tokio::runtime::Handle;
use tokio::task::{block_in_place, yield_now};

use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    Caller, PASSWORD, TestApp, TestDatabase, on_each_shared_database, query, start_time,
};

const CASES: u32 = 6;
const STEPS: usize = 25;
/// A play is counted within a second.
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Step {
    SignUp,
    Login(usize),
    Refresh(usize),
    Play(usize),
    Adjust(usize, i64),
    Delete(usize),
    /// Sends an SMS, which the gateway takes or refuses.
    Send(bool),
    /// A receipt of an SMS, which was delivered or not.
    Receipt(usize, bool),
    /// Sends all failed SMS again.
    Retry,
    Advance(u64),
    /// An instance runs all jobs.
    RunJobs(usize),
    /// An instance dies while it folds, after so many polls.
    Crash(usize, usize),
    /// A transaction that does not commit.
    RollBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = || 0..6_usize;
    let step = prop_oneof![
        3 => Just(Step::SignUp),
        2 => user().prop_map(Step::Login),
        2 => user().prop_map(Step::Refresh),
        6 => user().prop_map(Step::Play),
        2 => (user(), -3..6_i64).prop_map(|(user, amount)| Step::Adjust(user, amount)),
        1 => user().prop_map(Step::Delete),
        3 => any::<bool>().prop_map(Step::Send),
        3 => (0..6_usize, any::<bool>()).prop_map(|(sms, arrived)| Step::Receipt(sms, arrived)),
        1 => Just(Step::Retry),
        4 => (1..2_000_u64).prop_map(Step::Advance),
        3 => (0..2_usize).prop_map(Step::RunJobs),
        3 => (0..2_usize, 1..40_usize).prop_map(|(instance, polls)| Step::Crash(instance, polls)),
        1 => Just(Step::RollBack),
    ];
    vec(step, 1..STEPS)
}

struct User {
    nickname: String,
    id: String,
    caller: Caller,
    refresh_token: String,
}

/// The plain count.
#[derive(Default)]
struct Model {
    users: Vec<User>,
    /// How many users there ever were.
    user_count: usize,
    amounts: BTreeMap<(Timestamp, String), i64>,
    /// The ids of who was active, by hour and game; "" for any activity.
    active: BTreeMap<(Timestamp, &'static str), BTreeSet<String>>,
    sent_sms: usize,
}

impl Model {
    fn add(&mut self, at: Timestamp, name: &str, amount: i64) {
        *self.amounts.entry((hour_of(at), name.to_owned())).or_default() += amount;
    }

    fn add_active(&mut self, at: Timestamp, user: &str) {
        self.active.entry((hour_of(at), "")).or_default().insert(user.to_owned());
    }
}

fn hour_of(at: Timestamp) -> Timestamp {
    at.date_naive().and_hms_opt(at.hour(), 0, 0).expect("a time").and_utc()
}

/// The start of a bucket, computed in another way than the product does.
fn bucket_start(bucket: &str, at: Timestamp) -> Timestamp {
    let mut day = at.date_naive();
    match bucket {
        "HOUR" => return hour_of(at),
        "WEEK" => {
            while day.weekday() != chrono::Weekday::Mon {
                day = day - Days::new(1);
            }
        }
        "MONTH" => day = day.with_day(1).expect("a day"),
        _ => {}
    }
    day.and_time(NaiveTime::MIN).and_utc()
}

struct History {
    instances: [TestApp; 2],
    gateway: Upstream,
    model: RefCell<Model>,
}

impl History {
    async fn start(database: &TestDatabase) -> Self {
        let gateway = Upstream::start().await;
        let limits = [
            ("LIMIT_PLAYS", "100000"),
            ("LIMIT_OPEN_ROUNDS", "1000"),
            ("LIMIT_SIGNUPS_PER_ADDRESS", "100000"),
        ];
        let app = TestApp::with_gateway(database, &gateway, &limits).await;
        let settings = [&crate::support::sms::gateway_settings(&gateway)[..], &limits].concat();
        let second = app.second_instance(database, &settings).await;
        let history = Self { instances: [app, second], gateway, model: RefCell::default() };
        history.count_admin().await;
        history
    }

    /// The operator's account and logins are counted too.
    async fn count_admin(&self) {
        let app = &self.instances[0];
        let now = app.clock.now();
        app.admin().await;
        let mut model = self.model.borrow_mut();
        model.add(now, "newUsers", 1);
        model.add_active(now, "operator");
        model.user_count += 1;
    }

    async fn admin(&self) -> Caller {
        let app = &self.instances[0];
        let now = app.clock.now();
        self.model.borrow_mut().add_active(now, "operator");
        app.admin().await
    }

    fn user(&self, index: usize) -> Option<usize> {
        let count = self.model.borrow().users.len();
        (count > 0).then(|| index % count)
    }

    async fn run_step(&self, step: Step) {
        let app = &self.instances[0];
        let now = app.clock.now();
        match step {
            Step::SignUp => self.sign_up().await,
            Step::Login(user) => self.login(user).await,
            Step::Refresh(user) => self.refresh(user).await,
            Step::Play(user) => self.play(user).await,
            Step::Adjust(user, amount) => self.adjust(user, amount).await,
            Step::Delete(user) => self.delete(user).await,
            Step::Send(is_taken) => self.send_sms(is_taken).await,
            Step::Receipt(sms, arrived) => {
                let status = if arrived { "delivered" } else { "undelivered" };
                app.post_receipt(&format!("g{sms}"), status).await;
            }
            Step::Retry => {
                let admin = self.admin().await;
                let filter = json!({ "filter": {} });
                admin.send(query!("retry_failed_messages"), filter).await;
            }
            Step::Advance(minutes) => app.clock.advance(Duration::from_mins(minutes)),
            Step::RunJobs(instance) => self.run_jobs(instance).await,
            Step::Crash(instance, polls) => self.crash(instance, polls).await,
            Step::RollBack => {
                let platform = &app.app.platform;
                let tx = platform.begin().await.expect("a transaction");
                let delta = Delta::at(now, "new_users", "", 1_000);
                statistics::record(&tx, platform, [delta]).await.expect("recorded");
            }
        }
    }

    /// All jobs of an instance. The gateway takes what it has no other reply for.
    async fn run_jobs(&self, instance: usize) {
        self.instances[instance].clock.advance(SECOND);
        let app = &self.instances[instance];
        app.app.run_due_jobs().await.expect("no job fails");
    }

    async fn sign_up(&self) {
        let app = &self.instances[0];
        let now = app.clock.now();
        let nickname = format!("user{}", self.model.borrow().user_count);
        let response = app.anonymous().sign_up(json!({ "nickname": nickname })).await;
        let id = response.text("/signup/user/id").to_owned();
        let caller = app.with_token(response.text("/signup/accessToken"));
        let refresh_token = response.text("/signup/refreshToken").to_owned();
        let mut model = self.model.borrow_mut();
        model.add(now, "newUsers", 1);
        model.add_active(now, &id);
        model.user_count += 1;
        model.users.push(User { nickname, id, caller, refresh_token });
    }

    async fn login(&self, user: usize) {
        let Some(index) = self.user(user) else { return };
        let app = &self.instances[0];
        let nickname = self.model.borrow().users[index].nickname.clone();
        let response = app.anonymous().log_in(&nickname, PASSWORD).await;
        let mut model = self.model.borrow_mut();
        let user = &mut model.users[index];
        user.caller = app.with_token(response.text("/login/accessToken"));
        response.text("/login/refreshToken").clone_into(&mut user.refresh_token);
        let id = user.id.clone();
        model.add_active(app.clock.now(), &id);
    }

    async fn refresh(&self, user: usize) {
        let Some(index) = self.user(user) else { return };
        let app = &self.instances[1];
        let token = self.model.borrow().users[index].refresh_token.clone();
        let response = app.anonymous().refresh(&token).await;
        if response.errors().is_empty() {
            let mut model = self.model.borrow_mut();
            let token = response.text("/refreshSession/refreshToken").to_owned();
            model.users[index].refresh_token = token;
            let id = model.users[index].id.clone();
            model.add_active(app.clock.now(), &id);
        } else {
            // It was idle for too long.
            self.login(index).await;
        }
    }

    async fn play(&self, user: usize) {
        let Some(index) = self.user(user) else { return };
        // The access token may be over.
        self.login(index).await;
        let now = self.instances[0].clock.now();
        let caller = self.model.borrow().users[index].caller.clone();
        let round = caller.start_round_id("COIN_FLIP").await;
        let played = caller.play(&round, json!({ "coinFlip": "HEADS" }), "seed").await;
        let (won, points) = (played.data("/playGame/won"), played.data("/playGame/points"));
        let mut model = self.model.borrow_mut();
        model.add(now, "rounds", 1);
        model.add(now, "points", points.as_i64().expect("points"));
        if won == true {
            model.add(now, "wins", 1);
            model.add(now, "GAME_REWARD", 1);
        }
        let id = model.users[index].id.clone();
        model.active.entry((hour_of(now), "COIN_FLIP")).or_default().insert(id);
    }

    async fn adjust(&self, user: usize, amount: i64) {
        let Some(index) = self.user(user) else { return };
        let app = &self.instances[0];
        let user = parse(&self.model.borrow().users[index].id).expect("an id");
        let posted = adjust(&app.app.platform, user, amount, "a test", None).await;
        if posted.is_ok() {
            let name = if amount > 0 { "ADJUSTMENT" } else { "ADJUSTMENT debited" };
            self.model.borrow_mut().add(app.clock.now(), name, amount.abs());
        }
    }

    async fn delete(&self, user: usize) {
        let Some(index) = self.user(user) else { return };
        self.login(index).await;
        let user = self.model.borrow_mut().users.remove(index);
        let input = json!({ "input": { "password": PASSWORD } });
        user.caller.send(query!("delete_account"), input).await.data("/deleteAccount");
        let now = self.instances[0].clock.now();
        self.model.borrow_mut().add(now, "deletedUsers", 1);
    }

    async fn send_sms(&self, is_taken: bool) {
        let number = self.model.borrow().sent_sms;
        self.model.borrow_mut().sent_sms += 1;
        let id = json!({ "id": format!("g{number}") });
        self.gateway.reply_with([Reply::Json(if is_taken { 200 } else { 400 }, id)]);
        let number = u32::try_from(number).expect("a number");
        self.instances[0].enqueue(Kind::Bonus, number).await;
        self.run_jobs(0).await;
    }

    async fn crash(&self, instance: usize, polls: usize) {
        let app = &self.instances[instance];
        app.clock.advance(Duration::from_mins(1));
        for is_activity in [false, true] {
            let platform = &app.app.platform;
            let mut folding = match is_activity {
                false => Box::pin(statistics::fold(platform)) as BoxedJob<'_>,
                true => Box::pin(fold_activity(platform)),
            };
            for _ in 0..polls {
                if poll!(&mut folding).is_ready() {
                    break;
                }
                yield_now().await;
            }
        }
        // Another instance can take over.
        app.clock.advance(LEASE_DURATION);
    }

    async fn assert_as_counted(&self) {
        self.run_jobs(0).await;
        self.compare().await;
        for instance in [1, 0] {
            self.instances[0].clock.advance(Duration::from_mins(1));
            self.run_jobs(instance).await;
        }
        self.compare().await;
        self.instances[0].clock.advance(Duration::from_hours(2));
        let report = rebuild(&self.instances[1].app.platform, &|_| {}).await.expect("read");
        assert_eq!(report.differences, [""; 0]);
    }

    async fn compare(&self) {
        let admin = self.admin().await;
        let until = bucket_start("HOUR", self.instances[0].clock.now()) + Duration::from_hours(1);
        for bucket in ["HOUR", "DAY", "WEEK", "MONTH"] {
            let from = match bucket {
                "HOUR" => start_time().max(until - Duration::from_hours(8_999)),
                _ => start_time(),
            };
            let input = json!({ "from": from, "until": until, "bucket": bucket });
            let response = admin.send(query!("dashboard"), json!({ "input": input })).await;
            let dashboard = response.data("/dashboard");
            let from: Timestamp =
                dashboard["from"].as_str().expect("a time").parse().expect("a time");
            self.compare_series(bucket, dashboard).await;
            self.compare_totals(dashboard, from);
        }
        let platform = &self.instances[0].app.platform;
        let campaign = ["spring".to_owned()];
        let counts = count_of_campaigns(platform, &campaign).await.expect("read")["spring"];
        let count = async |statuses: &str| {
            let sql = format!("SELECT COUNT(*) FROM messages WHERE status IN ({statuses})");
            self.instances[0].count(&sql).await
        };
        assert_eq!(counts.delivered, count("'DELIVERED'").await);
        assert_eq!(counts.failed, count("'FAILED', 'EXPIRED', 'UNDELIVERED'").await);
    }

    async fn compare_series(&self, bucket: &str, dashboard: &Value) {
        let messages = self.messages().await;
        let mut expected: BTreeMap<(Timestamp, &str), i64> = BTreeMap::new();
        let model = self.model.borrow();
        for ((hour, name), amount) in &model.amounts {
            let column = match name.as_str() {
                "GAME_REWARD" | "ADJUSTMENT" => "coinsCredited",
                "newUsers" | "rounds" | "points" => name,
                _ => continue,
            };
            *expected.entry((bucket_start(bucket, *hour), column)).or_default() += amount;
        }
        let mut people: BTreeMap<Timestamp, BTreeSet<&String>> = BTreeMap::new();
        for ((hour, _), active) in &model.active {
            people.entry(bucket_start(bucket, *hour)).or_default().extend(active);
        }
        for (start, active) in people {
            expected.insert((start, "activeUsers"), i64::try_from(active.len()).expect("a count"));
        }
        for (start, status) in messages {
            let column = match status.as_str() {
                "SENT" => "messagesSent",
                "DELIVERED" => "messagesDelivered",
                "FAILED" | "EXPIRED" | "UNDELIVERED" => "messagesFailed",
                _ => continue,
            };
            *expected.entry((bucket_start(bucket, start), column)).or_default() += 1;
        }
        let from: Timestamp = dashboard["from"].as_str().expect("a time").parse().expect("a time");
        expected.retain(|(start, _), amount| *start >= from && *amount != 0);
        let mut actual = BTreeMap::new();
        let columns = [
            "newUsers",
            "activeUsers",
            "rounds",
            "points",
            "coinsCredited",
            "messagesSent",
            "messagesDelivered",
            "messagesFailed",
        ];
        for point in dashboard["series"].as_array().expect("a list") {
            let start: Timestamp =
                point["start"].as_str().expect("a time").parse().expect("a time");
            for column in columns {
                let amount = point[column].as_i64().expect("a number");
                if amount != 0 {
                    actual.insert((start, column), amount);
                }
            }
        }
        assert_eq!(actual, expected, "{bucket}");
    }

    fn compare_totals(&self, dashboard: &Value, from: Timestamp) {
        let model = self.model.borrow();
        let sum = |name: &str| -> i64 {
            let amounts = model.amounts.iter();
            amounts.filter(|((at, of), _)| of == name && *at >= from).map(|(_, sum)| sum).sum()
        };
        let people = |game: Option<&str>| {
            let in_range = |((at, of), _): &(&(Timestamp, &str), &BTreeSet<String>)| {
                *at >= from && game.is_none_or(|game| game == *of)
            };
            let active = model.active.iter().filter(in_range);
            active.flat_map(|(_, people)| people).collect::<BTreeSet<_>>().len()
        };
        let totals = &dashboard["totals"];
        assert_eq!(totals["users"], model.users.len() + 1);
        assert_eq!(totals["newUsers"], sum("newUsers"));
        assert_eq!(totals["activeUsers"], people(None));
        assert_eq!(totals["rounds"], sum("rounds"));
        assert_eq!(totals["points"], sum("points"));
        assert_eq!(totals["coinsCredited"], sum("GAME_REWARD") + sum("ADJUSTMENT"));
        let game = &dashboard["games"][0];
        assert_eq!(game["rounds"], sum("rounds"));
        assert_eq!(game["players"], people(Some("COIN_FLIP")));
        let win_rate = game["winRate"].as_f64().expect("a number");
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (wins, rounds) = (sum("wins") as f64, sum("rounds").max(1) as f64);
        assert!((win_rate - wins / rounds).abs() < 1e-9);
        let coins = &dashboard["coins"];
        assert_eq!(coins[1]["credited"], sum("GAME_REWARD"));
        assert_eq!(coins[2]["credited"], sum("ADJUSTMENT"));
        assert_eq!(coins[2]["debited"], sum("ADJUSTMENT debited"));
    }

    /// When each message reached its status.
    async fn messages(&self) -> Vec<(Timestamp, String)> {
        let db = self.instances[0].app.platform.database.reads();
        let sql = "SELECT state_at, status FROM messages WHERE status NOT IN ('QUEUED', 'SENDING')";
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(statement).await.expect("rows");
        let row = |row: &sea_orm::QueryResult| {
            (row.try_get_by_index(0).expect("a time"), row.try_get_by_index(1).expect("a status"))
        };
        rows.iter().map(row).collect()
    }
}

type BoxedJob<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Timestamp>>> + Send + 'a>>;

#[tokio::test(flavor = "multi_thread")]
async fn any_history_gives_the_figures_of_a_plain_count() {
    on_each_shared_database(async |database| {
        let history = History::start(database).await;
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&steps(), |steps| {
            let case = async {
                for step in steps {
                    history.run_step(step).await;
                }
                history.assert_as_counted().await;
            };
            block_in_place(|| Handle::current().block_on(case));
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    })
    .await;
}
