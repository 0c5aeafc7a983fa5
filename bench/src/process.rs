//! What a process uses: CPU time and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

/// A process that is measured, with its children if it works through them.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    id: i32,
    has_children: bool,
}

impl Process {
    /// One that works alone.
    pub fn alone(id: u32) -> Self {
        Self { id: id.cast_signed(), has_children: false }
    }

    /// One that works through its children, as PostgreSQL does.
    pub fn with_children(id: u32) -> Self {
        Self { has_children: true, ..Self::alone(id) }
    }

    /// The CPU time used so far, in user and system mode, threads that have ended included.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn cpu(self) -> Result<Duration> {
        let mut used = cpu_of(self.id).context("the process is gone")?;
        if self.has_children {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id))?;
            // One that ends just now is counted by its parent the next time.
            used += children.split_whitespace().filter_map(|id| cpu_of(id.parse().ok()?)).sum();
            used += self.cpu_of_ended_children()?;
        }
        Ok(used)
    }

    /// The CPU time used since `before`.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn cpu_since(self, before: Duration) -> Result<Duration> {
        Ok(self.cpu()?.saturating_sub(before))
    }

    /// The memory that it holds now, in bytes.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn memory(self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most memory that it ever held, in bytes.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn most_memory(self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Itself, and the processes that it started.
    ///
    /// # Errors
    /// When it runs no more.
    pub fn with_its_children(self) -> Result<Vec<Pid>> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id))?;
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        Ok(std::iter::once(self.id).chain(children).map(Pid::from_raw).collect())
    }

    fn status(self, line: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let value =
            status.lines().find_map(|text| text.strip_prefix(line)).context("no such line")?;
        let kibibytes: u64 = value.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    fn cpu_of_ended_children(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let (_, after_name) = stat.rsplit_once(") ").context("a process's name")?;
        // Fields 16 and 17 of proc(5), in hundredths of a second; the first after the name is field 3.
        let ticks = after_name.split(' ').skip(13).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

fn cpu_of(id: i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(id)).ok()?;
    clock.now().ok().map(Duration::from)
}

/// Lets this process, and those that it starts, open as many files as the system allows.
///
/// # Errors
/// When the limit cannot be asked or set.
pub fn raise_open_files() -> Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}
