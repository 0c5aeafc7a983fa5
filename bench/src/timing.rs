//! Timing: whether the time of an answer tells an account that there is from one that there is not.
//!
//! One request at a time over one connection. In each round every class is asked once, in an order that is
//! drawn, so that whatever else goes on meets all of them alike.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cast::{self, Kind, text};
use crate::clock::{now, sleep};
use crate::gateway::Gateway;
use crate::http::{Connection, graphql};
use crate::people::{self, PASSWORD};
use crate::product::Product;
use crate::report::{self, median, row, table};
use crate::stage::{self, DATABASE};
use crate::statistics::{Estimate, Pair, difference, estimate, halves, superiority};

/// Rounds before those that count.
const WARM_UP: usize = 50;
/// How many accounts log in, by turns; and as many that there are not.
const WHO_LOG_IN: usize = 16;
/// How many accounts have their codes guessed at the same time.
const BATCH: usize = 20;
/// Tries at the codes of one identifier in an hour.
const TRIES: usize = 5;
/// Most rounds of sign-ups, which say in words whether an identifier is taken.
const SIGNUPS: usize = 300;
/// How long the worker that sends codes after the answer has, before anything else is measured.
const REST: Duration = Duration::from_millis(25);

/// Who forgot a password.
const FORGETFUL: [Kind; 3] = [Kind::WithPhone, Kind::WithoutPhone, Kind::Nobody];
const MICROS_OF_A_DAY: f64 = 24.0 * 3600.0 * 1e6;

const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const FORGOT: &str = "mutation ($identifier: String!) {
  forgotPassword(identifier: $identifier) { id purpose destination expiresAt resendAt delivery }
}";
const FORGOT_BY_FOUR: &str = "
mutation ($first: String!, $second: String!, $third: String!, $last: String!) {
  first: forgotPassword(identifier: $first) { resendAt }
  second: forgotPassword(identifier: $second) { resendAt }
  third: forgotPassword(identifier: $third) { resendAt }
  last: forgotPassword(identifier: $last) { resendAt }
}";
const RESET: &str = "mutation ($input: ResetPasswordInput!) {
  resetPassword(input: $input) { ... on AuthTokens { accessToken } }
}";
const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken } }
}";

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each class is asked.
    #[arg(long, default_value_t = 500)]
    samples: usize,
    /// On SQLite, not on PostgreSQL.
    #[arg(long)]
    sqlite: bool,
    /// What the order is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
///
/// # Errors
/// When an answer is not the expected one.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    const NAME: &str = "Timing: known and unknown accounts";
    let gateway = Gateway::start().await?;
    let settings = [
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", gateway.url.as_str()),
        ("SMS_HTTP_ID_PATH", "id"),
    ];
    let postgres = match options.sqlite {
        true => {
            report::circumstances(NAME, "SQLite");
            None
        }
        false => Some(stage::database(NAME).await?),
    };
    let url = postgres.as_ref().map(|postgres| postgres.url(DATABASE));
    let url = url.as_deref().unwrap_or("sqlite://bench.sqlite");
    let product = Product::start(server, url, &settings).await?;
    if let Some(postgres) = &postgres {
        people::settle(&product, &postgres.connect(DATABASE).await?).await?;
    }
    let rounds = WARM_UP + options.samples;
    let batches = rounds.div_ceil(TRIES * BATCH);
    let counts = [
        (Kind::TwoFactored, WHO_LOG_IN),
        (Kind::WithPhone, rounds),
        (Kind::WithoutPhone, rounds),
        (Kind::Guessed, batches * BATCH),
    ];
    cast::sign_up(&product, &gateway, &counts).await?;

    let connection = Connection::open(product.address).await?;
    let mut meter = Meter { connection, random: fastrand::Rng::with_seed(options.seed) };
    let mut compared = logins(&mut meter, rounds).await?;
    compared.extend(forgotten(&mut meter, rounds).await?);
    compared.extend(followed(&mut meter, rounds).await?);
    compared.extend(guesses(&mut meter, &gateway, batches).await?);
    compared.extend(signups(&mut meter, WARM_UP + SIGNUPS.min(options.samples)).await?);
    print(&compared, &mut meter.random);
    Ok(())
}

/// Two classes, round by round.
struct Compared {
    what: &'static str,
    classes: &'static str,
    pairs: Vec<Pair>,
}

impl Compared {
    fn new(what: &'static str, classes: &'static str, first: &[f64], second: &[f64]) -> Self {
        let pairs = first.iter().copied().zip(second.iter().copied()).skip(WARM_UP).collect();
        Self { what, classes, pairs }
    }

    /// A class that there is not beside itself.
    fn noise(what: &'static str, class: &[f64]) -> Self {
        let pairs = halves(class.get(WARM_UP..).unwrap_or_default());
        Self { what, classes: "two halves of unknown", pairs }
    }
}

async fn logins(meter: &mut Meter, rounds: usize) -> Result<Vec<Compared>> {
    const WHAT: &str = "`login`, wrong password";
    let kinds = [Kind::WithoutPhone, Kind::TwoFactored, Kind::Nobody];
    let [[known, two_factored, unknown]] = meter
        .rounds(rounds, async |meter, class: usize, round| {
            let nickname = kinds[class].nickname(round % WHO_LOG_IN);
            let input = json!({ "identifier": nickname, "password": "five wrong red kites" });
            Ok([meter.fails(LOGIN, &input, "INVALID_CREDENTIALS").await?])
        })
        .await?;
    Ok(vec![
        Compared::new(WHAT, "known, unknown", &known, &unknown),
        Compared::new(WHAT, "known with two-factor on, unknown", &two_factored, &unknown),
        Compared::noise(WHAT, &unknown),
    ])
}

/// A first ask, and the same again within the wait, when the worker is through.
async fn forgotten(meter: &mut Meter, rounds: usize) -> Result<Vec<Compared>> {
    const TIMES: [&str; 2] =
        ["`forgotPassword`", "`forgotPassword`, the same again within the wait"];
    let times: [[Vec<f64>; 3]; 2] = meter
        .rounds(rounds, async |meter, class: usize, round| {
            let identifier = identifier(FORGETFUL[class], round);
            let first = meter.forgot(&identifier).await?.0;
            sleep(REST).await;
            let again = meter.forgot(&identifier).await?.0;
            Ok([first, again])
        })
        .await?;
    Ok(of_forgetful(TIMES, &times))
}

/// A first ask and those of strangers behind it, in one document: the worker comes in between. Measured from
/// outside, and by the server's own clock, which every answer shows.
async fn followed(meter: &mut Meter, rounds: usize) -> Result<Vec<Compared>> {
    const TIMES: [&str; 2] = [
        "`forgotPassword` and those of three strangers, in one document",
        "the same by its `resendAt`, from the first to the last",
    ];
    let times: [[Vec<f64>; 3]; 2] = meter
        .rounds(rounds, async |meter, class: usize, round| {
            let stranger = |number: usize| format!("other{round:05}{class}{number}");
            let variables = json!({
                "first": identifier(FORGETFUL[class], rounds + round),
                "second": stranger(2), "third": stranger(3), "last": stranger(4),
            });
            let (took, answer) = meter.time(FORGOT_BY_FOUR, &variables, None).await?;
            let at = |path| micros_of_day(text(&answer, path)?).context("a moment");
            let shown = at("/data/last/resendAt")? - at("/data/first/resendAt")?;
            sleep(REST).await;
            Ok([took, shown.rem_euclid(MICROS_OF_A_DAY)])
        })
        .await?;
    Ok(of_forgetful(TIMES, &times))
}

/// Each account is asked for by its nickname and by its e-mail address.
fn identifier(kind: Kind, place: usize) -> String {
    match place % 2 {
        0 => kind.nickname(place / 2),
        _ => kind.email(place / 2),
    }
}

fn of_forgetful(times: [&'static str; 2], measured: &[[Vec<f64>; 3]; 2]) -> Vec<Compared> {
    let of_time = times.into_iter().zip(measured).flat_map(|(what, [with, without, unknown])| {
        [
            Compared::new(what, "with a phone, unknown", with, unknown),
            Compared::new(what, "without a phone, unknown", without, unknown),
            Compared::noise(what, unknown),
        ]
    });
    of_time.collect()
}

/// Of a moment as RFC 3339 writes it, in UTC.
fn micros_of_day(moment: &str) -> Option<f64> {
    let (_, time) = moment.strip_suffix('Z')?.split_once('T')?;
    let parts: Vec<f64> = time.split(':').map_while(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = parts.try_into().ok()?;
    Some((hours * 3600.0 + minutes * 60.0 + seconds) * 1e6)
}

/// Wrong codes: as many as are looked at by the first identifier of each, then as many by the second, when
/// those of the account are used up.
async fn guesses(meter: &mut Meter, gateway: &Gateway, batches: usize) -> Result<Vec<Compared>> {
    const WHAT: &str = "`resetPassword`, wrong code";
    const THEN: &str = "the same by another identifier, all tries of the account used up";
    let mut times: [[Vec<f64>; 2]; 2] = Default::default();
    for batch in 0..batches {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        // Nobody's first: when the last account's code has come, the worker is through with all.
        let mut challenges: [[Vec<String>; 2]; 2] = Default::default();
        for (class, kind) in [(1, Kind::Nobody), (0, Kind::Guessed)] {
            for number in numbers.clone() {
                // Others than those that were asked for before.
                let number = number + if kind == Kind::Nobody { 50_000 } else { 0 };
                let [first, second] = [kind.nickname(number), kind.email(number)];
                challenges[0][class].push(meter.forgot(&first).await?.1);
                challenges[1][class].push(meter.forgot(&second).await?.1);
            }
        }
        for number in numbers {
            let phone = Kind::Guessed.phone(number).unwrap_or_default();
            // After that of the sign-up, and that by the first identifier.
            gateway.code(&phone, 2).await?;
        }
        sleep(REST).await;
        for (times, challenges) in times.iter_mut().zip(&challenges) {
            let [of_batch] = meter
                .rounds(TRIES * BATCH, async |meter, class: usize, round| {
                    let challenge = &challenges[class][round % BATCH];
                    let verification = json!({ "challengeId": challenge, "code": "000000" });
                    let input = json!({ "verification": verification, "newPassword": PASSWORD });
                    Ok([meter.fails(RESET, &input, "CODE_INVALID").await?])
                })
                .await?;
            for (all, some) in times.iter_mut().zip::<[_; 2]>(of_batch) {
                all.extend(some);
            }
        }
    }
    let [[known, unknown], [known_by_another, unknown_by_another]] = &times;
    Ok(vec![
        Compared::new(WHAT, "known, unknown", known, unknown),
        Compared::noise(WHAT, unknown),
        Compared::new(THEN, "known, unknown", known_by_another, unknown_by_another),
        Compared::noise(THEN, unknown_by_another),
    ])
}

async fn signups(meter: &mut Meter, rounds: usize) -> Result<Vec<Compared>> {
    const WHAT: &str = "`signup`, which says so";
    let [[taken, free]] = meter
        .rounds(rounds, async |meter, class: usize, round| {
            let (nickname, refused) = match class {
                0 => (Kind::WithPhone.nickname(round % WHO_LOG_IN), Some("IDENTIFIER_TAKEN")),
                _ => (format!("fresh{round:05}"), None),
            };
            let input = json!({ "nickname": nickname, "password": PASSWORD });
            Ok([meter.time(SIGNUP, &json!({ "input": input }), refused).await?.0])
        })
        .await?;
    Ok(vec![Compared::new(WHAT, "taken, free", &taken, &free)])
}

/// Asks, and looks at the clock.
struct Meter {
    connection: Connection,
    random: fastrand::Rng,
}

impl Meter {
    /// Asks each class once a round, in an order that is drawn for it. Answers what was measured, the class
    /// within it, and its rounds.
    async fn rounds<const CLASSES: usize, const TIMES: usize>(
        &mut self,
        rounds: usize,
        ask: impl AsyncFn(&mut Self, usize, usize) -> Result<[f64; TIMES]>,
    ) -> Result<[[Vec<f64>; CLASSES]; TIMES]> {
        let mut measured = std::array::from_fn(|_| std::array::from_fn(|_| Vec::new()));
        for round in 0..rounds {
            let mut order: [usize; CLASSES] = std::array::from_fn(|class| class);
            self.random.shuffle(&mut order);
            for class in order {
                let times = ask(self, class, round).await?;
                for (of_time, time) in measured.iter_mut().zip(times) {
                    let of_class: &mut [Vec<f64>; CLASSES] = of_time;
                    of_class[class].push(time);
                }
            }
        }
        Ok(measured)
    }

    /// How long an answer takes, in microseconds, which must be this failure or none.
    async fn time(
        &mut self,
        document: &str,
        variables: &Value,
        failure: Option<&str>,
    ) -> Result<(f64, Value)> {
        let request = graphql(document, variables, None)?;
        let began = now();
        let (_, body) = self.connection.send(request).await?;
        let took = now() - began;
        let answer: Value = serde_json::from_slice(&body)?;
        let code = answer.pointer("/errors/0/extensions/code").and_then(Value::as_str);
        ensure!(code == failure, "{failure:?} was expected: {answer}");
        Ok((took.as_secs_f64() * 1e6, answer))
    }

    async fn fails(&mut self, document: &str, input: &Value, failure: &str) -> Result<f64> {
        Ok(self.time(document, &json!({ "input": input }), Some(failure)).await?.0)
    }

    /// Asks for a code, and answers the challenge's id too.
    async fn forgot(&mut self, identifier: &str) -> Result<(f64, String)> {
        let variables = json!({ "identifier": identifier });
        let (took, answer) = self.time(FORGOT, &variables, None).await?;
        Ok((took, text(&answer, "/data/forgotPassword/id")?.to_owned()))
    }
}

fn print(compared: &[Compared], random: &mut fastrand::Rng) {
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
    rows.extend(compared.iter().map(|Compared { what, classes, pairs }| {
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        row([
            what,
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
    fn moments_are_read_to_the_microsecond() {
        let of = |text| micros_of_day(text).map(|micros| (micros * 10.0).round() / 10.0);
        assert_eq!(of("2026-11-21T08:30:01.000001Z"), Some(30_601_000_001.0));
        assert_eq!(of("2026-11-21T00:00:00Z"), Some(0.0));
        assert_eq!(of("2026-11-21T08:30"), None);
    }
}
