//! Figures for the report: medians, percentiles, tables in Markdown, and the machine and versions.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A percentile of the latencies in milliseconds, given as a share from 0 to 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index of a list"
)]
pub fn percentile(latencies: &[Duration], share: f64) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).map_or(f64::NAN, |latency| millis(*latency))
}

/// Converts to milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Converts to MB.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Prints a table. The first row is the header.
pub fn table(rows: &[Vec<String>]) {
    let [names, values @ ..] = rows else { return };
    let line = |cells: &[String]| println!("| {} |", cells.join(" | "));
    line(names);
    line(&vec!["---".to_owned(); names.len()]);
    for row in values {
        line(row);
    }
    println!();
}

/// Builds a row of a table.
pub fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

/// Prints the name of a benchmark, the machine and the versions.
pub fn print_environment(name: &str, postgres: &str) {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let output_of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let after_colon = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu_time = after_colon(&file("/proc/cpuinfo"), "model name");
    let memory = after_colon(&file("/proc/meminfo"), "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse().map_or(0, |kibibytes: u64| kibibytes >> 20);
    let load = file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    println!("## {name}\n");
    println!("- machine: {cores} cores of {cpu_time}, {memory} GiB; load before: {load}");
    println!("- system: {} {}", output_of("uname", &["-sr"]), output_of("uname", &["-m"]));
    println!("- database: {postgres}, fsync on");
    println!("- compiler: {}", output_of("rustc", &["--version"]));
    println!(
        "- switchboard: {} at {}\n",
        env!("CARGO_PKG_VERSION"),
        output_of("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_values_that_were_measured() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        let latencies: Vec<_> = (1..=101).rev().map(Duration::from_millis).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 101.0)] {
            assert!((percentile(&latencies, share) - expected).abs() < 1e-9, "{share}");
        }
        assert!(percentile(&[], 0.5).is_nan());
    }
}
