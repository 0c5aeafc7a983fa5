//! P7: logins beside the bare rate of hashes, and what a light probe feels meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use argon2::{Argon2, Block};
use serde_json::json;

use crate::clock::now;
use crate::http::graphql;
use crate::load::{Shot, at_full_speed, at_pace};
use crate::people::{PASSWORD, asking_for_me};
use crate::report::{median, percentile, row, table};
use crate::stage::Stage;

const PROBES_PER_SECOND: u32 = 50;
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken refreshToken } }
}";

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each is measured, by turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// For how many seconds each time.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How many log in at once.
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// Measures and prints.
///
/// # Errors
/// When an answer is wrong.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("P7: logins", server, &[]).await?;
    let (address, process) = (stage.product.address, stage.product.process);
    let duration = Duration::from_secs(options.seconds);
    let probes = asking_for_me(&stage.product, &stage.people).await?;
    let logins = stage.people.iter().map(|person| {
        let input = json!({ "identifier": person.nickname, "password": PASSWORD });
        Ok(Shot { request: graphql(LOGIN, &json!({ "input": input }), None)?, expected: None })
    });
    let logins: Arc<[Shot]> = logins.collect::<Result<Vec<_>>>()?.into();

    at_full_speed(address, &logins, options.connections, duration.div_f64(4.0)).await?;
    at_pace(address, &probes, PROBES_PER_SECOND, duration.div_f64(4.0)).await?;
    let (mut hash_rates, mut login_rates, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut alone, mut meanwhile, mut waits) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let hashes = tokio::task::spawn_blocking(move || hashes_per_second(duration)).await?;
        alone.extend(at_pace(address, &probes, PROBES_PER_SECOND, duration).await?.latencies);
        let before = process.cpu()?;
        let (done, felt) = tokio::try_join!(
            at_full_speed(address, &logins, options.connections, duration),
            at_pace(address, &probes, PROBES_PER_SECOND, duration),
        )?;
        cpu.push(process.cpu_since(before)?.as_secs_f64() * 1e3 / done.count());
        meanwhile.extend(felt.latencies);
        hash_rates.push(hashes);
        login_rates.push(done.rate());
        shares.push(done.rate() / hashes);
        waits.extend(done.latencies);
    }

    let named = |what: &dyn std::fmt::Display, value: String| row([what, &value]);
    table(&[
        named(&"figure", "median of the rounds".into()),
        named(
            &"bare hashes a second, as many threads as cores",
            format!("{:.0}", median(hash_rates)),
        ),
        named(&"logins a second", format!("{:.0}", median(login_rates))),
        named(
            &"logins, share of the hashes",
            format!("{:.0} % (target: at least 85 %)", 100.0 * median(shares)),
        ),
        named(&"server CPU a login, probes included", format!("{:.1} ms", median(cpu))),
        named(
            &format!("a login's p50 and p99, {} at once", options.connections),
            format!("{:.0} and {:.0} ms", percentile(&waits, 0.5), percentile(&waits, 0.99)),
        ),
    ]);
    let of = |latencies: &[Duration]| {
        [0.5, 0.9, 0.99].map(|share| format!("{:.2}", percentile(latencies, share)))
    };
    let ([a50, a90, a99], [m50, m90, m99]) = (of(&alone), of(&meanwhile));
    table(&[
        row([&"P1, 50 a second", &"answers", &"p50 ms", &"p90 ms", &"p99 ms"]),
        row([&"alone", &alone.len(), &a50, &a90, &a99]),
        row([&"while people log in", &meanwhile.len(), &m50, &m90, &m99]),
    ]);
    let ratio = percentile(&meanwhile, 0.99) / percentile(&alone, 0.99);
    println!("p99 meanwhile, a multiple of that alone: {ratio:.1} (target: at most 2)");
    Ok(())
}

/// As many threads as there are cores, each with its memory, doing nothing but argon2id at the product's
/// parameters (m=19456, t=2, p=1).
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn hashes_per_second(duration: Duration) -> f64 {
    let began = now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let argon2 = Argon2::default();
                    let mut memory = vec![Block::default(); argon2.params().block_count()];
                    let mut done = 0;
                    while now() - began < duration {
                        let mut output = [0; 32];
                        argon2
                            .hash_password_into_with_memory(
                                PASSWORD.as_bytes(),
                                &[7; 16],
                                &mut output,
                                &mut memory,
                            )
                            .expect("the parameters are good");
                        std::hint::black_box(output);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no hash fails")).sum()
    });
    done as f64 / (now() - began).as_secs_f64()
}
