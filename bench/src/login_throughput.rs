//! Benchmark P7: logins compared with the bare rate of password hashes, and the latency of other requests meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use argon2::{Argon2, Block};
use serde_json::json;

use crate::clock::now;
use crate::environment::Environment;
use crate::http::graphql;
use crate::load::{LoadRequest, at_fixed_rate, at_full_speed};
use crate::report::{median, percentile, row, table};
use crate::users::{PASSWORD, me_requests};

const PROBES_PER_SECOND: u32 = 50;
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken refreshToken } }
}";

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many rounds: each measures both in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How many logins run concurrently.
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment = Environment::start("P7: logins", binary, &[]).await?;
    let (address, process) = (environment.server.address, environment.server.process);
    let duration = Duration::from_secs(options.seconds);
    let probes = me_requests(&environment.server, &environment.users).await?;
    let logins = environment.users.iter().map(|user| {
        let input = json!({ "identifier": user.nickname, "password": PASSWORD });
        Ok(LoadRequest {
            request: graphql(LOGIN, &json!({ "input": input }), None)?,
            expected: None,
        })
    });
    let logins: Arc<[LoadRequest]> = logins.collect::<Result<Vec<_>>>()?.into();

    at_full_speed(address, &logins, options.connections, duration.div_f64(4.0)).await?;
    at_fixed_rate(address, &probes, PROBES_PER_SECOND, duration.div_f64(4.0)).await?;
    let (mut hash_rates, mut login_rates, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu_time, mut alone, mut during_logins, mut login_latencies) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let hashes = tokio::task::spawn_blocking(move || hashes_per_second(duration)).await?;
        alone.extend(at_fixed_rate(address, &probes, PROBES_PER_SECOND, duration).await?.latencies);
        let before = process.cpu_time()?;
        let (login_result, probe_result) = tokio::try_join!(
            at_full_speed(address, &logins, options.connections, duration),
            at_fixed_rate(address, &probes, PROBES_PER_SECOND, duration),
        )?;
        cpu_time.push(process.cpu_since(before)?.as_secs_f64() * 1e3 / login_result.count());
        during_logins.extend(probe_result.latencies);
        hash_rates.push(hashes);
        login_rates.push(login_result.rate());
        shares.push(login_result.rate() / hashes);
        login_latencies.extend(login_result.latencies);
    }

    let figure_row = |name: &dyn std::fmt::Display, value: String| row([name, &value]);
    table(&[
        figure_row(&"figure", "median of the rounds".into()),
        figure_row(
            &"bare hashes a second, as many threads as cores",
            format!("{:.0}", median(hash_rates)),
        ),
        figure_row(&"logins a second", format!("{:.0}", median(login_rates))),
        figure_row(
            &"logins, share of the hashes",
            format!("{:.0} % (target: at least 85 %)", 100.0 * median(shares)),
        ),
        figure_row(&"server CPU a login, probes included", format!("{:.1} ms", median(cpu_time))),
        figure_row(
            &format!("a login's p50 and p99, {} at once", options.connections),
            format!(
                "{:.0} and {:.0} ms",
                percentile(&login_latencies, 0.5),
                percentile(&login_latencies, 0.99)
            ),
        ),
    ]);
    let percentiles = |latencies: &[Duration]| {
        [0.5, 0.9, 0.99].map(|share| format!("{:.2}", percentile(latencies, share)))
    };
    let ([alone50, alone90, alone99], [during50, during90, during99]) =
        (percentiles(&alone), percentiles(&during_logins));
    table(&[
        row([&"P1, 50 a second", &"answers", &"p50 ms", &"p90 ms", &"p99 ms"]),
        row([&"alone", &alone.len(), &alone50, &alone90, &alone99]),
        row([&"while people log in", &during_logins.len(), &during50, &during90, &during99]),
    ]);
    let ratio = percentile(&during_logins, 0.99) / percentile(&alone, 0.99);
    println!("p99 meanwhile, a multiple of that alone: {ratio:.1} (target: at most 2)");
    Ok(())
}

/// Hashes passwords on all cores, with Switchboard's argon2id parameters (m=19456, t=2, p=1). Returns hashes per second.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn hashes_per_second(duration: Duration) -> f64 {
    let started_at = now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let argon2 = Argon2::default();
                    let mut memory = vec![Block::default(); argon2.params().block_count()];
                    let mut done = 0;
                    while now() - started_at < duration {
                        let mut output = [0; 32];
                        argon2
                            .hash_password_into_with_memory(
                                PASSWORD.as_bytes(),
                                &[7; 16],
                                &mut output,
                                &mut memory,
                            )
                            .expect("the parameters are valid");
                        std::hint::black_box(output);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("hashing does not fail")).sum()
    });
    done as f64 / (now() - started_at).as_secs_f64()
}
