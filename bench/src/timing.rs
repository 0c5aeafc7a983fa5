//! Benchmark of timing side channels: whether response times reveal that an account exists.
//!
//! Sends one request at a time over one connection. Each round measures every class of identifiers once, in random
//! order, so that other load affects all classes alike.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::clock::{now, sleep};
use crate::environment::{self, DATABASE};
use crate::gateway::Gateway;
use crate::http::{Connection, graphql};
use crate::report::{self, median, row, table};
use crate::server::Server;
use crate::statistics::{Estimate, Pair, difference, estimate, halves, superiority};
use crate::test_accounts::{self, AccountKind, str_at};
use crate::users::{self, PASSWORD};

/// Rounds before the measured ones.
const WARM_UP_ROUNDS: usize = 50;
/// How many accounts of each kind log in, in turn.
const LOGIN_ACCOUNTS: usize = 16;
/// How many accounts get wrong codes in one batch.
const CODE_BATCH_SIZE: usize = 20;
/// Switchboard's limit of wrong codes per identifier and hour.
const MAX_TRIES: usize = 5;
/// Few rounds are enough for sign-ups, which say openly whether an identifier is taken.
const MAX_SIGNUP_ROUNDS: usize = 300;
/// The pause in which the background worker sends the code, before the next measurement.
const WORKER_DURATION: Duration = Duration::from_millis(25);

/// The classes of `forgotPassword`.
const FORGOT_PASSWORD_KINDS: [AccountKind; 3] =
    [AccountKind::WithPhone, AccountKind::WithoutPhone, AccountKind::NoAccount];
const MICROS_PER_DAY: f64 = 24.0 * 3600.0 * 1e6;

const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const FORGOT_PASSWORD: &str = "mutation ($identifier: String!) {
  forgotPassword(identifier: $identifier) { id purpose destination expiresAt resendAt delivery }
}";
const FORGOT_PASSWORD_TIMES_FOUR: &str = "
mutation ($first: String!, $second: String!, $third: String!, $last: String!) {
  first: forgotPassword(identifier: $first) { resendAt }
  second: forgotPassword(identifier: $second) { resendAt }
  third: forgotPassword(identifier: $third) { resendAt }
  last: forgotPassword(identifier: $last) { resendAt }
}";
const RESET_PASSWORD: &str = "mutation ($input: ResetPasswordInput!) {
  resetPassword(input: $input) { ... on AuthTokens { accessToken } }
}";
const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken } }
}";

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How often each class is measured.
    #[arg(long, default_value_t = 500)]
    samples: usize,
    /// Use SQLite instead of PostgreSQL.
    #[arg(long)]
    sqlite: bool,
    /// The seed of the random order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    const NAME: &str = "Timing: known and unknown accounts";
    let gateway = Gateway::start().await?;
    let settings = [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", gateway.url.as_str()),
        ("SMS_HTTP_ID_PATH", "id"),
    ];
    let postgres = match options.sqlite {
        true => {
            report::print_environment(NAME, "SQLite");
            None
        }
        false => Some(environment::start_database(NAME).await?),
    };
    let url = postgres.as_ref().map(|postgres| postgres.url(DATABASE));
    let url = url.as_deref().unwrap_or("sqlite://bench.sqlite");
    let server = Server::start(binary, url, &settings).await?;
    if let Some(postgres) = &postgres {
        users::seed_users(&server, &postgres.connect(DATABASE).await?).await?;
    }
    let rounds = WARM_UP_ROUNDS + options.samples;
    let batches = rounds.div_ceil(MAX_TRIES * CODE_BATCH_SIZE);
    let counts = [
        (AccountKind::TwoFactor, LOGIN_ACCOUNTS),
        (AccountKind::WithPhone, rounds),
        (AccountKind::WithoutPhone, rounds),
        (AccountKind::WithPhoneForGuesses, batches * CODE_BATCH_SIZE),
    ];
    test_accounts::sign_up(&server, &gateway, &counts).await?;

    let connection = Connection::open(server.address).await?;
    let mut timer = Timer { connection, random: fastrand::Rng::with_seed(options.seed) };
    let mut comparisons = measure_logins(&mut timer, rounds).await?;
    comparisons.extend(measure_forgot_password(&mut timer, rounds).await?);
    comparisons.extend(measure_followed_forgot_password(&mut timer, rounds).await?);
    comparisons.extend(measure_wrong_codes(&mut timer, &gateway, batches).await?);
    comparisons.extend(
        measure_signups(&mut timer, WARM_UP_ROUNDS + MAX_SIGNUP_ROUNDS.min(options.samples))
            .await?,
    );
    print(&comparisons, &mut timer.random);
    Ok(())
}

/// The times of two classes, in pairs by round.
struct Comparison {
    name: &'static str,
    classes: &'static str,
    pairs: Vec<Pair>,
}

impl Comparison {
    fn new(name: &'static str, classes: &'static str, first: &[f64], second: &[f64]) -> Self {
        let pairs =
            first.iter().copied().zip(second.iter().copied()).skip(WARM_UP_ROUNDS).collect();
        Self { name, classes, pairs }
    }

    /// Compares the two halves of the unknown class, to show the noise.
    fn noise(name: &'static str, class: &[f64]) -> Self {
        let pairs = halves(class.get(WARM_UP_ROUNDS..).unwrap_or_default());
        Self { name, classes: "two halves of unknown", pairs }
    }
}

async fn measure_logins(timer: &mut Timer, rounds: usize) -> Result<Vec<Comparison>> {
    const NAME: &str = "`login`, wrong password";
    let kinds = [AccountKind::WithoutPhone, AccountKind::TwoFactor, AccountKind::NoAccount];
    let [[known, two_factor, unknown]] = timer
        .measure_rounds(rounds, async |timer, class: usize, round| {
            let nickname = kinds[class].nickname(round % LOGIN_ACCOUNTS);
            let input = json!({ "identifier": nickname, "password": "five wrong red kites" });
            Ok([timer.time_error(LOGIN, &input, "INVALID_CREDENTIALS").await?])
        })
        .await?;
    Ok(vec![
        Comparison::new(NAME, "known, unknown", &known, &unknown),
        Comparison::new(NAME, "known with two-factor on, unknown", &two_factor, &unknown),
        Comparison::noise(NAME, &unknown),
    ])
}

/// Measures a first request, and a repeated one within the resend delay, after the worker has finished.
async fn measure_forgot_password(timer: &mut Timer, rounds: usize) -> Result<Vec<Comparison>> {
    const NAMES: [&str; 2] =
        ["`forgotPassword`", "`forgotPassword`, the same again within the wait"];
    let durations: [[Vec<f64>; 3]; 2] = timer
        .measure_rounds(rounds, async |timer, class: usize, round| {
            let identifier = identifier(FORGOT_PASSWORD_KINDS[class], round);
            let first = timer.forgot_password(&identifier).await?.0;
            sleep(WORKER_DURATION).await;
            let again = timer.forgot_password(&identifier).await?.0;
            Ok([first, again])
        })
        .await?;
    Ok(compare_forgot_password(NAMES, &durations))
}

/// Measures a request followed by three unknown identifiers in the same document, so that the worker runs meanwhile.
/// Measured by the client, and by the server's clock, which the responses contain.
async fn measure_followed_forgot_password(
    timer: &mut Timer,
    rounds: usize,
) -> Result<Vec<Comparison>> {
    const NAMES: [&str; 2] = [
        "`forgotPassword` and those of three strangers, in one document",
        "the same by its `resendAt`, from the first to the last",
    ];
    let durations: [[Vec<f64>; 3]; 2] = timer
        .measure_rounds(rounds, async |timer, class: usize, round| {
            let unknown_identifier = |number: usize| format!("other{round:05}{class}{number}");
            let variables = json!({
                "first": identifier(FORGOT_PASSWORD_KINDS[class], rounds + round),
                "second": unknown_identifier(2), "third": unknown_identifier(3), "last": unknown_identifier(4),
            });
            let (latency, response) = timer.time(FORGOT_PASSWORD_TIMES_FOUR, &variables, None).await?;
            let micros_at = |path| micros_of_day(str_at(&response, path)?).context("a moment");
            let elapsed = micros_at("/data/last/resendAt")? - micros_at("/data/first/resendAt")?;
            sleep(WORKER_DURATION).await;
            Ok([latency, elapsed.rem_euclid(MICROS_PER_DAY)])
        })
        .await?;
    Ok(compare_forgot_password(NAMES, &durations))
}

/// Each account is identified once by its nickname and once by its e-mail address.
fn identifier(kind: AccountKind, index: usize) -> String {
    match index % 2 {
        0 => kind.nickname(index / 2),
        _ => kind.email(index / 2),
    }
}

fn compare_forgot_password(
    names: [&'static str; 2],
    durations: &[[Vec<f64>; 3]; 2],
) -> Vec<Comparison> {
    let comparisons =
        names.into_iter().zip(durations).flat_map(|(name, [with, without, unknown])| {
            [
                Comparison::new(name, "with a phone, unknown", with, unknown),
                Comparison::new(name, "without a phone, unknown", without, unknown),
                Comparison::noise(name, unknown),
            ]
        });
    comparisons.collect()
}

/// Converts an RFC 3339 timestamp in UTC to microseconds since midnight.
fn micros_of_day(timestamp: &str) -> Option<f64> {
    let (_, time) = timestamp.strip_suffix('Z')?.split_once('T')?;
    let parts: Vec<f64> = time.split(':').map_while(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = parts.try_into().ok()?;
    Some((hours * 3600.0 + minutes * 60.0 + seconds) * 1e6)
}

/// Measures wrong codes, up to the limit of each account by its first identifier, then the same number by its second
/// identifier, when no tries are left.
async fn measure_wrong_codes(
    timer: &mut Timer,
    gateway: &Gateway,
    batches: usize,
) -> Result<Vec<Comparison>> {
    const NAME: &str = "`resetPassword`, wrong code";
    const SECOND_NAME: &str = "the same by another identifier, all tries of the account used up";
    let mut durations: [[Vec<f64>; 2]; 2] = Default::default();
    for batch in 0..batches {
        let numbers = batch * CODE_BATCH_SIZE..(batch + 1) * CODE_BATCH_SIZE;
        // Unknown identifiers first: when the last account's code has arrived, the worker has finished.
        let mut challenges: [[Vec<String>; 2]; 2] = Default::default();
        for (class, kind) in [(1, AccountKind::NoAccount), (0, AccountKind::WithPhoneForGuesses)] {
            for number in numbers.clone() {
                // Not the identifiers of the earlier measurements.
                let number = number + if kind == AccountKind::NoAccount { 50_000 } else { 0 };
                let [first, second] = [kind.nickname(number), kind.email(number)];
                challenges[0][class].push(timer.forgot_password(&first).await?.1);
                challenges[1][class].push(timer.forgot_password(&second).await?.1);
            }
        }
        for number in numbers {
            let phone = AccountKind::WithPhoneForGuesses.phone(number).unwrap_or_default();
            // Skips the codes of the sign-up and of the first identifier.
            gateway.wait_for_code(&phone, 2).await?;
        }
        sleep(WORKER_DURATION).await;
        for (durations, challenges) in durations.iter_mut().zip(&challenges) {
            let [batch_times] = timer
                .measure_rounds(MAX_TRIES * CODE_BATCH_SIZE, async |timer, class: usize, round| {
                    let challenge = &challenges[class][round % CODE_BATCH_SIZE];
                    let verification = json!({ "challengeId": challenge, "code": "000000" });
                    let input = json!({ "verification": verification, "newPassword": PASSWORD });
                    Ok([timer.time_error(RESET_PASSWORD, &input, "CODE_INVALID").await?])
                })
                .await?;
            for (all, batch) in durations.iter_mut().zip::<[_; 2]>(batch_times) {
                all.extend(batch);
            }
        }
    }
    let [[known, unknown], [known_by_another, unknown_by_another]] = &durations;
    Ok(vec![
        Comparison::new(NAME, "known, unknown", known, unknown),
        Comparison::noise(NAME, unknown),
        Comparison::new(SECOND_NAME, "known, unknown", known_by_another, unknown_by_another),
        Comparison::noise(SECOND_NAME, unknown_by_another),
    ])
}

async fn measure_signups(timer: &mut Timer, rounds: usize) -> Result<Vec<Comparison>> {
    const NAME: &str = "`signup`, which says so";
    let [[taken, free]] = timer
        .measure_rounds(rounds, async |timer, class: usize, round| {
            let (nickname, expected_code) = match class {
                0 => (
                    AccountKind::WithPhone.nickname(round % LOGIN_ACCOUNTS),
                    Some("IDENTIFIER_TAKEN"),
                ),
                _ => (format!("fresh{round:05}"), None),
            };
            let input = json!({ "nickname": nickname, "password": PASSWORD });
            Ok([timer.time(SIGNUP, &json!({ "input": input }), expected_code).await?.0])
        })
        .await?;
    Ok(vec![Comparison::new(NAME, "taken, free", &taken, &free)])
}

/// Sends requests and measures their response times.
struct Timer {
    connection: Connection,
    random: fastrand::Rng,
}

impl Timer {
    /// Measures each class once per round, in random order. Returns the times by measurement, class and round.
    async fn measure_rounds<const CLASSES: usize, const TIMES: usize>(
        &mut self,
        rounds: usize,
        measure: impl AsyncFn(&mut Self, usize, usize) -> Result<[f64; TIMES]>,
    ) -> Result<[[Vec<f64>; CLASSES]; TIMES]> {
        let mut measured = std::array::from_fn(|_| std::array::from_fn(|_| Vec::new()));
        for round in 0..rounds {
            let mut order: [usize; CLASSES] = std::array::from_fn(|class| class);
            self.random.shuffle(&mut order);
            for class in order {
                let durations = measure(self, class, round).await?;
                for (times_by_class, time) in measured.iter_mut().zip(durations) {
                    let times_by_class: &mut [Vec<f64>; CLASSES] = times_by_class;
                    times_by_class[class].push(time);
                }
            }
        }
        Ok(measured)
    }

    /// Sends a request, which must give this error code, or none. Returns the microseconds and the response.
    async fn time(
        &mut self,
        document: &str,
        variables: &Value,
        expected_code: Option<&str>,
    ) -> Result<(f64, Value)> {
        let request = graphql(document, variables, None)?;
        let started_at = now();
        let (_, body) = self.connection.send(request).await?;
        let latency = now() - started_at;
        let response: Value = serde_json::from_slice(&body)?;
        let code = response.pointer("/errors/0/extensions/code").and_then(Value::as_str);
        ensure!(code == expected_code, "{expected_code:?} was expected: {response}");
        Ok((latency.as_secs_f64() * 1e6, response))
    }

    async fn time_error(
        &mut self,
        document: &str,
        input: &Value,
        expected_code: &str,
    ) -> Result<f64> {
        Ok(self.time(document, &json!({ "input": input }), Some(expected_code)).await?.0)
    }

    /// Requests a code. Returns the microseconds and the challenge's id.
    async fn forgot_password(&mut self, identifier: &str) -> Result<(f64, String)> {
        let variables = json!({ "identifier": identifier });
        let (latency, response) = self.time(FORGOT_PASSWORD, &variables, None).await?;
        Ok((latency, str_at(&response, "/data/forgotPassword/id")?.to_owned()))
    }
}

fn print(comparisons: &[Comparison], random: &mut fastrand::Rng) {
    let interval = |Estimate { value, low, high }: Estimate, digits: usize| {
        format!("{value:.digits$} ({low:.digits$} to {high:.digits$})")
    };
    let mut rows = vec![row([
        &"answer",
        &"first, second",
        &"samples",
        &"medians, ms",
        &"difference, µs (95 %)",
        &"first is slower, share (95 %)",
    ])];
    rows.extend(comparisons.iter().map(|Comparison { name, classes, pairs }| {
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        row([
            name,
            classes,
            &pairs.len(),
            &format!("{:.2}, {:.2}", median(first) / 1e3, median(second) / 1e3),
            &interval(estimate(pairs, random, difference), 0),
            &interval(estimate(pairs, random, superiority), 3),
        ])
    }));
    table(&rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_parsed_to_the_microsecond() {
        let micros = |text| micros_of_day(text).map(|micros| (micros * 10.0).round() / 10.0);
        assert_eq!(micros("2026-11-21T08:30:01.000001Z"), Some(30_601_000_001.0));
        assert_eq!(micros("2026-11-21T00:00:00Z"), Some(0.0));
        assert_eq!(micros("2026-11-21T08:30"), None);
    }
}
